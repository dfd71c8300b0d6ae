//! Runs programs over records, under a clock: VRL has no loops, but a text that is doubled again and again is as bad.

use std::ops::ControlFlow;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use catalog::programs::{Program, RecordField};
use chrono::DateTime;
use model::{AttributeType, Identity};
use vrl::compiler::runtime::{Runtime, Terminate};
use vrl::compiler::state::RuntimeState;
use vrl::compiler::{TargetValue, TimeZone};
use vrl::value::{ObjectMap, Secrets, Value};

use super::record::{Attribute, Record};
use super::values;

/// For one record; as little text as a program can make in that time is what it can take of memory.
const RECORD_TIME_MAX: Duration = Duration::from_millis(100);
/// For all programs of one batch.
const BATCH_TIME_MAX: Duration = Duration::from_secs(5);
/// Expressions of one record between two looks at the clock.
const CHECKED_EVERY: u32 = 4;
/// All texts that a program leaves in a record.
const RECORD_BYTES_MAX: usize = 4 << 20;

/// Why a program did nothing to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Failed {
    /// An expression failed.
    Error,
    /// It said `abort`.
    Aborted,
    Time,
    Memory,
    /// It left what a record cannot have: a time that is none, a trace id that is none.
    BadValue,
}

impl Failed {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Aborted => "aborted",
            Self::Time => "time",
            Self::Memory => "memory",
            Self::BadValue => "bad_value",
        }
    }
}

static UTC: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::parse("UTC").unwrap_or_default());

/// The programs of one batch.
pub(super) struct Programs {
    runtime: Runtime,
    left: Duration,
}

impl Default for Programs {
    fn default() -> Self {
        Self { runtime: Runtime::new(RuntimeState::default()), left: BATCH_TIME_MAX }
    }
}

impl Programs {
    /// Whether a condition holds; what fails does not.
    pub(super) fn holds(&mut self, program: &Program, record: &Record<'_>) -> Result<bool, Failed> {
        let mut target = self.target(program, record);
        Ok(self.run(program, &mut target)?.as_boolean().unwrap_or(false))
    }

    pub(super) fn change(&mut self, program: &Program, record: &mut Record<'_>) -> Result<(), Failed> {
        let mut target = self.target(program, record);
        self.run(program, &mut target)?;
        let Value::Object(fields) = target.value else { return Err(Failed::BadValue) };
        write_back(program, fields, record)
    }

    fn target(&mut self, program: &Program, record: &Record<'_>) -> TargetValue {
        let mut fields = ObjectMap::new();
        for (name, field, _) in catalog::programs::FIELDS {
            if program.fields.has(field) {
                fields.insert(name.into(), value_of(field, record));
            }
        }
        TargetValue { value: Value::Object(fields), metadata: Value::Object(ObjectMap::new()), secrets: Secrets::new() }
    }

