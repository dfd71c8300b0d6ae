//! Prometheus's protobuf exposition: `io.prometheus.client.MetricFamily` messages, each behind its length, with native
//! histograms. Source: <https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto>.

use model::{Error, NativeHistogram, Result};

use super::{Exemplar, Histograms, Sample, Series, Sink, go_float, settled};
use crate::protobuf::{Malformed, Read, Reader, Value, varint};
use crate::remote_write::native::{NativeReader, Sign};

pub(super) fn read(body: &[u8], histograms: &Histograms, sink: &mut impl Sink) -> Result<()> {
    let mut rest = body;
    let mut scratch = Scratch::default();
    while !rest.is_empty() {
        let at = body.len() - rest.len();
        let (len, after) = varint(rest).map_err(|why| unreadable(at, why))?;
        let (family, after) = usize::try_from(len)
            .ok()
            .and_then(|len| after.split_at_checked(len))
            .ok_or_else(|| unreadable(at, Malformed("the last family is cut off")))?;
        rest = after;
        Family::read(family).map_err(|why| unreadable(at, why))?.tell(histograms, &mut scratch, sink)?;
    }
    Ok(())
}

fn unreadable(at: usize, why: Malformed) -> Error {
    Error::invalid(format!("cannot parse metrics in the family at byte {at}")).because(why)
}

const NOT_UTF8: Malformed = Malformed("a name, a label or a help text is not UTF-8");

fn text<'b>(value: Value<'b>) -> Read<&'b str> {
    std::str::from_utf8(value.bytes()?).map_err(|_| NOT_UTF8)
}

/// Memory that is used again from metric to metric.
#[derive(Default)]
struct Scratch {
    name: String,
    key: Vec<u8>,
}

#[derive(Default)]
struct Family<'b> {
    name: &'b str,
    help: &'b str,
    unit: &'b str,
    kind: u64,
    metrics: Vec<&'b [u8]>,
}

const COUNTER: u64 = 0;
const GAUGE: u64 = 1;
const SUMMARY: u64 = 2;
const UNTYPED: u64 = 3;
const HISTOGRAM: u64 = 4;
const GAUGE_HISTOGRAM: u64 = 5;

impl<'b> Family<'b> {
    fn read(bytes: &'b [u8]) -> Read<Self> {
        let mut family = Self::default();
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => family.name = text(value)?,
                2 => family.help = text(value)?,
                3 => family.kind = value.varint()?,
                4 => family.metrics.push(value.bytes()?),
                5 => family.unit = text(value)?,
                _ => {}
            }
        }
        Ok(family)
    }

    fn tell(&self, histograms: &Histograms, scratch: &mut Scratch, sink: &mut impl Sink) -> Result<()> {
        // Prometheus skips a family without metrics unread.
        if self.metrics.is_empty() {
            return Ok(());
        }
        let invalid = |why: &str| Err(Error::invalid(format!("cannot parse metrics in family {:?}: {why}", self.name)));
        if self.name.is_empty() {
            return invalid("it has no name");
        }
        let kind = match self.kind {
            COUNTER => "counter",
            GAUGE => "gauge",
            SUMMARY => "summary",
            UNTYPED => "unknown",
            HISTOGRAM => "histogram",
            GAUGE_HISTOGRAM => "gaugehistogram",
            _ => return invalid("its type is unknown"),
        };
        sink.help(self.name, self.help)?;
        if !self.unit.is_empty() {
            sink.unit(self.name, self.unit)?;
        }
        sink.kind(self.name, kind)?;
        for bytes in &self.metrics {
            let read = Metric::read(bytes, histograms.buckets_max);
            let metric = read.map_err(|why| Error::invalid(format!("cannot parse metrics in family {:?}", self.name)).because(why))?;
            let mut teller = Teller { family: self, labels: &metric.labels, time_ms: metric.time_ms, scratch, sink };
            match (self.kind, &metric.body) {
                (COUNTER, Body::Counter(value, exemplar)) => teller.float("", None, *value, exemplar.as_ref())?,
                (GAUGE, Body::Gauge(value)) | (UNTYPED, Body::Untyped(value)) => teller.float("", None, *value, None)?,
                (SUMMARY, Body::Summary(summary)) => teller.summary(summary)?,
                (HISTOGRAM | GAUGE_HISTOGRAM, Body::Histogram(histogram)) => teller.histogram(histogram, histograms)?,
                // A message without its value is one whose value is zero.
                (COUNTER | GAUGE | UNTYPED, Body::None) => teller.float("", None, 0.0, None)?,
                (SUMMARY, Body::None) => teller.summary(&Summary::default())?,
                (HISTOGRAM | GAUGE_HISTOGRAM, Body::None) => teller.histogram(&Histogram::default(), histograms)?,
                _ => return invalid("one of its metrics is of another type"),
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Metric<'b> {
    labels: Vec<(&'b str, &'b str)>,
    time_ms: Option<i64>,
    body: Body<'b>,
}

#[derive(Default)]
enum Body<'b> {
    #[default]
    None,
    Gauge(f64),
    Counter(f64, Option<ProtoExemplar<'b>>),
    Summary(Summary),
    Untyped(f64),
    Histogram(Box<Histogram<'b>>),
}

#[derive(Default)]
struct Summary {
    count: u64,
    sum: f64,
    quantiles: Vec<(f64, f64)>,
}

struct ProtoExemplar<'b> {
    labels: Vec<(&'b str, &'b str)>,
    value: f64,
    time_ms: Option<i64>,
}

impl ProtoExemplar<'_> {
    fn as_exemplar(&self) -> Exemplar<'_> {
        Exemplar { labels: &self.labels, escaped: false, value: self.value, time_ms: self.time_ms }
    }
}

