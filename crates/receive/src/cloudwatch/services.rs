//! How the dimensions of a namespace's metrics name the resource that they are about, by its ARN.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

/// What is known of a namespace.
pub(super) struct Service {
    pub(super) namespace: &'static str,
    /// YACE's short name for it.
    alias: &'static str,
    /// Types of the tagging API.
    pub(super) resources: &'static [&'static str],
    /// Where an ARN names dimensions: `{Name}` is one part of it, `{Name..}` all that follows; `$` is its end.
    arns: &'static [&'static str],
}

const fn service(
    namespace: &'static str,
    alias: &'static str,
    resources: &'static [&'static str],
    arns: &'static [&'static str],
) -> Service {
    Service { namespace, alias, resources, arns }
}

const BALANCER: &[&str] = &[":{TargetGroup=targetgroup/..}", ":loadbalancer/{LoadBalancer..}"];
const CLUSTER_AND_SERVICE: &[&str] = &[":cluster/{ClusterName}$", ":service/{ClusterName}/{ServiceName}$"];
const DATABASE: &[&str] = &[":cluster:{DBClusterIdentifier}", ":db:{DBInstanceIdentifier}"];

#[rustfmt::skip]
const SERVICES: [Service; 56] = [
    service("AWS/AmazonMQ", "mq", &["mq"], &["broker:{Broker}"]),
    service("AWS/ApiGateway", "apigateway", &["apigateway"], &["/apis/{ApiId}$", "/apis/{ApiId}/stages/{Stage}$", "/apis/{ApiId}/routes/{Route}$"]),
    service("AWS/ApplicationELB", "alb", &["elasticloadbalancing:loadbalancer/app", "elasticloadbalancing:targetgroup"], BALANCER),
    service("AWS/AppStream", "appstream", &["appstream"], &[":fleet/{FleetName}"]),
    service("AWS/AppSync", "appsync", &["appsync"], &["apis/{GraphQLAPIId}"]),
    service("AWS/Athena", "athena", &["athena"], &["workgroup/{WorkGroup}"]),
    service("AWS/Backup", "backup", &["backup"], &[":backup-vault:{BackupVaultName}"]),
    service("AWS/Cassandra", "cassandra", &["cassandra"], &["keyspace/{Keyspace}/table/{TableName}", "keyspace/{Keyspace}"]),
    service("AWS/CertificateManager", "acm", &["acm:certificate"], &["{CertificateArn..}"]),
    service("AWS/ClientVPN", "clientvpn", &["ec2:client-vpn-endpoint"], &[":client-vpn-endpoint/{Endpoint}"]),
    service("AWS/CloudFront", "cloudfront", &["cloudfront:distribution"], &["distribution/{DistributionId}"]),
    service("AWS/Cognito", "cognito-idp", &["cognito-idp:userpool"], &["userpool/{UserPool}"]),
    service("AWS/DataSync", "datasync", &["datasync:task", "datasync:agent"], &[":task/{TaskId}", ":agent/{AgentId}"]),
    service("AWS/DirectoryService", "ds", &["ds:directory"], &[":directory/{Directory ID}"]),
    service("AWS/DocDB", "docdb", &["rds:db", "rds:cluster"], DATABASE),
    service("AWS/DX", "dx", &["directconnect"], &[":dxcon/{ConnectionId}", ":dxlag/{LagId}", ":dxvif/{VirtualInterfaceId}"]),
    service("AWS/DynamoDB", "dynamodb", &["dynamodb:table"], &[":table/{TableName}"]),
    service("AWS/EBS", "ebs", &["ec2:volume"], &["volume/{VolumeId}"]),
    service("AWS/EC2", "ec2", &["ec2:instance"], &["instance/{InstanceId}"]),
    service("AWS/ECS", "ecs-svc", &["ecs:cluster", "ecs:service"], CLUSTER_AND_SERVICE),
    service("ECS/ContainerInsights", "ecs-containerinsights", &["ecs:cluster", "ecs:service"], CLUSTER_AND_SERVICE),
    service("ContainerInsights", "containerinsights", &["eks:cluster"], &[":cluster/{ClusterName}$"]),
    service("AWS/EFS", "efs", &["elasticfilesystem:file-system"], &["file-system/{FileSystemId}"]),
    service("AWS/EKS", "eks", &["eks:cluster"], &[":cluster/{ClusterName}$"]),
    service("AWS/ElastiCache", "ec", &["elasticache:cluster", "elasticache:serverlesscache"], &["cluster:{CacheClusterId}", "serverlesscache:{clusterId}"]),
    service("AWS/ElasticBeanstalk", "beanstalk", &["elasticbeanstalk:environment"], &["environment/{}/{EnvironmentName}"]),
    service("AWS/ElasticMapReduce", "emr", &["elasticmapreduce:cluster"], &["cluster/{JobFlowId}"]),
    service("AWS/ELB", "elb", &["elasticloadbalancing:loadbalancer"], &[":loadbalancer/{LoadBalancerName..}"]),
    service("AWS/EMRServerless", "emr-serverless", &["emr-serverless:applications"], &["applications/{ApplicationId}"]),
    service("AWS/ES", "es", &["es:domain"], &[":domain/{DomainName}"]),
    service("AWS/Events", "event-rule", &["events"], &[":rule/{EventBusName}/{RuleName}$"]),
    service("AWS/Firehose", "firehose", &["firehose"], &[":deliverystream/{DeliveryStreamName}"]),
    service("AWS/FSx", "fsx", &["fsx:file-system"], &["file-system/{FileSystemId}"]),
    service("AWS/GatewayELB", "gwlb", &["elasticloadbalancing:loadbalancer"], BALANCER),
    service("Glue", "glue", &["glue:job"], &[":job/{JobName}"]),
    service("AWS/IoT", "iot", &["iot:rule", "iot:provisioningtemplate"], &[":rule/{RuleName}", ":provisioningtemplate/{TemplateName}"]),
    service("AWS/Kafka", "kafka", &["kafka:cluster"], &[":cluster/{Cluster Name}"]),
    service("AWS/KafkaConnect", "kafkaconnect", &["kafka:cluster"], &[":connector/{Connector Name}"]),
    service("AWS/Kinesis", "kinesis", &["kinesis:stream"], &[":stream/{StreamName}"]),
    service("AWS/KinesisAnalytics", "kinesis-analytics", &["kinesisanalytics:application"], &[":application/{Application}"]),
    service("AWS/KMS", "kms", &["kms:key"], &[":key/{KeyId}"]),
    service("AWS/Lambda", "lambda", &["lambda:function"], &[":function:{FunctionName}"]),
    service("AWS/Logs", "logs", &["logs:log-group"], &[":log-group:{LogGroupName..}"]),
    service("AWS/MemoryDB", "memorydb", &["memorydb:cluster"], &["cluster/{ClusterName}"]),
    service("AWS/NATGateway", "ngw", &["ec2:natgateway"], &["natgateway/{NatGatewayId}"]),
    service("AWS/Neptune", "neptune", &["rds:db", "rds:cluster"], DATABASE),
    service("AWS/NetworkELB", "nlb", &["elasticloadbalancing:loadbalancer/net", "elasticloadbalancing:targetgroup"], BALANCER),
    service("AWS/RDS", "rds", &["rds:db", "rds:cluster", "rds:db-proxy"],
        &[":cluster:{DBClusterIdentifier}", ":db:{DBInstanceIdentifier}", ":db-proxy:{ProxyIdentifier}"]),
    service("AWS/Redshift", "redshift", &["redshift:cluster"], &[":cluster:{ClusterIdentifier}"]),
    service("AWS/Route53", "route53", &["route53"], &[":healthcheck/{HealthCheckId}"]),
    service("AWS/S3", "s3", &["s3"], &[":{BucketName}$"]),
    service("AWS/SNS", "sns", &["sns"], &[":{TopicName}$"]),
    service("AWS/SQS", "sqs", &["sqs"], &[":{QueueName}$"]),
    service("AWS/States", "sfn", &["states"], &["{StateMachineArn..}"]),
    service("AWS/TransitGateway", "tgw", &["ec2:transit-gateway"], &[":transit-gateway/{TransitGateway}"]),
    service("AWS/VPN", "vpn", &["ec2:vpn-connection"], &[":vpn-connection/{VpnId}"]),
];

