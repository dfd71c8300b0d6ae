//! Real requests over real sockets, into a fake store.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes};
use model::{Ack, Code, Decoded, Error, Ingest, ReceiveLimits, Result};
use receive::Receivers;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};

/// Remembers rows, or fails with the code it is told.
#[derive(Default)]
struct Store {
    rows: Mutex<usize>,
    fail: Mutex<Option<Code>>,
    arrived: tokio::sync::Notify,
    /// While somebody holds it, nothing becomes durable.
    gate: tokio::sync::Mutex<()>,
    /// Slot, time and value of every known point.
    known: Mutex<Vec<(u32, i64, f64)>>,
    /// Knows no series any more.
    forgets: Mutex<bool>,
    catalog_version: Mutex<u64>,
}

#[async_trait]
impl Ingest<Decoded> for Store {
    async fn ingest(&self, batch: Decoded) -> Result<Ack> {
        if let Some(code) = *self.fail.lock().expect("not poisoned") {
            return Err(Error::new(code, "cannot take batch"));
        }
        if !batch.known.is_empty() && *self.forgets.lock().expect("not poisoned") {
            return Ok(Ack { forgotten: true, ..Ack::default() });
        }
        let known = batch.known.runs().flat_map(|(series, range)| range.map(move |at| (series.slot, at)));
        let points = known.map(|(slot, at)| (slot, batch.known.times_ms[at], batch.known.values[at]));
        self.known.lock().expect("not poisoned").extend(points);
        let rows = batch.records.num_rows();
        let first = *self.rows.lock().expect("not poisoned");
        let series = (first..first + rows).map(|row| model::KnownSeries { slot: row as u32, ..model::KnownSeries::default() }).collect();
        let catalog_version = *self.catalog_version.lock().expect("not poisoned");
        self.arrived.notify_one();
        let _open = self.gate.lock().await;
        *self.rows.lock().expect("not poisoned") += rows;
        Ok(Ack { accepted_records: (rows + batch.known.len()) as u64, series, catalog_version, ..Ack::default() })
    }
}

struct Served {
    store: Arc<Store>,
    http: SocketAddr,
    grpc: SocketAddr,
}

async fn serve(limits: ReceiveLimits) -> Served {
    let store = Arc::new(Store::default());
    let receivers = Receivers::new(store.clone(), limits);
    let app = receive::otlp_http_router(receivers.clone())
        .merge(receive::remote_write_router(receivers.clone()))
        .merge(receive::loki_router(receivers.clone()))
        .merge(receive::json_lines_router(receivers.clone()))
        .merge(receive::elasticsearch_router(receivers.clone()))
        .merge(receive::splunk_router(receivers.clone()))
        .merge(receive::firehose_router(receivers.clone()))
        .merge(receive::journal_router(receivers.clone()))
        .merge(receive::zipkin_router(receivers.clone()))
        .merge(receive::jaeger_router(receivers.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let http = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let grpc = listener.local_addr().expect("bound");
    let routes = receive::jaeger_grpc_routes(receive::otlp_grpc_routes(receivers.clone()), receivers);
    tokio::spawn(async move { Server::builder().add_routes(routes).serve_with_incoming(TcpListenerStream::new(listener)).await });
    Served { store, http, grpc }
}

impl Served {
    /// Status, the Retry-After header, and the body.
    async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> (u16, String, String) {
        let mut request = reqwest::Client::new().post(format!("http://{}{path}", self.http)).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("an answer");
        let retry = response.headers().get("retry-after").map_or("", |value| value.to_str().expect("text")).to_owned();
        let status = response.status().as_u16();
        (status, retry, String::from_utf8_lossy(&response.bytes().await.expect("a body")).into_owned())
    }

    fn rows(&self) -> usize {
        *self.store.rows.lock().expect("not poisoned")
    }

    fn fail(&self, code: Option<Code>) {
        *self.store.fail.lock().expect("not poisoned") = code;
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const LOG: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}},{"timeUnixNano":"-1"}]}]}]}"#;
/// One log record without any field.
const LOG_PROTOBUF: &[u8] = &[0x0a, 4, 0x12, 2, 0x12, 0];
/// One series `{__name__="u"}` with the value 0 at 0 ms.
const WRITE: &[u8] = b"\x0a\x11\x0a\x0d\x0a\x08__name__\x12\x01u\x12\x00";