struct Bucket<'b> {
    count: f64,
    bound: f64,
    exemplar: Option<ProtoExemplar<'b>>,
}

#[derive(Default)]
struct Histogram<'b> {
    count: f64,
    sum: f64,
    buckets: Vec<Bucket<'b>>,
    exemplars: Vec<ProtoExemplar<'b>>,
    is_native: bool,
    native: NativeReader,
}

impl<'b> Metric<'b> {
    fn read(bytes: &'b [u8], buckets_max: usize) -> Read<Self> {
        let mut metric = Self::default();
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => metric.labels.push(label(value.bytes()?)?),
                2 => metric.body = Body::Gauge(single(value.bytes()?)?),
                3 => {
                    let bytes = value.bytes()?;
                    metric.body = Body::Counter(single(bytes)?, exemplar_in(bytes, 2)?);
                }
                4 => metric.body = Body::Summary(summary(value.bytes()?)?),
                5 => metric.body = Body::Untyped(single(value.bytes()?)?),
                // Zero is what a time that was not sent looks like.
                6 => metric.time_ms = Some(value.varint()?.cast_signed()).filter(|time| *time != 0),
                7 => metric.body = Body::Histogram(Box::new(histogram(value.bytes()?, buckets_max)?)),
                _ => {}
            }
        }
        Ok(metric)
    }
}

fn label(bytes: &[u8]) -> Read<(&str, &str)> {
    let (mut name, mut value_of) = ("", "");
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => name = text(value)?,
            2 => value_of = text(value)?,
            _ => {}
        }
    }
    Ok((name, value_of))
}

/// The double in field 1.
fn single(bytes: &[u8]) -> Read<f64> {
    let mut found = 0.0;
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        if number == 1 {
            found = value.double()?;
        }
    }
    Ok(found)
}

fn exemplar_in(bytes: &[u8], field: u32) -> Read<Option<ProtoExemplar<'_>>> {
    let mut found = None;
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        if number == field {
            found = Some(exemplar(value.bytes()?)?);
        }
    }
    Ok(found)
}

