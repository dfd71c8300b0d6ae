//! Where a message ends in a stream: after as many bytes as stand before it, or at a newline or NUL (RFC 6587). Senders of
//! both kinds come to one port, so every message is looked at anew.

/// More than this no sender means: it is not syslog, and its bytes are not waited for.
const COUNT_MAX: usize = 64 << 20;
/// A longer number is no count.
const DIGITS_MAX: usize = 12;

/// Follows one stream.
#[derive(Debug)]
pub(super) struct Framer {
    message_bytes_max: usize,
    skipping: Skipping,
    /// So many bytes of the begun line have been looked at.
    looked_at: usize,
}

#[derive(Debug, PartialEq)]
enum Skipping {
    Nothing,
    Bytes(usize),
    Line,
}

#[derive(Debug, PartialEq)]
pub(super) enum Step<'b> {
    Message(&'b [u8]),
    /// One was over the limit. Its rest is skipped as it comes and takes no memory.
    TooLong,
    /// Nothing whole is left.
    More,
    /// Nothing that follows can be read: the stream is not syslog.
    NotSyslog,
}

impl Framer {
    pub(super) fn new(message_bytes_max: usize) -> Self {
        Self { message_bytes_max, skipping: Skipping::Nothing, looked_at: 0 }
    }

    /// What the bytes begin with, and how many of them are done with. They begin where the last step ended.
    pub(super) fn next<'b>(&mut self, bytes: &'b [u8]) -> (Step<'b>, usize) {
        let skipped = match self.skipping {
            Skipping::Nothing => 0,
            Skipping::Bytes(left) if left > bytes.len() => {
                self.skipping = Skipping::Bytes(left - bytes.len());
                return (Step::More, bytes.len());
            }
            Skipping::Bytes(left) => left,
            Skipping::Line => match memchr::memchr2(b'\n', 0, bytes) {
                Some(end) => end + 1,
                None => return (Step::More, bytes.len()),
            },
        };
        self.skipping = Skipping::Nothing;
        let bytes = &bytes[skipped..];
        let start = bytes.iter().position(|byte| !matches!(byte, b'\n' | b'\r' | 0)).unwrap_or(bytes.len());
        let (step, used) = match count(&bytes[start..]) {
            Count::Said { prefix, bytes: len } => self.counted(&bytes[start + prefix..], prefix, len),
            Count::Unsaid => self.line(&bytes[start..]),
            Count::MayBe => (Step::More, 0),
        };
        (step, skipped + start + used)
    }

    /// What is left when the stream ends, as [`Self::next`] left it: a line without its end. Half of a counted message is none.
    pub(super) fn last<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let line = self.skipping == Skipping::Nothing && !matches!(count(bytes), Count::Said { .. });
        Some(trimmed(bytes)).filter(|bytes| line && !bytes.is_empty())
    }

    fn counted<'b>(&mut self, bytes: &'b [u8], prefix: usize, len: usize) -> (Step<'b>, usize) {
        if len > COUNT_MAX {
            return (Step::NotSyslog, 0);
        }
        if len > self.message_bytes_max {
            self.skipping = Skipping::Bytes(len);
            return (Step::TooLong, prefix);
        }
        match bytes.get(..len) {
            Some(message) => (Step::Message(trimmed(message)), prefix + len),
            None => (Step::More, 0),
        }
    }

    fn line<'b>(&mut self, bytes: &'b [u8]) -> (Step<'b>, usize) {
        let from = std::mem::take(&mut self.looked_at).min(bytes.len());
        match memchr::memchr2(b'\n', 0, &bytes[from..]).map(|at| from + at) {
            Some(end) if end <= self.message_bytes_max => (Step::Message(trimmed(&bytes[..end])), end + 1),
            Some(end) => (Step::TooLong, end + 1),
            None if bytes.len() > self.message_bytes_max => {
                self.skipping = Skipping::Line;
                (Step::TooLong, bytes.len())
            }
            None => {
                self.looked_at = bytes.len();
                (Step::More, 0)
            }
        }
    }
}

