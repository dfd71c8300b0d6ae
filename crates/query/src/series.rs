//! Which series and streams are there, and which labels do they have?

use std::collections::BTreeSet;

use arrow::array::{Int64Array, ListArray, RecordBatch, StringArray};
use futures::TryStreamExt;
use model::logs::text_or_empty;
use model::schema::column;
use model::{
    Answer, Answered, AttributesView, Code, Error, Filter, Labels, Matcher, QueryLimits, Result, Scan, ScanRequest, Subject, Table, Test,
    TimeRange,
};

use crate::guard::{Guard, TRUNCATED};
use crate::logql::{STREAM_COLUMNS, StreamCache, exact_subject, implied_filter};
use crate::selector::{Compiled, scan_test};

pub(crate) enum Wanted {
    Series,
    Names,
    Values(String),
}

/// The answer is sorted. With a limit it holds the first so many and a warning says when there are more; without one,
/// more than `series_max` is an error.
pub(crate) async fn find(
    scan: &dyn Scan,
    wanted: Wanted,
    table: Table,
    selectors: &[Vec<Matcher>],
    range: TimeRange,
    limit: Option<usize>,
    limits: &QueryLimits,
) -> Result<Answer> {
    let mut found = Found::new(wanted, limit, limits.series_max);
    let everything = [Vec::new()];
    let selectors = if selectors.is_empty() { &everything } else { selectors };
    for selector in selectors {
        match table {
            Table::Samples => find_series(scan, selector, range, &mut found).await?,
            Table::Logs => find_streams(scan, selector, range, limits, &mut found).await?,
            Table::Quarantine => return Err(Error::unsupported("cannot list series of quarantine: what is set aside is asked for in SQL")),
            Table::Spans => return Err(Error::unsupported("cannot list series of spans: they are neither series nor streams")),
        }
    }
    Ok(found.answer())
}

/// A set that keeps its first `limit` elements, or fails over `max`.
struct Bounded<T> {
    set: BTreeSet<T>,
    limit: Option<usize>,
    max: usize,
    cut: bool,
}

impl<T: Ord> Bounded<T> {
    fn insert(&mut self, item: T) -> Result<()> {
        self.set.insert(item);
        if self.limit.is_some_and(|limit| self.set.len() > limit) {
            self.set.pop_last();
            self.cut = true;
        }
        let max = self.max;
        match self.set.len() > max {
            true => Err(Error::new(
                Code::LimitExceeded,
                format!("cannot list more than series_max = {max} series or labels: narrow the selector or give a limit"),
            )),
            false => Ok(()),
        }
    }
}

struct Found {
    wanted: Wanted,
    series: Bounded<Labels>,
    texts: Bounded<String>,
}

impl Found {
    fn new(wanted: Wanted, limit: Option<usize>, max: usize) -> Self {
        let series = Bounded { set: BTreeSet::new(), limit, max, cut: false };
        let texts = Bounded { set: BTreeSet::new(), limit, max, cut: false };
        Self { wanted, series, texts }
    }

    fn text(&mut self, text: &str) -> Result<()> {
        match text.is_empty() || self.texts.set.contains(text) {
            true => Ok(()),
            false => self.texts.insert(text.to_owned()),
        }
    }

    fn stream(&mut self, labels: &Labels) -> Result<()> {
        match &self.wanted {
            Wanted::Series => self.series.insert(labels.clone()),
            Wanted::Names => labels.iter().try_for_each(|(name, _)| self.text(name)),
            Wanted::Values(name) => labels.get(name).map_or(Ok(()), |value| self.text(value)),
        }
    }

    fn answer(self) -> Answer {
        let cut = self.series.cut || self.texts.cut;
        let mut answer = Answer::new(match self.wanted {
            Wanted::Series => Answered::Series(self.series.set.into_iter().collect()),
            Wanted::Names | Wanted::Values(_) => Answered::Names(self.texts.set.into_iter().collect()),
        });
        if cut {
            answer.warnings.push(TRUNCATED.to_owned());
        }
        answer
    }
}

fn subject(name: &str) -> Subject {
    match name {
        "__name__" => Subject::Column("name".to_owned()),
        key => Subject::Entry { column: "labels".to_owned(), key: key.to_owned() },
    }
}

