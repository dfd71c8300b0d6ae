use model::{Error, Labels, Result};

use super::super::value::{Series, merge_same_labels};
use super::Call;

/// `label_replace(v, dst, replacement, src, regex)`.
pub(super) fn replace(call: &Call<'_, '_>) -> Result<Vec<Series>> {
    let text = |index: usize| call.evaluator.text(&call.args[index]);
    let (target, replacement, source, pattern) = (text(1)?, text(2)?, text(3)?, text(4)?);
    let invalid = |_| Error::invalid(format!("invalid regular expression in label_replace(): {pattern}"));
    let regex = lang::anchored(pattern).map_err(invalid)?;
    check_target("label_replace", target)?;
    relabel(call, target, |labels| {
        let captures = regex.captures(labels.get(source).unwrap_or_default())?;
        let mut value = String::new();
        captures.expand(replacement, &mut value);
        Some(value)
    })
}

/// `label_join(v, dst, separator, src...)`.
pub(super) fn join(call: &Call<'_, '_>) -> Result<Vec<Series>> {
    let texts = call.args[1..].iter().map(|arg| call.evaluator.text(arg)).collect::<Result<Vec<_>>>()?;
    let [target, separator, sources @ ..] = texts.as_slice() else {
        return Err(Error::internal("cannot join labels: the parser checks the arguments"));
    };
    check_target("label_join", target)?;
    relabel(call, target, |labels| {
        let values: Vec<&str> = sources.iter().map(|source| labels.get(source).unwrap_or_default()).collect();
        Some(values.join(separator))
    })
}

/// Only names that need no quotes, as the compliance suite has it.
fn check_target(function: &str, target: &str) -> Result<()> {
    match !lang::promql::is_plain_label_name(target) {
        true => Err(Error::invalid(format!("invalid destination label name in {function}(): {target}"))),
        false => Ok(()),
    }
}

fn relabel(call: &Call<'_, '_>, target: &str, value: impl Fn(&Labels) -> Option<String>) -> Result<Vec<Series>> {
    let mut vector = call.vector(0)?;
    for series in &mut vector {
        call.evaluator.guard.work(1 + series.labels.len())?;
        let Some(value) = value(&series.labels) else { continue };
        let mut labels = series.labels.to_builder();
        labels.set(target, &value);
        series.labels = labels.build();
        series.column.charge_labels(&series.labels);
        // A name given on purpose stays, even where the input's was to be dropped.
        series.drop_name &= target != "__name__";
    }
    merge_same_labels(vector)
}
