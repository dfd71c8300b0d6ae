//! One call for the home page: every business service with its requests, errors and durations over a range.
//! A request is a span that somebody outside the process waited for or sent: kind `server` or `consumer`.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use model::{Error, Result, UNASSIGNED};

use crate::error::Failure;
use crate::params::Params;
use crate::rows::{Rows, quote};
use crate::state::{Shared, now_ns, within};
use crate::{json, respond, times};

const SECOND_NS: i64 = 1_000_000_000;

/// Of the range without `start`.
const RANGE_DEFAULT_NS: i64 = 3600 * SECOND_NS;

/// Points of a sparkline.
const POINTS: i64 = 60;

struct Grid {
    start_ns: i64,
    end_ns: i64,
    step_ns: i64,
    points: usize,
}

impl Grid {
    fn of(params: &Params) -> Result<Self> {
        let instant = |name: &str| params.parsed(name, "Unix time in seconds or RFC 3339", times::millis);
        // Nothing is older than 1970, and differences of instants stay in range.
        let nanos = |ms: i64| ms.saturating_mul(1_000_000).max(0);
        let end_ns = instant("end")?.map_or_else(now_ns, nanos);
        let start_ns = instant("start")?.map_or(end_ns.saturating_sub(RANGE_DEFAULT_NS), nanos);
        if start_ns >= end_ns {
            return Err(Error::invalid("invalid parameter \"end\": it is not after start"));
        }
        let span = end_ns.saturating_sub(start_ns);
        let step_ns = (span / POINTS / SECOND_NS).max(1).saturating_mul(SECOND_NS);
        let points = usize::try_from(span.unsigned_abs().div_ceil(step_ns.unsigned_abs())).unwrap_or(usize::MAX);
        Ok(Self { start_ns, end_ns, step_ns, points })
    }

    fn seconds(&self) -> f64 {
        self.end_ns.saturating_sub(self.start_ns) as f64 / SECOND_NS as f64
    }

    /// Of one point's time: the range may end within the last.
    fn point_seconds(&self, point: usize) -> f64 {
        let before = self.step_ns.saturating_mul(i64::try_from(point).unwrap_or(i64::MAX));
        self.end_ns.saturating_sub(self.start_ns).saturating_sub(before).min(self.step_ns) as f64 / SECOND_NS as f64
    }
}

/// What one row of a group says.
#[derive(Clone, Copy, Default)]
struct Measures {
    requests: i64,
    errors: i64,
    p95_ns: Option<f64>,
}

#[derive(Default)]
struct Overview {
    services: Vec<String>,
    whole: Measures,
    buckets: BTreeMap<usize, Measures>,
}

pub(super) async fn overview(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let grid = Grid::of(&Params::read(request).await?)?;
    let body = within(state.limits.timeout, answer(&state, &grid)).await?;
    Ok(respond::json(StatusCode::OK, body))
}

async fn answer(state: &Shared, grid: &Grid) -> Result<String> {
    let (start, end, step) = (grid.start_ns, grid.end_ns, grid.step_ns);
    let spans = format!("FROM spans WHERE start_time_unix_nano >= {start} AND start_time_unix_nano < {end}");
    let requests = format!("{spans} AND kind IN ('server', 'consumer') AND business_service <> {}", quote(UNASSIGNED));
    let measures = "count(*) AS requests, sum(CASE WHEN status_code = 'error' THEN 1 ELSE 0 END) AS errors, \
                    approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_nano) AS p95";
    let whole = format!("SELECT business_service, 0 AS bucket, {measures} {requests} GROUP BY business_service");
    let bucket = format!("(start_time_unix_nano - {start}) / {step}");
    let buckets = format!("SELECT business_service, {bucket} AS bucket, {measures} {requests} GROUP BY business_service, {bucket}");
    let services = format!("SELECT DISTINCT business_service, service {spans} AND business_service <> {} ORDER BY 1, 2", quote(UNASSIGNED));
    let (whole, buckets, services) = futures::try_join!(state.rows(whole, None), state.rows(buckets, None), state.rows(services, None))?;

    let mut all: BTreeMap<String, Overview> = BTreeMap::new();
    for business in &state.catalog.get().business_services {
        let services = business.services.iter().map(|service| service.name.clone()).collect();
        all.insert(business.name.clone(), Overview { services, ..Overview::default() });
    }
    each(&whole, |name, _, measures| all.entry(name.to_owned()).or_default().whole = measures)?;
    each(&buckets, |name, bucket, measures| {
        all.entry(name.to_owned()).or_default().buckets.insert(bucket, measures);
    })?;
    for (business, service) in services.texts("business_service")?.iter().zip(&services.texts("service")?) {
        let known = &mut all.entry(business.unwrap_or_default().to_owned()).or_default().services;
        match service {
            Some(service) if !known.iter().any(|other| other == service) => known.push(service.to_owned()),
            _ => {}
        }
    }

    let unassigned = async |table: &str, what: &str, first: &str, last: &str| {
        let sql = format!(
            "SELECT {what} AS n FROM {table} WHERE business_service = {} AND {last} >= {start} AND {first} < {end}",
            quote(UNASSIGNED)
        );
        let rows = state.rows(sql, None).await?;
        Ok::<_, Error>(rows.longs("n")?.iter().next().flatten().unwrap_or_default())
    };
    let (logs, spans, series) = futures::try_join!(
        unassigned("logs", "count(*)", "time_unix_nano", "time_unix_nano"),
        unassigned("spans", "count(*)", "start_time_unix_nano", "start_time_unix_nano"),
        unassigned("samples", "count(DISTINCT series_id)", "min_time_unix_nano", "max_time_unix_nano"),
    )?;

    let mut body = "{\"business_services\":".to_owned();
    json::list(&mut body, &all, |out, (name, overview)| write(out, name, overview, grid));
    json::push(&mut body, format_args!(",\"unassigned\":{{\"logs\":{logs},\"spans\":{spans},\"series\":{series}}}}}"));
    Ok(body)
}

