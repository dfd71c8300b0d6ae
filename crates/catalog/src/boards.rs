//! `boards/*.yaml`: live boards for people who ask no queries, one a file, called as the file is.

use std::path::Path;
use std::time::Duration;

use model::parse_keep;

use crate::checks::Check;
use crate::fields::{Fields, Reader};
use crate::omd::{Reference, Wanted};
use crate::problem::Diagnostic;
use crate::shape;
use crate::yaml::{self, Node, Value};

/// The folder of boards in a directory.
pub(crate) const FOLDER: &str = "boards";

pub(crate) const TILES_MAX: usize = 40;
pub(crate) const STEPS_MAX: usize = 12;
const LINES_DEFAULT: usize = 20;
pub(crate) const LINES_MAX: usize = 200;
const REFRESH_DEFAULT: Duration = Duration::from_secs(10);
const REFRESH_MIN: Duration = Duration::from_secs(5);
const YEAR_MINUTES: u64 = 365 * 24 * 60;

/// Tiles that people watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// Its file's, without `.yaml`: it stands in the page's address.
    pub name: String,
    pub title: String,
    pub about: String,
    /// Whose it is; empty: everybody's.
    pub business_service: String,
    pub range: BoardRange,
    pub refresh: Duration,
    pub tiles: Vec<Tile>,
}

