//! libwebp: decodes as viewers do, encodes. The only file here with unsafe code.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ptr;

use libwebp_sys as sys;
use rgb::{ComponentBytes, RGBA8};

use super::yuv::Yuv;
use crate::optimize::picture::Pixels;

/// With a trellis, which 4 has not: 2–5 % fewer bytes for 15 % of a trial's time. 6 takes 2 % more for twice the time.
const METHOD: c_int = 5;
/// Bytes of a decoded pixel.
const RGBA_BYTES: usize = 4;

/// Decodes a still picture of this size.
///
/// # Errors
/// Where it is damaged or cut short.
pub fn decode(file: &[u8], width: usize, height: usize) -> Result<Pixels, String> {
    let mut rgba = vec![RGBA8::new(0, 0, 0, 0); width * height];
    let samples: &mut [u8] = rgba.as_bytes_mut();
    // SAFETY: both buffers are passed with their lengths, the last argument is the bytes of a row; libwebp checks that
    // the picture fits.
    let decoded = unsafe {
        let stride = size(width * RGBA_BYTES)?;
        sys::WebPDecodeRGBAInto(file.as_ptr(), file.len(), samples.as_mut_ptr(), samples.len(), stride)
    };
    if decoded.is_null() {
        return Err("damaged, or cut short".into());
    }
    Ok(Pixels { width, height, rgba })
}

/// Decodes a lossy picture of this size to what it was coded from, alpha left out.
///
/// # Errors
/// Where it is damaged or cut short.
pub fn decode_yuv(file: &[u8], width: usize, height: usize) -> Result<Yuv, String> {
    let mut yuv = Yuv::new(width, height);
    let (luma_stride, chroma_stride) = (size(width)?, size(yuv.chroma_width())?);
    let [y, u, v] = &mut yuv.planes;
    // SAFETY: as above, for three planes.
    let decoded = unsafe {
        sys::WebPDecodeYUVInto(
            file.as_ptr(),
            file.len(),
            y.as_mut_ptr(),
            y.len(),
            luma_stride,
            u.as_mut_ptr(),
            u.len(),
            chroma_stride,
            v.as_mut_ptr(),
            v.len(),
            chroma_stride,
        )
    };
    if decoded.is_null() { Err("damaged, or cut short".into()) } else { Ok(yuv) }
}

/// How a picture is coded.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    Lossy {
        /// libwebp's, 0 to 100.
        quality: u8,
        /// Sharpness of the loop filter, 0 to 7.
        sharpness: u8,
    },
    /// To the last of its bits, hidden ones included.
    Lossless {
        /// libwebp's `-z`, 0 (fast) to 9.
        level: u8,
    },
    /// Without loss after some samples were rounded, where pixels differ from their neighbours; what is opaque stays so, and
    /// hidden pixels get any colour.
    NearLossless {
        /// libwebp's `-z`, 0 (fast) to 9.
        level: u8,
        /// The lower bits that libwebp rounds away: up to 5. With none of them hidden pixels alone change.
        bits: u8,
    },
}

/// What is coded.
pub enum Source<'a> {
    Pixels(&'a Pixels),
    /// With alpha, where there is any.
    Yuv(&'a Yuv, Option<&'a [u8]>),
}

/// A file of the picture.
///
/// # Errors
/// Where libwebp has no memory, or the picture is larger than the format allows.
pub fn encode(source: &Source<'_>, way: Way) -> Result<Vec<u8>, String> {
    let config = config(way)?;
    let mut picture = match source {
        Source::Pixels(pixels) => Picture::of_pixels(pixels, !matches!(way, Way::Lossy { .. }))?,
        Source::Yuv(yuv, alpha) => Picture::of_yuv(yuv, *alpha)?,
    };
    picture.encode(&config)
}