fn exemplar(bytes: &[u8]) -> Read<ProtoExemplar<'_>> {
    let mut exemplar = ProtoExemplar { labels: Vec::new(), value: 0.0, time_ms: None };
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => exemplar.labels.push(label(value.bytes()?)?),
            2 => exemplar.value = value.double()?,
            3 => exemplar.time_ms = Some(timestamp_ms(value.bytes()?)?),
            _ => {}
        }
    }
    Ok(exemplar)
}

/// A `google.protobuf.Timestamp`.
fn timestamp_ms(bytes: &[u8]) -> Read<i64> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => seconds = value.varint()?.cast_signed(),
            2 => nanos = value.varint()?.cast_signed(),
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000))
}

fn summary(bytes: &[u8]) -> Read<Summary> {
    let mut summary = Summary::default();
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => summary.count = value.varint()?,
            2 => summary.sum = value.double()?,
            3 => {
                let (mut quantile, mut found) = (0.0, 0.0);
                let mut fields = Reader::new(value.bytes()?);
                while let Some((number, value)) = fields.next()? {
                    match number {
                        1 => quantile = value.double()?,
                        2 => found = value.double()?,
                        _ => {}
                    }
                }
                summary.quantiles.push((quantile, found));
            }
            _ => {}
        }
    }
    Ok(summary)
}

fn histogram(bytes: &[u8], buckets_max: usize) -> Read<Histogram<'_>> {
    let mut histogram = Histogram { native: NativeReader::new(buckets_max), ..Histogram::default() };
    let (mut count, mut count_float, mut is_float) = (0, 0.0, false);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        let native = &mut histogram.native;
        match number {
            1 => count = value.varint()?,
            2 => histogram.sum = value.double()?,
            3 => histogram.buckets.push(bucket(value.bytes()?)?),
            4 => count_float = value.double()?,
            5 => native.schema(value.zigzag()?),
            6 => {
                let threshold = value.double()?;
                histogram.is_native |= threshold > 0.0;
                native.zero_threshold(threshold);
            }
            7 => {
                let count = value.varint()?;
                histogram.is_native |= count > 0;
                native.zero_count(count as f64);
            }
            8 => {
                let count = value.double()?;
                // Zero here is what an integer histogram leaves out.
                if count > 0.0 {
                    is_float = true;
                    native.zero_count(count);
                }
            }
            9 | 12 => {
                histogram.is_native = true;
                native.span(if number == 12 { Sign::Positive } else { Sign::Negative }, value.bytes()?)?;
            }
            10 | 13 => native.deltas(if number == 13 { Sign::Positive } else { Sign::Negative }, value)?,
            11 | 14 => native.counts(if number == 14 { Sign::Positive } else { Sign::Negative }, value)?,
            16 => histogram.exemplars.push(exemplar(value.bytes()?)?),
            _ => {}
        }
    }
    histogram.count = if count_float > 0.0 { count_float } else { count as f64 };
    histogram.native.count(histogram.count, is_float || count_float > 0.0);
    histogram.native.sum(histogram.sum);
    Ok(histogram)
}

fn bucket(bytes: &[u8]) -> Read<Bucket<'_>> {
    let (mut count, mut count_float, mut bound) = (0, 0.0, 0.0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => count = value.varint()?,
            2 => bound = value.double()?,
            4 => count_float = value.double()?,
            _ => {}
        }
    }
    let count = if count_float > 0.0 { count_float } else { count as f64 };
    Ok(Bucket { count, bound, exemplar: exemplar_in(bytes, 3)? })
}

/// Tells a sink the parts of one metric.
struct Teller<'t, 'b, S> {
    family: &'t Family<'b>,
    labels: &'t [(&'b str, &'b str)],
    time_ms: Option<i64>,
    scratch: &'t mut Scratch,
    sink: &'t mut S,
}

