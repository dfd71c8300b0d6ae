//! What a pipeline that is not in force would do, record by record. Nothing is stored, counted or remembered.

use arrow::array::RecordBatch;
use catalog::{Catalog, Pipeline};
use model::logs::{LogRow, LogsBuilder};
use model::origin::Origins;
use model::said::{severity, time};
use model::{AttributeValue, Attributes, Decoded, Error, Identified, Identity, Result, Table, Trial, Tried, TriedStage};
use serde_json::{Map, Value as Json, json};

use crate::Coming;
use crate::owners::Owners;

use super::record::{Columns, Record};
use super::{Edit, Fate, Plan, PseudonymKey, Transform, Walk, What, rebuild, values};

/// Of one trial.
const RECORDS_MAX: usize = 1000;

/// Runs the text of a pipeline's file over records. What it matches by identity is left to whoever chose the records; its condition counts.
pub fn try_draft(
    file: &str,
    text: &str,
    tables: &[(&str, &str)],
    records: &[Json],
    key: Option<PseudonymKey>,
    now_ms: i64,
) -> Result<Trial> {
    let pipeline = match catalog::draft(file, text, tables) {
        Ok(pipeline) => pipeline,
        Err(problems) => return Ok(Trial { problems: problems.iter().map(ToString::to_string).collect(), ..Trial::default() }),
    };
    if records.len() > RECORDS_MAX {
        return Err(Error::invalid(format!("cannot try {} records: records_max is {RECORDS_MAX}", records.len())));
    }
    let batch = Decoded::new(Table::Logs, batch(records, now_ms)?, "draft");
    let Identified(batch) = crate::identify::identify(batch, &Catalog::default())?;
    Ok(Trial { records: tried(&pipeline, &batch.records, key, now_ms)?, problems: Vec::new() })
}

fn tried(pipeline: &Pipeline, records: &RecordBatch, key: Option<PseudonymKey>, now_ms: i64) -> Result<Vec<Tried>> {
    let plan = Plan::of(std::slice::from_ref(pipeline));
    let transform = Transform::default().with_key(key);
    let origins = Origins::of(records).ok_or_else(|| Error::internal("cannot try rows that are not packed"))?;
    let (owners, columns) = (Owners::of(&origins)?, Columns::of(records)?);
    let mut all = Vec::with_capacity(records.num_rows());
    for row in 0..records.num_rows() {
        let mut record = Record::of(&owners, &columns, row);
        let before = shown(&record);
        let mut walk = Walk::new(&transform, &plan, now_ms, Coming::New);
        let fate = walk.pipeline((0, &plan.pipelines[0]), &mut record);
        let outcome = walk.ended(&plan, &owners.each);
        let mut notes = Vec::new();
        let (mut dropped, mut matched) = (None, false);
        for (cause, _) in outcome.counts.iter() {
            let note = |what| TriedStage { stage: cause.stage.clone(), what, reason: cause.reason.clone() };
            match cause.what {
                What::Dropped => dropped = Some(note("dropped")),
                What::Failed => notes.push(note("failed")),
                What::Masked => notes.push(note("masked")),
                What::Seen => matched = true,
            }
        }
        notes.sort();
        // Repetitions are seen within a trial, too.
        transform.seen.learn(outcome.news, now_ms);
        // As it would be stored, not as the stages left it.
        let after = if fate == Fate::Dropped { None } else { Some(stored(records, &columns, row, record.edit)?) };
        all.push(Tried { before, matched, after, dropped, notes });
    }
    Ok(all)
}

/// The row as it is in a batch that is rebuilt with its edit.
fn stored(records: &RecordBatch, columns: &Columns<'_>, row: usize, edit: Edit) -> Result<Json> {
    let records = rebuild::rebuilt(records, columns, &[(row, edit)], None)?;
    let origins = Origins::of(&records).ok_or_else(|| Error::internal("cannot show rows that are not packed"))?;
    let (owners, columns) = (Owners::of(&origins)?, Columns::of(&records)?);
    Ok(shown(&Record::of(&owners, &columns, row)))
}

