//! Which rows does a selector with its stages read, and what is left to do on them?
//!
//! The seam to storage: everything goes through [`model::Scan`]. What the scan answers exactly (a label whose key is known,
//! line filters before the line is rewritten) goes down as filters; the rest stays in [`Plan::matchers`] and the pipeline.

use std::sync::{Arc, Mutex};

use arrow::array::{Array, Int32Array, Int64Array, RecordBatch, StringArray};
use futures::{Stream, StreamExt};
use lang::logql::{LineFilter, LineOp, LineTerm, LogExpr, MatchOp, StageKind, regex_text};
use model::logs::text_or_empty;
use model::schema::column;
use model::{AttributesView, Filter, Identity, Labels, Order, Result, Scan, ScanRequest, ScanStats, Subject, Table, Test, TimeRange};

use super::filters::{LineFilterStep, TextTest, anchored};
use super::pipeline::Pipeline;
use super::row::Row;
use super::streams::{self, StreamCache, legal_name};

/// A selector and its stages, compiled.
pub(super) struct Plan {
    filters: Vec<Filter>,
    /// Matchers that the scan cannot answer.
    matchers: Vec<(String, TextTest)>,
    pub(super) pipeline: Pipeline,
}

impl Plan {
    pub(super) fn new(log: &LogExpr) -> Result<Self> {
        let mut plan = Self { filters: Vec::new(), matchers: Vec::new(), pipeline: Pipeline::new([])? };
        for matcher in &log.selector {
            match exact_subject(&matcher.name) {
                Some(subject) => {
                    let test = match matcher.op {
                        MatchOp::Equal => Test::Equal(matcher.value.clone()),
                        MatchOp::NotEqual => Test::NotEqual(matcher.value.clone()),
                        MatchOp::Regex => Test::Regex(anchored(&matcher.value)),
                        MatchOp::NotRegex => Test::NotRegex(anchored(&matcher.value)),
                    };
                    plan.filters.push(Filter { subject, test });
                }
                None => plan.matchers.push((matcher.name.clone(), TextTest::new(matcher.op, &matcher.value)?)),
            }
        }
        let mut line_is_stored = true;
        let mut stages = Vec::new();
        for stage in &log.stages {
            if let StageKind::Line(filter) = &stage.kind {
                // The scan must not be the first to find out that an expression is broken.
                LineFilterStep::new(filter)?;
            }
            match &stage.kind {
                StageKind::Line(filter) if line_is_stored && push_line_filter(filter, &mut plan.filters) => continue,
                StageKind::LineFormat(_) | StageKind::Decolorize | StageKind::Unpack => line_is_stored = false,
                _ => {}
            }
            stages.push(stage);
        }
        plan.pipeline = Pipeline::new(stages)?;
        Ok(plan)
    }

    /// Whether every row of the scan is an answer.
    pub(super) fn is_exact(&self) -> bool {
        self.matchers.is_empty() && self.pipeline.is_empty()
    }

    pub(super) fn request(&self, time: TimeRange, needs: &Needs, stats: &Arc<Mutex<ScanStats>>) -> ScanRequest {
        let mut columns: Vec<String> = streams::COLUMNS.iter().map(|&name| name.to_owned()).collect();
        columns.push("time_unix_nano".to_owned());
        if needs.line {
            columns.push("body".to_owned());
        }
        if needs.metadata != Wanted::Nothing {
            columns.extend(["attributes", "trace_id", "span_id", "severity_text", "severity_number"].map(str::to_owned));
        }
        let (columns, stats) = (Some(columns), stats.clone());
        ScanRequest { filters: self.filters.clone(), columns, stats, ..ScanRequest::new(Table::Logs, time) }
    }

    fn selects(&self, stream: &Labels) -> bool {
        self.matchers.iter().all(|(name, test)| test.passes(stream.get(name).unwrap_or("")))
    }
}

/// What a query looks at beside the stream and the time.
#[derive(Debug)]
pub(super) struct Needs {
    pub(super) line: bool,
    pub(super) metadata: Wanted,
}

#[derive(Debug, PartialEq)]
pub(super) enum Wanted {
    Nothing,
    /// Under these names, as labels have them.
    Names(Vec<String>),
    All,
}

impl Wanted {
    fn takes(&self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Names(names) => names.iter().any(|wanted| *wanted == legal_name(name)),
            Self::All => true,
        }
    }
}

/// Where a stream label's value lies, when only one attribute key can become that label: a name with an underscore may
/// come from a dotted key, and which of them a row has is not known here.
fn exact_subject(name: &str) -> Option<Subject> {
    if name.contains('_') {
        return None;
    }
    let entry = Subject::Entry { column: "resource_attributes".to_owned(), key: name.to_owned() };
    Some(match Identity::FIELDS.contains(&name) {
        true => Subject::FirstOf(vec![entry, Subject::Column(name.to_owned())]),
        false => entry,
    })
}

