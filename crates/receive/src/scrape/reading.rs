//! From an exposition to the series of a target: labels of the target, relabelling, limits.

use std::borrow::Cow;

use model::{Decoded, Error, Labels, NativeHistogram, ReceiveLimits, Result};

use super::cache::{Found, NAME, Place, Seen, SeriesCache};
use super::exposition::{self, Exemplar, Format, Histograms, Sample, Series, Sink};
use super::relabel::{LabelSet, NameScheme, Rule, relabel};
use crate::outcome::{ENTRY_BYTES, ITEM_BYTES, Outcome, ROW_BYTES, Rules, SLICE_BYTES, shortened};
use crate::protobuf::Malformed;
use crate::series::OwnedExemplar;

/// How the samples of a target are taken; the same for all targets of a scrape configuration but for the labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Manner {
    pub(crate) honor_labels: bool,
    pub(crate) honor_timestamps: bool,
    pub(crate) track_timestamps_staleness: bool,
    pub(crate) metric_relabel: Vec<Rule>,
    pub(crate) names: NameScheme,
    pub(crate) histograms: Histograms,
    pub(crate) limits: SampleLimits,
}

/// Of one scrape; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SampleLimits {
    /// After relabelling.
    pub(crate) samples_max: u64,
    /// Of one series, its name counted.
    pub(crate) labels_max: u64,
    pub(crate) label_name_bytes_max: u64,
    pub(crate) label_value_bytes_max: u64,
}

/// What a scrape came to, for the series that Prometheus makes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Samples exposed.
    pub(crate) scraped: u64,
    /// Those that relabelling left.
    pub(crate) kept: u64,
    /// Series that the scrape before did not have.
    pub(crate) series_added: u64,
}

/// Reads one exposition into a cache; a [`Sink`].
pub(super) struct Reading<'a> {
    pub(super) cache: &'a mut SeriesCache,
    pub(super) manner: &'a Manner,
    /// What every series of the target carries.
    pub(super) labels: &'a Labels,
    pub(super) rules: &'a Rules<'a>,
    /// Of samples that bring no time.
    pub(super) time_ms: i64,
    pub(super) found: Found,
    pub(super) counts: Counts,
    pub(super) outcome: Outcome,
}

impl<'a> Reading<'a> {
    pub(super) fn new(cache: &'a mut SeriesCache, manner: &'a Manner, labels: &'a Labels, rules: &'a Rules<'a>, time_ms: i64) -> Self {
        cache.begin();
        let outcome = Outcome::new(rules.limits);
        Self { cache, manner, labels, rules, time_ms, found: Found::default(), counts: Counts::default(), outcome }
    }

    pub(super) fn read(&mut self, body: &[u8], format: Format) -> Result<()> {
        let histograms = Histograms { buckets_max: self.rules.limits.buckets_max, ..self.manner.histograms };
        exposition::read(body, format, &histograms, self)
    }

    /// Forgets what was read: the body is not to be believed.
    pub(super) fn undo(&mut self) {
        self.found = Found::default();
        self.outcome = Outcome::new(self.rules.limits);
    }

    /// A series about the target itself.
    pub(super) fn report(&mut self, name: &str, value: f64) {
        // No exposition is written so: a byte that is no UTF-8 stands behind the name.
        let key = [name.as_bytes(), &[0xff]].concat();
        let place = match self.cache.look_up(&key) {
            Seen::Before(place) => place,
            Seen::Never(fingerprint) => {
                let labels = Labels::from_pairs(self.labels.iter().chain([(NAME, name)]));
                self.cache.learn(fingerprint, Some(labels), true)
            }
        };
        if let Some(place) = place
            && self.cache.touch(place, None, true, &mut self.found)
        {
            self.found.floats.push((place, self.time_ms, value));
        }
    }

    /// The place of a series; none when relabelling drops it, or when it breaks a limit of Tyto and is refused.
    fn place(&mut self, series: &Series<'_>) -> Result<Option<Place>> {
        self.counts.scraped += 1;
        self.outcome.spend(SLICE_BYTES).map_err(too_large)?;
        let fingerprint = match self.cache.look_up(series.key) {
            Seen::Before(place) => return Ok(place),
            Seen::Never(fingerprint) => fingerprint,
        };
        self.outcome.spend(ITEM_BYTES).map_err(too_large)?;
        let Some(labels) = self.final_labels(series)? else {
            return Ok(self.cache.learn(fingerprint, None, false));
        };
        if let Err(fault) = self.rules.check_labels(labels.iter()) {
            self.outcome.reject(1, fault, || shortened(&series.name()));
            return Ok(None);
        }
        let texts: usize = labels.iter().map(|(name, value)| 2 * ENTRY_BYTES + name.len() + value.len()).sum();
        self.outcome.spend(ROW_BYTES + texts).map_err(too_large)?;
        self.counts.series_added += 1;
        Ok(self.cache.learn(fingerprint, Some(labels), false))
    }

