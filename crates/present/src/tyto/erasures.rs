//! Erasing for good: an order is taken, carried out in the background, and leaves a proof.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use model::{Code, ErasureOrder, Error, FieldTest, Result, Table};
use serde::Serialize;

use crate::error::Failure;
use crate::params::{path, read_body};
use crate::state::Shared;
use crate::{respond, times};

/// Of an order.
const ORDER_BYTES_MAX: usize = 1 << 20;

/// An order as people write it: instants are Unix seconds or RFC 3339.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    tables: Vec<Table>,
    #[serde(rename = "match")]
    tests: Vec<FieldTest>,
    start: Option<String>,
    end: Option<String>,
    #[serde(default)]
    reference: String,
}

impl Written {
    fn order(self) -> Result<ErasureOrder> {
        let instant = |name: &str, text: Option<String>| {
            let wrong =
                |text: &str| Error::invalid(format!("cannot erase: {name:?} is {text:?}; write Unix seconds or RFC 3339 as a text"));
            text.map(|text| times::millis(&text).map(|ms| ms.saturating_mul(1_000_000)).ok_or_else(|| wrong(&text))).transpose()
        };
        let (start_unix_nano, end_unix_nano) = (instant("start", self.start)?, instant("end", self.end)?);
        Ok(ErasureOrder { tables: self.tables, tests: self.tests, start_unix_nano, end_unix_nano, reference: self.reference })
    }
}

pub(super) async fn accept(State(state): State<Shared>, request: Request) -> Result<Response, Failure> {
    let body = read_body(request, "order_bytes_max", ORDER_BYTES_MAX).await?;
    let wanted = "{\"match\": [{\"field\": \"attributes.user.id\", \"equals\": \"42\"}]}";
    let written: Written = serde_json::from_slice(&body)
        .map_err(|error| Error::invalid(format!("cannot read the erasure: it is JSON like {wanted}")).because(error))?;
    let order = written.order()?;
    let admin = state.admin.clone();
    // Whoever hangs up has ordered it all the same, or not at all.
    let accepted = tokio::spawn(async move { admin.erase(order).await }).await;
    let erasure = accepted.map_err(|panic| Error::internal("cannot take the erasure: taking it broke off").because(panic))??;
    Ok(json(StatusCode::ACCEPTED, &erasure)?)
}

pub(super) async fn all(State(state): State<Shared>) -> Result<Response, Failure> {
    #[derive(Serialize)]
    struct All {
        erasures: Vec<model::Erasure>,
    }
    Ok(json(StatusCode::OK, &All { erasures: state.admin.erasures() })?)
}

pub(super) async fn one(State(state): State<Shared>, id: Result<Path<String>, PathRejection>) -> Result<Response, Failure> {
    let id = path(id)?;
    let found = state.admin.erasures().into_iter().find(|erasure| erasure.id == id);
    let erasure = found.ok_or_else(|| Error::new(Code::NotFound, format!("cannot find erasure {id:?}")))?;
    Ok(json(StatusCode::OK, &erasure)?)
}

fn json(status: StatusCode, body: &impl Serialize) -> Result<Response> {
    let body = serde_json::to_vec(body).map_err(|error| Error::internal("cannot write an erasure as JSON").because(error))?;
    Ok(respond::json(status, body))
}
