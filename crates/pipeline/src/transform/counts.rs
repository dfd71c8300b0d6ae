//! What stages did to whose records: nothing is dropped, changed by mistake or left alone in silence.

use hashbrown::HashMap;
use metrics::Counter;
use model::{Identity, PipelineCount};
use parking_lot::Mutex;

use crate::meter::OVERFLOW;

/// Counters; past it, what is counted goes to the identity [`OVERFLOW`].
const COUNTERS_MAX: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum What {
    /// Records that went through a pipeline.
    Seen,
    /// Records that are not stored, by a rule.
    Dropped,
    /// Records that a stage left as they were, because it could not do its work.
    Failed,
    /// Values that are hidden.
    Masked,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Seen => "tyto_pipeline_records_total",
            Self::Dropped => "tyto_pipeline_dropped_records_total",
            Self::Failed => "tyto_pipeline_errors_total",
            Self::Masked => "tyto_pipeline_masked_values_total",
        }
    }
}

/// What was done, by which pipeline and stage, why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cause {
    pub(super) what: What,
    pub(super) pipeline: String,
    pub(super) stage: String,
    pub(super) reason: String,
}

/// With whose records it was done to: business service, service, component.
type Key = (Cause, [String; 3]);

/// Of one batch.
#[derive(Debug, Default)]
pub(super) struct Counts {
    all: HashMap<Key, u64>,
}

impl Counts {
    pub(super) fn add(&mut self, what: What, (pipeline, stage): (&str, &str), reason: &str, owner: &Identity, count: u64) {
        if count == 0 {
            return;
        }
        let cause = Cause { what, pipeline: pipeline.to_owned(), stage: stage.to_owned(), reason: reason.to_owned() };
        let owner = [owner.business_service.clone(), owner.service.clone(), owner.component.clone()];
        *self.all.entry((cause, owner)).or_insert(0) += count;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Cause, u64)> {
        self.all.iter().map(|((cause, _), count)| (cause, *count))
    }
}

/// Since the start.
#[derive(Default)]
pub(super) struct Ledger {
    open: Mutex<HashMap<Key, (u64, Counter)>>,
}

impl Ledger {
    pub(super) fn book(&self, counts: Counts) {
        if counts.all.is_empty() {
            return;
        }
        let mut open = self.open.lock();
        for (mut key, count) in counts.all {
            if open.len() >= COUNTERS_MAX && !open.contains_key(&key) {
                key.1 = [OVERFLOW.to_owned(), String::new(), String::new()];
            }
            let (sum, counter) = open.entry(key).or_insert_with_key(|key| (0, opened(key)));
            *sum += count;
            counter.increment(count);
        }
    }

    pub(super) fn counts(&self) -> Vec<PipelineCount> {
        let open = self.open.lock();
        let mut all: Vec<PipelineCount> = open
            .iter()
            .map(|((cause, [business_service, service, component]), (count, _))| PipelineCount {
                pipeline: cause.pipeline.clone(),
                stage: cause.stage.clone(),
                what: match cause.what {
                    What::Seen => "seen",
                    What::Dropped => "dropped",
                    What::Failed => "failed",
                    What::Masked => "masked",
                },
                reason: cause.reason.clone(),
                business_service: business_service.clone(),
                service: service.clone(),
                component: component.clone(),
                count: *count,
            })
            .collect();
        all.sort();
        all
    }
}

fn opened((cause, [business_service, service, component]): &Key) -> Counter {
    let mut labels = vec![("pipeline", cause.pipeline.clone())];
    if cause.what != What::Seen {
        labels.push(("stage", cause.stage.clone()));
    }
    if matches!(cause.what, What::Dropped | What::Failed) {
        labels.push(("reason", cause.reason.clone()));
    }
    let owner = [("business_service", business_service), ("service", service), ("component", component)];
    labels.extend(owner.map(|(name, value)| (name, value.clone())));
    metrics::counter!(cause.what.name(), &labels)
}
