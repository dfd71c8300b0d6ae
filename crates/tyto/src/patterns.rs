//! What is known of log patterns, kept in a file of the data folder.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::patterns::{PatternLimits, Patterns};
use model::{Error, Result};
use tokio::sync::watch;

const FILE: &str = "patterns";
const SAVE_EVERY: Duration = Duration::from_secs(300);

/// What the file says; with none, or one that is damaged, nothing is known: patterns are learned again from what comes.
pub(crate) fn load(data_dir: &Path) -> Arc<Patterns> {
    let path = data_dir.join(FILE);
    let read = match fs::read(&path) {
        Ok(bytes) => Patterns::from_bytes(&bytes, PatternLimits::default()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Arc::default(),
        Err(error) => Err(cannot("read", &path, error)),
    };
    Arc::new(read.unwrap_or_else(|error| {
        tracing::warn!("log patterns get new ids: {}", error.chain());
        Patterns::default()
    }))
}

/// Saves now and then, and at the end.
pub(crate) async fn keep(patterns: Arc<Patterns>, data_dir: PathBuf, mut stopping: watch::Receiver<bool>) -> Result<()> {
    let mut ended = false;
    while !ended {
        tokio::select! {
            () = tokio::time::sleep(SAVE_EVERY) => {}
            _ = stopping.wait_for(|stop| *stop) => ended = true,
        }
        let (patterns, data_dir) = (patterns.clone(), data_dir.clone());
        match tokio::task::spawn_blocking(move || save(&patterns, &data_dir)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("{}", error.chain()),
            Err(panic) => tracing::error!("cannot save the log patterns: {panic}"),
        }
    }
    Ok(())
}

/// As a whole or not at all.
fn save(patterns: &Patterns, data_dir: &Path) -> Result<()> {
    let (path, written) = (data_dir.join(FILE), data_dir.join(format!("{FILE}.new")));
    let write = || {
        let mut file = File::create(&written)?;
        file.write_all(&patterns.to_bytes())?;
        file.sync_all()?;
        fs::rename(&written, &path)
    };
    write().map_err(|error| cannot("write", &path, error))
}

fn cannot(verb: &str, path: &Path, error: io::Error) -> Error {
    Error::unavailable(format!("cannot {verb} {}", path.display())).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::patterns::Learning;

    #[test]
    fn patterns_outlast_the_program() {
        let folder = tempfile::tempdir().expect("a folder");
        let patterns = load(folder.path());
        let id = patterns.id("connection 7 closed", 5, Learning::Always);
        save(&patterns, folder.path()).expect("it can be written");
        assert_eq!(load(folder.path()).seen(id), Some((5, 5)));
        fs::write(folder.path().join(FILE), "damaged").expect("it can be written");
        assert_eq!(load(folder.path()).seen(id), None);
    }
}
