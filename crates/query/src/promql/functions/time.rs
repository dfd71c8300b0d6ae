use lang::promql::ast::Node;
use model::{Labels, Result};

use super::super::select;
use super::super::value::{Column, Series, Value};
use super::Call;

/// The functions whose value is a scalar; none when this is none of them.
pub(super) fn scalar(call: &Call<'_, '_>) -> Result<Option<Vec<f64>>> {
    let (steps, query) = (call.grid.len(), call.evaluator.frame.query);
    let seconds = |millis: i64| millis as f64 / 1000.0;
    Ok(Some(match call.function.name {
        "time" => call.grid.times().map(seconds).collect(),
        "pi" => vec![std::f64::consts::PI; steps],
        "start" => vec![seconds(query.start); steps],
        "end" => vec![seconds(query.end); steps],
        "range" => vec![seconds(query.end.saturating_sub(query.start)); steps],
        "step" => vec![seconds(call.evaluator.frame.step_ms); steps],
        "max_of" | "min_of" => {
            let (pick, winner): (fn(f64, f64) -> f64, f64) =
                if call.function.name == "max_of" { (f64::max, f64::INFINITY) } else { (f64::min, f64::NEG_INFINITY) };
            // NaN beside anything else, but for the infinity that wins anyway, is NaN.
            let either = |(a, b): (f64, f64)| if (a.is_nan() || b.is_nan()) && a != winner && b != winner { f64::NAN } else { pick(a, b) };
            call.scalar(0)?.into_iter().zip(call.scalar(1)?).map(either).collect()
        }
        "scalar" => {
            let vector = call.vector(0)?;
            (0..steps).map(|step| only_float(&vector, step)).collect()
        }
        _ => return Ok(None),
    }))
}

/// The one float of a vector of one; NaN otherwise.
fn only_float(vector: &[Series], step: usize) -> f64 {
    let mut floats = vector.iter().filter_map(|series| series.column.float(step));
    match (floats.next(), floats.next()) {
        (Some(value), None) => value,
        _ => f64::NAN,
    }
}

/// `timestamp`: of a bare selector the samples' own times, otherwise the step's. `start_timestamp`: of a bare selector since
/// when its samples count; of all else nothing is known.
pub(super) fn timestamp(call: &Call<'_, '_>) -> Result<Vec<Series>> {
    let drop = |mut vector: Vec<Series>| {
        vector.iter_mut().for_each(|series| series.drop_name = true);
        vector
    };
    if call.function.name == "start_timestamp" {
        return match &call.args[0].unparenthesised().node {
            Node::Vector(selector) => select::start_times(call.evaluator, selector, call.grid).map(drop),
            _ => Ok(Vec::new()),
        };
    }
    if let Node::Vector(selector) = &call.args[0].unparenthesised().node {
        return select::sample_times(call.evaluator, selector, call.grid).map(drop);
    }
    let mut vector = call.vector(0)?;
    for series in &mut vector {
        for (step, at) in call.grid.times().enumerate() {
            if series.column.is_present(step) {
                series.column.set_float(step, at as f64 / 1000.0);
            }
        }
    }
    Ok(drop(vector))
}

/// A part of a date in UTC, from whole seconds since the Unix epoch.
pub(super) type Part = fn(f64) -> f64;

pub(super) fn part(name: &str) -> Option<Part> {
    Some(match name {
        "minute" => |seconds| (seconds / 60.0).floor().rem_euclid(60.0),
        "hour" => |seconds| (seconds / 3600.0).floor().rem_euclid(24.0),
        // 1970-01-01 was a Thursday.
        "day_of_week" => |seconds| ((seconds / 86400.0).floor() + 4.0).rem_euclid(7.0),
        "day_of_month" => |seconds| date(seconds).2,
        "month" => |seconds| date(seconds).1,
        "year" => |seconds| date(seconds).0,
        "day_of_year" => |seconds| {
            let (year, ..) = date(seconds);
            (seconds / 86400.0).floor() - days_before_year(year) + 1.0
        },
        "days_in_month" => |seconds| {
            let (year, month, _) = date(seconds);
            match month as u8 {
                2 => days_before_year(year + 1.0) - days_before_year(year) - 337.0,
                4 | 6 | 9 | 11 => 30.0,
                _ => 31.0,
            }
        },
        _ => return None,
    })
}

/// Days from the epoch to the first of January.
fn days_before_year(year: f64) -> f64 {
    let before = year - 1.0;
    365.0 * (year - 1970.0) + (before / 4.0).floor() - (before / 100.0).floor() + (before / 400.0).floor() - 477.0
}

/// Year, month and day of the proleptic Gregorian calendar, after Howard Hinnant's `civil_from_days`.
fn date(seconds: f64) -> (f64, f64, f64) {
    let days = (seconds / 86400.0).floor() + 719_468.0;
    let era = (days / 146_097.0).floor();
    let day_of_era = days - era * 146_097.0;
    let year_of_era =
        ((day_of_era - (day_of_era / 1460.0).floor() + (day_of_era / 36_524.0).floor() - (day_of_era / 146_096.0).floor()) / 365.0).floor();
    let day_of_year = day_of_era - (365.0 * year_of_era + (year_of_era / 4.0).floor() - (year_of_era / 100.0).floor());
    let shifted_month = ((5.0 * day_of_year + 2.0) / 153.0).floor();
    let day = day_of_year - ((153.0 * shifted_month + 2.0) / 5.0).floor() + 1.0;
    let month = if shifted_month < 10.0 { shifted_month + 3.0 } else { shifted_month - 9.0 };
    (year_of_era + era * 400.0 + f64::from(u8::from(month <= 2.0)), month, day)
}

/// The part of every value's date; without an argument that of the step's time.
pub(super) fn parts(call: &Call<'_, '_>, part: Part) -> Result<Vec<Series>> {
    if call.args.is_empty() {
        let floats = call.grid.times().map(|at| part((at / 1000) as f64)).collect();
        return Ok(vec![Series { labels: Labels::empty(), drop_name: false, column: Column::of_floats(call.evaluator.guard, floats) }]);
    }
    let Value::Vector(mut vector) = call.evaluator.eval(&call.args[0], call.grid)? else { return Ok(Vec::new()) };
    for series in &mut vector {
        series.drop_name = true;
        for step in 0..call.grid.len() {
            match series.column.float(step) {
                // Prometheus cuts fractions off: half a second before 1970 is 1970.
                Some(value) => series.column.set_float(step, part(value.trunc())),
                None => series.column.clear(step),
            }
        }
    }
    vector.retain(|series| !series.column.is_absent_everywhere());
    Ok(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_civil() {
        assert_eq!(date(0.0), (1970.0, 1.0, 1.0));
        assert_eq!(date(951_782_400.0), (2000.0, 2.0, 29.0));
        assert_eq!(date(-1.0), (1969.0, 12.0, 31.0));
        let of = |name: &str, seconds: f64| part(name).expect("a part")(seconds);
        assert_eq!(of("days_in_month", 951_782_400.0), 29.0);
        assert_eq!(of("day_of_year", 951_782_400.0), 60.0);
        assert_eq!(of("day_of_week", 951_782_400.0), 2.0);
        assert_eq!(of("days_in_month", -2_206_310_400.0), 28.0);
    }
}
