//! Which rows does a selector with its stages read, and what is left to do on them?
//!
//! The seam to storage: everything goes through [`model::Scan`]. What the scan answers exactly (a label whose key is known,
//! line filters before the line is rewritten) goes down as filters; the rest stays in [`Plan::matchers`] and the pipeline.

use std::borrow::Cow;

use arrow::array::{Array, Int32Array, Int64Array, RecordBatch, StringArray};
use lang::logql::{LineFilter, LineOp, LineTerm, LogExpr, StageKind};
use model::logs::text_or_empty;
use model::schema::column;
use model::{AttributesView, Filter, Identity, Labels, Order, Result, ScanRequest, Subject, Table, Test, TimeRange};

use super::filters::{LineFilterStep, text_test};
use super::pipeline::Pipeline;
use super::row::Row;
use super::streams::{self, BUSINESS_SERVICE, SERVICE_NAME, StreamCache, legal_name};
use crate::guard::Guard;
use crate::selector::{TextTest, scan_test};

/// Units of work that a line is, before any stage looks at it.
const LINE_WORK: usize = 64;

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
                Some(subject) => plan.filters.push(Filter { subject, test: scan_test(matcher.op, &matcher.value) }),
                None => plan.matchers.push((matcher.name.clone(), text_test(matcher.op, &matcher.value)?)),
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

    fn request(&self, time: TimeRange, needs: &Needs) -> ScanRequest {
        let mut columns: Vec<String> = streams::COLUMNS.iter().map(|&name| name.to_owned()).collect();
        columns.push("time_unix_nano".to_owned());
        if needs.line {
            columns.push("body".to_owned());
        }
        if needs.metadata != Wanted::Nothing {
            columns.extend(["attributes", "trace_id", "span_id", "severity_text", "severity_number"].map(str::to_owned));
        }
        ScanRequest { filters: self.filters.clone(), columns: Some(columns), ..ScanRequest::new(Table::Logs, time) }
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

/// Where a stream label's value lies, when one place alone can have it: a name with an underscore may come from a dotted
/// key, and which of them a row has is not known here. See [`streams`] for which column goes before which attribute.
pub(crate) fn exact_subject(name: &str) -> Option<Subject> {
    let column = Subject::Column(name.to_owned());
    if name == SERVICE_NAME || name == BUSINESS_SERVICE {
        return Some(column);
    }
    if name.contains('_') {
        return None;
    }
    let entry = Subject::Entry { column: "resource_attributes".to_owned(), key: name.to_owned() };
    Some(match Identity::FIELDS.contains(&name) {
        true => Subject::FirstOf(vec![column, entry]),
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
            push(Test::Search(texts.iter().map(|text| format!("(?:{})", lang::regex_text(text))).collect::<Vec<_>>().join("|")));
        }
        (LineOp::NotRegex, texts) => texts.iter().for_each(|text| push(Test::NotSearch(lang::regex_text(text).into_owned()))),
        (LineOp::Pattern | LineOp::NotPattern, _) => return false,
    }
    true
}

/// Runs the pipeline over the rows of a scan, batch by batch.
pub(super) struct Reader {
    pub(super) plan: Plan,
    needs: Needs,
    streams: StreamCache,
    /// For each stream met, whether the selector takes it.
    selected: Vec<bool>,
    guard: Guard,
}

impl Reader {
    pub(super) fn new(plan: Plan, needs: Needs, guard: &Guard) -> Self {
        Self { plan, needs, streams: StreamCache::new(guard), selected: Vec::new(), guard: guard.clone() }
    }

    pub(super) fn request(&self, time: TimeRange, order: Order, limit: Option<usize>) -> ScanRequest {
        ScanRequest { order, limit, ..self.plan.request(time, &self.needs) }
    }

    /// Calls `each` with every line of the batch that stays and the index of its stream, until it says no.
    pub(super) fn lines(&mut self, batch: &RecordBatch, mut each: impl FnMut(&Plan, &mut Row<'_>, usize) -> Result<bool>) -> Result<bool> {
        self.guard.check()?;
        let streams = self.streams.rows(batch)?;
        let plan = &self.plan;
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
            self.guard.work(LINE_WORK + line.len() * plan.pipeline.stages())?;
            row.reset(times.value(index), line, &self.streams.labels[stream]);
            if let Some(metadata) = &metadata {
                metadata.add_to(&mut row, index, wanted);
            }
            if plan.pipeline.run(&mut row) && !each(plan, &mut row, stream)? {
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
                row.add_metadata(name, value.into());
            }
        }
        for (name, texts) in self.texts {
            if texts.is_valid(index) && !texts.value(index).is_empty() && wanted.takes(name) {
                row.add_metadata(name, texts.value(index).into());
            }
        }
        if self.severity_number.is_valid(index) && wanted.takes("severity_number") {
            row.add_metadata("severity_number", severity(self.severity_number.value(index)));
        }
    }
}

/// The number as text, without an allocation per row for those that are defined.
fn severity(number: i32) -> Cow<'static, str> {
    const NUMBERS: [&str; 25] = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22",
        "23", "24",
    ];
    let defined = usize::try_from(number).ok().and_then(|number| NUMBERS.get(number));
    defined.map_or_else(|| number.to_string().into(), |text| (*text).into())
}
