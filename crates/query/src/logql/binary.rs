//! Operators between numbers and series.

use hashbrown::{HashMap, HashSet};
use lang::logql::{Binary, BinaryOp, Group, Matching};
use model::{Error, Labels, Result};

use super::filters::holds;
use super::matrix::{Matrix, Series, Value};

pub(super) fn binary(binary: &Binary, left: Value, right: Value) -> Result<Value> {
    Ok(match (left, right) {
        (Value::Number(left), Value::Number(right)) => Value::Number(number(binary.op, left, right)),
        (Value::Matrix(left), Value::Number(right)) => Value::Matrix(with_number(binary, left, |value| (value, right))),
        (Value::Number(left), Value::Matrix(right)) => Value::Matrix(with_number(binary, right, |value| (left, value))),
        (Value::Matrix(left), Value::Matrix(right)) => Value::Matrix(match binary.op.is_set() {
            true => set(binary, left, right),
            false => Join::of(binary, &left, &right).run()?,
        }),
    })
}

/// The operator's number: of a comparison 1 or 0. Dividing by zero gives no number.
fn number(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Subtract => left - right,
        BinaryOp::Multiply => left * right,
        BinaryOp::Divide if right == 0.0 => f64::NAN,
        BinaryOp::Divide => left / right,
        BinaryOp::Modulo if right == 0.0 => f64::NAN,
        BinaryOp::Modulo => left % right,
        BinaryOp::Power => left.powf(right),
        BinaryOp::Compare(op) => f64::from(u8::from(holds(op, &left, &right))),
        BinaryOp::Or | BinaryOp::And | BinaryOp::Unless => f64::NAN,
    }
}

/// What becomes of a pair: a comparison without `bool` keeps `kept` or nothing.
fn pair(binary: &Binary, left: f64, right: f64, kept: f64) -> Option<f64> {
    match binary.op {
        BinaryOp::Compare(op) if !binary.return_bool => holds(op, &left, &right).then_some(kept),
        op => Some(number(op, left, right)),
    }
}

fn with_number(binary: &Binary, mut series: Matrix, sides: impl Fn(f64) -> (f64, f64)) -> Matrix {
    for value in series.iter_mut().flat_map(|series| &mut series.values) {
        *value = value.and_then(|found| {
            let (left, right) = sides(found);
            pair(binary, left, right, found)
        });
    }
    series
}

/// The labels by which series of the two sides find each other.
fn signature(matching: Option<&Matching>, labels: &Labels) -> Labels {
    match matching {
        None => labels.clone(),
        Some(matching) => labels.filtered(|name| matching.labels.iter().any(|label| label == name) == matching.on),
    }
}

/// A number for each distinct signature, and those of the series of both sides.
fn match_up(matching: Option<&Matching>, left: &Matrix, right: &Matrix) -> (usize, Vec<usize>, Vec<usize>) {
    let mut numbers: HashMap<Labels, usize> = HashMap::new();
    let mut side = |series: &Matrix| -> Vec<usize> {
        let number = |series: &Series| {
            let next = numbers.len();
            *numbers.entry(signature(matching, &series.labels)).or_insert(next)
        };
        series.iter().map(number).collect()
    };
    let (left, right) = (side(left), side(right));
    (numbers.len(), left, right)
}

fn set(binary: &Binary, mut left: Matrix, mut right: Matrix) -> Matrix {
    let (count, of_left, of_right) = match_up(binary.matching.as_ref(), &left, &right);
    let steps = left.first().or(right.first()).map_or(0, |series| series.values.len());
    for step in 0..steps {
        let present = |side: &Matrix, signatures: &[usize]| {
            let mut present = vec![false; count];
            for (series, &signature) in side.iter().zip(signatures) {
                present[signature] |= series.values[step].is_some();
            }
            present
        };
        let (in_left, in_right) = (present(&left, &of_left), present(&right, &of_right));
        let (side, signatures, other, wanted) = match binary.op {
            BinaryOp::Or => (&mut right, &of_right, in_left, false),
            BinaryOp::And => (&mut left, &of_left, in_right, true),
            _ => (&mut left, &of_left, in_right, false),
        };
        for (series, &signature) in side.iter_mut().zip(signatures) {
            if other[signature] != wanted {
                series.values[step] = None;
            }
        }
    }
    if binary.op == BinaryOp::Or {
        // A series of both sides has its values from one or the other at each step.
        let mut by_labels: HashMap<Labels, usize> = left.iter().enumerate().map(|(index, series)| (series.labels.clone(), index)).collect();
        for series in right {
            match by_labels.get(&series.labels) {
                Some(&index) => left[index].values.iter_mut().zip(series.values).for_each(|(value, other)| *value = value.or(other)),
                None => {
                    by_labels.insert(series.labels.clone(), left.len());
                    left.push(series);
                }
            }
        }
    }
    left
}

