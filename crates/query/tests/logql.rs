//! The behaviour cases under `tests/cases/logql/`: lines are loaded, queries asked, answers printed. `UPDATE=1` rewrites what
//! is expected.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt;
use model::{Answered, Ask, Direction, LogArrival, LogStream, LogTail, Matcher, QueryLimits, VolumeBy};
use query::logql::{Lines, LogqlEngine, Window};

mod logql_support;
use logql_support::{Cursor, Loader, duration_ns, evaluation};

fn number(value: f64) -> String {
    value.to_string()
}

/// `lines from 0s to 60s [limit 3] [forward] QUERY`
async fn lines(engine: &LogqlEngine, text: &str) -> model::Result<String> {
    let mut cursor = Cursor(text);
    cursor.expect("lines from");
    let start_ns = duration_ns(cursor.word());
    cursor.expect("to");
    let end_ns = duration_ns(cursor.word());
    let cut = cursor.accept("limit");
    let limit = if cut { cursor.word().parse().expect("a number of lines") } else { 100 };
    let direction = if cursor.accept("forward") { Direction::Forward } else { Direction::Backward };
    let window = Window { start_ns, end_ns, step_ns: 1_000_000_000 };
    let answer = engine.range(cursor.0.trim(), window, Lines { limit, direction }, &QueryLimits::default()).await?;
    let Answered::Streams(streams) = answer.data else { panic!("a log query answers streams: {text}") };
    if !cut {
        let ask = Ask::LogqlTail { query: cursor.0.trim().to_owned(), start_ns, end_ns, limit };
        assert_eq!(told(engine, &ask).await?, entries(&streams), "to who follows: {text}");
    }
    let mut out = String::new();
    for stream in streams {
        writeln!(out, "  {}", stream.labels).expect("memory");
        for entry in stream.entries {
            write!(out, "    {}s {:?}", entry.time_ns as f64 / 1e9, entry.line).expect("memory");
            for (title, labels) in [("metadata", &entry.structured_metadata), ("parsed", &entry.parsed)] {
                if !labels.is_empty() {
                    write!(out, " {title}{labels}").expect("memory");
                }
            }
            out.push('\n');
        }
    }
    Ok(out)
}

/// Every line with all that is said of it, in one order.
fn entries(streams: &[LogStream]) -> Vec<String> {
    let of = |stream: &LogStream| stream.entries.iter().map(|entry| format!("{} {entry:?}", stream.labels)).collect::<Vec<_>>();
    let mut entries: Vec<_> = streams.iter().flat_map(of).collect();
    entries.sort();
    entries
}

/// What a tail tells of the lines that are there and of those that come.
async fn told(engine: &LogqlEngine, ask: &Ask) -> model::Result<Vec<String>> {
    let Answered::Tail(LogTail { stored, mut arriving }) = engine.answer(ask, &QueryLimits::default()).await?.data else {
        panic!("a tail is a tail: {ask:?}")
    };
    let mut streams = stored.await?;
    while let Some(arrival) = arriving.try_next().await? {
        let LogArrival::Lines(lines) = arrival else { panic!("{arrival:?}") };
        streams.extend(lines);
    }
    Ok(entries(&streams))
}

async fn metric(engine: &LogqlEngine, text: &str) -> model::Result<String> {
    let (start_ns, end_ns, step_ns, query) = evaluation(text);
    let limits = QueryLimits::default();
    let answer = match step_ns {
        None => engine.instant(query, start_ns, &limits).await?,
        Some(step_ns) => {
            let lines = Lines { limit: 0, direction: Direction::Backward };
            engine.range(query, Window { start_ns, end_ns, step_ns }, lines, &limits).await?
        }
    };
    Ok(numbers(answer.data, text))
}

