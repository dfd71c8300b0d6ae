use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use futures::Stream;
use model::{Result, ScanStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use super::code_name;
use crate::guard::timed_out;
use crate::metered::MeteredScan;

/// Counts one query once, when it ends; a query that is dropped before has been cancelled.
pub(super) struct Watch {
    language: &'static str,
    scan: Arc<MeteredScan>,
    started: Instant,
    ended: bool,
}

impl Watch {
    pub(super) fn start(language: &'static str, scan: Arc<MeteredScan>) -> Self {
        Self { language, scan, started: Instant::now(), ended: false }
    }

    pub(super) fn end(&mut self, code: &'static str) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        metrics::histogram!("tyto_query_seconds", "language" => self.language).record(self.started.elapsed().as_secs_f64());
        metrics::counter!("tyto_queries_total", "language" => self.language, "code" => code).increment(1);
        let scan = self.scan.stats();
        metrics::counter!("tyto_query_scanned_bytes_total", "language" => self.language).increment(scan.bytes_scanned);
        for (what, total, skipped) in [
            ("file", scan.files_total, scan.files_skipped),
            ("row_group", scan.row_groups_total, scan.row_groups_skipped),
            ("block", scan.blocks_total, scan.blocks_skipped),
        ] {
            let labels = [("language", self.language), ("what", what)];
            metrics::counter!("tyto_query_scan_considered_total", &labels).increment(total);
            metrics::counter!("tyto_query_scan_skipped_total", &labels).increment(skipped);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end("cancelled");
    }
}

/// The rows of an answer, under the query's deadline and watch until the last of them is read.
pub(super) struct WatchedRows {
    rows: Option<ScanStream>,
    watch: Watch,
    turn: Option<OwnedSemaphorePermit>,
    deadline: Pin<Box<Sleep>>,
    timeout: Duration,
}

impl WatchedRows {
    pub(super) fn new(rows: ScanStream, watch: Watch, turn: OwnedSemaphorePermit, at: tokio::time::Instant, timeout: Duration) -> Self {
        Self { rows: Some(rows), watch, turn: Some(turn), deadline: Box::pin(tokio::time::sleep_until(at)), timeout }
    }

    /// Dropping the rows stops the work at once, not when the caller gets to dropping the answer.
    fn end(&mut self, code: &'static str) {
        self.rows = None;
        self.turn = None;
        self.watch.end(code);
    }
}

impl Stream for WatchedRows {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(rows) = &mut this.rows else { return Poll::Ready(None) };
        if this.deadline.as_mut().poll(context).is_ready() {
            let error = timed_out(this.timeout);
            this.end(code_name(error.code));
            return Poll::Ready(Some(Err(error)));
        }
        let next = std::task::ready!(rows.as_mut().poll_next(context));
        match &next {
            Some(Ok(_)) => {}
            Some(Err(error)) => this.end(code_name(error.code)),
            None => this.end("ok"),
        }
        Poll::Ready(next)
    }
}

impl Drop for WatchedRows {
    fn drop(&mut self) {
        self.end("cancelled");
    }
}
