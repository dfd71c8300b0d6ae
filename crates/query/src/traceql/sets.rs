//! Pipelines, run over the spans of one trace.

use lang::traceql::{AggregateOp, FieldOp, Join, Pipeline, ScalarExpr, SpansetExpr, SpansetOp, Stage, Value};
use model::{Error, Result};

use super::fields::{Field, Fields, Slots, borrowed};
use super::tree::{Place, related};

/// What a query needs of a span.
#[derive(Clone, Debug, Default)]
pub struct Span {
    pub id: String,
    pub start_ns: i64,
    pub duration_ns: i64,
    pub place: Place,
    /// By slot.
    pub values: Vec<Value<'static>>,
    /// Every attribute, where a query asks for all.
    pub all: Vec<(String, Value<'static>)>,
}

impl Fields for Span {
    fn value(&self, slot: usize) -> Value<'_> {
        self.values.get(slot).map_or(Value::Nil, borrowed)
    }
}

/// Spans that go together, by their place in the list of all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set {
    pub spans: Vec<usize>,
    /// What the last aggregate came to.
    pub scalar: Option<Value<'static>>,
    /// What it was grouped by and aggregated to.
    pub attributes: Vec<(String, Value<'static>)>,
}

/// A compiled pipeline.
#[derive(Clone)]
pub struct Sets(Vec<Step>);

#[derive(Clone)]
enum Step {
    Spans(Spans),
    Scalar { name: String, op: AggregateOp, of: Option<Field>, comparison: FieldOp, with: Value<'static> },
    By { name: String, field: Field },
    Coalesce,
}

#[derive(Clone)]
enum Spans {
    Filter(Field),
    Operation { op: SpansetOp, left: Box<Spans>, right: Box<Spans> },
    Pipeline(Vec<Step>),
}

impl Sets {
    /// `slots` gets what the pipeline looks at and selects.
    pub fn new(pipeline: &Pipeline, slots: &mut Slots) -> Result<Self> {
        Ok(Self(steps(pipeline, slots)?))
    }

    pub fn run(&self, spans: &[Span], sets: Vec<Set>) -> Vec<Set> {
        run(&self.0, spans, sets)
    }
}

fn steps(pipeline: &Pipeline, slots: &mut Slots) -> Result<Vec<Step>> {
    let mut steps = Vec::with_capacity(pipeline.stages.len());
    for stage in &pipeline.stages {
        steps.push(match stage {
            Stage::Spans(spans) => Step::Spans(Spans::new(spans, slots)?),
            Stage::By(field) => Step::By { name: stage.to_string(), field: Field::new(field, slots)? },
            Stage::Coalesce => Step::Coalesce,
            Stage::Select(attributes) => {
                for attribute in attributes {
                    slots.slot(attribute);
                }
                continue;
            }
            Stage::Scalar(filter) => match (&filter.left, &filter.right) {
                (ScalarExpr::Aggregate(aggregate), ScalarExpr::Static(with)) => {
                    let of = aggregate.of.as_ref().map(|of| Field::new(of, slots)).transpose()?;
                    Step::Scalar { name: aggregate.to_string(), op: aggregate.op, of, comparison: filter.op, with: with.clone() }
                }
                _ => return Err(Error::unsupported(format!("cannot compare other than one aggregate with one number: {filter}"))),
            },
            Stage::Aggregate(aggregate) => return Err(Error::unsupported(format!("cannot answer with {aggregate} alone"))),
        });
    }
    Ok(steps)
}

impl Spans {
    fn new(expr: &SpansetExpr, slots: &mut Slots) -> Result<Self> {
        Ok(match expr {
            SpansetExpr::Filter(field) => Self::Filter(Field::new(field, slots)?),
            SpansetExpr::Operation { op, left, right } => {
                Self::Operation { op: *op, left: Box::new(Self::new(left, slots)?), right: Box::new(Self::new(right, slots)?) }
            }
            SpansetExpr::Pipeline(pipeline) => Self::Pipeline(steps(pipeline, slots)?),
        })
    }

