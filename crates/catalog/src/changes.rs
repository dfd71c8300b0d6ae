//! What one catalogue has otherwise than another, in words.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::check::{BUSINESS_SERVICE, COMPONENT, CONTRACT, Change, Declared, SERVICE, differing};
use crate::problem::Origin;
use crate::{Catalog, pipelines};

const TEAM: &str = "team";
const BOARD: &str = "board";
const PIPELINE: &str = "pipeline";
const LOOK_UP_TABLE: &str = "look-up table";
const ROOT: &str = "catalogue";

/// Of a value that is shown in words.
const SHOWN_CHARS_MAX: usize = 60;

/// A change, and a line that says it: `component payments/billing/ledger: owners were pay, are billing`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    #[serde(flatten)]
    pub change: Change,
    pub words: String,
}

/// A catalogue, and the texts that it was read from.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    pub catalog: &'a Catalog,
    pub texts: &'a [(&'a str, &'a str)],
}

/// In the order of kinds and paths.
pub fn differences(before: Side, after: Side) -> Vec<Difference> {
    let levels = [before, after].map(|side| Declared::of(&side.catalog.business_services));
    let mut changes = levels[0].changes(&levels[1]);
    let [was, is] = levels;
    let (was, is) = (all(before, was), all(after, is));
    for (key @ (kind, path), says) in &was {
        // The three levels are compared above, where what moves is one change.
        if [BUSINESS_SERVICE, SERVICE, COMPONENT].contains(kind) {
            continue;
        }
        match is.get(key) {
            None => changes.push(Change::Removed { kind, path: path.clone() }),
            Some(now) if now != says => changes.push(Change::Changed { kind, path: path.clone(), keys: differing(says, now) }),
            Some(_) => {}
        }
    }
    let levels = [BUSINESS_SERVICE, SERVICE, COMPONENT];
    let added = is.keys().filter(|key| !was.contains_key(*key) && !levels.contains(&key.0));
    changes.extend(added.map(|(kind, path)| Change::Added { kind, path: path.clone() }));
    let said = |of: &BTreeMap<_, Value>, kind, path: &String| of.get(&(kind, path.clone())).cloned().unwrap_or_default();
    let words = |change: &Change| match change {
        Change::Changed { kind, path, keys } => changed(kind, path, keys, &said(&was, kind, path), &said(&is, kind, path)),
        other => other.to_string(),
    };
    changes.into_iter().map(|change| Difference { words: words(&change), change }).collect()
}

/// Everything that has a name, by kind and path, with what it says.
fn all(side: Side, levels: Declared) -> BTreeMap<(&'static str, String), Value> {
    let Side { catalog, texts } = side;
    let mut all: BTreeMap<_, _> = levels.says().collect();
    let text_of = |at: &Origin| Value::from(texts.iter().find(|(name, _)| *name == at.file).map_or("", |(_, text)| text));
    let value = |of: &dyn Fn() -> serde_json::Result<Value>| of().unwrap_or_default();
    for team in &catalog.teams {
        all.insert((TEAM, team.owner.team.clone()), value(&|| serde_json::to_value(&team.owner)));
    }
    for contract in &catalog.contracts {
        let document = catalog.schemas.get(&contract.name).map(|document| document.json.clone());
        all.insert((CONTRACT, contract.name.clone()), document.unwrap_or_default());
    }
    for board in &catalog.boards {
        all.insert((BOARD, board.name.clone()), Value::from(format!("{board:?}")));
    }
    for pipeline in &catalog.pipelines {
        all.insert((PIPELINE, pipeline.name.clone()), text_of(&pipeline.declared_at));
    }
    for (name, text) in texts.iter().filter(|(name, _)| pipelines::is_table(name)) {
        let file = name.rsplit('/').next().unwrap_or(name);
        all.insert((LOOK_UP_TABLE, file.to_owned()), Value::from(*text));
    }
    if !catalog.retention.is_empty() {
        let retention = value(&|| serde_json::to_value(&catalog.retention));
        all.insert((ROOT, "retention".to_owned()), retention);
    }
    all
}

