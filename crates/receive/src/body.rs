//! Reads a request's body within the named limits, and unpacks it.
//!
//! A body is refused by its length before it is read, by its size while it is read, and by its unpacked size while it
//! is unpacked: a bomb never takes more memory than `decompressed_bytes_max`.

use std::io::Read;

use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName};
use model::{Code, Error, ReceiveLimits, Result};

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

/// Reads the body of a request and unpacks it as its `Content-Encoding` says, or as `default` when it says nothing; also
/// answers how many bytes came. `accepted` are the packings of the protocol.
pub(crate) async fn receive(request: Request, default: Packing, accepted: &[Packing], limits: &ReceiveLimits) -> (usize, Result<Bytes>) {
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
    match read(body, announced, limits).await {
        Ok(body) => (body.len(), off_loop(body.len(), limits.clone(), move |limits| unpack(body, packing, limits)).await),
        Err(error) => (0, Err(error)),
    }
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

/// Bodies over this are unpacked and decoded on a thread that may block: the event loop serves everybody.
const INLINE_BYTES_MAX: usize = 256 << 10;

/// Runs `work` here when it is about few bytes, else on a blocking thread.
pub(crate) async fn off_loop<S: Send + 'static, T: Send + 'static>(
    bytes: usize,
    state: S,
    work: impl FnOnce(&S) -> Result<T> + Send + 'static,
) -> Result<T> {
    if bytes <= INLINE_BYTES_MAX {
        return work(&state);
    }
    let done = tokio::task::spawn_blocking(move || work(&state)).await;
    done.unwrap_or_else(|source| Err(Error::internal("cannot finish decoding").because(source)))
}

/// Reads the whole body, up to `body_bytes_max`.
async fn read(body: Body, announced: Option<u64>, limits: &ReceiveLimits) -> Result<Bytes> {
    let max = limits.body_bytes_max;
    let too_large = || Error::new(Code::TooLarge, format!("cannot accept body: it is over body_bytes_max, {max} bytes"));
    if announced.is_some_and(|len| len > max as u64) {
        return Err(too_large());
    }
    let mut chunks = body.into_data_stream();
    let Some(first) = chunks.next().await else { return Ok(Bytes::new()) };
    let broken = |source: axum::Error| Error::new(Code::Invalid, "cannot read body").because(source);
    let first = first.map_err(broken)?;
    let mut whole: Option<BytesMut> = None;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(broken)?;
        let whole = whole.get_or_insert_with(|| BytesMut::from(first.as_ref()));
        if whole.len() + chunk.len() > max {
            return Err(too_large());
        }
        whole.extend_from_slice(&chunk);
    }
    let whole = whole.map_or(first, BytesMut::freeze);
    if whole.len() > max { Err(too_large()) } else { Ok(whole) }
}

fn unpack(body: Bytes, packing: Packing, limits: &ReceiveLimits) -> Result<Bytes> {
    let max = limits.decompressed_bytes_max;
    match packing {
        Packing::Identity if body.len() > max => Err(over(max)),
        Packing::Identity => Ok(body),
        Packing::Gzip => unpack_gzip(&body, max),
        Packing::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(&body[..]).map_err(|source| unreadable("zstd", source))?;
            copy(decoder, "zstd", body.len(), max)
        }
        Packing::Snappy => unpack_snappy(&body, max),
    }
}

/// Several members are one body, as RFC 1952 has it; bytes after the last member that begin no member are refused.
fn unpack_gzip(body: &[u8], max: usize) -> Result<Bytes> {
    copy(flate2::bufread::MultiGzDecoder::new(body), "gzip", body.len(), max)
}

fn unpack_snappy(body: &[u8], max: usize) -> Result<Bytes> {
    let len = snap::raw::decompress_len(body).map_err(|source| unreadable("snappy", source))?;
    if len > max {
        return Err(over(max));
    }
    // A block cannot grow more than 64 bytes out of 3: a header that promises more lies, and must not get the memory.
    if len / 22 > body.len() {
        return Err(Error::invalid("cannot decompress snappy body: its header promises more bytes than its blocks can hold"));
    }
    let unpacked = snap::raw::Decoder::new().decompress_vec(body).map_err(|source| unreadable("snappy", source))?;
    Ok(unpacked.into())
}

fn copy(decoder: impl Read, name: &str, packed_len: usize, max: usize) -> Result<Bytes> {
    let mut unpacked = Vec::with_capacity(packed_len.saturating_mul(4).min(max));
    decoder.take(max as u64 + 1).read_to_end(&mut unpacked).map_err(|source| unreadable(name, source))?;
    if unpacked.len() > max { Err(over(max)) } else { Ok(unpacked.into()) }
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
        unpack(body.into(), packing, &limits).map_err(|error| (error.code, error.chain()))
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
