//! `GROUP BY` over a scan: the first half of an aggregation, with the scan beneath it, in one step.
//!
//! DataFusion's own hashes and compares the texts of each row. Here few texts repeat in many rows (services, levels, names), and files
//! hold them as dictionaries: rows are numbered by the places of their texts in those ([`GroupIds`]). What is computed for the groups,
//! and the second half, stay DataFusion's.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, stream};

use super::exec::{ScanExec, as_they_come};
use super::group_ids::GroupIds;

/// Groups that are held before their states are given on: what comes after merges those of one group.
const GROUPS_MAX: usize = 1 << 16;

/// Puts [`GroupedExec`] where it can be.
#[derive(Debug)]
pub(super) struct GroupedScans;

impl PhysicalOptimizerRule for GroupedScans {
    fn name(&self) -> &str {
        "GroupedScans"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let grouped = plan.downcast_ref::<AggregateExec>().map(GroupedExec::of).transpose()?.flatten();
            Ok(match grouped {
                Some(grouped) => Transformed::yes(Arc::new(grouped) as _),
                None => Transformed::no(plan),
            })
        })
        .data()
    }
}

/// A scan whose rows are grouped as they come.
struct GroupedExec {
    scan: ScanExec,
    /// Of the scan's columns those that the aggregation reads; without it all.
    projection: Option<Vec<Arc<dyn PhysicalExpr>>>,
    aggregation: AggregateExec,
    properties: Arc<PlanProperties>,
}

impl GroupedExec {
    /// None where DataFusion's own does better, or knows more.
    fn of(aggregation: &AggregateExec) -> Result<Option<Self>> {
        let groups = aggregation.group_expr();
        let plain = *aggregation.mode() == AggregateMode::Partial && groups.is_single() && !groups.is_empty();
        let known = |function: &Arc<_>| is_known(function);
        if !plain || aggregation.limit_options().is_some() || !aggregation.aggr_expr().iter().all(known) {
            return Ok(None);
        }
        let mut input = aggregation.input();
        if let Some(spread) = input.downcast_ref::<RepartitionExec>() {
            input = spread.input();
        }
        let mut projection = None;
        if let Some(step) = input.downcast_ref::<ProjectionExec>() {
            projection = Some(step.expr().iter().map(|column| column.expr.clone()).collect::<Vec<_>>());
            input = step.input();
        }
        let Some(scan) = input.downcast_ref::<ScanExec>() else { return Ok(None) };
        let Some(dictionaries) = dictionaries(aggregation, projection.as_deref(), scan)? else { return Ok(None) };
        let schema = aggregation.schema();
        let one = Partitioning::UnknownPartitioning(1);
        let properties = PlanProperties::new(EquivalenceProperties::new(schema), one, EmissionType::Final, Boundedness::Bounded);
        Ok(Some(Self { scan: scan.encoded(dictionaries), projection, aggregation: aggregation.clone(), properties: Arc::new(properties) }))
    }
}

fn is_known(function: &datafusion::physical_expr::aggregate::AggregateFunctionExpr) -> bool {
    function.groups_accumulator_supported() && function.order_bys().is_empty()
}

/// The columns of texts that may come as dictionaries: those by which is grouped, and that nothing else reads. None when it is
/// grouped by something of which there is as much as there are rows.
fn dictionaries(aggregation: &AggregateExec, projection: Option<&[Arc<dyn PhysicalExpr>]>, scan: &ScanExec) -> Result<Option<Vec<String>>> {
    let input = aggregation.input_schema();
    // What of the scan an expression of the aggregation is, when it is a column as it stands.
    let of_scan = |expr: &Arc<dyn PhysicalExpr>| {
        let column = expr.downcast_ref::<Column>()?;
        match projection {
            Some(projection) => projection.get(column.index())?.downcast_ref::<Column>().cloned(),
            None => Some(column.clone()),
        }
    };
    let (mut texts, mut read_otherwise) = (Vec::new(), HashSet::new());
    for (expr, _) in aggregation.group_expr().expr() {
        let kind = expr.data_type(&input)?;
        match of_scan(expr) {
            Some(column) if scan.repeats(column.name()) => texts.push(column),
            None if matches!(kind, DataType::Int32 | DataType::Int64) => read_otherwise.extend(collect_columns(expr)),
            _ => return Ok(None),
        }
    }
    for function in aggregation.aggr_expr() {
        read_otherwise.extend(function.expressions().iter().flat_map(collect_columns));
    }
    read_otherwise.extend(aggregation.filter_expr().iter().flatten().flat_map(collect_columns));
    if let Some(projection) = projection {
        let inner = |column: &Column| projection.get(column.index()).map(collect_columns).unwrap_or_default();
        read_otherwise = read_otherwise.iter().flat_map(inner).collect();
        let computed = projection.iter().filter(|expr| expr.downcast_ref::<Column>().is_none());
        read_otherwise.extend(computed.flat_map(collect_columns));
    }
    let is_read = |name: &str| read_otherwise.iter().any(|column| column.name() == name);
    Ok(Some(texts.iter().map(|column| column.name().to_owned()).filter(|name| !is_read(name)).collect()))
}

