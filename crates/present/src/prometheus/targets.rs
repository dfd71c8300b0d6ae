//! Who is scraped: `targets`, `targets/metadata`, `scrape_pools`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use model::{ActiveTarget, AnchoredRegex, DroppedTarget, Error, Health, Labels, MatchOp, Matcher, Result, TargetFamily};

use super::Failure;
use super::format::{Notes, success, success_list};
use crate::params::Params;
use crate::state::Shared;
use crate::{json, selector};

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/targets", get(targets)).route("/targets/metadata", get(metadata)).route("/scrape_pools", get(pools))
}

async fn pools(State(state): State<Shared>) -> Response {
    let mut data = "{\"scrapePools\":".to_owned();
    json::texts(&mut data, state.targets.pools());
    data.push('}');
    success(data, &Notes::default())
}

async fn targets(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let wanted = params.get("state").unwrap_or("any").to_ascii_lowercase();
    let shows = |kind: &str| wanted == "any" || wanted == kind;
    let in_pool = |pool: &str| params.get("scrapePool").is_none_or(|wanted| wanted == pool);
    let mut data = "{\"activeTargets\":".to_owned();
    let active = if shows("active") { state.targets.active() } else { Vec::new() };
    json::list(&mut data, active.iter().filter(|target| in_pool(&target.scrape_pool)), write_active);
    data.push_str(",\"droppedTargets\":");
    let dropped = if shows("dropped") { state.targets.dropped() } else { Vec::new() };
    json::list(&mut data, dropped.iter().filter(|target| in_pool(&target.scrape_pool)), write_dropped);
    data.push_str(",\"droppedTargetCounts\":");
    match shows("dropped") {
        true => {
            let mut separator = '{';
            for (pool, count) in state.targets.dropped_counts() {
                data.push(separator);
                json::text(&mut data, &pool);
                json::push(&mut data, format_args!(":{count}"));
                separator = ',';
            }
            data.push_str(if separator == '{' { "{}" } else { "}" });
        }
        false => data.push_str("null"),
    }
    data.push('}');
    Ok(success(data, &Notes::default()))
}

fn write_active(out: &mut String, target: &ActiveTarget) {
    let field = |out: &mut String, name: &str, value: &str| {
        json::push(out, format_args!(",\"{name}\":"));
        json::text(out, value);
    };
    out.push_str("{\"discoveredLabels\":");
    json::labels(out, &target.discovered_labels);
    out.push_str(",\"labels\":");
    json::labels(out, &target.labels);
    field(out, "scrapePool", &target.scrape_pool);
    field(out, "scrapeUrl", &target.scrape_url);
    field(out, "globalUrl", &target.scrape_url);
    field(out, "lastError", &target.last_error);
    // Go's zero time, where there was no scrape.
    let time = target.last_scrape_unix_ms.and_then(chrono::DateTime::from_timestamp_millis);
    let time = time.map_or("0001-01-01T00:00:00Z".to_owned(), |time| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
    field(out, "lastScrape", &time);
    json::push(out, format_args!(",\"lastScrapeDuration\":{}", target.last_scrape_duration.as_secs_f64()));
    let health = match target.health {
        Health::Unknown => "unknown",
        Health::Up => "up",
        Health::Down => "down",
    };
    field(out, "health", health);
    field(out, "scrapeInterval", &target.scrape_interval);
    field(out, "scrapeTimeout", &target.scrape_timeout);
    out.push('}');
}

fn write_dropped(out: &mut String, target: &DroppedTarget) {
    out.push_str("{\"discoveredLabels\":");
    json::labels(out, &target.discovered_labels);
    out.push_str(",\"scrapePool\":");
    json::text(out, &target.scrape_pool);
    out.push('}');
}

async fn metadata(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let limit = params.parsed("limit", "number", |text| text.parse::<i64>().ok())?;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let matchers = params.selectors("match_target", selector::of_series).await?.into_iter().next().unwrap_or_default();
    let tests = matchers.into_iter().map(Test::of).collect::<Result<Vec<_>>>()?;
    let metric = params.get("metric").map(str::to_owned);
    let mut rows: Vec<(Labels, Arc<TargetFamily>)> = Vec::new();
    for (labels, families) in state.targets.metadata() {
        // As Prometheus has it, the limit counts when a target begins: what the last one says comes whole.
        if rows.len() >= limit {
            break;
        }
        if tests.iter().all(|test| test.passes(&labels)) {
            let wanted = families.into_iter().filter(|family| metric.as_ref().is_none_or(|metric| *metric == family.name));
            rows.extend(wanted.map(|family| (labels.clone(), family)));
        }
    }
    let with_name = metric.is_none();
    let write = move |out: &mut String, (labels, family): (Labels, Arc<TargetFamily>)| {
        out.push_str("{\"target\":");
        json::labels(out, &labels);
        let kind = if family.kind.is_empty() { "unknown" } else { &family.kind };
        let name = [("metric", family.name.as_str())];
        let name = name.into_iter().filter(|_| with_name);
        for (key, value) in name.chain([("type", kind), ("help", &family.help), ("unit", &family.unit)]) {
            json::push(out, format_args!(",\"{key}\":"));
            json::text(out, value);
        }
        out.push('}');
    };
    Ok(success_list(rows, write, &Notes::default()))
}

/// A matcher of `match_target`, compiled.
struct Test {
    matcher: Matcher,
    regex: Option<AnchoredRegex>,
}

impl Test {
    fn of(matcher: Matcher) -> Result<Self> {
        let is_regex = matches!(matcher.op, MatchOp::Regex | MatchOp::NotRegex);
        let regex = is_regex.then(|| lang::whole(&matcher.value)).transpose();
        let regex = regex.map_err(|error| Error::invalid("invalid parameter \"match_target\"").because(error))?;
        Ok(Self { matcher, regex })
    }

    fn passes(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.matcher.name).unwrap_or_default();
        let found = self.regex.as_ref().map_or_else(|| value == self.matcher.value, |regex| regex.is_match(value));
        found == matches!(self.matcher.op, MatchOp::Equal | MatchOp::Regex)
    }
}
