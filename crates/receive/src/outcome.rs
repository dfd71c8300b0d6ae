//! Collects what a decoder refuses and repairs while it takes the rest.

use std::borrow::Cow;
use std::time::Duration;

use arrow::array::RecordBatch;
use model::{Code, Decoded, Error, ReceiveLimits, Rejection, Table};

use crate::protobuf::{Malformed, Read};

/// Refusals described one by one; of the rest only the number per reason is kept, so that a request of a million bad
/// records costs no million texts.
const REJECTIONS_DESCRIBED_MAX: usize = 100;

/// What a decoder goes by, apart from the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    pub limits: &'a ReceiveLimits,
    /// The instant of arrival.
    pub now_unix_nano: i64,
    /// The label `protocol` of the counters.
    pub protocol: &'static str,
}

/// Why one item is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// A short stable word for the counter.
    pub(crate) reason: &'static str,
    pub(crate) why: String,
}

impl Fault {
    pub(crate) fn new(reason: &'static str, why: impl Into<String>) -> Self {
        Self { reason, why: why.into() }
    }
}

impl Rules<'_> {
    /// A time of nanoseconds as OTLP and Loki send it; refuses what does not fit the columns, and what is older than `age_max`.
    pub(crate) fn time_unix_nano(&self, time: u64) -> Result<i64, Fault> {
        let time = i64::try_from(time)
            .map_err(|_| Fault::new("invalid_timestamp", "the time is before 1970 or after 2262: send nanoseconds since 1970"))?;
        self.check_age(time)?;
        Ok(time)
    }

    /// A time of milliseconds as Prometheus sends it.
    pub(crate) fn time_unix_milli(&self, time: i64) -> Result<i64, Fault> {
        let nanos = time.checked_mul(1_000_000).filter(|nanos| *nanos >= 0).ok_or_else(|| {
            Fault::new("invalid_timestamp", format!("timestamp {time} is before 1970 or after 2262: send milliseconds since 1970"))
        })?;
        self.check_age(nanos)?;
        Ok(time)
    }

    fn check_age(&self, time_unix_nano: i64) -> Result<(), Fault> {
        let Some(age_max) = self.limits.age_max else { return Ok(()) };
        let age = Duration::from_nanos(self.now_unix_nano.saturating_sub(time_unix_nano).max(0).cast_unsigned());
        if age <= age_max {
            return Ok(());
        }
        Err(Fault::new("too_old", format!("the record is {} s old: age_max is {} s", age.as_secs(), age_max.as_secs())))
    }

    /// Checks the labels of a series or stream, sorted by name.
    pub(crate) fn check_labels<'a>(&self, labels: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), Fault> {
        let limits = self.limits;
        let (mut count, mut previous) = (0, None);
        for (name, value) in labels {
            count += 1;
            if name.is_empty() {
                return Err(Fault::new("invalid_label_name", "a label has an empty name: name it or leave it out"));
            }
            if name.len() > limits.label_name_bytes_max {
                return Err(too_long(
                    "label_name_too_long",
                    "label name",
                    name,
                    name.len(),
                    "label_name_bytes_max",
                    limits.label_name_bytes_max,
                ));
            }
            if value.len() > limits.label_value_bytes_max {
                return Err(too_long(
                    "label_value_too_long",
                    "value of label",
                    name,
                    value.len(),
                    "label_value_bytes_max",
                    limits.label_value_bytes_max,
                ));
            }
            if previous == Some(name) {
                return Err(Fault::new("duplicate_label", format!("label {} comes twice: send each name once", shortened(name))));
            }
            previous = Some(name);
        }
        if count > limits.labels_per_series_max {
            let max = limits.labels_per_series_max;
            return Err(Fault::new("too_many_labels", format!("there are {count} labels: labels_per_series_max is {max}")));
        }
        Ok(())
    }
}

fn too_long(reason: &'static str, what: &str, name: &str, len: usize, limit: &str, max: usize) -> Fault {
    Fault::new(reason, format!("{what} {} has {len} bytes: {limit} is {max}", shortened(name)))
}

/// A sender's text for a message: quoted, and never longer than a line.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// What one request may become in memory. It can be far more than its body: a resource is copied onto each of its records,
/// and a record of two bytes is a row. Arrow's offsets, of 31 bits, set the upper bound.
pub(crate) const BATCH_BYTES_MAX: usize = 1 << 30;
/// What a row takes apart from its texts.
pub(crate) const ROW_BYTES: usize = 256;
const BATCH_TOO_LARGE: Malformed =
    Malformed("its records, each with a copy of its resource, take over batch_bytes_max, 1 GiB: send smaller requests");

