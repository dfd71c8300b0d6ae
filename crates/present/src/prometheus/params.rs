//! Parameters as Prometheus reads them, with its words for those that are wrong: Grafana and promtool show them.

use std::time::Duration;

use lang::promql::{parse_duration, selects_everything};
use model::{Error, Matcher, Result};

use crate::params::Params;
use crate::selector::of_series;
use crate::times;

/// Seconds that fit into a 64-bit number of nanoseconds, as Go's durations are.
const SECONDS_MAX: f64 = i64::MAX as f64 / 1e9;

/// Milliseconds of a time that must be there.
pub(super) fn time(params: &Params, name: &str) -> Result<i64> {
    let text = params.get(name).unwrap_or_default();
    times::millis(text).ok_or_else(|| Error::invalid(format!("invalid parameter {name:?}: cannot parse {text:?} to a valid timestamp")))
}

/// Milliseconds of a time that may be left out.
pub(super) fn optional_time(params: &Params, name: &str) -> Result<Option<i64>> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let fail = || format!("invalid parameter {name:?}: invalid time value for '{name}': cannot parse {text:?} to a valid timestamp");
    times::millis(text).map(Some).ok_or_else(|| Error::invalid(fail()))
}

/// Seconds as a number, which may be negative, or `1h30m`.
fn seconds(text: &str) -> Result<f64, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
    {
        let fits = seconds.abs() <= SECONDS_MAX;
        return fits.then_some(seconds).ok_or_else(|| format!("cannot parse {text:?} to a valid duration. It overflows int64"));
    }
    parse_duration(text).ok_or_else(|| format!("cannot parse {text:?} to a valid duration"))
}

/// Milliseconds of a step, which is more than none.
pub(super) fn step(params: &Params) -> Result<i64> {
    let invalid = |why: String| Error::invalid(format!("invalid parameter \"step\": {why}"));
    let step = seconds(params.get("step").unwrap_or_default()).map_err(invalid)?;
    match (step * 1000.0) as i64 {
        // Prometheus counts in nanoseconds and then evaluates at milliseconds.
        _ if step <= 0.0 => {
            Err(invalid("zero or negative query resolution step widths are not accepted. Try a positive integer".to_owned()))
        }
        millis => Ok(millis.max(1)),
    }
}

/// The time that the request allows itself; a negative one is over at once.
pub(super) fn timeout(params: &Params) -> Result<Option<Duration>> {
    let Some(text) = params.get("timeout") else { return Ok(None) };
    let seconds = seconds(text).map_err(|why| Error::invalid(format!("invalid parameter \"timeout\": {why}")))?;
    Ok(Some(Duration::from_secs_f64(seconds.max(0.0))))
}

pub(super) fn lookback(params: &Params) -> Result<Option<Duration>> {
    let Some(text) = params.get("lookback_delta") else { return Ok(None) };
    let seconds = seconds(text).map_err(|why| Error::invalid(format!("error parsing lookback delta duration: {why}")))?;
    // As in Prometheus none and less are the default.
    Ok((seconds > 0.0).then(|| Duration::from_secs_f64(seconds)))
}

/// The most elements of an answer; none when 0 or not said.
pub(super) fn limit(params: &Params) -> Result<Option<usize>> {
    let Some(text) = params.get("limit") else { return Ok(None) };
    let invalid = |why: String| Error::invalid(format!("invalid parameter \"limit\": {why}"));
    match number(text).map_err(invalid)? {
        limit if limit < 0 => Err(invalid("limit must be non-negative".to_owned())),
        limit => Ok(usize::try_from(limit).ok().filter(|&limit| limit > 0)),
    }
}

/// A whole number, or why it is none as Go's library says it.
fn number(text: &str) -> Result<i64, String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse::<i64>().map_err(|error| {
        let why = if matches!(error.kind(), PosOverflow | NegOverflow) { "value out of range" } else { "invalid syntax" };
        format!("strconv.Atoi: parsing {text:?}: {why}")
    })
}

/// A whole number for which Prometheus has but one complaint; negative ones too.
pub(super) fn plain_number(params: &Params, name: &str) -> Result<Option<i64>> {
    let Some(text) = params.get(name) else { return Ok(None) };
    number(text).map(Some).map_err(|_| Error::invalid(format!("{name} must be a number")))
}

/// Every `match[]`; each must ask for something. `named` says whether an error names the parameter.
pub(super) async fn selectors(params: &Params, named: bool) -> Result<Vec<Vec<Matcher>>> {
    const NAME: &str = "match[]";
    if params.all(NAME).any(str::is_empty) {
        // The shared reading takes an empty parameter for none, and none would select everything.
        let why = of_series("").err().unwrap_or_default();
        return Err(Error::invalid(if named { format!("invalid parameter {NAME:?}: {why}") } else { why }));
    }
    let prefix = if named { "invalid parameter \"match[]\": " } else { "" };
    let selectors =
        params.selectors(NAME, of_series).await.map_err(|error| match error.what.strip_prefix("invalid parameter \"match[]\": ") {
            Some(why) if !named => Error::new(error.code, why),
            _ => error,
        })?;
    match selectors.iter().any(|matchers| selects_everything(matchers)) {
        true => Err(Error::invalid(format!("{prefix}match[] must contain at least one non-empty matcher"))),
        false => Ok(selectors),
    }
}
