//! Which traces have a span like this?
//!
//! Spans that pass are read newest first; the traces they belong to are then summed up whole, some at a time, until
//! enough of them pass. So a search touches as much of the past as its answer needs.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use futures::TryStreamExt;
use model::logs::text_or_empty;
use model::schema::column;
use model::{
    Answer, Answered, Filter, Identity, QueryLimits, Result, Scan, ScanRequest, ScanStream, Subject, Table, Test, TimeRange, TraceSummary,
};

use crate::trace::trace_filter;

/// Traces summed up by the first scan after the matching spans, and at most by one.
const FIRST_CHUNK: usize = 64;
const CHUNK_MAX: usize = 4096;

pub(crate) struct Wanted {
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) duration_min: Option<Duration>,
    pub(crate) duration_max: Option<Duration>,
    pub(crate) range: TimeRange,
    pub(crate) limit: usize,
}

/// The newest by their newest span that passes, then sorted by start.
pub(crate) async fn newest(scan: &dyn Scan, wanted: &Wanted, reach: Duration, limits: &QueryLimits) -> Result<Answer> {
    let limit = wanted.limit.min(limits.series_max);
    let mut candidates = Candidates::open(scan, wanted).await?;
    let mut found: Vec<TraceSummary> = Vec::new();
    let mut chunk_size = limit.clamp(1, FIRST_CHUNK);
    while found.len() < limit {
        let Some(chunk) = candidates.next(chunk_size).await? else { break };
        found.extend(summaries(scan, &chunk, reach).await?.into_iter().filter(|trace| passes(trace, wanted)));
        chunk_size = (2 * chunk_size).min(CHUNK_MAX);
    }
    found.truncate(limit);
    found.sort_by(|a, b| (b.start_ns, &a.trace_id).cmp(&(a.start_ns, &b.trace_id)));
    Ok(Answer::new(Answered::Traces(found)))
}

fn passes(trace: &TraceSummary, wanted: &Wanted) -> bool {
    let duration = u128::try_from(trace.duration_ns).unwrap_or_default();
    wanted.duration_min.is_none_or(|min| duration >= min.as_nanos()) && wanted.duration_max.is_none_or(|max| duration <= max.as_nanos())
}

/// Where a tag's name points: Tempo's intrinsics and scopes, identity, and else the span's attribute before the resource's.
fn tag_filter(name: &str, value: &str) -> Filter {
    let column = |name: &str| Subject::Column(name.to_owned());
    let entry = |column: &str, key: &str| Subject::Entry { column: column.to_owned(), key: key.to_owned() };
    let identity = name.strip_prefix("omd.").unwrap_or(name);
    let subject = match name {
        "name" => column("name"),
        "status" => column("status_code"),
        "kind" => column("kind"),
        "service.name" | "resource.service.name" => column("service_name"),
        _ if Identity::FIELDS.contains(&identity) => {
            Subject::FirstOf(vec![entry("attributes", name), entry("resource_attributes", name), column(identity)])
        }
        _ => match (name.strip_prefix("span."), name.strip_prefix("resource.")) {
            (Some(key), _) => entry("attributes", key),
            (_, Some(key)) => entry("resource_attributes", key),
            _ => {
                let key = name.strip_prefix('.').unwrap_or(name);
                Subject::FirstOf(vec![entry("attributes", key), entry("resource_attributes", key)])
            }
        },
    };
    Filter { subject, test: Test::Equal(value.to_owned()) }
}

/// Ids of traces with a span that passes, newest such span first, each once.
struct Candidates {
    rows: ScanStream,
    seen: HashSet<String>,
    batch: Option<RecordBatch>,
    row: usize,
}

struct Chunk {
    trace_ids: Vec<String>,
    first_ns: i64,
    last_ns: i64,
}

impl Candidates {
    async fn open(scan: &dyn Scan, wanted: &Wanted) -> Result<Self> {
        let mut request = ScanRequest::new(Table::Spans, wanted.range);
        request.filters = wanted.tags.iter().map(|(name, value)| tag_filter(name, value)).collect();
        request.filters.push(trace_filter(Test::NotEqual(String::new())));
        request.columns = Some(["trace_id", "start_time_unix_nano"].map(str::to_owned).to_vec());
        request.order = model::Order::NewestFirst;
        Ok(Self { rows: scan.scan(request).await?, seen: HashSet::new(), batch: None, row: 0 })
    }