impl<S: Sink> Teller<'_, '_, S> {
    fn with_series<T>(&mut self, suffix: &str, part: Option<(&str, &str)>, tell: impl FnOnce(&mut S, &Series<'_>) -> T) -> T {
        /// Parts the texts: no UTF-8 holds it, so no two series come out the same.
        const BETWEEN: u8 = 0xff;
        let Scratch { name, key } = &mut *self.scratch;
        name.clear();
        name.push_str(self.family.name);
        name.push_str(suffix);
        key.clear();
        key.extend_from_slice(name.as_bytes());
        for (name, value) in self.labels.iter().copied().chain(part) {
            key.push(BETWEEN);
            key.extend_from_slice(name.as_bytes());
            key.push(BETWEEN);
            key.extend_from_slice(value.as_bytes());
        }
        tell(self.sink, &Series { key, name, labels: self.labels, part, escaped: false, number: None })
    }

    fn float(&mut self, suffix: &str, part: Option<(&str, &str)>, value: f64, exemplar: Option<&ProtoExemplar<'_>>) -> Result<()> {
        let sample = Sample { time_ms: self.time_ms, value: settled(value), exemplar: exemplar.map(ProtoExemplar::as_exemplar) };
        self.with_series(suffix, part, |sink, series| sink.float(series, &sample))
    }

    fn summary(&mut self, summary: &Summary) -> Result<()> {
        self.float("_count", None, summary.count as f64, None)?;
        self.float("_sum", None, summary.sum, None)?;
        for (quantile, value) in &summary.quantiles {
            self.float("", Some(("quantile", &go_float(*quantile))), *value, None)?;
        }
        Ok(())
    }

    fn histogram(&mut self, histogram: &Histogram<'_>, options: &Histograms) -> Result<()> {
        let native = options.native && histogram.is_native;
        if native {
            self.native(histogram)?;
        }
        if native && (!options.classic_too || histogram.buckets.is_empty()) {
            return Ok(());
        }
        self.float("_count", None, histogram.count, None)?;
        self.float("_sum", None, histogram.sum, None)?;
        let mut complete = false;
        for bucket in &histogram.buckets {
            complete |= bucket.bound == f64::INFINITY;
            self.float("_bucket", Some(("le", &go_float(bucket.bound))), bucket.count, bucket.exemplar.as_ref())?;
        }
        if complete { Ok(()) } else { self.float("_bucket", Some(("le", "+Inf")), histogram.count, None) }
    }

    fn native(&mut self, histogram: &Histogram<'_>) -> Result<()> {
        let cannot = || Error::invalid(format!("cannot read histogram {:?}", self.family.name));
        let mut read: NativeHistogram = histogram.native.clone().finish().map_err(|fault| cannot().because(fault.why))?;
        if self.family.kind == GAUGE_HISTOGRAM {
            read.reset_hint = 3;
        }
        // Those of the histogram itself; else those of its classic buckets. One without a time says too little here.
        let own = histogram.exemplars.iter();
        let of_buckets = histogram.buckets.iter().filter_map(|bucket| bucket.exemplar.as_ref()).filter(|_| histogram.exemplars.is_empty());
        let exemplars: Vec<_> =
            own.chain(of_buckets).filter(|exemplar| exemplar.time_ms.is_some()).map(ProtoExemplar::as_exemplar).collect();
        let time_ms = self.time_ms;
        self.with_series("", None, |sink, series| sink.histogram(series, time_ms, read, &exemplars))
    }
}

#[cfg(test)]
mod tests {
    use model::ReceiveLimits;
    use model::samples::SamplesView;

    use super::*;
    use crate::outcome::Rules;
    use crate::protobuf::Writer;
    use crate::scrape::{Format, decode_exposition};

    fn nested(out: &mut Writer, number: u32, write: impl FnOnce(&mut Writer)) {
        let start = out.open(number);
        write(out);
        out.close(start);
    }

    fn family(name: &str, kind: u64, metric: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes(1, name.as_bytes());
        out.bytes(2, b"Help.");
        out.varint(3, kind);
        nested(&mut out, 4, |out| {
            nested(out, 1, |out| {
                out.bytes(1, b"code");
                out.bytes(2, b"200");
            });
            metric(out);
        });
        let mut framed = Writer::default();
        framed.raw_varint(out.bytes.len() as u64);
        [framed.bytes, out.bytes].concat()
    }