fn numbers(data: Answered, text: &str) -> String {
    let mut out = String::new();
    match data {
        Answered::Scalar { value, .. } => writeln!(out, "  {}", number(value)).expect("memory"),
        Answered::Vector(samples) => {
            samples.iter().for_each(|sample| writeln!(out, "  {} {}", sample.labels, number(sample.value)).expect("memory"));
        }
        Answered::Matrix(matrix) => {
            for series in matrix {
                let points: Vec<_> = series.floats.iter().map(|(at, value)| format!("{}@{}s", number(*value), *at as f64 / 1e3)).collect();
                writeln!(out, "  {} {}", series.labels, points.join(" ")).expect("memory");
            }
        }
        _ => panic!("a metric query answers numbers: {text}"),
    }
    out
}

/// `volume from 0s to 60s [step 30s] [limit 3] by series|labels a,b SELECTOR`; `-` for no names.
async fn volume(engine: &LogqlEngine, text: &str) -> model::Result<String> {
    let mut cursor = Cursor(text);
    cursor.expect("volume from");
    let start_ns = duration_ns(cursor.word());
    cursor.expect("to");
    let end_ns = duration_ns(cursor.word());
    let step_ns = cursor.accept("step").then(|| duration_ns(cursor.word()));
    let limit = if cursor.accept("limit") { cursor.word().parse().expect("a number of volumes") } else { 100 };
    cursor.expect("by");
    let kind = cursor.word();
    let (names, rest) = cursor.0.trim_start().split_once(' ').expect("names and a selector");
    cursor.0 = rest;
    let names = names.split(',').filter(|name| *name != "-").map(str::to_owned).collect();
    let by = if kind == "labels" { VolumeBy::Labels(names) } else { VolumeBy::Series(names) };
    let lang::logql::Expr::Log(log) = lang::logql::parse(cursor.0.trim()).expect("a selector") else { panic!("a selector: {text}") };
    let matchers = log.selector.into_iter().map(|matcher| Matcher::new(matcher.name, matcher.op, matcher.value)).collect();
    let ask = Ask::LogVolume { matchers, start_ns, end_ns, step_ns, by, limit };
    let answer = engine.answer(&ask, &QueryLimits::default()).await?;
    let warnings: String = answer.warnings.iter().map(|warning| format!("  warning: {warning}\n")).collect();
    Ok(numbers(answer.data, text) + &warnings)
}

/// `fields from 0s to 60s [limit 3] QUERY`
async fn fields(engine: &LogqlEngine, text: &str) -> model::Result<String> {
    let mut cursor = Cursor(text);
    cursor.expect("fields from");
    let start_ns = duration_ns(cursor.word());
    cursor.expect("to");
    let end_ns = duration_ns(cursor.word());
    let lines_max = if cursor.accept("limit") { cursor.word().parse().expect("a number of lines") } else { 100 };
    let ask = Ask::DetectedFields { query: cursor.0.trim().to_owned(), start_ns, end_ns, lines_max };
    let Answered::DetectedFields(found) = engine.answer(&ask, &QueryLimits::default()).await?.data else { panic!("fields: {text}") };
    let mut out = format!("  {} lines{}\n", found.lines, if found.sampled { ", sampled" } else { "" });
    for field in found.fields {
        let values: Vec<_> = field.values.iter().map(|(value, lines)| format!("{value:?}*{lines}")).collect();
        writeln!(out, "  {} {} {:?} {} {}", field.name, field.kind.name(), field.parsers, field.json_path.join("/"), values.join(" "))
            .expect("memory");
    }
    Ok(out.replace("  \"", " \""))
}

