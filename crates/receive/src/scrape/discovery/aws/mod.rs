//! Targets in AWS: `ec2.rs` (instances), `ecs.rs` (tasks).

mod ec2;
mod ecs;

use std::net::IpAddr;

use model::Result;

use crate::aws::{Aws, World};
use crate::scrape::client::Client;
use crate::scrape::config::{AwsDiscovery, AwsTargets, Group};

/// Of one discovery: instances, or tasks.
pub(super) const TARGETS_MAX: usize = 100_000;
const COUNTER: &str = "tyto_aws_requests_total";

/// Looks again and again with what it has found out about the account.
pub(super) struct Account {
    options: Box<AwsDiscovery>,
    aws: Option<Aws>,
    zones: ec2::Zones,
}

impl Account {
    pub(super) fn new(options: Box<AwsDiscovery>) -> Self {
        Self { options, aws: None, zones: ec2::Zones::default() }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self.options.found {
            AwsTargets::Ec2(_) => "ec2",
            AwsTargets::Ecs(_) => "ecs",
        }
    }

    pub(super) async fn look(&mut self) -> Result<Vec<Group>> {
        let aws = match self.aws.take() {
            Some(aws) => aws,
            None => {
                let http = Client::new(&self.options.http)?.into_http();
                Aws::connect(&self.options.aws, http, World::real(), COUNTER).await?
            }
        };
        let aws = self.aws.insert(aws);
        let targets = match &self.options.found {
            AwsTargets::Ec2(filters) => ec2::look(aws, filters, self.options.port, &mut self.zones).await?,
            AwsTargets::Ecs(clusters) => ecs::look(aws, clusters, self.options.port).await?,
        };
        Ok(vec![Group { targets, labels: Vec::new() }])
    }
}

/// Labels of one target while they are gathered; those without a value are none.
struct Gathered {
    prefix: &'static str,
    labels: Vec<(String, String)>,
}

impl Gathered {
    fn new(prefix: &'static str, address: &str, port: u16) -> Self {
        let host = if address.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) { format!("[{address}]") } else { address.to_owned() };
        Self { prefix, labels: vec![("__address__".to_owned(), format!("{host}:{port}"))] }
    }

    fn set(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.labels.push((format!("{}{name}", self.prefix), value.to_owned()));
        }
    }

    fn tag(&mut self, kind: &str, key: &str, value: &str) {
        self.set(&format!("{kind}{}", super::label_name(key)), value);
    }
}
