//! What came of whom in a time, asked of the store as any client asks.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use futures::TryStreamExt;
use model::quarantine::{QUARANTINED, RELEASED};
use model::{Answered, Ask, Error, Figures, Query, QueryLimits, Question, Request, Result, Table};

use super::Place;

#[derive(Default)]
pub(super) struct Seen {
    pub(super) came: BTreeMap<Place, Figures>,
    /// Whom the records name as their team.
    pub(super) teams: HashMap<Place, String>,
    /// Whether what contracts only observe or refuse can be known at all.
    pub(super) counters_are_stored: bool,
    pub(super) questions: Vec<Question>,
    pub(super) warnings: Vec<String>,
}

/// Components that are looked at, those that sent most: what a record says of its component is its sender's word.
const PLACES_MAX: usize = 20_000;

/// Counters of what contracts did beside setting records aside, which the table `quarantine` tells.
const REFUSED: &str = "tyto_records_rejected_total";
const OBSERVED: &str = "tyto_contract_violations_total";
/// Every server that has taken a record has this one.
const ANY: &str = "tyto_usage_records_total";

pub(super) async fn seen(query: &dyn Query, limits: &QueryLimits, start_ms: i64, end_ms: i64) -> Result<Seen> {
    let ask = |ask: Ask| query.query(Request { ask, limits: limits.clone() });
    let tables = [
        (Table::Logs, "Log records, and how many say no environment", "count(*)"),
        (Table::Spans, "Spans, and how many say no environment", "count(*)"),
        (Table::Samples, "Points of samples that Tyto did not compute itself", "sum(array_length(timestamps))"),
        (Table::Quarantine, "Log records that were set aside", "count(*)"),
    ];
    let mut seen = Seen::default();
    for (table, asks, count) in tables {
        let sql = sql(table, count, start_ms, end_ms);
        let Answered::Table { rows, .. } = ask(Ask::Sql { sql: sql.clone() }).await?.data else {
            return Err(Error::internal("cannot read a scorecard: SQL gave no table"));
        };
        let batches: Vec<RecordBatch> = rows.try_collect().await?;
        for batch in &batches {
            seen.add(table, batch)?;
        }
        if batches.iter().map(RecordBatch::num_rows).sum::<usize>() >= PLACES_MAX {
            let why = format!(
                "of {} only the {PLACES_MAX} components that sent most are judged: is omd.component set to what is none?",
                table.name()
            );
            seen.warnings.push(why);
        }
        seen.questions.push(Question { asks, language: "sql", query: sql });
    }
    let range = format!("{}ms", (end_ms - start_ms).max(1));
    let by = "sum by (business_service, service, component)";
    let grew = |counter: &str| format!("{by} (increase({counter}[{range}]))");
    // Its first value came with it: no growth tells of it. One that was there a day before has only been silent.
    let began = |counter: &str| format!("{by} (min_over_time({counter}[{range}]) unless last_over_time({counter}[1d] offset {range}))");
    let counters = [
        ("Whether Tyto's own counters are stored", format!("count(last_over_time({ANY}[{range}]))")),
        ("Log records that contracts refused", grew(REFUSED)),
        ("Log records that were stored though they break a rule", grew(&format!("{OBSERVED}{{mode=\"observe\"}}"))),
        ("Log records that contracts refused, of counters that began in the time", began(REFUSED)),
        (
            "Log records that were stored though they break a rule, of counters that began in the time",
            began(&format!("{OBSERVED}{{mode=\"observe\"}}")),
        ),
    ];
    for (at, (asks, query)) in counters.into_iter().enumerate() {
        let answer = ask(Ask::PromqlInstant { query: query.clone(), at_ms: end_ms, lookback: None }).await?;
        let Answered::Vector(samples) = answer.data else { return Err(Error::internal("cannot read a scorecard: PromQL gave no vector")) };
        for sample in samples {
            let place = ["business_service", "service", "component"].map(|name| sample.labels.get(name).unwrap_or_default().to_owned());
            let count = sample.value.max(0.0).round() as u64;
            match at {
                0 => seen.counters_are_stored = true,
                1 | 3 => seen.came.entry(place).or_default().rejected += count,
                _ => seen.came.entry(place).or_default().observed += count,
            }
        }
        seen.questions.push(Question { asks, language: "promql", query });
    }
    if !seen.counters_are_stored {
        let why = "what contracts only observe or refuse is not known: Tyto's own counters are not stored; have it scrape its /metrics";
        seen.warnings.push(why.to_owned());
    }
    Ok(seen)
}

