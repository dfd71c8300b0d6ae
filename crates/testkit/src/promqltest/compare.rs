use std::collections::BTreeMap;

use model::{Answered, InstantSample, Labels, NativeHistogram};

use super::script::{Eval, Times};
use super::series::{Item, Line};

/// A value at a time, as it was expected or found.
#[derive(Clone, Debug)]
enum Point {
    Float(f64),
    Histogram(Box<NativeHistogram>),
}

/// Compares an answer with what its eval expects.
pub(super) fn answer(eval: &Eval, found: &Answered) -> Result<(), String> {
    match (found, eval.times) {
        (Answered::Text { value, .. }, _) => match eval.text.as_ref() == Some(value) {
            true => Ok(()),
            false => Err(format!("text {value:?} instead of {:?}", eval.text)),
        },
        (Answered::Scalar { value, .. }, _) => match eval.scalar {
            Some(wanted) => same_point(&Point::Float(wanted), &Point::Float(*value)),
            None => Err(format!("is the scalar {value}")),
        },
        (Answered::Vector(samples), _) => vector(eval, samples),
        (Answered::Matrix(_), Times::Instant(at_ms)) => matrix(eval, found, None, at_ms),
        (Answered::Matrix(_), Times::Range { start_ms, step_ms, .. }) => matrix(eval, found, Some(step_ms), start_ms),
        _ => Err("answers with something that PromQL does not know".to_owned()),
    }
}

/// Compares the step `at_ms` of a range answer with what an instant eval expects.
pub(super) fn at_instant(eval: &Eval, found: &Answered, at_ms: i64) -> Result<(), String> {
    let Answered::Matrix(series) = found else { return Err("is no matrix".to_owned()) };
    let mut points = BTreeMap::new();
    for series in series {
        let float = series.floats.iter().find(|(at, _)| *at == at_ms).map(|(_, value)| Point::Float(*value));
        let histogram =
            series.histograms.iter().find(|(at, _)| *at == at_ms).map(|(_, histogram)| Point::Histogram(Box::new(histogram.clone())));
        if let Some(point) = float.or(histogram) {
            points.insert(key(&series.labels), point);
        }
    }
    if let Some(wanted) = eval.scalar {
        let [point] = points.values().collect::<Vec<_>>()[..] else { return Err("is no scalar".to_owned()) };
        return same_point(&Point::Float(wanted), point);
    }
    same_points(expected(&eval.lines), &points)
}

fn key(labels: &Labels) -> String {
    labels.to_string()
}

fn point(item: &Item) -> Option<Point> {
    match item {
        Item::Gap => None,
        Item::Float(value) => Some(Point::Float(*value)),
        Item::Histogram(histogram) => Some(Point::Histogram(histogram.clone())),
    }
}

fn expected(lines: &[Line]) -> BTreeMap<String, Point> {
    lines.iter().filter_map(|line| Some((key(&line.labels), point(line.items.first()?)?))).collect()
}

fn sample_point(sample: &InstantSample) -> Point {
    match &sample.histogram {
        Some(histogram) => Point::Histogram(histogram.clone()),
        None => Point::Float(sample.value),
    }
}

fn vector(eval: &Eval, samples: &[InstantSample]) -> Result<(), String> {
    if eval.ordered {
        let wanted: Vec<String> = eval.lines.iter().map(|line| key(&line.labels)).collect();
        let found: Vec<String> = samples.iter().map(|sample| key(&sample.labels)).collect();
        if wanted != found {
            return Err(format!("is ordered {found:?} instead of {wanted:?}"));
        }
    }
    let found: BTreeMap<String, Point> = samples.iter().map(|sample| (key(&sample.labels), sample_point(sample))).collect();
    if found.len() != samples.len() {
        return Err("has a label set twice".to_owned());
    }
    same_points(expected(&eval.lines), &found)
}

fn same_points(wanted: BTreeMap<String, Point>, found: &BTreeMap<String, Point>) -> Result<(), String> {
    for (labels, point) in &wanted {
        let found = found.get(labels).ok_or_else(|| format!("lacks {labels}; has {found:?}"))?;
        same_point(point, found).map_err(|why| format!("{labels}: {why}"))?;
    }
    match found.iter().find(|(labels, _)| !wanted.contains_key(*labels)) {
        Some((labels, point)) => Err(format!("has the unexpected {labels} {point:?}")),
        None => Ok(()),
    }
}

