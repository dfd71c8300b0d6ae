//! Prometheus's JSON of answers, written piece by piece.

use axum::response::Response;
use http::StatusCode;
use model::{Answered, InstantSample, NativeHistogram, QueryStats, RangeSeries, Result, SampleStats};

use crate::error::mismatch;
use crate::{json, respond};

/// Sentences of a kind that an answer carries, as in Prometheus.
const NOTES_MAX: usize = 10;

/// What goes with the data of an answer.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
    /// When asked for by `stats=...`.
    pub(super) stats: Option<QueryStats>,
}

/// `{"status":"success","data":<data>}`.
pub(super) fn success(data: String, notes: &Notes) -> Response {
    let mut body = String::with_capacity(data.len() + 64);
    body.push_str("{\"status\":\"success\",\"data\":");
    body.push_str(&data);
    close(&mut body, notes);
    respond::json(StatusCode::OK, body)
}

/// A list too long to be made at once.
pub(super) fn success_list<T: Send + 'static>(
    items: Vec<T>,
    write: impl FnMut(&mut String, T) + Send + 'static,
    notes: &Notes,
) -> Response {
    let mut tail = "]".to_owned();
    close(&mut tail, notes);
    respond::joined("{\"status\":\"success\",\"data\":[".to_owned(), items, write, tail)
}

fn close(out: &mut String, notes: &Notes) {
    for (name, kind, texts) in [("warnings", "warning", &notes.warnings), ("infos", "info", &notes.infos)] {
        if !texts.is_empty() {
            json::push(out, format_args!(",\"{name}\":"));
            let more = texts.len().checked_sub(NOTES_MAX).filter(|&more| more > 0);
            let more = more.map(|more| format!("{more} more {kind} annotations omitted"));
            json::texts(out, texts.iter().take(NOTES_MAX).chain(&more));
        }
    }
    out.push('}');
}

/// The answer of a query; series past `limit` are cut off with a warning.
pub(super) fn result(data: Answered, limit: Option<usize>, mut notes: Notes) -> Result<Response> {
    let limit = limit.unwrap_or(usize::MAX);
    let mut cut = |len: usize| {
        if len > limit {
            notes.warnings.push("results truncated due to limit".to_owned());
        }
    };
    let head = |kind: &str| format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":");
    let response = match data {
        Answered::Matrix(mut series) => {
            cut(series.len());
            series.truncate(limit);
            respond::joined(head("matrix") + "[", series, |out, series| range_series(out, &series), tail("]", &notes))
        }
        Answered::Vector(mut samples) => {
            cut(samples.len());
            samples.truncate(limit);
            respond::joined(head("vector") + "[", samples, |out, sample| instant_sample(out, &sample), tail("]", &notes))
        }
        Answered::Scalar { at_ms, value } => {
            let mut body = head("scalar");
            float_point(&mut body, at_ms, value);
            body.push_str(&tail("", &notes));
            respond::json(StatusCode::OK, body)
        }
        Answered::Text { at_ms, value } => {
            let mut body = head("string");
            body.push('[');
            timestamp(&mut body, at_ms);
            body.push(',');
            json::text(&mut body, &value);
            body.push(']');
            body.push_str(&tail("", &notes));
            respond::json(StatusCode::OK, body)
        }
        _ => return Err(mismatch("a PromQL result")),
    };
    Ok(response)
}

fn tail(bracket: &str, notes: &Notes) -> String {
    let mut tail = bracket.to_owned();
    if let Some(stats) = &notes.stats {
        let seconds = stats.elapsed_seconds;
        json::push(&mut tail, format_args!(",\"stats\":{{\"timings\":{{\"evalTotalTime\":{seconds:?},\"execTotalTime\":{seconds:?}}}"));
        if let Some(SampleStats { queryable, peak }) = stats.samples {
            json::push(&mut tail, format_args!(",\"samples\":{{\"totalQueryableSamples\":{queryable},\"peakSamples\":{peak}}}"));
        }
        tail.push_str(",\"scan\":");
        tail.push_str(&serde_json::to_string(&stats.scan).expect("a struct of numbers is JSON"));
        tail.push('}');
    }
    tail.push('}');
    close(&mut tail, notes);
    tail
}

fn instant_sample(out: &mut String, sample: &InstantSample) {
    out.push_str("{\"metric\":");
    json::labels(out, &sample.labels);
    match &sample.histogram {
        None => {
            out.push_str(",\"value\":");
            float_point(out, sample.at_ms, sample.value);
        }
        Some(found) => {
            out.push_str(",\"histogram\":");
            histogram_point(out, sample.at_ms, found);
        }
    }
    out.push('}');
}