fn snappy(body: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(body).expect("memory")
}

#[tokio::test]
async fn otlp_http_answers_in_the_words_of_its_protocol() {
    let served = serve(ReceiveLimits { body_bytes_max: 10_000, decompressed_bytes_max: 20_000, ..ReceiveLimits::default() }).await;
    let (status, _, body) = served.post("/v1/logs", &[JSON], LOG).await;
    assert_eq!((status, served.rows()), (200, 1));
    assert!(
        body.starts_with(
            r#"{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"resourceLogs[0].scopeLogs[0].logRecords[1].timeUnixNano: "#
        ),
        "{body}"
    );
    assert_eq!(served.post("/v1/logs", &[PROTOBUF], LOG_PROTOBUF).await, (200, String::new(), String::new()));
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, LOG_PROTOBUF).expect("memory");
        encoder.finish().expect("memory")
    };
    assert_eq!(served.post("/v1/logs", &[PROTOBUF, ("content-encoding", "gzip")], gzip).await.0, 200);
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).expect("memory");
    assert_eq!(served.post("/v1/logs", &[PROTOBUF, ("content-encoding", "zstd")], zstd(LOG_PROTOBUF)).await.0, 200);
    assert_eq!(served.rows(), 4);

    let refused = |status, body: (u16, String, String), what: &str| {
        assert_eq!(body.0, status, "{body:?}");
        assert!(body.2.contains(what), "{body:?}");
    };
    refused(413, served.post("/v1/logs", &[PROTOBUF], vec![0; 10_001]).await, "body_bytes_max");
    refused(413, served.post("/v1/logs", &[PROTOBUF, ("content-encoding", "zstd")], zstd(&[0; 20_001])).await, "decompressed_bytes_max");
    refused(400, served.post("/v1/logs", &[PROTOBUF], [0xff]).await, "cannot decode OTLP logs");
    refused(400, served.post("/v1/metrics", &[JSON], "{").await, "cannot parse OTLP JSON");
    refused(415, served.post("/v1/traces", &[("content-type", "text/plain")], "x").await, "application/x-protobuf");
    refused(415, served.post("/v1/traces", &[JSON, ("content-encoding", "br")], "x").await, "Content-Encoding");
    let get = reqwest::get(format!("http://{}/v1/logs", served.http)).await.expect("an answer");
    assert_eq!(get.status().as_u16(), 405);

    served.fail(Some(Code::Overloaded { retry_after_seconds: 7 }));
    let (status, retry, body) = served.post("/v1/logs", &[JSON], LOG).await;
    assert_eq!((status, retry.as_str(), body.as_str()), (429, "7", r#"{"code":8,"message":"cannot take batch"}"#));
    served.fail(Some(Code::Unavailable));
    assert_eq!(served.post("/v1/logs", &[JSON], LOG).await.0, 503);
}

/// A `TimeSeries` with one label besides its name, and samples.
fn series(label: &str, samples: &[(u8, f64)]) -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8], bytes].concat();
    let pair = |name: &str, value: &str| field(0x0a, &[field(0x0a, name.as_bytes()), field(0x12, value.as_bytes())].concat());
    let sample = |&(time, value): &(u8, f64)| field(0x12, &[&[0x09], &value.to_le_bytes()[..], &[0x10, time]].concat());
    let samples: Vec<u8> = samples.iter().flat_map(sample).collect();
    field(0x0a, &[pair("__name__", "up"), pair("l", label), samples].concat())
}

