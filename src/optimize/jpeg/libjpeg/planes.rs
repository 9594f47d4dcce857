//! The pixel domain: components decoded to samples, and encoded from them.

use super::decoder::Decoder;
use super::encoder::{Encoder, fixed_progression};
use super::{Fault, TRUE, guarded, model_of, space_of, sys};
use crate::optimize::jpeg::dct::coefficients::{BLOCK, ColorModel};
use sys::{J_INT_PARAM, JINT_BASE_QUANT_TBL_IDX, c_int, jpeg_compress_struct};

/// mozjpeg's table 2, tuned for MS-SSIM on Kodak images (jcparam.c): 5–7 % smaller at equal SSIMULACRA2 than its
/// default, table 3.
const QUANT_TABLE: c_int = 2;
/// The range of [`encode`]'s scale, in percent: libjpeg's quality 98 to 12.
pub const FINEST_SCALE: u16 = 4;
pub const COARSEST_SCALE: u16 = 400;

/// An image decoded to its components, each at the resolution it is stored in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planes {
    /// Pixels.
    pub width: usize,
    pub height: usize,
    pub model: ColorModel,
    pub planes: Vec<Plane>,
}

/// One component: whole blocks, the samples beyond the image's edge included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plane {
    /// Sampling factors: samples per MCU are eight times these (T.81, A.1.1).
    pub h: usize,
    pub v: usize,
    /// Samples from one row to the next.
    pub stride: usize,
    pub samples: Vec<u8>,
}

impl Planes {
    /// The largest sampling factors, horizontal and vertical.
    #[must_use]
    pub fn max_factors(&self) -> (usize, usize) {
        let largest = |of: fn(&Plane) -> usize| self.planes.iter().map(of).max().unwrap_or(1);
        (largest(|p| p.h), largest(|p| p.v))
    }
}

/// Decodes to components at their stored resolution: no upsampling, no colour conversion.
///
/// # Errors
/// [`Fault`] on the first error or warning, or past `max_scans`.
pub fn decode_planes(source: &[u8], max_scans: u32) -> Result<Planes, Fault> {
    guarded(|| {
        let mut decoder = Decoder::open(source, max_scans);
        decoder.info.raw_data_out = TRUE;
        decoder.info.out_color_space = decoder.info.jpeg_color_space;
        // SAFETY: the header was read.
        unsafe { sys::jpeg_start_decompress(&mut decoder.info) };
        let max_v = decoder.info.max_v_samp_factor as usize;
        let mcu_rows = (decoder.info.output_height as usize).div_ceil(max_v * BLOCK);
        let mut image = Planes {
            width: decoder.info.output_width as usize,
            height: decoder.info.output_height as usize,
            model: model_of(decoder.info.jpeg_color_space),
            planes: decoder.components().iter().map(|c| blank_plane(c, mcu_rows)).collect(),
        };
        for mcu_row in 0..mcu_rows {
            let mut rows = image.rows_of(mcu_row);
            let mut planes: Vec<_> = rows.iter_mut().map(std::vec::Vec::as_mut_ptr).collect();
            // SAFETY: each plane has v × 8 rows for this MCU row, as wide as all its blocks.
            unsafe { sys::jpeg_read_raw_data(&mut decoder.info, planes.as_mut_ptr(), (max_v * BLOCK) as u32) };
        }
        // SAFETY: all rows were read.
        unsafe { sys::jpeg_finish_decompress(&mut decoder.info) };
        image
    })
}

/// Encodes planes in the pixel domain: mozjpeg's table 2, trellis quantization, its fixed progressive scans, the
/// planes' own subsampling.
///
/// `scale` is the table's scale in percent: 100 is the table as it stands, smaller is finer.
///
/// # Errors
/// [`Fault::Codec`] where libjpeg refuses: the colour model is [`ColorModel::Unknown`], a sampling factor beyond 4.
pub fn encode(image: &Planes, scale: u16) -> Result<Vec<u8>, Fault> {
    guarded(|| {
        let mut encoder = Encoder::new();
        let info = &mut encoder.info;
        info.image_width = image.width as u32;
        info.image_height = image.height as u32;
        info.input_components = image.planes.len() as c_int;
        info.in_color_space = space_of(image.model);
        // SAFETY: dimensions and colour space are set, which is what these three ask for.
        unsafe {
            sys::jpeg_set_defaults(info);
            sys::jpeg_set_colorspace(info, space_of(image.model));
            set_int(info, JINT_BASE_QUANT_TBL_IDX, QUANT_TABLE);
            sys::jpeg_set_linear_quality(info, c_int::from(scale), TRUE);
        }
        fixed_progression(info);
        info.raw_data_in = TRUE;
        // SAFETY: set_colorspace allocated `comp_info` with one entry per component.
        let components = unsafe { std::slice::from_raw_parts_mut(info.comp_info, image.planes.len()) };
        for (component, plane) in components.iter_mut().zip(&image.planes) {
            component.h_samp_factor = plane.h as c_int;
            component.v_samp_factor = plane.v as c_int;
        }
        // SAFETY: all parameters are set.
        unsafe { sys::jpeg_start_compress(info, TRUE) };
        let (_, max_v) = image.max_factors();
        for mcu_row in 0..image.height.div_ceil(max_v * BLOCK) {
            let rows = image.rows_to_read(mcu_row);
            let planes: Vec<_> = rows.iter().map(std::vec::Vec::as_ptr).collect();
            // SAFETY: each plane has v × 8 rows for this MCU row, as wide as all its blocks.
            unsafe { sys::jpeg_write_raw_data(info, planes.as_ptr(), (max_v * BLOCK) as u32) };
        }
        encoder.finish()
    })
}

/// # Safety
/// `info` must be created and not started.
unsafe fn set_int(info: &mut jpeg_compress_struct, parameter: J_INT_PARAM, value: c_int) {
    unsafe { sys::jpeg_c_set_int_param(info, parameter, value) };
}

fn blank_plane(component: &sys::jpeg_component_info, mcu_rows: usize) -> Plane {
    let (h, v) = (component.h_samp_factor as usize, component.v_samp_factor as usize);
    let stride = component.width_in_blocks as usize * BLOCK;
    Plane { h, v, stride, samples: vec![0; stride * mcu_rows * v * BLOCK] }
}

impl Planes {
    /// For each plane a pointer to each of its rows within one row of MCUs.
    fn rows_of(&mut self, mcu_row: usize) -> Vec<Vec<*mut u8>> {
        let rows = |plane: &mut Plane| {
            let band = plane.v * BLOCK * plane.stride;
            let band = &mut plane.samples[mcu_row * band..(mcu_row + 1) * band];
            band.chunks_exact_mut(plane.stride).map(<[u8]>::as_mut_ptr).collect()
        };
        self.planes.iter_mut().map(rows).collect()
    }

    fn rows_to_read(&self, mcu_row: usize) -> Vec<Vec<*const u8>> {
        let rows = |plane: &Plane| {
            let band = plane.v * BLOCK * plane.stride;
            let band = &plane.samples[mcu_row * band..(mcu_row + 1) * band];
            band.chunks_exact(plane.stride).map(<[u8]>::as_ptr).collect()
        };
        self.planes.iter().map(rows).collect()
    }
}
