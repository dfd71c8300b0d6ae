use axum::extract::{Request, State};
use axum::response::Response;
use model::samples::{EXEMPLARS, SamplesView};
use model::{Error, Labels, MatchOp, Matcher, Result, TimeRange};

use super::Failure;
use super::format::{Notes, success, timestamp};
use super::params::timeout;
use super::series::range;
use crate::params::Params;
use crate::rows::quote;
use crate::state::Shared;
use crate::{json, selector};

/// Rows of `samples` that one question may look at.
const CHUNKS_MAX: usize = 10_000;

/// Exemplars of one answer.
const EXEMPLARS_MAX: usize = 50_000;

pub(super) async fn exemplars(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let range = range(&params)?;
    if range.end_ns <= range.start_ns {
        return Err(Error::invalid("end timestamp must not be before start timestamp").into());
    }
    let (query, features) = (params.get("query").unwrap_or_default().to_owned(), state.facts.features);
    let brief = lang::is_brief(&query);
    let read = move || selector::of_expression(&query, features).map_err(Error::invalid);
    let selectors = selector::off_loop(brief, read).await?;
    if selectors.is_empty() {
        return Ok(success("[]".to_owned(), &Notes::default()));
    }
    let rows = state.rows(sql(&selectors, range), timeout(&params)?).await?;
    let view = SamplesView::of(rows.batch())?;
    let mut series: Vec<(Labels, String)> = Vec::new();
    let mut count = 0;
    for row in 0..rows.len() {
        let labels = view.label_set(row);
        let mut written = String::new();
        view.for_each_exemplar(row, |exemplar| {
            let at_ns = exemplar.timestamp_ms.saturating_mul(1_000_000);
            if !range.contains(at_ns) || count >= EXEMPLARS_MAX {
                return;
            }
            count += 1;
            let ids = [("trace_id", exemplar.trace_id), ("span_id", exemplar.span_id)];
            let labels = Labels::from_pairs(exemplar.labels.iter().copied().chain(ids));
            written.push_str(if written.is_empty() { "{\"labels\":" } else { ",{\"labels\":" });
            json::labels(&mut written, &labels);
            written.push_str(",\"value\":\"");
            json::float(&mut written, exemplar.value);
            written.push_str("\",\"timestamp\":");
            timestamp(&mut written, exemplar.timestamp_ms);
            written.push('}');
        })?;
        match series.last_mut() {
            _ if written.is_empty() => {}
            Some((last, all)) if *last == labels => {
                all.push(',');
                all.push_str(&written);
            }
            _ => series.push((labels, written)),
        }
    }
    let mut data = String::new();
    json::list(&mut data, &series, |out, (labels, written)| {
        out.push_str("{\"seriesLabels\":");
        json::labels(out, labels);
        json::push(out, format_args!(",\"exemplars\":[{written}]}}"));
    });
    let mut notes = Notes::default();
    if rows.len() == CHUNKS_MAX || count == EXEMPLARS_MAX {
        notes.warnings.push("results truncated due to limit".to_owned());
    }
    Ok(success(data, &notes))
}

/// The engine matches, so that the limit counts only what is asked for.
fn sql(selectors: &[Vec<Matcher>], range: TimeRange) -> String {
    let columns = SamplesView::COLUMNS.into_iter().chain([EXEMPLARS]).map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let any: Vec<String> = selectors
        .iter()
        .map(|matchers| matchers.iter().map(condition).collect::<Vec<_>>().join(" AND "))
        .map(|all| format!("({all})"))
        .collect();
    format!(
        "SELECT {columns} FROM samples WHERE exemplars IS NOT NULL AND max_time_unix_nano >= {} AND min_time_unix_nano < {} AND ({}) \
         ORDER BY name, series_id, min_time_unix_nano LIMIT {CHUNKS_MAX}",
        range.start_ns.max(0),
        range.end_ns,
        any.join(" OR ")
    )
}

fn condition(matcher: &Matcher) -> String {
    let label = match matcher.name.as_str() {
        "__name__" => "name".to_owned(),
        name => format!("labels[{}]", quote(name)),
    };
    // A missing label is the empty text.
    let text = || format!("coalesce({label}, '')");
    let pattern = || quote(&format!("^(?s:{})$", matcher.value));
    match matcher.op {
        // Plain, so that chunks are pruned by it.
        MatchOp::Equal if !matcher.value.is_empty() => format!("{label} = {}", quote(&matcher.value)),
        MatchOp::Equal => format!("{} = ''", text()),
        MatchOp::NotEqual => format!("{} <> {}", text(), quote(&matcher.value)),
        MatchOp::Regex => format!("{} ~ {}", text(), pattern()),
        MatchOp::NotRegex => format!("{} !~ {}", text(), pattern()),
    }
}
