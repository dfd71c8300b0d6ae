//! Each fault shows in its own signals and leaves the others alone.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{QUIET, Story, body, get, number, value, world};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use sim::{Fault, FaultKind};

const SECONDS: u64 = 600;

/// What one looks at during an incident.
#[derive(Debug)]
struct Signals {
    plays: f64,
    postgres_p90_ms: f64,
    missing_items: usize,
    tax_share: f64,
    resent: usize,
    ranking_lines_per_call: f64,
    search_memory_mib: f64,
    kills: usize,
    deployments: usize,
    slow_queries: usize,
}

fn observe(story: &Story) -> Signals {
    let spans = |keep: &dyn Fn(&Span) -> bool| story.spans.iter().filter(|(_, span)| keep(span)).map(|(_, span)| span).collect::<Vec<_>>();
    let mut postgres: Vec<f64> = spans(&|span| get(&span.attributes, "db.system.name") == "postgresql")
        .iter()
        .map(|span| (span.end_time_unix_nano - span.start_time_unix_nano) as f64 / 1e6)
        .collect();
    postgres.sort_by(f64::total_cmp);
    let payments = story.events("payment.taken");
    let amount = |key: &str| -> f64 {
        payments
            .iter()
            .map(|record| get(&record.attributes, key).parse::<f64>().unwrap() / factor(&get(&record.attributes, "payment.currency")))
            .sum()
    };
    let ranked = spans(&|span| span.name == "POST /v1/rank" && span.kind == SpanKind::Server as i32).len();
    let ranking_lines = story.logs.iter().filter(|(service, _)| service == "ranking-service").count();
    let memory = story.numbers("process.memory.usage").into_iter().filter(|(resource, _)| resource["service.name"] == "search-api");
    Signals {
        plays: story.events("playback.started").len() as f64,
        postgres_p90_ms: postgres[postgres.len() * 9 / 10],
        missing_items: spans(&|span| {
            get(&span.attributes, "rpc.method") == "DynamoDB/GetItem" && get(&span.attributes, "http.response.status_code") == "404"
        })
        .len(),
        tax_share: amount("payment.tax") / amount("payment.net"),
        resent: spans(&|span| value(&span.attributes, "http.request.resend_count").is_some()).len(),
        ranking_lines_per_call: ranking_lines as f64 / ranked as f64,
        search_memory_mib: memory.map(|(_, point)| number(point) / 1_048_576.0).fold(0.0, f64::max),
        kills: story.events("process.killed").len(),
        deployments: story.events("deployment").len(),
        slow_queries: story.logs.iter().filter(|(_, record)| body(record).contains("slow query")).count(),
    }
}

/// So that one currency does not outweigh the others.
fn factor(currency: &str) -> f64 {
    match currency {
        "JPY" => 140.0,
        "KRW" => 1250.0,
        "INR" => 42.0,
        "MXN" => 16.0,
        "SEK" => 10.5,
        _ => 1.0,
    }
}

fn story(kind: Option<FaultKind>) -> Story {
    let fault = |kind| Fault { kind, start_unix_seconds: QUIET + 10, duration: Duration::from_secs(SECONDS - 10) };
    Story::told_by(world(11, QUIET, 4.0, &kind.map(fault).into_iter().collect::<Vec<_>>()), SECONDS)
}

/// The signals of a fault and those of the same ten minutes without it; asserts that what `shown` does not name is calm.
fn with_and_without(kind: FaultKind) -> (Story, Signals, Signals) {
    let calm = observe(&story(None));
    let story = story(Some(kind));
    let ill = observe(&story);
    let alike = |left: f64, right: f64| (left / right - 1.0).abs() < 0.2;
    assert!(kind == FaultKind::SeasonFinale || alike(ill.plays, calm.plays), "{ill:?}");
    assert!(
        matches!(kind, FaultKind::SeasonFinale | FaultKind::SlowDatabase) || alike(ill.postgres_p90_ms, calm.postgres_p90_ms),
        "{ill:?}"
    );
    assert!(kind == FaultKind::MissingItem || ill.missing_items == 0, "{ill:?}");
    assert!(
        kind == FaultKind::WrongTaxRate || (alike(ill.tax_share, calm.tax_share) && ill.resent == 0 && ill.deployments == 0),
        "{ill:?}"
    );
    assert!(kind == FaultKind::NoisyLogger || alike(ill.ranking_lines_per_call, calm.ranking_lines_per_call), "{ill:?}");
    assert!(kind == FaultKind::MemoryLeak || (ill.search_memory_mib < 720.0 && ill.kills == 0), "{ill:?}");
    assert!(kind == FaultKind::SlowDatabase || ill.slow_queries == calm.slow_queries, "{ill:?}");
    (story, ill, calm)
}

