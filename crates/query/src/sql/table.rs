use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::Expr;
use model::{Scan, TimeRange};

use super::exec::{ScanExec, Source};
use super::pushdown::{self, Pushed};

/// A table of the store, or the view `points`, to DataFusion.
pub(super) struct ScanTable {
    scan: Arc<dyn Scan>,
    source: Source,
    schema: SchemaRef,
}

impl ScanTable {
    pub(super) fn new(scan: Arc<dyn Scan>, source: Source) -> Self {
        let schema = source.schema(&*scan);
        Self { scan, source, schema }
    }

    fn push(&self, expr: &Expr) -> Option<Pushed> {
        pushdown::push(expr, self.source, &self.schema)
    }
}

impl fmt::Debug for ScanTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScanTable({})", self.source)
    }
}

#[async_trait]
impl TableProvider for ScanTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        match self.source {
            Source::Rows(_) => TableType::Base,
            Source::Points => TableType::View,
        }
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|expr| match self.push(expr) {
                Some(pushed) if pushed.exact => TableProviderFilterPushDown::Exact,
                Some(_) => TableProviderFilterPushDown::Inexact,
                None => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(projection) => Arc::new(self.schema.project(projection)?),
            None => self.schema.clone(),
        };
        let mut exec = ScanExec::new(self.scan.clone(), self.source, schema);
        for pushed in filters.iter().filter_map(|expr| self.push(expr)) {
            exec.filters.extend(pushed.filters);
            exec.time = TimeRange::new(exec.time.start_ns.max(pushed.time.start_ns), exec.time.end_ns.min(pushed.time.end_ns));
        }
        exec.fetch = limit;
        Ok(Arc::new(exec))
    }
}
