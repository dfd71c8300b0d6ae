//! What is done to log records before they are stored, as `pipelines/*.yaml` of the catalogue say: `docs/pipelines.md`.
//!
//! Which pipelines a record goes through is decided once for its origin; of origins without one no row is looked at. A record goes through
//! its stages alone ([`record::Record`]), and what they write is kept beside the batch until all rows are through: columns that nobody wrote
//! to are those that came (`rebuild.rs`). What a batch counts is booked once it is stored ([`Outcome`]): a sender who has to come again
//! is not counted twice.
//!
//! | stage | file |
//! |---|---|
//! | parse | `parse.rs` |
//! | vrl, and every condition | `program.rs` over `values.rs` |
//! | mask | `mask/` |
//! | drop, sample, dedupe | here, `sample.rs`, `dedupe.rs` |
//! | metric | `metric.rs` |
//! | event, enrich, route | here |
//!
//! `counts.rs` tells what was done to whose records, `draft.rs` what a pipeline that is not in force would do.

mod counts;
mod dedupe;
mod draft;
mod mask;
mod metric;
mod parse;
mod program;
mod rebuild;
mod record;
mod sample;
mod values;

use std::sync::Arc;

use arrow::array::Array;
use catalog::{Catalog, Does, Enrich, Extract, Hidden, Stage};
use hashbrown::HashMap;
use model::origin::Origins;
use model::{AttributeType, Decoded, Error, Identified, Identity, PipelineCount, RefusedRow, Result, Table};
use parking_lot::Mutex;

use counts::{Counts, Ledger, What};
use dedupe::{News, Seen};
pub(crate) use draft::batch;
pub use draft::try_draft;
use mask::Masker;
pub use mask::PseudonymKey;
pub use metric::TOLD_EVERY;
use metric::{Counted, Extracted, Uncounted};
use program::{Failed, Programs};
use record::{Columns, Edit, Record};

use crate::Coming;
use crate::owners::Owners;

/// The attribute of a record that a program could not change, with the stage and the reason.
const ERROR: &str = "pipeline.error";
/// The attribute of a route hint.
const ROUTE: &str = "pipeline.route";

/// Pipelines of one version of the catalogue, compiled.
pub(crate) struct Plan {
    pipelines: Vec<Planned>,
    /// Whether nothing but masks of its own kinds is in it, which take no longer than a look through the columns.
    is_brief: bool,
}

struct Planned {
    pipeline: catalog::Pipeline,
    steps: Vec<Step>,
}

impl Planned {
    /// Its stages, where all that they do is to mask, whatever the record says. An expression of a team's own may stand for anything: it is asked
    /// of each record.
    fn maskers(&self) -> Option<Vec<&Masker>> {
        let catalog::Pipeline { selects, stages, .. } = &self.pipeline;
        let is_plain = selects.when.is_none() && stages.iter().all(|stage| stage.when.is_none());
        is_plain.then(|| self.steps.iter().map(|step| step.masker().filter(|masker| masker.is_known())).collect()).flatten()
    }
}

/// What a stage needs beside what the catalogue has of it.
enum Step {
    Plain,
    Mask(Box<Masker>),
    Metric(Arc<Extract>),
}

impl Step {
    fn masker(&self) -> Option<&Masker> {
        if let Self::Mask(masker) = self { Some(masker) } else { None }
    }
}

impl Plan {
    fn of(pipelines: &[catalog::Pipeline]) -> Self {
        let step = |stage: &Stage| match &stage.does {
            Does::Mask(mask) => Step::Mask(Box::new(Masker::new(mask))),
            Does::Metric(extract) => Step::Metric(Arc::new(extract.clone())),
            _ => Step::Plain,
        };
        let planned =
            |pipeline: &catalog::Pipeline| Planned { steps: pipeline.stages.iter().map(step).collect(), pipeline: pipeline.clone() };
        let pipelines: Vec<Planned> = pipelines.iter().map(planned).collect();
        Self { is_brief: pipelines.iter().all(|planned| planned.maskers().is_some()), pipelines }
    }

    /// What may be for records of this identity.
    fn chosen(&self, owner: &Identity) -> Vec<Chosen<'_>> {
        self.pipelines.iter().enumerate().filter(|(_, planned)| planned.pipeline.selects.holds(owner)).collect()
    }
}

/// What stages know from one batch to the next.
#[derive(Default)]
pub(crate) struct Transform {
    plan: Mutex<Option<(u64, Arc<Plan>)>>,
    ledger: Ledger,
    seen: Seen,
    extracted: Extracted,
    key: Option<PseudonymKey>,
}

