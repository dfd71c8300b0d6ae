//! What every listener holds: where batches go, the limits, the clock; and the one way from a decoded request to its answer.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use model::{Ack, Code, Decoded, Error, Ingest, ReceiveLimits, Rejection, Result};
use tokio::sync::Semaphore;

use crate::body::{Budget, Held, INLINE_BYTES_MAX, Share, off_loop};
use crate::memo::SeriesMemo;
use crate::otlp::DeltaState;
use crate::outcome::Rules;

/// Shared by all receivers; clones share the clock, the budget, the running sums of delta metrics and the known series.
#[derive(Clone)]
pub struct Receivers {
    pub ingest: Arc<dyn Ingest<Decoded>>,
    pub limits: Arc<ReceiveLimits>,
    /// Nanoseconds since the Unix epoch.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    pub deltas: Arc<DeltaState>,
    pub(crate) memo: Arc<SeriesMemo>,
    pub(crate) budget: Budget,
    /// Turns to decode a large body. While it is decoded a batch may take `batch_bytes_max` of which the budget does not know
    /// yet, so no more are decoded at one time than there are processors to do it.
    decoders: Arc<Semaphore>,
}

impl Receivers {
    /// With the system's clock; set the fields for another.
    pub fn new(ingest: Arc<dyn Ingest<Decoded>>, limits: ReceiveLimits) -> Self {
        let clock = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        };
        let budget = Budget::new(&limits);
        let decoders = Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));
        Self { ingest, limits: Arc::new(limits), clock: Arc::new(clock), deltas: Arc::default(), memo: Arc::default(), budget, decoders }
    }

    pub(crate) fn rules(&self, protocol: &'static str) -> Rules<'_> {
        Rules { limits: &self.limits, now_unix_nano: (self.clock)(), protocol }
    }

    /// Decodes a body with the rules of this instant, hands the batch on, and answers when what was accepted is durable
    /// and queryable.
    pub(crate) async fn take(
        &self,
        protocol: &'static str,
        body: Held,
        decode: impl FnOnce(&[u8], &Rules<'_>, &DeltaState) -> Result<Decoded> + Send + 'static,
    ) -> Result<Ack> {
        self.to_the_end(async |receivers| {
            let (decoded, share) = receivers.decode(protocol, body, decode, |decoded| decoded).await?;
            let ack = receivers.submit(decoded).await;
            drop(share);
            ack
        })
        .await
    }

    /// Runs work to its end in a task of its own: a sender who hangs up cannot leave a batch that is stored and not counted.
    pub(crate) async fn to_the_end<T, W>(&self, work: impl FnOnce(Self) -> W) -> Result<T>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        let task = tokio::spawn(work(self.clone()));
        task.await.unwrap_or_else(|source| Err(Error::internal("cannot finish request").because(source)))
    }

    /// Decodes a body where it disturbs nobody, in its turn. The batch is counted by the budget, as long as the share lives.
    pub(crate) async fn decode<D: Send + 'static>(
        &self,
        protocol: &'static str,
        body: Held,
        decode: impl FnOnce(&[u8], &Rules<'_>, &DeltaState) -> Result<D> + Send + 'static,
        batch: impl FnOnce(&D) -> &Decoded + Send + 'static,
    ) -> Result<(D, Share)> {
        let turn = match body.bytes.len() {
            0..=INLINE_BYTES_MAX => None,
            _ => self.decoders.acquire().await.ok(),
        };
        let receivers = self.clone();
        let decoded = off_loop(body.bytes.len(), move || {
            let Held { bytes, mut share } = body;
            let decoded = decode(&bytes, &receivers.rules(protocol), &receivers.deltas)?;
            let Decoded { records, known, .. } = batch(&decoded);
            share.grow_to(records.get_array_memory_size() + known.bytes())?;
            Ok((decoded, share))
        });
        let decoded = decoded.await;
        drop(turn);
        decoded
    }

    /// Hands a batch on, and counts it when it is stored.
    pub(crate) async fn submit(&self, mut decoded: Decoded) -> Result<Ack> {
        // Kept here: whoever ingests answers for what it refuses itself, and nothing is told twice or forgotten.
        let (mut rejections, tally) = (std::mem::take(&mut decoded.rejections), std::mem::take(&mut decoded.tally));
        let (protocol, table) = (decoded.protocol, decoded.table);
        let records = table.records_in(&decoded.records)? + decoded.known.len() as u64;
        // What was refused whole has nothing to make durable.
        let mut ack = match decoded.records.num_rows() {
            0 if decoded.known.is_empty() => Ack::default(),
            _ => self.ingest.ingest(decoded).await?,
        };
        if ack.forgotten {
            return Ok(ack);
        }
        // Counted now and not while decoding: a request that is told to come back would count each time.
        let refused = std::mem::take(&mut ack.rejections);
        let taken = records.saturating_sub(refused.iter().map(|refused| refused.records).sum());
        metrics::counter!("tyto_receive_records_total", "protocol" => protocol, "signal" => table.name()).increment(taken);
        rejections.extend(refused);
        let count = |name: &'static str, reason: &'static str, count: u64| {
            metrics::counter!(name, "protocol" => protocol, "reason" => reason).increment(count);
        };
        rejections.iter().filter(|refused| refused.records > 0).for_each(|refused| {
            count("tyto_receive_rejected_records_total", refused.reason, refused.records);
        });
        tally.dropped_parts.iter().for_each(|(reason, parts)| count("tyto_receive_dropped_parts_total", reason, *parts));
        tally.repaired_values.iter().for_each(|(reason, values)| count("tyto_receive_repaired_values_total", reason, *values));
        Ok(Ack { rejections, ..ack })
    }
}

