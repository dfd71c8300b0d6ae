//! Remote read: other stores and Prometheus read samples as they are stored, in one of two forms.
//! Source: <https://prometheus.io/docs/specs/prw/remote_read_api/>.
//!
//! `messages.rs` has the messages; `floats.rs` and `histograms.rs` write chunks in Prometheus's encodings over `bits.rs`.

mod bits;
mod floats;
mod histograms;
mod messages;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use http::header::CONTENT_ENCODING;
use http::{HeaderValue, StatusCode};
use model::{Answered, Ask, Code, Error, Labels, MatchOp, Matcher, RangeSeries, Result};
use prost::Message;
use tokio::time::Instant;

use self::messages::{
    Chunk, ChunkedReadResponse, ChunkedSeries, Label, LabelMatcher, Query, QueryResult, ReadRequest, ReadResponse, SAMPLES,
    STREAMED_XOR_CHUNKS, Sample, TimeSeries,
};
use crate::error::{PlainFailure, mismatch};
use crate::params::read_body;
use crate::respond;
use crate::state::{Shared, within};

/// Of a request's body, as it comes and unpacked.
const REQUEST_BYTES_MAX: usize = 32 << 20;

/// Questions of one request; Prometheus sends one.
const QUERIES_MAX: usize = 64;

/// Of unknown forms of an answer, in the error: a body may name millions.
const TYPES_SHOWN: usize = 8;

/// Of the chunks of one frame, as in Prometheus. A series that has more is sent in several.
const FRAME_BYTES_MAX: usize = 1 << 20;

pub(super) async fn read(State(state): State<Shared>, request: Request) -> Response {
    match answer(state, request).await {
        Ok(response) => response,
        // Prometheus answers 400 to a question over its limit of samples, and its client tells it from a fault by that.
        Err(error) if error.code == Code::LimitExceeded => respond::plain(StatusCode::BAD_REQUEST, error.chain()),
        Err(error) => PlainFailure::from(error).into_response(),
    }
}

async fn answer(state: Shared, request: Request) -> Result<Response> {
    let body = read_body(request, "read_request_bytes_max", REQUEST_BYTES_MAX).await?;
    match decode_remote_read(&body)? {
        (asks, true) => streamed(state, asks).await,
        (asks, false) => samples(&state, asks).await,
    }
}

/// What a request's body asks, and whether its answer is to be streamed in chunks.
pub fn decode_remote_read(body: &[u8]) -> Result<(Vec<Ask>, bool)> {
    let request = decode(body)?;
    let chunked = negotiate(&request.accepted_response_types)?;
    if request.queries.len() > QUERIES_MAX {
        let count = request.queries.len();
        return Err(Error::invalid(format!("cannot answer {count} queries of one request: they are more than queries_max, {QUERIES_MAX}")));
    }
    let asks = request.queries.into_iter().map(ask).collect::<Result<_>>()?;
    Ok((asks, chunked))
}

fn decode(body: &[u8]) -> Result<ReadRequest> {
    let broken = |why: String| Error::invalid("cannot decode a remote read request").because(why);
    let length = snap::raw::decompress_len(body).map_err(|error| broken(error.to_string()))?;
    if length > REQUEST_BYTES_MAX {
        return Err(broken(format!("snappy: decoded length {length} exceeds limit {REQUEST_BYTES_MAX}")));
    }
    let unpacked = snap::raw::Decoder::new().decompress_vec(body).map_err(|error| broken(error.to_string()))?;
    ReadRequest::decode(unpacked.as_slice()).map_err(|error| broken(error.to_string()))
}

/// Whether chunks are streamed; who names no form gets samples.
fn negotiate(accepted: &[i32]) -> Result<bool> {
    match accepted.iter().find(|form| [SAMPLES, STREAMED_XOR_CHUNKS].contains(form)) {
        Some(form) => Ok(*form == STREAMED_XOR_CHUNKS),
        None if accepted.is_empty() => Ok(false),
        None => Err(Error::invalid(format!(
            "server does not support any of the requested response types: {:?}{}; supported: SAMPLES, STREAMED_XOR_CHUNKS",
            &accepted[..accepted.len().min(TYPES_SHOWN)],
            if accepted.len() > TYPES_SHOWN { " and more" } else { "" }
        ))),
    }
}

/// Hints may narrow the time that is asked for; the rest of them is about what the asker does with the samples.
fn ask(query: Query) -> Result<Ask> {
    let matchers = query.matchers.into_iter().map(matcher).collect::<Result<Vec<_>>>()?;
    let (mut first_ms, mut last_ms) = (query.start_timestamp_ms, query.end_timestamp_ms);
    if let Some(hints) = query.hints.filter(|hints| hints.end_ms != 0) {
        (first_ms, last_ms) = (first_ms.max(hints.start_ms), last_ms.min(hints.end_ms));
    }
    Ok(Ask::Samples { matchers, first_ms, last_ms })
}