    /// The spans of one set that pass, in sets.
    fn run(&self, spans: &[Span], set: &Set) -> Vec<Set> {
        let of_set = |kept: Vec<usize>| match kept.is_empty() {
            true => Vec::new(),
            false => vec![Set { spans: kept, ..set.clone() }],
        };
        match self {
            Self::Filter(field) => of_set(set.spans.iter().copied().filter(|&at| field.passes(&spans[at])).collect()),
            Self::Pipeline(steps) => run(steps, spans, vec![set.clone()]),
            Self::Operation { op, left, right } => {
                let of = |side: &Self| side.run(spans, set).into_iter().flat_map(|set| set.spans).collect::<Vec<_>>();
                of_set(joined(*op, spans, of(left), of(right)))
            }
        }
    }
}

fn joined(op: SpansetOp, spans: &[Span], left: Vec<usize>, right: Vec<usize>) -> Vec<usize> {
    let placed = |of: &[usize]| of.iter().map(|&at| (at, spans[at].place)).collect::<Vec<_>>();
    let kept = |of: &[usize], keep: &[bool], wanted: bool| {
        of.iter().zip(keep).filter(|(_, keep)| **keep == wanted).map(|(at, _)| *at).collect::<Vec<_>>()
    };
    match op {
        SpansetOp::And if left.is_empty() || right.is_empty() => Vec::new(),
        SpansetOp::And | SpansetOp::Or => union(left, right),
        SpansetOp::Related(relation, join) => {
            let (a, b) = (placed(&left), placed(&right));
            let found = related(relation, &a, &b);
            match join {
                Join::Right => kept(&right, &found, true),
                // What is connected with nothing is not told to be without relations.
                Join::Not => kept(&right, &found, false).into_iter().filter(|&at| spans[at].place.left > 0).collect(),
                Join::Both => {
                    let back = related(relation.inverse(), &b, &a);
                    union(kept(&left, &back, true), kept(&right, &found, true))
                }
            }
        }
    }
}

/// Each once; those of the smaller side first.
fn union(left: Vec<usize>, right: Vec<usize>) -> Vec<usize> {
    let (mut all, more) = if left.len() < right.len() { (left, right) } else { (right, left) };
    let seen: std::collections::HashSet<usize> = all.iter().copied().collect();
    all.extend(more.into_iter().filter(|at| !seen.contains(at)));
    all
}

fn run(steps: &[Step], spans: &[Span], mut sets: Vec<Set>) -> Vec<Set> {
    for step in steps {
        sets = match step {
            Step::Spans(filter) => sets.iter().flat_map(|set| filter.run(spans, set)).collect(),
            Step::By { name, field } => sets.into_iter().flat_map(|set| grouped(name, field, spans, set)).collect(),
            Step::Coalesce => {
                let mut all = Set::default();
                let mut seen = std::collections::HashSet::new();
                all.spans.extend(sets.into_iter().flat_map(|set| set.spans).filter(|at| seen.insert(*at)));
                if all.spans.is_empty() { Vec::new() } else { vec![all] }
            }
            Step::Scalar { name, op, of, comparison, with } => {
                let aggregated = sets.into_iter().filter_map(|mut set| {
                    let scalar = aggregate(*op, of.as_ref(), spans, &set.spans)?;
                    let passes = scalar.compares(*comparison, with);
                    set.attributes.push((name.clone(), scalar.clone()));
                    set.scalar = Some(scalar);
                    passes.then_some(set)
                });
                aggregated.collect()
            }
        };
    }
    sets
}

/// One set for each value, in the order in which the values come; those without one together.
fn grouped(name: &str, field: &Field, spans: &[Span], set: Set) -> Vec<Set> {
    let mut groups: Vec<Set> = Vec::new();
    let mut by_text: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for at in set.spans {
        let value = field.value(&spans[at]);
        let group = *by_text.entry(format!("{value:?}")).or_insert_with(|| {
            let mut attributes = set.attributes.clone();
            attributes.push((name.to_owned(), value.into_owned()));
            groups.push(Set { spans: Vec::new(), scalar: None, attributes });
            groups.len() - 1
        });
        groups[group].spans.push(at);
    }
    groups
}

/// None where no span has a number.
fn aggregate(op: AggregateOp, of: Option<&Field>, spans: &[Span], set: &[usize]) -> Option<Value<'static>> {
    let Some(of) = of else { return Some(Value::Int(set.len() as i64)) };
    let mut values = set.iter().map(|&at| of.value(&spans[at])).filter(|value| value.as_number().is_some());
    let first = values.next()?.into_owned();
    match op {
        AggregateOp::Count => Some(Value::Int(set.len() as i64)),
        AggregateOp::Min | AggregateOp::Max => {
            let better = if op == AggregateOp::Min { FieldOp::Less } else { FieldOp::Greater };
            Some(values.fold(first, |best, value| if value.compares(better, &best) { value.into_owned() } else { best }))
        }
        AggregateOp::Sum => Some(values.fold(first, |sum, value| sum.computes(FieldOp::Add, &value))),
        AggregateOp::Avg => {
            let is_duration = matches!(first, Value::Duration(_));
            let (sum, count) =
                values.fold((first.as_number()?, 1.0), |(sum, count), value| (sum + value.as_number().unwrap_or_default(), count + 1.0));
            let average = sum / count;
            Some(if is_duration { Value::Duration(average.round() as i64) } else { Value::Float(average) })
        }
    }
}
