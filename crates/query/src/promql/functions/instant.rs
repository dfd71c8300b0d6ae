use model::{Error, NativeHistogram, Result};

use super::super::histogram;
use super::super::value::{Cell, Series};
use super::{Call, time};

/// Functions of one value at a time, perhaps with scalar parameters.
pub(super) fn eval(call: &Call<'_, '_>) -> Result<Vec<Series>> {
    let name = call.function.name;
    if let Some(part) = time::part(name) {
        return time::parts(call, part);
    }
    let mut params = Vec::new();
    for index in 1..call.args.len() {
        params.push(call.scalar(index)?);
    }
    let mut vector = call.vector(0)?;
    let of_histogram = of_histogram(name);
    for series in &mut vector {
        call.evaluator.guard.check()?;
        call.evaluator.guard.work(call.grid.len())?;
        series.drop_name = true;
        for step in 0..call.grid.len() {
            let Some(cell) = series.column.get(step) else { continue };
            let param = |index: usize| params.get(index).map(|values: &Vec<f64>| values[step]);
            let answer = match (&cell, of_histogram) {
                (Cell::Histogram(histogram), Some(function)) => Some(function(histogram)),
                (Cell::Float(value), None) => of_float(name, *value, param(0), param(1))?,
                // Functions of floats leave histograms out, functions of histograms floats.
                _ => None,
            };
            match answer {
                Some(value) => series.column.set_float(step, value),
                None => series.column.clear(step),
            }
        }
    }
    vector.retain(|series| !series.column.is_absent_everywhere());
    Ok(vector)
}

fn of_histogram(name: &str) -> Option<fn(&NativeHistogram) -> f64> {
    Some(match name {
        "histogram_count" => |histogram| histogram.count,
        "histogram_sum" => |histogram| histogram.sum,
        "histogram_avg" => |histogram| histogram.sum / histogram.count,
        "histogram_stddev" => |histogram| histogram::variance(histogram).sqrt(),
        "histogram_stdvar" => histogram::variance,
        _ => return None,
    })
}

/// None when the value goes: `clamp` with its bounds crossed.
fn of_float(name: &str, value: f64, first: Option<f64>, second: Option<f64>) -> Result<Option<f64>> {
    let first_or = |default: f64| first.unwrap_or(default);
    Ok(Some(match name {
        "abs" => value.abs(),
        "acos" => value.acos(),
        "acosh" => value.acosh(),
        "asin" => value.asin(),
        "asinh" => value.asinh(),
        "atan" => value.atan(),
        "atanh" => value.atanh(),
        "ceil" => value.ceil(),
        "cos" => value.cos(),
        "cosh" => value.cosh(),
        "deg" => value.to_degrees(),
        "exp" => value.exp(),
        "floor" => value.floor(),
        "ln" => value.ln(),
        "log10" => value.log10(),
        "log2" => value.log2(),
        "rad" => value.to_radians(),
        "sgn" if value == 0.0 || value.is_nan() => value,
        "sgn" => value.signum(),
        "sin" => value.sin(),
        "sinh" => value.sinh(),
        "sqrt" => value.sqrt(),
        "tan" => value.tan(),
        "tanh" => value.tanh(),
        "clamp" => {
            let (low, high) = (first_or(f64::NAN), second.unwrap_or(f64::NAN));
            if high < low {
                return Ok(None);
            }
            clamped(value, low, high)
        }
        "clamp_min" => clamped(value, first_or(f64::NAN), f64::INFINITY),
        "clamp_max" => clamped(value, f64::NEG_INFINITY, first_or(f64::NAN)),
        // The inverse is multiplied and not the distance divided: 0.1 has no exact form, 10 has.
        "round" => {
            let inverse = 1.0 / first_or(1.0);
            (value * inverse + 0.5).floor() / inverse
        }
        _ => return Err(Error::unsupported(format!("cannot evaluate function {name:?}: it is not built"))),
    }))
}

/// NaN when anything is NaN, unlike `f64::clamp`'s bounds.
fn clamped(value: f64, low: f64, high: f64) -> f64 {
    match value.is_nan() || low.is_nan() || high.is_nan() {
        true => f64::NAN,
        false => value.min(high).max(low),
    }
}
