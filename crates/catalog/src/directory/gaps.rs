//! What an entry is expected to say. Environment and links are not asked for: most records bring their environment, and not everything has links.

use super::{EntryKind, Level};
use crate::{Owner, Profile};

/// Something that nobody has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    Description,
    Owner,
    Contact,
    OnCall,
    Tier,
    CostCentre,
    Contract,
    Runbook,
    Match,
    DependsOn,
    Parts,
}

impl Gap {
    pub const ALL: [Self; 11] = [
        Self::Description,
        Self::Owner,
        Self::Contact,
        Self::OnCall,
        Self::Tier,
        Self::CostCentre,
        Self::Contract,
        Self::Runbook,
        Self::Match,
        Self::DependsOn,
        Self::Parts,
    ];

    pub fn key(self) -> &'static str {
        match self {
            Self::Description => "description",
            Self::Owner => "owner",
            Self::Contact => "contact",
            Self::OnCall => "on_call",
            Self::Tier => "tier",
            Self::CostCentre => "cost_centre",
            Self::Contract => "contract",
            Self::Runbook => "runbook",
            Self::Match => "match",
            Self::DependsOn => "depends_on",
            Self::Parts => "parts",
        }
    }

    /// What that means for whoever reads it.
    pub fn what(self) -> &'static str {
        match self {
            Self::Description => "Nobody has written what it is for",
            Self::Owner => "Nobody owns it",
            Self::Contact => "Its owner cannot be reached: no mail, chat or issue tracker is named",
            Self::OnCall => "Nobody is named who is on call",
            Self::Tier => "It is not said how much it matters",
            Self::CostCentre => "Nobody pays for it: no cost centre is named",
            Self::Contract => "No contract says what its log records look like",
            Self::Runbook => "There is no runbook for the night it fails",
            Self::Match => "No rule claims its records",
            Self::DependsOn => "It is not said what it depends on",
            Self::Parts => "It has no parts",
        }
    }

    /// What to write in `omd.yaml`.
    pub fn fix(self) -> &'static str {
        match self {
            Self::Description => "description: one sentence",
            Self::Owner => "owners: [{team: name}]",
            Self::Contact => "email, slack, github or webhook beside the team",
            Self::OnCall => "on_call: an address, beside the team",
            Self::Tier => "tier: from 0, everything hangs on it, to 4",
            Self::CostCentre => "cost_centre: here or at its business service",
            Self::Contract => "contract: a name, here or at its business service",
            Self::Runbook => "runbooks: [{title: what to do, url: …}], here or above",
            Self::Match => "match: [{service.name: its name}]",
            Self::DependsOn => "depends_on: [what it calls], or [] for nothing",
            Self::Parts => "services or components below it",
        }
    }
}

pub(super) fn expected(kind: EntryKind) -> &'static [Gap] {
    match kind {
        EntryKind::BusinessService => &[Gap::Description, Gap::Owner, Gap::Contact, Gap::CostCentre, Gap::Contract, Gap::Parts],
        EntryKind::Service => &[Gap::Description, Gap::Owner, Gap::Contact, Gap::Parts],
        EntryKind::Component => &[
            Gap::Description,
            Gap::Owner,
            Gap::Contact,
            Gap::Tier,
            Gap::CostCentre,
            Gap::Contract,
            Gap::Runbook,
            Gap::Match,
            Gap::DependsOn,
        ],
        EntryKind::Team => &[Gap::Contact, Gap::OnCall],
    }
}

/// `profile` is what holds for the level.
pub(super) fn of_level(level: &Level<'_>, profile: &Profile) -> Vec<Gap> {
    let said = |gap: &Gap| match gap {
        Gap::Description => !profile.description.is_empty(),
        Gap::Owner => !profile.owners.is_empty(),
        // Without an owner that is what is missing.
        Gap::Contact => profile.owners.is_empty() || profile.owners.iter().any(is_reachable),
        Gap::OnCall => profile.owners.iter().any(|owner| !owner.on_call.is_empty()),
        Gap::Tier => !profile.tier.is_empty(),
        Gap::CostCentre => !profile.cost_centre.is_empty(),
        Gap::Contract => !profile.contract.is_empty(),
        Gap::Runbook => level.has_runbook(),
        Gap::Match => !level.rules().is_empty(),
        Gap::DependsOn => level.component.is_some_and(|component| component.depends_on.is_some()),
        Gap::Parts => level.parts() > 0,
    };
    expected(level.kind()).iter().filter(|gap| !said(gap)).copied().collect()
}

pub(super) fn of_team(owner: &Owner) -> Vec<Gap> {
    let mut missing = Vec::new();
    if !is_reachable(owner) {
        missing.push(Gap::Contact);
    }
    if owner.on_call.is_empty() {
        missing.push(Gap::OnCall);
    }
    missing
}

/// By any of the channels that tell owners.
fn is_reachable(owner: &Owner) -> bool {
    [&owner.email, &owner.slack, &owner.github, &owner.webhook].into_iter().any(|contact| !contact.is_empty())
}
