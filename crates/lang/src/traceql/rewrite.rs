//! What is known of a query before any span is: constants are worked out, `nil` stands at the right, and several comparisons of one
//! attribute become one.

use super::ast::*;
use super::fields::VALUES_MAX;
use super::value::Value;

pub(super) fn rewritten(query: Query) -> Query {
    let skipped = |name: &str| match query.hint("skip_ast_transformations") {
        Some(Value::Text(names)) => names.split(',').any(|skipped| skipped.trim() == name),
        _ => false,
    };
    let rewrite = Rewrite { joins: !skipped("or_to_in") };
    let Query { root, hints } = query;
    let root = match root {
        Root::Spans(pipeline) => Root::Spans(rewrite.pipeline(pipeline)),
        Root::Metrics(metrics) => Root::Metrics(rewrite.metrics(metrics)),
    };
    Query { root, hints }
}

#[derive(Clone, Copy)]
struct Rewrite {
    /// Several comparisons of one attribute may become one.
    joins: bool,
}

impl Rewrite {
    fn pipeline(self, pipeline: Pipeline) -> Pipeline {
        Pipeline { stages: pipeline.stages.into_iter().map(|stage| self.stage(stage)).collect() }
    }

    fn stage(self, stage: Stage) -> Stage {
        match stage {
            Stage::Spans(spans) => Stage::Spans(self.spans(spans)),
            Stage::Scalar(ScalarFilter { op, left, right }) => {
                Stage::Scalar(ScalarFilter { op, left: self.scalar(left), right: self.scalar(right) })
            }
            Stage::By(field) => Stage::By(self.field(field)),
            Stage::Aggregate(aggregate) => Stage::Aggregate(self.aggregate(aggregate)),
            stage @ (Stage::Coalesce | Stage::Select(_)) => stage,
        }
    }

    fn spans(self, spans: SpansetExpr) -> SpansetExpr {
        match spans {
            SpansetExpr::Filter(field) => SpansetExpr::Filter(self.field(field)),
            SpansetExpr::Operation { op, left, right } => {
                SpansetExpr::Operation { op, left: Box::new(self.spans(*left)), right: Box::new(self.spans(*right)) }
            }
            SpansetExpr::Pipeline(pipeline) => SpansetExpr::Pipeline(self.pipeline(pipeline)),
        }
    }

    fn aggregate(self, Aggregate { op, of }: Aggregate) -> Aggregate {
        Aggregate { op, of: of.map(|of| self.field(of)) }
    }

    fn scalar(self, scalar: ScalarExpr) -> ScalarExpr {
        match scalar {
            ScalarExpr::Aggregate(aggregate) => ScalarExpr::Aggregate(self.aggregate(aggregate)),
            ScalarExpr::Pipeline(pipeline) => ScalarExpr::Pipeline(self.pipeline(pipeline)),
            ScalarExpr::Operation { op, left, right } => match (self.scalar(*left), self.scalar(*right)) {
                (ScalarExpr::Static(left), ScalarExpr::Static(right)) if finite(&left.computes(op, &right)) => {
                    ScalarExpr::Static(left.computes(op, &right))
                }
                (left, right) => ScalarExpr::Operation { op, left: Box::new(left), right: Box::new(right) },
            },
            scalar @ ScalarExpr::Static(_) => scalar,
        }
    }

    fn metrics(self, metrics: MetricsExpr) -> MetricsExpr {
        match metrics {
            MetricsExpr::Query { spans, mut function } => {
                if let Some(compare) = &mut function.compare {
                    compare.selection = self.field(compare.selection.clone());
                }
                MetricsExpr::Query { spans: self.pipeline(spans), function }
            }
            MetricsExpr::Math { op, left, right } => {
                MetricsExpr::Math { op, left: Box::new(self.metrics(*left)), right: Box::new(self.metrics(*right)) }
            }
            MetricsExpr::Top { largest, count, of } => MetricsExpr::Top { largest, count, of: Box::new(self.metrics(*of)) },
            MetricsExpr::Filter { op, value, of } => MetricsExpr::Filter { op, value, of: Box::new(self.metrics(*of)) },
            number @ MetricsExpr::Number(_) => number,
        }
    }