fn sql(table: Table, count: &str, start_ms: i64, end_ms: i64) -> String {
    let (first, last) = table.time_columns();
    let nanos = |ms: i64| ms.saturating_mul(1_000_000);
    let more = match table {
        // They are computed from spans, so whoever sends none has none.
        Table::Samples => " AND NOT starts_with(name, 'traces_') AND NOT starts_with(name, 'tyto_')".to_owned(),
        // Another row of an id says what became of it; what was let in since is in `logs`.
        Table::Quarantine => format!(
            " AND state = '{QUARANTINED}' AND quarantine_id NOT IN \
             (SELECT quarantine_id FROM quarantine WHERE state = '{RELEASED}' AND {last} >= {} AND {first} < {})",
            nanos(start_ms),
            nanos(end_ms)
        ),
        _ => String::new(),
    };
    let nowhere = "environment IS NULL OR environment = ''";
    let without = match table {
        Table::Samples => format!("sum(CASE WHEN {nowhere} THEN array_length(timestamps) ELSE 0 END)"),
        _ => format!("sum(CASE WHEN {nowhere} THEN 1 ELSE 0 END)"),
    };
    format!(
        "SELECT business_service, service, component, max(team) AS team, {count} AS records, {without} AS without_environment \
         FROM {} WHERE {last} >= {} AND {first} < {}{more} GROUP BY 1, 2, 3 ORDER BY records DESC LIMIT {PLACES_MAX}",
        table.name(),
        nanos(start_ms),
        nanos(end_ms)
    )
}

impl Seen {
    fn add(&mut self, table: Table, batch: &RecordBatch) -> Result<()> {
        let texts = |name| typed::<StringArray>(batch, name, &DataType::Utf8);
        let longs = |name| typed::<Int64Array>(batch, name, &DataType::Int64);
        let place = [texts("business_service")?, texts("service")?, texts("component")?];
        let (team, records, without) = (texts("team")?, longs("records")?, longs("without_environment")?);
        let count = |column: &Int64Array, row: usize| if column.is_null(row) { 0 } else { column.value(row).unsigned_abs() };
        for row in 0..batch.num_rows() {
            let place = place.each_ref().map(|column| model::logs::text_or_empty(column, row).to_owned());
            let named = model::logs::text_or_empty(&team, row);
            if !named.is_empty() {
                self.teams.entry(place.clone()).or_insert_with(|| named.to_owned());
            }
            let (figures, records) = (self.came.entry(place).or_default(), count(&records, row));
            let without = count(&without, row);
            let (came, nowhere) = match table {
                Table::Logs => (&mut figures.logs, &mut figures.without_environment),
                Table::Spans => (&mut figures.spans, &mut figures.without_environment),
                Table::Samples => (&mut figures.points, &mut figures.points_without_environment),
                Table::Quarantine => {
                    figures.quarantined += records;
                    continue;
                }
            };
            *came += records;
            *nowhere += without;
        }
        Ok(())
    }
}

/// Engines differ in how wide a count is and how a text is held.
fn typed<A: Array + Clone + 'static>(batch: &RecordBatch, name: &str, wanted: &DataType) -> Result<A> {
    let column = batch.column_by_name(name).ok_or_else(|| Error::internal(format!("cannot find column {name:?} of a scorecard")))?;
    Ok(cast(column, wanted)?.as_any().downcast_ref::<A>().expect("cast gives the type asked for").clone())
}
