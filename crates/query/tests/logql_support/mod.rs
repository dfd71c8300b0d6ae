//! What the LogQL tests share: log lines in memory, and the text language in which cases load them.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::TryStreamExt;
use model::logs::{LogRow, LogsBuilder};
use model::{Arrival, AttributeValue, Attributes, Following, Order, Result, Scan, ScanRequest, ScanStream, Table, TimeRange};
use query::logql::LogqlEngine;
use testkit::memory_scan::MemoryScan;

/// Small, so that every test crosses batches.
const BATCH_ROWS: usize = 5;

/// Collects `load` lines: `{labels} "line" @ 10s [repeat every 10s for 3] [severity 17] [metadata key="value"]`.
#[derive(Default)]
pub(crate) struct Loader {
    builder: LogsBuilder,
}

impl Loader {
    pub(crate) fn load(&mut self, text: &str) {
        let mut cursor = Cursor(text);
        let labels = cursor.labels();
        let line = cursor.string();
        cursor.expect("@");
        let start_ns = duration_ns(cursor.word());
        let (mut every_ns, mut times) = (0, 1);
        let (mut metadata, mut severity_number) = (Vec::new(), None);
        while cursor.accept("[") {
            match cursor.word() {
                "repeat" => {
                    cursor.expect("every");
                    every_ns = duration_ns(cursor.word());
                    cursor.expect("for");
                    times = cursor.word().parse().expect("a number of repetitions");
                }
                "severity" => severity_number = Some(cursor.word().parse().expect("a severity's number")),
                "metadata" => {
                    while !cursor.peek("]") {
                        metadata.push(cursor.pair());
                        cursor.accept(",");
                    }
                }
                other => panic!("{other:?} is none of repeat, severity, metadata: {text}"),
            }
            cursor.expect("]");
        }
        let mut resource = Attributes::default();
        for (name, value) in &labels {
            resource.set(name, AttributeValue::Text(value));
        }
        // As a receiver does.
        let named = |wanted: &str| labels.iter().find(|(name, value)| name == wanted && !value.is_empty());
        let service_name = named("service.name").or_else(|| named("service_name")).map_or("", |(_, value)| value);
        for index in 0..times {
            for (name, value) in &metadata {
                self.builder.attributes.push(name, AttributeValue::Text(value));
            }
            let row =
                LogRow { time_unix_nano: start_ns + every_ns * index, body: &line, service_name, severity_number, ..LogRow::default() };
            self.builder.push(&row, &resource, &Attributes::default());
        }
    }

    pub(crate) fn lines(mut self) -> MemoryScan {
        let scan = MemoryScan::in_batches_of(BATCH_ROWS);
        scan.push(Table::Logs, self.builder.finish());
        scan
    }

    pub(crate) fn engine(self) -> LogqlEngine {
        LogqlEngine::new(Arc::new(Arriving(self.lines())))
    }
}

/// Of the time that a tail asks for the second half is yet to come.
struct Arriving(MemoryScan);

#[async_trait]
impl Scan for Arriving {
    fn schema(&self, table: Table) -> SchemaRef {
        self.0.schema(table)
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanStream> {
        self.0.scan(request).await
    }

    async fn follow(&self, request: ScanRequest) -> Result<Following> {
        let TimeRange { start_ns, end_ns } = request.time;
        let middle_ns = start_ns.midpoint(end_ns);
        let first = ScanRequest { time: TimeRange::new(start_ns, middle_ns), ..request.clone() };
        let second = ScanRequest { time: TimeRange::new(middle_ns, end_ns), order: Order::Any, limit: None, ..request };
        let arriving = self.0.scan(second).await?.map_ok(Arrival::Rows);
        Ok(Following { stored: self.0.scan(first).await?, arriving: Box::pin(arriving) })
    }
}

/// Whole numbers with a unit: `90s`, `500ms`, `2m`.
pub(crate) fn duration_ns(text: &str) -> i64 {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let size = match &text[split..] {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "" if text == "0" => 0,
        unit => panic!("{unit:?} is no unit of a duration: {text}"),
    };
    text[..split].parse::<i64>().expect("a whole number") * size
}

/// Reads a line of a case from left to right.
pub(crate) struct Cursor<'a>(pub(crate) &'a str);

impl<'a> Cursor<'a> {
    pub(crate) fn peek(&mut self, symbol: &str) -> bool {
        self.0 = self.0.trim_start();
        self.0.starts_with(symbol)
    }

    pub(crate) fn accept(&mut self, symbol: &str) -> bool {
        let found = self.peek(symbol);
        if found {
            self.0 = &self.0[symbol.len()..];
        }
        found
    }

    pub(crate) fn expect(&mut self, symbol: &str) {
        assert!(self.accept(symbol), "{symbol:?} must stand before {:?}", self.0);
    }

    pub(crate) fn word(&mut self) -> &'a str {
        self.0 = self.0.trim_start();
        let end = self.0.find(|c: char| c.is_whitespace() || matches!(c, ']' | ',' | '=' | '{' | '}')).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word
    }

    pub(crate) fn string(&mut self) -> String {
        if self.accept("`") {
            let (raw, rest) = self.0.split_once('`').expect("a raw text ends");
            self.0 = rest;
            return raw.to_owned();
        }
        self.expect("\"");
        let mut value = String::new();
        let mut chars = self.0.chars();
        loop {
            match chars.next().expect("a text ends") {
                '"' => break,
                '\\' => value.push(match chars.next().expect("an escape ends") {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                }),
                other => value.push(other),
            }
        }
        self.0 = chars.as_str();
        value
    }

    pub(crate) fn pair(&mut self) -> (String, String) {
        let name = self.word().to_owned();
        self.expect("=");
        (name, self.string())
    }

    pub(crate) fn labels(&mut self) -> Vec<(String, String)> {
        self.expect("{");
        let mut labels = Vec::new();
        while !self.accept("}") {
            labels.push(self.pair());
            self.accept(",");
        }
        labels.sort();
        labels
    }
}

/// `instant at 60s QUERY` or `range from 0s to 60s step 10s QUERY`: start, end, step, and the query.
pub(crate) fn evaluation(text: &str) -> (i64, i64, Option<i64>, &str) {
    let mut cursor = Cursor(text);
    if cursor.accept("instant at") {
        let at_ns = duration_ns(cursor.word());
        return (at_ns, at_ns, None, cursor.0.trim());
    }
    cursor.expect("range from");
    let start_ns = duration_ns(cursor.word());
    cursor.expect("to");
    let end_ns = duration_ns(cursor.word());
    cursor.expect("step");
    let step_ns = duration_ns(cursor.word());
    (start_ns, end_ns, Some(step_ns), cursor.0.trim())
}
