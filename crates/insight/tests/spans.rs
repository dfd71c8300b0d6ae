//! What is computed from spans, by the rules and within the limits.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::RecordBatch;
use insight::{COMPONENT_SECONDS, EDGE_SECONDS, SpanOptions, SpanWatch};
use model::samples::SamplesView;
use model::spans::{SpanRow, SpansBuilder};
use model::{AttributeValue, Attributes, Table, origin};

const NOW_MS: i64 = 1_700_000_000_000;

#[derive(Clone, Copy)]
struct Told<'a> {
    service: &'a str,
    kind: &'a str,
    id: &'a str,
    parent: &'a str,
    end_ms: i64,
    attributes: &'a [(&'a str, &'a str)],
    /// A span of the same trace.
    link: &'a str,
}

const SPAN: Told<'_> = Told { service: "web", kind: "client", id: "0a", parent: "", end_ms: NOW_MS, attributes: &[], link: "" };

fn batch(told: &[Told<'_>]) -> RecordBatch {
    let mut builder = SpansBuilder::default();
    for Told { service, kind, id, parent, end_ms, attributes, link } in told {
        for (key, value) in *attributes {
            builder.attributes.push(key, AttributeValue::Text(value));
        }
        if !link.is_empty() {
            builder.links.push("ab", link, "");
        }
        let row = SpanRow {
            start_time_unix_nano: (end_ms - 100) * 1_000_000,
            end_time_unix_nano: end_ms * 1_000_000,
            trace_id: "ab",
            span_id: id,
            parent_span_id: parent,
            name: "work",
            kind,
            service_name: service,
            ..SpanRow::default()
        };
        builder.push(&row, &Attributes::default(), &Attributes::default());
    }
    builder.finish()
}

/// Of each series its points: time, value or count, start.
type Points = BTreeMap<String, Vec<(i64, f64, i64)>>;

fn emitted(watch: &mut SpanWatch, now_ms: i64) -> Points {
    let mut found = Points::new();
    for batch in watch.emit(now_ms) {
        let view = SamplesView::of(&batch.records).unwrap();
        for row in 0..batch.records.num_rows() {
            let histograms = view.histograms(row).unwrap();
            let counts: Vec<f64> = match histograms.is_empty() {
                true => view.floats(row).unwrap().to_vec(),
                false => histograms.iter().map(|histogram| histogram.count).collect(),
            };
            let starts = view.starts(row).unwrap();
            let points = view.timestamps(row).unwrap().iter().zip(counts).enumerate();
            let points = points.map(|(at, (time, value))| (*time, value, starts.get(at).copied().unwrap_or(0))).collect();
            assert!(found.insert(view.label_set(row).to_string(), points).is_none(), "a series has one row");
        }
    }
    found
}

fn last(found: &Points, metric: &str, labels: &[&str]) -> Option<f64> {
    let name = format!("__name__=\"{metric}\"");
    let mut all = found.iter().filter(|(series, _)| series.contains(&name) && labels.iter().all(|label| series.contains(label)));
    let value = all.next().map(|(_, points)| points[points.len() - 1].1);
    assert!(all.next().is_none(), "{metric} {labels:?} is one series");
    value
}

const TOTAL: &str = "traces_service_graph_request_total";

#[test]
fn a_counter_begins_with_a_zero_and_begins_anew_after_a_rest() {
    let options = SpanOptions { series_idle_max: Duration::from_secs(100), ..SpanOptions::default() };
    let mut watch = SpanWatch::new(&options, 0);
    watch.take(&batch(&[SPAN]), NOW_MS).unwrap();
    let calls = |found: &Points| found.iter().find(|(series, _)| series.contains("spanmetrics_calls")).map(|(_, points)| points.clone());
    let first = emitted(&mut watch, NOW_MS + 15_000);
    assert_eq!(calls(&first).unwrap(), [(NOW_MS, 0.0, NOW_MS), (NOW_MS + 15_000, 1.0, NOW_MS)]);
    assert_eq!(last(&first, "traces_spanmetrics_latency_bucket", &["le=\"0.128\""]), Some(1.0));
    assert_eq!(last(&first, "traces_spanmetrics_latency_bucket", &["le=\"0.064\""]), Some(0.0));
    assert_eq!(calls(&emitted(&mut watch, NOW_MS + 30_000)), None, "nothing has changed");
    assert_eq!(calls(&emitted(&mut watch, NOW_MS + 75_000)).unwrap(), [(NOW_MS + 75_000, 1.0, NOW_MS)], "it is still there");
    assert_eq!(calls(&emitted(&mut watch, NOW_MS + 101_000)), None, "forgotten");
    watch.take(&batch(&[SPAN]), NOW_MS + 120_000).unwrap();
    let again = calls(&emitted(&mut watch, NOW_MS + 135_000)).unwrap();
    assert_eq!(again, [(NOW_MS + 120_000, 0.0, NOW_MS + 120_000), (NOW_MS + 135_000, 1.0, NOW_MS + 120_000)]);
}

#[test]
fn two_spans_are_an_edge_in_whichever_order_they_come() {
    let client = SPAN;
    let server = Told { service: "api", kind: "server", id: "0b", parent: "0a", ..SPAN };
    for order in [[client, server], [server, client]] {
        let mut watch = SpanWatch::new(&SpanOptions::default(), 0);
        for span in order {
            watch.take(&batch(&[span]), NOW_MS).unwrap();
        }
        let found = emitted(&mut watch, NOW_MS + 60_000);
        assert_eq!(last(&found, TOTAL, &["client=\"web\"", "server=\"api\""]), Some(1.0), "{found:#?}");
        assert_eq!(last(&found, EDGE_SECONDS, &["client=\"web\"", "server=\"api\"", "connection=\"call\""]), Some(1.0));
        assert!(found.keys().all(|series| !series.contains("unpaired")));
    }
}

#[test]
fn whoever_waits_too_long_has_called_whom_it_names_or_is_unpaired() {
    let mut watch = SpanWatch::new(&SpanOptions::default(), 0);
    let named = Told { id: "01", attributes: &[("peer.service", "bank")], ..SPAN };
    let addressed = Told { id: "02", attributes: &[("server.address", "10.0.0.7")], ..SPAN };
    let orphan = Told { service: "api", kind: "server", id: "03", parent: "ff", ..SPAN };
    let root = Told { service: "api", kind: "server", id: "04", ..SPAN };
    watch.take(&batch(&[named, addressed, orphan, root]), NOW_MS).unwrap();
    let early = emitted(&mut watch, NOW_MS + 9_999);
    assert_eq!(last(&early, TOTAL, &["client=\"user\"", "virtual_node=\"client\""]), Some(1.0), "for a root nobody waits");
    assert_eq!(last(&early, TOTAL, &["server=\"bank\""]), None);
    let found = emitted(&mut watch, NOW_MS + 10_000);
    assert_eq!(last(&found, TOTAL, &["client=\"web\"", "server=\"bank\"", "virtual_node=\"server\""]), Some(1.0));
    let unpaired = "traces_service_graph_unpaired_spans_total";
    assert_eq!(last(&found, unpaired, &["client=\"web\""]), Some(1.0));
    assert_eq!(last(&found, unpaired, &["server=\"api\""]), Some(1.0));
    assert_eq!(last(&found, EDGE_SECONDS, &["server=\"10.0.0.7\"", "server_kind=\"external\""]), Some(1.0));
    assert_eq!(last(&found, EDGE_SECONDS, &["server=\"bank\"", "server_kind=\"external\""]), Some(1.0));
}

#[test]
fn messages_are_paired_by_parent_or_link_and_stand_on_the_map_alone() {
    let queue = &[("messaging.destination.name", "orders")][..];
    let sent = Told { kind: "producer", attributes: queue, end_ms: NOW_MS - 200, ..SPAN };
    let taken = Told { service: "worker", kind: "consumer", id: "0b", attributes: queue, ..SPAN };
    for taken in [Told { parent: "0a", ..taken }, Told { link: "0a", ..taken }, Told { parent: "0a", link: "0a", ..taken }] {
        let mut watch = SpanWatch::new(&SpanOptions::default(), 0);
        watch.take(&batch(&[sent, taken]), NOW_MS).unwrap();
        let found = emitted(&mut watch, NOW_MS + 60_000);
        let between = &["client=\"web\"", "server=\"worker\"", "connection_type=\"messaging_system\""];
        assert_eq!(last(&found, TOTAL, between), Some(1.0));
        let under_way = last(&found, "traces_service_graph_request_messaging_system_seconds_sum", between).unwrap();
        assert!((under_way - 0.1).abs() < 1e-9, "{under_way}");
        let edges: Vec<&String> = found.keys().filter(|series| series.contains(EDGE_SECONDS)).collect();
        assert_eq!(edges.len(), 2, "{edges:#?}");
        assert!(edges.iter().all(|edge| edge.contains("orders") && edge.contains("connection=\"messaging\"")));
    }
}

#[test]
fn what_waits_is_bounded_and_who_finds_no_room_is_counted() {
    let options = SpanOptions { edges_waiting_max: 2, ..SpanOptions::default() };
    let mut watch = SpanWatch::new(&options, 0);
    let ids = ["01", "02", "03", "04", "05"];
    watch.take(&batch(&ids.map(|id| Told { id, ..SPAN })), NOW_MS).unwrap();
    let found = emitted(&mut watch, NOW_MS + 1);
    assert_eq!(last(&found, "traces_service_graph_dropped_spans_total", &["client=\"web\""]), Some(3.0));
    let found = emitted(&mut watch, NOW_MS + 60_000);
    assert_eq!(last(&found, "traces_service_graph_unpaired_spans_total", &["client=\"web\""]), Some(2.0));
}

#[test]
fn label_sets_past_the_limit_count_together() {
    let options = SpanOptions { series_max: 3, ..SpanOptions::default() };
    let mut watch = SpanWatch::new(&options, 0);
    let services: Vec<String> = (0..50).map(|number| format!("service-{number:02}")).collect();
    for service in &services {
        watch.take(&batch(&[Told { service, kind: "internal", ..SPAN }]), NOW_MS).unwrap();
    }
    let found = emitted(&mut watch, NOW_MS + 15_000);
    let calls: Vec<_> = found.iter().filter(|(series, _)| series.contains("spanmetrics_calls")).collect();
    assert_eq!(calls.len(), 4, "{calls:#?}");
    assert_eq!(calls.iter().map(|(_, points)| points[1].1).sum::<f64>(), 50.0);
    assert_eq!(last(&found, "traces_spanmetrics_calls_total", &["service=\"__cardinality_overflow__\""]), Some(47.0));
}

#[test]
fn what_is_late_is_history_and_no_traffic_of_now() {
    let mut watch = SpanWatch::new(&SpanOptions::default(), 0);
    let hour_ago = NOW_MS - 3_600_000;
    let client = Told { end_ms: hour_ago, ..SPAN };
    let server = Told { service: "api", kind: "server", id: "0b", parent: "0a", end_ms: hour_ago, ..SPAN };
    watch.take(&batch(&[client, server]), NOW_MS).unwrap();
    let found = emitted(&mut watch, NOW_MS + 60_000);
    assert!(found.keys().all(|series| series.contains("tyto_topology_")), "{found:#?}");
    let (_, edge) = found.iter().find(|(series, _)| series.contains(EDGE_SECONDS)).unwrap();
    assert_eq!(edge[0].0.div_euclid(60_000), hour_ago.div_euclid(60_000));

    // More of the same minute comes in a sample beside it.
    watch.take(&batch(&[Told { id: "0c", ..client }, Told { id: "0d", parent: "0c", ..server }]), NOW_MS).unwrap();
    let again = emitted(&mut watch, NOW_MS + 120_000);
    let (_, more) = again.iter().find(|(series, _)| series.contains(EDGE_SECONDS)).unwrap();
    assert!(more[0].0.div_euclid(60_000) == edge[0].0.div_euclid(60_000) && more[0].0 != edge[0].0, "{more:?} {edge:?}");
}

/// Of the map's edges, `from > to`, how many calls each has.
fn edges(found: &Points) -> BTreeMap<String, f64> {
    let label = |series: &str, name: &str| {
        let (_, rest) = series.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("{series} has {name}"));
        rest.split('"').next().unwrap().to_owned()
    };
    let side = |series: &str, side: &str| match label(series, &format!("{side}_kind")).as_str() {
        "component" => label(series, &format!(" {side}")),
        kind => format!("{kind}:{}", label(series, &format!(" {side}"))),
    };
    let of_edges = found.iter().filter(|(series, _)| series.contains(&format!("__name__=\"{EDGE_SECONDS}\"")));
    of_edges.map(|(series, points)| (format!("{} > {}", side(series, "client"), side(series, "server")), points[0].1)).collect()
}

