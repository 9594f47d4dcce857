//! A file from quantized coefficients.

use super::super::scan_script::Scan;
use super::encoder::{Encoder, fixed_progression};
use super::{FALSE, Fault, TRUE, guarded, space_of, sys};
use crate::optimize::jpeg::dct::coefficients::{Block, Component, Layout, Table};
use sys::{
    JBOOLEAN_OPTIMIZE_SCANS, JBOOLEAN_TRELLIS_QUANT, JPOOL_IMAGE, c_int, jpeg_compress_struct, jpeg_scan_info,
    jvirt_barray_control,
};

/// The order of a file's scans.
#[derive(Debug, Clone, Copy)]
pub enum Script<'a> {
    /// mozjpeg's recommendation for the colour model.
    Recommended,
    Fixed(&'a [Scan]),
}

/// Writes a progressive file with optimized Huffman tables, no restart markers, no metadata. `fill` is asked once for
/// each row of each component's blocks, which begin as zeros: the encoder's own arrays are the only copy.
///
/// # Errors
/// [`Fault::Codec`] where libjpeg refuses: a coefficient out of range, a sampling factor beyond 4, more than four
/// different tables.
pub fn write_coefficients(
    layout: &Layout,
    script: Script<'_>,
    mut fill: impl FnMut(usize, usize, &mut [Block]),
) -> Result<Vec<u8>, Fault> {
    begin(layout, script, |mut encoder| {
        let mut arrays: Vec<_> = layout.components.iter().map(|c| request_array(&mut encoder.info, c)).collect();
        // SAFETY: all parameters are set, and there is one array per component. This allocates them.
        unsafe { sys::jpeg_write_coefficients(&mut encoder.info, arrays.as_mut_ptr()) };
        for (index, (component, array)) in layout.components.iter().zip(&arrays).enumerate() {
            for row in 0..component.rows {
                fill(index, row, row_to_fill(&mut encoder.info, *array, component, row));
            }
        }
        encoder.finish()
    })
}

/// The same from arrays that a decoder has filled.
///
/// # Safety
/// `arrays` must hold one array for each of the layout's components, as large as its whole MCUs.
pub unsafe fn write(
    layout: &Layout,
    script: Script<'_>,
    arrays: *mut *mut jvirt_barray_control,
) -> Result<Vec<u8>, Fault> {
    begin(layout, script, |mut encoder| {
        // SAFETY: all parameters are set; the arrays are the caller's promise.
        unsafe { sys::jpeg_write_coefficients(&mut encoder.info, arrays) };
        encoder.finish()
    })
}

/// An encoder with all parameters set, handed on.
fn begin<T>(layout: &Layout, script: Script<'_>, then: impl FnOnce(Encoder) -> T) -> Result<T, Fault> {
    let (tables, slots) = tables(layout)?;
    guarded(|| {
        let mut encoder = Encoder::new();
        describe(&mut encoder.info, layout, &tables, &slots);
        let scans = scan_infos(script);
        if scans.is_empty() {
            fixed_progression(&mut encoder.info);
        } else {
            // SAFETY: parameters are being set. The scans outlive the encoder, which `then` consumes.
            unsafe { sys::jpeg_c_set_bool_param(&mut encoder.info, JBOOLEAN_OPTIMIZE_SCANS, FALSE) };
            encoder.info.scan_info = scans.as_ptr();
            encoder.info.num_scans = scans.len() as c_int;
        }
        then(encoder)
    })
}

/// The different tables, and which of them each component has.
fn tables(layout: &Layout) -> Result<(Vec<Table>, Vec<usize>), Fault> {
    let mut tables: Vec<Table> = Vec::new();
    let slot_of = |component: &Component| {
        tables.iter().position(|table| *table == component.table).unwrap_or_else(|| {
            tables.push(component.table);
            tables.len() - 1
        })
    };
    let slots = layout.components.iter().map(slot_of).collect();
    // NUM_QUANT_TBLS of jpeglib.h.
    if tables.len() > 4 { Err(Fault::Codec("more than four tables".into())) } else { Ok((tables, slots)) }
}

