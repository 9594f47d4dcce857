//! The `karui` command-line program.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Optimizes images down to a target quality
#[derive(Parser)]
#[command(version)]
struct Karui {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Optimize(karui::cli::OptimizeArgs),
    Score(karui::cli::ScoreArgs),
    #[cfg(feature = "dev")]
    Dev(karui::dev::DevArgs),
    #[cfg(feature = "transfer")]
    #[command(flatten)]
    Transfer(Box<karui::cli::transfer::Command>),
}

fn main() -> ExitCode {
    match Karui::parse().command {
        Command::Optimize(args) => karui::cli::optimize(args),
        Command::Score(args) => karui::cli::score(&args),
        #[cfg(feature = "dev")]
        Command::Dev(args) => karui::dev::run(args),
        #[cfg(feature = "transfer")]
        Command::Transfer(command) => karui::cli::transfer::run(*command),
    }
}