/// Every line has a value per step; without a step (raw samples) only values in order are compared.
fn matrix(eval: &Eval, found: &Answered, step_ms: Option<i64>, start_ms: i64) -> Result<(), String> {
    let Answered::Matrix(series) = found else { return Err("is no matrix".to_owned()) };
    let mut found: BTreeMap<String, Vec<(i64, Point)>> = BTreeMap::new();
    for series in series {
        let mut points: Vec<(i64, Point)> = series.floats.iter().map(|(at, value)| (*at, Point::Float(*value))).collect();
        points.extend(series.histograms.iter().map(|(at, histogram)| (*at, Point::Histogram(Box::new(histogram.clone())))));
        points.sort_by_key(|(at, _)| *at);
        if found.insert(key(&series.labels), points).is_some() {
            return Err(format!("has {} twice", series.labels));
        }
    }
    let mut lines = 0;
    for line in &eval.lines {
        let wanted: Vec<(i64, Point)> = (0i64..)
            .zip(&line.items)
            .filter_map(|(index, item)| Some((start_ms + step_ms.unwrap_or(0) * index, point(item)?)))
            .filter(|(at, _)| match eval.times {
                Times::Range { end_ms, .. } => *at <= end_ms,
                Times::Instant(_) => true,
            })
            .collect();
        if wanted.is_empty() {
            continue;
        }
        lines += 1;
        let labels = key(&line.labels);
        let points = found.get(&labels).ok_or_else(|| format!("lacks {labels}; has {:?}", found.keys()))?;
        if points.len() != wanted.len() {
            return Err(format!("{labels}: {} points instead of {}: {points:?}", points.len(), wanted.len()));
        }
        for ((wanted_at, wanted), (at, point)) in wanted.iter().zip(points) {
            if step_ms.is_some() && wanted_at != at {
                return Err(format!("{labels}: a point at {at} instead of {wanted_at}"));
            }
            same_point(wanted, point).map_err(|why| format!("{labels} at {at}: {why}"))?;
        }
    }
    match lines == found.len() {
        true => Ok(()),
        false => Err(format!("has series that were not expected: {:?}", found.keys())),
    }
}

fn close(wanted: f64, found: f64) -> bool {
    if wanted == found || (wanted.is_nan() && found.is_nan()) {
        return true;
    }
    // Around zero there is nothing to be relative to.
    let (distance, size) = ((wanted - found).abs(), wanted.abs() + found.abs());
    distance < 1e-6 * size || (wanted == 0.0 || found == 0.0 || size < f64::MIN_POSITIVE) && distance < 1e-12
}

fn same_point(wanted: &Point, found: &Point) -> Result<(), String> {
    let same = match (wanted, found) {
        (Point::Float(wanted), Point::Float(found)) => close(*wanted, *found),
        (Point::Histogram(wanted), Point::Histogram(found)) => same_histogram(wanted, found),
        _ => false,
    };
    match same {
        true => Ok(()),
        false => Err(format!("{found:?} instead of {wanted:?}")),
    }
}

fn same_histogram(wanted: &NativeHistogram, found: &NativeHistogram) -> bool {
    let filled = |buckets: &[(i32, f64)]| buckets.iter().copied().filter(|(_, count)| *count != 0.0).collect::<Vec<_>>();
    let same_buckets = |wanted: &[(i32, f64)], found: &[(i32, f64)]| {
        let (wanted, found) = (filled(wanted), filled(found));
        wanted.len() == found.len() && wanted.iter().zip(&found).all(|(wanted, found)| wanted.0 == found.0 && close(wanted.1, found.1))
    };
    wanted.schema == found.schema
        && close(wanted.count, found.count)
        && close(wanted.sum, found.sum)
        && close(wanted.zero_threshold, found.zero_threshold)
        && close(wanted.zero_count, found.zero_count)
        && wanted.custom_bounds == found.custom_bounds
        && same_buckets(&wanted.positive, &found.positive)
        && same_buckets(&wanted.negative, &found.negative)
        // Who does not name a hint does not care.
        && (wanted.reset_hint == 0 || wanted.reset_hint == found.reset_hint)
}
