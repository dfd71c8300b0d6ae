use std::fmt::{self, Display, Formatter};

use model::{MatchOp, Matcher};

use super::ast::{Aggregate, At, Binary, Cardinality, DurationExpr, Expr, Matching, Node, Selector, Shift, Subquery};
use super::{is_plain_label_name, quote};

/// The canonical form, which is Prometheus's: what it prints parses to the same tree, and prints the same again.
impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.node {
            Node::Number { value, is_duration: false } => f.write_str(&number(*value)),
            Node::Number { value, is_duration: true } => f.write_str(&signed_duration(*value)),
            Node::Text(text) => f.write_str(&quote(text)),
            Node::Vector(selector) => {
                let Shift { offset, at } = &selector.shift;
                write!(f, "{}{}{}{}", Series(selector), Pinned(*at), Suffix(selector.extent.name()), Offset(offset.as_ref()))
            }
            Node::Matrix { selector, range } => {
                let Shift { offset, at } = &selector.shift;
                let (extent, offset) = (Suffix(selector.extent.name()), Offset(offset.as_ref()));
                write!(f, "{}[{}]{extent}{}{offset}", Series(selector), Whole(range), Pinned(*at))
            }
            Node::Subquery(subquery) => write!(f, "{}{}", subquery.inner, SubqueryTail(subquery)),
            Node::Unary { negative, inner } => write!(f, "{}{inner}", if *negative { '-' } else { '+' }),
            Node::Binary(binary) => write!(f, "{} {} {}", binary.lhs, BinaryHead(binary), binary.rhs),
            Node::Call { function, args } => write!(f, "{}({})", function.name, Joined(args)),
            Node::Aggregate(aggregate) => {
                let Aggregate { op, inner, param, .. } = aggregate.as_ref();
                write!(f, "{}{}", op.text(), Grouping(aggregate))?;
                match param {
                    Some(param) => write!(f, "({param}, {inner})"),
                    None => write!(f, "({inner})"),
                }
            }
            Node::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

/// The operator with what says which series it joins.
pub(super) struct BinaryHead<'a>(pub(super) &'a Binary);

impl Display for BinaryHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Binary { op, is_bool, matching, .. } = self.0;
        write!(f, "{}{}", op.text(), if *is_bool { " bool" } else { "" })?;
        match self.0.joins_vectors() {
            true => write!(f, "{matching}"),
            false => Ok(()),
        }
    }
}

/// ` by (...) ` or ` without (...) `.
pub(super) struct Grouping<'a>(pub(super) &'a Aggregate);

impl Display for Grouping<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Aggregate { grouping, without, .. } = self.0;
        match (without, grouping.is_empty()) {
            (true, _) => write!(f, " without ({}) ", Names(grouping)),
            (false, false) => write!(f, " by ({}) ", Names(grouping)),
            (false, true) => Ok(()),
        }
    }
}

/// What stands after the expression of a subquery.
pub(super) struct SubqueryTail<'a>(pub(super) &'a Subquery);

impl Display for SubqueryTail<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Subquery { range, step, shift, .. } = self.0;
        write!(f, "[{}:", Whole(range))?;
        if let Some(step) = step {
            write!(f, "{}", Whole(step))?;
        }
        write!(f, "]{}{}", Pinned(shift.at), Offset(shift.offset.as_ref()))
    }
}

/// A float as Prometheus writes it: no exponent, `+Inf`, `-Inf`, `NaN`.
pub fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

/// A float as Go's `%v`: with an exponent below 1e-4 and from 1e21.
fn general(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || !size.is_finite() || (1e-4..1e21).contains(&size) {
        return number(value);
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

struct Joined<'a>(&'a [Expr]);

impl Display for Joined<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, expr) in self.0.iter().enumerate() {
            write!(f, "{}{expr}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

struct Suffix(&'static str);

impl Display for Suffix {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            word => write!(f, " {word}"),
        }
    }
}

/// Label names separated by commas, in quotes where they need them.
struct Names<'a>(&'a [String]);

