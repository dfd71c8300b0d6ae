//! Answers in Elasticsearch's form.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use model::{Code, Error};
use serde_json::{Value, json};

use super::decode::Item;
use crate::outcome::Fault;
use crate::state::{http_status, told};

/// The answer to a bulk request: a result per item, in their order.
pub(super) fn bulk(items: &[Item], now_unix_nano: i64, took_ms: u64) -> String {
    let errors = items.iter().any(|item| item.done.is_err());
    let mut out = format!("{{\"errors\":{errors},\"took\":{took_ms},\"items\":[");
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        let (_, result) = result(item, number, now_unix_nano);
        out.push_str(&json!({ item.action.name(): result }).to_string());
    }
    out.push_str("]}");
    out
}

/// The answer to a request with one document.
pub(super) fn document(item: &Item, now_unix_nano: i64) -> (StatusCode, String) {
    match &item.done {
        Ok(()) => {
            let (status, mut result) = result(item, 0, now_unix_nano);
            result.as_object_mut().expect("a result is an object").shift_remove("status");
            (status, result.to_string())
        }
        Err(fault) => (refused(fault), failure(refused(fault), kind(fault), &fault.why)),
    }
}

fn result(item: &Item, number: usize, now_unix_nano: i64) -> (StatusCode, Value) {
    let id = item.id.as_deref().map_or_else(|| made_id(number, now_unix_nano), str::to_owned);
    match &item.done {
        Ok(()) => {
            let shards = json!({ "total": 1, "successful": 1, "failed": 0 });
            let status = StatusCode::CREATED;
            let result = json!({ "_index": &*item.index, "_id": id, "_version": 1, "result": "created", "_shards": shards, "status": status.as_u16() });
            (status, result)
        }
        Err(fault) => {
            let (status, error) = (refused(fault), json!({ "type": kind(fault), "reason": fault.why }));
            (status, json!({ "_index": &*item.index, "_id": id, "status": status.as_u16(), "error": error }))
        }
    }
}

/// An id for a document that came without one. It stands in the answer only.
fn made_id(number: usize, now_unix_nano: i64) -> String {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    URL_SAFE_NO_PAD.encode([&now_unix_nano.to_be_bytes()[..], &number.to_be_bytes()].concat())
}

/// 400 for all: what is refused would be refused again.
fn refused(_: &Fault) -> StatusCode {
    StatusCode::BAD_REQUEST
}

/// Elasticsearch's name for what is wrong.
fn kind(fault: &Fault) -> &'static str {
    match fault.reason {
        "invalid_json" | "invalid_utf8" | "too_deep" | "invalid_timestamp" | "too_old" | "contract_violation" => {
            "document_parsing_exception"
        }
        "invalid_index_name" => "invalid_index_name_exception",
        _ => "illegal_argument_exception",
    }
}

/// An error of a whole request.
pub(super) fn error(error: &Error) -> (StatusCode, String) {
    let status = match error.code {
        // What Elasticsearch says of a `Content-Type` that it does not know.
        Code::Unsupported => StatusCode::NOT_ACCEPTABLE,
        _ => http_status(error),
    };
    let kind = match error.code {
        Code::TooLarge => "content_too_long_exception",
        Code::Overloaded { .. } | Code::LimitExceeded => "es_rejected_execution_exception",
        Code::Unavailable | Code::Cancelled | Code::Timeout => "unavailable_shards_exception",
        Code::Unsupported => "media_type_header_exception",
        Code::Corrupt | Code::Internal => "exception",
        _ => "illegal_argument_exception",
    };
    (status, failure(status, kind, &told(error)))
}

pub(super) fn failure(status: StatusCode, kind: &str, reason: &str) -> String {
    let cause = json!({ "type": kind, "reason": reason });
    json!({ "error": { "root_cause": [cause], "type": kind, "reason": reason }, "status": status.as_u16() }).to_string()
}
