//! What Prometheus accepts and refuses of the exposition formats: the cases of its own tests, and the files of the data folder
//! (`TYTO_DATA`, default `../shared/data`), without which only the former run.

use std::path::Path;

use model::samples::SamplesView;
use model::{Decoded, ReceiveLimits, Result};
use receive::Rules;
use receive::scrape::{Format, decode_exposition};
use testkit::suite;

fn decode(body: &[u8], format: Format) -> Result<Decoded> {
    let limits = ReceiveLimits::default();
    decode_exposition(body, format, &Rules { limits: &limits, now_unix_nano: 1_700_000_000_000_000_000, protocol: "test" })
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut out, mut bytes) = (Vec::new(), text.bytes());
    while let Some(byte) = bytes.next() {
        out.push(match (byte, byte == b'\\') {
            (_, true) => match bytes.next().expect("an escape") {
                b'n' => b'\n',
                b't' => b'\t',
                b'x' => {
                    let digits = [bytes.next().expect("a digit"), bytes.next().expect("a digit")];
                    u8::from_str_radix(std::str::from_utf8(&digits).expect("ASCII"), 16).expect("hexadecimal")
                }
                other => other,
            },
            (byte, false) => byte,
        });
    }
    out
}

#[test]
fn prometheus_cases() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/receive/exposition.tsv");
    let text = std::fs::read_to_string(path).expect("the cases");
    let (mut wrong, mut total) = (Vec::new(), 0);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.splitn(3, '\t').collect();
        let [format, verdict, body] = fields[..] else { panic!("three fields in {line:?}") };
        let format = if format == "text" { Format::PrometheusText } else { Format::OpenMetricsText };
        total += 1;
        let decoded = decode(&unescape(body), format);
        if decoded.is_ok() != (verdict == "accept") {
            wrong.push(format!("{line}\n  {:?}", decoded.map(|decoded| decoded.records.num_rows())));
        }
    }
    println!("exposition: passed {} of {total}", total - wrong.len());
    assert!(wrong.is_empty() && total > 100, "{}", wrong.join("\n"));
}

/// Every sample of every file is taken with its name, labels and value, and a file whose last line is cut is refused.
#[test]
fn prom_formats() {
    let Some(folder) = suite("prom-formats/textparse") else { return };
    let (mut passed, mut total) = (0, 0);
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let format = if path.to_string_lossy().ends_with(".om.txt") { Format::OpenMetricsText } else { Format::PrometheusText };
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        let decoded = decode(text.as_bytes(), format).unwrap_or_else(|error| panic!("{}: {}", path.display(), error.chain()));
        let view = SamplesView::of(&decoded.records).expect("canonical");
        let mut found: Vec<(String, f64)> = (0..decoded.records.num_rows())
            .filter_map(|row| Some((view.name.value(row).to_owned(), *view.floats(row).ok()?.first()?)))
            .collect();
        let mut expected: Vec<(String, f64)> = lines.iter().map(|line| sample(line)).collect();
        for list in [&mut found, &mut expected] {
            list.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        }
        let same = found.len() == expected.len()
            && found.iter().zip(&expected).all(|(a, b)| a.0 == b.0 && (a.1 == b.1 || (a.1.is_nan() && b.1.is_nan())));
        let cut = format!("{}\n{} ", text.trim_end().trim_end_matches("# EOF"), "cut");
        total += 2;
        passed += usize::from(same) + usize::from(decode(cut.as_bytes(), format).is_err());
        assert!(same, "{}: {} of {} samples", path.display(), found.len(), expected.len());
    }
    println!("prom-formats/textparse: passed {passed} of {total}");
    assert!(passed == total && total >= 8, "{passed} of {total}");
}

/// Name and value of a line, read in the simplest way.
fn sample(line: &str) -> (String, f64) {
    let line = line.split(" # {").next().expect("a start");
    let (name, rest) = match line.find('{') {
        Some(at) => (&line[..at], line.rsplit('}').next().expect("an end")),
        None => line.split_once(' ').expect("a value"),
    };
    (name.to_owned(), rest.split_whitespace().next().expect("a value").parse().expect("a number"))
}
