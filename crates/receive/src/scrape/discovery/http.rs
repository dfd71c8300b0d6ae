//! Targets that a server lists. Source: <https://prometheus.io/docs/prometheus/latest/http_sd/>.

use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use model::{Code, Error, Result};

use crate::body;
use crate::scrape::client::Client;
use crate::scrape::config::Group;

/// Of one list.
const LIST_BYTES_MAX: usize = 64 << 20;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
}

pub(super) async fn look(client: &Client, url: &str, refresh: Duration) -> Result<Vec<Group>> {
    let late = |_| Err(Error::new(Code::Timeout, format!("cannot discover targets at {url} within {refresh:?}")));
    tokio::time::timeout(refresh, fetch(client, url, refresh)).await.unwrap_or_else(late)
}

async fn fetch(client: &Client, url: &str, refresh: Duration) -> Result<Vec<Group>> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Ok(seconds) = HeaderValue::try_from(refresh.as_secs_f64().to_string()) {
        headers.insert(HeaderName::from_static("x-prometheus-refresh-interval-seconds"), seconds);
    }
    let mut answer = client.get(url, headers, true).await?;
    if body::header(answer.headers(), &CONTENT_TYPE).split(';').next().unwrap_or_default().trim() != "application/json" {
        return Err(Error::invalid(format!("cannot discover targets at {url}: its Content-Type is not application/json")));
    }
    let mut list = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| Error::unavailable(format!("cannot read {url}")).because(error))? {
        if list.len() + chunk.len() > LIST_BYTES_MAX {
            return Err(Error::new(Code::TooLarge, format!("cannot read {url}: it is over list_bytes_max, {LIST_BYTES_MAX} bytes")));
        }
        list.extend_from_slice(&chunk);
    }
    let listed: Vec<Listed> = serde_json::from_slice(&list).map_err(|error| crate::outcome::unreadable_json("list of targets", &error))?;
    let group = |listed: Listed| {
        let targets = listed.targets.into_iter().map(|target| vec![("__address__".to_owned(), target)]).collect();
        let labels = listed.labels.into_iter().chain([("__meta_url".to_owned(), url.to_owned())]).collect();
        Group { targets, labels }
    };
    Ok(listed.into_iter().map(group).collect())
}
