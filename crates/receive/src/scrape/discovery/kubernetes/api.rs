//! Kubernetes's way to stay up to date: a list in pages, then a watch from the list's version on. A watch that ends is begun
//! again where it was; a version that the server has forgotten (410 Gone) asks for a new list.
//! Source: <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT, HeaderMap, HeaderValue};
use model::{Code, Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::objects::{Kind, Object};
use crate::scrape::client::Client;

/// Of one page of a list.
const PAGE_OBJECTS: usize = 500;
const PAGE_BYTES_MAX: usize = 64 << 20;
const LIST_TIME_MAX: Duration = Duration::from_secs(60);
/// Of one kind in one namespace, or in all.
const OBJECTS_MAX: usize = 200_000;
/// One line of a watch.
const EVENT_BYTES_MAX: usize = 16 << 20;
/// The server is asked to end a watch after this long, so that a connection that is dead without a word is noticed.
const WATCH_SECONDS: u64 = 300;
const WATCH_TIME_MAX: Duration = Duration::from_secs(WATCH_SECONDS + 30);
/// Between attempts; doubled each time, until one does.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// What of the server's own words an error repeats.
const WORDS_BYTES_MAX: usize = 512;

pub(super) struct Api {
    client: Client,
    /// Without a slash at its end.
    url: String,
}

/// What is listed and watched.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) kind: Kind,
    /// None is all.
    pub(super) namespace: Option<String>,
    /// Selectors; empty is none.
    pub(super) labels: String,
    pub(super) fields: String,
}

/// With the number of its source.
pub(super) enum Change {
    /// These, and none that was there before.
    All(usize, Vec<Object>),
    Set(usize, Box<Object>),
    Gone(usize, (String, String)),
    Failed(Error),
}

/// How a watch ended.
enum End {
    /// By the server: it goes on from the last version.
    Closed,
    /// The version is too old.
    Expired,
    /// Nobody listens any more.
    Unheard,
}

#[derive(Deserialize)]
struct Listed {
    metadata: ListMeta,
    /// Servers that are written in Go say null for none.
    items: Option<Vec<Box<RawValue>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
    r#continue: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    r#type: String,
    object: Box<RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
    message: String,
}

/// Tells every change of a source, until nobody listens.
pub(super) async fn follow(api: Arc<Api>, number: usize, source: Source, changes: mpsc::Sender<Change>) {
    let mut backoff = BACKOFF_MIN;
    // None asks for a list.
    let mut version: Option<String> = None;
    loop {
        let began = Instant::now();
        let ended = match &mut version {
            None => match api.list(&source).await {
                Ok((objects, listed)) => {
                    version = Some(listed);
                    match changes.send(Change::All(number, objects)).await {
                        Ok(()) => continue,
                        Err(_) => return,
                    }
                }
                Err(error) => Err(error),
            },
            Some(version) => api.watch(number, &source, version, &changes).await,
        };
        match ended {
            Ok(End::Unheard) => return,
            Ok(End::Closed) => {}
            Ok(End::Expired) => version = None,
            Err(error) => {
                if changes.send(Change::Failed(error)).await.is_err() {
                    return;
                }
            }
        }
        // What ends as soon as it has begun is not begun again at once.
        if began.elapsed() < BACKOFF_MAX {
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        } else {
            backoff = BACKOFF_MIN;
        }
    }
}

