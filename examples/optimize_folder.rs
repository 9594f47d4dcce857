//! Optimizes the images of a folder into another one; copies every other file.
//!
//! ```sh
//! cargo run --no-default-features --example optimize_folder -- tests/fixtures small
//! ```

use std::error::Error;
use std::fs;
use std::path::Path;

use karui::optimize::{Budget, Options, Outcome, optimize};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: optimize_folder FROM TO".into());
    };
    optimize_folder(Path::new(&from), Path::new(&to))
}

fn optimize_folder(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            optimize_folder(&entry.path(), &target)?;
        } else {
            let source = fs::read(entry.path())?;
            let smaller = optimized(&entry.path(), &source);
            fs::write(target, smaller.as_deref().unwrap_or(&source))?;
        }
    }
    Ok(())
}

/// The smaller file; `None` if the source is best left as it is.
fn optimized(path: &Path, source: &[u8]) -> Option<Vec<u8>> {
    let path = path.display();
    match optimize(source, &Options::default(), Budget::UNLIMITED) {
        Ok(Outcome::Optimized(encoded)) => {
            println!("{path}: {} -> {} bytes ({})", source.len(), encoded.bytes.len(), encoded.method);
            Some(encoded.bytes)
        }
        Ok(Outcome::Unchanged(unchanged)) => {
            println!("{path}: unchanged ({})", unchanged.reason);
            None
        }
        Err(error) => {
            println!("{path}: unchanged ({error})");
            None
        }
    }
}
