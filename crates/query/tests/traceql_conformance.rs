//! The public TraceQL suites of the data folder (`TYTO_DATA`, default `../shared/data`), read where they lie and never copied.
//! Prints how many cases pass, and fails when fewer pass than did before.

use std::collections::BTreeSet;
use std::sync::Arc;

use lang::traceql::{Attribute, CheckError, Intrinsic, Kind, Root, Scope, Status, Value};
use model::Answered;
use model::{Ask, QueryLimits, Table, TimeRange, TraceSummary};
use query::traceql::{Place, Set, Sets, Slots, Span, TraceqlEngine};
use serde_json::Value as Json;
use testkit::memory_scan::MemoryScan;
use testkit::suite;

mod traceql_support;
use traceql_support::{noise, otlp};

/// Raise these when more pass; a change that lowers them is a regression.
const EXAMPLES_FLOOR: usize = 360;
const PARSE_FLOOR: usize = 192;
const SPANSET_FLOOR: usize = 103;
const SEARCH_FLOOR: usize = 183;

fn told(suite: &str, passed: usize, all: usize, floor: usize) {
    println!("traceql {suite}: passed {passed} of {all}");
    assert!(passed >= floor, "{passed} cases pass, {floor} did before");
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            },
            (c, false) => c,
        });
    }
    out
}

fn class(query: &str) -> &'static str {
    match lang::traceql::read(query) {
        Ok(_) => "valid",
        Err(CheckError::Parse(_)) => "parse_fails",
        Err(CheckError::Invalid(_)) => "validate_fails",
        Err(CheckError::Unsupported(_)) => "unsupported",
    }
}

#[test]
fn examples() {
    let Some(folder) = suite("traceql") else { return };
    let text = std::fs::read_to_string(folder.join("examples.tsv")).expect("the cases are there");
    let (mut passed, mut all) = (0, 0);
    for case in text.lines().skip(1) {
        let Some((expect, query)) = case.split_once('\t') else { continue };
        let query = unescaped(query);
        all += 1;
        match class(&query) == expect {
            true => passed += 1,
            false => println!("wants {expect}: {query}\n  {:?}", lang::traceql::read(&query).map(|query| query.to_string())),
        }
    }
    told("examples.tsv", passed, all, EXAMPLES_FLOOR);
}

#[test]
fn parse_cases() {
    let Some(folder) = suite("traceql") else { return };
    let text = std::fs::read_to_string(folder.join("parse_cases.tsv")).expect("the cases are there");
    let (mut passed, mut all) = (0, 0);
    for case in text.lines().skip(1) {
        let fields: Vec<_> = case.split('\t').map(unescaped).collect();
        let [expect, query, .., printed] = &fields[..] else { continue };
        let read = lang::traceql::parse(query);
        let same = read.as_ref().is_ok_and(|query| printed.is_empty() || query.to_string() == *printed);
        all += 1;
        match if expect == "valid" { same } else { read.is_err() } {
            true => passed += 1,
            false => println!("wants {expect}: {query}\n  {printed}\n  {:?}", read.map(|query| query.to_string())),
        }
    }
    told("parse_cases.tsv", passed, all, PARSE_FLOOR);
}

fn value(json: &Json) -> Value<'static> {
    let (kind, value) = json.as_object().and_then(|json| json.iter().next()).expect("a value has a type");
    let number = || value.as_f64().expect("a number");
    match kind.as_str() {
        "string" => Value::text(value.as_str().expect("text").to_owned()),
        "int" => Value::Int(number() as i64),
        "float" => Value::Float(number()),
        "bool" => Value::Bool(value.as_bool().expect("true or false")),
        "duration_ns" => Value::Duration(number() as i64),
        "status" => Value::Status(Status::of_name(value.as_str().expect("a status"))),
        "kind" => Value::Kind(Kind::of_name(value.as_str().expect("a kind"))),
        array => {
            let element = array.strip_suffix("_array").expect("an array");
            let wrapped = |value: &Json| self::value(&Json::from_iter([(element, value.clone())]));
            Value::List(value.as_array().expect("values").iter().map(wrapped).collect())
        }
    }
}