fn each(rows: &Rows, mut visit: impl FnMut(&str, usize, Measures)) -> Result<()> {
    let (names, buckets) = (rows.texts("business_service")?, rows.longs("bucket")?);
    let (requests, errors, p95) = (rows.longs("requests")?, rows.longs("errors")?, rows.doubles("p95")?);
    let rest = requests.iter().zip(&errors).zip(&p95);
    for ((name, bucket), ((requests, errors), p95_ns)) in names.iter().zip(&buckets).zip(rest) {
        let measures = Measures { requests: requests.unwrap_or_default(), errors: errors.unwrap_or_default(), p95_ns };
        visit(name.unwrap_or_default(), usize::try_from(bucket.unwrap_or_default()).unwrap_or_default(), measures);
    }
    Ok(())
}

impl Measures {
    fn error_ratio(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }

    fn p95_ms(&self) -> Option<f64> {
        self.p95_ns.filter(|_| self.requests > 0).map(|nanos| nanos / 1e6)
    }
}

/// Without requests there is no ratio and no percentile: null, and a gap in the line.
fn optional(out: &mut String, value: Option<f64>) {
    match value {
        Some(value) => json::number(out, value),
        None => out.push_str("null"),
    }
}

fn write(out: &mut String, name: &str, overview: &Overview, grid: &Grid) {
    out.push_str("{\"name\":");
    json::text(out, name);
    out.push_str(",\"services\":");
    json::texts(out, &overview.services);
    out.push_str(",\"rate\":");
    json::number(out, overview.whole.requests as f64 / grid.seconds());
    out.push_str(",\"error_ratio\":");
    optional(out, overview.whole.error_ratio());
    out.push_str(",\"p95_ms\":");
    optional(out, overview.whole.p95_ms());
    let step_s = grid.step_ns / SECOND_NS;
    let points: Vec<Measures> = (0..grid.points).map(|point| overview.buckets.get(&point).copied().unwrap_or_default()).collect();
    json::push(out, format_args!(",\"spark\":{{\"step_s\":{step_s},\"rate\":"));
    json::list(out, points.iter().enumerate(), |out, (at, point)| json::number(out, point.requests as f64 / grid.point_seconds(at)));
    out.push_str(",\"error_ratio\":");
    json::list(out, &points, |out, point| optional(out, point.error_ratio()));
    out.push_str(",\"p95_ms\":");
    json::list(out, &points, |out, point| optional(out, point.p95_ms()));
    out.push_str("}}");
}

#[cfg(test)]
mod tests {
    use super::Grid;

    #[test]
    fn the_last_point_may_be_shorter_than_the_others() {
        let grid = Grid { start_ns: 0, end_ns: 2_500_000_000, step_ns: 1_000_000_000, points: 3 };
        assert_eq!([0, 1, 2].map(|point| grid.point_seconds(point)), [1.0, 1.0, 0.5]);
    }
}
