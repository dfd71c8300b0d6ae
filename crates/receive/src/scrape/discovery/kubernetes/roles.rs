//! From objects to targets, for each role.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::Known;
use super::objects::{
    Container, ContainerPort, Endpoint, EndpointAddress, EndpointPort, EndpointSlice, Endpoints, Ingress, Kind, Meta, Node, Object, Pod,
    Reference, Service,
};
use crate::scrape::config::{Group, KubernetesAttach, KubernetesDiscovery};
use crate::scrape::discovery::label_name;

type Pairs = Vec<(String, String)>;

/// The groups of a role, one for each object that can have targets.
pub(super) fn groups(known: &Known, options: &KubernetesDiscovery) -> Vec<Group> {
    let roles = Roles { known, attach: &options.attach };
    let of_object = |object: &Object| match object {
        Object::Node(node) => roles.node(node),
        Object::Service(service) => Some(roles.service(service)),
        Object::Pod(pod) => roles.pod(pod),
        Object::Endpoints(endpoints) => Some(roles.endpoints(endpoints)),
        Object::EndpointSlice(slice) => roles.slice(slice),
        Object::Ingress(ingress) => Some(roles.ingress(ingress)),
        Object::Plain(_) => None,
    };
    known.of(Kind::of(options.role)).filter_map(of_object).filter(|group| !group.targets.is_empty()).collect()
}

/// With brackets around an address of IPv6.
pub(super) fn host_port(host: &str, port: impl std::fmt::Display) -> String {
    if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// `__meta_kubernetes_...` labels while they are gathered; an empty value is none.
#[derive(Clone, Default)]
struct Labels(Pairs);

impl Labels {
    fn target(address: String) -> Self {
        Self(vec![("__address__".to_owned(), address)])
    }

    fn set(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.0.push((format!("__meta_kubernetes_{name}"), value.to_owned()));
        }
    }

    fn flag(&mut self, name: &str, value: Option<bool>) {
        self.set(name, value.map_or("", |value| if value { "true" } else { "false" }));
    }

    /// Labels and annotations of an object.
    fn described(&mut self, kind: &str, meta: &Meta) {
        for (what, pairs) in [("label", &meta.labels), ("annotation", &meta.annotations)] {
            for (key, value) in pairs {
                let key = label_name(key);
                self.set(&format!("{kind}_{what}_{key}"), value);
                self.set(&format!("{kind}_{what}present_{key}"), "true");
            }
        }
    }

    fn named(&mut self, kind: &str, meta: &Meta) {
        self.set(&format!("{kind}_name"), &meta.name);
        self.described(kind, meta);
    }

    fn reference(&mut self, kind: &str, reference: Option<&Reference>) {
        if let Some(reference) = reference {
            self.set(&format!("{kind}_address_target_kind"), &reference.kind);
            self.set(&format!("{kind}_address_target_name"), &reference.name);
        }
    }

    /// A container and the port that a target is at.
    fn container(&mut self, container: &Container, is_init: bool, port: Option<&ContainerPort>) {
        self.set("pod_container_name", &container.name);
        self.set("pod_container_image", &container.image);
        self.flag("pod_container_init", Some(is_init));
        if let Some(port) = port {
            self.set("pod_container_port_name", &port.name);
            self.set("pod_container_port_number", &port.container_port.to_string());
            self.set("pod_container_port_protocol", &port.protocol);
        }
    }
}

/// All containers of a pod, and which of them are there to begin only.
fn containers(pod: &Pod) -> impl Iterator<Item = (&Container, bool)> {
    let own = pod.spec.containers.iter().map(|container| (container, false));
    own.chain(pod.spec.init_containers.iter().map(|container| (container, true)))
}

fn controller(meta: &Meta) -> Option<(&str, &str)> {
    meta.owner_references.iter().find(|owner| owner.controller).map(|owner| (owner.kind.as_str(), owner.name.as_str()))
}

/// Pods behind endpoints that have been seen, with the ports that are targets already.
#[derive(Default)]
struct Backing<'k>(BTreeMap<(String, String), (&'k Pod, Vec<u16>)>);

struct Roles<'k> {
    known: &'k Known,
    attach: &'k KubernetesAttach,
}