/// The time that a board is about; it ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoardRange {
    /// Since midnight where its reader is.
    Today,
    Last(Duration),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    pub title: String,
    pub about: String,
    pub unit: String,
    pub shows: Shows,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shows {
    Number {
        question: Question,
        /// Which way is good news; none where neither is.
        good: Option<Good>,
        /// With the time of the same length before.
        compares: bool,
    },
    /// How many come how far.
    Flow { steps: Vec<(String, Question)> },
    /// Events, the newest first.
    Feed {
        question: Question,
        /// With `{field}` and `{field|what to say without}`; empty: the line itself.
        sentence: String,
        lines: usize,
    },
    Chart {
        question: Question,
        look: Look,
        /// What a series is called, with `{label}`; empty: by all its labels.
        legend: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Good {
    Up,
    Down,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    #[default]
    Line,
    Bars,
    Area,
}

/// In `text`, `$range` is the board's time and `$step` the time between two points, both as durations; SQL has `$start`, `$end` and
/// `$step` in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub language: Language,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Promql,
    Logql,
    Sql,
}

const LANGUAGES: [(&str, Language); 3] = [("promql", Language::Promql), ("logql", Language::Logql), ("sql", Language::Sql)];
const TILES: [&str; 4] = ["number", "flow", "feed", "chart"];
const QUESTION: [&str; 3] = ["promql", "logql", "sql"];

/// Whether a file is a board: it lies in the folder of boards.
pub(crate) fn is_board(file: &str) -> bool {
    Path::new(file).parent().and_then(Path::file_name).is_some_and(|folder| folder == FOLDER)
}

#[derive(Default)]
pub(crate) struct Read {
    /// Sorted by title.
    pub(crate) boards: Vec<Board>,
    /// Whose they say they are.
    pub(crate) references: Vec<Reference>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

pub(crate) fn read(texts: &[(&str, &str)]) -> Read {
    let mut reader = Reader::default();
    let (mut boards, mut references) = (Vec::<Board>::new(), Vec::new());
    for (file, text) in texts {
        reader.file = (*file).to_owned();
        let root = match yaml::parse(text) {
            Ok(root) => root,
            Err((place, what)) => {
                reader.problem(place, Check::Syntax, what);
                continue;
            }
        };
        let Some(board) = board(&mut reader, &root, &mut references) else { continue };
        if boards.iter().any(|other| other.name == board.name) {
            let what = format!("cannot use two boards called {:?}: a board is called as its file", board.name);
            reader.problem(root.place, Check::DuplicateName, what);
        }
        boards.push(board);
    }
    boards.sort_by(|a, b| a.title.cmp(&b.title).then_with(|| a.name.cmp(&b.name)));
    Read { boards, references, diagnostics: reader.diagnostics }
}

fn board(reader: &mut Reader, root: &Node, references: &mut Vec<Reference>) -> Option<Board> {
    let fields = reader.fields(root, &shape::BOARD)?;
    let title = fields.get("title").and_then(|node| said(reader, node, "title"));
    let (about, business_service) = (reader.optional_text(&fields, "about"), reader.optional_text(&fields, "business_service"));
    if let Some(node) = fields.get("business_service").filter(|_| !business_service.is_empty()) {
        let reference = Reference { at: reader.origin(node.place), name: business_service.clone(), wanted: Wanted::BusinessService };
        references.push(reference);
    }
    let range = match fields.get("range") {
        None => Some(BoardRange::Today),
        Some(node) => reader.text(node, "range").and_then(|text| match text.as_str() {
            "today" => Some(BoardRange::Today),
            text => duration(reader, node, "range", text).map(BoardRange::Last),
        }),
    };
    let refresh = match fields.get("refresh") {
        None => Some(REFRESH_DEFAULT),
        Some(node) => reader.text(node, "refresh").and_then(|text| duration(reader, node, "refresh", &text)),
    };
    if let Some(refresh) = refresh.filter(|refresh| *refresh < REFRESH_MIN) {
        let place = fields["refresh"].place;
        reader.problem(place, Check::BadValue, format!("cannot use {refresh:?} as \"refresh\": it is at least {REFRESH_MIN:?}"));
    }
    let list = fields.get("tiles").map_or(&[][..], |node| reader.list(node, "tiles"));
    if fields.contains_key("tiles") && (list.is_empty() || list.len() > TILES_MAX) {
        let what = format!("cannot use {} tiles: a board has 1 to {TILES_MAX}", list.len());
        reader.problem(fields["tiles"].place, Check::BadValue, what);
    }
    let tiles: Vec<_> = list.iter().map(|node| tile(reader, node)).collect();
    let stem = Path::new(&reader.file).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if !stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        let what = format!("cannot call a board {stem:?}: its file's name has letters, digits, - and _ only");
        reader.problem(root.place, Check::BadName, what);
    }
    let tiles = tiles.into_iter().collect::<Option<_>>()?;
    Some(Board { name: stem, title: title?, about, business_service, range: range?, refresh: refresh?, tiles })
}

fn tile(reader: &mut Reader, node: &Node) -> Option<Tile> {
    let Value::Map(entries) = &node.value else {
        let what = format!("cannot read a tile from {}: it begins with {}", node.value.kind(), TILES.join(", "));
        reader.problem(node.place, Check::WrongType, what);
        return None;
    };
    let mut kinds = TILES.iter().zip(&shape::TILES).filter(|(kind, _)| entries.iter().any(|(_, key, _)| key == *kind));
    let (Some((&kind, shape)), None) = (kinds.next(), kinds.next()) else {
        let what = format!("cannot tell what kind of tile this is: it has one of {}", TILES.join(", "));
        reader.problem(node.place, Check::MissingKey, what);
        return None;
    };
    let fields = reader.fields(node, shape)?;
    let title = said(reader, fields.get(kind)?, kind);
    let shows = match kind {
        "number" => number(reader, &fields, node),
        "flow" => flow(reader, &fields),
        "feed" => feed(reader, &fields, node),
        _ => chart(reader, &fields, node),
    };
    let (about, unit) = (reader.optional_text(&fields, "about"), reader.optional_text(&fields, "unit"));
    Some(Tile { title: title?, about, unit, shows: shows? })
}

fn number(reader: &mut Reader, fields: &Fields<'_>, node: &Node) -> Option<Shows> {
    let good = one_of(reader, fields, "good", &[("up", Some(Good::Up)), ("down", Some(Good::Down))], None);
    let compares = one_of(reader, fields, "compare", &[("before", true), ("none", false)], true);
    Some(Shows::Number { question: question(reader, fields, node)?, good: good?, compares: compares? })
}

fn flow(reader: &mut Reader, fields: &Fields<'_>) -> Option<Shows> {
    let node = *fields.get("steps")?;
    let list = reader.list(node, "steps");
    if list.len() < 2 || list.len() > STEPS_MAX {
        reader.problem(node.place, Check::BadValue, format!("cannot use {} steps: a flow has 2 to {STEPS_MAX}", list.len()));
    }
    let steps: Vec<_> = list.iter().map(|node| step(reader, node)).collect();
    Some(Shows::Flow { steps: steps.into_iter().collect::<Option<_>>()? })
}

fn step(reader: &mut Reader, node: &Node) -> Option<(String, Question)> {
    let fields = reader.fields(node, &shape::STEP)?;
    let name = fields.get("name").and_then(|node| said(reader, node, "name"));
    let question = question(reader, &fields, node);
    Some((name?, question?))
}

fn feed(reader: &mut Reader, fields: &Fields<'_>, node: &Node) -> Option<Shows> {
    let lines = match fields.get("lines") {
        None => Some(LINES_DEFAULT),
        Some(node) => reader.text(node, "lines").and_then(|text| match text.parse() {
            Ok(lines @ 1..=LINES_MAX) => Some(lines),
            _ => {
                let what = format!("cannot use {text:?} as \"lines\": it is a number from 1 to {LINES_MAX}");
                reader.problem(node.place, Check::BadValue, what);
                None
            }
        }),
    };
    let sentence = reader.optional_text(fields, "sentence");
    Some(Shows::Feed { question: question(reader, fields, node)?, sentence, lines: lines? })
}

fn chart(reader: &mut Reader, fields: &Fields<'_>, node: &Node) -> Option<Shows> {
    let looks = [("line", Look::Line), ("bars", Look::Bars), ("area", Look::Area)];
    let look = one_of(reader, fields, "look", &looks, Look::Line);
    let legend = reader.optional_text(fields, "legend");
    Some(Shows::Chart { question: question(reader, fields, node)?, look: look?, legend })
}

fn question(reader: &mut Reader, fields: &Fields<'_>, node: &Node) -> Option<Question> {
    let mut asked = LANGUAGES.into_iter().filter_map(|(name, language)| Some((name, language, *fields.get(name)?)));
    match (asked.next(), asked.next()) {
        (Some((name, language, node)), None) => Some(Question { language, text: said(reader, node, name)? }),
        _ => {
            reader.problem(node.place, Check::MissingKey, format!("cannot tell what to ask: there is one of {}", QUESTION.join(", ")));
            None
        }
    }
}

/// A text that says something.
fn said(reader: &mut Reader, node: &Node, name: &str) -> Option<String> {
    let text = reader.text(node, name)?.trim().to_owned();
    if text.is_empty() {
        reader.problem(node.place, Check::BadValue, format!("cannot use an empty {name:?}"));
        return None;
    }
    Some(text)
}

fn one_of<T: Copy>(reader: &mut Reader, fields: &Fields<'_>, name: &'static str, known: &[(&str, T)], otherwise: T) -> Option<T> {
    let Some(node) = fields.get(name) else { return Some(otherwise) };
    let text = reader.text(node, name)?;
    let found = known.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() {
        let words: Vec<_> = known.iter().map(|(word, _)| *word).collect();
        let otherwise = format!("it is {}", words.join(" or "));
        reader.problem(node.place, Check::BadValue, format!("cannot use {text:?} as {name:?}: {otherwise}"));
    }
    found
}

fn duration(reader: &mut Reader, node: &Node, name: &str, text: &str) -> Option<Duration> {
    let seconds = text.strip_suffix('s').and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let minutes = || {
        text.strip_suffix('m')
            .and_then(|minutes| minutes.parse().ok())
            .map(|minutes: u64| Duration::from_secs(60 * minutes.min(YEAR_MINUTES)))
    };
    let found = seconds.or_else(minutes).or_else(|| parse_keep(text).ok());
    let found = found.filter(|duration| !duration.is_zero() && *duration <= Duration::from_secs(60 * YEAR_MINUTES));
    if found.is_none() {
        let what = format!("cannot use {text:?} as {name:?}: write a number with s, m, h, d or w, at most a year");
        reader.problem(node.place, Check::BadValue, what);
    }
    found
}
