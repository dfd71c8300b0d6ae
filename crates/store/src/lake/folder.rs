use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deltalake_core::logstore::{LogStoreRef, StorageConfig, logstore_with};
use model::{Code, Error, Result};
use url::Url;

use super::object::DurableFiles;
use crate::disk::{remove_staged, write_whole};
use crate::{Disk, DiskFile};

/// Where files of one table lie: [`LocalFolder`], or [`RemoteFolder`](super::remote::RemoteFolder) in an object store.
/// Its calls block, do not call them on a task.
pub(crate) trait Folder: Debug + Send + Sync {
    /// What stands before the name of a file in the Delta log: nothing in the table's own folder, `tier-.../` or a URL with a
    /// slash at its end in a tier.
    fn prefix(&self) -> &str;
    /// A new file. It is there, and durable but for its name, once it is synced.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Makes the names of new files durable.
    fn sync(&self) -> io::Result<()>;
    /// Opens a file of so many bytes, by what the Delta log says.
    fn open(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn ReadAt>>;
    /// Names and sizes of the files, not those of the Delta log.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The address of a file, for people.
    fn address(&self, name: &str) -> String;
    /// The Delta log, whose commits are durable once they are reported. None when only reading and there is none.
    fn log(&self, read_only: bool) -> Result<Option<LogStoreRef>>;
    /// Deletes what the Delta log holds of versions before that one, durably.
    fn forget_commits(&self, before: u64) -> io::Result<()>;
    /// Makes the newest commit durable, whoever wrote it.
    fn renew_newest_commit(&self) -> Result<()>;
}

/// A file open for reading at any place, by several threads at once.
pub(crate) trait ReadAt: Debug + Send + Sync {
    fn bytes(&self) -> u64;
    /// The bytes from one place to another, both within the file.
    fn read(&self, start: u64, end: u64) -> io::Result<Vec<u8>>;
    /// What was read there is not what was written. Says whether it came from a copy that is thrown away now, so that reading
    /// again may help.
    fn forget(&self, start: u64, end: u64) -> bool;
}

/// A folder of the local file system, written through [`Disk`].
#[derive(Clone, Debug)]
pub(crate) struct LocalFolder {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    prefix: String,
    /// Where `dir` leads, if it is a link to a tier.
    target: Option<PathBuf>,
}

impl LocalFolder {
    /// A table's own.
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf) -> Self {
        Self { disk, dir, prefix: String::new(), target: None }
    }

    /// Of a tier, seen through a link in the table's own. The directory is there, or the folder can do nothing.
    pub(crate) fn linked(disk: Arc<dyn Disk>, table_dir: &Path, prefix: &str) -> Self {
        let dir = table_dir.join(prefix.trim_end_matches('/'));
        let target = std::fs::read_link(&dir).ok();
        Self { disk, dir, prefix: prefix.to_owned(), target }
    }

    /// What is not mounted is not empty, and a file that is not seen is not deleted.
    fn check_mounted(&self) -> io::Result<()> {
        match self.prefix.is_empty() || self.dir.is_dir() {
            true => Ok(()),
            false => Err(io::Error::other("there is no such directory; is it mounted?")),
        }
    }

    fn log_dir(&self) -> PathBuf {
        self.dir.join("_delta_log")
    }
}

impl Folder for LocalFolder {
    fn prefix(&self) -> &str {
        &self.prefix
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(&self.dir.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.sync_dir(&self.dir)
    }

    fn open(&self, name: &str, _: u64) -> io::Result<Arc<dyn ReadAt>> {
        let file = File::open(self.dir.join(name))?;
        let bytes = file.metadata()?.len();
        Ok(Arc::new(LocalFile { file, bytes }))
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        self.check_mounted()?;
        self.disk.list(&self.dir)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.check_mounted()?;
        self.disk.remove(&self.dir.join(name))
    }

    fn address(&self, name: &str) -> String {
        self.target.as_ref().unwrap_or(&self.dir).join(name).display().to_string()
    }

    fn log(&self, read_only: bool) -> Result<Option<LogStoreRef>> {
        let what = || format!("cannot open the Delta log in {}", self.dir.display());
        let dir = std::path::absolute(&self.dir).map_err(|error| Error::invalid(what()).because(error))?;
        if read_only && !self.log_dir().is_dir() {
            return Ok(None);
        }
        if !read_only {
            // From the top, so that every directory's own entry is durable.
            for dir in [self.dir.parent(), Some(&*self.dir), Some(&*self.log_dir())].into_iter().flatten() {
                self.disk.create_dir(dir).map_err(|error| Error::unavailable(what()).because(error))?;
            }
            remove_staged(&*self.disk, &self.log_dir()).map_err(|error| Error::unavailable(what()).because(error))?;
            self.renew_newest_commit()?;
        }
        let url = Url::from_directory_path(&dir).map_err(|()| Error::invalid(what()))?;
        let store = Arc::new(DurableFiles::new(self.disk.clone()));
        let log = logstore_with(store, &url, StorageConfig::default()).map_err(|error| Error::internal(what()).because(error))?;
        Ok(Some(log))
    }

    fn forget_commits(&self, before: u64) -> io::Result<()> {
        let log = self.log_dir();
        for (name, _) in self.disk.list(&log)?.into_iter().filter(|(name, _)| version_of(name).is_some_and(|version| version < before)) {
            self.disk.remove(&log.join(name))?;
        }
        self.disk.sync_dir(&log)
    }

    /// Writes the newest commit once more, durably: whoever wrote it may have been killed, or may have seen an error, before
    /// its name was synced. Every older one was durable before the next began.
    fn renew_newest_commit(&self) -> Result<()> {
        let log = self.log_dir();
        let failed = |error: io::Error| Error::unavailable(format!("cannot renew the newest commit of {}", log.display())).because(error);
        let names = self.disk.list(&log).map_err(failed)?;
        let Some((newest, _)) = names.iter().rfind(|(name, _)| name.len() == 25 && name.ends_with(".json")) else { return Ok(()) };
        let path = log.join(newest);
        let bytes = self.disk.read(&path).map_err(failed)?;
        check_commit(&path, &bytes)?;
        write_whole(&*self.disk, &path, &[bytes.into()], true).map_err(failed)
    }
}

/// The version of the table that a file of the Delta log is about: a commit, or a checkpoint.
pub(crate) fn version_of(name: &str) -> Option<u64> {
    name.get(..20).filter(|_| name.as_bytes().get(20) == Some(&b'.'))?.parse().ok()
}

/// An empty file would pass for a commit that did nothing.
fn check_commit(path: &Path, bytes: &[u8]) -> Result<()> {
    let is_json = |line: &[u8]| line.is_empty() || serde_json::from_slice::<serde_json::Value>(line).is_ok();
    match !bytes.is_empty() && bytes.split(|&byte| byte == b'\n').all(is_json) {
        true => Ok(()),
        false => {
            let what = format!("cannot read commit {}", path.display());
            Err(Error::new(Code::Corrupt, what).because("it was whole when it was written and is not any more"))
        }
    }
}

#[derive(Debug)]
struct LocalFile {
    file: File,
    bytes: u64,
}

impl ReadAt for LocalFile {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&self, start: u64, end: u64) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut buffer, start)?;
        Ok(buffer)
    }

    fn forget(&self, _: u64, _: u64) -> bool {
        false
    }
}
