use std::ops::Deref;
use std::sync::Arc;

use arrow::buffer::ScalarBuffer;
use arrow::datatypes::ArrowNativeType;
use futures::{StreamExt, TryStreamExt};
use hashbrown::{HashMap, HashSet, HashTable};
use lang::promql::ast::{At, DurationExpr, Expr, Extent, Node, Selector, Shift};
use model::logs::text_or_empty;
use model::samples::{NO_START, START_TIMESTAMPS, SamplesView};
use model::{Error, Filter, Labels, Matcher, NativeHistogram, Result, Scan, ScanRequest, Subject, Table, TimeRange};

use super::grid::Grid;
use super::value::{Points, histogram_bytes};
use super::{info, resets};
use crate::STALE_BITS;
use crate::guard::{Charge, Guard, fold, label_bytes};
use crate::selector::scan_test;

/// Times of the query, needed wherever text speaks of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Start, end and step of the whole query.
    pub(super) query: Grid,
    /// 0 for an instant query.
    pub(super) step_ms: i64,
    pub(super) lookback_ms: i64,
    pub(super) subquery_step_ms: i64,
    pub(super) use_starts: bool,
}

impl Frame {
    pub(super) fn millis(&self, duration: &DurationExpr) -> Result<i64> {
        let range = self.query.end.saturating_sub(self.query.start) as f64 / 1000.0;
        let seconds = duration.seconds(self.step_ms as f64 / 1000.0, range);
        let seconds = seconds.map_err(|why| Error::invalid(format!("cannot use duration {duration}: {why}")))?;
        Ok((seconds * 1000.0).round() as i64)
    }

    pub(super) fn positive_millis(&self, duration: &DurationExpr) -> Result<i64> {
        match self.millis(duration)? {
            millis if millis > 0 => Ok(millis),
            _ => Err(Error::invalid(format!("cannot use duration {duration}: duration must be greater than 0"))),
        }
    }

    pub(super) fn resolve(&self, shift: &Shift) -> Result<Moved> {
        let offset = shift.offset.as_ref().map_or(Ok(0), |offset| self.millis(offset))?;
        let at = shift.at.map(|at| match at {
            At::Millis(millis) => millis,
            At::Start => self.query.start,
            At::End => self.query.end,
        });
        Ok(Moved { offset, at })
    }
}

/// `offset` and `@` in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    offset: i64,
    at: Option<i64>,
}

impl Moved {
    /// Where an evaluation at `time` looks.
    pub(super) fn of(&self, time: i64) -> i64 {
        self.at.unwrap_or(time).saturating_sub(self.offset)
    }
}

/// Everything that the selectors of a query read, decoded once; equal selectors share it.
pub(super) struct Loaded {
    series: HashMap<Vec<Matcher>, Arc<Vec<Points>>>,
    _charges: Vec<Charge>,
}

impl Loaded {
    pub(super) fn of(&self, matchers: &[Matcher]) -> Arc<Vec<Points>> {
        self.series.get(matchers).cloned().unwrap_or_default()
    }
}

/// What was read, not put in order yet: that takes its time.
pub(super) struct Read {
    decoders: Vec<(Vec<Matcher>, Decoder)>,
    /// Of whose histograms nobody looks at the buckets.
    counted: HashSet<Vec<Matcher>>,
    /// The order of the labels decides who is picked among equals.
    picks: bool,
}

impl Read {
    /// Whether the whole evaluation takes a moment.
    pub(super) fn is_little(&self, expr: &Expr, frame: &Frame) -> bool {
        /// Looks at a sample or at a value of a step, of some nanoseconds each.
        const LOOKS_MAX: usize = 256 << 10;
        let Some(looks) = looks(expr, frame) else { return false };
        let series = self.decoders.iter().flat_map(|(_, decoder)| &decoder.series);
        let samples = series.map(|raw| frame.query.len() + raw.floats.len() + 64 * raw.histograms.len());
        samples.fold(frame.query.len(), usize::saturating_add).saturating_mul(looks) <= LOOKS_MAX
    }

    pub(super) fn finish(self) -> Loaded {
        let (mut series, mut charges) = (HashMap::new(), Vec::new());
        for (matchers, decoder) in self.decoders {
            let (mut points, charge) = decoder.finish();
            if self.counted.contains(&matchers) {
                points.iter_mut().for_each(resets::hint);
            }
            if self.picks {
                points.sort_by(|a, b| a.labels.iter().cmp(b.labels.iter()));
            }
            series.insert(matchers, Arc::new(points));
            charges.push(charge);
        }
        Loaded { series, _charges: charges }
    }
}

