//! Tempo's gRPC service `StreamingQuerier`, on the port of its HTTP API, where Grafana looks for it.
//!
//! A call is the HTTP API's question in another dress: the same handler answers it, and what it answers is read into the call's
//! message (`messages.rs`), whose JSON it is. So both say the same. Refused: a second reading of every parameter beside the first.
//!
//! A search is asked for the newest part of its time first, then for more, then for all of it. Between, only traces that are new or
//! have changed are sent; the last message has all of them.
//! Sources: <https://grafana.com/docs/tempo/latest/api_docs/#tempo-grpc-api>,
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

use std::collections::HashMap;
use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::post;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use http_body_util::StreamBody;
use hyper::body::Frame;
use model::{Code, Error};
use prost::Message;
use serde::de::DeserializeOwned;
use tower::ServiceExt as _;

use super::RECENT_NS;
use super::messages::{
    QueryInstantRequest, QueryInstantResponse, QueryRangeRequest, QueryRangeResponse, SearchMetrics, SearchRequest, SearchResponse,
    SearchTagValuesRequest, SearchTagValuesResponse, SearchTagValuesV2Response, SearchTagsRequest, SearchTagsResponse,
    SearchTagsV2Response,
};
use crate::params;
use crate::state::{Shared, now_ns};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// Of a request: a query is as long as its author can write.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// What stands before a message: whether it is packed, and its length.
const PREFIX_BYTES: usize = 5;

/// Of the root: Grafana takes only host and port from the data source's address.
pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/tempopb.StreamingQuerier/{method}", post(call))
}

/// How a call ends: a code of gRPC and what to say.
#[derive(Clone, Debug)]
struct Ended {
    code: u8,
    message: String,
}

impl Ended {
    const OK: u8 = 0;
    const INVALID: u8 = 3;
    const UNIMPLEMENTED: u8 = 12;
    const INTERNAL: u8 = 13;

    fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// An answer that is none, by the status of HTTP that the API has for it.
    fn of(status: StatusCode, message: String) -> Self {
        let code = match status {
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Self::INVALID,
            StatusCode::NOT_FOUND => 5,
            StatusCode::UNAUTHORIZED => 16,
            StatusCode::FORBIDDEN => 7,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::UNPROCESSABLE_ENTITY => 8,
            StatusCode::NOT_IMPLEMENTED => Self::UNIMPLEMENTED,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => 14,
            _ => Self::INTERNAL,
        };
        Self::new(code, message)
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::from_iter([(STATUS, HeaderValue::from(u16::from(self.code)))]);
        if !self.message.is_empty() {
            let mut encoded = String::new();
            for byte in self.message.bytes() {
                match byte {
                    b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
                    _ => encoded.push_str(&format!("%{byte:02X}")),
                }
            }
            headers.insert(MESSAGE, HeaderValue::from_str(&encoded).expect("what is no ASCII is encoded"));
        }
        headers
    }
}

type Messages = BoxStream<'static, Result<Bytes, Ended>>;

