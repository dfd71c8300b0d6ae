//! What log lines have in common is learned as they pass.

use arrow::array::{Int64Array, StringArray};
use model::patterns::{Learning, PatternStats, Patterns};
use model::schema::column;
use model::{Admitted, Result, Table};

pub(crate) fn learn(admitted: &Admitted, patterns: &Patterns) -> Result<()> {
    let Admitted { batch, .. } = admitted;
    if batch.table != Table::Logs {
        return Ok(());
    }
    let (bodies, times): (&StringArray, &Int64Array) = (column(&batch.records, "body")?, column(&batch.records, "time_unix_nano")?);
    let rows = bodies.iter().zip(times);
    patterns.ids(rows.filter_map(|(body, time_ns)| Some((body?, time_ns))), Learning::Always);
    let PatternStats { patterns, evicted, read } = patterns.stats();
    metrics::gauge!("tyto_log_patterns").set(patterns as f64);
    metrics::counter!("tyto_log_patterns_evicted_total").absolute(evicted);
    metrics::counter!("tyto_log_pattern_reads_total").absolute(read);
    Ok(())
}
