// sharp.cjs jpeg|png QUALITY IN OUT: upright, else as sharp does by default.
const sharp = require('sharp');
const [kind, quality, input, output] = process.argv.slice(2);
sharp.concurrency(1);
const image = sharp(input, { limitInputPixels: false }).autoOrient();
const encoded = kind === 'jpeg'
  ? image.jpeg({ quality: Number(quality), mozjpeg: true })
  : image.png({ palette: true, quality: Number(quality), effort: 7 });
encoded.toFile(output).catch((error) => { console.error(error.message); process.exit(1); });
