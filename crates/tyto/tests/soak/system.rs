//! Everything between a sender and the disk, joined as `wiring.rs` joins it, under a clock that the story moves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use catalog::{Catalog, Live};
use futures::StreamExt;
use model::{Ask, Ingest, Query, QueryLimits, ReceiveLimits, Retention, Scan, ScanRequest, Table, TimeRange};
use pipeline::{CardinalityLimits, Pipeline};
use prost::Message;
use receive::Receivers;
use sim::{Load, Telemetry};
use store::{Clock, Shard, ShardOptions};
use tower::ServiceExt;

use crate::ledger::{Counted, HOUR_NS, Ledger, Sums, add, cutoff, kept};

#[derive(Clone, Debug)]
pub(crate) struct StoryClock(Arc<AtomicI64>);

impl Clock for StoryClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl StoryClock {
    pub(crate) fn set(&self, unix_seconds: u64) {
        self.0.store(unix_seconds as i64 * 1000, Ordering::SeqCst);
    }
}

pub(crate) struct System {
    pub(crate) shard: Arc<Shard>,
    pub(crate) clock: StoryClock,
    dir: PathBuf,
    ledger: Ledger,
    retention: Retention,
    receivers: Router,
}

/// What was compared at the end, by table: records, and the sum of their hashes.
pub(crate) type Compared = Vec<(Table, u64, u64)>;

fn options(dir: &Path, clock: &StoryClock) -> ShardOptions {
    ShardOptions {
        // A second of the background is half an hour of the story.
        flush_rows_bytes: 16 << 20,
        flush_samples_bytes: 16 << 20,
        flush_interval: Duration::from_secs(1800),
        clock: Arc::new(clock.clone()),
        ..ShardOptions::new("soak", dir)
    }
}

impl System {
    pub(crate) async fn open(dir: &Path, ledger: Ledger, retention: Retention, now: u64) -> Self {
        let clock = StoryClock(Arc::default());
        clock.set(now);
        Self::start(dir.to_owned(), clock, ledger, retention).await
    }

