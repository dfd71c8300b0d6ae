//! The one place where the evaluators of the query languages join the engine. Each gets a scan that is already metered
//! for this one query, so an evaluator counts and limits no bytes itself.

use std::sync::Arc;

use model::{Answer, Ask, Error, QueryLimits, Result, Scan};

pub(super) async fn promql(_scan: Arc<dyn Scan>, _ask: Ask, _limits: &QueryLimits) -> Result<Answer> {
    Err(Error::unsupported("cannot evaluate PromQL: this build has no PromQL evaluator"))
}

pub(super) async fn logql(_scan: Arc<dyn Scan>, _ask: Ask, _limits: &QueryLimits) -> Result<Answer> {
    Err(Error::unsupported("cannot evaluate LogQL: this build has no LogQL evaluator"))
}