    fn run(&mut self, program: &Program, target: &mut TargetValue) -> Result<Value, Failed> {
        if self.left.is_zero() {
            return Err(Failed::Time);
        }
        let begun = Instant::now();
        let ends = begun + RECORD_TIME_MAX.min(self.left);
        let mut expressions = 0u32;
        let mut clock = || {
            expressions += 1;
            match expressions.is_multiple_of(CHECKED_EVERY) && Instant::now() > ends {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        self.runtime.clear();
        let result = self.runtime.resolve_with_control(target, &program.compiled, &UTC, &mut clock);
        self.left = self.left.saturating_sub(begun.elapsed());
        result.map_err(|terminated| match terminated {
            Terminate::Interrupted => Failed::Time,
            Terminate::Abort(_) => Failed::Aborted,
            Terminate::Error(_) => Failed::Error,
        })
    }
}

fn time(unix_nano: i64) -> Value {
    DateTime::from_timestamp_nanos(unix_nano).into()
}

fn value_of(field: RecordField, record: &Record<'_>) -> Value {
    let object = |pairs: &mut dyn Iterator<Item = (&str, AttributeType, &str)>| {
        Value::Object(pairs.map(|(key, kind, text)| (key.into(), values::of_attribute(kind, text))).collect())
    };
    let place = record.columns.origins.place(record.row);
    match field {
        RecordField::Timestamp => time(record.time()),
        RecordField::ObservedTimestamp => record.observed().map_or(Value::Null, time),
        RecordField::SeverityNumber => i64::from(record.severity_number().unwrap_or(0)).into(),
        RecordField::SeverityText => record.severity_text().into(),
        RecordField::Body => record.body().into(),
        RecordField::TraceId => record.trace_id().into(),
        RecordField::SpanId => record.span_id().into(),
        RecordField::EventName => record.event_name().into(),
        RecordField::Attributes => {
            let mut all = ObjectMap::new();
            record.each_attribute(|key, kind, text| drop(all.insert(key.into(), values::of_attribute(kind, text))));
            Value::Object(all)
        }
        RecordField::Resource => object(&mut record.columns.resource.iter_typed(place)),
        RecordField::Scope => object(&mut record.columns.scope.iter_typed(place)),
        RecordField::Identity => {
            let pairs = Identity::FIELDS.into_iter().zip(record.identity.values()).filter(|(_, value)| !value.is_empty());
            Value::Object(pairs.map(|(name, value)| (name.into(), value.into())).collect())
        }
    }
}

/// All or nothing: a value that a record cannot have leaves it as it was.
fn write_back(program: &Program, fields: ObjectMap, record: &mut Record<'_>) -> Result<(), Failed> {
    let mut edit = record.edit.clone();
    let mut bytes = 0;
    for (name, field, writable) in catalog::programs::FIELDS {
        if !writable || !program.fields.has(field) {
            continue;
        }
        let value = fields.get(name).unwrap_or(&Value::Null);
        let text = || Some(value).filter(|value| !value.is_null()).map_or_else(String::new, values::as_text);
        match field {
            RecordField::Timestamp => {
                let unix_nano = match value {
                    Value::Timestamp(time) => time.timestamp_nanos_opt(),
                    _ => None,
                };
                let unix_nano = unix_nano.ok_or(Failed::BadValue)?;
                if unix_nano != record.time() {
                    edit.time = Some(unix_nano);
                }
            }
            RecordField::SeverityNumber => {
                let number = value.as_integer().filter(|number| (0..=24).contains(number)).ok_or(Failed::BadValue)?;
                if number != i64::from(record.severity_number().unwrap_or(0)) {
                    edit.severity_number = Some(Some(number as i32).filter(|number| *number > 0));
                }
            }
            RecordField::TraceId => put_id(&mut edit.trace_id, text(), record.trace_id(), 32)?,
            RecordField::SpanId => put_id(&mut edit.span_id, text(), record.span_id(), 16)?,
            RecordField::Body => {
                let body = text();
                bytes += body.len();
                if body != record.body() {
                    (edit.body, edit.plain_body) = (Some(body), true);
                }
            }
            RecordField::SeverityText => bytes += put(&mut edit.severity_text, text(), record.severity_text()),
            RecordField::EventName => bytes += put(&mut edit.event_name, text(), record.event_name()),
            RecordField::Attributes => {
                let Value::Object(all) = value else { return Err(Failed::BadValue) };
                if let Some(attributes) = attributes(all, record) {
                    bytes += attributes.iter().map(|attribute| attribute.key.len() + attribute.text.len()).sum::<usize>();
                    edit.attributes = Some(attributes);
                }
            }
            _ => {}
        }
    }
    if bytes > RECORD_BYTES_MAX {
        return Err(Failed::Memory);
    }
    record.edit = edit;
    Ok(())
}

/// Gives the length of what is put.
fn put(edit: &mut Option<String>, text: String, before: &str) -> usize {
    let bytes = text.len();
    if text != before {
        *edit = Some(text);
    }
    bytes
}

/// Hexadecimal digits, or nothing.
fn put_id(edit: &mut Option<String>, text: String, before: &str, digits: usize) -> Result<(), Failed> {
    let text = text.to_ascii_lowercase();
    let sound = text.is_empty() || text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !sound && text != before {
        return Err(Failed::BadValue);
    }
    put(edit, text, before);
    Ok(())
}

/// What is there in the order in which it came, what is new behind it; none when nothing changed.
fn attributes(values: &ObjectMap, record: &Record<'_>) -> Option<Vec<Attribute>> {
    let (mut all, mut changed) = (Vec::with_capacity(values.len()), false);
    record.each_attribute(|key, kind, text| match values.get(key) {
        None => changed = true,
        Some(value) if *value == values::of_attribute(kind, text) => {
            all.push(Attribute { key: key.to_owned(), kind, text: text.to_owned() });
        }
        Some(value) => {
            let (kind, text) = values::as_attribute(value);
            all.push(Attribute { key: key.to_owned(), kind, text });
            changed = true;
        }
    });
    if all.len() < values.len() {
        changed = true;
        let known: hashbrown::HashSet<String> = all.iter().map(|attribute| attribute.key.clone()).collect();
        for (key, value) in values.iter().filter(|(key, _)| !known.contains(key.as_str())) {
            let (kind, text) = values::as_attribute(value);
            all.push(Attribute { key: key.as_str().to_owned(), kind, text });
        }
    }
    changed.then_some(all)
}