/// A record as programs see it; what is empty is left out.
fn shown(record: &Record<'_>) -> Json {
    let mut fields = Map::new();
    let rfc3339 = |unix_nano: i64| chrono::DateTime::from_timestamp_nanos(unix_nano).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
    fields.insert("timestamp".to_owned(), json!(rfc3339(record.time())));
    if let Some(number) = record.severity_number() {
        fields.insert("severity_number".to_owned(), json!(number));
    }
    let texts = [
        ("severity_text", record.severity_text()),
        ("body", record.body()),
        ("trace_id", record.trace_id()),
        ("span_id", record.span_id()),
        ("event_name", record.event_name()),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        fields.insert(name.to_owned(), json!(text));
    }
    let as_json = |value: &vrl::value::Value| serde_json::to_value(value).unwrap_or_default();
    let mut attributes = Map::new();
    record.each_attribute(|key, kind, text| drop(attributes.insert(key.to_owned(), as_json(&values::of_attribute(kind, text)))));
    let place = record.columns.origins.place(record.row);
    let resource = record.columns.resource.iter_typed(place);
    let resource: Map<String, Json> =
        resource.map(|(key, kind, text)| (key.to_owned(), as_json(&values::of_attribute(kind, text)))).collect();
    for (name, map) in [("attributes", attributes), ("resource", resource)] {
        if !map.is_empty() {
            fields.insert(name.to_owned(), Json::Object(map));
        }
    }
    Json::Object(fields)
}

/// Records as [`shown`] writes them, as rows of the SQL table `logs`, or as bare lines.
pub(crate) fn batch(records: &[Json], now_ms: i64) -> Result<RecordBatch> {
    let now_unix_nano = now_ms.saturating_mul(1_000_000);
    let mut builder = LogsBuilder::default();
    for (number, record) in records.iter().enumerate() {
        let empty = Map::new();
        let fields = match record {
            Json::Object(fields) => fields,
            Json::String(line) => {
                let row = LogRow { time_unix_nano: now_unix_nano, body: line, ..LogRow::default() };
                builder.push(&row, &Attributes::default(), &Attributes::default());
                continue;
            }
            _ => return Err(Error::invalid(format!("cannot read record {}: it is an object or a line of text", number + 1))),
        };
        let text = |name: &str| fields.get(name).and_then(Json::as_str).unwrap_or_default();
        let map = |names: [&str; 2]| names.iter().find_map(|name| fields.get(*name)?.as_object()).unwrap_or(&empty);
        let unix_nano = fields.get("time_unix_nano").and_then(|value| value.as_i64().or_else(|| value.as_str()?.parse().ok()));
        let severity_number = fields.get("severity_number").and_then(Json::as_i64).and_then(|number| i32::try_from(number).ok());
        let row = LogRow {
            time_unix_nano: unix_nano.or_else(|| time::of_text(text("timestamp"), now_unix_nano)).unwrap_or(now_unix_nano),
            severity_number: severity_number.or_else(|| severity::number_of(text("severity_text"))).filter(|number| *number > 0),
            severity_text: text("severity_text"),
            body: text("body"),
            service_name: text("service_name"),
            trace_id: text("trace_id"),
            span_id: text("span_id"),
            event_name: text("event_name"),
            observed_time_unix_nano: fields.get("observed_time_unix_nano").and_then(Json::as_i64),
            body_type: text("body_type"),
            flags: fields.get("flags").and_then(Json::as_i64),
            scope_name: text("scope_name"),
            scope_version: text("scope_version"),
            ..LogRow::default()
        };
        let types = text("attribute_types").as_bytes();
        for (at, (key, value)) in map(["attributes", "attributes"]).iter().enumerate() {
            let letter = types.get(at).copied();
            with_attribute(value, letter, |value| builder.attributes.push(key, value));
        }
        let mut resource = Attributes::default();
        let types = text("resource_attribute_types").as_bytes();
        for (at, (key, value)) in map(["resource", "resource_attributes"]).iter().enumerate() {
            with_attribute(value, types.get(at).copied(), |value| resource.add(key, value));
        }
        // Whose it is stands in columns of its own.
        for name in Identity::FIELDS.into_iter().filter(|name| !text(name).is_empty()) {
            resource.add(&format!("omd.{name}"), AttributeValue::Text(text(name)));
        }
        builder.push(&row, &resource, &Attributes::default());
    }
    Ok(builder.finish_packed())
}

/// The attribute that a JSON value is; a letter says what a text was before it became one. Gives whether it was taken.
fn with_attribute(value: &Json, letter: Option<u8>, then: impl FnOnce(AttributeValue<'_>) -> bool) -> bool {
    match (value, letter) {
        (Json::String(text), Some(letter)) => then(AttributeValue::Encoded(model::AttributeType::from_letter(letter), text)),
        (Json::String(text), None) => then(AttributeValue::Text(text)),
        (other, _) => {
            let (kind, text) = values::as_attribute(&catalog::programs::of_json(other));
            then(AttributeValue::Encoded(kind, &text))
        }
    }
}
