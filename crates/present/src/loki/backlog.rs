//! What a tail has to say and has not said yet, and the messages that it is said in.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use model::{Direction, Labels, LogArrival, LogEntry, LogStream};

use super::format::{Encoding, categorized_entry, merge, plain_entry, write};
use crate::json;
use crate::times::as_nanos;

/// Of one message.
const MESSAGE_LINES_MAX: usize = 1000;
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Lines of one tail that wait for a client who is slow; the oldest go first.
const WAITING_LINES_MAX: usize = 50_000;
const WAITING_BYTES_MAX: usize = 8 << 20;

/// Lost lines that one message names; all are counted.
const NAMED_MAX: usize = 1000;

struct Line {
    labels: Labels,
    entry: LogEntry,
}

impl Line {
    fn bytes(&self) -> usize {
        let of = |labels: &Labels| labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        size_of::<Self>() + self.entry.line.len() + of(&self.entry.structured_metadata) + of(&self.entry.parsed)
    }
}

/// Times are nanoseconds since the Unix epoch.
pub(super) struct Backlog {
    encoding: Encoding,
    delay_ns: i64,
    /// Lines that were there before, the oldest first. None of them is lost.
    stored: VecDeque<Line>,
    /// Lines that came, by the instant from which the delay counts and by their number.
    arrived: BTreeMap<(i64, u64), Line>,
    arrived_bytes: usize,
    number: u64,
    lost: Lost,
}

/// What the client is told next that it missed.
#[derive(Default)]
struct Lost {
    lines: u64,
    unread_rows: u64,
    named: Vec<(Labels, i64)>,
}

impl Backlog {
    pub(super) fn new(encoding: Encoding, delay: Duration) -> Self {
        let (stored, arrived) = (VecDeque::new(), BTreeMap::new());
        Self { encoding, delay_ns: as_nanos(delay), stored, arrived, arrived_bytes: 0, number: 0, lost: Lost::default() }
    }

    /// What was there, before everything that comes.
    pub(super) fn begin(&mut self, streams: Vec<LogStream>) {
        let mut lines: Vec<Line> = lines(streams).collect();
        lines.sort_by_key(|line| line.entry.time_ns);
        self.stored = lines.into();
    }

    pub(super) fn add(&mut self, arrival: LogArrival, now_ns: i64) {
        let streams = match arrival {
            LogArrival::Lines(streams) => streams,
            LogArrival::Skipped { rows, last_ns } => return self.lost.unread(rows, last_ns),
        };
        for line in lines(streams) {
            // Without a delay lines leave as they came; with one, in the order of their times as far as it reaches.
            let from = if self.delay_ns == 0 { 0 } else { line.entry.time_ns.min(now_ns) };
            self.arrived_bytes += line.bytes();
            self.arrived.insert((from, self.number), line);
            self.number += 1;
        }
        while self.arrived.len() > WAITING_LINES_MAX || self.arrived_bytes > WAITING_BYTES_MAX {
            let Some((_, line)) = self.arrived.pop_first() else { break };
            self.arrived_bytes -= line.bytes();
            self.lost.line(line);
        }
    }

    /// Whether there is something to say now.
    pub(super) fn is_ready(&self, now_ns: i64) -> bool {
        let due = self.arrived.first_key_value().is_some_and(|((from, _), _)| from.saturating_add(self.delay_ns) <= now_ns);
        due || !self.stored.is_empty() || self.lost.any()
    }

    /// Whether a message need not wait for more.
    pub(super) fn is_full(&self) -> bool {
        !self.stored.is_empty() || self.arrived.len() >= MESSAGE_LINES_MAX || self.arrived_bytes >= MESSAGE_BYTES_MAX
    }

    fn next(&mut self, now_ns: i64) -> Option<Line> {
        if let Some(line) = self.stored.pop_front() {
            return Some(line);
        }
        let first = self.arrived.first_entry().filter(|first| first.key().0.saturating_add(self.delay_ns) <= now_ns)?;
        let line = first.remove();
        self.arrived_bytes -= line.bytes();
        Some(line)
    }

    /// The next message, as Loki's tail writes it.
    pub(super) fn message(&mut self, now_ns: i64) -> String {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while lines.len() < MESSAGE_LINES_MAX
            && bytes < MESSAGE_BYTES_MAX
            && let Some(line) = self.next(now_ns)
        {
            bytes += line.bytes();
            lines.push(line);
        }
        lines.sort_by_key(|line| line.entry.time_ns);
        let streams = streams(lines);
        let mut out = "{\"streams\":".to_owned();
        match self.encoding {
            Encoding::Merged => json::list(&mut out, merge(streams, Direction::Forward), |out, stream| write(out, &stream, plain_entry)),
            Encoding::Categorized => json::list(&mut out, streams, |out, stream| write(out, &stream, categorized_entry)),
        }
        std::mem::take(&mut self.lost).write(&mut out);
        if self.encoding == Encoding::Categorized {
            out.push_str(",\"encodingFlags\":[\"categorize-labels\"]");
        }
        out.push('}');
        out
    }
}

impl Lost {
    fn any(&self) -> bool {
        self.lines + self.unread_rows > 0
    }

    fn line(&mut self, line: Line) {
        self.lines += 1;
        metrics::counter!("tyto_log_tail_dropped_lines_total").increment(1);
        self.name(line.labels, line.entry.time_ns);
    }

    /// Nobody knows the lines, so one entry without labels stands for them.
    fn unread(&mut self, rows: u64, last_ns: i64) {
        self.unread_rows += rows;
        self.name(Labels::empty(), last_ns);
    }

    fn name(&mut self, labels: Labels, time_ns: i64) {
        if self.named.len() < NAMED_MAX {
            self.named.push((labels, time_ns));
        }
    }

