//! Requests to servers that somebody else keeps: short, to one place, and with an answer that may be anything.

use std::time::Duration;

use model::{Error, Result};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode};

use super::Failure;

const CONNECT_MAX: Duration = Duration::from_secs(10);
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// GitHub repeats what it was told, and more.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Of an answer that is told on.
const TOLD_CHARS_MAX: usize = 120;

#[derive(Clone)]
pub(super) struct Http(Client);

impl Http {
    pub(super) fn new() -> Result<Self> {
        // Who sends on to another place may not get what was meant for this one.
        let client = Client::builder().connect_timeout(CONNECT_MAX).timeout(REQUEST_MAX).redirect(Policy::none()).build();
        Ok(Self(client.map_err(|error| Error::unavailable("cannot make an HTTP client").because(error))?))
    }

    /// Status and answer of a request that was taken. The address may be a secret: no failure tells it.
    pub(super) async fn json(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Vec<u8>), Failure> {
        let request = self.0.request(method, url).headers(headers).header(USER_AGENT, "tyto").header(CONTENT_TYPE, "application/json");
        let mut answer = request.body(body).send().await.map_err(broken)?;
        let status = answer.status();
        let asked = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let is_spent = answer.headers().get("x-ratelimit-remaining").is_some_and(|left| left == "0");
        let mut read = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(broken)? {
            let room = ANSWER_BYTES_MAX - read.len();
            read.extend_from_slice(&part[..part.len().min(room)]);
            if read.len() == ANSWER_BYTES_MAX {
                break;
            }
        }
        match status.is_success() {
            true => Ok((status, read)),
            false => Err(refused(status, asked.map(Duration::from_secs), is_spent, &read)),
        }
    }
}

/// What was answered, in short.
pub(super) fn told(status: StatusCode, answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(&answer[..answer.len().min(4 * TOLD_CHARS_MAX)]);
    format!("{status}: {}", crate::words::clean(text.trim(), TOLD_CHARS_MAX)).trim_end_matches(": ").to_owned()
}

fn refused(status: StatusCode, asked_to_wait: Option<Duration>, is_spent: bool, answer: &[u8]) -> Failure {
    let why = told(status, answer);
    let failure = match status.as_u16() {
        408 | 425 => Failure::passing("timeout", why),
        429 => Failure::passing("overloaded", why),
        // GitHub says so, too, when one has asked too much.
        403 if is_spent || asked_to_wait.is_some() => Failure::passing("overloaded", why),
        401 | 403 => Failure::lasting("forbidden", why),
        404 | 410 => Failure::lasting("not_found", why),
        500.. => Failure::passing("server_error", why),
        _ => Failure::lasting("refused", why),
    };
    Failure { asked_to_wait, ..failure }
}

fn broken(error: reqwest::Error) -> Failure {
    if error.is_builder() {
        return Failure::lasting("bad_address", "the address cannot be used");
    }
    let reason = if error.is_timeout() { "timeout" } else { "unreachable" };
    Failure::passing(reason, Error::unavailable("cannot reach the server").because(error.without_url()).chain())
}
