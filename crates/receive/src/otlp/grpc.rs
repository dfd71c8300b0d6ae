//! OTLP over gRPC: the three Export services, without generated message types. tonic finds the service; the request's one
//! message is read as any body is, under the same limits and the same budget, and goes to the same decoders as HTTP.
//!
//! Refused: tonic's own reading of messages. It unpacks before anybody can count the bytes, and answers what is too large
//! with codes that tell an OTLP sender to send it again.
//! Sources: <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc>,
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full};
use model::{Ack, Error, Result};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::Service;

use super::{DeltaState, Encoding, SignalKind, reply};
use crate::body::{self, Packing};
use crate::outcome::{Rules, shortened};
use crate::state::{Receivers, count_request, grpc_code, told};

const PROTOCOL: &str = "otlp_grpc";
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The logs, trace and metrics services.
pub fn otlp_grpc_routes(receivers: Receivers) -> Routes {
    let export = |signal| Export { receivers: receivers.clone(), signal };
    Routes::new(LogsService(export(SignalKind::Logs)))
        .add_service(TraceService(export(SignalKind::Traces)))
        .add_service(MetricsService(export(SignalKind::Metrics)))
}

/// One service type per signal: tonic finds a service by a constant of its type.
macro_rules! export_service {
    ($service:ident, $name:literal) => {
        #[derive(Clone)]
        struct $service(Export);

        impl NamedService for $service {
            const NAME: &'static str = $name;
        }

        impl Service<http::Request<Body>> for $service {
            type Response = http::Response<Body>;
            type Error = Infallible;
            type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: http::Request<Body>) -> Self::Future {
                let export = self.0.clone();
                Box::pin(async move {
                    let known = request.uri().path() == concat!("/", $name, "/Export");
                    Ok(if known { export.answer(request).await } else { unknown_method(request.uri().path()) })
                })
            }
        }
    };
}

export_service!(LogsService, "opentelemetry.proto.collector.logs.v1.LogsService");
export_service!(TraceService, "opentelemetry.proto.collector.trace.v1.TraceService");
export_service!(MetricsService, "opentelemetry.proto.collector.metrics.v1.MetricsService");

fn unknown_method(path: &str) -> http::Response<Body> {
    count_request(PROTOCOL, "Unimplemented", 0);
    Status::unimplemented(format!("cannot find method {path}: the only one is Export")).into_http()
}

#[derive(Clone)]
struct Export {
    receivers: Receivers,
    signal: SignalKind,
}

impl Export {
    async fn answer(self, request: http::Request<Body>) -> http::Response<Body> {
        let (bytes, result) = self.take(request).await;
        let code = result.as_ref().map_or_else(grpc_code, |_| tonic::Code::Ok);
        count_request(PROTOCOL, format!("{code:?}"), bytes);
        let mut response = match result {
            Ok(ack) => success(&reply::success(self.signal, Encoding::Protobuf, &ack.rejections)),
            Err(error) => Status::with_details(code, told(&error), reply::status(&error).into()).into_http(),
        };
        response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip,zstd"));
        response
    }

    /// Also answers how many bytes came.
    async fn take(&self, request: http::Request<Body>) -> (usize, Result<Ack>) {
        let Self { receivers, signal } = self;
        let (head, body) = request.into_parts();
        let mut share = receivers.budget.share();
        let body = match body::read(axum::body::Body::new(body), None, &receivers.limits, &mut share).await {
            Ok(body) => body,
            Err(error) => return (0, Err(error)),
        };
        let (bytes, signal) = (body.len(), *signal);
        let message = match unframed(&body, &head.headers) {
            Ok((message, packing)) => body::unpacked(message, packing, &receivers.limits, share).await,
            Err(error) => Err(error),
        };
        let decode = move |body: &[u8], rules: &Rules<'_>, deltas: &DeltaState| signal.decode(body, Encoding::Protobuf, rules, deltas);
        match message {
            Ok(message) => (bytes, receivers.take(PROTOCOL, message, decode).await),
            Err(error) => (bytes, Err(error)),
        }
    }
}

/// What stands before a message: whether it is packed, and its length.
const PREFIX_BYTES: usize = 5;

/// The one message of a unary call, and how it is packed.
fn unframed(body: &Bytes, headers: &HeaderMap) -> Result<(Bytes, Packing)> {
    let packing = match body::header(headers, &ENCODING) {
        "" | "identity" => Packing::Identity,
        "gzip" => Packing::Gzip,
        "zstd" => Packing::Zstd,
        other => return Err(Error::unsupported(format!("cannot accept grpc-encoding {}: send gzip or zstd", shortened(other)))),
    };
    let wrong = |why: &str| Error::invalid(format!("cannot read gRPC message: {why}"));
    let Some((&[flag, a, b, c, d], message)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(wrong("the call holds none"));
    };
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        return Err(wrong("its length is not what stands before it, or there are several"));
    }
    match (flag, packing) {
        (0, _) => Ok((body.slice(PREFIX_BYTES..), Packing::Identity)),
        (1, Packing::Gzip | Packing::Zstd) => Ok((body.slice(PREFIX_BYTES..), packing)),
        _ => Err(wrong("it is marked as packed, and grpc-encoding does not say how")),
    }
}

fn success(message: &[u8]) -> http::Response<Body> {
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("an answer is a few lines"));
    framed.extend_from_slice(message);
    let trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
    let body = Full::new(framed.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = http::Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
