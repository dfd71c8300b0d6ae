//! What a syslog message says before its text.
//!
//! RFC 5424 has a grammar. RFC 3164 describes what was seen, and what is sent under its name leaves out the host, the year or
//! the time, or is a router's. Nothing is refused here: what is not understood is the message's text.

use std::borrow::Cow;

use crate::lines::{Level, time};

#[derive(Debug, Default, PartialEq)]
pub(super) struct Message<'m> {
    pub(super) facility: Option<&'static str>,
    pub(super) level: Option<Level<'static>>,
    pub(super) time_unix_nano: Option<i64>,
    /// Of these, empty is not said.
    pub(super) host: &'m str,
    pub(super) app: &'m str,
    pub(super) procid: &'m str,
    pub(super) msgid: &'m str,
    pub(super) elements: Vec<Element<'m>>,
    pub(super) body: &'m str,
}

/// An element of structured data: `[id name="value"]`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Element<'m> {
    pub(super) id: &'m str,
    pub(super) parameters: Vec<(&'m str, Cow<'m, str>)>,
}

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit", "alert", "clock",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

const BYTE_ORDER_MARK: char = '\u{feff}';

impl<'m> Message<'m> {
    pub(super) fn read(text: &'m str, now_unix_nano: i64) -> Self {
        let mut message = Self::default();
        let Some((facility, severity, rest)) = priority(text) else {
            message.unprefixed(text, now_unix_nano);
            return message;
        };
        message.facility = FACILITIES.get(usize::from(facility)).copied();
        message.level = Level::of_syslog(severity.into());
        if message.rfc5424(rest, now_unix_nano).is_none() {
            message.rfc3164(rest, now_unix_nano);
        }
        if message.app.is_empty() && facility == 0 {
            message.app = "kernel";
        }
        message
    }

    /// `1 2026-11-22T10:00:00Z host app procid msgid [id name="value"] text`. None when it is not of this form; then nothing
    /// was changed.
    fn rfc5424(&mut self, text: &'m str, now_unix_nano: i64) -> Option<()> {
        let (version, rest) = text.split_once(' ')?;
        if version.is_empty() || version.len() > 2 || !version.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (stamp, mut rest) = word(rest);
        let time = match stamp {
            "-" => None,
            stamp => Some(time::of_text(stamp, now_unix_nano)?),
        };
        let mut next = || {
            let (said, behind) = word(rest);
            rest = behind;
            if said == "-" { "" } else { said }
        };
        (self.time_unix_nano, self.host, self.app, self.procid, self.msgid) = (time, next(), next(), next(), next());
        // What is no structured data is taken for text that was written without any.
        let (elements, behind) = match rest.strip_prefix('-') {
            Some(behind) if behind.is_empty() || behind.starts_with(' ') => (Vec::new(), behind),
            _ => elements(rest).unwrap_or((Vec::new(), rest)),
        };
        let body = behind.strip_prefix(' ').unwrap_or(behind);
        (self.elements, self.body) = (elements, body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body));
        Some(())
    }

    /// `Nov 22 10:00:00 host tag[pid]: text`, with whatever is left out, and as Cisco writes it.
    fn rfc3164(&mut self, text: &'m str, now_unix_nano: i64) {
        let (mut rest, origin) = cisco_sequence(text, now_unix_nano);
        self.host = origin;
        match stamp(rest, now_unix_nano) {
            Some((time, behind)) => {
                (self.time_unix_nano, rest) = (Some(time), behind);
                if self.host.is_empty() {
                    (self.host, rest) = host(rest);
                }
            }
            // Text that only looks like a sequence number stays whole.
            None => (self.host, rest) = ("", text),
        }
        self.tagged(rest);
    }

    /// A line of a log file, that somebody pipes into the port: read as one only where there can be no doubt.
    fn unprefixed(&mut self, text: &'m str, now_unix_nano: i64) {
        self.body = text;
        let month_first = text.starts_with(|first: char| first.is_ascii_uppercase());
        if let Some((time, rest)) = stamp(text, now_unix_nano).filter(|_| month_first)
            && let (host, rest) = host(rest)
            && tag(rest).is_some()
        {
            (self.time_unix_nano, self.host) = (Some(time), host);
            self.tagged(rest);
        }
    }

    fn tagged(&mut self, text: &'m str) {
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        self.body = text;
        if let Some(mnemonic) = cisco_mnemonic(text) {
            self.msgid = mnemonic;
        } else if let Some((app, procid, body)) = tag(text) {
            (self.app, self.procid, self.body) = (app, procid, body);
        }
    }
}

