//! Instances of EC2. Source: <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#ec2_sd_config>.

use std::collections::HashMap;

use model::{Code, Error, Result};

use super::{Gathered, TARGETS_MAX};
use crate::aws::{Aws, Element, Service};

/// The ids of availability zones by their names; asked for once, because zones do not change.
#[derive(Default)]
pub(super) struct Zones(Option<HashMap<String, String>>);

impl Zones {
    /// Without them targets lack one label, so a failure is no reason to find none.
    async fn learn(&mut self, aws: &Aws) {
        if self.0.is_some() {
            return;
        }
        match aws.query(&Service::EC2, "DescribeAvailabilityZones", &[]).await {
            Ok(answer) => {
                let zone = |zone: &Element| (zone.text("zoneName").to_owned(), zone.text("zoneId").to_owned());
                self.0 = Some(answer.list("availabilityZoneInfo").iter().map(zone).collect());
            }
            Err(error) => tracing::warn!("targets have no __meta_ec2_availability_zone_id: {}", error.chain()),
        }
    }

    fn id(&self, name: &str) -> &str {
        self.0.as_ref().and_then(|zones| zones.get(name)).map_or("", String::as_str)
    }
}

pub(super) async fn look(aws: &Aws, filters: &[(String, Vec<String>)], port: u16, zones: &mut Zones) -> Result<Vec<Vec<(String, String)>>> {
    zones.learn(aws).await;
    let mut parameters = vec![("MaxResults".to_owned(), "1000".to_owned())];
    for (number, (name, values)) in (1..).zip(filters) {
        parameters.push((format!("Filter.{number}.Name"), name.clone()));
        parameters.extend((1..).zip(values).map(|(value, text)| (format!("Filter.{number}.Value.{value}"), text.clone())));
    }
    let mut targets = Vec::new();
    pages(aws, "DescribeInstances", parameters, |answer| {
        for reservation in answer.list("reservationSet") {
            let owner = reservation.text("ownerId");
            targets.extend(reservation.list("instancesSet").iter().filter_map(|one| target(one, owner, &aws.region, port, zones)));
        }
        targets.len()
    })
    .await?;
    Ok(targets)
}

/// Every page of a list; `take` gives how much there is already.
pub(super) async fn pages(
    aws: &Aws,
    operation: &str,
    mut parameters: Vec<(String, String)>,
    mut take: impl FnMut(&Element) -> usize,
) -> Result<()> {
    loop {
        let answer = aws.query(&Service::EC2, operation, &parameters).await?;
        if take(&answer) > TARGETS_MAX {
            return Err(Error::new(Code::TooLarge, format!("cannot take all of {operation}: there are over targets_max, {TARGETS_MAX}")));
        }
        let token = answer.text("nextToken");
        if token.is_empty() {
            return Ok(());
        }
        parameters.retain(|(name, _)| name != "NextToken");
        parameters.push(("NextToken".to_owned(), token.to_owned()));
    }
}

/// None for an instance without an address.
fn target(instance: &Element, owner: &str, region: &str, port: u16, zones: &Zones) -> Option<Vec<(String, String)>> {
    let six = Ipv6::of(instance);
    let default_six = six.primary.iter().chain(&six.all).find(|address| !address.is_empty());
    let private = instance.text("privateIpAddress");
    let address = if private.is_empty() { default_six?.as_str() } else { private };
    let mut labels = Gathered::new("__meta_ec2_", address, port);
    labels.set("instance_id", instance.text("instanceId"));
    labels.set("region", region);
    labels.set("owner_id", owner);
    labels.set("private_ip", private);
    labels.set("default_ipv6_address", default_six.map_or("", String::as_str));
    labels.set("primary_ipv6_addresses", &listed(&six.primary));
    labels.set("ipv6_addresses", &listed(&six.all));
    if !instance.text("ipAddress").is_empty() {
        labels.set("public_ip", instance.text("ipAddress"));
        labels.set("public_dns_name", instance.text("dnsName"));
    }
    let zone = instance.text("placement/availabilityZone");
    labels.set("availability_zone_id", zones.id(zone));
    for (name, path) in [
        ("ami", "imageId"),
        ("architecture", "architecture"),
        ("availability_zone", "placement/availabilityZone"),
        ("instance_lifecycle", "instanceLifecycle"),
        ("instance_state", "instanceState/name"),
        ("instance_type", "instanceType"),
        ("platform", "platform"),
        ("private_dns_name", "privateDnsName"),
    ] {
        labels.set(name, instance.text(path));
    }
    if !instance.text("vpcId").is_empty() {
        labels.set("vpc_id", instance.text("vpcId"));
        labels.set("primary_subnet_id", instance.text("subnetId"));
        let mut subnets: Vec<String> = Vec::new();
        for interface in instance.list("networkInterfaceSet") {
            let subnet = interface.text("subnetId").to_owned();
            if !subnet.is_empty() && !subnets.contains(&subnet) {
                subnets.push(subnet);
            }
        }
        labels.set("subnet_id", &listed(&subnets));
    }
    instance.list("tagSet").iter().for_each(|tag| labels.tag("tag_", tag.text("key"), tag.text("value")));
    Some(labels.labels)
}