/// Sets of a case over all of their spans, one after the other.
fn sets(json: &Json, slots: &Slots, spans: &mut Vec<Span>) -> Vec<Set> {
    let list = |json: &Json, name: &str| json.get(name).and_then(Json::as_array).cloned().unwrap_or_default();
    let pair = |json: &Json| (json[0].as_str().expect("a name").to_owned(), value(&json[1]));
    let of_set = |set: &Json| {
        let first = spans.len();
        for span in list(set, "spans") {
            let attributes: Vec<_> = list(&span, "attrs").iter().map(pair).collect();
            let find = |name: &str| attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
            let of = |attribute: &Attribute| match attribute {
                Attribute::Key { scope: Scope::Any, name, .. } => {
                    [format!(".{name}"), format!("span.{name}"), format!("resource.{name}")].iter().find_map(|name| find(name))
                }
                attribute => find(&attribute.to_string()),
            };
            let nested = |name: &str| span.get("nested_set").and_then(|nested| nested[name].as_i64()).unwrap_or_default();
            spans.push(Span {
                id: format!("{} {:?}", span.get("id").and_then(Json::as_str).unwrap_or_default(), attributes),
                place: Place { left: nested("left"), right: nested("right"), parent: nested("parent") },
                values: slots.attributes().iter().map(|attribute| of(attribute).unwrap_or(Value::Nil)).collect(),
                ..Span::default()
            });
        }
        let attributes = list(set, "attributes").iter().map(pair).collect();
        Set { spans: (first..spans.len()).collect(), scalar: set.get("scalar").map(value), attributes }
    };
    json.as_array().expect("sets").iter().map(of_set).collect()
}

#[test]
fn spanset_evaluations() {
    let Some(folder) = suite("traceql") else { return };
    let text = std::fs::read_to_string(folder.join("spanset_eval.jsonl")).expect("the cases are there");
    let (mut passed, mut all) = (0, 0);
    for line in text.lines() {
        let case: Json = serde_json::from_str(line).expect("a case is JSON");
        let query = case["query"].as_str().expect("a query");
        all += 1;
        let Ok(Root::Spans(pipeline)) = lang::traceql::parse(query).map(|query| query.root) else {
            println!("cannot read {query}");
            continue;
        };
        let (mut slots, mut spans) = (Slots::default(), Vec::new());
        let compiled = Sets::new(&pipeline, &mut slots).expect("it compiles");
        let input = sets(&case["input"], &slots, &mut spans);
        let shown = |sets: Vec<Set>, spans: &[Span]| {
            let of = |set: Set| {
                format!("{:?} {:?} {:?}", set.spans.iter().map(|&at| &spans[at].id).collect::<Vec<_>>(), set.scalar, set.attributes)
            };
            sets.into_iter().map(of).collect::<Vec<_>>()
        };
        let found = shown(compiled.run(&spans, input), &spans);
        let mut expected = Vec::new();
        let expect = sets(&case["expected"], &slots, &mut expected);
        let expect = shown(expect, &expected);
        match found == expect {
            true => passed += 1,
            false => println!("{query}\n  wants {expect:?}\n  finds {found:?}"),
        }
    }
    told("spanset_eval.jsonl", passed, all, SPANSET_FLOOR);
}

/// The trace of the cases.
const TRACE: &str = "0102030405060708090a0b0c0d0e0f10";

async fn found(engine: &TraceqlEngine, query: &str, range: TimeRange) -> Result<Option<TraceSummary>, String> {
    let ask = Ask::TraceSearch { query: query.to_owned(), range, limit: 1000, spans_per_set: 100 };
    let answer = engine.answer(ask, &QueryLimits::default()).await.map_err(|error| error.chain())?;
    let Answered::Traces(traces) = answer.data else { return Err("another kind of answer".to_owned()) };
    Ok(traces.into_iter().find(|trace| trace.trace_id == TRACE))
}

