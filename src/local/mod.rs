//! Files as a side: reads them and notices changes, writes them atomically, walks folders. Imports no other module.

#[cfg(feature = "transfer")]
pub mod read;
pub mod state;
pub mod walk;
pub mod write;