    /// The labels of an exposed series together with its target's, after relabelling; none when that drops it.
    fn final_labels(&self, series: &Series<'_>) -> Result<Option<Labels>> {
        let name = series.name();
        let mut exposed: Vec<(Cow<'_, str>, Cow<'_, str>)> = series.labels().collect();
        exposed.push((NAME.into(), name.clone()));
        exposed.sort();
        if let Some(pair) = exposed.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Error::invalid(format!("cannot take metric {}: it has label {} twice", shortened(&name), shortened(&pair[0].0))));
        }
        let mut labels: LabelSet = exposed.iter().map(|(name, value)| (&**name, &**value)).collect();
        if self.manner.honor_labels {
            for (name, value) in self.labels.iter().filter(|(name, _)| !exposed.iter().any(|(other, _)| other == name)) {
                labels.set(name, value);
            }
        } else {
            self.cover(&mut labels);
        }
        if !relabel(&self.manner.metric_relabel, &mut labels) || labels.iter().next().is_none() {
            return Ok(None);
        }
        let names = self.manner.names;
        if !names.allows_metric(labels.get(NAME)) {
            return Err(Error::invalid(format!(
                "cannot take metric {}: {} is no name for it",
                shortened(&name),
                shortened(labels.get(NAME))
            )));
        }
        if let Some((label, _)) = labels.iter().find(|(label, _)| !names.allows_label(label)) {
            return Err(Error::invalid(format!("cannot take metric {}: {} is no name for a label", shortened(&name), shortened(label))));
        }
        self.check_limits(&name, &labels)?;
        Ok(Some(labels.to_labels()))
    }

    /// Sets the target's labels over exposed ones of their names, which are kept as `exported_...`.
    fn cover(&self, labels: &mut LabelSet) {
        let mut covered = Vec::new();
        for (name, value) in self.labels.iter() {
            let exposed = labels.get(name).to_owned();
            if !exposed.is_empty() {
                covered.push((name, exposed));
            }
            labels.set(name, value);
        }
        covered.sort_by_key(|(name, _)| name.len());
        for (name, exposed) in covered {
            let mut kept = format!("exported_{name}");
            while !labels.get(&kept).is_empty() {
                kept = format!("exported_{kept}");
            }
            labels.set(&kept, exposed);
        }
    }

    fn check_limits(&self, metric: &str, labels: &LabelSet) -> Result<()> {
        let limits = self.manner.limits;
        let over = |limit: &str, what: String, max: u64| {
            Err(Error::new(model::Code::TooLarge, format!("cannot take metric {}: {what}, {limit} is {max}", shortened(metric))))
        };
        let count = labels.iter().count() as u64;
        if limits.labels_max > 0 && count > limits.labels_max {
            return over("label_limit", format!("it has {count} labels"), limits.labels_max);
        }
        for (name, value) in labels.iter() {
            let (name_bytes, value_bytes) = (name.len() as u64, value.len() as u64);
            if limits.label_name_bytes_max > 0 && name_bytes > limits.label_name_bytes_max {
                let what = format!("label name {} has {name_bytes} bytes", shortened(name));
                return over("label_name_length_limit", what, limits.label_name_bytes_max);
            }
            if limits.label_value_bytes_max > 0 && value_bytes > limits.label_value_bytes_max {
                let what = format!("the value of label {} has {value_bytes} bytes", shortened(name));
                return over("label_value_length_limit", what, limits.label_value_bytes_max);
            }
        }
        Ok(())
    }

    /// Whether the series' point of this scrape is to be stored, and at which time.
    fn point(&mut self, place: Place, exposed_ms: Option<i64>) -> Result<Option<i64>> {
        self.counts.kept += 1;
        let max = self.manner.limits.samples_max;
        if max > 0 && self.counts.kept > max {
            return Err(Error::new(model::Code::TooLarge, format!("cannot take metrics: there are more than sample_limit, {max}")));
        }
        let exposed_ms = exposed_ms.filter(|_| self.manner.honor_timestamps);
        if let Some(time) = exposed_ms
            && let Err(fault) = self.rules.time_unix_milli(time)
        {
            self.outcome.reject(1, fault, || "timestamp".to_owned());
            return Ok(None);
        }
        let tracked = exposed_ms.is_none() || self.manner.track_timestamps_staleness;
        let fits = self.cache.touch(place, exposed_ms, tracked, &mut self.found);
        if !fits {
            self.outcome.repair(if exposed_ms.is_some() { "old_timestamp" } else { "duplicate_time" });
        }
        Ok(fits.then_some(exposed_ms.unwrap_or(self.time_ms)))
    }

    /// Keeps an exemplar that is another than last time.
    fn exemplar(&mut self, place: Place, exemplar: &Exemplar<'_>, point_ms: i64) -> Result<()> {
        let mut labels: Vec<(String, String)> = exemplar.labels().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        labels.sort();
        let checked = self.rules.check_labels(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let time = exemplar.time_ms.unwrap_or(point_ms);
        if let Err(fault) = checked.and_then(|()| self.rules.time_unix_milli(time)) {
            self.outcome.reject(0, fault, || "exemplar".to_owned());
            return Ok(());
        }
        let mut take = |name: &str| match labels.iter().position(|(other, _)| other == name) {
            Some(at) => labels.remove(at).1,
            None => String::new(),
        };
        let (trace_id, span_id) = (take("trace_id"), take("span_id"));
        let exemplar_row = OwnedExemplar { timestamp_ms: time, value: exemplar.value, trace_id, span_id, labels };
        if self.cache.is_new_exemplar(place, &exemplar_row, exemplar.time_ms.is_some()) {
            self.outcome.spend(exemplar_row.bytes()).map_err(too_large)?;
            self.found.exemplars.push((place, exemplar_row));
        }
        Ok(())
    }

    fn describe(&mut self, family: &str, same: impl Fn(&model::TargetFamily) -> bool, change: impl FnOnce(&mut model::TargetFamily)) {
        if family.len() <= self.rules.limits.label_value_bytes_max {
            self.cache.describe(family, same, change);
        }
    }
}