/// What one batch brings, to be booked when it is stored.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Of each row as it came whether it is still there; empty when all are. Those that are not are dropped by rule: to their sender
    /// they are taken.
    left: Vec<bool>,
    counts: Counts,
    news: News,
    counted: Counted,
}

impl Outcome {
    pub(crate) fn dropped(&self) -> u64 {
        self.left.iter().filter(|left| !**left).count() as u64
    }

    /// What is said of rows by their places among those that are left, by the places as they came.
    pub(crate) fn as_they_came(&self, refused: Vec<RefusedRow>, kept: Vec<bool>) -> (Vec<RefusedRow>, Vec<bool>) {
        if self.left.is_empty() {
            return (refused, kept);
        }
        let places: Vec<usize> = (0..self.left.len()).filter(|row| self.left[*row]).collect();
        let refused = refused.into_iter().map(|refused| RefusedRow { row: places[refused.row], ..refused }).collect();
        if kept.is_empty() {
            return (refused, kept);
        }
        let mut all = vec![true; self.left.len()];
        places.into_iter().zip(kept).for_each(|(row, kept)| all[row] = kept);
        (refused, all)
    }
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Dropped,
}

impl Transform {
    pub(crate) fn with_key(self, key: Option<PseudonymKey>) -> Self {
        Self { key, ..self }
    }

    pub(crate) fn key(&self) -> Option<PseudonymKey> {
        self.key.clone()
    }

    /// Log records after all pipelines of whoever they are of.
    pub(crate) fn transform(
        &self,
        Identified(batch): Identified,
        (version, catalog): (u64, &Catalog),
        now_ms: i64,
        coming: Coming,
    ) -> Result<(Identified, Outcome)> {
        if batch.table != Table::Logs || catalog.pipelines.is_empty() {
            return Ok((Identified(batch), Outcome::default()));
        }
        let plan = self.plan(version, catalog);
        let (batch, outcome) = self.run(&plan, batch, now_ms, coming)?;
        Ok((Identified(batch), outcome))
    }

    /// Whether a batch of this table may keep a thread busy, however small it is: programs and expressions of teams take their time.
    pub(crate) fn is_long(&self, table: Table, (version, catalog): (u64, &Catalog)) -> bool {
        table == Table::Logs && !catalog.pipelines.is_empty() && !self.plan(version, catalog).is_brief
    }

    /// The plan is made anew when the catalogue is another.
    fn plan(&self, version: u64, catalog: &Catalog) -> Arc<Plan> {
        let mut plan = self.plan.lock();
        match &*plan {
            Some((known, plan)) if *known == version => plan.clone(),
            _ => plan.insert((version, Arc::new(Plan::of(&catalog.pipelines)))).1.clone(),
        }
    }

    fn run(&self, plan: &Plan, mut batch: Decoded, now_ms: i64, coming: Coming) -> Result<(Decoded, Outcome)> {
        let origins = Origins::of(&batch.records).ok_or_else(|| Error::internal("cannot transform rows that are not packed"))?;
        let owners = Owners::of(&origins)?;
        let chosen: Vec<Vec<Chosen<'_>>> = owners.each.iter().map(|owner| plan.chosen(owner)).collect();
        if chosen.iter().all(Vec::is_empty) {
            return Ok((batch, Outcome::default()));
        }
        let columns = Columns::of(&batch.records)?;
        let suspects = Suspects::of(plan, &columns, &chosen);
        let mut edits: Vec<(usize, Edit)> = Vec::new();
        let mut kept: Option<Vec<bool>> = None;
        let mut walk = Walk::new(self, plan, now_ms, coming);
        for row in 0..batch.records.num_rows() {
            let owner = owners.of_place[origins.place(row)];
            let chosen = &chosen[owner];
            if chosen.iter().all(|(number, _)| suspects.clear(*number, row)) {
                chosen.iter().for_each(|one| walk.seen(*one, owner));
                continue;
            }
            let mut record = Record::of(&owners, &columns, row);
            let fate = chosen.iter().map(|one| walk.pipeline(*one, &mut record)).find(|fate| *fate == Fate::Dropped);
            if fate.is_some() {
                kept.get_or_insert_with(|| vec![true; batch.records.num_rows()])[row] = false;
            } else if record.edit != Edit::default() {
                edits.push((row, record.edit));
            }
        }
        let mut outcome = walk.ended(plan, &owners.each);
        outcome.left = kept.clone().unwrap_or_default();
        if !edits.is_empty() || kept.is_some() {
            batch.records = rebuild::rebuilt(&batch.records, &columns, &edits, kept)?;
        }
        Ok((batch, outcome))
    }

