//! What a scan can look for itself, so that rows which cannot matter are never read.

use lang::traceql::{Attribute, FieldExpr, FieldOp, Intrinsic, Join, Pipeline, Scope, SpansetExpr, SpansetOp, Stage, Value};
use model::{Filter, Subject, Test};

use super::source::{identity_field, is_service};

/// Splits what spans must pass into filters of a scan and the rest. Every span that passes is let through by the filters; those that
/// are let through must still pass the rest, of which only what a span alone can tell is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Narrowed {
    pub(super) filters: Vec<Filter>,
    /// None when a row that comes through has passed.
    pub(super) rest: Option<FieldExpr>,
    /// The whole question is answered by filters and rest: nothing of it needs the whole trace.
    pub(super) is_whole: bool,
}

impl Narrowed {
    pub(super) fn of(field: &FieldExpr) -> Self {
        let mut narrowed = Self { is_whole: true, ..Self::default() };
        narrowed.add(field);
        narrowed
    }

    fn add(&mut self, field: &FieldExpr) {
        if let FieldExpr::Binary { op: FieldOp::And, left, right } = field {
            self.add(left);
            self.add(right);
            return;
        }
        if matches!(field, FieldExpr::Static(Value::Bool(true))) {
            return;
        }
        if !is_local(field) {
            self.is_whole = false;
            return;
        }
        let (filter, is_exact) = filter_of(field);
        self.filters.extend(filter);
        if is_exact {
            return;
        }
        self.rest = Some(match self.rest.take() {
            None => field.clone(),
            Some(rest) => FieldExpr::Binary { op: FieldOp::And, left: Box::new(rest), right: Box::new(field.clone()) },
        });
    }
}

/// Whether a span alone, without its trace, can tell.
fn is_local(field: &FieldExpr) -> bool {
    let mut attributes = Vec::new();
    field.attributes(&mut attributes);
    attributes.into_iter().all(|attribute| match attribute {
        Attribute::Intrinsic(intrinsic) => intrinsic.is_local(),
        Attribute::Key { parent, .. } => !parent,
    })
}

/// What a span must pass for its trace to be an answer: at least one of every trace that is does.
pub(super) fn candidate(pipeline: &Pipeline) -> FieldExpr {
    match pipeline.stages.first() {
        Some(Stage::Spans(spans)) => candidate_of(spans),
        _ => FieldExpr::Static(Value::Bool(true)),
    }
}

fn candidate_of(spans: &SpansetExpr) -> FieldExpr {
    match spans {
        SpansetExpr::Filter(field) => field.clone(),
        SpansetExpr::Pipeline(pipeline) => candidate(pipeline),
        SpansetExpr::Operation { op: SpansetOp::Or, left, right } => {
            let (left, right) = (candidate_of(left), candidate_of(right));
            match is_local(&left) && is_local(&right) {
                true => FieldExpr::Binary { op: FieldOp::Or, left: Box::new(left), right: Box::new(right) },
                false => FieldExpr::Static(Value::Bool(true)),
            }
        }
        SpansetExpr::Operation { op: SpansetOp::Related(_, Join::Not), right, .. } => candidate_of(right),
        SpansetExpr::Operation { left, right, .. } => {
            let (left, right) = (candidate_of(left), candidate_of(right));
            let narrows = |field: &FieldExpr| Narrowed::of(field).filters.iter().map(rarity).sum::<u32>();
            if narrows(&left) > narrows(&right) { left } else { right }
        }
    }
}

/// How few spans a filter is likely to let through: of two sides that a trace must have, the spans of the rarer one are looked for.
fn rarity(filter: &Filter) -> u32 {
    match (&filter.subject, &filter.test) {
        (_, Test::NotEqual(_) | Test::NotRegex(_) | Test::NotContains(_) | Test::NotSearch(_)) => 1,
        (Subject::Column(name), _) => match name.as_str() {
            "trace_id" | "span_id" | "parent_span_id" => 16,
            "status_code" | "status_message" => 8,
            "kind" => 1,
            _ => 4,
        },
        _ => 4,
    }
}