fn matcher(found: LabelMatcher) -> Result<Matcher> {
    let op = match found.op {
        0 => MatchOp::Equal,
        1 => MatchOp::NotEqual,
        2 => MatchOp::Regex,
        3 => MatchOp::NotRegex,
        other => return Err(Error::invalid(format!("cannot use a matcher of type {other}: 0 to 3 are defined"))),
    };
    Ok(Matcher::new(found.name, op, found.value))
}

async fn series(state: &Shared, ask: Ask) -> Result<Vec<RangeSeries>> {
    match state.ask(ask, None).await?.data {
        Answered::Matrix(series) => Ok(series),
        _ => Err(mismatch("samples")),
    }
}

/// One packed message.
async fn samples(state: &Shared, asks: Vec<Ask>) -> Result<Response> {
    let all = async {
        let mut results = Vec::with_capacity(asks.len());
        for ask in asks {
            let timeseries = series(state, ask).await?.into_iter().map(time_series).collect();
            results.push(QueryResult { timeseries });
        }
        Ok(ReadResponse { results })
    };
    let response = within(state.limits.timeout, all).await?;
    let packed = tokio::task::spawn_blocking(move || {
        let plain = response.encode_to_vec();
        drop(response);
        snap::raw::Encoder::new().compress_vec(&plain)
    });
    let packed = packed.await.map_err(|panic| Error::internal("cannot pack samples").because(panic))?;
    let packed = packed.map_err(|error| Error::new(Code::LimitExceeded, "cannot pack so many samples into one message").because(error))?;
    let mut response = respond::typed(StatusCode::OK, "application/x-protobuf", packed);
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
    Ok(response)
}

fn time_series(series: RangeSeries) -> TimeSeries {
    TimeSeries {
        labels: labels(&series.labels),
        samples: series.floats.iter().map(|&(timestamp, value)| Sample { value, timestamp }).collect(),
        histograms: series.histograms.iter().map(|(at, found)| histograms::message(*at, found)).collect(),
    }
}

fn labels(labels: &Labels) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() }).collect()
}

/// A frame a series, or several for a large one, written as the socket takes them.
async fn streamed(state: Shared, asks: Vec<Ask>) -> Result<Response> {
    const TYPE: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    let deadline = Instant::now() + state.limits.timeout;
    let mut asks = asks.into_iter().enumerate();
    // What fails before the first frame still gets a status of its own.
    let first = match asks.next() {
        Some((index, ask)) => Some((index, series(&state, ask).await?)),
        None => None,
    };
    let state = Arc::clone(&state);
    let later = futures::stream::iter(asks).then(move |(index, ask)| {
        let state = Arc::clone(&state);
        async move { Ok((index, series(&state, ask).await?)) }
    });
    let results = futures::stream::iter(first.map(Ok)).chain(later);
    let frames = results.flat_map(|result| match result {
        Ok((index, all)) => futures::stream::iter(all.into_iter().flat_map(move |series| frames(index, &series)).map(Ok)).left_stream(),
        Err(error) => futures::stream::iter([Err(error)]).right_stream(),
    });
    Ok(respond::typed(StatusCode::OK, TYPE, respond::pumped(frames, deadline)))
}

/// The frames of one series, each with its length and checksum before it.
fn frames(query: usize, series: &RangeSeries) -> Vec<Bytes> {
    let labels = labels(&series.labels);
    let mut frames = Vec::new();
    let (mut chunks, mut bytes) = (Vec::new(), 0);
    let mut all = chunks_of(series).into_iter().peekable();
    while let Some(chunk) = all.next() {
        bytes += chunk.data.len();
        chunks.push(chunk);
        if bytes >= FRAME_BYTES_MAX || all.peek().is_none() {
            let one = ChunkedSeries { labels: labels.clone(), chunks: std::mem::take(&mut chunks) };
            frames.push(frame(&ChunkedReadResponse { chunked_series: vec![one], query_index: query as i64 }));
            bytes = 0;
        }
    }
    frames
}

/// In order of their first times; those of floats and of histograms may overlap.
fn chunks_of(series: &RangeSeries) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = series.floats.chunks(floats::SAMPLES_MAX).map(floats::chunk).collect();
    chunks.extend(histograms::chunks(&series.histograms));
    chunks.sort_by_key(|chunk| chunk.min_time_ms);
    chunks
}

fn frame(response: &ChunkedReadResponse) -> Bytes {
    let message = response.encode_to_vec();
    let mut frame = Vec::with_capacity(message.len() + 14);
    prost::encoding::encode_varint(message.len() as u64, &mut frame);
    frame.extend_from_slice(&crc32c::crc32c(&message).to_be_bytes());
    frame.extend_from_slice(&message);
    Bytes::from(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_sentence_however_much_was_asked() {
        assert!(negotiate(&[]).is_ok_and(|chunked| !chunked) && negotiate(&[7, STREAMED_XOR_CHUNKS, SAMPLES]).is_ok_and(|chunked| chunked));
        let told = |count| negotiate(&vec![7; count]).unwrap_err().what;
        assert!(told(8).contains("types: [7, 7, 7, 7, 7, 7, 7, 7]; supported: SAMPLES"), "{}", told(8));
        assert!(told(100_000).contains("7, 7] and more; supported: SAMPLES") && told(100_000).len() < 200, "{}", told(100_000));
    }
}
