#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use model::{
    Answer, Answered, Ask, Code, Direction, Filter, MatchOp, Matcher, Order, Query, Request, Result, Subject, Table, Test, TimeRange,
};
use query::{Engine, EngineOptions};
use support::{company, everything};
use testkit::memory_scan::MemoryScan;

fn engine(scan: MemoryScan) -> (Arc<MemoryScan>, Engine) {
    let scan = Arc::new(scan);
    (scan.clone(), Engine::new(scan, EngineOptions { partitions_max: 2, ..EngineOptions::default() }))
}

async fn ask(ask: Ask) -> Result<Answer> {
    engine(company()).1.query(Request::new(ask)).await
}

async fn sql(engine: &Engine, request: Request) -> Result<usize> {
    let Answered::Table { rows, .. } = engine.query(request).await?.data else { panic!("SQL answers a table") };
    rows.try_fold(0, |sum, batch| async move { Ok(sum + batch.num_rows()) }).await
}

fn sql_request(sql: &str) -> Request {
    Request::new(Ask::Sql { sql: sql.to_owned() })
}

fn shown(answer: Answer) -> Vec<String> {
    match answer.data {
        Answered::Names(names) => names,
        Answered::Series(series) => series.iter().map(ToString::to_string).collect(),
        Answered::Metadata(families) => {
            families.iter().map(|family| format!("{} {} {} {}", family.name, family.kind, family.unit, family.help)).collect()
        }
        Answered::Traces(traces) => traces
            .iter()
            .map(|t| {
                format!(
                    "{} {} {} {}s {} {}",
                    &t.trace_id[31..],
                    t.root_service,
                    t.root_name,
                    t.duration_ns / 1_000_000_000,
                    t.spans,
                    t.errors
                )
            })
            .collect(),
        _ => panic!("another kind of answer"),
    }
}