/// The filter that lets through whatever passes, and whether it lets through nothing else.
fn filter_of(field: &FieldExpr) -> (Option<Filter>, bool) {
    let (op, attribute, values) = match field {
        FieldExpr::Attribute(attribute) => return (entry(attribute, Test::Contains("true".to_owned())), false),
        FieldExpr::Binary { op, left, right } => match (&**left, &**right) {
            (FieldExpr::Attribute(attribute), FieldExpr::Static(value)) => (*op, attribute, std::slice::from_ref(value)),
            (FieldExpr::Static(value), FieldExpr::Attribute(attribute)) if *op == FieldOp::Equal => {
                (*op, attribute, std::slice::from_ref(value))
            }
            _ => return (None, false),
        },
        FieldExpr::AnyOf { regex, negated: false, of, values } => match &**of {
            FieldExpr::Attribute(attribute) => (if *regex { FieldOp::Regex } else { FieldOp::Equal }, attribute, values.as_slice()),
            _ => return (None, false),
        },
        _ => return (None, false),
    };
    if let (Attribute::Intrinsic(Intrinsic::Duration), [value]) = (attribute, values) {
        return of_duration(op, value);
    }
    match column_of(attribute) {
        Some(column) => of_column(column, attribute, op, values),
        None => (of_entry(attribute, op, values), false),
    }
}

/// A column that is the attribute's value.
fn column_of(attribute: &Attribute) -> Option<&'static str> {
    use Intrinsic::*;
    match attribute {
        Attribute::Intrinsic(intrinsic) => Some(match intrinsic {
            Name => "name",
            Status => "status_code",
            StatusMessage => "status_message",
            Kind => "kind",
            TraceId => "trace_id",
            SpanId => "span_id",
            ParentId => "parent_span_id",
            ScopeName => "scope_name",
            ScopeVersion => "scope_version",
            _ => return None,
        }),
        attribute => is_service(attribute).then_some("service_name"),
    }
}

/// What a column says that says nothing, and the values that it says then.
fn says_nothing(attribute: &Attribute) -> &'static str {
    match attribute {
        Attribute::Intrinsic(Intrinsic::Status) => "unset",
        Attribute::Intrinsic(Intrinsic::Kind) => "unspecified",
        _ => "",
    }
}

fn of_column(column: &str, attribute: &Attribute, op: FieldOp, values: &[Value<'_>]) -> (Option<Filter>, bool) {
    let digits = match attribute {
        Attribute::Intrinsic(Intrinsic::TraceId) => 32,
        Attribute::Intrinsic(Intrinsic::SpanId | Intrinsic::ParentId) => 16,
        _ => 0,
    };
    let mut texts = Vec::with_capacity(values.len());
    for value in values {
        texts.push(match value {
            Value::Text(text) if digits > 0 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                format!("{:0>digits$}", text.to_ascii_lowercase())
            }
            Value::Text(text) => text.clone().into_owned(),
            Value::Status(status) => status.name().to_owned(),
            Value::Kind(kind) => kind.name().to_owned(),
            _ => return (None, false),
        });
    }
    let nothing = says_nothing(attribute);
    if !nothing.is_empty() && texts.iter().any(|text| text == nothing) {
        texts.push(String::new());
    }
    // Where nothing is said, there is no name of a service or scope, and no filter that can say so.
    let may_be_missing = is_service(attribute) || matches!(attribute, Attribute::Intrinsic(Intrinsic::ScopeName | Intrinsic::ScopeVersion));
    let test = match (op, &texts[..]) {
        (FieldOp::Equal, [text]) if may_be_missing && text.is_empty() => return (None, false),
        (FieldOp::Equal, [text]) => Test::Equal(text.clone()),
        (FieldOp::Equal, _) => Test::OneOf(texts),
        (FieldOp::NotEqual, [text]) if !may_be_missing && nothing != text => Test::NotEqual(text.clone()),
        (FieldOp::Regex, texts) => {
            let all: Vec<_> = texts.iter().map(|text| format!("(?:{})", lang::regex_text(text))).collect();
            let test = match texts {
                [one] => Test::Regex(lang::regex_text(one).into_owned()),
                _ => Test::Regex(all.join("|")),
            };
            return (Some(of(column, test)), !may_be_missing);
        }
        _ => return (None, false),
    };
    (Some(of(column, test)), true)
}

