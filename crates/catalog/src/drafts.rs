//! Contracts that are not in force, beside what is: who would have them.

use std::collections::{HashMap, HashSet};

use crate::{Catalog, Contract, Problem, Profile};

impl Catalog {
    /// The contracts of these texts, for whoever names them in this catalogue or in an `omd.yaml` among the texts, whose business services take the
    /// place of those in force. With `whom` (business service, service, component; empty texts leave a level open) the only contract among
    /// them that is no part of another is for these, too. What the texts take over and do not bring is taken over from the contracts in force; and contracts in force that take over one of the texts, as it is there.
    pub fn with_drafts(&self, texts: &[(&str, &str)], whom: [&str; 3]) -> Result<Self, Vec<Problem>> {
        let is_for_some = whom.iter().any(|name| !name.is_empty());
        // Of somebody's own draft those who take it over in force know nothing.
        let all = if is_for_some { texts.to_vec() } else { self.with_those_who_take_over(texts) };
        let mut drafts = Self::parse(&self.with_taken_over(&all))?;
        for business in &self.business_services {
            if drafts.business_services.iter().all(|draft| draft.name != business.name) {
                drafts.business_services.push(business.clone());
            }
        }
        if is_for_some {
            let contract = drafts.only_contract().ok_or_else(|| vec![whole("cannot tell which contract is meant: give one file")])?;
            let profile =
                drafts.profile_mut(whom).ok_or_else(|| vec![whole(&format!("cannot find {:?}: nobody declares it", whom.join("/")))])?;
            profile.contract = contract;
        }
        Ok(drafts)
    }

    /// The contracts of these files, and those that take over one of them, themselves or by others.
    pub fn taking_over(&self, files: &[&str]) -> HashSet<String> {
        let given = self.contracts.iter().filter(|contract| files.contains(&contract.declared_at.file.as_str()));
        let mut reached: Vec<String> = given.map(|contract| contract.name.clone()).collect();
        self.reach(&mut reached);
        reached.into_iter().collect()
    }

    /// Adds those who take over one that is there.
    fn reach(&self, names: &mut Vec<String>) {
        let all: Vec<(&str, HashSet<&str>)> =
            self.contracts.iter().map(|contract| (contract.name.as_str(), self.takes_over(&contract.name))).collect();
        let mut there: HashSet<&str> = all.iter().map(|(name, _)| *name).filter(|name| names.iter().any(|other| other == name)).collect();
        let mut read = 0;
        while let Some(name) = names.get(read).cloned() {
            read += 1;
            for (other, taken) in &all {
                if taken.contains(name.as_str()) && there.insert(other) {
                    names.push((*other).to_owned());
                }
            }
        }
    }

    /// What a contract takes over, by the names that it has for them.
    fn takes_over(&self, name: &str) -> HashSet<&str> {
        self.schemas.get(name).map(|document| taken_over(&document.json)).unwrap_or_default()
    }

    fn with_those_who_take_over<'t>(&'t self, texts: &[(&'t str, &'t str)]) -> Vec<(&'t str, &'t str)> {
        let mut names: Vec<String> = texts.iter().map(|(file, _)| stem(file).to_owned()).collect();
        let given: HashSet<String> = names.iter().cloned().collect();
        self.reach(&mut names);
        let more: HashSet<&str> = names.iter().map(String::as_str).filter(|name| !given.contains(*name)).collect();
        let of = self.contracts.iter().filter(|contract| more.contains(contract.name.as_str()));
        let more = of.filter_map(|contract| Some((contract.declared_at.file.as_str(), self.texts.get(&contract.declared_at.file)?)));
        texts.iter().copied().chain(more).collect()
    }

    fn with_taken_over<'t>(&'t self, texts: &[(&'t str, &'t str)]) -> Vec<(&'t str, &'t str)> {
        let by_name: HashMap<&str, &Contract> = self.contracts.iter().map(|contract| (contract.name.as_str(), contract)).collect();
        let mut all = texts.to_vec();
        let mut there: HashSet<String> = texts.iter().map(|(file, _)| stem(file).to_owned()).collect();
        let mut read = 0;
        while let Some((file, text)) = all.get(read).copied() {
            read += 1;
            if !file.ends_with(".json") || crate::pipelines::is_table(file) {
                continue;
            }
            // What is no JSON takes over nothing; that it is none is told when it is parsed.
            let json = serde_json::from_str(text).unwrap_or_default();
            for name in taken_over(&json) {
                if let Some(contract) = by_name.get(name)
                    && there.insert(name.to_owned())
                    && let Some(text) = self.texts.get(&contract.declared_at.file)
                {
                    all.push((&contract.declared_at.file, text));
                }
            }
        }
        all
    }

    /// The one contract that no other takes over.
    fn only_contract(&self) -> Option<String> {
        let others = self.contracts.iter().flat_map(|other| {
            let taken = self.takes_over(&other.name);
            taken.into_iter().filter(|name| *name != other.name)
        });
        let taken: HashSet<&str> = others.collect();
        let mut whole = self.contracts.iter().filter(|contract| !taken.contains(contract.name.as_str()));
        let first = whole.next()?;
        whole.next().is_none().then(|| first.name.clone())
    }

    fn profile_mut(&mut self, [business_service, service, component]: [&str; 3]) -> Option<&mut Profile> {
        let business = self.business_services.iter_mut().find(|business| business.name == business_service)?;
        if service.is_empty() {
            return component.is_empty().then_some(&mut business.profile);
        }
        let service = business.services.iter_mut().find(|other| other.name == service)?;
        if component.is_empty() {
            return Some(&mut service.profile);
        }
        service.components.iter_mut().find(|other| other.name == component).map(|component| &mut component.profile)
    }
}