    /// The batch is stored.
    pub(crate) fn book(&self, outcome: Outcome, now_ms: i64) {
        let Outcome { mut counts, news, counted, .. } = outcome;
        self.seen.learn(news, now_ms);
        let uncounted = self.extracted.learn(counted, now_ms);
        counts.add(What::Failed, ("", "metric"), "series_max", &Identity::default(), uncounted);
        self.ledger.book(counts);
    }

    pub(crate) fn counts(&self) -> Vec<PipelineCount> {
        self.ledger.counts()
    }

    /// A point of every metric that is counted from records.
    pub(crate) fn told(&self, now_ms: i64) -> Result<Vec<Decoded>> {
        self.extracted.told(now_ms)
    }
}

/// A pipeline by its number in the plan.
type Chosen<'p> = (usize, &'p Planned);

/// By the number of a pipeline that does nothing but mask, which rows may hold anything to hide.
struct Suspects(Vec<Option<Vec<bool>>>);

/// Pipelines for which the columns of one batch are looked through: of more than these each has few of its records.
const LOOKED_FOR_MAX: usize = 4;

impl Suspects {
    /// Only owners of whom all pipelines do nothing else gain by it.
    fn of(plan: &Plan, columns: &Columns<'_>, chosen: &[Vec<Chosen<'_>>]) -> Self {
        let mut all = vec![None; plan.pipelines.len()];
        let plain = chosen.iter().filter(|chosen| chosen.iter().all(|(_, planned)| planned.maskers().is_some()));
        let mut numbers: Vec<usize> = plain.flatten().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() > LOOKED_FOR_MAX {
            return Self(all);
        }
        for number in numbers {
            let mut rows = vec![false; columns.body.len()];
            for masker in plan.pipelines[number].maskers().into_iter().flatten() {
                masker.mark_suspects(columns, &mut rows);
            }
            all[number] = Some(rows);
        }
        Self(all)
    }

    /// Whether the pipeline leaves the row as it is.
    fn clear(&self, number: usize, row: usize) -> bool {
        self.0[number].as_ref().is_some_and(|rows| !rows[row])
    }
}

