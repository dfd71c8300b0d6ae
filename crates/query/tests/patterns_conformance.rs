//! How well messages are grouped: the ten systems of `loghub` in the data folder (`TYTO_DATA`, default `../shared/data`), read
//! where they lie and never copied. A line counts when its group is exactly the set of lines that have its true template.
//!
//! One configuration for all, one message after the other, each looked at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use lang::logql::Pattern;
use model::patterns::{Learning, PatternLimits, Patterns};
use testkit::suite;

const MEAN_FLOOR: f64 = 0.98;
/// Raise these when more is right; a change that lowers one is a regression.
const SYSTEMS: [(&str, f64); 10] = [
    ("Android", 0.98),
    ("Apache", 1.0),
    ("BGL", 0.97),
    ("HDFS", 0.99),
    ("HPC", 0.95),
    ("Linux", 0.93),
    ("OpenSSH", 0.99),
    ("Spark", 0.99),
    ("Windows", 0.99),
    ("Zookeeper", 0.99),
];

/// The records of a CSV file with quotes.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            '\r' if !quoted => {}
            c => field.push(c),
        }
    }
    records
}

/// Messages of a system, each with its true template.
fn labelled(folder: &Path, system: &str) -> Vec<(String, String)> {
    let path = folder.join(system).join(format!("{system}_2k.log_structured_corrected.csv"));
    let text = std::fs::read_to_string(path).expect("the labelled lines are there");
    let mut records = records(&text).into_iter();
    let header = records.next().expect("a header");
    let column = |name: &str| header.iter().position(|column| column == name).expect("a column");
    let (content, template) = (column("Content"), column("EventTemplate"));
    records.map(|record| (record[content].clone(), record[template].clone())).collect()
}

/// The share of lines whose group is that of their template.
fn accuracy(ids: &[u64], lines: &[(String, String)]) -> f64 {
    let mut found: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    let mut wanted: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (at, (id, (_, template))) in ids.iter().zip(lines).enumerate() {
        found.entry(*id).or_default().insert(at);
        wanted.entry(template).or_default().insert(at);
    }
    let right: usize = wanted.values().filter(|group| found.values().any(|found| found == *group)).map(BTreeSet::len).sum();
    right as f64 / lines.len() as f64
}

/// Learns the messages in turn. Gives the ids that their patterns have in the end.
fn mined<'a>(patterns: &Patterns, lines: impl IntoIterator<Item = &'a str>) -> Vec<u64> {
    let ids = patterns.ids(lines.into_iter().map(|line| (line, None)), Learning::Always);
    ids.into_iter().map(|id| patterns.current(id)).collect()
}

/// Every line is found by the text of its pattern, made from any line of it.
fn finds_its_lines(patterns: &Patterns, lines: &[&str], ids: &[u64]) {
    let mut texts: BTreeMap<u64, Pattern> = BTreeMap::new();
    for (line, id) in lines.iter().zip(ids).filter(|(line, _)| !line.is_empty()) {
        let text = texts.entry(*id).or_insert_with(|| {
            let text = patterns.text(line, *id);
            Pattern::parse_matching(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
        });
        assert!(text.matches(line), "{text:?} does not find {line:?}");
    }
}

#[test]
fn loghub() {
    let Some(folder) = suite("loghub") else { return };
    let all = Patterns::default();
    let (mut sum, mut sum_of_all) = (0.0, 0.0);
    for (system, floor) in SYSTEMS {
        let lines = labelled(&folder, system);
        let messages: Vec<&str> = lines.iter().map(|(message, _)| message.as_str()).collect();
        let patterns = Patterns::default();
        let ids = mined(&patterns, messages.iter().copied());
        finds_its_lines(&patterns, &messages, &ids);
        let (alone, together) = (accuracy(&ids, &lines), accuracy(&mined(&all, messages.iter().copied()), &lines));
        println!("loghub {system}: grouping accuracy {alone:.4}, {together:.4} after all systems before it");
        assert!(alone >= floor, "{system}: {alone} is under {floor}");
        (sum, sum_of_all) = (sum + alone, sum_of_all + together);
    }
    let (mean, mean_of_all) = (sum / SYSTEMS.len() as f64, sum_of_all / SYSTEMS.len() as f64);
    println!("loghub: mean grouping accuracy {mean:.4} of {} systems, {mean_of_all:.4} in one store", SYSTEMS.len());
    assert!(mean >= MEAN_FLOOR && mean_of_all >= MEAN_FLOOR, "{mean} or {mean_of_all} is under {MEAN_FLOOR}");
}

/// Nobody has labelled these; that patterns are few and find their lines can be said.
#[test]
fn operational() {
    let Some(folder) = suite("logs/operational") else { return };
    let (mut lines_of_all, mut groups_of_all) = (0, 0);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    for file in files {
        let text = String::from_utf8_lossy(&std::fs::read(&file).expect("a file")).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let patterns = Patterns::default();
        mined(&patterns, lines.iter().copied());
        let started = Instant::now();
        let ids = mined(&patterns, lines.iter().copied());
        let each = started.elapsed().as_nanos() / lines.len().max(1) as u128;
        finds_its_lines(&patterns, &lines, &ids);
        let groups = ids.iter().collect::<BTreeSet<_>>().len();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        println!("operational {name}: {groups} patterns of {} lines, {each} ns a line seen before", lines.len());
        if std::env::var_os("SHOW").is_some() {
            let mut counts: BTreeMap<u64, (usize, &str)> = BTreeMap::new();
            ids.iter().zip(&lines).for_each(|(id, line)| counts.entry(*id).or_insert((0, line)).0 += 1);
            counts.iter().for_each(|(id, (count, line))| println!("  {count} {}", patterns.text(line, *id)));
        }
        (lines_of_all, groups_of_all) = (lines_of_all + lines.len(), groups_of_all + groups);
    }
    println!("operational: {groups_of_all} patterns of {lines_of_all} lines");
    assert!(groups_of_all > 0 && groups_of_all * 30 < lines_of_all);
}

/// Bodies of pieces that meet in ways that nobody writes; few patterns are known at a time.
#[test]
fn every_body_is_found_by_its_pattern() {
    const PIECES: [&str; 40] = [
        "user",
        "left",
        "a",
        "b",
        "7",
        "x9",
        "node-a",
        "camelCase",
        "/var/log",
        "deadbeef",
        "true",
        "Sun",
        "Jul",
        "ms",
        "ß",
        "日",
        " ",
        " ",
        " ",
        "  ",
        "\t",
        "=",
        ":",
        ", ",
        "(",
        ")",
        "()",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "\\\"",
        "'",
        "|",
        "@",
        "<",
        ">",
        "<_>",
        "\n",
    ];
    const STARTS: [&str; 5] = ["", "", "{\"msg\":\"", "k=v msg=\"", "{\"k\":"];
    let mut state = 7_u64;
    let mut random = |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % end
    };
    let patterns = Patterns::new(PatternLimits { patterns_max: 500, names_max: 1_000 });
    for _ in 0..30_000 {
        let mut body = STARTS[random(STARTS.len())].to_owned();
        (0..random(16)).for_each(|_| body.push_str(PIECES[random(PIECES.len())]));
        let id = patterns.id(&body, 1, Learning::Always);
        finds_its_lines(&patterns, &[&body], &[id]);
    }
    assert!(patterns.stats().patterns <= 500);
}
