//! `POST /firehose/logs` and `/firehose/metrics`.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, StatusCode};
use model::{Ack, Code, Decoded, Error, Result};
use serde::Deserialize;
use serde_json::json;

use super::decode::{Delivery, decode_firehose_logs, decode_firehose_metrics};
use super::seen::{Met, Seen, UnderWay};
use crate::body::{self, Packing};
use crate::otlp::DeltaState;
use crate::outcome::Rules;
use crate::state::{Receivers, count_request, http_status, summary, told};

const PROTOCOL: &str = "firehose";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-firehose-request-id");
const SOURCE_ARN: HeaderName = HeaderName::from_static("x-amz-firehose-source-arn");
const COMMON_ATTRIBUTES: HeaderName = HeaderName::from_static("x-amz-firehose-common-attributes");
const REQUEST_ID_BYTES_MAX: usize = 128;

#[derive(Clone, Copy)]
enum Kind {
    Logs,
    Metrics,
}

impl Kind {
    fn decode(self, body: &[u8], delivery: &Delivery, rules: &Rules<'_>, deltas: &DeltaState) -> Result<Decoded> {
        match self {
            Self::Logs => decode_firehose_logs(body, delivery, rules),
            Self::Metrics => decode_firehose_metrics(body, delivery, rules, deltas),
        }
    }
}

/// Any access key will do until Tyto knows tokens.
pub fn firehose_router(receivers: Receivers) -> Router {
    let seen = Seen::default();
    let route = |kind| {
        let (receivers, seen) = (receivers.clone(), seen.clone());
        post(move |request: Request| async move { answer(&receivers, &seen, kind, request).await })
    };
    Router::new().route("/firehose/logs", route(Kind::Logs)).route("/firehose/metrics", route(Kind::Metrics))
}

async fn answer(receivers: &Receivers, seen: &Seen, kind: Kind, request: Request) -> Response {
    let id = body::header(request.headers(), &REQUEST_ID).to_owned();
    let (bytes, result) = take(receivers, seen, kind, &id, request).await;
    let (status, message) = match &result {
        // The rest is stored, and must not come again.
        Ok(ack) => match summary(&ack.rejections) {
            (0, _) => (StatusCode::OK, None),
            (refused, text) => (StatusCode::OK, Some(format!("{refused} records were refused: {text}"))),
        },
        Err(error) => (http_status(error), Some(told(error))),
    };
    count_request(PROTOCOL, status.as_u16(), bytes);
    let mut body = json!({ "requestId": id, "timestamp": (receivers.clock)() / 1_000_000 });
    if let (Some(body), Some(message)) = (body.as_object_mut(), message) {
        body.insert("errorMessage".to_owned(), message.into());
    }
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn take(receivers: &Receivers, seen: &Seen, kind: Kind, id: &str, request: Request) -> (usize, Result<Ack>) {
    if id.is_empty() || id.len() > REQUEST_ID_BYTES_MAX {
        let what = format!("cannot accept delivery: X-Amz-Firehose-Request-Id is missing or over {REQUEST_ID_BYTES_MAX} bytes");
        return (0, Err(Error::invalid(what)));
    }
    let delivery = delivery(id, request.headers());
    let packings = [Packing::Identity, Packing::Gzip];
    // Read in any case: a sender that is answered before it has sent all of it may not hear the answer.
    let (bytes, body) = body::receive(request, Packing::Identity, &packings, &receivers.limits, &receivers.budget).await;
    let body = match body {
        Ok(body) => body,
        Err(error) => return (bytes, Err(error)),
    };
    let under_way = match seen.meet(id, (receivers.clock)()) {
        Met::New(under_way) => under_way,
        Met::Stored => {
            metrics::counter!("tyto_receive_repeated_requests_total", "protocol" => PROTOCOL).increment(1);
            return (bytes, Ok(Ack::default()));
        }
        Met::UnderWay => {
            let what = "cannot accept delivery: the same is still being stored";
            return (bytes, Err(Error::new(Code::Unavailable, what)));
        }
    };
    (bytes, stored(receivers, kind, delivery, under_way, body).await)
}

/// Remembered in the same task that stores it: a sender that hangs up finds it stored when it comes again.
async fn stored(receivers: &Receivers, kind: Kind, delivery: Delivery, under_way: UnderWay, body: body::Held) -> Result<Ack> {
    receivers
        .to_the_end(async move |receivers| {
            let decode = move |body: &[u8], rules: &Rules<'_>, deltas: &DeltaState| kind.decode(body, &delivery, rules, deltas);
            let (decoded, share) = receivers.decode(PROTOCOL, body, decode, |decoded| decoded).await?;
            let ack = receivers.submit(decoded).await?;
            under_way.stored((receivers.clock)());
            drop(share);
            Ok(ack)
        })
        .await
}

fn delivery(id: &str, headers: &HeaderMap) -> Delivery {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Common {
        common_attributes: std::collections::BTreeMap<String, String>,
    }
    let common: Common = serde_json::from_str(body::header(headers, &COMMON_ATTRIBUTES)).unwrap_or_default();
    Delivery {
        request_id: id.to_owned(),
        source_arn: body::header(headers, &SOURCE_ARN).to_owned(),
        common_attributes: common.common_attributes.into_iter().collect(),
    }
}
