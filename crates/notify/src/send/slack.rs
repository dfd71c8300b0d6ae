//! Slack's incoming webhooks, which Mattermost, Rocket.Chat and others take as well.
//! Source: <https://api.slack.com/reference/surfaces/formatting>.

use catalog::SlackHook;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::json;

use super::http::{Http, told};
use super::{Failure, Sent, secret};
use crate::message::Message;
use crate::words;

/// Slack cuts what is longer, and nobody reads it.
const TEXT_CHARS_MAX: usize = 8000;

pub(super) async fn send(http: &Http, hook: &SlackHook, message: &Message) -> Result<Sent, Failure> {
    let url = secret(&hook.url)?;
    let body = json!({"text": text(message), "unfurl_links": false, "unfurl_media": false}).to_string().into_bytes();
    let (status, answer) = http.json(Method::POST, &url, HeaderMap::new(), body).await?;
    Ok(Sent { issue: None, answer: told(status, &answer) })
}

fn text(message: &Message) -> String {
    let mut text = format!("*{}*\n{}", plain(&words::title(message)), escaped(&words::opening(message)));
    let mut shown = 0;
    for item in &message.items {
        let rows = words::rows(item, message.kind);
        let block = rows.iter().map(|(word, said)| format!("\n• {word}: {}", code(said))).collect::<String>();
        if text.chars().count() + block.chars().count() > TEXT_CHARS_MAX {
            break;
        }
        text.push('\n');
        text.push_str(&block);
        shown += 1;
    }
    let more = message.more + message.items.len() - shown;
    if more > 0 {
        text.push_str(&format!("\n\nAnd {more} more."));
    }
    if !message.link.is_empty() {
        text.push_str(&format!("\n\n<{}|What waits in quarantine>", escaped(&message.link).replace('|', "%7C")));
    }
    text
}

/// The three characters by which Slack knows mentions and links: `<!channel>` is text then.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Without what makes bold or ends code.
fn plain(text: &str) -> String {
    escaped(text).replace(['*', '_', '~', '`'], "\u{2019}")
}

fn code(text: &str) -> String {
    format!("`{}`", escaped(text).replace('`', "\u{2019}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::message;

    #[test]
    fn what_a_sender_chose_mentions_nobody_and_links_nowhere() {
        let text = text(&message("<!channel> `*a*` <http://evil|click>\n&"));
        assert!(!text.contains("<!") && !text.contains("<http://evil"), "{text}");
        assert!(text.contains("`&lt;!channel&gt; ’*a*’ &lt;http://evil|click&gt;\u{fffd}&amp;`"), "{text}");
        assert!(text.ends_with("<https://tyto.example.com/quarantine?team=till|What waits in quarantine>"), "{text}");
    }

    #[test]
    fn a_text_is_not_longer_than_anybody_reads() {
        let mut long = message(&"x".repeat(100_000));
        long.items = vec![long.items[0].clone(); 20];
        let text = text(&long);
        assert!(text.chars().count() < TEXT_CHARS_MAX + 300 && text.contains("more."), "{}", text.len());
    }
}
