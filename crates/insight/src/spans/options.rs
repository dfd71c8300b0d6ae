use std::time::Duration;

/// What is computed from spans, and its limits. Metrics, rules and defaults are those of Tempo's metrics-generator where that has them.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanOptions {
    /// Between two samples of a series.
    pub emit_interval: Duration,
    /// For the other span of an edge.
    pub wait: Duration,
    /// Edges that wait at one time.
    pub edges_waiting_max: usize,
    /// Label sets of span metrics, and as many of the service graph; what is beyond is added up in one more.
    pub series_max: usize,
    /// A label set that nothing came for is forgotten.
    pub series_idle_max: Duration,
    /// A span that ended earlier counts in no counter of now; the topology knows it.
    pub span_age_max: Duration,
    /// Of edges and components that the topology is told in one emission, each for a minute; then it is told early.
    pub minutes_max: usize,
    /// Upper bounds in seconds, ascending.
    pub span_buckets: Vec<f64>,
    pub graph_buckets: Vec<f64>,
    /// Whether spans are told apart by the messages of their status.
    pub status_message: bool,
    /// Attributes that become labels of the service graph.
    pub dimensions: Vec<String>,
    /// Whether these labels say whose they are: `client_` and `server_`.
    pub client_server_prefix: bool,
    /// Whether edges have the label `virtual_node`.
    pub virtual_node_label: bool,
    /// Whether the time between sending and taking a message is measured.
    pub messaging_latency: bool,
    /// Where the name of a side is that sends no spans; the first counts.
    pub peer_attributes: Vec<String>,
    /// By which a client's span is one of a database; the first is its name where no address is known.
    pub database_name_attributes: Vec<String>,
}

impl Default for SpanOptions {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            emit_interval: Duration::from_secs(15),
            wait: Duration::from_secs(10),
            edges_waiting_max: 50_000,
            series_max: 10_000,
            series_idle_max: Duration::from_secs(900),
            span_age_max: Duration::from_secs(300),
            minutes_max: 100_000,
            span_buckets: doubling(0.002, 14),
            graph_buckets: doubling(0.1, 8),
            status_message: false,
            dimensions: Vec::new(),
            client_server_prefix: false,
            virtual_node_label: true,
            messaging_latency: true,
            peer_attributes: names(&["peer.service", "service.peer.name", "db.name", "db.system", "db.system.name"]),
            database_name_attributes: names(&["db.namespace", "db.name", "db.system", "db.system.name"]),
        }
    }
}

/// So many bounds, each twice the one before.
fn doubling(first: f64, count: i32) -> Vec<f64> {
    (0..count).map(|power| first * 2_f64.powi(power)).collect()
}
