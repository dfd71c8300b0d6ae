//! Whose records nobody claims, and the rule that would claim them.

use std::collections::HashMap;

use axum::extract::{Request, State};
use axum::response::Response;
use catalog::{Catalog, Entry, EntryKind, Wanted, closest};
use http::StatusCode;
use model::{Error, Result, Table, UNASSIGNED};
use serde::Serialize;

use crate::error::Failure;
use crate::params::Params;
use crate::rows::Rows;
use crate::state::{Shared, now_ns, within};
use crate::{respond, times};

const RANGE_DEFAULT_MS: i64 = 3_600_000;
/// Of a range: every unclaimed record of it is counted.
const RANGE_MAX_MS: i64 = 31 * 86_400_000;
/// Senders that are read of a signal, those that sent most first.
const ROWS_MAX: usize = 2000;
const SENDERS_MAX: usize = 500;

/// By what a sender is known, the best first: who wrote the program says more of it than who runs it.
const ATTRIBUTES: [&str; 10] = [
    "service.name",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "aws.ecs.task.family",
    "aws.log.group.names",
    "app",
    "job",
    "host.name",
    "instance",
];
/// What OpenTelemetry's SDKs say when nobody has told them a name.
const NAMELESS: &str = "unknown_service";

/// One of whom the catalogue knows nothing.
#[derive(Debug, Default, Serialize)]
struct Sender {
    /// Empty when its records say nothing by which it could be known.
    attribute: &'static str,
    value: String,
    logs: u64,
    spans: u64,
    series: u64,
    /// Seconds since the Unix epoch.
    last_seen: f64,
    /// What to add to `match` of a component.
    rule: String,
    /// The component that claims it since, by the catalogue in force.
    claimed_by: Option<String>,
    /// A declared component of nearly the same name.
    looks_like: Option<String>,
}

#[derive(Serialize)]
struct Senders {
    start: f64,
    end: f64,
    senders: Vec<Sender>,
    left_out: usize,
}

pub(super) async fn unknown(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let instant = |name: &str| params.parsed(name, "Unix time in seconds or RFC 3339", times::millis);
    let end_ms = instant("end")?.unwrap_or_else(|| now_ns() / 1_000_000).max(1);
    let start_ms = instant("start")?.unwrap_or_else(|| end_ms.saturating_sub(RANGE_DEFAULT_MS)).max(0);
    if start_ms >= end_ms || end_ms - start_ms > RANGE_MAX_MS {
        return Err(Error::invalid("invalid parameter \"start\": it is before the end, and at most 31 days").into());
    }
    let (senders, left_out) = within(state.limits.timeout, found(&state, start_ms, end_ms)).await?;
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let body = serde_json::to_vec(&Senders { start: seconds(start_ms), end: seconds(end_ms), senders, left_out })
        .map_err(|error| Error::internal("cannot write senders as JSON").because(error))?;
    Ok(respond::json(StatusCode::OK, body))
}

