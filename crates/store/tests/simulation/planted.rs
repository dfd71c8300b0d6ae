//! Bugs planted on purpose, each of which the checker must find and call by its name.

use std::path::Path;

/// What is wrong with the disk under the shard, or with the shard as the simulation sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// The log's syncs do nothing: requests are acknowledged before they are durable.
    AckBeforeSync,
    /// The log's directory is not synced: a new segment has no durable name.
    SegmentNotNamed,
    /// Nor is that of the commits.
    CommitNotNamed,
    /// A commit gets its name before its bytes are durable.
    CommitNotSynced,
    /// Nor are those of a lake file when a commit names it.
    FileNotSynced,
    /// The log's last segment stays with its torn tail: the one written anew does not take its place.
    TornTailKept,
    /// Nor does cutting off what a failed write left.
    FailedWriteKept,
    /// The last segment is not listed.
    SegmentUnlisted,
    /// Two segments have changed places.
    SegmentsSwapped,
    /// Commits do not carry the log position: frames are replayed that the lake has.
    FrameReplayedTwice,
    /// A merge's new file is not in its commit.
    MergeNotAdded,
    /// A merge's old files stay in the table.
    MergedNotRemoved,
    /// A lake file that goes takes another with it that is wanted.
    LiveFileRemoved,
    /// Replaced files stay for ever.
    ReplacedFileKept,
    /// So do segments.
    SegmentsKept,
    /// The damage is in another file than the one that is named.
    WrongFileDamaged,
    /// A request becomes two.
    RequestTornInTwo,
    /// What is stored is not what was sent.
    ValueChanged,
}

impl Plant {
    /// The bytes that a commit has instead of these.
    pub fn alters(self, path: &Path, bytes: &[u8]) -> Option<Vec<u8>> {
        let lines = std::str::from_utf8(bytes).ok().filter(|_| path.to_string_lossy().ends_with(".json#1"))?;
        let merges = lines.contains("{\"remove\":");
        let left_out = match self {
            Self::FrameReplayedTwice => "{\"txn\":",
            Self::MergeNotAdded if merges => "{\"add\":",
            Self::MergedNotRemoved if merges => "{\"remove\":",
            _ => return None,
        };
        let kept: Vec<_> = lines.split('\n').filter(|line| !line.starts_with(left_out)).collect();
        Some(kept.join("\n").into_bytes())
    }
}

/// What the checker must say of each. Other words may come first: what has no durable name is missing, or leaves a gap.
pub const SAYS: [(Plant, &str); 18] = [
    (Plant::AckBeforeSync, "is missing"),
    (Plant::SegmentNotNamed, "is missing"),
    (Plant::CommitNotNamed, "is missing"),
    (Plant::CommitNotSynced, "cannot open though the disk works: cannot read commit"),
    (Plant::FileNotSynced, "cannot read lake file"),
    (Plant::TornTailKept, "a frame's checksum fails and later segments follow"),
    (Plant::FailedWriteKept, "is missing"),
    (Plant::SegmentUnlisted, "is missing"),
    (Plant::SegmentsSwapped, "its sequence numbers go backwards"),
    (Plant::FrameReplayedTwice, " is there 2 times"),
    (Plant::MergeNotAdded, "is missing"),
    (Plant::MergedNotRemoved, " is there 2 times"),
    (Plant::LiveFileRemoved, "No such file"),
    (Plant::ReplacedFileKept, "stays, and nobody wants it"),
    (Plant::SegmentsKept, "stays though everything is in the lake"),
    (Plant::WrongFileDamaged, "does not name the damaged"),
    (Plant::RequestTornInTwo, "only 1 of"),
    (Plant::ValueChanged, "has another value than was sent"),
];
