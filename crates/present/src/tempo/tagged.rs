//! Searches without TraceQL: tags in logfmt and durations, as the TraceQL that they mean.

use std::time::Duration;

use lang::traceql::{Attribute, FieldExpr, FieldOp, Intrinsic, Kind, Scope, Status, Value};

/// Every tag is one of the same span, its value of any type that is written so; durations are the trace's.
pub(super) fn query(tags: &[(String, String)], duration_min: Option<Duration>, duration_max: Option<Duration>) -> String {
    let mut terms: Vec<FieldExpr> = tags.iter().map(|(name, value)| term(name, value)).collect();
    for (op, duration) in [(FieldOp::GreaterEqual, duration_min), (FieldOp::LessEqual, duration_max)] {
        if let Some(duration) = duration {
            let nanos = Value::Duration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
            terms.push(compared(op, Attribute::Intrinsic(Intrinsic::TraceDuration), nanos));
        }
    }
    match terms.into_iter().reduce(|left, right| joined(FieldOp::And, left, right)) {
        Some(all) => format!("{{ {all} }}"),
        None => "{ }".to_owned(),
    }
}

fn joined(op: FieldOp, left: FieldExpr, right: FieldExpr) -> FieldExpr {
    FieldExpr::Binary { op, left: Box::new(left), right: Box::new(right) }
}

fn compared(op: FieldOp, attribute: Attribute, value: Value<'static>) -> FieldExpr {
    joined(op, FieldExpr::Attribute(attribute), FieldExpr::Static(value))
}

fn term(name: &str, value: &str) -> FieldExpr {
    let equal = |attribute, value| compared(FieldOp::Equal, attribute, value);
    let text = || Value::text(value.to_owned());
    match name {
        "name" => return equal(Attribute::Intrinsic(Intrinsic::Name), text()),
        "root.name" => return equal(Attribute::Intrinsic(Intrinsic::RootName), text()),
        "root.service.name" => return equal(Attribute::Intrinsic(Intrinsic::RootService), text()),
        "status" | "status.code" => return equal(Attribute::Intrinsic(Intrinsic::Status), Value::Status(Status::of_name(value))),
        "kind" => return equal(Attribute::Intrinsic(Intrinsic::Kind), Value::Kind(Kind::of_name(value))),
        "error" if value == "true" => return equal(Attribute::Intrinsic(Intrinsic::Status), Value::Status(Status::Error)),
        _ => {}
    }
    let attribute = attribute(name);
    let others = [value.parse().ok().map(Value::Int), value.parse().ok().filter(|value: &f64| value.is_finite()).map(Value::Float)];
    let others = others.into_iter().flatten().take(1).chain(value.parse().ok().map(Value::Bool));
    others.map(|value| equal(attribute.clone(), value)).fold(equal(attribute.clone(), text()), |any, other| joined(FieldOp::Or, any, other))
}

/// A tag's name, with or without a scope; what looks like an intrinsic is one.
pub(super) fn attribute(name: &str) -> Attribute {
    if name == "service.name" {
        return Attribute::Key { scope: Scope::Resource, parent: false, name: name.to_owned() };
    }
    if let Ok(attribute) = lang::traceql::read_attribute(name) {
        return attribute;
    }
    let scoped = Scope::NAMED.into_iter().find_map(|scope| Some((scope, name.strip_prefix(scope.name())?.strip_prefix('.')?)));
    let (scope, name) = scoped.filter(|(_, name)| !name.is_empty()).unwrap_or((Scope::Any, name.strip_prefix('.').unwrap_or(name)));
    Attribute::Key { scope, parent: false, name: name.to_owned() }
}

/// logfmt: `service.name=api http.status_code=500 name="GET /"`.
pub(super) fn tags_of(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut tags = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(|| format!("{rest:?} has no ="))?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(format!("{name:?} is not a tag's name"));
        }
        let (value, after) = match after.strip_prefix('"') {
            None => {
                let end = after.find(char::is_whitespace).unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
            Some(quoted) => {
                let mut value = String::new();
                let mut characters = quoted.char_indices();
                let end = loop {
                    match characters.next() {
                        Some((at, '"')) => break at,
                        Some((_, '\\')) => value.extend(characters.next().map(|(_, c)| c)),
                        Some((_, c)) => value.push(c),
                        None => return Err(format!("{rest:?} has a quote that does not end")),
                    }
                };
                (value, &quoted[end + 1..])
            }
        };
        tags.push((name.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_logfmt() {
        let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(tags_of(r#" a.b=1  name="GET \"/\"" c= "#).unwrap(), [tag("a.b", "1"), tag("name", "GET \"/\""), tag("c", "")]);
        for bad in ["a", "=b", "a=\"b", "a b=c"] {
            tags_of(bad).unwrap_err();
        }
    }

    #[test]
    fn tags_mean_traceql() {
        let check = |tags: &str, expect: &str| {
            let query = query(&tags_of(tags).unwrap(), None, Some(Duration::from_secs(1)));
            assert_eq!(query, expect);
            lang::traceql::read(&query).unwrap();
        };
        check("", "{ traceDuration <= 1s }");
        check("name=x", "{ (name = `x`) && (traceDuration <= 1s) }");
        check("http.code=500", "{ ((.http.code = `500`) || (.http.code = 500)) && (traceDuration <= 1s) }");
        check("span.ok=true", "{ ((span.ok = `true`) || (span.ok = true)) && (traceDuration <= 1s) }");
        check("error=true", "{ (status = error) && (traceDuration <= 1s) }");
        check("service.name=a", "{ (resource.service.name = `a`) && (traceDuration <= 1s) }");
    }
}
