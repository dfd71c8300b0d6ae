//! `tyto contract try`: what a draft of contracts would have done to the records of a running server. The server judges them, so that they do not leave it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use model::{Error, Result};
use serde_json::{Value, json};

use crate::ask::{instant, post_server, printable, server};
use crate::check::print;
use crate::contract::Format;

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TryOptions {
    /// A contract (what it takes over lies beside it), or a folder as `tyto check` takes it
    path: PathBuf,

    /// The server whose records are judged [default: http://127.0.0.1:7070]
    #[arg(long, env = "TYTO_SERVER", value_name = "URL")]
    against: Option<String>,

    /// How far back
    #[arg(long, value_name = "TIME", default_value = "24h")]
    last: String,

    /// Whom it is for, where nobody in the catalogue names it yet: business service, business service/service, or down to the component
    #[arg(long = "for", value_name = "PATH")]
    whom: Option<String>,

    /// Records that are judged at most; of more, some of every hour
    #[arg(long, default_value_t = 20_000)]
    rows_max: usize,

    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Prints what would have happened; gives whether a record breaks the draft.
pub(crate) async fn run(options: &TryOptions) -> Result<bool> {
    let mut body = json!({ "files": files(&options.path)?, "rows_max": options.rows_max });
    // How long ago that is, whenever now is.
    let seconds = -instant("last", &format!("now-{}", options.last), 0.0)?;
    body["last_seconds"] = json!(seconds.round() as u64);
    let names = options.whom.iter().flat_map(|whom| whom.split('/'));
    for (level, name) in ["business_service", "service", "component"].into_iter().zip(names) {
        body[level] = json!(name);
    }
    let tried = post_server(server(options.against.as_deref()), "/api/tyto/v1/contracts/try", body).await?;
    let broken =
        tried["broken"].as_u64().ok_or_else(|| Error::unavailable("cannot read the answer: it does not say how many records break it"))?;
    let is_judged = tried["records"] != 0;
    match options.format {
        Format::Json => print(&format!("{tried:#}\n"))?,
        Format::Text if is_judged => print(&shown(&tried))?,
        Format::Text => {}
    }
    if !is_judged {
        let came = tried["came"].as_u64().unwrap_or_default();
        return Err(Error::unavailable(format!(
            "cannot tell: none of the {came} records that were looked at has a contract of this draft; say --last or --for"
        )));
    }
    Ok(broken > 0)
}

/// The texts of a folder's contracts and of its `omd.yaml`, or of a file with what it takes over.
fn files(path: &Path) -> Result<BTreeMap<String, String>> {
    if path.is_dir() {
        let texts = catalog::texts(&[path]).map_err(|problems| {
            let lines: Vec<_> = problems.iter().map(|problem| problem.problem.to_string()).collect();
            Error::invalid(format!("cannot read {}:\n{}", path.display(), lines.join("\n")))
        })?;
        let counts = |name: &str| name.ends_with(".json") || name.ends_with("omd.yaml");
        return Ok(texts.into_iter().filter(|(name, _)| counts(name)).collect());
    }
    let (mut files, mut wanted) = (BTreeMap::new(), vec![path.to_owned()]);
    while let Some(path) = wanted.pop() {
        let name = path.display().to_string();
        if files.contains_key(&name) {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|error| Error::invalid(format!("cannot read {name}")).because(error))?;
        // What cannot be read is told by the server, with its line.
        let json = serde_json::from_str(&text).unwrap_or_default();
        let beside = |file: String| path.with_file_name(file);
        wanted.extend(taken_over(&json).into_iter().map(beside).filter(|other| other.is_file()));
        files.insert(name, text);
    }
    Ok(files)
}

/// Files that its references name.
fn taken_over(json: &Value) -> Vec<String> {
    match json {
        Value::Object(keys) => {
            let own = keys.get("$ref").and_then(Value::as_str).and_then(|to| to.split('#').next()).filter(|file| !file.is_empty());
            let own = own.map(|file| file.rsplit('/').next().unwrap_or_default().to_owned());
            own.into_iter().chain(keys.values().flat_map(taken_over)).collect()
        }
        Value::Array(items) => items.iter().flat_map(taken_over).collect(),
        _ => Vec::new(),
    }
}

fn shown(tried: &Value) -> String {
    let count = |key: &str| tried[key].as_u64().unwrap_or_default();
    let text = |value: &Value, key: &str| printable(value[key].as_str().unwrap_or_default());
    let names: Vec<&str> = tried["contracts"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut out = String::new();
    let seconds = |key: &str| tried[key].as_f64().unwrap_or_default();
    let newest = if seconds("judged_from") > seconds("start") { ", the newest only: the time for a question was up" } else { "" };
    let sample = if tried["sampled"] == true { format!(", a sample of {} that came{newest}", count("came")) } else { String::new() };
    let _ = writeln!(out, "{}: {} records judged{sample}", printable(&names.join(", ")), count("records"));
    let share = tried["share"].as_f64().unwrap_or_default() * 100.0;
    let broken = count("broken");
    if broken == 0 {
        out.push_str("None of them breaks it.\n");
        return out;
    }
    let _ = writeln!(
        out,
        "{broken} break it ({share:.2} %): as drafted {} would be only counted, {} set aside, {} refused; in one mode for all, these {broken}.",
        count("observed"),
        count("quarantined"),
        count("rejected")
    );
    for breach in tried["breaches"].as_array().into_iter().flatten() {
        let records: u64 = ["observed", "quarantined", "rejected"].iter().filter_map(|mode| breach["records"][mode].as_u64()).sum();
        let whose: Vec<String> =
            ["business_service", "service", "component"].map(|key| text(breach, key)).into_iter().filter(|name| !name.is_empty()).collect();
        let found = format!("expected {}, found {}", text(breach, "expected"), text(breach, "found"));
        let _ = writeln!(
            out,
            "\n{records} of {}: {} ({}, {})",
            whose.join("/"),
            text(breach, "path"),
            text(breach, "rule"),
            text(breach, "at")
        );
        let _ = writeln!(out, "  {found}");
        let sample = breach["sample"].as_object().into_iter().flatten();
        let sample: Vec<String> =
            sample.map(|(name, kind)| format!("{}: {}", printable(name), printable(kind.as_str().unwrap_or_default()))).collect();
        if !sample.is_empty() {
            let _ = writeln!(out, "  one has {}", sample.join(", "));
        }
    }
    if count("breaches_left_out") > 0 {
        let _ = writeln!(out, "\n{} more records broke further rules.", count("breaches_left_out"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_told_by_component_and_rule() {
        let tried = json!({
            "contracts": ["payments"], "records": 200, "came": 5000, "sampled": true, "share": 0.015, "broken": 3, "observed": 1, "quarantined": 2, "rejected": 0,
            "breaches": [{"business_service": "pay", "service": "till", "component": "", "contract": "payments", "rule": "type", "path": "amount",
                "expected": "number", "found": "a string", "at": "payments.json:9", "records": {"observed": 1, "quarantined": 2, "rejected": 0},
                "sample": {"amount": "a string"}}],
            "breaches_left_out": 0,
        });
        assert_eq!(
            shown(&tried),
            "payments: 200 records judged, a sample of 5000 that came\n\
             3 break it (1.50 %): as drafted 1 would be only counted, 2 set aside, 0 refused; in one mode for all, these 3.\n\n\
             3 of pay/till: amount (type, payments.json:9)\n  expected number, found a string\n  one has amount: a string\n"
        );
        let cut = json!({"contracts": ["payments"], "records": 200, "came": 5000, "sampled": true, "start": 0.0, "judged_from": 60.0, "broken": 0});
        assert_eq!(
            shown(&cut),
            "payments: 200 records judged, a sample of 5000 that came, the newest only: the time for a question was up\nNone of them breaks it.\n"
        );
    }

    #[test]
    fn a_file_brings_what_it_takes_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        write("a.json", r##"{"allOf": [{"$ref": "core.json#/$defs/x"}, {"$ref": "#/own"}, {"$ref": "gone.json"}]}"##);
        write("core.json", r#"{"$ref": "a.json"}"#);
        write("other.json", "{}");
        let names: Vec<_> = files(&folder.path().join("a.json")).expect("read").into_keys().collect();
        assert!(names.len() == 2 && names[0].ends_with("/a.json") && names[1].ends_with("/core.json"), "{names:?}");
        assert!(files(&folder.path().join("gone.json")).is_err());
    }
}