fn too_large(malformed: Malformed) -> Error {
    Error::new(model::Code::TooLarge, "cannot take metrics").because(malformed)
}

impl Sink for Reading<'_> {
    fn kind(&mut self, family: &str, kind: &'static str) -> Result<()> {
        self.describe(family, |held| held.kind == kind, |held| held.kind = kind.to_owned());
        Ok(())
    }

    fn help(&mut self, family: &str, help: &str) -> Result<()> {
        let help = self.outcome.help(help.as_bytes(), self.rules);
        self.describe(family, |held| held.help == help, |held| held.help = help.to_string());
        Ok(())
    }

    fn unit(&mut self, family: &str, unit: &str) -> Result<()> {
        let unit = self.outcome.help(unit.as_bytes(), self.rules);
        self.describe(family, |held| held.unit == unit, |held| held.unit = unit.to_string());
        Ok(())
    }

    fn float(&mut self, series: &Series<'_>, sample: &Sample<'_>) -> Result<()> {
        let Some(place) = self.place(series)? else { return Ok(()) };
        let Some(time) = self.point(place, sample.time_ms)? else { return Ok(()) };
        self.found.floats.push((place, time, sample.value));
        sample.exemplar.as_ref().map_or(Ok(()), |exemplar| self.exemplar(place, exemplar, time))
    }

    fn histogram(
        &mut self,
        series: &Series<'_>,
        time_ms: Option<i64>,
        histogram: NativeHistogram,
        exemplars: &[Exemplar<'_>],
    ) -> Result<()> {
        let Some(place) = self.place(series)? else { return Ok(()) };
        let Some(time) = self.point(place, time_ms)? else { return Ok(()) };
        let buckets = histogram.positive.len() + histogram.negative.len() + histogram.custom_bounds.len();
        self.outcome.spend(2 * ROW_BYTES + ENTRY_BYTES * buckets).map_err(too_large)?;
        self.found.histograms.push((place, time, histogram));
        exemplars.iter().try_for_each(|exemplar| self.exemplar(place, exemplar, time))
    }
}

/// Decodes an exposition as if it were the first of a target without labels: what conformance tests and fuzzing look at.
pub fn decode_exposition(body: &[u8], format: Format, rules: &Rules<'_>) -> Result<Decoded> {
    let mut cache = SeriesCache::default();
    let histograms = Histograms { native: true, classic_too: true, buckets_max: rules.limits.buckets_max };
    let manner = Manner { honor_timestamps: true, histograms, ..Manner::default() };
    let labels = Labels::empty();
    let mut reading = Reading::new(&mut cache, &manner, &labels, rules, rules.now_unix_nano / 1_000_000);
    reading.read(body, format)?;
    let Reading { mut found, outcome, .. } = reading;
    cache.share_families(|family| found.families.push(family.clone()));
    found.families.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cache.batch(&mut found, false, outcome, rules).0)
}

/// Of the limits that Tyto has anyway, and of the ones that the configuration adds: `0` is none of its own.
pub(super) fn body_limits(limits: &ReceiveLimits, body_bytes_max: u64) -> ReceiveLimits {
    let max = usize::try_from(body_bytes_max).unwrap_or(usize::MAX);
    let tighter = |own: usize| if max == 0 { own } else { own.min(max) };
    ReceiveLimits {
        body_bytes_max: tighter(limits.body_bytes_max),
        decompressed_bytes_max: tighter(limits.decompressed_bytes_max),
        ..limits.clone()
    }
}
