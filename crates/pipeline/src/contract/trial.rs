//! What contracts that are not in force would have done to records that came: they are judged as those in force are, and nothing is stored or counted.

use catalog::Catalog;
use hashbrown::HashMap;
use model::origin::Origins;
use model::{Breach, Broken, ContractDraft, ContractTrial, Decoded, DraftFor, Error, Identified, Result, Table, TriedBreach};
use serde_json::Value;

use super::{Bench, Contracts, judge, verdict};
use crate::{identify, transform};

/// Breaches that one trial tells, by component and rule.
const BREACHES_MAX: usize = 500;
/// Records that are judged together: of one batch only so many breaches are told.
const BATCH_RECORDS: usize = 256;

pub(crate) struct Draft {
    catalog: Catalog,
    compiled: Contracts,
    contracts: Vec<String>,
    business_services: Vec<String>,
    now_ms: i64,
    trial: ContractTrial,
    breaches: HashMap<Breach, Broken>,
}

impl Draft {
    pub(crate) fn read(in_force: &Catalog, files: &[(String, String)], whom: &DraftFor, now_ms: i64) -> Result<Self> {
        let texts: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let whom = [whom.business_service.as_str(), &whom.service, &whom.component];
        let catalog = in_force.with_drafts(&texts, whom).map_err(|problems| {
            let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
            Error::invalid(format!("cannot use the draft:\n{}", lines.join("\n")))
        })?;
        let compiled = Contracts::of(&catalog);
        // What is only taken over from those in force is no draft; what takes one over is.
        let given: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let drafts = catalog.taking_over(&given);
        let is_drafted = |name: &str| drafts.contains(name);
        let mut contracts: Vec<String> = compiled.names.values().filter(|name| is_drafted(name)).cloned().collect();
        contracts.sort();
        contracts.dedup();
        let drafted = compiled.names.iter().filter(|(_, name)| is_drafted(name));
        let mut business_services: Vec<String> = drafted.map(|([business_service, ..], _)| business_service.clone()).collect();
        business_services.sort();
        business_services.dedup();
        if contracts.is_empty() {
            let names: Vec<&str> = catalog.contracts.iter().map(|contract| contract.name.as_str()).collect();
            let what = format!("cannot try {}: nobody in the catalogue has such a contract; say whom it is for", names.join(", "));
            return Err(Error::invalid(what));
        }
        let (trial, breaches) = (ContractTrial::default(), HashMap::new());
        Ok(Self { catalog, compiled, contracts, business_services, now_ms, trial, breaches })
    }

    fn judge_batch(&mut self, records: &[Value]) -> Result<()> {
        let batch = Decoded::new(Table::Logs, transform::batch(records, self.now_ms)?, "draft");
        // The columns say whose they are: no rule is asked again.
        let identified = identify::identify(batch, &Catalog::default())?;
        let Identified(batch) = identified;
        let records = batch.records.clone();
        let origins = Origins::of(&records).ok_or_else(|| Error::internal("cannot try records that are not packed"))?;
        let Some(assigned) = self.compiled.assigned(&self.catalog, &origins)? else { return Ok(()) };
        let has_contract = |row: &usize| assigned.of_origin[origins.place(*row)].is_some();
        self.trial.records += (0..records.num_rows()).filter(has_contract).count() as u64;
        let violations = judge::judge(&records, &origins, &assigned)?;
        let broken = violations.chunk_by(|one, other| one.row == other.row).count() as u64;
        let now_ns = self.now_ms.saturating_mul(1_000_000);
        let bench = Bench { contracts: &self.compiled, catalog: &self.catalog, now_ns, tells: true };
        let judged = verdict::pass(batch, &assigned, &violations, &bench)?;
        let stopped = judged.kept.iter().filter(|kept| !**kept).count() as u64;
        let rejected = judged.refused.len() as u64;
        self.trial.broken += broken;
        self.trial.rejected += rejected;
        self.trial.quarantined += stopped - rejected;
        self.trial.observed += broken - stopped;
        let told = judged.counted.into_told();
        self.trial.breaches_left_out += told.left_out;
        for (breach, broken) in told.breaches {
            let is_full = self.breaches.len() == BREACHES_MAX;
            match self.breaches.get_mut(&breach) {
                Some(known) => known.records.add(broken.records),
                None if is_full => self.trial.breaches_left_out += broken.records.all(),
                None => drop(self.breaches.insert(breach, broken)),
            }
        }
        Ok(())
    }
}

impl ContractDraft for Draft {
    fn contracts(&self) -> &[String] {
        &self.contracts
    }

    fn business_services(&self) -> &[String] {
        &self.business_services
    }

    fn judge(&mut self, records: &[Value]) -> Result<()> {
        records.chunks(BATCH_RECORDS).try_for_each(|records| self.judge_batch(records))
    }

    fn trial(&self) -> ContractTrial {
        let breaches = self.breaches.iter().map(|(breach, broken)| TriedBreach { breach: breach.clone(), broken: broken.clone() });
        let mut breaches: Vec<TriedBreach> = breaches.collect();
        breaches.sort_by(|a, b| (b.broken.records.all(), &a.breach).cmp(&(a.broken.records.all(), &b.breach)));
        ContractTrial { breaches, ..self.trial.clone() }
    }
}
