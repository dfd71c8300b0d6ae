use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

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
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Gives a file a second name that must not exist yet.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes a name that leads to a directory elsewhere, and must not exist yet.
    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()>;
    /// Gives a file another name, instead of the file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names that came and went in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// A part for the name of a new file that no file in the directory ever had.
    fn fresh_name(&self, _dir: &Path) -> String {
        uuid::Uuid::new_v4().to_string()
    }
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
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        let made = match fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && parent.is_some() => {
                parent.map_or(Ok(()), |parent| self.create_dir(parent))?;
                fs::create_dir(dir)
            }
            made => made,
        };
        let existed = match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => true,
            made => made.map(|()| false)?,
        };
        // Synced also when it was there: who made it may have been killed before this line.
        match self.sync_dir(parent.unwrap_or(Path::new("."))) {
            // Who may not read the parent did not make the directory: systemd's /var/lib/private is such a parent.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && existed => Ok(()),
            synced => synced,
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

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, link)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
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

const STAGED: &str = "#1";

/// Writes a file that is there durably and whole, or not at all: staged under another name, synced, then named.
/// Nothing is believed that was not written anew: after a failed sync Linux calls pages clean that never reached the disk.
pub(crate) fn write_whole(disk: &dyn Disk, path: &Path, parts: &[Bytes], replace: bool) -> io::Result<()> {
    let staged = staged(path);
    let write = || {
        match disk.remove(&staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = disk.create(&staged)?;
        parts.iter().try_for_each(|part| file.append(part))?;
        file.sync()?;
        match replace {
            true => disk.rename(&staged, path),
            false => disk.link(&staged, path),
        }
    };
    let written = write();
    if !replace || written.is_err() {
        // What stays is removed by whoever stages the same file again.
        let _ = disk.remove(&staged);
    }
    written.and_then(|()| disk.sync_dir(path.parent().unwrap_or(Path::new("."))))
}

/// Removes what crashes left staged in a directory where nobody writes now.
pub(crate) fn remove_staged(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let names = disk.list(dir)?;
    names.iter().filter(|(name, _)| name.ends_with(STAGED)).try_for_each(|(name, _)| disk.remove(&dir.join(name)))
}

/// A name that `LocalFileSystem` of object_store takes for one of its own unfinished files, and hides.
fn staged(path: &Path) -> PathBuf {
    let mut staged = path.as_os_str().to_owned();
    staged.push(STAGED);
    staged.into()
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

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let write = |text: &'static str, replace| write_whole(&LocalDisk, &path, &[Bytes::from(text)], replace);
        std::fs::write(staged(&path), "left by a crash").unwrap();
        write("one", false).unwrap();
        assert_eq!(write("two", false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(LocalDisk.read(&path).unwrap(), b"one");
        write("three", true).unwrap();
        assert_eq!(LocalDisk.list(dir.path()).unwrap(), [("file".to_owned(), 5)]);
    }
}
