//! Unary calls over gRPC, without generated message types. tonic finds the service; the request's one message is read as any
//! body is, under the same limits and the same budget, and goes to the same decoders as HTTP.
//!
//! Refused: tonic's own reading of messages. It unpacks before anybody can count the bytes, and answers what is too large
//! with codes that tell a sender to send it again.
//! Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full};
use model::{Ack, Decoded, Error, Result};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use crate::body::{self, Packing};
use crate::otlp::DeltaState;
use crate::outcome::{Rules, shortened};
use crate::protobuf::Writer;
use crate::state::{Receivers, count_request, grpc_code, retry_after_seconds, told};

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The only method of a service.
pub(crate) trait Method: Clone + Send + Sync + 'static {
    const SERVICE: &'static str;
    const NAME: &'static str;
    const PROTOCOL: &'static str;

    fn decode(&self, body: &[u8], rules: &Rules<'_>, deltas: &DeltaState) -> Result<Decoded>;

    /// The message that answers a request which was taken, wholly or in part.
    fn reply(&self, ack: &Ack) -> Result<Bytes>;
}

#[derive(Clone)]
pub(crate) struct Unary<M> {
    pub(crate) receivers: Receivers,
    pub(crate) method: M,
}

impl<M: Method> NamedService for Unary<M> {
    const NAME: &'static str = M::SERVICE;
}

impl<M: Method> Service<http::Request<Body>> for Unary<M> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let unary = self.clone();
        Box::pin(async move {
            let path = request.uri().path();
            let known = path.strip_prefix('/').and_then(|path| path.split_once('/')) == Some((M::SERVICE, M::NAME));
            Ok(if known { unary.answer(request).await } else { unknown_method::<M>(path) })
        })
    }
}

fn unknown_method<M: Method>(path: &str) -> http::Response<Body> {
    count_request(M::PROTOCOL, "Unimplemented", 0);
    Status::unimplemented(format!("cannot find method {path}: the only one is {}", M::NAME)).into_http()
}

impl<M: Method> Unary<M> {
    async fn answer(self, request: http::Request<Body>) -> http::Response<Body> {
        let (bytes, result) = self.take(request).await;
        let result = result.and_then(|ack| self.method.reply(&ack));
        let code = result.as_ref().map_or_else(grpc_code, |_| tonic::Code::Ok);
        count_request(M::PROTOCOL, format!("{code:?}"), bytes);
        let mut response = match result {
            Ok(message) => success(&message),
            Err(error) => Status::with_details(code, told(&error), status(&error).into()).into_http(),
        };
        response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip,zstd"));
        response
    }

    /// Also answers how many bytes came.
    async fn take(&self, request: http::Request<Body>) -> (usize, Result<Ack>) {
        let Self { receivers, method } = self;
        let (head, body) = request.into_parts();
        let mut share = receivers.budget.share();
        let body = match body::read(axum::body::Body::new(body), None, &receivers.limits, &mut share).await {
            Ok(body) => body,
            Err(error) => return (0, Err(error)),
        };
        let (bytes, method) = (body.len(), method.clone());
        let message = match unframed(&body, &head.headers) {
            Ok((message, packing)) => body::unpacked(message, packing, &receivers.limits, share).await,
            Err(error) => Err(error),
        };
        let decode = move |body: &[u8], rules: &Rules<'_>, deltas: &DeltaState| method.decode(body, rules, deltas);
        match message {
            Ok(message) => (bytes, receivers.take(M::PROTOCOL, message, decode).await),
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

/// A `google.rpc.Status` in protobuf; with `RetryInfo` where the request may come again.
pub(crate) fn status(error: &Error) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.varint(1, grpc_code(error) as u64);
    writer.bytes(2, told(error).as_bytes());
    if let Some(seconds) = retry_after_seconds(error) {
        let [mut delay, mut info, mut details] = [Writer::default(), Writer::default(), Writer::default()];
        delay.varint(1, u64::from(seconds));
        info.bytes(1, &delay.bytes);
        details.bytes(1, b"type.googleapis.com/google.rpc.RetryInfo");
        details.bytes(2, &info.bytes);
        writer.bytes(3, &details.bytes);
    }
    writer.bytes
}
