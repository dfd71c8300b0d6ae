//! The stages of a pipeline, each a map with one key: what it does.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use super::{PipelineReader, Table, only_entry, said};
use crate::checks::Check;
use crate::fields::Fields;
use crate::programs::{Program, Purpose};
use crate::shape::{self, Shape};
use crate::yaml::{Node, Value};

/// One step that a record takes.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its number from 1 and its kind, as counters and pages call it: `2 mask`.
    pub label: String,
    /// Of other records nothing is done.
    pub when: Option<Arc<Program>>,
    pub does: Does,
}

#[derive(Clone, Debug)]
pub enum Does {
    Parse(Parse),
    Vrl(Arc<Program>),
    Mask(Mask),
    /// With the reason that is counted.
    Drop(String),
    Sample(Kept),
    Dedupe(Dedupe),
    Metric(Extract),
    /// Gives the record an event's name.
    Event(String),
    Enrich(Enrich),
    /// Names a place to go to.
    Route(String),
}

#[derive(Clone, Debug)]
pub struct Parse {
    pub format: ParseFormat,
    /// An attribute; empty: the body.
    pub from: String,
    /// Before the names of the attributes that are made.
    pub prefix: String,
    /// Keys of what was found that say the record's own time, level, message and trace.
    pub time: String,
    pub severity: String,
    pub message: String,
    pub trace_id: String,
}

#[derive(Clone, Debug)]
pub enum ParseFormat {
    Json,
    Logfmt,
    /// Its named groups are attributes.
    Regexp(Regex),
    /// The text is the record's time.
    Timestamp,
    /// The text is the record's level.
    Severity,
}

/// What is to be hidden, where, and how.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    pub kinds: Vec<MaskKind>,
    /// Names of fields whose whole value is hidden, in attributes and in JSON and logfmt bodies.
    pub fields: Vec<String>,
    pub patterns: Vec<NamedPattern>,
    pub hidden: Hidden,
    pub places: Places,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskKind {
    Secrets,
    Card,
    Email,
    Phone,
    Iban,
}