/// What instrumentations of AWS's SDKs, PostgreSQL and HTTP write, as it was sent by them, in whichever order it comes.
#[test]
fn calls_of_sdks_are_named_alike_and_counted_once() {
    let http = [("http.request.method", "POST"), ("server.address", "aws.internal"), ("url.full", "http://aws.internal:4566/")];
    let of_aws =
        |service: &'static str, method: &'static str| [("rpc.system", "aws-api"), ("rpc.service", service), ("rpc.method", method)];
    let with = |base: [(&'static str, &'static str); 3], more: &[(&'static str, &'static str)]| [&base[..], more].concat();
    // JavaScript: an inner span of HTTP below each call, the table as namespace, and no host.
    let get = with(of_aws("DynamoDB", "GetItem"), &[("db.system.name", "dynamodb"), ("db.namespace", "doctors-south")]);
    let queue = [("messaging.system", "aws_sqs"), ("messaging.destination.name", "orders")];
    let receive = with(of_aws("SQS", "ReceiveMessage"), &[queue[0], queue[1], ("messaging.operation.type", "receive")]);
    let empty = [&receive[..], &[("messaging.batch.message_count", "0")]].concat();
    let forget = with(of_aws("SQS", "DeleteMessage"), &queue);
    let address = with(of_aws("SQS", "GetQueueUrl"), &[queue[0]]);
    let list = with(of_aws("Secrets Manager", "GetSecretValue"), &[]);
    // Python: the host that it asks, conventions of before, and below the producer the client that carries the message.
    let put = with(
        of_aws("DynamoDB", "PutItem"),
        &[("db.system", "dynamodb"), ("server.address", "aws.internal"), ("net.peer.name", "aws.internal:4566")],
    );
    let old_queue = [("messaging.system", "aws.sqs"), ("messaging.destination", "orders")];
    let send = with(of_aws("SQS", "SendMessage"), &[old_queue[0], old_queue[1], ("server.address", "aws.internal")]);
    let old_address = of_aws("SQS", "GetQueueUrl");
    let select = [("db.system", "postgresql"), ("db.name", "clinic"), ("net.peer.name", "db.internal")];
    let insert = [("db.system.name", "postgresql"), ("db.namespace", "clinic"), ("server.address", "db.internal")];
    let outside = [("http.method", "GET"), ("http.url", "https://bank.example:8443/pay")];
    let token = [("server.address", "login.example")];

    let js = Told { service: "doctors", ..SPAN };
    let python = SPAN;
    let mut spans = vec![
        Told { id: "01", attributes: &get, ..js },
        Told { id: "02", parent: "01", attributes: &http, ..js },
        Told { id: "03", kind: "consumer", attributes: &receive, ..js },
        Told { id: "04", parent: "03", attributes: &http, ..js },
        Told { id: "05", kind: "consumer", attributes: &empty, ..js },
        Told { id: "06", attributes: &forget, ..js },
        Told { id: "07", parent: "06", attributes: &http, ..js },
        Told { id: "08", attributes: &address, ..js },
        Told { id: "09", attributes: &insert, ..js },
        Told { id: "0a", attributes: &list, ..js },
        Told { id: "0b", parent: "0a", attributes: &http, ..js },
        Told { id: "11", attributes: &put, ..python },
        Told { id: "12", kind: "producer", attributes: &old_queue, ..python },
        Told { id: "13", parent: "12", attributes: &send, ..python },
        Told { id: "14", attributes: &old_address, ..python },
        Told { id: "15", attributes: &select, ..python },
        Told { id: "16", attributes: &outside, ..python },
        // Below a call lies one of another host, which is a call of its own.
        Told { id: "17", parent: "16", attributes: &token, ..python },
        // Who has no span of a producer sends by the client's alone, and who has none of a consumer takes so.
        Told { service: "worker", id: "21", attributes: &send, ..SPAN },
        Told { service: "worker", id: "22", attributes: &receive, ..SPAN },
    ];
    let expected = BTreeMap::from(
        [
            "doctors > database:dynamodb.amazonaws.com",
            "queue:orders > doctors",
            "doctors > database:db.internal",
            "doctors > external:secretsmanager.amazonaws.com",
            "web > database:dynamodb.amazonaws.com",
            "web > queue:orders",
            "web > database:db.internal",
            "web > external:bank.example",
            "web > external:login.example",
            "worker > queue:orders",
            "queue:orders > worker",
        ]
        .map(|edge| (edge.to_owned(), 1.0)),
    );
    for _ in 0..2 {
        let mut watch = SpanWatch::new(&SpanOptions::default(), 0);
        for span in &spans {
            watch.take(&batch(&[*span]), NOW_MS).unwrap();
        }
        let found = emitted(&mut watch, NOW_MS + 60_000);
        assert_eq!(edges(&found), expected);
        // To wait for a message is no work.
        let served = found.iter().find(|(series, _)| series.contains(COMPONENT_SECONDS) && series.contains("doctors")).unwrap();
        assert_eq!(served.1[0].1, 0.0, "{served:?}");
        spans.reverse();
    }
}

