//! Coefficients of a JPEG image: transformed, reconstructed to samples, downsampled and quantized anew.

pub mod coefficients;
pub mod downsample_chroma;
pub mod quant_tables;
pub mod reconstruct;
pub mod requantize;
pub mod transform;
