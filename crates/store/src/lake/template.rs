//! The bodies of logs as files hold them: what a program's source says in every line, and what differs from line to line.
//!
//! A variable is a run of ASCII letters and digits, as long as it goes, with a digit in it. A body's template has
//! [`PLACEHOLDER`] in the place of each, and its variables stand beside it with a space between. A few hundred templates go
//! into a dictionary, the variables take half of what the bodies did, and what is looked for is mostly found, or found to
//! be missing, in the templates alone.
//!
//! Refused: a list of variables, which takes as much room and several times the work of one text; a column for each place, which
//! takes 7 % less, but needs as many columns as the longest line has variables; templates that are learned from the data,
//! which are fewer, but depend on what was there before.

use std::iter;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, NullBufferBuilder, RecordBatch, StringArray, new_null_array};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};
use hashbrown::HashSet;
use model::schema::column;
pub(crate) use model::variables::variables;
use model::variables::{DIGIT, LETTER, PLACEHOLDER, runs};
use model::{Code, Error, Result, Table};
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use twox_hash::XxHash3_64;

use super::columns::with;

pub(crate) const BODY: &str = "body";
pub(crate) const TEMPLATE: &str = "body_template";
pub(crate) const VARIABLES: &str = "body_variables";
pub(crate) const COLUMNS: [&str; 2] = [TEMPLATE, VARIABLES];

/// Between two variables, of which none has it.
const SEPARATOR: u8 = b' ';
/// A longer body is a stack trace or a document, whose template hardly comes again.
const BODY_BYTES_MAX: usize = 2 << 10;
/// Rows of which the templates are counted before it is said whether they come again.
const SAMPLE_ROWS: usize = 1024;
/// The first so many of a sample are rows that follow each other, the rest one in [`SAMPLE_STEP`].
const SAMPLE_START: usize = 128;
const SAMPLE_STEP: usize = 8;

/// The footer's key for the letters that variables have, by row group.
const LETTERS_KEY: &str = "tyto.variableLetters";
/// Every letter.
pub(crate) const ALL_LETTERS: u32 = (1 << 26) - 1;

/// What files have for `body`.
pub(crate) fn fields() -> [Field; 2] {
    COLUMNS.map(|name| Field::new(name, DataType::Utf8, true))
}

/// The letters of a text, a bit for each, whatever their case.
fn letters(text: &[u8]) -> u32 {
    text.iter().fold(0, |letters, byte| {
        let place = (byte | 0x20).wrapping_sub(b'a');
        letters | u32::from(place < 26) << (place % 32)
    })
}

/// Appends the template of a text to one, its variables to the other. Gives the variables' letters.
fn split(text: &[u8], template: &mut Vec<u8>, values: &mut Vec<u8>) -> u32 {
    let (mut literal, mut found, mut is_first) = (0, 0, true);
    for (start, end, kinds) in variables(text) {
        template.extend_from_slice(&text[literal..start]);
        template.push(PLACEHOLDER);
        if !is_first {
            values.push(SEPARATOR);
        }
        values.extend_from_slice(&text[start..end]);
        if kinds & LETTER != 0 {
            found |= letters(&text[start..end]);
        }
        (literal, is_first) = (end, false);
    }
    template.extend_from_slice(&text[literal..]);
    found
}

/// Where in a text the variables are of which it was split.
pub(crate) fn places<'a>(template: &'a [u8], variables: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
    // Each stands where one byte stands for it, moved by those before it.
    let (mut rest, mut taken, mut before) = (variables, 0, 0);
    memchr::memchr_iter(PLACEHOLDER, template).map(move |place| {
        let bytes = memchr::memchr(SEPARATOR, rest).unwrap_or(rest.len());
        rest = rest.get(bytes + 1..).unwrap_or_default();
        let start = place + taken - before;
        (taken, before) = (taken + bytes, before + 1);
        (start, start + bytes)
    })
}

