//! The selectors of series and streams that a request names, read by the languages' own parsers.

use lang::logql;
use lang::promql::ast::{Expr, Node};
use lang::promql::{Features, parse_selector, parse_with};
use model::{Error, Matcher, Result};

/// `up{job="a", env=~"b|c"}`, as Prometheus's `match[]` has it.
pub(crate) fn of_series(text: &str) -> Result<Vec<Matcher>, String> {
    parse_selector(text).map_err(|error| error.to_string())
}

/// `{app="player"}`, as Loki's label APIs have it; `{}` selects every stream.
pub(crate) fn of_streams(text: &str) -> Result<Vec<Matcher>, String> {
    if text.split_whitespace().collect::<String>() == "{}" {
        return Ok(Vec::new());
    }
    match logql::parse(text).map_err(|error| error.to_string())? {
        logql::Expr::Log(found) if found.stages.is_empty() => {
            Ok(found.selector.into_iter().map(|matcher| Matcher::new(matcher.name, matcher.op, matcher.value)).collect())
        }
        _ => Err(format!("{text:?} is more than a stream selector")),
    }
}

/// Every selector of a PromQL expression.
pub(crate) fn of_expression(text: &str, features: Features) -> Result<Vec<Vec<Matcher>>, String> {
    let mut found = Vec::new();
    collect(parse_with(text, features).map_err(|error| error.to_string())?, &mut found);
    Ok(found)
}

fn collect(expr: Expr, found: &mut Vec<Vec<Matcher>>) {
    match expr.node {
        Node::Number { .. } | Node::Text(_) => {}
        Node::Vector(selector) | Node::Matrix { selector, .. } => found.push(selector.matchers),
        Node::Subquery(subquery) => collect(subquery.inner, found),
        Node::Unary { inner, .. } | Node::Paren(inner) => collect(*inner, found),
        Node::Binary(binary) => [binary.lhs, binary.rhs].into_iter().for_each(|side| collect(side, found)),
        Node::Call { args, .. } => args.into_iter().for_each(|arg| collect(arg, found)),
        Node::Aggregate(aggregate) => aggregate.param.into_iter().chain([aggregate.inner]).for_each(|part| collect(part, found)),
    }
}

/// The parsers compile a selector's patterns, which may take the event loop's time by the hundred milliseconds. Where they do
/// not, to change threads takes longer.
pub(crate) async fn off_loop<T: Send + 'static>(is_brief: bool, read: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    if is_brief {
        return read();
    }
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|panic| Err(Error::internal("cannot read a selector").because(panic)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: Result<Vec<Matcher>, String>, expect: &str) {
        let shown = match found {
            Ok(matchers) => matchers.iter().map(|m| format!("{}{}{:?}", m.name, m.op, m.value)).collect::<Vec<_>>().join(","),
            Err(why) => why,
        };
        assert_eq!(shown, expect);
    }

    #[test]
    fn streams() {
        check(of_streams(r#"{app="a", pod=~`b.+`}"#), r#"app="a",pod=~"b.+""#);
        check(of_streams(" { } "), "");
        check(of_streams(r#"{app="a"} |= "b""#), r#""{app=\"a\"} |= \"b\"" is more than a stream selector"#);
    }

    #[test]
    fn every_selector_of_an_expression() {
        let text = r#"sum by (job) (rate(a{x="1"}[5m])) / -(b or topk(scalar(c), max_over_time(d[5m:1m]))) + 1"#;
        let found = of_expression(text, Features::ALL).unwrap();
        let names: Vec<_> = found.iter().flatten().filter(|m| m.name == "__name__").map(|m| m.value.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        of_expression("sum(", Features::ALL).unwrap_err();
    }
}
