// sharp.cjs jpeg|png QUALITY IN OUT: upright, and in the colours of the image's own profile. By default sharp converts to
// sRGB, which is no loss, but which a score without colour profiles takes for one.
const sharp = require('sharp');
const [kind, quality, input, output] = process.argv.slice(2);
sharp.concurrency(1);
const image = sharp(input, { limitInputPixels: false }).autoOrient().keepIccProfile();
const encoded = kind === 'jpeg'
  ? image.jpeg({ quality: Number(quality), mozjpeg: true })
  : image.png({ palette: true, quality: Number(quality), effort: 7 });
encoded.toFile(output).catch((error) => { console.error(error.message); process.exit(1); });
