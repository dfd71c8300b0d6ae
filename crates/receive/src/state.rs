//! What every listener holds: where batches go, the limits, the clock; and the one way from a decoded request to its answer.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::RecordBatch;
use bytes::Bytes;
use model::samples::SamplesView;
use model::{Ack, Code, Decoded, Error, Ingest, ReceiveLimits, Rejection, Result, Table};

use crate::body::off_loop;
use crate::otlp::DeltaState;
use crate::outcome::Rules;

/// Shared by all receivers; clones share the clock and the running sums of delta metrics.
#[derive(Clone)]
pub struct Receivers {
    pub ingest: Arc<dyn Ingest<Decoded>>,
    pub limits: Arc<ReceiveLimits>,
    /// Nanoseconds since the Unix epoch.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    pub deltas: Arc<DeltaState>,
}

impl Receivers {
    /// With the system's clock; set the fields for another.
    pub fn new(ingest: Arc<dyn Ingest<Decoded>>, limits: ReceiveLimits) -> Self {
        let clock = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        };
        Self { ingest, limits: Arc::new(limits), clock: Arc::new(clock), deltas: Arc::new(DeltaState::default()) }
    }

    fn rules(&self, protocol: &'static str) -> Rules<'_> {
        Rules { limits: &self.limits, now_unix_nano: (self.clock)(), protocol }
    }

    /// Decodes with the rules of this instant, off the event loop when the body is large.
    pub(crate) async fn decode(
        &self,
        protocol: &'static str,
        body: Bytes,
        decode: impl FnOnce(&[u8], &Rules<'_>, &DeltaState) -> Result<Decoded> + Send + 'static,
    ) -> Result<Decoded> {
        let bytes = body.len();
        let work = move |receivers: &Self| decode(&body, &receivers.rules(protocol), &receivers.deltas);
        off_loop(bytes, self.clone(), work).await
    }

    /// Hands the batch on, and answers when what was accepted is durable and queryable.
    pub(crate) async fn submit(&self, mut decoded: Decoded) -> Result<Ack> {
        let (protocol, signal) = (decoded.protocol, decoded.table.name());
        // Kept here: whoever ingests answers for what it refuses itself, and nothing is told twice or forgotten.
        let mut rejections = std::mem::take(&mut decoded.rejections);
        if decoded.records.num_rows() == 0 {
            return Ok(Ack { accepted_records: 0, rejections });
        }
        let records = records_in(decoded.table, &decoded.records)?;
        let ack = self.ingest.ingest(decoded).await?;
        metrics::counter!("tyto_receive_records_total", "protocol" => protocol, "signal" => signal).increment(records);
        rejections.extend(ack.rejections);
        Ok(Ack { accepted_records: ack.accepted_records, rejections })
    }
}

/// Log records and spans are rows; samples are counted by points.
fn records_in(table: Table, records: &RecordBatch) -> Result<u64> {
    if table != Table::Samples {
        return Ok(records.num_rows() as u64);
    }
    let view = SamplesView::of(records)?;
    (0..records.num_rows()).map(|row| Ok(view.timestamps(row)?.len() as u64)).sum()
}

/// Counts a finished request.
pub(crate) fn count_request(protocol: &'static str, code: impl ToString, body_bytes: usize) {
    metrics::counter!("tyto_receive_requests_total", "protocol" => protocol, "code" => code.to_string()).increment(1);
    metrics::counter!("tyto_receive_bytes_total", "protocol" => protocol).increment(body_bytes as u64);
}

/// Refused records, and one line that says what and why.
pub(crate) fn summary(rejections: &[Rejection]) -> (u64, String) {
    /// Enough to see the pattern; the counters hold the rest.
    const SHOWN_MAX: usize = 5;
    let mut text = String::new();
    for rejection in rejections.iter().take(SHOWN_MAX) {
        let separator = if text.is_empty() { "" } else { "; " };
        text.push_str(separator);
        text.push_str(&rejection.field);
        text.push_str(": ");
        text.push_str(&rejection.why);
    }
    if rejections.len() > SHOWN_MAX {
        text.push_str(&format!("; and {} more", rejections.len() - SHOWN_MAX));
    }
    (rejections.iter().map(|rejection| rejection.records).sum(), text)
}

/// The HTTP status of each error code, here once for all receivers.
pub(crate) fn http_status(error: &Error) -> http::StatusCode {
    use http::StatusCode as Status;
    match error.code {
        Code::Invalid | Code::NotFound => Status::BAD_REQUEST,
        Code::TooLarge => Status::PAYLOAD_TOO_LARGE,
        Code::Unauthenticated => Status::UNAUTHORIZED,
        Code::Forbidden => Status::FORBIDDEN,
        Code::Overloaded { .. } | Code::LimitExceeded => Status::TOO_MANY_REQUESTS,
        Code::Unsupported => Status::UNSUPPORTED_MEDIA_TYPE,
        Code::Timeout | Code::Cancelled | Code::Unavailable => Status::SERVICE_UNAVAILABLE,
        Code::Corrupt | Code::Internal => Status::INTERNAL_SERVER_ERROR,
    }
}

/// The gRPC status of each error code.
pub(crate) fn grpc_code(error: &Error) -> tonic::Code {
    match error.code {
        Code::Invalid | Code::NotFound | Code::TooLarge => tonic::Code::InvalidArgument,
        Code::Unauthenticated => tonic::Code::Unauthenticated,
        Code::Forbidden => tonic::Code::PermissionDenied,
        Code::Overloaded { .. } | Code::LimitExceeded => tonic::Code::ResourceExhausted,
        Code::Unsupported => tonic::Code::Unimplemented,
        Code::Timeout | Code::Cancelled | Code::Unavailable => tonic::Code::Unavailable,
        Code::Corrupt | Code::Internal => tonic::Code::Internal,
    }
}

/// When a sender may come again; none when the same request would fail again.
pub(crate) fn retry_after_seconds(error: &Error) -> Option<u32> {
    match error.code {
        Code::Overloaded { retry_after_seconds } => Some(retry_after_seconds.max(1)),
        Code::Timeout | Code::Cancelled | Code::Unavailable | Code::LimitExceeded => Some(1),
        _ => None,
    }
}