impl Api {
    pub(super) fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    fn url(&self, source: &Source, parameters: &[(&str, &str)]) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(parameters);
        let selectors = [("labelSelector", &source.labels), ("fieldSelector", &source.fields)];
        form.extend_pairs(selectors.into_iter().filter(|(_, selector)| !selector.is_empty()));
        format!("{}{}?{}", self.url, source.kind.path(source.namespace.as_deref()), form.finish())
    }

    /// Answers of status 200; others are errors with the server's words.
    async fn ask(&self, url: &str) -> Result<reqwest::Response> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = self.client.ask(url, headers, true).await?;
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(answer);
        }
        let body = read(answer, PAGE_BYTES_MAX).await.unwrap_or_default();
        let told: Status = serde_json::from_slice(&body).unwrap_or_default();
        let words = &told.message[..told.message.floor_char_boundary(WORDS_BYTES_MAX)];
        let code = match status {
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            StatusCode::FORBIDDEN => Code::Forbidden,
            StatusCode::GONE => Code::NotFound,
            _ => Code::Unavailable,
        };
        let stop = if words.is_empty() { "" } else { ": " };
        Err(Error::new(code, format!("cannot discover targets at {}: Kubernetes says {status}{stop}{words}", without_query(url))))
    }

    /// All objects, and the version of the list.
    async fn list(&self, source: &Source) -> Result<(Vec<Object>, String)> {
        let (mut objects, mut next) = (Vec::new(), String::new());
        let limit = PAGE_OBJECTS.to_string();
        loop {
            let mut parameters = vec![("limit", limit.as_str())];
            parameters.extend((!next.is_empty()).then_some(("continue", next.as_str())));
            let url = self.url(source, &parameters);
            let late = |_| Err(Error::new(Code::Timeout, format!("cannot list {} within {LIST_TIME_MAX:?}", without_query(&url))));
            let page = async { read(self.ask(&url).await?, PAGE_BYTES_MAX).await };
            let page = tokio::time::timeout(LIST_TIME_MAX, page).await.unwrap_or_else(late)?;
            let page: Listed = serde_json::from_slice(&page).map_err(|error| unreadable(&url, error))?;
            for object in page.items.unwrap_or_default() {
                objects.push(source.kind.read(object.get()).map_err(|error| unreadable(&url, error))?);
            }
            if objects.len() > OBJECTS_MAX {
                let what = format!("cannot take {}: there are over objects_max, {OBJECTS_MAX}", without_query(&url));
                return Err(Error::new(Code::TooLarge, what));
            }
            next = page.metadata.r#continue.unwrap_or_default();
            if next.is_empty() {
                return Ok((objects, page.metadata.resource_version));
            }
        }
    }

    /// Changes after a version, which moves on with them.
    async fn watch(&self, number: usize, source: &Source, version: &mut String, changes: &mpsc::Sender<Change>) -> Result<End> {
        let seconds = WATCH_SECONDS.to_string();
        let bookmarks = ("allowWatchBookmarks", "true");
        let url = self.url(source, &[("watch", "true"), bookmarks, ("timeoutSeconds", &seconds), ("resourceVersion", version.as_str())]);
        let late = |_| Error::new(Code::Timeout, format!("cannot watch {}: it says nothing any more", without_query(&url)));
        let mut answer = match tokio::time::timeout(LIST_TIME_MAX, self.ask(&url)).await.map_err(late)? {
            Err(error) if error.code == Code::NotFound => return Ok(End::Expired),
            answer => answer?,
        };
        let mut held = Vec::new();
        loop {
            let chunk = tokio::time::timeout(WATCH_TIME_MAX, answer.chunk()).await.map_err(late)?;
            let Some(chunk) = chunk.map_err(|error| broken(&url, error))? else { return Ok(End::Closed) };
            held.extend_from_slice(&chunk);
            let mut begin = 0;
            while let Some(end) = memchr::memchr(b'\n', &held[begin..]) {
                let line = &held[begin..begin + end];
                begin += end + 1;
                let change = match self.event(number, source, line, version, &url)? {
                    Seen::Change(change) => change,
                    Seen::Nothing => continue,
                    Seen::Expired => return Ok(End::Expired),
                };
                if changes.send(change).await.is_err() {
                    return Ok(End::Unheard);
                }
            }
            held.drain(..begin);
            if held.len() > EVENT_BYTES_MAX {
                let what = format!("cannot watch {}: one event is over event_bytes_max, {EVENT_BYTES_MAX}", without_query(&url));
                return Err(Error::new(Code::TooLarge, what));
            }
        }
    }

    fn event(&self, number: usize, source: &Source, line: &[u8], version: &mut String, url: &str) -> Result<Seen> {
        if line.trim_ascii().is_empty() {
            return Ok(Seen::Nothing);
        }
        let event: Event = serde_json::from_slice(line).map_err(|error| unreadable(url, error))?;
        if event.r#type == "ERROR" {
            let told: Status = serde_json::from_str(event.object.get()).unwrap_or_default();
            if told.code == StatusCode::GONE.as_u16() {
                return Ok(Seen::Expired);
            }
            return Err(Error::unavailable(format!("cannot watch {}: Kubernetes says {}", without_query(url), told.message)));
        }
        let object = source.kind.read(event.object.get()).map_err(|error| unreadable(url, error))?;
        let meta = object.meta();
        if !meta.resource_version.is_empty() {
            version.clone_from(&meta.resource_version);
        }
        Ok(match event.r#type.as_str() {
            "ADDED" | "MODIFIED" => Seen::Change(Change::Set(number, Box::new(object))),
            "DELETED" => Seen::Change(Change::Gone(number, object.key())),
            // A bookmark only brings a version; what is not known yet changes nothing.
            _ => Seen::Nothing,
        })
    }
}

/// What a line of a watch says.
enum Seen {
    Change(Change),
    Nothing,
    Expired,
}

fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

fn unreadable(url: &str, error: serde_json::Error) -> Error {
    Error::unavailable(format!("cannot read what Kubernetes answers at {}", without_query(url))).because(error)
}

fn broken(url: &str, error: reqwest::Error) -> Error {
    Error::unavailable(format!("cannot go on watching {}", without_query(url))).because(error.without_url())
}

async fn read(mut answer: reqwest::Response, bytes_max: usize) -> Result<Vec<u8>> {
    let url = answer.url().to_string();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| broken(&url, error))? {
        if body.len() + chunk.len() > bytes_max {
            let what = format!("cannot read {}: it is over page_bytes_max, {bytes_max}", without_query(&url));
            return Err(Error::new(Code::TooLarge, what));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
