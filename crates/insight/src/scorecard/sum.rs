//! Many components together. The weakest decides: that is where the next incident will not be understood.

use std::collections::BTreeMap;

use model::{ComponentScore, Figures, Lift, Summary};

use super::rules::{counted, lacking};

/// Components that a sentence names.
const NAMED_MAX: usize = 3;

/// A summary for each name that is not empty, those that are furthest behind first.
pub(super) fn by(components: &[ComponentScore], name: impl Fn(&ComponentScore) -> &String) -> Vec<Summary> {
    let mut groups: BTreeMap<&str, Vec<&ComponentScore>> = BTreeMap::new();
    for score in components.iter().filter(|score| !name(score).is_empty()) {
        groups.entry(name(score)).or_default().push(score);
    }
    let mut sums: Vec<Summary> = groups.into_iter().map(|(name, scores)| sum(name, scores.into_iter())).collect();
    sums.sort_by_key(|sum| sum.level.unwrap_or(u8::MAX));
    sums
}

pub(super) fn sum<'s>(name: &str, scores: impl Iterator<Item = &'s ComponentScore>) -> Summary {
    let mut sum = Summary { name: name.to_owned(), ..Summary::default() };
    let (mut judged, mut compared) = (Vec::new(), Figures::default());
    for score in scores {
        sum.components += 1;
        sum.drift += score.drift;
        sum.figures.add(&score.figures);
        if score.kept_ratio.is_some() {
            compared.add(&score.figures);
        }
        match score.level {
            Some(level) => {
                sum.at_level[usize::from(level) - 1] += 1;
                judged.push(score);
            }
            None => sum.without_data += 1,
        }
    }
    sum.level = judged.iter().filter_map(|score| score.level).min();
    sum.identity_ratio = sum.figures.identity_ratio();
    sum.kept_ratio = compared.kept_ratio();
    sum.logs_per_span = sum.figures.logs_per_span();
    sum.logs_per_point = sum.figures.logs_per_point();
    sum.lifts = sum.level.map(|level| lifts(&judged, level + 1)).unwrap_or_default();
    sum
}

/// What holds components back from a level, what most of them lack first.
fn lifts(judged: &[&ComponentScore], level: u8) -> Vec<Lift> {
    let mut lacking_it: Vec<(&'static str, Vec<&str>)> = Vec::new();
    for score in judged {
        for verdict in score.verdicts.iter().filter(|verdict| verdict.level == level && verdict.met == Some(false)) {
            let name = score.path.rsplit_once('/').map_or(score.path.as_str(), |(_, name)| name);
            // What names no component is called by what it is of.
            let name = if name == "-" { score.path.as_str() } else { name };
            match lacking_it.iter_mut().find(|(rule, _)| *rule == verdict.rule) {
                Some((_, names)) => names.push(name),
                None => lacking_it.push((verdict.rule, vec![name])),
            }
        }
    }
    lacking_it.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    let lift = |(rule, names): (&'static str, Vec<&str>)| {
        let more = if names.len() > NAMED_MAX { format!(" and {} more", names.len() - NAMED_MAX) } else { String::new() };
        let named = names.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
        let says = format!("{} of {} {}: {named}{more}", names.len(), counted(judged.len() as u64, "component"), lacking(rule));
        Lift { rule, level, components: names.len(), of: judged.len(), says }
    };
    lacking_it.into_iter().map(lift).collect()
}