/// `patterns from 60s to 120s step 30s [before 0s to 60s] [limit 3] QUERY`; each is found again by its text.
async fn patterns(engine: &LogqlEngine, text: &str) -> model::Result<String> {
    let mut cursor = Cursor(text);
    cursor.expect("patterns from");
    let start_ns = duration_ns(cursor.word());
    cursor.expect("to");
    let end_ns = duration_ns(cursor.word());
    cursor.expect("step");
    let step_ns = duration_ns(cursor.word());
    let before = cursor.accept("before").then(|| {
        let start_ns = duration_ns(cursor.word());
        cursor.expect("to");
        model::TimeRange::new(start_ns, duration_ns(cursor.word()))
    });
    let limit = if cursor.accept("limit") { cursor.word().parse().expect("a number of patterns") } else { 100 };
    let query = cursor.0.trim().to_owned();
    let ask = Ask::LogPatterns { query: query.clone(), start_ns, end_ns, step_ns, before, limit };
    let Answered::LogPatterns(found) = engine.answer(&ask, &QueryLimits::default()).await?.data else { panic!("patterns: {text}") };
    let model::LogPatterns { patterns, patterns_found, others, others_before, lines, lines_before, sampled } = *found;
    let mut out =
        format!("  {patterns_found} patterns, {lines} and {lines_before} lines, {others} and {others_before} others, sampled {sampled}\n");
    for found in patterns {
        let change = found.change.map_or("-", model::PatternChange::name);
        let model::LogPattern { pattern, services, levels, count, count_before, samples, .. } = found;
        writeln!(out, "  {change} {count} {count_before} {pattern} {services:?} {levels:?} {samples:?}").expect("memory");
        if count > 0 && !query.is_empty() {
            let (window, most) = (Window { start_ns, end_ns, step_ns: 1 }, Lines { limit: 10_000, direction: Direction::Backward });
            let again = engine.range(&format!("{query} |> {pattern:?}"), window, most, &QueryLimits::default()).await?;
            let Answered::Streams(streams) = again.data else { panic!("a log query answers streams") };
            let again: usize = streams.iter().map(|stream| stream.entries.len()).sum();
            assert!(again as u64 >= count, "{pattern} finds {again} of {count} lines");
        }
    }
    Ok(out)
}

#[tokio::test]
async fn cases() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/logql");
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("the cases are there").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut failed = Vec::new();
    for path in files {
        let before = std::fs::read_to_string(&path).expect("cases are text");
        let after = answer_all(&before).await;
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &after).expect("the cases can be written");
        } else if before != after {
            let different = before.lines().zip(after.lines()).find(|(before, after)| before != after);
            failed.push(format!("{}: {different:?}", path.display()));
        }
    }
    assert!(failed.is_empty(), "answers differ; UPDATE=1 rewrites them, read the difference then:\n{}", failed.join("\n"));
}

/// The file again, with the answers that come now.
async fn answer_all(text: &str) -> String {
    let mut out = String::new();
    let mut loader = Loader::default();
    let mut engine = None;
    let mut loading = false;
    for line in text.lines() {
        let first = line.split_whitespace().next().unwrap_or("");
        let indented = line.starts_with(' ');
        match first {
            "load" if !indented => {
                (loader, engine, loading) = (Loader::default(), None, true);
            }
            "eval" if !indented => {
                loading = false;
                let engine = engine.get_or_insert_with(|| std::mem::take(&mut loader).engine());
                let asked = line.trim_start_matches("eval").trim();
                let answer = match asked.split(' ').next() {
                    Some("lines") => lines(engine, asked).await,
                    Some("volume") => volume(engine, asked).await,
                    Some("fields") => fields(engine, asked).await,
                    Some("patterns") => patterns(engine, asked).await,
                    _ => metric(engine, asked).await,
                };
                let answer = answer.unwrap_or_else(|error| format!("  error: {}\n", error.chain()));
                write!(out, "{line}\n{answer}").expect("memory");
                continue;
            }
            _ if indented && loading => loader.load(line.trim()),
            // The answer as it was.
            _ if indented => continue,
            _ => {}
        }
        writeln!(out, "{line}").expect("memory");
    }
    out
}

