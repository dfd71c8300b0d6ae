//! The company behaves as a company does, and always the same for one seed.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hasher;

use common::{QUIET, Story, body, get, value, world};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use sim::{Lane, Telemetry, World, WorldOptions, pack, records};
use twox_hash::XxHash3_64;

fn bytes(telemetry: &Telemetry) -> Vec<u8> {
    match telemetry {
        Telemetry::Logs(request) => request.encode_to_vec(),
        Telemetry::Spans(request) => request.encode_to_vec(),
        Telemetry::Metrics(request) => request.encode_to_vec(),
        Telemetry::RemoteWrite(request) => request.encode_to_vec(),
        Telemetry::Loki(push) => serde_json::to_vec(push).unwrap(),
    }
}

fn hash_of(seed: u64) -> u64 {
    let mut hasher = XxHash3_64::with_seed(0);
    let telemetry = world(seed, QUIET, 1.0, &[]).tick(QUIET + 120);
    telemetry.iter().for_each(|payload| hasher.write(&bytes(payload)));
    hasher.finish()
}

#[test]
fn one_seed_gives_the_same_bytes_and_another_seed_others() {
    assert_eq!(hash_of(1), hash_of(1));
    assert_ne!(hash_of(1), hash_of(2));
}

/// Every record encoded, sorted: what was told, without how it was grouped.
fn told(story: &Story) -> [BTreeSet<Vec<u8>>; 3] {
    [
        story.spans.iter().map(|(_, span)| span.encode_to_vec()).collect(),
        story.logs.iter().map(|(_, log)| log.encode_to_vec()).collect(),
        story.metrics.iter().map(|(_, _, metric)| metric.encode_to_vec()).collect(),
    ]
}

#[test]
fn cutting_time_into_seconds_changes_no_record() {
    // The stretch holds a deployment at every site, so replaced pods are part of it.
    let (start, end) = (1_760_000_000 / 5_400 * 5_400 - 30, 1_760_000_000 / 5_400 * 5_400 + 800);
    let at_once = Story::of(world(5, start, 1.0, &[]).tick(end));
    let mut by_second = world(5, start, 1.0, &[]);
    let in_steps = Story::of((start + 1..=end).flat_map(|second| by_second.tick(second)).collect());
    assert!(at_once.spans.len() > 1_000 && at_once.events("deployment").len() == 4);
    assert!(told(&at_once) == told(&in_steps), "spans {} {}", at_once.spans.len(), in_steps.spans.len());
}

/// Traces that began long enough before the end to be complete.
fn complete_traces(story: &Story, end: u64) -> BTreeMap<Vec<u8>, Vec<&(String, Span)>> {
    let mut traces: BTreeMap<Vec<u8>, Vec<&(String, Span)>> = BTreeMap::new();
    for entry in &story.spans {
        traces.entry(entry.1.trace_id.clone()).or_default().push(entry);
    }
    traces.retain(|_, spans| spans.iter().map(|(_, span)| span.start_time_unix_nano).min().unwrap() < (end - 60) * 1_000_000_000);
    traces
}

#[test]
fn traces_are_whole_and_times_lie_within_their_parents() {
    let story = Story::told_by(world(3, QUIET, 2.0, &[]), 600);
    let traces = complete_traces(&story, QUIET + 600);
    assert!(traces.len() > 500, "{} traces", traces.len());
    for spans in traces.values() {
        let by_id: HashMap<&[u8], &Span> = spans.iter().map(|(_, span)| (span.span_id.as_slice(), span)).collect();
        assert_eq!(by_id.len(), spans.len(), "span ids are unique in a trace");
        assert_eq!(spans.iter().filter(|(_, span)| span.parent_span_id.is_empty()).count(), 1, "a trace has one root");
        for (_, span) in spans {
            assert!(span.start_time_unix_nano < span.end_time_unix_nano, "{}", span.name);
            if span.parent_span_id.is_empty() {
                continue;
            }
            let parent = by_id.get(span.parent_span_id.as_slice()).expect("every parent is in its trace");
            assert!(parent.start_time_unix_nano <= span.start_time_unix_nano, "{} in {}", span.name, parent.name);
            assert!(parent.end_time_unix_nano >= span.end_time_unix_nano, "{} in {}", span.name, parent.name);
            if span.kind == SpanKind::Server as i32 {
                assert_eq!(parent.kind, SpanKind::Client as i32, "who serves was called: {}", span.name);
            }
        }
    }
}

#[test]
fn messages_link_to_their_sender() {
    let story = Story::told_by(world(3, QUIET, 2.0, &[]), 600);
    let senders: BTreeSet<(&[u8], &[u8])> = story
        .spans
        .iter()
        .filter(|(_, span)| span.kind == SpanKind::Producer as i32)
        .map(|(_, span)| (span.trace_id.as_slice(), span.span_id.as_slice()))
        .collect();
    let consumed: Vec<&Span> = story.spans.iter().map(|(_, span)| span).filter(|span| span.kind == SpanKind::Consumer as i32).collect();
    assert!(consumed.len() > 20, "{} messages", consumed.len());
    for span in consumed {
        assert!(senders.contains(&(span.links[0].trace_id.as_slice(), span.links[0].span_id.as_slice())), "{}", span.name);
    }
}

