//! Queries that answer lines: newest first, and no further than the limit.

use std::sync::{Arc, Mutex};

use hashbrown::HashMap;
use lang::logql::LogExpr;
use model::{Answered, Code, Direction, Error, Labels, LogEntry, LogStream, Order, QueryLimits, Result, Scan, ScanStats, TimeRange};

use super::row::Source;
use super::source::{Needs, Plan, Reader, Wanted};
use super::{Lines, Window};

pub(super) async fn answer(
    scan: &dyn Scan,
    log: &LogExpr,
    window: Window,
    lines: Lines,
    limits: &QueryLimits,
    stats: &Arc<Mutex<ScanStats>>,
) -> Result<Answered> {
    let plan = Plan::new(log)?;
    let order = match lines.direction {
        Direction::Backward => Order::NewestFirst,
        Direction::Forward => Order::OldestFirst,
    };
    let time = TimeRange::new(window.start_ns, window.end_ns);
    let mut found = Found { streams: Vec::new(), by_labels: HashMap::new(), entries: 0, bytes: 0 };
    if time.is_empty() || lines.limit == 0 {
        return Ok(Answered::Streams(found.streams));
    }
    let limit = plan.is_exact().then_some(lines.limit);
    let needs = Needs { line: true, metadata: Wanted::All };
    let mut reader = Reader::open(scan, &plan, (time, order, limit), needs, stats).await?;
    // Leaving the loop drops the scan, which stops its work.
    while let Some(batch) = reader.next().await? {
        let more = reader.lines(&batch, |row, _| {
            let labels = if row.hidden.is_empty() && row.extra.iter().all(|extra| extra.source != Source::Stream) {
                row.stream.clone()
            } else {
                row.labels_of(Source::Stream)
            };
            let entry = LogEntry {
                time_ns: row.time_ns,
                line: row.line.clone().into_owned(),
                structured_metadata: row.labels_of(Source::Metadata),
                parsed: row.labels_of(Source::Parsed),
            };
            found.add(labels, entry, limits)?;
            Ok(found.entries < lines.limit)
        })?;
        if !more {
            break;
        }
    }
    Ok(Answered::Streams(found.streams))
}

struct Found {
    streams: Vec<LogStream>,
    by_labels: HashMap<Labels, usize>,
    entries: usize,
    bytes: usize,
}

impl Found {
    fn add(&mut self, labels: Labels, entry: LogEntry, limits: &QueryLimits) -> Result<()> {
        self.entries += 1;
        self.bytes += entry.line.len() + size_of::<LogEntry>();
        if self.bytes > limits.memory_bytes_max {
            let what = "cannot answer the query: its lines are larger than memory_bytes_max; lower the limit or add a filter";
            return Err(Error::new(Code::LimitExceeded, what));
        }
        let next = self.streams.len();
        let index = *self.by_labels.entry(labels).or_insert_with_key(|labels| {
            self.streams.push(LogStream { labels: labels.clone(), entries: Vec::new() });
            next
        });
        self.streams[index].entries.push(entry);
        Ok(())
    }
}
