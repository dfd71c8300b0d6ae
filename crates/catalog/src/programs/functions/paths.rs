//! `exists` and `del`, which take a path.

use vrl::compiler::expression::Query;
use vrl::compiler::function::{Error, Example};
use vrl::compiler::prelude::{ArgumentList, Compiled, FunctionCompileContext, Parameter, kind};
use vrl::compiler::state::TypeInfo;
use vrl::compiler::{Context, Expression, Function, Resolved, TypeDef, TypeState};
use vrl::value::Value;

#[derive(Clone, Copy, Debug)]
pub(super) struct Exists;

#[derive(Clone, Copy, Debug)]
pub(super) struct Del;

#[derive(Clone, Debug)]
struct ExistsCall(Query);

#[derive(Clone, Debug)]
struct DelCall(Query);

macro_rules! described {
    ($name:literal, $keyword:literal, $gives:expr) => {
        fn identifier(&self) -> &'static str {
            $name
        }

        fn usage(&self) -> &'static str {
            "docs/pipelines.md"
        }

        fn category(&self) -> &'static str {
            "Tyto"
        }

        fn return_kind(&self) -> u16 {
            $gives
        }

        fn examples(&self) -> &'static [Example] {
            &[]
        }

        fn parameters(&self) -> &'static [Parameter] {
            const TAKES: [Parameter; 1] = [Parameter::required($keyword, kind::ANY, "")];
            &TAKES
        }
    };
}

impl Function for Exists {
    described!("exists", "field", kind::BOOLEAN);

    fn compile(&self, _: &TypeState, _: &mut FunctionCompileContext, arguments: ArgumentList) -> Compiled {
        Ok(Box::new(ExistsCall(arguments.required_query("field")?)))
    }
}

impl Function for Del {
    described!("del", "target", kind::ANY);

    fn pure(&self) -> bool {
        false
    }

    fn compile(&self, _: &TypeState, context: &mut FunctionCompileContext, arguments: ArgumentList) -> Compiled {
        let query = arguments.required_query("target")?;
        if query.external_path().is_some_and(|path| context.is_read_only_path(path)) {
            return Err(Error::ReadOnlyMutation { context: format!("{query} is read-only, and cannot be deleted") }.into());
        }
        Ok(Box::new(DelCall(query)))
    }
}

impl Expression for ExistsCall {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let Self(query) = self;
        let found = match (query.external_path(), query.variable_ident(), query.expression_target()) {
            (Some(path), ..) => context.target().target_get(path).ok().flatten().is_some(),
            (_, Some(name), _) => context.state().variable(name).is_some_and(|value| value.get(query.path()).is_some()),
            (.., Some(expression)) => expression.resolve(context)?.get(query.path()).is_some(),
            _ => false,
        };
        Ok(found.into())
    }

    fn type_info(&self, state: &TypeState) -> TypeInfo {
        TypeInfo::new(state, TypeDef::boolean().infallible())
    }
}

impl Expression for DelCall {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let Self(query) = self;
        let removed = match (query.external_path(), query.variable_ident(), query.expression_target()) {
            (Some(path), ..) => context.target_mut().target_remove(path, false).ok().flatten(),
            (_, Some(name), _) => context.state_mut().variable_mut(name).and_then(|value| value.remove(query.path(), false)),
            (.., Some(expression)) => expression.resolve(context)?.get(query.path()).cloned(),
            _ => None,
        };
        Ok(removed.unwrap_or(Value::Null))
    }

    fn type_info(&self, state: &TypeState) -> TypeInfo {
        let mut state = state.clone();
        let removed = self.0.apply_type_info(&mut state).impure();
        self.0.delete_type_def(&mut state.external, false);
        TypeInfo::new(state, removed)
    }
}

impl std::fmt::Display for ExistsCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exists({})", self.0)
    }
}

impl std::fmt::Display for DelCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "del({})", self.0)
    }
}