impl Service {
    /// By namespace or by YACE's alias.
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        SERVICES.iter().find(|service| service.namespace == name || service.alias == name)
    }
}

/// A place in ARNs, compiled.
struct Pattern {
    regex: Regex,
    names: Vec<String>,
}

impl Pattern {
    fn of(text: &str) -> Self {
        let (mut regex, mut names, mut rest) = (String::new(), Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').expect("a brace is closed");
            regex.push_str(&regex::escape(before));
            regex.push_str(&match name.strip_suffix("..") {
                // What stands before the dots belongs to the value.
                Some(name) => {
                    let (name, head) = name.split_once('=').unwrap_or((name, ""));
                    names.push(name.to_owned());
                    format!("({}.+)", regex::escape(head))
                }
                None if name.is_empty() => "[^/:]+".to_owned(),
                None => {
                    names.push(name.to_owned());
                    "([^/:]+)".to_owned()
                }
            });
            rest = after;
        }
        let end = if rest == "$" { "$".to_owned() } else { regex::escape(rest) };
        Self { regex: Regex::new(&(regex + &end)).expect("the table's patterns are regular"), names }
    }
}

static PATTERNS: LazyLock<HashMap<&'static str, Vec<Pattern>>> = LazyLock::new(|| {
    SERVICES.iter().map(|service| (service.namespace, service.arns.iter().map(|text| Pattern::of(text)).collect())).collect()
});

