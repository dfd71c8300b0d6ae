//! OTLP over gRPC: the three Export services. Source: <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc>.

use bytes::Bytes;
use model::{Ack, Decoded, Result};
use tonic::service::Routes;

use super::{DeltaState, Encoding, SignalKind, reply};
use crate::grpc::{Method, Unary};
use crate::outcome::Rules;
use crate::state::Receivers;

/// The logs, trace and metrics services.
pub fn otlp_grpc_routes(receivers: Receivers) -> Routes {
    Routes::new(Unary { receivers: receivers.clone(), method: LogsExport })
        .add_service(Unary { receivers: receivers.clone(), method: TraceExport })
        .add_service(Unary { receivers, method: MetricsExport })
}

/// One type per signal: tonic finds a service by a constant of its type.
macro_rules! export {
    ($method:ident, $signal:expr, $service:literal) => {
        #[derive(Clone)]
        struct $method;

        impl Method for $method {
            const SERVICE: &'static str = $service;
            const NAME: &'static str = "Export";
            const PROTOCOL: &'static str = "otlp_grpc";

            fn decode(&self, body: &[u8], rules: &Rules<'_>, deltas: &DeltaState) -> Result<Decoded> {
                $signal.decode(body, Encoding::Protobuf, rules, deltas)
            }

            fn reply(&self, ack: &Ack) -> Result<Bytes> {
                Ok(reply::success($signal, Encoding::Protobuf, &ack.rejections))
            }
        }
    };
}

export!(LogsExport, SignalKind::Logs, "opentelemetry.proto.collector.logs.v1.LogsService");
export!(TraceExport, SignalKind::Traces, "opentelemetry.proto.collector.trace.v1.TraceService");
export!(MetricsExport, SignalKind::Metrics, "opentelemetry.proto.collector.metrics.v1.MetricsService");
