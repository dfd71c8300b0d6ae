//! Rows from lines and documents, within the limits.

use model::logs::{LogRow, LogsBuilder};
use model::{AttributeType, AttributeValue, Attributes, Decoded, Naming, Table};

use super::fields::{self, Field, Fields, Nesting, Value};
use super::known::Known;
use super::severity::{self, Level};
use super::text::Entry;
use super::time;
use crate::outcome::{ENTRY_BYTES, Fault, ITEM_BYTES, Outcome, ROW_BYTES, Rules, shortened};
use crate::protobuf::Read;

/// Collects the rows of one request.
pub(crate) struct Rows<'r> {
    pub(crate) rules: &'r Rules<'r>,
    pub(crate) outcome: Outcome,
    builder: LogsBuilder,
    /// Of the row under construction; used again and again.
    resource: Attributes,
}

/// What a protocol says of a log beside the log itself. What it does not say is looked for in the log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said<'a> {
    /// Nanoseconds since 1970; wins over what the log says.
    pub(crate) time_unix_nano: Option<i64>,
    /// Of a log that says no time: when it was handed on.
    pub(crate) otherwise_unix_nano: Option<i64>,
    pub(crate) level: Option<Level<'a>>,
    /// Wins over what the log says.
    pub(crate) service: &'a str,
    /// Of a log that names none.
    pub(crate) otherwise_service: &'a str,
    /// What sent it: become resource attributes.
    pub(crate) resource: &'a [Field<'a>],
    pub(crate) attributes: &'a [Field<'a>],
}

/// A log with all that was found out about it.
struct Log<'a> {
    said: Said<'a>,
    known: Known<'a>,
    body: &'a str,
    /// Of the document; the message and the time, by their indexes, stand in columns of their own.
    fields: &'a [Field<'a>],
    in_columns: [Option<usize>; 2],
}

impl<'r> Rows<'r> {
    pub(crate) fn new(rules: &'r Rules<'r>) -> Self {
        Self { rules, outcome: Outcome::new(rules.limits), builder: LogsBuilder::default(), resource: Attributes::default() }
    }

    pub(crate) fn finish(mut self) -> Decoded {
        self.outcome.finish(self.rules, Table::Logs, Naming::Attributes, self.builder.finish_packed())
    }

    /// Adds a log that is a line, or several that belong together: its body, byte for byte. A JSON line is looked into for
    /// what has a column of its own; its fields stay in the line. `place` names it in messages.
    pub(crate) fn line(&mut self, line: &str, said: &Said<'_>, place: impl Fn() -> String) -> Read<Result<(), Fault>> {
        let now = self.rules.now_unix_nano;
        let json = json_of(line).and_then(|json| fields::read(json, Nesting::Kept, self.rules.limits).ok());
        let known = said_in(line, json.as_ref(), said, now);
        self.log(&Log { said: *said, known, body: line, fields: &[], in_columns: [None; 2] }, place)
    }

    /// Adds a log out of a text, or refuses it by its line. `otherwise_unix_nano`: of one that says no time.
    pub(crate) fn entry(&mut self, entry: &Entry<'_>, otherwise_unix_nano: Option<i64>, resource: &[Field<'_>]) -> Read<()> {
        let stream = entry.stream.map(|stream| Field::text("log.iostream", stream.name()));
        let said =
            Said { time_unix_nano: entry.time_unix_nano, otherwise_unix_nano, resource, attributes: stream.as_slice(), ..Said::default() };
        let place = || format!("line {}", entry.line);
        if let Err(fault) = self.line(&entry.body, &said, place)? {
            self.outcome.reject(1, fault, place);
        }
        Ok(())
    }

    /// Adds a log that is a record of fields. Its body is its message, else its whole text; message and time are not told
    /// twice, every other field is an attribute.
    pub(crate) fn document(
        &mut self,
        text: &str,
        fields: &Fields<'_>,
        said: &Said<'_>,
        place: impl Fn() -> String,
    ) -> Read<Result<(), Fault>> {
        let now = self.rules.now_unix_nano;
        let mut known = Known::of(fields, now);
        let message = known.message.and_then(|index| fields.own[index].value.as_text());
        // A record around a line, as collectors make them, knows less of the log than the line.
        let json = message.and_then(json_of).and_then(|json| fields::read(json, Nesting::Kept, self.rules.limits).ok());
        if let Some(message) = message {
            known.add(said_in(message, json.as_ref(), said, now));
        }
        let time = if said.time_unix_nano.is_none() { known.time.and_then(|(_, index)| index) } else { None };
        let in_columns = [known.message, time];
        self.log(&Log { said: *said, body: message.unwrap_or(text), known, fields: &fields.own, in_columns }, place)
    }

    /// Everything that can refuse the log is looked at before its first attribute is taken: builders do not shrink.
    fn log(&mut self, log: &Log<'_>, place: impl Fn() -> String) -> Read<Result<(), Fault>> {
        self.outcome.spend(ITEM_BYTES)?;
        let time_unix_nano = match self.check(log) {
            Ok(time) => time,
            Err(fault) => return Ok(Err(fault)),
        };
        let Log { said, known, body, fields, in_columns } = log;
        let own = fields.iter().enumerate().filter(|(index, _)| !in_columns.contains(&Some(*index))).map(|(_, field)| field);
        let all = || said.resource.iter().chain(said.attributes).chain(own.clone());
        let bytes: usize = all().map(|field| ENTRY_BYTES + field.bytes()).sum();
        self.outcome.spend(ROW_BYTES + body.len() + bytes)?;

        self.resource.clear();
        let mut taker = Taker::new(self.rules, &mut self.outcome);
        for field in said.resource.iter().chain(own.clone().filter(|field| is_resource(field))) {
            taker.take(field, &place, |name, value| self.resource.add(name, value));
        }
        let service = [said.service, known.service, said.otherwise_service].into_iter().find(|service| !service.is_empty());
        if let Some(service) = service
            && self.resource.get("service.name").is_none()
        {
            self.resource.add("service.name", AttributeValue::Text(service));
        }
        taker.seen = 0;
        for field in said.attributes.iter().chain(own.filter(|field| !is_resource(field))) {
            taker.take(field, &place, |name, value| self.builder.attributes.push(name, value));
        }
        let level = said.level.or(known.level).unwrap_or_default();
        let row = LogRow {
            time_unix_nano,
            severity_number: level.number,
            severity_text: level.text,
            body,
            service_name: self.resource.service_name(),
            trace_id: &known.trace_id,
            span_id: &known.span_id,
            dropped_attributes_count: i64::try_from(taker.dropped).ok().filter(|dropped| *dropped > 0),
            ..LogRow::default()
        };
        self.builder.push(&row, &self.resource, &Attributes::default());
        Ok(Ok(()))
    }

    /// The log's time, when nothing of it breaks a rule.
    fn check(&self, log: &Log<'_>) -> Result<i64, Fault> {
        let said = log.said.time_unix_nano.or(log.known.time.map(|(time, _)| time)).or(log.said.otherwise_unix_nano);
        let time = said.map_or(Ok(self.rules.now_unix_nano), |time| self.rules.time_unix_nano(time.cast_unsigned()))?;
        let (len, max) = (log.body.len(), self.rules.limits.value_bytes_max);
        if len > max {
            return Err(Fault::new("line_too_long", format!("the log has {len} bytes: value_bytes_max is {max}")));
        }
        Ok(time)
    }
}

