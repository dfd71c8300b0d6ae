//! Collects what a decoder refuses and repairs while it takes the rest.

use std::borrow::Cow;
use std::time::Duration;

use arrow::array::RecordBatch;
use model::{Code, Decoded, Error, KnownPoints, Naming, ReceiveLimits, Rejection, Table, Tally};

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

    pub(crate) fn check_label_value(&self, name: &str, value: &str) -> Result<(), Fault> {
        let max = self.limits.label_value_bytes_max;
        if value.len() <= max {
            return Ok(());
        }
        Err(too_long("label_value_too_long", "value of label", name, value.len(), "label_value_bytes_max", max))
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
            self.check_label_value(name, value)?;
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

/// What serde says of JSON that it cannot read, without more of the sender's text than fits on a line.
pub(crate) fn unreadable_json(what: &str, source: &serde_json::Error) -> Error {
    const MESSAGE_BYTES_MAX: usize = 256;
    let mut text = source.to_string();
    if text.len() > MESSAGE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
        text.push_str(&format!("... at line {} column {}", source.line(), source.column()));
    }
    Error::invalid(format!("cannot parse {what}")).because(text)
}

/// Of `batch_bytes_max`, what one request may become in memory. It can be far more than its body: a resource is copied onto
/// each of its records, and a record of two bytes is a row. Arrow's offsets, of 31 bits, set this upper bound: a text that is
/// appended to a column was spent before, so no column can outgrow them.
const BATCH_BYTES_MAX: usize = 1 << 30;
/// What it takes to look at a record, a series, a resource, be it taken or refused: refusals cost time where not memory.
pub(crate) const ITEM_BYTES: usize = 64;
/// What a row takes apart from its texts.
pub(crate) const ROW_BYTES: usize = 256;
/// What an attribute takes apart from its texts.
pub(crate) const ENTRY_BYTES: usize = 16;
/// A stretch of the body that is remembered to be read later.
pub(crate) const SLICE_BYTES: usize = 16;
const BATCH_TOO_LARGE: Malformed =
    Malformed("its records, each with a copy of its resource, take over batch_bytes_max: send smaller requests");

/// The error of a request that could not be read as a whole.
pub(crate) fn unreadable(what: &str, malformed: Malformed) -> Error {
    let code = if malformed == BATCH_TOO_LARGE { Code::TooLarge } else { Code::Invalid };
    Error::new(code, format!("cannot decode {what}")).because(malformed)
}

#[derive(Clone)]
pub(crate) struct Outcome {
    bytes_left: usize,
    rejections: Vec<Rejection>,
    /// Parts left out of records that were kept, and changes made so that they could be kept.
    tally: Tally,
}

fn count(counts: &mut Vec<(&'static str, u64)>, reason: &'static str) {
    match counts.iter_mut().find(|(other, _)| *other == reason) {
        Some((_, count)) => *count += 1,
        None => counts.push((reason, 1)),
    }
}

impl Outcome {
    pub(crate) fn new(limits: &ReceiveLimits) -> Self {
        Self { bytes_left: limits.batch_bytes_max.min(BATCH_BYTES_MAX), rejections: Vec::new(), tally: Tally::default() }
    }

    /// Refuses `records` records; 0 when a part of a record was dropped and the rest of it is kept.
    pub(crate) fn reject(&mut self, records: u64, fault: Fault, field: impl FnOnce() -> String) {
        if records == 0 {
            count(&mut self.tally.dropped_parts, fault.reason);
        }
        let alike = |other: &&mut Rejection| other.reason == fault.reason && (other.records == 0) == (records == 0);
        if self.rejections.len() >= REJECTIONS_DESCRIBED_MAX
            && let Some(same) = self.rejections.iter_mut().rev().find(alike)
        {
            same.records += records;
            return;
        }
        self.rejections.push(Rejection { records, field: field(), why: fault.why, reason: fault.reason });
    }

    /// Counts one more dropped part like one that was told already.
    pub(crate) fn drop_alike(&mut self, reason: &'static str) {
        count(&mut self.tally.dropped_parts, reason);
    }

    /// Counts towards `batch_bytes_max`, before the memory is taken.
    pub(crate) fn spend(&mut self, bytes: usize) -> Read<()> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(BATCH_TOO_LARGE)?;
        Ok(())
    }

    pub(crate) fn repair(&mut self, reason: &'static str) {
        count(&mut self.tally.repaired_values, reason);
    }

    /// A value's text; bytes that are not UTF-8 become replacement characters, and are counted.
    pub(crate) fn text<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(bytes);
        if matches!(text, Cow::Owned(_)) {
            self.repair("invalid_utf8");
            // A replacement character is longer than what it stands for. The next record's spending finds it.
            self.bytes_left = self.bytes_left.saturating_sub(text.len());
        }
        text
    }

    /// A metric's help or unit, cut off at `help_bytes_max`: readers get it again with every row of the metric.
    pub(crate) fn help<'a>(&mut self, bytes: &'a [u8], rules: &Rules<'_>) -> Cow<'a, str> {
        let text = self.text(bytes);
        let max = rules.limits.help_bytes_max;
        if text.len() <= max {
            return text;
        }
        self.repair("help_too_long");
        text[..text.floor_char_boundary(max)].to_owned().into()
    }

    pub(crate) fn finish(self, rules: &Rules<'_>, table: Table, naming: Naming, records: RecordBatch) -> Decoded {
        Decoded {
            table,
            records: fitted(records),
            rejections: self.rejections,
            protocol: rules.protocol,
            naming,
            tally: self.tally,
            known: KnownPoints::default(),
        }
    }
}

/// Gives back what builders reserved beyond the rows, as much again: a batch stays in memory until it is flushed.
fn fitted(records: RecordBatch) -> RecordBatch {
    let (schema, mut columns, _) = records.into_parts();
    columns.iter_mut().for_each(arrow::array::Array::shrink_to_fit);
    RecordBatch::try_new(schema, columns).expect("columns keep their rows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_refusals_are_counted_not_described() {
        let mut outcome = Outcome::new(&ReceiveLimits::default());
        for index in 0..1_000_000 {
            outcome.reject(1, Fault::new("bad", ""), || format!("[{index}]"));
        }
        outcome.reject(1, Fault::new("other", ""), String::new);
        for _ in 0..1000 {
            outcome.reject(0, Fault::new("bad", ""), String::new);
        }
        assert_eq!(outcome.rejections.len(), REJECTIONS_DESCRIBED_MAX + 2);
        assert_eq!(outcome.rejections.iter().map(|rejection| rejection.records).sum::<u64>(), 1_000_001);
        assert_eq!(outcome.tally.dropped_parts, [("bad", 1000)]);
    }

    #[test]
    fn help_is_cut_between_characters() {
        let limits = ReceiveLimits { help_bytes_max: 4, ..ReceiveLimits::default() };
        let rules = Rules { limits: &limits, now_unix_nano: 0, protocol: "test" };
        let mut outcome = Outcome::new(&ReceiveLimits::default());
        assert_eq!((outcome.help(b"four", &rules), outcome.help("abc\u{e9}".as_bytes(), &rules)), ("four".into(), "abc".into()));
        assert_eq!(outcome.tally.repaired_values, [("help_too_long", 1)]);
    }

    #[test]
    fn a_message_about_json_is_short_and_says_where() {
        let body = format!("[\n{:?}]", "x".repeat(1 << 20));
        let error = unreadable_json("it", &serde_json::from_str::<Vec<u8>>(&body).expect_err("no number")).chain();
        assert!(error.len() < 400 && error.contains("at line 2 column"), "{}", &error[..400.min(error.len())]);
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