impl MaskKind {
    pub const ALL: [(&'static str, Self); 5] =
        [("secrets", Self::Secrets), ("card", Self::Card), ("email", Self::Email), ("phone", Self::Phone), ("iban", Self::Iban)];
}

#[derive(Clone, Debug)]
pub struct NamedPattern {
    pub name: String,
    pub regex: Regex,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hidden {
    /// `[masked:card]`
    #[default]
    Redact,
    /// As much as tells two of them apart: `****1111`.
    Partial,
    /// The same for the same value, by a key that only the operator knows.
    Pseudonym,
}

#[derive(Clone, Debug)]
pub struct Places {
    pub body: bool,
    /// All of them; otherwise those that are named.
    pub all_attributes: bool,
    pub attributes: Vec<String>,
}

impl Default for Places {
    fn default() -> Self {
        Self { body: true, all_attributes: true, attributes: Vec::new() }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// From 0 to 1.
    pub ratio: f64,
    pub by: SampleBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleBy {
    /// By what the record holds: the same record is decided on in the same way wherever it comes in.
    Record,
    /// By its trace: all records of a trace, and its spans where they are sampled by OpenTelemetry's rule, stay together.
    Trace,
}

#[derive(Clone, Copy, Debug)]
pub struct Dedupe {
    pub window: Duration,
}

/// A metric that is counted from records.
#[derive(Clone, Debug)]
pub struct Extract {
    pub name: String,
    pub help: String,
    pub kind: ExtractKind,
    /// The attribute that is added up or observed; empty: each record counts one.
    pub value: String,
    /// Label, and the attribute or field that it is of.
    pub labels: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExtractKind {
    Counter,
    /// With its upper bounds, ascending.
    Histogram(Vec<f64>),
}

#[derive(Clone, Debug)]
pub struct Enrich {
    /// As the file names it.
    pub file: String,
    pub table: Arc<Table>,
    /// The attribute that is looked up.
    pub from: String,
    pub prefix: String,
}

const KINDS: [(&str, &Shape); 10] = [
    ("parse", &shape::PARSE),
    ("vrl", &shape::VRL),
    ("mask", &shape::MASK),
    ("drop", &shape::DROP),
    ("sample", &shape::SAMPLE),
    ("dedupe", &shape::DEDUPE),
    ("metric", &shape::METRIC),
    ("event", &shape::EVENT),
    ("enrich", &shape::ENRICH),
    ("route", &shape::ROUTE),
];

/// In seconds, as most things that are measured by logs are.
const BOUNDS_DEFAULT: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const BOUNDS_MAX: usize = 40;
const LABELS_MAX: usize = 8;
const FIELDS_MAX: usize = 100;
const FIELD_BYTES_MAX: usize = 100;
const PATTERNS_MAX: usize = 20;
const REGEX_BYTES_MAX: usize = 2000;
/// Of a compiled pattern.
const REGEX_SIZE_MAX: usize = 1 << 20;

impl PipelineReader<'_> {
    pub(super) fn stage(&mut self, node: &Node, number: usize) -> Option<Stage> {
        let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
        let Some((place, key, inner)) = only_entry(node) else {
            let what = format!("cannot tell what this stage does: it is a map with one key of {}", names.join(", "));
            self.reader.problem(node.place, Check::WrongType, what);
            return None;
        };
        let Some((kind, shape)) = KINDS.into_iter().find(|(name, _)| *name == key) else {
            let otherwise = format!("stages are {}", names.join(", "));
            self.reader.unknown((*place, Check::UnknownKey), key, &format!("cannot use {key:?} as a stage"), &names, &otherwise);
            return None;
        };
        // A text is the first thing that the stage needs.
        let short = matches!(inner.value, Value::Text(_));
        let first = shape.fields.first().map_or("", |field| field.key);
        let fields = match short {
            true => {
                let others = shape.fields.iter().filter(|field| field.required && field.key != first);
                for field in others {
                    self.reader.problem(inner.place, Check::MissingKey, format!("cannot do without {:?} in {}", field.key, shape.what));
                }
                Fields::from([(first, inner)])
            }
            false => self.reader.fields(inner, shape)?,
        };
        // Of a record that is dropped the condition is the stage.
        let when = self.condition(&fields, "when");
        let does = match kind {
            "parse" => self.parse(&fields, inner).map(Does::Parse),
            "vrl" => fields.get("program").and_then(|node| self.program(node, "vrl", Purpose::Change)).map(Does::Vrl),
            "mask" => self.mask(&fields, inner).map(Does::Mask),
            "drop" => self.name_or(&fields, "reason", "dropped").map(Does::Drop),
            "sample" => self.sample(&fields).map(Does::Sample),
            "dedupe" => self.dedupe(&fields).map(Does::Dedupe),
            "metric" => self.metric(&fields).map(Does::Metric),
            "event" => fields.get("name").and_then(|node| self.name(node, "name")).map(Does::Event),
            "enrich" => self.enrich(&fields).map(Does::Enrich),
            _ => fields.get("hint").and_then(|node| self.name(node, "hint")).map(Does::Route),
        };
        Some(Stage { label: format!("{number} {kind}"), when: when?, does: does? })
    }

    fn name_or(&mut self, fields: &Fields<'_>, key: &'static str, otherwise: &str) -> Option<String> {
        fields.get(key).map_or_else(|| Some(otherwise.to_owned()), |node| self.name(node, key))
    }

    fn word<T: Copy>(&mut self, node: &Node, key: &str, known: &[(&str, T)]) -> Option<T> {
        let text = self.reader.text(node, key)?;
        let found = known.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<_> = known.iter().map(|(word, _)| *word).collect();
            let otherwise = format!("it is one of {}", words.join(", "));
            let what = format!("cannot use {text:?} as {key:?}");
            self.reader.unknown((node.place, Check::BadValue), &text, &what, &words, &otherwise);
        }
        found
    }

    fn regex(&mut self, node: &Node, key: &str) -> Option<Regex> {
        let text = said(&mut self.reader, node, key)?;
        if text.len() > REGEX_BYTES_MAX {
            let what = format!("cannot use {key:?} of {} bytes: regex_bytes_max is {REGEX_BYTES_MAX}", text.len());
            self.reader.problem(node.place, Check::BadValue, what);
            return None;
        }
        match regex::RegexBuilder::new(&text).size_limit(REGEX_SIZE_MAX).build() {
            Ok(regex) if regex.is_match("") && key == "regex" => {
                let what = format!("cannot use {text:?}: it matches where there is nothing");
                self.reader.problem(node.place, Check::BadValue, what);
                None
            }
            Ok(regex) => Some(regex),
            Err(error) => {
                let why = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.reader.problem(node.place, Check::BadValue, format!("cannot use {text:?} as a regular expression: {why}"));
                None
            }
        }
    }

    fn parse(&mut self, fields: &Fields<'_>, node: &Node) -> Option<Parse> {
        #[derive(Clone, Copy, PartialEq)]
        enum Named {
            Json,
            Logfmt,
            Regexp,
            Timestamp,
            Severity,
        }
        let known = [
            ("json", Named::Json),
            ("logfmt", Named::Logfmt),
            ("regexp", Named::Regexp),
            ("timestamp", Named::Timestamp),
            ("severity", Named::Severity),
        ];
        let named = fields.get("format").and_then(|node| self.word(node, "format", &known))?;
        let pattern = fields.get("pattern").map(|node| self.regex(node, "pattern"));
        let format = match (named, pattern) {
            (Named::Regexp, Some(pattern)) => {
                let pattern = pattern?;
                if pattern.capture_names().flatten().next().is_none() {
                    let what = "cannot use a pattern that names nothing: write (?<name>…)";
                    self.reader.problem(fields["pattern"].place, Check::BadValue, what);
                    return None;
                }
                ParseFormat::Regexp(pattern)
            }
            (Named::Regexp, None) => {
                self.reader.problem(node.place, Check::MissingKey, "cannot do without \"pattern\" where the format is regexp");
                return None;
            }
            (_, Some(_)) => {
                self.reader.problem(fields["pattern"].place, Check::BadValue, "cannot use \"pattern\": the format is not regexp");
                return None;
            }
            (Named::Json, None) => ParseFormat::Json,
            (Named::Logfmt, None) => ParseFormat::Logfmt,
            (Named::Timestamp, None) => ParseFormat::Timestamp,
            (Named::Severity, None) => ParseFormat::Severity,
        };
        let mut text = |key: &'static str| self.reader.optional_text(fields, key);
        let (from, prefix) = (text("from"), text("prefix"));
        let (time, severity, message, trace_id) = (text("time"), text("severity"), text("message"), text("trace_id"));
        let from = if from == "body" { String::new() } else { from };
        Some(Parse { format, from, prefix, time, severity, message, trace_id })
    }

    fn mask(&mut self, fields: &Fields<'_>, node: &Node) -> Option<Mask> {
        let mut mask = Mask::default();
        let mut sound = true;
        if let Some(node) = fields.get("kinds") {
            // One is written as it is.
            let items = if matches!(node.value, Value::Text(_)) { std::slice::from_ref(*node) } else { self.reader.list(node, "kinds") };
            for node in items {
                match self.word(node, "kinds", &MaskKind::ALL) {
                    Some(kind) => mask.kinds.push(kind),
                    None => sound = false,
                }
            }
        }
        for node in self.reader.optional_list(fields, "fields") {
            match said(&mut self.reader, node, "fields") {
                Some(name) => mask.fields.push(name),
                None => sound = false,
            }
        }
        for node in self.reader.optional_list(fields, "patterns") {
            let inner = self.reader.fields(node, &shape::MASK_PATTERN);
            let name = inner.as_ref().and_then(|inner| inner.get("name").copied()).and_then(|node| self.name(node, "name"));
            let regex = inner.as_ref().and_then(|inner| inner.get("regex").copied()).and_then(|node| self.regex(node, "regex"));
            match (name, regex) {
                (Some(name), Some(regex)) => mask.patterns.push(NamedPattern { name, regex }),
                _ => sound = false,
            }
        }
        let long = mask.fields.iter().any(|name| name.len() > FIELD_BYTES_MAX);
        if mask.fields.len() > FIELDS_MAX || mask.patterns.len() > PATTERNS_MAX || long {
            let what = format!(
                "cannot mask so much in one stage: fields_max is {FIELDS_MAX} of {FIELD_BYTES_MAX} bytes, patterns_max {PATTERNS_MAX}"
            );
            self.reader.problem(node.place, Check::BadValue, what);
            return None;
        }
        if mask.kinds.is_empty() && mask.fields.is_empty() && mask.patterns.is_empty() && sound {
            self.reader.problem(node.place, Check::MissingKey, "cannot tell what to mask: there is one of kinds, fields, patterns");
            return None;
        }
        if let Some(node) = fields.get("with") {
            let known = [("redact", Hidden::Redact), ("partial", Hidden::Partial), ("pseudonym", Hidden::Pseudonym)];
            mask.hidden = self.word(node, "with", &known)?;
        }
        if let Some(node) = fields.get("in") {
            mask.places = Places { body: false, all_attributes: false, attributes: Vec::new() };
            for node in self.reader.list(node, "in") {
                match said(&mut self.reader, node, "in").as_deref() {
                    Some("body") => mask.places.body = true,
                    Some("attributes") => mask.places.all_attributes = true,
                    Some(name) => mask.places.attributes.push(name.strip_prefix("attributes.").unwrap_or(name).to_owned()),
                    None => sound = false,
                }
            }
        }
        sound.then_some(mask)
    }

    fn sample(&mut self, fields: &Fields<'_>) -> Option<Kept> {
        let ratio = self.number(fields.get("keep")?, "keep")?;
        if !(0.0..=1.0).contains(&ratio) {
            self.reader.problem(fields["keep"].place, Check::BadValue, format!("cannot keep {ratio}: it is a share from 0 to 1"));
            return None;
        }
        let known = [("record", SampleBy::Record), ("trace", SampleBy::Trace)];
        let by = fields.get("by").map_or(Some(SampleBy::Record), |node| self.word(node, "by", &known))?;
        Some(Kept { ratio, by })
    }

    fn number(&mut self, node: &Node, key: &str) -> Option<f64> {
        let text = self.reader.text(node, key)?;
        let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        if number.is_none() {
            self.reader.problem(node.place, Check::BadValue, format!("cannot use {text:?} as {key:?}: it is a number"));
        }
        number
    }

    fn dedupe(&mut self, fields: &Fields<'_>) -> Option<Dedupe> {
        const WINDOW_MAX_SECONDS: u64 = 3600;
        let node = *fields.get("window")?;
        let text = self.reader.text(node, "window")?;
        let seconds = |end: char, unit: u64| text.strip_suffix(end)?.parse::<u64>().ok()?.checked_mul(unit);
        let seconds = seconds('s', 1).or_else(|| seconds('m', 60)).or_else(|| seconds('h', 3600));
        match seconds.filter(|seconds| (1..=WINDOW_MAX_SECONDS).contains(seconds)) {
            Some(seconds) => Some(Dedupe { window: Duration::from_secs(seconds) }),
            None => {
                let what = format!("cannot use {text:?} as \"window\": write a number with s, m or h, at most 1h");
                self.reader.problem(node.place, Check::BadValue, what);
                None
            }
        }
    }

    fn metric(&mut self, fields: &Fields<'_>) -> Option<Extract> {
        let name = fields.get("name").and_then(|node| self.legal(node, "name", true));
        let known = [("counter", false), ("histogram", true)];
        let is_histogram = fields.get("kind").map_or(Some(false), |node| self.word(node, "kind", &known))?;
        let (value, help) = (self.reader.optional_text(fields, "value"), self.reader.optional_text(fields, "help"));
        if is_histogram && value.is_empty() {
            let place = fields.get("name").map_or_else(Default::default, |node| node.place);
            self.reader.problem(place, Check::MissingKey, "cannot do without \"value\" where the kind is histogram");
        }
        let mut labels = Vec::new();
        if let Some(node) = fields.get("labels") {
            labels = self.labels(node)?;
        }
        let bounds = match fields.get("buckets") {
            None => BOUNDS_DEFAULT.to_vec(),
            Some(node) => {
                let items = self.reader.list(node, "buckets");
                let bounds = items.iter().map(|node| self.number(node, "buckets")).collect::<Option<Vec<_>>>()?;
                if !bounds.is_sorted_by(|a, b| a < b) || bounds.is_empty() || bounds.len() > BOUNDS_MAX {
                    let what = format!("cannot use these buckets: they are 1 to {BOUNDS_MAX} numbers, ascending");
                    self.reader.problem(node.place, Check::BadValue, what);
                    return None;
                }
                bounds
            }
        };
        let kind = if is_histogram { ExtractKind::Histogram(bounds) } else { ExtractKind::Counter };
        if kind == ExtractKind::Counter && fields.contains_key("buckets") {
            self.reader.problem(fields["buckets"].place, Check::BadValue, "cannot use \"buckets\": the kind is counter");
            return None;
        }
        Some(Extract { name: name?, help, kind, value, labels }).filter(|extract| !is_histogram || !extract.value.is_empty())
    }

    /// Label names and what they are of, sorted by name.
    fn labels(&mut self, node: &Node) -> Option<Vec<(String, String)>> {
        let Value::Map(entries) = &node.value else {
            let what = format!("cannot read \"labels\" from {}: it is a map of labels and attributes", node.value.kind());
            self.reader.problem(node.place, Check::WrongType, what);
            return None;
        };
        if entries.len() > LABELS_MAX {
            let what = format!("cannot use {} labels: labels_max is {LABELS_MAX}", entries.len());
            self.reader.problem(node.place, Check::BadValue, what);
            return None;
        }
        let mut labels = Vec::new();
        for (place, label, of) in entries {
            let label = self.legal(&Node { place: *place, value: Value::Text(label.clone()), plain: true }, "labels", false)?;
            let of = said(&mut self.reader, of, "labels")?;
            if labels.iter().any(|(other, _)| *other == label) {
                self.reader.problem(*place, Check::RepeatedKey, format!("cannot use label {label:?} twice"));
                return None;
            }
            labels.push((label, of));
        }
        labels.sort();
        Some(labels)
    }

    /// A name of Prometheus's: of a metric, which may have colons, or of a label that is nobody else's.
    fn legal(&mut self, node: &Node, key: &str, is_metric: bool) -> Option<String> {
        let name = said(&mut self.reader, node, key)?;
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':' && is_metric;
        let taken = !is_metric && (name.starts_with("__") || name == "le" || model::Identity::FIELDS.contains(&name.as_str()));
        if !name.chars().all(inside) || name.starts_with(|c: char| c.is_ascii_digit()) || taken || name.len() > 200 {
            let what = if is_metric { "a metric" } else { "a label" };
            let why = if taken { "the name is taken" } else { "it has letters, digits and _" };
            self.reader.problem(node.place, Check::BadName, format!("cannot call {what} {name:?}: {why}"));
            return None;
        }
        Some(name)
    }

    fn enrich(&mut self, fields: &Fields<'_>) -> Option<Enrich> {
        let file = fields.get("table").and_then(|node| said(&mut self.reader, node, "table"));
        let key = fields.get("key").and_then(|node| said(&mut self.reader, node, "key"));
        let from = fields.get("from").and_then(|node| said(&mut self.reader, node, "from"));
        let prefix = self.reader.optional_text(fields, "prefix");
        let file = file?;
        let table = self.tables.table(&mut self.reader, fields["table"].place, &file, &key?)?;
        Some(Enrich { file, table, from: from?, prefix })
    }
}
