//! Log records that broke their contract: what waits, one of them, and orders to let them in or throw them away.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use model::quarantine::{Selector, Settled};
use model::{Error, Result};
use serde::Serialize;

use crate::error::Failure;
use crate::params::{Params, path, read_body};
use crate::state::Shared;
use crate::{respond, times};

/// Of an order.
const ORDER_BYTES_MAX: usize = 4 << 20;
/// Ids that an order names.
const IDS_MAX: usize = 10_000;

/// An order as people write it: instants are Unix seconds or RFC 3339.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    business_service: Option<String>,
    service: Option<String>,
    component: Option<String>,
    contract: Option<String>,
    rule: Option<String>,
    path: Option<String>,
    start: Option<String>,
    end: Option<String>,
    ids: Vec<String>,
    /// Nothing else is said, and everything that waits is meant.
    all: bool,
}

impl Written {
    fn selector(self) -> Result<(Selector, bool)> {
        let instant = |name: &str, text: Option<String>| {
            let wrong = |text: &str| Error::invalid(format!("invalid {name:?}: {text:?} is neither Unix seconds nor RFC 3339"));
            text.map(|text| times::millis(&text).map(|ms| ms.saturating_mul(1_000_000)).ok_or_else(|| wrong(&text))).transpose()
        };
        let (start_unix_nano, end_unix_nano) = (instant("start", self.start)?, instant("end", self.end)?);
        if self.ids.len() > IDS_MAX {
            return Err(Error::invalid(format!("invalid \"ids\": {} are more than ids_max, {IDS_MAX}", self.ids.len())));
        }
        let Self { business_service, service, component, contract, rule, path, ids, all, .. } = self;
        Ok((Selector { business_service, service, component, contract, rule, path, start_unix_nano, end_unix_nano, ids }, all))
    }
}

pub(super) async fn waiting(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    let text = |name: &str| params.get(name).map(str::to_owned);
    let written = Written {
        business_service: text("business_service"),
        service: text("service"),
        component: text("component"),
        contract: text("contract"),
        rule: text("rule"),
        path: text("path"),
        start: text("start"),
        end: text("end"),
        ..Written::default()
    };
    let (selector, _) = written.selector()?;
    Ok(json(&state.quarantine.waiting(&selector).await?)?)
}

pub(super) async fn one(State(state): State<Shared>, id: Result<Path<String>, PathRejection>) -> Result<Response, Failure> {
    Ok(json(&state.quarantine.one(&path(id)?).await?)?)
}

pub(super) async fn replay(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let selector = order(request).await?;
    settle(async move { state.quarantine.replay(&selector).await }).await
}

pub(super) async fn discard(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let selector = order(request).await?;
    settle(async move { state.quarantine.discard(&selector).await }).await
}

async fn order(request: Request) -> Result<Selector> {
    let body = read_body(request, "order_bytes_max", ORDER_BYTES_MAX).await?;
    let wanted = "{\"business_service\": \"payments\", \"rule\": \"type\"}";
    let written: Written = serde_json::from_slice(&body)
        .map_err(|error| Error::invalid(format!("cannot read the order: it is JSON like {wanted}")).because(error))?;
    let (selector, all) = written.selector()?;
    match selector == Selector::default() && !all {
        true => Err(Error::invalid(format!("cannot settle what is not selected: write {wanted}, or {{\"all\": true}}"))),
        false => Ok(selector),
    }
}

/// Whoever hangs up has ordered it all the same.
async fn settle(work: impl Future<Output = Result<Settled>> + Send + 'static) -> Result<Response, Failure> {
    let settled = tokio::spawn(work).await;
    let settled = settled.map_err(|panic| Error::internal("cannot settle what was set aside: it broke off").because(panic))??;
    Ok(json(&settled)?)
}

fn json(body: &impl Serialize) -> Result<Response> {
    let body = serde_json::to_vec(body).map_err(|error| Error::internal("cannot write quarantine as JSON").because(error))?;
    Ok(respond::json(StatusCode::OK, body))
}
