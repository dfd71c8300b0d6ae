//! Queries that answer lines: newest first, and no further than the limit.

use hashbrown::HashMap;
use lang::logql::LogExpr;
use model::{Answered, Direction, Labels, LogEntry, LogStream, Order, Result, Scan, TimeRange};

use super::row::{Row, Source};
use super::source::{Needs, Plan, Reader, Wanted};
use super::{Lines, Window};
use crate::guard::{Charge, Guard, blocking, fold, label_bytes};

pub(super) async fn answer(scan: &dyn Scan, log: LogExpr, window: Window, lines: Lines, guard: &Guard) -> Result<Answered> {
    let (order, limit) = match lines.direction {
        Direction::Backward => (Order::NewestFirst, lines.limit),
        Direction::Forward => (Order::OldestFirst, lines.limit),
    };
    let time = TimeRange::new(window.start_ns, window.end_ns);
    let plan = blocking(move || Plan::new(&log)).await?;
    if time.is_empty() || limit == 0 {
        return Ok(Answered::Streams(Vec::new()));
    }
    let scan_limit = plan.is_exact().then_some(limit);
    let needs = Needs { stream: true, line: true, metadata: Wanted::All };
    let reader = Reader::new(plan, needs, guard);
    let rows = scan.scan(reader.request(time, order, scan_limit)).await?;
    let found = Found::new(limit, guard);
    let (_, found) = fold(rows, (reader, found), |(reader, found), batch| reader.lines(batch, |_, row, _| found.add(row))).await?;
    Ok(Answered::Streams(found.streams))
}

/// The lines found, up to the limit.
pub(super) struct Found {
    pub(super) streams: Vec<LogStream>,
    by_labels: HashMap<Labels, usize>,
    entries: usize,
    limit: usize,
    guard: Guard,
    charge: Charge,
}

impl Found {
    pub(super) fn new(limit: usize, guard: &Guard) -> Self {
        let (guard, charge) = (guard.clone(), guard.charge(0));
        Self { streams: Vec::new(), by_labels: HashMap::new(), entries: 0, limit, guard, charge }
    }

    /// Whether more are wanted.
    pub(super) fn add(&mut self, row: &Row<'_>) -> Result<bool> {
        let as_stored = row.hidden.is_empty() && row.extra.iter().all(|extra| extra.source != Source::Stream);
        let labels = if as_stored { row.stream.clone() } else { row.labels_of(Source::Stream) };
        let entry = LogEntry {
            time_ns: row.time_ns,
            line: row.line.clone().into_owned(),
            structured_metadata: row.labels_of(Source::Metadata),
            parsed: row.labels_of(Source::Parsed),
        };
        let of_labels =
            if as_stored { 0 } else { label_bytes(&labels) } + label_bytes(&entry.structured_metadata) + label_bytes(&entry.parsed);
        self.charge.grow(size_of::<LogEntry>() + entry.line.len() + of_labels);
        self.guard.fits(0)?;
        let next = self.streams.len();
        let index = *self.by_labels.entry(labels).or_insert_with_key(|labels| {
            self.streams.push(LogStream { labels: labels.clone(), entries: Vec::new() });
            next
        });
        self.streams[index].entries.push(entry);
        self.entries += 1;
        Ok(self.entries < self.limit)
    }
}
