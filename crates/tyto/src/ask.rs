//! `tyto sql|promql|logql`: one question, answered by a server or by this process over a data folder.
//!
//! Both ways speak the same HTTP API: the folder is asked through the server's own router, without a socket. Refused: a
//! second code path over the engine, which would answer a little differently one day.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::Request;
use clap::ValueEnum;
use model::{Code, Error, Result};
use serde_json::{Value, json};
use store::{Shard, ShardOptions};
use tower::ServiceExt as _;

use crate::telemetry::Metrics;
use crate::wiring;

const DEFAULT_SERVER: &str = "http://127.0.0.1:7070";

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct AskOptions {
    /// The question
    query: String,

    /// A server to ask [env: TYTO_SERVER] [default: http://127.0.0.1:7070]
    // The environment is read below: given to clap, it would conflict with an explicit --data-dir.
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    server: Option<String>,

    /// A data folder to read without a server, or beside one that uses it
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// First instant: RFC 3339, Unix seconds, `now`, or `now-1h` (units s, m, h, d)
    #[arg(long, allow_hyphen_values = true)]
    start: Option<String>,

    /// Last instant, written like --start [default: now]
    #[arg(long, allow_hyphen_values = true)]
    end: Option<String>,

    /// Distance of a range's points: seconds, or 15s, 1m, 1h
    #[arg(long)]
    step: Option<String>,

    /// Log lines at most
    #[arg(long, default_value_t = 100)]
    limit: usize,

    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Sql,
    Promql,
    Logql,
}

pub(crate) async fn run(language: Language, options: AskOptions) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let call = Call::of(language, &options, now)?;
    let answer = match &options.data_dir {
        Some(folder) => ask_folder(folder, &call).await?,
        None => {
            let exported = || std::env::var("TYTO_SERVER").ok().filter(|server| !server.is_empty());
            call_server(server(options.server.or_else(exported).as_deref()), &call).await?
        }
    };
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        eprintln!("tyto: warning: {}", printable(&text(warning)));
    }
    let grid = Grid::of(language, &answer)?;
    match grid.print(options.output, &mut std::io::stdout().lock()) {
        // `tyto sql ... | head` ends early, which is no fault.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Error::unavailable("cannot write the answer").because(error)),
    }
}

/// A request of the HTTP API.
#[derive(Debug, PartialEq)]
struct Call {
    path: &'static str,
    parameters: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Call {
    fn of(language: Language, options: &AskOptions, now: f64) -> Result<Self> {
        let query = options.query.clone();
        if language == Language::Sql {
            if options.start.is_some() || options.end.is_some() || options.step.is_some() {
                return Err(Error::invalid("cannot use --start, --end or --step with SQL: write the range into WHERE"));
            }
            return Ok(Self { path: "/api/tyto/v1/sql", parameters: Vec::new(), body: Some(json!({ "sql": query })) });
        }
        let end = options.end.as_deref().map_or(Ok(now), |text| instant("end", text, now))?;
        let start = options.start.as_deref().map(|text| instant("start", text, now)).transpose()?;
        let mut parameters = vec![("query", query)];
        // Loki takes nanoseconds for what has more than ten digits, Prometheus seconds.
        let unit = |seconds: f64| match language {
            Language::Logql => format!("{}", (seconds * 1e3).round() as i128 * 1_000_000),
            _ => format!("{seconds:.3}"),
        };
        let is_range = start.is_some() || options.step.is_some() || (language == Language::Logql && !is_metric(&options.query));
        if is_range {
            let start = start.unwrap_or(end - 3600.0);
            parameters.extend([("start", unit(start)), ("end", unit(end))]);
            match &options.step {
                Some(step) => parameters.push(("step", step.clone())),
                None => parameters.push(("step", format!("{}", ((end - start) / 250.0).ceil().max(1.0)))),
            }
        } else {
            parameters.push(("time", unit(end)));
        }
        if language == Language::Logql {
            parameters.push(("limit", options.limit.to_string()));
        }
        let path = match (language, is_range) {
            (Language::Logql, true) => "/loki/api/v1/query_range",
            (Language::Logql, false) => "/loki/api/v1/query",
            (_, true) => "/api/v1/query_range",
            (_, false) => "/api/v1/query",
        };
        Ok(Self { path, parameters, body: None })
    }

    fn path_and_query(&self) -> String {
        let mut url = url::Url::parse("http://folder").expect("a constant URL");
        url.set_path(self.path);
        if !self.parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.parameters);
        }
        url[url::Position::BeforePath..].to_owned()
    }
}

