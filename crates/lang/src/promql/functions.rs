use super::ast::Type;
use Type::{Matrix, Scalar, Text, Vector};

/// What a function takes and gives.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: &'static str,
    pub args: &'static [Type],
    pub optional: Optional,
    pub returns: Type,
}

/// How many of the arguments may be left out or repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optional {
    None,
    /// The last so many may be left out.
    Last(usize),
    /// The last may be left out or repeated without end.
    Repeat,
    /// The last may be repeated up to so many times in all.
    RepeatAtMost(usize),
}

impl Function {
    pub fn named(name: &str) -> Option<&'static Self> {
        FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().map(|index| &FUNCTIONS[index])
    }

    /// Whether Prometheus wants it switched on.
    pub fn is_experimental(&self) -> bool {
        matches!(
            self.name,
            "double_exponential_smoothing"
                | "end"
                | "histogram_quantiles"
                | "info"
                | "mad_over_time"
                | "max_of"
                | "min_of"
                | "range"
                | "sort_by_label"
                | "sort_by_label_desc"
                | "start"
                | "start_timestamp"
                | "step"
                | "ts_of_first_over_time"
                | "ts_of_last_over_time"
                | "ts_of_max_over_time"
                | "ts_of_min_over_time"
        )
    }

    /// Fewest and most arguments; no most when endless.
    pub fn arity(&self) -> (usize, Option<usize>) {
        let all = self.args.len();
        match self.optional {
            Optional::None => (all, Some(all)),
            Optional::Last(count) => (all - count, Some(all)),
            Optional::Repeat => (all - 1, None),
            Optional::RepeatAtMost(count) => (all, Some(all - 1 + count)),
        }
    }

    pub fn arg_type(&self, index: usize) -> Type {
        self.args[index.min(self.args.len() - 1)]
    }
}

const fn function(name: &'static str, args: &'static [Type], returns: Type) -> Function {
    Function { name, args, optional: Optional::None, returns }
}

const fn with(name: &'static str, args: &'static [Type], optional: Optional, returns: Type) -> Function {
    Function { name, args, optional, returns }
}

/// Every function, sorted by name; those that Prometheus calls experimental are ordinary here.
pub static FUNCTIONS: &[Function] = &[
    function("abs", &[Vector], Vector),
    function("absent", &[Vector], Vector),
    function("absent_over_time", &[Matrix], Vector),
    function("acos", &[Vector], Vector),
    function("acosh", &[Vector], Vector),
    function("asin", &[Vector], Vector),
    function("asinh", &[Vector], Vector),
    function("atan", &[Vector], Vector),
    function("atanh", &[Vector], Vector),
    function("avg_over_time", &[Matrix], Vector),
    function("ceil", &[Vector], Vector),
    function("changes", &[Matrix], Vector),
    function("clamp", &[Vector, Scalar, Scalar], Vector),
    function("clamp_max", &[Vector, Scalar], Vector),
    function("clamp_min", &[Vector, Scalar], Vector),
    function("cos", &[Vector], Vector),
    function("cosh", &[Vector], Vector),
    function("count_over_time", &[Matrix], Vector),
    with("day_of_month", &[Vector], Optional::Last(1), Vector),
    with("day_of_week", &[Vector], Optional::Last(1), Vector),
    with("day_of_year", &[Vector], Optional::Last(1), Vector),
    with("days_in_month", &[Vector], Optional::Last(1), Vector),
    function("deg", &[Vector], Vector),
    function("delta", &[Matrix], Vector),
    function("deriv", &[Matrix], Vector),
    function("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Vector),
    function("end", &[], Scalar),
    function("exp", &[Vector], Vector),
    function("first_over_time", &[Matrix], Vector),
    function("floor", &[Vector], Vector),
    function("histogram_avg", &[Vector], Vector),
    function("histogram_count", &[Vector], Vector),
    function("histogram_fraction", &[Scalar, Scalar, Vector], Vector),
    function("histogram_quantile", &[Scalar, Vector], Vector),
    with("histogram_quantiles", &[Vector, Text, Scalar], Optional::RepeatAtMost(10), Vector),
    function("histogram_stddev", &[Vector], Vector),
    function("histogram_stdvar", &[Vector], Vector),
    function("histogram_sum", &[Vector], Vector),
    with("hour", &[Vector], Optional::Last(1), Vector),
    function("idelta", &[Matrix], Vector),
    function("increase", &[Matrix], Vector),
    with("info", &[Vector, Vector], Optional::Last(1), Vector),
    function("irate", &[Matrix], Vector),
    with("label_join", &[Vector, Text, Text, Text], Optional::Repeat, Vector),
    function("label_replace", &[Vector, Text, Text, Text, Text], Vector),
    function("last_over_time", &[Matrix], Vector),
    function("ln", &[Vector], Vector),
    function("log10", &[Vector], Vector),
    function("log2", &[Vector], Vector),
    function("mad_over_time", &[Matrix], Vector),
    function("max_of", &[Scalar, Scalar], Scalar),
    function("max_over_time", &[Matrix], Vector),
    function("min_of", &[Scalar, Scalar], Scalar),
    function("min_over_time", &[Matrix], Vector),
    with("minute", &[Vector], Optional::Last(1), Vector),
    with("month", &[Vector], Optional::Last(1), Vector),
    function("pi", &[], Scalar),
    function("predict_linear", &[Matrix, Scalar], Vector),
    function("present_over_time", &[Matrix], Vector),
    function("quantile_over_time", &[Scalar, Matrix], Vector),
    function("rad", &[Vector], Vector),
    function("range", &[], Scalar),
    function("rate", &[Matrix], Vector),
    function("resets", &[Matrix], Vector),
    with("round", &[Vector, Scalar], Optional::Last(1), Vector),
    function("scalar", &[Vector], Scalar),
    function("sgn", &[Vector], Vector),
    function("sin", &[Vector], Vector),
    function("sinh", &[Vector], Vector),
    function("sort", &[Vector], Vector),
    with("sort_by_label", &[Vector, Text], Optional::Repeat, Vector),
    with("sort_by_label_desc", &[Vector, Text], Optional::Repeat, Vector),
    function("sort_desc", &[Vector], Vector),
    function("sqrt", &[Vector], Vector),
    function("start", &[], Scalar),
    function("start_timestamp", &[Vector], Vector),
    function("stddev_over_time", &[Matrix], Vector),
    function("stdvar_over_time", &[Matrix], Vector),
    function("step", &[], Scalar),
    function("sum_over_time", &[Matrix], Vector),
    function("tan", &[Vector], Vector),
    function("tanh", &[Vector], Vector),
    function("time", &[], Scalar),
    function("timestamp", &[Vector], Vector),
    function("ts_of_first_over_time", &[Matrix], Vector),
    function("ts_of_last_over_time", &[Matrix], Vector),
    function("ts_of_max_over_time", &[Matrix], Vector),
    function("ts_of_min_over_time", &[Matrix], Vector),
    function("vector", &[Scalar], Vector),
    with("year", &[Vector], Optional::Last(1), Vector),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_found_by_name() {
        assert!(FUNCTIONS.is_sorted_by_key(|function| function.name));
        assert!(FUNCTIONS.iter().all(|function| Function::named(function.name) == Some(function)));
        assert_eq!(Function::named("nope"), None);
    }
}
