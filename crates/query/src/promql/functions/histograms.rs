use std::borrow::Cow;

use hashbrown::HashMap;
use model::{Error, Labels, Result};

use super::super::eval::metric_name;
use super::super::histogram;
use super::super::notes::named as for_metric;
use super::super::value::{Cell, Column, Series};
use super::Call;
use super::math::format_short;
use classic::Bucket;

mod classic;

/// What is asked of a histogram, per step.
enum Question {
    Quantile(Vec<f64>),
    Fraction(Vec<f64>, Vec<f64>),
}

/// Buckets of a classic histogram by place in the input, and the place of a native one.
struct Group {
    labels: Labels,
    /// With the series' own name, for notes.
    buckets: Vec<(f64, usize)>,
    native: Option<usize>,
    drop_name: bool,
}

/// `histogram_quantile`, `histogram_quantiles` and `histogram_fraction`, over classic and native histograms alike.
pub(super) fn eval(call: &Call<'_, '_>) -> Result<Vec<Series>> {
    match call.function.name {
        "histogram_quantile" => answer(call, call.vector(1)?, &Question::Quantile(call.scalar(0)?), None),
        "histogram_fraction" => answer(call, call.vector(2)?, &Question::Fraction(call.scalar(0)?, call.scalar(1)?), None),
        _ => {
            let (vector, label) = (call.vector(0)?, call.evaluator.text(&call.args[1])?);
            if label.is_empty() || label.contains('\u{fffd}') {
                return Err(Error::invalid(format!("invalid label name {label:?}")));
            }
            let mut all = Vec::new();
            for index in 2..call.args.len() {
                let quantiles = call.scalar(index)?;
                let value = with_point(quantiles.first().copied().unwrap_or(f64::NAN));
                all.extend(answer(call, vector.clone(), &Question::Quantile(quantiles), Some((label, &value)))?);
            }
            super::super::value::merge_same_labels(all)
        }
    }
}

fn answer(call: &Call<'_, '_>, vector: Vec<Series>, question: &Question, label: Option<(&str, &str)>) -> Result<Vec<Series>> {
    let groups = grouped(call, &vector);
    let mut answer = Vec::with_capacity(groups.len());
    if let Question::Quantile(quantiles) = question
        && let Some(q) = quantiles.iter().find(|q| !(0.0..=1.0).contains(*q))
    {
        let at = if label.is_some() { call.expr } else { &call.args[0] };
        call.evaluator.notes.warn(at, format!("quantile value should be between 0 and 1, got {}", format_short(*q)));
    }
    for group in groups {
        call.evaluator.guard.check()?;
        let mut column = Column::absent(call.evaluator.guard, call.grid.len());
        for step in 0..call.grid.len() {
            call.evaluator.guard.work(1 + group.buckets.len())?;
            if let Some(value) = at_step(call, &vector, &group, question, step) {
                column.set_float(step, value);
            }
        }
        if column.is_absent_everywhere() {
            continue;
        }
        let mut labels = group.labels.to_builder();
        if let Some((name, value)) = label {
            if group.labels.get(name).is_some() {
                return Err(super::super::value::same_labelset());
            }
            labels.set(name, value);
        }
        answer.push(Series { labels: labels.build(), drop_name: group.drop_name, column });
    }
    Ok(answer)
}

fn grouped(call: &Call<'_, '_>, vector: &[Series]) -> Vec<Group> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (place, series) in vector.iter().enumerate() {
        let has_native = (0..call.grid.len()).any(|step| matches!(series.column.get(step), Some(Cell::Histogram(_))));
        let bound = series.labels.get("le").and_then(parse_bound);
        let has_float = (0..call.grid.len()).any(|step| series.column.float(step).is_some());
        if has_float && bound.is_none() {
            let (le, name) = (series.labels.get("le").unwrap_or_default(), metric_name(&series.labels));
            let what = format!("bucket label \"le\" is missing or has a malformed value of {le:?}");
            call.evaluator.notes.warn(call.input(), for_metric(&what, &name));
        }
        // A native histogram keeps a label called `le`, which means nothing there.
        let mut put = |labels: Labels, bucket: Option<f64>| {
            let group = *places.entry(labels).or_insert_with_key(|labels| {
                groups.push(Group { labels: labels.clone(), buckets: Vec::new(), native: None, drop_name: true });
                groups.len() - 1
            });
            match bucket {
                Some(bound) => groups[group].buckets.push((bound, place)),
                None => groups[group].native = Some(place),
            }
        };
        if has_native {
            put(series.labels.clone(), None);
        }
        if let (true, Some(bound)) = (has_float, bound) {
            put(series.labels.filtered(|name| name != "le"), Some(bound));
        }
    }
    groups
}

/// A quantile as a label's value, as OpenMetrics writes floats: `1.0`.
fn with_point(value: f64) -> String {
    let text = format_short(value);
    if value.is_finite() && !text.contains('.') { text + ".0" } else { text }
}

fn parse_bound(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" | "inf" | "+inf" => Some(f64::INFINITY),
        "-Inf" | "-inf" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    }
}

fn at_step(call: &Call<'_, '_>, vector: &[Series], group: &Group, question: &Question, step: usize) -> Option<f64> {
    let mut buckets: Vec<Bucket> =
        group.buckets.iter().filter_map(|&(upper, place)| Some(Bucket { upper, count: vector[place].column.float(step)? })).collect();
    let native = group.native.and_then(|place| vector[place].column.histogram(step));
    let name: Cow<'_, str> = metric_name(&group.labels);
    match (buckets.is_empty(), native) {
        (true, None) => None,
        (false, Some(_)) => {
            let what = "vector contains a mix of classic and native histograms";
            call.evaluator.notes.warn(call.input(), for_metric(what, &name));
            None
        }
        (true, Some(native)) => Some(match question {
            Question::Quantile(q) => {
                let value = histogram::quantile(q[step], native);
                note_nan(call, native, &name, "input to histogram_quantile has NaN observations, result is skewed higher", value);
                value
            }
            Question::Fraction(lower, upper) => histogram::fraction(lower[step], upper[step], native),
        }),
        (false, None) => Some(match question {
            Question::Quantile(q) => {
                let (value, forced) = classic::quantile(q[step], &mut buckets);
                if forced {
                    let what = "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/\
                                prometheus/latest/querying/functions/#histogram_quantile)";
                    call.evaluator.notes.info(call.input(), for_metric(what, &name));
                }
                value
            }
            Question::Fraction(lower, upper) => classic::fraction(lower[step], upper[step], &mut buckets),
        }),
    }
}

/// NaN observations are counted and stand in no bucket; the quantile leans towards the top.
fn note_nan(call: &Call<'_, '_>, native: &model::NativeHistogram, name: &str, skewed: &str, value: f64) {
    let in_buckets: f64 = histogram::ascending(native).iter().map(|bucket: &histogram::Bucket| bucket.count).sum();
    if native.sum.is_nan() && native.count > in_buckets {
        let what = if value.is_nan() { "input to histogram_quantile has NaN observations, result is NaN" } else { skewed };
        call.evaluator.notes.info(call.input(), for_metric(what, name));
    }
}
