//! Bits packed from the lowest of each byte up, as GIF's and WebP's codes are.

#[derive(Default)]
pub struct Bits {
    pub bytes: Vec<u8>,
    /// Bits of the last byte in use; 0 where it is full.
    used: u32,
}

impl Bits {
    pub fn put(&mut self, value: usize, bits: u32) {
        for i in 0..bits {
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> i & 1) as u8) << self.used;
            }
            self.used = (self.used + 1) % 8;
        }
    }
}
