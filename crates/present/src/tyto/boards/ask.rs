//! The questions of tiles in each language, and what their answers come to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, Float64Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use catalog::{Language, Question};
use model::{Answered, Ask, Direction, Error, Labels, Result};

use crate::error::mismatch;
use crate::rows::{Rows, gathered};
use crate::state::{PresentState, within};

/// Points of a chart, about.
const POINTS: i64 = 60;
/// Seconds that people count in.
const STEPS_S: [i64; 14] = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 7 * 86_400];
/// Series of a chart: more are no picture.
const CURVES_MAX: usize = 20;
/// Rows of an answer in SQL.
const ROWS_MAX: usize = 5000;

/// What a board is about, milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    /// How far back that lies which it is compared with.
    pub(super) back_ms: i64,
}

impl Window {
    pub(super) fn before(self) -> Self {
        let back = |time_ms: i64| time_ms.saturating_sub(self.back_ms);
        Self { start_ms: back(self.start_ms), end_ms: back(self.end_ms), ..self }
    }

    pub(super) fn step_ms(self) -> i64 {
        let about_s = (self.end_ms - self.start_ms) / 1000 / POINTS;
        STEPS_S.into_iter().find(|step| *step >= about_s).unwrap_or(STEPS_S[STEPS_S.len() - 1]) * 1000
    }

    /// The question for this time. Durations are whole seconds, the least one.
    fn fill(self, question: &Question) -> String {
        let (range_ms, step_ms) = (self.end_ms - self.start_ms, self.step_ms());
        let text = &question.text;
        match question.language {
            Language::Sql => {
                let nanos = |ms: i64| ms.saturating_mul(1_000_000).to_string();
                text.replace("$start", &nanos(self.start_ms)).replace("$end", &nanos(self.end_ms)).replace("$step", &nanos(step_ms))
            }
            Language::Promql | Language::Logql => {
                let duration = |ms: i64| format!("{}s", (ms / 1000).max(1));
                text.replace("$range", &duration(range_ms)).replace("$step", &duration(step_ms))
            }
        }
    }
}