    async fn start(dir: PathBuf, clock: StoryClock, ledger: Ledger, retention: Retention) -> Self {
        let mut tries = 0;
        let shard = loop {
            match Shard::open(options(&dir, &clock)).await {
                Ok(shard) => break shard,
                // What the killed one was doing ends by itself, and with it the lock.
                Err(error) => assert!(tries < 600, "{}", error.chain()),
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        shard.set_retention(retention.clone());
        let catalog = Arc::new(Live::of(Catalog::parse(&sim::CATALOGUE).unwrap()));
        let counted = Arc::new(Counted { shard: shard.clone(), ledger: ledger.clone() });
        let pipeline =
            Arc::new(Pipeline::new(catalog, CardinalityLimits::default(), Arc::new(|| 0), counted as Arc<dyn Ingest<model::Placed>>));
        let receivers = Receivers::new(pipeline as Arc<dyn Ingest<model::Decoded>>, ReceiveLimits::default());
        let receivers = receive::otlp_http_router(receivers.clone())
            .merge(receive::remote_write_router(receivers.clone()))
            .merge(receive::loki_router(receivers));
        Self { shard, clock, dir, ledger, retention, receivers }
    }

    /// Ends in order, or breaks off with rows in the head, and starts again.
    pub(crate) async fn restart(self, in_order: bool) -> Self {
        let Self { shard, clock, dir, ledger, retention, receivers } = self;
        if in_order {
            shard.shutdown().await.unwrap();
        }
        drop((shard, receivers));
        Self::start(dir, clock, ledger, retention).await
    }

    /// Sends a load as its sender would; gives its records.
    pub(crate) async fn send(&self, load: &Load) -> u64 {
        let protobuf = "application/x-protobuf";
        let (path, kind, body) = match &load.telemetry {
            Telemetry::Logs(request) => ("/v1/logs", protobuf, request.encode_to_vec()),
            Telemetry::Spans(request) => ("/v1/traces", protobuf, request.encode_to_vec()),
            Telemetry::Metrics(request) => ("/v1/metrics", protobuf, request.encode_to_vec()),
            Telemetry::RemoteWrite(request) => {
                ("/api/v1/write", protobuf, snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap())
            }
            Telemetry::Loki(push) => ("/loki/api/v1/push", "application/json", serde_json::to_vec(push).unwrap()),
        };
        loop {
            let mut request = Request::post(path).header("content-type", kind);
            if path == "/api/v1/write" {
                request = request.header("content-encoding", "snappy").header("x-prometheus-remote-write-version", "0.1.0");
            }
            let response = self.receivers.clone().oneshot(request.body(Body::from(body.clone())).unwrap()).await.unwrap();
            let status = response.status();
            let answer = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            match status.as_u16() {
                200 | 204 if path.starts_with("/v1/") => assert!(answer.is_empty(), "nothing is refused: {answer:?}"),
                200 | 204 => {}
                429 | 503 => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
                _ => panic!("{path}: {status} {answer:?}"),
            }
            return load.records() as u64;
        }
    }

    /// Compares what is held with what was acknowledged: through the API, and what is on disk once all has ended.
    pub(crate) async fn verify(self, ledger: &Ledger, dir: &Path) -> Compared {
        let now_ns = self.clock.now_ms() * 1_000_000;
        let expected = ledger.kept(&self.retention, now_ns);
        let engine = query::Engine::new(self.shard.clone() as Arc<dyn Scan>, query::EngineOptions::default());
        for table in Table::ALL {
            self.compare_by_sql(&engine, table, &expected, now_ns).await;
        }
        drop(engine);
        self.shard.shutdown().await.unwrap();
        let lake = Shard::open_read_only(options(dir, &self.clock)).await.unwrap();
        lake.set_retention(self.retention.clone());
        let mut held = Sums::new();
        for table in Table::ALL {
            let mut rows = lake.scan(ScanRequest::new(table, TimeRange::ALL)).await.unwrap();
            while let Some(records) = rows.next().await {
                add(table, &records.unwrap(), &mut held);
            }
        }
        for key in held.keys() {
            assert!((key.hour + 1) * HOUR_NS > cutoff(key, &self.retention, now_ns), "past its retention and shown: {key:?}");
        }
        let held = kept(held, &self.retention, now_ns);
        for (key, sum) in &expected {
            assert_eq!(held.get(key), Some(sum), "{key:?}");
        }
        assert_eq!(held.len(), expected.len(), "nothing that was never sent");
        Table::ALL
            .map(|table| {
                let of_table = held.iter().filter(|(key, _)| key.table == table);
                let (count, sum) = of_table.fold((0, 0_u64), |all, (_, sum)| (all.0 + sum.0, all.1.wrapping_add(sum.1)));
                (table, count, sum)
            })
            .to_vec()
    }

    async fn compare_by_sql(&self, engine: &query::Engine, table: Table, expected: &Sums, now_ns: i64) {
        let from = match table {
            Table::Logs => "logs WHERE time_unix_nano",
            Table::Spans => "spans WHERE start_time_unix_nano",
            Table::Samples => "points WHERE time_unix_nano",
            // The company of this test has no contracts.
            Table::Quarantine => return,
        };
        // From the first whole hour that everybody keeps.
        let keep = self.retention.scopes(table).iter().map(|(_, keep)| keep.as_nanos() as i64).min().unwrap();
        let hour = (now_ns - keep).div_euclid(HOUR_NS) + 1;
        let sql = format!("SELECT count(*) AS n FROM {from} >= {}", hour * HOUR_NS);
        let answer = engine.query(model::Request { ask: Ask::Sql { sql }, limits: QueryLimits::default() }).await.unwrap();
        let model::Answered::Table { mut rows, .. } = answer.data else { panic!("SQL answers with a table") };
        let records = rows.next().await.unwrap().unwrap();
        let count: &arrow::array::Int64Array = model::schema::column(&records, "n").unwrap();
        let wanted: u64 =
            expected.iter().filter(|(key, _)| key.table == table && key.hour >= hour && !key.is_histogram).map(|(_, sum)| sum.0).sum();
        assert_eq!(count.value(0) as u64, wanted, "{} through SQL", table.name());
        assert!(wanted > 0, "{} has rows", table.name());
    }
}
