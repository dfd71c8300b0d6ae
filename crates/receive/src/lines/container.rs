//! Lines as container runtimes write them to files: Docker's JSON, and CRI's (containerd, CRI-O).
//!
//! Sources: <https://docs.docker.com/engine/logging/drivers/json-file/>,
//! <https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>.

use std::borrow::Cow;

use serde::Deserialize;

use super::time;

/// What a container wrote, without what its runtime wrapped around it.
#[derive(Debug, PartialEq)]
pub(crate) struct Unwrapped<'l> {
    pub(crate) content: Cow<'l, str>,
    pub(crate) time_unix_nano: i64,
    pub(crate) stream: Stream,
    /// The line goes on in the stream's next.
    pub(crate) partial: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// As OpenTelemetry's `log.iostream` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Stdout, Self::Stderr].into_iter().find(|stream| stream.name() == name)
    }
}

/// None when no runtime wrote it so: then the line is what it is.
pub(crate) fn unwrap(line: &str) -> Option<Unwrapped<'_>> {
    match line.as_bytes().first()? {
        b'{' => docker(line),
        b'0'..=b'9' => cri(line),
        _ => None,
    }
}

/// `{"log":"hello\n","stream":"stdout","time":"2026-11-22T10:00:00.123456789Z"}`; a line without its end goes on.
fn docker(line: &str) -> Option<Unwrapped<'_>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line<'l> {
        #[serde(borrow)]
        log: Cow<'l, str>,
        stream: Cow<'l, str>,
        time: Cow<'l, str>,
    }
    if !line.contains("\"stream\"") {
        return None;
    }
    let Line { log, stream, time } = serde_json::from_str(line).ok()?;
    let (stream, time_unix_nano) = (Stream::of(&stream)?, time::of_text(&time, 0)?);
    let partial = !log.ends_with('\n');
    let content = match log {
        Cow::Borrowed(log) => Cow::Borrowed(log.strip_suffix('\n').unwrap_or(log)),
        Cow::Owned(mut log) => {
            log.truncate(log.strip_suffix('\n').map_or(log.len(), str::len));
            Cow::Owned(log)
        }
    };
    Some(Unwrapped { content, time_unix_nano, stream, partial })
}

/// `2026-11-22T10:00:00.123456789Z stdout F hello`; `P` instead of `F` goes on.
fn cri(line: &str) -> Option<Unwrapped<'_>> {
    let mut parts = line.splitn(4, ' ');
    let (time, stream, tags) = (parts.next()?, parts.next()?, parts.next()?);
    let content = parts.next().unwrap_or_default().into();
    let stream = Stream::of(stream)?;
    let partial = match tags.split(':').next()? {
        "F" => false,
        "P" => true,
        _ => return None,
    };
    Some(Unwrapped { content, time_unix_nano: time::of_text(time, 0)?, stream, partial })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runtimes_wrap_is_unwrapped() {
        let check = |line: &str, expect: Option<(&str, &str, bool)>| {
            let found = unwrap(line);
            let found = found.as_ref().map(|found| (&*found.content, found.stream.name(), found.partial));
            assert_eq!(found, expect, "{line}");
        };
        check(r#"{"log":"a \"b\"\n","stream":"stdout","time":"2026-11-22T10:00:00.1Z"}"#, Some(("a \"b\"", "stdout", false)));
        check(r#"{"log":"half","stream":"stderr","time":"2026-11-22T10:00:00Z"}"#, Some(("half", "stderr", true)));
        check("2026-11-22T10:00:00.123456789Z stdout F  two  spaces", Some((" two  spaces", "stdout", false)));
        check("2026-11-22T10:00:00.123456789+01:00 stderr P half", Some(("half", "stderr", true)));
        check("2026-11-22T10:00:00Z stdout F", Some(("", "stdout", false)));
        for line in [
            r#"{"log":"x","level":"info","stream":"stdout"}"#,
            "2026-11-22T10:00:00Z hello F x",
            "2026-11-22T10:00:00Z stdout X x",
            "",
            "x",
        ] {
            check(line, None);
        }
    }
}
