//! What discovery keeps of Kubernetes's objects. Everything may be missing, and servers say null for nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::scrape::config::KubernetesRole;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Node,
    Namespace,
    Service,
    Pod,
    Endpoints,
    EndpointSlice,
    Ingress,
    ReplicaSet,
    Job,
}

impl Kind {
    pub(super) fn of(role: KubernetesRole) -> Self {
        match role {
            KubernetesRole::Node => Self::Node,
            KubernetesRole::Service => Self::Service,
            KubernetesRole::Pod => Self::Pod,
            KubernetesRole::Endpoints => Self::Endpoints,
            KubernetesRole::EndpointSlice => Self::EndpointSlice,
            KubernetesRole::Ingress => Self::Ingress,
        }
    }

    pub(super) fn has_namespaces(self) -> bool {
        !matches!(self, Self::Node | Self::Namespace)
    }

    /// Where the server has the objects of all namespaces, or of one.
    pub(super) fn path(self, namespace: Option<&str>) -> String {
        let (group, name) = match self {
            Self::Node => ("api/v1", "nodes"),
            Self::Namespace => ("api/v1", "namespaces"),
            Self::Service => ("api/v1", "services"),
            Self::Pod => ("api/v1", "pods"),
            Self::Endpoints => ("api/v1", "endpoints"),
            Self::EndpointSlice => ("apis/discovery.k8s.io/v1", "endpointslices"),
            Self::Ingress => ("apis/networking.k8s.io/v1", "ingresses"),
            Self::ReplicaSet => ("apis/apps/v1", "replicasets"),
            Self::Job => ("apis/batch/v1", "jobs"),
        };
        match namespace {
            Some(namespace) => format!("/{group}/namespaces/{namespace}/{name}"),
            None => format!("/{group}/{name}"),
        }
    }

    pub(super) fn read(self, json: &str) -> serde_json::Result<Object> {
        Ok(match self {
            Self::Node => Object::Node(serde_json::from_str(json)?),
            Self::Service => Object::Service(serde_json::from_str(json)?),
            Self::Pod => Object::Pod(serde_json::from_str(json)?),
            Self::Endpoints => Object::Endpoints(serde_json::from_str(json)?),
            Self::EndpointSlice => Object::EndpointSlice(serde_json::from_str(json)?),
            Self::Ingress => Object::Ingress(serde_json::from_str(json)?),
            Self::Namespace | Self::ReplicaSet | Self::Job => Object::Plain(serde_json::from_str(json)?),
        })
    }
}

#[derive(Debug)]
pub(super) enum Object {
    Node(Node),
    Service(Service),
    Pod(Pod),
    Endpoints(Endpoints),
    EndpointSlice(EndpointSlice),
    Ingress(Ingress),
    /// Of which only the metadata matter.
    Plain(Plain),
}

impl Object {
    pub(super) fn meta(&self) -> &Meta {
        match self {
            Self::Node(object) => &object.metadata,
            Self::Service(object) => &object.metadata,
            Self::Pod(object) => &object.metadata,
            Self::Endpoints(object) => &object.metadata,
            Self::EndpointSlice(object) => &object.metadata,
            Self::Ingress(object) => &object.metadata,
            Self::Plain(object) => &object.metadata,
        }
    }

    /// Namespace and name.
    pub(super) fn key(&self) -> (String, String) {
        (self.meta().namespace.clone(), self.meta().name.clone())
    }
}

fn or_nothing<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Structs of which every field may be missing or null.
macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of_field:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub(super) struct $name {
            $($(#[$of_field])* #[serde(deserialize_with = "or_nothing")] pub(super) $field: $type,)*
        }
    )*};
}

objects! {
    Meta {
        name: String,
        namespace: String,
        uid: String,
        resource_version: String,
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
        owner_references: Vec<Owner>,
    }
    Owner { kind: String, name: String, controller: bool, }
    Plain { metadata: Meta, }

    Node { metadata: Meta, spec: NodeSpec, status: NodeStatus, }
    NodeSpec { #[serde(rename = "providerID")] provider_id: String, }
    NodeStatus { addresses: Vec<NodeAddress>, conditions: Vec<NodeCondition>, daemon_endpoints: DaemonEndpoints, }
    NodeAddress { r#type: String, address: String, }
    NodeCondition { r#type: String, status: String, }
    DaemonEndpoints { kubelet_endpoint: KubeletEndpoint, }
    KubeletEndpoint {
        /// With a capital letter in Kubernetes's own description.
        #[serde(rename = "Port")]
        port: u16,
    }

    Service { metadata: Meta, spec: ServiceSpec, status: ServiceStatus, }
    ServiceSpec {
        r#type: String,
        ports: Vec<ServicePort>,
        external_name: String,
        #[serde(rename = "clusterIP")]
        cluster_ip: String,
        #[serde(rename = "loadBalancerIP")]
        load_balancer_ip: String,
        ip_family_policy: String,
        ip_families: Vec<String>,
    }
    ServicePort { name: String, protocol: String, port: u16, }
    ServiceStatus { load_balancer: LoadBalancer, }
    LoadBalancer { ingress: Vec<LoadBalancerIngress>, }
    LoadBalancerIngress { ip: String, }

    Pod { metadata: Meta, spec: PodSpec, status: PodStatus, }
    PodSpec { node_name: String, containers: Vec<Container>, init_containers: Vec<Container>, }
    Container { name: String, image: String, ports: Vec<ContainerPort>, }
    ContainerPort { name: String, container_port: u16, protocol: String, }
    PodStatus {
        #[serde(rename = "podIP")]
        pod_ip: String,
        #[serde(rename = "hostIP")]
        host_ip: String,
        phase: String,
        conditions: Vec<NodeCondition>,
        container_statuses: Vec<ContainerStatus>,
        init_container_statuses: Vec<ContainerStatus>,
    }
    ContainerStatus { name: String, #[serde(rename = "containerID")] container_id: String, }

    Endpoints { metadata: Meta, subsets: Vec<Subset>, }
    Subset { addresses: Vec<EndpointAddress>, not_ready_addresses: Vec<EndpointAddress>, ports: Vec<EndpointPort>, }
    EndpointAddress { ip: String, hostname: String, node_name: Option<String>, target_ref: Option<Reference>, }
    EndpointPort { name: Option<String>, port: Option<u16>, protocol: Option<String>, app_protocol: Option<String>, }
    Reference { kind: String, namespace: String, name: String, }

    EndpointSlice { metadata: Meta, address_type: String, endpoints: Vec<Endpoint>, ports: Vec<EndpointPort>, }
    Endpoint {
        addresses: Vec<String>,
        conditions: EndpointConditions,
        hostname: String,
        node_name: Option<String>,
        zone: String,
        target_ref: Option<Reference>,
        deprecated_topology: BTreeMap<String, String>,
    }
    EndpointConditions { ready: Option<bool>, serving: Option<bool>, terminating: Option<bool>, }

    Ingress { metadata: Meta, spec: IngressSpec, }
    IngressSpec { ingress_class_name: String, rules: Vec<IngressRule>, tls: Vec<IngressTls>, }
    IngressTls { hosts: Vec<String>, }
    IngressRule { host: String, http: Option<IngressHttp>, }
    IngressHttp { paths: Vec<IngressPath>, }
    IngressPath { path: String, }
}
