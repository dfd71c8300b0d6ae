//! Which records are stored of many: decided by what they hold, so that every door decides the same.

use std::hash::Hasher;

use catalog::{Kept, SampleBy};
use twox_hash::XxHash3_64;

use super::record::Record;

/// Bits of a trace id that are random by W3C's Trace Context, level 2.
const RANDOM_BITS: u32 = 56;

/// Whether the record is kept. A record without a trace is decided on by what it holds.
pub(super) fn keeps(stage: Kept, record: &Record<'_>) -> bool {
    let random = match stage.by {
        SampleBy::Trace => random_of_trace(record.trace_id()).unwrap_or_else(|| hash(record) >> (64 - RANDOM_BITS)),
        SampleBy::Record => hash(record) >> (64 - RANDOM_BITS),
    };
    // As OpenTelemetry's samplers do (OTEP 235): what is at least the threshold is kept.
    let threshold = ((1.0 - stage.ratio) * (1u64 << RANDOM_BITS) as f64) as u64;
    random >= threshold
}

/// The last seven bytes.
fn random_of_trace(trace_id: &str) -> Option<u64> {
    let digits = trace_id.len().checked_sub(RANDOM_BITS as usize / 4).and_then(|start| trace_id.get(start..))?;
    u64::from_str_radix(digits, 16).ok()
}

/// Of whose it is and all that it says; its time and its trace are no part of that.
pub(super) fn hash_of_words(record: &Record<'_>) -> XxHash3_64 {
    let mut hasher = XxHash3_64::with_seed(0);
    let mut write = |text: &str| {
        hasher.write(text.as_bytes());
        hasher.write_u8(0xff);
    };
    record.identity.values().into_iter().for_each(&mut write);
    write(record.severity_text());
    write(record.event_name());
    write(record.body());
    record.each_attribute(|key, _, text| {
        write(key);
        write(text);
    });
    hasher
}

fn hash(record: &Record<'_>) -> u64 {
    let mut hasher = hash_of_words(record);
    hasher.write_i64(record.time());
    hasher.write(record.trace_id().as_bytes());
    hasher.write(record.span_id().as_bytes());
    hasher.finish()
}
