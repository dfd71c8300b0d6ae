use super::ast::{Aggregate, Binary, Expr, Node};
use super::print::{BinaryHead, Grouping, SubqueryTail};

/// A piece whose canonical form is longer is broken into lines.
const LINE_BYTES_MAX: usize = 100;

impl Expr {
    /// The canonical form, broken into lines as Prometheus does it: a piece of more than a hundred bytes gives its parts a line
    /// each, two blanks further in.
    pub fn pretty(&self) -> String {
        pretty(self, 0)
    }
}

/// At level 0 whoever stands around has begun no new line.
fn pretty(expr: &Expr, level: usize) -> String {
    let indent = "  ".repeat(level);
    let whole = expr.to_string();
    let short = whole.len() <= LINE_BYTES_MAX;
    match &expr.node {
        Node::Unary { negative, inner } => {
            format!("{indent}{}{}", if *negative { '-' } else { '+' }, pretty(inner, level).trim())
        }
        // As in Prometheus a short subquery is not indented: the line that it stands on is its parent's.
        Node::Subquery(_) if short => whole,
        _ if short => indent + &whole,
        Node::Subquery(subquery) => format!("{}{}", pretty(&subquery.inner, level), SubqueryTail(subquery)),
        Node::Binary(binary) => {
            let Binary { lhs, rhs, .. } = binary.as_ref();
            format!("{}\n{indent}{}\n{}", pretty(lhs, level + 1), BinaryHead(binary), pretty(rhs, level + 1))
        }
        Node::Aggregate(aggregate) => {
            let Aggregate { op, inner, param, .. } = aggregate.as_ref();
            let param = param.as_ref().map(|param| pretty(param, level + 1) + ",\n").unwrap_or_default();
            format!("{indent}{}{}(\n{param}{}\n{indent})", op.text(), Grouping(aggregate), pretty(inner, level + 1))
        }
        Node::Call { function, args } => {
            let args: Vec<String> = args.iter().map(|arg| pretty(arg, level + 1)).collect();
            format!("{indent}{}(\n{}\n{indent})", function.name, args.join(",\n"))
        }
        Node::Paren(inner) => format!("{indent}(\n{}\n{indent})", pretty(inner, level + 1)),
        Node::Number { .. } | Node::Text(_) | Node::Vector(_) | Node::Matrix { .. } => indent + &whole,
    }
}
