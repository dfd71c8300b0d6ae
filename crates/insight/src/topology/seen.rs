//! What was seen, asked of the store as any client asks: PromQL for what happened in a time, SQL for when it was first and last.

use std::collections::HashMap;

use arrow::array::{Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use futures::TryStreamExt;
use model::{Answered, Ask, Error, Labels, MapRequest, Query, QueryLimits, Request, Result};

use super::durations::Durations;
use super::map::Node;
use crate::spans::{EDGE_LABELS, MINUTE_MS};
use crate::{COMPONENT_ERRORS, COMPONENT_SECONDS, EDGE_ERRORS, EDGE_SECONDS};

/// What is older is forgotten, if nothing of it came since.
pub const REMEMBERED_MS: i64 = 30 * 86_400_000;

/// Before the end of a time: a minute of each edge has one, and a month of them nobody reads.
const EXAMPLES_MS: i64 = 3_600_000;

const COMPONENT: [&str; 5] = ["business_service", "service", "component", "team", "service_name"];

/// What is known of one edge or component.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) durations: Durations,
    pub(super) errors: f64,
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    pub(super) example: Option<String>,
}

impl Facts {
    pub(super) fn merge(&mut self, other: &Self) {
        self.durations.add_all(&other.durations);
        self.errors += other.errors;
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        if self.example.is_none() || (other.errors > 0.0 && other.example.is_some()) {
            self.example.clone_from(&other.example);
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct SeenEdge {
    pub(super) client: End,
    pub(super) server: End,
    pub(super) connection: String,
    pub(super) facts: Facts,
}

/// One end of an edge, as its samples have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct End {
    pub(super) kind: String,
    pub(super) business_service: String,
    pub(super) service: String,
    pub(super) name: String,
}

#[derive(Clone, Debug)]
pub(super) struct SeenComponent {
    pub(super) business_service: String,
    pub(super) service: String,
    pub(super) component: String,
    pub(super) team: String,
    pub(super) service_name: String,
    pub(super) facts: Facts,
}

pub(super) struct Seen {
    pub(super) edges: Vec<SeenEdge>,
    pub(super) components: Vec<SeenComponent>,
    /// Of the time in which requests were counted.
    pub(super) seconds: f64,
    pub(super) warnings: Vec<String>,
}

impl Seen {
    pub(super) fn has_spans_of(&self, node: &Node) -> bool {
        self.components.iter().any(|seen| seen.node() == *node)
    }
}

impl SeenComponent {
    /// Of which no spans came.
    pub(super) fn quiet(node: Node, first_ms: i64, last_ms: i64) -> Self {
        let Node { business_service, service, name, .. } = node;
        let facts = Facts { first_ms, last_ms, ..Facts::default() };
        Self { business_service, service, service_name: name.clone(), component: name, team: String::new(), facts }
    }

    pub(super) fn node(&self) -> Node {
        let name = if self.component.is_empty() { &self.service_name } else { &self.component };
        Node::component(&self.business_service, &self.service, name)
    }
}

/// The time asked for in whole minutes, because samples are of minutes.
pub(super) struct Window {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
}

impl Window {
    pub(super) fn of(request: &MapRequest) -> Self {
        let begun = |ms: i64| ms.div_euclid(MINUTE_MS) * MINUTE_MS;
        let end_ms = begun(request.end_ms.saturating_add(MINUTE_MS - 1));
        Self { start_ms: begun(request.start_ms), end_ms }
    }

    /// As PromQL writes it.
    pub(super) fn range(&self) -> String {
        format!("{}ms", (self.end_ms - self.start_ms).max(MINUTE_MS))
    }
}

/// What spans say.
pub(super) async fn seen(asker: &Asker<'_>, window: &Window, now_ms: i64) -> Result<Seen> {
    let (edges, components) = futures::try_join!(
        asker.facts(window, EDGE_SECONDS, EDGE_ERRORS, &EDGE_LABELS),
        asker.facts(window, COMPONENT_SECONDS, COMPONENT_ERRORS, &COMPONENT),
    )?;
    let edge = |(values, facts): (Vec<String>, Facts)| {
        let [client, client_business, client_kind, client_service, connection, server, server_business, server_kind, server_service] =
            <[String; 9]>::try_from(values).expect("an edge has nine labels");
        let client = End { kind: client_kind, business_service: client_business, service: client_service, name: client };
        let server = End { kind: server_kind, business_service: server_business, service: server_service, name: server };
        SeenEdge { client, server, connection, facts }
    };
    let component = |(values, facts): (Vec<String>, Facts)| {
        let [business_service, service, component, team, service_name] =
            <[String; 5]>::try_from(values).expect("a component has five labels");
        SeenComponent { business_service, service, component, team, service_name, facts }
    };
    let warnings = edges.1.into_iter().chain(components.1).collect();
    // The minute of now has not ended.
    let counted_ms = window.end_ms.min(asker.request.end_ms.max(now_ms)) - window.start_ms;
    Ok(Seen {
        edges: edges.0.into_iter().map(edge).collect(),
        components: components.0.into_iter().map(component).collect(),
        seconds: (counted_ms as f64 / 1000.0).max(1.0),
        warnings,
    })
}

pub(super) struct Asker<'a> {
    pub(super) query: &'a dyn Query,
    pub(super) limits: &'a QueryLimits,
    pub(super) request: &'a MapRequest,
}

impl Asker<'_> {
    /// The facts of everything with these labels that was seen by the end.
    async fn facts(
        &self,
        window: &Window,
        seconds: &str,
        errors: &str,
        labels: &[&str],
    ) -> Result<(HashMap<Vec<String>, Facts>, Vec<String>)> {
        let newest = Window { start_ms: window.start_ms.max(window.end_ms - EXAMPLES_MS), end_ms: window.end_ms };
        let (times, durations, counts, examples, failed) = futures::try_join!(
            self.times(window, seconds, labels),
            self.sums(window, seconds, labels),
            self.sums(window, errors, labels),
            self.examples(&newest, seconds, labels),
            self.examples(&newest, errors, labels),
        )?;
        let mut facts = times;
        let mut warnings = durations.warnings;
        warnings.extend(counts.warnings);
        for sample in durations.samples {
            let Some(histogram) = sample.1 else { continue };
            if let Some(known) = facts.get_mut(&values_of(&sample.0, labels)) {
                known.durations.add(&histogram);
            }
        }
        for (of, _, value) in counts.samples {
            if let Some(known) = facts.get_mut(&values_of(&of, labels)) {
                known.errors += value;
            }
        }
        for (values, trace_id) in examples.into_iter().chain(failed) {
            if let Some(known) = facts.get_mut(&values) {
                known.example = Some(trace_id);
            }
        }
        Ok((facts, warnings))
    }

