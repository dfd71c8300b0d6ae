//! Where targets come from, as it is written.

use std::path::PathBuf;
use std::time::Duration;

use catalog::yaml::{Node, Value};

use super::cloud::AwsDiscovery;
use super::fields::{Fields, Reader};
use super::http::{self, HttpOptions};
use super::kubernetes::KubernetesDiscovery;

/// Targets with the labels that they share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// Labels of each target; `__address__` among them.
    pub(crate) targets: Vec<Vec<(String, String)>>,
    pub(crate) labels: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Discovery {
    Static(Vec<Group>),
    File { patterns: Vec<PathBuf>, refresh: Duration },
    Http { url: String, refresh: Duration, http: Box<HttpOptions> },
    Dns { names: Vec<String>, record: RecordType, port: u16, refresh: Duration },
    Kubernetes(Box<KubernetesDiscovery>),
    Aws(Box<AwsDiscovery>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordType {
    A,
    Aaaa,
    Srv,
    Mx,
    Ns,
}

/// Prometheus's discoveries that are not built.
pub(super) const NOT_BUILT: [&str; 29] = [
    "azure_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "elasticache_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "ionos_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "msk_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "oci_sd_configs",
    "openstack_sd_configs",
    "outscale_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "rds_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
];

pub(super) const BUILT: [&str; 8] = [
    "static_configs",
    "file_sd_configs",
    "http_sd_configs",
    "dns_sd_configs",
    "kubernetes_sd_configs",
    "ec2_sd_configs",
    "ecs_sd_configs",
    "aws_sd_configs",
];

impl Reader {
    pub(super) fn discoveries(&mut self, fields: &Fields<'_>) -> Vec<Discovery> {
        for (place, name) in fields.keys().filter(|(_, name)| NOT_BUILT.contains(name)) {
            self.problem(
                place,
                format!(
                    "cannot discover targets by {name}: Tyto does not have it yet; name them in a file (file_sd_configs), serve them \
                     (http_sd_configs), or let a Prometheus scrape them and send them by remote_write"
                ),
            );
        }
        let mut found = Vec::new();
        let groups: Vec<Group> = self.items(fields, "static_configs").iter().filter_map(|node| self.group(node)).collect();
        if !groups.is_empty() {
            found.push(Discovery::Static(groups));
        }
        found.extend(self.items(fields, "file_sd_configs").iter().filter_map(|node| self.file_discovery(node)));
        found.extend(self.items(fields, "http_sd_configs").iter().filter_map(|node| self.http_discovery(node)));
        found.extend(self.items(fields, "dns_sd_configs").iter().filter_map(|node| self.dns_discovery(node)));
        found.extend(self.items(fields, "kubernetes_sd_configs").iter().filter_map(|node| self.kubernetes(node)));
        found.extend(self.items(fields, "ec2_sd_configs").iter().filter_map(|node| self.ec2(node)));
        found.extend(self.items(fields, "ecs_sd_configs").iter().filter_map(|node| self.ecs(node)));
        found.extend(self.items(fields, "aws_sd_configs").iter().filter_map(|node| self.aws_by_role(node)));
        found
    }

    pub(super) fn group(&mut self, node: &Node) -> Option<Group> {
        if matches!(node.value, Value::Null) {
            self.problem(node.place, "cannot use an empty group of targets: name targets, or leave it out");
            return None;
        }
        let fields = self.fields(node, "a group of targets", &["targets", "labels"])?;
        let address = |target: String| vec![("__address__".to_owned(), target)];
        Some(Group { targets: self.texts(&fields, "targets").into_iter().map(address).collect(), labels: self.pairs(&fields, "labels") })
    }

    pub(super) fn refresh(&mut self, fields: &Fields<'_>, otherwise: u64) -> Duration {
        self.duration(fields, "refresh_interval").unwrap_or(Duration::from_secs(otherwise))
    }

    fn file_discovery(&mut self, node: &Node) -> Option<Discovery> {
        let fields = self.fields(node, "a file discovery", &["files", "refresh_interval"])?;
        let files = self.texts(&fields, "files");
        if files.is_empty() {
            self.problem(fields.place, "cannot discover targets by file: name at least one in files");
        }
        for file in files.iter().filter(|file| !is_pattern(file)) {
            let why = "write a path that ends in .json, .yml or .yaml, with at most one * in its last part";
            self.problem(fields.place_of("files"), format!("cannot discover targets by file {file:?}: {why}"));
        }
        let patterns = files.iter().map(|file| self.folder.join(file)).collect();
        Some(Discovery::File { patterns, refresh: self.refresh(&fields, 300) })
    }

    fn http_discovery(&mut self, node: &Node) -> Option<Discovery> {
        let known: Vec<&'static str> = http::KEYS.into_iter().chain(["url"]).collect();
        let fields = self.fields(node, "an HTTP discovery", &known)?;
        let url = self.parsed(&fields, "url", "a URL like http://host/targets", |text| {
            url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).map(|_| text.to_owned())
        });
        if url.is_none() && fields.get("url").is_none() {
            self.problem(fields.place, "cannot discover targets by HTTP without a url");
        }
        let (refresh, http) = (self.refresh(&fields, 60), Box::new(self.http(&fields)));
        Some(Discovery::Http { url: url?, refresh, http })
    }

    fn dns_discovery(&mut self, node: &Node) -> Option<Discovery> {
        let fields = self.fields(node, "a DNS discovery", &["names", "refresh_interval", "type", "port"])?;
        let names = self.texts(&fields, "names");
        if names.is_empty() {
            self.problem(fields.place, "cannot discover targets by DNS: write at least one name in names");
        }
        let record = self.parsed(&fields, "type", "SRV, A, AAAA, MX or NS", |text| match text.to_ascii_uppercase().as_str() {
            "A" => Some(RecordType::A),
            "AAAA" => Some(RecordType::Aaaa),
            "SRV" => Some(RecordType::Srv),
            "MX" => Some(RecordType::Mx),
            "NS" => Some(RecordType::Ns),
            _ => None,
        });
        let record = record.unwrap_or(RecordType::Srv);
        let port = self.parsed(&fields, "port", "a port", |text| text.parse::<u16>().ok());
        if record != RecordType::Srv && port.unwrap_or(0) == 0 {
            self.problem(fields.place, "cannot discover targets by DNS without a port: only SRV records bring one");
        }
        Some(Discovery::Dns { names, record, port: port.unwrap_or(0), refresh: self.refresh(&fields, 30) })
    }
}

/// As Prometheus allows them: one `*`, in the last part of the path.
fn is_pattern(path: &str) -> bool {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    if !["json", "yml", "yaml", "JSON", "YML", "YAML"].contains(&extension) {
        return false;
    }
    path.split_once('*').is_none_or(|(_, after)| !after.contains(['/', '*']))
}
