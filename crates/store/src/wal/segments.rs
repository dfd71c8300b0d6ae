use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::read::Segment;
use crate::{ShardOptions, WalPlace};

/// Where the segments of a log lie: [`FileSegments`](super::files::FileSegments) or
/// [`ObjectSegments`](super::objects::ObjectSegments). Calls block.
pub(crate) trait Segments: Debug + Send + Sync {
    /// Names of the segments, in their order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// The bytes of each, in turn.
    fn read<'a>(&'a self, names: &'a [String]) -> Box<dyn Iterator<Item = io::Result<Vec<u8>>> + 'a>;
    /// The address of a segment, for people.
    fn address(&self, name: &str) -> String;
    /// Whether a crash can leave half of the last write.
    fn may_be_torn(&self) -> bool;
    /// Removes what crashes left unfinished beside the segments.
    fn tidy(&self) -> io::Result<()>;
    /// Removes a segment, durably.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the last segment durable, whoever wrote it, with these bytes of it only.
    fn renew(&self, name: &str, bytes: Bytes) -> io::Result<()>;
    /// Takes the next place in the log, so that nobody who had it before can write there. `committed_seq` is the last number
    /// that the lake knows.
    fn claim(&self, committed_seq: u64) -> io::Result<()>;
    /// Writes on behind these segments.
    fn journal(self: Arc<Self>, closed: Vec<Segment>) -> Box<dyn Journal>;
}

/// The end of the log, where the writer's one thread appends.
pub(crate) trait Journal: Send {
    /// Finishes what a failed append left, and says with which number to go on: the given one, or a later one when that number
    /// is taken for good.
    fn ready(&mut self, next_seq: u64) -> io::Result<u64>;
    /// Adds the frames with these numbers, durably. After an error they are not there, or no reader takes them for
    /// acknowledged ones once [`Self::ready`] has worked.
    fn append(&mut self, frames: &[u8], first_seq: u64, last_seq: u64) -> io::Result<()>;
    /// What follows goes into a new segment, so that the one before can go without waiting to be full; gives the number to go
    /// on with.
    fn turn(&mut self, next_seq: u64) -> io::Result<u64>;
    /// Lets go of every segment whose frames are all at or before `seq`, as far as that works.
    fn let_go(&mut self, seq: u64);
    /// Bytes of the log, and its segments.
    fn size(&self) -> (u64, u64);
    /// The last frame of the oldest segment that holds frames, `u64::MAX` without one.
    fn oldest_seq(&self) -> u64;
}

pub(crate) fn segments(options: &ShardOptions) -> Arc<dyn Segments> {
    match (options.wal, options.lake.remote()) {
        (WalPlace::Object, Some(remote)) => Arc::new(super::objects::ObjectSegments::new(options, remote)),
        _ => Arc::new(super::files::FileSegments::new(options)),
    }
}