/// What a line says of itself; `json` is its fields, when it is an object.
fn said_in<'l>(line: &'l str, json: Option<&'l Fields<'_>>, said: &Said<'_>, now_unix_nano: i64) -> Known<'l> {
    match json {
        Some(fields) => Known::of(fields, now_unix_nano),
        None => {
            let time = said.time_unix_nano.map_or_else(|| time::in_line(line, now_unix_nano), Some);
            Known { time: time.map(|time| (time, None)), level: severity::in_line(line), ..Known::default() }
        }
    }
}

/// The line, when it may be an object: as it is, or behind the cookie of Common Event Expression, which rsyslog and many
/// loggers write before JSON in syslog.
fn json_of(line: &str) -> Option<&str> {
    let line = line.trim_ascii_start();
    let json = line.strip_prefix("@cee:").map_or(line, str::trim_ascii_start);
    json.starts_with('{').then_some(json)
}

/// Takes the fields of one owner; what breaks a rule is dropped and counted, the record stays.
pub(crate) struct Taker<'r, 'o> {
    rules: &'r Rules<'r>,
    outcome: &'o mut Outcome,
    seen: usize,
    pub(crate) dropped: u64,
}

impl<'r, 'o> Taker<'r, 'o> {
    pub(crate) fn new(rules: &'r Rules<'r>, outcome: &'o mut Outcome) -> Self {
        Self { rules, outcome, seen: 0, dropped: 0 }
    }

    /// `add` answers whether the name was new.
    pub(crate) fn take(&mut self, field: &Field<'_>, place: impl Fn() -> String, add: impl FnOnce(&str, AttributeValue<'_>) -> bool) {
        self.seen += 1;
        if self.seen > self.rules.limits.attributes_max + 1 {
            self.dropped += 1;
            self.outcome.drop_alike("too_many_attributes");
        } else if let Err(fault) = self.check(field) {
            self.dropped += 1;
            self.outcome.reject(0, fault, place);
        } else if !add(&field.name, field.value.as_attribute()) {
            self.dropped += 1;
            self.outcome.repair("duplicate_attribute");
        }
    }

    fn check(&self, field: &Field<'_>) -> Result<(), Fault> {
        let (limits, name) = (self.rules.limits, &field.name);
        if self.seen > limits.attributes_max {
            return Err(Fault::new("too_many_attributes", format!("attributes_max is {}: the rest is dropped", limits.attributes_max)));
        }
        if name.is_empty() || name.len() > limits.label_name_bytes_max {
            let max = limits.label_name_bytes_max;
            let why = format!("field name {} is empty or over label_name_bytes_max, {max} bytes: the field is dropped", shortened(name));
            return Err(Fault::new("invalid_attribute_name", why));
        }
        let (len, max) = (field.value.as_text().map_or(0, str::len), limits.value_bytes_max);
        if len > max {
            let why = format!("field {} is dropped: the value has {len} bytes or more, value_bytes_max is {max}", shortened(name));
            return Err(Fault::new("value_too_long", why));
        }
        Ok(())
    }
}

/// Whether a field says what sent the log and not what the log says: OpenTelemetry's resource, in the names of
/// OpenTelemetry, of Elastic's common schema and of Kubernetes' filters.
fn is_resource(field: &Field<'_>) -> bool {
    const OF: [&str; 14] = [
        "service",
        "host",
        "k8s",
        "kubernetes",
        "container",
        "cloud",
        "deployment",
        "agent",
        "orchestrator",
        "data_stream",
        "omd",
        "aws",
        "faas",
        "systemd",
    ];
    let (first, rest) = field.name.split_once('.').unwrap_or((&field.name, ""));
    let map = matches!(field.value, Value::Encoded(AttributeType::Map, _));
    field.name == "service_name" || (map || !rest.is_empty()) && OF.contains(&first)
}
