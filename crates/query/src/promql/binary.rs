mod matching;
mod sets;

use lang::promql::ast::{Binary, BinaryOp, Expr, Type};
use model::Result;

use super::eval::Evaluator;
use super::grid::Grid;
use super::histogram;
use super::value::{Cell, Series, Value};

pub(super) fn eval(evaluator: &Evaluator<'_>, expr: &Expr, node: &Binary, grid: &Grid) -> Result<Value> {
    match (node.lhs.value_type(), node.rhs.value_type()) {
        (Type::Scalar, Type::Scalar) => {
            let (mut lhs, rhs) = (evaluator.scalar(&node.lhs, grid)?, evaluator.scalar(&node.rhs, grid)?);
            lhs.iter_mut().zip(rhs).for_each(|(lhs, rhs)| *lhs = float(node.op, *lhs, rhs).0);
            Ok(Value::Scalar(lhs))
        }
        (Type::Vector, Type::Scalar) => {
            let (vector, scalar) = (evaluator.vector(&node.lhs, grid)?, evaluator.scalar(&node.rhs, grid)?);
            with_scalar(evaluator, expr, node, vector, &scalar, false).map(Value::Vector)
        }
        (Type::Scalar, Type::Vector) => {
            let (scalar, vector) = (evaluator.scalar(&node.lhs, grid)?, evaluator.vector(&node.rhs, grid)?);
            with_scalar(evaluator, expr, node, vector, &scalar, true).map(Value::Vector)
        }
        _ => {
            let (lhs, rhs) = (evaluator.vector(&node.lhs, grid)?, evaluator.vector(&node.rhs, grid)?);
            match node.op.is_set() {
                true => sets::eval(evaluator, node, lhs, rhs, grid.len()).map(Value::Vector),
                false => matching::eval(evaluator, expr, node, lhs, rhs, grid.len()).map(Value::Vector),
            }
        }
    }
}

/// The value of an operator, and whether a comparison holds.
fn float(op: BinaryOp, lhs: f64, rhs: f64) -> (f64, bool) {
    let compared = |holds: bool| (f64::from(u8::from(holds)), holds);
    match op {
        BinaryOp::Add => (lhs + rhs, true),
        BinaryOp::Sub => (lhs - rhs, true),
        BinaryOp::Mul => (lhs * rhs, true),
        BinaryOp::Div => (lhs / rhs, true),
        BinaryOp::Mod => (lhs % rhs, true),
        BinaryOp::Pow => (lhs.powf(rhs), true),
        BinaryOp::Atan2 => (lhs.atan2(rhs), true),
        BinaryOp::Equal => compared(lhs == rhs),
        BinaryOp::NotEqual => compared(lhs != rhs),
        BinaryOp::Less => compared(lhs < rhs),
        BinaryOp::LessEqual => compared(lhs <= rhs),
        BinaryOp::Greater => compared(lhs > rhs),
        BinaryOp::GreaterEqual => compared(lhs >= rhs),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::TrimUpper | BinaryOp::TrimLower => (f64::NAN, false),
    }
}

/// The operator on two cells: none when a comparison does not hold or the types do not go together. A comparison without
/// `bool` keeps the left side's value.
fn cells(evaluator: &Evaluator<'_>, expr: &Expr, node: &Binary, lhs: &Cell, rhs: &Cell) -> Option<Cell> {
    let op = node.op;
    let answer = match (lhs, rhs) {
        (Cell::Float(_), Cell::Float(_)) if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) => None,
        (Cell::Float(left), Cell::Float(right)) => {
            let (value, holds) = float(op, *left, *right);
            return match (op.is_comparison(), node.is_bool) {
                (true, false) => holds.then(|| lhs.clone()),
                _ => Some(Cell::Float(value)),
            };
        }
        (Cell::Float(left), Cell::Histogram(right)) if op == BinaryOp::Mul => Some(Cell::of_histogram(histogram::scaled(right, *left))),
        (Cell::Histogram(left), Cell::Float(right)) => match op {
            BinaryOp::Mul => Some(Cell::of_histogram(histogram::scaled(left, *right))),
            BinaryOp::Div => Some(Cell::of_histogram(histogram::divided(left, *right))),
            BinaryOp::TrimUpper => Some(Cell::of_histogram(histogram::trimmed(left, *right, true))),
            BinaryOp::TrimLower => Some(Cell::of_histogram(histogram::trimmed(left, *right, false))),
            _ => None,
        },
        (Cell::Histogram(left), Cell::Histogram(right)) => match op {
            BinaryOp::Add | BinaryOp::Sub => return histograms(evaluator, expr, op, left, right),
            BinaryOp::Equal | BinaryOp::NotEqual => {
                let holds = histogram::equal(left, right) == (op == BinaryOp::Equal);
                return match node.is_bool {
                    true => Some(Cell::Float(f64::from(u8::from(holds)))),
                    false => holds.then(|| lhs.clone()),
                };
            }
            _ => None,
        },
        (Cell::Float(_), Cell::Histogram(_)) => None,
    };
    if answer.is_none() {
        let (left, right) = (lhs.type_name(), rhs.type_name());
        let message = format!("incompatible sample types encountered for binary operator {:?}: {left} {} {right}", op.text(), op.text());
        evaluator.notes.info(expr, message);
    }
    answer
}

fn histograms(
    evaluator: &Evaluator<'_>,
    expr: &Expr,
    op: BinaryOp,
    lhs: &model::NativeHistogram,
    rhs: &model::NativeHistogram,
) -> Option<Cell> {
    let (operation, sign) = if op == BinaryOp::Add { ("addition", 1.0) } else { ("subtraction", -1.0) };
    let Some(joined) = histogram::combine(lhs, rhs, sign) else {
        evaluator.notes.warn(expr, "vector contains a mix of histograms with exponential and custom buckets schemas");
        return None;
    };
    if joined.bounds_reconciled {
        evaluator.notes.info(expr, format!("mismatched custom buckets were reconciled during {operation}"));
    }
    if joined.reset_conflict {
        evaluator.notes.warn(expr, format!("conflicting counter resets during histogram {operation}"));
    }
    Some(Cell::of_histogram(joined.histogram))
}

fn with_scalar(
    evaluator: &Evaluator<'_>,
    expr: &Expr,
    node: &Binary,
    mut vector: Vec<Series>,
    scalar: &[f64],
    scalar_first: bool,
) -> Result<Vec<Series>> {
    for series in &mut vector {
        evaluator.guard.check()?;
        evaluator.guard.work(scalar.len())?;
        series.drop_name |= !node.op.is_comparison() && !is_trim(node.op) || node.is_bool;
        for (step, &scalar) in scalar.iter().enumerate() {
            let Some(cell) = series.column.get(step) else { continue };
            let scalar = Cell::Float(scalar);
            let answer = match scalar_first {
                true => cells(evaluator, expr, node, &scalar, &cell),
                false => cells(evaluator, expr, node, &cell, &scalar),
            };
            match answer {
                // A filter keeps the vector's value, whichever side it stands on.
                Some(_) if node.op.is_comparison() && !node.is_bool => {}
                Some(answer) => series.column.set(step, answer),
                None => series.column.clear(step),
            }
        }
    }
    vector.retain(|series| !series.column.is_absent_everywhere());
    Ok(vector)
}

fn is_trim(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower)
}
