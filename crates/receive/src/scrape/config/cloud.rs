//! Discovery in AWS, as it is written.

use std::time::Duration;

use catalog::yaml::Node;

use super::discovery::Discovery;
use super::fields::{Fields, Reader};
use super::http::HttpOptions;
use crate::aws::{Keys, Options, Role};

/// Where instances or tasks are looked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AwsDiscovery {
    pub(crate) aws: Options,
    pub(crate) http: HttpOptions,
    pub(crate) port: u16,
    pub(crate) refresh: Duration,
    pub(crate) found: AwsTargets,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AwsTargets {
    /// With filters by name.
    Ec2(Vec<(String, Vec<String>)>),
    /// In clusters by name or ARN; none are all.
    Ecs(Vec<String>),
}

const KEYS: [&str; 15] = [
    "region",
    "endpoint",
    "access_key",
    "secret_key",
    "profile",
    "role_arn",
    "external_id",
    "refresh_interval",
    "port",
    "tls_config",
    "proxy_url",
    "no_proxy",
    "proxy_from_environment",
    "follow_redirects",
    "enable_http2",
];

/// Of Prometheus's HTTP options those that say who asks.
const UNSIGNED: [&str; 7] =
    ["basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file", "http_headers", "proxy_connect_header"];

impl Reader {
    pub(super) fn ec2(&mut self, node: &Node) -> Option<Discovery> {
        let fields = self.aws_fields(node, "an EC2 discovery", &["filters"])?;
        let found = AwsTargets::Ec2(self.filters(&fields));
        self.aws(&fields, found)
    }

    pub(super) fn ecs(&mut self, node: &Node) -> Option<Discovery> {
        let fields = self.aws_fields(node, "an ECS discovery", &["clusters", "request_concurrency"])?;
        // One call follows the other here.
        self.number(&fields, "request_concurrency");
        let found = AwsTargets::Ecs(self.texts(&fields, "clusters"));
        self.aws(&fields, found)
    }

    /// Either, by its `role`.
    pub(super) fn aws_by_role(&mut self, node: &Node) -> Option<Discovery> {
        let fields = self.aws_fields(node, "an AWS discovery", &["role", "filters", "clusters"])?;
        let role = self.text(&fields, "role").unwrap_or_default();
        let (filters, clusters) = (self.filters(&fields), self.texts(&fields, "clusters"));
        let found = match role.as_str() {
            "ec2" => AwsTargets::Ec2(filters),
            "ecs" => AwsTargets::Ecs(clusters),
            "lightsail" | "msk" | "elasticache" | "rds" => {
                self.problem(fields.place_of("role"), format!("cannot discover targets by AWS role {role}: Tyto does not have it yet"));
                return None;
            }
            other => {
                self.problem(fields.place_of("role"), format!("cannot discover targets by AWS role {other:?}: write ec2 or ecs"));
                return None;
            }
        };
        self.aws(&fields, found)
    }

    fn aws_fields<'n>(&mut self, node: &'n Node, what: &str, further: &[&'static str]) -> Option<Fields<'n>> {
        let known: Vec<&'static str> = KEYS.into_iter().chain(UNSIGNED).chain(further.iter().copied()).collect();
        let fields = self.fields(node, what, &known)?;
        for name in UNSIGNED.into_iter().filter(|name| fields.get(name).is_some()) {
            self.problem(fields.place_of(name), format!("cannot use {name} with AWS: who asks is said by AWS's own keys"));
        }
        Some(fields)
    }

    fn aws(&mut self, fields: &Fields<'_>, found: AwsTargets) -> Option<Discovery> {
        let mut text = |name| self.text(fields, name).filter(|text| !text.is_empty());
        let (id, secret, arn, external_id) = (text("access_key"), text("secret_key"), text("role_arn"), text("external_id"));
        let (region, endpoint, profile) = (text("region"), text("endpoint"), text("profile"));
        if id.is_some() != secret.is_some() {
            self.problem(fields.place, "cannot use access_key without secret_key, or secret_key without access_key");
        }
        if external_id.is_some() && arn.is_none() {
            self.problem(fields.place_of("external_id"), "cannot use external_id without role_arn");
        }
        let keys = id.zip(secret).map(|(id, secret)| Keys { id, secret, token: None });
        let aws = Options { region, endpoint, keys, profile, role: arn.map(|arn| Role { arn, external_id }), sts_region: None };
        let port = self.parsed(fields, "port", "a port", |text| text.parse::<u16>().ok()).filter(|port| *port > 0).unwrap_or(80);
        let (refresh, http) = (self.refresh(fields, 60), self.http(fields));
        Some(Discovery::Aws(Box::new(AwsDiscovery { aws, http, port, refresh, found })))
    }

    fn filters(&mut self, fields: &Fields<'_>) -> Vec<(String, Vec<String>)> {
        let mut filters = Vec::new();
        for node in self.items(fields, "filters") {
            let Some(fields) = self.fields(node, "a filter", &["name", "values"]) else { continue };
            let (name, values) = (self.text(&fields, "name").unwrap_or_default(), self.texts(&fields, "values"));
            if name.is_empty() || values.is_empty() {
                self.problem(fields.place, "cannot filter without a name and at least one of its values");
            }
            filters.push((name, values));
        }
        filters
    }
}