/// Whether a LogQL text asks for numbers; a text that does not parse is left to the server to refuse.
fn is_metric(query: &str) -> bool {
    !query.trim_start().starts_with('{')
}

/// Seconds since the Unix epoch.
pub(crate) fn instant(option: &str, text: &str, now: f64) -> Result<f64> {
    let not_an_instant =
        || Error::invalid(format!("cannot read --{option} {text:?}: write RFC 3339 (2026-01-31T12:00:00Z), Unix seconds, now, or now-1h"));
    if let Some(back) = text.strip_prefix("now") {
        let Some(back) = back.strip_prefix('-') else { return if back.is_empty() { Ok(now) } else { Err(not_an_instant()) } };
        let digits = back.find(|char: char| !char.is_ascii_digit()).ok_or_else(not_an_instant)?;
        let count: f64 = back[..digits].parse().map_err(|_| not_an_instant())?;
        let unit = match &back[digits..] {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(not_an_instant()),
        };
        return Ok(now - count * unit);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return if seconds.is_finite() { Ok(seconds) } else { Err(not_an_instant()) };
    }
    let parsed = chrono::DateTime::parse_from_rfc3339(text).map_err(|error| not_an_instant().because(error))?;
    Ok(parsed.timestamp_micros() as f64 / 1e6)
}

/// The server that is meant, without a slash at its end.
pub(crate) fn server(given: Option<&str>) -> &str {
    given.filter(|server| !server.is_empty()).unwrap_or(DEFAULT_SERVER).trim_end_matches('/')
}

/// What a server answers at this path.
pub(crate) async fn ask_server(server: &str, path: &'static str, parameters: Vec<(&'static str, String)>) -> Result<Value> {
    call_server(server, &Call { path, parameters, body: None }).await
}

/// What a server answers to a body at this path.
pub(crate) async fn post_server(server: &str, path: &'static str, body: Value) -> Result<Value> {
    call_server(server, &Call { path, parameters: Vec::new(), body: Some(body) }).await
}

/// What a server answers to a question in SQL.
pub(crate) async fn ask_sql(server: &str, sql: String) -> Result<Value> {
    post_server(server, "/api/tyto/v1/sql", json!({ "sql": sql })).await
}

async fn call_server(server: &str, call: &Call) -> Result<Value> {
    let url = format!("{server}{}", call.path_and_query());
    let client = reqwest::Client::new();
    let request = match &call.body {
        Some(body) => client.post(&url).json(body),
        None => client.get(&url),
    };
    let cannot = |error: reqwest::Error| Error::unavailable(format!("cannot ask {server}")).because(error);
    let response = request.send().await.map_err(cannot)?;
    let status = response.status();
    let body = response.bytes().await.map_err(cannot)?;
    read_answer(status.is_success(), &body)
}

async fn ask_folder(folder: &std::path::Path, call: &Call) -> Result<Value> {
    let shard_dir = folder.join("shards/default");
    if !shard_dir.is_dir() {
        return Err(Error::new(Code::NotFound, format!("cannot find Tyto's data in {}", folder.display())));
    }
    let shard = Shard::open_read_only(ShardOptions::new("default", shard_dir)).await?;
    let router = wiring::wire_read_only(folder, shard, Metrics::install());
    let request = match &call.body {
        Some(body) => Request::post(call.path_and_query()).header("content-type", "application/json").body(Body::from(body.to_string())),
        None => Request::get(call.path_and_query()).body(Body::empty()),
    };
    let request = request.map_err(|error| Error::internal("cannot write the question as a request").because(error))?;
    let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    let success = response.status().is_success();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .map_err(|error| Error::unavailable("cannot read the whole answer").because(error))?;
    read_answer(success, &body)
}

