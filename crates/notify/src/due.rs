//! What is to be told now: at most one message to a team by a channel.

use catalog::Channels;
use model::Breach;

use crate::Channel;
use crate::ledger::{Issue, Known};
use crate::message::{Cover, ITEMS_MAX, Item, Kind, Message, id};

/// A new breach is told after this long, together with those that came of the same change.
const GATHER_MS: i64 = 2000;

/// When it is, and since when records could have come at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) ms: i64,
    pub(crate) started_ms: i64,
}

/// Whether nothing has broken it for so long that it is fixed. While Tyto was down nothing could.
pub(crate) fn is_quiet(known: &Known, channels: &Channels, now: Now) -> bool {
    now.ms - known.last_ms.max(now.started_ms) >= millis(channels.fixed_after)
}

/// `breaches` are the team's. What is new goes before what is fixed, and that before what goes on.
pub(crate) fn due(
    breaches: &[(&Breach, &Known)],
    (team, channel, to): (&str, Channel, &str),
    channels: &Channels,
    now: Now,
) -> Option<Message> {
    let told = |known: &Known| known.told.get(&channel).cloned();
    let is_new = |one: &&(&Breach, &Known)| told(one.1).is_none() && now.ms - one.1.first_ms >= GATHER_MS;
    let is_fixed = |one: &&(&Breach, &Known)| told(one.1).is_some_and(|told| !told.fixed) && is_quiet(one.1, channels, now);
    let goes_on = |known: &Known| told(known).filter(|told| !told.fixed && told.records != known.broken.records);
    let is_late = |one: &&(&Breach, &Known)| goes_on(one.1).is_some_and(|told| now.ms - told.at_ms >= millis(channels.digest_every));
    let (kind, first) = [
        (Kind::First, breaches.iter().find(is_new)),
        (Kind::Fixed, breaches.iter().find(is_fixed)),
        (Kind::Digest, breaches.iter().find(is_late)),
    ]
    .into_iter()
    .find_map(|(kind, first)| Some((kind, first?)))?;
    let issue = issue_of(first.1, channel, to);
    let belongs = |one: &&(&Breach, &Known)| {
        let is_of_kind = match kind {
            Kind::First | Kind::Test => told(one.1).is_none(),
            Kind::Fixed => is_fixed(one),
            // Those that are not due yet come along, so that all are told together from now on.
            Kind::Digest => goes_on(one.1).is_some(),
        };
        is_of_kind && issue_of(one.1, channel, to) == issue
    };
    let all: Vec<&(&Breach, &Known)> = breaches.iter().filter(belongs).collect();
    let stays_open = |one: &(&Breach, &Known)| {
        let is_open = told(one.1).is_some_and(|told| !told.fixed) && issue_of(one.1, channel, to) == issue;
        is_open && !all.iter().any(|covered| covered.0 == one.0)
    };
    let since: Vec<_> = all.iter().map(|(breach, known)| (*breach, told(known).map_or(known.first_ms, |told| told.at_ms))).collect();
    Some(Message {
        id: id(kind, team, channel, &since),
        kind,
        team: team.to_owned(),
        channel,
        to: to.to_owned(),
        at_ms: now.ms,
        items: all.iter().take(ITEMS_MAX).map(|(breach, known)| Item::of(breach, known, channel)).collect(),
        more: all.len().saturating_sub(ITEMS_MAX),
        covers: all.iter().map(|(breach, known)| cover(breach, known)).collect(),
        closes: kind == Kind::Fixed && !breaches.iter().any(stays_open),
        issue: issue.as_ref().map(|issue| issue.number),
        link: link(channels, team),
    })
}

/// The issue that has told it, if that stands where issues are filed now.
fn issue_of(known: &Known, channel: Channel, to: &str) -> Option<Issue> {
    known.told.get(&channel)?.issue.clone().filter(|issue| issue.repository == to)
}

fn cover(breach: &Breach, known: &Known) -> Cover {
    Cover { breach: breach.clone(), records: known.broken.records, last_ms: known.last_ms }
}

/// Of the page that shows what waits of a team.
pub(crate) fn link(channels: &Channels, team: &str) -> String {
    let page = format!("{}/quarantine", channels.public_url);
    match channels.public_url.as_str() {
        "" => String::new(),
        _ => reqwest::Url::parse_with_params(&page, [("team", team)]).map_or(page, String::from),
    }
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