/// The error of a request that could not be read as a whole.
pub(crate) fn unreadable(what: &str, malformed: Malformed) -> Error {
    let code = if malformed == BATCH_TOO_LARGE { Code::TooLarge } else { Code::Invalid };
    Error::new(code, format!("cannot decode {what}")).because(malformed)
}

#[derive(Default)]
pub(crate) struct Outcome {
    spent_bytes: usize,
    rejections: Vec<Rejection>,
    /// Changes made so that a record could be kept, counted by reason.
    repairs: Vec<(&'static str, u64)>,
}

impl Outcome {
    /// Refuses `records` records; 0 when a part of a record was dropped and the rest of it is kept.
    pub(crate) fn reject(&mut self, records: u64, fault: Fault, field: impl FnOnce() -> String) {
        if self.rejections.len() >= REJECTIONS_DESCRIBED_MAX
            && let Some(same) = self.rejections.iter_mut().rev().find(|other| other.reason == fault.reason)
        {
            same.records += records;
            return;
        }
        self.rejections.push(Rejection { records, field: field(), why: fault.why, reason: fault.reason });
    }

    /// Counts towards [`BATCH_BYTES_MAX`], before the memory is taken.
    pub(crate) fn spend(&mut self, bytes: usize) -> Read<()> {
        self.spent_bytes = self.spent_bytes.saturating_add(bytes);
        if self.spent_bytes > BATCH_BYTES_MAX { Err(BATCH_TOO_LARGE) } else { Ok(()) }
    }

    pub(crate) fn repair(&mut self, reason: &'static str) {
        match self.repairs.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, count)) => *count += 1,
            None => self.repairs.push((reason, 1)),
        }
    }

    /// A value's text; bytes that are not UTF-8 become replacement characters, and are counted.
    pub(crate) fn text<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(bytes);
        if matches!(text, Cow::Owned(_)) {
            self.repair("invalid_utf8");
        }
        text
    }

    pub(crate) fn finish(self, rules: &Rules<'_>, table: Table, records: RecordBatch) -> Decoded {
        for (reason, count) in self.repairs {
            metrics::counter!("tyto_receive_repaired_values_total", "protocol" => rules.protocol, "reason" => reason).increment(count);
        }
        for rejection in self.rejections.iter().filter(|rejection| rejection.records > 0) {
            let labels = [("protocol", rules.protocol), ("reason", rejection.reason)];
            metrics::counter!("tyto_receive_rejected_records_total", &labels).increment(rejection.records);
        }
        for rejection in self.rejections.iter().filter(|rejection| rejection.records == 0) {
            let labels = [("protocol", rules.protocol), ("reason", rejection.reason)];
            metrics::counter!("tyto_receive_dropped_parts_total", &labels).increment(1);
        }
        Decoded { table, records, rejections: self.rejections, protocol: rules.protocol }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_refusals_are_counted_not_described() {
        let mut outcome = Outcome::default();
        for index in 0..1_000_000 {
            outcome.reject(1, Fault::new("bad", ""), || format!("[{index}]"));
        }
        outcome.reject(1, Fault::new("other", ""), String::new);
        assert_eq!(outcome.rejections.len(), REJECTIONS_DESCRIBED_MAX + 1);
        assert_eq!(outcome.rejections.iter().map(|rejection| rejection.records).sum::<u64>(), 1_000_001);
    }

    #[test]
    fn old_records_are_refused_only_when_asked() {
        let mut limits = ReceiveLimits::default();
        let at = |limits: &ReceiveLimits, time| Rules { limits, now_unix_nano: 10_000_000_000, protocol: "test" }.time_unix_nano(time);
        assert_eq!(at(&limits, 0), Ok(0));
        limits.age_max = Some(Duration::from_secs(5));
        assert_eq!(at(&limits, 5_000_000_000), Ok(5_000_000_000));
        assert_eq!(at(&limits, 4_999_999_999).expect_err("too old").reason, "too_old");
        assert_eq!(at(&limits, 1 << 63).expect_err("too far").reason, "invalid_timestamp");
    }
}