    async fn sums(&self, window: &Window, metric: &str, labels: &[&str]) -> Result<Sums> {
        let query = format!("sum by ({}) (sum_over_time({metric}{{{}}}[{}]))", labels.join(", "), self.only(), window.range());
        self.vector(query, window).await
    }

    /// A query of PromQL at the end of the window.
    pub(super) async fn vector(&self, query: String, window: &Window) -> Result<Sums> {
        let answer = self.ask(Ask::PromqlInstant { query, at_ms: window.end_ms, lookback: None }).await?;
        let Answered::Vector(samples) = answer.data else { return Err(Error::internal("cannot read a map: PromQL gave no vector")) };
        let samples = samples.into_iter().map(|sample| (sample.labels, sample.histogram, sample.value)).collect();
        Ok(Sums { samples, warnings: answer.warnings })
    }

    /// The region and the environment that are asked for.
    fn place(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let MapRequest { region, environment, .. } = self.request;
        [("region", region), ("environment", environment)].into_iter().filter(|(_, value)| !value.is_empty())
    }

    /// The same as matchers of PromQL.
    pub(super) fn only(&self) -> String {
        let matchers: Vec<String> = self.place().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
        matchers.join(", ")
    }

    /// The same, and a time, as a condition of SQL on rows from `first` to `last`.
    pub(super) fn within(&self, window: &Window, first: &str, last: &str) -> String {
        let nanos = |ms: i64| ms.saturating_mul(1_000_000);
        let mut filter = format!("{first} < {} AND {last} >= {}", nanos(window.end_ms), nanos(window.start_ms));
        for (name, value) in self.place() {
            filter.push_str(&format!(" AND {name} = '{}'", value.replace('\'', "''")));
        }
        filter
    }

    async fn times(&self, window: &Window, metric: &str, labels: &[&str]) -> Result<HashMap<Vec<String>, Facts>> {
        let columns = columns(labels);
        let (names, places): (Vec<String>, Vec<String>) =
            columns.iter().enumerate().map(|(at, column)| (format!("{column} AS c{at}"), format!("{}", at + 1))).unzip();
        let sql = format!(
            "SELECT {}, min(min_time_unix_nano) AS first, max(max_time_unix_nano) AS last FROM samples WHERE {} GROUP BY {}",
            names.join(", "),
            self.filter(metric, &Window { start_ms: window.end_ms.saturating_sub(REMEMBERED_MS), ..*window }),
            places.join(", ")
        );
        let mut known = HashMap::new();
        for batch in self.rows(sql).await? {
            let values = texts(&batch, labels.len())?;
            let (first, last) = (long(&batch, "first")?, long(&batch, "last")?);
            for row in 0..batch.num_rows() {
                let minute = |ns: i64| ns.div_euclid(1_000_000).div_euclid(MINUTE_MS) * MINUTE_MS;
                let first_ms = minute(first.value(row));
                let last_ms = (minute(last.value(row)) + MINUTE_MS).min(self.request.end_ms).max(first_ms);
                let key = values.iter().map(|column| value(column, row)).collect();
                known.insert(key, Facts { first_ms, last_ms, ..Facts::default() });
            }
        }
        Ok(known)
    }

