//! What an asker may try: the deepest text, the largest value, more queries than there is room for.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use model::{Answered, Ask, Code, Direction, Error, Query, QueryLimits, Request};
use query::{Engine, EngineOptions};
use support::company;
use testkit::memory_scan::MemoryScan;

fn engine() -> Engine {
    Engine::new(Arc::new(company()), EngineOptions { partitions_max: 2, ..EngineOptions::default() })
}

async fn ask(engine: &Engine, ask: Ask, limits: QueryLimits) -> Result<(), Error> {
    match engine.query(Request { ask, limits }).await?.data {
        Answered::Table { rows, .. } => rows.try_collect::<Vec<_>>().await.map(drop),
        _ => Ok(()),
    }
}

fn sql(text: impl Into<String>) -> Ask {
    Ask::Sql { sql: text.into() }
}

fn promql(query: impl Into<String>) -> Ask {
    Ask::PromqlRange { query: query.into(), start_ms: 0, end_ms: 10_000, step_ms: 1_000, lookback: None }
}

fn logql(query: impl Into<String>) -> Ask {
    Ask::LogqlInstant { query: query.into(), at_ns: 1, limit: 1, direction: Direction::Backward }
}

fn chain(term: &str, operator: &str, operators: usize) -> String {
    vec![term; operators + 1].join(operator)
}

fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

#[tokio::test]
async fn the_longest_chain_of_operators_still_plans() {
    let engine = engine();
    for (term, operator, longest) in [
        ("flags + 1 = 1", " OR ", 160),
        ("true", "=", 497),
        ("(flags > 1)", "<>", 248),
        ("true", " AND ", 497),
        ("flags", "+", 497),
        ("body", " || ", 497),
        ("NULL", " IS NOT DISTINCT FROM ", 160),
        ("body", " LIKE ", 497),
    ] {
        let text = |operators: usize| format!("SELECT count(*) FROM logs WHERE ({}) IS NULL", chain(term, operator, operators));
        if let Err(error) = ask(&engine, sql(text(longest)), QueryLimits::default()).await {
            assert_ne!(error.code, Code::TooLarge, "{operator}");
        }
        let error = ask(&engine, sql(text(3_000)), QueryLimits::default()).await.unwrap_err();
        assert_eq!(error.code, Code::TooLarge, "{operator}");
    }
    let tables = |count: usize| (0..count).map(|table| format!("logs t{table}")).collect::<Vec<_>>().join(", ");
    assert!(ask(&engine, sql(format!("EXPLAIN SELECT 1 FROM {}", tables(100))), QueryLimits::default()).await.is_ok());
    let error = ask(&engine, sql(format!("SELECT 1 FROM {}", tables(1_000))), QueryLimits::default()).await.unwrap_err();
    assert_eq!(error.code, Code::TooLarge);
    let error = ask(&engine, sql(nested("(", "SELECT 1", ")", 5_000)), QueryLimits::default()).await.unwrap_err();
    assert_eq!(error.code, Code::Invalid);
}

/// As deep as the parsers let it be, a query is answered on the stack of any thread.
#[tokio::test]
async fn the_deepest_queries_are_answered() {
    let engine = engine();
    for query in [
        chain("1", "+", 250),
        chain("queue_depth", "+", 250),
        chain("queue_depth", " or ", 250),
        format!("queue_depth{}", "[1m:]".repeat(250)),
        format!("last_over_time(queue_depth[{}])", chain("1s", "+", 249)),
        nested("(", "1", ")", 120),
        nested("abs(", "queue_depth", ")", 120),
        nested("sum(", "queue_depth", ")", 120),
        nested("-", "1", "", 60),
        nested("(", &chain("1", "+", 250), ")", 120),
        nested("last_over_time(", "queue_depth", "[1s:1s])", 60),
        chain("1", "^", 120),
    ] {
        if let Err(error) = ask(&engine, promql(&query), QueryLimits::default()).await {
            assert!(error.chain().contains("range vector") || error.chain().contains("got matrix"), "{query:.40}: {}", error.chain());
        }
    }
    for query in [
        chain("1", "+", 250),
        chain("vector(1)", " or ", 250),
        format!("count_over_time({{a=\"b\"}} | {} [1m])", chain("a=1", " or ", 249)),
        format!("count_over_time({{a=\"b\"}} | {} [1m])", chain("a=1", " and ", 249)),
        nested("(", "1", ")", 60),
        nested("sum(", "vector(1)", ")", 60),
    ] {
        if let Err(error) = ask(&engine, logql(&query), QueryLimits::default()).await {
            panic!("{query:.40}: {}", error.chain());
        }
    }
}

