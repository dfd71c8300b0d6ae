/// A native histogram as Prometheus defines it, with sparse buckets as (index, count) pairs and absolute counts.
/// Source: <https://prometheus.io/docs/specs/native_histograms/>.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NativeHistogram {
    /// Resolution: bucket bounds grow by `2^(2^-schema)`; -53 means `custom_bounds`.
    pub schema: i32,
    pub count: f64,
    pub sum: f64,
    pub zero_threshold: f64,
    pub zero_count: f64,
    /// Ascending by index.
    pub positive: Vec<(i32, f64)>,
    /// Ascending by index.
    pub negative: Vec<(i32, f64)>,
    /// Upper bounds, only with schema -53.
    pub custom_bounds: Vec<f64>,
    /// 0 unknown, 1 counter reset, 2 no counter reset, 3 gauge.
    pub reset_hint: i32,
}
