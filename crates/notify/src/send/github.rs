//! Issues on GitHub: the first message files one, further ones are comments, the last one closes it.
//! Source: <https://docs.github.com/en/rest/issues>.

use catalog::Github;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::http::Http;
use super::{Failure, Sent, secret};
use crate::message::{Kind, Message};
use crate::words;

pub(super) async fn send(http: &Http, github: &Github, message: &Message) -> Result<Sent, Failure> {
    let api = Api { http, headers: headers(&secret(&github.token)?)?, issues: format!("{}/repos/{}/issues", github.api, message.to) };
    let number = match (message.issue, message.kind) {
        // It was given up to tell that it is broken, so nobody need be told that it is not.
        (None, Kind::Fixed) => return Ok(Sent { issue: None, answer: "no issue".to_owned() }),
        (None, _) => {
            let filed = api.ask(Method::POST, "", json!({"title": words::title(message), "body": body(message)})).await?;
            let number = filed["number"].as_u64();
            number.ok_or_else(|| Failure::lasting("refused", "the answer to a new issue has no number"))?
        }
        (Some(number), _) => {
            // First what may be done twice: if the second fails, both are done again.
            if message.closes {
                api.ask(Method::PATCH, &format!("/{number}"), json!({"state": "closed", "state_reason": "completed"})).await?;
            }
            api.ask(Method::POST, &format!("/{number}/comments"), json!({"body": body(message)})).await?;
            number
        }
    };
    if message.kind == Kind::Test {
        api.ask(Method::PATCH, &format!("/{number}"), json!({"state": "closed"})).await?;
    }
    Ok(Sent { issue: Some(number), answer: format!("issue {number}") })
}

/// The issues of a repository.
struct Api<'a> {
    http: &'a Http,
    headers: HeaderMap,
    issues: String,
}

impl Api<'_> {
    async fn ask(&self, method: Method, path: &str, body: Value) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.issues);
        let (_, answer) = self.http.json(method, &url, self.headers.clone(), body.to_string().into_bytes()).await?;
        serde_json::from_slice(&answer).map_err(|_| Failure::passing("server_error", "the answer is no JSON"))
    }
}

fn headers(token: &str) -> Result<HeaderMap, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Failure::passing("secret", "the token has characters that no header may have"))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([
        (AUTHORIZATION, value),
        (ACCEPT, HeaderValue::from_static("application/vnd.github+json")),
        (HeaderName::from_static("x-github-api-version"), HeaderValue::from_static("2022-11-28")),
    ]))
}

/// Bytes of a body: GitHub refuses one of more than 65,536 characters.
const BODY_BYTES_MAX: usize = 60_000;

/// In Markdown.
fn body(message: &Message) -> String {
    let mut text = words::opening(message);
    let mut shown = 0;
    for item in &message.items {
        let rows = words::rows(item, message.kind);
        let rows = rows.iter().map(|(word, said)| format!("- **{word}**: {}", code(said))).collect::<Vec<_>>().join("\n");
        if text.len() + rows.len() > BODY_BYTES_MAX {
            break;
        }
        text.push_str(&format!("\n\n{rows}\n\n---"));
        shown += 1;
    }
    let more = message.more + message.items.len() - shown;
    if more > 0 {
        text.push_str(&format!("\n\nAnd {more} more."));
    }
    if !message.link.is_empty() {
        text.push_str(&format!("\n\n[What waits in quarantine]({})", message.link.replace(')', "%29")));
    }
    text
}

/// A code span that nothing in it can end: a mention in one mentions nobody, and no HTML is any. Source: CommonMark, 6.1.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    format!("{fence} {text} {fence}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::message;

    #[test]
    fn what_a_sender_chose_stays_in_its_code_span() {
        assert_eq!(code("plain"), "` plain `");
        assert_eq!(code("a ``` b ` c"), "```` a ``` b ` c ````");
        let body = body(&message("`` @everyone <script> [x](http://evil)\n\n# big"));
        assert!(body.contains("- **Attribute**: ``` `` @everyone <script> [x](http://evil)\u{fffd}\u{fffd}# big ```"), "{body}");
        assert!(body.ends_with("[What waits in quarantine](https://tyto.example.com/quarantine?team=till)"));
    }

    #[test]
    fn a_body_is_no_longer_than_github_takes() {
        let name = "界`".repeat(400);
        let mut long = message(&name);
        let item = &mut long.items[0];
        for text in [&mut item.broken.expected, &mut item.broken.found, &mut item.breach.contract] {
            text.clone_from(&name);
        }
        long.items = vec![long.items[0].clone(); crate::message::ITEMS_MAX];
        long.more = 7;
        let body = body(&long);
        let shown = body.matches("**Component**").count();
        assert!(shown > 0 && shown < long.items.len() && body.len() < 65_536, "{shown} in {} bytes", body.len());
        assert!(body.contains(&format!("And {} more.", 7 + long.items.len() - shown)));
    }
}
