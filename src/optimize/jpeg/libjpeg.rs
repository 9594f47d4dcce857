//! The only door to mozjpeg's C library, and the only `unsafe` code of the crate.
//!
//! libjpeg reports errors by a callback that must not return. Ours unwinds with a [`Fault`] through the C frames (the
//! `unwinding` feature of mozjpeg-sys compiles them for that) into [`guarded`], while drop guards free what libjpeg
//! allocated. A warning means damaged data that libjpeg would fill with gray: it is a fault as well.

#![allow(unsafe_code, reason = "libjpeg is a C library; every block states why it is sound")]

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;

use super::super::score::Rgb;
use mozjpeg_sys as sys;
use sys::{
    J_COLOR_SPACE, J_INT_PARAM, JBOOLEAN_OPTIMIZE_SCANS, JINT_BASE_QUANT_TBL_IDX, boolean, c_int, c_ulong,
    jpeg_common_struct, jpeg_compress_struct, jpeg_decompress_struct, jpeg_destination_mgr, jpeg_error_mgr,
    jpeg_progress_mgr,
};

const TRUE: boolean = 1;
const FALSE: boolean = 0;
/// Samples along a DCT block's side (ITU-T T.81, A.3.3).
pub const BLOCK: usize = 8;
/// `JMSG_LENGTH_MAX` of jpeglib.h.
const MESSAGE_BYTES: usize = 200;
/// mozjpeg's table 2, tuned for MS-SSIM on Kodak images (jcparam.c): 5–7 % smaller at equal SSIMULACRA2 than its
/// default, table 3.
const QUANT_TABLE: c_int = 2;
/// The range of [`encode`]'s scale, in percent: libjpeg's quality 98 to 12.
pub const FINEST_SCALE: u16 = 4;
pub const COARSEST_SCALE: u16 = 400;

/// Why libjpeg gave up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// libjpeg's own words: the data is damaged, or uses what libjpeg cannot do.
    #[error("{0}")]
    Codec(String),
    /// More scans than allowed; the rest was not read.
    #[error("too many scans")]
    Scans,
}

/// How components become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorModel {
    Gray,
    YCbCr,
    Rgb,
    /// CMYK, YCCK and the unknown: there is no score for these, so they are kept in their coefficients.
    Other,
}

impl ColorModel {
    fn of(space: J_COLOR_SPACE) -> Self {
        match space {
            J_COLOR_SPACE::JCS_GRAYSCALE => Self::Gray,
            J_COLOR_SPACE::JCS_YCbCr => Self::YCbCr,
            J_COLOR_SPACE::JCS_RGB => Self::Rgb,
            _ => Self::Other,
        }
    }

    fn space(self) -> J_COLOR_SPACE {
        match self {
            Self::Gray => J_COLOR_SPACE::JCS_GRAYSCALE,
            Self::YCbCr => J_COLOR_SPACE::JCS_YCbCr,
            Self::Rgb => J_COLOR_SPACE::JCS_RGB,
            Self::Other => J_COLOR_SPACE::JCS_UNKNOWN,
        }
    }
}

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

/// The quantization table of the first component, in natural order, from the header alone.
///
/// # Errors
/// [`Fault::Codec`] where libjpeg cannot read the header.
pub fn luma_table(source: &[u8]) -> Result<Option<[u16; 64]>, Fault> {
    guarded(|| {
        let decoder = Decoder::open(source, u32::MAX);
        let slot = decoder.components().first().and_then(|c| usize::try_from(c.quant_tbl_no).ok());
        let table = slot.and_then(|slot| decoder.info.quant_tbl_ptrs.get(slot));
        // SAFETY: `decoder` has read its header; the tables of a scan to come are null still, or valid.
        table.and_then(|table| unsafe { table.as_ref() }).map(|table| table.quantval)
    })
}

/// Whether mozjpeg's table 2 gives `table` at some scale: such a file went through [`encode`], or an equal, before.
#[must_use]
pub fn is_own_table(table: &[u16; 64]) -> bool {
    (FINEST_SCALE..=COARSEST_SCALE).any(|scale| own_luma_table(scale) == *table)
}

fn own_luma_table(scale: u16) -> [u16; 64] {
    /// jcparam.c, `std_luminance_quant_tbl[2]`, natural order.
    #[rustfmt::skip]
    const LUMA: [u16; 64] = [
        12, 17, 20, 21, 30, 34, 56, 63,
        18, 20, 20, 26, 28, 51, 61, 55,
        19, 20, 21, 26, 33, 58, 69, 55,
        26, 26, 26, 30, 46, 87, 86, 66,
        31, 33, 36, 40, 46, 96, 100, 73,
        40, 35, 46, 62, 81, 100, 111, 91,
        46, 66, 76, 86, 102, 121, 120, 101,
        68, 90, 90, 96, 113, 102, 105, 103,
    ];
    // jcparam.c, jpeg_add_quant_table: rounded, then held within a baseline table's 8 bits.
    LUMA.map(|step| ((u32::from(step) * u32::from(scale) + 50) / 100).clamp(1, 255) as u16)
}