/// Those that sent most, judged, and how many more there are.
async fn found(state: &Shared, start_ms: i64, end_ms: i64) -> Result<(Vec<Sender>, usize)> {
    let ask = |table| state.rows(sql(table, start_ms, end_ms), None);
    let (logs, spans, samples) = futures::try_join!(ask(Table::Logs), ask(Table::Spans), ask(Table::Samples))?;
    let mut senders: HashMap<(&'static str, String), Sender> = HashMap::new();
    add(&mut senders, &logs, |sender, count| sender.logs += count)?;
    add(&mut senders, &spans, |sender, count| sender.spans += count)?;
    add(&mut senders, &samples, |sender, count| sender.series += count)?;
    let catalog = state.catalog.get();
    let mut senders: Vec<Sender> = senders.into_values().collect();
    let records = |sender: &Sender| sender.logs + sender.spans + sender.series;
    senders.sort_by(|a, b| (records(b), &a.value).cmp(&(records(a), &b.value)));
    let left_out = senders.len().saturating_sub(SENDERS_MAX);
    senders.truncate(SENDERS_MAX);
    let judged = tokio::task::spawn_blocking(move || {
        let components = components(&catalog);
        senders.iter_mut().for_each(|sender| sender.judge(&catalog, &components));
        senders
    });
    let senders = judged.await.map_err(|panic| Error::internal("cannot judge senders: judging them broke off").because(panic))?;
    Ok((senders, left_out))
}

/// Labels of samples spell names with `_`; what resources say of logs and spans they spell with a dot.
fn sql(table: Table, start_ms: i64, end_ms: i64) -> String {
    let said = |name: &str| match (table, name) {
        (Table::Samples, name) => format!("labels['{}']", name.replace('.', "_")),
        (_, "service.name") => "service_name".to_owned(),
        (_, name) => format!("resource_attributes['{name}']"),
    };
    let first_of = |then: &dyn Fn(usize, &str) -> String, otherwise: &str| {
        let cases = ATTRIBUTES.iter().enumerate().map(|(at, name)| {
            let said = said(name);
            format!("WHEN {said} <> '' AND {said} NOT LIKE '{NAMELESS}%' THEN {}", then(at, &said))
        });
        format!("CASE {} ELSE {otherwise} END", cases.collect::<Vec<_>>().join(" "))
    };
    let (first, last) = table.time_columns();
    // Samples that Tyto computes of spans are no sender's: their spans are counted.
    let (counted, own) = match table {
        Table::Samples => ("count(DISTINCT series_id)", " AND NOT starts_with(name, 'traces_') AND NOT starts_with(name, 'tyto_')"),
        _ => ("count(*)", ""),
    };
    let nanos = |ms: i64| ms.saturating_mul(1_000_000);
    format!(
        "SELECT {} AS attribute, {} AS value, {counted} AS n, max({last}) AS last FROM {} \
         WHERE business_service = '{UNASSIGNED}' AND {last} >= {} AND {first} < {}{own} GROUP BY 1, 2 ORDER BY n DESC LIMIT {ROWS_MAX}",
        first_of(&|at, _| at.to_string(), "-1"),
        first_of(&|_, said| said.to_owned(), "''"),
        table.name(),
        nanos(start_ms),
        nanos(end_ms),
    )
}

fn add(senders: &mut HashMap<(&'static str, String), Sender>, rows: &Rows, count: impl Fn(&mut Sender, u64)) -> Result<()> {
    let (attributes, values) = (rows.longs("attribute")?, rows.texts("value")?);
    let (counts, last) = (rows.longs("n")?, rows.longs("last")?);
    for row in 0..rows.len() {
        let attribute = usize::try_from(attributes.value(row)).ok().and_then(|at| ATTRIBUTES.get(at)).copied().unwrap_or_default();
        let value = model::logs::text_or_empty(&values, row);
        // A job of OpenTelemetry is `namespace/service`: a rule for the service looks at it, too.
        let (attribute, value) = match value.rsplit_once('/') {
            Some((_, service)) if attribute == "job" && !service.is_empty() => (ATTRIBUTES[0], service),
            _ => (attribute, value),
        };
        let sender = senders.entry((attribute, value.to_owned())).or_insert_with(|| Sender {
            attribute,
            value: value.to_owned(),
            ..Sender::default()
        });
        count(sender, counts.value(row).unsigned_abs());
        sender.last_seen = sender.last_seen.max(last.value(row) as f64 / 1e9);
    }
    Ok(())
}

impl Sender {
    fn judge(&mut self, catalog: &Catalog, components: &[Entry]) {
        if self.attribute.is_empty() {
            return;
        }
        self.rule = format!("- {}: {}", self.attribute, yaml(&self.value));
        let spelled = self.attribute.replace('.', "_");
        let claimed = catalog.identify(|name| (name == self.attribute || name == spelled).then_some(self.value.as_str()));
        self.claimed_by = claimed.map(|identity| [identity.business_service, identity.service, identity.component].join("/"));
        if self.claimed_by.is_none() {
            let names: Vec<&str> = components.iter().map(|entry| entry.name.as_str()).collect();
            let near = closest(&self.value, &names);
            self.looks_like = near.and_then(|near| components.iter().find(|entry| entry.name == near)).map(|entry| entry.path.clone());
        }
    }
}

fn components(catalog: &Catalog) -> Vec<Entry> {
    catalog.entries(&Wanted { kind: Some(EntryKind::Component), ..Wanted::default() })
}

/// A text as YAML has it: in quotes where it could be something else.
fn yaml(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    match text.bytes().all(plain)
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && !["true", "false", "null", "yes", "no", "on", "off"].contains(&text)
    {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_told_the_rule_that_claims_it_and_whom_it_resembles() {
        let file = "business_services: [{name: pay, owners: [{team: t}], services: [{name: till, components: [
            {name: cashier, match: [{service.name: cashier}]}, {name: printer, match: [{job: printer}]}]}]}]";
        let catalog = Catalog::parse(&[("omd.yaml", file)]).unwrap();
        let judged = |attribute, value: &str| {
            let mut sender = Sender { attribute, value: value.to_owned(), ..Sender::default() };
            sender.judge(&catalog, &components(&catalog));
            (sender.rule, sender.claimed_by, sender.looks_like)
        };
        let path = |path: &str| Some(path.to_owned());
        assert_eq!(judged("service.name", "cashiers"), ("- service.name: cashiers".to_owned(), None, path("pay/till/cashier")));
        assert_eq!(judged("service.name", "cashier"), ("- service.name: cashier".to_owned(), path("pay/till/cashier"), None));
        assert_eq!(judged("job", "12"), ("- job: \"12\"".to_owned(), None, None));
        assert_eq!(judged("host.name", "a: b"), ("- host.name: \"a: b\"".to_owned(), None, None));
        assert_eq!(judged("", ""), (String::new(), None, None));
    }
}
