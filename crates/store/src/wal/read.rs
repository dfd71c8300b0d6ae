use std::io::ErrorKind;

use bytes::Bytes;
use model::{Code, Error, Result, Table};

use super::format::{self, FrameHeader, Logged, SEGMENT_HEADER_BYTES};
use super::segments::Segments;

/// A segment as found at open.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// The sequence number of its last frame; one before its name's when it holds none.
    pub(crate) last_seq: u64,
}

impl Segment {
    pub(crate) fn holds_frames(&self) -> bool {
        self.bytes > SEGMENT_HEADER_BYTES as u64
    }
}

/// What reading the log found.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    pub(crate) segments: Vec<Segment>,
    pub(crate) last_seq: u64,
    pub(crate) frames: u64,
    /// Bytes behind the last whole frame, cut off unless reading only.
    pub(crate) torn_bytes: u64,
}

/// Reads every frame in order and gives each to `apply` (sequence number, table, content). `wanted` says for which frames
/// the content is worth decoding. With `repair`, the last segment is written anew without its torn tail; without, nothing on
/// disk changes.
pub(crate) fn recover(
    log: &dyn Segments,
    repair: bool,
    wanted: impl Fn(Table, u64) -> bool,
    mut apply: impl FnMut(u64, Table, Logged) -> Result<()>,
) -> Result<Recovered> {
    if repair {
        log.tidy().map_err(|error| Error::unavailable(format!("cannot clean up the log in {}", log.address(""))).because(error))?;
    }
    let failed =
        |verb: &str, name: &str, error| Error::unavailable(format!("cannot {verb} log segment {}", log.address(name))).because(error);
    let names = log.list().map_err(|error| Error::unavailable(format!("cannot list the log in {}", log.address(""))).because(error))?;
    let mut recovered = Recovered::default();
    for ((index, name), bytes) in names.iter().enumerate().zip(log.read(&names)) {
        let bytes = match bytes {
            // Only a living server drops segments under a reader, and only those whose rows are in the lake.
            Err(error) if error.kind() == ErrorKind::NotFound && !repair => continue,
            bytes => bytes.map_err(|error| failed("read", name, error))?,
        };
        let first_seq = format::segment_seq(name).unwrap_or_default();
        if format::is_claim(&bytes) {
            recovered.last_seq = recovered.last_seq.max(first_seq);
            recovered.segments.push(Segment { name: name.clone(), bytes: bytes.len() as u64, last_seq: first_seq });
            continue;
        }
        let (path, last) = (log.address(name), index + 1 == names.len());
        let torn = last && log.may_be_torn();
        let mut walk = Walk { path: &path, bytes: &bytes, next_seq: first_seq.max(recovered.last_seq + 1), last: torn };
        let end = walk.frames(|header, frame| {
            recovered.frames += 1;
            let table = header.table().map_err(|error| at(&path, error))?;
            let (own, beside) = (wanted(table, header.seq), format::has_aside(frame) && wanted(Table::Quarantine, header.seq));
            if !own && !beside {
                return Ok(());
            }
            let (logged, aside) = format::decode(frame).map_err(|error| at(&path, error))?;
            if own {
                apply(header.seq, table, logged)?;
            }
            match aside.filter(|_| beside) {
                Some(aside) => apply(header.seq, Table::Quarantine, Logged::Batch(aside)),
                None => Ok(()),
            }
        })?;
        recovered.last_seq = recovered.last_seq.max(walk.next_seq - 1);
        recovered.torn_bytes += (bytes.len() - end) as u64;
        let last_seq = walk.next_seq - 1;
        let empty = end <= SEGMENT_HEADER_BYTES;
        if repair && empty {
            log.remove(name).map_err(|error| failed("remove the empty", name, error))?;
        } else if repair && last {
            // Its last frames may be only in memory, if who wrote them was killed before the sync or after one that failed, and
            // then no sync writes them. New segments follow, and a torn one before them would be corrupt.
            log.renew(name, Bytes::from(bytes).slice(..end)).map_err(|error| failed("renew", name, error))?;
        }
        if !empty {
            recovered.segments.push(Segment { name: name.clone(), bytes: end as u64, last_seq });
        }
    }
    Ok(recovered)
}

fn at(path: &str, error: Error) -> Error {
    Error { what: format!("{} in {path}", error.what), ..error }
}

