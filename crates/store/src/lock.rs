use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use model::{Error, Result};

/// Takes the directory's lock, or says who has it.
pub(crate) fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("LOCK");
    let cannot = || Error::unavailable(format!("cannot lock {}", path.display()));
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(|error| cannot().because(error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            return Err(cannot().because(format!("it is held by {}: only one process may write to a shard", holder.trim())));
        }
        Err(std::fs::TryLockError::Error(error)) => return Err(cannot().because(error)),
    }
    let holder = format!("process {}", std::process::id());
    file.set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| file.write_all(holder.as_bytes()))
        .map_err(|error| cannot().because(error))?;
    Ok(file)
}
