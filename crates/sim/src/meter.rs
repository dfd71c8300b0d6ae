//! The instruments of one process and what they have counted since it started.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, Sum, exemplar, number_data_point,
};

use crate::wire::attribute;

#[derive(Debug)]
pub(crate) struct Instrument {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) description: &'static str,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    UpDownCounter,
    Gauge,
    /// With the boundaries that the HTTP and database conventions advise.
    Histogram,
    Exponential,
}

const fn instrument(name: &'static str, unit: &'static str, kind: Kind, description: &'static str) -> Instrument {
    Instrument { name, unit, description, kind }
}

#[rustfmt::skip]
mod instruments {
    use super::{Instrument, Kind::*, instrument};

    pub(crate) static SERVER_DURATION: Instrument = instrument("http.server.request.duration", "s", Histogram, "Duration of HTTP server requests.");
    pub(crate) static DATABASE_DURATION: Instrument = instrument("db.client.operation.duration", "s", Histogram, "Duration of database client operations.");
    pub(crate) static PROCESS_DURATION: Instrument = instrument("messaging.process.duration", "s", Histogram, "Duration of processing a message.");
    pub(crate) static PLAYBACK_STARTUP: Instrument = instrument("playback.startup.duration", "s", Exponential, "From the press of play to the first frame.");
    pub(crate) static PLAYBACK_STARTS: Instrument = instrument("playback.starts", "{start}", Counter, "Titles that began to play.");
    pub(crate) static LOGINS: Instrument = instrument("members.logins", "{login}", Counter, "Members who logged in.");
    pub(crate) static REGISTRATIONS: Instrument = instrument("members.registrations", "{member}", Counter, "Members who joined.");
    pub(crate) static PAYMENTS: Instrument = instrument("payments.processed", "{payment}", Counter, "Payments, by method and outcome.");
    pub(crate) static REVENUE: Instrument = instrument("payments.revenue", "1", Counter, "Money taken, tax included, in the currency of the label.");
    pub(crate) static ADS_SHOWN: Instrument = instrument("ads.impressions", "{impression}", Counter, "Advertisements shown.");
    pub(crate) static SEARCHES: Instrument = instrument("catalogue.searches", "{search}", Counter, "Searches made.");
    pub(crate) static CACHE_LOOKUPS: Instrument = instrument("cache.lookups", "{lookup}", Counter, "Look-ups in the cache, by result.");
    pub(crate) static MESSAGES_SENT: Instrument = instrument("messaging.client.sent.messages", "{message}", Counter, "Messages sent to a queue.");
    pub(crate) static MESSAGES_CONSUMED: Instrument = instrument("messaging.client.consumed.messages", "{message}", Counter, "Messages taken from a queue.");
    pub(crate) static QUEUE_DEPTH: Instrument = instrument("queue.depth", "{message}", Gauge, "Messages that wait in the queue.");
    pub(crate) static CONNECTIONS: Instrument = instrument("db.client.connection.count", "{connection}", UpDownCounter, "Connections of the pool, by state.");
    pub(crate) static CPU_TIME: Instrument = instrument("process.cpu.time", "s", Counter, "CPU seconds by mode.");
    pub(crate) static CPU_UTILIZATION: Instrument = instrument("process.cpu.utilization", "1", Gauge, "CPU time over the last interval, per CPU.");
    pub(crate) static MEMORY: Instrument = instrument("process.memory.usage", "By", UpDownCounter, "Physical memory in use.");
    pub(crate) static UPTIME: Instrument = instrument("process.uptime", "s", Gauge, "Seconds since the process started.");
    pub(crate) static THREADS: Instrument = instrument("process.thread.count", "{thread}", UpDownCounter, "Threads of the process.");
}
pub(crate) use instruments::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tag {
    Text(&'static str),
    Int(i64),
}

/// The attributes of a point, in a fixed order per instrument.
pub(crate) type Tags = Vec<(&'static str, Tag)>;

pub(crate) const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Base 2^(1/8): a bucket is nine per cent wide.
const EXPONENTIAL_SCALE: i32 = 3;
const EXEMPLARS_MAX: usize = 4;

#[derive(Clone, Debug)]
enum Point {
    Number(f64),
    Histogram { counts: [u64; BOUNDS.len() + 1], sum: f64 },
    Exponential { buckets: BTreeMap<i32, u64>, sum: f64, exemplars: Vec<Exemplar> },
}

/// Which span a measurement belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Witness {
    pub(crate) time_unix_nano: u64,
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    series: Vec<(&'static Instrument, BTreeMap<Tags, Point>)>,
}

impl Meter {
    pub(crate) fn add(&mut self, instrument: &'static Instrument, tags: Tags, amount: f64) {
        if let Point::Number(value) = self.point(instrument, tags) {
            *value += amount;
        }
    }

    pub(crate) fn set(&mut self, instrument: &'static Instrument, tags: Tags, now: f64) {
        if let Point::Number(value) = self.point(instrument, tags) {
            *value = now;
        }
    }

    /// Seconds into a histogram; only exponential ones keep the witness, as an exemplar.
    pub(crate) fn record(&mut self, instrument: &'static Instrument, tags: Tags, seconds: f64, witness: Witness) {
        match self.point(instrument, tags) {
            Point::Histogram { counts, sum } => {
                counts[BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
                *sum += seconds;
            }
            Point::Exponential { buckets, sum, exemplars } => {
                *buckets.entry(exponential_index(seconds)).or_default() += 1;
                *sum += seconds;
                if exemplars.len() < EXEMPLARS_MAX {
                    exemplars.push(Exemplar {
                        filtered_attributes: Vec::new(),
                        time_unix_nano: witness.time_unix_nano,
                        span_id: witness.span_id.to_vec(),
                        trace_id: witness.trace_id.to_vec(),
                        value: Some(exemplar::Value::AsDouble(seconds)),
                    });
                }
            }
            Point::Number(_) => unreachable!("{} is a histogram", instrument.name),
        }
    }

    /// Every series as it stands now, cumulative since `start`; exemplars leave only once.
    pub(crate) fn collect(&mut self, start_unix_nano: u64, time_unix_nano: u64) -> Vec<Metric> {
        let times = (start_unix_nano, time_unix_nano);
        self.series.iter_mut().map(|(instrument, points)| metric(instrument, points, times)).collect()
    }

    fn point(&mut self, instrument: &'static Instrument, tags: Tags) -> &mut Point {
        let index = self.series.iter().position(|(other, _)| std::ptr::eq(*other, instrument)).unwrap_or_else(|| {
            self.series.push((instrument, BTreeMap::new()));
            self.series.len() - 1
        });
        self.series[index].1.entry(tags).or_insert_with(|| match instrument.kind {
            Kind::Histogram => Point::Histogram { counts: [0; BOUNDS.len() + 1], sum: 0.0 },
            Kind::Exponential => Point::Exponential { buckets: BTreeMap::new(), sum: 0.0, exemplars: Vec::new() },
            Kind::Counter | Kind::UpDownCounter | Kind::Gauge => Point::Number(0.0),
        })
    }
}

/// The bucket (base^index, base^(index + 1)] that holds a positive value.
fn exponential_index(value: f64) -> i32 {
    let exact = value.max(1e-9).log2() * f64::from(1 << EXPONENTIAL_SCALE);
    exact.ceil() as i32 - 1
}

fn metric(instrument: &Instrument, points: &mut BTreeMap<Tags, Point>, times: (u64, u64)) -> Metric {
    let temporality = AggregationTemporality::Cumulative as i32;
    let data = match instrument.kind {
        Kind::Gauge => Data::Gauge(Gauge { data_points: numbers(instrument, points, times) }),
        Kind::Counter | Kind::UpDownCounter => Data::Sum(Sum {
            data_points: numbers(instrument, points, times),
            aggregation_temporality: temporality,
            is_monotonic: instrument.kind == Kind::Counter,
        }),
        Kind::Histogram => Data::Histogram(Histogram { data_points: histograms(points, times), aggregation_temporality: temporality }),
        Kind::Exponential => Data::ExponentialHistogram(ExponentialHistogram {
            data_points: exponentials(points, times),
            aggregation_temporality: temporality,
        }),
    };
    Metric {
        name: instrument.name.to_owned(),
        description: instrument.description.to_owned(),
        unit: instrument.unit.to_owned(),
        metadata: Vec::new(),
        data: Some(data),
    }
}

fn attributes(tags: &Tags) -> Vec<KeyValue> {
    let one = |(key, tag): &(&'static str, Tag)| match tag {
        Tag::Text(text) => attribute(key, *text),
        Tag::Int(number) => attribute(key, *number),
    };
    tags.iter().map(one).collect()
}

fn numbers(instrument: &Instrument, points: &BTreeMap<Tags, Point>, (start, time): (u64, u64)) -> Vec<NumberDataPoint> {
    let whole = instrument.unit.starts_with('{') || instrument.unit == "By";
    let start = if instrument.kind == Kind::Gauge { 0 } else { start };
    let mut data_points = Vec::with_capacity(points.len());
    for (tags, point) in points {
        let Point::Number(value) = point else { continue };
        let value = if whole { number_data_point::Value::AsInt(*value as i64) } else { number_data_point::Value::AsDouble(*value) };
        data_points.push(NumberDataPoint {
            attributes: attributes(tags),
            start_time_unix_nano: start,
            time_unix_nano: time,
            value: Some(value),
            ..NumberDataPoint::default()
        });
    }
    data_points
}

fn histograms(points: &BTreeMap<Tags, Point>, (start, time): (u64, u64)) -> Vec<HistogramDataPoint> {
    let mut data_points = Vec::with_capacity(points.len());
    for (tags, point) in points {
        let Point::Histogram { counts, sum } = point else { continue };
        data_points.push(HistogramDataPoint {
            attributes: attributes(tags),
            start_time_unix_nano: start,
            time_unix_nano: time,
            count: counts.iter().sum(),
            sum: Some(*sum),
            bucket_counts: counts.to_vec(),
            explicit_bounds: BOUNDS.to_vec(),
            ..HistogramDataPoint::default()
        });
    }
    data_points
}

fn exponentials(points: &mut BTreeMap<Tags, Point>, (start, time): (u64, u64)) -> Vec<ExponentialHistogramDataPoint> {
    let mut data_points = Vec::with_capacity(points.len());
    for (tags, point) in points {
        let Point::Exponential { buckets, sum, exemplars } = point else { continue };
        let low = buckets.keys().next().copied().unwrap_or(0);
        let high = buckets.keys().next_back().copied().unwrap_or(0);
        let bucket_counts = (low..=high).map(|index| buckets.get(&index).copied().unwrap_or(0)).collect();
        data_points.push(ExponentialHistogramDataPoint {
            attributes: attributes(tags),
            start_time_unix_nano: start,
            time_unix_nano: time,
            count: buckets.values().sum(),
            sum: Some(*sum),
            scale: EXPONENTIAL_SCALE,
            positive: Some(Buckets { offset: low, bucket_counts }),
            exemplars: std::mem::take(exemplars),
            ..ExponentialHistogramDataPoint::default()
        });
    }
    data_points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_bucket_holds_its_value() {
        for value in [0.0004, 0.3, 0.5, 1.0, 1.09, 2.0, 17.5] {
            let base = 2f64.powf(1.0 / f64::from(1 << EXPONENTIAL_SCALE));
            let index = exponential_index(value);
            assert!(base.powi(index) < value * (1.0 + 1e-12) && value <= base.powi(index + 1) * (1.0 + 1e-12), "{value} in {index}");
        }
    }

    #[test]
    fn a_value_on_a_bound_belongs_below_it() {
        let mut meter = Meter::default();
        let witness = Witness { time_unix_nano: 1, trace_id: [1; 16], span_id: [1; 8] };
        for seconds in [0.005, 0.006, 11.0] {
            meter.record(&SERVER_DURATION, vec![], seconds, witness);
        }
        let metrics = meter.collect(1, 2);
        let Some(Data::Histogram(histogram)) = &metrics[0].data else { panic!("a histogram") };
        let point = &histogram.data_points[0];
        assert_eq!((point.bucket_counts[0], point.bucket_counts[1], point.bucket_counts[14], point.count), (1, 1, 1, 3));
    }
}
