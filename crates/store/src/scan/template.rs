//! Decides filters on bodies by their templates: each of a few hundred is looked at once, and only where its variables decide, too,
//! is a body put together.

use arrow::array::{Array, BooleanArray, DictionaryArray, RecordBatch, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Int32Type;
use memchr::memmem::Finder;
use model::schema::column;
use model::{Error, Result, Subject};

use super::filter::{CompiledFilter, CompiledTest};
use crate::lake::template::{BODY, Form, TEMPLATE, VARIABLES, damaged, forms, is_one_run, join, text_of};

/// A filter on bodies, made ready for the templates of one row group.
pub(crate) struct TemplateTest<'a> {
    filter: &'a CompiledFilter,
    looked_for: LookedFor,
}

enum LookedFor {
    /// One of the forms.
    Text(Vec<Looked>),
    /// Of each list one of the forms, whatever the case.
    Literals(Vec<Vec<Looked>>),
}

struct Looked {
    finder: Finder<'static>,
    has_variables: bool,
}

impl Looked {
    fn of(form: Form) -> Self {
        Self { finder: Finder::new(&form.text).into_owned(), has_variables: form.has_variables }
    }

    fn is_in(&self, template: &[u8]) -> bool {
        self.finder.find(template).is_some()
    }
}

/// What a template says of the rows that have it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Kept,
    Refused,
    /// The variables decide.
    Open,
}

impl<'a> TemplateTest<'a> {
    /// None when templates say nothing about the filter. `letters` are those of the row group's variables.
    pub(crate) fn of(filter: &'a CompiledFilter, letters: u32) -> Option<Self> {
        if !matches!(&filter.subject, Subject::Column(name) if name == BODY) {
            return None;
        }
        let looked_for = match &filter.test {
            CompiledTest::Contains(finder) => LookedFor::Text(forms(finder.needle(), letters).into_iter().map(Looked::of).collect()),
            CompiledTest::Whole(_) | CompiledTest::Matches(_) if !filter.negated && !filter.literals.is_empty() => {
                let forms = |literal: &Vec<u8>| forms(&literal.to_ascii_lowercase(), letters);
                let lists = filter.literals.iter();
                LookedFor::Literals(lists.map(|list| list.iter().flat_map(forms).map(Looked::of).collect()).collect())
            }
            _ => return None,
        };
        Some(Self { filter, looked_for })
    }

    fn verdict(&self, template: &[u8]) -> Verdict {
        match &self.looked_for {
            LookedFor::Text(forms) => {
                let found = |has_variables: bool| forms.iter().any(|form| form.has_variables == has_variables && form.is_in(template));
                match (found(false), self.filter.negated) {
                    (true, false) => Verdict::Kept,
                    (true, true) => Verdict::Refused,
                    _ if found(true) => Verdict::Open,
                    (false, false) => Verdict::Refused,
                    (false, true) => Verdict::Kept,
                }
            }
            LookedFor::Literals(lists) => {
                let folded = template.to_ascii_lowercase();
                match lists.iter().all(|list| list.iter().any(|form| form.is_in(&folded))) {
                    true => Verdict::Open,
                    false => Verdict::Refused,
                }
            }
        }
    }
}

impl TemplateTest<'_> {
    /// Which rows may be kept, by their templates alone; and whether that is the last word.
    pub(crate) fn by_template(&self, records: &RecordBatch) -> Result<(BooleanArray, bool)> {
        let verdicts = self.verdicts(records)?;
        let keep = BooleanBuffer::collect_bool(verdicts.len(), |row| verdicts[row] != Verdict::Refused);
        Ok((BooleanArray::from(keep), !verdicts.contains(&Verdict::Open)))
    }

    /// Which rows are kept, of a batch with template, variables and rest.
    pub(crate) fn mask(&self, records: &RecordBatch) -> Result<BooleanArray> {
        let verdicts = self.verdicts(records)?;
        let templates = templates(records)?;
        let (bodies, variables): (&StringArray, &StringArray) = (column(records, BODY)?, column(records, VARIABLES)?);
        let in_variables = self.in_variables(variables);
        let mut body = Vec::new();
        let mut keep = Vec::with_capacity(records.num_rows());
        for (row, verdict) in verdicts.into_iter().enumerate() {
            keep.push(match (verdict, templates.key(row), &in_variables) {
                (Verdict::Kept, ..) => true,
                (Verdict::Refused, ..) => false,
                (Verdict::Open, None, _) => self.filter.keeps(if bodies.is_null(row) { "" } else { bodies.value(row) }),
                (Verdict::Open, Some(_), Some(kept)) => kept.value(row),
                (Verdict::Open, Some(key), None) => {
                    body.clear();
                    join(text_of(texts(templates)?, key), text_of(variables, row), &mut body).ok_or_else(damaged)?;
                    self.filter.keeps(std::str::from_utf8(&body).map_err(|_| damaged())?)
                }
            });
        }
        Ok(BooleanArray::from(keep))
    }

    /// Of a text that can only be in one variable, all variables are looked through at once.
    fn in_variables(&self, variables: &StringArray) -> Option<BooleanArray> {
        match &self.filter.test {
            CompiledTest::Contains(finder) if is_one_run(finder.needle()) => Some(self.filter.contains_mask(finder, variables)),
            _ => None,
        }
    }

    /// What the template of each row says; of rows without one, their body decides.
    fn verdicts(&self, records: &RecordBatch) -> Result<Vec<Verdict>> {
        let templates = templates(records)?;
        let texts = texts(templates)?;
        let mut known = vec![None; texts.len()];
        let mut verdict = |key: usize| *known[key].get_or_insert_with(|| self.verdict(text_of(texts, key)));
        Ok((0..templates.len()).map(|row| templates.key(row).map_or(Verdict::Open, &mut verdict)).collect())
    }
}

fn templates(records: &RecordBatch) -> Result<&DictionaryArray<Int32Type>> {
    column(records, TEMPLATE)
}

fn texts(templates: &DictionaryArray<Int32Type>) -> Result<&StringArray> {
    templates.values().as_any().downcast_ref().ok_or_else(|| Error::internal("cannot look through templates that are no texts"))
}
