//! What a program may call: VRL's own names, with VRL's own meaning. Refused: the crate's standard library, which knows DNS, the
//! environment and the clock of the host, brings a C library, and doubles the time of a build.
//!
//! A function is a row of a table: its name, what it takes, what it gives, whether it can fail. `texts.rs` has those of texts, `numbers.rs`
//! those of numbers, times and kinds, `parsing.rs` those that read and write formats. `paths.rs` has the two that take a path and no value.

mod numbers;
mod parsing;
mod paths;
mod texts;

pub use parsing::of_json;

use std::borrow::Cow;

use vrl::compiler::function::Example;
use vrl::compiler::prelude::{ArgumentList, Compiled, FunctionCompileContext, Parameter, kind};
use vrl::compiler::{Context, Expression, Function, FunctionExpression, Resolved, TypeDef, TypeState};
use vrl::value::kind::Collection;
use vrl::value::{Kind, Value};

/// No function gives a longer text.
pub(super) const TEXT_BYTES_MAX: usize = 4 << 20;

/// Arguments in the order of the parameters; those that were left out are none.
type Arguments<'a> = [Option<Cow<'a, Value>>];
type Given = Result<Value, String>;

/// A row of the table.
pub(super) struct Row {
    name: &'static str,
    takes: &'static [Parameter],
    /// Bits of [`kind`].
    gives: u16,
    can_fail: bool,
    run: fn(&Arguments<'_>) -> Given,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn sure(name: &'static str, takes: &'static [Parameter], gives: u16, run: fn(&Arguments<'_>) -> Given) -> Row {
    Row { name, takes, gives, can_fail: false, run }
}

const fn may_fail(name: &'static str, takes: &'static [Parameter], gives: u16, run: fn(&Arguments<'_>) -> Given) -> Row {
    Row { name, takes, gives, can_fail: true, run }
}

const fn takes(keyword: &'static str, kind: u16) -> Parameter {
    Parameter::required(keyword, kind, "")
}

const fn may_take(keyword: &'static str, kind: u16) -> Parameter {
    Parameter::optional(keyword, kind, "")
}

const VALUE: [Parameter; 1] = [takes("value", kind::ANY)];
const TEXT: [Parameter; 1] = [takes("value", kind::BYTES)];

pub(super) fn all() -> &'static [Box<dyn Function>] {
    static ALL: std::sync::LazyLock<Vec<Box<dyn Function>>> = std::sync::LazyLock::new(|| {
        let rows = texts::ROWS.iter().chain(numbers::ROWS).chain(parsing::ROWS);
        let rows = rows.map(|row| Box::new(Called { row }) as Box<dyn Function>);
        rows.chain([Box::new(paths::Exists) as Box<dyn Function>, Box::new(paths::Del)]).collect()
    });
    &ALL
}

#[derive(Clone, Copy, Debug)]
struct Called {
    row: &'static Row,
}

impl Function for Called {
    fn identifier(&self) -> &'static str {
        self.row.name
    }

    fn usage(&self) -> &'static str {
        "docs/pipelines.md"
    }

    fn category(&self) -> &'static str {
        "Tyto"
    }

    fn return_kind(&self) -> u16 {
        self.row.gives
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn parameters(&self) -> &'static [Parameter] {
        self.row.takes
    }

    fn compile(&self, state: &TypeState, _: &mut FunctionCompileContext, arguments: ArgumentList) -> Compiled {
        let arguments = self.row.takes.iter().map(|parameter| {
            let expression = arguments.optional(parameter.keyword)?;
            Some(expression.resolve_constant(state).map_or_else(|| Argument::Asked(expression.clone()), Argument::Constant))
        });
        Ok(Call { row: self.row, arguments: arguments.collect() }.as_expr())
    }
}

/// A regular expression that is written in the program is made once, not for each record.
#[derive(Clone, Debug)]
enum Argument {
    Constant(Value),
    Asked(Box<dyn Expression>),
}

#[derive(Clone, Debug)]
struct Call {
    row: &'static Row,
    arguments: Vec<Option<Argument>>,
}

impl FunctionExpression for Call {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let mut given = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            given.push(match argument {
                None => None,
                Some(Argument::Constant(value)) => Some(Cow::Borrowed(value)),
                Some(Argument::Asked(expression)) => Some(Cow::Owned(expression.resolve(context)?)),
            });
        }
        (self.row.run)(&given).map_err(|why| format!("{} cannot: {why}", self.row.name).into())
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        let kind = kind_of(self.row.gives);
        TypeDef::any().with_kind(kind).maybe_fallible(self.row.can_fail)
    }
}

fn kind_of(bits: u16) -> Kind {
    let mut kind = Kind::never();
    let has = |bit: u16| bits & bit != 0;
    if has(kind::BYTES) {
        kind.add_bytes();
    }
    if has(kind::INTEGER) {
        kind.add_integer();
    }
    if has(kind::FLOAT) {
        kind.add_float();
    }
    if has(kind::BOOLEAN) {
        kind.add_boolean();
    }
    if has(kind::TIMESTAMP) {
        kind.add_timestamp();
    }
    if has(kind::REGEX) {
        kind.add_regex();
    }
    if has(kind::NULL) {
        kind.add_null();
    }
    if has(kind::OBJECT) {
        kind.add_object(Collection::any());
    }
    if has(kind::ARRAY) {
        kind.add_array(Collection::any());
    }
    kind
}

fn wrong(value: &Value, wanted: &str) -> String {
    format!("it takes {wanted}, not {}", value.kind())
}

fn value<'a>(arguments: &'a Arguments<'_>, at: usize) -> &'a Value {
    arguments.get(at).and_then(Option::as_deref).unwrap_or(&Value::Null)
}

fn text<'a>(arguments: &'a Arguments<'_>, at: usize) -> Result<Cow<'a, str>, String> {
    let value = value(arguments, at);
    value.to_str_lossy().ok_or_else(|| wrong(value, "a string"))
}

fn integer(arguments: &Arguments<'_>, at: usize) -> Result<i64, String> {
    let value = value(arguments, at);
    value.as_integer().ok_or_else(|| wrong(value, "an integer"))
}

/// What was left out is `otherwise`.
fn flag(arguments: &Arguments<'_>, at: usize, otherwise: bool) -> bool {
    value(arguments, at).as_boolean().unwrap_or(otherwise)
}

/// A text under the limit.
fn short(text: String) -> Given {
    if text.len() > TEXT_BYTES_MAX {
        Err(format!("{} bytes are over text_bytes_max, {TEXT_BYTES_MAX}", text.len()))
    } else {
        Ok(text.into())
    }
}
