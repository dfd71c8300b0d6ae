use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;

use super::format;
use super::read::Segment;
use super::segments::{Journal, Segments};
use crate::ShardOptions;
use crate::remote::{Put, Remote};

/// Objects that are read at once.
const READ_AHEAD: usize = 8;
/// Times that somebody else may be faster in taking the next place.
const CLAIMS_MAX: usize = 10;

/// Segments that are objects, each of one append: it is there whole or not at all.
///
/// A place in the log is a name, which is the number of its first frame, and is put only where nothing is. So of two writers
/// at most one gets the next place, the other learns that the shard is no more its own, and no name ever means two things.
/// The newest object stays when all its rows are in the lake: it says where the next opener goes on.
#[derive(Clone, Debug)]
pub(crate) struct ObjectSegments {
    remote: Remote,
    shard: String,
    claim: Bytes,
}

impl ObjectSegments {
    pub(crate) fn new(options: &ShardOptions, remote: &Remote) -> Self {
        let epoch = remote.lease.as_ref().map_or(0, |lease| lease.epoch());
        let claim = format::claim(&uuid::Uuid::new_v4().to_string(), epoch);
        Self { remote: remote.within("wal"), shard: options.name.clone(), claim: claim.into() }
    }

    fn get(&self, name: &str) -> io::Result<Bytes> {
        self.remote.wait(self.remote.get(name)).map(|(bytes, _)| bytes)
    }

    fn put_new(&self, seq: u64, bytes: Bytes) -> io::Result<bool> {
        let put = self.remote.wait(self.remote.put_new(&format::segment_name(seq), bytes))?;
        Ok(matches!(put, Put::Done(_)))
    }

    /// The number behind the newest object.
    fn next(&self, names: &[String], committed_seq: u64) -> io::Result<u64> {
        let last = match names.last() {
            None => 0,
            Some(name) => format::last_seq(&self.get(name)?).max(format::segment_seq(name).unwrap_or_default()),
        };
        Ok(last.max(committed_seq) + 1)
    }

    fn taken_over(&self, seq: u64) -> io::Error {
        let address = self.remote.address(&format::segment_name(seq));
        if let Some(lease) = &self.remote.lease {
            // Whoever asks next is told by whom. Without an answer now, the next beat finds out.
            let _ = self.remote.wait(lease.verify());
        }
        io::Error::other(format!("cannot write {address}: another process has written it, and the shard is its own now"))
    }
}

impl Segments for ObjectSegments {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = self.remote.wait(self.remote.list())?;
        Ok(names.into_iter().map(|(name, _)| name).filter(|name| format::segment_seq(name).is_some()).collect())
    }

    fn read<'a>(&'a self, names: &'a [String]) -> Box<dyn Iterator<Item = io::Result<Vec<u8>>> + 'a> {
        Box::new(names.chunks(READ_AHEAD).flat_map(|names| {
            let read = self.remote.wait(join_all(names.iter().map(|name| self.remote.get(name))));
            read.into_iter().map(|read| Ok(read?.0.to_vec()))
        }))
    }

    fn address(&self, name: &str) -> String {
        self.remote.address(name)
    }

    fn may_be_torn(&self) -> bool {
        false
    }

    fn tidy(&self) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.remote.wait(self.remote.remove(vec![name.to_owned()]))
    }

    /// It was durable when it was put.
    fn renew(&self, _: &str, _: Bytes) -> io::Result<()> {
        Ok(())
    }

    /// Who had the shard before can have written, and deleted, between the listing and the put; but deleted only what the lake
    /// holds, and that position is known. So the second listing shows everything that the first one missed.
    fn claim(&self, committed_seq: u64) -> io::Result<()> {
        for _ in 0..CLAIMS_MAX {
            let seq = self.next(&self.list()?, committed_seq)?;
            if !self.put_new(seq, self.claim.clone())? {
                continue;
            }
            let name = format::segment_name(seq);
            if self.list()?.last() == Some(&name) {
                return Ok(());
            }
            self.remote.wait(self.remote.remove(vec![name]))?;
        }
        Err(io::Error::other(format!("cannot claim the log at {}: others write to it", self.remote.url())))
    }

    fn journal(self: Arc<Self>, closed: Vec<Segment>) -> Box<dyn Journal> {
        Box::new(ObjectJournal { place: (*self).clone(), held: closed.into(), doubt: None })
    }
}

