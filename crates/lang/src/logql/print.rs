//! The tree as text again. What it prints parses to the same tree.

use std::fmt::{self, Display, Formatter};

use super::ast::*;
use super::units::print_duration;

/// A text in double quotes that [`super::parse`] reads back.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

/// Items with commas between.
struct List<'a, T>(&'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(log) => log.fmt(f),
            Self::Metric(metric) => metric.fmt(f),
            Self::Variants(variants) => {
                let tail = RangeTail(variants.range_ns, variants.offset_ns);
                write!(f, "variants({}) of ({}{tail})", List(&variants.metrics), variants.log)
            }
        }
    }
}

impl Display for LogExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", List(&self.selector))?;
        self.stages.iter().try_for_each(|stage| write!(f, " {stage}"))
    }
}

/// ` [5m] offset 1h`
pub(super) struct RangeTail(pub(super) i64, pub(super) i64);

impl Display for RangeTail {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(range_ns, offset_ns) = *self;
        write!(f, " [{}]", print_duration(range_ns))?;
        if offset_ns != 0 {
            write!(f, " offset {}", print_duration(offset_ns))?;
        }
        Ok(())
    }
}

impl Display for Matcher {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.name, self.op, Quoted(&self.value))
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let extractions = |f: &mut Formatter<'_>, list: &[Extraction]| if list.is_empty() { Ok(()) } else { write!(f, " {}", List(list)) };
        match &self.kind {
            StageKind::Line(filter) => filter.fmt(f),
            StageKind::Json(list) => f.write_str("| json").and_then(|()| extractions(f, list)),
            StageKind::Logfmt { strict, keep_empty, extractions: list } => {
                f.write_str("| logfmt")?;
                f.write_str(if *strict { " --strict" } else { "" })?;
                f.write_str(if *keep_empty { " --keep-empty" } else { "" })?;
                extractions(f, list)
            }
            StageKind::Pattern(text) => write!(f, "| pattern {}", Quoted(text)),
            StageKind::Regexp(text) => write!(f, "| regexp {}", Quoted(text)),
            StageKind::Unpack => f.write_str("| unpack"),
            StageKind::Label(filter) => write!(f, "| {filter}"),
            StageKind::LineFormat(text) => write!(f, "| line_format {}", Quoted(text)),
            StageKind::LabelFormat(list) => write!(f, "| label_format {}", List(list)),
            StageKind::Decolorize => f.write_str("| decolorize"),
            StageKind::Keep(list) => write!(f, "| keep {}", List(list)),
            StageKind::Drop(list) => write!(f, "| drop {}", List(list)),
            StageKind::Unwrap { label, conversion: None } => write!(f, "| unwrap {label}"),
            StageKind::Unwrap { label, conversion: Some(conversion) } => write!(f, "| unwrap {conversion}({label})"),
        }
    }
}

impl Display for Conversion {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::DurationSeconds => "duration_seconds",
        })
    }
}

impl Display for LineFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.op {
            LineOp::Contains => "|=",
            LineOp::NotContains => "!=",
            LineOp::Regex => "|~",
            LineOp::NotRegex => "!~",
            LineOp::Pattern => "|>",
            LineOp::NotPattern => "!>",
        })?;
        for (index, term) in self.terms.iter().enumerate() {
            f.write_str(if index == 0 { " " } else { " or " })?;
            match term {
                LineTerm::Text(text) => Quoted(text).fmt(f)?,
                LineTerm::Ip(pattern) => write!(f, "ip({})", Quoted(pattern))?,
            }
        }
        Ok(())
    }
}

impl Display for Extraction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.path == self.label { f.write_str(&self.label) } else { write!(f, "{}={}", self.label, Quoted(&self.path)) }
    }
}

impl Display for LabelFormat {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.source {
            LabelSource::Label(label) => write!(f, "{}={label}", self.label),
            LabelSource::Template(text) => write!(f, "{}={}", self.label, Quoted(text)),
        }
    }
}