/// Pushes a line filter down; says no when the scan has no test for it.
fn push_line_filter(filter: &LineFilter, filters: &mut Vec<Filter>) -> bool {
    let mut texts = Vec::with_capacity(filter.terms.len());
    for term in &filter.terms {
        match term {
            LineTerm::Text(text) => texts.push(text.as_str()),
            LineTerm::Ip(_) => return false,
        }
    }
    let mut push = |test| filters.push(Filter { subject: Subject::Column("body".to_owned()), test });
    match (filter.op, texts.as_slice()) {
        (LineOp::Contains, texts) if texts.contains(&"") => {}
        (LineOp::Contains, [text]) => push(Test::Contains((*text).to_owned())),
        (LineOp::Contains, texts) => push(Test::Search(texts.iter().map(|text| regex::escape(text)).collect::<Vec<_>>().join("|"))),
        (LineOp::NotContains, texts) => texts.iter().for_each(|text| push(Test::NotContains((*text).to_owned()))),
        (LineOp::Regex, texts) => {
            push(Test::Search(texts.iter().map(|text| format!("(?:{})", regex_text(text))).collect::<Vec<_>>().join("|")));
        }
        (LineOp::NotRegex, texts) => texts.iter().for_each(|text| push(Test::NotSearch(regex_text(text).into_owned()))),
        (LineOp::Pattern | LineOp::NotPattern, _) => return false,
    }
    true
}

/// Runs the pipeline over the rows of a scan, batch by batch.
pub(super) struct Reader<'p> {
    plan: &'p Plan,
    needs: Needs,
    batches: std::pin::Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>,
    pub(super) streams: StreamCache,
    /// For each stream met, whether the selector takes it.
    selected: Vec<bool>,
}

impl<'p> Reader<'p> {
    pub(super) async fn open(
        scan: &dyn Scan,
        plan: &'p Plan,
        (time, order, limit): (TimeRange, Order, Option<usize>),
        needs: Needs,
        stats: &Arc<Mutex<ScanStats>>,
    ) -> Result<Self> {
        let request = ScanRequest { order, limit, ..plan.request(time, &needs, stats) };
        let batches = scan.scan(request).await?;
        Ok(Self { plan, needs, batches, streams: StreamCache::default(), selected: Vec::new() })
    }

    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        // A scan of memory is always ready: without this a deadline around the query would never get its turn.
        tokio::task::yield_now().await;
        self.batches.next().await.transpose()
    }

    /// Calls `each` with every line of the batch that stays and the index of its stream, until it says no.
    pub(super) fn lines(&mut self, batch: &RecordBatch, mut each: impl FnMut(&mut Row<'_>, usize) -> Result<bool>) -> Result<bool> {
        let streams = self.streams.rows(batch)?;
        let plan = self.plan;
        self.selected.extend(self.streams.labels[self.selected.len()..].iter().map(|labels| plan.selects(labels)));
        let times: &Int64Array = column(batch, "time_unix_nano")?;
        let bodies: Option<&StringArray> = if self.needs.line { Some(column(batch, "body")?) } else { None };
        let wanted = &self.needs.metadata;
        let metadata = if *wanted == Wanted::Nothing { None } else { Some(Metadata::of(batch)?) };
        let nothing = Labels::empty();
        let mut row = Row::new(&nothing);
        for (index, stream) in streams.into_iter().map(|stream| stream as usize).enumerate() {
            if !self.selected[stream] {
                continue;
            }
            let line = bodies.map_or("", |bodies| text_or_empty(bodies, index));
            row.reset(times.value(index), line, &self.streams.labels[stream]);
            if let Some(metadata) = &metadata {
                metadata.add_to(&mut row, index, wanted);
            }
            if plan.pipeline.run(&mut row) && !each(&mut row, stream)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The columns that are a line's structured metadata.
struct Metadata<'a> {
    attributes: AttributesView<'a>,
    texts: [(&'static str, &'a StringArray); 3],
    severity_number: &'a Int32Array,
}

impl<'a> Metadata<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self> {
        Ok(Self {
            attributes: AttributesView::of(batch, "attributes", None)?,
            texts: [
                ("trace_id", column(batch, "trace_id")?),
                ("span_id", column(batch, "span_id")?),
                ("severity_text", column(batch, "severity_text")?),
            ],
            severity_number: column(batch, "severity_number")?,
        })
    }

    fn add_to(&self, row: &mut Row<'a>, index: usize, wanted: &Wanted) {
        for (name, value) in self.attributes.iter(index) {
            if wanted.takes(name) {
                row.add_metadata(name, value);
            }
        }
        for (name, texts) in self.texts {
            if texts.is_valid(index) && !texts.value(index).is_empty() && wanted.takes(name) {
                row.add_metadata(name, texts.value(index));
            }
        }
        if self.severity_number.is_valid(index) && wanted.takes("severity_number") {
            row.add_metadata("severity_number", severity(self.severity_number.value(index)));
        }
    }
}

/// The number as text, without an allocation per row.
fn severity(number: i32) -> &'static str {
    const NUMBERS: [&str; 25] = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22",
        "23", "24",
    ];
    usize::try_from(number).ok().and_then(|number| NUMBERS.get(number)).copied().unwrap_or("0")
}
