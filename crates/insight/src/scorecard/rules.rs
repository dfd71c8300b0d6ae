//! What each level asks of a component, and whether it is so.

use catalog::{Catalog, Entry, Gap, Mode};
use model::{ComponentScore, Figures, Verdict};
use serde_json::Value;

use super::Place;

/// Fewer say nothing about the many that are to come.
pub const RECORDS_LEAST: u64 = 100;
/// Of the records, the part that says its environment.
const IDENTITY_RATIO: f64 = 0.95;
/// Of the log records, the part that keeps the contract.
const KEPT_RATIO: f64 = 0.99;
const KEPT_RATIO_TRUSTED: f64 = 0.999;
/// More than this for each span is what spans or metrics would say better.
const LOGS_PER_SPAN: f64 = 10.0;
/// In a contract: what happens to what breaks it.
const HINTS: &str = "x-tyto";
/// Differences that a sentence names.
const NAMED_MAX: usize = 3;

/// What is known of a component beside what it sent.
pub(super) struct Known<'a> {
    /// None where it is not declared.
    pub(super) entry: Option<&'a Entry>,
    pub(super) drift: &'a [String],
    pub(super) counters_are_stored: bool,
    pub(super) catalog: &'a Catalog,
}

pub(super) fn judge(place: &Place, team: String, figures: Figures, known: &Known<'_>) -> ComponentScore {
    // Records of a business service that name no component are nobody's in particular.
    let case = Case { figures: &figures, known, is_named: !place[2].is_empty() };
    let (verdicts, kept_ratio) = (case.verdicts(), case.kept_ratio());
    let failed = verdicts.iter().filter(|verdict| verdict.met == Some(false)).map(|verdict| verdict.level).min();
    let level = (figures.came() >= RECORDS_LEAST).then(|| failed.map_or(4, |level| level - 1));
    let or_dash = |name: &String| if name.is_empty() { "-".to_owned() } else { name.clone() };
    ComponentScore {
        path: place.each_ref().map(or_dash).join("/"),
        business_service: place[0].clone(),
        team,
        declared: known.entry.is_some(),
        level,
        identity_ratio: figures.identity_ratio(),
        kept_ratio,
        logs_per_span: figures.logs_per_span(),
        logs_per_point: figures.logs_per_point(),
        drift: known.drift.len(),
        said: known.entry.map_or(0, |entry| entry.expected - entry.missing.len()),
        expected: known.entry.map_or(0, |entry| entry.expected),
        verdicts,
        figures,
    }
}

struct Case<'a> {
    figures: &'a Figures,
    known: &'a Known<'a>,
    is_named: bool,
}

