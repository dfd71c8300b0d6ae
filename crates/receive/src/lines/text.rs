//! Logs out of free-form text: containers' lines unwrapped and their parts joined, stack traces joined.
//!
//! Everything is joined within one request only: a line is never held back for one that may come later.

use std::borrow::Cow;

use super::container::{self, Stream};
use super::join::Joiner;

/// One log of a text.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry<'t> {
    /// Byte for byte as it was sent, without its end of line.
    pub(crate) body: Cow<'t, str>,
    /// As a container's runtime says it.
    pub(crate) time_unix_nano: Option<i64>,
    pub(crate) stream: Option<Stream>,
    /// The number of its first line, from 1.
    pub(crate) line: usize,
}

/// A log whose next line may still come.
struct Open<'t> {
    entry: Entry<'t>,
    joiner: Joiner,
    /// Where the body begins in the text; of containers it is not in the text as a whole.
    start: usize,
    lines: usize,
    /// Lines without text since, which belong to the log only if it goes on.
    blank: usize,
    /// The last line goes on in the next.
    partial: bool,
}

/// Hands the logs of a text to `each`, those of one stream in their order. None is joined to more than `bytes_max`.
pub(crate) fn each<E>(text: &str, bytes_max: usize, mut each: impl FnMut(Entry<'_>) -> Result<(), E>) -> Result<(), E> {
    // Of what is no container's, of stdout and of stderr.
    let mut open: [Option<Open<'_>>; 3] = [None, None, None];
    let mut start = 0;
    for (index, whole) in text.split_inclusive('\n').enumerate() {
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let next = Next::of(line, start, index + 1);
        start += whole.len();
        let place = next.stream.map_or(0, |stream| 1 + stream as usize);
        if place > 0
            && let Some(done) = open[0].take()
        {
            each(done.entry)?;
        }
        let slot = &mut open[place];
        if slot.as_mut().is_some_and(|log| log.take(text, &next, bytes_max)) {
            continue;
        }
        if !next.content.is_empty() || next.partial {
            if let Some(done) = slot.replace(next.opened()) {
                each(done.entry)?;
            }
        } else if let Some(log) = slot {
            log.blank += 1;
        }
    }
    let mut rest: Vec<_> = open.into_iter().flatten().map(|open| open.entry).collect();
    rest.sort_by_key(|entry| entry.line);
    rest.into_iter().try_for_each(each)
}

/// The line that comes now.
struct Next<'t> {
    content: Cow<'t, str>,
    time_unix_nano: Option<i64>,
    stream: Option<Stream>,
    partial: bool,
    start: usize,
    line: usize,
}

impl<'t> Next<'t> {
    fn of(line: &'t str, start: usize, number: usize) -> Self {
        match container::unwrap(line) {
            Some(found) => Self {
                content: found.content,
                time_unix_nano: Some(found.time_unix_nano),
                stream: Some(found.stream),
                partial: found.partial,
                start,
                line: number,
            },
            None => Self { content: line.into(), time_unix_nano: None, stream: None, partial: false, start, line: number },
        }
    }

    fn opened(self) -> Open<'t> {
        let Self { content, time_unix_nano, stream, partial, start, line } = self;
        let joiner = Joiner::begin(&content);
        Open { entry: Entry { body: content, time_unix_nano, stream, line }, joiner, start, lines: 1, blank: 0, partial }
    }
}

impl<'t> Open<'t> {
    /// Whether the line belongs to this log, and was taken.
    fn take(&mut self, text: &'t str, next: &Next<'t>, bytes_max: usize) -> bool {
        /// Deeper stack traces than any runtime prints by itself.
        const LINES_MAX: usize = 1000;
        let content = &*next.content;
        if self.entry.body.len() + self.blank + 1 + content.len() > bytes_max || self.lines >= LINES_MAX {
            return false;
        }
        if self.partial {
            self.entry.body.to_mut().push_str(content);
            self.partial = next.partial;
            if !self.partial && self.lines == 1 {
                self.joiner = Joiner::begin(&self.entry.body);
            }
            return true;
        }
        if content.is_empty() || !self.joiner.continues(content) {
            return false;
        }
        match next.stream {
            None => self.entry.body = text[self.start..next.start + content.len()].into(),
            Some(_) => {
                let body = self.entry.body.to_mut();
                body.extend(std::iter::repeat_n('\n', self.blank + 1));
                body.push_str(content);
            }
        }
        (self.lines, self.blank, self.partial) = (self.lines + 1, 0, next.partial);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(text: &str, bytes_max: usize) -> Vec<String> {
        let mut found = Vec::new();
        let done: Result<(), ()> = each(text, bytes_max, |entry| {
            found.push(format!("{}{} {}", entry.line, entry.stream.map_or("", Stream::name), entry.body));
            Ok(())
        });
        done.expect("nothing fails");
        found
    }

    #[test]
    fn lines_are_logs_and_traces_are_one() {
        let text = "one\r\n\ntwo\n  indented\n\n  more\nthree";
        assert_eq!(bodies(text, 100), ["1 one", "3 two\n  indented\n\n  more", "7 three"]);
        assert_eq!(bodies(text, 12), ["1 one", "3 two", "4   indented", "6   more", "7 three"], "no longer than it may be");
        assert_eq!(bodies("", 9), [""; 0]);
        assert_eq!(bodies(&format!("a\n{}", " b\n".repeat(2500)), 10_000).len(), 3);
    }

    #[test]
    fn streams_of_containers_are_joined_apart() {
        let text = "2026-11-22T10:00:00Z stdout P he\n2026-11-22T10:00:00Z stderr F Traceback (most recent call last):\n\
            2026-11-22T10:00:00Z stdout F llo\n2026-11-22T10:00:00Z stderr F   File \"a.py\"\n2026-11-22T10:00:00Z stderr F KeyError: 1\n\
            2026-11-22T10:00:00Z stderr F next\n2026-11-22T10:00:00Z stdout F bye\n";
        let trace = "2stderr Traceback (most recent call last):\n  File \"a.py\"\nKeyError: 1";
        assert_eq!(bodies(text, 1000), [trace, "1stdout hello", "6stderr next", "7stdout bye"]);
    }
}