pub(crate) fn read_answer(success: bool, body: &[u8]) -> Result<Value> {
    let parsed = serde_json::from_slice::<Value>(body);
    if !success {
        // Prometheus's and our own errors are JSON objects, Loki's are plain text.
        let said = parsed.ok().and_then(|value| value["error"].as_str().map(str::to_owned));
        return Err(Error::invalid(said.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned())));
    }
    parsed.map_err(|error| Error::unavailable("cannot read the answer as JSON").because(error))
}

/// Every answer as rows of named columns.
#[derive(Debug, PartialEq)]
pub(crate) struct Grid {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Grid {
    fn of(language: Language, answer: &Value) -> Result<Self> {
        if language == Language::Sql {
            let columns = answer["columns"].as_array().into_iter().flatten().map(|column| text(&column["name"])).collect();
            let rows = answer["rows"].as_array().into_iter().flatten();
            return Ok(Self { columns, rows: rows.map(|row| row.as_array().cloned().unwrap_or_default()).collect() });
        }
        let (kind, result) = (text(&answer["data"]["resultType"]), &answer["data"]["result"]);
        let grid = |columns: &[&str], rows| Self { columns: columns.iter().map(|name| (*name).to_owned()).collect(), rows };
        let items = result.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(match kind.as_str() {
            "streams" => {
                let mut rows: Vec<(String, Vec<Value>)> = items
                    .iter()
                    .flat_map(|stream| {
                        let labels = series(&stream["stream"]);
                        stream["values"].as_array().into_iter().flatten().map(move |entry| {
                            let time = text(&entry[0]);
                            (time.clone(), vec![rfc3339_of_nanos(&time), labels.clone(), entry[1].clone()])
                        })
                    })
                    .collect();
                rows.sort_by(|left, right| (left.0.len(), &left.0).cmp(&(right.0.len(), &right.0)));
                grid(&["time", "stream", "line"], rows.into_iter().map(|(_, row)| row).collect())
            }
            "matrix" => {
                let points = items.iter().flat_map(|item| {
                    let name = series(&item["metric"]);
                    ["values", "histograms"]
                        .into_iter()
                        .flat_map(|key| item[key].as_array().into_iter().flatten())
                        .map(move |point| vec![name.clone(), rfc3339_of_seconds(&point[0]), point[1].clone()])
                });
                grid(&["series", "time", "value"], points.collect())
            }
            "vector" => {
                let rows = items.iter().map(|item| {
                    let point = if item["value"].is_null() { &item["histogram"] } else { &item["value"] };
                    vec![series(&item["metric"]), rfc3339_of_seconds(&point[0]), point[1].clone()]
                });
                grid(&["series", "time", "value"], rows.collect())
            }
            "scalar" | "string" => grid(&["time", "value"], vec![vec![rfc3339_of_seconds(&result[0]), result[1].clone()]]),
            other => return Err(Error::unavailable(format!("cannot read an answer of type {other:?}"))),
        })
    }

    pub(crate) fn print(&self, output: Output, out: &mut impl std::io::Write) -> std::io::Result<()> {
        match output {
            Output::Json => {
                let objects: Vec<Value> =
                    self.rows.iter().map(|row| Value::Object(self.columns.iter().cloned().zip(row.iter().cloned()).collect())).collect();
                serde_json::to_writer_pretty(&mut *out, &objects)?;
                writeln!(out)
            }
            Output::Csv => {
                let line = |cells: Vec<String>| cells.iter().map(|cell| csv(cell)).collect::<Vec<_>>().join(",");
                writeln!(out, "{}", line(self.columns.clone()))?;
                self.rows.iter().try_for_each(|row| writeln!(out, "{}", line(row.iter().map(text).collect())))
            }
            Output::Table => self.print_table(out),
        }
    }

