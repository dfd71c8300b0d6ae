//! Reads a request's body within the named limits, and unpacks it.
//!
//! A body is refused by its length before it is read, by its size while it is read, and by its unpacked size while it
//! is unpacked: a bomb never takes more memory than `decompressed_bytes_max`. All bodies together never take more than
//! `inflight_bytes_max`.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName};
use model::{Code, Error, ReceiveLimits, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How a body is packed, as `Content-Encoding` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Identity,
    Gzip,
    Zstd,
    /// The block format, without frames.
    Snappy,
}

impl Packing {
    /// None when the encoding is not one that we know.
    fn of(content_encoding: &str) -> Option<Self> {
        Some(match content_encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Self::Identity,
            "gzip" | "x-gzip" => Self::Gzip,
            "zstd" => Self::Zstd,
            "snappy" => Self::Snappy,
            _ => return None,
        })
    }
}

/// `inflight_bytes_max`, and what of it is not in use.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    blocks_max: usize,
}

/// The unit of the budget: a semaphore gives out at most 2^32 of them at once.
const BLOCK_BYTES: usize = 1 << 10;

impl Budget {
    pub(crate) fn new(limits: &ReceiveLimits) -> Self {
        let blocks_max = (limits.inflight_bytes_max / BLOCK_BYTES).min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(blocks_max)), blocks_max }
    }

    pub(crate) fn share(&self) -> Share {
        Share { budget: self.clone(), held: None }
    }
}

/// What one request holds of the budget, from its first byte to its acknowledgement; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    held: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Holds at least so many bytes. Never waits: a request that waits holds what others wait for.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<()> {
        let (blocks, held) = (bytes.div_ceil(BLOCK_BYTES), self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if blocks <= held {
            return Ok(());
        }
        if blocks > self.budget.blocks_max {
            let max = self.budget.blocks_max * BLOCK_BYTES;
            return Err(Error::new(Code::TooLarge, format!("cannot accept request: it needs over inflight_bytes_max, {max} bytes")));
        }
        let more = u32::try_from(blocks - held).ok().and_then(|more| self.budget.free.clone().try_acquire_many_owned(more).ok());
        let more = more.ok_or_else(|| {
            let busy = "cannot accept request: all requests under way together take inflight_bytes_max";
            Error::new(Code::Overloaded { retry_after_seconds: 1 }, busy)
        })?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

/// A request's body, unpacked, with its share of the budget.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    pub(crate) share: Share,
}

/// Reads the body of a request and unpacks it as its `Content-Encoding` says, or as `default` when it says nothing; also
/// answers how many bytes came. `accepted` are the packings of the protocol.
pub(crate) async fn receive(
    request: Request,
    default: Packing,
    accepted: &[Packing],
    limits: &ReceiveLimits,
    budget: &Budget,
) -> (usize, Result<Held>) {
    let (head, body) = request.into_parts();
    let packing = match header(&head.headers, &CONTENT_ENCODING) {
        "" => Some(default),
        name => Packing::of(name).filter(|packing| accepted.contains(packing)),
    };
    let Some(packing) = packing else {
        let name = crate::outcome::shortened(header(&head.headers, &CONTENT_ENCODING));
        return (0, Err(Error::unsupported(format!("cannot accept Content-Encoding {name}: send one of {}", names(accepted)))));
    };
    let announced = header(&head.headers, &CONTENT_LENGTH).parse().ok();
    let mut share = budget.share();
    match read(body, announced, limits, &mut share).await {
        Ok(body) => (body.len(), unpacked(body, packing, limits, share).await),
        Err(error) => (0, Err(error)),
    }
}

/// Unpacks a body, off the event loop when that is much work.
pub(crate) async fn unpacked(body: Bytes, packing: Packing, limits: &ReceiveLimits, mut share: Share) -> Result<Held> {
    let work = match packing {
        Packing::Identity => 0,
        Packing::Snappy => snap::raw::decompress_len(&body).unwrap_or_default(),
        // What they hold is known only at their end: mostly ten times as much.
        Packing::Gzip | Packing::Zstd => body.len().saturating_mul(10),
    };
    let limits = limits.clone();
    off_loop(work, move || Ok(Held { bytes: unpack(body, packing, &limits, &mut share)?, share })).await
}

