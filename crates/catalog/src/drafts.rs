//! Contracts that are not in force, beside what is: who would have them.

use crate::{Catalog, Problem, Profile};

impl Catalog {
    /// The contracts of these texts, for whoever names them in this catalogue or in an `omd.yaml` among the texts, whose business services take the
    /// place of those in force. With `whom` (business service, service, component; empty texts leave a level open) the only contract among
    /// them that is no part of another is for these, too. What the texts take over and do not bring is taken over from the contracts in force.
    pub fn with_drafts(&self, texts: &[(&str, &str)], whom: [&str; 3]) -> Result<Self, Vec<Problem>> {
        let mut drafts = Self::parse(&self.with_taken_over(texts))?;
        for business in &self.business_services {
            if drafts.business_services.iter().all(|draft| draft.name != business.name) {
                drafts.business_services.push(business.clone());
            }
        }
        if whom.iter().any(|name| !name.is_empty()) {
            let contract = drafts.only_contract().ok_or_else(|| vec![whole("cannot tell which contract is meant: give one file")])?;
            let profile =
                drafts.profile_mut(whom).ok_or_else(|| vec![whole(&format!("cannot find {:?}: nobody declares it", whom.join("/")))])?;
            profile.contract = contract;
        }
        Ok(drafts)
    }

    fn with_taken_over<'t>(&'t self, texts: &[(&'t str, &'t str)]) -> Vec<(&'t str, &'t str)> {
        let mut all = texts.to_vec();
        let mut read = 0;
        while let Some((file, text)) = all.get(read).copied() {
            read += 1;
            if !file.ends_with(".json") || crate::pipelines::is_table(file) {
                continue;
            }
            // What is no JSON takes over nothing; that it is none is told when it is parsed.
            let json = serde_json::from_str(text).unwrap_or_default();
            for contract in &self.contracts {
                let own = format!("{}.json", contract.name);
                let is_there = all.iter().any(|(file, _)| file.rsplit('/').next() == Some(&own));
                if !is_there
                    && refers(&json, &own)
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
        let taken_over = |name: &str| {
            let file = format!("{name}.json");
            let others = self.contracts.iter().filter(|other| other.name != name).filter_map(|other| self.schemas.get(&other.name));
            others.into_iter().any(|other| refers(&other.json, &file))
        };
        let mut whole = self.contracts.iter().filter(|contract| !taken_over(&contract.name));
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

fn refers(json: &serde_json::Value, file: &str) -> bool {
    match json {
        serde_json::Value::Object(keys) => keys.iter().any(|(key, value)| {
            let to = value.as_str().and_then(|to| to.split('#').next()?.rsplit('/').next());
            let leads_there = key == "$ref" && to == Some(file);
            leads_there || refers(value, file)
        }),
        serde_json::Value::Array(items) => items.iter().any(|item| refers(item, file)),
        _ => false,
    }
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
    fn what_cannot_be_told_is_refused() {
        let two = [("a.json", CONTRACT), ("b.json", CONTRACT)];
        assert_eq!(contracts(&two, ["pay", "", ""]).unwrap_err(), "draft: cannot tell which contract is meant: give one file");
        assert_eq!(contracts(&two[..1], ["pay", "", "api"]).unwrap_err(), "draft: cannot find \"pay//api\": nobody declares it");
        assert!(contracts(&[("a.json", "{")], [""; 3]).is_err());
    }
}
