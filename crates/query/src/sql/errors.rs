//! DataFusion's errors as ours: a mistake of the asker is not a fault of Tyto.

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use model::{Code, Error};

pub(super) fn parsing(error: DataFusionError) -> Error {
    translate(&error, "cannot parse SQL")
}

pub(super) fn planning(error: DataFusionError) -> Error {
    translate(&error, "cannot plan the SQL query")
}

pub(super) fn computing(error: DataFusionError) -> Error {
    translate(&error, "cannot compute the SQL answer")
}

fn translate(error: &DataFusionError, what: &str) -> Error {
    use DataFusionError as E;
    let (code, message) = match error {
        E::Context(_, inner) | E::Diagnostic(_, inner) => return translate(inner, what),
        E::Shared(inner) => return translate(inner, what),
        E::Collection(errors) if !errors.is_empty() => return translate(&errors[0], what),
        E::External(external) => match own(&**external) {
            Some(error) => return error,
            None if external.is::<regex::Error>() => (Code::Invalid, external.to_string()),
            None => (Code::Internal, external.to_string()),
        },
        E::ArrowError(arrow, _) => return of_arrow(arrow, what),
        E::SQL(parser, _) => (Code::Invalid, parser.to_string()),
        E::Plan(text) | E::Configuration(text) | E::Execution(text) => (Code::Invalid, text.clone()),
        E::SchemaError(schema, _) => (Code::Invalid, schema.to_string()),
        E::NotImplemented(text) => (Code::Unsupported, text.clone()),
        E::ResourcesExhausted(text) => (Code::LimitExceeded, text.clone()),
        E::IoError(io) => (Code::Unavailable, io.to_string()),
        other => (Code::Internal, other.to_string()),
    };
    let what = match code {
        Code::LimitExceeded => "cannot compute the SQL answer within query_memory_bytes_max",
        _ => what,
    };
    Error::new(code, what).because(clean(&message))
}

/// An error that a scan of ours gave: it already has its code and words.
fn own(external: &(dyn std::error::Error + Send + Sync + 'static)) -> Option<Error> {
    if let Some(error) = external.downcast_ref::<Error>() {
        let copy = Error::new(error.code, error.what.clone());
        return Some(match &error.source {
            Some(source) => copy.because(source.to_string()),
            None => copy,
        });
    }
    external.downcast_ref::<DataFusionError>().map(|error| translate(error, "cannot compute the SQL answer"))
}

fn of_arrow(arrow: &ArrowError, what: &str) -> Error {
    let code = match arrow {
        ArrowError::ExternalError(external) => match own(&**external) {
            Some(error) => return error,
            None => Code::Internal,
        },
        ArrowError::NotYetImplemented(_) => Code::Unsupported,
        ArrowError::MemoryError(_) => Code::LimitExceeded,
        // What the asker's numbers and texts do to arithmetic, casts and patterns.
        ArrowError::CastError(_)
        | ArrowError::ParseError(_)
        | ArrowError::ComputeError(_)
        | ArrowError::DivideByZero
        | ArrowError::ArithmeticOverflow(_)
        | ArrowError::InvalidArgumentError(_) => Code::Invalid,
        _ => Code::Internal,
    };
    Error::new(code, what).because(clean(&arrow.to_string()))
}

/// Without a trailing backtrace and the advice to report a bug to another project.
fn clean(message: &str) -> String {
    let message = message.split("\n\nbacktrace:").next().unwrap_or(message);
    let message = message.split("\nThis issue was likely caused by").next().unwrap_or(message);
    message.trim().trim_start_matches("sql parser error: ").to_owned()
}
