use std::sync::Arc;

use arrow::compute::SortOptions;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, replace_children_if_necessary};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::exec::ScanExec;

/// `ORDER BY time LIMIT n` reads until it has n rows: a sort with a limit above steps that keep their input's order
/// becomes a limit above an ordered scan.
///
/// Only with a limit: an ordered scan of everything would only move the sort into the store, away from the query's
/// memory limit.
#[derive(Debug)]
pub(super) struct NewestFirst;

impl PhysicalOptimizerRule for NewestFirst {
    fn name(&self) -> &str {
        "NewestFirst"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            Ok(match unsorted(&plan)? {
                Some(plan) => Transformed::yes(plan),
                None => Transformed::no(plan),
            })
        })
        .data()
    }
}

fn unsorted(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(sort) = plan.downcast_ref::<SortExec>() else { return Ok(None) };
    let Some(fetch) = sort.fetch() else { return Ok(None) };
    let Some(input) = ordered(sort.input(), sort.expr().first().options)? else { return Ok(None) };
    if !input.equivalence_properties().ordering_satisfy(sort.expr().clone())? {
        return Ok(None);
    }
    Ok(Some(match input.output_partitioning().partition_count() {
        1 => cut(input, fetch)?,
        _ => Arc::new(LocalLimitExec::new(input, fetch)),
    }))
}

/// The first rows of a plan with one partition. The limit goes to the scan through steps that give a row for each row.
fn cut(plan: Arc<dyn ExecutionPlan>, fetch: usize) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(scan) = plan.downcast_ref::<ScanExec>().and_then(|scan| scan.with_fetch(Some(fetch))) {
        return Ok(scan);
    }
    let child = match plan.children().as_slice() {
        [child] if child.output_partitioning().partition_count() == 1 => Arc::clone(child),
        _ => return Ok(Arc::new(GlobalLimitExec::new(plan, 0, Some(fetch)))),
    };
    match plan.supports_limit_pushdown() && matches!(plan.cardinality_effect(), CardinalityEffect::Equal) {
        true => replace_children_if_necessary(plan, vec![cut(child, fetch)?]),
        false => Ok(Arc::new(GlobalLimitExec::new(plan, 0, Some(fetch)))),
    }
}

/// The same plan over an ordered scan, when every step between keeps the order and none already cuts its rows.
fn ordered(plan: &Arc<dyn ExecutionPlan>, options: SortOptions) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(scan) = plan.downcast_ref::<ScanExec>() {
        return Ok(scan.ordered(options).map(|scan| Arc::new(scan) as _));
    }
    let children = plan.children();
    let [child] = children.as_slice() else { return Ok(None) };
    if plan.maintains_input_order() != [true] || plan.fetch().is_some() {
        return Ok(None);
    }
    match ordered(child, options)? {
        Some(child) => replace_children_if_necessary(plan.clone(), vec![child]).map(Some),
        None => Ok(None),
    }
}
