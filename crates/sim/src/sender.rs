//! Sends telemetry over the real protocols and counts what was acknowledged.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use model::{Code, Error, Result};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use tonic::transport::Channel;

use crate::grpc;
use crate::pack::{Lane, Load};
use crate::sent::Sent;
use crate::world::Telemetry;

/// How often one request is sent before the sender gives up; with the pauses that is about half a minute.
const ATTEMPTS_MAX: u32 = 12;
const PAUSE_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
pub struct Endpoints {
    /// Remote write and Loki push.
    pub http: SocketAddr,
    pub otlp_http: SocketAddr,
    pub otlp_grpc: SocketAddr,
}

#[derive(Clone, Debug)]
pub struct Sender {
    endpoints: Endpoints,
    client: reqwest::Client,
    channel: Channel,
}

/// One request as it travels over HTTP.
struct Parcel {
    url: String,
    content_type: &'static str,
    content_encoding: Option<&'static str>,
    body: Bytes,
}

impl Sender {
    /// Must be called within a Tokio runtime.
    pub fn new(endpoints: Endpoints) -> Result<Self> {
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(60))
            .build()
            .map_err(|source| Error::internal("cannot build HTTP client").because(source))?;
        Ok(Self { endpoints, client, channel: grpc::channel(endpoints.otlp_grpc)? })
    }

    /// Waits until the load is acknowledged, comes back later when it is asked to, and says what was taken. Nothing is sent twice
    /// unless the receiver refused it: after a broken connection this fails, because nobody knows what was kept.
    pub async fn send(&self, load: Load) -> Result<Sent> {
        let mut sent = Sent { requests: 1, ..Sent::of(&load) };
        if load.lane == Lane::Grpc {
            self.send_grpc(&load.telemetry, &mut sent).await?;
        } else {
            let parcel = self.wrap(&load.telemetry)?;
            sent.bytes = parcel.body.len() as u64;
            let answer = self.post(&parcel, &mut sent.retries).await?;
            sent.reject(rejected(&load.telemetry, &answer)?);
        }
        Ok(sent)
    }

    fn wrap(&self, telemetry: &Telemetry) -> Result<Parcel> {
        let Endpoints { http, otlp_http, .. } = self.endpoints;
        let otlp = |path: &str, message: Vec<u8>| -> Result<Parcel> {
            let (url, content_encoding) = (format!("http://{otlp_http}{path}"), Some("gzip"));
            Ok(Parcel { url, content_type: "application/x-protobuf", content_encoding, body: gzip(&message)? })
        };
        match telemetry {
            Telemetry::Logs(request) => otlp("/v1/logs", request.encode_to_vec()),
            Telemetry::Spans(request) => otlp("/v1/traces", request.encode_to_vec()),
            Telemetry::Metrics(request) => otlp("/v1/metrics", request.encode_to_vec()),
            Telemetry::RemoteWrite(request) => {
                let body = snap::raw::Encoder::new()
                    .compress_vec(&request.encode_to_vec())
                    .map_err(|source| Error::internal("cannot compress remote-write request").because(source))?;
                let (url, content_encoding) = (format!("http://{http}/api/v1/write"), Some("snappy"));
                Ok(Parcel { url, content_type: "application/x-protobuf", content_encoding, body: body.into() })
            }
            Telemetry::Loki(push) => {
                let body = serde_json::to_vec(push).map_err(|source| Error::internal("cannot write Loki push as JSON").because(source))?;
                let url = format!("http://{http}/loki/api/v1/push");
                Ok(Parcel { url, content_type: "application/json", content_encoding: None, body: body.into() })
            }
        }
    }

    async fn post(&self, parcel: &Parcel, retries: &mut u64) -> Result<Bytes> {
        for attempt in 1.. {
            let mut request = self.client.post(&parcel.url).header(CONTENT_TYPE, parcel.content_type).body(parcel.body.clone());
            if let Some(encoding) = parcel.content_encoding {
                request = request.header(CONTENT_ENCODING, encoding);
            }
            if parcel.content_encoding == Some("snappy") {
                request = request.header("x-prometheus-remote-write-version", "0.1.0");
            }
            let cannot = |code| Error::new(code, format!("cannot send telemetry to {}", parcel.url));
            let (wait, problem) = match request.send().await {
                Ok(response) if response.status().is_success() => {
                    return response.bytes().await.map_err(|source| cannot(Code::Unavailable).because(source));
                }
                Ok(response) => {
                    let wait = asked_to_wait(&response, attempt);
                    let code = if response.status().is_client_error() { Code::Invalid } else { Code::Unavailable };
                    let status = response.status();
                    let text = response.text().await.unwrap_or_default();
                    (wait, cannot(code).because(format!("status {status}: {}", text.trim())))
                }
                Err(source) => (source.is_connect().then(|| pause(attempt)), cannot(Code::Unavailable).because(source)),
            };
            match wait {
                Some(wait) if attempt < ATTEMPTS_MAX => {
                    *retries += 1;
                    tokio::time::sleep(wait).await;
                }
                _ => return Err(problem),
            }
        }
        unreachable!("the loop ends by returning")
    }

    async fn send_grpc(&self, telemetry: &Telemetry, sent: &mut Sent) -> Result<()> {
        for attempt in 1.. {
            match self.call(telemetry, sent).await {
                Ok(rejected) => {
                    sent.reject(rejected);
                    return Ok(());
                }
                Err(status) => match grpc::retry_after(&status, pause(attempt)) {
                    Some(wait) if attempt < ATTEMPTS_MAX => {
                        sent.retries += 1;
                        tokio::time::sleep(wait).await;
                    }
                    _ => return Err(grpc::error(status)),
                },
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// The number of rejected records.
    async fn call(&self, telemetry: &Telemetry, sent: &mut Sent) -> Result<u64, tonic::Status> {
        let rejected = match telemetry {
            Telemetry::Logs(request) => {
                sent.bytes = request.encoded_len() as u64;
                let path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
                let answer: ExportLogsServiceResponse = grpc::unary(&self.channel, path, request.clone()).await?;
                answer.partial_success.map(|partial| partial.rejected_log_records)
            }
            Telemetry::Spans(request) => {
                sent.bytes = request.encoded_len() as u64;
                let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
                let answer: ExportTraceServiceResponse = grpc::unary(&self.channel, path, request.clone()).await?;
                answer.partial_success.map(|partial| partial.rejected_spans)
            }
            Telemetry::Metrics(request) => {
                sent.bytes = request.encoded_len() as u64;
                let path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
                let answer: ExportMetricsServiceResponse = grpc::unary(&self.channel, path, request.clone()).await?;
                answer.partial_success.map(|partial| partial.rejected_data_points)
            }
            Telemetry::RemoteWrite(_) | Telemetry::Loki(_) => unreachable!("only OTLP travels over gRPC"),
        };
        Ok(rejected.unwrap_or(0).max(0).cast_unsigned())
    }
}

fn gzip(message: &[u8]) -> Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 6), Compression::fast());
    let written = encoder.write_all(message).and_then(|()| encoder.finish());
    written.map(Bytes::from).map_err(|source| Error::internal("cannot compress OTLP request").because(source))
}