/// `<134>`: facility and severity.
fn priority(text: &str) -> Option<(u8, u8, &str)> {
    let (digits, rest) = text.strip_prefix('<')?.split_once('>')?;
    let plain = (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u8 = digits.parse().ok().filter(|number| plain && *number < 192)?;
    Some((number / 8, number % 8, rest))
}

/// The text up to the next space, and what is behind it.
fn word(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

/// A time as headers write it, and what is behind it. Cisco marks a clock that is not set by `*` or `.`, may name a zone, and
/// ends it with a colon.
fn stamp(text: &str, now_unix_nano: i64) -> Option<(i64, &str)> {
    let text = text.trim_start_matches(['*', '.']);
    let letters = text.starts_with(|first: char| first.is_ascii_alphabetic());
    // With a space within, a day before a clock is how loggers begin their own lines.
    let iso = text.as_bytes().get(10).is_some_and(|byte| *byte == b'T') || text.as_bytes().get(4) == Some(&b' ');
    let (time, end) = time::leading(text, now_unix_nano).filter(|_| letters || iso)?;
    let mut rest = &text[end..];
    if let Some((zone, behind)) = rest.strip_prefix(' ').and_then(|rest| rest.split_once(':'))
        && (2..=5).contains(&zone.len())
        && zone.bytes().all(|byte| byte.is_ascii_uppercase())
    {
        rest = behind;
    }
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    (rest.is_empty() || rest.starts_with(' ')).then(|| (time, rest.trim_start_matches(' ')))
}

/// `237: `, `237: router: ` or `: ` before a Cisco's time: what is behind, and the router's name.
fn cisco_sequence(text: &str, now_unix_nano: i64) -> (&str, &str) {
    let Some((digits, rest)) = text.split_once(':') else { return (text, "") };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return (text, "");
    }
    let rest = rest.trim_start_matches(' ');
    if stamp(rest, now_unix_nano).is_some() {
        return (rest, "");
    }
    match rest.split_once(": ") {
        Some((origin, behind)) if is_host(origin) => (behind.trim_start_matches(' '), origin),
        _ => (rest, ""),
    }
}

/// `%ASA-6-302013` of `%ASA-6-302013: Built ...`, without its sign. It stays in the text, where people look for it.
fn cisco_mnemonic(text: &str) -> Option<&str> {
    let (mnemonic, _) = text.strip_prefix('%')?.split_once(':')?;
    let plain = mnemonic.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    (plain && mnemonic.contains('-') && mnemonic.len() <= NAME_BYTES_MAX).then_some(mnemonic)
}

/// The host, and what is behind it; no host when the text begins with a tag.
fn host(text: &str) -> (&str, &str) {
    let (first, rest) = word(text);
    let repeated = text.starts_with("last message repeated ");
    if rest.is_empty() || !is_host(first) || repeated || first.ends_with(':') {
        return ("", text);
    }
    let rest = rest.trim_start_matches(' ');
    (first, rest.strip_prefix(": ").unwrap_or(rest))
}

fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    (1..=255).contains(&text.len()) && text.bytes().all(plain)
}

const NAME_BYTES_MAX: usize = 128;

/// Program, process and text of `tag[pid]: text` or `tag: text`.
fn tag(text: &str) -> Option<(&str, &str, &str)> {
    let end = text.bytes().take(NAME_BYTES_MAX + 1).position(|byte| matches!(byte, b':' | b'[' | b' '))?;
    let (name, rest) = text.split_at_checked(end).filter(|(name, _)| is_program(name))?;
    let (procid, rest) = match rest.strip_prefix('[') {
        None => ("", rest),
        Some(inner) => {
            let end = inner.bytes().take(NAME_BYTES_MAX).position(|byte| matches!(byte, b']' | b' ' | b'['))?;
            (&inner[..end], inner[end..].strip_prefix(']')?)
        }
    };
    let colon = rest.strip_prefix(':');
    let rest = match colon {
        Some(rest) => rest,
        // `tag[pid] text` is seen; a word alone is text.
        None => Some(rest).filter(|_| !procid.is_empty())?,
    };
    match rest.strip_prefix(' ') {
        Some(body) => Some((name, procid, body)),
        None => (rest.is_empty() || !procid.is_empty() && colon.is_some()).then_some((name, procid, rest)),
    }
}

