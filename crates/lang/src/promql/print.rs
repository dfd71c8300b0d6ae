use std::fmt::{self, Display, Formatter, Write as _};

use model::{MatchOp, Matcher};

use super::ast::{Aggregate, At, Binary, Cardinality, DurationExpr, Expr, Matching, Node, Selector, Shift, Subquery};
use super::{is_plain_label_name, is_plain_metric_name, quote};

/// The canonical form: what it prints parses to the same tree, and prints the same again.
impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.node {
            Node::Number(value) => f.write_str(&number(*value)),
            Node::Text(text) => f.write_str(&quote(text)),
            Node::Vector(selector) => write!(f, "{}{}{}", Series(selector), Modifiers(&selector.shift), Suffix(selector.extent.name())),
            Node::Matrix { selector, range } => {
                let (extent, shift) = (Suffix(selector.extent.name()), Modifiers(&selector.shift));
                write!(f, "{}[{range}]{extent}{shift}", Series(selector))
            }
            Node::Subquery(subquery) => {
                let Subquery { inner, range, step, shift } = subquery.as_ref();
                let step = step.as_ref().map(DurationExpr::to_string).unwrap_or_default();
                write!(f, "{inner}[{range}:{step}]{}", Modifiers(shift))
            }
            Node::Unary { negative, inner } => write!(f, "{}{inner}", if *negative { '-' } else { '+' }),
            Node::Binary(binary) => {
                let Binary { op, lhs, rhs, is_bool, matching } = binary.as_ref();
                let is_bool = if *is_bool { " bool" } else { "" };
                write!(f, "{lhs} {}{is_bool}{matching} {rhs}", op.text())
            }
            Node::Call { function, args } => write!(f, "{}({})", function.name, Joined(args)),
            Node::Aggregate(aggregate) => {
                let Aggregate { op, inner, param, grouping, without } = aggregate.as_ref();
                f.write_str(op.text())?;
                match (without, grouping.is_empty()) {
                    (true, _) => write!(f, " without ({}) ", Names(grouping))?,
                    (false, false) => write!(f, " by ({}) ", Names(grouping))?,
                    (false, true) => {}
                }
                match param {
                    Some(param) => write!(f, "({param}, {inner})"),
                    None => write!(f, "({inner})"),
                }
            }
            Node::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

/// A float as Prometheus writes it: no exponent, `+Inf`, `-Inf`, `NaN`.
fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
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
        let is_name =
            |matcher: &Matcher| matcher.name == "__name__" && matcher.op == MatchOp::Equal && Some(matcher.value.as_str()) == name;
        let mut parts = Vec::new();
        // A name that needs quotes stands in the braces; so does one with company on `__name__`.
        let in_braces = self.0.matchers.iter().filter(|matcher| matcher.name == "__name__").count() > 1;
        match name {
            Some(name) if is_plain_metric_name(name) && !in_braces => f.write_str(name)?,
            Some(name) => parts.push(quote(name)),
            None => {}
        }
        let others = self.0.matchers.iter().filter(|matcher| !is_name(matcher));
        parts.extend(others.map(|matcher| format!("{}{}{}", label_name(&matcher.name), matcher.op, quote(&matcher.value))));
        match (parts.is_empty(), name) {
            (true, Some(_)) => Ok(()),
            _ => write!(f, "{{{}}}", parts.join(",")),
        }
    }
}

struct Modifiers<'a>(&'a Shift);

impl Display for Modifiers<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.at {
            Some(At::Millis(millis)) => write!(f, " @ {:.3}", millis as f64 / 1000.0)?,
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
            None => {}
        }
        match &self.0.offset {
            Some(offset) => write!(f, " offset {offset}"),
            None => Ok(()),
        }
    }
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
            (Some(left), Some(right)) if left.to_bits() == right.to_bits() => write!(f, " fill ({})", number(left)),
            (left, right) => {
                for (word, value) in [("fill_left", left), ("fill_right", right)] {
                    if let Some(value) = value {
                        write!(f, " {word} ({})", number(value))?;
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
            Self::Literal { seconds, is_number: false } => {
                if *seconds < 0.0 {
                    f.write_char('-')?;
                }
                f.write_str(&format_duration((seconds.abs() * 1000.0).round() as u64))
            }
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