impl Display for NameFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.matcher.as_ref().map_or(Ok(()), |(op, value)| write!(f, "{op}{}", Quoted(value)))
    }
}

impl Display for CompareOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Less => "<",
            Self::LessEqual => "<=",
        })
    }
}

impl Display for LabelFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            LabelFilterKind::And(left, right) => write!(f, "({left} and {right})"),
            LabelFilterKind::Or(left, right) => write!(f, "({left} or {right})"),
            LabelFilterKind::Text { name, op, value } => write!(f, "{name}{op}{}", Quoted(value)),
            LabelFilterKind::Number { name, op, value } => write!(f, "{name}{op}{value}"),
            LabelFilterKind::Duration { name, op, value_ns } => write!(f, "{name}{op}{}", print_duration(*value_ns)),
            LabelFilterKind::Bytes { name, op, value } => write!(f, "{name}{op}{value}B"),
            LabelFilterKind::Ip { name, equal, pattern } => write!(f, "{name}{}ip({})", if *equal { "=" } else { "!=" }, Quoted(pattern)),
        }
    }
}

impl Display for MetricExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            MetricKind::Number(value) => write!(f, "{value}"),
            MetricKind::Vector(value) => write!(f, "vector({value})"),
            MetricKind::Range(aggregation) => aggregation.fmt(f),
            MetricKind::Aggregate(aggregation) => aggregation.fmt(f),
            MetricKind::Binary(binary) => binary.fmt(f),
            MetricKind::LabelReplace(replace) => {
                write!(f, "label_replace({}, {})", replace.inner, replace.texts())
            }
        }
    }
}

impl Display for RangeAggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.op.name())?;
        if let Some(parameter) = self.parameter {
            write!(f, "{parameter}, ")?;
        }
        write!(f, "{}{})", self.log, RangeTail(self.range_ns, self.offset_ns))?;
        self.grouping.as_ref().map_or(Ok(()), |grouping| write!(f, " {grouping}"))
    }
}

impl Display for VectorAggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.name())?;
        if let Some(grouping) = &self.grouping {
            write!(f, " {grouping} ")?;
        }
        match self.parameter {
            Some(parameter) => write!(f, "({parameter}, {})", self.inner),
            None => write!(f, "({})", self.inner),
        }
    }
}

impl Display for Grouping {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", if self.without { "without" } else { "by" }, List(&self.labels))
    }
}

impl Display for BinaryOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(op) => op.fmt(f),
            Self::Or => f.write_str("or"),
            Self::And => f.write_str("and"),
            Self::Unless => f.write_str("unless"),
            Self::Add => f.write_str("+"),
            Self::Subtract => f.write_str("-"),
            Self::Multiply => f.write_str("*"),
            Self::Divide => f.write_str("/"),
            Self::Modulo => f.write_str("%"),
            Self::Power => f.write_str("^"),
        }
    }
}

impl LabelReplace {
    /// The arguments after the first.
    pub(super) fn texts(&self) -> String {
        let texts = [&self.destination, &self.replacement, &self.source, &self.regex];
        texts.map(|text| Quoted(text).to_string()).join(", ")
    }
}

/// The operator with all that belongs to it.
pub(super) struct BinaryHead<'a>(pub(super) &'a Binary);

impl Display for BinaryHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Binary { op, return_bool, matching, .. } = self.0;
        op.fmt(f)?;
        if *return_bool {
            f.write_str(" bool")?;
        }
        if let Some(matching) = matching {
            write!(f, " {} ({})", if matching.on { "on" } else { "ignoring" }, List(&matching.labels))?;
            if let Some(group) = &matching.group {
                write!(f, " {} ({})", if group.left { "group_left" } else { "group_right" }, List(&group.include))?;
            }
        }
        Ok(())
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "({} {} {})", self.left, BinaryHead(self), self.right)
    }
}