    fn print_table(&self, out: &mut impl std::io::Write) -> std::io::Result<()> {
        let cells: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(|cell| printable(&text(cell))).collect()).collect();
        let width = |column: usize| {
            let widest = cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
            widest.max(self.columns[column].chars().count())
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |row: &[String]| {
            let padded: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            padded.join("  ").trim_end().to_owned()
        };
        writeln!(out, "{}", line(&self.columns))?;
        writeln!(out, "{}", line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>()))?;
        cells.iter().try_for_each(|row| writeln!(out, "{}", line(row)))?;
        writeln!(out, "({} {})", self.rows.len(), if self.rows.len() == 1 { "row" } else { "rows" })
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// On one line, and without what a terminal would obey: a log line may hold anything.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' => out.push('⏎'),
            char if char.is_control() => out.extend(char.escape_default()),
            char => out.push(char),
        }
    }
    out
}

fn csv(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

/// `name{a="1"}`, as people write it.
fn series(labels: &Value) -> Value {
    let Some(labels) = labels.as_object() else { return Value::Null };
    let pairs: Vec<_> = labels.iter().filter(|(name, _)| *name != "__name__").map(|(name, value)| format!("{name}={value}")).collect();
    Value::String(format!("{}{{{}}}", labels.get("__name__").and_then(Value::as_str).unwrap_or_default(), pairs.join(",")))
}

fn rfc3339_of_nanos(text: &str) -> Value {
    let time = text.parse::<i64>().map(chrono::DateTime::from_timestamp_nanos);
    time.map_or(Value::Null, |time| Value::String(time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)))
}

fn rfc3339_of_seconds(seconds: &Value) -> Value {
    let nanos = seconds.as_f64().map(|seconds| (seconds * 1e3).round() as i64 * 1_000_000);
    nanos.map_or(Value::Null, |nanos| rfc3339_of_nanos(&nanos.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(language: Language, answer: &Value, output: Output) -> String {
        let mut out = Vec::new();
        Grid::of(language, answer).expect("known shape").print(output, &mut out).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn sql_as_table_csv_and_json() {
        let answer = json!({"columns": [{"name": "a", "type": "Int64"}, {"name": "b", "type": "Utf8"}], "rows": [[1, "x,y"], [20, null]]});
        assert_eq!(printed(Language::Sql, &answer, Output::Table), "a   b\n--  ---\n1   x,y\n20\n(2 rows)\n");
        assert_eq!(printed(Language::Sql, &answer, Output::Csv), "a,b\n1,\"x,y\"\n20,\n");
        assert_eq!(serde_json::from_str::<Value>(&printed(Language::Sql, &answer, Output::Json)).expect("json")[0]["b"], "x,y");
    }

    #[test]
    fn a_table_holds_nothing_that_a_terminal_obeys() {
        let answer = json!({"columns": [{"name": "line"}], "rows": [["\u{1b}[2Jé\ta\nb\u{9b}"]]});
        assert_eq!(printed(Language::Sql, &answer, Output::Table).lines().nth(2), Some("\\u{1b}[2Jé\\ta⏎b\\u{9b}"));
    }

    #[test]
    fn a_matrix_is_one_row_a_point() {
        let answer =
            json!({"data": {"resultType": "matrix", "result": [{"metric": {"__name__": "up", "job": "a"}, "values": [[1.5, "1"]]}]}});
        let expected = "series,time,value\n\"up{job=\"\"a\"\"}\",1970-01-01T00:00:01.500Z,1\n";
        assert_eq!(printed(Language::Promql, &answer, Output::Csv), expected);
    }

    #[test]
    fn instants_are_read_in_every_form() {
        for (text, expected) in [("now", 1000.0), ("now-5m", 700.0), ("12.5", 12.5), ("1970-01-01T00:01:00Z", 60.0)] {
            assert_eq!(instant("start", text, 1000.0).expect(text), expected);
        }
        for text in ["now-", "now-5", "yesterday", "NaN", "now+1h"] {
            assert!(instant("start", text, 1000.0).is_err(), "{text}");
        }
    }
}
