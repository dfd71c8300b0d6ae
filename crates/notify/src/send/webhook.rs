//! JSON, posted to an address of the team's.

use catalog::Webhook;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;

use super::http::{Http, told};
use super::{Failure, Sent, secret};
use crate::message::Message;

pub(super) async fn send(http: &Http, webhook: &Webhook, message: &Message) -> Result<Sent, Failure> {
    let body = message.json().to_string().into_bytes();
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    add("x-tyto-id", &message.id);
    if let Some(place) = &webhook.secret {
        add("x-tyto-signature", &format!("sha256={}", signature(&secret(place)?, &body)));
    }
    let (status, answer) = http.json(Method::POST, &message.to, headers, body).await?;
    Ok(Sent { issue: None, answer: told(status, &answer) })
}

/// HMAC-SHA256 of the body, as GitHub signs its hooks.
fn signature(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>, where they say how to test it.
    #[test]
    fn a_body_is_signed_as_github_signs() {
        let expected = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(signature("It's a Secret to Everybody", b"Hello, World!"), expected);
    }
}