/// What to read: matchers, and from which to which millisecond; `foo / foo offset 1w` reads two short times, not a week.
type Wanted = HashMap<Vec<Matcher>, Vec<(i64, i64)>>;

fn want(wanted: &mut Wanted, matchers: &[Matcher], first: i64, last: i64) {
    let times = wanted.entry(matchers.to_vec()).or_default();
    let mut joined = (first, last);
    times.retain(|&(first, last)| {
        let apart = last.saturating_add(1) < joined.0 || joined.1.saturating_add(1) < first;
        if !apart {
            joined = (joined.0.min(first), joined.1.max(last));
        }
        apart
    });
    times.push(joined);
}

/// Collects the selectors below `expr`, which is evaluated somewhere between `first` and `last`.
fn collect(expr: &Expr, first: i64, last: i64, frame: &Frame, wanted: &mut Wanted) -> Result<()> {
    let mut select = |selector: &Selector, before: i64| -> Result<()> {
        let moved = frame.resolve(&selector.shift)?;
        let (before, after) = match selector.extent {
            Extent::Plain => (before, 0),
            Extent::Anchored => (before.saturating_add(frame.lookback_ms), 0),
            Extent::Smoothed => (before.saturating_add(frame.lookback_ms), frame.lookback_ms),
        };
        want(wanted, &selector.matchers, moved.of(first).saturating_sub(before), moved.of(last).saturating_add(after));
        Ok(())
    };
    match &expr.node {
        Node::Vector(selector) => return select(selector, frame.lookback_ms),
        Node::Matrix { selector, range } => return select(selector, frame.positive_millis(range)?),
        Node::Subquery(subquery) => {
            let (moved, range) = (frame.resolve(&subquery.shift)?, frame.positive_millis(&subquery.range)?);
            return collect(&subquery.inner, moved.of(first).saturating_sub(range), moved.of(last), frame, wanted);
        }
        Node::Call { function, args } if function.name == "info" => {
            let (mut from, mut until) = (first, last);
            for shift in info::shifts(&args[0]) {
                let moved = frame.resolve(shift)?;
                (from, until) = (moved.of(from), moved.of(until));
            }
            want(wanted, &info::matchers(args.get(1)), from.saturating_sub(frame.lookback_ms), until);
            return collect(&args[0], first, last, frame, wanted);
        }
        _ => {}
    }
    expr.children().into_iter().try_for_each(|child| collect(child, first, last, frame, wanted))
}

/// Reads what the query needs, all selectors at once.
pub(super) async fn load(scan: &Arc<dyn Scan>, expr: &Expr, frame: &Frame, guard: &Guard) -> Result<Read> {
    let mut wanted = Wanted::new();
    collect(expr, frame.query.start, frame.query.end, frame, &mut wanted)?;
    /// Scans of one query at the same time.
    const SCANS_MAX: usize = 8;
    let with_starts = frame.use_starts || asks_for_starts(expr);
    let reads = wanted.into_iter().map(|(matchers, times)| async move {
        let decoder = read(scan, &matchers, &times, with_starts, guard).await?;
        Ok::<_, Error>((matchers, decoder))
    });
    let decoders = futures::stream::iter(reads).buffer_unordered(SCANS_MAX).try_collect().await?;
    Ok(Read { decoders, counted: resets::counted_only(expr), picks: picks(expr) })
}

/// How often an evaluation looks at each sample at most: once for each part of the expression, and for each window that it lies in.
/// None where a part is evaluated at other steps than the query's.
fn looks(expr: &Expr, frame: &Frame) -> Option<usize> {
    let here = match &expr.node {
        Node::Subquery(_) => return None,
        Node::Matrix { range, .. } => frame.millis(range).ok()?.checked_div(frame.step_ms).map_or(1, |windows| windows as usize + 1),
        _ => 1,
    };
    expr.children().into_iter().try_fold(here, |looks, child| Some(looks.saturating_add(self::looks(child, frame)?)))
}

fn picks(expr: &Expr) -> bool {
    matches!(&expr.node, Node::Aggregate(aggregate) if aggregate.op.selects()) || expr.children().into_iter().any(picks)
}

