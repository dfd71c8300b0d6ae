//! The old invoice program: plain lines in its own format, pushed to Loki's API by an agent. It knows nothing of OpenTelemetry.

use std::collections::BTreeMap;

use crate::chance::Chance;
use crate::company::SITES;
use crate::traffic;
use crate::wire::{LokiPush, LokiStream};

const LINES_PER_SECOND: f64 = 0.35;
const SITE: usize = 0;

/// The lines of one second; none when nothing was printed.
pub(crate) fn lines(seed: u64, second: u64) -> LokiPush {
    let mut chance = Chance::of(seed, &[second, 0x1e6a]);
    let site = &SITES[SITE];
    let count = chance.poisson(LINES_PER_SECOND * traffic::level(second, site.utc_offset_hours));
    let mut moments: Vec<u64> = (0..count).map(|_| second * 1_000_000_000 + chance.below(1_000_000_000)).collect();
    moments.sort_unstable();
    let mut streams: BTreeMap<&str, LokiStream> = BTreeMap::new();
    for moment in moments {
        let invoice = 40_000_000 + chance.below(9_000_000);
        let (level, text) = line(invoice, &mut chance);
        let stream = streams.entry(level).or_insert_with(|| LokiStream { stream: labels(level), values: Vec::new() });
        let metadata = BTreeMap::from([("invoice_id".to_owned(), invoice.to_string())]);
        let clock = chrono::DateTime::from_timestamp_nanos(moment.cast_signed()).format("%Y-%m-%d %H:%M:%S,%3f");
        let thread = 1 + chance.below(8);
        let line = format!("{clock} {:<5} [invoice-{thread}] {text}", level.to_uppercase());
        stream.values.push((moment.to_string(), line, metadata));
    }
    LokiPush { streams: streams.into_values().collect() }
}

fn labels(level: &str) -> BTreeMap<String, String> {
    let site = &SITES[SITE];
    let pairs =
        [("app", "legacy-billing"), ("environment", site.environment), ("host", "billing-01"), ("level", level), ("region", site.region)];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn line(invoice: u64, chance: &mut Chance) -> (&'static str, String) {
    let millis = chance.log_normal(240.0, 0.5).round();
    match chance.below(100) {
        0..62 => ("info", format!("InvoiceRenderer - invoice {invoice} rendered in {millis} ms, {} pages", 1 + chance.below(3))),
        62..86 => ("info", format!("MailSpooler - invoice {invoice} handed to the mail relay, queue length {}", chance.below(40))),
        86..95 => ("info", format!("ArchiveJob - invoice {invoice} archived as PDF/A, {} bytes", 31_000 + chance.below(90_000))),
        95..98 => ("warn", format!("MailSpooler - relay busy, invoice {invoice} deferred for {} s", 30 * (1 + chance.below(4)))),
        98..99 => ("warn", format!("AddressBook - postal code missing on invoice {invoice}, printed without")),
        _ => (
            "error",
            format!("InvoiceRenderer - java.lang.IllegalArgumentException: unknown template id {} for invoice {invoice}", chance.below(90)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_has_about_its_lines_in_time_order() {
        let evening = 20 * 3600;
        let pushes: Vec<LokiPush> = (evening..evening + 3600).map(|second| lines(3, second)).collect();
        let values: Vec<_> = pushes.iter().flat_map(|push| &push.streams).flat_map(|stream| &stream.values).collect();
        let expected = 3600.0 * LINES_PER_SECOND * traffic::level(evening + 1800, 1);
        assert!((values.len() as f64 / expected - 1.0).abs() < 0.15, "{} lines, {expected} expected", values.len());
        for stream in pushes.iter().flat_map(|push| &push.streams) {
            assert!(stream.values.is_sorted_by_key(|value| value.0.clone()));
        }
    }
}