/// Numbers of resources by the values of dimensions.
type ByValues = HashMap<Vec<String>, usize>;

/// Resources by what metrics call them.
pub(super) struct Associations {
    /// The names of dimensions, and resources by their values; those of most names first.
    by_names: Vec<(&'static [String], ByValues)>,
}

/// What a metric is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The resource of this number.
    Resource(usize),
    /// No resource in particular.
    Nothing,
    /// One that is not among the resources: it is not asked for.
    Other,
}

impl Associations {
    /// Each resource by the first pattern that its ARN has.
    pub(super) fn new<'r>(service: &'static Service, arns: impl Iterator<Item = &'r str>) -> Self {
        let patterns = &PATTERNS[service.namespace];
        let mut by_names: Vec<(&'static [String], ByValues)> =
            patterns.iter().map(|pattern| (pattern.names.as_slice(), HashMap::new())).collect();
        for (number, arn) in arns.enumerate() {
            let found = patterns.iter().enumerate().find_map(|(at, pattern)| Some((at, pattern.regex.captures(arn)?)));
            if let Some((at, captures)) = found {
                let values = captures.iter().skip(1).flatten().map(|value| value.as_str().to_owned()).collect();
                by_names[at].1.insert(values, number);
            }
        }
        by_names.retain(|(_, resources)| !resources.is_empty());
        by_names.sort_by_key(|(names, _)| std::cmp::Reverse(names.len()));
        Self { by_names }
    }

