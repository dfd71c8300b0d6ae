//! OTLP over gRPC: the three Export services, without generated message types. tonic frames, decompresses and limits;
//! the codec hands the message's bytes to the same decoders as HTTP.
//! Source: <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc>.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use futures::future::BoxFuture;
use model::{Ack, Error, Result};
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tower::Service;

use super::{Encoding, SignalKind, reply};
use crate::state::{Receivers, count_request, grpc_code};

const PROTOCOL: &str = "otlp_grpc";

/// The logs, trace and metrics services. A message may have `decompressed_bytes_max` bytes.
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
        let mut grpc = Grpc::new(RawCodec)
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
            .max_decoding_message_size(self.receivers.limits.decompressed_bytes_max);
        grpc.unary(self, request).await
    }

    async fn export(self, body: Bytes) -> Result<Response<Bytes>, Status> {
        let (bytes, signal) = (body.len(), self.signal);
        let result = self.take(body).await;
        let code = result.as_ref().map_or_else(grpc_code, |_| tonic::Code::Ok);
        count_request(PROTOCOL, format!("{code:?}"), bytes);
        match result {
            Ok(ack) => Ok(Response::new(reply::success(signal, Encoding::Protobuf, &ack.rejections))),
            Err(error) => Err(failure(&error)),
        }
    }

    async fn take(self, body: Bytes) -> Result<Ack> {
        let Self { receivers, signal } = self;
        let decoded =
            receivers.decode(PROTOCOL, body, move |body, rules, deltas| signal.decode(body, Encoding::Protobuf, rules, deltas)).await?;
        receivers.submit(decoded).await
    }
}

fn failure(error: &Error) -> Status {
    Status::with_details(grpc_code(error), error.chain(), reply::status(error).into())
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        Box::pin(self.clone().export(request.into_inner()))
    }
}

/// Messages stay bytes.
#[derive(Clone, Copy, Default)]
struct RawCodec;

impl Codec for RawCodec {
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

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}
