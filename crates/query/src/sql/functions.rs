use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampNanosecondType};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit};
use datafusion::prelude::Expr;
use model::patterns::Patterns;

use super::patterns::LogPattern;

/// Of all timestamps here, so that they compare with `now()`.
const UTC: &str = "+00:00";

pub(super) fn all(patterns: Arc<Patterns>) -> Vec<Arc<ScalarUDF>> {
    let to_time = ToTime { signature: Signature::exact(vec![DataType::Int64], Volatility::Immutable) };
    let now = NowUnixNano { signature: Signature::nullary(Volatility::Stable) };
    let [text, id] = [false, true].map(|is_id| LogPattern::new(patterns.clone(), is_id));
    vec![ScalarUDF::from(to_time).into(), ScalarUDF::from(now).into(), ScalarUDF::from(text).into(), ScalarUDF::from(id).into()]
}

/// `to_time(ns)`: the timestamp so many nanoseconds after the Unix epoch.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToTime {
    signature: Signature,
}

impl ScalarUDFImpl for ToTime {
    fn name(&self) -> &str {
        "to_time"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &args.args[0] {
            ColumnarValue::Scalar(ScalarValue::Int64(nanos)) => {
                Ok(ColumnarValue::Scalar(ScalarValue::TimestampNanosecond(*nanos, Some(UTC.into()))))
            }
            ColumnarValue::Array(nanos) if nanos.data_type() == &DataType::Int64 => {
                let times = nanos.as_primitive::<Int64Type>().reinterpret_cast::<TimestampNanosecondType>();
                Ok(ColumnarValue::Array(Arc::new(times.with_timezone(UTC))))
            }
            other => exec_err!("to_time takes nanoseconds as BIGINT, not {}", other.data_type()),
        }
    }
}

/// `now_unix_nano()`: the instant at which the query began, the same wherever the query says it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct NowUnixNano {
    signature: Signature,
}

impl ScalarUDFImpl for NowUnixNano {
    fn name(&self) -> &str {
        "now_unix_nano"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let nanos = context.query_execution_start_time().and_then(|time| time.timestamp_nanos_opt());
        Ok(match nanos {
            Some(nanos) => ExprSimplifyResult::Simplified(lit(nanos)),
            None => ExprSimplifyResult::Original(args),
        })
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("now_unix_nano() has no value outside of a query")
    }
}
