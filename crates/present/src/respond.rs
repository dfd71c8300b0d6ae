//! Bodies of answers.

use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use model::{Code, Error, Result};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Of a large answer, sent at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Pieces of a body that wait for a client that reads slowly.
const PIECES_AHEAD_MAX: usize = 2;

/// A client that takes no piece for so long has stopped reading.
const WRITE_IDLE_MAX: Duration = Duration::from_secs(30);

/// For an answer that is ready to leave.
const SEND_MAX: Duration = Duration::from_secs(3600);

pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

pub(crate) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    typed(status, "application/json", body)
}

pub(crate) fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(crate) fn plain(status: StatusCode, text: impl Into<String>) -> Response {
    typed(status, "text/plain; charset=utf-8", text.into())
}

/// `head`, then what `write` makes of each item with commas between, then `tail`. An item is dropped once written and
/// the text is made as the socket takes it, so a large answer is never there twice.
pub(crate) fn joined<T: Send + 'static>(
    head: String,
    items: Vec<T>,
    write: impl FnMut(&mut String, T) + Send + 'static,
    tail: String,
) -> Response {
    let mut chunks = Chunks { head: Some(head), items: items.into_iter(), write, first: true, tail: Some(tail) };
    let start = chunks.next().unwrap_or_default();
    if chunks.tail.is_none() {
        return json(StatusCode::OK, start);
    }
    let all = std::iter::once(start).chain(chunks).map(|text| Ok(Bytes::from(text)));
    json(StatusCode::OK, pumped(futures::stream::iter(all), Instant::now() + SEND_MAX))
}

/// A body whose pieces a task of its own makes until `deadline`. A client that stops reading also stops polling its
/// body, so a deadline kept there would never be looked at: this one is, and what `pieces` holds is let go.
///
/// A failure breaks the body off: the client sees a transfer that did not end, never an answer that only looks whole.
pub(crate) fn pumped(pieces: impl Stream<Item = Result<Bytes>> + Send + 'static, deadline: Instant) -> Body {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD_MAX);
    let task = tokio::spawn(async move {
        let ended = pump(pieces, deadline, &sender).await;
        if let Err(error) = &ended {
            tracing::warn!(error = error.chain(), "answer broken off");
        }
        ended
    });
    let body = futures::stream::unfold(Some((receiver, task)), |state| async {
        let (mut receiver, task) = state?;
        if let Some(piece) = receiver.recv().await {
            return Some((Ok(piece), Some((receiver, task))));
        }
        let ended = task.await.unwrap_or_else(|panic| Err(Error::internal("cannot make the whole answer").because(panic)));
        ended.err().map(|error| (Err(error), None))
    });
    // The server looks once more behind the end of a body, which an unfold answers with a panic.
    Body::from_stream(body.fuse())
}

async fn pump(pieces: impl Stream<Item = Result<Bytes>>, deadline: Instant, sender: &mpsc::Sender<Bytes>) -> Result<()> {
    let mut pieces = pin!(pieces);
    let late = |_| Error::new(Code::Timeout, "cannot send the whole answer within its time");
    loop {
        let next = tokio::select! {
            next = timeout_at(deadline, pieces.next()) => next.map_err(late)?,
            () = sender.closed() => return Ok(()),
        };
        let Some(piece) = next else { return Ok(()) };
        let taken = sender.send(piece?);
        // A closed channel is a client that has gone, which is nobody's fault.
        let _ = timeout_at(deadline.min(Instant::now() + WRITE_IDLE_MAX), taken).await.map_err(late)?;
    }
}

struct Chunks<T, W> {
    head: Option<String>,
    items: std::vec::IntoIter<T>,
    write: W,
    first: bool,
    tail: Option<String>,
}

impl<T, W: FnMut(&mut String, T)> Iterator for Chunks<T, W> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut out = self.head.take().unwrap_or_default();
        self.tail.as_ref()?;
        while out.len() < CHUNK_BYTES {
            match self.items.next() {
                Some(item) => {
                    if !std::mem::take(&mut self.first) {
                        out.push(',');
                    }
                    (self.write)(&mut out, item);
                }
                None => {
                    out.push_str(&self.tail.take()?);
                    break;
                }
            }
        }
        Some(out)
    }
}