    pub(super) fn about(&self, namespace: &str, dimensions: &[(String, String)]) -> About {
        let mut could = false;
        for (names, resources) in &self.by_names {
            let value = |name: &String| dimensions.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
            let Some(mut values) = names.iter().map(value).collect::<Option<Vec<_>>>() else { continue };
            could = true;
            if let Some(number) = resources.get(&values) {
                return About::Resource(*number);
            }
            // The brokers of a pair have the number of each behind their name.
            if namespace == "AWS/AmazonMQ"
                && let [broker] = &mut values[..]
                && let Some((name, number)) = broker.rsplit_once('-')
                && number.bytes().all(|byte| byte.is_ascii_digit())
            {
                *broker = name.to_owned();
                if let Some(number) = resources.get(&values) {
                    return About::Resource(*number);
                }
            }
        }
        if could { About::Other } else { About::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(alias: &str, arns: &[&str], dimensions: &[(&str, &str)], expected: About) {
        let service = Service::of(alias).unwrap();
        let dimensions: Vec<_> = dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let found = Associations::new(service, arns.iter().copied()).about(service.namespace, &dimensions);
        assert_eq!(found, expected, "{alias} {dimensions:?}");
    }

    #[test]
    fn every_pattern_is_regular_and_every_alias_is_one_namespaces() {
        assert_eq!(PATTERNS.len(), SERVICES.len());
        for service in &SERVICES {
            assert_eq!(Service::of(service.alias).map(|found| found.namespace), Some(service.namespace));
            assert!(!service.resources.is_empty() && !service.arns.is_empty(), "{}", service.namespace);
        }
    }

    #[test]
    fn dimensions_name_resources() {
        let here = "eu-west-1:123456789012";
        let instance = format!("arn:aws:ec2:{here}:instance/i-1");
        check("ec2", &[&instance], &[("InstanceId", "i-1")], About::Resource(0));
        check("ec2", &[&instance], &[("InstanceId", "i-2")], About::Other);
        check("AWS/EC2", &[&instance], &[("ImageId", "ami-1")], About::Nothing);
        check("ec2", &[&instance], &[], About::Nothing);
        let (balancer, group) = (
            format!("arn:aws:elasticloadbalancing:{here}:loadbalancer/app/web/50dc"),
            format!("arn:aws:elasticloadbalancing:{here}:targetgroup/web/73e2"),
        );
        let both = [balancer.as_str(), &group];
        check("alb", &both, &[("LoadBalancer", "app/web/50dc"), ("AvailabilityZone", "a")], About::Resource(0));
        check("alb", &both, &[("TargetGroup", "targetgroup/web/73e2"), ("LoadBalancer", "app/other/1")], About::Resource(1));
        let (cluster, service) = (format!("arn:aws:ecs:{here}:cluster/shop"), format!("arn:aws:ecs:{here}:service/shop/web"));
        let both = [cluster.as_str(), &service];
        check("ecs-svc", &both, &[("ClusterName", "shop")], About::Resource(0));
        check("ecs-svc", &both, &[("ClusterName", "shop"), ("ServiceName", "web")], About::Resource(1));
        check("ecs-svc", &both, &[("ClusterName", "shop"), ("ServiceName", "other")], About::Resource(0));
        check("s3", &["arn:aws:s3:::logs"], &[("BucketName", "logs"), ("StorageType", "x")], About::Resource(0));
        check("sqs", &[&format!("arn:aws:sqs:{here}:jobs")], &[("QueueName", "jobs")], About::Resource(0));
        check("lambda", &[&format!("arn:aws:lambda:{here}:function:f")], &[("FunctionName", "f"), ("Resource", "f:1")], About::Resource(0));
        check(
            "rds",
            &[&format!("arn:aws:rds:{here}:cluster:c"), &format!("arn:aws:rds:{here}:db:d")],
            &[("DBInstanceIdentifier", "d")],
            About::Resource(1),
        );
        check(
            "kafka",
            &[&format!("arn:aws:kafka:{here}:cluster/k/uuid-1")],
            &[("Cluster Name", "k"), ("Broker ID", "1")],
            About::Resource(0),
        );
        check("logs", &[&format!("arn:aws:logs:{here}:log-group:/aws/lambda/f")], &[("LogGroupName", "/aws/lambda/f")], About::Resource(0));
        check("mq", &[&format!("arn:aws:mq:{here}:broker:q:b-1")], &[("Broker", "q-2")], About::Resource(0));
        check(
            "beanstalk",
            &[&format!("arn:aws:elasticbeanstalk:{here}:environment/app/env")],
            &[("EnvironmentName", "env")],
            About::Resource(0),
        );
        let machine = format!("arn:aws:states:{here}:stateMachine:m");
        check("sfn", &[&machine], &[("StateMachineArn", &machine)], About::Resource(0));
    }
}
