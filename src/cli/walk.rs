//! Collects the files under the given paths, and the target of each result. Reads folders, writes nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::path::{Path, PathBuf};

use super::args::Output;
use crate::local::walk::{self, Walked};

/// One file to process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileJob {
    /// The file, as the user named it.
    pub source: PathBuf,
    /// Path of the result; `None` in a dry run without --out.
    pub target: Option<PathBuf>,
}

/// A path that could not be read; reported as a failed file, while the others continue.
#[derive(Debug)]
pub struct Unreadable {
    pub path: PathBuf,
    pub error: io::Error,
}

/// Returns all files under `paths`, each once, in a stable order.
///
/// # Errors
/// Wrong usage: two files with the same target, or a target that is a source.
pub fn collect(paths: &[PathBuf], output: &Output) -> Result<Vec<Result<FileJob, Unreadable>>, String> {
    let mut found = Vec::new();
    for path in paths {
        expand(path, output, &mut found);
    }
    resolve_targets(found, output)
}

fn expand(path: &Path, output: &Output, found: &mut Vec<Result<FileJob, Unreadable>>) {
    let folder_out = match output {
        Output::Folder(out) => Some(out.as_path()),
        Output::InPlace | Output::Unnamed => None,
    };
    let unreadable = |error| Unreadable { path: path.into(), error };
    match path.metadata() {
        Err(error) => found.push(Err(unreadable(error))),
        Ok(about) if about.is_dir() => walk_folder(path, folder_out, found),
        Ok(about) if !about.is_file() => {
            found.push(Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "neither a file nor a folder"))));
        }
        Ok(_) => {
            let target = folder_out.and_then(|out| Some(out.join(path.file_name()?)));
            found.push(Ok(FileJob { source: path.into(), target }));
        }
    }
}

/// Collects the regular files of a folder. Links are not followed, so nothing outside is read or written. The --out
/// folder is skipped, so that a second run does not take the first run's results for sources.
fn walk_folder(root: &Path, folder_out: Option<&Path>, found: &mut Vec<Result<FileJob, Unreadable>>) {
    let out = folder_out.and_then(|out| out.canonicalize().ok());
    let is_out = |path: &Path| out.is_some() && path.canonicalize().ok() == out;
    for walked in walk::walk(root, is_out) {
        match walked {
            Walked::File(entry) => {
                let inside = entry.path().strip_prefix(root).unwrap_or(entry.path());
                let target = folder_out.map(|out| out.join(inside));
                found.push(Ok(FileJob { source: entry.into_path(), target }));
            }
            Walked::Ignored { .. } => {}
            Walked::Unreadable { path, error } => found.push(Err(Unreadable { path, error })),
        }
    }
}

/// Drops duplicates, sets the targets of --in-place, and refuses collisions.
fn resolve_targets(
    found: Vec<Result<FileJob, Unreadable>>,
    output: &Output,
) -> Result<Vec<Result<FileJob, Unreadable>>, String> {
    let mut identities: HashMap<PathBuf, PathBuf> = HashMap::new();
    let mut targets: HashMap<PathBuf, PathBuf> = HashMap::new();
    let mut jobs = Vec::with_capacity(found.len());
    for item in found {
        let mut job = match item {
            Ok(job) => job,
            Err(unreadable) => {
                jobs.push(Err(unreadable));
                continue;
            }
        };
        let identity = match job.source.canonicalize() {
            Ok(identity) => identity,
            Err(error) => {
                jobs.push(Err(Unreadable { path: job.source, error }));
                continue;
            }
        };
        if *output == Output::InPlace {
            job.target = Some(identity.clone());
        }
        if let Some(target) = &job.target {
            match targets.entry(target.clone()) {
                Entry::Vacant(free) => free.insert(identity.clone()),
                Entry::Occupied(taken) if *taken.get() == identity => continue,
                Entry::Occupied(taken) => return Err(collision(taken.get(), &job.source, target)),
            };
        } else if identities.contains_key(&identity) {
            continue;
        }
        identities.insert(identity, job.source.clone());
        jobs.push(Ok(job));
    }
    if matches!(output, Output::Folder(_)) {
        refuse_overwriting(&jobs, &identities)?;
    }
    Ok(jobs)
}

