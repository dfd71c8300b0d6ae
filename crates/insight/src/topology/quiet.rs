//! What other signals say of components that send no spans: that they are there, by the identity of their logs and samples; and whom they
//! call, by the client metrics of OpenTelemetry's semantic conventions, which name the other side in labels. Of whom spans are known
//! these are not asked: both together would count each call twice, and name one database in two ways.

use std::collections::HashMap;

use arrow::array::StringArray;
use model::{Labels, Result, UNASSIGNED};

use super::map::Node;
use super::seen::{Asker, End, Facts, SeenEdge, Window, long, texts, value};

/// When something of a component came first and last in the time, milliseconds since the Unix epoch.
pub(super) type Present = HashMap<Node, (i64, i64)>;

/// Components that logs and samples came from, whether or not they send spans.
pub(super) async fn present(asker: &Asker<'_>, window: &Window) -> Result<Present> {
    let of = |table: &str, first: &str, last: &str| {
        format!(
            "SELECT business_service AS c0, service AS c1, component AS c2, min({first}) AS first, max({last}) AS last FROM {table} \
             WHERE {} AND component IS NOT NULL AND business_service <> '{UNASSIGNED}' GROUP BY 1, 2, 3",
            asker.within(window, first, last)
        )
    };
    let mut present = Present::new();
    let (logs, samples) = futures::try_join!(
        asker.rows(of("logs", "time_unix_nano", "time_unix_nano")),
        asker.rows(of("samples", "min_time_unix_nano", "max_time_unix_nano")),
    )?;
    for batch in logs.into_iter().chain(samples) {
        let columns = texts(&batch, 3)?;
        let (first, last) = (long(&batch, "first")?, long(&batch, "last")?);
        for row in 0..batch.num_rows() {
            let text = |column: &StringArray| value(column, row);
            let node = Node::component(&text(&columns[0]), &text(&columns[1]), &text(&columns[2]));
            let millis = |ns: i64| ns / 1_000_000;
            let (first_ms, last_ms) = (millis(first.value(row)).max(window.start_ms), millis(last.value(row)).min(window.end_ms));
            let known = present.entry(node).or_insert((first_ms, last_ms));
            *known = (known.0.min(first_ms), known.1.max(last_ms));
        }
    }
    Ok(present)
}

/// How calls of a kind are counted: classic histograms and counters by `floats`, native histograms by `histograms`.
struct Counted {
    floats: &'static str,
    histograms: &'static str,
    connection: &'static str,
    server_kind: &'static str,
    /// Labels that name the other side, the first that is there.
    names: &'static [&'static str],
    /// The other side is where it comes from.
    takes: bool,
}

const COUNTED: [Counted; 4] = [
    Counted {
        floats: "db_client_operation_duration(_seconds)?_count",
        histograms: "db_client_operation_duration(_seconds)?",
        connection: "database",
        server_kind: "database",
        names: &["peer_service", "server_address", "db_namespace", "db_system_name", "db_system"],
        takes: false,
    },
    Counted {
        floats: "(http_client_request|rpc_client|rpc_client_call)_duration(_seconds)?_count",
        histograms: "(http_client_request|rpc_client|rpc_client_call)_duration(_seconds)?",
        connection: "call",
        server_kind: "external",
        names: &["peer_service", "service_peer_name", "server_address"],
        takes: false,
    },
    Counted {
        floats: "messaging_client_sent_messages(_total)?",
        histograms: "messaging_client_sent_messages_",
        connection: "messaging",
        server_kind: "queue",
        names: &["messaging_destination_name"],
        takes: false,
    },
    Counted {
        floats: "messaging_client_consumed_messages(_total)?",
        histograms: "messaging_client_consumed_messages_",
        connection: "messaging",
        server_kind: "queue",
        names: &["messaging_destination_name"],
        takes: true,
    },
];

/// Whom these components called in the time.
pub(super) async fn edges(asker: &Asker<'_>, window: &Window, quiet: &Present) -> Result<Vec<SeenEdge>> {
    let mut edges = Vec::new();
    for counted in &COUNTED {
        let by = format!("business_service, service, component, {}", counted.names.join(", "));
        let (only, range) = (asker.only(), window.range());
        let (floats, histograms) = (counted.floats, counted.histograms);
        let query = format!(
            "sum by ({by}) (increase({{__name__=~\"{floats}\",{only}}}[{range}]) or histogram_count(increase({{__name__=~\"{histograms}\",{only}}}[{range}])))"
        );
        for (labels, _, count) in asker.vector(query, window).await?.samples {
            edges.extend(edge(&labels, count, counted, quiet));
        }
    }
    Ok(edges)
}

fn edge(labels: &Labels, count: f64, counted: &Counted, quiet: &Present) -> Option<SeenEdge> {
    let of = |name: &str| labels.get(name).unwrap_or_default().to_owned();
    let own = End { kind: "component".to_owned(), business_service: of("business_service"), service: of("service"), name: of("component") };
    let (first_ms, last_ms) = *quiet.get(&Node::component(&own.business_service, &own.service, &own.name))?;
    let name = counted.names.iter().find_map(|name| labels.get(name))?;
    let other = End { kind: counted.server_kind.to_owned(), name: name.to_owned(), ..End::default() };
    let (client, server) = if counted.takes { (other, own) } else { (own, other) };
    let mut facts = Facts { first_ms, last_ms, ..Facts::default() };
    facts.durations.count = count;
    Some(SeenEdge { client, server, connection: counted.connection.to_owned(), facts })
}
