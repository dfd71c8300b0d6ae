use std::time::Duration;

/// What one received request may hold. Every limit has a name that its error message gives.
#[derive(Clone, Debug)]
pub struct ReceiveLimits {
    /// Of a request's body as it came, compressed or not.
    pub body_bytes_max: usize,
    /// Of the body after decompression.
    pub decompressed_bytes_max: usize,
    /// What one request may become in memory; at most 1 GiB, which the offsets of a column set.
    pub batch_bytes_max: usize,
    /// Of all requests that are being read, decoded and made durable at one time; further ones are told to come back.
    pub inflight_bytes_max: usize,
    /// Labels of one series, and labels of one log stream.
    pub labels_per_series_max: usize,
    pub label_name_bytes_max: usize,
    pub label_value_bytes_max: usize,
    /// Of one record, one resource, one scope, one event or one link.
    pub attributes_max: usize,
    /// One log record's body or one attribute's value.
    pub value_bytes_max: usize,
    /// A metric's help text or unit; what is over it is cut off.
    pub help_bytes_max: usize,
    /// Of one native histogram, of each sign.
    pub buckets_max: usize,
    /// Nesting of attribute values and JSON.
    pub depth_max: usize,
    /// Oldest record accepted, counted back from now; none by default, back-fill is ordinary.
    pub age_max: Option<Duration>,
}

impl Default for ReceiveLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 << 20,
            decompressed_bytes_max: 256 << 20,
            batch_bytes_max: 1 << 30,
            inflight_bytes_max: 512 << 20,
            labels_per_series_max: 128,
            label_name_bytes_max: 1024,
            label_value_bytes_max: 4096,
            attributes_max: 1024,
            value_bytes_max: 1 << 20,
            help_bytes_max: 4096,
            buckets_max: 8192,
            depth_max: 32,
            age_max: None,
        }
    }
}

/// What one query may use.
#[derive(Clone, Debug)]
pub struct QueryLimits {
    pub timeout: Duration,
    pub memory_bytes_max: usize,
    /// Compressed bytes read from the lake.
    pub scanned_bytes_max: u64,
    /// Samples a PromQL query may hold at once.
    pub samples_max: usize,
    /// Points per series of a range query, as Prometheus has it.
    pub points_per_series_max: i64,
    /// Series of an answer.
    pub series_max: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
            memory_bytes_max: 1 << 30,
            scanned_bytes_max: 1 << 40,
            samples_max: 50_000_000,
            points_per_series_max: 11_000,
            series_max: 100_000,
        }
    }
}
