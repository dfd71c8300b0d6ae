//! The behaviour cases under `tests/cases/traceql/`: spans are loaded, queries asked, answers printed. `UPDATE=1` rewrites what
//! is expected.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{Answered, Ask, QueryLimits, SpanSet, SpanValue, Table, TimeRange};
use query::traceql::TraceqlEngine;
use testkit::memory_scan::MemoryScan;

mod traceql_support;
use traceql_support::{Loader, duration_ns};

fn shown(value: &SpanValue) -> String {
    match value {
        SpanValue::Nil => "nil".to_owned(),
        SpanValue::Bool(value) => value.to_string(),
        SpanValue::Int(value) => value.to_string(),
        SpanValue::Double(value) => format!("{value:?}"),
        SpanValue::Text(text) => format!("{text:?}"),
        SpanValue::List(values) => format!("[{}]", values.iter().map(shown).collect::<Vec<_>>().join(", ")),
    }
}

fn pairs(pairs: &[(String, SpanValue)]) -> String {
    pairs.iter().map(|(name, value)| format!(" {name}={}", shown(value))).collect()
}

fn set(set: &SpanSet) -> String {
    let mut spans: Vec<_> = set
        .spans
        .iter()
        .map(|span| {
            let id = span.span_id.trim_start_matches('0');
            format!("{id}{}{}", span.name.as_ref().map_or(String::new(), |name| format!(" {name:?}")), pairs(&span.attributes))
        })
        .collect();
    spans.sort();
    format!("{} of {{{}}}{}", set.matched, spans.join(" | "), pairs(&set.attributes))
}

/// Two times and what follows them.
fn times(text: &str) -> (i64, i64, &str) {
    let mut words = text.splitn(4, ' ');
    let mut next = || words.next().expect("START to END QUERY");
    let (start, _, end) = (next(), next(), next());
    (duration_ns(start), duration_ns(end), words.next().unwrap_or_default())
}

/// `search [START to END] QUERY`, `series START to END STEP|- QUERY`, `tags QUERY`, `values ATTRIBUTE QUERY`.
async fn answer(engine: &TraceqlEngine, text: &str) -> model::Result<String> {
    let (what, rest) = text.split_once(' ').unwrap_or((text, ""));
    let range = TimeRange::ALL;
    let ask = match what {
        "search" => {
            let timed = rest.starts_with(|c: char| c.is_ascii_digit());
            let (start_ns, end_ns, query) = if timed { times(rest) } else { (range.start_ns, range.end_ns, rest) };
            Ask::TraceSearch { query: query.to_owned(), range: TimeRange::new(start_ns, end_ns), limit: 10, spans_per_set: 9 }
        }
        "series" => {
            let (start_ns, end_ns, rest) = times(rest);
            let (step, query) = rest.split_once(' ').expect("a step and a query");
            let step_ns = (step != "-").then(|| duration_ns(step));
            Ask::TraceMetrics { query: query.to_owned(), start_ns, end_ns, step_ns, exemplars: 2 }
        }
        "tags" => Ask::TraceTags { query: rest.to_owned(), range, limit: 100 },
        "values" => {
            let (attribute, query) = rest.split_once(' ').unwrap_or((rest, ""));
            Ask::TraceTagValues { attribute: attribute.to_owned(), query: query.to_owned(), range, limit: 3 }
        }
        other => panic!("{other:?} is none of search, series, tags, values"),
    };
    let answer = engine.answer(ask, &QueryLimits::default()).await?;
    let mut out = String::new();
    match answer.data {
        Answered::Traces(traces) => {
            for trace in traces {
                let id = trace.trace_id.trim_start_matches('0');
                writeln!(out, "  {id} {} {:?} {}ms", trace.root_service, trace.root_name, trace.duration_ns / 1_000_000).expect("memory");
                trace.span_sets.iter().for_each(|found| writeln!(out, "    {}", set(found)).expect("memory"));
            }
        }
        Answered::TraceMetrics(series) => {
            for series in series {
                let points: Vec<_> = series.points.iter().map(|(at, value)| format!("{value}@{}s", *at as f64 / 1e3)).collect();
                let labels = pairs(&series.labels);
                let examples: String =
                    series.exemplars.iter().map(|found| format!(" ~{}", found.trace_id.trim_start_matches('0'))).collect();
                writeln!(out, "  {}: {}{examples}", labels.trim_start(), points.join(" ")).expect("memory");
            }
        }
        Answered::TraceTags(tags) => {
            tags.scopes.iter().for_each(|(scope, names)| writeln!(out, "  {scope}: {}", names.join(" ")).expect("memory"));
        }
        Answered::TraceTagValues(values) => {
            values.iter().for_each(|found| writeln!(out, "  {} {:?}", found.kind, found.value).expect("memory"));
        }
        _ => panic!("another kind of answer: {text}"),
    }
    answer.warnings.iter().for_each(|warning| writeln!(out, "  warning: {warning}").expect("memory"));
    Ok(out)
}

