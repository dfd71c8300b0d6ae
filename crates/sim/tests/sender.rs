//! The sender speaks the protocols, obeys a full receiver, and counts what was taken.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use sim::wire::WriteRequest;
use sim::{Demo, DemoOptions, Endpoints, Load, Sender, Telemetry, pack, records};

use common::{QUIET, world};

#[derive(Default)]
struct Receiver {
    logs: AtomicU64,
    spans: AtomicU64,
    points: AtomicU64,
    samples: AtomicU64,
    entries: AtomicU64,
    over_grpc: AtomicU64,
    /// How many requests are refused before the first is taken, and how.
    refuse: AtomicU64,
    refuse_with: u16,
    reject_logs: i64,
}

async fn listen(receiver: Arc<Receiver>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(take).with_state(receiver);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

fn unzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

async fn take(State(receiver): State<Arc<Receiver>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let grpc = uri.path().starts_with("/opentelemetry");
    if receiver.refuse.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        let status = StatusCode::from_u16(receiver.refuse_with).unwrap();
        return if grpc {
            (StatusCode::OK, [("content-type", "application/grpc"), ("grpc-status", "8")]).into_response()
        } else {
            (status, [("retry-after", "1")], "later").into_response()
        };
    }
    let add = |counter: &AtomicU64, telemetry: Telemetry| counter.fetch_add(records(&telemetry) as u64, Ordering::SeqCst);
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let plain = match (grpc, header("content-encoding").as_str()) {
        (true, _) => {
            assert_eq!((body[0], header("content-type").as_str()), (1, "application/grpc"), "a compressed gRPC frame");
            receiver.over_grpc.fetch_add(1, Ordering::SeqCst);
            unzip(&body[5..])
        }
        (false, "gzip") => unzip(&body),
        (false, "snappy") => snap::raw::Decoder::new().decompress_vec(&body).unwrap(),
        _ => body.to_vec(),
    };
    match uri.path() {
        "/v1/logs" | "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
            add(&receiver.logs, Telemetry::Logs(ExportLogsServiceRequest::decode(plain.as_slice()).unwrap()));
        }
        "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
            add(&receiver.spans, Telemetry::Spans(ExportTraceServiceRequest::decode(plain.as_slice()).unwrap()));
        }
        "/v1/metrics" | "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => {
            add(&receiver.points, Telemetry::Metrics(ExportMetricsServiceRequest::decode(plain.as_slice()).unwrap()));
        }
        "/api/v1/write" => {
            assert_eq!(header("x-prometheus-remote-write-version"), "0.1.0");
            add(&receiver.samples, Telemetry::RemoteWrite(WriteRequest::decode(plain.as_slice()).unwrap()));
            return StatusCode::NO_CONTENT.into_response();
        }
        "/loki/api/v1/push" => {
            let push: serde_json::Value = serde_json::from_slice(&plain).unwrap();
            let entries: usize = push["streams"].as_array().unwrap().iter().map(|stream| stream["values"].as_array().unwrap().len()).sum();
            receiver.entries.fetch_add(entries as u64, Ordering::SeqCst);
            return StatusCode::NO_CONTENT.into_response();
        }
        other => panic!("nobody listens at {other}"),
    }
    if grpc {
        return ([("content-type", "application/grpc"), ("grpc-status", "0")], vec![0u8; 5]).into_response();
    }
    let partial = ExportLogsPartialSuccess { rejected_log_records: receiver.reject_logs, error_message: "no".to_owned() };
    let partial_success = (receiver.reject_logs > 0 && uri.path() == "/v1/logs").then_some(partial);
    ExportLogsServiceResponse { partial_success }.encode_to_vec().into_response()
}

fn endpoints(address: SocketAddr) -> Endpoints {
    Endpoints { http: address, otlp_http: address, otlp_grpc: address }
}

fn one_of(telemetry: impl Fn(&Load) -> bool) -> Load {
    pack(world(1, QUIET, 1.0, &[]).tick(QUIET + 60), 4_000).into_iter().find(telemetry).unwrap()
}

#[tokio::test]
async fn backfill_counts_what_the_receiver_has_taken() {
    let receiver = Arc::new(Receiver::default());
    let address = listen(receiver.clone()).await;
    let reports = Arc::new(AtomicU64::new(0));
    let seen = reports.clone();
    let progress = Arc::new(move |done: f64, _: &sim::Sent| {
        assert!((0.0..=1.0).contains(&done));
        seen.fetch_add(1, Ordering::SeqCst);
    });
    let options = DemoOptions { backfill: Duration::from_secs(700), ..DemoOptions::new(endpoints(address), 3, progress) };
    let demo = Demo::new(options).unwrap();
    let sent = demo.backfill().await.unwrap();
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    assert_eq!(sent.spans, count(&receiver.spans));
    assert_eq!(sent.log_records, count(&receiver.logs) + count(&receiver.entries));
    assert_eq!(sent.loki_entries, count(&receiver.entries));
    assert_eq!(sent.metric_points, count(&receiver.points));
    assert_eq!(sent.remote_write_samples, count(&receiver.samples));
    assert!(sent.spans > 1_000 && sent.log_records > 1_000 && sent.loki_entries > 0 && sent.remote_write_samples > 1_000, "{sent:?}");
    assert!(count(&receiver.over_grpc) >= 3 && count(&reports) > 5, "{sent:?}");

    let live = demo.live(tokio::time::sleep(Duration::from_millis(2_300))).await;
    assert!(live.requests > 0 && live.metric_points > 0, "the live part goes on where the past ended: {live:?}");
}

#[tokio::test]
async fn a_full_receiver_is_asked_again_when_it_said() {
    for (refuse_with, lane) in [(429, sim::Lane::Spans), (503, sim::Lane::Loki), (429, sim::Lane::Grpc)] {
        let receiver = Arc::new(Receiver { refuse: AtomicU64::new(1), refuse_with, ..Receiver::default() });
        let sender = Sender::new(endpoints(listen(receiver).await)).unwrap();
        let began = Instant::now();
        let sent = sender.send(one_of(|load| load.lane == lane)).await.unwrap();
        assert_eq!(sent.retries, 1);
        assert!(sent.records() > 0);
        let asked = if lane == sim::Lane::Grpc { 0.2 } else { 1.0 };
        assert!(began.elapsed().as_secs_f64() >= asked, "{lane:?} came back after {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn rejected_records_are_not_counted_as_sent() {
    let receiver = Arc::new(Receiver { reject_logs: 2, ..Receiver::default() });
    let sender = Sender::new(endpoints(listen(receiver).await)).unwrap();
    let load = one_of(|load| load.lane == sim::Lane::Logs);
    let offered = load.records() as u64;
    let sent = sender.send(load).await.unwrap();
    assert_eq!((sent.rejected, sent.log_records), (2, offered - 2));
}

#[tokio::test]
async fn a_refusal_is_an_error_with_the_receivers_words() {
    let receiver = Arc::new(Receiver { refuse: AtomicU64::new(u64::MAX), refuse_with: 400, ..Receiver::default() });
    let sender = Sender::new(endpoints(listen(receiver).await)).unwrap();
    let error = sender.send(one_of(|load| load.lane == sim::Lane::RemoteWrite)).await.unwrap_err();
    assert!(
        error.chain().starts_with("cannot send telemetry to http://127.0.0.1:") && error.chain().ends_with("400 Bad Request: later"),
        "{}",
        error.chain()
    );
}
