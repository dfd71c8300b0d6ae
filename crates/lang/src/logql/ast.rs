//! What a LogQL text says. Every node knows the byte of the text where it starts.

pub use model::MatchOp;

use crate::error::Pos;

#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// Answers lines.
    Log(LogExpr),
    /// Answers numbers.
    Metric(MetricExpr),
    Variants(Variants),
}

/// `{selector} stage stage ...`
#[derive(Clone, Debug, PartialEq)]
pub struct LogExpr {
    pub pos: Pos,
    pub selector: Vec<Matcher>,
    pub stages: Vec<Stage>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Matcher {
    pub pos: Pos,
    pub name: String,
    pub op: MatchOp,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    pub pos: Pos,
    pub kind: StageKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum StageKind {
    Line(LineFilter),
    Json(Vec<Extraction>),
    Logfmt {
        strict: bool,
        keep_empty: bool,
        extractions: Vec<Extraction>,
    },
    Pattern(String),
    Regexp(String),
    Unpack,
    Label(LabelFilter),
    LineFormat(String),
    LabelFormat(Vec<LabelFormat>),
    Decolorize,
    Keep(Vec<NameFilter>),
    Drop(Vec<NameFilter>),
    /// Only inside a range aggregation.
    Unwrap {
        label: String,
        conversion: Option<Conversion>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineOp {
    /// `|=`
    Contains,
    /// `!=`
    NotContains,
    /// `|~`
    Regex,
    /// `!~`
    NotRegex,
    /// `|>`
    Pattern,
    /// `!>`
    NotPattern,
}

/// A positive filter keeps a line that any term matches, a negative one drops it.
#[derive(Clone, Debug, PartialEq)]
pub struct LineFilter {
    pub op: LineOp,
    pub terms: Vec<LineTerm>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum LineTerm {
    Text(String),
    /// An address, a range of addresses or a CIDR block: see [`super::IpPattern`].
    Ip(String),
}

/// `label="path"`; `label` alone means the path of the same name.
#[derive(Clone, Debug, PartialEq)]
pub struct Extraction {
    pub pos: Pos,
    pub label: String,
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LabelFilter {
    pub pos: Pos,
    pub kind: LabelFilterKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum LabelFilterKind {
    And(Box<LabelFilter>, Box<LabelFilter>),
    Or(Box<LabelFilter>, Box<LabelFilter>),
    Text { name: String, op: MatchOp, value: String },
    Number { name: String, op: CompareOp, value: f64 },
    Duration { name: String, op: CompareOp, value_ns: i64 },
    Bytes { name: String, op: CompareOp, value: u64 },
    Ip { name: String, equal: bool, pattern: String },
}

#[derive(Clone, Debug, PartialEq)]
pub struct LabelFormat {
    pub pos: Pos,
    pub label: String,
    pub source: LabelSource,
}

#[derive(Clone, Debug, PartialEq)]
pub enum LabelSource {
    /// Renames that label.
    Label(String),
    Template(String),
}

/// A name in `keep` or `drop`, perhaps only where its value matches.
#[derive(Clone, Debug, PartialEq)]
pub struct NameFilter {
    pub pos: Pos,
    pub name: String,
    pub matcher: Option<(MatchOp, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    Bytes,
    /// To seconds.
    Duration,
    /// The same under its other name.
    DurationSeconds,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MetricExpr {
    pub pos: Pos,
    pub kind: MetricKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum MetricKind {
    Number(f64),
    /// `vector(1)`: one series without labels.
    Vector(f64),
    Range(RangeAggregation),
    Aggregate(VectorAggregation),
    Binary(Binary),
    LabelReplace(LabelReplace),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RangeOp {
    CountOverTime,
    Rate,
    RateCounter,
    BytesOverTime,
    BytesRate,
    SumOverTime,
    AvgOverTime,
    MinOverTime,
    MaxOverTime,
    StddevOverTime,
    StdvarOverTime,
    QuantileOverTime,
    FirstOverTime,
    LastOverTime,
    AbsentOverTime,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RangeAggregation {
    pub op: RangeOp,
    /// The quantile.
    pub parameter: Option<f64>,
    pub log: LogExpr,
    pub range_ns: i64,
    pub offset_ns: i64,
    pub grouping: Option<Grouping>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    ApproxTopk,
    Sort,
    SortDesc,
}

#[derive(Clone, Debug, PartialEq)]
pub struct VectorAggregation {
    pub op: VectorOp,
    /// The number of series that `topk` and its like keep.
    pub parameter: Option<u64>,
    pub inner: Box<MetricExpr>,
    pub grouping: Option<Grouping>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grouping {
    pub without: bool,
    pub labels: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    Or,
    And,
    Unless,
    Compare(CompareOp),
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
}

impl BinaryOp {
    pub fn is_set(self) -> bool {
        matches!(self, Self::Or | Self::And | Self::Unless)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    pub op: BinaryOp,
    pub left: Box<MetricExpr>,
    pub right: Box<MetricExpr>,
    /// A comparison answers 0 or 1 instead of filtering.
    pub return_bool: bool,
    pub matching: Option<Matching>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Matching {
    /// `on`, else `ignoring`.
    pub on: bool,
    pub labels: Vec<String>,
    pub group: Option<Group>,
}

/// The side that may have many series per match.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub left: bool,
    /// Labels taken over from the other side.
    pub include: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LabelReplace {
    pub inner: Box<MetricExpr>,
    pub destination: String,
    pub replacement: String,
    pub source: String,
    pub regex: String,
}

/// `variants(metric, ...) of (log[range])`: several metrics over the same lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Variants {
    pub pos: Pos,
    pub metrics: Vec<MetricExpr>,
    pub log: LogExpr,
    pub range_ns: i64,
    pub offset_ns: i64,
}
