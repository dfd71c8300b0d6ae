use std::sync::Arc;
use std::time::SystemTime;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider,
};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::prelude::SessionConfig;
use model::patterns::Patterns;
use model::{QueryLimits, Result, Scan, Table};

use super::errors::planning;
use super::exec::Source;
use super::functions;
use super::grouped::GroupedScans;
use super::newest::NewestFirst;
use super::table::ScanTable;

const CATALOG: &str = "tyto";
const SCHEMA: &str = "public";

/// Functions that make a value of any size from a few numbers, without asking the memory pool: they are left out. The table
/// functions `range` and `generate_series` give their rows one batch after the other and stay.
const UNBOUNDED: [&str; 7] = ["range", "generate_series", "array_repeat", "array_resize", "repeat", "lpad", "rpad"];

pub(super) fn base(partitions_max: usize, patterns: Arc<Patterns>) -> SessionState {
    let mut config = SessionConfig::new()
        .with_information_schema(true)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_target_partitions(partitions_max.max(1));
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let mut builder = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_physical_optimizer_rule(Arc::new(NewestFirst))
        .with_physical_optimizer_rule(Arc::new(GroupedScans));
    let functions = builder.scalar_functions().get_or_insert_default();
    functions.retain(|function| !UNBOUNDED.contains(&function.name()));
    functions.extend(functions::all(patterns));
    builder.build()
}

/// Nothing spills to disk: a query that needs more memory than it may use fails and says so, and never fills a disk
/// that the store needs.
pub(super) fn for_query(base: &SessionState, scan: &Arc<dyn Scan>, limits: &QueryLimits, now: SystemTime) -> Result<SessionState> {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(limits.memory_bytes_max)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
        .build_arc()
        .map_err(planning)?;
    Ok(SessionStateBuilder::new_from_existing(base.clone())
        .with_runtime_env(runtime)
        .with_catalog_list(tables(scan).map_err(planning)?)
        .with_execution_props(ExecutionProps::new().with_query_execution_start_time(now.into()))
        .build())
}

fn tables(scan: &Arc<dyn Scan>) -> Result<Arc<dyn CatalogProviderList>, DataFusionError> {
    let schema = MemorySchemaProvider::new();
    for table in Table::ALL {
        let provider = ScanTable::new(scan.clone(), Source::Rows(table));
        schema.register_table(table.name().to_owned(), Arc::new(provider))?;
    }
    schema.register_table("points".to_owned(), Arc::new(ScanTable::new(scan.clone(), Source::Points)))?;
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(SCHEMA, Arc::new(schema))?;
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    Ok(Arc::new(catalogs))
}
