//! The patterns of log bodies as functions.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use hashbrown::HashMap;
use model::patterns::{Learning, Patterns};

/// `log_pattern(body)`: the text of the body's pattern; `log_pattern_id(body)`: its id, 16 hexadecimal digits.
#[derive(Debug)]
pub(super) struct LogPattern {
    patterns: Shared,
    signature: Signature,
    is_id: bool,
}

/// There is one in a session.
struct Shared(Arc<Patterns>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Patterns")
    }
}

impl LogPattern {
    pub(super) fn new(patterns: Arc<Patterns>, is_id: bool) -> Self {
        // What is learned from one line may change what another is counted under.
        Self { patterns: Shared(patterns), signature: Signature::exact(vec![DataType::Utf8], Volatility::Stable), is_id }
    }

    fn of(&self, bodies: &dyn Array) -> ArrayRef {
        let bodies = bodies.as_string::<i32>();
        let lines = bodies.iter().flatten().map(|body| (body, None));
        let mut ids = self.patterns.0.ids(lines, Learning::WhenThereIsRoom).into_iter();
        let mut texts: HashMap<u64, String> = HashMap::new();
        let mut built = StringBuilder::new();
        for body in bodies {
            match body.and_then(|body| Some((body, ids.next()?))) {
                None => built.append_null(),
                Some((body, id)) => {
                    let id = self.patterns.0.current(id);
                    built.append_value(texts.entry(id).or_insert_with(|| match self.is_id {
                        true => format!("{id:016x}"),
                        false => self.patterns.0.text(body, id),
                    }));
                }
            }
        }
        Arc::new(built.finish())
    }
}

impl PartialEq for LogPattern {
    fn eq(&self, other: &Self) -> bool {
        self.is_id == other.is_id
    }
}

impl Eq for LogPattern {}

impl Hash for LogPattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.is_id.hash(state);
    }
}

impl ScalarUDFImpl for LogPattern {
    fn name(&self) -> &str {
        if self.is_id { "log_pattern_id" } else { "log_pattern" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &args.args[0] {
            ColumnarValue::Array(bodies) if bodies.data_type() == &DataType::Utf8 => Ok(ColumnarValue::Array(self.of(bodies))),
            ColumnarValue::Scalar(scalar @ ScalarValue::Utf8(_)) => {
                let one = self.of(&scalar.to_array()?);
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&one, 0)?))
            }
            other => exec_err!("{} takes a text, not {}", self.name(), other.data_type()),
        }
    }
}