/// With a comma around each, as Prometheus writes lists, so that an expression finds a member.
fn listed(values: &[String]) -> String {
    if values.is_empty() { String::new() } else { format!(",{},", values.join(",")) }
}

/// Addresses of an instance in a VPC.
#[derive(Default)]
struct Ipv6 {
    /// Each at the place of its network interface; empty where one has none.
    primary: Vec<String>,
    all: Vec<String>,
}

/// Network interfaces of one instance; AWS has at most 15 of them.
const INTERFACES_MAX: usize = 256;

impl Ipv6 {
    fn of(instance: &Element) -> Self {
        let mut found = Self::default();
        let interfaces = instance.list("networkInterfaceSet").iter().filter(|interface| !interface.text("subnetId").is_empty());
        for interface in interfaces.filter(|_| !instance.text("vpcId").is_empty()) {
            let place = interface.text("attachment/deviceIndex").parse::<usize>().unwrap_or_default().min(INTERFACES_MAX);
            for address in interface.list("ipv6AddressesSet") {
                let text = address.text("ipv6Address").to_owned();
                found.all.push(text.clone());
                if address.text("isPrimaryIpv6") == "true" {
                    found.primary.resize(found.primary.len().max(place + 1), String::new());
                    found.primary[place] = text;
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(xml: &str) -> Option<HashMap<String, String>> {
        let zones = Zones(Some(HashMap::from([("eu-west-1a".to_owned(), "euw1-az3".to_owned())])));
        let labels = target(&crate::aws::parse_xml(xml.as_bytes()).unwrap(), "4711", "eu-west-1", 9100, &zones);
        Some(labels?.into_iter().collect())
    }

    #[test]
    fn an_instance_has_every_label_of_the_documentation() {
        let found = labels(
            "<item><instanceId>i-1</instanceId><imageId>ami-1</imageId><instanceState><name>running</name></instanceState>
             <privateDnsName>ip-10.internal</privateDnsName><dnsName>ec2.example</dnsName><instanceType>t3.large</instanceType>
             <placement><availabilityZone>eu-west-1a</availabilityZone></placement><platform>windows</platform><subnetId>subnet-1</subnetId>
             <vpcId>vpc-1</vpcId><privateIpAddress>10.0.0.5</privateIpAddress><ipAddress>52.1.1.1</ipAddress>
             <architecture>x86_64</architecture><instanceLifecycle>spot</instanceLifecycle>
             <tagSet><item><key>app.kubernetes.io/name</key><value>shop</value></item><item><key>empty</key><value/></item></tagSet>
             <networkInterfaceSet>
              <item><subnetId>subnet-1</subnetId><attachment><deviceIndex>0</deviceIndex></attachment></item>
              <item><subnetId>subnet-2</subnetId><attachment><deviceIndex>1</deviceIndex></attachment><ipv6AddressesSet>
               <item><ipv6Address>fd00::2</ipv6Address></item>
               <item><ipv6Address>fd00::1</ipv6Address><isPrimaryIpv6>true</isPrimaryIpv6></item></ipv6AddressesSet></item>
              <item><subnetId>subnet-1</subnetId></item>
             </networkInterfaceSet></item>",
        );
        let expected = [
            ("__address__", "10.0.0.5:9100"),
            ("__meta_ec2_ami", "ami-1"),
            ("__meta_ec2_architecture", "x86_64"),
            ("__meta_ec2_availability_zone", "eu-west-1a"),
            ("__meta_ec2_availability_zone_id", "euw1-az3"),
            ("__meta_ec2_default_ipv6_address", "fd00::1"),
            ("__meta_ec2_instance_id", "i-1"),
            ("__meta_ec2_instance_lifecycle", "spot"),
            ("__meta_ec2_instance_state", "running"),
            ("__meta_ec2_instance_type", "t3.large"),
            ("__meta_ec2_ipv6_addresses", ",fd00::2,fd00::1,"),
            ("__meta_ec2_owner_id", "4711"),
            ("__meta_ec2_platform", "windows"),
            ("__meta_ec2_primary_ipv6_addresses", ",,fd00::1,"),
            ("__meta_ec2_primary_subnet_id", "subnet-1"),
            ("__meta_ec2_private_dns_name", "ip-10.internal"),
            ("__meta_ec2_private_ip", "10.0.0.5"),
            ("__meta_ec2_public_dns_name", "ec2.example"),
            ("__meta_ec2_public_ip", "52.1.1.1"),
            ("__meta_ec2_region", "eu-west-1"),
            ("__meta_ec2_subnet_id", ",subnet-1,subnet-2,"),
            ("__meta_ec2_tag_app_kubernetes_io_name", "shop"),
            ("__meta_ec2_vpc_id", "vpc-1"),
        ];
        assert_eq!(found, Some(expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()));
    }

    #[test]
    fn an_instance_needs_an_address() {
        let six = "<item><instanceId>i</instanceId><vpcId>v</vpcId><networkInterfaceSet><item><subnetId>s</subnetId><ipv6AddressesSet>
                   <item><ipv6Address>fd00::7</ipv6Address></item></ipv6AddressesSet></item></networkInterfaceSet></item>";
        assert_eq!(labels(six).unwrap()["__address__"], "[fd00::7]:9100");
        assert_eq!(labels("<item><instanceId>i-gone</instanceId></item>"), None);
    }
}