struct Walk<'a> {
    path: &'a str,
    bytes: &'a [u8],
    next_seq: u64,
    last: bool,
}

impl Walk<'_> {
    /// Calls `each` with every whole frame; returns where they end.
    fn frames(&mut self, mut each: impl FnMut(FrameHeader, &[u8]) -> Result<()>) -> Result<usize> {
        let header = format::segment_header();
        if self.bytes.get(..SEGMENT_HEADER_BYTES) != Some(&header) {
            // The header is durable before a frame follows, so a short or empty file was never written to.
            return match self.last && self.bytes.len() <= SEGMENT_HEADER_BYTES {
                true => Ok(0),
                false => Err(self.corrupt(0, "its header is not that of a log segment of version 1")),
            };
        }
        let mut offset = SEGMENT_HEADER_BYTES;
        while offset < self.bytes.len() {
            let Some((header, frame, length)) = format::read_frame(&self.bytes[offset..]) else {
                return self.torn(offset).map(|()| offset);
            };
            if header.seq < self.next_seq {
                return Err(self.corrupt(offset, "its sequence numbers go backwards"));
            }
            each(header, frame)?;
            self.next_seq = header.seq + 1;
            offset += length;
        }
        Ok(offset)
    }

    /// A bad frame is a torn tail when no later fsync stood behind it: pages of one write reach the disk in any order, so
    /// whole frames of the *same* group may follow it, unacknowledged like itself. A frame of a later group proves that
    /// the bad one was durable once.
    fn torn(&self, offset: usize) -> Result<()> {
        if !self.last {
            return Err(self.corrupt(offset, "a frame's checksum fails and later segments follow"));
        }
        let later = (offset + 1..self.bytes.len()).any(|at| {
            let bytes = &self.bytes[at..];
            format::peek(bytes).is_some_and(|(seq, group)| group > self.next_seq && group <= seq && seq - self.next_seq < 1 << 32)
                && format::read_frame(bytes).is_some()
        });
        match later {
            true => Err(self.corrupt(offset, "a frame's checksum fails and acknowledged frames follow")),
            false => Ok(()),
        }
    }

    fn corrupt(&self, offset: usize, why: &str) -> Error {
        Error::new(Code::Corrupt, format!("cannot read log segment {} at byte {offset}: {why}", self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::files::FileSegments;
    use crate::wal::format::{Payload, push_frame, segment_header, segment_name};
    use crate::{Disk, LocalDisk};
    use arrow::array::AsArray;
    use arrow::array::RecordBatch;
    use model::Attributes;
    use model::logs::{LogRow, LogsBuilder};
    use std::path::Path;

    fn records(body: &str) -> RecordBatch {
        let mut builder = LogsBuilder::default();
        builder.push(&LogRow { time_unix_nano: 1, body, ..LogRow::default() }, &Attributes::default(), &Attributes::default());
        builder.finish()
    }

    /// A segment whose frames have these sequence numbers and groups, and where each frame ends.
    fn segment(frames: &[(u64, u64)]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = segment_header().to_vec();
        let mut ends = vec![bytes.len()];
        for &(seq, group) in frames {
            push_frame(
                &mut bytes,
                FrameHeader::new(seq, group, Table::Logs),
                &Payload::encode(&records(&format!("line {seq}")), None).unwrap(),
            );
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    /// Recovers a log of these segments, each named by its first number; gives the bodies of the frames.
    fn recovered(dir: &Path, repair: bool) -> Result<(Recovered, Vec<String>)> {
        let mut bodies = Vec::new();
        let recovered = recover(
            &FileSegments::of(dir),
            repair,
            |_, _| true,
            |seq, _, logged| {
                let Logged::Batch(records) = logged else { panic!("no points were written") };
                let body = records.column_by_name("body").unwrap().as_string::<i32>().value(0).to_owned();
                bodies.push(format!("{seq} {body}"));
                Ok(())
            },
        )?;
        Ok((recovered, bodies))
    }

    #[test]
    fn a_tail_torn_at_any_byte_costs_the_last_frame_only() {
        let (bytes, ends) = segment(&[(1, 1), (2, 2), (3, 3)]);
        for cut in ends[2]..bytes.len() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(segment_name(1));
            std::fs::write(&path, &bytes[..cut]).unwrap();
            // Cutting the file syncs it; a few places stand for all.
            let repairs = cut % 50 == 0 || cut == bytes.len() - 1;
            for repair in if repairs { &[false, true, true][..] } else { &[false] } {
                let before = std::fs::metadata(&path).unwrap().len();
                let (found, bodies) = recovered(dir.path(), *repair).unwrap();
                assert_eq!(bodies, ["1 line 1", "2 line 2"], "cut at {cut}");
                assert_eq!((found.last_seq, found.torn_bytes), (2, before - ends[2] as u64));
            }
            assert_eq!(std::fs::metadata(&path).unwrap().len(), if repairs { ends[2] } else { cut } as u64);
        }
    }

    #[test]
    fn a_segment_that_never_held_a_frame_goes() {
        for bytes in [&[][..], &segment_header()[..7], &segment_header()[..], &[0; 16]] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(segment_name(9)), bytes).unwrap();
            let (found, _) = recovered(dir.path(), true).unwrap();
            assert_eq!((found.segments.len(), found.last_seq), (0, 8));
            assert!(LocalDisk.list(dir.path()).unwrap().is_empty());
        }
    }

    #[test]
    fn a_damaged_frame_is_torn_within_its_group_and_corrupt_before_a_later_one() {
        for (frames, corrupt) in [([(1, 1), (2, 2), (3, 2)], false), ([(1, 1), (2, 2), (3, 3)], true)] {
            let (mut bytes, ends) = segment(&frames);
            bytes[ends[1] + 40] ^= 1;
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(segment_name(1)), &bytes).unwrap();
            match recovered(dir.path(), true) {
                Ok((_, bodies)) => assert!(!corrupt && bodies == ["1 line 1"], "{bodies:?}"),
                Err(error) => {
                    assert!(corrupt && error.code == Code::Corrupt, "{}", error.chain());
                    assert!(error.what.contains(&format!("{} at byte {}", segment_name(1), ends[1])), "{}", error.what);
                }
            }
        }
    }

    #[test]
    fn a_damaged_segment_before_the_last_is_corrupt() {
        let dir = tempfile::tempdir().unwrap();
        let (first, _) = segment(&[(1, 1), (2, 2)]);
        std::fs::write(dir.path().join(segment_name(1)), &first[..first.len() - 1]).unwrap();
        std::fs::write(dir.path().join(segment_name(3)), segment(&[(3, 3)]).0).unwrap();
        assert_eq!(recovered(dir.path(), true).unwrap_err().code, Code::Corrupt);
    }

    /// Version 1 is read for ever: this is a log of rows as Arrow IPC streams, which nobody writes any more.
    #[test]
    fn the_golden_log_of_version_1_reads() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wal-v1");
        let (found, bodies) = recovered(&dir, false).unwrap();
        assert_eq!(bodies, ["7 line 7", "8 line 8", "9 line 9"]);
        assert_eq!((found.frames, found.torn_bytes), (3, 0));
    }

    /// The same of packed rows: as Arrow IPC streams, and as they are written now. `UPDATE=1` writes the latter anew; do so only for
    /// what was never released.
    #[test]
    fn the_golden_packed_rows_read() {
        let golden = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let mut builder = LogsBuilder::default();
        for (body, pod) in [("first", "a"), ("second", "a"), ("third", "b")] {
            let mut resource = Attributes::default();
            resource.set("pod", model::AttributeValue::Text(pod));
            builder.push(&LogRow { time_unix_nano: 1, body, service_name: "web", ..LogRow::default() }, &resource, &Attributes::default());
        }
        let rows = builder.finish_packed();
        if std::env::var_os("UPDATE").is_some() {
            let mut bytes = segment_header().to_vec();
            push_frame(&mut bytes, FrameHeader::new(1, 1, Table::Logs), &Payload::encode(&rows, None).unwrap());
            std::fs::create_dir_all(golden("wal-v1-rows")).unwrap();
            std::fs::write(golden("wal-v1-rows").join(segment_name(1)), bytes).unwrap();
        }
        for dir in ["wal-v1-packed", "wal-v1-rows"].map(golden) {
            let mut found = Vec::new();
            let read = |_, _, logged| {
                found.extend(if let Logged::Batch(records) = logged { Some(records) } else { None });
                Ok(())
            };
            recover(&FileSegments::of(&dir), false, |_, _| true, read).unwrap();
            assert_eq!(found, std::slice::from_ref(&rows), "{}", dir.display());
        }
    }
}
