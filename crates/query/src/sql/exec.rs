use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use model::{Filter, Identity, Order, Scan, ScanRequest, Subject, Table, TimeRange};

use super::unnest;

/// What a table of SQL is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Rows(Table),
    /// The float samples of `samples`, one row each.
    Points,
}

impl Source {
    pub(super) fn table(self) -> Table {
        match self {
            Self::Rows(table) => table,
            Self::Points => Table::Samples,
        }
    }

    pub(super) fn schema(self, scan: &dyn Scan) -> SchemaRef {
        let stored = scan.schema(self.table());
        match self {
            Self::Rows(_) => stored,
            Self::Points => {
                let kept = |name: &str| stored.field_with_name(name).ok().cloned();
                let mut fields: Vec<Field> = ["name", "labels", "series_id"].into_iter().filter_map(kept).collect();
                fields.push(Field::new("time_unix_nano", DataType::Int64, false));
                fields.push(Field::new("value", DataType::Float64, false));
                fields.extend(Identity::FIELDS.into_iter().filter_map(kept));
                Arc::new(Schema::new(fields))
            }
        }
    }

    /// The column by whose order a scan can give rows. Chunks of samples overlap in time, so they have none.
    fn order_column(self) -> Option<&'static str> {
        match self {
            Self::Rows(table @ (Table::Logs | Table::Spans | Table::Quarantine)) => Some(table.time_columns().0),
            Self::Rows(Table::Samples) | Self::Points => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rows(table) => table.name(),
            Self::Points => "points",
        })
    }
}

/// The leaf of every plan: one [`ScanRequest`].
///
/// It has one partition: two scans would see two moments, and a row in flight from head to lake twice or never.
#[derive(Clone)]
pub(super) struct ScanExec {
    scan: Arc<dyn Scan>,
    source: Source,
    schema: SchemaRef,
    pub(super) filters: Vec<Filter>,
    pub(super) time: TimeRange,
    pub(super) fetch: Option<usize>,
    order: Order,
    /// Texts that may come as dictionaries, to who asks for that.
    dictionaries: Vec<String>,
    properties: Arc<PlanProperties>,
}

impl ScanExec {
    pub(super) fn new(scan: Arc<dyn Scan>, source: Source, schema: SchemaRef) -> Self {
        let properties = properties(EquivalenceProperties::new(schema.clone()));
        Self {
            scan,
            source,
            schema,
            filters: Vec::new(),
            time: TimeRange::ALL,
            fetch: None,
            order: Order::Any,
            dictionaries: Vec::new(),
            properties,
        }
    }

    /// The same rows in order of their time, when the table can give them so and the time column is among the wanted.
    pub(super) fn ordered(&self, options: SortOptions) -> Option<Self> {
        let name = self.source.order_column().filter(|_| self.fetch.is_none())?;
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new_with_schema(name, &self.schema).ok()?);
        let order = if options.descending { Order::NewestFirst } else { Order::OldestFirst };
        let by_time = EquivalenceProperties::new_with_orderings(self.schema.clone(), [[PhysicalSortExpr::new(column, options)]]);
        Some(Self { order, properties: properties(by_time), ..self.clone() })
    }

    /// The same rows, with these columns as dictionaries where they lie so; only for [`Self::execute_encoded`].
    pub(super) fn encoded(&self, dictionaries: Vec<String>) -> Self {
        Self { dictionaries, ..self.clone() }
    }

    /// Whether a column has few texts, each in many rows.
    pub(super) fn repeats(&self, column: &str) -> bool {
        matches!(self.source, Source::Rows(table) if table.repeating_columns().contains(&column))
    }

    /// The rows, with columns as dictionaries where that was asked for and they lie so.
    pub(super) fn execute_encoded(&self) -> BoxStream<'static, Result<RecordBatch>> {
        let (scan, request, schema) = (self.scan.clone(), self.request(), self.schema.clone());
        let rows = stream::once(async move { scan.scan(request).await }).try_flatten();
        let rows = match self.source {
            Source::Rows(_) => rows.map(move |batch| with_schema(&batch?, &schema)).left_stream(),
            Source::Points => unnest::points(rows, self.schema.clone(), self.time).right_stream(),
        };
        first(rows.map_err(|error: model::Error| DataFusionError::External(Box::new(error))), self.fetch).boxed()
    }

    fn request(&self) -> ScanRequest {
        let mut request = ScanRequest::new(self.source.table(), self.time);
        request.filters.clone_from(&self.filters);
        request.order = self.order;
        request.dictionaries.clone_from(&self.dictionaries);
        request.columns = Some(match self.source {
            Source::Points => unnest::columns(&self.schema),
            // Rows without columns still have to be counted.
            Source::Rows(table) if self.schema.fields().is_empty() => vec![table.time_columns().0.to_owned()],
            Source::Rows(_) => self.schema.fields().iter().map(|field| field.name().clone()).collect(),
        });
        if let Source::Rows(_) = self.source {
            request.limit = self.fetch;
        }
        // Chunks are kept when they overlap the range. One can do so with both sides of a range that is empty, and of
        // those rows the filter above must see all.
        if self.source == Source::Rows(Table::Samples) && request.time.is_empty() {
            request.time.end_ns = i64::MAX;
        }
        request
    }
}

