//! The bytes of a segment, version 1. A golden file under `tests/golden` keeps them as they are.

use std::cell::RefCell;
use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use model::{Code, Error, Result, Table};
use zstd::bulk::Compressor;

use super::points::PointsFrame;
use super::rows;

pub(crate) const MAGIC: [u8; 8] = *b"TYTOWAL\n";
pub(crate) const VERSION: u32 = 1;
/// Magic, version, CRC-32C of both.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 16;
/// Payload length, CRC-32C of all else in the frame, sequence number, first sequence number of the group, table, codec,
/// two reserved bytes.
pub(crate) const FRAME_HEADER_BYTES: usize = 28;
/// One request is one frame, and a request is far smaller; a length beyond is a damaged header.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// What a claim begins with; no segment does.
const CLAIM: &str = "TYTOCLAIM";

/// Read, and no longer written: an Arrow IPC stream of one batch, as zstd.
const CODEC_IPC: u8 = 1;
/// Known points (`points.rs`), as zstd.
const CODEC_POINTS: u8 = 2;
/// As [`CODEC_IPC`], of packed rows (`model::origin`).
const CODEC_IPC_PACKED: u8 = 3;
/// As [`CODEC_ROWS_ASIDE`], of Arrow IPC streams.
const CODEC_IPC_ASIDE: u8 = 4;
/// Rows (`rows.rs`), packed or not, as zstd.
const CODEC_ROWS: u8 = 5;
/// Rows of the frame's table and rows of `quarantine`: the length of the first stream in four bytes, and both, as zstd.
const CODEC_ROWS_ASIDE: u8 = 6;
/// What stands in front of the first of two streams.
const LENGTH_BYTES: usize = 4;
/// Below 1 zstd trades bytes for time, as LZ4 does.
const ZSTD_LEVEL: i32 = -10;

/// What a frame holds.
#[derive(Clone, Debug)]
pub(crate) enum Logged {
    Batch(RecordBatch),
    Points(PointsFrame),
}

pub(crate) fn segment_name(first_seq: u64) -> String {
    format!("{first_seq:020}.wal")
}

/// The first sequence number of a segment, from its file name.
pub(crate) fn segment_seq(name: &str) -> Option<u64> {
    name.strip_suffix(".wal").filter(|digits| digits.len() == 20)?.parse().ok()
}

