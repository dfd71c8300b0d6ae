//! The payload of a frame of known points, before compression: what each series is, the first time since the last flush
//! that the log speaks of it, and then numbers only. `docs/formats/wal.md` describes it.

use model::{Code, Error, KnownPoints, Result};

use super::format::Payload;
use crate::head::SeriesKey;
use crate::varint::{self, push, unzigzag, zigzag};

/// What a slot stands for in the frames from here on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Definition {
    pub(crate) slot: u32,
    pub(crate) series_id: i64,
    pub(crate) key: Vec<u8>,
}

/// A frame as read back.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PointsFrame {
    pub(crate) definitions: Vec<Definition>,
    /// Slot, milliseconds since the Unix epoch, value.
    pub(crate) points: Vec<(u32, i64, f64)>,
}

/// Writes frames of known points and remembers which series the log has defined.
pub(crate) struct PointsWriter {
    /// By slot. What was defined before the active head began does not count: the log lets go of it.
    defined: Vec<bool>,
    definitions: Vec<u8>,
    runs: Vec<u8>,
    stream: Vec<u8>,
    compressor: zstd::bulk::Compressor<'static>,
}

impl PointsWriter {
    pub(crate) fn new() -> Result<Self> {
        let compressor = super::format::compressor()?;
        Ok(Self { defined: Vec::new(), definitions: Vec::new(), runs: Vec::new(), stream: Vec::new(), compressor })
    }

    /// From here on every series is defined anew.
    pub(crate) fn begin(&mut self) {
        self.defined.clear();
    }

    /// The frame's payload. `describe` gives key and `series_id` of a slot.
    pub(crate) fn encode<'k>(&mut self, points: &KnownPoints, describe: impl Fn(u32) -> (&'k SeriesKey, i64)) -> Result<Payload> {
        let Self { defined, definitions, runs, stream, compressor } = self;
        for buffer in [&mut *definitions, &mut *runs, &mut *stream] {
            buffer.clear();
        }
        let (mut defined_count, mut last_slot) = (0, 0);
        for (series, range) in points.runs() {
            let slot = series.slot;
            let index = slot as usize;
            if index >= defined.len() {
                defined.resize(index + 1, false);
            }
            if !std::mem::replace(&mut defined[index], true) {
                let (key, series_id) = describe(slot);
                defined_count += 1;
                push(definitions, u64::from(slot));
                definitions.extend_from_slice(&series_id.to_le_bytes());
                push(definitions, key.len() as u64);
                definitions.extend_from_slice(key.encoded());
            }
            push_signed(runs, i64::from(slot).wrapping_sub(last_slot));
            push(runs, range.len() as u64);
            last_slot = i64::from(slot);
        }
        push(stream, defined_count);
        stream.append(definitions);
        push(stream, points.series.len() as u64);
        stream.append(runs);
        let mut last_ms = 0;
        for &time_ms in &points.times_ms {
            push_signed(stream, time_ms.wrapping_sub(last_ms));
            last_ms = time_ms;
        }
        points.values.iter().for_each(|value| stream.extend_from_slice(&value.to_le_bytes()));
        Payload::points(compressor, stream)
    }
}

