//! Messages of all senders of a port, joined to batches: one message costs no request, no frame of the log and no wait for the
//! disk of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use model::Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout_at};

use super::decode::decode_syslog;
use super::listen::PROTOCOL;
use crate::body::Held;
use crate::sockets::{Seldom, Stopping};
use crate::state::{Receivers, count_request, http_status, retry_after_seconds, summary};

/// What waits to be stored, of one port. What is over it waits in the senders' connections, and is lost as datagrams.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// A batch is full with this, or with as many messages.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_MESSAGES: usize = 10_000;
/// For how long a batch that is not full waits for more: no longer than the disk takes to keep it.
const WINDOW: Duration = Duration::from_millis(5);
/// What a message takes of the queue apart from its bytes.
const MESSAGE_BYTES: usize = 64;

/// Some messages, in their order.
#[derive(Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    parts: Vec<Part>,
}

#[derive(Clone, Copy)]
struct Part {
    end: usize,
    from: IpAddr,
}

impl Chunk {
    pub(super) fn push(&mut self, message: &[u8], from: IpAddr) {
        self.bytes.extend_from_slice(message);
        self.parts.push(Part { end: self.bytes.len(), from });
    }

    pub(super) fn messages(&self) -> u64 {
        self.parts.len() as u64
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH_BYTES || self.parts.len() >= BATCH_MESSAGES
    }

    fn join(&mut self, next: &Self) {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&next.bytes);
        self.parts.extend(next.parts.iter().map(|part| Part { end: before + part.end, ..*part }));
    }

    /// In units of which the queue has as many as it may hold.
    fn blocks(&self) -> u32 {
        let bytes = self.bytes.len() + self.parts.len() * MESSAGE_BYTES;
        u32::try_from(bytes.div_ceil(BLOCK_BYTES).min(WAITING_BYTES_MAX / BLOCK_BYTES)).expect("a number of blocks")
    }
}

const BLOCK_BYTES: usize = 1 << 10;

/// The senders' end.
#[derive(Clone)]
pub(super) struct Queue {
    free: Arc<Semaphore>,
    sender: mpsc::UnboundedSender<(Chunk, OwnedSemaphorePermit)>,
}

/// The store's end.
pub(super) struct Batches {
    receiver: mpsc::UnboundedReceiver<(Chunk, OwnedSemaphorePermit)>,
}

pub(super) fn queue() -> (Queue, Batches) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Queue { free: Arc::new(Semaphore::new(WAITING_BYTES_MAX / BLOCK_BYTES)), sender }, Batches { receiver })
}

impl Queue {
    /// Waits until there is room.
    pub(super) async fn put(&self, chunk: Chunk) {
        let permit = self.free.clone().acquire_many_owned(chunk.blocks()).await.expect("nobody closes it");
        // Nobody receives any more when the server is cut off in the middle.
        let _ = self.sender.send((chunk, permit));
    }

    /// False when there is no room now.
    pub(super) fn try_put(&self, chunk: Chunk) -> bool {
        let permit = self.free.clone().try_acquire_many_owned(chunk.blocks());
        permit.is_ok_and(|permit| self.sender.send((chunk, permit)).is_ok())
    }
}

impl Batches {
    /// Stores batch after batch, until all senders are gone and everything is stored.
    pub(super) async fn store(mut self, receivers: Receivers, stopping: Stopping) {
        let seldom = Seldom::default();
        while let Some((mut batch, first)) = self.receiver.recv().await {
            let (full_at, mut permits) = (Instant::now() + WINDOW, first);
            while !batch.is_full()
                && let Ok(Some((next, permit))) = timeout_at(full_at, self.receiver.recv()).await
            {
                batch.join(&next);
                permits.merge(permit);
            }
            store(&receivers, batch, &stopping, &seldom).await;
            drop(permits);
        }
    }
}

/// Nobody is told and nobody sends again, so a batch that is told to come back does, as long as the server runs.
async fn store(receivers: &Receivers, batch: Chunk, stopping: &Stopping, seldom: &Seldom) {
    let (bytes, parts): (Bytes, Arc<[Part]>) = (batch.bytes.into(), batch.parts.into());
    let messages = parts.len() as u64;
    let stored = loop {
        let mut share = receivers.budget.share();
        let tried = match share.grow_to(bytes.len()) {
            Ok(()) => {
                let (held, parts) = (Held { bytes: bytes.clone(), share }, parts.clone());
                receivers.take(PROTOCOL, held, move |bytes, rules, _| decode_syslog(messages_of(bytes, &parts), rules)).await
            }
            Err(error) => Err(error),
        };
        match tried {
            Err(error) if retry_after_seconds(&error).is_some() && !*stopping.borrow() => {
                if seldom.may((receivers.clock)()) {
                    tracing::warn!("syslog waits and is not read on: {}", error.chain());
                }
                sleep(Duration::from_secs(retry_after_seconds(&error).unwrap_or(1).into()).min(RETRY_AFTER_MAX)).await;
            }
            done => break done,
        }
    };
    count_request(PROTOCOL, stored.as_ref().map_or_else(http_status, |_| StatusCode::OK).as_u16(), bytes.len());
    match stored {
        Ok(ack) => {
            if let (refused @ 1.., why) = summary(&ack.rejections)
                && seldom.may((receivers.clock)())
            {
                tracing::warn!("{refused} syslog messages were refused: {why}");
            }
        }
        Err(error) => {
            refuse(messages, reason(error.code));
            tracing::error!("{messages} syslog messages are lost: {}", error.chain());
        }
    }
}

const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

fn messages_of<'b>(bytes: &'b [u8], parts: &'b [Part]) -> impl Iterator<Item = (&'b [u8], Option<IpAddr>)> {
    let starts = std::iter::once(0).chain(parts.iter().map(|part| part.end));
    starts.zip(parts).map(|(start, part)| (&bytes[start..part.end], Some(part.from)))
}

fn reason(code: Code) -> &'static str {
    match code {
        Code::TooLarge => "batch_too_large",
        Code::Internal | Code::Corrupt => "internal",
        Code::Overloaded { .. } | Code::Unavailable | Code::Timeout | Code::Cancelled | Code::LimitExceeded => "not_stored_at_the_end",
        _ => "refused",
    }
}

/// Counts messages that will not be stored.
pub(super) fn refuse(messages: u64, reason: &'static str) {
    metrics::counter!("tyto_receive_rejected_records_total", "protocol" => PROTOCOL, "reason" => reason).increment(messages);
}