    /// Loki's list, and beside it the counts, which are exact.
    fn write(self, out: &mut String) {
        if !self.any() {
            return;
        }
        out.push_str(",\"dropped_entries\":");
        json::list(out, self.named, |out, (labels, time_ns)| {
            out.push_str("{\"labels\":");
            json::labels(out, &labels);
            json::push(out, format_args!(",\"timestamp\":\"{time_ns}\"}}"));
        });
        json::push(out, format_args!(",\"tyto\":{{\"dropped_lines\":{},\"unread_rows\":{}}}", self.lines, self.unread_rows));
    }
}

fn lines(streams: Vec<LogStream>) -> impl Iterator<Item = Line> {
    streams.into_iter().flat_map(|stream| stream.entries.into_iter().map(move |entry| Line { labels: stream.labels.clone(), entry }))
}

fn streams(lines: Vec<Line>) -> Vec<LogStream> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut streams: Vec<LogStream> = Vec::new();
    for Line { labels, entry } in lines {
        let place = *places.entry(labels).or_insert_with_key(|labels| {
            streams.push(LogStream { labels: labels.clone(), entries: Vec::new() });
            streams.len() - 1
        });
        streams[place].entries.push(entry);
    }
    streams
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_DELAY: Duration = Duration::ZERO;

    fn stream(app: &str, times: impl IntoIterator<Item = i64>) -> LogStream {
        let entry = |time_ns| LogEntry {
            time_ns,
            line: format!("line {time_ns}"),
            structured_metadata: Labels::from_pairs([("pod", "p")]),
            parsed: Labels::empty(),
        };
        LogStream { labels: Labels::from_pairs([("app", app)]), entries: times.into_iter().map(entry).collect() }
    }

    fn arrive(backlog: &mut Backlog, app: &str, times: impl IntoIterator<Item = i64>, now_ns: i64) {
        backlog.add(LogArrival::Lines(vec![stream(app, times)]), now_ns);
    }

    #[test]
    fn what_was_there_comes_before_what_comes() {
        let mut backlog = Backlog::new(Encoding::Merged, NO_DELAY);
        arrive(&mut backlog, "a", [5], 9);
        backlog.begin(vec![stream("a", [1, 3]), stream("b", [2])]);
        let streams = r#"{"streams":[{"stream":{"app":"a","pod":"p"},"values":[["1","line 1"],["3","line 3"],["5","line 5"]]},"#;
        assert_eq!(backlog.message(9), format!(r#"{streams}{{"stream":{{"app":"b","pod":"p"}},"values":[["2","line 2"]]}}]}}"#));
        assert!(!backlog.is_ready(i64::MAX));
    }

    #[test]
    fn metadata_stands_apart_when_asked_for() {
        let mut backlog = Backlog::new(Encoding::Categorized, NO_DELAY);
        arrive(&mut backlog, "a", [5], 9);
        let values = r#""values":[["5","line 5",{"structuredMetadata":{"pod":"p"}}]]"#;
        let expect = format!(r#"{{"streams":[{{"stream":{{"app":"a"}},{values}}}],"encodingFlags":["categorize-labels"]}}"#);
        assert_eq!(backlog.message(9), expect);
    }

    #[test]
    fn a_delay_brings_late_lines_into_order() {
        let mut backlog = Backlog::new(Encoding::Merged, Duration::from_nanos(10));
        arrive(&mut backlog, "a", [100], 101);
        arrive(&mut backlog, "a", [95], 103);
        // The sender's clock is ahead: its line waits no longer than others.
        arrive(&mut backlog, "a", [900], 104);
        assert!(!backlog.is_ready(104) && backlog.is_ready(105));
        assert!(backlog.message(111).contains(r#"[["95","line 95"],["100","line 100"]]"#));
        assert!(!backlog.is_ready(113) && backlog.message(114).contains("line 900"));
    }

    #[test]
    fn a_slow_client_loses_the_oldest_and_is_told_how_many() {
        let mut backlog = Backlog::new(Encoding::Merged, NO_DELAY);
        arrive(&mut backlog, "a", 0..WAITING_LINES_MAX as i64 + 2, 0);
        backlog.add(LogArrival::Skipped { rows: 7, last_ns: 4 }, 0);
        let message = backlog.message(0);
        let entry = |labels: &str, time: i64| format!(r#"{{"labels":{{{labels}}},"timestamp":"{time}"}}"#);
        let entries = [entry(r#""app":"a""#, 0), entry(r#""app":"a""#, 1), entry("", 4)].join(",");
        assert!(message.contains(&format!(r#""dropped_entries":[{entries}],"tyto":{{"dropped_lines":2,"unread_rows":7}}}}"#)), "{message}");
        assert!(message.starts_with(r#"{"streams":[{"stream":{"app":"a","pod":"p"},"values":[["2","line 2"]"#));
        let mut rest = 1;
        while backlog.is_ready(0) {
            assert!(!backlog.message(0).contains("dropped"));
            rest += 1;
        }
        assert_eq!(rest, WAITING_LINES_MAX / MESSAGE_LINES_MAX);
    }

    #[test]
    fn a_message_has_its_bound_in_bytes() {
        let mut backlog = Backlog::new(Encoding::Merged, NO_DELAY);
        let mut large = stream("a", 0..5);
        large.entries.iter_mut().for_each(|entry| entry.line = "x".repeat(600_000));
        backlog.add(LogArrival::Lines(vec![large]), 0);
        let sizes: Vec<usize> = std::iter::from_fn(|| backlog.is_ready(0).then(|| backlog.message(0).len() / 600_000)).collect();
        assert_eq!(sizes, [2, 2, 1]);
    }
}
