//! What a column says as a whole: where all of it keeps a rule, no row is asked. Lengths, bounds and what ids are made of are the rules that most contracts
//! have, and nearly every record keeps them.

use std::cell::{OnceCell, RefCell};

use arrow::array::{Array, Int32Array, StringArray};
use arrow::compute::{max, min};

use super::test::Test;
use super::value::Value;

/// Of a column without nulls.
pub(super) enum Summary<'a> {
    Texts {
        texts: &'a StringArray,
        /// Bytes of the shortest and of the longest.
        lengths: OnceCell<(usize, usize)>,
        /// Patterns that were asked. Many contracts have the same.
        patterns: RefCell<Vec<(String, bool)>>,
    },
    Ints(&'a Int32Array, OnceCell<(i64, i64)>),
    Unknown,
}

impl<'a> Summary<'a> {
    pub(super) fn of_texts(texts: &'a StringArray) -> Self {
        match texts.null_count() == 0 && !texts.is_empty() {
            true => Self::Texts { texts, lengths: OnceCell::new(), patterns: RefCell::default() },
            false => Self::Unknown,
        }
    }

    pub(super) fn of_ints(ints: &'a Int32Array) -> Self {
        if ints.null_count() == 0 && !ints.is_empty() { Self::Ints(ints, OnceCell::new()) } else { Self::Unknown }
    }

    /// Whether each value surely keeps the rule.
    pub(super) fn keeps(&self, test: &Test) -> bool {
        match self {
            Self::Unknown => false,
            Self::Texts { texts, lengths, patterns } => {
                let (least, most) = *lengths.get_or_init(|| lengths_of(texts));
                match test {
                    // A character has four bytes at most.
                    Test::MinLength(wanted) => least as u64 / 4 >= *wanted || *wanted == 1 && least > 0,
                    Test::MaxLength(wanted) => most as u64 <= *wanted,
                    Test::Pattern(pattern) => {
                        let mut asked = patterns.borrow_mut();
                        if let Some((_, all)) = asked.iter().find(|(text, _)| text == pattern.as_str()) {
                            return *all;
                        }
                        let (offsets, data) = (texts.value_offsets(), texts.value_data());
                        let data = &data[offsets[0] as usize..offsets[texts.len()] as usize];
                        let all = pattern.matches_all(data, least, most);
                        asked.push((pattern.as_str().to_owned(), all));
                        all
                    }
                    _ => false,
                }
            }
            Self::Ints(ints, bounds) => {
                let (least, most) = *bounds.get_or_init(|| (min(ints).unwrap_or_default().into(), max(ints).unwrap_or_default().into()));
                let ends = || test.holds(&Value::Int(least)) && test.holds(&Value::Int(most));
                match test {
                    Test::Types(_) | Test::Minimum(_) | Test::ExclusiveMinimum(_) | Test::Maximum(_) | Test::ExclusiveMaximum(_) => ends(),
                    _ => false,
                }
            }
        }
    }
}

fn lengths_of(texts: &StringArray) -> (usize, usize) {
    let lengths = texts.value_offsets().windows(2).map(|pair| (pair[1] - pair[0]) as usize);
    lengths.fold((usize::MAX, 0), |(least, most), length| (least.min(length), most.max(length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn keeps(summary: &Summary<'_>, keyword: &str, said: Json) -> bool {
        summary.keeps(&Test::of(keyword, &said).unwrap().0)
    }

    #[test]
    fn a_column_says_of_all_what_each_would() {
        let texts = StringArray::from(vec!["before", "00ff", "abcdef12", "é"]).slice(1, 2);
        let summary = Summary::of_texts(&texts);
        let yes =
            [("minLength", json!(1)), ("maxLength", json!(8)), ("pattern", json!("^[0-9a-f]+$")), ("pattern", json!("^[0-9a-f]{4,8}$"))];
        yes.into_iter().for_each(|(keyword, said)| assert!(keeps(&summary, keyword, said.clone()), "{keyword} {said}"));
        let no = [
            ("maxLength", json!(7)),
            ("pattern", json!("^[0-9a-f]{8}$")),
            ("pattern", json!("^[0-9]+$")),
            ("pattern", json!("^[0-9a-f]{5,}$")),
        ];
        no.into_iter().for_each(|(keyword, said)| assert!(!keeps(&summary, keyword, said.clone()), "{keyword} {said}"));
        // Of two characters, which are three bytes.
        let texts = StringArray::from(vec!["éa"]);
        assert!(!keeps(&Summary::of_texts(&texts), "minLength", json!(3)));

        let ints = Int32Array::from(vec![9, 17, -1]).slice(0, 2);
        let summary = Summary::of_ints(&ints);
        let yes = [("minimum", json!(9)), ("maximum", json!(17)), ("exclusiveMinimum", json!(8.5)), ("type", json!("integer"))];
        yes.into_iter().for_each(|(keyword, said)| assert!(keeps(&summary, keyword, said.clone()), "{keyword} {said}"));
        let no = [("minimum", json!(10)), ("exclusiveMaximum", json!(17)), ("multipleOf", json!(1)), ("type", json!("string"))];
        no.into_iter().for_each(|(keyword, said)| assert!(!keeps(&summary, keyword, said.clone()), "{keyword} {said}"));
    }

    #[test]
    fn a_column_with_nulls_says_nothing() {
        let texts = StringArray::from(vec![Some("a"), None]);
        assert!(!keeps(&Summary::of_texts(&texts), "maxLength", json!(9)));
        assert!(!keeps(&Summary::of_ints(&Int32Array::from(vec![Some(1), None])), "minimum", json!(0)));
        assert!(!keeps(&Summary::of_texts(&StringArray::from(Vec::<&str>::new())), "maxLength", json!(9)));
    }
}