/// The questions of one tile, and what the answers say is doubtful about themselves: a part of a company looks like all of it.
pub(super) struct Asker<'a> {
    state: &'a PresentState,
    warnings: Mutex<BTreeSet<String>>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(state: &'a PresentState) -> Self {
        Self { state, warnings: Mutex::default() }
    }

    async fn ask(&self, ask: Ask) -> Result<Answered> {
        let answer = self.state.ask(ask, None).await?;
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(answer.warnings);
        Ok(answer.data)
    }

    /// Each once.
    pub(super) fn into_warnings(self) -> BTreeSet<String> {
        self.warnings.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that happened.
pub(super) struct Event {
    pub(super) time_ns: i64,
    pub(super) line: String,
    pub(super) fields: BTreeMap<String, String>,
}

pub(super) struct Curve {
    pub(super) fields: BTreeMap<String, String>,
    pub(super) points: Vec<(i64, f64)>,
}

/// One number, at the end of the window; none where there is nothing.
pub(super) async fn number(asker: &Asker<'_>, question: &Question, window: Window) -> Result<Option<f64>> {
    let query = window.fill(question);
    let ask = match question.language {
        Language::Promql => Ask::PromqlInstant { query, at_ms: window.end_ms, lookback: None },
        Language::Logql => {
            Ask::LogqlInstant { query, at_ns: window.end_ms.saturating_mul(1_000_000), limit: 1, direction: Direction::Backward }
        }
        Language::Sql => {
            let rows = rows(asker, query).await?;
            let column = rows.batch().columns().iter().find(|column| column.data_type().is_numeric());
            let column = column.ok_or_else(|| Error::invalid("cannot find a number in the answer: SELECT one"))?;
            return match rows.len() {
                0 => Ok(None),
                1 => Ok(typed::<Float64Array>(column, &DataType::Float64)?.iter().next().flatten()),
                many => Err(too_many(many)),
            };
        }
    };
    match asker.ask(ask).await? {
        Answered::Scalar { value, .. } => Ok(Some(value)),
        Answered::Vector(samples) if samples.len() > 1 => Err(too_many(samples.len())),
        Answered::Vector(samples) if samples.iter().any(|sample| sample.histogram.is_some()) => {
            Err(Error::invalid("cannot show a histogram as a number: take histogram_count() or histogram_quantile() of it"))
        }
        Answered::Vector(samples) => Ok(samples.first().map(|sample| sample.value)),
        _ => Err(Error::invalid("cannot show the answer as a number: ask for a count, a sum or another metric")),
    }
}

fn too_many(values: usize) -> Error {
    Error::invalid(format!("cannot show {values} values as one number: sum them, or pick one"))
}

/// The newest events of the window, newest first.
pub(super) async fn events(asker: &Asker<'_>, question: &Question, window: Window, limit: usize) -> Result<Vec<Event>> {
    let query = window.fill(question);
    if question.language == Language::Sql {
        return sql_events(&rows(asker, query).await?, limit);
    }
    let (start_ns, end_ns) = (window.start_ms.saturating_mul(1_000_000), window.end_ms.saturating_mul(1_000_000));
    let ask = Ask::LogqlRange { query, start_ns, end_ns, step_ns: 1_000_000_000, limit, direction: Direction::Backward };
    let Answered::Streams(streams) = asker.ask(ask).await? else {
        return Err(Error::invalid("cannot show the answer as events: ask for lines, not for a metric"));
    };
    let mut events = Vec::new();
    for stream in streams {
        let labels = fields(&stream.labels);
        for entry in stream.entries {
            let mut all = labels.clone();
            all.extend(fields(&entry.structured_metadata));
            all.extend(fields(&entry.parsed));
            events.push(Event { time_ns: entry.time_ns, line: entry.line, fields: all });
        }
    }
    events.sort_by_key(|event| std::cmp::Reverse(event.time_ns));
    events.truncate(limit);
    Ok(events)
}

fn fields(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Rows with `time` and any other columns; `line` is the line.
fn sql_events(rows: &Rows, limit: usize) -> Result<Vec<Event>> {
    let times = nanos(rows)?;
    let schema = rows.batch().schema();
    let columns = schema.fields().iter().zip(rows.batch().columns()).filter(|(field, _)| field.name() != "time");
    let columns: Vec<(&str, StringArray)> =
        columns.map(|(field, column)| Ok((field.name().as_str(), typed(column, &DataType::Utf8)?))).collect::<Result<_>>()?;
    let event = |row: usize| {
        let value = |(name, column): &(&str, StringArray)| column.is_valid(row).then(|| ((*name).to_owned(), column.value(row).to_owned()));
        let fields: BTreeMap<_, _> = columns.iter().filter_map(value).collect();
        Event { time_ns: times.value(row), line: fields.get("line").cloned().unwrap_or_default(), fields }
    };
    let mut events: Vec<_> = (0..rows.len()).map(event).collect();
    events.sort_by_key(|event| std::cmp::Reverse(event.time_ns));
    events.truncate(limit);
    Ok(events)
}

/// Series over the window.
pub(super) async fn curves(asker: &Asker<'_>, question: &Question, window: Window, step_ms: i64) -> Result<Vec<Curve>> {
    let query = window.fill(question);
    // Whole steps, so that a bar stays the bar of its hour; the last one is not over yet.
    let up = |ms: i64| ms.saturating_add(step_ms - 1).div_euclid(step_ms).saturating_mul(step_ms);
    let (start_ms, end_ms) = (up(window.start_ms), up(window.end_ms));
    let ask = match question.language {
        Language::Promql => Ask::PromqlRange { query, start_ms, end_ms, step_ms, lookback: None },
        Language::Logql => Ask::LogqlRange {
            query,
            start_ns: start_ms.saturating_mul(1_000_000),
            end_ns: end_ms.saturating_mul(1_000_000),
            step_ns: step_ms.saturating_mul(1_000_000),
            limit: 1,
            direction: Direction::Backward,
        },
        Language::Sql => return few(sql_curves(&rows(asker, query).await?)?),
    };
    let Answered::Matrix(series) = asker.ask(ask).await? else {
        return Err(Error::invalid("cannot draw the answer: ask for a metric, not for lines"));
    };
    few(series.into_iter().map(|series| Curve { fields: fields(&series.labels), points: series.floats }).collect())
}

fn few(curves: Vec<Curve>) -> Result<Vec<Curve>> {
    match curves.len() {
        0..=CURVES_MAX => Ok(curves),
        many => Err(Error::invalid(format!("cannot draw {many} series, {CURVES_MAX} at most: sum them, or take topk() of them"))),
    }
}

/// Rows with `time` and `value`; the other columns say which series a row is of.
fn sql_curves(rows: &Rows) -> Result<Vec<Curve>> {
    let (times, values) = (nanos(rows)?, rows.doubles("value").map_err(|_| missing("value"))?);
    let schema = rows.batch().schema();
    let named = schema.fields().iter().zip(rows.batch().columns()).filter(|(field, _)| !["time", "value"].contains(&field.name().as_str()));
    let named: Vec<(&str, StringArray)> =
        named.map(|(field, column)| Ok((field.name().as_str(), typed(column, &DataType::Utf8)?))).collect::<Result<_>>()?;
    let mut curves: BTreeMap<BTreeMap<String, String>, Vec<(i64, f64)>> = BTreeMap::new();
    for row in (0..rows.len()).filter(|row| values.is_valid(*row)) {
        let name = named.iter().filter(|(_, column)| column.is_valid(row));
        let fields = name.map(|(name, column)| ((*name).to_owned(), column.value(row).to_owned())).collect();
        curves.entry(fields).or_default().push((times.value(row) / 1_000_000, values.value(row)));
    }
    let in_order = |(fields, mut points): (_, Vec<(i64, f64)>)| {
        points.sort_by_key(|(at_ms, _)| *at_ms);
        Curve { fields, points }
    };
    Ok(curves.into_iter().map(in_order).collect())
}

async fn rows(asker: &Asker<'_>, sql: String) -> Result<Rows> {
    let sql = sql.trim().trim_end_matches(';');
    let ask = Ask::Sql { sql: format!("SELECT * FROM ({sql}) LIMIT {}", ROWS_MAX + 1) };
    let rows = within(asker.state.limits.timeout, async { gathered(asker.ask(ask).await?).await }).await?;
    match rows.len() {
        0..=ROWS_MAX => Ok(rows),
        _ => Err(Error::invalid(format!("cannot show over {ROWS_MAX} rows: group them, or LIMIT them"))),
    }
}

/// The column `time`: instants, or nanoseconds since the Unix epoch.
fn nanos(rows: &Rows) -> Result<Int64Array> {
    let column = rows.batch().column_by_name("time").ok_or_else(|| missing("time"))?;
    let column = match column.data_type() {
        DataType::Timestamp(_, zone) => cast(column, &DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, zone.clone()))?,
        _ => column.clone(),
    };
    typed(&column, &DataType::Int64)
}

fn missing(name: &str) -> Error {
    Error::invalid(format!("cannot find column {name:?} in the answer: SELECT ... AS {name}"))
}

fn typed<A: Array + Clone + 'static>(column: &arrow::array::ArrayRef, wanted: &DataType) -> Result<A> {
    let column = cast(column, wanted)?;
    column.as_any().downcast_ref::<A>().cloned().ok_or_else(|| mismatch("a column of this type"))
}
