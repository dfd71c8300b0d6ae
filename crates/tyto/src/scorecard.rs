//! `tyto scorecard`: how well each team's components can be watched, and what would lift them. With `--fail-below` it ends as `diff` does, for CI: 0
//! when everybody who is shown stands at the level or above, 1 when somebody does not, 2 when nobody can tell.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use model::{Error, LEVELS, Result};
use serde_json::Value;

use crate::ask::{ask_server, instant, printable, server};
use crate::check::print;

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ScorecardOptions {
    /// Only this team's components, one by one
    #[arg(long)]
    team: Option<String>,

    /// Only this business service's components, one by one
    #[arg(long)]
    business_service: Option<String>,

    /// The server to ask [default: http://127.0.0.1:7070]
    #[arg(long, env = "TYTO_SERVER", value_name = "URL")]
    server: Option<String>,

    /// First instant: RFC 3339, Unix seconds, `now`, or `now-1h` (units s, m, h, d) [default: a day before the end]
    #[arg(long, allow_hyphen_values = true)]
    start: Option<String>,

    /// Last instant, written like --start [default: now]
    #[arg(long, allow_hyphen_values = true)]
    end: Option<String>,

    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Exit code 1 when somebody stands below this level: 1 to 4, or heard, owned, explained, trusted
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    fail_below: Option<u8>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

const BELOW: u8 = 1;
const TROUBLE: u8 = 2;

fn level(text: &str) -> Result<u8, String> {
    let found = LEVELS.iter().find(|known| known.name.eq_ignore_ascii_case(text) || known.level.to_string() == text);
    found.map(|known| known.level).ok_or_else(|| "write 1 to 4, or heard, owned, explained, trusted".to_owned())
}

pub(crate) async fn run(options: ScorecardOptions) -> ExitCode {
    match scorecard(&options).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("tyto: {}", error.chain());
            ExitCode::from(TROUBLE)
        }
    }
}

async fn scorecard(options: &ScorecardOptions) -> Result<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let mut parameters = Vec::new();
    for (name, text) in [("start", &options.start), ("end", &options.end)] {
        if let Some(text) = text {
            parameters.push((name, instant(name, text, now)?.to_string()));
        }
    }
    for (name, text) in [("team", &options.team), ("business_service", &options.business_service)] {
        parameters.extend(text.clone().map(|text| (name, text)));
    }
    let card = ask_server(server(options.server.as_deref()), "/api/tyto/v1/scorecard", parameters).await?;
    if !card["teams"].is_array() || !card["components"].is_array() {
        return Err(Error::unavailable("cannot read the answer: it is no scorecard"));
    }
    for warning in card["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        eprintln!("tyto: warning: {}", printable(warning));
    }
    print(&match options.format {
        Format::Text => shown(&card),
        Format::Json => format!("{card:#}\n"),
    })?;
    Ok(options.fail_below.map_or(0, |least| ended(&card, least)))
}

/// Those of whom too little came hold nobody up, but when there is nobody else.
fn ended(card: &Value, least: u8) -> u8 {
    match card["all"]["level"].as_u64() {
        None => TROUBLE,
        Some(level) if level < u64::from(least) => BELOW,
        Some(_) => 0,
    }
}

fn shown(card: &Value) -> String {
    let mut out = String::new();
    let one_by_one = card["components"].as_array().is_some_and(|components| !components.is_empty());
    summary(&mut out, "Together", &card["all"]);
    if !one_by_one {
        for team in card["teams"].as_array().into_iter().flatten() {
            let name = format!("Team {}", team["name"].as_str().unwrap_or_default());
            summary(&mut out, &name, team);
        }
    }
    for component in card["components"].as_array().into_iter().flatten() {
        let path = component["path"].as_str().unwrap_or_default();
        let _ = writeln!(out, "{}: {}", printable(path), standing(&component["level"]));
        let Some(level) = component["level"].as_u64() else { continue };
        let lacks = |verdict: &&Value| verdict["met"] == false && verdict["level"] == level + 1;
        for verdict in component["verdicts"].as_array().into_iter().flatten().filter(lacks) {
            let _ = writeln!(out, "  {}", printable(verdict["says"].as_str().unwrap_or_default()));
        }
    }
    out
}

fn summary(out: &mut String, name: &str, summary: &Value) {
    let count = |key: &str| summary[key].as_u64().unwrap_or_default();
    let (components, without) = (count("components"), count("without_data"));
    let silent = if without > 0 { format!(", {without} without enough data") } else { String::new() };
    let _ = writeln!(
        out,
        "{}: {} ({components} component{}{silent})",
        printable(name),
        standing(&summary["level"]),
        if components == 1 { "" } else { "s" }
    );
    for lift in summary["lifts"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "  {}", printable(lift["says"].as_str().unwrap_or_default()));
    }
}

/// `level 2, Owned`
fn standing(level: &Value) -> String {
    let known = level.as_u64().and_then(|level| LEVELS.iter().find(|known| u64::from(known.level) == level));
    known.map_or("not enough data yet".to_owned(), |known| format!("level {}, {}", known.level, known.name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_scorecard_is_told_in_sentences() {
        let mut card = json!({
            "all": {"level": 1, "components": 3, "without_data": 1, "lifts": [{"says": "1 of 2 components have no owner: api"}]},
            "teams": [{"name": "till", "level": null, "components": 1, "without_data": 1, "lifts": []}],
            "components": [],
        });
        assert_eq!(
            shown(&card),
            "Together: level 1, Heard (3 components, 1 without enough data)\n  1 of 2 components have no owner: api\n\
             Team till: not enough data yet (1 component, 1 without enough data)\n"
        );
        card["components"] = json!([{"path": "pay/till/api", "level": 2, "verdicts": [
            {"met": false, "level": 3, "says": "No traces arrive"}, {"met": false, "level": 4, "says": "later"}, {"met": true, "level": 3, "says": "fine"}
        ]}]);
        card["all"]["lifts"] = json!([]);
        assert_eq!(
            shown(&card),
            "Together: level 1, Heard (3 components, 1 without enough data)\npay/till/api: level 2, Owned\n  No traces arrive\n"
        );
    }

    #[test]
    fn a_level_is_a_number_or_a_name_and_no_data_is_no_answer() {
        assert_eq!((level("3"), level("Explained"), level("heard")), (Ok(3), Ok(3), Ok(1)));
        assert!(level("0").is_err() && level("best").is_err());
        let at = |level: Value| ended(&json!({"all": {"level": level}}), 2);
        assert_eq!([at(json!(1)), at(json!(2)), at(Value::Null)], [BELOW, 0, TROUBLE]);
    }
}
