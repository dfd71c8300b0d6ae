use super::ast::*;
use super::print::{BinaryHead, RangeTail};

/// A piece whose canonical form is longer is broken into lines.
const LINE_BYTES_MAX: usize = 100;

impl Expr {
    /// The canonical form, broken into lines: a piece of more than a hundred bytes gives its parts a line each, two blanks further
    /// in.
    pub fn pretty(&self) -> String {
        match self {
            Self::Log(expr) => log(expr, 0),
            Self::Metric(expr) => metric(expr, 0),
            Self::Variants(variants) => {
                let metrics: Vec<_> = variants.metrics.iter().map(|expr| metric(expr, 1)).collect();
                let whole = self.to_string();
                match whole.len() <= LINE_BYTES_MAX {
                    true => whole,
                    false => {
                        let tail = RangeTail(variants.range_ns, variants.offset_ns);
                        format!("variants(\n{}\n) of (\n{}{tail}\n)", metrics.join(",\n"), log(&variants.log, 1))
                    }
                }
            }
        }
    }
}

fn log(expr: &LogExpr, level: usize) -> String {
    let (indent, whole) = ("  ".repeat(level), expr.to_string());
    if whole.len() <= LINE_BYTES_MAX {
        return indent + &whole;
    }
    let selector = LogExpr { stages: Vec::new(), ..expr.clone() };
    let stages: String = expr.stages.iter().map(|stage| format!("\n{indent}  {stage}")).collect();
    format!("{indent}{selector}{stages}")
}

fn metric(expr: &MetricExpr, level: usize) -> String {
    let (indent, whole) = ("  ".repeat(level), expr.to_string());
    if whole.len() <= LINE_BYTES_MAX {
        return indent + &whole;
    }
    match &expr.kind {
        MetricKind::Number(_) | MetricKind::Vector(_) => indent + &whole,
        MetricKind::Range(range) => {
            let parameter = range.parameter.map(|number| format!("{indent}  {number},\n")).unwrap_or_default();
            let grouping = range.grouping.as_ref().map(|grouping| format!(" {grouping}")).unwrap_or_default();
            let tail = RangeTail(range.range_ns, range.offset_ns);
            format!("{indent}{}(\n{parameter}{}{tail}\n{indent}){grouping}", range.op.name(), log(&range.log, level + 1))
        }
        MetricKind::Aggregate(aggregate) => {
            let parameter = aggregate.parameter.map(|number| format!("{indent}  {number},\n")).unwrap_or_default();
            let grouping = aggregate.grouping.as_ref().map(|grouping| format!(" {grouping} ")).unwrap_or_default();
            format!("{indent}{}{grouping}(\n{parameter}{}\n{indent})", aggregate.op.name(), metric(&aggregate.inner, level + 1))
        }
        MetricKind::Binary(binary) => {
            let [left, right] = [&binary.left, &binary.right].map(|side| metric(side, level + 1));
            format!("{indent}(\n{left}\n{indent}{}\n{right}\n{indent})", BinaryHead(binary))
        }
        MetricKind::LabelReplace(replace) => {
            let texts = replace.texts();
            format!("{indent}label_replace(\n{},\n{indent}  {texts}\n{indent})", metric(&replace.inner, level + 1))
        }
    }
}
