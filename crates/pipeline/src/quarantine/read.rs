//! What waits in `quarantine`: of each id the record, unless a later row says what became of it.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use futures::TryStreamExt;
use hashbrown::{HashMap, HashSet};
use model::logs::text_or_empty;
use model::quarantine::{QUARANTINED, Selector, SetAside, Violation};
use model::schema::column;
use model::{AttributesView, Code, Error, Filter, Result, Scan, ScanRequest, ScanStream, Subject, Table, Test, TimeRange};

use crate::contract::class_name;

/// Rows of the table that one question may look at.
const ROWS_MAX: usize = 2_000_000;

/// A record that waits.
pub(super) struct Open {
    pub(super) id: String,
    pub(super) at_ns: i64,
    pub(super) whose: Arc<Whose>,
    /// The violation that it tells first, of those that are asked for.
    pub(super) first: Arc<Violation>,
}

/// Whose records are, and the contract that they break. Records mostly share it with the one before: millions may wait.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Whose {
    pub(super) business_service: String,
    pub(super) service: String,
    pub(super) component: String,
    pub(super) contract: String,
}

impl Whose {
    fn is(&self, texts: [&str; 4]) -> bool {
        [&self.business_service, &self.service, &self.component, &self.contract].map(String::as_str) == texts
    }

    fn of(texts: [&str; 4]) -> Arc<Self> {
        let [business_service, service, component, contract] = texts.map(str::to_owned);
        Arc::new(Self { business_service, service, component, contract })
    }
}

fn equal(name: &str, text: &str) -> Filter {
    Filter { subject: Subject::Column(name.to_owned()), test: Test::Equal(text.to_owned()) }
}

fn filters(selector: &Selector) -> Vec<Filter> {
    let Selector { business_service, service, component, contract, ids, .. } = selector;
    let texts = [("business_service", business_service), ("service", service), ("component", component), ("contract", contract)];
    let mut filters: Vec<_> = texts.into_iter().filter_map(|(name, text)| Some(equal(name, text.as_ref()?))).collect();
    if !ids.is_empty() {
        filters.push(Filter { subject: Subject::Column("quarantine_id".to_owned()), test: Test::OneOf(ids.clone()) });
    }
    filters
}

/// What waits and is selected, the oldest first.
pub(super) async fn open(scan: &dyn Scan, selector: &Selector) -> Result<Vec<Open>> {
    const COLUMNS: [&str; 8] =
        ["quarantine_id", "quarantined_at_unix_nano", "state", "violations", "contract", "business_service", "service", "component"];
    let mut request = ScanRequest::new(Table::Quarantine, selector.time());
    request.filters = filters(selector);
    request.columns = Some(COLUMNS.map(str::to_owned).to_vec());
    let mut rows = scan.scan(request).await?;
    let (mut open, mut settled, mut looked_at) = (Vec::new(), HashSet::new(), 0);
    let mut texts = Texts { selector, told: HashMap::new() };
    while let Some(records) = rows.try_next().await? {
        looked_at += records.num_rows();
        if looked_at > ROWS_MAX {
            let what = format!("cannot look at more than {ROWS_MAX} rows of quarantine: ask about a shorter time, or one component");
            return Err(Error::new(Code::LimitExceeded, what));
        }
        let text = |name: &str| column::<StringArray>(&records, name);
        let (ids, states, violations) = (text("quarantine_id")?, text("state")?, text("violations")?);
        let whose = [text("business_service")?, text("service")?, text("component")?, text("contract")?];
        let times: &Int64Array = column(&records, "quarantined_at_unix_nano")?;
        for row in 0..records.num_rows() {
            let id = text_or_empty(ids, row);
            if text_or_empty(states, row) != QUARANTINED {
                settled.insert(id.to_owned());
            } else if let Some(first) = texts.selected(text_or_empty(violations, row)) {
                let texts = whose.map(|column| text_or_empty(column, row));
                let known = open.last().map(|last: &Open| &last.whose).filter(|last| last.is(texts)).cloned();
                let whose = known.unwrap_or_else(|| Whose::of(texts));
                open.push(Open { id: id.to_owned(), at_ns: times.value(row), whose, first });
            }
        }
    }
    open.retain(|open| !settled.contains(&open.id));
    open.sort_by(|a, b| (a.at_ns, &a.id).cmp(&(b.at_ns, &b.id)));
    Ok(open)
}

