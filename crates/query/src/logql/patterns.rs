//! What do these lines have in common, and what changed since before?
//!
//! The lines themselves are counted, so that counts are exact for any time, and what is erased is in none. What patterns are
//! called and when they began is known to [`model::patterns`].

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use lang::logql::{Expr, LogExpr};
use model::patterns::{Learning, Patterns};
use model::{Answer, Answered, Error, LogPattern, LogPatterns, Order, PatternChange, Result, Scan, TimeRange};

use super::parse;
use super::row::Row;
use super::source::{DETECTED_LEVEL, Needs, Plan, Reader, Wanted};
use crate::guard::{Charge, Guard, blocking, fold};

/// Lines of one time that are counted, the newest.
const LINES_MAX: u64 = 10_000_000;
/// Patterns that are counted apart; lines of further ones are counted together.
const PATTERNS_MAX: usize = 20_000;
/// Services of one pattern that are told.
const SERVICES_MAX: usize = 20;
/// Of a line that stands for its pattern.
const EXAMPLE_BYTES_MAX: usize = 16 << 10;
/// Of that so much is told.
const TOLD_BYTES_MAX: usize = 2 << 10;

/// Levels as they are told, from the worst; the last is that of lines that say none.
const LEVELS: [&str; 7] = ["critical", "error", "warn", "info", "debug", "trace", "unknown"];
/// Levels of the first lines that somebody who was called wants to see.
const BAD_LEVELS: usize = 2;

const SECOND_NS: i64 = 1_000_000_000;

/// What is asked for.
pub(super) struct Asked<'a> {
    /// Without a text every line is meant.
    pub(super) query: &'a str,
    pub(super) time: TimeRange,
    pub(super) step_ns: i64,
    /// The time to compare with.
    pub(super) before: Option<TimeRange>,
    pub(super) limit: usize,
}

pub(super) async fn answer(scan: &dyn Scan, patterns: &Arc<Patterns>, asked: Asked<'_>, guard: &Guard) -> Result<Answer> {
    let log = match asked.query.trim().is_empty() {
        true => LogExpr { pos: Default::default(), selector: Vec::new(), stages: Vec::new() },
        false => match parse(asked.query).await? {
            Expr::Log(log) => log,
            _ => return Err(Error::invalid("cannot find patterns in a metric: ask for lines")),
        },
    };
    let mut found = Found::new(patterns.clone(), asked.step_ns.max(SECOND_NS), guard);
    found = read(scan, &log, asked.time, found, guard).await?;
    if let Some(before) = asked.before {
        found.turn_back();
        found = read(scan, &log, before, found, guard).await?;
    }
    let times = Times { time: asked.time, before: asked.before };
    let limit = asked.limit;
    Ok(Answer::new(Answered::LogPatterns(Box::new(blocking(move || Ok(found.answer(&times, limit))).await?))))
}

async fn read(scan: &dyn Scan, log: &LogExpr, time: TimeRange, found: Found, guard: &Guard) -> Result<Found> {
    if time.is_empty() {
        return Ok(found);
    }
    let log = log.clone();
    let metadata = if log.stages.is_empty() { Wanted::Names(vec![DETECTED_LEVEL.to_owned()]) } else { Wanted::All };
    let plan = blocking(move || Plan::new(&log)).await?;
    let reader = Reader::new(plan, Needs { stream: true, line: true, metadata }, guard);
    let rows = scan.scan(reader.request(time, Order::NewestFirst, None)).await?;
    let (_, found) =
        fold(rows, (reader, found), |(reader, found), batch| reader.lines(batch, |_, row, stream| found.add(row, stream))).await?;
    Ok(found)
}

struct Times {
    time: TimeRange,
    before: Option<TimeRange>,
}

struct Found {
    patterns: Arc<Patterns>,
    step_ns: i64,
    /// By the id that a line's pattern had when it was read.
    groups: HashMap<u64, Group>,
    /// Lines of patterns beyond those that are counted apart, and before.
    others: [u64; 2],
    /// Lines of the time, and of that before.
    lines: [u64; 2],
    /// Which of the two is read.
    is_before: bool,
    sampled: bool,
    guard: Guard,
    charge: Charge,
}