#[tokio::test]
async fn series_and_labels_of_samples() {
    let table = Table::Samples;
    let job = vec![vec![Matcher::new("job", MatchOp::Regex, "a.i"), Matcher::new("instance", MatchOp::NotEqual, "b")]];
    let series = ask(Ask::Series { table, selectors: job, range: everything(), limit: None }).await.unwrap();
    assert_eq!(shown(series), [r#"{__name__="http_requests_total", instance="a", job="api"}"#]);

    let names = ask(Ask::LabelNames { table, selectors: vec![], range: everything(), limit: None }).await.unwrap();
    assert_eq!(shown(names), ["__name__", "instance", "job", "le"]);

    // The metadata-only row is no series; the series at time 0 is.
    let name = "__name__".to_owned();
    let values = ask(Ask::LabelValues { table, name: name.clone(), selectors: vec![], range: everything(), limit: None }).await.unwrap();
    assert_eq!(shown(values), ["born_at_zero", "http_requests_total", "rpc_seconds_bucket"]);

    let first = ask(Ask::LabelValues { table, name, selectors: vec![], range: TimeRange::new(1, i64::MAX), limit: Some(1) }).await.unwrap();
    assert_eq!(first.warnings, ["results truncated due to limit"]);
    assert_eq!(shown(first), ["http_requests_total"]);
}

#[tokio::test]
async fn streams_of_logs_take_identity_and_legal_names() {
    let table = Table::Logs;
    let check = async |selector: Vec<Matcher>, expect: &[&str]| {
        let streams = ask(Ask::Series { table, selectors: vec![selector], range: everything(), limit: None }).await.unwrap();
        assert_eq!(shown(streams), expect);
    };
    let checkout = r#"{business_service="payments", component="checkout", host="a1", service_name="checkout"}"#;
    check(vec![Matcher::new("service_name", MatchOp::Equal, "checkout")], &[checkout]).await;
    check(vec![Matcher::new("component", MatchOp::Equal, "checkout")], &[checkout]).await;
    // Nobody's record shows no business service; it is found none the less.
    let unassigned = r#"{host="a1", service_name="cron"}"#;
    check(vec![Matcher::new("business_service", MatchOp::Equal, "unassigned")], &[unassigned]).await;
    check(vec![Matcher::new("business_service", MatchOp::Equal, "")], &[]).await;
    check(vec![Matcher::new("business_service", MatchOp::Regex, "un.*|payments")], &[checkout, unassigned]).await;
    check(vec![Matcher::new("host", MatchOp::Equal, "a1"), Matcher::new("component", MatchOp::Equal, "")], &[unassigned]).await;
    check(vec![Matcher::new("host", MatchOp::NotEqual, "a1")], &[]).await;
}

#[tokio::test]
async fn metadata_names_families_not_series() {
    let all = shown(ask(Ask::Metadata { metric: None, limit: None }).await.unwrap());
    assert_eq!(
        all,
        ["http_requests_total counter  Requests served.", "queue_depth gauge  Messages waiting.", "rpc_seconds histogram seconds "]
    );
    let first = ask(Ask::Metadata { metric: None, limit: Some(1) }).await.unwrap();
    assert_eq!(first.warnings, ["results truncated due to limit"]);
    let one = shown(ask(Ask::Metadata { metric: Some("rpc_seconds".to_owned()), limit: None }).await.unwrap());
    assert_eq!(one, ["rpc_seconds histogram seconds "]);
}

#[tokio::test]
async fn a_trace_comes_by_a_short_id_in_any_case() {
    let Answered::Spans(spans) = ask(Ask::Trace { trace_id: "01".to_owned(), range: everything() }).await.unwrap().data else {
        panic!("a trace is spans")
    };
    assert_eq!(spans.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 2);
    let Err(error) = ask(Ask::Trace { trace_id: "zz".to_owned(), range: everything() }).await else { panic!("no hex, no id") };
    assert_eq!(error.code, Code::Invalid);
}

#[tokio::test]
async fn a_search_gives_whole_traces_newest_first() {
    let check = async |query: &str, limit: usize, expect: &[&str]| {
        let ask = self::ask(Ask::TraceSearch { query: query.to_owned(), range: everything(), limit, spans_per_set: 3 });
        assert_eq!(shown(ask.await.unwrap()), expect, "{query}");
    };
    let (one, two, three) = ("1 player GET /play 3s 2 1", "2 player GET /play 1s 1 0", "3 checkout charge 2s 1 1");
    check("{}", 10, &[three, two, one]).await;
    check("{}", 2, &[three, two]).await;
    check("{ traceDuration >= 2s }", 1, &[three]).await;
    check("{ .db.system = `postgresql` && status = error }", 10, &[one]).await;
    check("{ resource.service.name = `player` && name = `GET /play` && traceDuration >= 2s }", 10, &[one]).await;
    check("{ resource.cloud.region = `eu-west-1` && status = ok && .business_service = `playback` }", 10, &[two, one]).await;
    check("{ span.cloud.region = `eu-west-1` }", 10, &[]).await;
}

#[tokio::test]
async fn newest_first_with_a_limit_reaches_the_scan() {
    let check = async |text: &str, order: Order, limit: Option<usize>, rows: usize| {
        let (scan, engine) = engine(company());
        assert_eq!(sql(&engine, sql_request(text)).await.unwrap(), rows, "{text}");
        let requests = scan.requests();
        assert_eq!((requests[0].order, requests[0].limit), (order, limit), "{text}");
    };
    check("SELECT body FROM logs ORDER BY time_unix_nano DESC LIMIT 2", Order::NewestFirst, Some(2), 2).await;
    check("SELECT body, time_unix_nano FROM logs ORDER BY time_unix_nano LIMIT 2", Order::OldestFirst, Some(2), 2).await;
    check("SELECT * FROM logs WHERE flags IS NULL ORDER BY time_unix_nano DESC LIMIT 3", Order::NewestFirst, None, 3).await;
    check("SELECT * FROM logs ORDER BY time_unix_nano DESC, body LIMIT 3", Order::Any, None, 3).await;
    check("SELECT * FROM logs ORDER BY time_unix_nano DESC", Order::Any, None, 6).await;
    check("SELECT * FROM samples ORDER BY min_time_unix_nano DESC LIMIT 3", Order::Any, None, 3).await;
    check("SELECT * FROM logs LIMIT 4", Order::Any, Some(4), 4).await;
}

#[tokio::test]
async fn limits_stop_a_query_with_their_name() {
    let check = async |text: &str, change: fn(&mut model::QueryLimits), code: Code, word: &str| {
        let mut request = sql_request(text);
        change(&mut request.limits);
        let error = sql(&engine(company()).1, request).await.unwrap_err();
        assert_eq!(error.code, code, "{}", error.chain());
        assert!(error.chain().contains(word), "{}", error.chain());
    };
    check("SELECT * FROM logs", |limits| limits.scanned_bytes_max = 10, Code::LimitExceeded, "scanned_bytes_max").await;
    let sort = "SELECT value FROM generate_series(1, 1000000) ORDER BY value % 1000";
    check(sort, |limits| limits.memory_bytes_max = 100_000, Code::LimitExceeded, "memory_bytes_max").await;
    let endless = "SELECT count(*) FROM generate_series(1, 1000000000000)";
    check(endless, |limits| limits.timeout = Duration::from_millis(200), Code::Timeout, "200ms").await;
}

#[tokio::test]
async fn a_stuck_scan_times_out() {
    let (_, engine) = engine(MemoryScan::stuck());
    for ask in [Ask::Sql { sql: "SELECT * FROM logs".to_owned() }, Ask::Metadata { metric: None, limit: None }] {
        let mut request = Request::new(ask);
        request.limits.timeout = Duration::from_millis(50);
        let outcome = match engine.query(request).await {
            Ok(Answer { data: Answered::Table { rows, .. }, .. }) => rows.try_collect::<Vec<_>>().await.map(drop),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        assert_eq!(outcome.unwrap_err().code, Code::Timeout);
    }
}

#[tokio::test]
async fn what_a_matcher_says_reaches_the_scan() {
    let filters = async |query: &str| {
        let (scan, engine) = engine(company());
        let ask = Ask::LogqlInstant { query: format!("count_over_time({query} [1m])"), at_ns: 1, limit: 1, direction: Direction::Backward };
        engine.query(Request::new(ask)).await.unwrap();
        let requests = scan.requests();
        requests[0].filters.clone()
    };
    let column = |name: &str| Subject::Column(name.to_owned());
    // Anchored once, by the scan; and of RE2's letters, which are ASCII.
    let services = filters(r#"{business_service=~"pay\\w+"}"#).await;
    assert_eq!(services, [Filter { subject: column("business_service"), test: Test::Regex("pay[0-9A-Za-z_]+".to_owned()) }]);
    let names = filters(r#"{service_name="player"}"#).await;
    assert_eq!(names, [Filter { subject: column("service_name"), test: Test::Equal("player".to_owned()) }]);
    let entry = Subject::Entry { column: "resource_attributes".to_owned(), key: "team".to_owned() };
    let teams = filters(r#"{team="blue", host_id="x"}"#).await;
    let host = Subject::Label { column: "resource_attributes".to_owned(), name: "host_id".to_owned() };
    let expect = [(Subject::FirstOf(vec![column("team"), entry]), "blue"), (host, "x")];
    assert_eq!(teams, expect.map(|(subject, text)| Filter { subject, test: Test::Equal(text.to_owned()) }));
}

#[tokio::test]
async fn far_apart_times_are_read_apart() {
    let (scan, engine) = engine(company());
    let week_ms = 7 * 24 * 3_600_000;
    let ask = Ask::PromqlInstant {
        query: "queue_depth / queue_depth offset 1w + queue_depth offset 1m".to_owned(),
        at_ms: week_ms,
        lookback: None,
    };
    engine.query(Request::new(ask)).await.unwrap();
    let mut times: Vec<_> = scan.requests().iter().map(|request| request.time).collect();
    times.sort_by_key(|time| time.start_ns);
    let of_millis = TimeRange::of_millis_inclusive;
    assert_eq!(times, [of_millis(-300_000, 0), of_millis(week_ms - 360_000, week_ms)]);
}

#[tokio::test]
async fn the_ends_of_time_are_times() {
    let (_, engine) = engine(company());
    for query in [
        "rate(queue_depth[1000y])",
        "deriv(queue_depth[1h] offset -1000y)",
        "rate(queue_depth[1h] smoothed)",
        "queue_depth[1h:1s]",
        "time()",
    ] {
        for at_ms in [i64::MIN, i64::MIN + 1, i64::MAX] {
            let ask = Ask::PromqlInstant { query: query.to_owned(), at_ms, lookback: None };
            // An answer or an error, and no overflow.
            drop(engine.query(Request::new(ask)).await);
        }
        let ask = Ask::PromqlRange { query: query.to_owned(), start_ms: i64::MIN, end_ms: i64::MAX, step_ms: i64::MAX / 8, lookback: None };
        drop(engine.query(Request::new(ask)).await);
    }
    for at_ns in [i64::MIN, i64::MAX] {
        let query = r#"count_over_time({host="a1"} [1h] offset 1h)"#.to_owned();
        drop(engine.query(Request::new(Ask::LogqlInstant { query, at_ns, limit: 1, direction: Direction::Backward })).await);
    }
}

#[tokio::test]
async fn a_backslash_in_like_means_its_letter() {
    let (_, engine) = engine(company());
    for (pattern, rows) in [(r"\play started", 1), (r"%\ed", 4), (r"100\% buffered", 1), (r"%\% started", 0)] {
        let text = format!("SELECT body FROM logs WHERE body LIKE '{pattern}'");
        assert_eq!(sql(&engine, sql_request(&text)).await.unwrap(), rows, "{pattern}");
    }
}