/// Bodies that were split.
pub(crate) struct Split {
    templates: StringArray,
    variables: StringArray,
}

impl Split {
    /// None of rows without templates.
    pub(crate) fn of(packed: &RecordBatch) -> Option<Self> {
        let texts = |name| packed.column_by_name(name)?.as_string_opt().cloned();
        Some(Self { templates: texts(TEMPLATE)?, variables: texts(VARIABLES)? })
    }

    pub(crate) fn slice(&self, from: usize, rows: usize) -> Self {
        Self { templates: self.templates.slice(from, rows), variables: self.variables.slice(from, rows) }
    }

    /// Template and variables of a body; none where it was left whole.
    pub(crate) fn of_row(&self, row: usize) -> Option<(&str, &str)> {
        let variables = if self.variables.is_valid(row) { self.variables.value(row) } else { "" };
        self.templates.is_valid(row).then(|| (self.templates.value(row), variables))
    }
}

/// Appends the text of a template with its variables; none when they do not belong together.
pub(crate) fn join(template: &[u8], variables: &[u8], text: &mut Vec<u8>) -> Option<()> {
    let (mut literal, mut at) = (0, 0);
    for place in memchr::memchr_iter(PLACEHOLDER, template) {
        text.extend_from_slice(&template[literal..place]);
        let rest = variables.get(at..)?;
        let end = memchr::memchr(SEPARATOR, rest).unwrap_or(rest.len());
        text.extend_from_slice(&rest[..end]);
        (literal, at) = (place + 1, at + end + 1);
    }
    text.extend_from_slice(&template[literal..]);
    (at == if variables.is_empty() { 0 } else { variables.len() + 1 }).then_some(())
}

/// How a text that somebody looks for can stand in a template. Of the runs at its ends a body may have more, so that each may be
/// part of a variable or of a literal. `letters` are those that variables have.
pub(crate) fn forms(wanted: &[u8], letters_of_variables: u32) -> Vec<Form> {
    let may_be_in_variable = |run: &[u8]| letters(run) & !letters_of_variables == 0;
    if wanted.contains(&PLACEHOLDER) {
        return Vec::new();
    }
    let mut forms = vec![Form::default()];
    let mut literal = 0;
    for (start, end, kinds) in runs(wanted) {
        let (at_end, run) = (start == 0 || end == wanted.len(), &wanted[start..end]);
        let as_variable = (at_end || kinds & DIGIT != 0) && may_be_in_variable(run);
        let as_literal = kinds & DIGIT == 0;
        let before = &wanted[literal..start];
        forms = forms
            .iter()
            .flat_map(|form| {
                let variable = as_variable.then(|| form.with(before, &[PLACEHOLDER], true));
                let literal = as_literal.then(|| form.with(before, run, false));
                literal.into_iter().chain(variable)
            })
            .collect();
        literal = end;
    }
    forms.iter().map(|form| form.with(&wanted[literal..], &[], false)).collect()
}

/// One way in which a text can stand in a template.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Form {
    pub(crate) text: Vec<u8>,
    /// Whether variables decide, too.
    pub(crate) has_variables: bool,
}

impl Form {
    fn with(&self, literal: &[u8], run: &[u8], is_variable: bool) -> Self {
        Self { text: [&self.text, literal, run].concat(), has_variables: self.has_variables || is_variable }
    }
}

/// Whether a text is one run of letters and digits: then it is in a literal or in one variable.
pub(crate) fn is_one_run(text: &[u8]) -> bool {
    runs(text).next().is_some_and(|(start, end, _)| start == 0 && end == text.len())
}

/// Splits the bodies of a file while its rows are written.
pub(crate) struct TemplateWriter {
    table: Table,
    group_rows: usize,
    rows: usize,
    sample: Sample,
    /// Of each row group the letters of its variables.
    letters: Vec<u32>,
}

