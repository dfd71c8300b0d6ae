//! Names of metrics and labels as YACE makes them.

/// `AWS/EC2`, `CPUUtilization`, `Average` is `aws_ec2_cpuutilization_average`.
pub(super) fn metric_name(namespace: &str, metric: &str, statistic: &str) -> String {
    let namespace = snake(&namespace.strip_prefix('/').unwrap_or(namespace).to_lowercase());
    let metric = snake(metric);
    // What the metric's name repeats of its namespace's: `Glue`, `glue.driver.x`.
    let repeated = namespace
        .split('_')
        .fold(0, |skipped, part| if metric.get(skipped..).is_some_and(|rest| rest.starts_with(part)) { part.len() } else { skipped });
    let own = metric.get(repeated..).unwrap_or(&metric);
    let aws = if namespace.starts_with("aws") { "" } else { "aws_" };
    let mut name = format!("{aws}{namespace}_{}", own.strip_prefix('_').unwrap_or(own));
    if !statistic.is_empty() {
        name.push('_');
        name.push_str(&snake(statistic));
    }
    name
}

/// The name of a label for a dimension's or a tag's: its case is kept. None when it cannot be one.
pub(super) fn label_name(prefix: &str, key: &str) -> Option<String> {
    let mut name = prefix.to_owned();
    for c in key.chars() {
        match c {
            '%' => name.push_str("_percent"),
            c if is_separator(c) => name.push('_'),
            c => name.push(c),
        }
    }
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then_some(name)
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | ',' | '\t' | '/' | '\\' | '.' | '-' | ':' | '=' | '@' | '<' | '>' | '(' | ')' | '\u{201c}')
}

fn snake(text: &str) -> String {
    let (mut name, mut before) = (String::new(), None::<char>);
    for c in text.chars() {
        match c {
            '%' => name.push_str("_percent"),
            c if is_separator(c) => name.push('_'),
            c => {
                if c.is_uppercase() && before.is_some_and(|before| before.is_lowercase() || before.is_numeric()) {
                    name.push('_');
                }
                name.extend(c.to_lowercase());
            }
        }
        before = Some(c);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected names from YACE's documentation, examples and dashboards.
    #[test]
    fn names_are_those_of_yace() {
        for (namespace, metric, statistic, expected) in [
            ("AWS/EC2", "CPUUtilization", "Average", "aws_ec2_cpuutilization_average"),
            ("AWS/ElastiCache", "CPUUtilization", "Average", "aws_elasticache_cpuutilization_average"),
            ("AWS/ApplicationELB", "HTTPCode_Target_2XX_Count", "Sum", "aws_applicationelb_httpcode_target_2_xx_count_sum"),
            ("AWS/RDS", "DatabaseConnections", "p99.9", "aws_rds_database_connections_p99_9"),
            ("AWS/S3", "BucketSizeBytes", "Average", "aws_s3_bucket_size_bytes_average"),
            ("AWS/SQS", "NumberOfMessagesSent", "SampleCount", "aws_sqs_number_of_messages_sent_sample_count"),
            ("Glue", "glue.driver.aggregate.bytesRead", "Sum", "aws_glue_driver_aggregate_bytes_read_sum"),
            ("/aws/sagemaker/TrainingJobs", "MemoryUtilization", "Maximum", "aws_sagemaker_trainingjobs_memory_utilization_maximum"),
            ("CWAgent", "cpu_usage_idle", "Average", "aws_cwagent_cpu_usage_idle_average"),
            ("AWS/EC2", "info", "", "aws_ec2_info"),
        ] {
            assert_eq!(metric_name(namespace, metric, statistic), expected);
        }
    }

    #[test]
    fn labels_keep_their_case() {
        assert_eq!(label_name("dimension_", "InstanceId").as_deref(), Some("dimension_InstanceId"));
        assert_eq!(label_name("tag_", "aws:cloudformation:stack-name").as_deref(), Some("tag_aws_cloudformation_stack_name"));
        assert_eq!(label_name("dimension_", "Cluster Name").as_deref(), Some("dimension_Cluster_Name"));
        assert_eq!(label_name("tag_", "caf\u{e9}"), None);
    }
}
