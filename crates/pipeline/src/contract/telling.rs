//! What the owners of records that break a contract are told of them. Never a value: the kinds of a record's values are enough to find it by.

use arrow::array::RecordBatch;
use catalog::Mode;
use model::{AttributesView, Breach, Broken, ByMode, CountedBreaches, Result};

use super::class_name;
use super::judge::Violation;
use super::plan::Plan;

/// Breaches of one batch; of more only how many records there were.
const BREACHES_MAX: usize = 64;
/// Attributes of a sample, and the length of their names.
const ATTRIBUTES_MAX: usize = 20;
const NAME_CHARS_MAX: usize = 128;

/// What is told of a batch.
pub(super) struct Telling<'a> {
    attributes: AttributesView<'a>,
    told: CountedBreaches,
}

impl<'a> Telling<'a> {
    pub(super) fn of(records: &'a RecordBatch) -> Result<Self> {
        Ok(Self { attributes: AttributesView::of(records, "attributes", Some("attribute_types"))?, told: CountedBreaches::default() })
    }

    /// So many records of an owner that this happened to, and one of them.
    pub(super) fn add(
        &mut self,
        [business_service, service, component]: &[String; 3],
        plan: &Plan,
        (violation, path): (&Violation, &str),
        (fate, count): (Mode, u64),
    ) {
        let rule = plan.rule(violation.rule);
        let breach = Breach {
            business_service: business_service.clone(),
            service: service.clone(),
            component: component.clone(),
            contract: plan.contract.clone(),
            rule: rule.keyword.to_owned(),
            path: clamped(path),
        };
        let mut records = ByMode::default();
        match fate {
            Mode::Observe => records.observed = count,
            Mode::Quarantine => records.quarantined = count,
            Mode::Reject => records.rejected = count,
        }
        if let Some(known) = self.told.breaches.get_mut(&breach) {
            known.records.add(records);
            return;
        }
        if self.told.breaches.len() == BREACHES_MAX {
            self.told.left_out += count;
            return;
        }
        let attributes = self.attributes.iter_typed(violation.row as usize).take(ATTRIBUTES_MAX);
        let sample = attributes.map(|(name, kind, text)| (clamped(name), class_name(kind, text).to_owned()));
        let broken = Broken {
            version: plan.version.clone(),
            expected: rule.expected.clone(),
            found: violation.class.name().to_owned(),
            at: rule.at.clone(),
            sample: sample.collect(),
            records,
        };
        self.told.breaches.insert(breach, broken);
    }

    pub(super) fn done(self) -> CountedBreaches {
        self.told
    }
}

/// Senders choose names, and may choose long ones.
fn clamped(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}
