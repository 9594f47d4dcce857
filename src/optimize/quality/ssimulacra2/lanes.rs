//! Shapes of the rows that the blur and the comparison work on.

/// Rows that are blurred across side by side, one in each lane of a vector.
pub const LANES: usize = 8;
/// Samples of a vector.
pub type Chunk = [f32; LANES];
/// What is blurred, of a pixel of both pictures a and b: a, b, a², b², a · b.
pub const BLURRED: usize = 5;
/// Pixels that are worked on at a time, for what is in between to stay in the CPU's first cache.
pub const TILE: usize = 64;
/// Pixels of a row, a few of which may be unused.
pub type Tile = [Chunk; TILE / LANES];
