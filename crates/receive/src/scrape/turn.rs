//! One target's loop: waits for its turn, fetches, stores, until it is told to end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use model::{Ack, Code, Decoded, Error, Health, Result, TargetFamily};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::cache::{Found, Place, SeriesCache};
use super::client::{Client, scrape_headers};
use super::config::PoolConfig;
use super::engine::Shared;
use super::exposition::Format;
use super::reading::{Counts, Reading, body_limits};
use super::target::Target;
use crate::body::{self, Held, Packing};
use crate::outcome::{Outcome, Rules};

const PROTOCOL: &str = "scrape";

/// A scrape that begins so little late is stored at the time it was due: equal distances take less room.
const LATENESS_MS_MAX: i64 = 2;

/// What a loop is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Run,
    /// To end; the series go on elsewhere, or the server stops.
    Leave,
    /// To end, and to mark the end of every series: the target is gone.
    Gone,
}

/// How the last scrape went.
#[derive(Clone, Debug, Default)]
pub(super) struct Status {
    pub(super) health: Health,
    pub(super) last_error: String,
    pub(super) last_scrape_unix_ms: Option<i64>,
    pub(super) last_duration: Duration,
}

/// What a loop works with; the API looks at it too.
pub(super) struct Turn {
    pub(super) target: Target,
    pub(super) config: Arc<PoolConfig>,
    pub(super) cache: Arc<Mutex<SeriesCache>>,
    pub(super) status: Mutex<Status>,
    /// Why none of the pool's targets is scraped, if so: it has too many.
    pub(super) refused: Arc<Mutex<Option<String>>>,
    pub(super) client: Arc<Result<Client, String>>,
    pub(super) shared: Arc<Shared>,
    /// When in its interval the target is scraped.
    pub(super) offset: Duration,
}

/// What came of one fetch.
struct Fetched {
    body: Held,
    format: Format,
}

/// What is to be stored of a scrape.
struct Taken {
    decoded: Decoded,
    rows: Vec<Option<Place>>,
    found: Found,
    outcome: Outcome,
    error: Option<Error>,
    duration: Duration,
    counts: Counts,
}