async fn call(State(state): State<Shared>, method: Result<Path<String>, PathRejection>, request: Request) -> Response {
    let messages = match answers(state, method, request).await {
        Ok(messages) => messages,
        Err(ended) => stream::once(std::future::ready(Err(ended))).boxed(),
    };
    let mut response = Response::new(Body::new(StreamBody::new(frames(messages))));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

async fn answers(state: Shared, method: Result<Path<String>, PathRejection>, request: Request) -> Result<Messages, Ended> {
    let wrong = |error: Error| match error.code {
        Code::TooLarge => Ended::new(8, error.chain()),
        _ => Ended::new(Ended::INVALID, error.chain()),
    };
    let method = params::path(method).map_err(wrong)?;
    let body = params::read_body(request, "grpc_request_bytes_max", REQUEST_BYTES_MAX).await.map_err(wrong)?;
    let message = unframed(&body)?;
    match method.as_str() {
        "Search" => Ok(search(state, read(message)?).boxed()),
        "SearchTags" => one::<SearchTagsResponse>(state, tags("/search/tags", &read(message)?)),
        "SearchTagsV2" => one::<SearchTagsV2Response>(state, tags("/v2/search/tags", &read(message)?)),
        "SearchTagValues" => one::<SearchTagValuesResponse>(state, values("/search/tag", &read(message)?)),
        "SearchTagValuesV2" => one::<SearchTagValuesV2Response>(state, values("/v2/search/tag", &read(message)?)),
        "MetricsQueryRange" => one::<QueryRangeResponse>(state, query_range(&read(message)?)),
        "MetricsQueryInstant" => one::<QueryInstantResponse>(state, query_instant(&read(message)?)),
        other => Err(Ended::new(Ended::UNIMPLEMENTED, format!("cannot find method {other} of tempopb.StreamingQuerier"))),
    }
}

/// The one message of a call.
fn unframed(body: &[u8]) -> Result<&[u8], Ended> {
    let wrong = |why: &str| Ended::new(Ended::INVALID, format!("cannot read gRPC message: {why}"));
    let Some((&[packed, a, b, c, d], message)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(wrong("the call holds none"));
    };
    if packed != 0 {
        return Err(Ended::new(Ended::UNIMPLEMENTED, "cannot read packed messages: send them as they are"));
    }
    match u32::from_be_bytes([a, b, c, d]) as usize == message.len() {
        true => Ok(message),
        false => Err(wrong("its length is not what stands before it, or there are several")),
    }
}

fn read<M: Message + Default>(message: &[u8]) -> Result<M, Ended> {
    M::decode(message).map_err(|source| Ended::new(Ended::INVALID, format!("cannot read gRPC message: {source}")))
}

/// Messages with what stands before each, and behind the last how the call ended.
fn frames(messages: Messages) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
    stream::unfold(Some(messages), |messages| async {
        let mut messages = messages?;
        Some(match messages.next().await {
            Some(Ok(message)) => (Ok(Frame::data(message)), Some(messages)),
            Some(Err(ended)) => (Ok(Frame::trailers(ended.headers())), None),
            None => (Ok(Frame::trailers(Ended::new(Ended::OK, "").headers())), None),
        })
    })
}

fn framed(message: &impl Message) -> Bytes {
    let len = message.encoded_len();
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + len);
    out.put_u8(0);
    out.put_u32(u32::try_from(len).expect("the limits of queries end answers long before"));
    message.encode(&mut out).expect("there is room");
    out.freeze()
}

/// Asks the HTTP API.
async fn ask<M: DeserializeOwned>(state: &Shared, question: Uri) -> Result<M, Ended> {
    let request = Request::builder().uri(question).body(Body::empty()).expect("an address makes a request");
    let response = super::routes().with_state(state.clone()).oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = response.status();
    let failed = |source: String| Ended::new(Ended::INTERNAL, format!("cannot read the answer: {source}"));
    let body =
        axum::body::to_bytes(response.into_body(), state.limits.memory_bytes_max).await.map_err(|source| failed(source.to_string()))?;
    if status != StatusCode::OK {
        return Err(Ended::of(status, String::from_utf8_lossy(&body).into_owned()));
    }
    serde_json::from_slice(&body).map_err(|source| failed(source.to_string()))
}

/// A call of one message.
fn one<M: Message + DeserializeOwned + 'static>(state: Shared, question: Uri) -> Result<Messages, Ended> {
    Ok(stream::once(async move { ask::<M>(&state, question).await.map(|answer| framed(&answer)) }).boxed())
}