/// The case's query, or what its tags mean, and the time it is about.
fn asked(case: &Json) -> (String, TimeRange) {
    const SECOND: i64 = 1_000_000_000;
    if let Some(query) = case.get("query").and_then(Json::as_str) {
        return (query.to_owned(), TimeRange::ALL);
    }
    let number = |name: &str| case.get("search").and_then(|search| search.get(name)).and_then(Json::as_i64);
    let mut terms = Vec::new();
    for (name, value) in case.get("tags").and_then(Json::as_object).into_iter().flatten() {
        let attribute = match name.as_str() {
            "name" => Attribute::Intrinsic(Intrinsic::Name),
            "root.name" => Attribute::Intrinsic(Intrinsic::RootName),
            "root.service.name" => Attribute::Intrinsic(Intrinsic::RootService),
            name => Attribute::Key { scope: Scope::Any, parent: false, name: name.to_owned() },
        };
        terms.push(format!("{attribute} = `{}`", value.as_str().expect("a tag is text")));
    }
    terms.extend(number("MinDurationMs").map(|ms| format!("traceDuration >= {ms}ms")));
    terms.extend(number("MaxDurationMs").map(|ms| format!("traceDuration <= {ms}ms")));
    let range = match (number("Start"), number("End")) {
        (Some(start), Some(end)) => TimeRange::new(start * SECOND, (end + 1) * SECOND),
        _ => TimeRange::ALL,
    };
    (format!("{{ {} }}", terms.join(" && ")), range)
}

fn check(case: &Json, found: Option<&TraceSummary>) -> Result<(), String> {
    let wanted = case["match"].as_bool().expect("a case matches or not");
    let Some(found) = found else { return if wanted { Err("nothing found".to_owned()) } else { Ok(()) } };
    if !wanted {
        return Err(format!("found {found:?}"));
    }
    if let Some(key) = case.get("expected_key").and_then(Json::as_str) {
        let mut spans = found.span_sets.iter().flat_map(|set| &set.spans);
        if !spans.any(|span| span.attributes.iter().any(|(name, _)| name == key)) {
            return Err(format!("no {key} in {found:?}"));
        }
    }
    let Some(sets) = case.get("expected_spansets").and_then(Json::as_array) else { return Ok(()) };
    let expect: BTreeSet<(Vec<&str>, u64)> = sets
        .iter()
        .map(|set| {
            let mut ids: Vec<_> = set["span_ids"].as_array().expect("ids").iter().filter_map(Json::as_str).collect();
            ids.sort_unstable();
            (ids, set["matched"].as_u64().expect("a number"))
        })
        .collect();
    let told: BTreeSet<(Vec<&str>, u64)> = found
        .span_sets
        .iter()
        .map(|set| {
            let mut ids: Vec<_> = set.spans.iter().map(|span| span.span_id.as_str()).collect();
            ids.sort_unstable();
            (ids, set.matched)
        })
        .collect();
    if told == expect { Ok(()) } else { Err(format!("wants {expect:?}, finds {told:?}")) }
}

#[tokio::test]
async fn searches() {
    let Some(folder) = suite("traceql") else { return };
    let trace: Json =
        serde_json::from_slice(&std::fs::read(folder.join("search_trace.otlp.json")).expect("the trace is there")).expect("JSON");
    let scan = MemoryScan::in_batches_of(7);
    scan.push(Table::Spans, otlp(&trace));
    scan.push(Table::Spans, noise(60));
    let engine = TraceqlEngine::new(Arc::new(scan), std::time::Duration::from_secs(3600));
    let text = std::fs::read_to_string(folder.join("search_cases.jsonl")).expect("the cases are there");
    let (mut passed, mut all) = (0, 0);
    for line in text.lines() {
        let case: Json = serde_json::from_str(line).expect("a case is JSON");
        let (query, range) = asked(&case);
        all += 1;
        match found(&engine, &query, range).await.and_then(|found| check(&case, found.as_ref())) {
            Ok(()) => passed += 1,
            Err(why) => println!("{query} {range:?}\n  {why}"),
        }
    }
    told("search_cases.jsonl", passed, all, SEARCH_FLOOR);
}