/// Durations are whole numbers of nanoseconds, so that all of the comparison is in the range of those that pass.
fn of_duration(op: FieldOp, value: &Value<'_>) -> (Option<Filter>, bool) {
    let (Value::Duration(nanos) | Value::Int(nanos)) = *value else { return (None, false) };
    let range = match op {
        FieldOp::Equal => Some((nanos, nanos)),
        FieldOp::Greater => nanos.checked_add(1).map(|least| (least, i64::MAX)),
        FieldOp::GreaterEqual => Some((nanos, i64::MAX)),
        FieldOp::Less => nanos.checked_sub(1).map(|greatest| (i64::MIN, greatest)),
        FieldOp::LessEqual => Some((i64::MIN, nanos)),
        _ => None,
    };
    let filter = range.map(|(least, greatest)| of("duration_nano", Test::Integers(least, greatest)));
    let is_exact = filter.is_some();
    (filter, is_exact)
}

fn of(column: &str, test: Test) -> Filter {
    Filter { subject: Subject::Column(column.to_owned()), test }
}

/// Attributes are text in a map, arrays as JSON: what is looked for stands somewhere in it.
fn of_entry(attribute: &Attribute, op: FieldOp, values: &[Value<'_>]) -> Option<Filter> {
    let test = match (op, values) {
        (FieldOp::Equal, [value]) => Test::Contains(stored(value)?),
        (FieldOp::Equal, values) => {
            let texts = values.iter().map(|value| stored(value).map(|text| regex::escape(&text))).collect::<Option<Vec<_>>>()?;
            Test::Search(texts.join("|"))
        }
        (FieldOp::Regex, values) => {
            let texts = values.iter().map(|value| match value {
                Value::Text(text) if lang::whole(text).is_ok_and(|regex| !regex.is_match("")) => {
                    Some(format!("^(?s:{})$", lang::regex_text(text)))
                }
                _ => None,
            });
            let mut texts = texts.collect::<Option<Vec<_>>>()?;
            texts.push("^\\[".to_owned());
            Test::Search(texts.join("|"))
        }
        // A number has a text.
        (FieldOp::Greater | FieldOp::GreaterEqual | FieldOp::Less | FieldOp::LessEqual, [value]) if value.as_number().is_some() => {
            Test::NotEqual(String::new())
        }
        _ => return None,
    };
    entry(attribute, test)
}

fn entry(attribute: &Attribute, test: Test) -> Option<Filter> {
    let Attribute::Key { scope, name, .. } = attribute else { return None };
    let of = |column: &str| Subject::Entry { column: column.to_owned(), key: name.clone() };
    let identity = identity_field(attribute).map(|field| Subject::Column(field.to_owned()));
    let mut subjects = match scope {
        Scope::Any => vec![of("attributes"), of("resource_attributes")],
        Scope::Span => vec![of("attributes")],
        Scope::Resource => vec![of("resource_attributes")],
        Scope::Instrumentation => vec![of("scope_attributes")],
        Scope::Event | Scope::Link => return None,
    };
    subjects.extend(identity);
    let subject = if subjects.len() == 1 { subjects.remove(0) } else { Subject::FirstOf(subjects) };
    Some(Filter { subject, test })
}

/// A text that stands in whatever equals the value, stored alone or in an array.
fn stored(value: &Value<'_>) -> Option<String> {
    /// Up to here each whole number is one double.
    const EXACT_MAX: i64 = 1 << 53;
    match value {
        Value::Text(text) if !text.is_empty() && !text.contains(|c: char| c == '"' || c == '\\' || c.is_control()) => {
            Some(text.clone().into_owned())
        }
        Value::Bool(value) => Some(value.to_string()),
        // JSON has large doubles with an exponent.
        Value::Int(value) | Value::Duration(value) if value.abs() < EXACT_MAX => Some(value.to_string()).filter(|text| text.len() < 15),
        Value::Float(value) if *value == 0.0 => None,
        Value::Float(value) if (1e-3..1e14).contains(&value.abs()) => Some(value.to_string()),
        _ => None,
    }
}
