//! Mail: plain text only, so that nothing in it is markup.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catalog::MailServer;
use chrono::DateTime;

use super::smtp::{Envelope, deliver};
use super::{Failure, Sent, secret};
use crate::message::Message;
use crate::words;

/// Bytes of a header's text in one encoded word: a line that has one has 76 characters at most. Source: RFC 2047, 2.
const WORD_BYTES_MAX: usize = 39;
/// Bytes of a line of Base64: 76 characters.
const LINE_BYTES: usize = 57;

pub(super) async fn send(server: &MailServer, message: &Message) -> Result<Sent, Failure> {
    let login = match &server.login {
        Some((user, password)) => Some((user.clone(), secret(password)?)),
        None => None,
    };
    let text = mail(message, &server.from);
    let envelope = Envelope { from: &server.from, to: &message.to, mail: &text };
    Ok(Sent { issue: None, answer: deliver(server, login, &envelope).await? })
}

/// Headers and body, lines ending as mail's do.
fn mail(message: &Message, from: &str) -> String {
    let host = from.rsplit_once('@').map_or("localhost", |(_, host)| host);
    let date = DateTime::from_timestamp_millis(message.at_ms).unwrap_or_default().to_rfc2822();
    let headers = [
        format!("From: Tyto <{from}>"),
        format!("To: <{}>", message.to),
        format!("Subject: {}", encoded(&format!("[Tyto] {}", words::title(message)))),
        format!("Date: {date}"),
        // The same when the same is sent again: mail programs show it once.
        format!("Message-ID: <tyto-{}@{host}>", message.id),
        // No vacation answers it.
        "Auto-Submitted: auto-generated".to_owned(),
        "MIME-Version: 1.0".to_owned(),
        "Content-Type: text/plain; charset=utf-8".to_owned(),
        "Content-Transfer-Encoding: base64".to_owned(),
    ];
    let text = message.text();
    let body: Vec<String> = text.as_bytes().chunks(LINE_BYTES).map(|line| STANDARD.encode(line)).collect();
    format!("{}\r\n\r\n{}\r\n", headers.join("\r\n"), body.join("\r\n"))
}

/// As encoded words, whatever it holds: then nothing in it can begin another header.
fn encoded(text: &str) -> String {
    let (mut words, mut word) = (Vec::new(), String::new());
    for c in text.chars() {
        if word.len() + c.len_utf8() > WORD_BYTES_MAX {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect::<Vec<_>>().join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::message;

    #[test]
    fn no_name_of_a_record_begins_a_header_or_a_line() {
        let mail = mail(&message("x\r\nBcc: all@example.com\r\n\r\n.\r\nQUIT"), "tyto@example.com");
        let (headers, body) = mail.split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> =
            headers.split("\r\n").filter(|line| !line.starts_with(' ')).filter_map(|line| Some(line.split_once(": ")?.0)).collect();
        let expected =
            ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"];
        assert_eq!(names, expected);
        let is_base64 = |line: &str| line.len() <= 76 && line.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c));
        assert!(body.trim_end().split("\r\n").all(is_base64));
        assert!(mail.is_ascii() && headers.split("\r\n").all(|line| line.len() <= 76), "{headers}");
    }

    #[test]
    fn a_long_subject_is_cut_between_characters() {
        let words = encoded(&"ü".repeat(60));
        let decoded: Vec<u8> = words
            .split("\r\n ")
            .flat_map(|word| STANDARD.decode(word.trim_start_matches("=?utf-8?B?").trim_end_matches("?=")).unwrap())
            .collect();
        assert_eq!(String::from_utf8(decoded).unwrap(), "ü".repeat(60));
        assert!(words.split("\r\n ").all(|word| word.len() <= 75));
    }
}
