//! The newest sample of every series that is asked for, as text for another Prometheus to scrape.
//! Source: <https://prometheus.io/docs/prometheus/latest/federation/>.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use lang::promql::{is_plain_label_name, is_plain_metric_name};
use model::samples::STALE_BITS;
use model::{Answered, Ask, Labels, NativeHistogram, RangeSeries, Result};

use crate::error::{PlainFailure, mismatch};
use crate::params::Params;
use crate::selector::of_series;
use crate::state::{Shared, now_ns, within};
use crate::{json, respond};

/// What is older is not passed on.
const LOOKBACK_MS: i64 = 300_000;

/// Native histograms of exponential buckets have no form in text.
const CUSTOM_SCHEMA: i32 = -53;

pub(super) async fn federate(State(state): State<Shared>, request: Request) -> Response {
    let quoted = wants_any_name(request.headers());
    match collected(&state, request).await {
        Ok(newest) => respond::typed(StatusCode::OK, content_type(quoted), written(&newest, quoted)),
        Err(error) => PlainFailure::from(error).into_response(),
    }
}

/// Whether the scraper can read names that need quotes.
fn wants_any_name(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok()).any(|accept| accept.contains("escaping=allow-utf-8"))
}

fn content_type(quoted: bool) -> &'static str {
    match quoted {
        true => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        false => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
    }
}

enum Value {
    Float(f64),
    Histogram(NativeHistogram),
}

struct Sample {
    at_ms: i64,
    value: Value,
}

/// The newest sample of each series, series that have ended left out.
async fn collected(state: &Shared, request: Request) -> Result<BTreeMap<Labels, Sample>> {
    let params = Params::read(request).await?;
    let selectors = params.selectors("match[]", of_series).await.map_err(|mut error| {
        // Prometheus names the fault alone.
        error.what = error.what.replacen("invalid parameter \"match[]\": ", "", 1);
        error
    })?;
    let now_ms = now_ns() / 1_000_000;
    let asked = async {
        let mut newest = BTreeMap::new();
        for matchers in selectors {
            let ask = Ask::Samples { matchers, first_ms: now_ms - LOOKBACK_MS, last_ms: now_ms };
            let Answered::Matrix(series) = state.ask(ask, None).await?.data else { return Err(mismatch("samples")) };
            newest.extend(series.into_iter().filter_map(newest_of));
        }
        Ok(newest)
    };
    within(state.limits.timeout, asked).await
}

fn newest_of(mut series: RangeSeries) -> Option<(Labels, Sample)> {
    let (float, histogram) = (series.floats.pop(), series.histograms.pop());
    let histogram_is_newer = histogram.as_ref().map(|(at, _)| *at) > float.map(|(at, _)| at);
    let sample = match (float, histogram) {
        (_, Some((at_ms, found))) if histogram_is_newer => {
            (found.sum.to_bits() != STALE_BITS).then_some(Sample { at_ms, value: Value::Histogram(found) })
        }
        (Some((at_ms, value)), _) => (value.to_bits() != STALE_BITS).then_some(Sample { at_ms, value: Value::Float(value) }),
        _ => None,
    }?;
    series.labels.get("__name__")?;
    Some((series.labels, sample))
}

fn written(newest: &BTreeMap<Labels, Sample>, quoted: bool) -> String {
    let mut samples: Vec<_> = newest.iter().map(|(labels, sample)| (labels.get("__name__").unwrap_or_default(), labels, sample)).collect();
    samples.sort_by_key(|(name, ..)| *name);
    let mut out = String::new();
    let mut family = None;
    for (name, labels, sample) in samples {
        let kind = match &sample.value {
            Value::Float(_) => "untyped",
            Value::Histogram(found) if found.schema == CUSTOM_SCHEMA => "histogram",
            Value::Histogram(_) => continue,
        };
        if family != Some((name, kind)) {
            family = Some((name, kind));
            push(&mut out, format_args!("# TYPE {} {kind}\n", Metric { name, quoted }));
        }
        let line = Line { name, labels, at_ms: sample.at_ms, quoted };
        match &sample.value {
            Value::Float(value) => line.write(&mut out, "", None, *value),
            Value::Histogram(found) => line.write_histogram(&mut out, found),
        }
    }
    out
}

/// A series at one time.
struct Line<'a> {
    name: &'a str,
    labels: &'a Labels,
    at_ms: i64,
    quoted: bool,
}

