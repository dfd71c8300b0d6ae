use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// The file system calls whose failure could lose or double a record. Faults are injected here.
///
/// Reads of lake files do not pass through: a failed read fails one query and changes nothing.
pub trait Disk: Debug + Send + Sync {
    /// Makes the directory and its parents, durably.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Creates a file that must not exist yet.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Names of the files in a directory with their sizes; empty when there is no such directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<(String, u64)>>;
    fn truncate(&self, path: &Path, bytes: u64) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a file's content durable, whoever wrote it.
    fn sync_file(&self, path: &Path) -> io::Result<()>;
    /// Makes creations and removals in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// A file open for appending.
pub trait DiskFile: Debug + Send {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file; the next append goes to its new end.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
}

/// The real one.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            self.create_dir(parent)?;
        }
        match fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => self.sync_dir(parent.unwrap_or(Path::new("."))),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(LocalFile(OpenOptions::new().append(true).create_new(true).open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        let entries = match fs::read_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            // A file removed between the listing and this call is no file of the directory any more.
            match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                metadata => {
                    let metadata = metadata?;
                    if metadata.is_file() {
                        files.push((entry.file_name().to_string_lossy().into_owned(), metadata.len()));
                    }
                }
            }
        }
        files.sort();
        Ok(files)
    }

    fn truncate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(bytes)?;
        file.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

#[derive(Debug)]
struct LocalFile(File);

impl DiskFile for LocalFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_file_goes_on_at_its_new_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/file");
        LocalDisk.create_dir(path.parent().unwrap()).unwrap();
        let mut file = LocalDisk.create(&path).unwrap();
        file.append(b"keep me, not me").unwrap();
        file.truncate(7).unwrap();
        file.append(b"!").unwrap();
        file.sync().unwrap();
        assert_eq!(LocalDisk.read(&path).unwrap(), b"keep me!");
        assert_eq!(LocalDisk.list(path.parent().unwrap()).unwrap(), [("file".to_owned(), 8)]);
        assert!(LocalDisk.create(&path).is_err());
        assert!(LocalDisk.list(&dir.path().join("nowhere")).unwrap().is_empty());
    }
}