    fn field(self, field: FieldExpr) -> FieldExpr {
        match field {
            FieldExpr::Not(inner) => match self.field(*inner) {
                FieldExpr::Static(Value::Bool(value)) => FieldExpr::Static(Value::Bool(!value)),
                inner => FieldExpr::Not(Box::new(inner)),
            },
            FieldExpr::Negate(inner) => match self.field(*inner) {
                FieldExpr::Static(value) if value.as_number().is_some() => FieldExpr::Static(value.negated()),
                inner => FieldExpr::Negate(Box::new(inner)),
            },
            FieldExpr::Binary { op, left, right } => self.binary(op, self.field(*left), self.field(*right)),
            FieldExpr::AnyOf { regex, negated, of, values } => FieldExpr::AnyOf { regex, negated, of: Box::new(self.field(*of)), values },
            field @ (FieldExpr::Static(_) | FieldExpr::Attribute(_)) => field,
        }
    }

    fn binary(self, op: FieldOp, left: FieldExpr, right: FieldExpr) -> FieldExpr {
        if let (FieldExpr::Static(left), FieldExpr::Static(right)) = (&left, &right)
            && let Some(value) = folded(op, left, right)
        {
            return FieldExpr::Static(value);
        }
        let (left, right) = match (left, right) {
            (FieldExpr::Static(Value::Nil), right) if matches!(op, FieldOp::Equal | FieldOp::NotEqual) => {
                (right, FieldExpr::Static(Value::Nil))
            }
            sides => sides,
        };
        if self.joins
            && let Some(any) = any_of(op, &left, &right)
        {
            return any;
        }
        FieldExpr::Binary { op, left: Box::new(left), right: Box::new(right) }
    }
}

fn finite(value: &Value<'_>) -> bool {
    value.as_number().is_some_and(f64::is_finite)
}

/// None when it must be refused, or cannot be written as a constant.
fn folded(op: FieldOp, left: &Value<'static>, right: &Value<'static>) -> Option<Value<'static>> {
    let numbers = left.as_number().is_some() && right.as_number().is_some();
    let texts = matches!((left, right), (Value::Text(_), Value::Text(_)));
    let bools = matches!((left, right), (Value::Bool(_), Value::Bool(_)));
    let equality = matches!(op, FieldOp::Equal | FieldOp::NotEqual);
    if op.is_arithmetic() {
        return Some(left.computes(op, right)).filter(|value| numbers && finite(value));
    }
    if op.is_comparison() {
        return (numbers || texts || bools && equality).then(|| Value::Bool(left.compares(op, right)));
    }
    match op {
        FieldOp::And if bools => Some(Value::Bool(left.is_true() && right.is_true())),
        FieldOp::Or if bools => Some(Value::Bool(left.is_true() || right.is_true())),
        _ => None,
    }
}

/// `.a = x || .a = y` and its like.
fn any_of(op: FieldOp, left: &FieldExpr, right: &FieldExpr) -> Option<FieldExpr> {
    let (left, right) = (Comparison::of(left)?, Comparison::of(right)?);
    let same = left.attribute == right.attribute && (left.regex, left.negated) == (right.regex, right.negated);
    let joins = op == if left.negated { FieldOp::And } else { FieldOp::Or };
    let kind = std::mem::discriminant(&left.values[0]);
    let alike = left.values.iter().chain(right.values).all(|value| std::mem::discriminant(value) == kind);
    let told = matches!(left.values[0], Value::Text(_) | Value::Int(_) | Value::Float(_));
    // Else what is printed would not be read again.
    let few = left.values.len() + right.values.len() <= VALUES_MAX;
    (same && joins && alike && told && few).then(|| FieldExpr::AnyOf {
        regex: left.regex,
        negated: left.negated,
        of: Box::new(FieldExpr::Attribute(left.attribute.clone())),
        values: left.values.iter().chain(right.values).cloned().collect(),
    })
}

/// An attribute beside a constant, or beside several.
struct Comparison<'a> {
    regex: bool,
    negated: bool,
    attribute: &'a Attribute,
    values: &'a [Value<'static>],
}

impl<'a> Comparison<'a> {
    fn of(field: &'a FieldExpr) -> Option<Self> {
        match field {
            FieldExpr::Binary { op, left, right } => {
                let (regex, negated) = match op {
                    FieldOp::Equal => (false, false),
                    FieldOp::NotEqual => (false, true),
                    FieldOp::Regex => (true, false),
                    FieldOp::NotRegex => (true, true),
                    _ => return None,
                };
                let (FieldExpr::Attribute(attribute), FieldExpr::Static(value)) = (&**left, &**right) else { return None };
                Some(Self { regex, negated, attribute, values: std::slice::from_ref(value) })
            }
            FieldExpr::AnyOf { regex, negated, of, values } => match &**of {
                FieldExpr::Attribute(attribute) => Some(Self { regex: *regex, negated: *negated, attribute, values }),
                _ => None,
            },
            _ => None,
        }
    }
}