/// The way of one batch's records through their stages, which stand in a plan.
struct Walk<'p> {
    transform: &'p Transform,
    programs: Programs,
    news: News,
    counted: Counted,
    /// Pipeline, stage and reason of what was done, and the place of the owner that it was done to.
    counts: HashMap<(What, [&'p str; 3], usize), u64>,
    /// By the number of a pipeline how many records of the owner that came last went through it.
    seen: Vec<(usize, u64)>,
    now_ms: i64,
    coming: Coming,
}

impl<'p> Walk<'p> {
    fn new(transform: &'p Transform, plan: &Plan, now_ms: i64, coming: Coming) -> Self {
        let (programs, news, counted) = (Programs::default(), News::default(), Counted::default());
        Self { transform, programs, news, counted, counts: HashMap::new(), seen: vec![(0, 0); plan.pipelines.len()], now_ms, coming }
    }

    fn ended(mut self, plan: &'p Plan, owners: &[Identity]) -> Outcome {
        let mut counts = Counts::default();
        for (planned, (owner, count)) in plan.pipelines.iter().zip(std::mem::take(&mut self.seen)) {
            self.book_seen(planned, owner, count);
        }
        for ((what, [pipeline, stage, reason], owner), count) in self.counts {
            counts.add(what, (pipeline, stage), reason, &owners[owner], count);
        }
        Outcome { left: Vec::new(), counts, news: self.news, counted: self.counted }
    }

    fn pipeline(&mut self, (number, planned): Chosen<'p>, record: &mut Record<'_>) -> Fate {
        let catalog::Pipeline { name, selects, stages, .. } = &planned.pipeline;
        let sure = match selects.when.as_ref().map(|when| self.programs.holds(when, record)) {
            None | Some(Ok(true)) => true,
            Some(Ok(false)) => return Fate::Kept,
            Some(Err(failed)) => {
                self.count(What::Failed, (name, "match"), failed.reason(), record, 1);
                false
            }
        };
        self.seen((number, planned), record.owner);
        // Where nobody knows whether the record is meant, it is hidden rather than shown, and nothing else is done.
        let stages = stages.iter().zip(&planned.steps).enumerate().filter(|(_, (stage, _))| sure || matches!(stage.does, Does::Mask(_)));
        for (number, staged) in stages {
            if self.stage(name, number, staged, record) == Fate::Dropped {
                return Fate::Dropped;
            }
        }
        Fate::Kept
    }

    fn count(&mut self, what: What, (pipeline, stage): (&'p str, &'p str), reason: &'p str, record: &Record<'_>, count: u64) {
        if count > 0 {
            *self.counts.entry((what, [pipeline, stage, reason], record.owner)).or_insert(0) += count;
        }
    }

    /// A record goes through. Counted apart from all else: it is so for each.
    fn seen(&mut self, (number, planned): Chosen<'p>, owner: usize) {
        let (last, count) = self.seen[number];
        if last == owner {
            self.seen[number].1 += 1;
        } else {
            self.book_seen(planned, last, count);
            self.seen[number] = (owner, 1);
        }
    }

    fn book_seen(&mut self, planned: &'p Planned, owner: usize, count: u64) {
        if count > 0 {
            *self.counts.entry((What::Seen, [&planned.pipeline.name, "", ""], owner)).or_insert(0) += count;
        }
    }

    fn stage(&mut self, name: &'p str, number: usize, (stage, step): (&'p Stage, &'p Step), record: &mut Record<'_>) -> Fate {
        let at = (name, stage.label.as_str());
        // What was set aside has been counted, and has not been left out.
        if self.coming == Coming::Again && matches!(stage.does, Does::Metric(_) | Does::Sample(_) | Does::Dedupe(_)) {
            return Fate::Kept;
        }
        if let Some(when) = &stage.when {
            match self.programs.holds(when, record) {
                Ok(true) => {}
                Ok(false) => return Fate::Kept,
                Err(failed) => {
                    self.count(What::Failed, at, failed.reason(), record, 1);
                    // As with a pipeline that nobody knows to be meant.
                    if !matches!(stage.does, Does::Mask(_)) {
                        return Fate::Kept;
                    }
                }
            }
        }
        match (&stage.does, step) {
            (Does::Parse(parse), _) if !parse::parse(parse, record) => self.count(What::Failed, at, "no_match", record, 1),
            (Does::Vrl(program), _) => {
                if let Err(failed) = self.programs.change(program, record) {
                    self.count(What::Failed, at, failed.reason(), record, 1);
                    if failed != Failed::Aborted {
                        record.set(ERROR, AttributeType::Text, format!("{name} {}: {}", stage.label, failed.reason()));
                    }
                }
            }
            (Does::Mask(mask), Step::Mask(masker)) => {
                let key = self.transform.key.as_ref();
                let parts = masker.apply(record, key);
                self.count(What::Masked, at, "", record, parts);
                if parts > 0 && mask.hidden == Hidden::Pseudonym && key.is_none() {
                    self.count(What::Failed, at, "no_pseudonym_key", record, 1);
                }
            }
            (Does::Drop(reason), _) => return self.dropped(at, reason, record),
            (Does::Sample(kept), _) if !sample::keeps(*kept, record) => return self.dropped(at, "sampled", record),
            (Does::Dedupe(dedupe), _) => {
                let hashed = twox_hash::XxHash3_64::oneshot_with_seed(number as u64, name.as_bytes());
                if !self.transform.seen.is_first(*dedupe, hashed, self.now_ms, record, &mut self.news) {
                    return self.dropped(at, "repeated", record);
                }
            }
            (Does::Metric(_), Step::Metric(extract)) => match self.counted.add(extract, record) {
                Err(Uncounted::NoNumber) => self.count(What::Failed, at, "no_number", record, 1),
                // A record that has not got it is none that is meant.
                Ok(()) | Err(Uncounted::Absent) => {}
            },
            (Does::Event(event), _) if record.event_name() != event => record.edit.event_name = Some(event.clone()),
            (Does::Enrich(enrich), _) => enriched(enrich, record),
            (Does::Route(hint), _) => record.set(ROUTE, AttributeType::Text, hint.clone()),
            _ => {}
        }
        Fate::Kept
    }

    fn dropped(&mut self, at: (&'p str, &'p str), reason: &'p str, record: &Record<'_>) -> Fate {
        self.count(What::Dropped, at, reason, record, 1);
        Fate::Dropped
    }
}

/// What the record says of itself is not overwritten.
fn enriched(stage: &Enrich, record: &mut Record<'_>) {
    let Some(row) = record.named(&stage.from).and_then(|key| stage.table.row(key)) else { return };
    for (name, value) in row {
        let name = format!("{}{name}", stage.prefix);
        if record.attribute(&name).is_none() {
            record.set(&name, AttributeType::Text, value.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