#[derive(Default)]
struct Group {
    example: String,
    /// The last of the streams that was met, which mostly is the next, too.
    stream: Option<usize>,
    services: HashSet<String>,
    /// Lines by level, and by it and the start of the step.
    levels: [u64; LEVELS.len()],
    samples: BTreeMap<(usize, i64), u64>,
    before: u64,
    /// Of the lines met.
    first_ns: i64,
    last_ns: i64,
}

impl Found {
    fn new(patterns: Arc<Patterns>, step_ns: i64, guard: &Guard) -> Self {
        let (groups, others, lines) = Default::default();
        Self { patterns, step_ns, groups, others, lines, is_before: false, sampled: false, guard: guard.clone(), charge: guard.charge(0) }
    }

    /// From now on the time before is read.
    fn turn_back(&mut self) {
        self.is_before = true;
        self.groups.values_mut().for_each(|group| group.stream = None);
    }

    /// Whether more lines are wanted.
    fn add(&mut self, row: &Row<'_>, stream: usize) -> Result<bool> {
        let which = usize::from(self.is_before);
        if self.lines[which] >= LINES_MAX {
            self.sampled = true;
            return Ok(false);
        }
        self.lines[which] += 1;
        let id = self.patterns.id(&row.line, row.time_ns, Learning::WhenThereIsRoom);
        if self.groups.len() >= PATTERNS_MAX && !self.groups.contains_key(&id) {
            self.others[which] += 1;
            return Ok(true);
        }
        let group = self.groups.entry(id).or_insert_with(|| {
            let end = row.line.floor_char_boundary(EXAMPLE_BYTES_MAX.min(row.line.len()));
            self.charge.grow(size_of::<Group>() + end);
            Group { example: row.line[..end].to_owned(), first_ns: i64::MAX, last_ns: i64::MIN, ..Group::default() }
        });
        group.first_ns = group.first_ns.min(row.time_ns);
        group.last_ns = group.last_ns.max(row.time_ns);
        if group.stream != Some(stream) && group.services.len() < SERVICES_MAX {
            let mut names = ["service_name", "service"].into_iter().filter_map(|name| row.get(name));
            if let Some(service) = names.find(|name| !name.is_empty()).filter(|name| !group.services.contains(*name)) {
                self.charge.grow(service.len());
                group.services.insert(service.to_owned());
            }
            group.stream = Some(stream);
        }
        if self.is_before {
            group.before += 1;
        } else {
            let level = row.get(DETECTED_LEVEL).and_then(|level| LEVELS.iter().position(|name| *name == level)).unwrap_or(LEVELS.len() - 1);
            group.levels[level] += 1;
            let step = row.time_ns.div_euclid(self.step_ns).saturating_mul(self.step_ns).div_euclid(SECOND_NS);
            *group.samples.entry((level, step)).or_insert_with(|| {
                self.charge.grow(4 * size_of::<u64>());
                0
            }) += 1;
        }
        self.guard.fits(0)?;
        Ok(true)
    }

    fn answer(self, times: &Times, limit: usize) -> LogPatterns {
        let Self { patterns, groups, mut others, lines, mut sampled, .. } = self;
        // Patterns may have become one while the lines were read.
        let mut merged: BTreeMap<u64, Group> = BTreeMap::new();
        for (id, group) in groups {
            match merged.entry(patterns.current(id)) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(group);
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => entry.get_mut().take(group),
            }
        }
        let mut found: Vec<LogPattern> = merged.into_iter().map(|(id, group)| group.told(id, &patterns, times)).collect();
        found.sort_by_cached_key(urgency);
        let patterns_found = found.len();
        for cut in found.drain(limit.min(patterns_found)..) {
            others[0] += cut.count;
            others[1] += cut.count_before;
        }
        sampled |= others != [0, 0] && patterns_found >= PATTERNS_MAX;
        let [lines, lines_before] = lines;
        let [others, others_before] = others;
        LogPatterns { patterns: found, patterns_found, others, others_before, lines, lines_before, sampled }
    }
}

impl Group {
    fn take(&mut self, other: Self) {
        for (level, count) in other.levels.into_iter().enumerate() {
            self.levels[level] += count;
        }
        for (step, count) in other.samples {
            *self.samples.entry(step).or_default() += count;
        }
        self.services.extend(other.services);
        self.before += other.before;
        // The same whichever was met first.
        self.example = std::mem::take(&mut self.example).min(other.example);
        (self.first_ns, self.last_ns) = (self.first_ns.min(other.first_ns), self.last_ns.max(other.last_ns));
    }