/// Only what the question needs is read: label values never read the labels of other names' rows.
async fn find_series(scan: &dyn Scan, selector: &[Matcher], range: TimeRange, found: &mut Found) -> Result<()> {
    let mut request = ScanRequest::new(Table::Samples, range);
    for matcher in selector {
        // The scan must not be the first to find out that an expression is broken.
        Compiled::new(matcher)?;
        request.filters.push(Filter { subject: subject(&matcher.name), test: scan_test(matcher.op, &matcher.value) });
    }
    if let Wanted::Values(name) = &found.wanted {
        request.filters.push(Filter { subject: subject(name), test: Test::NotEqual(String::new()) });
    }
    let mut columns = vec!["max_time_unix_nano"];
    match &found.wanted {
        Wanted::Values(name) if name == "__name__" => columns.push("name"),
        Wanted::Values(_) => columns.push("labels"),
        Wanted::Series | Wanted::Names => columns.extend(["name", "labels"]),
    }
    request.columns = Some(columns.iter().map(ToString::to_string).collect());

    // A row without points has time 0: it carries a metric's help and is no series. Whether a row of time 0 has points
    // only its timestamps say, and they are too large to be read for every other row.
    let mut at_zero = false;
    let mut rows = scan.scan(request.clone()).await?;
    while let Some(batch) = rows.try_next().await? {
        add_series(&batch, found, |_, last| {
            at_zero |= last == 0;
            last != 0
        })?;
    }
    if !at_zero {
        return Ok(());
    }
    request.time = TimeRange::new(0, 1);
    request.columns = Some(columns.iter().chain(&["timestamps"]).map(ToString::to_string).collect());
    let mut rows = scan.scan(request).await?;
    while let Some(batch) = rows.try_next().await? {
        let timestamps: &ListArray = column(&batch, "timestamps")?;
        add_series(&batch, found, |row, last| last == 0 && timestamps.value_length(row) > 0)?;
    }
    Ok(())
}

fn add_series(batch: &RecordBatch, found: &mut Found, mut keep: impl FnMut(usize, i64) -> bool) -> Result<()> {
    let last: &Int64Array = column(batch, "max_time_unix_nano")?;
    let name: Option<&StringArray> = column(batch, "name").ok();
    let labels = AttributesView::of(batch, "labels", None).ok();
    for row in 0..batch.num_rows() {
        if !keep(row, last.value(row)) {
            continue;
        }
        let name = name.map(|name| text_or_empty(name, row)).unwrap_or_default();
        let pairs = labels.iter().flat_map(|labels| labels.iter(row));
        match &found.wanted {
            Wanted::Series => found.series.insert(Labels::from_pairs(std::iter::once(("__name__", name)).chain(pairs)))?,
            Wanted::Names => {
                found.text(if name.is_empty() { "" } else { "__name__" })?;
                for (key, value) in pairs {
                    found.text(if value.is_empty() { "" } else { key })?;
                }
            }
            Wanted::Values(wanted) if wanted == "__name__" => found.text(name)?,
            Wanted::Values(wanted) => {
                let value = labels.and_then(|labels| labels.get(row, wanted)).unwrap_or_default();
                found.text(value)?;
            }
        }
    }
    Ok(())
}

/// What the scan can answer exactly goes down to it; the rest is tested on the streams that come back.
async fn find_streams(scan: &dyn Scan, selector: &[Matcher], range: TimeRange, limits: &QueryLimits, found: &mut Found) -> Result<()> {
    let mut request = ScanRequest::new(Table::Logs, range);
    let mut matchers = Vec::new();
    for matcher in selector {
        let compiled = Compiled::new(matcher)?;
        match exact_subject(&matcher.name) {
            Some(subject) => request.filters.push(Filter { subject, test: scan_test(matcher.op, &matcher.value) }),
            None => {
                let test = scan_test(matcher.op, &matcher.value);
                request.filters.extend(implied_filter(&matcher.name, compiled.accepts(""), test));
                matchers.push(compiled);
            }
        }
    }
    request.columns = Some(STREAM_COLUMNS.map(str::to_owned).to_vec());
    let mut rows = scan.scan(request).await?;
    let mut streams = StreamCache::new(&Guard::new(limits));
    let mut seen = 0;
    while let Some(batch) = rows.try_next().await? {
        streams.rows(&batch)?;
        for labels in &streams.labels[seen..] {
            if matchers.iter().all(|matcher| matcher.accepts(labels.get(&matcher.name).unwrap_or_default())) {
                found.stream(labels)?;
            }
        }
        seen = streams.labels.len();
    }
    Ok(())
}