/// Only 429 and 503 ask to come back; `Retry-After` is in seconds.
fn asked_to_wait(response: &reqwest::Response, attempt: u32) -> Option<Duration> {
    if !matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Some(asked.map_or_else(|| pause(attempt), Duration::from_secs))
}

fn pause(attempt: u32) -> Duration {
    Duration::from_millis(100 << attempt.min(10)).min(PAUSE_MAX)
}

fn rejected(telemetry: &Telemetry, answer: &[u8]) -> Result<u64> {
    let rejected = match telemetry {
        Telemetry::Logs(_) => {
            ExportLogsServiceResponse::decode(answer).map(|answer| answer.partial_success.map_or(0, |partial| partial.rejected_log_records))
        }
        Telemetry::Spans(_) => {
            ExportTraceServiceResponse::decode(answer).map(|answer| answer.partial_success.map_or(0, |partial| partial.rejected_spans))
        }
        Telemetry::Metrics(_) => ExportMetricsServiceResponse::decode(answer)
            .map(|answer| answer.partial_success.map_or(0, |partial| partial.rejected_data_points)),
        Telemetry::RemoteWrite(_) | Telemetry::Loki(_) => Ok(0),
    };
    let rejected = rejected.map_err(|source| Error::unavailable("cannot read the receiver's answer").because(source))?;
    Ok(rejected.max(0).cast_unsigned())
}
