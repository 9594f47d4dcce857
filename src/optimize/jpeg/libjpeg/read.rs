//! The quantized coefficients of a file, without any arithmetic on them.

use super::super::coefficients::{Block, Coefficients, Component, Layout};
use super::decoder::Decoder;
use super::{FALSE, Fault, guarded, model_of, sys};
use sys::{JBLOCKROW, jpeg_component_info, jvirt_barray_control};

/// Reads a whole file: coefficients, tables, sampling.
///
/// # Errors
/// [`Fault`] on the first error or warning, or past `max_scans`.
pub fn read_coefficients(source: &[u8], max_scans: u32) -> Result<Coefficients, Fault> {
    guarded(|| {
        let mut reader = Reader::open(source, max_scans);
        let layout = reader.layout();
        let all = |(index, component): (usize, &Component)| {
            let mut blocks = Vec::with_capacity(component.columns * component.rows);
            for row in 0..component.rows {
                blocks.extend_from_slice(reader.row(index, row));
            }
            blocks
        };
        let blocks = layout.components.iter().enumerate().map(all).collect();
        reader.finish();
        Coefficients { layout, blocks }
    })
}

/// Whether a file holds exactly these coefficients, tables and sampling.
///
/// # Errors
/// [`Fault`] on the first error or warning.
pub fn has_coefficients(file: &[u8], expected: &Coefficients) -> Result<bool, Fault> {
    guarded(|| {
        let mut reader = Reader::open(file, u32::MAX);
        if reader.layout() != expected.layout {
            return false;
        }
        let mut rows =
            expected.layout.components.iter().enumerate().flat_map(|(i, c)| (0..c.rows).map(move |r| (i, r)));
        let same = rows.all(|(component, row)| reader.row(component, row) == expected.row(component, row));
        reader.finish();
        same
    })
}

/// A decoder that holds all coefficients, in libjpeg's own arrays.
struct Reader<'a> {
    decoder: Decoder<'a>,
    /// One per component.
    arrays: *mut *mut jvirt_barray_control,
}

impl<'a> Reader<'a> {
    fn open(source: &'a [u8], max_scans: u32) -> Self {
        let mut decoder = Decoder::open(source, max_scans);
        // SAFETY: the header was read. The arrays live as long as the decoder.
        let arrays = unsafe { sys::jpeg_read_coefficients(&mut decoder.info) };
        Self { decoder, arrays }
    }

    fn layout(&self) -> Layout {
        let info = &self.decoder.info;
        Layout {
            width: info.image_width as usize,
            height: info.image_height as usize,
            model: model_of(info.jpeg_color_space),
            components: self.decoder.components().iter().map(|component| self.component(component)).collect(),
        }
    }

    fn component(&self, component: &jpeg_component_info) -> Component {
        let slot = usize::try_from(component.quant_tbl_no).ok();
        let slot = slot.and_then(|slot| self.decoder.info.quant_tbl_ptrs.get(slot));
        // SAFETY: the component's own table was saved when its first scan began, since a later one may reuse the slot;
        // it is null where no scan had the component. Tables in slots are null or valid.
        let saved = unsafe { component.quant_table.as_ref() };
        let table = saved.or_else(|| slot.and_then(|table| unsafe { table.as_ref() }));
        Component {
            id: component.component_id,
            h: component.h_samp_factor as usize,
            v: component.v_samp_factor as usize,
            columns: component.width_in_blocks as usize,
            rows: component.height_in_blocks as usize,
            // A component without a table has no coefficients either.
            table: table.map_or([1; 64], |table| table.quantval),
        }
    }

    fn row(&mut self, component: usize, row: usize) -> &[Block] {
        let columns = self.decoder.components()[component].width_in_blocks as usize;
        assert!(row < self.decoder.components()[component].height_in_blocks as usize, "a row of the component");
        let common = &mut self.decoder.info.common;
        // SAFETY: `arrays` holds one array per component, each of at least height_in_blocks × width_in_blocks blocks,
        // which no one writes to any more. mozjpeg keeps them in memory (jmemnobs.c), so that the row stays in place.
        unsafe {
            let access = (*common.mem).access_virt_barray.expect("libjpeg fills its memory manager");
            let rows: *mut JBLOCKROW = access(common, *self.arrays.add(component), row as u32, 1, FALSE);
            std::slice::from_raw_parts(*rows, columns)
        }
    }

    fn finish(mut self) {
        // SAFETY: the file was read to its end.
        unsafe { sys::jpeg_finish_decompress(&mut self.decoder.info) };
    }
}
