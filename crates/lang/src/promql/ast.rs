use model::Matcher;

use super::functions::Function;

/// Byte offsets into the query's text, half open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// A piece of a query with the place where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub span: Span,
    pub node: Node,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// `is_duration` when it was written with a unit: `5m` is 300.
    Number {
        value: f64,
        is_duration: bool,
    },
    Text(String),
    Vector(Selector),
    Matrix {
        selector: Selector,
        range: DurationExpr,
    },
    Subquery(Box<Subquery>),
    Unary {
        negative: bool,
        inner: Box<Expr>,
    },
    Binary(Box<Binary>),
    Call {
        function: &'static Function,
        args: Vec<Expr>,
    },
    Aggregate(Box<Aggregate>),
    Paren(Box<Expr>),
}

/// The type of an expression's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Scalar,
    Text,
    Vector,
    Matrix,
}

impl Type {
    /// As Prometheus names it in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Text => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }
}

/// Which series, and when. `matchers` holds the metric's name too, as a matcher on `__name__`.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// Where name and braces stand, without range and modifiers.
    pub span: Span,
    /// The metric's name when it was written before the braces.
    pub name: Option<String>,
    pub matchers: Vec<Matcher>,
    pub shift: Shift,
    pub extent: Extent,
}

/// How the edges of a range are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    #[default]
    Plain,
    /// The last sample before the range counts as if it stood at its start.
    Anchored,
    /// Values at both edges are interpolated.
    Smoothed,
}

impl Extent {
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Anchored => "anchored",
            Self::Smoothed => "smoothed",
        }
    }
}

/// The modifiers `offset` and `@`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shift {
    pub offset: Option<DurationExpr>,
    pub at: Option<At>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Millis(i64),
    /// Start of the query's range.
    Start,
    /// End of the query's range.
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    pub inner: Expr,
    pub range: DurationExpr,
    /// None: the engine's default.
    pub step: Option<DurationExpr>,
    pub shift: Shift,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    Unless,
    /// `</`: a histogram without what lies above.
    TrimUpper,
    /// `>/`: a histogram without what lies below.
    TrimLower,
}

impl BinaryOp {
    pub fn text(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
        }
    }

    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual | Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual)
    }

    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// The arithmetic or comparison operator of a sign.
    pub(super) fn of_sign(sign: &str) -> Option<Self> {
        use BinaryOp::{Add, Div, Equal, Greater, GreaterEqual, Less, LessEqual, Mod, Mul, NotEqual, Pow, Sub, TrimLower, TrimUpper};
        [Add, Sub, Mul, Div, Mod, Pow, Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, TrimUpper, TrimLower]
            .into_iter()
            .find(|op| op.text() == sign)
    }

    /// The operator of a word, in any case.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        [Self::And, Self::Or, Self::Unless, Self::Atan2].into_iter().find(|op| op.text().eq_ignore_ascii_case(word))
    }

    pub(super) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod | Self::Atan2 => 5,
            Self::Pow => 6,
            _ => 3,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    pub op: BinaryOp,
    pub lhs: Expr,
    pub rhs: Expr,
    /// A comparison answers 0 or 1 instead of filtering.
    pub is_bool: bool,
    pub matching: Matching,
}

impl Binary {
    /// Both sides are vectors, so that series are matched.
    pub fn joins_vectors(&self) -> bool {
        self.lhs.value_type() == Type::Vector && self.rhs.value_type() == Type::Vector
    }
}

/// Which series of the two sides belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// `on` when true, `ignoring` when false.
    pub on: bool,
    pub labels: Vec<String>,
    /// Whether `on` or `ignoring` was written.
    pub explicit: bool,
    pub cardinality: Cardinality,
    /// Labels of the side with one series that the result takes over.
    pub include: Vec<String>,
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cardinality {
    #[default]
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    pub const ALL: [Self; 14] = [
        Self::Sum,
        Self::Avg,
        Self::Min,
        Self::Max,
        Self::Count,
        Self::Group,
        Self::Stddev,
        Self::Stdvar,
        Self::Topk,
        Self::Bottomk,
        Self::Quantile,
        Self::CountValues,
        Self::Limitk,
        Self::LimitRatio,
    ];

    pub fn text(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Count => "count",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::Quantile => "quantile",
            Self::CountValues => "count_values",
            Self::Limitk => "limitk",
            Self::LimitRatio => "limit_ratio",
        }
    }

    /// The type of the parameter before the vector.
    pub fn param_type(self) -> Option<Type> {
        match self {
            Self::Topk | Self::Bottomk | Self::Quantile | Self::Limitk | Self::LimitRatio => Some(Type::Scalar),
            Self::CountValues => Some(Type::Text),
            _ => None,
        }
    }

    /// Whether Prometheus wants it switched on.
    pub fn is_experimental(self) -> bool {
        matches!(self, Self::Limitk | Self::LimitRatio)
    }

    /// Whether the answer is some of the input series rather than one per group.
    pub fn selects(self) -> bool {
        matches!(self, Self::Topk | Self::Bottomk | Self::Limitk | Self::LimitRatio)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    pub op: AggregateOp,
    pub inner: Expr,
    pub param: Option<Expr>,
    pub grouping: Vec<String>,
    pub without: bool,
}

/// Arithmetic over durations, in seconds: `[5m]`, `[step() * 2]`.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExpr {
    /// A number of seconds; `is_number` when it was written without a unit.
    Literal {
        seconds: f64,
        is_number: bool,
    },
    /// The query's step.
    Step,
    /// The query's end less its start.
    Range,
    Negate(Box<DurationExpr>),
    Binary {
        op: BinaryOp,
        lhs: Box<DurationExpr>,
        rhs: Box<DurationExpr>,
    },
    MinOf(Box<DurationExpr>, Box<DurationExpr>),
    MaxOf(Box<DurationExpr>, Box<DurationExpr>),
    Paren(Box<DurationExpr>),
}

impl Expr {
    pub fn value_type(&self) -> Type {
        match &self.node {
            Node::Number { .. } => Type::Scalar,
            Node::Text(_) => Type::Text,
            Node::Vector(_) | Node::Aggregate(_) => Type::Vector,
            Node::Matrix { .. } | Node::Subquery(_) => Type::Matrix,
            Node::Unary { inner, .. } | Node::Paren(inner) => inner.value_type(),
            Node::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
            Node::Call { function, .. } => function.returns,
        }
    }

    /// The expression inside all parentheses around it.
    pub fn unparenthesised(&self) -> &Self {
        match &self.node {
            Node::Paren(inner) => inner.unparenthesised(),
            _ => self,
        }
    }

    pub fn children(&self) -> Vec<&Self> {
        match &self.node {
            Node::Number { .. } | Node::Text(_) | Node::Vector(_) | Node::Matrix { .. } => Vec::new(),
            Node::Subquery(subquery) => vec![&subquery.inner],
            Node::Unary { inner, .. } | Node::Paren(inner) => vec![inner],
            Node::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            Node::Call { args, .. } => args.iter().collect(),
            Node::Aggregate(aggregate) => aggregate.param.iter().chain([&aggregate.inner]).collect(),
        }
    }
}
