//! One trace by its id.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use model::{Answer, Answered, Ask, Code, Error, Result, TimeRange};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, TracesData};
use prost::Message;

use super::{Failure, otlp, range, trace_id, write};
use crate::error::mismatch;
use crate::params::{self, Params};
use crate::state::{PresentState, Shared};
use crate::{json, respond};

/// A trace in OTLP's form, or as much of it as the limits let through.
struct Found {
    spans: Vec<ResourceSpans>,
    /// What is missing, where something is.
    partial: Option<String>,
    bytes_scanned: u64,
}

impl PresentState {
    /// An error when there is none of it.
    async fn found(&self, trace_id: String, range: TimeRange) -> Result<Found> {
        let Answer { data: Answered::Spans(batches), warnings, stats, .. } = self.ask(Ask::Trace { trace_id, range }, None).await? else {
            return Err(mismatch("a trace"));
        };
        // Of a large trace this is seconds of work: the event loop serves everybody.
        let spans = tokio::task::spawn_blocking(move || otlp::resource_spans(batches))
            .await
            .map_err(|panic| Error::internal("cannot read a trace's rows").because(panic))??;
        if spans.is_empty() && warnings.is_empty() {
            return Err(Error::new(Code::NotFound, "trace not found"));
        }
        Ok(Found { spans, partial: warnings.into_iter().next(), bytes_scanned: stats.scan.bytes_scanned })
    }

    /// A whole trace; an error also when the limits cut it.
    pub(crate) async fn trace(&self, trace_id: String, range: TimeRange) -> Result<Vec<ResourceSpans>> {
        let found = self.found(trace_id, range).await?;
        match found.partial {
            None => Ok(found.spans),
            Some(why) => Err(Error::new(Code::LimitExceeded, "cannot give the whole trace").because(why)),
        }
    }
}

pub(super) async fn trace(
    State(state): State<Shared>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let protobuf = wants_protobuf(request.headers());
    let params = Params::read(request).await?;
    let trace = state.trace(trace_id(&params::path(id)?)?, range(&params)?).await?;
    // Tempo's `Trace` has its batches under the number of OTLP's `resource_spans`: the bytes are the same.
    Ok(match protobuf {
        true => respond::typed(StatusCode::OK, "application/protobuf", TracesData { resource_spans: trace }.encode_to_vec()),
        false => respond::joined("{\"batches\":[".to_owned(), trace, |out, spans| write::resource_spans(out, &spans), "]}".to_owned()),
    })
}

/// Tempo's `TraceByIDResponse`.
#[derive(Clone, PartialEq, Message)]
struct TraceById {
    #[prost(message, optional, tag = "1")]
    trace: Option<TracesData>,
    #[prost(message, optional, tag = "2")]
    metrics: Option<Metrics>,
    /// 0 complete, 1 partial.
    #[prost(int32, tag = "3")]
    status: i32,
    #[prost(string, tag = "4")]
    message: String,
}

#[derive(Clone, PartialEq, Message)]
struct Metrics {
    #[prost(uint64, tag = "1")]
    inspected_bytes: u64,
}

pub(super) async fn trace_v2(
    State(state): State<Shared>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let protobuf = wants_protobuf(request.headers());
    let params = Params::read(request).await?;
    let Found { spans, partial, bytes_scanned } = state.found(trace_id(&params::path(id)?)?, range(&params)?).await?;
    Ok(match protobuf {
        true => {
            let found = TraceById {
                trace: Some(TracesData { resource_spans: spans }),
                metrics: Some(Metrics { inspected_bytes: bytes_scanned }),
                status: i32::from(partial.is_some()),
                message: partial.unwrap_or_default(),
            };
            respond::typed(StatusCode::OK, "application/protobuf", found.encode_to_vec())
        }
        false => {
            let status = if partial.is_some() { "PARTIAL" } else { "COMPLETE" };
            let mut tail = format!("]}},\"metrics\":{{\"inspectedBytes\":\"{bytes_scanned}\"}},\"status\":\"{status}\"");
            if let Some(message) = partial {
                tail.push_str(",\"message\":");
                json::text(&mut tail, &message);
            }
            tail.push('}');
            let head = "{\"trace\":{\"resourceSpans\":[".to_owned();
            respond::joined(head, spans, |out, spans| write::resource_spans(out, &spans), tail)
        }
    })
}

fn wants_protobuf(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("application/protobuf")))
}