impl Case<'_> {
    fn verdicts(&self) -> Vec<Verdict> {
        let verdict = |level, rule, (met, says)| Verdict { rule, level, met, says };
        vec![
            verdict(2, "declared", self.is_declared()),
            verdict(2, "identity", self.identity()),
            verdict(2, "owner", self.owner()),
            verdict(3, "signals", self.signals()),
            verdict(3, "dependencies", self.dependencies()),
            verdict(3, "contract", self.has_contract()),
            verdict(3, "kept", self.kept(KEPT_RATIO)),
            verdict(4, "complete", self.complete()),
            verdict(4, "drift", self.no_drift()),
            verdict(4, "kept_nearly_all", self.kept(KEPT_RATIO_TRUSTED)),
            verdict(4, "log_ratio", self.log_ratio()),
        ]
    }

    fn is_declared(&self) -> (Option<bool>, String) {
        let came = self.figures.came();
        match (self.is_named, self.known.entry.is_some()) {
            (false, _) => (
                Some(false),
                format!("{} say no component: add a match rule, or set omd.component where they are sent", counted(came, "record")),
            ),
            (true, false) => (Some(false), format!("It sent {} and stands in no omd.yaml: declare it", counted(came, "record"))),
            (true, true) => (Some(true), "It is in the catalogue".to_owned()),
        }
    }

    fn identity(&self) -> (Option<bool>, String) {
        let Some(ratio) = self.figures.identity_ratio() else { return (None, "Nothing came".to_owned()) };
        let (met, of) = (ratio >= IDENTITY_RATIO, counted(self.figures.asked_where().0, "record"));
        match met {
            true => (Some(true), format!("{} of {of} say where they run", percent(ratio))),
            false => (
                Some(false),
                format!(
                    "Only {} of {of} say where they run, {} are asked: set deployment.environment.name, or environment in omd.yaml",
                    percent(ratio),
                    percent(IDENTITY_RATIO)
                ),
            ),
        }
    }

    fn owner(&self) -> (Option<bool>, String) {
        let says = match self.known.entry {
            None => "Nobody owns it: it is not declared",
            Some(entry) if entry.missing.contains(&Gap::Owner) => "Nobody owns it: name owners in omd.yaml",
            Some(entry) if entry.missing.contains(&Gap::Contact) => {
                "Its owner cannot be reached: give the team email, slack, github or webhook"
            }
            Some(_) => return (Some(true), "Its owner can be reached".to_owned()),
        };
        (Some(false), says.to_owned())
    }

    fn signals(&self) -> (Option<bool>, String) {
        let Figures { logs, quarantined, rejected, spans, points, .. } = self.figures;
        let logs = logs + quarantined + rejected;
        let signals = [("logs", logs), ("traces", *spans), ("metrics", *points)];
        let (there, absent): (Vec<_>, Vec<_>) = signals.into_iter().partition(|(_, count)| *count > 0);
        let said = format!("{}, {} and {}", counted(logs, "log record"), counted(*spans, "span"), counted(*points, "point"));
        match absent.is_empty() {
            true => (Some(true), format!("Logs, traces and metrics arrive: {said}")),
            false if there.is_empty() => (Some(false), "Nothing came".to_owned()),
            false => {
                let absent: Vec<_> = absent.into_iter().map(|(name, _)| name).collect();
                (Some(false), format!("No {} arrive: {said}", absent.join(" and no ")))
            }
        }
    }

    fn dependencies(&self) -> (Option<bool>, String) {
        match self.known.entry.is_some_and(|entry| !entry.missing.contains(&Gap::DependsOn)) {
            true => (Some(true), "It says what it depends on".to_owned()),
            false => (Some(false), "It does not say what it depends on: add depends_on, or [] for nothing".to_owned()),
        }
    }

    fn contract(&self) -> Option<&str> {
        self.known.entry.map(|entry| entry.contract.as_str()).filter(|contract| !contract.is_empty())
    }

    fn has_contract(&self) -> (Option<bool>, String) {
        match self.contract() {
            Some(name) => (Some(true), format!("Its log records have a contract: {name}")),
            None => (Some(false), "No contract says what its log records look like: name one, here or at its business service".to_owned()),
        }
    }

    /// Whether what breaks the contract can be known at all.
    fn is_counted(&self, contract: &str) -> bool {
        let catalog = self.known.catalog;
        let declared = catalog.contracts.iter().find(|other| other.name == contract);
        let sets_aside = declared.is_some_and(|contract| contract.mode == Some(Mode::Quarantine) && contract.percent == 100);
        // A property may have a mode of its own.
        let of_properties = catalog.schemas.get(contract).is_some_and(|document| has_modes(&document.json["properties"]));
        self.known.counters_are_stored || sets_aside && !of_properties
    }

    fn kept_ratio(&self) -> Option<f64> {
        self.contract().filter(|contract| self.is_counted(contract)).and_then(|_| self.figures.kept_ratio())
    }

    fn kept(&self, wanted: f64) -> (Option<bool>, String) {
        let (Some(ratio), Some(contract)) = (self.figures.kept_ratio(), self.contract()) else {
            return (None, "There is no contract, or there are no log records, to compare".to_owned());
        };
        if !self.is_counted(contract) {
            let says = format!(
                "Whether it keeps the contract {contract} is not known: nothing that breaks it is set aside, and Tyto's own counters are not stored"
            );
            return (Some(false), says);
        }
        let Figures { logs, quarantined, rejected, observed, .. } = self.figures;
        let came = counted(logs + quarantined + rejected, "log record");
        let broken = format!("{quarantined} set aside, {rejected} refused, {observed} only observed");
        match ratio >= wanted {
            true => (Some(true), format!("{} of {came} keep the contract {contract}", percent(ratio))),
            false => (
                Some(false),
                format!("Only {} of {came} keep the contract {contract}, {} are asked: {broken}", percent(ratio), percent(wanted)),
            ),
        }
    }

    fn complete(&self) -> (Option<bool>, String) {
        let Some(Entry { missing, expected, .. }) = self.known.entry else {
            return (Some(false), "It has no entry in the catalogue".to_owned());
        };
        let keys: Vec<&str> = missing.iter().map(|gap| gap.key()).collect();
        match keys.is_empty() {
            true => (Some(true), format!("Its catalogue entry says all {expected} things that are expected")),
            false => {
                let said = expected - missing.len();
                (Some(false), format!("Its catalogue entry says {said} of {expected} things; missing: {}", keys.join(", ")))
            }
        }
    }

    fn no_drift(&self) -> (Option<bool>, String) {
        match self.known.drift.len() {
            0 => (Some(true), "It does what is declared".to_owned()),
            count => {
                let more = if count > NAMED_MAX { format!(" and {} more", count - NAMED_MAX) } else { String::new() };
                let named: Vec<&str> = self.known.drift.iter().take(NAMED_MAX).map(String::as_str).collect();
                (Some(false), format!("{} from what is declared: it {}{more}", counted(count as u64, "difference"), named.join("; it ")))
            }
        }
    }

    fn log_ratio(&self) -> (Option<bool>, String) {
        let Some(ratio) = self.figures.logs_per_span() else { return (None, "There are no spans to compare its logs with".to_owned()) };
        let of = format!("{ratio:.1} log records for each span");
        match ratio <= LOGS_PER_SPAN {
            true => (Some(true), format!("{of}, at most {LOGS_PER_SPAN} are asked")),
            false => {
                (Some(false), format!("{of}, at most {LOGS_PER_SPAN} are asked: count what repeats as a metric, or put it into the span"))
            }
        }
    }
}

