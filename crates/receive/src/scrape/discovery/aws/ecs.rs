//! Tasks of ECS. Source: <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#aws_sd_config>.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{Code, Error, Result};
use serde::Deserialize;
use serde_json::json;

use super::ec2::pages;
use super::{Gathered, TARGETS_MAX};
use crate::aws::{Aws, Element, Service};

/// What one call may describe, as AWS has it.
const CLUSTERS_AT_ONCE: usize = 100;
const SERVICES_AT_ONCE: usize = 10;
const TASKS_AT_ONCE: usize = 100;
const INTERFACES_AT_ONCE: usize = 500;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Cluster {
    cluster_arn: String,
    cluster_name: String,
    tags: Vec<Tag>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Tag {
    key: String,
    value: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Task {
    task_arn: String,
    task_definition_arn: String,
    container_instance_arn: String,
    group: String,
    launch_type: String,
    desired_status: String,
    last_status: String,
    health_status: String,
    platform_family: String,
    platform_version: String,
    availability_zone: String,
    attachments: Vec<Attachment>,
    tags: Vec<Tag>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Attachment {
    r#type: String,
    details: Vec<Detail>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    name: String,
    value: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ServiceOfTasks {
    service_arn: String,
    service_name: String,
    status: String,
    tags: Vec<Tag>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerInstance {
    container_instance_arn: String,
    ec2_instance_id: String,
}

/// An instance of EC2 that tasks run on.
#[derive(Clone, Debug, Default)]
struct Instance {
    id: String,
    kind: String,
    private_ip: String,
    public_ip: String,
    subnet: String,
    tags: Vec<(String, String)>,
}

/// What the labels of a cluster's tasks are made of beside the tasks.
#[derive(Debug, Default)]
struct Surroundings {
    region: String,
    cluster: Cluster,
    /// By name.
    services: HashMap<String, ServiceOfTasks>,
    /// By the ARN of the container instance.
    instances: HashMap<String, Instance>,
    /// By network interface.
    public_ips: HashMap<String, String>,
}

pub(super) async fn look(aws: &Aws, clusters: &[String], port: u16) -> Result<Vec<Vec<(String, String)>>> {
    let clusters = match clusters {
        [] => listed(aws, "ListClusters", "clusterArns", json!({ "maxResults": 100 })).await?,
        written => written.to_vec(),
    };
    let mut targets = Vec::new();
    for cluster in described::<Cluster>(aws, "clusters", CLUSTERS_AT_ONCE, &clusters, json!({ "include": ["TAGS"] })).await? {
        let of_cluster = json!({ "cluster": cluster.cluster_arn, "maxResults": 100 });
        let arns = listed(aws, "ListTasks", "taskArns", of_cluster).await?;
        if targets.len() + arns.len() > TARGETS_MAX {
            return Err(Error::new(Code::TooLarge, format!("cannot take all tasks: there are over targets_max, {TARGETS_MAX}")));
        }
        let of_cluster = json!({ "cluster": cluster.cluster_arn, "include": ["TAGS"] });
        let tasks: Vec<Task> = described(aws, "tasks", TASKS_AT_ONCE, &arns, of_cluster).await?;
        let around = surroundings(aws, cluster, &tasks).await?;
        targets.extend(tasks.iter().filter_map(|task| target(task, &around, port)));
    }
    Ok(targets)
}

async fn surroundings(aws: &Aws, cluster: Cluster, tasks: &[Task]) -> Result<Surroundings> {
    let names: BTreeSet<String> = tasks.iter().filter_map(|task| task.service()).map(str::to_owned).collect();
    let of_cluster = json!({ "cluster": cluster.cluster_arn, "include": ["TAGS"] });
    let names: Vec<String> = names.into_iter().collect();
    let services: Vec<ServiceOfTasks> = described(aws, "services", SERVICES_AT_ONCE, &names, of_cluster).await?;
    let arns: BTreeSet<String> = tasks.iter().map(|task| task.container_instance_arn.clone()).filter(|arn| !arn.is_empty()).collect();
    let (arns, of_cluster) = (arns.into_iter().collect::<Vec<_>>(), json!({ "cluster": cluster.cluster_arn }));
    let containers: Vec<ContainerInstance> = described(aws, "containerInstances", TASKS_AT_ONCE, &arns, of_cluster).await?;
    let ids: BTreeSet<String> = containers.iter().map(|one| one.ec2_instance_id.clone()).filter(|id| !id.is_empty()).collect();
    // The configured address is that of ECS.
    let ec2 = aws.at_default_address();
    let known = instances(&ec2, &ids.into_iter().collect::<Vec<_>>()).await?;
    let instance = |one: &ContainerInstance| {
        let unknown = || Instance { id: one.ec2_instance_id.clone(), ..Instance::default() };
        (one.container_instance_arn.clone(), known.get(&one.ec2_instance_id).cloned().unwrap_or_else(unknown))
    };
    let interfaces: Vec<String> = tasks.iter().filter_map(|task| task.interface("networkInterfaceId")).map(str::to_owned).collect();
    let public_ips = match public_ips(&ec2, &interfaces).await {
        // Only public addresses need this permission.
        Err(error) if error.code == Code::Forbidden => {
            tracing::warn!("tasks have no __meta_ecs_public_ip: {}", error.chain());
            HashMap::new()
        }
        found => found?,
    };
    Ok(Surroundings {
        region: aws.region.clone(),
        services: services.into_iter().map(|service| (service.service_name.clone(), service)).collect(),
        instances: containers.iter().map(instance).collect(),
        public_ips,
        cluster,
    })
}

/// Every page of a list of names.
async fn listed(aws: &Aws, operation: &str, field: &str, mut asked: serde_json::Value) -> Result<Vec<String>> {
    let mut found = Vec::new();
    loop {
        let answer: BTreeMap<String, serde_json::Value> = aws.json(&Service::ECS, operation, &asked).await?;
        let names = answer.get(field).and_then(serde_json::Value::as_array).map(Vec::as_slice).unwrap_or_default();
        found.extend(names.iter().filter_map(|name| name.as_str()).map(str::to_owned));
        if found.len() > TARGETS_MAX {
            return Err(Error::new(Code::TooLarge, format!("cannot take all of {operation}: there are over targets_max, {TARGETS_MAX}")));
        }
        match answer.get("nextToken").and_then(serde_json::Value::as_str).filter(|token| !token.is_empty()) {
            Some(token) => asked["nextToken"] = token.into(),
            None => return Ok(found),
        }
    }
}

/// What AWS says of things by their names, as many at once as it allows. `field` is both the question's and the answer's.
async fn described<T: serde::de::DeserializeOwned>(
    aws: &Aws,
    field: &str,
    at_once: usize,
    names: &[String],
    mut asked: serde_json::Value,
) -> Result<Vec<T>> {
    let operation = format!("Describe{}{}", field[..1].to_uppercase(), &field[1..]);
    let mut found = Vec::new();
    for names in names.chunks(at_once) {
        asked[field] = names.into();
        let mut answer: BTreeMap<String, serde_json::Value> = aws.json(&Service::ECS, &operation, &asked).await?;
        let things = answer.remove(field).unwrap_or_else(|| json!([]));
        let things: Vec<T> = serde_json::from_value(things)
            .map_err(|error| Error::unavailable(format!("cannot read what AWS answers to {operation}")).because(error))?;
        found.extend(things);
    }
    Ok(found)
}

async fn instances(ec2: &Aws, ids: &[String]) -> Result<HashMap<String, Instance>> {
    let mut found = HashMap::new();
    for ids in ids.chunks(TASKS_AT_ONCE) {
        let asked = (1..).zip(ids).map(|(number, id)| (format!("InstanceId.{number}"), id.clone())).collect();
        pages(ec2, "DescribeInstances", asked, |answer| {
            let all = answer.list("reservationSet").iter().flat_map(|reservation| reservation.list("instancesSet"));
            found.extend(all.map(|one| (one.text("instanceId").to_owned(), instance(one))));
            found.len()
        })
        .await?;
    }
    Ok(found)
}

fn instance(one: &Element) -> Instance {
    let text = |name: &str| one.text(name).to_owned();
    Instance {
        id: text("instanceId"),
        kind: text("instanceType"),
        private_ip: text("privateIpAddress"),
        public_ip: text("ipAddress"),
        subnet: text("subnetId"),
        tags: one.list("tagSet").iter().map(|tag| (tag.text("key").to_owned(), tag.text("value").to_owned())).collect(),
    }
}

async fn public_ips(ec2: &Aws, interfaces: &[String]) -> Result<HashMap<String, String>> {
    let mut found = HashMap::new();
    for interfaces in interfaces.chunks(INTERFACES_AT_ONCE) {
        let asked = (1..).zip(interfaces).map(|(number, id)| (format!("NetworkInterfaceId.{number}"), id.clone())).collect();
        pages(ec2, "DescribeNetworkInterfaces", asked, |answer| {
            let one = |one: &Element| (one.text("networkInterfaceId").to_owned(), one.text("association/publicIp").to_owned());
            found.extend(answer.list("networkInterfaceSet").iter().map(one));
            found.len()
        })
        .await?;
    }
    Ok(found)
}

impl Task {
    fn service(&self) -> Option<&str> {
        self.group.strip_prefix("service:")
    }

    fn own_interface(&self) -> Option<&Attachment> {
        self.attachments.iter().find(|attachment| attachment.r#type == "ElasticNetworkInterface")
    }

    /// A detail of the network interface of its own, if the task has one.
    fn interface(&self, name: &str) -> Option<&str> {
        let details = &self.own_interface()?.details;
        details.iter().find(|detail| detail.name == name).map(|detail| detail.value.as_str())
    }
}

/// None for a task without an address.
fn target(task: &Task, around: &Surroundings, port: u16) -> Option<Vec<(String, String)>> {
    let instance = around.instances.get(&task.container_instance_arn).cloned().unwrap_or_default();
    let (mode, ip, public_ip, subnet) = if task.own_interface().is_some() {
        let of_task = |name| task.interface(name).unwrap_or_default();
        let public_ip = around.public_ips.get(of_task("networkInterfaceId")).map_or("", String::as_str);
        ("awsvpc", of_task("privateIPv4Address"), public_ip, of_task("subnetId"))
    } else {
        ("bridge", instance.private_ip.as_str(), instance.public_ip.as_str(), instance.subnet.as_str())
    };
    if ip.is_empty() {
        return None;
    }
    let mut labels = Gathered::new("__meta_ecs_", ip, port);
    let cluster = &around.cluster;
    for (name, value) in [
        ("cluster", cluster.cluster_name.as_str()),
        ("cluster_arn", &cluster.cluster_arn),
        ("task_group", &task.group),
        ("task_arn", &task.task_arn),
        ("task_definition", &task.task_definition_arn),
        ("region", &around.region),
        ("availability_zone", &task.availability_zone),
        ("subnet_id", subnet),
        ("ip_address", ip),
        ("public_ip", public_ip),
        ("network_mode", mode),
        ("launch_type", &task.launch_type),
        ("desired_status", &task.desired_status),
        ("last_status", &task.last_status),
        ("health_status", &task.health_status),
        ("platform_family", &task.platform_family),
        ("platform_version", &task.platform_version),
        ("container_instance_arn", &task.container_instance_arn),
        ("ec2_instance_id", &instance.id),
        ("ec2_instance_type", &instance.kind),
        ("ec2_instance_private_ip", &instance.private_ip),
        ("ec2_instance_public_ip", &instance.public_ip),
    ] {
        labels.set(name, value);
    }
    if let Some(service) = task.service().and_then(|name| around.services.get(name)) {
        labels.set("service", &service.service_name);
        labels.set("service_arn", &service.service_arn);
        labels.set("service_status", &service.status);
        service.tags.iter().for_each(|tag| labels.tag("tag_service_", &tag.key, &tag.value));
    }
    cluster.tags.iter().for_each(|tag| labels.tag("tag_cluster_", &tag.key, &tag.value));
    task.tags.iter().for_each(|tag| labels.tag("tag_task_", &tag.key, &tag.value));
    instance.tags.iter().for_each(|(key, value)| labels.tag("tag_ec2_", key, value));
    Some(labels.labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around() -> Surroundings {
        let tags = |value: &str| vec![Tag { key: "cost-center".to_owned(), value: value.to_owned() }];
        let instance = Instance {
            id: "i-1".to_owned(),
            kind: "m5.large".to_owned(),
            private_ip: "10.0.0.1".to_owned(),
            public_ip: "52.0.0.1".to_owned(),
            subnet: "subnet-host".to_owned(),
            tags: vec![("cost-center".to_owned(), "d".to_owned())],
        };
        let service = ServiceOfTasks {
            service_arn: "arn:service".to_owned(),
            service_name: "web".to_owned(),
            status: "ACTIVE".to_owned(),
            tags: tags("b"),
        };
        Surroundings {
            region: "eu-west-1".to_owned(),
            cluster: Cluster { cluster_arn: "arn:cluster".to_owned(), cluster_name: "shop".to_owned(), tags: tags("a") },
            services: HashMap::from([("web".to_owned(), service)]),
            instances: HashMap::from([("arn:container".to_owned(), instance)]),
            public_ips: HashMap::from([("eni-1".to_owned(), "52.0.0.9".to_owned())]),
        }
    }

    const TASK: &str = r#"{"taskArn": "arn:task", "taskDefinitionArn": "arn:definition", "group": "service:web", "launchType": "EC2",
        "desiredStatus": "RUNNING", "lastStatus": "PENDING", "healthStatus": "HEALTHY", "platformFamily": "Linux",
        "platformVersion": "1.4.0", "availabilityZone": "eu-west-1a", "containerInstanceArn": "arn:container",
        "tags": [{"key": "cost-center", "value": "c"}], "attachments": [{"type": "other"}, {"type": "ElasticNetworkInterface", "details": [
            {"name": "subnetId", "value": "subnet-task"}, {"name": "networkInterfaceId", "value": "eni-1"},
            {"name": "macAddress"}, {"name": "privateIPv4Address", "value": "10.0.0.2"}]}]}"#;

    fn labels(task: &Task) -> Option<BTreeMap<String, String>> {
        Some(target(task, &around(), 8080)?.into_iter().collect())
    }

    #[test]
    fn a_task_has_every_label_of_the_documentation() {
        let expected = [
            ("__address__", "10.0.0.2:8080"),
            ("__meta_ecs_availability_zone", "eu-west-1a"),
            ("__meta_ecs_cluster", "shop"),
            ("__meta_ecs_cluster_arn", "arn:cluster"),
            ("__meta_ecs_container_instance_arn", "arn:container"),
            ("__meta_ecs_desired_status", "RUNNING"),
            ("__meta_ecs_ec2_instance_id", "i-1"),
            ("__meta_ecs_ec2_instance_private_ip", "10.0.0.1"),
            ("__meta_ecs_ec2_instance_public_ip", "52.0.0.1"),
            ("__meta_ecs_ec2_instance_type", "m5.large"),
            ("__meta_ecs_health_status", "HEALTHY"),
            ("__meta_ecs_ip_address", "10.0.0.2"),
            ("__meta_ecs_last_status", "PENDING"),
            ("__meta_ecs_launch_type", "EC2"),
            ("__meta_ecs_network_mode", "awsvpc"),
            ("__meta_ecs_platform_family", "Linux"),
            ("__meta_ecs_platform_version", "1.4.0"),
            ("__meta_ecs_public_ip", "52.0.0.9"),
            ("__meta_ecs_region", "eu-west-1"),
            ("__meta_ecs_service", "web"),
            ("__meta_ecs_service_arn", "arn:service"),
            ("__meta_ecs_service_status", "ACTIVE"),
            ("__meta_ecs_subnet_id", "subnet-task"),
            ("__meta_ecs_tag_cluster_cost_center", "a"),
            ("__meta_ecs_tag_ec2_cost_center", "d"),
            ("__meta_ecs_tag_service_cost_center", "b"),
            ("__meta_ecs_tag_task_cost_center", "c"),
            ("__meta_ecs_task_arn", "arn:task"),
            ("__meta_ecs_task_definition", "arn:definition"),
            ("__meta_ecs_task_group", "service:web"),
        ];
        let expected = expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(labels(&serde_json::from_str(TASK).unwrap()), Some(expected));
    }

    #[test]
    fn a_task_without_an_interface_of_its_own_has_its_hosts_address() {
        let task = Task { attachments: Vec::new(), group: "family:x".to_owned(), ..serde_json::from_str(TASK).unwrap() };
        let found = labels(&task).unwrap();
        let shown =
            ["__address__", "__meta_ecs_network_mode", "__meta_ecs_public_ip", "__meta_ecs_subnet_id"].map(|name| found[name].as_str());
        assert_eq!(shown, ["10.0.0.1:8080", "bridge", "52.0.0.1", "subnet-host"]);
        assert!(!found.contains_key("__meta_ecs_service"));
        assert_eq!(labels(&Task { container_instance_arn: "arn:gone".to_owned(), ..task }), None);
    }
}
