//! Look-up tables: `pipelines/tables/*.csv` with a line of names, `*.json` with a list of objects.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::checks::Check;
use crate::fields::Reader;
use crate::problem::closest;
use crate::yaml::Place;

const ROWS_MAX: usize = 100_000;
const COLUMNS_MAX: usize = 50;

/// Rows by the value of one column; that column is in no row.
#[derive(Debug, Default)]
pub struct Table {
    columns: Vec<String>,
    rows: HashMap<String, Vec<String>>,
}

impl Table {
    /// Name and value of each column that has something in that row.
    pub fn row<'a>(&'a self, key: &str) -> Option<impl Iterator<Item = (&'a str, &'a str)> + use<'a>> {
        let row = self.rows.get(key)?;
        let pairs = self.columns.iter().zip(row).map(|(name, value)| (name.as_str(), value.as_str()));
        Some(pairs.filter(|(_, value)| !value.is_empty()))
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// The tables of the files that are read; each is read once for each key.
pub(crate) struct Tables<'t> {
    texts: &'t [(&'t str, &'t str)],
    read: HashMap<(String, String), Option<Arc<Table>>>,
}

type Rows = (Vec<String>, Vec<Vec<String>>);

impl<'t> Tables<'t> {
    pub(crate) fn new(texts: &'t [(&'t str, &'t str)]) -> Self {
        Self { texts, read: HashMap::new() }
    }

    /// The table of that file in the folder of tables beside the file that is being read.
    pub(crate) fn table(&mut self, reader: &mut Reader, place: Place, file: &str, key: &str) -> Option<Arc<Table>> {
        let folder = Path::new(&reader.file).parent().unwrap_or(Path::new("")).join(super::TABLES);
        let path = folder.join(file).display().to_string();
        if let Some(known) = self.read.get(&(path.clone(), key.to_owned())) {
            return known.clone();
        }
        let table = match self.texts.iter().find(|(name, _)| *name == path) {
            Some((_, text)) => match of_text(file, text).and_then(|rows| by_key(rows, key)) {
                Ok(table) => Some(Arc::new(table)),
                Err((line, what)) => {
                    let at = if line == 0 { reader.origin(place) } else { crate::Origin::new(&path, Place { line, column: 1 }) };
                    reader.diagnostics.push(crate::Diagnostic::at(&at, Check::BadValue, format!("cannot use table {file:?}: {what}")));
                    None
                }
            },
            None => {
                let beside: Vec<&str> =
                    self.texts.iter().filter_map(|(name, _)| Path::new(name).strip_prefix(&folder).ok()?.to_str()).collect();
                let otherwise = match beside.is_empty() {
                    true => format!("there is no table in {}", folder.display()),
                    false => format!("there are {}", beside.join(", ")),
                };
                reader.unknown((place, Check::DanglingReference), file, &format!("cannot find table {file:?}"), &beside, &otherwise);
                None
            }
        };
        self.read.insert((path, key.to_owned()), table.clone());
        table
    }
}

/// What is wrong, and in which line of the table; 0: with the key that was asked for.
type Wrong = (usize, String);

fn by_key((mut columns, rows): Rows, key: &str) -> Result<Table, Wrong> {
    let Some(at) = columns.iter().position(|name| name == key) else {
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let hint = closest(key, &names).map_or_else(|| format!("it has {}", names.join(", ")), |name| format!("did you mean {name:?}?"));
        return Err((0, format!("it has no column {key:?}: {hint}")));
    };
    columns.remove(at);
    let mut table = Table { columns, rows: HashMap::with_capacity(rows.len()) };
    for (number, mut row) in rows.into_iter().enumerate() {
        let value = row.remove(at);
        if value.is_empty() {
            continue;
        }
        if table.rows.contains_key(&value) {
            return Err((number + 2, format!("two rows have the {key} {value:?}")));
        }
        table.rows.insert(value, row);
    }
    Ok(table)
}

fn of_text(file: &str, text: &str) -> Result<Rows, Wrong> {
    let (columns, rows) = if file.ends_with(".json") { of_json(text)? } else { of_csv(text)? };
    if rows.len() > ROWS_MAX || columns.len() > COLUMNS_MAX {
        let what = format!("{} rows of {} columns are over rows_max, {ROWS_MAX}, or columns_max, {COLUMNS_MAX}", rows.len(), columns.len());
        return Err((1, what));
    }
    Ok((columns, rows))
}

/// RFC 4180.
fn of_csv(text: &str) -> Result<Rows, Wrong> {
    let mut lines = Vec::new();
    let (mut row, mut cell) = (Vec::new(), String::new());
    let (mut quoted, mut number) = (false, 1);
    let mut chars = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => quoted = true,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                lines.push((number, std::mem::take(&mut row)));
                number += 1;
            }
            c => {
                number += usize::from(c == '\n');
                cell.push(c);
            }
        }
    }
    if quoted {
        return Err((number, "a quoted cell does not end".to_owned()));
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        lines.push((number, row));
    }
    lines.retain(|(_, row)| row.iter().any(|cell| !cell.is_empty()));
    let mut lines = lines.into_iter();
    let (_, columns) = lines.next().ok_or((1, "it is empty".to_owned()))?;
    let wide = columns.len();
    let rows = lines.map(|(number, row)| match row.len() == wide {
        true => Ok(row),
        false => Err((number, format!("the row has {} cells, its head has {wide}", row.len()))),
    });
    Ok((columns, rows.collect::<Result<_, _>>()?))
}

fn of_json(text: &str) -> Result<Rows, Wrong> {
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| (error.line(), error.to_string()))?;
    let wrong = || (1, "it is no list of objects".to_owned());
    let objects = json.as_array().ok_or_else(wrong)?;
    let mut columns: Vec<String> = Vec::new();
    for object in objects {
        for name in object.as_object().ok_or_else(wrong)?.keys() {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
            if columns.len() > COLUMNS_MAX {
                return Err((1, format!("it has more columns than columns_max, {COLUMNS_MAX}")));
            }
        }
    }
    let cell = |value: Option<&serde_json::Value>| match value {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let rows = objects.iter().map(|object| columns.iter().map(|name| cell(object.get(name))).collect()).collect();
    Ok((columns, rows))
}
