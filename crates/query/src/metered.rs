use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::Stream;
use model::{Code, Error, Following, Result, Scan, ScanRequest, ScanStats, ScanStream, Table};
use tokio::time::{Interval, MissedTickBehavior};

/// How often a scan that gives no rows is asked what it has read.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// The scan of one query: adds up what all its scans read, and stops them when that is more than the query may.
pub(crate) struct MeteredScan {
    inner: Arc<dyn Scan>,
    meter: Meter,
}

#[derive(Clone)]
struct Meter {
    stats: Arc<Mutex<ScanStats>>,
    scanned_bytes_max: u64,
}

impl Meter {
    fn stats(&self) -> ScanStats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self) -> Result<()> {
        let max = self.scanned_bytes_max;
        match self.stats().bytes_scanned > max {
            true => Err(Error::new(
                Code::LimitExceeded,
                format!("cannot scan more than scanned_bytes_max = {max} bytes for one query: narrow its time range or its filters"),
            )),
            false => Ok(()),
        }
    }
}

impl MeteredScan {
    pub(crate) fn new(inner: Arc<dyn Scan>, scanned_bytes_max: u64) -> Self {
        Self { inner, meter: Meter { stats: Arc::default(), scanned_bytes_max } }
    }

    pub(crate) fn stats(&self) -> ScanStats {
        self.meter.stats()
    }
}

#[async_trait]
impl Scan for MeteredScan {
    fn schema(&self, table: Table) -> SchemaRef {
        self.inner.schema(table)
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanStream> {
        let request = self.counted(request)?;
        Ok(self.meter.rows(self.inner.scan(request).await?))
    }

    /// What arrives is read from memory, and is not counted.
    async fn follow(&self, request: ScanRequest) -> Result<Following> {
        let request = self.counted(request)?;
        let Following { stored, arriving } = self.inner.follow(request).await?;
        Ok(Following { stored: self.meter.rows(stored), arriving })
    }
}

impl MeteredScan {
    fn counted(&self, request: ScanRequest) -> Result<ScanRequest> {
        self.meter.check()?;
        Ok(ScanRequest { stats: self.meter.stats.clone(), ..request })
    }
}

impl Meter {
    fn rows(&self, rows: ScanStream) -> ScanStream {
        let mut ticks = tokio::time::interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Box::pin(MeteredRows { rows: Some(rows), meter: self.clone(), ticks, rests: false })
    }
}

struct MeteredRows {
    rows: Option<ScanStream>,
    meter: Meter,
    ticks: Interval,
    /// A batch was given: before the next, others have their turn. A scan of memory is always ready, and without this
    /// whoever reads it would hold up its thread, and its own deadline, until the end.
    rests: bool,
}

impl Stream for MeteredRows {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(rows) = &mut this.rows else { return Poll::Ready(None) };
        if std::mem::take(&mut this.rests) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while this.ticks.poll_tick(context).is_ready() {}
        let next = rows.as_mut().poll_next(context);
        if let Err(error) = this.meter.check() {
            this.rows = None;
            return Poll::Ready(Some(Err(error)));
        }
        this.rests = matches!(next, Poll::Ready(Some(_)));
        next
    }
}