/// Violations as they are told, each text read once: most records break the same rules.
struct Texts<'s> {
    selector: &'s Selector,
    told: HashMap<String, Option<Arc<Violation>>>,
}

impl Texts<'_> {
    /// The first violation that is asked for; none when there is none.
    fn selected(&mut self, text: &str) -> Option<Arc<Violation>> {
        if let Some(known) = self.told.get(text) {
            return known.clone();
        }
        let Selector { rule, path, .. } = self.selector;
        let all: Vec<Violation> = serde_json::from_str(text).unwrap_or_default();
        let is = |asked: &Option<String>, told: &str| asked.as_ref().is_none_or(|asked| asked == told);
        let first = all.into_iter().find(|told| is(rule, &told.rule) && is(path, &told.path)).map(Arc::new);
        self.told.insert(text.to_owned(), first.clone());
        first
    }
}

/// The records of these, in parts, as the table has them.
pub(super) async fn records(scan: &dyn Scan, open: &[Open]) -> Result<ScanStream> {
    let times = || open.iter().map(|open| open.at_ns);
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(Box::pin(futures::stream::empty())) };
    let mut request = ScanRequest::new(Table::Quarantine, TimeRange::new(first, last.saturating_add(1)));
    let ids = open.iter().map(|open| open.id.clone()).collect();
    request.filters =
        vec![Filter { subject: Subject::Column("quarantine_id".to_owned()), test: Test::OneOf(ids) }, equal("state", QUARANTINED)];
    Ok(Box::pin(scan.scan(request).await?.try_filter(|records| std::future::ready(records.num_rows() > 0))))
}

/// One record, and what became of it.
pub(super) async fn one(scan: &dyn Scan, id: &str) -> Result<SetAside> {
    let mut request = ScanRequest::new(Table::Quarantine, TimeRange::ALL);
    request.filters = vec![equal("quarantine_id", id)];
    let batches: Vec<RecordBatch> = scan.scan(request).await?.try_collect().await?;
    let mut found: Option<SetAside> = None;
    let mut settled = None;
    for records in &batches {
        let states: &StringArray = column(records, "state")?;
        for row in 0..records.num_rows() {
            match text_or_empty(states, row) {
                QUARANTINED => found = Some(set_aside(records, row)?),
                state => settled = Some(state.to_owned()),
            }
        }
    }
    let mut found = found.ok_or_else(|| Error::new(Code::NotFound, format!("cannot find {id:?} in quarantine")))?;
    if let Some(state) = settled {
        found.state = state;
    }
    Ok(found)
}

fn set_aside(records: &RecordBatch, row: usize) -> Result<SetAside> {
    let text = |name: &str| column::<StringArray>(records, name).map(|column| text_or_empty(column, row).to_owned());
    let long = |name: &str| column::<Int64Array>(records, name).map(|column| column.value(row));
    let attributes = AttributesView::of(records, "attributes", Some("attribute_types"))?;
    let classes = attributes.iter_typed(row).map(|(key, kind, text)| (key.to_owned(), class_name(kind, text)));
    Ok(SetAside {
        id: text("quarantine_id")?,
        state: text("state")?,
        quarantined_at_unix_nano: long("quarantined_at_unix_nano")?,
        time_unix_nano: long("time_unix_nano")?,
        business_service: text("business_service")?,
        service: text("service")?,
        component: text("component")?,
        contract: text("contract")?,
        contract_version: text("contract_version")?,
        protocol: text("protocol")?,
        violations: serde_json::from_str(&text("violations")?).unwrap_or_default(),
        attributes: classes.collect(),
    })
}