#[test]
fn of_two_layers_of_a_call_the_one_that_finds_the_server_is_the_edge() {
    let outer = Told { id: "01", attributes: &[("rpc.service", "shop.Cart")], ..SPAN };
    let inner = Told { id: "02", parent: "01", attributes: &[("server.address", "cart.internal")], ..SPAN };
    let server = Told { service: "cart", kind: "server", id: "03", parent: "02", ..SPAN };
    for spans in [[outer, inner, server], [server, inner, outer], [inner, server, outer]] {
        let mut watch = SpanWatch::new(&SpanOptions::default(), 0);
        watch.take(&batch(&spans), NOW_MS).unwrap();
        assert_eq!(edges(&emitted(&mut watch, NOW_MS + 60_000)), BTreeMap::from([("web > cart".to_owned(), 1.0)]));
    }
    // What another service does below it is its own.
    let foreign = Told { service: "cart", id: "02", parent: "01", attributes: &[("server.address", "bank.example")], ..SPAN };
    let mut watch = SpanWatch::new(&SpanOptions::default(), 0);
    watch.take(&batch(&[outer, foreign]), NOW_MS).unwrap();
    let both = ["cart > external:bank.example", "web > external:shop.Cart"].map(|edge| (edge.to_owned(), 1.0));
    assert_eq!(edges(&emitted(&mut watch, NOW_MS + 60_000)), BTreeMap::from(both));
}

#[test]
fn packed_rows_say_what_they_say_unpacked() {
    let told = [
        Told { id: "01", attributes: &[("server.address", "api.example.com"), ("other", "x")], ..SPAN },
        Told { id: "02", attributes: &[("db.system.name", "postgresql"), ("server.address", "db.internal")], ..SPAN },
        Told { service: "till", kind: "server", id: "03", parent: "01", ..SPAN },
        Told { service: "till", kind: "consumer", id: "04", attributes: &[("messaging.destination.name", "orders")], link: "02", ..SPAN },
        Told { id: "05", attributes: &[("peer.service", "bank")], ..SPAN },
    ];
    let flat = batch(&told);
    let packed = origin::packed(Table::Spans, &flat).unwrap();
    assert!(packed.num_columns() < flat.num_columns());
    let [from_flat, from_packed] = [flat, packed].map(|records| {
        let mut watch = SpanWatch::new(&SpanOptions::default(), 1);
        watch.take(&records, NOW_MS).unwrap();
        emitted(&mut watch, NOW_MS + 60_000)
    });
    assert!(from_flat.len() > 20, "{from_flat:?}");
    assert_eq!(from_flat, from_packed);
}
