//! Lines that are there, and lines as they come: both through the same stages.

use arrow::array::RecordBatch;
use futures::{FutureExt, StreamExt, TryStreamExt};
use lang::logql::Expr;
use model::{Arrival, ArrivalStream, Error, Following, LogArrival, LogStream, LogTail, Order, QueryLimits, Result, Scan, TimeRange};

use super::lines::Found;
use super::parse;
use super::source::{Needs, Plan, Reader, Wanted};
use crate::guard::{Guard, blocking, blocking_unless, fold};

/// Label sets that are remembered from batch to batch.
const STREAMS_REMEMBERED_MAX: usize = 10_000;

/// Begins at once. What is stored is read when it is asked for, under `limits`; every batch that arrives has the same limits anew.
pub(super) async fn answer(scan: &dyn Scan, query: &str, time: TimeRange, limit: usize, limits: &QueryLimits) -> Result<LogTail> {
    let Expr::Log(log) = parse(query).await? else { return Err(Error::invalid("only log selector is supported")) };
    let (first, second) = blocking(move || Ok((Plan::new(&log)?, Plan::new(&log)?))).await?;
    let guard = Guard::new(limits);
    let scan_limit = first.is_exact().then_some(limit);
    let reader = Reader::new(first, needs(), &guard);
    let Following { stored, arriving } = scan.follow(reader.request(time, Order::NewestFirst, scan_limit)).await?;
    let stored = async move {
        let _cancel = guard.cancel_on_drop();
        let state = (reader, Found::new(limit, &guard));
        let (_, found) = fold(stored, state, |(reader, found), batch| reader.lines(batch, |_, row, _| found.add(row))).await?;
        let mut streams = found.streams;
        // Of lines at one instant the first that came stays the first.
        streams.iter_mut().for_each(|stream| stream.entries.sort_by_key(|entry| entry.time_ns));
        Ok(streams)
    };
    let live = Live { reader: Reader::new(second, needs(), &Guard::new(limits)), limits: limits.clone() };
    Ok(LogTail { stored: stored.boxed(), arriving: futures::stream::try_unfold((arriving, live), next).boxed() })
}

fn needs() -> Needs {
    Needs { stream: true, line: true, metadata: Wanted::All }
}

struct Live {
    reader: Reader,
    limits: QueryLimits,
}

/// What the next batch with a line of the query says.
async fn next((mut arriving, mut live): (ArrivalStream, Live)) -> Result<Option<(LogArrival, (ArrivalStream, Live))>> {
    /// Of a batch that takes a moment.
    const SMALL_BYTES: usize = 128 << 10;
    while let Some(arrival) = arriving.try_next().await? {
        let batch = match arrival {
            Arrival::Skipped { rows, last_ns } => return Ok(Some((LogArrival::Skipped { rows, last_ns }, (arriving, live)))),
            Arrival::Rows(batch) => batch,
        };
        let (after, streams) = blocking_unless(batch.get_array_memory_size() <= SMALL_BYTES, move || {
            let streams = live.lines(&batch)?;
            Ok((live, streams))
        })
        .await?;
        live = after;
        if !streams.is_empty() {
            return Ok(Some((LogArrival::Lines(streams), (arriving, live))));
        }
    }
    Ok(None)
}

impl Live {
    fn lines(&mut self, batch: &RecordBatch) -> Result<Vec<LogStream>> {
        let guard = Guard::new(&self.limits);
        self.reader.renew(&guard, STREAMS_REMEMBERED_MAX);
        let mut found = Found::new(usize::MAX, &guard);
        self.reader.lines(batch, |_, row, _| found.add(row))?;
        Ok(found.streams)
    }
}
