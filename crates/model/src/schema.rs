//! The canonical Arrow schemas: what a receiver builds, what the head holds, what a scan gives. The lake's Parquet files say the same,
//! but for the values of samples (`store/src/lake/values.rs`), the bodies of logs (`store/src/lake/template.rs`) and their declared attributes
//! (`store/src/lake/fields.rs`).
//! `docs/formats/lake.md` describes each column to people who read the lake without Tyto.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ListArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use crate::{Error, Identity, Result};

/// A table of the lake, one per signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    Logs,
    Spans,
    Samples,
    /// Log records that break their contract, set aside.
    Quarantine,
}

impl Table {
    pub const ALL: [Self; 4] = [Self::Logs, Self::Spans, Self::Samples, Self::Quarantine];

    pub fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Spans => "spans",
            Self::Samples => "samples",
            Self::Quarantine => "quarantine",
        }
    }

    /// What senders count in a batch of this table: log records, spans, points of samples.
    pub fn records_in(self, batch: &RecordBatch) -> Result<u64> {
        Ok(match self {
            Self::Logs | Self::Spans | Self::Quarantine => batch.num_rows() as u64,
            Self::Samples => {
                let offsets = column::<ListArray>(batch, "timestamps")?.value_offsets();
                (offsets[offsets.len() - 1] - offsets[0]) as u64
            }
        })
    }

    /// First and last instant of a row, nanoseconds since the Unix epoch; the same column where a row is an instant.
    pub fn time_columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Logs => ("time_unix_nano", "time_unix_nano"),
            Self::Spans => ("start_time_unix_nano", "start_time_unix_nano"),
            Self::Samples => ("min_time_unix_nano", "max_time_unix_nano"),
            // A record that comes late is not to be forgotten the sooner.
            Self::Quarantine => ("quarantined_at_unix_nano", "quarantined_at_unix_nano"),
        }
    }

    /// The columns by which a file of the lake is sorted.
    pub fn sort_columns(self) -> &'static [&'static str] {
        match self {
            Self::Logs => &["business_service", "time_unix_nano"],
            Self::Spans => &["business_service", "start_time_unix_nano"],
            Self::Samples => &["name", "series_id", "min_time_unix_nano"],
            Self::Quarantine => &["business_service", "quarantined_at_unix_nano"],
        }
    }

    /// Columns of texts of which few are different, each in many rows.
    pub fn repeating_columns(self) -> &'static [&'static str] {
        static LOGS: LazyLock<Vec<&str>> =
            LazyLock::new(|| with_identity(&["severity_text", "body_type", "service_name", "event_name", "scope_name", "scope_version"]));
        static SPANS: LazyLock<Vec<&str>> =
            LazyLock::new(|| with_identity(&["name", "kind", "status_code", "service_name", "scope_name", "scope_version"]));
        static SAMPLES: LazyLock<Vec<&str>> = LazyLock::new(|| with_identity(&["name", "type", "unit"]));
        static QUARANTINE: LazyLock<Vec<&str>> = LazyLock::new(|| {
            let own = ["violations", "contract", "contract_version", "protocol", "state"];
            LOGS.iter().copied().chain(own).collect()
        });
        match self {
            Self::Logs => &LOGS,
            Self::Spans => &SPANS,
            Self::Samples => &SAMPLES,
            Self::Quarantine => &QUARANTINE,
        }
    }

    /// Of batches on their way to the lake.
    pub fn packed_schema(self) -> SchemaRef {
        crate::origin::packed_schema(self)
    }

    pub fn schema(self) -> SchemaRef {
        static LOGS: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(logs())));
        static SPANS: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(spans())));
        static SAMPLES: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(samples())));
        static QUARANTINE: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(quarantine())));
        match self {
            Self::Logs => LOGS.clone(),
            Self::Spans => SPANS.clone(),
            Self::Samples => SAMPLES.clone(),
            Self::Quarantine => QUARANTINE.clone(),
        }
    }
}

impl std::str::FromStr for Table {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|table| table.name() == name)
            .ok_or_else(|| Error::invalid(format!("cannot find table {name:?}: tables are logs, spans, samples, quarantine")))
    }
}

/// The typed column of that name; an error when it was projected away or has another type.
pub fn column<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a A> {
    batch
        .column_by_name(name)
        .ok_or_else(|| Error::internal(format!("cannot find column {name:?} in a record batch")))?
        .as_any()
        .downcast_ref()
        .ok_or_else(|| Error::internal(format!("cannot read column {name:?}: it has another type")))
}

/// `MAP<text, text>`, with the field names that Parquet and Delta use.
pub fn map_type() -> DataType {
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(map_entry_fields()), false)), false)
}

pub(crate) fn map_entry_fields() -> Fields {
    vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)].into()
}