/// Templates of some rows. Batches may be short, and then it is of several.
#[derive(Default)]
struct Sample {
    rows: usize,
    templates: HashSet<u64>,
    /// What the sample before it said.
    before: Option<bool>,
}

impl TemplateWriter {
    /// `group_rows` is where row groups end.
    pub(crate) fn new(table: Table, group_rows: usize) -> Self {
        Self { table, group_rows: group_rows.max(1), rows: 0, sample: Sample::default(), letters: Vec::new() }
    }

    /// The next rows of the file, as it holds them.
    pub(crate) fn pack(&mut self, records: &RecordBatch) -> Result<RecordBatch> {
        if self.table != Table::Logs {
            return Ok(records.clone());
        }
        let schema = with(records.schema_ref(), fields());
        let mut columns = records.columns().to_vec();
        let bodies = Bodies { texts: column(records, BODY)?, types: column(records, "body_type")? };
        let mut found = 0;
        if self.sample.repeats(&bodies) {
            let split;
            (split, found) = bodies.split()?;
            let [rest, template, variables] = split;
            columns[schema.index_of(BODY)?] = rest;
            columns.extend([template, variables]);
        } else {
            columns.extend(iter::repeat_n(new_null_array(&DataType::Utf8, records.num_rows()), 2));
        }
        self.add_letters(records.num_rows(), found);
        Ok(RecordBatch::try_new(schema, columns)?)
    }

    /// A batch that lies in two row groups has its letters in both.
    fn add_letters(&mut self, rows: usize, found: u32) {
        let first = self.rows / self.group_rows;
        self.rows += rows;
        self.letters.resize(self.rows.div_ceil(self.group_rows), 0);
        self.letters.get_mut(first..).unwrap_or_default().iter_mut().for_each(|letters| *letters |= found);
    }

    pub(crate) fn finish(self) -> Option<KeyValue> {
        let letters = self.letters.iter().map(|letters| format!("{letters:x}")).collect::<Vec<_>>();
        (!letters.is_empty()).then(|| KeyValue::new(LETTERS_KEY.to_owned(), letters.join(" ")))
    }
}

/// The letters that variables of a row group may have.
pub(crate) fn letters_of(footer: &ParquetMetaData, group: usize) -> u32 {
    let pairs = footer.file_metadata().key_value_metadata();
    let said = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == LETTERS_KEY)?.value.as_ref());
    said.and_then(|said| u32::from_str_radix(said.split(' ').nth(group)?, 16).ok()).unwrap_or(ALL_LETTERS)
}

impl Sample {
    /// Whether most templates of these bodies, or of the last ones with them, come more than once.
    fn repeats(&mut self, bodies: &Bodies<'_>) -> bool {
        if self.rows >= SAMPLE_ROWS {
            *self = Self { before: Some(self.says()), ..Self::default() };
        }
        let (mut template, mut variables, mut row) = (Vec::new(), Vec::new(), 0);
        while row < bodies.texts.len() {
            if let Some(text) = bodies.of(row) {
                template.clear();
                variables.clear();
                split(text, &mut template, &mut variables);
                self.templates.insert(XxHash3_64::oneshot(&template));
                self.rows += 1;
            }
            row += if self.rows < SAMPLE_START { 1 } else { SAMPLE_STEP };
        }
        self.before.filter(|_| self.rows < SAMPLE_START).unwrap_or_else(|| self.says())
    }

    fn says(&self) -> bool {
        self.rows > 0 && self.templates.len() * 2 <= self.rows
    }
}

struct Bodies<'a> {
    texts: &'a StringArray,
    types: &'a StringArray,
}

