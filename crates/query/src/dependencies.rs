//! Who calls whom: spans whose parent is another service's.
//!
//! Spans are read once and kept as 32 bytes each, then brought together by trace. What does not fit is not guessed at from some part
//! of the time: whole traces are left out, as many as it takes, and the calls of the others stand for them.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::time::Duration;

use arrow::array::{Array, Int64Array, StringArray};
use futures::TryStreamExt;
use model::schema::column;
use model::{Answer, Answered, Dependency, QueryLimits, Result, Scan, ScanRequest, Table, TimeRange};

const COLUMNS: [&str; 5] = ["trace_id", "span_id", "parent_span_id", "service_name", "start_time_unix_nano"];

/// Calls by spans that start in `range`; their parents may have started up to `reach` before it.
pub(crate) async fn between_services(scan: &dyn Scan, range: TimeRange, reach: Duration, limits: &QueryLimits) -> Result<Answer> {
    let reach_ns = i64::try_from(reach.as_nanos()).unwrap_or(i64::MAX);
    let mut request = ScanRequest::new(Table::Spans, TimeRange::new(range.start_ns.saturating_sub(reach_ns), range.end_ns));
    request.columns = Some(COLUMNS.map(str::to_owned).to_vec());
    // Half of the memory: sorting and the scan's own batches need some.
    let mut spans = Spans::new((limits.memory_bytes_max / 2 / size_of::<Seen>()).max(1));
    let mut rows = scan.scan(request).await?;
    while let Some(batch) = rows.try_next().await? {
        let [trace_id, span_id, parent, service]: [&StringArray; 4] =
            [column(&batch, "trace_id")?, column(&batch, "span_id")?, column(&batch, "parent_span_id")?, column(&batch, "service_name")?];
        let start: &Int64Array = column(&batch, "start_time_unix_nano")?;
        for row in 0..batch.num_rows() {
            if service.is_null(row) || trace_id.is_null(row) {
                continue;
            }
            let parent = if parent.is_null(row) || start.value(row) < range.start_ns { "" } else { parent.value(row) };
            spans.add(trace_id.value(row), span_id.value(row), parent, service.value(row));
        }
    }
    let (calls, share) = spans.calls();
    let mut answer = Answer::new(Answered::Dependencies(calls));
    if share > 1 {
        let max = limits.memory_bytes_max;
        answer.warnings.push(format!(
            "the spans of this time do not fit query_memory_bytes_max = {max}: calls are those of one trace in {share}, times {share}"
        ));
    }
    Ok(answer)
}

/// A span as far as calls go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    /// A hash of its id: two traces that share one would have to share ids of spans too.
    trace: u64,
    span: u64,
    /// 0: of no interest.
    parent: u64,
    service: u32,
}

struct Spans {
    seen: Vec<Seen>,
    seen_max: usize,
    /// How often the traces were halved.
    halvings: u32,
    hasher: std::hash::RandomState,
    services: HashMap<String, u32>,
}

impl Spans {
    fn new(seen_max: usize) -> Self {
        Self { seen: Vec::new(), seen_max, halvings: 0, hasher: std::hash::RandomState::new(), services: HashMap::new() }
    }

    fn keeps(&self, trace: u64) -> bool {
        trace.leading_zeros() >= self.halvings
    }

    fn add(&mut self, trace_id: &str, span_id: &str, parent: &str, service: &str) {
        let trace = self.hasher.hash_one(trace_id);
        if !self.keeps(trace) {
            return;
        }
        let service = match self.services.get(service) {
            Some(&number) => number,
            None => {
                let number = u32::try_from(self.services.len()).unwrap_or(u32::MAX);
                self.services.insert(service.to_owned(), number);
                number
            }
        };
        let id = |text: &str| u64::from_str_radix(text, 16).unwrap_or_default();
        self.seen.push(Seen { trace, span: id(span_id), parent: id(parent), service });
        while self.seen.len() >= self.seen_max && self.halvings < 32 {
            self.halvings += 1;
            let halvings = self.halvings;
            self.seen.retain(|seen| seen.trace.leading_zeros() >= halvings);
        }
    }

    /// The calls by parent and child, and how many traces each kept one stands for.
    fn calls(mut self) -> (Vec<Dependency>, u64) {
        self.seen.sort_unstable();
        // What a sender sent twice is one call.
        self.seen.dedup();
        let share = 1_u64 << self.halvings;
        let mut counts: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for trace in self.seen.chunk_by(|one, next| one.trace == next.trace) {
            for child in trace.iter().filter(|child| child.parent != 0) {
                let at = trace.partition_point(|other| other.span < child.parent);
                if let Some(parent) = trace.get(at).filter(|parent| parent.span == child.parent && parent.service != child.service) {
                    *counts.entry((parent.service, child.service)).or_default() += share;
                }
            }
        }
        let mut names = vec![String::new(); self.services.len()];
        for (name, number) in self.services {
            names[number as usize] = name;
        }
        let call = |((parent, child), calls): ((u32, u32), u64)| Dependency {
            parent: names[parent as usize].clone(),
            child: names[child as usize].clone(),
            calls,
        };
        let mut calls: Vec<Dependency> = counts.into_iter().map(call).collect();
        calls.sort_unstable();
        (calls, share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_counted_once_and_within_a_service_never() {
        let mut spans = Spans::new(100);
        for (trace, span, parent, service) in [
            ("a", "1", "", "web"),
            ("a", "2", "1", "web"),
            ("a", "3", "2", "shop"),
            ("a", "3", "2", "shop"),
            ("a", "4", "3", "db"),
            ("b", "1", "", "shop"),
            ("b", "2", "1", "db"),
            ("b", "9", "8", "db"),
            ("c", "3", "2", "web"),
        ] {
            spans.add(trace, span, parent, service);
        }
        let dependency = |parent: &str, child: &str, calls| Dependency { parent: parent.to_owned(), child: child.to_owned(), calls };
        assert_eq!(spans.calls(), (vec![dependency("shop", "db", 2), dependency("web", "shop", 1)], 1));
    }

    #[test]
    fn what_does_not_fit_is_a_sample_of_whole_traces() {
        let mut spans = Spans::new(1000);
        for trace in 0..10_000 {
            let trace = trace.to_string();
            spans.add(&trace, "1", "", "web");
            spans.add(&trace, "2", "1", "shop");
        }
        assert!(spans.seen.len() < 1000);
        let (calls, share) = spans.calls();
        assert!(share >= 16 && calls.len() == 1, "{share} {calls:?}");
        assert!((5_000..20_000).contains(&calls[0].calls), "{calls:?}");
    }
}