/// Without the ends of lines that senders add.
pub(super) fn trimmed(message: &[u8]) -> &[u8] {
    let end = message.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0)).map_or(0, |last| last + 1);
    &message[..end]
}

enum Count {
    Said {
        prefix: usize,
        bytes: usize,
    },
    Unsaid,
    /// More bytes will tell.
    MayBe,
}

/// `123 <`: a number without leading zeros before a message that begins as RFC 5424 and 3164 have it. Other lines may begin with
/// a number too.
fn count(bytes: &[u8]) -> Count {
    if !bytes.first().is_some_and(|first| matches!(first, b'1'..=b'9')) {
        return Count::Unsaid;
    }
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match (bytes.get(digits), bytes.get(digits + 1)) {
        _ if digits > DIGITS_MAX => Count::Unsaid,
        (None, _) | (Some(b' '), None) => Count::MayBe,
        (Some(b' '), Some(b'<')) => {
            let number = std::str::from_utf8(&bytes[..digits]).ok().and_then(|digits| digits.parse().ok());
            Count::Said { prefix: digits + 1, bytes: number.unwrap_or(usize::MAX) }
        }
        _ => Count::Unsaid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages of a stream that comes in parts of `step` bytes.
    fn framed(stream: &[u8], step: usize, max: usize) -> Vec<String> {
        let (mut framer, mut pending, mut found) = (Framer::new(max), Vec::new(), Vec::new());
        for part in stream.chunks(step) {
            pending.extend_from_slice(part);
            loop {
                let (step, used) = framer.next(&pending);
                let step = match step {
                    Step::Message(message) => String::from_utf8_lossy(message).into_owned(),
                    Step::TooLong => "TOO LONG".to_owned(),
                    Step::NotSyslog => return [found, vec!["NOT SYSLOG".to_owned()]].concat(),
                    Step::More => {
                        pending.drain(..used);
                        break;
                    }
                };
                found.push(step);
                pending.drain(..used);
            }
            assert!(pending.len() <= max + 16 + step, "{} bytes are held", pending.len());
        }
        found.extend(framer.last(&pending).map(|last| format!("LAST {}", String::from_utf8_lossy(last))));
        found
    }

    fn check(stream: &[u8], expect: &[&str]) {
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(framed(stream, step, 12), expect, "in parts of {step}: {}", stream.escape_ascii());
        }
    }

    #[test]
    fn every_framing_is_told_apart() {
        check(b"<1>one\n<1>two\r\n\n\0<1>three\0<1>four", &["<1>one", "<1>two", "<1>three", "LAST <1>four"]);
        check(b"6 <1>one6 <1>two6 <1>\nx\n6 <1>end", &["<1>one", "<1>two", "<1>\nx", "<1>end"]);
        check(b"6 <1>one<1>two\n6 <1>end\n<1>x\n", &["<1>one", "<1>two", "<1>end", "<1>x"]);
        check(b"12 monkeys\n6 <1>one2026 x\n7\n", &["12 monkeys", "<1>one", "2026 x", "7"]);
        check(b"9 <1>half", &[]);
        check(b"123", &["LAST 123"]);
        check(b"", &[]);
    }

    #[test]
    fn what_is_too_long_is_skipped_and_the_next_is_read() {
        check(b"<1>0123456789\n<1>next\n", &["TOO LONG", "<1>next"]);
        check(b"13 <1>01234567896 <1>one", &["TOO LONG", "<1>one"]);
        let long = [b"<1>".as_slice(), &[b'x'; 5000], b"\n<1>next\n"].concat();
        check(&long, &["TOO LONG", "<1>next"]);
        check(b"1073741824 <1>a", &["NOT SYSLOG"]);
        check(b"99999999999999999999 <1>a\n", &["TOO LONG"]);
    }
}
