//! Tyto about itself: logs to stderr, metrics at `/metrics` and, when asked for, into its own store.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use model::samples::{SamplesBuilder, SeriesRow};
use model::{Decoded, Error, Ingest, Labels, Result, Table};
use pipeline::Pipeline;
use tokio::sync::watch;

const STORE_EVERY: Duration = Duration::from_secs(15);
/// Seconds, from a group commit to a long query.
const DURATION_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// The recorder keeps every observation of a histogram until this folds them: without it they pile up until somebody reads
/// the metrics, which may be never.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

pub(crate) fn log_to_stderr() -> Result<()> {
    let wanted = std::env::var("TYTO_LOG").ok().filter(|text| !text.is_empty());
    let filter = log_filter(wanted.as_deref().unwrap_or("warn,tyto=info"))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    Ok(())
}

fn log_filter(text: &str) -> Result<tracing_subscriber::EnvFilter> {
    let cannot = || Error::invalid(format!("cannot use TYTO_LOG={text:?}: write a level, or levels by module like warn,tyto=debug"));
    text.parse().map_err(|error: tracing_subscriber::filter::ParseError| cannot().because(error))
}

/// The process's metric registry.
#[derive(Clone)]
pub(crate) struct Metrics(PrometheusHandle);

impl Metrics {
    /// Once a process: the `metrics` facade has one recorder.
    pub(crate) fn install() -> Self {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &DURATION_BUCKETS)
            .expect("the buckets are not empty")
            .install_recorder()
            .expect("the recorder is installed once");
        metrics::gauge!("tyto_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Self(handle)
    }

    pub(crate) fn text(&self) -> String {
        process_metrics();
        self.0.run_upkeep();
        self.0.render()
    }

    pub(crate) async fn keep_up(self, mut stopping: watch::Receiver<bool>) -> Result<()> {
        let mut tick = tokio::time::interval(UPKEEP_EVERY);
        loop {
            tokio::select! {
                _ = tick.tick() => self.0.run_upkeep(),
                _ = stopping.wait_for(|stop| *stop) => return Ok(()),
            }
        }
    }
}

/// What Prometheus's client libraries say about a process, from `/proc`.
fn process_metrics() {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return };
    // The name in parentheses may hold anything; fields are counted after it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    let auxiliary = std::fs::read("/proc/self/auxv").unwrap_or_default();
    if let (Some(user), Some(system), Some(ticks_per_second)) = (number(11), number(12), system_value(&auxiliary, AT_CLKTCK)) {
        metrics::counter!("process_cpu_seconds_total").absolute(((user + system) / ticks_per_second) as u64);
    }
    if let Some(virtual_bytes) = number(20) {
        metrics::gauge!("process_virtual_memory_bytes").set(virtual_bytes);
    }
    if let (Some(pages), Some(page_bytes)) = (number(21), system_value(&auxiliary, AT_PAGESZ)) {
        metrics::gauge!("process_resident_memory_bytes").set(pages * page_bytes);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        metrics::gauge!("process_open_fds").set(open.count() as f64);
    }
}

/// Keys of what the kernel tells a process at its start. Source: `getauxval(3)`.
const AT_PAGESZ: usize = 6;
const AT_CLKTCK: usize = 17;

/// From pairs of machine words, key and value.
fn system_value(auxiliary: &[u8], key: usize) -> Option<f64> {
    const WORD: usize = size_of::<usize>();
    let mut words = auxiliary.chunks_exact(WORD).map(|word| usize::from_ne_bytes(word.try_into().expect("a word's bytes")));
    std::iter::from_fn(|| Some((words.next()?, words.next()?))).find(|(found, _)| *found == key).map(|(_, value)| value as f64)
}

/// Sends the registry through the same pipeline that everybody's records take.
pub(crate) async fn store_own_metrics(metrics: Metrics, pipeline: Arc<Pipeline>, mut stopping: watch::Receiver<bool>) -> Result<()> {
    let mut tick = tokio::time::interval(STORE_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopping.wait_for(|stop| *stop) => return Ok(()),
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let batch = own_samples(&metrics.text(), now.as_millis() as i64);
        if let Err(error) = pipeline.ingest(batch).await {
            metrics::counter!("tyto_self_telemetry_dropped_total").increment(1);
            tracing::warn!("{}", error.chain());
        }
    }
}

/// Reads our own exposition text; the general reader belongs to the scraper.
fn own_samples(text: &str, now_ms: i64) -> Decoded {
    let mut builder = SamplesBuilder::default();
    let mut kind = String::new();
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            kind = declared.rsplit(' ').next().unwrap_or_default().to_owned();
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((series, value)) = line.rsplit_once(' ').and_then(|(series, value)| Some((series, value.parse::<f64>().ok()?))) else {
            metrics::counter!("tyto_self_telemetry_unreadable_total").increment(1);
            continue;
        };
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let mut pairs = parse_labels(labels.trim_end_matches('}'));
        pairs.push(("job".into(), "tyto".into()));
        let labels = Labels::from_pairs(pairs);
        builder.float(now_ms, value);
        builder.push_series(&SeriesRow { name, kind: &kind, ..SeriesRow::default() }, labels.iter().collect::<Vec<_>>().into_iter());
    }
    Decoded::new(Table::Samples, builder.finish(), "self")
}

fn parse_labels(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut chars = after.char_indices();
        let mut end = after.len();
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, other)) => value.push(other),
                    None => {}
                },
                other => value.push(other),
            }
        }
        pairs.push((name.trim_start_matches(',').to_owned(), value));
        rest = &after[end..];
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::samples::SamplesView;

    #[test]
    fn own_text_becomes_samples() {
        let text = "# TYPE a_total counter\na_total{code=\"2,00\",x=\"q\\\"\"} 3\n\n# TYPE g gauge\ng 1.5\n";
        let batch = own_samples(text, 7).records;
        let view = SamplesView::of(&batch).expect("canonical");
        assert_eq!(view.label_set(0).to_string(), r#"{__name__="a_total", code="2,00", job="tyto", x="q\""}"#);
        assert_eq!((view.floats(0).expect("floats"), view.timestamps(1).expect("times")), (&[3.0][..], &[7][..]));
        assert_eq!(batch.num_rows(), 2);
    }

    #[test]
    fn the_kernel_says_how_long_ticks_and_pages_are() {
        let auxiliary: Vec<u8> =
            [AT_PAGESZ, 16_384, 9, AT_CLKTCK, AT_CLKTCK, 250, 0, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!((system_value(&auxiliary, AT_PAGESZ), system_value(&auxiliary, AT_CLKTCK)), (Some(16_384.0), Some(250.0)));
        assert_eq!(system_value(&auxiliary[..8], AT_PAGESZ), None);
    }

    #[test]
    fn a_log_filter_that_is_none_is_refused() {
        log_filter("warn,tyto=debug").expect("a filter");
        assert!(log_filter("tyto=loud").expect_err("no level").what.contains("TYTO_LOG=\"tyto=loud\""));
    }
}