impl Display for Names<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, label_name(name))?;
        }
        Ok(())
    }
}

fn label_name(name: &str) -> String {
    if is_plain_label_name(name) { name.to_owned() } else { quote(name) }
}

struct Series<'a>(&'a Selector);

impl Display for Series<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = self.0.name.as_deref();
        f.write_str(name.unwrap_or_default())?;
        let is_name =
            |matcher: &&Matcher| matcher.name == "__name__" && matcher.op == MatchOp::Equal && Some(matcher.value.as_str()) == name;
        let others = self.0.matchers.iter().filter(|matcher| !is_name(matcher));
        let mut parts: Vec<String> =
            others.map(|matcher| format!("{}{}{}", label_name(&matcher.name), matcher.op, quote(&matcher.value))).collect();
        parts.sort_unstable();
        match (parts.is_empty(), name) {
            (true, Some(_)) => Ok(()),
            _ => write!(f, "{{{}}}", parts.join(",")),
        }
    }
}

struct Pinned(Option<At>);

impl Display for Pinned {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(At::Millis(millis)) => write!(f, " @ {:.3}", millis as f64 / 1000.0),
            Some(At::Start) => f.write_str(" @ start()"),
            Some(At::End) => f.write_str(" @ end()"),
            None => Ok(()),
        }
    }
}

struct Offset<'a>(Option<&'a DurationExpr>);

impl Display for Offset<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(DurationExpr::Literal { seconds: 0.0, .. }) | None => Ok(()),
            Some(offset) => write!(f, " offset {}", Whole(offset)),
        }
    }
}

/// A duration that stands alone is written with units, however it was given.
struct Whole<'a>(&'a DurationExpr);

impl Display for Whole<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            DurationExpr::Literal { seconds, .. } => f.write_str(&signed_duration(*seconds)),
            other => write!(f, "{other}"),
        }
    }
}

fn signed_duration(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    format!("{sign}{}", format_duration((seconds.abs() * 1000.0 + 1e-6) as u64))
}

impl Display for Matching {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.explicit && (self.on || !self.labels.is_empty() || self.cardinality != Cardinality::OneToOne) {
            write!(f, " {} ({})", if self.on { "on" } else { "ignoring" }, Names(&self.labels))?;
        }
        match self.cardinality {
            Cardinality::OneToOne => {}
            Cardinality::ManyToOne => write!(f, " group_left ({})", Names(&self.include))?,
            Cardinality::OneToMany => write!(f, " group_right ({})", Names(&self.include))?,
        }
        match (self.fill_left, self.fill_right) {
            (Some(left), Some(right)) if left.to_bits() == right.to_bits() => write!(f, " fill ({})", general(left)),
            (left, right) => {
                for (word, value) in [("fill_left", left), ("fill_right", right)] {
                    if let Some(value) = value {
                        write!(f, " {word} ({})", general(value))?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal { seconds, is_number: false } => f.write_str(&signed_duration(*seconds)),
            Self::Literal { seconds, is_number: true } => f.write_str(&number(*seconds)),
            Self::Step => f.write_str("step()"),
            Self::Range => f.write_str("range()"),
            Self::Negate(inner) => write!(f, "-{inner}"),
            Self::Binary { op, lhs, rhs } => write!(f, "{lhs} {} {rhs}", op.text()),
            Self::MinOf(first, second) => write!(f, "min_of({first}, {second})"),
            Self::MaxOf(first, second) => write!(f, "max_of({first}, {second})"),
            Self::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

/// Milliseconds as `1h30m`; years, weeks and days only where they come out even, as Prometheus has it.
pub fn format_duration(millis: u64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let (mut rest, mut out) = (millis, String::new());
    let units = [
        ("y", 31_536_000_000, true),
        ("w", 604_800_000, true),
        ("d", 86_400_000, false),
        ("h", 3_600_000, false),
        ("m", 60_000, false),
        ("s", 1000, false),
        ("ms", 1, false),
    ];
    for (unit, size, exact) in units {
        if rest >= size && !(exact && rest % size != 0) {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    out
}