fn refuse_overwriting(jobs: &[Result<FileJob, Unreadable>], sources: &HashMap<PathBuf, PathBuf>) -> Result<(), String> {
    for target in jobs.iter().flatten().filter_map(|job| job.target.as_ref()) {
        if let Some(source) = target.canonicalize().ok().and_then(|identity| sources.get(&identity)) {
            return Err(format!(
                "--out would overwrite a source, {}: choose another folder, or --in-place",
                source.display()
            ));
        }
    }
    Ok(())
}

fn collision(first: &Path, second: &Path, target: &Path) -> String {
    format!(
        "{} and {} would both be written to {}: give their common folder, or run them one by one",
        first.display(),
        second.display(),
        target.display()
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder with these files, each containing its own name.
    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        root
    }

    fn targets(paths: &[PathBuf], out: &Path) -> Result<Vec<String>, String> {
        let jobs = collect(paths, &Output::Folder(out.into()))?;
        let inside = |job: FileJob| job.target.unwrap().strip_prefix(out).unwrap().to_str().unwrap().to_owned();
        Ok(jobs.into_iter().map(|job| inside(job.unwrap())).collect())
    }

    #[test]
    fn collect_mirrors_folder_with_hidden_files() {
        let root = tree(&["a/b.jpg", "a/.hidden.png", "a/c/d.txt", "e.jpg"]);
        let out = root.path().join("out");
        let paths = [root.path().join("a"), root.path().join("e.jpg")];
        assert_eq!(targets(&paths, &out).unwrap(), [".hidden.png", "b.jpg", "c/d.txt", "e.jpg"]);
    }

    #[test]
    fn collect_skips_results_folder_inside_the_tree() {
        let root = tree(&["a.jpg", "out/a.jpg"]);
        assert_eq!(targets(&[root.path().into()], &root.path().join("out")).unwrap(), ["a.jpg"]);
    }

    #[test]
    fn collect_refuses_two_sources_of_one_result() {
        let root = tree(&["a/x.jpg", "b/x.jpg"]);
        let out = root.path().join("out");
        let (a, b) = (root.path().join("a/x.jpg"), root.path().join("b/x.jpg"));
        assert!(targets(&[a.clone(), b], &out).unwrap_err().contains("would both be written to"));
        assert_eq!(targets(&[a.clone(), a], &out).unwrap(), ["x.jpg"]);
    }

    #[test]
    fn collect_refuses_a_result_over_a_source() {
        let root = tree(&["a.jpg", "b/a.jpg"]);
        let (a, b) = (root.path().join("a.jpg"), root.path().join("b"));
        assert!(targets(&[root.path().into()], root.path()).unwrap_err().contains("--in-place"));
        assert!(targets(&[a, b.join("a.jpg")], &b).is_err());
    }

    #[test]
    #[cfg(unix)]
    fn links_inside_a_folder_are_not_followed_and_one_named_leads_to_its_file() {
        let root = tree(&["a/x.jpg", "secret/y.jpg"]);
        std::os::unix::fs::symlink(root.path().join("secret"), root.path().join("a/link")).unwrap();
        std::os::unix::fs::symlink(root.path().join("secret/y.jpg"), root.path().join("a/y.jpg")).unwrap();
        assert_eq!(targets(&[root.path().join("a")], &root.path().join("out")).unwrap(), ["x.jpg"]);

        let jobs = collect(&[root.path().join("a/y.jpg")], &Output::InPlace).unwrap();
        let target = jobs[0].as_ref().unwrap().target.clone().unwrap();
        assert_eq!(target, root.path().join("secret/y.jpg").canonicalize().unwrap());
    }

    #[test]
    fn collect_in_place_takes_each_file_once() {
        let root = tree(&["a/x.jpg"]);
        let jobs = collect(&[root.path().into(), root.path().join("a/x.jpg")], &Output::InPlace).unwrap();
        assert_eq!(jobs.len(), 1);
    }

    #[test]
    fn collect_of_missing_file_keeps_the_others() {
        let root = tree(&["x.jpg"]);
        let jobs = collect(&[root.path().join("no.jpg"), root.path().join("x.jpg")], &Output::Unnamed).unwrap();
        assert!(jobs[0].is_err() && jobs[1].is_ok());
    }
}