fn range_series(out: &mut String, series: &RangeSeries) {
    out.push_str("{\"metric\":");
    json::labels(out, &series.labels);
    if !series.floats.is_empty() {
        out.push_str(",\"values\":");
        json::list(out, &series.floats, |out, (at_ms, value)| float_point(out, *at_ms, *value));
    }
    if !series.histograms.is_empty() {
        out.push_str(",\"histograms\":");
        json::list(out, &series.histograms, |out, (at_ms, found)| histogram_point(out, *at_ms, found));
    }
    out.push('}');
}

fn float_point(out: &mut String, at_ms: i64, value: f64) {
    out.push('[');
    timestamp(out, at_ms);
    out.push_str(",\"");
    json::float(out, value);
    out.push_str("\"]");
}

/// Seconds; milliseconds as exactly three digits, or none at all.
pub(super) fn timestamp(out: &mut String, at_ms: i64) {
    let (sign, at) = (if at_ms < 0 { "-" } else { "" }, at_ms.unsigned_abs());
    json::push(out, format_args!("{sign}{}", at / 1000));
    if at % 1000 != 0 {
        json::push(out, format_args!(".{:03}", at % 1000));
    }
}

fn histogram_point(out: &mut String, at_ms: i64, found: &NativeHistogram) {
    out.push('[');
    timestamp(out, at_ms);
    out.push_str(",{\"count\":\"");
    json::float(out, found.count);
    out.push_str("\",\"sum\":\"");
    json::float(out, found.sum);
    out.push('"');
    let buckets: Vec<Bucket> = buckets(found).filter(|bucket| bucket.count != 0.0).collect();
    if !buckets.is_empty() {
        out.push_str(",\"buckets\":");
        json::list(out, &buckets, |out, bucket| {
            json::push(out, format_args!("[{},\"", bucket.boundaries));
            json::float(out, bucket.lower);
            out.push_str("\",\"");
            json::float(out, bucket.upper);
            out.push_str("\",\"");
            json::float(out, bucket.count);
            out.push_str("\"]");
        });
    }
    out.push_str("}]");
}

/// A bucket with its bounds; `boundaries` says which of them belong to it: 0 the upper, 1 the lower, 2 neither, 3 both.
struct Bucket {
    boundaries: u8,
    lower: f64,
    upper: f64,
    count: f64,
}

/// The schema of histograms with bounds of their own.
const CUSTOM_SCHEMA: i32 = -53;

/// From the lowest to the highest. Buckets that reach into the zero bucket are cut where it begins.
fn buckets(found: &NativeHistogram) -> impl Iterator<Item = Bucket> {
    let zero = found.zero_threshold;
    let negative = found.negative.iter().rev().map(move |&(index, count)| Bucket {
        boundaries: 1,
        lower: -bound(found, index),
        upper: (-bound(found, index.saturating_sub(1))).min(-zero),
        count,
    });
    let middle = (found.zero_count > 0.0).then_some(Bucket { boundaries: 3, lower: -zero, upper: zero, count: found.zero_count });
    let positive = found.positive.iter().map(move |&(index, count)| match found.schema {
        CUSTOM_SCHEMA => {
            let lower = bound(found, index.saturating_sub(1));
            Bucket { boundaries: if index == 0 { 3 } else { 0 }, lower, upper: bound(found, index), count }
        }
        _ => Bucket { boundaries: 0, lower: bound(found, index.saturating_sub(1)).max(zero), upper: bound(found, index), count },
    });
    negative.chain(middle).chain(positive)
}

/// The upper bound of a bucket.
fn bound(found: &NativeHistogram, index: i32) -> f64 {
    if found.schema == CUSTOM_SCHEMA {
        return match usize::try_from(index) {
            Err(_) => f64::NEG_INFINITY,
            Ok(index) => found.custom_bounds.get(index).copied().unwrap_or(f64::INFINITY),
        };
    }
    let exponent = f64::from(index) * (-f64::from(found.schema)).exp2();
    let bound = exponent.exp2();
    // The bucket that holds the largest finite float ends there; the next holds infinity.
    let last = exponent <= 1024.0 && exponent + (-f64::from(found.schema)).exp2() > 1024.0;
    if bound.is_infinite() && last { f64::MAX } else { bound }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_bucket_there_can_be_has_a_lower_bound() {
        for schema in [0, CUSTOM_SCHEMA] {
            let lowest = vec![(i32::MIN, 1.0)];
            let found = NativeHistogram { schema, positive: lowest.clone(), negative: lowest, ..NativeHistogram::default() };
            assert_eq!(buckets(&found).count(), 2);
        }
    }
}
