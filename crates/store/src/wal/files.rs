use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::format::{self, SEGMENT_HEADER_BYTES};
use super::read::Segment;
use super::segments::{Journal, Segments};
use crate::disk::{remove_staged, write_whole};
use crate::{Disk, DiskFile, ShardOptions};

/// Segments that are files of a directory. One takes many appends, each made durable by one fsync.
#[derive(Clone, Debug)]
pub(crate) struct FileSegments {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    shard: String,
    segment_bytes_max: u64,
}

impl FileSegments {
    pub(crate) fn new(options: &ShardOptions) -> Self {
        let (disk, dir, shard) = (options.disk.clone(), options.wal_dir(), options.name.clone());
        Self { disk, dir, shard, segment_bytes_max: options.wal_segment_bytes_max }
    }
}

#[cfg(test)]
impl FileSegments {
    /// A log in that very directory.
    pub(crate) fn of(dir: &std::path::Path) -> Self {
        Self { dir: dir.to_owned(), ..Self::new(&ShardOptions::new("one", dir)) }
    }
}

impl Segments for FileSegments {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.disk.list(&self.dir)?.into_iter().map(|(name, _)| name).filter(|name| format::segment_seq(name).is_some()).collect())
    }

    fn read<'a>(&'a self, names: &'a [String]) -> Box<dyn Iterator<Item = io::Result<Vec<u8>>> + 'a> {
        Box::new(names.iter().map(|name| self.disk.read(&self.dir.join(name))))
    }

    fn address(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn may_be_torn(&self) -> bool {
        true
    }

    fn tidy(&self) -> io::Result<()> {
        remove_staged(&*self.disk, &self.dir)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(&self.dir.join(name))?;
        self.disk.sync_dir(&self.dir)
    }

    fn renew(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        write_whole(&*self.disk, &self.dir.join(name), &[bytes], true)
    }

    /// The directory's lock keeps everybody else out.
    fn claim(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn journal(self: Arc<Self>, closed: Vec<Segment>) -> Box<dyn Journal> {
        Box::new(FileJournal { place: (*self).clone(), closed: closed.into(), open: None })
    }
}

struct FileJournal {
    place: FileSegments,
    closed: VecDeque<Segment>,
    /// Made by the first write, so that opening a shard writes nothing here.
    open: Option<Open>,
}

struct Open {
    file: Box<dyn DiskFile>,
    segment: Segment,
    /// A write failed: bytes of unknown worth lie behind `segment.bytes`.
    dirty: bool,
}

impl Journal for FileJournal {
    fn ready(&mut self, next_seq: u64) -> io::Result<u64> {
        if let Some(open) = &mut self.open {
            open.clean()?;
        }
        Ok(next_seq)
    }

    fn append(&mut self, frames: &[u8], first_seq: u64, last_seq: u64) -> io::Result<()> {
        if self.open.as_ref().is_none_or(|open| open.segment.bytes >= self.place.segment_bytes_max) {
            let opened = self.create(first_seq)?;
            let name = opened.segment.name.clone();
            self.closed.extend(self.open.replace(opened).map(|full| full.segment));
            // One that never held a frame had the name that the new one took from it: letting it go would take the new one along.
            self.closed.retain(|segment| segment.name != name);
        }
        let open = self.open.as_mut().expect("a segment has just been opened");
        match open.file.append(frames).and_then(|()| open.file.sync()) {
            Ok(()) => {
                open.segment.bytes += frames.len() as u64;
                open.segment.last_seq = last_seq;
                Ok(())
            }
            Err(error) => {
                open.dirty = true;
                // Tried again before the next write when the disk refuses this too.
                let _ = open.clean();
                Err(error)
            }
        }
    }

    fn turn(&mut self, next_seq: u64) -> io::Result<u64> {
        let full = self.open.take_if(|open| !open.dirty && open.segment.holds_frames());
        self.closed.extend(full.map(|open| open.segment));
        Ok(next_seq)
    }

    fn let_go(&mut self, seq: u64) {
        if self.open.as_ref().is_some_and(|open| !open.dirty && open.segment.last_seq <= seq) {
            self.closed.extend(self.open.take().map(|open| open.segment));
        }
        let FileSegments { disk, dir, shard, .. } = &self.place;
        let mut dropped = false;
        while let Some(segment) = self.closed.front().filter(|segment| segment.last_seq <= seq) {
            if let Err(error) = disk.remove(&dir.join(&segment.name))
                // A try before this one reported an error and did its work.
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(shard, segment = segment.name, %error, "cannot remove a log segment; will try again");
                break;
            }
            self.closed.pop_front();
            dropped = true;
        }
        if dropped && let Err(error) = disk.sync_dir(dir) {
            tracing::warn!(shard, %error, "cannot sync the log's directory");
        }
    }

    fn oldest_seq(&self) -> u64 {
        let open = self.open.iter().map(|open| &open.segment);
        self.closed.iter().chain(open).find(|segment| segment.holds_frames()).map_or(u64::MAX, |segment| segment.last_seq)
    }

    fn size(&self) -> (u64, u64) {
        let open = self.open.iter().map(|open| &open.segment);
        let bytes = self.closed.iter().chain(open.clone()).map(|segment| segment.bytes).sum();
        (bytes, (self.closed.len() + open.count()) as u64)
    }
}

impl FileJournal {
    fn create(&self, first_seq: u64) -> io::Result<Open> {
        let FileSegments { disk, dir, .. } = &self.place;
        disk.create_dir(dir)?;
        let name = format::segment_name(first_seq);
        let path = dir.join(&name);
        let mut file = match disk.create(&path) {
            // A file of this name holds nothing acknowledged: its first frame would be the next one to be written.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                disk.remove(&path)?;
                disk.create(&path)?
            }
            file => file?,
        };
        file.append(&format::segment_header())?;
        file.sync()?;
        disk.sync_dir(dir)?;
        Ok(Open { file, segment: Segment { name, bytes: SEGMENT_HEADER_BYTES as u64, last_seq: first_seq - 1 }, dirty: false })
    }
}

impl Open {
    /// Cuts off what a failed write left behind.
    fn clean(&mut self) -> io::Result<()> {
        if self.dirty {
            self.file.truncate(self.segment.bytes)?;
            self.file.sync()?;
            self.dirty = false;
        }
        Ok(())
    }
}
