//! `jaeger.api_v2.CollectorService/PostSpans`.

use bytes::Bytes;
use model::{Ack, Decoded, Error, Result};
use tonic::service::Routes;

use super::decode_jaeger_proto;
use crate::grpc::{Method, Unary};
use crate::otlp::DeltaState;
use crate::outcome::Rules;
use crate::state::{Receivers, summary};

#[derive(Clone)]
struct PostSpans;

impl Method for PostSpans {
    const SERVICE: &'static str = "jaeger.api_v2.CollectorService";
    const NAME: &'static str = "PostSpans";
    const PROTOCOL: &'static str = "jaeger_grpc";

    fn decode(&self, body: &[u8], rules: &Rules<'_>, _: &DeltaState) -> Result<Decoded> {
        decode_jaeger_proto(body, rules)
    }

    /// The answer has no field for a partial success: the rest of the request is stored, and the code says not to send it again.
    fn reply(&self, ack: &Ack) -> Result<Bytes> {
        match summary(&ack.rejections) {
            (0, _) => Ok(Bytes::new()),
            (refused, text) => Err(Error::invalid(format!("{refused} spans were refused: {text}"))),
        }
    }
}

/// Adds Jaeger's service to a gRPC port's.
pub fn jaeger_grpc_routes(routes: Routes, receivers: Receivers) -> Routes {
    routes.add_service(Unary { receivers, method: PostSpans })
}
