//! Amazon Data Firehose delivering to an HTTP endpoint: logs (CloudWatch Logs subscriptions, JSON, lines) and CloudWatch
//! metric streams in OpenTelemetry's format. `listen.rs` > `seen.rs` (a request that came before) > `decode.rs` >
//! `cloudwatch.rs`.
//!
//! Source: <https://docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html>.

mod cloudwatch;
mod decode;
mod listen;
mod seen;

pub use decode::{Delivery, decode_firehose_logs, decode_firehose_metrics};
pub use listen::firehose_router;
