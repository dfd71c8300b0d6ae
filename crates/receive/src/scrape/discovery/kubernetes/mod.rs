//! Targets in Kubernetes. Path: `api.rs` (lists and watches; a task for each kind of object and namespace) > `objects.rs` (what
//! is kept of an object) > `mod.rs` (all that is known) > `roles.rs` (targets of it).
//! Source: <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#kubernetes_sd_config>.

mod api;
mod objects;
mod roles;

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::{Error, Result};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Update, failure};
use crate::scrape::client::Client;
use crate::scrape::config::{Auth, HttpOptions, KubernetesAccess, KubernetesDiscovery, KubernetesRole, Secret};
use api::{Api, Change, Source};
use objects::{Kind, Object};

/// Where Kubernetes puts what a pod needs to ask its server.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Changes are gathered for this long before targets are made of them, for longer where that takes long.
const GATHERED_MIN: Duration = Duration::from_millis(500);
const GATHERED_MAX: Duration = Duration::from_secs(30);
/// Of the time at most one part in so many goes into making targets.
const PART_OF_TIME: u32 = 10;
/// Between attempts to find the server at all.
const CONNECT_EVERY: Duration = Duration::from_secs(30);
/// Changes on their way from all watches.
const CHANGES_MAX: usize = 1024;

/// Tells the groups of a discovery whenever they have changed; ends when nobody listens.
pub(super) async fn discover(number: usize, options: &KubernetesDiscovery, pool: &str, updates: &mpsc::Sender<Update>) {
    let (api, namespaces) = loop {
        match connect(options) {
            Ok(connected) => break connected,
            Err(error) => failure("kubernetes", pool, &error.chain()),
        }
        tokio::time::sleep(CONNECT_EVERY).await;
    };
    let (sender, mut changes) = mpsc::channel(CHANGES_MAX);
    let mut known = Known::default();
    let mut watches = JoinSet::new();
    for source in sources(options, &namespaces) {
        known.sources.push((source.kind, None));
        watches.spawn(api::follow(api.clone(), known.sources.len() - 1, source, sender.clone()));
    }
    let (mut gathered, mut told) = (GATHERED_MIN, None);
    loop {
        let Some(change) = changes.recv().await else { return };
        known.apply(change, pool);
        let until = Instant::now() + gathered;
        while let Ok(Some(change)) = tokio::time::timeout_at(until, changes.recv()).await {
            known.apply(change, pool);
        }
        // Half of what is known would end targets that are there.
        if known.sources.iter().any(|(_, objects)| objects.is_none()) {
            continue;
        }
        let began = Instant::now();
        let groups = roles::groups(&known, options);
        let sign = sign(&groups);
        if told.replace(sign) != Some(sign) && updates.send((number, groups)).await.is_err() {
            return;
        }
        gathered = (began.elapsed() * PART_OF_TIME).clamp(GATHERED_MIN, GATHERED_MAX);
    }
}

/// Stands for the groups: most changes of objects change no target.
fn sign(groups: &[crate::scrape::config::Group]) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new();
    for group in groups {
        (&group.targets, &group.labels).hash(&mut hasher);
    }
    hasher.finish()
}

/// The server, and the namespaces that are looked at: none are all.
fn connect(options: &KubernetesDiscovery) -> Result<(Arc<Api>, Vec<String>)> {
    let mut namespaces = options.namespaces.clone();
    let (url, http) = match &options.access {
        KubernetesAccess::Server { url, http } => (url.clone(), http.clone()),
        KubernetesAccess::InCluster => {
            let variable = |name: &str| std::env::var(name).ok();
            let (url, http) = in_cluster(variable, Path::new(SERVICE_ACCOUNT))?;
            if options.own_namespace {
                let path = Path::new(SERVICE_ACCOUNT).join("namespace");
                let own = std::fs::read_to_string(&path)
                    .map_err(|error| Error::unavailable(format!("cannot read the own namespace in {}", path.display())).because(error))?;
                namespaces.push(own.trim().to_owned());
            }
            (url, Box::new(http))
        }
    };
    Ok((Arc::new(Api::new(Client::new(&http)?, url.trim_end_matches('/').to_owned())), namespaces))
}

