//! How many bytes of lines do which streams have?

use std::collections::BTreeMap;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use hashbrown::HashMap;
use model::schema::column;
use model::{
    Answer, Answered, Code, Error, Filter, InstantSample, Labels, Matcher, QueryLimits, RangeSeries, Result, Scan, ScanRequest, Table,
    TimeRange, VolumeBy,
};

use super::Window;
use super::matrix::Steps;
use super::source::{exact_subject, implied_filter};
use super::streams::{COLUMNS, StreamCache};
use crate::guard::{Charge, Guard, TRUNCATED, fold, label_bytes};
use crate::selector::{Compiled, scan_test};

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) matchers: &'a [Matcher],
    pub(super) window: Window,
    /// Whether each step of the window has a value, or all of it one.
    pub(super) stepped: bool,
    pub(super) by: &'a VolumeBy,
    pub(super) limit: usize,
}

/// Exact: the lines themselves are counted.
pub(super) async fn count(scan: &dyn Scan, wanted: Wanted<'_>, limits: &QueryLimits) -> Result<Answer> {
    let Window { start_ns, end_ns, .. } = wanted.window;
    let steps = match wanted.stepped {
        false => Steps { start_ns, step_ns: i64::MAX, count: 1 },
        true => super::steps(wanted.window, limits)?,
    };
    let mut request = ScanRequest::new(Table::Logs, TimeRange::new(start_ns, end_ns));
    request.columns = Some(["time_unix_nano", "body"].into_iter().chain(COLUMNS).map(str::to_owned).collect());
    let mut rest = Vec::new();
    for matcher in wanted.matchers {
        let compiled = Compiled::new(matcher)?;
        let test = scan_test(matcher.op, &matcher.value);
        match exact_subject(&matcher.name) {
            Some(subject) => request.filters.push(Filter { subject, test }),
            None => {
                request.filters.extend(implied_filter(&matcher.name, compiled.accepts(""), test));
                rest.push(compiled);
            }
        }
    }
    let guard = Guard::new(limits);
    let _cancel = guard.cancel_on_drop();
    let (streams, charge) = (StreamCache::new(&guard), guard.charge(0));
    let by = wanted.by.clone();
    let volumes = Volumes { rest, by, steps, streams, of_stream: Vec::new(), groups: HashMap::new(), bytes: Vec::new(), guard, charge };
    let volumes = fold(scan.scan(request).await?, volumes, |volumes, batch| volumes.add(batch).map(|()| true)).await?;
    volumes.answer(&wanted, limits.series_max)
}

struct Volumes {
    /// Matchers that the scan cannot answer.
    rest: Vec<Compiled>,
    by: VolumeBy,
    steps: Steps,
    streams: StreamCache,
    /// For each stream met, the groups it counts for.
    of_stream: Vec<Vec<usize>>,
    groups: HashMap<Labels, usize>,
    /// Of each group, by step.
    bytes: Vec<BTreeMap<usize, u64>>,
    guard: Guard,
    charge: Charge,
}

impl Volumes {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.guard.check()?;
        let streams = self.streams.rows(batch)?;
        for at in self.of_stream.len()..self.streams.labels.len() {
            let groups = self.groups_of(&self.streams.labels[at].clone());
            self.of_stream.push(groups);
        }
        let (times, bodies): (&Int64Array, &StringArray) = (column(batch, "time_unix_nano")?, column(batch, "body")?);
        for (row, stream) in streams.into_iter().enumerate() {
            let since = times.value(row).saturating_sub(self.steps.start_ns);
            let step = usize::try_from(since / self.steps.step_ns).unwrap_or_default();
            for group in &self.of_stream[stream as usize] {
                let steps = &mut self.bytes[*group];
                if !steps.contains_key(&step) {
                    self.charge.grow(4 * size_of::<u64>());
                }
                *steps.entry(step).or_default() += bodies.value_length(row).unsigned_abs() as u64;
            }
        }
        self.guard.fits(0)
    }

    fn groups_of(&mut self, stream: &Labels) -> Vec<usize> {
        if !self.rest.iter().all(|matcher| matcher.accepts(stream.get(&matcher.name).unwrap_or_default())) {
            return Vec::new();
        }
        let meant = |names: &[String], name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
        let groups: Vec<Labels> = match &self.by {
            VolumeBy::Series(names) => {
                let labels = Labels::from_pairs(stream.iter().filter(|(name, _)| meant(names, name)));
                // A stream that has none of them is none that was asked for.
                (names.is_empty() || !labels.is_empty()).then_some(labels).into_iter().collect()
            }
            VolumeBy::Labels(names) => stream
                .iter()
                .filter(|(name, _)| meant(names, name))
                .map(|(name, _)| Labels::from_sorted([(name, "")].into_iter()))
                .collect(),
        };
        groups.into_iter().map(|labels| self.group(labels)).collect()
    }

    fn group(&mut self, labels: Labels) -> usize {
        if let Some(&group) = self.groups.get(&labels) {
            return group;
        }
        self.charge.grow(label_bytes(&labels));
        self.bytes.push(BTreeMap::new());
        self.groups.insert(labels, self.bytes.len() - 1);
        self.bytes.len() - 1
    }

    /// The largest first; of equal ones in the order of their labels.
    fn answer(self, wanted: &Wanted<'_>, series_max: usize) -> Result<Answer> {
        let Self { groups, bytes, steps, .. } = self;
        let mut volumes: Vec<(u64, Labels, &BTreeMap<usize, u64>)> =
            groups.into_iter().map(|(labels, group)| (bytes[group].values().sum(), labels, &bytes[group])).collect();
        volumes.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.iter().cmp(b.1.iter())));
        let cut = volumes.len() > wanted.limit;
        volumes.truncate(wanted.limit);
        if volumes.len() > series_max {
            let count = volumes.len();
            return Err(Error::new(
                Code::LimitExceeded,
                format!("cannot list {count} volumes: series_max is {series_max}; give a lower limit"),
            ));
        }
        let of_step = |(step, bytes): (&usize, &u64)| (steps.at_ms(*step), *bytes as f64);
        let data = match wanted.stepped {
            true => Answered::Matrix(
                volumes
                    .into_iter()
                    .map(|(_, labels, by_step)| RangeSeries {
                        labels,
                        floats: by_step.iter().map(of_step).collect(),
                        histograms: Vec::new(),
                    })
                    .collect(),
            ),
            // As an instant query's, at its end.
            false => Answered::Vector(
                volumes
                    .into_iter()
                    .map(|(bytes, labels, _)| {
                        let at_ms = wanted.window.end_ns.div_euclid(1_000_000);
                        InstantSample { labels, at_ms, value: bytes as f64, histogram: None }
                    })
                    .collect(),
            ),
        };
        let warnings = if cut { vec![TRUNCATED.to_owned()] } else { Vec::new() };
        Ok(Answer { warnings, ..Answer::new(data) })
    }
}