/// As programs are called: `sshd`, `postfix/smtpd`, `(systemd)`, `app@1`; no number, and nothing that JSON begins with.
fn is_program(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/@+()#$%~".contains(&byte) || !byte.is_ascii();
    name.bytes().all(plain) && name.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// `[id name="value" ...][...]`, and what is behind. None when it is not well formed.
fn elements(text: &str) -> Option<(Vec<Element<'_>>, &str)> {
    let (mut elements, mut rest) = (Vec::new(), text);
    while let Some(inner) = rest.strip_prefix('[') {
        // It stands in the name of each parameter's attribute: a long one would be copied as often as there are parameters.
        let end = inner.find([' ', ']', '"', '=']).filter(|end| (1..=NAME_BYTES_MAX).contains(end))?;
        let mut element = Element { id: &inner[..end], parameters: Vec::new() };
        rest = &inner[end..];
        loop {
            rest = rest.trim_start_matches(' ');
            if let Some(behind) = rest.strip_prefix(']') {
                rest = behind;
                break;
            }
            let (name, behind) = rest.split_once("=\"")?;
            if name.is_empty() || name.contains([' ', ']', '"']) {
                return None;
            }
            let value;
            (value, rest) = quoted(behind)?;
            element.parameters.push((name, value));
        }
        elements.push(element);
    }
    (!elements.is_empty() && (rest.is_empty() || rest.starts_with(' '))).then_some((elements, rest))
}

/// The value up to its closing quote, which `\` escapes as it does itself and `]`; before others it is what it is.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = text.find(['"', '\\'])?;
    if text.as_bytes()[end] == b'"' {
        return Some((text[..end].into(), &text[end + 1..]));
    }
    let (mut value, mut characters) = (text[..end].to_owned(), text[end..].char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value.into(), &text[end + at + 1..])),
            '\\' => {
                let (_, escaped) = characters.next()?;
                if !matches!(escaped, '"' | '\\' | ']') {
                    value.push('\\');
                }
                value.push(escaped);
            }
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    /// 2026-11-22 12:00:00.
    const NOW: i64 = 1_795_348_800 * SECOND;
    /// 2026-11-22 10:00:00.
    const TEN: i64 = NOW - 7200 * SECOND;

    /// Facility, level, seconds after ten, host, app, procid, msgid, text; `-` is not said.
    fn check(text: &str, expect: [&str; 8]) {
        let message = Message::read(text, NOW);
        let said = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let level = message.level.map_or("-", |level| level.text);
        let time = message.time_unix_nano.map(|time| ((time - TEN) as f64 / SECOND as f64).to_string());
        let found = [
            said(message.facility.unwrap_or_default()),
            level.to_owned(),
            said(&time.unwrap_or_default()),
            said(message.host),
            said(message.app),
            said(message.procid),
            said(message.msgid),
            said(message.body),
        ];
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn rfc5424_is_read_with_its_nils_and_its_mark() {
        check(
            "<165>1 2026-11-22T10:00:00.5Z web-1 shop 77 ID47 - \u{feff}order \"paid\"",
            ["local4", "notice", "0.5", "web-1", "shop", "77", "ID47", "order \"paid\""],
        );
        check("<34>1 - - - - - -", ["auth", "crit", "-", "-", "-", "-", "-", "-"]);
        check("<34>1 - h a - - - ", ["auth", "crit", "-", "h", "a", "-", "-", "-"]);
        check("<34>1 - h a - - -  two", ["auth", "crit", "-", "h", "a", "-", "-", " two"]);
        check("<0>1 2026-11-22T11:00:00+01:00 h", ["kern", "emerg", "0", "h", "kernel", "-", "-", "-"]);
        check("<14>1 - h a - - [half x=\"1 text", ["user", "info", "-", "h", "a", "-", "-", "[half x=\"1 text"]);
        check("<14>1 soon h a: text", ["user", "info", "-", "-", "-", "-", "-", "1 soon h a: text"]);
    }

    #[test]
    fn structured_data_is_read_with_its_escapes() {
        let found = Message::read(r#"<14>1 - h a - - [one@1 a="x\"y\\z\]" b=""][two] text"#, NOW);
        let expect = [("one@1", vec![("a", "x\"y\\z]".into()), ("b", "".into())]), ("two", vec![])];
        assert_eq!(found.elements, expect.map(|(id, parameters)| Element { id, parameters }));
        assert_eq!(found.body, "text");
        let found = Message::read(r#"<14>1 - h a - - [e a="C:\dir \u{e9}"]"#, NOW);
        assert_eq!(found.elements[0].parameters, [("a", r"C:\dir \u{e9}".into())]);
        for text in [r#"[e a="b"#, r#"[e a="b\"#, "[e a=b]", "[", "[]", "[e", "[e a]", r#"[e a="b"]x"#, r#"[e ="b"]"#] {
            let text = format!("<14>1 - h a - - {text}");
            let found = Message::read(&text, NOW);
            assert!(found.elements.is_empty() && text.ends_with(found.body) && found.body.starts_with('['), "{found:?}");
        }
    }

    #[test]
    fn an_element_that_nobody_can_have_named_so_is_text() {
        let text = |bytes: usize| format!("<14>1 - h a - - [{} a=\"\"]", "e".repeat(bytes));
        assert_eq!(Message::read(&text(NAME_BYTES_MAX), NOW).elements.len(), 1);
        let long = text(NAME_BYTES_MAX + 1);
        let found = Message::read(&long, NOW);
        assert!(found.elements.is_empty() && found.body.starts_with("[eee"), "{found:?}");
    }

    #[test]
    fn rfc3164_is_read_as_it_is_sent() {
        check("<34>Nov 22 10:00:00 web-1 su[9]: gone", ["auth", "crit", "0", "web-1", "su", "9", "-", "gone"]);
        check("<34>Nov 22 10:00:00 su[9]: gone", ["auth", "crit", "0", "-", "su", "9", "-", "gone"]);
        check("<34>Nov 22 10:00:00 fe80::1 docker/ab12[9]:gone", ["auth", "crit", "0", "fe80::1", "docker/ab12", "9", "-", "gone"]);
        check("<13>2026-11-22T11:00:00.5+01:00 web-1 app: a: b", ["user", "notice", "0.5", "web-1", "app", "-", "-", "a: b"]);
        check("<13>Nov 22 10:00:00 web-1 just text: x", ["user", "notice", "0", "web-1", "-", "-", "-", "just text: x"]);
        check(
            "<13>Nov 22 10:00:00 last message repeated 3 times",
            ["user", "notice", "0", "-", "-", "-", "-", "last message repeated 3 times"],
        );
        check("<13>app[1]: no header", ["user", "notice", "-", "-", "app", "1", "-", "no header"]);
        check("<13>{\"a\": 1}", ["user", "notice", "-", "-", "-", "-", "-", "{\"a\": 1}"]);
        check("<13>http://a b", ["user", "notice", "-", "-", "-", "-", "-", "http://a b"]);
        check("<6>[   12.345678] usb 1-1: new", ["kern", "info", "-", "-", "kernel", "-", "-", "[   12.345678] usb 1-1: new"]);
        check("<6>Nov 22 10:00:00 pi kernel: [12.3] up", ["kern", "info", "0", "pi", "kernel", "-", "-", "[12.3] up"]);
        check(
            "<13>2026-11-22 10:00:00,123 ERROR c.e.Shop: gone",
            ["user", "notice", "-", "-", "-", "-", "-", "2026-11-22 10:00:00,123 ERROR c.e.Shop: gone"],
        );
        check("<13>", ["user", "notice", "-", "-", "-", "-", "-", "-"]);
    }

    #[test]
    fn cisco_has_its_own_forms() {
        let body = "%SYS-5-CONFIG_I: Configured";
        let expect = |time, host| ["local7", "notice", time, host, "-", "-", "SYS-5-CONFIG_I", body];
        check(&format!("<189>237: *Nov 22 10:00:00.295: {body}"), expect("0.295", "-"));
        check(&format!("<189>237: router-1: Nov 22 10:00:00: {body}"), expect("0", "router-1"));
        check(&format!("<189>: 2026 Nov 22 10:00:00 UTC: {body}"), expect("0", "-"));
        check(&format!("<189>Nov 22 2026 10:00:00: {body}"), expect("0", "-"));
        check(&format!("<189>Nov 22 2026 10:00:00 asa : {body}"), expect("0", "asa"));
        check(&format!("<189>Nov 22 10:00:00 CET: {body}"), expect("0", "-"));
        check(&format!("<189>{body}"), expect("-", "-"));
        check("<189>12: text", ["local7", "notice", "-", "-", "-", "-", "-", "12: text"]);
    }

    #[test]
    fn what_has_no_priority_is_read_only_without_doubt() {
        check("Nov 22 10:00:00 web-1 sshd[5]: in", ["-", "-", "0", "web-1", "sshd", "5", "-", "in"]);
        for text in ["2026-11-22T10:00:00Z ERROR app: x", "Nov 22 10:00:00 text", "<192>x", "<>x", "<1 x", "<+1>x", "", "{\"a\": 1}"] {
            check(text, ["-", "-", "-", "-", "-", "-", "-", if text.is_empty() { "-" } else { text }]);
        }
    }
}