#[tokio::test]
async fn series_that_come_again_are_told_by_their_slots() {
    let served = serve(ReceiveLimits { age_max: None, ..ReceiveLimits::default() }).await;
    let write = async |parts: &[Vec<u8>]| served.post("/api/v1/write", &[PROTOBUF], snappy(&parts.concat())).await.0;
    let known = || std::mem::take(&mut *served.store.known.lock().expect("not poisoned"));
    assert_eq!(write(&[series("a", &[(1, 1.0)]), series("b", &[(1, 2.0), (2, 3.0)])]).await, 204);
    assert_eq!((served.rows(), known().len()), (2, 0));
    assert_eq!(write(&[series("b", &[(3, 4.0), (4, 0.5)]), series("c", &[(3, 5.0)]), series("a", &[(3, 6.0)])]).await, 204);
    assert_eq!((served.rows(), known()), (3, vec![(1, 3, 4.0), (1, 4, 0.5), (0, 3, 6.0)]), "only c is new");
    // Not simple: two samples at one time, and an exemplar; as long as they are, they are read as a whole.
    let with_exemplar = [series("c", &[(6, 1.0)]), vec![0x1a, 0]].concat();
    let with_exemplar = [&[0x0a, with_exemplar.len() as u8 - 2], &with_exemplar[2..]].concat();
    assert_eq!(write(&[series("a", &[(5, 1.0), (5, 2.0)]), with_exemplar]).await, 204);
    assert_eq!((served.rows(), known().len()), (5, 0));
    // Read anew they have new slots, in this store.
    assert_eq!(write(&[series("a", &[(7, 1.0)]), series("b", &[(7, 1.0)])]).await, 204);
    assert_eq!((served.rows(), known()), (5, vec![(3, 7, 1.0), (1, 7, 1.0)]));

    *served.store.forgets.lock().expect("not poisoned") = true;
    assert_eq!(write(&[series("a", &[(8, 1.0)]), series("d", &[(8, 1.0)])]).await, 204);
    assert_eq!((served.rows(), known().len()), (7, 0), "what is forgotten is told whole, by the same request");
    *served.store.forgets.lock().expect("not poisoned") = false;
    assert_eq!(write(&[series("a", &[(9, 1.0)])]).await, 204);
    assert_eq!((served.rows(), known()), (7, vec![(5, 9, 1.0)]));

    *served.store.catalog_version.lock().expect("not poisoned") = 1;
    assert_eq!(write(&[series("e", &[(9, 1.0)])]).await, 204);
    assert_eq!(write(&[series("a", &[(10, 1.0)]), series("e", &[(10, 1.0)])]).await, 204);
    assert_eq!((served.rows(), known()), (9, vec![(7, 10, 1.0)]), "what the former catalogue said is forgotten");
}

#[tokio::test]
async fn remote_write_answers_in_the_words_of_its_protocol() {
    let served = serve(ReceiveLimits::default()).await;
    let write = |headers: Vec<(&'static str, &'static str)>, body: Vec<u8>| {
        let served = &served;
        async move { served.post("/api/v1/write", &headers, body).await }
    };
    assert_eq!(write(vec![PROTOBUF, ("content-encoding", "snappy")], snappy(WRITE)).await.0, 204);
    assert_eq!(served.rows(), 1);
    let v3 = ("content-type", "application/x-protobuf;proto=io.prometheus.write.v3.Request");
    let (status, _, text) = write(vec![v3], snappy(WRITE)).await;
    assert_eq!((status, text.contains("or io.prometheus.write.v2.Request")), (415, true));
    let (status, _, text) = write(vec![PROTOBUF], b"not snappy".to_vec()).await;
    assert_eq!((status, text.starts_with("cannot decompress snappy body")), (400, true), "{text}");
    let (status, _, text) = write(vec![PROTOBUF], snappy(b"\x0a\x02\x12\x00")).await;
    assert_eq!(status, 400);
    assert_eq!(text, "1 samples were refused, 0 were stored: timeseries[0].labels: the series has no label __name__: name it\n");
    served.fail(Some(Code::Overloaded { retry_after_seconds: 2 }));
    // Not 429: Prometheus would throw the samples away.
    let (status, retry, _) = write(vec![PROTOBUF], snappy(WRITE)).await;
    assert_eq!((status, retry.as_str()), (503, "2"));
}

