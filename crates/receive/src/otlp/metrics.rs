//! `ExportMetricsServiceRequest` to `samples` rows, in the Prometheus model.
//! `docs/receive.md` tells senders what becomes what.

use model::samples::NO_START;
use model::{Decoded, Identity, Naming, Table};

use super::delta::{Arrival, DeltaState, Sums};
use super::labels::{LabelSet, Rank};
use super::names::{self, Shape};
use super::point::{Kind, Point, Temporality, read_exemplar};
use super::value::{Encoder, Owner, Place};
use super::walk::{Origin, Signal, each, walk};
use crate::outcome::{Fault, ITEM_BYTES, Outcome, Rules, shortened};
use crate::protobuf::{Read, Reader};
use crate::series::{Handle, Metric as Described, SeriesTable, When};

/// Prometheus's marker of a series that ended.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

pub(super) fn decode(body: &[u8], rules: &Rules<'_>, deltas: &DeltaState) -> Read<Decoded> {
    let mut metrics = Metrics {
        rules,
        deltas,
        arrival: deltas.begin_request(rules.now_unix_nano),
        table: SeriesTable::default(),
        outcome: Outcome::new(rules.limits),
        encoder: Encoder::default(),
        resource: Resource::default(),
        labels: LabelSet::default(),
        with: LabelSet::default(),
    };
    walk(body, rules, &mut metrics)?;
    let Metrics { table, mut outcome, .. } = metrics;
    let records = table.into_batch(&mut outcome);
    Ok(outcome.finish(rules, Table::Samples, Naming::Labels, records))
}

struct Metrics<'r> {
    rules: &'r Rules<'r>,
    deltas: &'r DeltaState,
    arrival: Arrival,
    table: SeriesTable,
    outcome: Outcome,
    encoder: Encoder,
    resource: Resource,
    labels: LabelSet,
    /// The same with `le` or `quantile`.
    with: LabelSet,
}

/// What a resource gives to its series.
#[derive(Default)]
struct Resource {
    job: String,
    instance: String,
    /// `omd.*` under the label's name.
    identity: Vec<(&'static str, String)>,
    /// All attributes but those that make `job` and `instance`.
    described: Vec<(String, String)>,
    /// Of its points so far.
    latest_ms: Option<i64>,
}

impl Resource {
    fn of(owner: &Owner) -> Self {
        const IDENTIFYING: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];
        let [name, namespace, instance] = IDENTIFYING.map(|key| owner.attributes.get(key).unwrap_or_default());
        let job = if namespace.is_empty() || name.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
        let identity = Identity::FIELDS.into_iter().filter_map(|field| {
            let value = owner.attributes.get(&format!("omd.{field}"))?;
            Some((field, value.to_owned()))
        });
        let described =
            owner.attributes.iter().filter(|(key, ..)| !IDENTIFYING.contains(key)).map(|(key, _, text)| (key.to_owned(), text.to_owned()));
        Self { job, instance: instance.to_owned(), identity: identity.collect(), described: described.collect(), latest_ms: None }
    }

    fn push_onto(&self, labels: &mut LabelSet) {
        labels.push("job", &self.job, Rank::Fixed);
        labels.push("instance", &self.instance, Rank::Fixed);
        for (field, value) in &self.identity {
            labels.push(field, value, Rank::Promoted);
        }
    }
}

/// A `Metric` with its points still as bytes.
struct Metric<'a> {
    name: &'a [u8],
    description: &'a [u8],
    unit: &'a [u8],
    kind: Kind,
    data: &'a [u8],
}

impl<'a> Metric<'a> {
    fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut metric = Self { name: &[], description: &[], unit: &[], kind: Kind::Gauge, data: &[] };
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => metric.name = value.bytes()?,
                2 => metric.description = value.bytes()?,
                3 => metric.unit = value.bytes()?,
                _ => {
                    if let Some(kind) = Kind::of_field(number) {
                        (metric.kind, metric.data) = (kind, value.bytes()?);
                    }
                }
            }
        }
        Ok(metric)
    }
}

/// What all points of a metric share.
struct Family {
    name: String,
    temporality: Temporality,
    /// Whether its points count from a start on, and the start that they tell is that of the sum which is stored.
    has_starts: bool,
}

