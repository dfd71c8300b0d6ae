//! OTLP's answers: `ExportXServiceResponse` with its partial success, and `google.rpc.Status`.

use bytes::Bytes;
use model::{Error, Rejection};
use serde_json::json;

use super::{Encoding, SignalKind};
use crate::grpc::status;
use crate::protobuf::Writer;
use crate::state::{grpc_code, summary, told};

/// The answer to a request that was taken, wholly or in part. With nothing to say it is empty, as the specification wants.
pub(super) fn success(signal: SignalKind, encoding: Encoding, rejections: &[Rejection]) -> Bytes {
    let (rejected, message) = summary(rejections);
    match encoding {
        Encoding::Protobuf if rejections.is_empty() => Bytes::new(),
        Encoding::Json if rejections.is_empty() => Bytes::from_static(b"{}"),
        Encoding::Json => {
            let partial = json!({ "partialSuccess": { signal.rejected_name(): rejected.to_string(), "errorMessage": message } });
            partial.to_string().into()
        }
        Encoding::Protobuf => {
            let mut partial = Writer::default();
            partial.varint(1, rejected);
            partial.bytes(2, message.as_bytes());
            let mut writer = Writer::default();
            writer.bytes(1, &partial.bytes);
            writer.bytes.into()
        }
    }
}

/// A `google.rpc.Status` as HTTP senders get it.
pub(super) fn failure(error: &Error, encoding: Encoding) -> Bytes {
    match encoding {
        Encoding::Protobuf => status(error).into(),
        Encoding::Json => json!({ "code": grpc_code(error) as i32, "message": told(error) }).to_string().into(),
    }
}
