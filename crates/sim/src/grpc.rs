//! OTLP over gRPC without generated code: three unary methods and a codec of prost messages.

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::time::Duration;

use http::uri::PathAndQuery;
use model::{Code, Error, Result};
use prost::Message;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// Connects when it is first used, so a sender may be made before its receiver listens.
pub(crate) fn channel(address: SocketAddr) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|source| Error::invalid(format!("cannot connect to {address} over gRPC")).because(source))?;
    Ok(endpoint.connect_timeout(Duration::from_secs(5)).timeout(Duration::from_secs(60)).connect_lazy())
}

pub(crate) async fn unary<Q, A>(channel: &Channel, path: &'static str, question: Q) -> Result<A, Status>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let mut grpc = Grpc::new(channel.clone()).send_compressed(CompressionEncoding::Gzip);
    grpc.ready().await.map_err(|source| Status::from_error(source.into()))?;
    let codec = ProstCodec { messages: PhantomData::<(Q, A)> };
    let answer = grpc.unary(Request::new(question), PathAndQuery::from_static(path), codec).await?;
    Ok(answer.into_inner())
}

/// How long to wait before trying again, or `None` when that would be of no use. A connection that broke is no reason: the
/// receiver may have kept what it could not acknowledge.
pub(crate) fn retry_after(status: &Status, otherwise: Duration) -> Option<Duration> {
    use std::error::Error as _;
    let asked = retry_info(status.details());
    match status.code() {
        tonic::Code::ResourceExhausted => Some(asked.unwrap_or(otherwise)),
        tonic::Code::Unavailable if status.source().is_none() => Some(asked.unwrap_or(otherwise)),
        _ => None,
    }
}

pub(crate) fn error(status: Status) -> Error {
    let code = match status.code() {
        tonic::Code::InvalidArgument => Code::Invalid,
        tonic::Code::ResourceExhausted => Code::Overloaded { retry_after_seconds: 1 },
        _ => Code::Unavailable,
    };
    Error::new(code, "cannot send telemetry over gRPC").because(status)
}

fn retry_info(details: &[u8]) -> Option<Duration> {
    let details = RpcStatus::decode(details).ok()?.details;
    let info = details.into_iter().find(|any| any.type_url.ends_with("google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    Some(Duration::new(delay.seconds.try_into().ok()?, delay.nanos.try_into().ok()?))
}

#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

struct ProstCodec<Q, A> {
    messages: PhantomData<(Q, A)>,
}

impl<Q: Message + 'static, A: Message + Default + 'static> Codec for ProstCodec<Q, A> {
    type Encode = Q;
    type Decode = A;
    type Encoder = Writer<Q>;
    type Decoder = Reader<A>;

    fn encoder(&mut self) -> Self::Encoder {
        Writer(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        Reader(PhantomData)
    }
}

struct Writer<Q>(PhantomData<Q>);

impl<Q: Message> Encoder for Writer<Q> {
    type Item = Q;
    type Error = Status;

    fn encode(&mut self, item: Q, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|source| Status::internal(source.to_string()))
    }
}

struct Reader<A>(PhantomData<A>);

impl<A: Message + Default> Decoder for Reader<A> {
    type Item = A;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<A>, Status> {
        A::decode(buffer).map(Some).map_err(|source| Status::internal(source.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_info_is_read_from_the_details() {
        let info = RetryInfo { retry_delay: Some(Delay { seconds: 3, nanos: 500_000_000 }) };
        let any = Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value: info.encode_to_vec() };
        let details = RpcStatus { code: 14, message: String::new(), details: vec![any] }.encode_to_vec();
        let status = Status::with_details(tonic::Code::Unavailable, "later", details.into());
        assert_eq!(retry_after(&status, Duration::from_secs(9)), Some(Duration::from_millis(3500)));
        assert_eq!(retry_after(&Status::resource_exhausted("full"), Duration::from_secs(9)), Some(Duration::from_secs(9)));
        assert_eq!(retry_after(&Status::invalid_argument("no"), Duration::from_secs(9)), None);
    }
}