impl Signal for Metrics<'_> {
    const LEVELS: [&'static str; 2] = ["resourceMetrics", "scopeMetrics"];

    fn tools(&mut self) -> (&mut Outcome, &mut Encoder) {
        (&mut self.outcome, &mut self.encoder)
    }

    fn begin_resource(&mut self, resource: &Owner) {
        self.resource = Resource::of(resource);
    }

    fn item(&mut self, index: usize, bytes: &[u8], origin: &Origin) -> Read<()> {
        let metric = Metric::read(bytes)?;
        let field = |name: &str| format!("{}.metrics[{index}]{name}", origin.place);
        let family = match self.family(&metric)? {
            Ok(family) => family,
            Err((fault, at)) => {
                let mut points = 0;
                each(metric.data, 1, |_, _| {
                    points += 1;
                    Ok(())
                })?;
                self.outcome.reject(points, fault, || field(at));
                return Ok(());
            }
        };
        each(metric.data, 1, |point_index, bytes| {
            self.outcome.spend(ITEM_BYTES + bytes.len())?;
            let point = Point::read(metric.kind, bytes, self.rules, &mut self.outcome)?;
            let at = || field(&format!(".{}.dataPoints[{point_index}]", metric.kind.json_name()));
            if let Err(fault) = self.point(&family, metric.kind, &point, origin, &at)? {
                self.outcome.reject(1, fault, at);
            }
            Ok(())
        })
    }

    /// `target_info`, as the specification has it: 1 at the time of the resource's last point.
    fn end_resource(&mut self, place: Place) -> Read<()> {
        let resource = std::mem::take(&mut self.resource);
        let Some(latest_ms) = resource.latest_ms else { return Ok(()) };
        if resource.described.is_empty() || (resource.job.is_empty() && resource.instance.is_empty()) {
            return Ok(());
        }
        self.labels.clear();
        resource.push_onto(&mut self.labels);
        let pushed = self.labels.push_texts(&resource.described, self.rules);
        if let Err(fault) = pushed.and_then(|()| self.labels.settle(self.rules)) {
            let fault = Fault::new(fault.reason, format!("target_info is left out: {}", fault.why));
            self.outcome.reject(0, fault, || format!("{place}.resource.attributes"));
            return Ok(());
        }
        let described = Described { kind: "gauge", help: "Target metadata", ..Described::default() };
        self.table.begin_metric(&described, &mut self.outcome)?;
        let series = self.table.series("target_info", self.labels.iter(), &mut self.outcome)?;
        self.table.float(series, latest_ms, 1.0, &mut self.outcome)
    }
}