impl<'a> Bodies<'a> {
    /// The body of a row, where it may be split.
    fn of(&self, row: usize) -> Option<&'a [u8]> {
        let text = self.texts.is_valid(row).then(|| self.texts.value(row).as_bytes())?;
        let splits = text.len() <= BODY_BYTES_MAX && self.types.is_null(row) && memchr::memchr(PLACEHOLDER, text).is_none();
        splits.then_some(text)
    }

    /// The bodies that stay whole, the templates and the variables of the others; and the variables' letters.
    fn split(&self) -> Result<([ArrayRef; 3], u32)> {
        let rows = self.texts.len();
        let bytes = self.texts.value_offsets()[rows] - self.texts.value_offsets()[0];
        let bytes = usize::try_from(bytes).unwrap_or_default().min(rows * BODY_BYTES_MAX);
        let (mut whole, mut template, mut variables) =
            (Texts::with_capacity(rows, 0), Texts::with_capacity(rows, bytes), Texts::with_capacity(rows, bytes / 2));
        let mut found = 0;
        for row in 0..rows {
            let text = self.of(row);
            match text {
                Some(text) => found |= split(text, &mut template.bytes, &mut variables.bytes),
                None if self.texts.is_valid(row) => whole.bytes.extend_from_slice(self.texts.value(row).as_bytes()),
                None => {}
            }
            whole.end_row(text.is_none() && self.texts.is_valid(row))?;
            template.end_row(text.is_some())?;
            let has_variables = variables.grew();
            variables.end_row(has_variables)?;
        }
        Ok(([whole.finish()?, template.finish()?, variables.finish()?], found))
    }
}

/// A batch from a file, as the table has it; one without templates is as it was.
pub(crate) fn unpack(records: RecordBatch) -> Result<RecordBatch> {
    let schema = records.schema();
    if schema.column_with_name(BODY).is_none() || schema.column_with_name(TEMPLATE).is_none() {
        return Ok(records);
    }
    let kept: Vec<usize> = (0..schema.fields().len()).filter(|&at| !COLUMNS.contains(&schema.field(at).name().as_str())).collect();
    let (bodies, templates): (&StringArray, &StringArray) = (column(&records, BODY)?, column(&records, TEMPLATE)?);
    if templates.null_count() == templates.len() {
        return Ok(records.project(&kept)?);
    }
    let variables: &StringArray = column(&records, VARIABLES)?;
    let bytes = [bodies, templates, variables].map(|texts| texts.value_data().len()).iter().sum();
    let mut whole = Texts::with_capacity(records.num_rows(), bytes);
    for row in 0..records.num_rows() {
        match templates.is_valid(row) {
            true => join(templates.value(row).as_bytes(), text_of(variables, row), &mut whole.bytes).ok_or_else(damaged)?,
            false => whole.bytes.extend_from_slice(text_of(bodies, row)),
        }
        whole.end_row(templates.is_valid(row) || bodies.is_valid(row))?;
    }
    let mut columns = records.columns().to_vec();
    columns[schema.index_of(BODY)?] = whole.finish()?;
    Ok(RecordBatch::try_new(schema, columns)?.project(&kept)?)
}

pub(crate) fn text_of(texts: &StringArray, row: usize) -> &[u8] {
    if texts.is_null(row) { &[] } else { texts.value(row).as_bytes() }
}

pub(crate) fn damaged() -> Error {
    Error::new(Code::Corrupt, "cannot put a body together: it has another number of variables than its template")
}

/// A column of texts while it is filled.
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    valid: NullBufferBuilder,
}