    fn told(self, id: u64, patterns: &Patterns, times: &Times) -> LogPattern {
        let pattern = patterns.text(&self.example, id);
        let seen = patterns.seen(id);
        let first_ns = seen.map_or(self.first_ns, |(first_ns, _)| first_ns.min(self.first_ns));
        let count = self.levels.iter().sum();
        let mut services: Vec<String> = self.services.into_iter().collect();
        services.sort();
        services.truncate(SERVICES_MAX);
        let mut samples: Vec<(&'static str, Vec<(i64, u64)>)> = Vec::new();
        for ((level, step), count) in self.samples {
            match samples.last_mut().filter(|(name, _)| *name == LEVELS[level]) {
                Some((_, steps)) => steps.push((step, count)),
                None => samples.push((LEVELS[level], vec![(step, count)])),
            }
        }
        let levels = LEVELS.into_iter().zip(self.levels).filter(|(_, count)| *count > 0).collect();
        let change = times.before.map(|before| change([count, self.before], [times.time, before], first_ns));
        let (mut example, count_before, last_ns) = (self.example, self.before, self.last_ns);
        example.truncate(example.floor_char_boundary(TOLD_BYTES_MAX.min(example.len())));
        LogPattern { id, pattern, example, services, levels, count, count_before, change, first_ns, last_ns, samples }
    }
}

/// Grown or fallen is what comes at least half as often again, or less, and by more than chance: three standard deviations of
/// counts. New is what came in the time and was never seen before the time that it is compared with ended.
fn change([count, before]: [u64; 2], [time, time_before]: [TimeRange; 2], first_ns: i64) -> PatternChange {
    if count == 0 {
        return PatternChange::Vanished;
    }
    if before == 0 && first_ns >= time_before.end_ns.min(time.start_ns) {
        return PatternChange::New;
    }
    let seconds = |time: TimeRange| (time.end_ns.saturating_sub(time.start_ns)).max(1) as f64 / SECOND_NS as f64;
    let expected = before as f64 * seconds(time) / seconds(time_before);
    let (count, chance) = (count as f64, 3.0 * (count as f64 + expected).sqrt());
    if count >= 1.5 * expected && count - expected > chance {
        PatternChange::Grew
    } else if expected >= 1.5 * count && expected - count > chance {
        PatternChange::Fell
    } else {
        PatternChange::Steady
    }
}

/// What somebody who was called wants to see first: new and grown errors, then what is new, grew, vanished, fell; of these the
/// worst level first, then the most lines.
fn urgency(pattern: &LogPattern) -> (bool, Option<PatternChange>, usize, u64, u64) {
    let worst = LEVELS.iter().position(|level| pattern.levels.iter().any(|(name, _)| name == level)).unwrap_or(LEVELS.len());
    let is_bad = worst < BAD_LEVELS && matches!(pattern.change, Some(PatternChange::New | PatternChange::Grew));
    let is_steady = matches!(pattern.change, None | Some(PatternChange::Steady));
    let worst = if is_steady { 0 } else { worst };
    (!is_bad, pattern.change, worst, u64::MAX - pattern.count.max(pattern.count_before), pattern.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_more_than_chance() {
        let (time, before) = (TimeRange::new(100 * SECOND_NS, 200 * SECOND_NS), TimeRange::new(0, 100 * SECOND_NS));
        let check = |counts, first_ns, expect| assert_eq!(change(counts, [time, before], first_ns), expect, "{counts:?} {first_ns}");
        check([1, 0], 150 * SECOND_NS, PatternChange::New);
        check([1, 0], -5, PatternChange::Steady);
        check([50, 0], -5, PatternChange::Grew);
        check([0, 1], -5, PatternChange::Vanished);
        check([12, 8], 5, PatternChange::Steady);
        check([100, 10], 5, PatternChange::Grew);
        check([1_100, 1_000], 5, PatternChange::Steady);
        check([10, 100], 5, PatternChange::Fell);
        let short = TimeRange::new(90 * SECOND_NS, 100 * SECOND_NS);
        assert_eq!(change([1_000, 100], [time, short], 5), PatternChange::Steady, "as often in ten times the time");
    }
}