#[tokio::test]
async fn remote_write_2_tells_what_it_wrote_and_knows_series_again() {
    let served = serve(ReceiveLimits { age_max: None, ..ReceiveLimits::default() }).await;
    let field = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8], bytes].concat();
    let sample = |time: u8, value: f64| field(0x12, &[&[0x09], &value.to_le_bytes()[..], &[0x10, time]].concat());
    // `{__name__="up", l=...}`, a counter, its symbols in another place in each request.
    let request = |turned: bool, label: &str, points: &[u8]| {
        let mut symbols = ["", "__name__", "up", "l", label, "Whether."];
        let mut refs = [1, 2, 3, 4];
        if turned {
            symbols.swap(2, 3);
            refs = [1, 3, 2, 4];
        }
        let symbols: Vec<u8> = symbols.iter().flat_map(|symbol| field(0x22, symbol.as_bytes())).collect();
        let metadata = field(0x2a, &[0x08, 1, 0x18, 5]);
        [symbols, field(0x2a, &[field(0x0a, &refs), points.to_vec(), metadata].concat())].concat()
    };
    let write = async |body: Vec<u8>| {
        let client = reqwest::Client::new().post(format!("http://{}/api/v1/write", served.http)).body(snappy(&body));
        let client = client.header("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");
        let response = client.header("content-encoding", "snappy").send().await.expect("an answer");
        let header = |what: &str| {
            let header = response.headers().get(format!("x-prometheus-remote-write-{what}-written"));
            header.and_then(|count| count.to_str().ok()?.parse::<u64>().ok())
        };
        (response.status().as_u16(), ["samples", "histograms", "exemplars"].map(|what| header(what).expect("a count")))
    };
    let known = || std::mem::take(&mut *served.store.known.lock().expect("not poisoned"));
    assert_eq!(write(request(false, "a", &[sample(1, 1.0), sample(2, 2.0)].concat())).await, (204, [2, 0, 0]));
    assert_eq!((served.rows(), known()), (1, vec![]));
    assert_eq!(write(request(true, "a", &sample(3, 3.0))).await, (204, [1, 0, 0]));
    assert_eq!((served.rows(), known()), (1, vec![(0, 3, 3.0)]), "the same texts are the same series, wherever they stand");
    // With a start, an exemplar, a histogram it is told whole.
    let started = field(0x12, &[0x10, 4, 0x18, 2]);
    let more = [started, field(0x22, &[0x18, 4]), field(0x1a, &[0x78, 4])].concat();
    assert_eq!(write(request(false, "a", &more)).await, (204, [1, 1, 1]));
    assert_eq!((served.rows(), known()), (3, vec![]));
    let (status, written) = write([request(false, "a", &sample(5, 1.0)), field(0x2a, &[0x12, 0])].concat()).await;
    assert_eq!((status, written), (400, [1, 0, 0]), "a series without labels is refused, the other is written");
    served.fail(Some(Code::Overloaded { retry_after_seconds: 2 }));
    assert_eq!(write(request(false, "b", &sample(6, 1.0))).await, (503, [0, 0, 0]));
}

#[tokio::test]
async fn loki_answers_in_the_words_of_its_protocol() {
    let served = serve(ReceiveLimits::default()).await;
    let push = r#"{"streams":[{"stream":{"app":"a"},"values":[["1","x"],["2","y",{"k":"v"}]]},{"stream":{},"values":[["1","x"]]}]}"#;
    let (status, _, text) = served.post("/loki/api/v1/push", &[("content-type", "application/json; charset=utf-8")], push).await;
    assert_eq!((status, served.rows()), (400, 2));
    assert_eq!(text, "1 entries were refused: streams[1]: error at least one label pair is required per stream\n");
    let protobuf = snappy(b"\x0a\x0e\x0a\x07{a=\"b\"}\x12\x03\x12\x01x");
    assert_eq!(served.post("/loki/api/v1/push", &[PROTOBUF], protobuf).await.0, 204);
    assert_eq!(served.rows(), 3);
    let (status, _, text) = served.post("/loki/api/v1/push", &[JSON], "{\"streams\": None}").await;
    assert_eq!((status, text.starts_with("cannot parse Loki push JSON")), (400, true), "{text}");
}

