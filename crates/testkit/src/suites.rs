//! The public suites: read where they lie, and never copied into the repository.

use std::path::{Path, PathBuf};

/// The folder of a suite below `TYTO_DATA`, or below `shared/data` beside the repository. None, and a line that says so, where it is
/// not: then there is nothing to measure.
pub fn suite(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("TYTO_DATA").map_or_else(beside, PathBuf::from).join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("{name}: skipped, there is no folder {} (set TYTO_DATA)", folder.display());
    None
}
