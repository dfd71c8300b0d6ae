//! What a query is made of. Everything prints as canonical TraceQL.

use super::value::Value;

/// A whole query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub root: Root,
    /// Of `with (name=value, ...)`.
    pub hints: Vec<(String, Value<'static>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Root {
    /// Answers sets of spans.
    Spans(Pipeline),
    /// Answers series.
    Metrics(MetricsExpr),
}

/// Stages, each of which takes the sets that the one before it gives. The first takes the spans of one trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    pub stages: Vec<Stage>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    Spans(SpansetExpr),
    Scalar(ScalarFilter),
    By(FieldExpr),
    Coalesce,
    Select(Vec<Attribute>),
    /// Only at the end of a pipeline whose number is compared with another's.
    Aggregate(Aggregate),
}

#[derive(Clone, Debug, PartialEq)]
pub enum SpansetExpr {
    Filter(FieldExpr),
    Operation {
        op: SpansetOp,
        left: Box<SpansetExpr>,
        right: Box<SpansetExpr>,
    },
    /// In parentheses.
    Pipeline(Pipeline),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpansetOp {
    /// Both sides have spans: those of both.
    And,
    /// One side has spans: those of both.
    Or,
    Related(Relation, Join),
}

/// What a span of the right side is to one of the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Child,
    Descendant,
    Parent,
    Ancestor,
    Sibling,
}

impl Relation {
    /// What the left is to the right.
    pub fn inverse(self) -> Self {
        match self {
            Self::Child => Self::Parent,
            Self::Descendant => Self::Ancestor,
            Self::Parent => Self::Child,
            Self::Ancestor => Self::Descendant,
            Self::Sibling => Self::Sibling,
        }
    }
}

/// Which spans a relation gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Spans of the right side that have it.
    Right,
    /// `!`: spans of the right side that do not.
    Not,
    /// `&`: spans of both sides that have it.
    Both,
}