/// The file's own name, without what it is.
fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".json").unwrap_or(name)
}

/// Where all references of a contract lead, by name.
fn taken_over(json: &serde_json::Value) -> HashSet<&str> {
    let (mut names, mut open) = (HashSet::new(), vec![json]);
    while let Some(json) = open.pop() {
        match json {
            serde_json::Value::Object(keys) => {
                let file = keys.get("$ref").and_then(serde_json::Value::as_str).and_then(|to| to.split('#').next());
                names.extend(file.filter(|file| file.ends_with(".json")).map(stem));
                open.extend(keys.values());
            }
            serde_json::Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    names
}

fn whole(what: &str) -> Problem {
    Problem { file: "draft".to_owned(), line: 0, column: 0, what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "business_services: [
        {name: pay, owners: [{team: t}], contract: pay, services: [{name: till, components: [{name: api}]}]}, {name: play, owners: [{team: t}]}]";
    const CONTRACT: &str = r#"{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}"#;
    const OVER: &str = r#"{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "allOf": [{"$ref": "core.json"}]}"#;

    fn contracts(texts: &[(&str, &str)], whom: [&str; 3]) -> Result<Vec<String>, String> {
        let catalog = Catalog::parse(&[("omd.yaml", FILE), ("contracts/pay.json", CONTRACT)]).unwrap();
        let drafts = catalog.with_drafts(texts, whom).map_err(|problems| problems[0].to_string())?;
        let mut said: Vec<String> = drafts
            .entries(&crate::Wanted::default())
            .iter()
            .filter(|entry| entry.name != "t")
            .map(|entry| format!("{}={}", entry.path, entry.contract))
            .collect();
        said.sort();
        Ok(said)
    }

    #[test]
    fn a_draft_is_for_those_who_name_it_or_for_whom_it_is_said_to_be() {
        let pay = ["pay/till/api=pay", "pay/till=pay", "pay=pay"].map(str::to_owned);
        let with = |play: &str| pay.iter().cloned().chain([format!("play={play}")]).collect::<Vec<_>>();
        assert_eq!(contracts(&[("pay.json", CONTRACT)], [""; 3]), Ok(with("")));
        assert_eq!(contracts(&[("play.json", OVER), ("core.json", CONTRACT)], ["play", "", ""]), Ok(with("play")));
        let api = contracts(&[("new.json", CONTRACT)], ["pay", "till", "api"]).unwrap();
        assert_eq!(api, ["pay/till/api=new", "pay/till=pay", "pay=pay", "play="]);
        let own = "business_services: [{name: play, owners: [{team: t}], contract: new}]";
        assert_eq!(contracts(&[("omd.yaml", own), ("contracts/new.json", CONTRACT)], [""; 3]), Ok(with("new")));
    }

    #[test]
    fn a_draft_takes_over_what_is_in_force_and_not_among_its_texts() {
        let in_force = Catalog::parse(&[("omd.yaml", FILE), ("contracts/pay.json", CONTRACT), ("contracts/other.json", CONTRACT)]).unwrap();
        let over = r#"{"allOf": [{"$ref": "pay.json"}]}"#;
        let names = |texts: &[(&str, &str)]| -> Vec<String> {
            let drafts = in_force.with_drafts(texts, ["play", "", ""]).unwrap();
            drafts.contracts.iter().map(|contract| contract.declared_at.file.clone()).collect()
        };
        assert_eq!(names(&[("new.json", over)]), ["new.json", "contracts/pay.json"]);
        assert_eq!(names(&[("new.json", over), ("pay.json", CONTRACT)]), ["new.json", "pay.json"]);
        assert_eq!(names(&[("new.json", CONTRACT)]), ["new.json"]);
    }

    #[test]
    fn those_who_take_over_a_draft_are_tried_with_it() {
        let top = r#"{"allOf": [{"$ref": "pay.json"}]}"#;
        let files = [
            ("omd.yaml", FILE),
            ("contracts/core.json", CONTRACT),
            ("contracts/pay.json", OVER),
            ("contracts/top.json", top),
            ("contracts/other.json", CONTRACT),
        ];
        let in_force = Catalog::parse(&files).unwrap();
        let drafts = in_force.with_drafts(&[("core.json", CONTRACT)], [""; 3]).unwrap();
        let taking: Vec<&str> = drafts.contracts.iter().map(|contract| contract.name.as_str()).collect();
        assert_eq!(taking, ["core", "pay", "top"]);
        let reached = |files: &[&str]| {
            let mut reached: Vec<String> = drafts.taking_over(files).into_iter().collect();
            reached.sort();
            reached
        };
        assert_eq!(reached(&["core.json"]), ["core", "pay", "top"]);
        assert_eq!(reached(&["contracts/pay.json"]), ["pay", "top"]);
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        let two = [("a.json", CONTRACT), ("b.json", CONTRACT)];
        assert_eq!(contracts(&two, ["pay", "", ""]).unwrap_err(), "draft: cannot tell which contract is meant: give one file");
        assert_eq!(contracts(&two[..1], ["pay", "", "api"]).unwrap_err(), "draft: cannot find \"pay//api\": nobody declares it");
        assert!(contracts(&[("a.json", "{")], [""; 3]).is_err());
    }
}