impl fmt::Debug for GroupedExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Verbose, f)
    }
}

impl DisplayAs for GroupedExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupedExec: ")?;
        self.aggregation.fmt_as(format, f)?;
        if let Some(projection) = &self.projection {
            let columns: Vec<String> = projection.iter().map(ToString::to_string).collect();
            write!(f, ", over=[{}]", columns.join(", "))?;
        }
        f.write_str(" of ")?;
        self.scan.fmt_as(format, f)
    }
}

impl ExecutionPlan for GroupedExec {
    fn name(&self) -> &str {
        "GroupedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.is_empty() {
            true => Ok(self),
            false => internal_err!("a grouped scan is a leaf"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.is_empty() {
            true => Ok(self),
            false => internal_err!("a grouped scan is a leaf"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.scan.execute_encoded();
        let memory = MemoryConsumer::new(format!("GroupedExec[{partition}]")).register(context.memory_pool());
        let grouping = Grouping::new(&self.aggregation, self.projection.clone(), memory)?;
        let states = stream::unfold(Some((rows, grouping)), |state| async {
            let (mut rows, mut grouping) = state?;
            loop {
                let given = match rows.next().await {
                    Some(Err(error)) => Err(error),
                    Some(Ok(records)) => match grouping.add(&records) {
                        Ok(()) if grouping.ids.len() < GROUPS_MAX => continue,
                        Ok(()) => grouping.states(),
                        Err(error) => Err(error),
                    },
                    None if grouping.ids.len() == 0 => return None,
                    None => return Some((grouping.states(), None)),
                };
                let goes_on = given.is_ok();
                return Some((given, goes_on.then_some((rows, grouping))));
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.aggregation.schema(), states)))
    }
}

/// The groups so far, and what is computed for each.
struct Grouping {
    projection: Option<(Vec<Arc<dyn PhysicalExpr>>, SchemaRef)>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    functions: Vec<Function>,
    ids: GroupIds,
    /// The group of each row of a batch.
    groups: Vec<usize>,
    schema: SchemaRef,
    memory: MemoryReservation,
}

struct Function {
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    states: Box<dyn GroupsAccumulator>,
}

impl Grouping {
    fn new(aggregation: &AggregateExec, projection: Option<Vec<Arc<dyn PhysicalExpr>>>, memory: MemoryReservation) -> Result<Self> {
        let input = aggregation.input_schema();
        let keys = aggregation.group_expr().input_exprs();
        let types = keys.iter().map(|key| key.data_type(&input)).collect::<Result<Vec<_>>>()?;
        let functions = aggregation.aggr_expr().iter().zip(aggregation.filter_expr()).map(|(function, filter)| {
            Ok(Function { arguments: function.expressions(), filter: filter.clone(), states: function.create_groups_accumulator()? })
        });
        Ok(Self {
            projection: projection.map(|projection| (projection, input)),
            keys,
            functions: functions.collect::<Result<_>>()?,
            ids: GroupIds::new(&types),
            groups: Vec::new(),
            schema: aggregation.schema(),
            memory,
        })
    }

    fn add(&mut self, records: &RecordBatch) -> Result<()> {
        let projected;
        let records = match &self.projection {
            Some((projection, schema)) => {
                let columns = projection.iter().map(|expr| expr.evaluate(records)?.into_array(records.num_rows()));
                projected = as_they_come(schema, columns.collect::<Result<_>>()?, records.num_rows())
                    .map_err(|error| DataFusionError::External(Box::new(error)))?;
                &projected
            }
            None => records,
        };
        let rows = records.num_rows();
        let values = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(records)?.into_array(rows);
        let keys = self.keys.iter().map(values).collect::<Result<Vec<_>>>()?;
        self.ids.number(&keys, rows, &mut self.groups)?;
        for function in &mut self.functions {
            let arguments = function.arguments.iter().map(values).collect::<Result<Vec<_>>>()?;
            let kept = function.filter.as_ref().map(values).transpose()?;
            let kept: Option<&BooleanArray> = kept.as_ref().map(AsArray::as_boolean);
            function.states.update_batch(&arguments, &self.groups, kept, self.ids.len())?;
        }
        let states: usize = self.functions.iter().map(|function| function.states.size()).sum();
        self.memory.try_resize(self.ids.bytes() + states)
    }

    /// A row for each group; none is left.
    fn states(&mut self) -> Result<RecordBatch> {
        let mut columns = self.ids.take()?;
        for function in &mut self.functions {
            columns.extend(function.states.state(EmitTo::All)?);
        }
        self.memory.free();
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}
