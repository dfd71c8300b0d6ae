//! What happens to records that break rules: of each the strongest mode of the rules that it breaks.

use arrow::array::{BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use catalog::{Catalog, Mode};
use hashbrown::HashMap;
use model::origin::Origins;
use model::{Admitted, Breaches, CountedBreaches, Decoded, Identity, RefusedRow, Rejection, Result, logs::text_or_empty, quarantine};
use twox_hash::XxHash3_64;

use super::Bench;
use super::aside::{SetAside, set_aside};
use super::judge::{Assigned, Violation};
use super::plan::{Enforced, Plan, Rule, RuleId};
use super::telling::Telling;

/// Violations that a row of `quarantine` tells; a record of a thousand bad attributes is told by these.
const TOLD_MAX: usize = 20;

/// What is broken: by the records of an origin, of a contract the rule, in a mode; what happens to these records; and the path where it is not
/// the rule's own.
type Breaks<'a> = (usize, u32, RuleId, Mode, Mode, Option<&'a str>);

/// A batch past its contracts.
pub(crate) struct Judged {
    pub(crate) admitted: Admitted,
    pub(crate) rejections: Vec<Rejection>,
    pub(crate) refused: Vec<RefusedRow>,
    pub(crate) counted: Counted,
    /// Of each row of the batch whether it is let in; empty when all are.
    pub(crate) kept: Vec<bool>,
}

impl Judged {
    /// Nobody breaks anything.
    pub(crate) fn all(batch: Decoded) -> Self {
        let admitted = Admitted { batch, aside: None };
        Self { admitted, rejections: Vec::new(), refused: Vec::new(), counted: Counted::default(), kept: Vec::new() }
    }
}

/// To be counted once the batch is stored.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    violations: HashMap<([String; 3], String, &'static str, Mode), u64>,
    /// Records that were not let in, by the first rule that decided it.
    records: HashMap<([String; 3], &'static str, Mode), u64>,
    /// For those who tell the owners.
    told: CountedBreaches,
}

impl Counted {
    pub(super) fn into_told(self) -> CountedBreaches {
        self.told
    }

    pub(crate) fn count(&mut self, told: Option<&Breaches>) {
        if let Some(told) = told.filter(|_| !self.told.breaches.is_empty()) {
            told.add(std::mem::take(&mut self.told));
        }
        for ((of, contract, rule, mode), count) in &self.violations {
            let labels = [("contract", contract.clone()), ("rule", (*rule).to_owned()), ("mode", mode.name().to_owned())];
            let labels: Vec<_> = labels.into_iter().chain(owner(of)).collect();
            metrics::counter!("tyto_contract_violations_total", &labels).increment(*count);
        }
        for ((of, reason, mode), count) in &self.records {
            let labels: Vec<_> = std::iter::once(("reason", (*reason).to_owned())).chain(owner(of)).collect();
            let name = if *mode == Mode::Reject { "tyto_records_rejected_total" } else { "tyto_records_quarantined_total" };
            metrics::counter!(name, &labels).increment(*count);
        }
    }
}

fn owner([business_service, service, component]: &[String; 3]) -> [(&'static str, String); 3] {
    [("business_service", business_service.clone()), ("service", service.clone()), ("component", component.clone())]
}

/// As much of an origin's identity as is declared, so that labels are bounded by the catalogue.
struct Owners<'a> {
    columns: [&'a StringArray; 3],
    catalog: &'a Catalog,
    /// By place, as far as anybody asked.
    known: HashMap<usize, [String; 3]>,
}

impl<'a> Owners<'a> {
    fn new(origins: &Origins<'a>, catalog: &'a Catalog) -> Result<Self> {
        let columns = [origins.texts("business_service")?, origins.texts("service")?, origins.texts("component")?];
        Ok(Self { columns, catalog, known: HashMap::new() })
    }

    fn of(&mut self, place: usize) -> [String; 3] {
        if let Some(known) = self.known.get(&place) {
            return known.clone();
        }
        let [business_service, service, component] = self.columns.map(|column| text_or_empty(column, place).to_owned());
        let identity = Identity { business_service, service, component, ..Identity::default() };
        let declared = self.catalog.declared(&identity).unwrap_or_default();
        let owner = [declared.business_service, declared.service, declared.component];
        self.known.insert(place, owner.clone());
        owner
    }
}

/// The records that broke a rule at which somebody is told, by that rule: one line of the answer stands for all.
struct Told<'a> {
    mode: Mode,
    plan: &'a Plan,
    violation: &'a Violation,
    records: u64,
}