#[test]
fn records_are_valid_otlp() {
    let story = Story::told_by(world(4, QUIET, 2.0, &[]), 300);
    for (_, span) in &story.spans {
        assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
        assert!(matches!(span.parent_span_id.len(), 0 | 8) && !span.name.is_empty());
        assert!(SpanKind::try_from(span.kind).is_ok_and(|kind| kind != SpanKind::Unspecified));
        let names: BTreeSet<&str> = span.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        assert_eq!(names.len(), span.attributes.len(), "attribute names are unique: {}", span.name);
    }
    let traces: BTreeSet<&[u8]> = story.spans.iter().map(|(_, span)| span.trace_id.as_slice()).collect();
    for (service, log) in &story.logs {
        assert!(matches!((log.trace_id.len(), log.span_id.len()), (16, 8) | (0, 0)));
        let unfilled = ["{member}", "{title}", "{device}", "{country}", "{n}"].iter().any(|hole| body(log).contains(hole));
        assert!(!body(log).is_empty() && !unfilled, "{service}: {}", body(log));
        assert!((1..=24).contains(&log.severity_number));
    }
    let near_the_end = (QUIET + 240) * 1_000_000_000;
    let orphans = story
        .logs
        .iter()
        .filter(|(_, log)| log.time_unix_nano < near_the_end && !log.trace_id.is_empty() && !traces.contains(log.trace_id.as_slice()));
    assert_eq!(orphans.count(), 0, "a line's trace exists");
    for (_, _, metric) in &story.metrics {
        match metric.data.as_ref().unwrap() {
            Data::Histogram(histogram) => {
                for point in &histogram.data_points {
                    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                    assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
                }
            }
            Data::ExponentialHistogram(histogram) => {
                for point in &histogram.data_points {
                    assert_eq!(point.positive.as_ref().unwrap().bucket_counts.iter().sum::<u64>() + point.zero_count, point.count);
                    assert!(point.exemplars.iter().all(|exemplar| exemplar.trace_id.len() == 16 && exemplar.span_id.len() == 8));
                }
            }
            Data::Gauge(_) | Data::Sum(_) | Data::Summary(_) => {}
        }
    }
    let exemplars = story.metrics.iter().filter_map(|(_, _, metric)| match metric.data.as_ref() {
        Some(Data::ExponentialHistogram(histogram)) => Some(histogram.data_points.iter().map(|point| point.exemplars.len()).sum::<usize>()),
        _ => None,
    });
    assert!(exemplars.sum::<usize>() > 20);
}

#[test]
fn errors_travel_up_to_who_cannot_go_on() {
    let story = Story::told_by(world(6, QUIET, 6.0, &[]), 900);
    let is_error = |span: &Span| span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32);
    let by_id: HashMap<&[u8], &Span> = story.spans.iter().map(|(_, span)| (span.span_id.as_slice(), span)).collect();
    let mut failed_servers = 0;
    for (_, span) in story.spans.iter().filter(|(_, span)| span.kind == SpanKind::Server as i32) {
        let status: u16 = get(&span.attributes, "http.response.status_code").parse().unwrap();
        assert_eq!(is_error(span), status >= 500, "{} {status}", span.name);
        if let (true, Some(client)) = (status >= 400, by_id.get(span.parent_span_id.as_slice())) {
            failed_servers += 1;
            assert!(is_error(client), "who called a failing {} has seen it", span.name);
            assert_eq!(client.events[0].name, "exception");
            assert_eq!(get(&client.attributes, "http.response.status_code"), status.to_string());
        }
    }
    assert!(failed_servers >= 5, "{failed_servers} failures in a quarter of an hour");
    let errors = story.spans.iter().filter(|(_, span)| is_error(span)).count() as f64;
    assert!(errors / (story.spans.len() as f64) < 0.01, "a calm day has few errors: {errors}");
}

#[test]
fn counters_agree_with_the_events_people_read() {
    // The last metrics leave up to 15 s before the end, so the payments of those seconds are not counted yet.
    let story = Story::told_by(world(8, QUIET, 6.0, &[]), 900);
    for (event, metric) in
        [("payment.taken", "payments.processed"), ("playback.started", "playback.starts"), ("ad.shown", "ads.impressions")]
    {
        let told = story.events(event).len() as f64;
        let counted = story.counted(
            metric,
            |point| !matches!(value(&point.attributes, "outcome"), Some(Value::StringValue(outcome)) if outcome == "failure"),
        );
        assert!(told > 40.0 && (counted / told - 1.0).abs() < 0.12, "{event}: {told} told, {counted} counted");
    }
    let amounts: Vec<f64> =
        story.events("payment.taken").iter().map(|record| get(&record.attributes, "payment.amount").parse().unwrap()).collect();
    let revenue = story.counted("payments.revenue", |_| true);
    assert!((revenue / amounts.iter().sum::<f64>() - 1.0).abs() < 0.2, "revenue {revenue}");
}

