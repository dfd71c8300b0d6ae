//! What a record says of who sent it, by OpenTelemetry's names: the metadata that FireLens, Docker's driver and the
//! `kubernetes` filters add.

use std::borrow::Cow;

use model::{AttributeType, ReceiveLimits};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::lines::{Field, Nesting, Value, fields};

/// Taken out of a record's fields.
#[derive(Debug, Default)]
pub(super) struct Origin<'r> {
    pub(super) resource: Vec<Field<'r>>,
    pub(super) attributes: Vec<Field<'r>>,
    /// Where nothing else names one.
    pub(super) service: String,
    pub(super) partial: Option<Partial>,
}

/// Of a line that Docker cut into parts of 16 KiB.
#[derive(Debug, PartialEq)]
pub(super) struct Partial {
    pub(super) id: String,
    pub(super) first: bool,
    pub(super) last: bool,
}

/// A pod's annotations of this name are attributes of its resource: OpenTelemetry's convention.
const STATEMENT: &str = "annotations.resource.opentelemetry.io/";

impl<'r> Origin<'r> {
    /// `record` is the text that the fields were read from.
    pub(super) fn take(fields: &mut Vec<Field<'r>>, record: &'r str, limits: &ReceiveLimits) -> Self {
        let mut origin = Self::default();
        let (mut family, mut container) = (String::new(), String::new());
        let (mut parts, mut cluster) = ([None, None, None], None);
        // The record is read again for it, so only once.
        let mut kubernetes = false;
        fields.retain(|field| {
            let text = field.value.as_text().unwrap_or_default();
            match &*field.name {
                "kubernetes" if !kubernetes && matches!(field.value, Value::Encoded(AttributeType::Map, _)) => {
                    kubernetes = true;
                    return !origin.kubernetes(record, limits);
                }
                _ if text.is_empty() => return true,
                "ecs_cluster" => cluster = Some(text.to_owned()),
                "ecs_task_arn" => origin.task(text),
                "ecs_task_definition" => {
                    let (name, revision) = text.rsplit_once(':').unwrap_or((text, ""));
                    name.clone_into(&mut family);
                    origin.add("aws.ecs.task.family", name);
                    origin.add("aws.ecs.task.revision", revision);
                }
                "ec2_instance_id" => origin.add("host.id", text),
                "container_id" => origin.add("container.id", text),
                "container_name" => {
                    text.trim_start_matches('/').clone_into(&mut container);
                    origin.add("container.name", &container);
                }
                "source" | "stream" if matches!(text, "stdout" | "stderr") => {
                    origin.attributes.push(Field::text("log.iostream", text.to_owned()))
                }
                "partial_message" => parts[0] = Some(String::new()),
                "partial_id" => parts[0] = Some(text.to_owned()),
                "partial_ordinal" => parts[1] = Some(text.to_owned()),
                "partial_last" => parts[2] = Some(text.to_owned()),
                _ => return true,
            }
            false
        });
        if let Some(cluster) = cluster {
            origin.cluster(&cluster);
        }
        if let [Some(id), ordinal, last] = parts {
            let (first, last) = (ordinal.as_deref() == Some("1"), last.as_deref() == Some("true"));
            origin.partial = Some(Partial { id, first, last });
        }
        origin.service = if family.is_empty() { container } else { family };
        origin
    }

    fn add(&mut self, name: &'static str, value: &str) {
        if !value.is_empty() {
            self.resource.push(Field::text(name, value.to_owned()));
        }
    }

    /// `arn:aws:ecs:<region>:<account>:task/<cluster>/<id>`; old ones name no cluster.
    fn task(&mut self, arn: &str) {
        self.add("aws.ecs.task.arn", arn);
        self.add("cloud.provider", "aws");
        self.add("cloud.platform", "aws_ecs");
        let mut parts = arn.splitn(6, ':').skip(3);
        self.add("cloud.region", parts.next().unwrap_or_default());
        self.add("cloud.account.id", parts.next().unwrap_or_default());
        self.add("aws.ecs.task.id", parts.next().and_then(|task| task.rsplit('/').next()).unwrap_or_default());
    }

    /// A name, or an ARN. Of a name the ARN follows from that of the task.
    fn cluster(&mut self, cluster: &str) {
        if cluster.starts_with("arn:") {
            self.add("aws.ecs.cluster.arn", cluster);
            return self.add("aws.ecs.cluster.name", cluster.rsplit('/').next().unwrap_or_default());
        }
        self.add("aws.ecs.cluster.name", cluster);
        let task = self.resource.iter().find(|field| field.name == "aws.ecs.task.arn").and_then(|field| field.value.as_text());
        if let Some((head, _)) = task.and_then(|task| task.split_once(":task/")) {
            let arn = format!("{head}:cluster/{cluster}");
            self.add("aws.ecs.cluster.arn", &arn);
        }
    }