/// Counts a finished request.
pub(crate) fn count_request(protocol: &'static str, code: impl ToString, body_bytes: usize) {
    metrics::counter!("tyto_receive_requests_total", "protocol" => protocol, "code" => code.to_string()).increment(1);
    metrics::counter!("tyto_receive_bytes_total", "protocol" => protocol).increment(body_bytes as u64);
}

/// Refused records, and one line that says what and why: records first, then parts of records.
pub(crate) fn summary(rejections: &[Rejection]) -> (u64, String) {
    /// Enough to see the pattern; the counters hold the rest.
    const SHOWN_MAX: usize = 5;
    let (records, parts): (Vec<&Rejection>, Vec<_>) = rejections.iter().partition(|rejection| rejection.records > 0);
    let shown = records.iter().chain(&parts).take(SHOWN_MAX).map(|rejection| format!("{}: {}", rejection.field, rejection.why));
    let mut text = shown.collect::<Vec<_>>().join("; ");
    if rejections.len() > SHOWN_MAX {
        text.push_str(&format!("; and {} more", rejections.len() - SHOWN_MAX));
    }
    (records.iter().map(|rejection| rejection.records).sum(), text)
}

/// An error as a sender is told it. Some of it may be the sender's own text, which is not sent back at any length.
pub(crate) fn told(error: &Error) -> String {
    const TOLD_BYTES_MAX: usize = 2 << 10;
    let mut text = error.chain();
    if text.len() > TOLD_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TOLD_BYTES_MAX));
        text.push_str("...");
    }
    text
}

/// An error as plain text.
pub(crate) fn plain(status: http::StatusCode, error: &Error) -> Response {
    let mut response = (status, format!("{}\n", told(error))).into_response();
    if let Some(seconds) = retry_after_seconds(error) {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// What a sender is told who knows no partial success: none when all of the request is stored. 400 where some of it is not, which
/// tells the sender not to send it again.
pub(crate) fn accepted(result: Result<Ack>, records: &str) -> Option<Response> {
    match result {
        Ok(ack) => match summary(&ack.rejections) {
            (0, _) => None,
            (refused, text) => Some((http::StatusCode::BAD_REQUEST, format!("{refused} {records} were refused: {text}\n")).into_response()),
        },
        Err(error) => Some(plain(http_status(&error), &error)),
    }
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
        // Only the wait for a body is bounded here.
        Code::Timeout => Status::REQUEST_TIMEOUT,
        Code::Cancelled | Code::Unavailable => Status::SERVICE_UNAVAILABLE,
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
        Code::Timeout => tonic::Code::DeadlineExceeded,
        Code::Cancelled | Code::Unavailable => tonic::Code::Unavailable,
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Nobody;

    #[async_trait::async_trait]
    impl Ingest<Decoded> for Nobody {
        async fn ingest(&self, _: Decoded) -> Result<Ack> {
            Ok(Ack::default())
        }
    }

    #[tokio::test]
    async fn large_bodies_are_decoded_in_turns() {
        let receivers = Receivers::new(Arc::new(Nobody), ReceiveLimits::default());
        let turns = receivers.decoders.available_permits();
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let requests = (0..turns + 3).map(|_| {
            let (running, most) = (running.clone(), most.clone());
            let body = Held { bytes: vec![0; INLINE_BYTES_MAX + 1].into(), share: receivers.budget.share() };
            receivers.take("test", body, move |_, _, _| {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(std::time::Duration::from_millis(5));
                running.fetch_sub(1, Ordering::SeqCst);
                Err(Error::invalid("cannot decode"))
            })
        });
        let refused = futures::future::join_all(requests).await;
        assert!(refused.iter().all(Result::is_err));
        assert!(most.load(Ordering::SeqCst) <= turns, "{} at one time", most.load(Ordering::SeqCst));
        assert_eq!(receivers.decoders.available_permits(), turns);
    }

    #[test]
    fn what_is_told_shows_refused_records_first_and_has_an_end() {
        let rejection = |records, field: &str| Rejection { records, field: field.to_owned(), why: "bad".to_owned(), reason: "bad" };
        let mut rejections: Vec<_> = (0..9).map(|index| rejection(0, &format!("part{index}"))).collect();
        rejections.push(rejection(3, "record"));
        assert_eq!(summary(&rejections), (3, "record: bad; part0: bad; part1: bad; part2: bad; part3: bad; and 5 more".to_owned()));
        let told = told(&Error::invalid("\u{e9}".repeat(5000)));
        assert!(told.len() < 2100 && told.ends_with("..."));
    }
}
