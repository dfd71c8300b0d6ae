//! A remote write request, unpacked, to `samples` rows. What both versions share, and `prometheus.WriteRequest` of 1.0.
//! Source: <https://prometheus.io/docs/specs/prw/remote_write_spec/>.

use model::samples::{NO_START, SamplesBuilder, SeriesRow};
use model::{Decoded, KnownPoints, KnownSeries, Naming, Result, Table};

use super::{native, simple, symbols};
use crate::memo::{Fingerprint, Known, SeriesMemo};
use crate::outcome::{Fault, ITEM_BYTES, Outcome, ROW_BYTES, Rules, SLICE_BYTES, unreadable};
use crate::protobuf::{Read, Reader, Value};
use crate::series::{Handle, Metric, OwnedExemplar, SeriesTable, When};

/// `MetricMetadata.MetricType` by number.
pub(super) const KINDS: [&str; 8] = ["", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"];

/// Which message the request says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// `prometheus.WriteRequest`.
    One,
    /// `io.prometheus.write.v2.Request`.
    Two,
}

/// Decodes a `WriteRequest` that is not compressed any more.
pub fn decode_remote_write(body: &[u8], rules: &Rules<'_>) -> Result<Decoded> {
    read(Version::One, body, rules, None).map(|(decoded, _)| decoded)
}

/// Decodes a `Request` of version 2.0 that is not compressed any more.
pub fn decode_remote_write_2(body: &[u8], rules: &Rules<'_>) -> Result<Decoded> {
    read(Version::Two, body, rules, None).map(|(decoded, _)| decoded)
}

/// What a request holds that was not refused: 2.0 tells the sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) samples: u64,
    pub(super) histograms: u64,
    pub(super) exemplars: u64,
}

/// What to remember of a request when it is stored: which labels made which row, and which known series to remember longer.
#[derive(Default)]
pub(super) struct Learned {
    pub(super) rows: Vec<(Fingerprint, usize)>,
    pub(super) known: Vec<(Fingerprint, KnownSeries)>,
    pub(super) written: Written,
}

/// The same, with what is known of series that came before. Without `known` they are all told whole.
pub(super) fn read(
    version: Version,
    body: &[u8],
    rules: &Rules<'_>,
    memo: Option<(&SeriesMemo, Option<&Known>)>,
) -> Result<(Decoded, Learned)> {
    let (memo, known) = memo.unzip();
    let known = known.flatten();
    let catalog_version = known.map(Known::catalog_version).unwrap_or_default();
    let mut decoder = Decoder {
        rules,
        memo,
        known,
        table: SeriesTable::default(),
        metadata: SamplesBuilder::default(),
        points: KnownPoints { catalog_version, ..KnownPoints::default() },
        outcome: Outcome::new(rules.limits),
        labels: Vec::new(),
        symbols: Vec::new(),
        learned: Learned::default(),
        told_whole: Vec::new(),
    };
    let read = match version {
        Version::One => decoder.request(body),
        Version::Two => decoder.request_2(body),
    };
    read.map_err(|malformed| unreadable("remote write request", malformed))?;
    let Decoder { table, metadata: mut builder, points, mut outcome, mut learned, told_whole, .. } = decoder;
    let rows = table.finish(&mut builder, &mut outcome);
    learned.rows = told_whole.into_iter().filter_map(|(fingerprint, series)| Some((fingerprint, rows.of(series)?))).collect();
    let decoded = outcome.finish(rules, Table::Samples, Naming::Labels, builder.finish());
    Ok((Decoded { known: points, ..decoded }, learned))
}

/// What a known series takes apart from its points, or what is remembered of one.
const KNOWN_BYTES: usize = 48;

pub(super) struct Decoder<'r, 'b> {
    pub(super) rules: &'r Rules<'r>,
    pub(super) memo: Option<&'r SeriesMemo>,
    pub(super) known: Option<&'r Known>,
    pub(super) table: SeriesTable,
    /// Rows that hold metadata only.
    metadata: SamplesBuilder,
    /// Of known series.
    points: KnownPoints,
    pub(super) outcome: Outcome,
    /// Of the series under construction.
    pub(super) labels: Vec<(&'b str, &'b str)>,
    /// Of a request of version 2.0: its texts, none where they are not UTF-8.
    pub(super) symbols: Vec<Option<&'b str>>,
    learned: Learned,
    told_whole: Vec<(Fingerprint, Handle)>,
}

