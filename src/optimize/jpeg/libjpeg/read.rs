//! The quantized coefficients of a file, without any arithmetic on them, in libjpeg's own arrays: the only copy.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::decoder::Decoder;
use super::write::{Script, write};
use super::{FALSE, Fault, guarded, model_of, sys};
use crate::optimize::jpeg::dct::coefficients::{Block, Blocks, Component, Layout, Table};
use sys::{JBLOCKROW, jpeg_component_info, jvirt_barray_control};

/// A file's coefficients.
pub struct Coded<'a> {
    decoder: Decoder<'a>,
    /// One per component.
    arrays: *mut *mut jvirt_barray_control,
    layout: Layout,
    /// Where each row of each component's blocks is.
    rows: Vec<Vec<JBLOCKROW>>,
}

// SAFETY: through a shared reference only `rows` and what they point to is read, which stays as it is as long as there is
// one; mozjpeg's own state is used through `&mut self` alone, or once the value is consumed.
unsafe impl Sync for Coded<'_> {}

impl<'a> Coded<'a> {
    /// Reads a whole file.
    ///
    /// # Errors
    /// [`Fault`] on the first error or warning, or past `max_scans`.
    pub fn read(source: &'a [u8], max_scans: u32) -> Result<Self, Fault> {
        guarded(|| {
            let mut decoder = Decoder::open(source, max_scans);
            // SAFETY: the header was read. The arrays live as long as the decoder.
            let arrays = unsafe { sys::jpeg_read_coefficients(&mut decoder.info) };
            let layout = layout(&decoder);
            let components = layout.components.iter().enumerate();
            let rows = components.map(|(index, component)| rows(&mut decoder, arrays, index, component.rows)).collect();
            Self { decoder, arrays, layout, rows }
        })
    }

    /// Whether a progressive file leaves bits of some coefficients unsent: decoders then smooth what they show
    /// (jdcoefct.c, `smoothing_ok`), each in its way.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        let bits = self.decoder.info.coef_bits.cast::<[sys::c_int; 64]>();
        // SAFETY: null, or 64 numbers for each component (jdphuff.c): -1 where nothing was sent, else the bits left out.
        !bits.is_null() && (0..self.layout.components.len()).any(|c| unsafe { *bits.add(c) }.iter().any(|b| *b != 0))
    }

    /// The same coefficients in another order of scans.
    ///
    /// # Errors
    /// As [`write_coefficients`](super::write_coefficients).
    pub fn transcode(&self, script: Script<'_>) -> Result<Written, Fault> {
        Ok(Written { bytes: self.write(script)?, hash: hash(self) })
    }

    fn write(&self, script: Script<'_>) -> Result<Vec<u8>, Fault> {
        // SAFETY: the arrays are as `layout` says, and outlive the call.
        unsafe { write(&self.layout, script, self.arrays) }
    }

    /// Writes with other steps: `fill` turns each component's each row of blocks, in place, into what `tables`, one per
    /// component, stand for.
    ///
    /// # Errors
    /// As [`write_coefficients`](super::write_coefficients).
    pub fn requantize(
        mut self,
        tables: &[Table],
        script: Script<'_>,
        mut fill: impl FnMut(usize, usize, &mut [Block]),
    ) -> Result<Written, Fault> {
        let mut hasher = DefaultHasher::new();
        for (index, component) in self.layout.components.iter_mut().enumerate() {
            component.table = tables[index];
            component.table.hash(&mut hasher);
            for (y, row) in self.rows[index].iter().enumerate() {
                // SAFETY: as in `row`, and `self` is borrowed by no one else.
                let blocks = unsafe { std::slice::from_raw_parts_mut(*row, component.columns) };
                fill(index, y, blocks);
                blocks.hash(&mut hasher);
            }
        }
        Ok(Written { bytes: self.write(script)?, hash: hasher.finish() })
    }
}

impl Blocks for Coded<'_> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn row(&self, component: usize, row: usize) -> &[Block] {
        // SAFETY: the row is of at least so many blocks, and stays where it is as long as the decoder: mozjpeg keeps
        // arrays in memory (jmemnobs.c). It is written to through `&mut self` alone.
        unsafe { std::slice::from_raw_parts(self.rows[component][row], self.layout.components[component].columns) }
    }
}

/// A file, and a hash of the coefficients it should hold.
pub struct Written {
    bytes: Vec<u8>,
    pub(super) hash: u64,
}

impl Written {
    /// Bytes of the file.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// A file, and the [`hash`] of what it was written from.
    #[must_use]
    pub fn new(bytes: Vec<u8>, hash: u64) -> Self {
        Self { bytes, hash }
    }

    /// The file, if it reads back as what it was written from.
    ///
    /// # Errors
    /// [`Fault`] where it does not, which should never be.
    pub fn proven(self) -> Result<Vec<u8>, Fault> {
        if hash(&Coded::read(&self.bytes, u32::MAX)?) == self.hash {
            Ok(self.bytes)
        } else {
            Err(Fault::Codec("what was written reads back as something else".into()))
        }
    }
}

/// Of each component its steps, then its blocks row by row.
fn hash(coefficients: &dyn Blocks) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (index, component) in coefficients.layout().components.iter().enumerate() {
        component.table.hash(&mut hasher);
        (0..component.rows).for_each(|row| coefficients.row(index, row).hash(&mut hasher));
    }
    hasher.finish()
}

fn layout(decoder: &Decoder<'_>) -> Layout {
    let info = &decoder.info;
    Layout {
        width: info.image_width as usize,
        height: info.image_height as usize,
        model: model_of(info.jpeg_color_space),
        components: decoder.components().iter().map(|component| describe(decoder, component)).collect(),
    }
}

fn describe(decoder: &Decoder<'_>, component: &jpeg_component_info) -> Component {
    let slot = usize::try_from(component.quant_tbl_no).ok();
    let slot = slot.and_then(|slot| decoder.info.quant_tbl_ptrs.get(slot));
    // SAFETY: the component's own table was saved when its first scan began, since a later one may reuse the slot; it is
    // null where no scan had the component. Tables in slots are null or valid.
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

fn rows(
    decoder: &mut Decoder<'_>,
    arrays: *mut *mut jvirt_barray_control,
    component: usize,
    count: usize,
) -> Vec<JBLOCKROW> {
    let common = &mut decoder.info.common;
    // SAFETY: there is one array per component, of at least its height in rows; each is in memory as a whole.
    let row = |row: usize| unsafe {
        let access = (*common.mem).access_virt_barray.expect("libjpeg fills its memory manager");
        *access(common, *arrays.add(component), row as u32, 1, FALSE)
    };
    (0..count).map(row).collect()
}
