//! A log record as its component writes it: JSON, logfmt or plain text.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};

use crate::company::Style;
use crate::wire::IntoValue;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Severity {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }

    fn lower(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    pub(crate) fn number(self) -> SeverityNumber {
        match self {
            Self::Debug => SeverityNumber::Debug,
            Self::Info => SeverityNumber::Info,
            Self::Warn => SeverityNumber::Warn,
            Self::Error => SeverityNumber::Error,
            Self::Fatal => SeverityNumber::Fatal,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) time_unix_nano: u64,
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) fields: Vec<KeyValue>,
    /// Set on business events and deployments. They are sentences with attributes whatever the component's style is: people
    /// who are no engineers read them.
    pub(crate) event_name: &'static str,
    pub(crate) trace_id: Vec<u8>,
    pub(crate) span_id: Vec<u8>,
}

impl Line {
    pub(crate) fn into_record(self, style: Style) -> LogRecord {
        let style = if self.event_name.is_empty() { style } else { Style::Plain };
        let (body, attributes) = match style {
            Style::Json => (json(&self), Vec::new()),
            Style::Logfmt => (logfmt(&self), Vec::new()),
            Style::Plain => (self.message, self.fields),
        };
        LogRecord {
            time_unix_nano: self.time_unix_nano,
            observed_time_unix_nano: self.time_unix_nano,
            severity_number: self.severity.number() as i32,
            severity_text: self.severity.text().to_owned(),
            body: Some(AnyValue { value: Some(body.into_value()) }),
            attributes,
            dropped_attributes_count: 0,
            flags: u32::from(!self.trace_id.is_empty()),
            trace_id: self.trace_id,
            span_id: self.span_id,
            event_name: self.event_name.to_owned(),
        }
    }
}

fn json(line: &Line) -> String {
    let mut object = serde_json::Map::new();
    object.insert("level".to_owned(), line.severity.lower().into());
    object.insert("msg".to_owned(), line.message.as_str().into());
    for field in &line.fields {
        let value = match value_of(field) {
            Some(Value::StringValue(text)) => text.as_str().into(),
            Some(Value::IntValue(number)) => (*number).into(),
            Some(Value::DoubleValue(number)) => (*number).into(),
            _ => serde_json::Value::Null,
        };
        object.insert(field.key.clone(), value);
    }
    serde_json::Value::Object(object).to_string()
}

fn logfmt(line: &Line) -> String {
    let mut text = format!("level={} msg={:?}", line.severity.lower(), line.message);
    for field in &line.fields {
        text.push(' ');
        text.push_str(&field.key.replace('.', "_"));
        text.push('=');
        match value_of(field) {
            Some(Value::StringValue(value)) if value.contains([' ', '"', '=']) => text.push_str(&format!("{value:?}")),
            Some(Value::StringValue(value)) => text.push_str(value),
            Some(Value::IntValue(number)) => text.push_str(&number.to_string()),
            Some(Value::DoubleValue(number)) => text.push_str(&number.to_string()),
            _ => {}
        }
    }
    text
}

fn value_of(field: &KeyValue) -> Option<&Value> {
    field.value.as_ref()?.value.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::attribute;

    fn check(style: Style, event_name: &'static str, expected: &str, attributes: usize) {
        let fields = vec![attribute("http.route", "/v1/home page"), attribute("status", 200i64), attribute("duration_ms", 1.5)];
        let line = Line {
            time_unix_nano: 1,
            severity: Severity::Warn,
            message: "took \"long\"".to_owned(),
            fields,
            event_name,
            trace_id: vec![],
            span_id: vec![],
        };
        let record = line.into_record(style);
        assert_eq!(record.body.and_then(|body| body.value), Some(expected.into_value()));
        assert_eq!(record.attributes.len(), attributes);
    }

    #[test]
    fn each_style_carries_the_fields() {
        check(Style::Json, "", r#"{"level":"warn","msg":"took \"long\"","http.route":"/v1/home page","status":200,"duration_ms":1.5}"#, 0);
        check(Style::Logfmt, "", r#"level=warn msg="took \"long\"" http_route="/v1/home page" status=200 duration_ms=1.5"#, 0);
        check(Style::Plain, "", "took \"long\"", 3);
        check(Style::Json, "payment.taken", "took \"long\"", 3);
    }
}