    /// The newest trace of each that a sample names.
    async fn examples(&self, window: &Window, metric: &str, labels: &[&str]) -> Result<HashMap<Vec<String>, String>> {
        let names: Vec<String> = columns(labels).iter().enumerate().map(|(at, column)| format!("{column} AS c{at}")).collect();
        let sql = format!("SELECT {}, exemplars FROM samples WHERE {}", names.join(", "), self.filter(metric, window));
        let mut found: HashMap<Vec<String>, (i64, String)> = HashMap::new();
        for batch in self.rows(sql).await? {
            let values = texts(&batch, labels.len())?;
            let Some(lists) = batch.column_by_name("exemplars").and_then(|column| column.as_any().downcast_ref::<ListArray>()) else {
                return Err(Error::internal("cannot read exemplars: they are no list"));
            };
            for row in (0..batch.num_rows()).filter(|row| lists.is_valid(*row)) {
                let Some((time_ms, trace_id)) = newest(&lists.value(row), window) else { continue };
                let key: Vec<String> = values.iter().map(|column| value(column, row)).collect();
                let known = found.entry(key).or_default();
                if known.0 <= time_ms {
                    *known = (time_ms, trace_id);
                }
            }
        }
        Ok(found.into_iter().map(|(key, (_, trace_id))| (key, trace_id)).collect())
    }

    fn filter(&self, metric: &str, window: &Window) -> String {
        format!("name = '{metric}' AND {}", self.within(window, "min_time_unix_nano", "max_time_unix_nano"))
    }

    pub(super) async fn rows(&self, sql: String) -> Result<Vec<RecordBatch>> {
        let Answered::Table { rows, .. } = self.ask(Ask::Sql { sql }).await?.data else {
            return Err(Error::internal("cannot read a map: SQL gave no table"));
        };
        rows.try_collect().await
    }

    async fn ask(&self, ask: Ask) -> Result<model::Answer> {
        self.query.query(Request { ask, limits: self.limits.clone() }).await
    }
}

pub(super) struct Sums {
    pub(super) samples: Vec<(Labels, Option<Box<model::NativeHistogram>>, f64)>,
    warnings: Vec<String>,
}

/// Where SQL finds what PromQL calls by these labels: identity has columns of its own.
fn columns(labels: &[&str]) -> Vec<String> {
    labels
        .iter()
        .map(|label| if model::Identity::FIELDS.contains(label) { (*label).to_owned() } else { format!("labels['{label}']") })
        .collect()
}

fn values_of(labels: &Labels, names: &[&str]) -> Vec<String> {
    let of = |name: &&str| match labels.get(name) {
        Some(value) => value.to_owned(),
        // The label is not there on what nobody has claimed, the column says so.
        None if *name == "business_service" => model::UNASSIGNED.to_owned(),
        None => String::new(),
    };
    names.iter().map(of).collect()
}

/// The columns `c0`, `c1` and so on.
pub(super) fn texts(batch: &RecordBatch, count: usize) -> Result<Vec<StringArray>> {
    (0..count)
        .map(|at| {
            let column = batch.column_by_name(&format!("c{at}")).ok_or_else(|| Error::internal("cannot find a label's column"))?;
            Ok(cast(column, &DataType::Utf8)?.as_any().downcast_ref::<StringArray>().expect("cast gives the type asked for").clone())
        })
        .collect()
}

pub(super) fn value(column: &StringArray, row: usize) -> String {
    if column.is_null(row) { String::new() } else { column.value(row).to_owned() }
}

pub(super) fn long(batch: &RecordBatch, name: &str) -> Result<Int64Array> {
    let column = batch.column_by_name(name).ok_or_else(|| Error::internal(format!("cannot find column {name:?} of a map")))?;
    Ok(cast(column, &DataType::Int64)?.as_any().downcast_ref::<Int64Array>().expect("cast gives the type asked for").clone())
}

/// The newest exemplar of the window: when it was, and its trace.
fn newest(exemplars: &dyn Array, window: &Window) -> Option<(i64, String)> {
    let all = exemplars.as_any().downcast_ref::<StructArray>()?;
    let times = all.column_by_name("timestamp")?.as_any().downcast_ref::<Int64Array>()?;
    let traces = cast(all.column_by_name("trace_id")?, &DataType::Utf8).ok()?;
    let traces = traces.as_any().downcast_ref::<StringArray>()?;
    let inside = (0..all.len()).filter(|at| (window.start_ms..window.end_ms).contains(&times.value(*at)) && traces.is_valid(*at));
    inside.map(|at| (times.value(at), at)).max().map(|(time_ms, at)| (time_ms, traces.value(at).to_owned()))
}

/// As PromQL quotes a text.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
