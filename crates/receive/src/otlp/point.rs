//! Reads OTLP data points of every kind, and their exemplars.

use super::labels::LabelSet;
use super::native::Exponential;
use super::value::{Encoder, Id, SPAN_ID_BYTES, TRACE_ID_BYTES};
use crate::outcome::{Fault, Outcome, Rules, SLICE_BYTES};
use crate::protobuf::{Read, Reader, Value};
use crate::series::OwnedExemplar;

/// The `data` of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Sum,
    Histogram,
    Exponential,
    Summary,
}

impl Kind {
    pub(super) fn of_field(number: u32) -> Option<Self> {
        Some(match number {
            5 => Self::Gauge,
            7 => Self::Sum,
            9 => Self::Histogram,
            10 => Self::Exponential,
            11 => Self::Summary,
            _ => return None,
        })
    }

    pub(super) fn json_name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Sum => "sum",
            Self::Histogram => "histogram",
            Self::Exponential => "exponentialHistogram",
            Self::Summary => "summary",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Temporality {
    Delta,
    Cumulative,
}

/// The flag of a point that says the series ended.
const NO_RECORDED_VALUE: u64 = 1;

/// A data point of any kind; attributes and exemplars still as bytes.
#[derive(Default)]
pub(super) struct Point<'a> {
    start: u64,
    time: u64,
    flags: u64,
    pub(super) attributes: Vec<&'a [u8]>,
    pub(super) exemplars: Vec<&'a [u8]>,
    /// Of a gauge or sum.
    pub(super) number: Option<f64>,
    /// Of a histogram or summary.
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) bucket_counts: Vec<u64>,
    pub(super) bounds: Vec<f64>,
    pub(super) exponential: Exponential,
    pub(super) quantiles: Vec<(f64, f64)>,
}

impl<'a> Point<'a> {
    pub(super) fn read(kind: Kind, bytes: &'a [u8], rules: &Rules<'_>, outcome: &mut Outcome) -> Read<Self> {
        let buckets_max = rules.limits.buckets_max;
        let mut point = Self::default();
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            match (kind, number) {
                (_, 2) => point.start = value.fixed64()?,
                (_, 3) => point.time = value.fixed64()?,
                (Kind::Gauge | Kind::Sum, 4) => point.number = Some(value.double()?),
                (Kind::Gauge | Kind::Sum, 5) => later(&mut point.exemplars, value, outcome)?,
                (Kind::Gauge | Kind::Sum, 6) => point.number = Some(value.fixed64()?.cast_signed() as f64),
                (Kind::Gauge | Kind::Sum | Kind::Summary, 7) => later(&mut point.attributes, value, outcome)?,
                (Kind::Gauge | Kind::Sum | Kind::Summary, 8) => point.flags = value.varint()?,
                (Kind::Histogram | Kind::Summary, 4) => point.count = value.fixed64()?,
                (Kind::Histogram | Kind::Summary, 5) => point.sum = Some(value.double()?),
                (Kind::Histogram, 6) => value.fixed64s(|count| point.bucket_counts.push(count))?,
                (Kind::Histogram, 7) => value.fixed64s(|bound| point.bounds.push(f64::from_bits(bound)))?,
                (Kind::Histogram, 8) => later(&mut point.exemplars, value, outcome)?,
                (Kind::Histogram, 9) => later(&mut point.attributes, value, outcome)?,
                (Kind::Histogram | Kind::Exponential, 10) => point.flags = value.varint()?,
                (Kind::Exponential, 1) => later(&mut point.attributes, value, outcome)?,
                (Kind::Exponential, 4) => point.exponential.count = value.fixed64()?,
                (Kind::Exponential, 5) => point.exponential.sum = value.double()?,
                (Kind::Exponential, 6) => point.exponential.scale = value.zigzag()?,
                (Kind::Exponential, 7) => point.exponential.zero_count = value.fixed64()?,
                (Kind::Exponential, 8) => point.exponential.positive.merge(value.bytes()?, buckets_max)?,
                (Kind::Exponential, 9) => point.exponential.negative.merge(value.bytes()?, buckets_max)?,
                (Kind::Exponential, 11) => later(&mut point.exemplars, value, outcome)?,
                (Kind::Exponential, 14) => point.exponential.zero_threshold = value.double()?,
                (Kind::Summary, 6) => {
                    outcome.spend(SLICE_BYTES)?;
                    point.quantiles.push(read_quantile(value.bytes()?)?);
                }
                _ => {}
            }
        }
        Ok(point)
    }

    pub(super) fn is_stale(&self) -> bool {
        self.flags & NO_RECORDED_VALUE != 0
    }

    pub(super) fn time_ms(&self, rules: &Rules<'_>) -> Result<i64, Fault> {
        if self.time == 0 {
            return Err(Fault::new("invalid_timestamp", "timeUnixNano is 0, which means unknown: send the time of the point"));
        }
        rules.time_unix_nano(self.time).map(|time| time / 1_000_000)
    }

    /// Since when the point counts: 0 when it does not say.
    pub(super) fn start_ms(&self) -> i64 {
        (self.start / 1_000_000).cast_signed()
    }

    /// One bucket more than bounds, unless there is no recorded value, and bounds that rise.
    pub(super) fn check_buckets(&self) -> Result<(), Fault> {
        let (counts, bounds) = (self.bucket_counts.len(), self.bounds.len());
        if counts != bounds + 1 && counts + bounds > 0 && !self.is_stale() {
            return Err(Fault::new(
                "invalid_buckets",
                format!("{counts} bucketCounts do not fit {bounds} explicitBounds: send one more than bounds"),
            ));
        }
        // Written so that NaN is refused too.
        if !self.bounds.is_sorted_by(|a, b| a < b) || self.bounds.iter().any(|bound| bound.is_nan()) {
            return Err(Fault::new("invalid_buckets", "explicitBounds do not rise: sort them"));
        }
        if self.bounds.last() == Some(&f64::INFINITY) {
            return Err(Fault::new("invalid_buckets", "the last of explicitBounds is infinite: leave it out, it is implied"));
        }
        Ok(())
    }
}