/// What is begun is finished, whoever still listens.
#[tokio::test]
async fn a_sender_that_hangs_up_leaves_nothing_half_done() {
    let served = serve(ReceiveLimits::default()).await;
    let gate = served.store.gate.lock().await;
    let mut sender = tokio::net::TcpStream::connect(served.http).await.expect("a connection");
    let head = format!("POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", LOG.len());
    tokio::io::AsyncWriteExt::write_all(&mut sender, format!("{head}{LOG}").as_bytes()).await.expect("sent");
    served.store.arrived.notified().await;
    drop(sender);
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    drop(gate);
    for _ in 0..1000 {
        if served.rows() == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    panic!("the record was never stored");
}

#[tokio::test]
async fn requests_under_way_share_one_budget() {
    let served = Arc::new(serve(ReceiveLimits { inflight_bytes_max: 4 << 20, ..ReceiveLimits::default() }).await);
    let body = LOG.replace("\"a\"", &format!("\"{}\"", "x".repeat(900_000)));
    let gate = served.store.gate.lock().await;
    let senders: Vec<_> = (0..5)
        .map(|_| {
            let (served, body) = (served.clone(), body.clone());
            tokio::spawn(async move { served.post("/v1/logs", &[JSON], body).await })
        })
        .collect();
    let mut senders: futures::stream::FuturesUnordered<_> = senders.into_iter().collect();
    let (status, retry, text) = futures::StreamExt::next(&mut senders).await.expect("one of five").expect("an answer");
    assert_eq!((status, retry.as_str()), (429, "1"), "{text}");
    assert!(text.contains("inflight_bytes_max"), "{text}");
    drop(gate);
    let answers: Vec<_> = futures::StreamExt::collect(senders).await;
    assert!(answers.iter().any(|answer| answer.as_ref().is_ok_and(|answer| answer.0 == 200)), "some were within the budget");
    assert_eq!(served.post("/v1/logs", &[JSON], body).await.0, 200, "the budget came back");
}

/// Messages stay bytes, as on the server's side.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

async fn export(
    served: &Served,
    path: &'static str,
    message: &'static [u8],
    packing: Option<CompressionEncoding>,
) -> Result<Response<Bytes>, Status> {
    let channel = Channel::from_shared(format!("http://{}", served.grpc)).expect("an address").connect().await.expect("a connection");
    let mut client = tonic::client::Grpc::new(channel);
    if let Some(packing) = packing {
        client = client.send_compressed(packing);
    }
    client.ready().await.expect("ready");
    client.unary(Request::new(Bytes::from_static(message)), path.parse().expect("a path"), Raw).await
}

#[tokio::test]
async fn otlp_grpc_answers_in_the_words_of_its_protocol() {
    const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    let served = serve(ReceiveLimits { decompressed_bytes_max: 1000, ..ReceiveLimits::default() }).await;
    for packing in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let answer = export(&served, LOGS, LOG_PROTOBUF, packing).await.expect("taken");
        assert!(answer.into_inner().is_empty());
    }
    assert_eq!(served.rows(), 3);
    for path in
        ["/opentelemetry.proto.collector.trace.v1.TraceService/Export", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"]
    {
        export(&served, path, b"", None).await.expect("nothing is fine");
    }
    // A span without ids is refused; the rest of the message stands.
    let trace = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let answer = export(&served, trace, LOG_PROTOBUF, None).await.expect("taken in part").into_inner();
    assert!(String::from_utf8_lossy(&answer).contains("resourceSpans[0].scopeSpans[0].spans[0].traceId"));

    let code = |result: Result<Response<Bytes>, Status>| result.expect_err("refused").code();
    assert_eq!(code(export(&served, LOGS, &[0xff], None).await), tonic::Code::InvalidArgument);
    assert_eq!(
        code(export(&served, "/opentelemetry.proto.collector.logs.v1.LogsService/Other", b"", None).await),
        tonic::Code::Unimplemented
    );
    assert_eq!(code(export(&served, "/nobody/Export", b"", None).await), tonic::Code::Unimplemented);
    const LARGE: &[u8] = &[0; 100_000];
    // Codes that say: not again.
    for packing in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        assert_eq!(code(export(&served, LOGS, LARGE, packing).await), tonic::Code::InvalidArgument);
    }

    served.fail(Some(Code::Overloaded { retry_after_seconds: 7 }));
    let status = export(&served, LOGS, LOG_PROTOBUF, None).await.expect_err("overloaded");
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    let details = String::from_utf8_lossy(status.details()).into_owned();
    assert!(details.contains("google.rpc.RetryInfo") && details.ends_with("\u{8}\u{7}"), "{details:?}");
    served.fail(Some(Code::Unavailable));
    assert_eq!(code(export(&served, LOGS, LOG_PROTOBUF, None).await), tonic::Code::Unavailable);
}

