//! Events and raw lines to `logs` rows.

use std::borrow::Cow;

use model::{Decoded, Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::lines::{Field, Nesting, Rows, Said, fields, text, time};
use crate::outcome::{Fault, Rules, shortened, unreadable, unreadable_json};
use crate::protobuf::Read;

/// What a sender says of all raw lines in the address.
#[derive(Clone, Debug, Default)]
pub struct RawSaid {
    pub time: Option<String>,
    pub host: Option<String>,
    pub source: Option<String>,
    pub sourcetype: Option<String>,
    pub index: Option<String>,
}

/// One event as Splunk wraps it.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    #[serde(borrow)]
    host: Option<Cow<'a, str>>,
    #[serde(borrow)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    sourcetype: Option<Cow<'a, str>>,
    #[serde(borrow)]
    index: Option<Cow<'a, str>>,
    #[serde(borrow)]
    fields: Option<&'a RawValue>,
}

/// Decodes JSON objects one after the other, or in a list, with anything or nothing between them.
pub fn decode_splunk_events(body: &[u8], rules: &Rules<'_>) -> Result<Decoded> {
    let mut events = Events { rows: Rows::new(rules), number: 0 };
    let mut stopped: Read<()> = Ok(());
    for value in serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>() {
        let value = value.map_err(|source| unreadable_json(&format!("event {}", events.number), &source))?.get();
        if value.starts_with('[') {
            let walked = fields::each_element(value, |event| {
                stopped = events.take(event);
                stopped.map_err(|malformed| Fault::new("stopped", malformed.0))
            });
            debug_assert_eq!(walked.is_ok(), stopped.is_ok(), "the list was read as JSON before");
        } else {
            stopped = events.take(value);
        }
        stopped.map_err(|malformed| unreadable("events", malformed))?;
    }
    Ok(events.rows.finish())
}

struct Events<'r> {
    rows: Rows<'r>,
    number: usize,
}

impl Events<'_> {
    fn take(&mut self, event: &str) -> Read<()> {
        let number = self.number;
        self.number += 1;
        if let Err(fault) = self.event(event, number)? {
            self.rows.outcome.reject(1, fault, || format!("event {number}"));
        }
        Ok(())
    }

    fn event(&mut self, text: &str, number: usize) -> Read<Result<(), Fault>> {
        self.rows.outcome.spend(crate::outcome::ITEM_BYTES)?;
        let (event, said) = match self.read(text) {
            Ok(read) => read,
            Err(fault) => return Ok(Err(fault)),
        };
        let said = Said { time_unix_nano: said.time, resource: &said.resource, attributes: &said.fields, ..Said::default() };
        let place = || format!("event {number}");
        match event {
            Body::Line(line) => self.rows.line(&line, &said, place),
            Body::Document(text, fields) => self.rows.document(text, &fields, &said, place),
        }
    }

    fn read<'a>(&self, text: &'a str) -> Result<(Body<'a>, Wrapping<'a>), Fault> {
        let invalid = |source: serde_json::Error| Fault::new("invalid_json", unreadable_json("event", &source).chain());
        let wrapped: Event<'a> = serde_json::from_str(text).map_err(invalid)?;
        let limits = self.rows.rules.limits;
        let own = match wrapped.fields.map(RawValue::get) {
            None | Some("null") => Vec::new(),
            Some(json) => {
                let read = fields::read(json, Nesting::Kept, limits).map_err(|fault| Fault::new("invalid_fields", fault.why))?;
                read.own
            }
        };
        if wrapped.event.is_some_and(|event| event.get() == "\"metric\"") && own.iter().any(|field| is_metric(&field.name)) {
            return Err(Fault::new("metric_event", "cannot take a metric event: send metrics over OTLP or remote write"));
        }
        let event = match wrapped.event.map(RawValue::get) {
            None | Some("null") => return Err(Fault::new("missing_event", "Event field is required")),
            Some("\"\"") => return Err(Fault::new("blank_event", "Event field cannot be blank")),
            Some(event) if event.starts_with('{') => Body::Document(event, fields::read(event, Nesting::Kept, limits)?),
            Some(event) if event.starts_with('"') => Body::Line(serde_json::from_str::<String>(event).map_err(invalid)?.into()),
            Some(event) => Body::Line(event.into()),
        };
        let time = wrapped.time.map(RawValue::get).filter(|time| *time != "null").map(|time| self.time(time)).transpose()?;
        let Event { host, source, sourcetype, index, .. } = wrapped;
        let resource = resource(host, source, sourcetype, index);
        Ok((event, Wrapping { time, resource, fields: own }))
    }

    /// Seconds since 1970, as a number or as its text; or milliseconds and so on, by their size.
    fn time(&self, raw: &str) -> Result<i64, Fault> {
        let text = raw.trim_matches('"').trim();
        let exponent = || text.parse::<f64>().ok().and_then(|number| time::of_decimal(&number.to_string()));
        time::of_text(text, self.rows.rules.now_unix_nano)
            .or_else(exponent)
            .ok_or_else(|| Fault::new("invalid_timestamp", format!("time {} is no time: send seconds since 1970", shortened(text))))
    }
}

enum Body<'a> {
    Line(Cow<'a, str>),
    Document(&'a str, fields::Fields<'a>),
}

struct Wrapping<'a> {
    time: Option<i64>,
    resource: Vec<Field<'a>>,
    fields: Vec<Field<'a>>,
}

/// `metric_name:cpu.idle`, or the older `metric_name` with `_value`.
fn is_metric(name: &str) -> bool {
    name == "metric_name" || name.starts_with("metric_name:")
}

/// In the names that OpenTelemetry's own receiver of these events gives them.
fn resource<'a>(
    host: Option<Cow<'a, str>>,
    source: Option<Cow<'a, str>>,
    sourcetype: Option<Cow<'a, str>>,
    index: Option<Cow<'a, str>>,
) -> Vec<Field<'a>> {
    let named = [("host.name", host), ("com.splunk.source", source), ("com.splunk.sourcetype", sourcetype), ("com.splunk.index", index)];
    let given = named.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    given.map(|(name, value)| Field::text(name, value)).collect()
}

/// Decodes lines of text: each a log, stack traces joined, containers' lines unwrapped.
pub fn decode_splunk_raw(body: &[u8], said: &RawSaid, rules: &Rules<'_>) -> Result<Decoded> {
    let mut rows = Rows::new(rules);
    let time = match said.time.as_deref().map(|text| (text, time::of_text(text, rules.now_unix_nano))) {
        Some((text, None)) => return Err(Error::invalid(format!("cannot use time {}: send seconds since 1970", shortened(text)))),
        given => given.and_then(|(_, time)| time),
    };
    let [host, source, sourcetype, index] =
        [&said.host, &said.source, &said.sourcetype, &said.index].map(|text| text.as_deref().map(Cow::Borrowed));
    let resource = resource(host, source, sourcetype, index);
    let body = rows.outcome.text(body);
    let done = text::each(&body, rules.limits.value_bytes_max, |entry| rows.entry(&entry, time, &resource));
    done.map_err(|malformed| unreadable("raw events", malformed))?;
    Ok(rows.finish())
}