/// A header as text; empty when it is not there.
pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The content type without its parameters, in lower case.
pub(crate) fn content_type(headers: &HeaderMap) -> String {
    header(headers, &CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn names(packings: &[Packing]) -> String {
    let names: Vec<String> = packings.iter().map(|packing| format!("{packing:?}").to_lowercase()).collect();
    names.join(", ")
}

/// More unpacked bytes than this are unpacked and decoded on a thread that may block: the event loop serves everybody.
pub(crate) const INLINE_BYTES_MAX: usize = 80 << 10;

/// Runs `work` here when it is about few bytes, else on a blocking thread.
pub(crate) async fn off_loop<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    if bytes <= INLINE_BYTES_MAX {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|source| Err(Error::internal("cannot finish decoding").because(source)))
}

/// A sender that takes longer to send one body is not waited for: what it has sent so far is held for it.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);

/// Reads the whole body, up to `body_bytes_max` and for [`BODY_TIME_MAX`].
pub(crate) async fn read(body: Body, announced: Option<u64>, limits: &ReceiveLimits, share: &mut Share) -> Result<Bytes> {
    in_time(BODY_TIME_MAX, read_all(body, announced, limits, share)).await
}

async fn in_time<T>(time_max: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Err(Error::new(Code::Timeout, format!("cannot accept body: it took over {time_max:?} to come")));
    tokio::time::timeout(time_max, work).await.unwrap_or_else(late)
}

/// The share grows with what has come: what a sender announces and does not send takes nothing from others.
async fn read_all(body: Body, announced: Option<u64>, limits: &ReceiveLimits, share: &mut Share) -> Result<Bytes> {
    let max = limits.body_bytes_max;
    let too_large = || Error::new(Code::TooLarge, format!("cannot accept body: it is over body_bytes_max, {max} bytes"));
    if announced.is_some_and(|len| len > max as u64) {
        return Err(too_large());
    }
    let mut chunks = body.into_data_stream();
    let Some(first) = chunks.next().await else { return Ok(Bytes::new()) };
    let broken = |source: axum::Error| Error::new(Code::Invalid, "cannot read body").because(source);
    let first = first.map_err(broken)?;
    share.grow_to(first.len())?;
    let mut whole: Option<BytesMut> = None;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(broken)?;
        let whole = whole.get_or_insert_with(|| BytesMut::from(first.as_ref()));
        if whole.len() + chunk.len() > max {
            return Err(too_large());
        }
        share.grow_to(whole.len() + chunk.len())?;
        whole.extend_from_slice(&chunk);
    }
    let whole = whole.map_or(first, BytesMut::freeze);
    if whole.len() > max { Err(too_large()) } else { Ok(whole) }
}

fn unpack(body: Bytes, packing: Packing, limits: &ReceiveLimits, share: &mut Share) -> Result<Bytes> {
    let max = limits.decompressed_bytes_max;
    match packing {
        Packing::Identity if body.len() > max => Err(over(max)),
        Packing::Identity => Ok(body),
        // Several members are one body, as RFC 1952 has it; bytes after the last member that begin no member are refused.
        Packing::Gzip => copy(flate2::bufread::MultiGzDecoder::new(&body[..]), "gzip", body.len(), max, share),
        Packing::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(&body[..]).map_err(|source| unreadable("zstd", source))?;
            copy(decoder, "zstd", body.len(), max, share)
        }
        Packing::Snappy => unpack_snappy(&body, max, share),
    }
}

fn unpack_snappy(body: &[u8], max: usize, share: &mut Share) -> Result<Bytes> {
    let len = snap::raw::decompress_len(body).map_err(|source| unreadable("snappy", source))?;
    if len > max {
        return Err(over(max));
    }
    // A block cannot grow more than 64 bytes out of 3: a header that promises more lies, and must not get the memory.
    if len / 22 > body.len() {
        return Err(Error::invalid("cannot decompress snappy body: its header promises more bytes than its blocks can hold"));
    }
    share.grow_to(body.len() + len)?;
    let unpacked = snap::raw::Decoder::new().decompress_vec(body).map_err(|source| unreadable("snappy", source))?;
    Ok(unpacked.into())
}

fn copy(mut decoder: impl Read, name: &str, packed_len: usize, max: usize, share: &mut Share) -> Result<Bytes> {
    const STEP_BYTES: usize = 1 << 20;
    let mut unpacked = Vec::with_capacity(packed_len.saturating_mul(4).min(STEP_BYTES));
    loop {
        // At the limit one byte is asked for, to learn whether there is more.
        let step = STEP_BYTES.min(max - unpacked.len()).max(1);
        share.grow_to(packed_len + unpacked.len() + step)?;
        let taken = decoder.by_ref().take(step as u64).read_to_end(&mut unpacked).map_err(|source| unreadable(name, source))?;
        if unpacked.len() > max {
            return Err(over(max));
        }
        if taken == 0 {
            return Ok(unpacked.into());
        }
    }
}

