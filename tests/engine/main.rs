//! What holds for any file and any picture: the engine's promises over made ones, the same each time.

mod metadata;
mod pictures;
mod profiles;
mod quality;
mod random;
mod seeds;

#[path = "../../fuzz/src/lib.rs"]
mod targets;
