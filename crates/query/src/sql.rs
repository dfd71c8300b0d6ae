//! SQL over the stored rows: DataFusion plans and computes, [`model::Scan`] gives the rows.

mod errors;
mod exec;
mod functions;
mod group_ids;
mod grouped;
mod newest;
mod patterns;
mod plain;
mod pushdown;
mod session;
mod statement;
mod table;
mod unnest;

use std::sync::Arc;
use std::time::SystemTime;

use datafusion::execution::context::SQLOptions;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use model::patterns::Patterns;
use model::{Answer, Answered, QueryLimits, Result, Scan};

use self::errors::{computing, planning};
use crate::guard::DeepThreads;

pub(crate) struct Sql {
    /// Functions and rules, registered once; each query adds its tables and limits.
    base: SessionState,
    planners: DeepThreads,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl Sql {
    pub(crate) fn new(partitions_max: usize, clock: Arc<dyn Fn() -> SystemTime + Send + Sync>, patterns: Arc<Patterns>) -> Self {
        Self { base: session::base(partitions_max, patterns), planners: DeepThreads::default(), clock }
    }

    pub(crate) async fn query(&self, sql: &str, scan: Arc<dyn Scan>, limits: &QueryLimits) -> Result<Answer> {
        let state = session::for_query(&self.base, &scan, limits, (self.clock)())?;
        let (sql, context) = (sql.to_owned(), state.task_ctx());
        // Planning recurses over the statement, and computes what is constant: that may take as long as the asker likes.
        let runtime = tokio::runtime::Handle::current();
        let plan = self.planners.run(move || runtime.block_on(plan(&sql, &state))).await?;
        let rows = execute_stream(plan, context).map_err(computing)?;
        let (schema, rows) = plain::rows(rows);
        Ok(Answer::new(Answered::Table { schema, rows }))
    }
}

async fn plan(sql: &str, state: &SessionState) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = state.statement_to_plan(statement::read(sql)?).await.map_err(planning)?;
    let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reading.verify_plan(&plan).map_err(planning)?;
    state.create_physical_plan(&plan).await.map_err(planning)
}