/// A path of the HTTP API and its parameters; empty ones and zeros are not said.
fn question(path: &str, parameters: &[(&str, String)]) -> Uri {
    let mut out = path.to_owned();
    let said = parameters.iter().filter(|(_, value)| !matches!(value.as_str(), "" | "0"));
    for (index, (name, value)) in said.enumerate() {
        out.push_str(if index == 0 { "?" } else { "&" });
        out.push_str(&format!("{name}={}", encoded(value)));
    }
    out.parse().expect("what may not stand in an address is encoded")
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn tags(path: &str, asked: &SearchTagsRequest) -> Uri {
    let SearchTagsRequest { scope, query, start, end, max_tags_per_scope } = asked;
    let parameters = [
        ("scope", scope.clone()),
        ("q", query.clone()),
        ("start", start.to_string()),
        ("end", end.to_string()),
        ("limit", max_tags_per_scope.to_string()),
    ];
    question(path, &parameters)
}

fn values(path: &str, asked: &SearchTagValuesRequest) -> Uri {
    let SearchTagValuesRequest { tag_name, query, start, end, max_tag_values } = asked;
    let parameters = [("q", query.clone()), ("start", start.to_string()), ("end", end.to_string()), ("limit", max_tag_values.to_string())];
    question(&format!("{path}/{}/values", encoded(tag_name)), &parameters)
}

/// Times are nanoseconds in these two.
fn query_range(asked: &QueryRangeRequest) -> Uri {
    let QueryRangeRequest { query, start, end, step, exemplars, max_series } = asked;
    let step = if *step == 0 { String::new() } else { format!("{step}ns") };
    let parameters = [
        ("q", query.clone()),
        ("start", start.to_string()),
        ("end", end.to_string()),
        ("step", step),
        ("exemplars", exemplars.to_string()),
        ("maxSeries", max_series.to_string()),
    ];
    question("/metrics/query_range", &parameters)
}

fn query_instant(asked: &QueryInstantRequest) -> Uri {
    let QueryInstantRequest { query, start, end } = asked;
    question("/metrics/query", &[("q", query.clone()), ("start", start.to_string()), ("end", end.to_string())])
}

/// The parts of its time that a search is asked for, one after the other.
fn search(state: Shared, asked: SearchRequest) -> impl Stream<Item = Result<Bytes, Ended>> {
    let steps = steps(&asked);
    let sent = Sent { steps: steps.clone(), ..Sent::default() };
    stream::unfold((sent, steps.into_iter(), false), move |(mut sent, mut steps, ended)| {
        let (state, asked) = (state.clone(), asked.clone());
        async move {
            let (start, end) = if ended { None } else { steps.next() }?;
            match ask::<SearchResponse>(&state, search_question(&asked, start, end)).await {
                Ok(found) => {
                    let (message, last) = sent.next(found, &asked);
                    Some((Ok(framed(&message)), (sent, steps, last)))
                }
                Err(failed) => Some((Err(failed), (sent, steps, true))),
            }
        }
    })
}

/// The newest sixty-fourth, eighth and all of the time, in seconds.
fn steps(asked: &SearchRequest) -> Vec<(i64, i64)> {
    const SECOND_NS: i64 = 1_000_000_000;
    let end = if asked.end == 0 { now_ns() / SECOND_NS } else { i64::from(asked.end) };
    let start = if asked.start == 0 { end.saturating_sub(RECENT_NS / SECOND_NS) } else { i64::from(asked.start) };
    let parts = [64, 8, 1].map(|part| (end.saturating_sub(end.saturating_sub(start) / part), end));
    let mut steps: Vec<_> = parts.into_iter().filter(|step| *step == (start, end) || step.0 < step.1 && step.0 > start).collect();
    steps.dedup();
    // Tempo itself says what is wrong with a time that ends before it starts.
    if steps.is_empty() { vec![(start, end)] } else { steps }
}

fn search_question(asked: &SearchRequest, start: i64, end: i64) -> Uri {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let tags: Vec<_> = asked.tags.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    let millis = |millis: u32| if millis == 0 { String::new() } else { format!("{millis}ms") };
    let parameters = [
        ("q", asked.query.clone()),
        ("tags", tags.join(" ")),
        ("minDuration", millis(asked.min_duration_ms)),
        ("maxDuration", millis(asked.max_duration_ms)),
        ("limit", asked.limit.to_string()),
        ("start", start.to_string()),
        ("end", end.to_string()),
        ("spss", asked.spans_per_span_set.to_string()),
    ];
    question("/search", &parameters)
}

/// What a client was told of a search.
#[derive(Default)]
struct Sent {
    steps: Vec<(i64, i64)>,
    done: usize,
    traces: HashMap<String, Vec<u8>>,
}

impl Sent {
    /// The next message, and whether it is the last: also when the newest part alone has as many traces as are wanted.
    fn next(&mut self, mut found: SearchResponse, asked: &SearchRequest) -> (SearchResponse, bool) {
        const LIMIT_DEFAULT: usize = 20;
        self.done += 1;
        let limit = if asked.limit == 0 { LIMIT_DEFAULT } else { asked.limit as usize };
        let last = self.done == self.steps.len() || found.traces.len() >= limit;
        if !last {
            found.traces.retain(|trace| {
                let encoded = trace.encode_to_vec();
                self.traces.insert(trace.trace_id.clone(), encoded.clone()).is_none_or(|before| before != encoded)
            });
        }
        let jobs = |jobs: usize| u32::try_from(jobs).unwrap_or(u32::MAX);
        let (total_jobs, completed_jobs) = (jobs(self.steps.len()), jobs(if last { self.steps.len() } else { self.done }));
        found.metrics = Some(SearchMetrics { total_jobs, completed_jobs, ..found.metrics.unwrap_or_default() });
        (found, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tempo::messages::TraceFound;

    #[test]
    fn a_search_begins_with_what_is_newest() {
        let steps = |start, end| steps(&SearchRequest { start, end, ..SearchRequest::default() });
        assert_eq!(steps(1000, 1640), [(1630, 1640), (1560, 1640), (1000, 1640)]);
        assert_eq!(steps(1000, 1010), [(1009, 1010), (1000, 1010)]);
        assert_eq!(steps(1000, 1000), [(1000, 1000)]);
        assert_eq!(steps(9, 3), [(9, 3)]);
        let open = steps(0, 0);
        assert_eq!(open.len(), 3);
        assert!(open.iter().all(|step| step.1 == open[0].1) && open[2].0 == open[2].1 - 6 * 3600);
    }

    #[test]
    fn only_what_is_new_is_sent_until_all_is() {
        let asked = SearchRequest { limit: 3, ..SearchRequest::default() };
        let mut sent = Sent { steps: vec![(3, 4), (2, 4), (1, 4)], ..Sent::default() };
        let found = |traces: &[(&str, u32)]| {
            let trace = |(id, duration_ms): &(&str, u32)| TraceFound {
                trace_id: (*id).to_owned(),
                duration_ms: *duration_ms,
                ..TraceFound::default()
            };
            SearchResponse { traces: traces.iter().map(trace).collect(), metrics: None }
        };
        let mut next = |traces: &[(&str, u32)]| {
            let (message, last) = sent.next(found(traces), &asked);
            let jobs = message.metrics.clone().unwrap_or_default();
            (message.traces.iter().map(|trace| trace.trace_id.clone()).collect::<String>(), jobs.completed_jobs, last)
        };
        assert_eq!(next(&[("a", 1)]), ("a".to_owned(), 1, false));
        assert_eq!(next(&[("a", 1), ("b", 1)]), ("b".to_owned(), 2, false));
        assert_eq!(next(&[("a", 2), ("b", 1)]), ("ab".to_owned(), 3, true));
        let mut sent = Sent { steps: vec![(3, 4), (2, 4), (1, 4)], ..Sent::default() };
        assert!(sent.next(found(&[("a", 1), ("b", 1), ("c", 1)]), &asked).1, "as many as wanted");
    }

    #[test]
    fn questions_are_addresses() {
        let asked =
            SearchTagValuesRequest {
                tag_name: "span.a/b c".to_owned(), query: "{ a = \"é\" }".to_owned(), start: 1, ..Default::default()
            };
        assert_eq!(values("/v2/search/tag", &asked), "/v2/search/tag/span.a%2Fb%20c/values?q=%7B%20a%20%3D%20%22%C3%A9%22%20%7D&start=1");
        let ended = Ended::new(Ended::INVALID, "100 % é").headers();
        assert_eq!(ended[MESSAGE], "100 %25 %C3%A9");
    }
}