impl Turn {
    pub(super) async fn run(self: Arc<Self>, mut orders: watch::Receiver<Order>) {
        let headers = scrape_headers(&self.config, self.target.timeout);
        let mut before_ms = i64::MIN;
        let order = loop {
            let due_ms = self.next_ms(before_ms);
            before_ms = due_ms;
            let wait = Duration::from_millis((due_ms - self.now_ms()).max(0).cast_unsigned());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                order = ended(&mut orders) => break order,
            }
            let (began, time_ms) = (Instant::now(), self.time_ms(due_ms));
            // A fetch may be broken off, storing may not: what is stored must be known here.
            let fetched = tokio::select! {
                fetched = self.fetch_in_time(&headers) => fetched,
                order = ended(&mut orders) => break order,
            };
            self.scraped(fetched, time_ms, began).await;
        };
        if order == Order::Gone {
            self.leave_marks().await;
        }
    }

    fn now_ms(&self) -> i64 {
        (self.shared.receivers.clock)() / 1_000_000
    }

    /// The next instant after now and after the one before that lies `offset` behind a whole number of intervals: the same
    /// after a restart.
    fn next_ms(&self, before_ms: i64) -> i64 {
        let interval = i64::try_from(self.target.interval.as_millis()).unwrap_or(i64::MAX).max(1);
        let offset = i64::try_from(self.offset.as_millis()).unwrap_or_default();
        let now = self.now_ms();
        let next = now - (now - offset).rem_euclid(interval) + interval;
        if next == before_ms { next + interval } else { next }
    }

    /// Of the samples of a scrape that begins now.
    fn time_ms(&self, due_ms: i64) -> i64 {
        let now_ms = self.now_ms();
        let lateness_max = LATENESS_MS_MAX.min(self.target.interval.as_millis() as i64 / 100);
        if (now_ms - due_ms).abs() <= lateness_max { due_ms } else { now_ms }
    }

    async fn fetch_in_time(&self, headers: &HeaderMap) -> Result<Fetched> {
        let timeout = self.target.timeout;
        let late = || Error::new(Code::Timeout, format!("cannot fetch {}: it takes over scrape_timeout, {timeout:?}", self.target.url));
        tokio::time::timeout(timeout, self.fetch(headers)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn scraped(&self, fetched: Result<Fetched>, time_ms: i64, began: Instant) {
        // What Tyto has no memory for just now says nothing of the target.
        if let Err(error) = &fetched
            && matches!(error.code, Code::Overloaded { .. })
        {
            return self.skipped(error);
        }
        let size = fetched.as_ref().map_or(0, |fetched| fetched.body.bytes.len());
        match self.take(fetched, time_ms, began, size).await {
            Ok((error, duration)) => self.done(time_ms, duration, error.as_ref()),
            Err(error) => self.skipped(&error),
        }
    }

    fn done(&self, time_ms: i64, duration: Duration, error: Option<&Error>) {
        let result = if error.is_some() { "failed" } else { "ok" };
        metrics::counter!("tyto_scrapes_total", "result" => result).increment(1);
        *self.status.lock() = Status {
            health: if error.is_some() { Health::Down } else { Health::Up },
            last_error: error.map(Error::chain).unwrap_or_default(),
            last_scrape_unix_ms: Some(time_ms),
            last_duration: duration,
        };
    }

    /// A scrape of which nothing is stored, not even that it was tried.
    fn skipped(&self, error: &Error) {
        metrics::counter!("tyto_scrapes_total", "result" => "not_stored").increment(1);
        tracing::warn!("cannot store the scrape of {}: {}", self.target.url, error.chain());
        self.status.lock().last_error = error.chain();
    }

    async fn fetch(&self, headers: &HeaderMap) -> Result<Fetched> {
        if let Some(why) = self.refused.lock().clone() {
            return Err(Error::new(Code::TooLarge, why));
        }
        let client = self.client.as_ref().as_ref().map_err(|why| Error::invalid(why.clone()))?;
        let turn = self.shared.fetches.acquire().await;
        let answer = client.get(&self.target.url, headers.clone(), self.shared.keeps_connections()).await?;
        let content_type = body::header(answer.headers(), &CONTENT_TYPE).to_owned();
        let packing = match body::header(answer.headers(), &CONTENT_ENCODING) {
            "gzip" => Packing::Gzip,
            "" | "identity" => Packing::Identity,
            other => {
                let other = crate::outcome::shortened(other);
                return Err(Error::unsupported(format!("cannot read {}: it is packed as {other}", self.target.url)));
            }
        };
        let limits = body_limits(&self.shared.receivers.limits, self.config.body_bytes_max);
        let announced = answer.content_length();
        let mut share = self.shared.receivers.budget.share();
        let whole = http::Response::<reqwest::Body>::from(answer).into_body();
        let bytes = body::read(axum::body::Body::new(whole), announced, &limits, &mut share).await;
        drop(turn);
        let body = body::unpacked(bytes.map_err(|error| self.limited(error))?, packing, &limits, share);
        let body = body.await.map_err(|error| self.limited(error))?;
        let format = Format::of(&content_type, self.config.fallback.map(super::config::Protocol::format))?;
        Ok(Fetched { body, format })
    }

    /// A body over the configuration's own limit is told by that one's name.
    fn limited(&self, error: Error) -> Error {
        match (error.code, self.config.body_bytes_max) {
            (Code::TooLarge, max @ 1..) => {
                Error::new(Code::TooLarge, format!("cannot read {}: its body is over body_size_limit, {max} bytes", self.target.url))
            }
            _ => error,
        }
    }

    /// Reads what was fetched and stores it, with what is said of the scrape itself. Gives the target's error, and how long it took.
    async fn take(&self, fetched: Result<Fetched>, time_ms: i64, began: Instant, size: usize) -> Result<(Option<Error>, Duration)> {
        let receivers = &self.shared.receivers;
        let (held, told) = match fetched {
            Ok(Fetched { body, format }) => (body, Ok(format)),
            Err(error) => (Held { bytes: bytes::Bytes::new(), share: receivers.budget.share() }, Err(error)),
        };
        let (cache, config, labels) = (self.cache.clone(), self.config.clone(), self.target.labels.clone());
        let (shared, timeout) = (self.shared.clone(), self.target.timeout);
        let read = move |body: &[u8], rules: &Rules<'_>, _: &crate::otlp::DeltaState| {
            let mut cache = cache.lock();
            let mut reading = Reading::new(&mut cache, &config.manner, &labels, rules, time_ms);
            let too_large = matches!(&told, Err(error) if error.code == Code::TooLarge);
            let error = told.and_then(|format| reading.read(body, format)).err();
            if error.is_some() {
                reading.undo();
            }
            reading.cache.mark_ends(error.is_some(), time_ms, &mut reading.found);
            let duration = began.elapsed();
            reading.report("up", if error.is_some() { 0.0 } else { 1.0 });
            reading.report("scrape_duration_seconds", duration.as_secs_f64());
            reading.report("scrape_samples_scraped", reading.counts.scraped as f64);
            reading.report("scrape_samples_post_metric_relabeling", reading.counts.kept as f64);
            reading.report("scrape_series_added", reading.counts.series_added as f64);
            if config.extra_metrics {
                reading.report("scrape_timeout_seconds", timeout.as_secs_f64());
                reading.report("scrape_sample_limit", config.manner.limits.samples_max as f64);
                reading.report("scrape_body_size_bytes", if too_large { -1.0 } else { size as f64 });
            }
            let Reading { mut found, counts, outcome, .. } = reading;
            if error.is_none() {
                cache.share_families(|family| shared.families.share(family, time_ms, &mut found.families));
            }
            let (decoded, rows) = cache.batch(&mut found, true, outcome.clone(), rules);
            Ok(Taken { decoded, rows, found, outcome, error, duration, counts })
        };
        let (taken, share) = receivers.decode(PROTOCOL, held, read, |taken| &taken.decoded).await?;
        let Taken { decoded, rows, found, outcome, error, duration, counts } = taken;
        self.store(decoded, rows, found, outcome, error.is_some()).await?;
        drop(share);
        metrics::counter!("tyto_scrape_samples_total").increment(counts.kept);
        Ok((error, duration))
    }

    /// Stores a batch; when a series that it only numbers is known no more, all are told whole.
    async fn store(&self, decoded: Decoded, rows: Vec<Option<Place>>, mut found: Found, outcome: Outcome, failed: bool) -> Result<()> {
        let receivers = &self.shared.receivers;
        let mut ack: Ack = receivers.submit(decoded).await?;
        let mut rows = rows;
        if ack.forgotten {
            metrics::counter!("tyto_receive_series_forgotten_total", "protocol" => PROTOCOL).increment(1);
            let again;
            (again, rows) = self.cache.lock().batch(&mut found, false, outcome, &receivers.rules(PROTOCOL));
            ack = receivers.submit(again).await?;
        }
        self.cache.lock().stored(&found, &rows, &ack, failed);
        Ok(())
    }

    async fn leave_marks(&self) {
        let (mut found, now_ms) = (Found::default(), self.now_ms());
        let receivers = &self.shared.receivers;
        let (outcome, decoded, rows) = {
            let (cache, rules) = (self.cache.lock(), receivers.rules(PROTOCOL));
            let outcome = Outcome::new(rules.limits);
            cache.mark_gone(now_ms, &mut found);
            let (decoded, rows) = cache.batch(&mut found, true, outcome.clone(), &rules);
            (outcome, decoded, rows)
        };
        if found.floats.is_empty() {
            return;
        }
        if let Err(error) = self.store(decoded, rows, found, outcome, true).await {
            metrics::counter!("tyto_scrape_marks_lost_total").increment(1);
            tracing::warn!("cannot mark the end of the series of {}: {}", self.target.url, error.chain());
        }
    }

    pub(super) fn metadata(&self) -> Vec<Arc<TargetFamily>> {
        self.cache.lock().families()
    }
}

/// Waits for an order to end; one who gives none any more is a server that stops.
async fn ended(orders: &mut watch::Receiver<Order>) -> Order {
    match orders.wait_for(|order| *order != Order::Run).await {
        Ok(order) => *order,
        Err(_) => Order::Leave,
    }
}
