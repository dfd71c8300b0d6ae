//! Rows from streams and entries, however they were written.

use std::borrow::Cow;

use model::logs::{LogRow, LogsBuilder};
use model::{AttributeValue, Attributes, Decoded, Naming, Table};

use crate::lines::severity;
use crate::outcome::{ENTRY_BYTES, Fault, ITEM_BYTES, Outcome, ROW_BYTES, Rules, shortened};
use crate::protobuf::Read;

pub(super) struct Push<'r> {
    pub(super) rules: &'r Rules<'r>,
    builder: LogsBuilder,
    pub(super) outcome: Outcome,
    stream: Stream,
    index: usize,
}

/// The stream whose entries come now.
#[derive(Default)]
struct Stream {
    labels: Attributes,
    service_name: String,
    /// Text and number, from the label that says the level.
    severity: Option<(String, Option<i32>)>,
    bytes: usize,
}

/// One entry before it is a row; time in nanoseconds.
pub(super) struct Entry<'e> {
    pub(super) time: Result<i64, Fault>,
    pub(super) line: Cow<'e, str>,
    pub(super) metadata: Metadata<'e>,
}

/// Structured metadata: one pair more than `attributes_max` at most, which is enough to refuse them.
pub(super) type Metadata<'e> = Vec<(Cow<'e, str>, Cow<'e, str>)>;

pub(super) fn add_metadata<'e>(metadata: &mut Metadata<'e>, name: Cow<'e, str>, value: Cow<'e, str>, rules: &Rules<'_>) {
    if metadata.len() <= rules.limits.attributes_max {
        metadata.push((name, value));
    }
}

/// Fields that say a line's level, the strongest first.
const LEVEL_FIELDS: [&str; 3] = ["detected_level", "level", "severity"];

impl<'r> Push<'r> {
    pub(super) fn new(rules: &'r Rules<'r>) -> Self {
        Self { rules, builder: LogsBuilder::default(), outcome: Outcome::new(rules.limits), stream: Stream::default(), index: 0 }
    }

    pub(super) fn finish(mut self) -> Decoded {
        self.outcome.finish(self.rules, Table::Logs, Naming::Labels, self.builder.finish_packed())
    }

    /// Begins the next stream, none of whose labels is empty; when its labels are refused, so are its entries.
    pub(super) fn begin_stream(&mut self, mut labels: Vec<(String, String)>) -> Result<(), Fault> {
        self.stream = Stream::default();
        labels.sort();
        if labels.is_empty() {
            return Err(Fault::new("missing_labels", "error at least one label pair is required per stream"));
        }
        let pairs = || labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.rules
            .check_labels(pairs())
            .map_err(|fault| Fault::new(fault.reason, format!("stream {} is refused: {}", shortened(&printed(pairs())), fault.why)))?;
        for (name, value) in pairs() {
            self.stream.labels.set(name, AttributeValue::Text(value));
            self.stream.bytes += ENTRY_BYTES + name.len() + value.len();
        }
        self.stream.service_name = self.stream.labels.service_name().to_owned();
        self.stream.bytes += self.stream.service_name.len();
        self.stream.severity = severity_of(pairs()).map(|level| (level.to_owned(), severity::number_of(level)));
        Ok(())
    }

    /// Refuses the stream just read, with that many entries.
    pub(super) fn refuse_stream(&mut self, entries: u64, fault: Fault) {
        let index = self.index;
        self.outcome.reject(entries, fault, || format!("streams[{index}]"));
    }

    pub(super) fn end_stream(&mut self) -> Read<()> {
        self.index += 1;
        self.outcome.spend(ITEM_BYTES)
    }

    pub(super) fn entry(&mut self, index: usize, entry: Entry<'_>) -> Read<()> {
        self.outcome.spend(ITEM_BYTES)?;
        let stream_index = self.index;
        let checked = self.check(&entry);
        let time_unix_nano = match checked {
            Ok(time) => time,
            Err(fault) => {
                self.outcome.reject(1, fault, || format!("streams[{stream_index}].entries[{index}]"));
                return Ok(());
            }
        };
        let metadata_bytes: usize = entry.metadata.iter().map(|(name, value)| ENTRY_BYTES + name.len() + value.len()).sum();
        self.outcome.spend(ROW_BYTES + entry.line.len() + metadata_bytes + self.stream.bytes)?;
        for (name, value) in entry.metadata.iter().filter(|(_, value)| !value.is_empty()) {
            if !self.builder.attributes.push(name, AttributeValue::Text(value)) {
                self.outcome.repair("duplicate_attribute");
            }
        }
        let own = severity_of(entry.metadata.iter().map(|(name, value)| (name.as_ref(), value.as_ref())));
        let inherited = self.stream.severity.as_ref().map(|(text, number)| (text.as_str(), *number));
        let (severity_text, severity_number) = own.map(|level| (level, severity::number_of(level))).or(inherited).unwrap_or_default();
        let id = |name: &str, digits: usize| {
            let value = entry.metadata.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value.as_ref());
            if is_id(value, digits) { value } else { "" }
        };
        let row = LogRow {
            time_unix_nano,
            severity_number,
            severity_text,
            body: &entry.line,
            service_name: &self.stream.service_name,
            trace_id: id("trace_id", 32),
            span_id: id("span_id", 16),
            ..LogRow::default()
        };
        self.builder.push(&row, &self.stream.labels, &Attributes::default());
        Ok(())
    }

    /// The entry's time, when nothing of it breaks a rule.
    fn check(&self, entry: &Entry<'_>) -> Result<i64, Fault> {
        let time = entry.time.clone()?;
        let time = self.rules.time_unix_nano(time.cast_unsigned())?;
        let limits = self.rules.limits;
        if entry.line.len() > limits.value_bytes_max {
            let (len, max) = (entry.line.len(), limits.value_bytes_max);
            return Err(Fault::new("line_too_long", format!("the entry has {len} bytes: max entry size, value_bytes_max, is {max} bytes")));
        }
        if entry.metadata.len() > limits.attributes_max {
            let why = format!("the entry has more structured metadata than attributes_max, {}: leave some out", limits.attributes_max);
            return Err(Fault::new("too_many_attributes", why));
        }
        for (name, value) in &entry.metadata {
            if name.is_empty() || name.len() > limits.label_name_bytes_max {
                let max = limits.label_name_bytes_max;
                let why = format!("structured metadata name {} is empty or over label_name_bytes_max, {max} bytes", shortened(name));
                return Err(Fault::new("invalid_attribute_name", why));
            }
            if value.len() > limits.value_bytes_max {
                let (len, max) = (value.len(), limits.value_bytes_max);
                let why = format!("structured metadata {} has {len} bytes: value_bytes_max is {max}", shortened(name));
                return Err(Fault::new("value_too_long", why));
            }
        }
        Ok(time)
    }
}

fn printed<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> = labels.map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn is_id(value: &str, digits: usize) -> bool {
    value.len() == digits && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) && value.bytes().any(|byte| byte != b'0')
}

fn severity_of<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Option<&'a str> {
    let rank = |name: &str| LEVEL_FIELDS.iter().position(|field| *field == name);
    let ranked = fields.filter_map(|(name, value)| Some((rank(name)?, value)));
    ranked.filter(|(_, value)| !value.is_empty()).min_by_key(|(rank, _)| *rank).map(|(_, value)| value)
}
