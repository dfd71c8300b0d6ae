//! What waits, told in short: by whose it is and what is wrong.

use hashbrown::HashMap;
use model::quarantine::{Group, Waiting};

use super::read::Open;

/// Parts of the time from the first to the last that waits.
const TREND_PARTS: usize = 24;
const EXAMPLES_MAX: usize = 5;
/// Groups that are told; of more the largest.
const GROUPS_MAX: usize = 1000;

/// `open` is sorted by time.
pub(super) fn of(open: Vec<Open>) -> Waiting {
    let (first, last) = (open.first().map_or(0, |open| open.at_ns), open.last().map_or(0, |open| open.at_ns));
    let part_of = |at_ns: i64| {
        let (since, whole) = (i128::from(at_ns) - i128::from(first), i128::from(last) - i128::from(first) + 1);
        usize::try_from(since * TREND_PARTS as i128 / whole).unwrap_or_default()
    };
    let records = open.len() as u64;
    let mut groups: Vec<Group> = Vec::new();
    let mut places = HashMap::new();
    for Open { id, at_ns, whose, first } in open {
        let place = *places.entry((whose.clone(), first.clone())).or_insert_with(|| {
            groups.push(Group {
                business_service: whose.business_service.clone(),
                service: whose.service.clone(),
                component: whose.component.clone(),
                team: String::new(),
                contract: whose.contract.clone(),
                rule: first.rule.clone(),
                path: first.path.clone(),
                expected: first.expected.clone(),
                found: first.found.clone(),
                at: first.at.clone(),
                records: 0,
                first_unix_nano: at_ns,
                last_unix_nano: at_ns,
                trend: vec![0; TREND_PARTS],
                examples: Vec::new(),
            });
            groups.len() - 1
        });
        let group = &mut groups[place];
        group.records += 1;
        group.last_unix_nano = at_ns;
        group.trend[part_of(at_ns)] += 1;
        group.examples.insert(0, id);
        group.examples.truncate(EXAMPLES_MAX);
    }
    groups.sort_by(|a, b| (b.records, &a.business_service, &a.path, &a.rule).cmp(&(a.records, &b.business_service, &b.path, &b.rule)));
    let groups_left_out = groups.len().saturating_sub(GROUPS_MAX) as u64;
    groups.truncate(GROUPS_MAX);
    Waiting { records, groups, groups_left_out }
}