#[test]
fn season_finale_brings_a_crowd_for_one_title() {
    let (story, ill, calm) = with_and_without(FaultKind::SeasonFinale);
    assert!(ill.plays > 4.0 * calm.plays, "{} plays, {} on a calm day", ill.plays, calm.plays);
    let finale = story.events("playback.started").iter().filter(|record| get(&record.attributes, "title.name") == "Harbour Nine").count();
    assert!(finale as f64 > 0.6 * ill.plays, "{finale} of {}", ill.plays);
}

#[test]
fn slow_database_slows_queries_and_times_some_out() {
    let (story, ill, calm) = with_and_without(FaultKind::SlowDatabase);
    assert!(ill.postgres_p90_ms > 10.0 * calm.postgres_p90_ms, "{ill:?} {calm:?}");
    assert!(ill.slow_queries > 50);
    let timeouts = story.spans.iter().filter(|(_, span)| get(&span.attributes, "db.response.status_code") == "57014").count();
    assert!(timeouts > 5, "{timeouts} timeouts");
    let gateway_timeouts = story
        .spans
        .iter()
        .filter(|(_, span)| span.parent_span_id.is_empty() && get(&span.attributes, "http.response.status_code") == "504");
    assert!(gateway_timeouts.count() > 0, "members see the timeouts");
}

#[test]
fn missing_item_is_red_down_to_the_call_and_playback_goes_on() {
    let (story, ill, calm) = with_and_without(FaultKind::MissingItem);
    assert!(ill.missing_items > 50);
    let call = story.spans.iter().map(|(_, span)| span).find(|span| get(&span.attributes, "http.response.status_code") == "404").unwrap();
    assert_eq!((call.kind, call.name.as_str()), (SpanKind::Client as i32, "DynamoDB.GetItem"));
    assert_eq!(get(&call.attributes, "error.type"), "ResourceNotFoundException");
    let Some(Value::ArrayValue(tables)) = value(&call.attributes, "aws.dynamodb.table_names") else { panic!("a list of tables") };
    assert_eq!(tables.values.len(), 1);
    assert_eq!(
        (call.events[0].name.as_str(), get(&call.events[0].attributes, "exception.type").as_str()),
        ("exception", "ResourceNotFoundException")
    );
    let parent = story.spans.iter().map(|(_, span)| span).find(|span| span.span_id == call.parent_span_id).unwrap();
    assert_eq!(get(&parent.attributes, "http.response.status_code"), "500");
    assert!(ill.plays > 0.9 * calm.plays, "playback goes on without markers");
    assert!(
        story.logs.iter().any(|(service, record)| service == "playback-session" && body(record).contains("going on without markers-api"))
    );
}

#[test]
fn wrong_tax_rate_shifts_amounts_after_a_deployment() {
    let (story, ill, calm) = with_and_without(FaultKind::WrongTaxRate);
    assert!((ill.tax_share / calm.tax_share - 2.0).abs() < 0.25, "{} of net, {} on a calm day", ill.tax_share, calm.tax_share);
    assert!(ill.resent > 10, "checkout tries again: {}", ill.resent);
    let deployments = story.events("deployment");
    assert_eq!(deployments.len(), 3, "one in every production region");
    assert!(deployments.iter().all(|record| body(record).contains("tax-service 4.7.0")), "{:?}", body(deployments[0]));
}

#[test]
fn noisy_logger_writes_fifty_times_its_lines() {
    let (_, ill, calm) = with_and_without(FaultKind::NoisyLogger);
    assert!(ill.ranking_lines_per_call > 20.0 * calm.ranking_lines_per_call, "{ill:?} {calm:?}");
}

#[test]
fn memory_leak_grows_until_the_process_is_killed_and_counters_begin_anew() {
    let (story, ill, _) = with_and_without(FaultKind::MemoryLeak);
    assert!(ill.search_memory_mib > 1_000.0 && ill.kills >= 3, "{ill:?}");
    let mut uptimes: Vec<f64> = Vec::new();
    for (resource, point) in story.numbers("process.uptime") {
        if resource["service.name"] == "search-api" && resource["k8s.cluster.name"] == "production-us-east-1" {
            uptimes.push(number(point));
        }
    }
    assert!(uptimes.windows(2).any(|pair| pair[1] < pair[0]), "the uptime falls back: {uptimes:?}");
}