fn changed(kind: &str, path: &str, keys: &[String], was: &Value, is: &Value) -> String {
    let parts: Vec<String> = keys.iter().map(|key| part(key, &was[key], &is[key])).collect();
    if parts.is_empty() { format!("{kind} {path}: changed") } else { format!("{kind} {path}: {}", parts.join("; ")) }
}

/// Of one key, as far as it is short enough to be said.
fn part(key: &str, was: &Value, is: &Value) -> String {
    match (shown(key, was), shown(key, is)) {
        (Some(was), Some(is)) if was != is => {
            let [were, are] = if key == "owners" { ["were", "are"] } else { ["was", "is"] };
            format!("{key} {were} {was}, {are} {is}")
        }
        _ => format!("{key} changed"),
    }
}

fn shown(key: &str, value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(owners) if key == "owners" => {
            let teams: Vec<&str> = owners.iter().filter_map(|owner| owner["team"].as_str()).collect();
            if teams.is_empty() { "nobody".to_owned() } else { teams.join(", ") }
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => return None,
    };
    (text.chars().count() <= SHOWN_CHARS_MAX && !text.contains('\n')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OMD: &str = "\
business_services:
  - name: payments
    owners: [{team: pay}]
    tier: 1
    services:
      - name: billing
        components:
          - {name: ledger, match: [{service.name: ledger}]}
          - {name: printer, match: [{service.name: printer}]}
";

    #[track_caller]
    fn check(before: &[(&str, &str)], after: &[(&str, &str)], expect: &[&str]) {
        let (was, is) = (Catalog::parse(before).unwrap(), Catalog::parse(after).unwrap());
        let found = differences(Side { catalog: &was, texts: before }, Side { catalog: &is, texts: after });
        assert_eq!(found.iter().map(|difference| difference.words.as_str()).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn every_kind_of_change_has_words() {
        let omd = [("omd.yaml", OMD)];
        check(&omd, &omd, &[]);
        let later = OMD.replace("team: pay", "team: billing").replace("tier: 1", "tier: 0").replace("name: printer,", "name: press,");
        check(
            &omd,
            &[("omd.yaml", &later)],
            &[
                "component payments/billing/press is new",
                "component payments/billing/printer is gone",
                "business service payments: owners were pay, are billing; tier was 1, is 0",
            ],
        );
        check(
            &omd,
            &[("omd.yaml", &OMD.replace("service.name: ledger}]", "service.name: books}]"))],
            &["component payments/billing/ledger: match changed"],
        );
    }

    #[test]
    fn lines_that_move_are_no_change() {
        check(&[("omd.yaml", OMD)], &[("omd.yaml", &format!("# a comment\n\n{OMD}"))], &[]);
    }

    #[test]
    fn what_lies_beside_an_omd_yaml_is_compared_as_well() {
        let contract = |kind: &str| format!(r#"{{"type": "object", "title": "Cards", "properties": {{"a": {{"type": "{kind}"}}}}}}"#);
        let (text, integer) = (contract("string"), contract("integer"));
        let pipeline = |mask: &str| format!("name: cards\nmatch: {{business_service: payments}}\nstages: [{{mask: {mask}}}]\n");
        let (card, email) = (pipeline("card"), pipeline("email"));
        check(
            &[("omd.yaml", OMD), ("contracts/cards.json", &text), ("pipelines/cards.yaml", &card)],
            &[("omd.yaml", OMD), ("contracts/cards.json", &integer), ("pipelines/cards.yaml", &email)],
            &["contract cards: properties changed", "pipeline cards: changed"],
        );
        check(&[("omd.yaml", OMD)], &[("omd.yaml", OMD), ("contracts/cards.json", &text)], &["contract cards is new"]);
        check(
            &[("omd.yaml", OMD)],
            &[("omd.yaml", &format!("retention: {{logs: 30d}}\nteams: [{{team: pay}}]\n{OMD}"))],
            &["catalogue retention is new", "team pay is new"],
        );
    }
}