pub(crate) fn list_type(element: DataType) -> DataType {
    DataType::List(list_element(element))
}

pub(crate) fn list_element(element: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", element, true))
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn long(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn instant(name: &str) -> Field {
    Field::new(name, DataType::Int64, false)
}

fn map(name: &str) -> Field {
    Field::new(name, map_type(), true)
}

fn with_identity(columns: &[&'static str]) -> Vec<&'static str> {
    columns.iter().copied().chain(Identity::FIELDS).collect()
}

fn identity() -> impl Iterator<Item = Field> {
    Identity::FIELDS.into_iter().map(text)
}

/// Resource, scope and record attributes: a readable map, and beside it one letter per entry for the type.
fn attributes() -> [Field; 8] {
    [
        text("scope_name"),
        text("scope_version"),
        map("scope_attributes"),
        text("scope_attribute_types"),
        map("resource_attributes"),
        text("resource_attribute_types"),
        map("attributes"),
        text("attribute_types"),
    ]
}

fn logs() -> Vec<Field> {
    let mut fields = vec![
        instant("time_unix_nano"),
        long("observed_time_unix_nano"),
        Field::new("severity_number", DataType::Int32, true),
        text("severity_text"),
        text("body"),
        text("body_type"),
    ];
    fields.extend(identity());
    fields.extend([text("service_name"), text("trace_id"), text("span_id"), text("event_name"), long("flags")]);
    fields.extend(attributes());
    fields.push(long("dropped_attributes_count"));
    fields
}

/// A log record as it came, why it was set aside, and what became of it. Of an id there is one row that has the record, and later
/// perhaps one that has only its identity, its times and its new state.
fn quarantine() -> Vec<Field> {
    let mut fields = logs();
    fields.extend([
        text("quarantine_id"),
        instant("quarantined_at_unix_nano"),
        text("violations"),
        text("contract"),
        text("contract_version"),
        text("protocol"),
        text("state"),
        long("state_unix_nano"),
    ]);
    fields
}

fn spans() -> Vec<Field> {
    let mut fields = vec![
        instant("start_time_unix_nano"),
        instant("end_time_unix_nano"),
        instant("duration_nano"),
        text("trace_id"),
        text("span_id"),
        text("parent_span_id"),
        text("trace_state"),
        long("flags"),
        text("name"),
        text("kind"),
        text("status_code"),
        text("status_message"),
    ];
    fields.extend(identity());
    fields.push(text("service_name"));
    fields.extend(attributes());
    fields.extend([
        Field::new("events", list_type(DataType::Struct(event_fields())), true),
        Field::new("links", list_type(DataType::Struct(link_fields())), true),
        long("dropped_attributes_count"),
        long("dropped_events_count"),
        long("dropped_links_count"),
    ]);
    fields
}

pub(crate) fn event_fields() -> Fields {
    vec![long("time_unix_nano"), text("name"), map("attributes"), text("attribute_types")].into()
}

pub(crate) fn link_fields() -> Fields {
    vec![text("trace_id"), text("span_id"), text("trace_state"), map("attributes"), text("attribute_types")].into()
}

fn samples() -> Vec<Field> {
    let mut fields = vec![text("name")];
    fields.extend(identity());
    fields.extend([
        map("labels"),
        long("series_id"),
        text("type"),
        text("unit"),
        text("help"),
        instant("min_time_unix_nano"),
        instant("max_time_unix_nano"),
        Field::new("timestamps", list_type(DataType::Int64), true),
        Field::new("values", list_type(DataType::Float64), true),
        Field::new("histograms", list_type(DataType::Struct(histogram_fields())), true),
        Field::new("exemplars", list_type(DataType::Struct(exemplar_fields())), true),
        Field::new("start_timestamps", list_type(DataType::Int64), true),
    ]);
    fields
}

pub(crate) fn histogram_fields() -> Fields {
    let indices = |name: &str| Field::new(name, list_type(DataType::Int32), true);
    let numbers = |name: &str| Field::new(name, list_type(DataType::Float64), true);
    vec![
        Field::new("schema", DataType::Int32, true),
        Field::new("count", DataType::Float64, true),
        Field::new("sum", DataType::Float64, true),
        Field::new("zero_threshold", DataType::Float64, true),
        Field::new("zero_count", DataType::Float64, true),
        indices("positive_indices"),
        numbers("positive_counts"),
        indices("negative_indices"),
        numbers("negative_counts"),
        numbers("custom_bounds"),
        Field::new("reset_hint", DataType::Int32, true),
    ]
    .into()
}

pub(crate) fn exemplar_fields() -> Fields {
    vec![
        Field::new("timestamp", DataType::Int64, true),
        Field::new("value", DataType::Float64, true),
        text("trace_id"),
        text("span_id"),
        map("labels"),
    ]
    .into()
}
