//! Finds targets and goes on looking: written ones, those in files, those that a server lists, those in the DNS, in Kubernetes
//! and in AWS.

mod aws;
mod dns;
mod file;
mod http;
mod kubernetes;

use std::sync::Arc;
use std::time::Duration;

use model::Result;
use tokio::sync::mpsc;

use super::client::Client;
use super::config::{Discovery, Group};

/// The groups of one discovery, by its number; all of them each time.
pub(super) type Update = (usize, Vec<Group>);

/// Tells the groups of a discovery whenever they may have changed; ends when nobody listens or they never change.
/// What fails keeps what was found before, and is counted and logged.
pub(super) async fn discover(number: usize, discovery: Discovery, pool: Arc<str>, updates: mpsc::Sender<Update>) {
    match discovery {
        Discovery::Static(groups) => {
            // An error means that nobody listens any more.
            let _ = updates.send((number, groups)).await;
        }
        Discovery::File { patterns, refresh } => {
            let mut files = file::Files::new(patterns);
            let mut since = Duration::MAX;
            loop {
                // Everything is read again after `refresh`, also where the file system shows no change.
                let (found, failed) = files.look(since >= refresh);
                since = if since >= refresh { Duration::ZERO } else { since };
                failed.iter().for_each(|why| failure("file", &pool, why));
                if let Some(groups) = found
                    && updates.send((number, groups)).await.is_err()
                {
                    return;
                }
                tokio::time::sleep(file::LOOK_EVERY).await;
                since = since.saturating_add(file::LOOK_EVERY);
            }
        }
        Discovery::Http { url, refresh, http } => {
            let client = Client::new(&http);
            loop {
                let found = match &client {
                    Ok(client) => http::look(client, &url, refresh).await,
                    Err(error) => Err(model::Error::invalid(error.chain())),
                };
                if !tell(number, "http", &pool, found, &updates).await {
                    return;
                }
                tokio::time::sleep(refresh).await;
            }
        }
        Discovery::Dns { names, record, port, refresh } => {
            let mut names = dns::Names::new(names, record, port);
            loop {
                let found = names.look().await;
                if !tell(number, "dns", &pool, found, &updates).await {
                    return;
                }
                tokio::time::sleep(refresh).await;
            }
        }
        Discovery::Kubernetes(options) => kubernetes::discover(number, &options, &pool, &updates).await,
        Discovery::Aws(options) => {
            let refresh = options.refresh;
            let mut account = aws::Account::new(options);
            loop {
                let found = account.look().await;
                if !tell(number, account.kind(), &pool, found, &updates).await {
                    return;
                }
                tokio::time::sleep(refresh).await;
            }
        }
    }
}

/// The name of a label for a key that may hold anything.
fn label_name(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

/// False when nobody listens any more.
async fn tell(number: usize, kind: &'static str, pool: &str, found: Result<Vec<Group>>, updates: &mpsc::Sender<Update>) -> bool {
    match found {
        Ok(groups) => updates.send((number, groups)).await.is_ok(),
        Err(error) => {
            failure(kind, pool, &error.chain());
            !updates.is_closed()
        }
    }
}

fn failure(kind: &'static str, pool: &str, why: &str) {
    metrics::counter!("tyto_scrape_discovery_failures_total", "kind" => kind).increment(1);
    tracing::warn!("scrape pool {pool:?} keeps the targets it has: {why}");
}