impl Texts {
    fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Self { bytes: Vec::with_capacity(bytes), ends, valid: NullBufferBuilder::new(rows) }
    }

    /// Whether bytes were added since the last row ended.
    fn grew(&self) -> bool {
        self.ends.last().is_some_and(|end| usize::try_from(*end) != Ok(self.bytes.len()))
    }

    fn end_row(&mut self, is_valid: bool) -> Result<()> {
        let end = i32::try_from(self.bytes.len()).map_err(|_| Error::internal("cannot hold bodies of more than 2 GiB in one batch"))?;
        self.ends.push(end);
        self.valid.append(is_valid);
        Ok(())
    }

    fn finish(mut self) -> Result<ArrayRef> {
        let texts = StringArray::try_new(OffsetBuffer::new(self.ends.into()), Buffer::from_vec(self.bytes), self.valid.finish())?;
        Ok(Arc::new(texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use memchr::memmem;
    use model::logs::{LogRow, LogsBuilder};
    use model::{AttributeValue, Attributes};
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    fn parts(text: &str) -> (String, String) {
        let (mut template, mut variables) = (Vec::new(), Vec::new());
        split(text.as_bytes(), &mut template, &mut variables);
        let text = |bytes| String::from_utf8(bytes).unwrap().replace('\u{1a}', "<>");
        (text(template), text(variables))
    }

    /// These are bytes of files: a change of any of them is a new version.
    #[test]
    fn variables_are_runs_of_letters_and_digits_with_a_digit() {
        let check = |text: &str, template: &str, variables: &str| assert_eq!(parts(text), (template.into(), variables.into()), "{text:?}");
        check("", "", "");
        check("connection reset by peer", "connection reset by peer", "");
        check("took 12.5ms of 30", "took <>.<> of <>", "12 5ms 30");
        check("pod login-7f9c4b-x2x is at 10.0.0.7:80", "pod login-<>-<> is at <>.<>.<>.<>:<>", "7f9c4b x2x 10 0 0 7 80");
        check("7", "<>", "7");
        check("größe4 ½ 日本3", "größ<> ½ 日本<>", "e4 3");
    }

    /// Pieces that meet: letters, digits, what is neither, and what is no ASCII.
    const PIECES: [&str; 14] = ["a", "bc", "1", "23", "x9", " ", "-", "=", "ß", "日", "error", "E", "\n", "\u{10ffff}"];

    fn text(random: &mut StdRng, pieces_max: usize) -> String {
        (0..random.random_range(0..=pieces_max)).map(|_| PIECES[random.random_range(0..PIECES.len())]).collect()
    }

    fn any_text(random: &mut StdRng) -> String {
        let any = |_| {
            let last = if random.random_bool(0.8) { '\u{7f}' } else { char::MAX };
            random.random_range('\0'..=last)
        };
        (0..40).map(any).collect()
    }

    #[test]
    fn every_text_comes_back_byte_for_byte() {
        let mut random = StdRng::seed_from_u64(5);
        for _ in 0..20_000 {
            let text = if random.random_bool(0.5) { text(&mut random, 12) } else { any_text(&mut random).replace('\u{1a}', "") };
            let (mut template, mut variables, mut back) = (Vec::new(), Vec::new(), Vec::new());
            split(text.as_bytes(), &mut template, &mut variables);
            assert!(std::str::from_utf8(&template).is_ok() && std::str::from_utf8(&variables).is_ok(), "{text:?}");
            join(&template, &variables, &mut back).unwrap();
            assert_eq!(back, text.as_bytes());
            let each = model::variables::variables(text.as_bytes()).map(|(start, end, _)| (start, end));
            assert!(places(&template, &variables).eq(each), "{text:?}");
        }
    }

    #[test]
    fn parts_that_do_not_belong_together_are_damage() {
        let joined = |template: &str, variables: &str| {
            let mut text = Vec::new();
            join(template.as_bytes(), variables.as_bytes(), &mut text).map(|()| String::from_utf8(text).unwrap())
        };
        assert_eq!(joined("a \u{1a}-\u{1a}", "1 2").as_deref(), Some("a 1-2"));
        for (template, variables) in [("a \u{1a}-\u{1a}", "1"), ("a \u{1a}", "1 2"), ("a", "1"), ("\u{1a}\u{1a}", "")] {
            assert_eq!(joined(template, variables), None, "{template:?} {variables:?}");
        }
    }

    /// A form without variables in a template: the text is in the body. No form in it: it is not. In lower case as well.
    #[test]
    fn forms_never_lie() {
        let mut random = StdRng::seed_from_u64(6);
        let mut seen = [0; 3];
        for _ in 0..60_000 {
            let body = text(&mut random, 8);
            let wanted = match random.random_bool(0.5) {
                true => text(&mut random, 3),
                false => {
                    let chars: Vec<char> = body.chars().collect();
                    let start = random.random_range(0..=chars.len());
                    chars[start..random.random_range(start..=chars.len())].iter().collect()
                }
            };
            let (mut template, mut variables) = (Vec::new(), Vec::new());
            let found = split(body.as_bytes(), &mut template, &mut variables);
            let is_in = |form: &Form| memmem::find(&template, &form.text).is_some();
            let forms_of_wanted = forms(wanted.as_bytes(), if random.random_bool(0.5) { found } else { ALL_LETTERS });
            let (sure, maybe): (Vec<Form>, Vec<Form>) = forms_of_wanted.into_iter().partition(|form| !form.has_variables);
            let (sure, maybe) = (sure.iter().any(is_in), maybe.iter().any(is_in));
            match (sure, maybe) {
                (true, _) => assert!(body.contains(&wanted), "{wanted:?} in {body:?}"),
                (false, false) => assert!(!body.contains(&wanted), "{wanted:?} in {body:?}"),
                (false, true) if is_one_run(wanted.as_bytes()) => {
                    assert_eq!(memmem::find(&variables, wanted.as_bytes()).is_some(), body.contains(&wanted), "{wanted:?} in {body:?}");
                }
                (false, true) => {}
            }
            seen[if sure { 0 } else { 1 + usize::from(maybe) }] += 1;
            let folded = forms(wanted.to_ascii_lowercase().as_bytes(), found);
            let template = template.to_ascii_lowercase();
            let is_found = folded.iter().any(|form| memmem::find(&template, &form.text).is_some());
            assert!(is_found || !body.to_ascii_lowercase().contains(&wanted.to_ascii_lowercase()), "{wanted:?} in {body:?}");
        }
        assert!(seen.iter().all(|times| *times > 1_000), "{seen:?}");
    }

    #[test]
    fn what_is_looked_for_has_few_forms() {
        let check = |wanted: &str, letters_of_variables: u32, expect: &[&str]| {
            let found = forms(wanted.as_bytes(), letters_of_variables).into_iter();
            let found: Vec<String> = found.map(|form| String::from_utf8(form.text).unwrap().replace('\u{1a}', "<>")).collect();
            assert_eq!(found, expect, "{wanted:?}");
        };
        check("reset by peer", ALL_LETTERS, &["reset by peer", "reset by <>", "<> by peer", "<> by <>"]);
        check("reset by peer", letters(b"abcdef"), &["reset by peer"]);
        check("timeout", letters(b"abcdef"), &["timeout"]);
        check("=5 of 12ms", ALL_LETTERS, &["=<> of <>"]);
        check("=5 of 12ms", 0, &[]);
        check("", 0, &[""]);
        check("a\u{1a}", ALL_LETTERS, &[]);
    }

    fn records(bodies: impl IntoIterator<Item = impl AsRef<str>>) -> RecordBatch {
        let mut builder = LogsBuilder::default();
        for body in bodies {
            builder.push(&LogRow { body: body.as_ref(), ..LogRow::default() }, &Attributes::default(), &Attributes::default());
        }
        builder.finish()
    }

    /// Packs, unpacks, and gives how many rows were split.
    fn packed(records: &RecordBatch) -> usize {
        let mut writer = TemplateWriter::new(Table::Logs, 100);
        let packed = writer.pack(records).unwrap();
        assert_eq!(*packed.schema(), *crate::lake::columns::file_schema(Table::Logs));
        assert_eq!(unpack(packed.clone()).unwrap(), *records);
        packed.num_rows() - packed.column_by_name(TEMPLATE).unwrap().null_count()
    }

    #[test]
    fn bodies_whose_templates_come_again_are_split() {
        assert_eq!(packed(&records((0..300).map(|at| format!("user {at} logged in")))), 300);
        assert_eq!(packed(&records(["once"])), 0, "nothing comes again");
        assert_eq!(packed(&records([""; 0])), 0);
        let words = |at: usize| (0..16).map(|bit| if at >> bit & 1 == 0 { 'o' } else { 'l' }).collect::<String>();
        assert_eq!(packed(&records((0..5_000).map(|at| format!("user {} logged in", words(at))))), 0, "each line is another");
        let mixed = ["one 1", "", "one 2", "with \u{1a} 3", "one 4", "no variable", "one 5", &"long ".repeat(1_000)];
        assert_eq!(packed(&records(mixed)), 6);
        // Of a batch that is a part of another.
        assert_eq!(packed(&records((0..300).map(|at| format!("user {at} logged in"))).slice(40, 200)), 200);
    }

    #[test]
    fn of_short_batches_several_are_looked_at() {
        let mut writer = TemplateWriter::new(Table::Logs, 100);
        let mut split = |bodies: Vec<String>| {
            let packed = writer.pack(&records(bodies)).unwrap();
            packed.column_by_name(TEMPLATE).unwrap().null_count() == 0
        };
        let word = |at: usize| (0..16).map(|bit| if at >> bit & 1 == 0 { 'o' } else { 'l' }).collect::<String>();
        let line = |at: usize| format!("{} {at}", word(at % 50));
        let were: Vec<bool> = (0..1_000).map(|batch| split((0..7).map(|at| line(batch * 7 + at)).collect())).collect();
        assert!(were[..7].iter().all(|split| !split) && were[20..].iter().all(|split| *split));
        let were: Vec<bool> = (0..3_000).map(|batch| split((0..7).map(|at| word(batch * 7 + at)).collect())).collect();
        assert!(were[2_000..].iter().all(|split| !split));
    }

    #[test]
    fn a_body_that_was_no_text_stays_as_it_is() {
        let mut builder = LogsBuilder::default();
        for at in 0..10 {
            let body = format!("{{\"n\":{at}}}");
            let row = LogRow { body: &body, body_type: if at < 5 { "m" } else { "" }, ..LogRow::default() };
            builder.attributes.push("n", AttributeValue::Int(at));
            builder.push(&row, &Attributes::default(), &Attributes::default());
        }
        assert_eq!(packed(&builder.finish()), 5);
    }

    #[test]
    fn a_row_group_knows_the_letters_of_its_variables() {
        let mut writer = TemplateWriter::new(Table::Logs, 100);
        for (rows, text) in [(60, "id 4a"), (60, "id 4Z"), (30, "id 4b"), (50, "id 4")] {
            writer.pack(&records(iter::repeat_n(text, rows))).unwrap();
        }
        let pair = writer.finish().unwrap();
        let expect = [letters(b"az"), letters(b"zb")].map(|letters| format!("{letters:x}")).join(" ");
        assert_eq!((pair.key.as_str(), pair.value.as_deref()), (LETTERS_KEY, Some(expect.as_str())));
    }

    #[test]
    fn the_columns_are_texts_with_a_space_between_variables() {
        let packed = TemplateWriter::new(Table::Logs, 100).pack(&records(["a 1-2", "a 3-4", "b", "b"])).unwrap();
        let texts = |name: &str| {
            packed.column_by_name(name).unwrap().as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(texts(TEMPLATE), [some("a \u{1a}-\u{1a}"), some("a \u{1a}-\u{1a}"), some("b"), some("b")]);
        assert_eq!(texts(VARIABLES), [some("1 2"), some("3 4"), None, None]);
        assert_eq!(texts(BODY), [None, None, None, None]);
    }
}
