//! `/services/collector` and what lies below it.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use model::{Ack, ReceiveLimits, Result};
use serde_json::{Value, json};

use super::channels::{CHANNEL_BYTES_MAX, Channels};
use super::decode::{RawSaid, decode_splunk_events, decode_splunk_raw};
use super::reply::{self, Reply};
use crate::body::{self, Packing};
use crate::outcome::Rules;
use crate::state::{Receivers, count_request, retry_after_seconds};

const PROTOCOL: &str = "splunk_hec";
const PACKINGS: [Packing; 3] = [Packing::Identity, Packing::Gzip, Packing::Zstd];
/// Of a question about acknowledgements.
const ASKED_BYTES_MAX: usize = 1 << 20;
const CHANNEL: HeaderName = HeaderName::from_static("x-splunk-request-channel");

#[derive(Clone)]
struct Collector {
    receivers: Receivers,
    channels: Arc<Channels>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Events,
    Raw,
}

pub fn splunk_router(receivers: Receivers) -> Router {
    let collector = Collector { receivers, channels: Arc::default() };
    let takes = |kind: Kind| {
        let collector = collector.clone();
        post(move |request: Request| async move { collector.answer(kind, request).await })
    };
    let asks = {
        let collector = collector.clone();
        post(move |request: Request| async move { collector.acknowledged(request).await })
    };
    let health = || get(async || respond(0, Reply::Healthy.body(Value::Null), None));
    Router::new()
        .route("/services/collector", takes(Kind::Events))
        .route("/services/collector/event", takes(Kind::Events))
        .route("/services/collector/event/1.0", takes(Kind::Events))
        .route("/services/collector/raw", takes(Kind::Raw))
        .route("/services/collector/raw/1.0", takes(Kind::Raw))
        .route("/services/collector/ack", asks)
        .route("/services/collector/health", health())
        .route("/services/collector/health/1.0", health())
}

impl Collector {
    async fn answer(&self, kind: Kind, request: Request) -> Response {
        let query = Query::of(&request);
        let channel = match authorized(request.headers(), &query).and_then(|()| channel(request.headers(), &query)) {
            Ok(channel) => channel,
            Err(refused) => return respond(0, refused.body(Value::Null), None),
        };
        let (bytes, result) = self.take(kind, query, request).await;
        let retry_after = result.as_ref().err().and_then(retry_after_seconds);
        let answer = match result {
            Ok(Some(ack)) => self.told(&ack, channel.as_deref()),
            Ok(None) => Reply::NoData.body(Value::Null),
            Err(error) => reply::error(&error),
        };
        respond(bytes, answer, retry_after)
    }

    /// None when there is nothing in the body.
    async fn take(&self, kind: Kind, query: Query, request: Request) -> (usize, Result<Option<Ack>>) {
        let receivers = &self.receivers;
        let (bytes, body) = body::receive(request, Packing::Identity, &PACKINGS, &receivers.limits, &receivers.budget).await;
        let body = match body {
            Ok(body) if body.bytes.trim_ascii().is_empty() => return (bytes, Ok(None)),
            Ok(body) => body,
            Err(error) => return (bytes, Err(error)),
        };
        let decode = move |body: &[u8], rules: &Rules<'_>, _: &_| match kind {
            Kind::Events => decode_splunk_events(body, rules),
            Kind::Raw => decode_splunk_raw(body, &query.raw(), rules),
        };
        (bytes, receivers.take(PROTOCOL, body, decode).await.map(Some))
    }

    /// What is good is stored although another event of the request is not; the answer names the first that is not.
    fn told(&self, ack: &Ack, channel: Option<&str>) -> (StatusCode, Value) {
        let refused: Vec<_> = ack.rejections.iter().filter(|rejection| rejection.records > 0).collect();
        if let Some(first) = refused.first() {
            let count: u64 = refused.iter().map(|rejection| rejection.records).sum();
            let number: Option<u64> = first.field.strip_prefix("event ").and_then(|number| number.parse().ok());
            let details = json!({
                "invalid-event-number": number, "reason": first.why, "refused": count, "accepted": ack.accepted_records,
            });
            return Reply::of_reason(first.reason).body(details);
        }
        let number = channel.map(|channel| self.channels.give(channel));
        Reply::Success.body(number.map_or(Value::Null, |number| json!({ "ackId": number })))
    }

    /// `{"acks": [0, 1]}`, asked of a channel.
    async fn acknowledged(&self, request: Request) -> Response {
        #[derive(serde::Deserialize)]
        struct Asked {
            acks: Vec<u64>,
        }
        let query = Query::of(&request);
        let channel = authorized(request.headers(), &query).and_then(|()| channel(request.headers(), &query)?.ok_or(Reply::ChannelMissing));
        let channel = match channel {
            Ok(channel) => channel,
            Err(refused) => return respond(0, refused.body(Value::Null), None),
        };
        let most = ReceiveLimits { body_bytes_max: ASKED_BYTES_MAX, decompressed_bytes_max: ASKED_BYTES_MAX, ..ReceiveLimits::default() };
        let (bytes, body) = body::receive(request, Packing::Identity, &PACKINGS, &most, &self.receivers.budget).await;
        let answer = match body {
            Ok(body) => match serde_json::from_slice::<Asked>(&body.bytes) {
                Ok(Asked { acks }) => {
                    let acks: serde_json::Map<_, _> =
                        acks.iter().map(|number| (number.to_string(), self.channels.gave(&channel, *number).into())).collect();
                    (StatusCode::OK, json!({ "acks": acks }))
                }
                Err(_) => Reply::InvalidDataFormat.body(Value::Null),
            },
            Err(error) => reply::error(&error),
        };
        respond(bytes, answer, None)
    }
}

/// The address's parameters.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(request: &Request) -> Self {
        Self(url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, value)| other == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    fn raw(&self) -> RawSaid {
        let get = |name| self.get(name).map(str::to_owned);
        RawSaid { time: get("time"), host: get("host"), source: get("source"), sourcetype: get("sourcetype"), index: get("index") }
    }
}

/// Any token will do until Tyto knows tokens; that there is one is asked, so that senders are set up as they will need to be.
fn authorized(headers: &HeaderMap, query: &Query) -> Result<(), Reply> {
    let said = body::header(headers, &AUTHORIZATION);
    let token = match said.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("splunk") || scheme.eq_ignore_ascii_case("bearer") => token,
        // Basic authentication has the token as its password.
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("basic") => token,
        _ if said.is_empty() => query.get("token").ok_or(Reply::TokenRequired)?,
        _ => return Err(Reply::InvalidAuthorization),
    };
    if token.trim().is_empty() { Err(Reply::InvalidAuthorization) } else { Ok(()) }
}

fn channel(headers: &HeaderMap, query: &Query) -> Result<Option<String>, Reply> {
    let said = match body::header(headers, &CHANNEL) {
        "" => query.get("channel").unwrap_or_default(),
        said => said,
    };
    match said.len() {
        0 => Ok(None),
        1..=CHANNEL_BYTES_MAX => Ok(Some(said.to_owned())),
        _ => Err(Reply::InvalidChannel),
    }
}

fn respond(bytes: usize, (status, body): (StatusCode, Value), retry_after: Option<u32>) -> Response {
    count_request(PROTOCOL, status.as_u16(), bytes);
    let mut response = (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}
