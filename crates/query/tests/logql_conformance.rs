//! The public LogQL suites of the data folder (`TYTO_DATA`, default `../shared/data`), read where they lie and never copied.
//! Prints how many cases pass, and fails when fewer pass than did before.

use std::collections::BTreeMap;

use model::{Answered, Direction, Labels, QueryLimits};
use query::logql::{Lines, LogqlEngine, Window};
use testkit::suite;

mod logql_support;
use logql_support::{Cursor, Loader, evaluation};

/// Raise these when more pass; a change that lowers them is a regression.
const PARSE_FLOOR: usize = 170;
const EVAL_FLOOR: usize = 826;

#[test]
fn parse_cases() {
    let Some(folder) = suite("logql") else { return };
    // One case is about bytes that are no text: they come to a parser as the replacement character.
    let bytes = std::fs::read(folder.join("parse_cases.tsv")).expect("the cases are there");
    let text = String::from_utf8_lossy(&bytes);
    let (mut passed, mut all) = (0, 0);
    for case in text.lines().skip(1) {
        let mut fields = case.split('\t');
        let (Some(expect), Some(query)) = (fields.next(), fields.next()) else { continue };
        let mut unescaped = String::new();
        let mut chars = query.chars();
        while let Some(c) = chars.next() {
            unescaped.push(match (c, c == '\\') {
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
        let read = lang::logql::parse(&unescaped);
        all += 1;
        if read.is_ok() == (expect == "valid") {
            passed += 1;
        } else {
            println!("wants {expect}: {unescaped}\n  {:?}", read.map(|expr| expr.to_string()).map_err(|error| error.to_string()));
        }
    }
    println!("logql parse_cases.tsv: passed {passed} of {all}");
    assert!(passed >= PARSE_FLOOR, "{passed} cases pass, {PARSE_FLOOR} did before");
}

/// One `eval` with what is expected of it.
struct Case {
    evaluation: String,
    expect: Vec<String>,
}

#[tokio::test]
async fn evaluations() {
    let Some(folder) = suite("logql") else { return };
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "logqltest"));
    files.sort();
    let (mut passed, mut all) = (0, 0);
    for path in files {
        let text = std::fs::read_to_string(&path).expect("the cases are text");
        let (mut file_passed, mut file_all) = (0, 0);
        for (loader, cases) in scenarios(&text) {
            let engine = loader.engine();
            for case in cases {
                file_all += 1;
                match check(&engine, &case).await {
                    Ok(()) => file_passed += 1,
                    Err(why) => println!("{}\n  {why}", case.evaluation),
                }
            }
        }
        println!("logql {}: passed {file_passed} of {file_all}", path.file_name().unwrap_or_default().to_string_lossy());
        (passed, all) = (passed + file_passed, all + file_all);
    }
    println!("logql: passed {passed} of {all}");
    assert!(passed >= EVAL_FLOOR, "{passed} evaluations pass, {EVAL_FLOOR} did before");
}

fn scenarios(text: &str) -> Vec<(Loader, Vec<Case>)> {
    let mut scenarios: Vec<(Loader, Vec<Case>)> = vec![Default::default()];
    let mut loading = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let (loader, cases) = scenarios.last_mut().expect("there is a first scenario");
        match trimmed.split_once(' ').unwrap_or((trimmed, "")) {
            ("clear", _) => scenarios.push(Default::default()),
            ("load", _) => loading = true,
            ("eval", evaluation) => {
                loading = false;
                cases.push(Case { evaluation: evaluation.to_owned(), expect: Vec::new() });
            }
            _ if loading => loader.load(trimmed),
            _ => cases.last_mut().expect("an expectation follows an eval").expect.push(trimmed.to_owned()),
        }
    }
    scenarios
}

type Points = Vec<Option<f64>>;

/// Series with one value per step; the order counts for `expect ordered` only.
async fn run(engine: &LogqlEngine, evaluation_text: &str) -> Result<Vec<(Labels, Points)>, String> {
    let (start_ns, end_ns, step_ns, query) = evaluation(evaluation_text);
    let limits = QueryLimits::default();
    let Some(step_ns) = step_ns else {
        let answer = engine.instant(query, start_ns, &limits).await.map_err(|error| error.chain())?;
        return match answer.data {
            Answered::Scalar { value, .. } => Ok(vec![(Labels::empty(), vec![Some(value)])]),
            Answered::Vector(samples) => Ok(samples.into_iter().map(|sample| (sample.labels, vec![Some(sample.value)])).collect()),
            _ => Err("another kind of answer".to_owned()),
        };
    };
    let lines = Lines { limit: 100, direction: Direction::Backward };
    let answer = engine.range(query, Window { start_ns, end_ns, step_ns }, lines, &limits).await.map_err(|error| error.chain())?;
    let Answered::Matrix(matrix) = answer.data else { return Err("another kind of answer".to_owned()) };
    let steps = (end_ns - start_ns) / step_ns + 1;
    let at_ms = |step| (start_ns + step * step_ns) / 1_000_000;
    let value = |floats: &[(i64, f64)], step| floats.iter().find(|(at, _)| *at == at_ms(step)).map(|(_, value)| *value);
    Ok(matrix.into_iter().map(|series| (series.labels, (0..steps).map(|step| value(&series.floats, step)).collect())).collect())
}

fn same(left: &Points, right: &Points) -> bool {
    let close = |left: &Option<f64>, right: &Option<f64>| match (left, right) {
        (Some(left), Some(right)) => {
            left == right || left.is_nan() && right.is_nan() || (left - right).abs() <= 1e-6 * left.abs().max(right.abs())
        }
        (left, right) => left.is_none() && right.is_none(),
    };
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| close(left, right))
}

async fn check(engine: &LogqlEngine, case: &Case) -> Result<(), String> {
    let result = run(engine, &case.evaluation).await;
    let (mut expected, mut ordered) = (Vec::new(), false);
    for line in &case.expect {
        match line.strip_prefix("expect ") {
            Some(directive) if directive.starts_with("fail") => {
                let Err(found) = result else { return Err(format!("answers, where it must fail: {result:?}")) };
                let wanted = directive["fail".len()..].trim();
                let fits = match (wanted.strip_prefix("msg:"), wanted.strip_prefix("regex:")) {
                    (Some(text), _) => found.contains(text.trim()),
                    (_, Some(regex)) => regex::Regex::new(regex.trim()).expect("an expression").is_match(&found),
                    _ => true,
                };
                return if fits { Ok(()) } else { Err(format!("fails otherwise: {found}, not {wanted}")) };
            }
            Some("ordered") => ordered = true,
            Some(_) => {}
            None => {
                let mut cursor = Cursor(line);
                let labels = if cursor.peek("{") { cursor.labels() } else { Vec::new() };
                // An empty value is not a missing label.
                let labels = Labels::from_sorted(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
                let values = cursor.0.split('#').next().unwrap_or_default().split_whitespace();
                let value = |text: &str| (text != "_").then(|| text.parse::<f64>().expect("a number"));
                expected.push((labels, values.map(value).collect::<Points>()));
            }
        }
    }
    let found = result?;
    let fits = if ordered {
        found.len() == expected.len() && found.iter().zip(&expected).all(|(found, wanted)| found.0 == wanted.0 && same(&found.1, &wanted.1))
    } else {
        let found: BTreeMap<_, _> = found.iter().map(|(labels, points)| (labels, points)).collect();
        found.len() == expected.len() && expected.iter().all(|(labels, points)| found.get(labels).is_some_and(|found| same(found, points)))
    };
    if fits { Ok(()) } else { Err(format!("answers {found:?}\n  not     {expected:?}")) }
}