fn over(max: usize) -> Error {
    Error::new(Code::TooLarge, format!("cannot accept body: decompressed it is over decompressed_bytes_max, {max} bytes"))
}

fn unreadable(name: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::invalid(format!("cannot decompress {name} body")).because(source)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn check(body: Vec<u8>, packing: Packing, max: usize) -> Result<Bytes, (Code, String)> {
        let limits = ReceiveLimits { decompressed_bytes_max: max, ..ReceiveLimits::default() };
        let mut share = Budget::new(&limits).share();
        unpack(body.into(), packing, &limits, &mut share).map_err(|error| (error.code, error.chain()))
    }

    #[test]
    fn the_budget_is_shared_by_all_requests_and_comes_back() {
        let limits = ReceiveLimits { inflight_bytes_max: 10 << 10, ..ReceiveLimits::default() };
        let budget = Budget::new(&limits);
        let (mut first, mut second) = (budget.share(), budget.share());
        first.grow_to(6 << 10).expect("free");
        first.grow_to(5 << 10).expect("held already");
        second.grow_to(4 << 10).expect("free");
        let code = |grown: Result<()>| grown.expect_err("no room").code;
        assert_eq!(code(second.grow_to((4 << 10) + 1)), Code::Overloaded { retry_after_seconds: 1 });
        assert_eq!(code(second.grow_to(11 << 10)), Code::TooLarge);
        drop(first);
        second.grow_to(10 << 10).expect("given back");

        // A bomb is stopped by the budget as well, while it is unpacked.
        drop(second);
        let bomb = gzip(&vec![0; 8 << 20]);
        let refused = unpack(bomb.into(), Packing::Gzip, &limits, &mut budget.share()).expect_err("over the budget");
        assert_eq!(refused.code, Code::TooLarge);
        assert_eq!(budget.free.available_permits(), 10);
    }

    #[tokio::test]
    async fn a_sender_that_does_not_go_on_is_not_waited_for() {
        let limits = ReceiveLimits::default();
        let begun = futures::stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"x")) });
        let body = Body::from_stream(begun.chain(futures::stream::pending()));
        let mut share = Budget::new(&limits).share();
        let read = in_time(Duration::from_millis(5), read_all(body, Some(2), &limits, &mut share));
        let error = read.await.expect_err("too slow");
        assert_eq!((error.code, error.what.as_str()), (Code::Timeout, "cannot accept body: it took over 5ms to come"));
    }

    #[test]
    fn every_packing_comes_back_and_stops_at_the_limit() {
        let text = b"the same again and again ".repeat(100);
        let packed = [
            (Packing::Identity, text.clone()),
            (Packing::Gzip, gzip(&text)),
            (Packing::Zstd, zstd::encode_all(&text[..], 1).expect("memory")),
            (Packing::Snappy, snap::raw::Encoder::new().compress_vec(&text).expect("memory")),
        ];
        for (packing, body) in packed {
            assert_eq!(check(body.clone(), packing, text.len()).expect("at the limit"), text);
            let (code, what) = check(body.clone(), packing, text.len() - 1).expect_err("over the limit");
            assert_eq!(code, Code::TooLarge);
            assert!(what.contains("decompressed_bytes_max"), "{what}");
            if packing != Packing::Identity {
                assert_eq!(check(body[..body.len() / 2].to_vec(), packing, text.len()).expect_err("cut off").0, Code::Invalid);
            }
        }
    }

    #[test]
    fn gzip_members_join_and_garbage_after_them_is_refused() {
        let two = [gzip(b"one"), gzip(b"two")].concat();
        assert_eq!(check(two, Packing::Gzip, 100).expect("two members"), "onetwo");
        let trailing = [gzip(b"one"), b"garbage".to_vec()].concat();
        assert_eq!(check(trailing, Packing::Gzip, 100).expect_err("garbage").0, Code::Invalid);
    }

    #[test]
    fn a_snappy_header_that_lies_gets_no_memory() {
        let (code, what) = check(vec![0xff, 0xff, 0xff, 0x7f, 0, b'x'], Packing::Snappy, usize::MAX).expect_err("a lie");
        assert_eq!((code, what.contains("promises")), (Code::Invalid, true));
    }
}