/// The text with what is answered now.
async fn answer_all(text: &str) -> String {
    let (mut out, mut loader, mut engine) = (String::new(), Loader::default(), None);
    for line in text.lines() {
        if let Some(asked) = line.strip_prefix("eval ") {
            let engine = engine.get_or_insert_with(|| {
                let scan = MemoryScan::in_batches_of(3);
                scan.push(Table::Spans, std::mem::take(&mut loader).spans());
                TraceqlEngine::new(Arc::new(scan), Duration::from_secs(3600))
            });
            let told = answer(engine, asked).await.unwrap_or_else(|error| format!("  error: {}\n", error.chain()));
            write!(out, "{line}\n{told}").expect("memory");
        } else if engine.is_none() || !line.starts_with("  ") {
            if line.starts_with("  ") {
                loader.load(line.trim());
            }
            if line == "load" {
                (engine, loader) = (None, Loader::default());
            }
            writeln!(out, "{line}").expect("memory");
        }
    }
    out
}

#[tokio::test]
async fn cases() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/traceql");
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("the cases are there").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut failed = Vec::new();
    for path in files {
        let before = std::fs::read_to_string(&path).expect("cases are text");
        let after = answer_all(&before).await;
        assert!(before.contains("eval "), "{} asks something", path.display());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &after).expect("the cases can be written");
        } else if before != after {
            let different = before.lines().zip(after.lines()).find(|(before, after)| before != after);
            failed.push(format!("{}: {different:?}", path.display()));
        }
    }
    assert!(failed.is_empty(), "answers differ; UPDATE=1 rewrites them, read the difference then:\n{}", failed.join("\n"));
}

#[tokio::test]
async fn a_search_over_its_memory_gives_the_newest_it_found() {
    const TRACES: usize = 2000;
    let mut loader = Loader::default();
    (1..=TRACES).for_each(|trace| loader.load(&format!("{trace}/1 GET shop server ok {trace}s 1ms")));
    let scan = MemoryScan::in_batches_of(100);
    scan.push(Table::Spans, loader.spans());
    let engine = TraceqlEngine::new(Arc::new(scan), Duration::from_secs(3600));
    let search = async |memory_bytes_max| {
        let ask = Ask::TraceSearch { query: "{ name = \"GET\" }".to_owned(), range: TimeRange::ALL, limit: 1000, spans_per_set: 3 };
        engine.answer(ask, &QueryLimits { memory_bytes_max, ..QueryLimits::default() }).await
    };
    let whole = search(1 << 30).await.expect("it fits");
    assert!(whole.warnings.is_empty() && matches!(&whole.data, Answered::Traces(found) if found.len() == 1000));
    let part = search(100_000).await.expect("some of it fits");
    let Answered::Traces(found) = part.data else { panic!("traces were asked for") };
    let newest: Vec<_> = (0..found.len()).map(|at| format!("{:0>32}", TRACES - at)).collect();
    assert!((1..1000).contains(&found.len()), "{}", found.len());
    assert_eq!(found.into_iter().map(|found| found.trace_id).collect::<Vec<_>>(), newest);
    assert!(matches!(&part.warnings[..], [warning] if warning.contains("query_memory_bytes_max")), "{:?}", part.warnings);
    assert!(matches!(search(200).await, Err(error) if error.code == model::Code::LimitExceeded), "not even one trace fits");
}