/// Remembers a message to be read later.
fn later<'a>(list: &mut Vec<&'a [u8]>, value: Value<'a>, outcome: &mut Outcome) -> Read<()> {
    outcome.spend(SLICE_BYTES)?;
    list.push(value.bytes()?);
    Ok(())
}

fn read_quantile(bytes: &[u8]) -> Read<(f64, f64)> {
    let mut pair = (0.0, 0.0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => pair.0 = value.double()?,
            2 => pair.1 = value.double()?,
            _ => {}
        }
    }
    Ok(pair)
}

pub(super) fn read_exemplar(
    bytes: &[u8],
    rules: &Rules<'_>,
    outcome: &mut Outcome,
    encoder: &mut Encoder,
) -> Read<Result<OwnedExemplar, Fault>> {
    let (mut time, mut number, mut trace_id, mut span_id) = (0, 0.0, &[][..], &[][..]);
    let mut attributes = Vec::new();
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.next()? {
        match field {
            2 => time = value.fixed64()?,
            3 => number = value.double()?,
            4 => span_id = value.bytes()?,
            5 => trace_id = value.bytes()?,
            6 => number = value.fixed64()?.cast_signed() as f64,
            7 => {
                outcome.spend(SLICE_BYTES)?;
                attributes.push(value.bytes()?);
            }
            _ => {}
        }
    }
    let time = match rules.time_unix_nano(time) {
        Ok(time) => time,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut labels = LabelSet::default();
    let pushed = labels.push_attributes(&attributes, rules, outcome, encoder)?;
    if let Err(fault) = pushed.and_then(|()| labels.settle(rules)) {
        return Ok(Err(fault));
    }
    Ok(Ok(OwnedExemplar {
        timestamp_ms: time / 1_000_000,
        value: number,
        trace_id: Id::read_optional(trace_id, TRACE_ID_BYTES, outcome).as_str().to_owned(),
        span_id: Id::read_optional(span_id, SPAN_ID_BYTES, outcome).as_str().to_owned(),
        labels: labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }))
}
