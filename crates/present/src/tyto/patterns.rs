use axum::extract::{Request, State};
use axum::response::Response;
use model::{Answered, Ask, Error, LogPattern, LogPatterns, Result, TimeRange};

use crate::error::{Failure, mismatch};
use crate::params::Params;
use crate::state::{Shared, now_ns};
use crate::{json, respond, times};

/// Patterns of one answer, without and with a wish.
const LIMIT_DEFAULT: usize = 200;
const LIMIT_MAX: usize = 5000;
const HOUR_NS: i64 = 3600 * 1_000_000_000;
/// Steps of an answer that names none, and at most.
const STEPS_DEFAULT: i64 = 60;
const STEPS_MAX: i64 = 1000;

/// What log lines have in common, and what of it is new, grew, fell or vanished since a time before.
pub(super) async fn patterns(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let end_ns = params.parsed("end", "timestamp", times::loki_nanos)?.unwrap_or_else(now_ns);
    let start_ns = params.parsed("start", "timestamp", times::loki_nanos)?.unwrap_or_else(|| end_ns.saturating_sub(HOUR_NS));
    if end_ns <= start_ns {
        return Err(Error::invalid("invalid parameter \"end\": it must be after the start").into());
    }
    let limit = params.count("limit")?.unwrap_or(LIMIT_DEFAULT);
    if limit == 0 || limit > LIMIT_MAX {
        return Err(Error::invalid(format!("invalid parameter \"limit\": {limit} is not between 1 and {LIMIT_MAX}")).into());
    }
    let time = TimeRange::new(start_ns, end_ns);
    let span_ns = end_ns.saturating_sub(start_ns);
    let step_ns = match params.parsed("step", "duration", times::duration)?.map(times::as_nanos) {
        None => (span_ns / STEPS_DEFAULT).max(1_000_000_000),
        Some(step_ns) if step_ns >= 1_000_000_000 && span_ns / step_ns <= STEPS_MAX => step_ns,
        Some(_) => {
            return Err(Error::invalid(format!(
                "invalid parameter \"step\": it must be a second or more, and make at most {STEPS_MAX} steps"
            ))
            .into());
        }
    };
    let query = params.get("query").unwrap_or_default().to_owned();
    let before = compared(&params, time)?;
    let ask = Ask::LogPatterns { query, start_ns, end_ns, step_ns, before, limit };
    let Answered::LogPatterns(found) = state.ask(ask, None).await?.data else { return Err(mismatch("patterns").into()) };
    let LogPatterns { patterns, patterns_found, others, others_before, lines, lines_before, sampled } = *found;
    let tail = format!(
        "],\"patterns_found\":{patterns_found},\"others\":{others},\"others_before\":{others_before},\"sampled\":{sampled},\"lines\":{lines},\"lines_before\":{lines_before}}}"
    );
    Ok(respond::joined("{\"patterns\":[".to_owned(), patterns, write, tail))
}

/// `compare=previous`: as long a time just before; `none`; or a start and an end of its own.
fn compared(params: &Params, time: TimeRange) -> Result<Option<TimeRange>> {
    match params.get("compare").unwrap_or("previous") {
        "previous" => Ok(Some(TimeRange::new(time.start_ns.saturating_sub(time.end_ns.saturating_sub(time.start_ns)), time.start_ns))),
        "none" => Ok(None),
        given => {
            let both = given.split_once(',').and_then(|(start, end)| Some((times::loki_nanos(start)?, times::loki_nanos(end)?)));
            let range = both.filter(|(start, end)| start < end).map(|(start, end)| TimeRange::new(start, end));
            let what = "invalid parameter \"compare\": it is previous, none, or a start and an end with a comma between";
            range.map(Some).ok_or_else(|| Error::invalid(what))
        }
    }
}

fn write(out: &mut String, pattern: LogPattern) {
    json::push(out, format_args!("{{\"id\":\"{:016x}\",\"pattern\":", pattern.id));
    json::text(out, &pattern.pattern);
    out.push_str(",\"example\":");
    json::text(out, &pattern.example);
    out.push_str(",\"services\":");
    json::texts(out, &pattern.services);
    let levels: Vec<String> = pattern.levels.iter().map(|(level, count)| format!("\"{level}\":{count}")).collect();
    let change = pattern.change.map_or("null".to_owned(), |change| format!("\"{}\"", change.name()));
    json::push(
        out,
        format_args!(
            ",\"levels\":{{{}}},\"count\":{},\"count_before\":{},\"change\":{change},\"first_seen_unix_nano\":\"{}\",\"last_seen_unix_nano\":\"{}\",\"samples\":",
            levels.join(","),
            pattern.count,
            pattern.count_before,
            pattern.first_ns,
            pattern.last_ns
        ),
    );
    json::list(out, pattern.by_step(), |out, (seconds, count)| json::push(out, format_args!("[{seconds},{count}]")));
    out.push('}');
}
