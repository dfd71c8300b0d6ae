//! `POST /upload`.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::StatusCode;
use http::header::CONTENT_ENCODING;
use model::{Code, Error, Rejection, Result};

use super::decode::{decode_journal, whole_entries};
use crate::body::{self, Held, Share};
use crate::outcome::{shortened, unreadable};
use crate::state::{Receivers, count_request, http_status, plain, summary};

const PROTOCOL: &str = "journal_upload";
const CONTENT_TYPE: &str = "application/vnd.fdo.journal";
/// So much of a body is decoded and stored at one time: the first upload of a machine is its whole journal.
const PART_BYTES: usize = 4 << 20;
/// Without a byte of the body.
const IDLE_MAX: Duration = Duration::from_secs(60);

pub fn journal_router(receivers: Receivers) -> Router {
    let upload = post(move |request: Request| async move { answer(&receivers, request).await });
    Router::new().route("/upload", upload)
}

async fn answer(receivers: &Receivers, request: Request) -> Response {
    let mut upload = Upload {
        receivers,
        pending: BytesMut::new(),
        store_at: PART_BYTES,
        share: receivers.budget.share(),
        entries: 0,
        bytes: 0,
        rejections: Vec::new(),
    };
    let response = match upload.take(request).await {
        Ok(()) => match summary(&upload.rejections) {
            (0, _) => (StatusCode::ACCEPTED, "OK.\n").into_response(),
            // What is refused would be refused again, and the uploader sends all of it again for any other status.
            (refused, text) => (StatusCode::ACCEPTED, format!("{refused} entries were refused: {text}\n")).into_response(),
        },
        Err(error) => plain(http_status(&error), &error),
    };
    count_request(PROTOCOL, response.status().as_u16(), upload.bytes);
    response
}

struct Upload<'r> {
    receivers: &'r Receivers,
    /// What has come and is not stored.
    pending: BytesMut,
    /// How much must have come before entries are looked for: an entry that is longer is not walked again with each chunk.
    store_at: usize,
    share: Share,
    entries: usize,
    bytes: usize,
    rejections: Vec<Rejection>,
}

impl Upload<'_> {
    async fn take(&mut self, request: Request) -> Result<()> {
        let content_type = body::content_type(request.headers());
        if content_type != CONTENT_TYPE {
            return Err(Error::unsupported(format!("cannot accept Content-Type {}: send {CONTENT_TYPE}", shortened(&content_type))));
        }
        if !matches!(body::header(request.headers(), &CONTENT_ENCODING), "" | "identity") {
            return Err(Error::unsupported("cannot accept a Content-Encoding here: send the journal as it is"));
        }
        let mut chunks = request.into_body().into_data_stream();
        loop {
            let late = |_| Error::new(Code::Timeout, format!("cannot accept body: nothing came for {IDLE_MAX:?}"));
            let Some(chunk) = tokio::time::timeout(IDLE_MAX, chunks.next()).await.map_err(late)? else { break };
            let chunk: Bytes = chunk.map_err(|source| Error::invalid("cannot read body").because(source))?;
            self.bytes += chunk.len();
            self.share.grow_to(self.pending.len() + chunk.len())?;
            self.pending.extend_from_slice(&chunk);
            if self.pending.len() >= self.store_at {
                self.store_whole().await?;
            }
        }
        let (rest, share) = (self.pending.split().freeze(), self.next_share()?);
        self.store(rest, share).await
    }

    /// Stores the entries that have come whole, and keeps what has begun.
    async fn store_whole(&mut self) -> Result<()> {
        let (end, entries) = whole_entries(&self.pending).map_err(|malformed| unreadable("journal entries", malformed))?;
        let max = self.receivers.limits.body_bytes_max;
        if end == 0 && self.pending.len() > max {
            return Err(Error::new(Code::TooLarge, format!("cannot accept entry: it is over body_bytes_max, {max} bytes")));
        }
        self.store_at = PART_BYTES.max(2 * (self.pending.len() - end));
        if end > 0 {
            let (part, share) = (self.pending.split_to(end).freeze(), self.next_share()?);
            self.store(part, share).await?;
            self.entries += entries;
        }
        Ok(())
    }

    /// What was held for all that came is now held for the part; what stays gets its own.
    fn next_share(&mut self) -> Result<Share> {
        let mut next = self.receivers.budget.share();
        next.grow_to(self.pending.len())?;
        Ok(std::mem::replace(&mut self.share, next))
    }

    async fn store(&mut self, bytes: Bytes, share: Share) -> Result<()> {
        let before = self.entries;
        let decode = move |body: &[u8], rules: &crate::outcome::Rules<'_>, _: &_| decode_journal(body, before, rules);
        let ack = self.receivers.take(PROTOCOL, Held { bytes, share }, decode).await?;
        self.rejections.extend(ack.rejections);
        // Enough to tell; the counters hold the rest.
        self.rejections.truncate(100);
        Ok(())
    }
}