/// Compares what a set of spans comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalarFilter {
    pub op: FieldOp,
    pub left: ScalarExpr,
    pub right: ScalarExpr,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ScalarExpr {
    Static(Value<'static>),
    Aggregate(Aggregate),
    Operation {
        op: FieldOp,
        left: Box<ScalarExpr>,
        right: Box<ScalarExpr>,
    },
    /// In parentheses, an aggregate at its end.
    Pipeline(Pipeline),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    pub op: AggregateOp,
    /// None for `count`.
    pub of: Option<FieldExpr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateOp {
    Count,
    Avg,
    Min,
    Max,
    Sum,
}

/// What is asked of one span.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldExpr {
    Static(Value<'static>),
    Attribute(Attribute),
    Not(Box<FieldExpr>),
    Negate(Box<FieldExpr>),
    Binary {
        op: FieldOp,
        left: Box<FieldExpr>,
        right: Box<FieldExpr>,
    },
    /// Several comparisons of one attribute as one.
    AnyOf {
        /// Equality or regular expressions.
        regex: bool,
        /// None may pass, instead of one.
        negated: bool,
        of: Box<FieldExpr>,
        values: Vec<Value<'static>>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldOp {
    Or,
    And,
    Equal,
    NotEqual,
    Regex,
    NotRegex,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
}

impl FieldOp {
    pub fn is_arithmetic(self) -> bool {
        matches!(self, Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Modulo | Self::Power)
    }

    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual | Self::Greater | Self::GreaterEqual | Self::Less | Self::LessEqual)
    }
}

/// Where a span's value stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribute {
    Intrinsic(Intrinsic),
    Key {
        scope: Scope,
        /// Of the span's parent.
        parent: bool,
        name: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The span's, else its resource's.
    Any,
    Span,
    Resource,
    Event,
    Link,
    Instrumentation,
}

impl Scope {
    pub const NAMED: [Self; 5] = [Self::Resource, Self::Span, Self::Event, Self::Link, Self::Instrumentation];

    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Span => "span",
            Self::Resource => "resource",
            Self::Event => "event",
            Self::Link => "link",
            Self::Instrumentation => "instrumentation",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Intrinsic {
    Duration,
    Name,
    Status,
    StatusMessage,
    Kind,
    ChildCount,
    Parent,
    SpanId,
    ParentId,
    NestedSetLeft,
    NestedSetRight,
    NestedSetParent,
    TraceId,
    TraceDuration,
    RootName,
    RootService,
    EventName,
    EventTimeSinceStart,
    LinkTraceId,
    LinkSpanId,
    ScopeName,
    ScopeVersion,
}

impl Intrinsic {
    /// Each with the name that it prints as, and another that is read. One without a scope before it is itself without one.
    pub const NAMES: [(Self, &'static str, &'static str); 22] = [
        (Self::Duration, "duration", "span:duration"),
        (Self::Name, "name", "span:name"),
        (Self::Status, "status", "span:status"),
        (Self::StatusMessage, "statusMessage", "span:statusMessage"),
        (Self::Kind, "kind", "span:kind"),
        (Self::ChildCount, "span:childCount", "childCount"),
        (Self::Parent, "parent", ""),
        (Self::SpanId, "span:id", ""),
        (Self::ParentId, "span:parentID", ""),
        (Self::NestedSetLeft, "nestedSetLeft", ""),
        (Self::NestedSetRight, "nestedSetRight", ""),
        (Self::NestedSetParent, "nestedSetParent", ""),
        (Self::TraceId, "trace:id", ""),
        (Self::TraceDuration, "traceDuration", "trace:duration"),
        (Self::RootName, "rootName", "trace:rootName"),
        (Self::RootService, "rootServiceName", "trace:rootService"),
        (Self::EventName, "event:name", ""),
        (Self::EventTimeSinceStart, "event:timeSinceStart", ""),
        (Self::LinkTraceId, "link:traceID", ""),
        (Self::LinkSpanId, "link:spanID", ""),
        (Self::ScopeName, "instrumentation:name", ""),
        (Self::ScopeVersion, "instrumentation:version", ""),
    ];

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(intrinsic, ..)| *intrinsic == self).expect("NAMES has every intrinsic").1
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, first, second)| *first == name || *second == name).map(|(intrinsic, ..)| *intrinsic)
    }

    /// Known of the span alone, without the others of its trace.
    pub fn is_local(self) -> bool {
        use Intrinsic::*;
        !matches!(self, ChildCount | Parent | NestedSetLeft | NestedSetRight | NestedSetParent | TraceDuration | RootName | RootService)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum MetricsExpr {
    /// Counts what a pipeline gives.
    Query {
        spans: Pipeline,
        function: MetricsFunction,
    },
    Number(f64),
    Math {
        op: FieldOp,
        left: Box<MetricsExpr>,
        right: Box<MetricsExpr>,
    },
    /// The series with the largest values, or with the smallest.
    Top {
        largest: bool,
        count: u64,
        of: Box<MetricsExpr>,
    },
    /// Points that pass the comparison.
    Filter {
        op: FieldOp,
        value: f64,
        of: Box<MetricsExpr>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct MetricsFunction {
    pub op: MetricsOp,
    pub of: Option<Attribute>,
    pub quantiles: Vec<f64>,
    pub by: Vec<Attribute>,
    pub compare: Option<Box<Compare>>,
}

/// Which values the spans that pass a filter have more often than the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Compare {
    pub selection: FieldExpr,
    /// Values of each attribute that are told.
    pub top: Option<u64>,
    /// Unix nanoseconds, the end excluded: only spans of this time are selected.
    pub time: Option<(i64, i64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsOp {
    Rate,
    CountOverTime,
    MinOverTime,
    MaxOverTime,
    AvgOverTime,
    SumOverTime,
    QuantileOverTime,
    HistogramOverTime,
    Compare,
}

impl MetricsOp {
    pub const NAMES: [(Self, &'static str); 9] = [
        (Self::Rate, "rate"),
        (Self::CountOverTime, "count_over_time"),
        (Self::MinOverTime, "min_over_time"),
        (Self::MaxOverTime, "max_over_time"),
        (Self::AvgOverTime, "avg_over_time"),
        (Self::SumOverTime, "sum_over_time"),
        (Self::QuantileOverTime, "quantile_over_time"),
        (Self::HistogramOverTime, "histogram_over_time"),
        (Self::Compare, "compare"),
    ];

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(op, _)| *op == self).expect("NAMES has every function").1
    }
}

impl AggregateOp {
    pub(super) const NAMES: [(Self, &'static str); 5] =
        [(Self::Count, "count"), (Self::Avg, "avg"), (Self::Min, "min"), (Self::Max, "max"), (Self::Sum, "sum")];

    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(op, _)| *op == self).expect("NAMES has every aggregate").1
    }
}

impl FieldExpr {
    /// Every attribute that is looked at, in the order in which they stand.
    pub fn attributes<'a>(&'a self, out: &mut Vec<&'a Attribute>) {
        match self {
            Self::Static(_) => {}
            Self::Attribute(attribute) => out.push(attribute),
            Self::Not(inner) | Self::Negate(inner) | Self::AnyOf { of: inner, .. } => inner.attributes(out),
            Self::Binary { left, right, .. } => {
                left.attributes(out);
                right.attributes(out);
            }
        }
    }
}

impl Pipeline {
    /// Every attribute that one of its stages looks at or selects.
    pub fn attributes<'a>(&'a self, out: &mut Vec<&'a Attribute>) {
        for stage in &self.stages {
            match stage {
                Stage::Spans(spans) => spans.attributes(out),
                Stage::Scalar(filter) => {
                    filter.left.attributes(out);
                    filter.right.attributes(out);
                }
                Stage::By(field) => field.attributes(out),
                Stage::Coalesce => {}
                Stage::Select(selected) => out.extend(selected),
                Stage::Aggregate(aggregate) => aggregate.attributes(out),
            }
        }
    }
}

impl SpansetExpr {
    fn attributes<'a>(&'a self, out: &mut Vec<&'a Attribute>) {
        match self {
            Self::Filter(field) => field.attributes(out),
            Self::Operation { left, right, .. } => {
                left.attributes(out);
                right.attributes(out);
            }
            Self::Pipeline(pipeline) => pipeline.attributes(out),
        }
    }
}

impl ScalarExpr {
    fn attributes<'a>(&'a self, out: &mut Vec<&'a Attribute>) {
        match self {
            Self::Static(_) => {}
            Self::Aggregate(aggregate) => aggregate.attributes(out),
            Self::Operation { left, right, .. } => {
                left.attributes(out);
                right.attributes(out);
            }
            Self::Pipeline(pipeline) => pipeline.attributes(out),
        }
    }
}

impl Aggregate {
    fn attributes<'a>(&'a self, out: &mut Vec<&'a Attribute>) {
        if let Some(of) = &self.of {
            of.attributes(out);
        }
    }
}

impl Query {
    /// The value of a hint.
    pub fn hint(&self, name: &str) -> Option<&Value<'static>> {
        self.hints.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }
}