impl Metrics<'_> {
    fn family(&mut self, metric: &Metric<'_>) -> Read<Result<Family, (Fault, &'static str)>> {
        let (mut temporality, mut monotonic) = (0, false);
        let mut reader = Reader::new(metric.data);
        while let Some((number, value)) = reader.next()? {
            match (metric.kind, number) {
                (Kind::Sum | Kind::Histogram | Kind::Exponential, 2) => temporality = value.varint()?,
                (Kind::Sum, 3) => monotonic = value.varint()? != 0,
                _ => {}
            }
        }
        let temporality = match (metric.kind, temporality) {
            (Kind::Gauge | Kind::Summary, _) | (_, 2) => Temporality::Cumulative,
            (_, 1) => Temporality::Delta,
            (_, other) => {
                let why = format!("aggregation temporality {other} says nothing: send 1 (delta) or 2 (cumulative)");
                return Ok(Err((Fault::new("invalid_temporality", why), "")));
            }
        };
        let Ok(original) = std::str::from_utf8(metric.name) else {
            return Ok(Err((Fault::new("invalid_metric_name", "the name is not UTF-8: send UTF-8"), ".name")));
        };
        let shape = match metric.kind {
            Kind::Gauge => Shape::Gauge,
            Kind::Sum if monotonic => Shape::Counter,
            _ => Shape::Other,
        };
        let name = names::metric_name(original, &self.outcome.text(metric.unit), shape);
        let (unit, help) = (self.outcome.help(metric.unit, self.rules), self.outcome.help(metric.description, self.rules));
        let max = self.rules.limits.label_value_bytes_max;
        if name.is_empty() {
            let why = format!("the name {} holds no letter or digit", shortened(original));
            return Ok(Err((Fault::new("invalid_metric_name", why), ".name")));
        }
        if name.len() > max {
            let why = format!("the name, with its unit, has over label_value_bytes_max, {max}, bytes: shorten it");
            return Ok(Err((Fault::new("label_value_too_long", why), ".name")));
        }
        let kind = match metric.kind {
            Kind::Sum if monotonic => "counter",
            Kind::Gauge | Kind::Sum => "gauge",
            Kind::Histogram | Kind::Exponential => "histogram",
            Kind::Summary => "summary",
        };
        // The series of these have names of their own: `h_bucket`.
        let family = if matches!(metric.kind, Kind::Histogram | Kind::Summary) { name.as_str() } else { "" };
        self.table.begin_metric(&Described { kind, unit: &unit, help: &help, family }, &mut self.outcome)?;
        let has_starts = !matches!(kind, "gauge") && temporality == Temporality::Cumulative;
        Ok(Ok(Family { name, temporality, has_starts }))
    }

    /// The label set of a point, in `self.labels`.
    fn label(&mut self, point: &Point<'_>, origin: &Origin) -> Read<Result<(), Fault>> {
        self.labels.clear();
        self.resource.push_onto(&mut self.labels);
        self.labels.push("otel_scope_name", &origin.scope.name, Rank::Fixed);
        self.labels.push("otel_scope_version", &origin.scope.version, Rank::Fixed);
        self.labels.push_scope(&origin.scope.attributes);
        let pushed = self.labels.push_attributes(&point.attributes, self.rules, &mut self.outcome, &mut self.encoder)?;
        Ok(pushed.and_then(|()| self.labels.settle(self.rules)))
    }

    fn point(
        &mut self,
        family: &Family,
        kind: Kind,
        point: &Point<'_>,
        origin: &Origin,
        at: &dyn Fn() -> String,
    ) -> Read<Result<(), Fault>> {
        let time_ms = match point.time_ms(self.rules) {
            Ok(time_ms) => time_ms,
            Err(fault) => return Ok(Err(fault)),
        };
        if let Err(fault) = self.label(point, origin)? {
            return Ok(Err(fault));
        }
        let start_ms = if family.has_starts && !point.is_stale() { point.start_ms() } else { NO_START };
        let when = When { time_ms, start_ms };
        let taken = match kind {
            Kind::Gauge | Kind::Sum => self.number(family, point, when, at)?,
            Kind::Histogram => self.histogram(family, point, when, at)?,
            Kind::Exponential => self.exponential(family, point, when, at)?,
            Kind::Summary => self.summary(family, point, when)?,
        };
        if taken.is_ok() {
            self.resource.latest_ms = self.resource.latest_ms.max(Some(time_ms));
        }
        Ok(taken)
    }

    fn number(&mut self, family: &Family, point: &Point<'_>, when: When, at: &dyn Fn() -> String) -> Read<Result<(), Fault>> {
        let number = match point.number {
            _ if point.is_stale() => STALE,
            Some(number) if family.temporality == Temporality::Cumulative => number,
            Some(number) => {
                let mut numbers = vec![number];
                if let Err(fault) = self.accumulate(family, point, when.time_ms, &[], &mut numbers) {
                    return Ok(Err(fault));
                }
                numbers[0]
            }
            None => return Ok(Err(Fault::new("missing_value", "the point has neither asDouble nor asInt: send one"))),
        };
        let series = self.float(&family.name, when, number)?;
        self.exemplars(point, |_| series, at)?;
        Ok(Ok(()))
    }

    /// `_bucket` with cumulative counts under `le`, `_sum` and `_count`.
    fn histogram(&mut self, family: &Family, point: &Point<'_>, when: When, at: &dyn Fn() -> String) -> Read<Result<(), Fault>> {
        if let Err(fault) = point.check_buckets() {
            return Ok(Err(fault));
        }
        let mut total = 0.0;
        let mut numbers: Vec<f64> =
            point.bucket_counts.iter().take(point.bounds.len()).map(|count| running(&mut total, *count as f64)).collect();
        numbers.extend([point.count as f64, point.sum.unwrap_or_default()]);
        if point.is_stale() {
            numbers = vec![STALE; point.bounds.len() + 2];
        }
        if let Err(fault) = self.accumulate(family, point, when.time_ms, &point.bounds, &mut numbers) {
            return Ok(Err(fault));
        }
        let (buckets, count_and_sum) = numbers.split_at(point.bounds.len());
        let name = format!("{}_bucket", family.name);
        let mut handles = Vec::with_capacity(buckets.len() + 1);
        let bounds = point.bounds.iter().copied().chain([f64::INFINITY]);
        for (bound, count) in bounds.zip(buckets.iter().chain(&count_and_sum[..1])) {
            handles.push(self.with_label(&name, "le", bound, when, *count)?);
        }
        self.float(&format!("{}_count", family.name), when, count_and_sum[0])?;
        if point.sum.is_some() || point.is_stale() {
            self.float(&format!("{}_sum", family.name), when, count_and_sum[1])?;
        }
        self.exemplars(point, |value| handles[point.bounds.partition_point(|bound| *bound < value)], at)?;
        Ok(Ok(()))
    }

    fn exponential(&mut self, family: &Family, point: &Point<'_>, when: When, at: &dyn Fn() -> String) -> Read<Result<(), Fault>> {
        let buckets_max = self.rules.limits.buckets_max;
        let mut native = match point.exponential.to_native(buckets_max) {
            Ok(native) => native,
            Err(fault) => return Ok(Err(fault)),
        };
        if point.is_stale() {
            (native.count, native.sum) = (STALE, STALE);
        } else if family.temporality == Temporality::Delta {
            let mut sums = Sums::Native(native);
            if let Err(fault) = self.deltas.accumulate(&self.key(family, &[]), when.time_ms, &mut sums, self.arrival, buckets_max) {
                return Ok(Err(fault));
            }
            let Sums::Native(sum) = sums else { unreachable!("a native histogram stays one") };
            native = sum;
        }
        let series = self.table.series(&family.name, self.labels.iter(), &mut self.outcome)?;
        self.table.histogram(series, when, native, &mut self.outcome)?;
        self.exemplars(point, |_| series, at)?;
        Ok(Ok(()))
    }

    /// A series per quantile, `_sum` and `_count`.
    fn summary(&mut self, family: &Family, point: &Point<'_>, when: When) -> Read<Result<(), Fault>> {
        let fresh = |value: f64| if point.is_stale() { STALE } else { value };
        for (quantile, value) in &point.quantiles {
            self.with_label(&family.name, "quantile", *quantile, when, fresh(*value))?;
        }
        self.float(&format!("{}_count", family.name), when, fresh(point.count as f64))?;
        self.float(&format!("{}_sum", family.name), when, fresh(point.sum.unwrap_or_default()))?;
        Ok(Ok(()))
    }

    fn float(&mut self, name: &str, when: When, value: f64) -> Read<Handle> {
        let series = self.table.series(name, self.labels.iter(), &mut self.outcome)?;
        self.table.float(series, when, value, &mut self.outcome)?;
        Ok(series)
    }

    fn with_label(&mut self, name: &str, label: &str, bound: f64, when: When, value: f64) -> Read<Handle> {
        let bound = if bound == f64::INFINITY { "+Inf".to_owned() } else { bound.to_string() };
        self.with.assign_with(&self.labels, label, &bound);
        let series = self.table.series(name, self.with.iter(), &mut self.outcome)?;
        self.table.float(series, when, value, &mut self.outcome)?;
        Ok(series)
    }

    /// Turns deltas into sums where the family sends deltas.
    fn accumulate(&self, family: &Family, point: &Point<'_>, time_ms: i64, bounds: &[f64], numbers: &mut Vec<f64>) -> Result<(), Fault> {
        if family.temporality == Temporality::Cumulative || point.is_stale() {
            return Ok(());
        }
        let mut sums = Sums::Numbers(std::mem::take(numbers));
        self.deltas.accumulate(&self.key(family, bounds), time_ms, &mut sums, self.arrival, self.rules.limits.buckets_max)?;
        let Sums::Numbers(summed) = sums else { unreachable!("numbers stay numbers") };
        *numbers = summed;
        Ok(())
    }

    /// Name, labels and bounds: a histogram whose bounds change is a new one.
    fn key(&self, family: &Family, bounds: &[f64]) -> Vec<u8> {
        let mut key = family.name.clone().into_bytes();
        for (name, value) in self.labels.iter() {
            for part in [name, value] {
                key.push(0xff);
                key.extend_from_slice(part.as_bytes());
            }
        }
        for bound in bounds {
            key.push(0xfe);
            key.extend_from_slice(&bound.to_bits().to_le_bytes());
        }
        key
    }

    /// Puts each exemplar on the series that `series_of` names for its value.
    fn exemplars(&mut self, point: &Point<'_>, series_of: impl Fn(f64) -> Handle, at: &dyn Fn() -> String) -> Read<()> {
        for (index, bytes) in point.exemplars.iter().enumerate() {
            match read_exemplar(bytes, self.rules, &mut self.outcome, &mut self.encoder)? {
                Ok(exemplar) => self.table.exemplar(series_of(exemplar.value), exemplar, &mut self.outcome)?,
                Err(fault) => self.outcome.reject(0, fault, || format!("{}.exemplars[{index}]", at())),
            }
        }
        Ok(())
    }
}

fn running(total: &mut f64, count: f64) -> f64 {
    *total += count;
    *total
}