impl PointsFrame {
    /// Reads what [`PointsWriter::encode`] wrote, decompressed.
    pub(crate) fn decode(stream: &[u8]) -> Result<Self> {
        let mut reader = Reader(stream);
        reader.frame().ok_or_else(|| {
            Error::new(Code::Corrupt, "cannot decode a log frame whose checksum holds").because("its known points are cut or malformed")
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn frame(&mut self) -> Option<PointsFrame> {
        let mut frame = PointsFrame::default();
        for _ in 0..self.varint()? {
            let slot = u32::try_from(self.varint()?).ok()?;
            let series_id = i64::from_le_bytes(*self.take(8)?.as_array()?);
            let length = usize::try_from(self.varint()?).ok()?;
            let key = self.take(length)?.to_vec();
            if !SeriesKey::is_valid(&key) {
                return None;
            }
            frame.definitions.push(Definition { slot, series_id, key });
        }
        let mut slot = 0_i64;
        for _ in 0..self.varint()? {
            slot = slot.wrapping_add(self.signed()?);
            let length = usize::try_from(self.varint()?).ok()?;
            // Each point takes nine bytes at least.
            if frame.points.len().checked_add(length)? > self.0.len() {
                return None;
            }
            frame.points.extend(std::iter::repeat_n((u32::try_from(slot).ok()?, 0, 0.0), length));
        }
        let mut time_ms = 0_i64;
        for point in &mut frame.points {
            time_ms = time_ms.wrapping_add(self.signed()?);
            point.1 = time_ms;
        }
        for point in &mut frame.points {
            point.2 = f64::from_le_bytes(*self.take(8)?.as_array()?);
        }
        self.0.is_empty().then_some(frame)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        varint::take(&mut self.0)
    }

    fn signed(&mut self) -> Option<i64> {
        self.varint().map(unzigzag)
    }
}

fn push_signed(buffer: &mut Vec<u8>, value: i64) {
    push(buffer, zigzag(value));
}

#[cfg(test)]
mod tests {
    use super::super::files::FileSegments;
    use super::super::format;
    use super::super::read::recover;
    use super::*;
    use model::KnownSeries;

    fn known(points: &[(u32, i64, f64)]) -> KnownPoints {
        let mut known = KnownPoints::default();
        for run in points.chunk_by(|a, b| a.0 == b.0) {
            known.series.push(KnownSeries { slot: run[0].0, ..KnownSeries::default() });
            known.times_ms.extend(run.iter().map(|point| point.1));
            known.values.extend(run.iter().map(|point| point.2));
            known.ends.push(known.values.len() as u32);
        }
        known
    }

    fn stream(writer: &mut PointsWriter, points: &[(u32, i64, f64)]) -> Vec<u8> {
        let key = SeriesKey::new(&[0, 2, b'u', b'p', 0, 0, 0, 0, 0, 0]);
        let payload = writer.encode(&known(points), |_| (&key, -5)).unwrap();
        zstd::stream::decode_all(payload.bytes()).unwrap()
    }

    #[test]
    fn points_come_back_and_each_series_is_defined_once() {
        let mut writer = PointsWriter::new().unwrap();
        let points = [(7, 1_000, 1.5), (7, 2_000, -0.0), (3, 1_000, f64::MAX), (900_000, -4, 0.1)];
        let bytes = stream(&mut writer, &points);
        let frame = PointsFrame::decode(&bytes).unwrap();
        assert_eq!(frame.points, points);
        assert_eq!(frame.definitions.iter().map(|definition| definition.slot).collect::<Vec<_>>(), [7, 3, 900_000]);
        assert!(frame.definitions.iter().all(|definition| definition.series_id == -5 && definition.key[2..4] == *b"up"));
        for end in 0..bytes.len() {
            PointsFrame::decode(&bytes[..end]).unwrap_err();
        }
        let again = PointsFrame::decode(&stream(&mut writer, &points)).unwrap();
        assert!(again.definitions.is_empty() && again.points == points);
        writer.begin();
        assert_eq!(PointsFrame::decode(&stream(&mut writer, &points)).unwrap(), frame);
    }

    /// Version 1 is read for ever. `UPDATE=1` writes the file anew; do so only for a version that was never released.
    #[test]
    fn the_golden_points_of_version_1_read() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wal-v1-points");
        let points = [(7, 1_700_000_000_000, 1.5), (7, 1_700_000_015_000, 1.75), (3, 1_700_000_000_000, -0.0)];
        if std::env::var_os("UPDATE").is_some() {
            let mut writer = PointsWriter::new().unwrap();
            let key = SeriesKey::new(&[0, 2, b'u', b'p', 2, 1, b'x', 0, 1, 0, 0, 0, 1, b'a', 1, b'1']);
            let payload = writer.encode(&known(&points), |slot| (&key, i64::from(slot))).unwrap();
            let mut bytes = format::segment_header().to_vec();
            format::push_frame(&mut bytes, format::FrameHeader::new(1, 1, model::Table::Samples), &payload);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join(format::segment_name(1)), bytes).unwrap();
        }
        let mut frames = Vec::new();
        let read = |_, _, logged| {
            frames.extend(if let format::Logged::Points(frame) = logged { Some(frame) } else { None });
            Ok(())
        };
        recover(&FileSegments::of(&dir), false, |_, _| true, read).unwrap();
        let [frame] = &frames[..] else { panic!("one frame of points: {frames:?}") };
        assert_eq!(frame.points, points);
        let key = SeriesKey::new(&frame.definitions[1].key);
        assert_eq!((frame.definitions[1].slot, frame.definitions[1].series_id), (3, 3));
        assert_eq!((key.name(), key.identity(0), key.identity(2), key.label("a")), ("up", "x", "", "1"));
    }
}