#[test]
fn evenings_are_busier_than_nights_in_every_region() {
    let members = |start: u64, countries: &[&str]| {
        let story = Story::told_by(world(9, start, 6.0, &[]), 150);
        let logs = story.logs.iter().filter(|(_, log)| countries.contains(&get(&log.attributes, "geo.country.iso_code").as_str()));
        logs.count() as f64
    };
    // 2025-10-08, midnight UTC; the hours are local evenings (20:30) and nights (04:30).
    let midnight = 1_759_881_600;
    let regions: [(&[&str], f64); 3] =
        [(&["DE", "GB", "FR", "ES", "PL", "SE"], 1.0), (&["US", "BR", "MX", "CA"], -5.0), (&["JP", "IN", "KR", "AU"], 9.0)];
    for (countries, offset) in regions {
        let at = |local: f64| midnight + ((local - offset).rem_euclid(24.0) * 3600.0) as u64;
        let (evening, night) = (members(at(20.5), countries), members(at(4.5), countries));
        assert!(evening > 50.0 && evening > 3.0 * night, "{countries:?}: evening {evening}, night {night}");
    }
}

/// The promise of the demo, by a sample of the day: some 250 thousand spans and log records and some million samples in six hours.
#[test]
fn six_hours_are_worth_looking_at() {
    let (mut spans, mut logs, mut samples) = (0.0, 0.0, 0.0);
    const STRETCHES: u64 = 6;
    const SECONDS: u64 = 60;
    for stretch in 0..STRETCHES {
        // Each stretch begins with some history, so that most series have been seen.
        let start = 1_759_881_600 + stretch * 4 * 3600;
        let mut company = World::new(WorldOptions::new(1, start));
        company.tick(start + 300);
        let story = Story::told_by(company, SECONDS);
        spans += story.spans.len() as f64;
        logs += (story.logs.len() + story.loki_entries) as f64;
        samples += story.remote_write_samples as f64;
        samples += story.metrics.iter().map(|(_, _, metric)| prometheus_samples(metric)).sum::<usize>() as f64;
    }
    let in_six_hours = |counted: f64| counted / (STRETCHES * SECONDS) as f64 * 6.0 * 3600.0;
    let (spans, logs, samples) = (in_six_hours(spans), in_six_hours(logs), in_six_hours(samples));
    assert!((200e3..320e3).contains(&spans), "{spans} spans, {logs} log records, {samples} samples");
    assert!((200e3..320e3).contains(&logs), "{logs} log records");
    assert!((1.5e6..6e6).contains(&samples), "{samples} samples");
}

/// As Prometheus counts: a histogram is its buckets, a sum and a count.
fn prometheus_samples(metric: &Metric) -> usize {
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => gauge.data_points.len(),
        Data::Sum(sum) => sum.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.iter().map(|point| point.bucket_counts.len() + 2).sum(),
        Data::ExponentialHistogram(histogram) => histogram.data_points.len(),
        Data::Summary(summary) => summary.data_points.len(),
    }
}

#[test]
fn identity_is_explicit_for_payments_and_absent_elsewhere() {
    let story = Story::told_by(world(2, QUIET, 1.0, &[]), 60);
    let mut services = BTreeSet::new();
    for (service, resource, _) in &story.metrics {
        services.insert(service.as_str());
        let explicit =
            ["checkout-api", "payment-gateway", "tax-service", "subscription-service", "ledger-worker"].contains(&service.as_str());
        assert_eq!(resource.contains_key("omd.business_service"), explicit, "{service}");
        assert!(["production", "staging"].contains(&resource["deployment.environment.name"].as_str()));
    }
    assert_eq!(services.len(), 22);
    assert!(story.remote_write_samples > 0 && story.loki_entries > 0);
}

#[test]
fn packing_loses_nothing_and_keeps_the_order_of_series() {
    let telemetry = world(2, QUIET, 2.0, &[]).tick(QUIET + 120);
    let total: usize = telemetry.iter().map(records).sum();
    let loads = pack(telemetry, 500);
    assert_eq!(loads.iter().map(sim::Load::records).sum::<usize>(), total);
    assert!(Lane::ALL.iter().all(|lane| loads.iter().any(|load| load.lane == *lane)));
    let mut last: HashMap<String, u64> = HashMap::new();
    for (resource, point) in Story::of(loads.into_iter().map(|load| load.telemetry).collect()).numbers("process.uptime") {
        let before = last.insert(resource["service.instance.id"].clone(), point.time_unix_nano);
        assert!(before.is_none_or(|before| before < point.time_unix_nano));
    }
}