#[tokio::test]
async fn a_metric_is_not_followed() {
    let ask = Ask::LogqlTail { query: r#"rate({app="tv"}[1m])"#.to_owned(), start_ns: 0, end_ns: 1, limit: 1 };
    let refused = Loader::default().engine().answer(&ask, &QueryLimits::default()).await.err().expect("it is no query for lines");
    assert_eq!(refused.chain(), "only log selector is supported");
}

#[tokio::test]
async fn a_limited_query_stops_reading_early() {
    let check = async |query: &str, batches_max: usize| {
        let mut loader = Loader::default();
        loader.load(r#"{app="tv", zone_id="a"} "n=1" @ 0s [repeat every 1s for 1000]"#);
        let rows = Arc::new(loader.lines());
        let engine = LogqlEngine::new(rows.clone());
        let window = Window { start_ns: 0, end_ns: duration_ns("2000s"), step_ns: 1 };
        let answer = engine.range(query, window, Lines { limit: 12, direction: Direction::Backward }, &QueryLimits::default()).await;
        let Answered::Streams(streams) = answer.expect("an answer").data else { panic!("a log query answers streams") };
        let entries: Vec<_> = streams.iter().flat_map(|stream| &stream.entries).map(|entry| entry.time_ns / 1_000_000_000).collect();
        assert_eq!(entries, (988..1000).rev().collect::<Vec<_>>(), "{query}");
        assert!(rows.batches_taken() <= batches_max, "{query}: {} batches", rows.batches_taken());
    };
    // The scan cuts, or, where something is left to do on its rows, the reader.
    check(r#"{app="tv"} |= "n""#, 3).await;
    check(r#"{zone_id="a"} | logfmt | n > 0"#, 3).await;
}

#[tokio::test]
async fn limits_have_names() {
    let mut loader = Loader::default();
    (0..20).for_each(|index| loader.load(&format!(r#"{{app="tv", pod="{index}"}} "x" @ 1s"#)));
    let engine = loader.engine();
    let refuse = async |query: &str, limits: QueryLimits, name: &str| {
        let error = engine.instant(query, 10_000_000_000, &limits).await.err().expect("a limit stops it").chain();
        assert!(error.contains(name), "{error}");
    };
    let query = r#"count_over_time({app="tv"}[1m])"#;
    refuse(query, QueryLimits { series_max: 10, ..QueryLimits::default() }, "series_max").await;
    refuse(query, QueryLimits { memory_bytes_max: 500, ..QueryLimits::default() }, "memory_bytes_max").await;
    let window = Window { start_ns: 0, end_ns: i64::MAX, step_ns: 1 };
    let lines = Lines { limit: 1, direction: Direction::Backward };
    let error = engine.range(query, window, lines, &QueryLimits::default()).await.err().expect("too many points").chain();
    assert!(error.contains("points_per_series_max"), "{error}");
    // As many points as Prometheus allows: one more than it says.
    let points = QueryLimits { points_per_series_max: 10, ..QueryLimits::default() };
    let to = |end_ns| Window { start_ns: 0, end_ns, step_ns: 1 };
    assert!(engine.range(query, to(10), lines, &points).await.is_ok() && engine.range(query, to(11), lines, &points).await.is_err());
    let hasty = QueryLimits { timeout: std::time::Duration::ZERO, ..QueryLimits::default() };
    assert_eq!(engine.instant(query, 10_000_000_000, &hasty).await.err().expect("no time at all").code, model::Code::Timeout);
    // What one aggregation may hold, two may not.
    let two = format!("{query} + count_over_time({{app=\"tv\"}}[2m])");
    let held = |bytes: usize| QueryLimits { memory_bytes_max: bytes, ..QueryLimits::default() };
    let least = async |query: &str| {
        let mut bytes = 1_000;
        while engine.instant(query, 10_000_000_000, &held(bytes)).await.is_err() {
            bytes += 500;
        }
        bytes
    };
    assert!(least(&two).await > least(query).await);
    // A sum needs no series per pod.
    let limits = QueryLimits { series_max: 1, ..QueryLimits::default() };
    let answer = engine.instant(&format!("sum({query})"), 10_000_000_000, &limits).await.expect("one series");
    let Answered::Vector(samples) = answer.data else { panic!("a vector") };
    assert_eq!(samples[0].value, 20.0);
}