/// What the bytes of a series say of it before they are read; nothing when they are not simple.
#[derive(Default)]
struct Sight<'b> {
    fingerprint: Option<Fingerprint>,
    samples: &'b [u8],
    /// The series, and whether it should be learnt again.
    known: Option<(KnownSeries, bool)>,
}

/// A `TimeSeries` but for its labels; histograms and exemplars still as bytes.
#[derive(Default)]
pub(super) struct Series<'b> {
    pub(super) floats: Vec<(When, f64)>,
    pub(super) histograms: Vec<&'b [u8]>,
    pub(super) exemplars: Vec<&'b [u8]>,
    /// The start of every point that does not tell its own.
    pub(super) start_ms: i64,
}

impl Series<'_> {
    pub(super) fn clear(&mut self) {
        self.floats.clear();
        self.histograms.clear();
        self.exemplars.clear();
        self.start_ms = NO_START;
    }

    fn since(&self, when: When) -> When {
        if when.start_ms == NO_START { When { start_ms: self.start_ms, ..when } } else { when }
    }
}

impl<'b> Decoder<'_, 'b> {
    fn request(&mut self, body: &'b [u8]) -> Read<()> {
        let mut reader = Reader::new(body);
        let mut metadata_index = 0;
        let mut told = Vec::new();
        // Of its series a request says nothing but their names: what they are comes as metadata.
        self.table.begin_metric(&Metric::default(), &mut self.outcome)?;
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => {
                    self.outcome.spend(ITEM_BYTES + size_of::<Sight>())?;
                    told.push(value.bytes()?);
                }
                3 => {
                    self.metadata(value.bytes()?, metadata_index)?;
                    metadata_index += 1;
                }
                _ => {}
            }
        }
        // All look-ups before all else: each waits for memory, and so they wait together.
        let sights: Vec<Sight<'b>> = told.iter().map(|bytes| self.see(bytes)).collect();
        let mut series = Series::default();
        for (index, (bytes, sight)) in told.into_iter().zip(sights).enumerate() {
            if !self.take_known(&sight)? {
                self.series(bytes, index, sight.fingerprint, &mut series)?;
            }
        }
        Ok(())
    }

    fn series(&mut self, bytes: &'b [u8], index: usize, fingerprint: Option<Fingerprint>, series: &mut Series<'b>) -> Read<()> {
        self.labels.clear();
        series.clear();
        let mut fault = None;
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => match read_label(value)? {
                    Ok((name, "")) if !name.is_empty() => {}
                    Ok(label) => {
                        self.outcome.spend(2 * SLICE_BYTES)?;
                        self.labels.push(label);
                    }
                    Err(found) => fault = Some(found),
                },
                2 => {
                    self.outcome.spend(SLICE_BYTES)?;
                    series.floats.push(read_sample(value.bytes()?)?);
                }
                3 => {
                    self.outcome.spend(SLICE_BYTES)?;
                    series.exemplars.push(value.bytes()?);
                }
                4 => {
                    self.outcome.spend(SLICE_BYTES)?;
                    series.histograms.push(value.bytes()?);
                }
                _ => {}
            }
        }
        self.tell_whole(index, fault, fingerprint, series)
    }

    /// Takes a series, whose labels are in `self.labels`, with all that it says of itself.
    pub(super) fn tell_whole(
        &mut self,
        index: usize,
        fault: Option<Fault>,
        fingerprint: Option<Fingerprint>,
        series: &Series<'b>,
    ) -> Read<()> {
        self.labels.sort_by_key(|(name, _)| *name);
        let name = match fault.map_or_else(|| self.name(), Err) {
            Ok(name) => name,
            Err(fault) => {
                let records = (series.floats.len() + series.histograms.len()).max(1) as u64;
                self.outcome.reject(records, fault, || format!("timeseries[{index}].labels"));
                return Ok(());
            }
        };
        let handle = self.table.series(name, self.labels.iter().copied(), &mut self.outcome)?;
        if let Some(fingerprint) = fingerprint {
            self.outcome.spend(KNOWN_BYTES)?;
            self.told_whole.push((fingerprint, handle));
        }
        self.points(handle, index, series)
    }

    fn see(&self, bytes: &'b [u8]) -> Sight<'b> {
        let Some((memo, (labels, samples))) = self.memo.zip(simple::split(bytes)) else { return Sight::default() };
        let fingerprint = memo.fingerprint(labels);
        Sight { fingerprint: Some(fingerprint), samples, known: self.known.and_then(|known| known.get(fingerprint)) }
    }

    /// Takes the points of a series that is known; not of one with a point that would be refused or comes twice.
    fn take_known(&mut self, sight: &Sight<'b>) -> Read<bool> {
        let (Some(fingerprint), Some(known)) = (sight.fingerprint, sight.known) else { return Ok(false) };
        self.take_points(fingerprint, known, |each| simple::samples(sight.samples, each))
    }

    /// The same, of points that `samples` gives one by one until it is told to end; none when there is more than points.
    pub(super) fn take_points(
        &mut self,
        fingerprint: Fingerprint,
        (series, fading): (KnownSeries, bool),
        samples: impl FnOnce(&mut dyn FnMut(i64, f64) -> Option<()>) -> Option<()>,
    ) -> Read<bool> {
        let Self { points, rules, outcome, .. } = self;
        let (first, mut last_ms) = (points.len(), i64::MIN);
        let taken = samples(&mut |time_ms, value| {
            // Of two at one time the second counts, and that it does is counted.
            if time_ms <= last_ms || rules.time_unix_milli(time_ms).is_err() {
                return None;
            }
            last_ms = time_ms;
            points.times_ms.push(time_ms);
            points.values.push(value);
            Some(())
        });
        if taken.is_none() {
            points.times_ms.truncate(first);
            points.values.truncate(first);
            return Ok(false);
        }
        let count = points.len() - first;
        if count > 0 {
            outcome.spend(KNOWN_BYTES + SLICE_BYTES * count)?;
            points.series.push(series);
            points.ends.push(u32::try_from(points.len()).expect("batch_bytes_max allows fewer points"));
            self.learned.written.samples += count as u64;
        }
        if fading {
            outcome.spend(KNOWN_BYTES)?;
            self.learned.known.push((fingerprint, series));
        }
        Ok(true)
    }

    /// The metric's name, taken out of the labels; the labels are checked.
    fn name(&mut self) -> Result<&'b str, Fault> {
        self.rules.check_labels(self.labels.iter().copied())?;
        let Some(at) = self.labels.iter().position(|(name, _)| *name == "__name__") else {
            return Err(Fault::new("missing_metric_name", "the series has no label __name__: name it"));
        };
        Ok(self.labels.remove(at).1)
    }

    /// Prometheus sends an exemplar as a series of its own, without samples, before or after the series that it belongs to.
    fn points(&mut self, handle: Handle, index: usize, series: &Series<'b>) -> Read<()> {
        let Self { rules, table, outcome, symbols, learned: Learned { written, .. }, .. } = self;
        for (point, (when, value)) in series.floats.iter().enumerate() {
            match rules.time_unix_milli(when.time_ms) {
                Ok(_) => {
                    table.float(handle, series.since(*when), *value, outcome)?;
                    written.samples += 1;
                }
                Err(fault) => outcome.reject(1, fault, || format!("timeseries[{index}].samples[{point}].timestamp")),
            }
        }
        for (point, bytes) in series.histograms.iter().enumerate() {
            let read = native::read(bytes, rules.limits.buckets_max)?;
            match read.and_then(|(when, histogram)| rules.time_unix_milli(when.time_ms).map(|_| (when, histogram))) {
                Ok((when, histogram)) => {
                    table.histogram(handle, series.since(when), histogram, outcome)?;
                    written.histograms += 1;
                }
                Err(fault) => outcome.reject(1, fault, || format!("timeseries[{index}].histograms[{point}]")),
            }
        }
        for (position, bytes) in series.exemplars.iter().enumerate() {
            match read_exemplar(bytes, symbols, rules, outcome)? {
                Ok(exemplar) => {
                    table.exemplar(handle, exemplar, outcome)?;
                    written.exemplars += 1;
                }
                Err(fault) => outcome.reject(0, fault, || format!("timeseries[{index}].exemplars[{position}]")),
            }
        }
        Ok(())
    }

    /// A row of metadata only.
    fn metadata(&mut self, bytes: &'b [u8], index: usize) -> Read<()> {
        let (mut kind, mut name, mut help, mut unit) = (0, &[][..], &[][..], &[][..]);
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => kind = value.varint()?,
                2 => name = value.bytes()?,
                4 => help = value.bytes()?,
                5 => unit = value.bytes()?,
                _ => {}
            }
        }
        self.outcome.spend(ROW_BYTES + bytes.len())?;
        let max = self.rules.limits.label_value_bytes_max;
        match std::str::from_utf8(name) {
            Ok(name) if !name.is_empty() && name.len() <= max => {
                let (help, unit) = (self.outcome.help(help, self.rules), self.outcome.help(unit, self.rules));
                let kind = usize::try_from(kind).ok().and_then(|kind| KINDS.get(kind)).copied().unwrap_or_default();
                self.metadata.push_series(&SeriesRow { name, kind, unit: &unit, help: &help }, std::iter::empty());
            }
            _ => {
                let why = format!("the metric family's name is empty, not UTF-8, or over label_value_bytes_max, {max} bytes");
                self.outcome.reject(0, Fault::new("invalid_metadata", why), || format!("metadata[{index}].metricFamilyName"));
            }
        }
        Ok(())
    }
}