/// How a pod asks the server of its cluster.
fn in_cluster(variable: impl Fn(&str) -> Option<String>, folder: &Path) -> Result<(String, HttpOptions)> {
    let (Some(host), Some(port)) = (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT")) else {
        return Err(Error::unavailable(
            "cannot ask Kubernetes: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this is no pod; write an api_server",
        ));
    };
    // Read at each request: Kubernetes renews it.
    let token = Auth::Authorization { scheme: "Bearer".to_owned(), credentials: Secret::File(folder.join("token")) };
    let mut http = HttpOptions { auth: Some(token), ..HttpOptions::default() };
    http.tls.ca = Some(Secret::File(folder.join("ca.crt")));
    Ok((format!("https://{}", roles::host_port(&host, &port)), http))
}

/// What is listed and watched for a role.
fn sources(options: &KubernetesDiscovery, namespaces: &[String]) -> Vec<Source> {
    let (role, attach) = (options.role, &options.attach);
    let mut kinds = match role {
        KubernetesRole::Node => vec![Kind::Node],
        KubernetesRole::Service => vec![Kind::Service],
        KubernetesRole::Pod => vec![Kind::Pod],
        KubernetesRole::Endpoints => vec![Kind::Endpoints, Kind::Service, Kind::Pod],
        KubernetesRole::EndpointSlice => vec![Kind::EndpointSlice, Kind::Service, Kind::Pod],
        KubernetesRole::Ingress => vec![Kind::Ingress],
    };
    let has_pods = kinds.contains(&Kind::Pod);
    kinds.extend((attach.node && has_pods).then_some(Kind::Node));
    kinds.extend((attach.namespace && role != KubernetesRole::Node).then_some(Kind::Namespace));
    kinds.extend((attach.deployment && has_pods).then_some(Kind::ReplicaSet));
    kinds.extend((attach.cronjob && has_pods).then_some(Kind::Job));
    let all = [None];
    let named: Vec<_> = namespaces.iter().map(|name| Some(name.clone())).collect();
    let mut sources = Vec::new();
    for kind in kinds {
        let selector = options.selectors.iter().find(|selector| Kind::of(selector.role) == kind);
        let (labels, fields) = selector.map(|selector| (selector.label.clone(), selector.field.clone())).unwrap_or_default();
        for namespace in if kind.has_namespaces() && !named.is_empty() { &named[..] } else { &all } {
            sources.push(Source { kind, namespace: namespace.clone(), labels: labels.clone(), fields: fields.clone() });
        }
    }
    sources
}

/// By namespace and name.
type Objects = BTreeMap<(String, String), Object>;

/// All objects that matter to a discovery.
#[derive(Default)]
struct Known {
    /// None before the first list of the source.
    sources: Vec<(Kind, Option<Objects>)>,
}

impl Known {
    fn apply(&mut self, change: Change, pool: &str) {
        match change {
            Change::All(number, objects) => {
                self.sources[number].1 = Some(objects.into_iter().map(|object| (object.key(), object)).collect());
            }
            Change::Set(number, object) => {
                if let Some(objects) = &mut self.sources[number].1 {
                    objects.insert(object.key(), *object);
                }
            }
            Change::Gone(number, key) => {
                if let Some(objects) = &mut self.sources[number].1 {
                    objects.remove(&key);
                }
            }
            Change::Failed(error) => failure("kubernetes", pool, &error.chain()),
        }
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        let sources = self.sources.iter().filter(move |(other, _)| *other == kind);
        sources.filter_map(|(_, objects)| objects.as_ref()).flat_map(BTreeMap::values)
    }

    fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Object> {
        let key = (namespace.to_owned(), name.to_owned());
        let mut sources = self.sources.iter().filter(|(other, _)| *other == kind);
        sources.find_map(|(_, objects)| objects.as_ref()?.get(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_asks_the_server_of_its_cluster() {
        let set = |name: &str| Some(if name.ends_with("HOST") { "fd00::1" } else { "443" }.to_owned());
        let (url, http) = in_cluster(set, Path::new("/account")).unwrap();
        assert_eq!(url, "https://[fd00::1]:443");
        assert_eq!(http.tls.ca, Some(Secret::File("/account/ca.crt".into())));
        let token = Auth::Authorization { scheme: "Bearer".to_owned(), credentials: Secret::File("/account/token".into()) };
        assert_eq!(http.auth, Some(token));
        assert!(in_cluster(|_| None, Path::new("/account")).unwrap_err().what.contains("KUBERNETES_SERVICE_HOST"));
    }
}
