use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use futures::future::try_join_all;
use model::{Error, Result};
use object_store::prefix::PrefixStore;
use object_store::{MultipartUpload, PutPayload};
use tokio::task::JoinHandle;
use url::Url;

use super::cache::BLOCK_BYTES;
use super::folder::{Folder, ReadAt, version_of};
use crate::DiskFile;
use crate::remote::Remote;

/// A file larger than this goes up in parts of so many bytes, while the next part is being written.
const PART_BYTES: usize = 8 << 20;
/// Bytes that one request asks for; what is longer is asked for in several at once.
const FETCH_BYTES_MAX: u64 = 8 << 20;

/// A folder of an object store. An object is there whole or not at all, and durable once its put is answered, so nothing is
/// left to sync.
#[derive(Clone, Debug)]
pub(crate) struct RemoteFolder {
    remote: Remote,
    prefix: String,
}

impl RemoteFolder {
    /// A table's own.
    pub(crate) fn new(remote: Remote) -> Self {
        Self { remote, prefix: String::new() }
    }

    /// Of a tier.
    pub(crate) fn tier(remote: Remote) -> Self {
        Self { prefix: format!("{}/", remote.url()), remote }
    }

    /// What is written to the table's own folder is what is asked for next; what goes to a tier is not.
    fn keep_written(&self, name: &str, start: u64, bytes: &[u8]) {
        if self.prefix.is_empty() {
            self.keep(name, start, bytes);
        }
    }

    fn keep(&self, name: &str, start: u64, bytes: &[u8]) {
        let Some(cache) = &self.remote.cache else { return };
        for (block, bytes) in (start / BLOCK_BYTES..).zip(bytes.chunks(BLOCK_BYTES as usize)) {
            cache.put(name, block, Bytes::copy_from_slice(bytes));
        }
    }
}

impl Folder for RemoteFolder {
    fn prefix(&self) -> &str {
        &self.prefix
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let (folder, name) = (self.clone(), name.to_owned());
        Ok(Box::new(Upload { folder, name, part: Vec::new(), sent: 0, multipart: None, sending: None, done: false }))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// Asks nobody: the first read finds out.
    fn open(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn ReadAt>> {
        Ok(Arc::new(RemoteFile { folder: self.clone(), name: name.to_owned(), bytes }))
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        self.remote.wait(self.remote.list())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if let Some(cache) = &self.remote.cache {
            cache.forget_file(name);
        }
        self.remote.wait(self.remote.remove(vec![name.to_owned()]))
    }

    fn address(&self, name: &str) -> String {
        self.remote.address(name)
    }

    fn log(&self, _: bool) -> Result<Option<LogStoreRef>> {
        let cannot = |error| Error::invalid(format!("cannot open the Delta log in {}", self.remote.url())).because(error);
        let url = Url::parse(&format!("{}/", self.remote.url())).map_err(cannot)?;
        let (root, prefix) = (self.remote.store().clone(), self.remote.prefix().clone());
        let table = Arc::new(PrefixStore::new(root.clone(), prefix));
        Ok(Some(default_logstore(table, root, &url, &StorageConfig::default())))
    }

    fn forget_commits(&self, before: u64) -> io::Result<()> {
        let log = self.remote.within("_delta_log");
        let names = self.remote.wait(log.list())?.into_iter().map(|(name, _)| name);
        let past = names.filter(|name| version_of(name).is_some_and(|version| version < before));
        self.remote.wait(log.remove(past.collect()))
    }

    fn renew_newest_commit(&self) -> Result<()> {
        Ok(())
    }
}

/// A file on its way up, and into the cache: what was just written is what is asked for next.
#[derive(Debug)]
struct Upload {
    folder: RemoteFolder,
    name: String,
    part: Vec<u8>,
    /// Bytes of the parts before.
    sent: u64,
    multipart: Option<Box<dyn MultipartUpload>>,
    sending: Option<JoinHandle<object_store::Result<()>>>,
    done: bool,
}

impl Upload {
    fn send_part(&mut self) -> io::Result<()> {
        let rest = self.part.split_off(self.part.len().min(PART_BYTES));
        let part = std::mem::replace(&mut self.part, rest);
        self.folder.keep_written(&self.name, self.sent, &part);
        self.sent += part.len() as u64;
        self.sent_before()?;
        let remote = &self.folder.remote;
        let multipart = match &mut self.multipart {
            Some(multipart) => multipart,
            none => none.insert(remote.wait(remote.upload(&self.name))?),
        };
        self.sending = Some(remote.runtime().spawn(multipart.put_part(part.into())));
        Ok(())
    }

    /// Waits for the part that is under way.
    fn sent_before(&mut self) -> io::Result<()> {
        let Some(sending) = self.sending.take() else { return Ok(()) };
        self.folder.remote.wait(sending).map_err(io::Error::other)?.map_err(|error| self.cannot_write(error))
    }

    fn cannot_write(&self, error: object_store::Error) -> io::Error {
        io::Error::other(format!("cannot write {}: {error}", self.folder.address(&self.name)))
    }
}

impl DiskFile for Upload {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.part.extend_from_slice(bytes);
        // One byte more than a part: a file of just one part goes up in one request.
        while self.part.len() > PART_BYTES {
            self.send_part()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.multipart.is_some() {
            self.send_part()?;
            self.sent_before()?;
            let completed = self.multipart.as_mut().map(|multipart| self.folder.remote.wait(multipart.complete()));
            completed.transpose().map_err(|error| self.cannot_write(error))?;
        } else {
            let whole = std::mem::take(&mut self.part);
            self.folder.keep_written(&self.name, 0, &whole);
            self.folder.remote.wait(self.folder.remote.put(&self.name, PutPayload::from(whole)))?;
        }
        self.done = true;
        Ok(())
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "an object cannot be cut"))
    }
}