/// Arithmetic and comparisons between matching series. One side has one series per match; the other may have many when the
/// query says so.
struct Join<'q> {
    binary: &'q Binary,
    many: &'q Matrix,
    one: &'q Matrix,
    of_many: Vec<usize>,
    of_one: Vec<usize>,
    signatures: usize,
    group: Option<&'q Group>,
    /// Whether the left side is the one with many.
    many_is_left: bool,
}

impl<'q> Join<'q> {
    fn of(binary: &'q Binary, left: &'q Matrix, right: &'q Matrix) -> Self {
        let (signatures, of_left, of_right) = match_up(binary.matching.as_ref(), left, right);
        let group = binary.matching.as_ref().and_then(|matching| matching.group.as_ref());
        let many_is_left = group.is_none_or(|group| group.left);
        let (many, one, of_many, of_one) = match many_is_left {
            true => (left, right, of_left, of_right),
            false => (right, left, of_right, of_left),
        };
        Self { binary, many, one, of_many, of_one, signatures, group, many_is_left }
    }

    fn run(&self) -> Result<Matrix> {
        let steps = self.many.first().or(self.one.first()).map_or(0, |series| series.values.len());
        let mut result: Matrix = Vec::new();
        let mut by_labels: HashMap<Labels, usize> = HashMap::new();
        // The result's index for each pair of series that met: labels are made once per pair, not once per step.
        let mut by_pair: HashMap<(usize, usize), usize> = HashMap::new();
        for step in 0..steps {
            let ones = self.ones(step)?;
            let mut matched = HashSet::new();
            for (many_index, (series, &signature)) in self.many.iter().zip(&self.of_many).enumerate() {
                let (Some(many), Some((one_index, one))) = (series.values[step], ones[signature]) else { continue };
                if self.group.is_none() && !matched.insert(signature) {
                    let labels = &series.labels;
                    return Err(failure(format!(
                        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right): {labels}"
                    )));
                }
                let (left, right) = if self.many_is_left { (many, one) } else { (one, many) };
                let Some(value) = pair(self.binary, left, right, left) else { continue };
                let index = *by_pair.entry((many_index, one_index)).or_insert_with(|| {
                    let labels = self.labels(&series.labels, &self.one[one_index].labels);
                    *by_labels.entry(labels).or_insert_with_key(|labels| {
                        result.push(Series { labels: labels.clone(), values: vec![None; steps] });
                        result.len() - 1
                    })
                });
                if result[index].values[step].replace(value).is_some() {
                    return Err(failure("multiple matches for labels: grouping labels must ensure unique matches".to_owned()));
                }
            }
        }
        Ok(result)
    }

    /// The only series of each signature on the side of one, with its value.
    fn ones(&self, step: usize) -> Result<Vec<Option<(usize, f64)>>> {
        let mut ones = vec![None; self.signatures];
        for (index, (series, &signature)) in self.one.iter().zip(&self.of_one).enumerate() {
            let Some(value) = series.values[step] else { continue };
            if let Some((other, _)) = ones[signature].replace((index, value)) {
                let side = if self.many_is_left { "right" } else { "left" };
                let other: &Series = &self.one[other];
                return Err(failure(format!(
                    "found duplicate series on the {side} hand-side: {} and {}; many-to-many matching not allowed: \
                     matching labels must be unique on one side",
                    other.labels, series.labels
                )));
            }
        }
        Ok(ones)
    }

    fn labels(&self, many: &Labels, one: &Labels) -> Labels {
        let Some(group) = self.group else { return signature(self.binary.matching.as_ref(), many) };
        if group.include.is_empty() {
            return many.clone();
        }
        let mut labels = many.to_builder();
        for name in &group.include {
            labels.set(name, one.get(name).unwrap_or(""));
        }
        labels.build()
    }
}

fn failure(why: String) -> Error {
    Error::invalid(format!("cannot match the sides of a binary operation: {why}"))
}