fn asks_for_starts(expr: &Expr) -> bool {
    matches!(&expr.node, Node::Call { function, .. } if function.name == "start_timestamp")
        || expr.children().into_iter().any(asks_for_starts)
}

fn filter(matcher: &Matcher) -> Filter {
    let subject = match matcher.name.as_str() {
        "__name__" => Subject::Column("name".to_owned()),
        key => Subject::Entry { column: "labels".to_owned(), key: key.to_owned() },
    };
    Filter { subject, test: scan_test(matcher.op, &matcher.value) }
}

/// Every sample from `times` of the series that pass.
pub(super) async fn read(
    scan: &Arc<dyn Scan>,
    matchers: &[Matcher],
    times: &[(i64, i64)],
    with_starts: bool,
    guard: &Guard,
) -> Result<Decoder> {
    let columns = SamplesView::COLUMNS.into_iter().chain(with_starts.then_some(START_TIMESTAMPS));
    let (guard, charge) = (guard.clone(), guard.charge(0));
    let mut decoder = Decoder { first: 0, last: 0, by_id: HashTable::new(), series: Vec::new(), guard, charge };
    for &(first, last) in times {
        let mut request = ScanRequest::new(Table::Samples, TimeRange::of_millis_inclusive(first, last));
        request.filters = matchers.iter().map(filter).collect();
        request.columns = Some(columns.clone().map(str::to_owned).collect());
        (decoder.first, decoder.last) = (first, last);
        decoder = fold(scan.scan(request).await?, decoder, |decoder, batch| decoder.add(batch).map(|()| true)).await?;
    }
    Ok(decoder)
}

/// Joins the rows of each series.
pub(super) struct Decoder {
    first: i64,
    last: i64,
    /// Places in `series` by their ids; two label sets may share one.
    by_id: HashTable<usize>,
    series: Vec<Raw>,
    guard: Guard,
    charge: Charge,
}

#[derive(Default)]
struct Raw {
    id: i64,
    labels: Labels,
    float_times: Run<i64>,
    floats: Run<f64>,
    /// Not each float is later than the one before.
    disordered: bool,
    /// As many as floats, or none.
    float_starts: Vec<i64>,
    /// Time, start and histogram.
    histograms: Vec<(i64, (i64, NativeHistogram))>,
}

/// Values of rows that follow each other: of one row as they lie in its batch, of several copied behind each other.
enum Run<T: ArrowNativeType> {
    Shared(ScalarBuffer<T>),
    Own(Vec<T>),
}

impl<T: ArrowNativeType> Default for Run<T> {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl<T: ArrowNativeType> Deref for Run<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Shared(values) => values,
            Self::Own(values) => values,
        }
    }
}

impl<T: ArrowNativeType> Run<T> {
    fn extend(&mut self, values: ScalarBuffer<T>, may_share: bool) {
        match self {
            Self::Own(own) if own.is_empty() && may_share => *self = Self::Shared(values),
            Self::Own(own) => own.extend_from_slice(&values),
            Self::Shared(first) => *self = Self::Own([&first[..], &values[..]].concat()),
        }
    }

    fn finish(self) -> ScalarBuffer<T> {
        match self {
            Self::Shared(values) => values,
            Self::Own(values) => values.into(),
        }
    }
}

impl Decoder {
    fn add(&mut self, batch: &arrow::array::RecordBatch) -> Result<()> {
        self.guard.check()?;
        let view = SamplesView::of(batch)?;
        for row in 0..batch.num_rows() {
            let times = view.timestamps(row)?;
            let (ascends, wanted) = (times.is_sorted_by(|a, b| a < b), |at: &i64| self.first <= *at && *at <= self.last);
            let range = match ascends {
                true => times.partition_point(|at| *at < self.first)..times.partition_point(|at| *at <= self.last),
                false => 0..times.len(),
            };
            if range.is_empty() || !times[range.clone()].iter().any(wanted) {
                continue;
            }
            let place = self.place(&view, row);
            let raw = &mut self.series[place];
            let starts = view.starts(row)?;
            let (mut samples, mut bytes) = (range.len(), range.len() * size_of::<(i64, f64)>());
            if view.floats(row)?.is_empty() {
                let histograms = view.histograms(row)?.into_iter().skip(range.start).take(range.len());
                for (index, histogram) in range.clone().zip(histograms) {
                    // Each of its numbers counts.
                    samples += histogram.positive.len() + histogram.negative.len() + histogram.custom_bounds.len();
                    bytes += histogram_bytes(&histogram);
                    raw.histograms.push((times[index], (starts.get(index).copied().unwrap_or(NO_START), histogram)));
                }
            } else {
                if !starts.is_empty() {
                    raw.float_starts.resize(raw.floats.len(), NO_START);
                    raw.float_starts.extend_from_slice(&starts[range.clone()]);
                    bytes += range.len() * size_of::<i64>();
                }
                // Of a row with much else the batch is not held for a few points.
                let is_most = range.len() >= times.len() / 2;
                let (times, floats) = view.shared_floats(row, range)?;
                raw.disordered |= !ascends || raw.float_times.last().is_some_and(|last| *last >= times[0]);
                raw.float_times.extend(times, is_most);
                raw.floats.extend(floats, is_most);
            }
            self.charge.grow(bytes);
            self.guard.load(samples)?;
            self.guard.fits(0)?;
        }
        Ok(())
    }