/// What was not finished leaves nothing behind, as far as the store can be reached; its own rule for unfinished uploads does
/// the rest.
impl Drop for Upload {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        if let Some(cache) = &self.folder.remote.cache {
            cache.forget_file(&self.name);
        }
        if let Some(mut multipart) = self.multipart.take() {
            let sending = self.sending.take();
            self.folder.remote.runtime().spawn(async move {
                if let Some(sending) = sending {
                    let _ = sending.await;
                }
                let _ = multipart.abort().await;
            });
        }
    }
}

#[derive(Debug)]
struct RemoteFile {
    folder: RemoteFolder,
    name: String,
    bytes: u64,
}

impl RemoteFile {
    /// Reads whole blocks from the store, into the cache too.
    fn fetch(&self, blocks: Range<u64>) -> io::Result<Vec<Bytes>> {
        let remote = &self.folder.remote;
        let end = (blocks.end * BLOCK_BYTES).min(self.bytes);
        let starts = (blocks.start * BLOCK_BYTES..end).step_by(FETCH_BYTES_MAX as usize);
        let requests = starts.map(|start| remote.get_range(&self.name, start..(start + FETCH_BYTES_MAX).min(end)));
        let fetched = remote.wait(try_join_all(requests))?;
        for (part, bytes) in (0..).zip(&fetched) {
            self.folder.keep(&self.name, blocks.start * BLOCK_BYTES + part * FETCH_BYTES_MAX, bytes);
        }
        Ok(fetched)
    }
}

impl ReadAt for RemoteFile {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&self, start: u64, end: u64) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
        // Where a block's bytes go, and where in the block they begin.
        let place = |from: u64, to: u64| (from.max(start) - start) as usize..(to.min(end) - start) as usize;
        let mut missing: Vec<Range<u64>> = Vec::new();
        for block in start / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES) {
            let (from, to) = (block * BLOCK_BYTES, ((block + 1) * BLOCK_BYTES).min(self.bytes));
            let skipped = (from.max(start) - from) as usize;
            let cache = self.folder.remote.cache.as_ref();
            if cache.is_some_and(|cache| cache.get(&self.name, block, to - from, skipped, &mut buffer[place(from, to)])) {
                continue;
            }
            match missing.last_mut() {
                Some(run) if run.end == block => run.end += 1,
                _ => missing.push(block..block + 1),
            }
        }
        for run in missing {
            let mut from = run.start * BLOCK_BYTES;
            for bytes in self.fetch(run)? {
                let to = from + bytes.len() as u64;
                if from < end && start < to {
                    let skipped = (from.max(start) - from) as usize;
                    let target = &mut buffer[place(from, to)];
                    target.copy_from_slice(&bytes[skipped..skipped + target.len()]);
                }
                from = to;
            }
        }
        Ok(buffer)
    }

    fn forget(&self, start: u64, end: u64) -> bool {
        let Some(cache) = &self.folder.remote.cache else { return false };
        let blocks = start / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES);
        blocks.filter(|block| cache.forget(&self.name, *block)).count() > 0
    }
}