    /// False when it cannot be read apart from the record; then it stays one field.
    fn kubernetes(&mut self, record: &'r str, limits: &ReceiveLimits) -> bool {
        #[derive(Deserialize)]
        struct Record<'r> {
            #[serde(borrow)]
            kubernetes: &'r RawValue,
        }
        let Ok(Record { kubernetes }) = serde_json::from_str(record) else { return false };
        let Ok(found) = fields::read(kubernetes.get(), Nesting::Dotted, limits) else { return false };
        for Field { name, value } in found.own {
            let known = match &*name {
                "pod_name" => "k8s.pod.name",
                "pod_id" => "k8s.pod.uid",
                "pod_ip" => "k8s.pod.ip",
                "namespace_name" => "k8s.namespace.name",
                "host" => "k8s.node.name",
                "container_name" => "k8s.container.name",
                "container_image" => "container.image.name",
                "docker_id" | "container_id" => "container.id",
                _ => "",
            };
            let renamed = |of: &str, to: &str| name.strip_prefix(of).map(|rest| format!("{to}{rest}"));
            let name: Cow<'r, str> = match known {
                "" => renamed(STATEMENT, "")
                    .or_else(|| renamed("labels.", "k8s.pod.label."))
                    .or_else(|| renamed("annotations.", "k8s.pod.annotation."))
                    .or_else(|| renamed("namespace_labels.", "k8s.namespace.label."))
                    .unwrap_or_else(|| format!("kubernetes.{name}"))
                    .into(),
                known => known.into(),
            };
            self.resource.push(Field { name, value });
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: &str, left: &[&str], resource: &[&str], service: &str) {
        let limits = ReceiveLimits::default();
        let mut fields = fields::read(record, Nesting::Kept, &limits).expect("an object").own;
        let origin = Origin::take(&mut fields, record, &limits);
        let owned = |texts: &[&str]| -> Vec<String> { texts.iter().map(|text| (*text).to_owned()).collect() };
        let said = |fields: &[Field<'_>]| -> Vec<String> {
            fields.iter().map(|field| format!("{}={}", field.name, field.value.as_text().unwrap_or("?"))).collect()
        };
        assert_eq!((said(&fields), said(&origin.resource)), (owned(left), owned(resource)), "{record}");
        assert_eq!(origin.service, service, "{record}");
    }

    #[test]
    fn firelens_names_task_and_cluster() {
        check(
            r#"{"log": "x", "source": "stderr", "container_id": "abc", "container_name": "/shop", "ecs_cluster": "prod",
                "ecs_task_arn": "arn:aws:ecs:eu-west-1:123456789012:task/prod/0a1b", "ecs_task_definition": "shop:7"}"#,
            &["log=x"],
            &[
                "container.id=abc",
                "container.name=shop",
                "aws.ecs.task.arn=arn:aws:ecs:eu-west-1:123456789012:task/prod/0a1b",
                "cloud.provider=aws",
                "cloud.platform=aws_ecs",
                "cloud.region=eu-west-1",
                "cloud.account.id=123456789012",
                "aws.ecs.task.id=0a1b",
                "aws.ecs.task.family=shop",
                "aws.ecs.task.revision=7",
                "aws.ecs.cluster.name=prod",
                "aws.ecs.cluster.arn=arn:aws:ecs:eu-west-1:123456789012:cluster/prod",
            ],
            "shop",
        );
        let limits = ReceiveLimits::default();
        for (record, stream) in [(r#"{"stream": "stderr"}"#, Some("stderr")), (r#"{"stream": "orders"}"#, None)] {
            let origin = Origin::take(&mut fields::read(record, Nesting::Kept, &limits).unwrap().own, record, &limits);
            assert_eq!(origin.attributes.first().and_then(|field| field.value.as_text()), stream);
        }
        check(r#"{"source": "db", "ecs_cluster": "", "container_name": 5}"#, &["source=db", "ecs_cluster=", "container_name=?"], &[], "");
    }

    #[test]
    fn kubernetes_is_renamed_and_its_labels_are_kept() {
        check(
            r#"{"log": "x", "kubernetes": {"pod_name": "p", "namespace_name": "n", "host": "node", "docker_id": "d", "labels": {"app": "shop", "a.b/c": "1"},
                "annotations": {"x": "y", "resource.opentelemetry.io/omd.component": "web"}, "container_hash": "h"}}"#,
            &["log=x"],
            &[
                "k8s.pod.name=p",
                "k8s.namespace.name=n",
                "k8s.node.name=node",
                "container.id=d",
                "k8s.pod.label.app=shop",
                "k8s.pod.label.a.b/c=1",
                "k8s.pod.annotation.x=y",
                "omd.component=web",
                "kubernetes.container_hash=h",
            ],
            "",
        );
        check(r#"{"kubernetes": "text"}"#, &["kubernetes=text"], &[], "");
    }
}
