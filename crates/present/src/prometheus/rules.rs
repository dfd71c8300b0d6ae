//! Rules and alerts in Prometheus's form. Tyto evaluates none yet, so that the true answers are empty lists.

use axum::extract::Request;
use axum::response::Response;
use model::{Error, Result};

use super::format::{Notes, success};
use super::{Failure, params};
use crate::params::Params;

pub(super) async fn rules(request: Request) -> Result<Response, Failure> {
    let params = Params::read(request).await?;
    params::selectors(&params, false).await?;
    match params.get("type").map(str::to_ascii_lowercase).as_deref() {
        None | Some("alert" | "record") => Ok(success("{\"groups\":[]}".to_owned(), &Notes::default())),
        Some(other) => Err(Error::invalid(format!("invalid parameter \"type\": not supported value {other:?}")).into()),
    }
}

pub(super) async fn alerts() -> Response {
    success("{\"alerts\":[]}".to_owned(), &Notes::default())
}

/// Nothing is sent to anybody.
pub(super) async fn alertmanagers() -> Response {
    success("{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}".to_owned(), &Notes::default())
}