fn config(way: Way) -> Result<sys::WebPConfig, String> {
    let mut config = sys::WebPConfig::new().map_err(|()| "another version of libwebp")?;
    match way {
        Way::Lossy { quality, sharpness } => {
            config.quality = quality.into();
            config.method = METHOD;
            config.filter_sharpness = sharpness.into();
            // Exact.
            config.alpha_quality = 100;
        }
        Way::Lossless { level } => {
            // SAFETY: `config` was initialized above.
            if unsafe { sys::WebPConfigLosslessPreset(&raw mut config, level.into()) } == 0 {
                return Err("no such level".into());
            }
            config.exact = 1;
        }
        Way::NearLossless { level, bits } => {
            // SAFETY: `config` was initialized above.
            if unsafe { sys::WebPConfigLosslessPreset(&raw mut config, level.into()) } == 0 {
                return Err("no such level".into());
            }
            // 80 is for one bit, 0 for five (`VP8LNearLosslessBits`). Exact hidden pixels would turn it off.
            config.near_lossless = 100 - 20 * c_int::from(bits.min(5));
        }
    }
    Ok(config)
}

/// libwebp's picture, freed when dropped.
struct Picture(sys::WebPPicture);

impl Picture {
    fn new(width: usize, height: usize) -> Result<Self, String> {
        let mut picture = sys::WebPPicture::new().map_err(|()| "another version of libwebp")?;
        (picture.width, picture.height) = (size(width)?, size(height)?);
        Ok(Self(picture))
    }

    fn of_pixels(pixels: &Pixels, as_argb: bool) -> Result<Self, String> {
        let mut this = Self::new(pixels.width, pixels.height)?;
        this.0.use_argb = c_int::from(as_argb);
        let samples: &[u8] = pixels.rgba.as_bytes();
        if samples.len() != pixels.width * pixels.height * RGBA_BYTES {
            return Err("not as many pixels as the size says".into());
        }
        // SAFETY: `samples` holds `height` rows of the given stride, and is copied.
        let imported = unsafe {
            let stride = size(pixels.width * RGBA_BYTES)?;
            sys::WebPPictureImportRGBA(&raw mut this.0, samples.as_ptr(), stride)
        };
        if imported == 0 { Err(this.error()) } else { Ok(this) }
    }

    fn of_yuv(yuv: &Yuv, alpha: Option<&[u8]>) -> Result<Self, String> {
        let mut this = Self::new(yuv.width, yuv.height)?;
        this.0.use_argb = 0;
        this.0.colorspace = if alpha.is_some() { sys::WebPEncCSP::WEBP_YUV420A } else { sys::WebPEncCSP::WEBP_YUV420 };
        // SAFETY: the picture's fields are set as WebPPictureAlloc asks for.
        if unsafe { sys::WebPPictureAlloc(&raw mut this.0) } == 0 {
            return Err(this.error());
        }
        let chroma_width = yuv.chroma_width();
        let picture = &this.0;
        let [y, u, v] = &yuv.planes;
        // SAFETY: WebPPictureAlloc made planes of the picture's size; chroma is half of it, rounded up, as `Yuv` has it.
        unsafe {
            copy_plane(y, yuv.width, picture.y, picture.y_stride);
            copy_plane(u, chroma_width, picture.u, picture.uv_stride);
            copy_plane(v, chroma_width, picture.v, picture.uv_stride);
            if let Some(alpha) = alpha.filter(|alpha| alpha.len() == y.len()) {
                copy_plane(alpha, yuv.width, picture.a, picture.a_stride);
            }
        }
        Ok(this)
    }

    fn encode(&mut self, config: &sys::WebPConfig) -> Result<Vec<u8>, String> {
        let mut output = Output(sys::WebPMemoryWriter { mem: ptr::null_mut(), size: 0, max_size: 0, pad: [0] });
        self.0.writer = Some(sys::WebPMemoryWrite);
        self.0.custom_ptr = (&raw mut output.0).cast();
        // SAFETY: `config` and the picture are initialized; `output` outlives the call, and only WebPMemoryWrite uses it.
        let encoded = unsafe { sys::WebPEncode(config, &raw mut self.0) };
        self.0.custom_ptr = ptr::null_mut();
        if encoded == 0 { Err(self.error()) } else { Ok(output.bytes()) }
    }