impl<'k> Roles<'k> {
    fn node(&self, node: &Node) -> Option<Group> {
        const PREFERRED: [&str; 6] = ["InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname"];
        let first = |kind: &str| node.status.addresses.iter().find(|address| address.r#type == kind);
        let address = PREFERRED.into_iter().find_map(first)?;
        let mut labels = Labels::default();
        labels.named("node", &node.metadata);
        labels.set("node_provider_id", &node.spec.provider_id);
        for condition in &node.status.conditions {
            let name = label_name(&condition.r#type.to_lowercase());
            labels.set(&format!("node_condition_{name}"), &condition.status.to_lowercase());
        }
        let mut target = Labels::target(host_port(&address.address, node.status.daemon_endpoints.kubelet_endpoint.port));
        target.0.push(("instance".to_owned(), node.metadata.name.clone()));
        // The first of each type.
        for address in
            node.status.addresses.iter().filter(|address| first(&address.r#type).is_some_and(|first| std::ptr::eq(first, *address)))
        {
            target.set(&format!("node_address_{}", label_name(&address.r#type)), &address.address);
        }
        Some(Group { targets: vec![target.0], labels: labels.0 })
    }

    fn service(&self, service: &Service) -> Group {
        let (meta, spec) = (&service.metadata, &service.spec);
        let mut labels = Labels::default();
        labels.set("namespace", &meta.namespace);
        labels.named("service", meta);
        self.of_namespace(&mut labels, &meta.namespace);
        let target = |port: &super::objects::ServicePort| {
            let mut target = Labels::target(host_port(&format!("{}.{}.svc", meta.name, meta.namespace), port.port));
            target.set("service_port_name", &port.name);
            target.set("service_port_number", &port.port.to_string());
            target.set("service_port_protocol", &port.protocol);
            target.set("service_type", &spec.r#type);
            match spec.r#type.as_str() {
                "ExternalName" => target.set("service_external_name", &spec.external_name),
                _ => target.set("service_cluster_ip", &spec.cluster_ip),
            }
            if spec.r#type == "LoadBalancer" {
                let ips = service.status.load_balancer.ingress.iter().map(|ingress| ingress.ip.as_str()).filter(|ip| !ip.is_empty());
                let ips = ips.collect::<Vec<_>>().join(",");
                target.set("service_loadbalancer_ip", if ips.is_empty() { &spec.load_balancer_ip } else { &ips });
            }
            target.0
        };
        Group { targets: spec.ports.iter().map(target).collect(), labels: labels.0 }
    }

    fn of_namespace(&self, labels: &mut Labels, name: &str) {
        if self.attach.namespace
            && let Some(namespace) = self.known.get(Kind::Namespace, "", name)
        {
            labels.described("namespace", namespace.meta());
        }
    }

    /// None for a pod on a node that a selector leaves out.
    fn pod(&self, pod: &Pod) -> Option<Group> {
        if pod.status.pod_ip.is_empty() {
            return None;
        }
        let mut labels = Labels::default();
        self.of_pod(&mut labels, pod);
        labels.set("namespace", &pod.metadata.namespace);
        if self.attach.node {
            labels.named("node", self.known.get(Kind::Node, "", &pod.spec.node_name)?.meta());
        }
        self.of_namespace(&mut labels, &pod.metadata.namespace);
        let mut targets = Vec::new();
        for (container, is_init) in containers(pod) {
            let statuses = if is_init { &pod.status.init_container_statuses } else { &pod.status.container_statuses };
            let id = statuses.iter().find(|status| status.name == container.name).map_or("", |status| &status.container_id);
            let mut add = |address: String, port: Option<&ContainerPort>| {
                let mut target = Labels::target(address);
                target.container(container, is_init, port);
                target.set("pod_container_id", id);
                targets.push(target.0);
            };
            for port in &container.ports {
                add(host_port(&pod.status.pod_ip, port.container_port), Some(port));
            }
            if container.ports.is_empty() {
                // Relabelling adds the port.
                add(pod.status.pod_ip.clone(), None);
            }
        }
        Some(Group { targets, labels: labels.0 })
    }

    fn of_pod(&self, labels: &mut Labels, pod: &Pod) {
        let (meta, status) = (&pod.metadata, &pod.status);
        labels.named("pod", meta);
        labels.set("pod_ip", &status.pod_ip);
        labels.set("pod_host_ip", &status.host_ip);
        labels.set("pod_node_name", &pod.spec.node_name);
        labels.set("pod_phase", &status.phase);
        labels.set("pod_uid", &meta.uid);
        let ready = status.conditions.iter().find(|condition| condition.r#type == "Ready");
        labels.set("pod_ready", &ready.map_or_else(|| "unknown".to_owned(), |condition| condition.status.to_lowercase()));
        let Some((kind, name)) = controller(meta) else { return };
        labels.set("pod_controller_kind", kind);
        labels.set("pod_controller_name", name);
        let owner_of = |of: Kind| controller(self.known.get(of, &meta.namespace, name)?.meta());
        if kind == "Job" && self.attach.job {
            labels.set("pod_job_name", name);
        }
        if kind == "Job"
            && self.attach.cronjob
            && let Some(("CronJob", name)) = owner_of(Kind::Job)
        {
            labels.set("pod_cronjob_name", name);
        }
        if kind == "ReplicaSet"
            && self.attach.deployment
            && let Some(("Deployment", name)) = owner_of(Kind::ReplicaSet)
        {
            labels.set("pod_deployment_name", name);
        }
    }

    fn of_node(&self, labels: &mut Labels, name: Option<&str>) {
        if self.attach.node
            && let Some(node) = name.and_then(|name| self.known.get(Kind::Node, "", name))
        {
            labels.named("node", node.meta());
        }
    }

    /// The labels of the pod behind an endpoint, and of its container that listens there.
    fn of_backing(&self, target: &mut Labels, backing: &mut Backing<'k>, reference: Option<&Reference>, port: Option<u16>) {
        let Some(reference) = reference.filter(|reference| reference.kind == "Pod") else { return };
        let Some(Object::Pod(pod)) = self.known.get(Kind::Pod, &reference.namespace, &reference.name) else { return };
        self.of_pod(target, pod);
        let listening = containers(pod).flat_map(|(container, is_init)| container.ports.iter().map(move |at| (container, is_init, at)));
        if let Some((container, is_init, at)) = listening.filter(|(.., at)| Some(at.container_port) == port).last() {
            target.container(container, is_init, Some(at));
        }
        let key = (reference.namespace.clone(), reference.name.clone());
        backing.0.entry(key).or_insert((pod, Vec::new())).1.extend(port);
    }

    /// Ports of pods behind endpoints that no endpoint names.
    fn further(&self, backing: Backing<'k>, targets: &mut Vec<Pairs>) {
        for (pod, ports) in backing.0.into_values().filter(|(pod, _)| !pod.status.pod_ip.is_empty()) {
            for (container, is_init) in containers(pod) {
                for port in container.ports.iter().filter(|port| !ports.contains(&port.container_port)) {
                    let mut target = Labels::target(host_port(&pod.status.pod_ip, port.container_port));
                    target.container(container, is_init, Some(port));
                    self.of_pod(&mut target, pod);
                    targets.push(target.0);
                }
            }
        }
    }

    fn endpoints(&self, endpoints: &Endpoints) -> Group {
        let meta = &endpoints.metadata;
        let mut labels = Labels::default();
        labels.set("namespace", &meta.namespace);
        labels.named("endpoints", meta);
        if let Some(Object::Service(service)) = self.known.get(Kind::Service, &meta.namespace, &meta.name) {
            labels.named("service", &service.metadata);
        }
        self.of_namespace(&mut labels, &meta.namespace);
        let (mut targets, mut backing) = (Vec::new(), Backing::default());
        for subset in &endpoints.subsets {
            let ready = subset.addresses.iter().map(|address| (address, true));
            let all: Vec<_> = ready.chain(subset.not_ready_addresses.iter().map(|address| (address, false))).collect();
            for (port, (address, is_ready)) in subset.ports.iter().flat_map(|port| all.iter().map(move |address| (port, *address))) {
                targets.push(self.endpoint(address, port, is_ready, &mut backing));
            }
        }
        self.further(backing, &mut targets);
        Group { targets, labels: labels.0 }
    }

    fn endpoint(&self, address: &EndpointAddress, port: &EndpointPort, is_ready: bool, backing: &mut Backing<'k>) -> Pairs {
        let mut target = Labels::target(host_port(&address.ip, port.port.unwrap_or_default()));
        target.set("endpoint_port_name", port.name.as_deref().unwrap_or_default());
        target.set("endpoint_port_protocol", port.protocol.as_deref().unwrap_or_default());
        target.flag("endpoint_ready", Some(is_ready));
        target.set("endpoint_hostname", &address.hostname);
        target.set("endpoint_node_name", address.node_name.as_deref().unwrap_or_default());
        let reference = address.target_ref.as_ref();
        target.reference("endpoint", reference);
        let of_reference = || reference.filter(|reference| reference.kind == "Node").map(|reference| reference.name.as_str());
        self.of_node(&mut target, address.node_name.as_deref().or_else(of_reference));
        self.of_backing(&mut target, backing, reference, port.port);
        target.0
    }

    /// None for the second family of addresses of a service that has two: its targets are those of the first.
    fn slice(&self, slice: &EndpointSlice) -> Option<Group> {
        const SERVICE_NAME: &str = "kubernetes.io/service-name";
        let meta = &slice.metadata;
        let mut labels = Labels::default();
        labels.set("namespace", &meta.namespace);
        labels.set("endpointslice_address_type", &slice.address_type);
        labels.named("endpointslice", meta);
        let service = meta.labels.get(SERVICE_NAME).and_then(|name| self.known.get(Kind::Service, &meta.namespace, name));
        if let Some(Object::Service(service)) = service {
            let spec = &service.spec;
            let has_two = matches!(spec.ip_family_policy.as_str(), "PreferDualStack" | "RequireDualStack");
            if has_two && spec.ip_families.first().is_some_and(|first| *first != slice.address_type) {
                return None;
            }
            labels.named("service", &service.metadata);
        }
        self.of_namespace(&mut labels, &meta.namespace);
        let (mut targets, mut backing) = (Vec::new(), Backing::default());
        for (endpoint, port) in slice.endpoints.iter().flat_map(|endpoint| slice.ports.iter().map(move |port| (endpoint, port))) {
            targets.extend(endpoint.addresses.iter().map(|address| self.of_slice(address, endpoint, port, &mut backing)));
        }
        self.further(backing, &mut targets);
        Some(Group { targets, labels: labels.0 })
    }

    fn of_slice(&self, address: &str, endpoint: &Endpoint, port: &EndpointPort, backing: &mut Backing<'k>) -> Pairs {
        let mut target = Labels::target(port.port.map_or_else(|| address.to_owned(), |port| host_port(address, port)));
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        target.set("endpointslice_port", &port.port.map(|port| port.to_string()).unwrap_or_default());
        target.set("endpointslice_port_name", &text(&port.name));
        target.set("endpointslice_port_protocol", &text(&port.protocol));
        target.set("endpointslice_port_app_protocol", &text(&port.app_protocol));
        target.flag("endpointslice_endpoint_conditions_ready", endpoint.conditions.ready);
        target.flag("endpointslice_endpoint_conditions_serving", endpoint.conditions.serving);
        target.flag("endpointslice_endpoint_conditions_terminating", endpoint.conditions.terminating);
        target.set("endpointslice_endpoint_hostname", &endpoint.hostname);
        target.set("endpointslice_endpoint_node_name", &text(&endpoint.node_name));
        target.set("endpointslice_endpoint_zone", &endpoint.zone);
        for (key, value) in &endpoint.deprecated_topology {
            let key = label_name(key);
            target.set(&format!("endpointslice_endpoint_topology_{key}"), value);
            target.set(&format!("endpointslice_endpoint_topology_present_{key}"), "true");
        }
        let reference = endpoint.target_ref.as_ref();
        target.reference("endpointslice", reference);
        let of_reference = reference.filter(|reference| reference.kind == "Node").map(|reference| reference.name.as_str());
        self.of_node(&mut target, of_reference.or(endpoint.node_name.as_deref()));
        self.of_backing(&mut target, backing, reference, port.port);
        target.0
    }

    fn ingress(&self, ingress: &Ingress) -> Group {
        let meta = &ingress.metadata;
        let mut labels = Labels::default();
        labels.set("namespace", &meta.namespace);
        labels.named("ingress", meta);
        labels.set("ingress_class_name", &ingress.spec.ingress_class_name);
        self.of_namespace(&mut labels, &meta.namespace);
        let mut targets = Vec::new();
        for rule in &ingress.spec.rules {
            let is_safe = ingress.spec.tls.iter().flat_map(|tls| &tls.hosts).any(|pattern| covers(pattern, &rule.host));
            let paths = rule.http.as_ref().map(|http| http.paths.iter().map(|path| path.path.as_str()).collect());
            for path in paths.unwrap_or_else(|| vec![""]) {
                let mut target = Labels::target(rule.host.clone());
                target.set("ingress_scheme", if is_safe { "https" } else { "http" });
                target.set("ingress_host", &rule.host);
                target.set("ingress_path", if path.is_empty() { "/" } else { path });
                targets.push(target.0);
            }
        }
        Group { targets, labels: labels.0 }
    }
}

/// Whether a certificate's name is that of a host; `*` stands for its first part.
fn covers(pattern: &str, host: &str) -> bool {
    let after_first = |name: &str| name.split_once('.').map(|(_, rest)| rest.to_owned());
    pattern == host || pattern.strip_prefix("*.").is_some_and(|rest| after_first(host).as_deref() == Some(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrape::config::{KubernetesAccess, KubernetesRole};

    const NODE: &str = r#"{"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "a"}, "annotations": {"x/y": "z"}},
        "spec": {"providerID": "aws:///i-1"}, "status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "Unknown"}],
        "addresses": [{"type": "Hostname", "address": "n1.local"}, {"type": "InternalIP", "address": "10.0.0.1"},
                      {"type": "InternalIP", "address": "fd00::1"}]}}"#;
    const NAMESPACE: &str = r#"{"metadata": {"name": "shop", "labels": {"team": "web"}, "annotations": null}}"#;
    const POD: &str = r#"{"metadata": {"name": "web-1", "namespace": "shop", "uid": "u-1", "labels": {"app.kubernetes.io/name": "web"},
        "annotations": {"prometheus.io/scrape": "true"},
        "ownerReferences": [{"kind": "Other", "name": "o"}, {"kind": "ReplicaSet", "name": "web-5", "controller": true}]},
        "spec": {"nodeName": "n1", "containers": [
            {"name": "app", "image": "web:1", "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}, {"containerPort": 9090}]},
            {"name": "side", "image": "side:1", "ports": null}], "initContainers": [{"name": "init", "image": "init:1"}]},
        "status": {"podIP": "10.1.0.5", "hostIP": "10.0.0.1", "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "app", "containerID": "containerd://a"}],
            "initContainerStatuses": [{"name": "init", "containerID": "containerd://i"}]}}"#;
    const SERVICE: &str = r#"{"metadata": {"name": "web", "namespace": "shop", "labels": {"a": "b"}, "annotations": {"c": "d"}},
        "spec": {"type": "LoadBalancer", "clusterIP": "172.20.0.1", "loadBalancerIP": "1.1.1.1", "ipFamilyPolicy": "PreferDualStack",
            "ipFamilies": ["IPv4", "IPv6"], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "2.2.2.2"}, {"hostname": "x"}, {"ip": "3.3.3.3"}]}}}"#;
    const ENDPOINTS: &str = r#"{"metadata": {"name": "web", "namespace": "shop", "labels": {"e": "f"}},
        "subsets": [{"ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "addresses": [{"ip": "10.1.0.5", "hostname": "h",
            "nodeName": "n1", "targetRef": {"kind": "Pod", "namespace": "shop", "name": "web-1"}}],
            "notReadyAddresses": [{"ip": "10.9.9.9"}]}]}"#;
    const SLICE: &str = r#"{"metadata": {"name": "web-abc", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "http"}],
        "endpoints": [{"addresses": ["10.1.0.5"], "conditions": {"ready": true, "serving": true, "terminating": false}, "hostname": "h",
            "nodeName": "n1", "zone": "a", "deprecatedTopology": {"kubernetes.io/hostname": "n1"},
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": "web-1"}}]}"#;
    const INGRESS: &str = r#"{"metadata": {"name": "front", "namespace": "shop", "labels": {"a": "b"}}, "spec": {"ingressClassName": "nginx",
        "tls": [{"hosts": ["*.example.com"]}, {}], "rules": [{"host": "www.example.com", "http": {"paths": [{"path": "/a"}, {}]}},
        {"host": "a.b.example.com"}]}}"#;
    const REPLICA_SET: &str = r#"{"metadata": {"name": "web-5", "namespace": "shop", "ownerReferences": [{"kind": "Deployment", "name": "web", "controller": true}]}}"#;

    fn made(role: KubernetesRole, attach: KubernetesAttach, objects: &[(Kind, &str)]) -> Vec<Group> {
        let mut known = Known::default();
        for (number, (kind, json)) in objects.iter().enumerate() {
            known.sources.push((*kind, None));
            known.apply(super::super::Change::All(number, vec![kind.read(json).unwrap()]), "test");
        }
        let options = KubernetesDiscovery {
            access: KubernetesAccess::InCluster,
            role,
            namespaces: Vec::new(),
            own_namespace: false,
            selectors: Vec::new(),
            attach,
        };
        groups(&known, &options)
    }

    /// Labels as lines, without what stands before each name.
    fn lines(pairs: &Pairs) -> Vec<String> {
        let mut lines: Vec<_> =
            pairs.iter().map(|(name, value)| format!("{}={value}", name.trim_start_matches("__meta_kubernetes_"))).collect();
        lines.sort();
        lines
    }

    fn check(groups: &[Group], labels: &[&str], targets: &[&[&str]]) {
        assert_eq!(groups.len(), 1, "{groups:?}");
        assert_eq!(lines(&groups[0].labels), labels);
        assert_eq!(groups[0].targets.iter().map(lines).collect::<Vec<_>>(), targets);
    }

    const OF_POD: [&str; 12] = [
        "pod_annotation_prometheus_io_scrape=true",
        "pod_annotationpresent_prometheus_io_scrape=true",
        "pod_controller_kind=ReplicaSet",
        "pod_controller_name=web-5",
        "pod_host_ip=10.0.0.1",
        "pod_ip=10.1.0.5",
        "pod_label_app_kubernetes_io_name=web",
        "pod_labelpresent_app_kubernetes_io_name=true",
        "pod_name=web-1",
        "pod_node_name=n1",
        "pod_phase=Running",
        "pod_ready=true",
    ];

    #[test]
    fn nodes() {
        let labels = [
            "node_annotation_x_y=z",
            "node_annotationpresent_x_y=true",
            "node_condition_diskpressure=unknown",
            "node_condition_ready=true",
            "node_label_topology_kubernetes_io_zone=a",
            "node_labelpresent_topology_kubernetes_io_zone=true",
            "node_name=n1",
            "node_provider_id=aws:///i-1",
        ];
        let target: &[&str] =
            &["__address__=10.0.0.1:10250", "instance=n1", "node_address_Hostname=n1.local", "node_address_InternalIP=10.0.0.1"];
        check(&made(KubernetesRole::Node, KubernetesAttach::default(), &[(Kind::Node, NODE)]), &labels, &[target]);
        let hidden = made(KubernetesRole::Node, KubernetesAttach::default(), &[(Kind::Node, r#"{"metadata": {"name": "n2"}}"#)]);
        assert!(hidden.is_empty(), "a node without an address is no target");
    }

    #[test]
    fn services() {
        let labels = [
            "namespace=shop",
            "namespace_label_team=web",
            "namespace_labelpresent_team=true",
            "service_annotation_c=d",
            "service_annotationpresent_c=true",
            "service_label_a=b",
            "service_labelpresent_a=true",
            "service_name=web",
        ];
        let target: &[&str] = &[
            "__address__=web.shop.svc:80",
            "service_cluster_ip=172.20.0.1",
            "service_loadbalancer_ip=2.2.2.2,3.3.3.3",
            "service_port_name=http",
            "service_port_number=80",
            "service_port_protocol=TCP",
            "service_type=LoadBalancer",
        ];
        let attach = KubernetesAttach { namespace: true, ..KubernetesAttach::default() };
        let all = [(Kind::Service, SERVICE), (Kind::Namespace, NAMESPACE)];
        check(&made(KubernetesRole::Service, attach, &all), &labels, &[target]);
        let external = r#"{"metadata": {"name": "db", "namespace": "shop"},
                           "spec": {"type": "ExternalName", "externalName": "db.example", "ports": [{"port": 1}]}}"#;
        let found = made(KubernetesRole::Service, KubernetesAttach::default(), &[(Kind::Service, external)]);
        let target: &[&str] =
            &["__address__=db.shop.svc:1", "service_external_name=db.example", "service_port_number=1", "service_type=ExternalName"];
        check(&found, &["namespace=shop", "service_name=db"], &[target]);
    }

    #[test]
    fn pods() {
        let mut labels = [&["namespace=shop"], &OF_POD[..], &["pod_uid=u-1"]].concat();
        let container = |address: &'static str, port: &[&'static str]| {
            let head = [address, "pod_container_id=containerd://a", "pod_container_image=web:1", "pod_container_init=false"];
            [&head[..], &["pod_container_name=app"], port].concat()
        };
        let targets = [
            container(
                "__address__=10.1.0.5:8080",
                &["pod_container_port_name=http", "pod_container_port_number=8080", "pod_container_port_protocol=TCP"],
            ),
            container("__address__=10.1.0.5:9090", &["pod_container_port_number=9090"]),
            vec!["__address__=10.1.0.5", "pod_container_image=side:1", "pod_container_init=false", "pod_container_name=side"],
            vec![
                "__address__=10.1.0.5",
                "pod_container_id=containerd://i",
                "pod_container_image=init:1",
                "pod_container_init=true",
                "pod_container_name=init",
            ],
        ];
        let targets: Vec<&[&str]> = targets.iter().map(Vec::as_slice).collect();
        check(&made(KubernetesRole::Pod, KubernetesAttach::default(), &[(Kind::Pod, POD)]), &labels, &targets);

        let attach = KubernetesAttach { node: true, deployment: true, ..KubernetesAttach::default() };
        labels.extend(["node_annotation_x_y=z", "node_annotationpresent_x_y=true", "node_label_topology_kubernetes_io_zone=a"]);
        labels.extend(["node_labelpresent_topology_kubernetes_io_zone=true", "node_name=n1", "pod_deployment_name=web"]);
        labels.sort_unstable();
        let all = [(Kind::Pod, POD), (Kind::Node, NODE), (Kind::ReplicaSet, REPLICA_SET)];
        check(&made(KubernetesRole::Pod, attach.clone(), &all), &labels, &targets);
        assert!(made(KubernetesRole::Pod, attach, &all[..1]).is_empty(), "its node is not selected");

        let job = |kind| POD.replace("ReplicaSet", kind).replace("web-5", "j");
        let owned = REPLICA_SET.replace("Deployment", "CronJob").replace("web-5", "j").replace("\"web\"", "\"nightly\"");
        let attach = KubernetesAttach { job: true, cronjob: true, ..KubernetesAttach::default() };
        let found = made(KubernetesRole::Pod, attach, &[(Kind::Pod, &job("Job")), (Kind::Job, &owned)]);
        let found = lines(&found[0].labels);
        assert!(found.contains(&"pod_job_name=j".to_owned()) && found.contains(&"pod_cronjob_name=nightly".to_owned()), "{found:?}");
    }

    /// The target of a pod's port that no endpoint names.
    fn further() -> Vec<&'static str> {
        let port = [
            "__address__=10.1.0.5:9090",
            "pod_container_image=web:1",
            "pod_container_init=false",
            "pod_container_name=app",
            "pod_container_port_number=9090",
            "pod_uid=u-1",
        ];
        let mut all = [&port[..], &OF_POD].concat();
        all.sort_unstable();
        all
    }

    fn listening() -> Vec<&'static str> {
        let port = [
            "__address__=10.1.0.5:8080",
            "pod_container_image=web:1",
            "pod_container_init=false",
            "pod_container_name=app",
            "pod_container_port_name=http",
            "pod_container_port_number=8080",
            "pod_container_port_protocol=TCP",
            "pod_uid=u-1",
        ];
        [&port[..], &OF_POD].concat()
    }

    const OF_SERVICE: [&str; 5] = [
        "service_annotation_c=d",
        "service_annotationpresent_c=true",
        "service_label_a=b",
        "service_labelpresent_a=true",
        "service_name=web",
    ];

    #[test]
    fn endpoints() {
        let labels =
            [&["endpoints_label_e=f", "endpoints_labelpresent_e=true", "endpoints_name=web", "namespace=shop"], &OF_SERVICE[..]].concat();
        let mut ready = listening();
        ready.extend(["endpoint_address_target_kind=Pod", "endpoint_address_target_name=web-1", "endpoint_hostname=h"]);
        ready.extend(["endpoint_node_name=n1", "endpoint_port_name=http", "endpoint_port_protocol=TCP", "endpoint_ready=true"]);
        ready.sort_unstable();
        let other: &[&str] =
            &["__address__=10.9.9.9:8080", "endpoint_port_name=http", "endpoint_port_protocol=TCP", "endpoint_ready=false"];
        let all = [(Kind::Endpoints, ENDPOINTS), (Kind::Service, SERVICE), (Kind::Pod, POD)];
        check(&made(KubernetesRole::Endpoints, KubernetesAttach::default(), &all), &labels, &[&ready, other, &further()]);
    }

    #[test]
    fn endpoint_slices() {
        let own = [
            "endpointslice_address_type=IPv4",
            "endpointslice_label_kubernetes_io_service_name=web",
            "endpointslice_labelpresent_kubernetes_io_service_name=true",
            "endpointslice_name=web-abc",
            "namespace=shop",
        ];
        let labels = [&own[..], &OF_SERVICE].concat();
        let mut target = listening();
        target.extend([
            "endpointslice_address_target_kind=Pod",
            "endpointslice_address_target_name=web-1",
            "endpointslice_endpoint_conditions_ready=true",
            "endpointslice_endpoint_conditions_serving=true",
            "endpointslice_endpoint_conditions_terminating=false",
            "endpointslice_endpoint_hostname=h",
            "endpointslice_endpoint_node_name=n1",
            "endpointslice_endpoint_topology_kubernetes_io_hostname=n1",
            "endpointslice_endpoint_topology_present_kubernetes_io_hostname=true",
            "endpointslice_endpoint_zone=a",
            "endpointslice_port=8080",
            "endpointslice_port_app_protocol=http",
            "endpointslice_port_name=http",
            "endpointslice_port_protocol=TCP",
        ]);
        target.sort_unstable();
        let all = [(Kind::EndpointSlice, SLICE), (Kind::Service, SERVICE), (Kind::Pod, POD)];
        check(&made(KubernetesRole::EndpointSlice, KubernetesAttach::default(), &all), &labels, &[&target, &further()]);
        let second = SLICE.replace("IPv4", "IPv6");
        let all = [(Kind::EndpointSlice, second.as_str()), (Kind::Service, SERVICE), (Kind::Pod, POD)];
        assert!(made(KubernetesRole::EndpointSlice, KubernetesAttach::default(), &all).is_empty(), "the second family of a service");
    }

    #[test]
    fn ingresses() {
        let labels =
            ["ingress_class_name=nginx", "ingress_label_a=b", "ingress_labelpresent_a=true", "ingress_name=front", "namespace=shop"];
        let target = |host: &str, path: &str, scheme: &str| {
            [
                format!("__address__={host}"),
                format!("ingress_host={host}"),
                format!("ingress_path={path}"),
                format!("ingress_scheme={scheme}"),
            ]
        };
        let www = "www.example.com";
        let targets = [target(www, "/a", "https"), target(www, "/", "https"), target("a.b.example.com", "/", "http")];
        let targets: Vec<Vec<&str>> = targets.iter().map(|target| target.iter().map(String::as_str).collect()).collect();
        let targets: Vec<&[&str]> = targets.iter().map(Vec::as_slice).collect();
        check(&made(KubernetesRole::Ingress, KubernetesAttach::default(), &[(Kind::Ingress, INGRESS)]), &labels, &targets);
    }
}
