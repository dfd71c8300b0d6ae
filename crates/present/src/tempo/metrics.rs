use axum::extract::{Request, State};
use axum::response::Response;
use model::{Answer, Answered, Ask, Error, QueryStats, Result, SpanValue, TraceExemplar, TraceSeries};

use super::search::{attribute, metrics};
use super::{Failure, SECOND_NS};
use crate::error::mismatch;
use crate::params::Params;
use crate::state::{PresentState, Shared, now_ns};
use crate::{json, respond, times};

/// How far back a question goes that names no start.
const SINCE_NS: i64 = 3600 * SECOND_NS;
/// Points of a series of which nobody says the step.
const POINTS_DEFAULT: i64 = 120;
const EXEMPLARS_DEFAULT: usize = 100;

/// A question for series, by whatever protocol it came.
pub(crate) struct TraceMetrics {
    /// TraceQL.
    pub(crate) query: String,
    pub(crate) start_ns: i64,
    pub(crate) end_ns: i64,
    /// None: one point of the whole time.
    pub(crate) step_ns: Option<i64>,
    pub(crate) exemplars: usize,
}

/// The step that a question has which names none: whole seconds.
pub(crate) fn default_step_ns(start_ns: i64, end_ns: i64) -> i64 {
    let seconds = end_ns.saturating_sub(start_ns) / POINTS_DEFAULT / SECOND_NS;
    seconds.max(1) * SECOND_NS
}

impl PresentState {
    pub(crate) async fn trace_metrics(&self, asked: TraceMetrics) -> Result<(Vec<TraceSeries>, QueryStats)> {
        let TraceMetrics { query, start_ns, end_ns, step_ns, exemplars } = asked;
        let ask = Ask::TraceMetrics { query, start_ns, end_ns, step_ns, exemplars };
        match self.ask(ask, None).await? {
            Answer { data: Answered::TraceMetrics(series), stats, .. } => Ok((series, stats)),
            _ => Err(mismatch("series of traces")),
        }
    }
}

fn asked(params: &Params, instant: bool) -> Result<TraceMetrics> {
    let query = params.get("q").or_else(|| params.get("query")).map_or_else(|| params.required("q"), Ok)?.to_owned();
    let time = |name: &str| params.parsed(name, "Unix time", times::loki_nanos);
    let duration = |name: &str| Ok::<_, Error>(params.parsed(name, "duration", times::duration)?.map(times::as_nanos));
    let end_ns = time("end")?.unwrap_or_else(now_ns);
    let since_ns = duration("since")?.unwrap_or(SINCE_NS);
    let start_ns = time("start")?.unwrap_or_else(|| end_ns.saturating_sub(since_ns));
    if end_ns <= start_ns {
        return Err(Error::invalid("invalid parameter \"end\": it is not after start"));
    }
    let step_ns = match instant {
        true => None,
        false => Some(duration("step")?.filter(|step| *step > 0).unwrap_or_else(|| default_step_ns(start_ns, end_ns))),
    };
    let exemplars = params.count("exemplars")?.unwrap_or(EXEMPLARS_DEFAULT);
    Ok(TraceMetrics { query, start_ns, end_ns, step_ns, exemplars: if instant { 0 } else { exemplars } })
}

pub(super) async fn query_range(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let (series, stats) = state.trace_metrics(asked(&Params::read(request).await?, false)?).await?;
    Ok(written(series, &stats, |out, series| {
        out.push_str(",\"samples\":");
        json::list(out, &series.points, |out, (at_ms, value)| {
            json::push(out, format_args!("{{\"timestampMs\":\"{at_ms}\",\"value\":"));
            json::number(out, *value);
            out.push('}');
        });
        if !series.exemplars.is_empty() {
            out.push_str(",\"exemplars\":");
            json::list(out, &series.exemplars, exemplar);
        }
    }))
}

pub(super) async fn query_instant(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let (mut series, stats) = state.trace_metrics(asked(&Params::read(request).await?, true)?).await?;
    series.retain(|series| !series.points.is_empty());
    Ok(written(series, &stats, |out, series| {
        out.push_str(",\"value\":");
        json::number(out, series.points.first().map_or(0.0, |(_, value)| *value));
    }))
}

fn written(series: Vec<TraceSeries>, stats: &QueryStats, points: impl Fn(&mut String, &TraceSeries) + Send + 'static) -> Response {
    let tail = format!("],\"metrics\":{}}}", metrics(stats, 0, true));
    let write = move |out: &mut String, series: TraceSeries| {
        out.push_str("{\"labels\":");
        json::list(out, &series.labels, attribute);
        out.push_str(",\"promLabels\":");
        json::text(out, &prometheus_labels(&series.labels));
        points(out, &series);
        out.push('}');
    };
    respond::joined("{\"series\":[".to_owned(), series, write, tail)
}

fn exemplar(out: &mut String, found: &TraceExemplar) {
    let labels = [("trace:id", &found.trace_id), ("span:id", &found.span_id)];
    out.push_str("{\"labels\":");
    let labels = labels.map(|(name, id)| (name.to_owned(), SpanValue::Text(id.clone())));
    json::list(out, &labels, attribute);
    json::push(out, format_args!(",\"timestampMs\":\"{}\",\"value\":", found.at_ms));
    json::number(out, found.value);
    out.push('}');
}

/// Labels as Prometheus writes them; names that are none of its own stand in quotes.
pub(crate) fn prometheus_labels(labels: &[(String, SpanValue)]) -> String {
    let mut labels: Vec<_> = labels.iter().collect();
    labels.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut out = String::from("{");
    for (index, (name, value)) in labels.into_iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        match model::legal_name(name) == *name {
            true => out.push_str(name),
            false => json::text(&mut out, name),
        }
        out.push('=');
        json::text(&mut out, &text(value));
    }
    out.push('}');
    out
}

fn text(value: &SpanValue) -> String {
    match value {
        SpanValue::Nil => "nil".to_owned(),
        SpanValue::Bool(value) => value.to_string(),
        SpanValue::Int(value) => value.to_string(),
        SpanValue::Double(value) => value.to_string(),
        SpanValue::Text(text) => text.clone(),
        SpanValue::List(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
    }
}