    fn error(&self) -> String {
        format!("libwebp: {:?}", self.0.error_code)
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        // SAFETY: initialized by `new`; what libwebp did not allocate is null, or not its own to free.
        unsafe { sys::WebPPictureFree(&raw mut self.0) };
    }
}

/// What libwebp wrote, freed when dropped.
struct Output(sys::WebPMemoryWriter);

impl Output {
    fn bytes(&self) -> Vec<u8> {
        if self.0.mem.is_null() {
            return Vec::new();
        }
        // SAFETY: WebPMemoryWrite keeps `size` bytes at `mem`.
        unsafe { std::slice::from_raw_parts(self.0.mem, self.0.size) }.to_vec()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // SAFETY: `mem` is null or WebPMemoryWrite's.
        unsafe { sys::WebPMemoryWriterClear(&raw mut self.0) };
    }
}

/// # Safety
/// `target` has as many rows of `stride` bytes as `plane` has of `width`.
unsafe fn copy_plane(plane: &[u8], width: usize, target: *mut u8, stride: c_int) {
    for (row, samples) in plane.chunks_exact(width).enumerate() {
        // SAFETY: the caller's promise; a row is no longer than its stride.
        unsafe { ptr::copy_nonoverlapping(samples.as_ptr(), target.add(row * stride as usize), width) };
    }
}

fn size(value: usize) -> Result<c_int, String> {
    c_int::try_from(value).map_err(|_| "larger than libwebp can".into())
}

const _: () = assert!(size_of::<RGBA8>() == RGBA_BYTES);

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A picture whose right half has this alpha.
    pub fn waves(width: usize, height: usize, alpha: u8) -> Pixels {
        let pixel = |at: usize| {
            let (x, y) = (at % width, at / width);
            let wave = |period: f64, at: usize| (128.0 + 100.0 * (at as f64 / period).sin()) as u8;
            RGBA8::new(wave(9.0, x), wave(13.0, y), wave(7.0, x + y), if x < width / 2 { 255 } else { alpha })
        };
        Pixels { width, height, rgba: (0..width * height).map(pixel).collect() }
    }

    const LOSSY: Way = Way::Lossy { quality: 80, sharpness: 7 };

    #[test]
    fn lossless_is_exact_hidden_pixels_included() {
        for alpha in [0, 100, 255] {
            let pixels = waves(37, 19, alpha);
            let file = encode(&Source::Pixels(&pixels), Way::Lossless { level: 6 }).unwrap();
            assert_eq!(decode(&file, 37, 19).unwrap().rgba, pixels.rgba);
        }
    }

    #[test]
    fn lossy_keeps_alpha_exact_from_pixels_and_from_planes() {
        let pixels = waves(37, 19, 100);
        let alpha: Vec<u8> = pixels.rgba.iter().map(|pixel| pixel.a).collect();
        let first = encode(&Source::Pixels(&pixels), LOSSY).unwrap();
        let yuv = decode_yuv(&first, 37, 19).unwrap();
        let second = encode(&Source::Yuv(&yuv, Some(&alpha)), LOSSY).unwrap();
        for file in [first, second] {
            let decoded = decode(&file, 37, 19).unwrap();
            assert!(decoded.rgba.iter().zip(&alpha).all(|(pixel, alpha)| pixel.a == *alpha));
        }
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let file = encode(&Source::Pixels(&waves(37, 19, 255)), LOSSY).unwrap();
        assert!(decode(&file, 37, 19).is_ok());
        assert!(decode(&file, 36, 19).is_err(), "another size");
        for length in 0..file.len() - 1 {
            assert!(decode(&file[..length], 37, 19).is_err(), "{length}");
            assert!(decode_yuv(&file[..length], 37, 19).is_err(), "{length}");
        }
    }

    #[test]
    fn what_no_file_can_hold_is_an_error() {
        // 2^14 − 1 pixels are the most (RFC 9649, 2.1).
        let wide = Pixels { width: 16_384, height: 1, rgba: vec![RGBA8::new(0, 0, 0, 255); 16_384] };
        assert!(encode(&Source::Pixels(&wide), LOSSY).is_err());
    }
}