pub(super) fn pass(batch: Decoded, assigned: &Assigned, violations: &[Violation], bench: &Bench<'_>) -> Result<Judged> {
    let records = batch.records.clone();
    let origins = Origins::of(&records).expect("a batch whose rows were judged is packed");
    let mut owners = Owners::new(&origins, bench.catalog)?;
    let hashes = Hashes::of(&records)?;
    // By origin, contract and rule; told by their names once all are counted.
    let (mut broken, mut decided) = (HashMap::<Breaks<'_>, (u64, &Violation)>::new(), HashMap::new());
    let mut kept = vec![true; records.num_rows()];
    let (mut aside, mut said, mut refused) = (Vec::new(), SetAside::default(), Vec::new());
    let (mut told, mut modes): (Vec<Told<'_>>, Vec<Mode>) = (Vec::new(), Vec::new());
    let base = uuid::Uuid::new_v4().as_u128();
    for of_row in violations.chunk_by(|one, other| one.row == other.row) {
        let row = of_row[0].row as usize;
        let plan = &*assigned.plans[of_row[0].plan as usize];
        let place = origins.place(row);
        let mut strongest: Option<(Mode, &Violation)> = None;
        modes.clear();
        for violation in of_row {
            let mode = hashes.mode(plan.rule(violation.rule), row);
            modes.push(mode);
            if strongest.is_none_or(|(other, _)| mode > other) {
                strongest = Some((mode, violation));
            }
        }
        let fate = strongest.map_or(Mode::Observe, |(mode, _)| mode);
        for (violation, mode) in of_row.iter().zip(&modes) {
            let breaks = (place, violation.plan, violation.rule, *mode, fate, violation.path.as_deref());
            broken.entry(breaks).or_insert((0, violation)).0 += 1;
        }
        let Some((mode, violation)) = strongest.filter(|(mode, _)| *mode != Mode::Observe) else { continue };
        kept[row] = false;
        *decided.entry((place, violation.plan, violation.rule, mode)).or_insert(0) += 1;
        match told
            .iter_mut()
            .find(|told| told.mode == mode && told.violation.plan == violation.plan && told.violation.rule == violation.rule)
        {
            Some(told) => told.records += 1,
            None => told.push(Told { mode, plan, violation, records: 1 }),
        }
        if mode == Mode::Reject {
            refused.push(RefusedRow { row, why: why(plan, violation) });
            continue;
        }
        aside.push(of_row[0].row);
        // The lowest bits are the row's: of one request no two are the same.
        said.ids.push(format!("{:032x}", base & !u128::from(u32::MAX) | row as u128));
        said.violations.push(texts(plan, of_row, |rule| hashes.mode(rule, row)));
        said.contracts.push(plan.contract.clone());
        said.versions.push(plan.version.clone());
    }
    let rejections = told.iter().map(rejection).collect();
    let mut counted = Counted::default();
    let mut telling = bench.tells.then(|| Telling::of(&records)).transpose()?;
    for ((place, plan, rule, mode, fate, _), (count, violation)) in broken {
        let plan = &*assigned.plans[plan as usize];
        let owner = owners.of(place);
        let labels = (owner.clone(), plan.contract.clone(), plan.rule(rule).keyword, mode);
        *counted.violations.entry(labels).or_default() += count;
        if let Some(telling) = &mut telling {
            let path = path(plan.rule(rule), violation);
            telling.add(&owner, plan, (violation, path), (fate, count));
        }
    }
    counted.told = telling.map(Telling::done).unwrap_or_default();
    for ((place, plan, rule, mode), count) in decided {
        let labels = (owners.of(place), assigned.plans[plan as usize].rule(rule).keyword, mode);
        *counted.records.entry(labels).or_default() += count;
    }
    if aside.is_empty() && refused.is_empty() {
        return Ok(Judged { counted, ..Judged::all(batch) });
    }
    let aside = match aside.is_empty() {
        true => None,
        false => Some(set_aside(&records, &aside, said, batch.protocol, bench.now_ns)?),
    };
    let admitted = filter_record_batch(&records, &BooleanArray::from(kept.clone()))?;
    let admitted = Admitted { batch: Decoded { records: admitted, ..batch }, aside };
    Ok(Judged { admitted, rejections, refused, counted, kept })
}

/// Where a value is, in words for the sender.
fn path<'a>(rule: &'a Rule, violation: &'a Violation) -> &'a str {
    match violation.path.as_deref().unwrap_or(&rule.path) {
        "" => "record",
        path => path,
    }
}

fn why(plan: &Plan, violation: &Violation) -> String {
    let rule = plan.rule(violation.rule);
    let version = if plan.version.is_empty() { String::new() } else { format!(" {}", plan.version) };
    let (path, found) = (path(rule, violation), violation.class.name());
    format!("{path} breaks contract {}{version} ({}, {}): expected {}, found {found}", plan.contract, rule.keyword, rule.at, rule.expected)
}

fn rejection(told: &Told<'_>) -> Rejection {
    let field = path(told.plan.rule(told.violation.rule), told.violation).to_owned();
    let why = why(told.plan, told.violation);
    match told.mode {
        Mode::Reject => Rejection { records: told.records, field, why, reason: "contract_violation" },
        _ => {
            let records = if told.records == 1 { "1 record is".to_owned() } else { format!("{} records are", told.records) };
            Rejection { records: 0, field, why: format!("{records} quarantined: {why}"), reason: "quarantined" }
        }
    }
}

/// All that a record breaks, as the JSON text that stands in `violations`.
fn texts(plan: &Plan, violations: &[Violation], mode: impl Fn(&Rule) -> Mode) -> String {
    let one = |violation: &Violation| {
        let rule = plan.rule(violation.rule);
        quarantine::Violation {
            path: path(rule, violation).to_owned(),
            rule: rule.keyword.to_owned(),
            expected: rule.expected.clone(),
            found: violation.class.name().to_owned(),
            mode: mode(rule).name().to_owned(),
            at: rule.at.clone(),
        }
    };
    let told: Vec<_> = violations.iter().take(TOLD_MAX).map(one).collect();
    serde_json::to_string(&told).expect("texts are JSON")
}

/// Of records a number that is the same whenever they come: by time, body and attributes.
struct Hashes<'a> {
    time: &'a arrow::array::Int64Array,
    body: &'a StringArray,
    attributes: model::AttributesView<'a>,
}

impl<'a> Hashes<'a> {
    fn of(records: &'a RecordBatch) -> Result<Self> {
        let (time, body) = (model::schema::column(records, "time_unix_nano")?, model::schema::column(records, "body")?);
        Ok(Self { time, body, attributes: model::AttributesView::of(records, "attributes", None)? })
    }

    /// What happens to a record by a rule that it breaks.
    fn mode(&self, rule: &Rule, row: usize) -> Mode {
        match rule.enforced {
            Enforced { mode, percent: 100 } => mode,
            enforced => enforced.of_record(self.of_row(row)),
        }
    }

    fn of_row(&self, row: usize) -> u64 {
        let mut hash = XxHash3_64::oneshot_with_seed(self.time.value(row).cast_unsigned(), text_or_empty(self.body, row).as_bytes());
        for (key, value) in self.attributes.iter(row) {
            hash = XxHash3_64::oneshot_with_seed(hash, key.as_bytes());
            hash = XxHash3_64::oneshot_with_seed(hash, value.as_bytes());
        }
        hash
    }
}
