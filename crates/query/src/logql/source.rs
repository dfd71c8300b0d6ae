//! Which rows does a selector with its stages read, and what is left to do on them?
//!
//! The seam to storage: everything goes through [`model::Scan`]. What the scan answers exactly (a label whose key is known,
//! line filters before the line is rewritten) goes down as filters; the rest stays in [`Plan::matchers`] and the pipeline.

use std::borrow::Cow;

use arrow::array::{Array, Int32Array, Int64Array, RecordBatch, StringArray};
use lang::logql::{LabelFilter, LabelFilterKind, LineFilter, LineOp, LineTerm, LogExpr, MatchOp, StageKind};
use model::logs::text_or_empty;
use model::schema::column;
use model::{AttributesView, Filter, Identity, Labels, Order, Result, ScanRequest, Subject, Table, Test, TimeRange, legal_name};

use super::filters::{LineFilterStep, text_test};
use super::pipeline::Pipeline;
use super::row::Row;
use super::streams::{self, BUSINESS_SERVICE, SERVICE_NAME, StreamCache};
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
                None => {
                    let test = text_test(matcher.op, &matcher.value)?;
                    plan.filters.extend(implied_filter(&matcher.name, test.passes(""), scan_test(matcher.op, &matcher.value)));
                    plan.matchers.push((matcher.name.clone(), test));
                }
            }
        }
        let (mut line_is_stored, mut labels_are_stored) = (true, true);
        let mut stages = Vec::new();
        for stage in &log.stages {
            if let StageKind::Line(filter) = &stage.kind {
                // The scan must not be the first to find out that an expression is broken.
                LineFilterStep::new(filter)?;
            }
            match &stage.kind {
                StageKind::Line(filter) if line_is_stored && push_line_filter(filter, &mut plan.filters) => continue,
                StageKind::Line(_) => {}
                StageKind::Label(filter) if labels_are_stored => push_label_filter(filter, &mut plan.filters)?,
                StageKind::LineFormat(_) | StageKind::Decolorize | StageKind::Unpack => {
                    (line_is_stored, labels_are_stored) = (false, false)
                }
                _ => labels_are_stored = false,
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
        let mut columns = vec!["time_unix_nano".to_owned()];
        if needs.stream || !self.matchers.is_empty() {
            columns.extend(streams::COLUMNS.map(str::to_owned));
        }
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

/// What a query looks at beside the time.
#[derive(Debug)]
pub(super) struct Needs {
    /// The labels of the stream, not only to select by them.
    pub(super) stream: bool,
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

/// What a row must have whose stream label, of a name that [`exact_subject`] does not know, passes a test: when a stream without
/// the label does not, a resource attribute that passes.
pub(crate) fn implied_filter(name: &str, passes_empty: bool, test: Test) -> Option<Filter> {
    (!passes_empty).then(|| Filter { subject: resource_label(name), test })
}

/// The resource attributes that become this label.
fn resource_label(name: &str) -> Subject {
    Subject::Label { column: "resource_attributes".to_owned(), name: name.to_owned() }
}

/// Pushes down what a line must have to pass a filter on labels that no stage has touched. The filter stays: of several
/// places that have the name the scan does not know which one wins.
fn push_label_filter(filter: &LabelFilter, filters: &mut Vec<Filter>) -> Result<()> {
    match &filter.kind {
        LabelFilterKind::And(left, right) => {
            push_label_filter(left, filters)?;
            push_label_filter(right, filters)
        }
        LabelFilterKind::Text { name, op: op @ (MatchOp::Equal | MatchOp::Regex), value } => {
            // Labels of a failure and the losers of a clash are stored under no such name; the severity's number is no text, and
            // the level is made of it.
            let elsewhere = name.starts_with("__") || name.ends_with("_extracted") || name == "severity_number" || name == DETECTED_LEVEL;
            if !elsewhere && !text_test(*op, value)?.passes("") {
                filters.push(Filter { subject: stored_label(name), test: scan_test(*op, value) });
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Every place where the label of a line can come from.
fn stored_label(name: &str) -> Subject {
    let attribute = Subject::Label { column: "attributes".to_owned(), name: name.to_owned() };
    let mut places = vec![resource_label(name), attribute];
    let is_column = METADATA_COLUMNS.contains(&name) || name == SERVICE_NAME || Identity::FIELDS.contains(&name);
    places.extend(is_column.then(|| Subject::Column(name.to_owned())));
    Subject::AnyOf(places)
}

/// Columns of text that are a line's metadata.
const METADATA_COLUMNS: [&str; 3] = ["trace_id", "span_id", "severity_text"];

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

    /// Goes on under another guard; of label sets at most so many are remembered.
    pub(super) fn renew(&mut self, guard: &Guard, streams_max: usize) {
        self.guard = guard.clone();
        if self.streams.labels.len() > streams_max {
            self.streams = StreamCache::new(guard);
            self.selected.clear();
        }
    }

    pub(super) fn request(&self, time: TimeRange, order: Order, limit: Option<usize>) -> ScanRequest {
        ScanRequest { order, limit, ..self.plan.request(time, &self.needs) }
    }

    /// Calls `each` with every line of the batch that stays and the index of its stream, until it says no.
    pub(super) fn lines(&mut self, batch: &RecordBatch, mut each: impl FnMut(&Plan, &mut Row<'_>, usize) -> Result<bool>) -> Result<bool> {
        self.guard.check()?;
        let has_streams = self.needs.stream || !self.plan.matchers.is_empty();
        let streams = if has_streams { self.streams.rows(batch)? } else { self.streams.one(batch.num_rows()) };
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
        let number = self.severity_number.is_valid(index).then(|| self.severity_number.value(index));
        if let Some(number) = number.filter(|_| wanted.takes("severity_number")) {
            row.add_metadata("severity_number", severity(number));
        }
        if wanted.takes(DETECTED_LEVEL)
            && let Some(level) = number.and_then(level)
        {
            row.add_metadata(DETECTED_LEVEL, level.into());
        }
    }
}

/// A line's level as Loki names it: Grafana colours and counts lines by it.
pub(super) const DETECTED_LEVEL: &str = "detected_level";

fn level(severity_number: i32) -> Option<&'static str> {
    Some(match severity_number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "critical",
        _ => return None,
    })
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

#[cfg(test)]
mod tests {
    use lang::logql::{Expr, parse};

    use super::*;

    fn pushed(query: &str) -> Vec<Filter> {
        let Ok(Expr::Log(log)) = parse(query) else { panic!("{query} asks for lines") };
        let plan = Plan::new(&log).unwrap_or_else(|error| panic!("{query}: {error:?}"));
        // The first is the selector's.
        plan.filters[1..].to_vec()
    }

    fn equal(subject: Subject, value: &str) -> Filter {
        Filter { subject, test: Test::Equal(value.to_owned()) }
    }

    #[test]
    fn label_filters_go_down_until_a_stage_makes_labels() {
        let label = |column: &str, name: &str| Subject::Label { column: column.to_owned(), name: name.to_owned() };
        let places = |name: &str| vec![label("resource_attributes", name), label("attributes", name)];
        let trace = || {
            let mut places = places("trace_id");
            places.push(Subject::Column("trace_id".to_owned()));
            equal(Subject::AnyOf(places), "x")
        };
        let pod = || equal(Subject::AnyOf(places("k8s_pod")), "p");
        let check = |query: &str, expect: &[Filter]| assert_eq!(pushed(&format!(r#"{{service_name="s"}} {query}"#)), expect, "{query}");
        check(r#"| trace_id="x""#, &[trace()]);
        check(r#"| trace_id="x" and k8s_pod="p""#, &[trace(), pod()]);
        check(r#"| k8s_pod="p" | trace_id="x""#, &[pod(), trace()]);
        check(r#"| trace_id="x" or k8s_pod="p""#, &[]);
        check(r#"| trace_id!="x" | trace_id="" | trace_id=~"x|" | size > 5"#, &[]);
        check(r#"| trace_id_extracted="x" | __error__="x" | severity_number="9""#, &[]);
        for stage in ["json", "logfmt", r#"label_format trace_id=span_id"#, "drop trace_id", r#"line_format "x""#, "unpack"] {
            check(&format!(r#"| {stage} | trace_id="x""#), &[]);
        }
    }

    #[test]
    fn a_matcher_that_a_missing_label_does_not_pass_asks_for_the_attribute() {
        let label = Subject::Label { column: "resource_attributes".to_owned(), name: "k8s_pod".to_owned() };
        let check =
            |matcher: &str, expect: &[Filter]| assert_eq!(pushed(&format!(r#"{{service_name="s", {matcher}}}"#)), expect, "{matcher}");
        check(r#"k8s_pod="p""#, &[equal(label.clone(), "p")]);
        check(r#"k8s_pod=~"p.+""#, &[Filter { subject: label, test: Test::Regex("p.+".to_owned()) }]);
        check(r#"k8s_pod!="p""#, &[]);
        check(r#"k8s_pod=~"p|""#, &[]);
    }
}
