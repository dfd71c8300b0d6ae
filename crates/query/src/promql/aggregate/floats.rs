//! Folds columns of floats, one column after the other instead of one step after the other: each is read once from end to end.

use lang::promql::ast::AggregateOp;
use model::Result;

use super::super::functions::math::{self, Kahan};
use super::super::value::{Column, Mark};
use crate::guard::Guard;

/// The fold of these columns, of which none has a histogram; none for an operator that must see the values of a step together.
pub(super) fn fold<'c>(
    guard: &Guard,
    op: AggregateOp,
    columns: impl Iterator<Item = &'c Column> + Clone,
    steps: usize,
) -> Result<Option<Column>> {
    let mut counts = vec![0_u32; steps];
    let mut folded = match op {
        AggregateOp::Count | AggregateOp::Group => Vec::new(),
        AggregateOp::Sum | AggregateOp::Avg => return sums(guard, op, columns, counts).map(Some),
        AggregateOp::Min | AggregateOp::Max => vec![f64::NAN; steps],
        _ => return Ok(None),
    };
    for column in columns {
        guard.work(steps)?;
        for (count, mark) in counts.iter_mut().zip(&column.marks) {
            *count += u32::from(*mark == Mark::Float);
        }
        let present = folded.iter_mut().zip(&column.floats).zip(&column.marks).filter(|(_, mark)| **mark == Mark::Float);
        match op {
            AggregateOp::Min => present.for_each(|((least, value), _)| *least = least.min(*value)),
            AggregateOp::Max => present.for_each(|((greatest, value), _)| *greatest = greatest.max(*value)),
            _ => {}
        }
    }
    Ok(Some(column_of(guard, &counts, |step| match op {
        AggregateOp::Count => counts[step].into(),
        AggregateOp::Group => 1.0,
        _ => folded[step],
    })))
}

fn sums<'c>(guard: &Guard, op: AggregateOp, columns: impl Iterator<Item = &'c Column> + Clone, mut counts: Vec<u32>) -> Result<Column> {
    let mut sums = vec![Kahan::default(); counts.len()];
    for column in columns.clone() {
        guard.work(counts.len())?;
        for (((sum, count), value), mark) in sums.iter_mut().zip(&mut counts).zip(&column.floats).zip(&column.marks) {
            if *mark == Mark::Float {
                sum.add(*value);
                *count += 1;
            }
        }
    }
    Ok(column_of(guard, &counts, |step| {
        let sum = sums[step].sum();
        match op {
            AggregateOp::Sum => sum,
            _ if sum.is_finite() => sum / f64::from(counts[step]),
            // The sum alone may have overflown.
            _ => math::mean(&columns.clone().filter_map(|column| column.float(step)).collect::<Vec<_>>()),
        }
    }))
}

fn column_of(guard: &Guard, counts: &[u32], value: impl Fn(usize) -> f64) -> Column {
    let mut column = Column::absent(guard, counts.len());
    for step in (0..counts.len()).filter(|&step| counts[step] > 0) {
        column.set_float(step, value(step));
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::QueryLimits;

    #[test]
    fn columns_fold_as_steps_do() {
        let guard = Guard::new(&QueryLimits::default());
        let column = |values: &[Option<f64>]| {
            let mut column = Column::absent(&guard, values.len());
            values.iter().enumerate().for_each(|(step, value)| value.iter().for_each(|value| column.set_float(step, *value)));
            column
        };
        let columns = [
            column(&[Some(1.0), None, Some(1e308), Some(f64::NAN), None]),
            column(&[Some(-3.0), Some(2.0), Some(1.5e308), Some(4.0), None]),
        ];
        let of = |op| {
            let folded = fold(&guard, op, columns.iter(), 5).expect("within limits").expect("an operator of floats");
            (0..5).map(|step| folded.float(step).map(|value| value.to_string())).collect::<Vec<_>>()
        };
        let texts = |texts: [&str; 4]| texts.map(|text| Some(text.to_owned())).into_iter().chain([None]).collect::<Vec<_>>();
        assert_eq!(of(AggregateOp::Sum), texts(["-2", "2", "inf", "NaN"]));
        assert_eq!(of(AggregateOp::Avg), texts(["-1", "2", &1.25e308.to_string(), "NaN"]));
        assert_eq!(of(AggregateOp::Min), texts(["-3", "2", &1e308.to_string(), "4"]));
        assert_eq!(of(AggregateOp::Max), texts(["1", "2", &1.5e308.to_string(), "4"]));
        assert_eq!(of(AggregateOp::Count), texts(["2", "1", "2", "2"]));
        assert_eq!(of(AggregateOp::Group), texts(["1", "1", "1", "1"]));
        assert!(fold(&guard, AggregateOp::Stddev, columns.iter(), 5).expect("within limits").is_none());
    }
}
