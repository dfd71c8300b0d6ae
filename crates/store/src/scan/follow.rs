//! Rows as they arrive, through the filters of a request.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::StreamExt;
use model::{Arrival, ArrivalStream, Error, Following, Order, Result, ScanRequest, Table, TimeRange};

use super::{Plan, Shared, read, stored, take, work};
use crate::follow::{Follower, Skipped, Taken};
use crate::table::ShardTable;

/// Rows that are filtered where they are asked for: to change threads for them takes longer.
const INLINE_ROWS_MAX: usize = 1024;

pub(crate) fn follow(table: &Arc<ShardTable>, request: ScanRequest, shared: Shared) -> Result<Following> {
    if table.table == Table::Samples {
        return Err(Error::unsupported("cannot follow samples: logs and spans can be followed"));
    }
    let bytes_max = shared.options.follow_bytes_max;
    let every = ScanRequest { time: TimeRange::ALL, order: Order::Any, limit: None, ..request.clone() };
    let hidden = || table.hidden(shared.options.clock.now_ms());
    let plan = Arc::new(Plan::of(request, table.declared(), hidden(), shared.clone())?);
    let every = Arc::new(Plan::of(every, table.declared(), hidden(), shared.clone())?);
    let (view, follower) = table.follow(bytes_max, |head| take(&plan, head));
    Ok(Following { stored: stored(plan, view), arriving: arrivals(every, table.clone(), follower) })
}

fn arrivals(plan: Arc<Plan>, table: Arc<ShardTable>, follower: Follower) -> ArrivalStream {
    let taken = futures::stream::unfold((plan, table, follower), async |(plan, table, follower)| {
        let taken = follower.next().await?;
        let arrivals = passed(&plan, &table, taken).await;
        Some((futures::stream::iter(arrivals), (plan, table, follower)))
    });
    taken.flatten().boxed()
}

async fn passed(plan: &Arc<Plan>, table: &Arc<ShardTable>, taken: Taken) -> Vec<Result<Arrival>> {
    let Taken { skipped, blocks } = taken;
    let mut arrivals = Vec::new();
    if let Some(Skipped { rows, last_ns }) = skipped {
        let labels = [("shard", plan.shared.options.name.clone()), ("table", plan.table.name().to_owned())];
        metrics::counter!("tyto_follow_skipped_rows_total", &labels).increment(rows);
        arrivals.push(Ok(Arrival::Skipped { rows, last_ns }));
    }
    let rows: usize = blocks.iter().map(|block| block.records.num_rows()).sum();
    let table = table.clone();
    let filter = move |plan: &Arc<Plan>| {
        // As of now: what was ordered to be erased while it waited is not shown.
        let hidden = table.hidden(plan.shared.options.clock.now_ms());
        let shown = blocks.iter().map(|block| match hidden.may_touch(block.min_time, block.max_time) {
            true => read::filter_batch(plan, &hidden.clear(block.records.clone())?.0),
            false => read::filter_batch(plan, &block.records),
        });
        shown.collect::<Result<Vec<RecordBatch>>>()
    };
    let passed = if rows <= INLINE_ROWS_MAX { filter(plan) } else { work::step(plan, filter).await };
    match passed {
        Ok(batches) => arrivals.extend(batches.into_iter().filter(|records| records.num_rows() > 0).map(|rows| Ok(Arrival::Rows(rows)))),
        Err(error) => arrivals.push(Err(error)),
    }
    arrivals
}