fn read_exemplar(bytes: &[u8], symbols: &[Option<&str>], rules: &Rules<'_>, outcome: &mut Outcome) -> Read<Result<OwnedExemplar, Fault>> {
    let (mut labels, mut refs, mut value_of, mut time) = (Vec::new(), Vec::new(), 0.0, 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            // Labels of 1.0 are messages; 2.0 refers to its symbols, of which it always has one.
            1 if symbols.is_empty() => match read_label(value)? {
                Ok(label) => {
                    outcome.spend(2 * SLICE_BYTES)?;
                    labels.push(label);
                }
                Err(fault) => return Ok(Err(fault)),
            },
            1 => symbols::read_refs(value, &mut refs, outcome)?,
            2 => value_of = value.double()?,
            3 => time = value.varint()?.cast_signed(),
            _ => {}
        }
    }
    if let Err(fault) = symbols::resolve(&refs, symbols, &mut labels) {
        return Ok(Err(fault));
    }
    labels.sort_by_key(|(name, _)| *name);
    let checked = rules.check_labels(labels.iter().copied()).and_then(|()| rules.time_unix_milli(time));
    let timestamp_ms = match checked {
        Ok(time) => time,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut take = |name: &str| match labels.iter().position(|(other, _)| *other == name) {
        Some(at) => labels.remove(at).1.to_owned(),
        None => String::new(),
    };
    let (trace_id, span_id) = (take("trace_id"), take("span_id"));
    let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(Ok(OwnedExemplar { timestamp_ms, value: value_of, trace_id, span_id, labels }))
}

/// Names and values must be UTF-8: a repaired label would be another series.
fn read_label(value: Value<'_>) -> Read<Result<(&str, &str), Fault>> {
    let (mut name, mut text) = (&[][..], &[][..]);
    let mut reader = Reader::new(value.bytes()?);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => name = value.bytes()?,
            2 => text = value.bytes()?,
            _ => {}
        }
    }
    let Ok(name) = std::str::from_utf8(name) else {
        return Ok(Err(Fault::new("invalid_label_name", "a label's name is not UTF-8: send UTF-8")));
    };
    let Ok(text) = std::str::from_utf8(text) else {
        let why = format!("the value of label {} is not UTF-8: send UTF-8", crate::outcome::shortened(name));
        return Ok(Err(Fault::new("invalid_label_value", why)));
    };
    Ok(Ok((name, text)))
}

fn read_sample(bytes: &[u8]) -> Read<(When, f64)> {
    let mut sample = (When::from(0), 0.0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => sample.1 = value.double()?,
            2 => sample.0.time_ms = value.varint()?.cast_signed(),
            _ => {}
        }
    }
    Ok(sample)
}