fn properties(equivalences: EquivalenceProperties) -> Arc<PlanProperties> {
    let one = Partitioning::UnknownPartitioning(1);
    Arc::new(PlanProperties::new(equivalences, one, EmissionType::Incremental, Boundedness::Bounded))
}

impl fmt::Debug for ScanExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Verbose, f)
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "ScanExec: {}, columns=[{}]", self.source, columns.join(", "))?;
        if self.time != TimeRange::ALL {
            let bound = |ns: i64, open: i64| if ns == open { String::new() } else { ns.to_string() };
            write!(f, ", time={}..{}", bound(self.time.start_ns, i64::MIN), bound(self.time.end_ns, i64::MAX))?;
        }
        if !self.filters.is_empty() {
            let filters: Vec<String> =
                self.filters.iter().map(|filter| format!("{} {:?}", subject(&filter.subject), filter.test)).collect();
            write!(f, ", filters=[{}]", filters.join(", "))?;
        }
        if self.order != Order::Any {
            write!(f, ", order={:?}", self.order)?;
        }
        self.fetch.map_or(Ok(()), |fetch| write!(f, ", fetch={fetch}"))
    }
}

fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Column(column) => column.clone(),
        Subject::Entry { column, key } => format!("{column}[{key}]"),
        Subject::FirstOf(subjects) => subjects.iter().map(self::subject).collect::<Vec<_>>().join(" or else "),
        Subject::Label { column, name } => format!("{column}[~{name}]"),
        Subject::AnyOf(subjects) => subjects.iter().map(self::subject).collect::<Vec<_>>().join(" or "),
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &str {
        "ScanExec"
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
            false => internal_err!("a scan is a leaf"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.is_empty() {
            true => Ok(self),
            false => internal_err!("a scan is a leaf"),
        }
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn with_fetch(&self, fetch: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(Self { fetch, ..self.clone() }))
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        match self.dictionaries.is_empty() {
            true => Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), self.execute_encoded()))),
            false => internal_err!("a scan with dictionaries is for who asks for them"),
        }
    }
}

/// The batch with the columns of the schema, in its order.
fn with_schema(batch: &RecordBatch, schema: &SchemaRef) -> model::Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| {
        let column = batch.column_by_name(field.name()).cloned();
        column.ok_or_else(|| model::Error::internal(format!("cannot find column {:?} in a scanned batch", field.name())))
    });
    as_they_come(schema, columns.collect::<model::Result<_>>()?, batch.num_rows())
}

/// A batch of these columns, which may be dictionaries of what the schema says.
pub(super) fn as_they_come(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> model::Result<RecordBatch> {
    let is_encoded = |column: &ArrayRef| matches!(column.data_type(), DataType::Dictionary(..));
    let schema = match columns.iter().any(is_encoded) {
        true => {
            let fields = schema.fields().iter().zip(&columns).map(|(field, column)| match is_encoded(column) {
                true => Arc::new(field.as_ref().clone().with_data_type(column.data_type().clone())),
                false => field.clone(),
            });
            Arc::new(Schema::new(fields.collect::<Vec<_>>()))
        }
        false => schema.clone(),
    };
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

/// The first `fetch` rows; the scan is dropped with the last of them.
fn first(
    rows: impl futures::Stream<Item = Result<RecordBatch>> + Send + 'static,
    fetch: Option<usize>,
) -> impl futures::Stream<Item = Result<RecordBatch>> + Send {
    let state = (Box::pin(rows), fetch.unwrap_or(usize::MAX));
    let kept = stream::unfold(Some(state), |state| async {
        let (mut rows, left) = state?;
        let batch = match rows.next().await? {
            Ok(batch) => batch,
            Err(error) => return Some((Err(error), None)),
        };
        let batch = batch.slice(0, batch.num_rows().min(left));
        let left = left - batch.num_rows();
        Some((Ok(batch), (left > 0).then_some((rows, left))))
    });
    kept.fuse()
}