#[tokio::test]
async fn json_lines_are_told_what_became_of_each() {
    let served = serve(ReceiveLimits::default()).await;
    let path = "/api/tyto/v1/logs";
    let (status, _, body) = served.post(path, &[("content-type", "application/x-ndjson")], "{\"message\": \"a\"}\nb\n").await;
    let why = "cannot parse the object: expected value at line 1 column 1";
    let errors = format!(r#"[{{"at":"line 2","count":1,"why":"{why}"}}]"#);
    assert_eq!((status, body), (200, format!(r#"{{"accepted":1,"rejected":1,"errors":{errors}}}"#)));
    for (kind, body, rows) in [
        ("text/plain", "one\ntwo\n  more", 2),
        ("application/json", "[{\"message\": \"a\"}, {\"message\": \"b\"}]", 2),
        ("application/x-www-form-urlencoded", "{\"message\": \"a\"}\n{\"message\": \"b\"}", 2),
        ("application/x-www-form-urlencoded", " [{\"message\": \"a\"}]", 1),
        ("application/x-www-form-urlencoded", "[info] a=b", 1),
    ] {
        let before = served.rows();
        assert_eq!(served.post(path, &[("content-type", kind)], body).await.0, 200, "{body}");
        assert_eq!(served.rows() - before, rows, "{body}");
    }
    let (status, _, body) = served.post(path, &[JSON], "[1").await;
    assert!(status == 400 && body.starts_with("{\"error\":\"cannot parse logs: "), "{status} {body}");
    assert_eq!(served.post(path, &[("content-type", "image/png")], "x").await.0, 415);
    served.fail(Some(Code::Overloaded { retry_after_seconds: 3 }));
    let (status, retry, _) = served.post(path, &[], "x").await;
    assert_eq!((status, retry.as_str()), (429, "3"));
}

#[tokio::test]
async fn elasticsearch_answers_every_item() {
    let served = serve(ReceiveLimits::default()).await;
    let bulk = "{\"index\":{\"_id\":\"1\"}}\n{\"message\":\"a\"}\n{\"delete\":{\"_id\":\"1\"}}\n{\"create\":{\"_index\":\"b\"}}\n{}\n";
    let (status, _, body) = served.post("/elasticsearch/a/_bulk", &[JSON], bulk).await;
    let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let items = answer["items"].as_array().expect("items");
    assert_eq!((status, served.rows(), items.len(), &answer["errors"]), (200, 2, 3, &true.into()));
    let taken = r#"{"_index":"a","_id":"1","_version":1,"result":"created","_shards":{"total":1,"successful":1,"failed":0},"status":201}"#;
    assert_eq!(items[0]["index"].to_string(), taken);
    assert_eq!((&items[1]["delete"]["status"], &items[1]["delete"]["error"]["type"]), (&400.into(), &"illegal_argument_exception".into()));
    assert_eq!((&items[2]["create"]["_index"], &items[2]["create"]["status"]), (&"b".into(), &201.into()));

    let (status, _, body) = served.post("/elasticsearch/a/_doc", &[JSON], "{\"message\":\"a\"}").await;
    assert!(status == 201 && body.contains(r#""result":"created""#) && !body.contains("status"), "{body}");
    let (status, _, body) = served.post("/elasticsearch/a/_create/7", &[JSON], "{").await;
    assert!(status == 400 && body.contains(r#""type":"document_parsing_exception""#), "{body}");
    assert_eq!(served.post("/elasticsearch/_bulk", &[("content-type", "text/plain")], bulk).await.0, 406);
    let (status, _, body) = served.post("/elasticsearch/_bulk", &[JSON], "{\"index\":{}}").await;
    assert!(status == 400 && body.contains("must be terminated by a newline"), "{body}");
    assert_eq!(served.post("/elasticsearch/a/_search", &[JSON], "{}").await.0, 501);
    assert_eq!(served.post("/elasticsearch/a/_refresh", &[JSON], "").await.0, 200);

    for path in ["/elasticsearch", "/elasticsearch/"] {
        let root = reqwest::get(format!("http://{}{path}", served.http)).await.expect("an answer");
        assert_eq!(root.headers()["x-elastic-product"], "Elasticsearch");
        let root: serde_json::Value = serde_json::from_slice(&root.bytes().await.expect("a body")).expect("JSON");
        assert_eq!(root["tagline"], "You Know, for Search");
    }
    served.fail(Some(Code::Overloaded { retry_after_seconds: 3 }));
    let (status, retry, body) = served.post("/elasticsearch/a/_bulk", &[JSON], bulk).await;
    assert!(status == 429 && retry == "3" && body.contains("es_rejected_execution_exception"), "{body}");
}

#[tokio::test]
async fn splunk_answers_in_its_codes() {
    let served = serve(ReceiveLimits::default()).await;
    let path = "/services/collector/event";
    let token = ("authorization", "Splunk 0-0-0");
    assert_eq!(served.post(path, &[token], "{\"event\": \"a\"}").await.2, r#"{"text":"Success","code":0}"#);
    let channel = ("x-splunk-request-channel", "c");
    assert_eq!(served.post(path, &[token, channel], "{\"event\": \"a\"}").await.2, r#"{"text":"Success","code":0,"ackId":0}"#);
    let acks = served.post("/services/collector/ack", &[token, channel], "{\"acks\": [0, 1]}").await.2;
    assert_eq!((acks.as_str(), served.rows()), (r#"{"acks":{"0":true,"1":false}}"#, 2));
    for (headers, body, status, code) in [
        (&[][..], "{}", 401, 2),
        (&[("authorization", "Splunk")], "{}", 401, 3),
        (&[token], " ", 400, 5),
        (&[token], "{\"event\": 1", 400, 6),
        (&[token], "{}", 400, 12),
        (&[token], "{\"event\": \"\"}", 400, 13),
        (&[token], "{\"event\": \"a\", \"fields\": 1}", 400, 15),
        (&[token], "{\"event\": \"metric\", \"fields\": {\"metric_name:a\": 1}}", 400, 6),
    ] {
        let (found, _, answer) = served.post(path, headers, body).await;
        let told: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!((found, &told["code"]), (status, &code.into()), "{body} {answer}");
    }
    assert_eq!(
        served.post("/services/collector/ack", &[token], "{\"acks\": []}").await.2,
        r#"{"text":"Data channel is missing","code":10}"#
    );
    let answer = served.post(path, &[token], "{\"event\": \"a\"}{\"event\": \"\"}{\"event\": \"b\"}").await;
    let told: serde_json::Value = serde_json::from_str(&answer.2).expect("JSON");
    assert_eq!((answer.0, &told["invalid-event-number"], &told["accepted"], served.rows()), (400, &1.into(), &2.into(), 4));
    assert_eq!(served.post("/services/collector/raw?host=a", &[token], "one\ntwo").await.0, 200);
    served.fail(Some(Code::Overloaded { retry_after_seconds: 3 }));
    let (status, retry, body) = served.post(path, &[token], "{\"event\": \"a\"}").await;
    assert!(status == 503 && retry == "3" && body.contains(r#""code":9"#), "{body}");
}

#[tokio::test]
async fn firehose_takes_a_request_once() {
    let served = serve(ReceiveLimits::default()).await;
    let id = ("x-amz-firehose-request-id", "r1");
    let body = r#"{"requestId":"r1","timestamp":1795341600000,"records":[{"data":"aGVsbG8="},{"data":"?"}]}"#;
    served.fail(Some(Code::Unavailable));
    assert_eq!(served.post("/firehose/logs", &[id, JSON], body).await.0, 503);
    served.fail(None);
    let (status, _, answer) = served.post("/firehose/logs", &[id, JSON], body).await;
    let told: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!((status, &told["requestId"], served.rows()), (200, &"r1".into(), 1));
    assert!(told["errorMessage"].as_str().is_some_and(|why| why.contains("records[1]")), "{answer}");
    assert_eq!((served.post("/firehose/logs", &[id, JSON], body).await.0, served.rows()), (200, 1), "what is stored is not taken again");
    assert_eq!(served.post("/firehose/logs", &[JSON], body).await.0, 400);
    let other = served.post("/firehose/logs", &[("x-amz-firehose-request-id", "r2"), JSON], body).await;
    assert!(other.0 == 400 && other.2.contains("requestId"), "{other:?}");
}

#[tokio::test]
async fn a_journal_is_stored_part_by_part() {
    let served = serve(ReceiveLimits { body_bytes_max: 1 << 20, ..ReceiveLimits::default() }).await;
    let journal = ("content-type", "application/vnd.fdo.journal");
    let entry = |number: usize| format!("__REALTIME_TIMESTAMP=1795341600{number:06}\nMESSAGE={}\n\n", "x".repeat(1000));
    let entries: String = (0..10_000).map(entry).collect();
    assert_eq!(served.post("/upload", &[journal], entries).await, (202, String::new(), "OK.\n".to_owned()));
    assert_eq!(served.rows(), 10_000);
    let (status, _, text) = served.post("/upload", &[journal], "MESSAGE=x\n\n").await;
    assert!(status == 202 && text.starts_with("1 entries were refused: entry 0"), "{text}");
    assert_eq!(served.post("/upload", &[journal], "MESSAGE\nab").await.0, 400);
    assert_eq!(served.post("/upload", &[JSON], "").await.0, 415);
}

#[tokio::test]
async fn zipkin_and_jaeger_answer_as_their_collectors_do() {
    const THRIFT: (&str, &str) = ("content-type", "application/vnd.apache.thrift.binary");
    let served = serve(ReceiveLimits::default()).await;
    let spans = r#"[{"traceId":"1","id":"2","timestamp":1},{"traceId":"0","id":"2","timestamp":1}]"#;
    let (status, _, body) = served.post("/api/v2/spans", &[JSON], spans).await;
    assert_eq!((status, served.rows()), (400, 1));
    assert!(body.starts_with("1 spans were refused: spans[1].traceId: "), "{body}");
    assert_eq!(served.post("/api/v2/spans", &[JSON], "[]").await, (202, String::new(), String::new()));
    // Trace 1, id 2, at 1 us.
    let proto = b"\x0a\x0e\x0a\x01\x01\x1a\x01\x02\x31\x01\0\0\0\0\0\0\0";
    let proto = [&[0x0a, proto.len() as u8 - 2][..], &proto[2..]].concat();
    assert_eq!(served.post("/api/v2/spans", &[PROTOBUF], proto).await.0, 202);
    assert_eq!(served.rows(), 2);
    assert_eq!(served.post("/api/v2/spans", &[THRIFT], "").await.0, 415);

    // A process without a name and no spans; then bytes that are none.
    assert_eq!(served.post("/api/traces?format=jaeger.thrift", &[THRIFT], [12, 0, 1, 0, 0]).await.0, 202);
    assert_eq!(served.post("/api/traces", &[THRIFT], [12, 0]).await.0, 400);
    assert_eq!(served.post("/api/traces", &[JSON], "{}").await.0, 415);

    const POST: &str = "/jaeger.api_v2.CollectorService/PostSpans";
    // A batch of one span: trace 1, id 2, of 1 s.
    const BATCH: &[u8] = b"\x0a\x0e\x0a\x0c\x0a\x01\x01\x12\x01\x02\x32\x02\x08\x01\x3a\0";
    assert!(export(&served, POST, BATCH, Some(CompressionEncoding::Gzip)).await.expect("taken").into_inner().is_empty());
    assert_eq!(served.rows(), 3);
    let refused = export(&served, POST, b"\x0a\x02\x0a\x00", None).await.expect_err("a span without ids");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(refused.message().contains("spans[0].traceId"), "{refused}");
    served.fail(Some(Code::Unavailable));
    assert_eq!(served.post("/api/v2/spans", &[JSON], spans).await.0, 503);
    assert_eq!(export(&served, POST, BATCH, None).await.expect_err("no store").code(), tonic::Code::Unavailable);
}