/// Whether a part of a contract says what is to be done with what breaks it.
fn has_modes(part: &Value) -> bool {
    match part {
        Value::Object(keys) => keys.iter().any(|(key, value)| key == HINTS || has_modes(value)),
        Value::Array(items) => items.iter().any(has_modes),
        _ => false,
    }
}

/// What many components lack, for the sentence that counts them.
pub(super) fn lacking(rule: &str) -> &'static str {
    match rule {
        "declared" => "send and are in no catalogue",
        "identity" => "do not say where their records run",
        "owner" => "have no owner who can be reached",
        "signals" => "do not send all of logs, traces and metrics",
        "dependencies" => "do not say what they depend on",
        "contract" => "have no contract for their log records",
        "kept" => "break their contract too often",
        "complete" => "leave something out of their catalogue entry",
        "drift" => "do something else than is declared",
        "kept_nearly_all" => "break their contract now and then",
        _ => "log too much for what they trace",
    }
}

pub(super) fn counted(count: u64, what: &str) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|chunk| std::str::from_utf8(chunk).ok()).collect();
    format!("{} {what}{}", groups.join(","), if count == 1 { "" } else { "s" })
}

/// Never rounded up to all, nor down to none.
fn percent(ratio: f64) -> String {
    let tenths = (ratio * 1000.0).floor() / 10.0;
    match tenths {
        tenths if tenths.fract() == 0.0 => format!("{tenths:.0} %"),
        tenths => format!("{tenths:.1} %"),
    }
}