    async fn next(&mut self, size: usize) -> Result<Option<Chunk>> {
        let mut chunk = Chunk { trace_ids: Vec::new(), first_ns: i64::MAX, last_ns: i64::MIN };
        while chunk.trace_ids.len() < size {
            if self.batch.as_ref().is_none_or(|batch| self.row == batch.num_rows()) {
                self.batch = self.rows.try_next().await?;
                self.row = 0;
            }
            let Some(batch) = &self.batch else { break };
            let (trace_id, start): (&StringArray, &Int64Array) = (column(batch, "trace_id")?, column(batch, "start_time_unix_nano")?);
            while self.row < batch.num_rows() && chunk.trace_ids.len() < size {
                let (id, at) = (trace_id.value(self.row), start.value(self.row));
                self.row += 1;
                if !self.seen.contains(id) {
                    self.seen.insert(id.to_owned());
                    chunk.trace_ids.push(id.to_owned());
                    chunk.first_ns = chunk.first_ns.min(at);
                    chunk.last_ns = chunk.last_ns.max(at);
                }
            }
        }
        Ok((!chunk.trace_ids.is_empty()).then_some(chunk))
    }
}

const SUMMARY_COLUMNS: [&str; 7] =
    ["trace_id", "parent_span_id", "service_name", "name", "status_code", "start_time_unix_nano", "end_time_unix_nano"];

/// In the order of the chunk.
async fn summaries(scan: &dyn Scan, chunk: &Chunk, reach: Duration) -> Result<Vec<TraceSummary>> {
    let reach_ns = i64::try_from(reach.as_nanos()).unwrap_or(i64::MAX);
    let range = TimeRange::new(chunk.first_ns.saturating_sub(reach_ns), chunk.last_ns.saturating_add(reach_ns).saturating_add(1));
    let mut request = ScanRequest::new(Table::Spans, range);
    request.filters.push(trace_filter(Test::OneOf(chunk.trace_ids.clone())));
    request.columns = Some(SUMMARY_COLUMNS.map(str::to_owned).to_vec());
    let mut sums: HashMap<&str, Sum> = chunk.trace_ids.iter().map(|id| (id.as_str(), Sum::default())).collect();
    let mut rows = scan.scan(request).await?;
    while let Some(batch) = rows.try_next().await? {
        let [trace_id, parent, service, name, status]: [&StringArray; 5] = [
            column(&batch, "trace_id")?,
            column(&batch, "parent_span_id")?,
            column(&batch, "service_name")?,
            column(&batch, "name")?,
            column(&batch, "status_code")?,
        ];
        let (start, end): (&Int64Array, &Int64Array) = (column(&batch, "start_time_unix_nano")?, column(&batch, "end_time_unix_nano")?);
        for row in 0..batch.num_rows() {
            let Some(sum) = sums.get_mut(text_or_empty(trace_id, row)) else { continue };
            let texts = [parent, service, name, status].map(|values| text_or_empty(values, row));
            sum.add(texts, start.value(row), end.value(row));
        }
    }
    Ok(chunk.trace_ids.iter().map(|id| sums[id.as_str()].summary(id)).collect())
}

#[derive(Default)]
struct Sum {
    /// Service, name and start of the earliest span without a parent, or of the earliest while no root has come.
    root: Option<(bool, i64, String, String)>,
    bounds: Option<(i64, i64)>,
    spans: u64,
    errors: u64,
}

impl Sum {
    fn add(&mut self, [parent, service, name, status]: [&str; 4], start: i64, end: i64) {
        let rank = (!parent.is_empty(), start);
        if self.root.as_ref().is_none_or(|(has_parent, at, ..)| rank < (*has_parent, *at)) {
            self.root = Some((rank.0, start, service.to_owned(), name.to_owned()));
        }
        let (first, last) = self.bounds.unwrap_or((start, end));
        self.bounds = Some((first.min(start), last.max(end)));
        self.spans += 1;
        self.errors += u64::from(status == "error");
    }

    fn summary(&self, trace_id: &str) -> TraceSummary {
        let (start_ns, end_ns) = self.bounds.unwrap_or_default();
        let (_, _, root_service, root_name) = self.root.clone().unwrap_or_default();
        let duration_ns = end_ns.saturating_sub(start_ns);
        TraceSummary {
            trace_id: trace_id.to_owned(),
            root_service,
            root_name,
            start_ns,
            duration_ns,
            spans: self.spans,
            errors: self.errors,
        }
    }
}