fn describe(info: &mut jpeg_compress_struct, layout: &Layout, tables: &[Table], slots: &[usize]) {
    info.image_width = layout.width as u32;
    info.image_height = layout.height as u32;
    info.input_components = layout.components.len() as c_int;
    info.in_color_space = space_of(layout.model);
    // SAFETY: dimensions and colour space are set, which is what the first two ask for. The trellis has no place where
    // coefficients are given (jctrans.c turns it off likewise).
    unsafe {
        sys::jpeg_set_defaults(info);
        sys::jpeg_set_colorspace(info, space_of(layout.model));
        sys::jpeg_c_set_bool_param(info, JBOOLEAN_TRELLIS_QUANT, FALSE);
    }
    info.optimize_coding = TRUE;
    for (slot, table) in tables.iter().enumerate() {
        // SAFETY: slots are null or hold a table of this compressor; a new one is allocated for its lifetime.
        unsafe {
            if info.quant_tbl_ptrs[slot].is_null() {
                info.quant_tbl_ptrs[slot] = sys::jpeg_alloc_quant_table(&mut info.common);
            }
            (*info.quant_tbl_ptrs[slot]).quantval = *table;
        }
    }
    // SAFETY: set_colorspace filled `comp_info` for each component.
    let components = unsafe { std::slice::from_raw_parts_mut(info.comp_info, layout.components.len()) };
    for ((to, from), slot) in components.iter_mut().zip(&layout.components).zip(slots) {
        to.component_id = from.id;
        to.h_samp_factor = from.h as c_int;
        to.v_samp_factor = from.v as c_int;
        to.quant_tbl_no = *slot as c_int;
    }
}

fn scan_infos(script: Script<'_>) -> Vec<jpeg_scan_info> {
    let info = |scan: &Scan| {
        let mut component_index = [0; 4];
        component_index.iter_mut().zip(scan.components).for_each(|(to, from)| *to = c_int::from(*from));
        jpeg_scan_info {
            comps_in_scan: scan.components.len() as c_int,
            component_index,
            Ss: scan.spectrum.0.into(),
            Se: scan.spectrum.1.into(),
            Ah: scan.bits.0.into(),
            Al: scan.bits.1.into(),
        }
    };
    match script {
        Script::Recommended => Vec::new(),
        Script::Fixed(scans) => scans.iter().map(info).collect(),
    }
}

/// An array of whole MCUs, zero until it is filled: libjpeg reads on to the end of the last MCU.
fn request_array(info: &mut jpeg_compress_struct, component: &Component) -> *mut jvirt_barray_control {
    let (h, v) = (component.h.max(1), component.v.max(1));
    let (columns, rows) = (component.columns.next_multiple_of(h), component.rows.next_multiple_of(v));
    let common = &mut info.common;
    // SAFETY: the memory manager is there from the compressor's creation on.
    unsafe {
        let request = (*common.mem).request_virt_barray.expect("libjpeg fills its memory manager");
        request(common, JPOOL_IMAGE as c_int, TRUE, columns as u32, rows as u32, v as u32)
    }
}

fn row_to_fill<'a>(
    info: &'a mut jpeg_compress_struct,
    array: *mut jvirt_barray_control,
    component: &Component,
    row: usize,
) -> &'a mut [Block] {
    let common = &mut info.common;
    // SAFETY: `request_array` asked for at least rows × columns blocks, and jpeg_write_coefficients allocated them.
    // Rows are asked for one after the other, as libjpeg wants, and only one is borrowed at a time.
    unsafe {
        let access = (*common.mem).access_virt_barray.expect("libjpeg fills its memory manager");
        let rows = access(common, array, row as u32, 1, TRUE);
        std::slice::from_raw_parts_mut(*rows, component.columns)
    }
}