    fn body() -> Vec<u8> {
        let counter = family("a_total", COUNTER, |out| {
            nested(out, 3, |out| {
                out.fixed64(1, 5.5_f64.to_bits());
                nested(out, 2, |out| {
                    nested(out, 1, |out| {
                        out.bytes(1, b"trace_id");
                        out.bytes(2, b"ab");
                    });
                    out.fixed64(2, 1.0_f64.to_bits());
                });
            });
        });
        let summary = family("s", SUMMARY, |out| {
            nested(out, 4, |out| {
                out.varint(1, 2);
                nested(out, 3, |out| {
                    out.fixed64(1, 1.0_f64.to_bits());
                    out.fixed64(2, 9.0_f64.to_bits());
                });
            });
        });
        let histogram = family("h", HISTOGRAM, |out| {
            out.varint(6, 1_600_000_000_000);
            nested(out, 7, |out| {
                out.varint(1, 6);
                out.fixed64(2, 7.5_f64.to_bits());
                nested(out, 3, |out| {
                    out.varint(1, 4);
                    out.fixed64(2, 0.5_f64.to_bits());
                });
                out.zigzag(5, 3);
                out.fixed64(6, 0.001_f64.to_bits());
                out.varint(7, 1);
                nested(out, 12, |out| {
                    out.zigzag(1, -2);
                    out.varint(2, 2);
                });
                out.zigzag(13, 2);
                out.zigzag(13, 1);
            });
        });
        [counter, summary, histogram].concat()
    }

    fn shown(body: &[u8]) -> Result<Vec<String>> {
        let limits = ReceiveLimits::default();
        let rules = Rules { limits: &limits, now_unix_nano: 1_700_000_000_000_000_000, protocol: "test" };
        let records = decode_exposition(body, Format::PrometheusProto, &rules)?.records;
        let view = SamplesView::of(&records)?;
        (0..records.num_rows())
            .map(|row| {
                let (times, floats, histograms) = (view.timestamps(row)?, view.floats(row)?, view.histograms(row)?);
                let histograms: Vec<_> = histograms.iter().map(|h| (h.schema, h.count, h.sum, h.zero_count, h.positive.clone())).collect();
                Ok(format!("{} {times:?} {floats:?} {histograms:?}", view.label_set(row)))
            })
            .collect()
    }

    #[test]
    fn every_part_of_a_family_is_a_series() {
        let now = 1_700_000_000_000_i64;
        let then = 1_600_000_000_000_i64;
        let expected = [
            format!("{{__name__=\"a_total\", code=\"200\"}} [{now}] [5.5] []"),
            format!("{{__name__=\"s_count\", code=\"200\"}} [{now}] [2.0] []"),
            format!("{{__name__=\"s_sum\", code=\"200\"}} [{now}] [0.0] []"),
            format!("{{__name__=\"s\", code=\"200\", quantile=\"1.0\"}} [{now}] [9.0] []"),
            format!("{{__name__=\"h_count\", code=\"200\"}} [{then}] [6.0] []"),
            format!("{{__name__=\"h_sum\", code=\"200\"}} [{then}] [7.5] []"),
            format!("{{__name__=\"h_bucket\", code=\"200\", le=\"0.5\"}} [{then}] [4.0] []"),
            format!("{{__name__=\"h_bucket\", code=\"200\", le=\"+Inf\"}} [{then}] [6.0] []"),
            format!("{{__name__=\"h\", code=\"200\"}} [{then}] [] [(3, 6.0, 7.5, 1.0, [(-2, 2.0), (-1, 3.0)])]"),
        ];
        // Behind them stand the families' rows, which have no points.
        assert_eq!(shown(&body()).expect("read")[..expected.len()], expected);
    }

    #[test]
    fn a_body_that_is_cut_off_is_refused_whole() {
        let body = body();
        let whole: Vec<usize> = (0..body.len()).filter(|len| shown(&body[..*len]).is_ok()).collect();
        // Between two families nothing tells that one is missing.
        assert_eq!(whole.len(), 3, "{whole:?}");
    }
}
