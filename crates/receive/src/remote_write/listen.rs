//! `POST /api/v1/write`.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use model::{Ack, Error, Result};

use super::decode::{Version, Written, read};
use crate::Rules;
use crate::body::{self, Held, Packing};
use crate::otlp::DeltaState;
use crate::outcome::shortened;
use crate::state::{Receivers, count_request, http_status, plain, summary};

const PROTOCOL: &str = "remote_write";

pub fn remote_write_router(receivers: Receivers) -> Router {
    Router::new().route("/api/v1/write", post(move |request: Request| async move { answer(&receivers, request).await }))
}

async fn answer(receivers: &Receivers, request: Request) -> Response {
    let version = version(body::header(request.headers(), &CONTENT_TYPE));
    let tells = matches!(version, Ok(Version::Two));
    let (bytes, result) = match version {
        Ok(version) => take(receivers, request, version).await,
        Err(error) => (0, Err(error)),
    };
    let (mut response, written) = match result {
        Ok((ack, written)) if ack.rejections.is_empty() => (StatusCode::NO_CONTENT.into_response(), written),
        Ok((ack, written)) => (partial(&ack), written),
        Err(error) => (failure(&error), Written::default()),
    };
    if tells {
        tell(&mut response, written);
    }
    count_request(PROTOCOL, response.status().as_u16(), bytes);
    response
}

/// What was stored of a request, whatever became of the rest: a sender of 2.0 wants to know.
fn tell(response: &mut Response, written: Written) {
    let counts = [("samples", written.samples), ("histograms", written.histograms), ("exemplars", written.exemplars)];
    for (what, count) in counts {
        let name = format!("x-prometheus-remote-write-{what}-written");
        let name = HeaderName::try_from(name).expect("letters and dashes are a header's name");
        response.headers_mut().insert(name, HeaderValue::from(count));
    }
}

async fn take(receivers: &Receivers, request: Request, version: Version) -> (usize, Result<(Ack, Written)>) {
    let (bytes, body) = body::receive(request, Packing::Snappy, &[Packing::Snappy], &receivers.limits, &receivers.budget).await;
    match body {
        Ok(body) => (bytes, receivers.to_the_end(move |receivers| store(receivers, body, version)).await),
        Err(error) => (bytes, Err(error)),
    }
}

/// Known series are told by their numbers. When one of them is known no more, all are told whole.
async fn store(receivers: Receivers, body: Held, version: Version) -> Result<(Ack, Written)> {
    let again = body.bytes.clone();
    let (ack, written) = attempt(&receivers, body, version, true).await?;
    if !ack.forgotten {
        return Ok((ack, written));
    }
    metrics::counter!("tyto_receive_series_forgotten_total", "protocol" => PROTOCOL).increment(1);
    let mut share = receivers.budget.share();
    share.grow_to(again.len())?;
    attempt(&receivers, Held { bytes: again, share }, version, false).await
}

async fn attempt(receivers: &Receivers, body: Held, version: Version, known: bool) -> Result<(Ack, Written)> {
    let memo = receivers.memo.clone();
    let read = move |body: &[u8], rules: &Rules<'_>, _: &DeltaState| {
        let known = known.then(|| memo.known());
        read(version, body, rules, Some((&memo, known.as_deref())))
    };
    let ((decoded, learned), share) = receivers.decode(PROTOCOL, body, read, |(decoded, _)| decoded).await?;
    let ack = receivers.submit(decoded).await?;
    drop(share);
    let rows = learned.rows.into_iter().filter_map(|(fingerprint, row)| Some((fingerprint, *ack.series.get(row)?)));
    if !ack.forgotten {
        receivers.memo.learn(ack.catalog_version, rows.chain(learned.known));
    }
    Ok((ack, learned.written))
}

/// No type at all is 1.0, as Prometheus has it.
fn version(content_type: &str) -> Result<Version> {
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    if !matches!(media_type.as_str(), "" | "application/x-protobuf") {
        return Err(Error::unsupported(format!("cannot accept Content-Type {}: send application/x-protobuf", shortened(&media_type))));
    }
    let message = parts.find_map(|part| part.strip_prefix("proto=")).unwrap_or("prometheus.WriteRequest");
    match message.trim_matches('"') {
        "prometheus.WriteRequest" => Ok(Version::One),
        "io.prometheus.write.v2.Request" => Ok(Version::Two),
        other => Err(Error::unsupported(format!(
            "cannot accept message {}: send prometheus.WriteRequest or io.prometheus.write.v2.Request",
            shortened(other)
        ))),
    }
}

/// What was good is stored; the sender must not send the rest again, which is what 400 tells it. When only parts of records
/// were dropped, nothing was refused and the request went well.
fn partial(ack: &Ack) -> Response {
    match summary(&ack.rejections) {
        (0, _) => StatusCode::NO_CONTENT.into_response(),
        (refused, text) => {
            (StatusCode::BAD_REQUEST, format!("{refused} samples were refused, {} were stored: {text}\n", ack.accepted_records))
                .into_response()
        }
    }
}

/// Whoever should come again is told so with 503: unless it is configured otherwise, Prometheus throws away what is
/// answered with 429.
fn failure(error: &Error) -> Response {
    let status = match http_status(error) {
        StatusCode::TOO_MANY_REQUESTS => StatusCode::SERVICE_UNAVAILABLE,
        status => status,
    };
    plain(status, error)
}