impl Line<'_> {
    fn write(&self, out: &mut String, suffix: &str, bound: Option<f64>, value: f64) {
        let name = format!("{}{suffix}", self.name);
        let metric = Metric { name: &name, quoted: self.quoted };
        let inside = self.quoted && !is_plain_metric_name(&name);
        match inside {
            true => push(out, format_args!("{{{metric}")),
            false => push(out, format_args!("{metric}{{")),
        }
        let mut first = !inside;
        let mut label = |out: &mut String, name: &str, value: &str| {
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            push(out, format_args!("{}=\"{}\"", LabelName { name, quoted: self.quoted }, Escaped(value)));
        };
        self.labels.iter().filter(|(name, _)| *name != "__name__").for_each(|(name, value)| label(out, name, value));
        // So that the scraper's own does not take its place.
        if self.labels.get("instance").is_none() {
            label(out, "instance", "");
        }
        if let Some(bound) = bound {
            let mut text = String::new();
            float(&mut text, bound);
            label(out, "le", &text);
        }
        out.push_str("} ");
        float(out, value);
        push(out, format_args!(" {}\n", self.at_ms));
    }

    /// As a classic histogram.
    fn write_histogram(&self, out: &mut String, found: &NativeHistogram) {
        let mut buckets = found.positive.iter().peekable();
        let mut below = 0.0;
        for (index, bound) in found.custom_bounds.iter().enumerate() {
            while let Some((_, count)) = buckets.next_if(|(bucket, _)| usize::try_from(*bucket).is_ok_and(|bucket| bucket <= index)) {
                below += count;
            }
            self.write(out, "_bucket", Some(*bound), below);
        }
        self.write(out, "_bucket", Some(f64::INFINITY), found.count);
        self.write(out, "_sum", None, found.sum);
        self.write(out, "_count", None, found.count);
    }
}

/// In quotes where it needs them, or with underscores for what is not legal without.
struct Metric<'a> {
    name: &'a str,
    quoted: bool,
}

impl std::fmt::Display for Metric<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (is_plain_metric_name(self.name), self.quoted) {
            (true, _) => f.write_str(self.name),
            (false, true) => write!(f, "\"{}\"", Escaped(self.name)),
            (false, false) => f.write_str(&underscored(self.name, true)),
        }
    }
}

struct LabelName<'a> {
    name: &'a str,
    quoted: bool,
}

impl std::fmt::Display for LabelName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (is_plain_label_name(self.name), self.quoted) {
            (true, _) => f.write_str(self.name),
            (false, true) => write!(f, "\"{}\"", Escaped(self.name)),
            (false, false) => f.write_str(&underscored(self.name, false)),
        }
    }
}

fn underscored(name: &str, colon: bool) -> String {
    let legal = |(index, c): (usize, char)| match c {
        'a'..='z' | 'A'..='Z' | '_' => c,
        ':' if colon => c,
        '0'..='9' if index > 0 => c,
        _ => '_',
    };
    name.chars().enumerate().map(legal).collect()
}

struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '\n' => f.write_str("\\n"),
            '"' => f.write_str("\\\""),
            c => f.write_char(c),
        })
    }
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    json::push(out, arguments);
}

/// As Go's shortest form: with an exponent below 1e-4 and from 1e21.
fn float(out: &mut String, value: f64) {
    let size = value.abs();
    match size == 0.0 || !size.is_finite() || (1e-4..1e21).contains(&size) {
        true => json::plain_float(out, value),
        false => json::scientific(out, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(pairs: &[(&str, &str)], floats: Vec<(i64, f64)>, histograms: Vec<(i64, NativeHistogram)>) -> RangeSeries {
        RangeSeries { labels: Labels::from_pairs(pairs.iter().copied()), floats, histograms }
    }

    fn check(quoted: bool, expect: &str) {
        let stale = f64::from_bits(STALE_BITS);
        let custom = NativeHistogram {
            schema: CUSTOM_SCHEMA,
            count: 6.0,
            sum: 1.5,
            positive: vec![(0, 1.0), (2, 5.0)],
            custom_bounds: vec![0.5, 10.0],
            ..NativeHistogram::default()
        };
        let all = [
            series(&[("__name__", "up"), ("job", "a\"b\n"), ("instance", "x:1")], vec![(5, 0.0), (1000, 1e-7)], vec![]),
            series(&[("__name__", "up"), ("job", "gone")], vec![(5, 1.0), (900, stale)], vec![]),
            series(&[("__name__", "http.hits"), ("status.code", "200")], vec![(1000, 12.0)], vec![]),
            series(&[("__name__", "lat")], vec![(5, 1.0)], vec![(7, custom)]),
            series(&[("__name__", "exp")], vec![], vec![(7, NativeHistogram::default())]),
            series(&[("nameless", "1")], vec![(5, 1.0)], vec![]),
        ];
        assert_eq!(written(&all.into_iter().filter_map(newest_of).collect(), quoted), expect);
    }

    #[test]
    fn names_are_quoted_for_who_can_read_them() {
        let rest = "# TYPE lat histogram\nlat_bucket{instance=\"\",le=\"0.5\"} 1 7\nlat_bucket{instance=\"\",le=\"10\"} 1 7\n\
            lat_bucket{instance=\"\",le=\"+Inf\"} 6 7\nlat_sum{instance=\"\"} 1.5 7\nlat_count{instance=\"\"} 6 7\n\
            # TYPE up untyped\nup{instance=\"x:1\",job=\"a\\\"b\\n\"} 1e-07 1000\n";
        check(true, &format!("# TYPE \"http.hits\" untyped\n{{\"http.hits\",\"status.code\"=\"200\",instance=\"\"}} 12 1000\n{rest}"));
        check(false, &format!("# TYPE http_hits untyped\nhttp_hits{{status_code=\"200\",instance=\"\"}} 12 1000\n{rest}"));
    }
}