/// Decodes to red, green, blue as libjpeg-turbo does by default: islow IDCT, triangle chroma upsampling.
///
/// # Errors
/// [`Fault`] on the first error or warning, or past `max_scans`.
pub fn decode_rgb(source: &[u8], max_scans: u32) -> Result<Rgb, Fault> {
    guarded(|| {
        let mut decoder = Decoder::open(source, max_scans);
        decoder.info.out_color_space = J_COLOR_SPACE::JCS_RGB;
        // SAFETY: the header was read; libjpeg writes one row of `output_width` × 3 samples to the row it is handed.
        unsafe { sys::jpeg_start_decompress(&mut decoder.info) };
        let (width, height) = (decoder.info.output_width as usize, decoder.info.output_height as usize);
        let mut samples = vec![0; width * height * 3];
        for row in samples.chunks_exact_mut(width * 3) {
            let mut rows = [row.as_mut_ptr()];
            unsafe { sys::jpeg_read_scanlines(&mut decoder.info, rows.as_mut_ptr(), 1) };
        }
        // SAFETY: all rows were read. This reads on to the end of the image, where more warnings may wait.
        unsafe { sys::jpeg_finish_decompress(&mut decoder.info) };
        Rgb { width, height, samples }
    })
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
            model: ColorModel::of(decoder.info.jpeg_color_space),
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
/// [`Fault::Codec`] where libjpeg refuses: the colour model is [`ColorModel::Other`], a sampling factor beyond 4.
pub fn encode(image: &Planes, scale: u16) -> Result<Vec<u8>, Fault> {
    guarded(|| {
        let mut encoder = Encoder::new();
        let info = &mut encoder.info;
        info.image_width = image.width as u32;
        info.image_height = image.height as u32;
        info.input_components = image.planes.len() as c_int;
        info.in_color_space = image.model.space();
        // SAFETY: dimensions and colour space are set, which is what these three ask for.
        unsafe {
            sys::jpeg_set_defaults(info);
            sys::jpeg_set_colorspace(info, image.model.space());
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

/// Codes the same coefficients anew: progressive, optimized Huffman tables, no restart markers, no metadata.
///
/// # Errors
/// [`Fault`] on the first error or warning, past `max_scans`, or where a file reuses a quantization table's slot,
/// which libjpeg cannot write again.
pub fn transcode(source: &[u8], max_scans: u32) -> Result<Vec<u8>, Fault> {
    guarded(|| {
        let mut decoder = Decoder::open(source, max_scans);
        // SAFETY: the header was read; the arrays live as long as `decoder`, which outlives `encoder`'s use of them.
        let coefficients = unsafe { sys::jpeg_read_coefficients(&mut decoder.info) };
        let mut encoder = Encoder::new();
        unsafe { sys::jpeg_copy_critical_parameters(&decoder.info, &mut encoder.info) };
        fixed_progression(&mut encoder.info);
        encoder.info.optimize_coding = TRUE;
        unsafe { sys::jpeg_write_coefficients(&mut encoder.info, coefficients) };
        let bytes = encoder.finish();
        unsafe { sys::jpeg_finish_decompress(&mut decoder.info) };
        bytes
    })
}

/// mozjpeg's search over scan scripts costs 37 % of its time for 0.5 % of bytes: its fixed script instead.
fn fixed_progression(info: &mut jpeg_compress_struct) {
    // SAFETY: called on a compressor whose parameters are being set.
    unsafe {
        sys::jpeg_c_set_bool_param(info, JBOOLEAN_OPTIMIZE_SCANS, FALSE);
        sys::jpeg_simple_progression(info);
    }
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

/// Runs libjpeg and turns its unwinding into a value. Any other panic goes on to the engine's own door.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| match payload.downcast::<Fault>() {
        Ok(fault) => *fault,
        Err(other) => resume_unwind(other),
    })
}

struct Decoder<'a> {
    info: Box<jpeg_decompress_struct>,
    _errors: Box<jpeg_error_mgr>,
    scans: Box<ScanCounter>,
    _source: PhantomData<&'a [u8]>,
}

/// libjpeg holds a pointer to `manager`, its first field, and hands it back to [`count_scans`].
#[repr(C)]
struct ScanCounter {
    manager: jpeg_progress_mgr,
    max: u32,
}

impl<'a> Decoder<'a> {
    /// Reads the header.
    fn open(source: &'a [u8], max_scans: u32) -> Self {
        let mut errors = error_manager();
        let scans = Box::new(ScanCounter {
            manager: jpeg_progress_mgr {
                progress_monitor: Some(count_scans),
                pass_counter: 0,
                pass_limit: 0,
                completed_passes: 0,
                total_passes: 0,
            },
            max: max_scans,
        });
        // SAFETY: an all-zero struct with an error manager is what jpeg_CreateDecompress asks for, and what
        // jpeg_destroy accepts at any later time. The boxes keep their addresses when moved into the guard.
        let mut info: Box<jpeg_decompress_struct> = unsafe { Box::new(std::mem::zeroed()) };
        info.common.err = &raw mut *errors;
        let mut decoder = Self { info, _errors: errors, scans, _source: PhantomData };
        unsafe {
            sys::jpeg_create_decompress(&raw mut *decoder.info);
            decoder.info.common.progress = (&raw mut *decoder.scans).cast();
            sys::jpeg_mem_src(&mut decoder.info, source.as_ptr(), source.len() as c_ulong);
            sys::jpeg_read_header(&mut decoder.info, TRUE);
        }
        decoder
    }

    fn components(&self) -> &[sys::jpeg_component_info] {
        // SAFETY: after jpeg_read_header `comp_info` holds `num_components` entries.
        unsafe { std::slice::from_raw_parts(self.info.comp_info, self.info.num_components as usize) }
    }
}

impl Drop for Decoder<'_> {
    fn drop(&mut self) {
        // SAFETY: see `open`: sound in whatever state an unwinding left the struct.
        unsafe { sys::jpeg_destroy_decompress(&mut self.info) };
    }
}

/// libjpeg holds a pointer to `manager`, its first field, and hands it back to the three functions below.
#[repr(C)]
struct Destination {
    manager: jpeg_destination_mgr,
    bytes: Vec<u8>,
}

const FIRST_BUFFER: usize = 64 << 10;

struct Encoder {
    info: Box<jpeg_compress_struct>,
    _errors: Box<jpeg_error_mgr>,
    destination: Box<Destination>,
}

impl Encoder {
    fn new() -> Self {
        let mut errors = error_manager();
        let destination = Box::new(Destination {
            manager: jpeg_destination_mgr {
                next_output_byte: ptr::null_mut(),
                free_in_buffer: 0,
                init_destination: Some(begin_output),
                empty_output_buffer: Some(grow_output),
                term_destination: Some(end_output),
            },
            bytes: Vec::new(),
        });
        // SAFETY: as in `Decoder::open`.
        let mut info: Box<jpeg_compress_struct> = unsafe { Box::new(std::mem::zeroed()) };
        info.common.err = &raw mut *errors;
        let mut encoder = Self { info, _errors: errors, destination };
        unsafe { sys::jpeg_create_compress(&raw mut *encoder.info) };
        encoder.info.dest = (&raw mut *encoder.destination).cast();
        encoder
    }

    fn finish(mut self) -> Vec<u8> {
        // SAFETY: every row, or every coefficient array, was handed over.
        unsafe { sys::jpeg_finish_compress(&mut self.info) };
        std::mem::take(&mut self.destination.bytes)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: as for `Decoder`.
        unsafe { sys::jpeg_destroy_compress(&mut self.info) };
    }
}

/// # Safety
/// `info.dest` must point to the `manager` of a [`Destination`], as [`Encoder::new`] sets it.
unsafe fn destination(info: &mut jpeg_compress_struct) -> &mut Destination {
    unsafe { &mut *info.dest.cast::<Destination>() }
}

unsafe extern "C-unwind" fn begin_output(info: &mut jpeg_compress_struct) {
    let destination = unsafe { destination(info) };
    destination.bytes = vec![0; FIRST_BUFFER];
    destination.manager.next_output_byte = destination.bytes.as_mut_ptr();
    destination.manager.free_in_buffer = destination.bytes.len();
}

/// libjpeg calls this with the buffer full, whatever `free_in_buffer` says (jpeglib.h).
unsafe extern "C-unwind" fn grow_output(info: &mut jpeg_compress_struct) -> boolean {
    let destination = unsafe { destination(info) };
    let full = destination.bytes.len();
    destination.bytes.resize(full * 2, 0);
    destination.manager.next_output_byte = destination.bytes[full..].as_mut_ptr();
    destination.manager.free_in_buffer = full;
    TRUE
}

unsafe extern "C-unwind" fn end_output(info: &mut jpeg_compress_struct) {
    let destination = unsafe { destination(info) };
    let used = destination.bytes.len() - destination.manager.free_in_buffer;
    destination.bytes.truncate(used);
    destination.bytes.shrink_to_fit();
}

fn error_manager() -> Box<jpeg_error_mgr> {
    // SAFETY: jpeg_std_error fills every field of the struct it is handed.
    let mut errors: Box<jpeg_error_mgr> = unsafe { Box::new(std::mem::zeroed()) };
    unsafe { sys::jpeg_std_error(&mut errors) };
    errors.error_exit = Some(give_up);
    errors.emit_message = Some(refuse_warnings);
    errors
}

unsafe extern "C-unwind" fn give_up(info: &mut jpeg_common_struct) {
    let mut text = [0_u8; MESSAGE_BYTES];
    // SAFETY: `err` is the manager that every codec is created with. The binding says 80 bytes where jpeglib.h says
    // JMSG_LENGTH_MAX, 200, which is what libjpeg is given here.
    unsafe {
        if let Some(format) = (*info.err).format_message {
            format(info, &*text.as_mut_ptr().cast::<[u8; 80]>());
        }
    }
    let length = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    // Unlike panic!, this does not run the panic hook: a damaged file is no bug to print.
    resume_unwind(Box::new(Fault::Codec(String::from_utf8_lossy(&text[..length]).into_owned())));
}

/// Level −1 is a warning of damaged data; 0 and above are traces (jerror.c).
unsafe extern "C-unwind" fn refuse_warnings(info: &mut jpeg_common_struct, level: c_int) {
    if level < 0 {
        unsafe { give_up(info) };
    }
}

unsafe extern "C-unwind" fn count_scans(info: &mut jpeg_common_struct) {
    // SAFETY: only decoders are given this monitor, and their `progress` is a ScanCounter's first field.
    let (scans, max) = unsafe {
        let decoder = (&raw mut *info).cast::<jpeg_decompress_struct>();
        ((*decoder).input_scan_number, (*info.progress.cast::<ScanCounter>()).max)
    };
    if u32::try_from(scans).is_ok_and(|scans| scans > max) {
        resume_unwind(Box::new(Fault::Scans));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A smooth picture with some detail, in the given sampling of luma to chroma.
    pub fn picture(width: usize, height: usize, h: usize, v: usize) -> Planes {
        let plane = |ph: usize, pv: usize, phase: usize| {
            let columns = (width * ph).div_ceil(h).div_ceil(BLOCK) * BLOCK;
            let rows = height.div_ceil(v * BLOCK) * pv * BLOCK;
            let sample = |i: usize| {
                let (x, y) = (i % columns, i / columns);
                (128.0 + 90.0 * ((x * phase) as f64 / 17.0).sin() * ((y + phase) as f64 / 23.0).cos()) as u8
            };
            Plane { h: ph, v: pv, stride: columns, samples: (0..columns * rows).map(sample).collect() }
        };
        let planes = vec![plane(h, v, 1), plane(1, 1, 2), plane(1, 1, 3)];
        Planes { width, height, model: ColorModel::YCbCr, planes }
    }

    #[test]
    fn every_subsampling_survives_encode_and_decode() {
        for (h, v) in [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1)] {
            let source = picture(83, 61, h, v);
            let bytes = encode(&source, 20).unwrap();
            let back = decode_planes(&bytes, 100).unwrap();
            assert_eq!((back.width, back.height), (83, 61), "{h}x{v}");
            assert_eq!((back.planes[0].h, back.planes[0].v), (h, v), "{h}x{v}");
            let rgb = decode_rgb(&bytes, 100).unwrap();
            assert_eq!(rgb.samples.len(), 83 * 61 * 3);
        }
    }

    #[test]
    fn a_transcode_keeps_every_plane() {
        let bytes = encode(&picture(97, 45, 2, 2), 60).unwrap();
        let again = transcode(&bytes, 100).unwrap();
        assert_eq!(decode_planes(&bytes, 100), decode_planes(&again, 100));
    }

    #[test]
    fn damaged_data_is_a_fault_and_no_panic() {
        let bytes = encode(&picture(97, 45, 2, 2), 60).unwrap();
        for cut in [0, 2, 20, bytes.len() / 2, bytes.len() - 2] {
            assert!(matches!(decode_rgb(&bytes[..cut], 100), Err(Fault::Codec(_))), "cut at {cut}");
            assert!(matches!(transcode(&bytes[..cut], 100), Err(Fault::Codec(_))), "cut at {cut}");
        }
    }

    #[test]
    fn scans_are_counted() {
        let bytes = encode(&picture(97, 45, 2, 2), 60).unwrap();
        assert_eq!(decode_planes(&bytes, 2), Err(Fault::Scans));
    }

    #[test]
    fn our_own_tables_are_recognized() {
        for scale in [8, 50, 137] {
            let table = luma_table(&encode(&picture(32, 32, 2, 2), scale).unwrap()).unwrap().unwrap();
            assert_eq!(own_luma_table(scale), table, "scale {scale}");
            assert!(is_own_table(&table));
        }
    }
}