#[tokio::test]
async fn queries_wait_for_their_turn_and_no_longer() {
    let scan = Arc::new(MemoryScan::stuck());
    let engine = Arc::new(Engine::new(scan, EngineOptions { queries_max: 1, ..EngineOptions::default() }));
    let metadata = || Ask::Metadata { metric: None, limit: None };
    let hasty = || QueryLimits { timeout: Duration::from_millis(20), ..QueryLimits::default() };
    let first = tokio::spawn({
        let engine = engine.clone();
        async move { engine.query(Request::new(Ask::Metadata { metric: None, limit: None })).await.map(drop) }
    });
    tokio::task::yield_now().await;
    let refused = ask(&engine, metadata(), hasty()).await.unwrap_err();
    assert_eq!(refused.code, Code::Overloaded { retry_after_seconds: 1 });
    assert!(refused.what.contains("queries_max = 1"), "{}", refused.what);
    // Whoever goes away makes room; a table holds its turn until its rows are dropped.
    first.abort();
    assert_eq!(ask(&engine, metadata(), hasty()).await.unwrap_err().code, Code::Timeout);
    let table = engine.query(Request::new(sql("SELECT * FROM logs"))).await.unwrap();
    assert_eq!(ask(&engine, metadata(), hasty()).await.unwrap_err().code, Code::Overloaded { retry_after_seconds: 1 });
    drop(table);
    assert_eq!(ask(&engine, metadata(), hasty()).await.unwrap_err().code, Code::Timeout);
}

#[tokio::test]
async fn no_function_of_sql_goes_round_the_memory_limit() {
    let engine = engine();
    for call in [
        "range(1, 300000000)",
        "generate_series(1, 300000000)",
        "array_repeat(1, 300000000)",
        "array_resize([1], 300000000)",
        "repeat('a', 2000000000)",
        "lpad('a', 2000000000)",
    ] {
        let error = ask(&engine, sql(format!("SELECT {call}")), QueryLimits::default()).await.unwrap_err();
        assert_eq!(error.code, Code::Invalid, "{}", error.chain());
    }
    assert!(ask(&engine, sql("SELECT * FROM generate_series(1, 10)"), QueryLimits::default()).await.is_ok());
}

#[tokio::test]
async fn memory_is_counted_where_it_is_made() {
    let engine = engine();
    let narrow = || QueryLimits { memory_bytes_max: 300_000, ..QueryLimits::default() };
    for (query, fits) in [
        ("queue_depth + 1", true),
        // Small for each series, and too much for all.
        ("count_values(\"v\", time() + vector(1))", true),
        ("count_over_time(vector(1)[1h:10ms])", false),
        ("vector(1)[3h:1ms]", false),
        ("queue_depth @ 0 + 1", true),
    ] {
        match ask(&engine, Ask::PromqlInstant { query: query.to_owned(), at_ms: 0, lookback: None }, narrow()).await {
            Ok(()) => assert!(fits, "{query}"),
            Err(error) => assert!(!fits && error.what.contains("memory_bytes_max"), "{query}: {}", error.chain()),
        }
    }
    let every_value = Ask::PromqlRange {
        query: "count_values(\"v\", vector(time()))".to_owned(),
        start_ms: 0,
        end_ms: 1_000_000,
        step_ms: 1_000,
        lookback: None,
    };
    let error = ask(&engine, every_value, narrow()).await.unwrap_err();
    assert!(error.what.contains("memory_bytes_max"), "{}", error.chain());
}
