//! Files as a side: reads them and notices changes, writes them atomically, walks folders. Imports no other module.

pub mod beginning;
#[cfg(feature = "lambda")]
pub mod read;
pub mod state;
#[cfg(feature = "cli")]
pub mod walk;
pub mod write;
