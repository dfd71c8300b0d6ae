//! How well can each component be watched, and what would lift it? Four levels ([`model::LEVELS`]), each with what it asks for.
//!
//! `seen.rs` asks the store what came of whom in a time, `rules.rs` judges one component by that, by the catalogue and by the map's drift, `sum.rs` joins
//! components to teams and business services. Nothing is kept here, and whoever doubts a figure asks the same questions again: they are in the answer.
//!
//! When you add a rule, also touch `docs/scorecard.md`.

mod rules;
mod seen;
mod sum;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use catalog::{Catalog, Entry, Live};
use model::{
    Code, ComponentScore, DriftReport, Error, Figures, LEVELS, Query, QueryLimits, Result, Scorecard, ScorecardRequest, Scorecards,
    Topology, UNASSIGNED,
};

use rules::Known;
pub use rules::RECORDS_LEAST;
use seen::Seen;

/// Business service, service, component.
type Place = [String; 3];

/// Scores what a [`Query`] answers.
pub struct ScorecardEngine {
    query: Arc<dyn Query>,
    topology: Arc<dyn Topology>,
    catalog: Arc<Live>,
    limits: QueryLimits,
}

impl ScorecardEngine {
    /// `limits` are those of each question.
    pub fn new(query: Arc<dyn Query>, topology: Arc<dyn Topology>, catalog: Arc<Live>, limits: QueryLimits) -> Self {
        Self { query, topology, catalog, limits }
    }
}

#[async_trait]
impl Scorecards for ScorecardEngine {
    async fn scorecard(&self, request: ScorecardRequest) -> Result<Scorecard> {
        let (start_ms, end_ms) = (request.start_ms, request.end_ms);
        let (seen, drift) =
            futures::try_join!(seen::seen(&*self.query, &self.limits, start_ms, end_ms), self.topology.drift(start_ms, end_ms))?;
        score(&request, seen, &drift, &self.catalog.get())
    }
}

fn score(request: &ScorecardRequest, seen: Seen, drift: &DriftReport, catalog: &Catalog) -> Result<Scorecard> {
    let Seen { mut came, teams, counters_are_stored, questions, mut warnings } = seen;
    warnings.extend(drift.warnings.iter().cloned());
    let unassigned = unassigned(&mut came);
    for place in declared(catalog) {
        came.entry(place).or_default();
    }
    let drift = drift_of(drift);
    let judged = came.into_iter().map(|(place, figures)| {
        let entry = catalog.component_entry(place.each_ref().map(String::as_str));
        let differences = drift.get(&place.join("/")).map(Vec::as_slice).unwrap_or_default();
        let team = team_of(entry.as_ref(), teams.get(&place));
        let score = rules::judge(&place, team, figures, &Known { entry: entry.as_ref(), drift: differences, counters_are_stored, catalog });
        (score, entry.map(|entry| entry.teams).unwrap_or_default())
    });
    // A component of several teams is of each of them, and counted for the first.
    let wanted = |(score, owners): &(ComponentScore, Vec<String>)| {
        (request.team.is_empty() || score.team == request.team || owners.contains(&request.team))
            && (request.business_service.is_empty() || score.business_service == request.business_service)
    };
    let components: Vec<ComponentScore> = judged.filter(wanted).map(|(score, _)| score).collect();
    let is_known = catalog.teams.iter().any(|team| team.owner.team == request.team);
    if components.is_empty() && !is_known && !(request.team.is_empty() && request.business_service.is_empty()) {
        let whom = [("team", &request.team), ("business service", &request.business_service)];
        let whom: Vec<String> =
            whom.into_iter().filter(|(_, name)| !name.is_empty()).map(|(what, name)| format!("{what} {name:?}")).collect();
        return Err(Error::new(
            Code::NotFound,
            format!("cannot find a component of {}: none is declared, and none was seen", whom.join(" and ")),
        ));
    }
    let all = sum::sum("", components.iter());
    let teams = sum::by(&components, |score| &score.team);
    let business_services = sum::by(&components, |score| &score.business_service);
    let narrow = !(request.team.is_empty() && request.business_service.is_empty());
    let seconds = |ms: i64| ms as f64 / 1000.0;
    Ok(Scorecard {
        start: seconds(request.start_ms),
        end: seconds(request.end_ms),
        levels: LEVELS,
        records_least: RECORDS_LEAST,
        all,
        unassigned,
        teams,
        business_services,
        components: if narrow { components } else { Vec::new() },
        questions,
        warnings,
    })
}

/// What nobody has claimed is no component: no team could lift it.
fn unassigned(came: &mut BTreeMap<Place, Figures>) -> Figures {
    let mut sum = Figures::default();
    came.retain(|place, figures| {
        let assigned = place[0] != UNASSIGNED && !place[0].is_empty();
        if !assigned {
            sum.add(figures);
        }
        assigned
    });
    sum
}

fn declared(catalog: &Catalog) -> impl Iterator<Item = Place> {
    catalog.business_services.iter().flat_map(|business| {
        business.services.iter().flat_map(move |service| {
            service.components.iter().map(move |component| [&business.name, &service.name, &component.name].map(Clone::clone))
        })
    })
}

/// Whom the records name, if that is an owner; else the first owner; of what nobody declares, whom the records name.
fn team_of(entry: Option<&Entry>, named: Option<&String>) -> String {
    let owners = entry.map(|entry| entry.teams.as_slice()).unwrap_or_default();
    named.filter(|named| owners.contains(named) || owners.is_empty()).or(owners.first()).cloned().unwrap_or_default()
}

/// The differences of each component, by its path, in words.
fn drift_of(report: &DriftReport) -> HashMap<String, Vec<String>> {
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    let mut add = |entity: &str, says: String| {
        if let Some(path) = entity.strip_prefix("component:") {
            found.entry(path.to_owned()).or_default().push(says);
        }
    };
    for edge in &report.called_not_declared {
        // Of a queue, who takes from it declares it.
        let (caller, other) = if edge.from.starts_with("queue:") { (&edge.to, &edge.from) } else { (&edge.from, &edge.to) };
        add(caller, format!("calls {}, which it does not declare", name(other)));
    }
    for unseen in &report.declared_never_seen {
        if let Some(other) = &unseen.to {
            add(&unseen.from, format!("declares {}, which it did not call", name(other)));
        }
    }
    for wrong in &report.wrong_owner {
        add(&wrong.entity, format!("its records name the {} {}, declared is {}", wrong.what, wrong.seen, wrong.declared.join(", ")));
    }
    found
}

/// An entity's id for people: `database:orders` is `orders`, a component's path ends in its name.
fn name(id: &str) -> &str {
    let path = id.split_once(':').map_or(id, |(_, path)| path);
    path.rsplit_once('/').filter(|_| id.starts_with("component:")).map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests;