    fn place(&mut self, view: &SamplesView<'_>, row: usize) -> usize {
        let id = view.series_id.value(row);
        let name = text_or_empty(view.name, row);
        let is = |place: &usize| {
            let Raw { id: other, labels, .. } = &self.series[*place];
            let others = || labels.iter().filter(|(label, _)| *label != "__name__");
            *other == id && labels.get("__name__").unwrap_or("") == name && others().eq(view.labels.iter(row))
        };
        // An id is a good hash already.
        if let Some(&place) = self.by_id.find(id.cast_unsigned(), is) {
            return place;
        }
        let place = self.series.len();
        let labels = view.label_set(row);
        self.charge.grow(label_bytes(&labels) + size_of::<Raw>() + size_of::<Points>());
        self.series.push(Raw { id, labels, ..Raw::default() });
        let series = &self.series;
        self.by_id.insert_unique(id.cast_unsigned(), place, |&place| series[place].id.cast_unsigned());
        place
    }

    /// The series in an order that does not change from one reading to the next, so that sums of floats do not; and what they
    /// take.
    pub(super) fn finish(self) -> (Vec<Points>, Charge) {
        let mut series = self.series;
        series.sort_by(|a, b| a.id.cmp(&b.id).then_with(|| a.labels.cmp(&b.labels)));
        (series.into_iter().map(Raw::finish).collect(), self.charge)
    }
}

impl Raw {
    fn finish(self) -> Points {
        let mut points = Points { labels: self.labels, ..Points::default() };
        let is_stale = |value: &f64| value.to_bits() == STALE_BITS;
        let mut float_starts = self.float_starts;
        let has_starts = !float_starts.is_empty();
        if has_starts {
            float_starts.resize(self.floats.len(), NO_START);
        }
        if !self.disordered && !self.floats.iter().any(is_stale) {
            (points.float_times, points.floats) = (self.float_times.finish(), self.floats.finish());
            points.float_starts = float_starts;
        } else {
            let starts = float_starts.into_iter().chain(std::iter::repeat(NO_START));
            let (mut times, mut floats) = (Vec::with_capacity(self.floats.len()), Vec::with_capacity(self.floats.len()));
            for (at, (start, value)) in unique(self.float_times.iter().copied().zip(starts.zip(self.floats.iter().copied())).collect()) {
                if is_stale(&value) {
                    points.stale_times.push(at);
                } else {
                    times.push(at);
                    floats.push(value);
                    points.float_starts.extend(has_starts.then_some(start));
                }
            }
            (points.float_times, points.floats) = (times.into(), floats.into());
        }
        let has_starts = self.histograms.iter().any(|(_, (start, _))| *start != NO_START);
        for (at, (start, histogram)) in unique(self.histograms) {
            if is_stale(&histogram.sum) {
                points.stale_times.push(at);
            } else {
                points.histogram_times.push(at);
                points.histograms.push(Arc::new(histogram));
                points.histogram_starts.extend(has_starts.then_some(start));
            }
        }
        points.stale_times.sort_unstable();
        points
    }
}

/// By time; of two points at one time the one that came last stays.
fn unique<T>(mut points: Vec<(i64, T)>) -> Vec<(i64, T)> {
    points.sort_by_key(|(at, _)| *at);
    let mut kept: Vec<(i64, T)> = Vec::with_capacity(points.len());
    for point in points {
        match kept.last_mut() {
            Some(last) if last.0 == point.0 => *last = point,
            _ => kept.push(point),
        }
    }
    kept
}
