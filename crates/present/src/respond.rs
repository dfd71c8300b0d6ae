//! Bodies of answers.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

/// Of a large answer, sent at once.
const CHUNK_BYTES: usize = 64 << 10;

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
    let all = std::iter::once(start).chain(chunks).map(|text| Ok::<_, Infallible>(Bytes::from(text)));
    json(StatusCode::OK, Body::from_stream(futures::stream::iter(all)))
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