pub(crate) fn segment_header() -> [u8; SEGMENT_HEADER_BYTES] {
    let mut header = [0; SEGMENT_HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32c::crc32c(&header[..12]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// An object that holds no frame and takes a place in the log: see `docs/formats/wal.md`. No two opens write the same one.
pub(crate) fn claim(open: &str, epoch: u64) -> Vec<u8> {
    format!("{CLAIM} {open} {epoch}\n").into_bytes()
}

pub(crate) fn is_claim(segment: &[u8]) -> bool {
    segment.starts_with(CLAIM.as_bytes())
}

/// The sequence number of a whole segment's last frame, 0 without one.
pub(crate) fn last_seq(segment: &[u8]) -> u64 {
    let mut rest = segment.get(SEGMENT_HEADER_BYTES..).unwrap_or_default();
    let mut last = 0;
    while let Some((header, _, length)) = read_frame(rest) {
        (last, rest) = (header.seq, &rest[length..]);
    }
    last
}

/// What stands in front of a payload, as read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) seq: u64,
    /// The first frame of the write that carried this one: what one fsync made durable together.
    pub(crate) group: u64,
    /// As it stands in the frame: a later version may know more tables.
    table_code: u8,
}

impl FrameHeader {
    pub(crate) fn new(seq: u64, group: u64, table: Table) -> Self {
        Self { seq, group, table_code: table_code(table) }
    }

    pub(crate) fn table(&self) -> Result<Table> {
        Table::ALL.into_iter().find(|&table| table_code(table) == self.table_code).ok_or_else(|| {
            let why = format!("unknown table {}: was the log written by a newer version?", self.table_code);
            Error::new(Code::Corrupt, "cannot decode a log frame whose checksum holds").because(why)
        })
    }
}

/// A compressed batch, ready to be framed. Made by the request's own thread, so that the log's writer only copies.
pub(crate) struct Payload {
    codec: u8,
    bytes: Vec<u8>,
}

impl Payload {
    /// The batch, compressed as a whole: of a request of one record most is the schema. `aside` are rows of `quarantine` in the same frame.
    pub(crate) fn encode(records: &RecordBatch, aside: Option<&RecordBatch>) -> Result<Self> {
        thread_local! {
            static TOOLS: RefCell<Tools> = const { RefCell::new(Tools { compressor: None, stream: Vec::new() }) };
        }
        TOOLS.with_borrow_mut(|tools| tools.encode(records, aside))
    }

    /// Known points, encoded by `points.rs`.
    pub(crate) fn points(compressor: &mut Compressor<'_>, stream: &[u8]) -> Result<Self> {
        let bytes = compressor.compress(stream).map_err(|error| Error::internal("cannot compress points").because(error))?;
        if bytes.len() > PAYLOAD_BYTES_MAX || stream.len() > PAYLOAD_BYTES_MAX {
            return Err(Error::new(Code::TooLarge, "cannot log a request: its points are over 1 GiB"));
        }
        Ok(Self { codec: CODEC_POINTS, bytes })
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What a thread keeps from one batch to the next.
struct Tools {
    compressor: Option<Compressor<'static>>,
    /// The batch before it is compressed: pages that were touched before.
    stream: Vec<u8>,
}

/// A stream that took more is not kept.
const STREAM_KEPT_BYTES_MAX: usize = 4 << 20;

impl Tools {
    fn encode(&mut self, records: &RecordBatch, aside: Option<&RecordBatch>) -> Result<Payload> {
        self.stream.clear();
        if let Some(aside) = aside {
            self.stream.extend_from_slice(&[0; LENGTH_BYTES]);
            rows::encode(records, &mut self.stream)?;
            let length = u32::try_from(self.stream.len() - LENGTH_BYTES).unwrap_or(u32::MAX);
            self.stream[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
            rows::encode(aside, &mut self.stream)?;
        } else {
            rows::encode(records, &mut self.stream)?;
        }
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => none.insert(compressor()?),
        };
        let compressed = compressor.compress(&self.stream);
        let stream_bytes = self.stream.len();
        if stream_bytes > STREAM_KEPT_BYTES_MAX {
            self.stream = Vec::new();
        }
        let bytes = compressed.map_err(|error| Error::internal("cannot compress a batch").because(error))?;
        if bytes.len() > PAYLOAD_BYTES_MAX || stream_bytes > PAYLOAD_BYTES_MAX {
            return Err(Error::new(Code::TooLarge, "cannot log a request: its batch is over 1 GiB"));
        }
        let codec = if aside.is_some() { CODEC_ROWS_ASIDE } else { CODEC_ROWS };
        Ok(Payload { codec, bytes })
    }
}

/// Kept by who compresses often: a new one for each payload costs more than a small payload.
pub(crate) fn compressor() -> Result<Compressor<'static>> {
    Compressor::new(ZSTD_LEVEL).map_err(|error| Error::internal("cannot make a compressor").because(error))
}

/// Appends the frame to the buffer that one write will carry.
pub(crate) fn push_frame(buffer: &mut Vec<u8>, header: FrameHeader, payload: &Payload) {
    let start = buffer.len();
    let length = u32::try_from(payload.bytes.len()).expect("Payload::encode refuses more than PAYLOAD_BYTES_MAX");
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&header.seq.to_le_bytes());
    buffer.extend_from_slice(&header.group.to_le_bytes());
    buffer.extend_from_slice(&[header.table_code, payload.codec, 0, 0]);
    buffer.extend_from_slice(&payload.bytes);
    let crc = frame_crc(&buffer[start..]);
    buffer[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// A frame whose checksum holds, at the start of `bytes`; none when it is cut or damaged.
pub(crate) fn read_frame(bytes: &[u8]) -> Option<(FrameHeader, &[u8], usize)> {
    let length = u32_at(bytes, 0)? as usize;
    let end = FRAME_HEADER_BYTES.checked_add(length).filter(|_| length <= PAYLOAD_BYTES_MAX)?;
    let frame = bytes.get(..end)?;
    if u32_at(frame, 4)? != frame_crc(frame) {
        return None;
    }
    let header = FrameHeader { seq: u64_at(frame, 8)?, group: u64_at(frame, 16)?, table_code: frame[24] };
    Some((header, frame, end))
}

/// Whether a frame that [`read_frame`] gave holds rows of `quarantine` beside those of its table.
pub(crate) fn has_aside(frame: &[u8]) -> bool {
    matches!(frame[25], CODEC_IPC_ASIDE | CODEC_ROWS_ASIDE)
}

/// What a frame that [`read_frame`] gave holds, and the rows of `quarantine` beside it.
pub(crate) fn decode(frame: &[u8]) -> Result<(Logged, Option<RecordBatch>)> {
    let corrupt = || Error::new(Code::Corrupt, "cannot decode a log frame whose checksum holds");
    let is_ipc = match frame[25] {
        CODEC_IPC | CODEC_IPC_PACKED | CODEC_IPC_ASIDE => true,
        CODEC_POINTS | CODEC_ROWS | CODEC_ROWS_ASIDE => false,
        codec => return Err(corrupt().because(format!("unknown codec {codec}: was the log written by a newer version?"))),
    };
    let stream = zstd::stream::decode_all(&frame[FRAME_HEADER_BYTES..]).map_err(|error| corrupt().because(error))?;
    if frame[25] == CODEC_POINTS {
        return PointsFrame::decode(&stream).map(|points| (Logged::Points(points), None));
    }
    let batch = |stream: &[u8]| {
        if !is_ipc {
            return rows::decode(stream).map_err(|error| corrupt().because(error));
        }
        let mut reader = StreamReader::try_new(Cursor::new(stream), None).map_err(|error| corrupt().because(error))?;
        let records = reader.next().ok_or_else(|| corrupt().because("it holds no batch"))?;
        records.map_err(|error| corrupt().because(error))
    };
    if !has_aside(frame) {
        return Ok((Logged::Batch(batch(&stream)?), None));
    }
    let length = u32_at(&stream, 0).map(|length| length as usize + LENGTH_BYTES).filter(|end| *end <= stream.len());
    let (first, second) = stream.split_at(length.ok_or_else(|| corrupt().because("its first stream is cut"))?);
    Ok((Logged::Batch(batch(&first[LENGTH_BYTES..])?), Some(batch(second)?)))
}

/// Sequence number and group that the bytes would have if a frame began here; the cheap part of looking for one.
pub(crate) fn peek(bytes: &[u8]) -> Option<(u64, u64)> {
    Some((u64_at(bytes, 8)?, u64_at(bytes, 16)?))
}

fn frame_crc(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..4]), &frame[8..])
}

fn table_code(table: Table) -> u8 {
    match table {
        Table::Logs => 0,
        Table::Spans => 1,
        Table::Samples => 2,
        Table::Quarantine => 3,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::ipc::writer::StreamWriter;

    #[test]
    fn a_frame_comes_back_and_no_changed_byte_passes() {
        let records = RecordBatch::new_empty(Table::Spans.schema());
        let payload = Payload::encode(&records, None).unwrap();
        let header = FrameHeader::new(7, 5, Table::Spans);
        let mut bytes = Vec::new();
        push_frame(&mut bytes, header, &payload);
        let (found, frame, end) = read_frame(&bytes).unwrap();
        assert_eq!((found, end, peek(&bytes)), (header, bytes.len(), Some((7, 5))));
        assert_eq!(header.table().unwrap(), Table::Spans);
        assert!(matches!(decode(frame).unwrap(), (Logged::Batch(found), None) if found == records));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            assert!(read_frame(&damaged).is_none(), "a flipped bit in byte {at} went unseen");
            assert!(read_frame(&bytes[..at]).is_none(), "a frame cut to {at} bytes was taken");
        }
    }

    #[test]
    fn rows_of_two_tables_are_one_frame() {
        let (logs, aside) = (RecordBatch::new_empty(Table::Logs.schema()), RecordBatch::new_empty(Table::Quarantine.packed_schema()));
        let mut bytes = Vec::new();
        push_frame(&mut bytes, FrameHeader::new(1, 1, Table::Logs), &Payload::encode(&logs, Some(&aside)).unwrap());
        let (header, frame, _) = read_frame(&bytes).unwrap();
        assert!(header.table().unwrap() == Table::Logs && has_aside(frame));
        assert!(matches!(decode(frame).unwrap(), (Logged::Batch(found), Some(other)) if found == logs && other == aside));
    }

    /// Frames as they were written before `rows.rs`; of rows without others beside them there are golden files.
    #[test]
    fn two_arrow_streams_of_one_frame_are_read() {
        let (logs, aside) = (RecordBatch::new_empty(Table::Logs.schema()), RecordBatch::new_empty(Table::Quarantine.packed_schema()));
        let [first, second] = [&logs, &aside].map(|records| {
            let mut writer = StreamWriter::try_new(Vec::new(), records.schema_ref()).unwrap();
            writer.write(records).unwrap();
            writer.into_inner().unwrap()
        });
        let stream = [&(first.len() as u32).to_le_bytes()[..], &first, &second].concat();
        let payload = Payload { codec: CODEC_IPC_ASIDE, bytes: compressor().unwrap().compress(&stream).unwrap() };
        let mut bytes = Vec::new();
        push_frame(&mut bytes, FrameHeader::new(1, 1, Table::Logs), &payload);
        let (_, frame, _) = read_frame(&bytes).unwrap();
        assert!(has_aside(frame));
        assert!(matches!(decode(frame).unwrap(), (Logged::Batch(found), Some(other)) if found == logs && other == aside));
    }

    #[test]
    fn a_table_of_a_later_version_is_no_torn_frame() {
        let mut bytes = Vec::new();
        let payload = Payload::encode(&RecordBatch::new_empty(Table::Spans.schema()), None).unwrap();
        push_frame(&mut bytes, FrameHeader { seq: 1, group: 1, table_code: 9 }, &payload);
        let error = read_frame(&bytes).unwrap().0.table().unwrap_err();
        assert!(error.code == Code::Corrupt && error.chain().contains("unknown table 9"), "{}", error.chain());
    }

    #[test]
    fn a_claim_is_no_segment() {
        let claim = claim("6f1d2c1e-0000-4000-8000-000000000001", 7);
        assert_eq!(claim, b"TYTOCLAIM 6f1d2c1e-0000-4000-8000-000000000001 7\n", "version 1, read for ever");
        assert!(is_claim(&claim) && !is_claim(&segment_header()));
        let mut segment = segment_header().to_vec();
        assert_eq!((last_seq(&claim), last_seq(&segment)), (0, 0));
        let payload = Payload::encode(&RecordBatch::new_empty(Table::Spans.schema()), None).unwrap();
        [4, 5].into_iter().for_each(|seq| push_frame(&mut segment, FrameHeader::new(seq, 4, Table::Spans), &payload));
        assert_eq!(last_seq(&segment), 5);
    }

    #[test]
    fn a_segment_is_named_by_its_first_sequence_number() {
        assert_eq!(segment_seq(&segment_name(42)), Some(42));
        assert_eq!(segment_seq("42.wal"), None);
        assert_eq!(segment_seq("LOCK"), None);
    }
}
