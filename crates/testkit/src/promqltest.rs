//! Runs scripts in the test language of Prometheus: `load`, `clear`, `eval instant`, `eval range`, `expect`.
//!
//! Every instant eval also runs as a range whose middle step is the instant. Floats agree to a relative 1e-6, NaN equals
//! NaN, histograms are compared field by field.

mod compare;
mod load;
mod script;
mod series;

use std::sync::Arc;

use model::{Answered, Ask, Query, Request};

use crate::memory_scan::MemoryScan;
use script::{Command, Eval, Times};

/// Makes the engine under test over the loaded samples.
pub type MakeEngine<'a> = &'a dyn Fn(Arc<MemoryScan>) -> Arc<dyn Query>;

/// What a script's evals gave.
#[derive(Debug, Default)]
pub struct Outcome {
    pub passed: usize,
    pub total: usize,
    /// `line: expression: what was wrong`.
    pub failures: Vec<String>,
}

/// Runs a script; an eval fails alone, a line that cannot be read counts as a failure.
pub async fn run(text: &str, make: MakeEngine<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    let scan = Arc::new(MemoryScan::default());
    let engine = make(scan.clone());
    // A scenario whose data cannot be loaded fails as a whole, not by chance.
    let mut unloaded: Option<String> = None;
    for (line, command) in script::parse(text) {
        match command {
            Ok(Command::Clear) => {
                scan.clear();
                unloaded = None;
            }
            Ok(Command::Load(load)) => match load::batches(&load) {
                Ok(batches) => batches.into_iter().for_each(|batch| scan.push(model::Table::Samples, batch)),
                Err(why) => unloaded = Some(why),
            },
            Ok(Command::Eval(eval)) => {
                outcome.total += 1;
                let checked = match &unloaded {
                    Some(why) => Err(format!("cannot load: {why}")),
                    None => check(&*engine, &eval).await,
                };
                match checked {
                    Ok(()) => outcome.passed += 1,
                    Err(why) => outcome.failures.push(format!("{line}: {}: {why}", eval.query)),
                }
            }
            Err(why) => {
                outcome.total += 1;
                outcome.failures.push(format!("{line}: {why}"));
            }
        }
    }
    outcome
}

async fn check(engine: &dyn Query, eval: &Eval) -> Result<(), String> {
    let ask = match eval.times {
        Times::Instant(at_ms) => Ask::PromqlInstant { query: eval.query.clone(), at_ms, lookback: None },
        Times::Range { start_ms, end_ms, step_ms } => {
            Ask::PromqlRange { query: eval.query.clone(), start_ms, end_ms, step_ms, lookback: None }
        }
    };
    let answer = match engine.query(Request::new(ask)).await {
        Ok(_) if eval.fails.is_some() => return Err("was expected to fail".to_owned()),
        Ok(answer) => answer,
        Err(error) => return eval.check_failure(&error.chain()),
    };
    eval.check_notes(&answer.warnings, &answer.infos)?;
    let scalar_or_text = matches!(answer.data, Answered::Scalar { .. } | Answered::Text { .. });
    compare::answer(eval, &answer.data)?;
    match eval.times {
        // A range answer knows no order, and text, raw samples and scalars have their own form.
        Times::Instant(at_ms) if !eval.ordered && !scalar_or_text && !matches!(answer.data, Answered::Matrix(_)) => {
            as_range(engine, eval, at_ms).await
        }
        _ => Ok(()),
    }
}

/// The same eval as the middle step of a range: answers must not depend on how they were asked for.
async fn as_range(engine: &dyn Query, eval: &Eval, at_ms: i64) -> Result<(), String> {
    const STEP_MS: i64 = 60_000;
    if ["step()", "range()", "start()", "end()"].iter().any(|word| eval.query.contains(word)) {
        return Ok(());
    }
    let query = eval.query.clone();
    let ask = Ask::PromqlRange { query, start_ms: at_ms - STEP_MS, end_ms: at_ms + STEP_MS, step_ms: STEP_MS, lookback: None };
    let answer = engine.query(Request::new(ask)).await.map_err(|error| format!("as a range: {}", error.chain()))?;
    compare::at_instant(eval, &answer.data, at_ms).map_err(|why| format!("as a range: {why}"))
}
