//! Quality: how much a candidate looks like its source, and the search for the smallest one that looks alike enough.

pub mod backgrounds;
pub mod census;
pub mod gates;
pub mod higher_targets;
pub mod insets;
pub mod score;
pub mod search;
pub mod ssimulacra2;
pub mod two_threads;
