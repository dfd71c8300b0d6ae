//! Does a record keep its team's contract, and what happens when it does not?
//!
//! Path: `compile.rs` (a contract's text, and those that it takes over, to a plan, once) > `judge.rs` (a batch's rows asked by the plans of their
//! origins; a whole column by `summary.rs`, one value by `test.rs`, `pattern.rs` and `formats.rs`, more by
//! `tree.rs`) > `verdict.rs` (of each record the strongest mode that it breaks;
//! told to the sender, counted, and for whoever tells the owner by `telling.rs`) > `aside.rs` (its row in `quarantine`).
//! `trial.rs` goes the same path with contracts that are not in force, and stores nothing.
//!
//! When you add a keyword, also touch `catalog/src/keywords.rs` and `docs/contracts.md`.

mod aside;
mod compile;
mod formats;
mod judge;
mod pattern;
mod plan;
mod summary;
mod telling;
mod test;
mod tree;
mod trial;
mod value;
mod verdict;

use std::sync::{Arc, OnceLock};

use catalog::Catalog;
use hashbrown::{Equivalent, HashMap};
use model::origin::Origins;
use model::{Identified, Identity, Result, Table};
use parking_lot::Mutex;

use crate::owners::Owners;
pub(crate) use aside::marks;
use judge::Assigned;
use plan::Plan;
pub(crate) use trial::Draft;
pub(crate) use verdict::{Counted, Judged};

/// What is told of a value in place of the value.
pub(crate) fn class_name(kind: model::AttributeType, text: &str) -> &'static str {
    value::Value::of(kind, text).class().name()
}

/// The contracts of a catalogue, each compiled when it is first needed: a company has thousands.
#[derive(Default)]
pub(crate) struct Contracts {
    /// By business service, service and component; empty texts leave a level open.
    names: HashMap<[String; 3], String>,
    plans: HashMap<String, OnceLock<Option<Arc<Plan>>>>,
}

/// A key of [`Contracts::names`] that need not be owned.
#[derive(Hash)]
struct Scope<'a>([&'a str; 3]);

impl Equivalent<[String; 3]> for Scope<'_> {
    fn equivalent(&self, other: &[String; 3]) -> bool {
        self.0 == other.each_ref().map(String::as_str)
    }
}

/// Those in force, by the version of the catalogue.
#[derive(Default)]
pub(crate) struct InForce(Mutex<Option<(u64, Arc<Contracts>)>>);

impl InForce {
    pub(crate) fn of(&self, version: u64, catalog: &Catalog) -> Arc<Contracts> {
        let mut held = self.0.lock();
        match &*held {
            Some((known, contracts)) if *known == version => contracts.clone(),
            _ => {
                let contracts = Arc::new(Contracts::of(catalog));
                *held = Some((version, contracts.clone()));
                contracts
            }
        }
    }
}

impl Contracts {
    pub(crate) fn of(catalog: &Catalog) -> Self {
        let mut contracts = Self::default();
        for business in &catalog.business_services {
            contracts.assign([&business.name, "", ""], &business.profile.contract);
            for service in &business.services {
                contracts.assign([&business.name, &service.name, ""], &service.profile.contract);
                for component in &service.components {
                    contracts.assign([&business.name, &service.name, &component.name], &component.profile.contract);
                }
            }
        }
        contracts
    }

    fn assign(&mut self, scope: [&str; 3], contract: &str) {
        if !contract.is_empty() {
            self.names.insert(scope.map(str::to_owned), contract.to_owned());
            self.plans.entry_ref(contract).or_default();
        }
    }

    /// The contract of the most specific part of an identity that has one.
    fn name(&self, [business_service, service, component]: [&str; 3]) -> Option<&str> {
        let levels = [[business_service, service, component], [business_service, service, ""], [business_service, "", ""]];
        levels.into_iter().find_map(|scope| self.names.get(&Scope(scope))).map(String::as_str)
    }

    fn plan(&self, catalog: &Catalog, name: &str) -> Option<Arc<Plan>> {
        let compile = || compile::compile(catalog, name).filter(|plan| !plan.is_empty()).map(Arc::new);
        self.plans.get(name)?.get_or_init(compile).clone()
    }

    /// The contract of each origin; none when no record of the batch has one.
    fn assigned(&self, catalog: &Catalog, origins: &Origins<'_>) -> Result<Option<Assigned>> {
        if self.names.is_empty() {
            return Ok(None);
        }
        let owners = Owners::of(origins)?;
        let mut plans: Vec<Arc<Plan>> = Vec::new();
        let of_owner = owners.each.iter().map(|Identity { business_service, service, component, .. }| {
            let plan = self.name([business_service, service, component]).and_then(|name| self.plan(catalog, name))?;
            let at = plans.iter().position(|other| Arc::ptr_eq(other, &plan)).unwrap_or_else(|| {
                plans.push(plan);
                plans.len() - 1
            });
            Some(u32::try_from(at).expect("a request has under 2^32 contracts"))
        });
        let of_owner: Vec<Option<u32>> = of_owner.collect();
        let of_origin = owners.of_place.iter().map(|owner| of_owner[*owner]).collect();
        Ok((!plans.is_empty()).then_some(Assigned { plans, of_origin }))
    }
}

/// What a verdict is reached with.
pub(crate) struct Bench<'a> {
    pub(crate) contracts: &'a Contracts,
    pub(crate) catalog: &'a Catalog,
    pub(crate) now_ns: i64,
    /// Whether owners are told.
    pub(crate) tells: bool,
}

impl Bench<'_> {
    /// Lets records in, sets them aside, or refuses them.
    pub(crate) fn judge(&self, Identified(batch): Identified) -> Result<Judged> {
        let Some(origins) = Origins::of(&batch.records).filter(|_| batch.table == Table::Logs) else { return Ok(Judged::all(batch)) };
        let Some(assigned) = self.contracts.assigned(self.catalog, &origins)? else { return Ok(Judged::all(batch)) };
        let violations = judge::judge(&batch.records, &origins, &assigned)?;
        match violations.is_empty() {
            true => Ok(Judged::all(batch)),
            false => verdict::pass(batch, &assigned, &violations, self),
        }
    }
}