struct ObjectJournal {
    place: ObjectSegments,
    held: VecDeque<Segment>,
    doubt: Option<Doubt>,
}

/// A put that was reported failed and may have been done, or may be done yet.
struct Doubt {
    first_seq: u64,
    last_seq: u64,
    object: Bytes,
}

impl ObjectJournal {
    fn hold(&mut self, first_seq: u64, last_seq: u64, bytes: usize) {
        self.held.push_back(Segment { name: format::segment_name(first_seq), bytes: bytes as u64, last_seq });
    }
}

impl Journal for ObjectJournal {
    /// Puts a claim where the doubtful object would be, so that it can land no more. Where it has landed, its requests were
    /// refused and are in the log all the same, whole, until the log has passed it.
    fn ready(&mut self, next_seq: u64) -> io::Result<u64> {
        let Some(Doubt { first_seq, last_seq, object }) = &self.doubt else { return Ok(next_seq) };
        let (first_seq, last_seq, bytes) = (*first_seq, *last_seq, object.len());
        let claimed = self.place.put_new(first_seq, self.place.claim.clone())?;
        let found = if claimed { self.place.claim.clone() } else { self.place.get(&format::segment_name(first_seq))? };
        let next_seq = if found == self.place.claim {
            self.hold(first_seq, first_seq, found.len());
            first_seq + 1
        } else if found == *object {
            // Nobody waits for its rows to reach the lake.
            self.held.push_back(Segment { name: format::segment_name(first_seq), bytes: bytes as u64, last_seq: 0 });
            last_seq + 1
        } else {
            return Err(self.place.taken_over(first_seq));
        };
        self.doubt = None;
        Ok(next_seq)
    }

    fn append(&mut self, frames: &[u8], first_seq: u64, last_seq: u64) -> io::Result<()> {
        let object: Bytes = [&format::segment_header(), frames].concat().into();
        let name = format::segment_name(first_seq);
        // Once more after an error: a put that was done and answered by nobody is then told by what it left.
        let put = self.place.put_new(first_seq, object.clone()).or_else(|_| self.place.put_new(first_seq, object.clone()));
        let put = match put {
            Ok(false) => self.place.get(&name).map(|found| found == object),
            put => put,
        };
        match put {
            Ok(true) => {
                self.hold(first_seq, last_seq, object.len());
                Ok(())
            }
            Ok(false) => Err(self.place.taken_over(first_seq)),
            Err(error) => {
                self.doubt = Some(Doubt { first_seq, last_seq, object });
                Err(error)
            }
        }
    }

    /// The last object stays until another follows, and it may be the one to go: so a claim follows it.
    fn turn(&mut self, next_seq: u64) -> io::Result<u64> {
        let next_seq = self.ready(next_seq)?;
        match self.place.put_new(next_seq, self.place.claim.clone())? {
            true => {
                self.hold(next_seq, next_seq, self.place.claim.len());
                Ok(next_seq + 1)
            }
            false => Err(self.place.taken_over(next_seq)),
        }
    }

    fn let_go(&mut self, seq: u64) {
        let count = self.held.iter().take(self.held.len().saturating_sub(1)).take_while(|segment| segment.last_seq <= seq).count();
        let names: Vec<_> = self.held.iter().take(count).map(|segment| segment.name.clone()).collect();
        let ObjectSegments { remote, shard, .. } = &self.place;
        match remote.wait(remote.remove(names)) {
            Ok(()) => drop(self.held.drain(..count)),
            Err(error) => tracing::warn!(shard, %error, "cannot remove segments of the log; will try again"),
        }
    }

    fn oldest_seq(&self) -> u64 {
        self.held.iter().map(|segment| segment.last_seq).min().unwrap_or(u64::MAX)
    }

    fn size(&self) -> (u64, u64) {
        (self.held.iter().map(|segment| segment.bytes).sum(), self.held.len() as u64)
    }
}
