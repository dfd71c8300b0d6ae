//! What is asked of AWS, and its answers as values.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat};
use model::{Code, Error, Result};
use serde::Deserialize;
use serde_json::json;

use super::window::Window;
use crate::aws::{Aws, Element, Service};

/// Metrics that one question may name, as AWS has it.
pub(super) const QUERIES_MAX: usize = 500;
/// Of one list or one question.
const PAGES_MAX: usize = 2000;
/// Series of one metric, or resources of one job.
const LISTED_MAX: usize = 200_000;

/// A resource and its tags.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct Resource {
    #[serde(rename = "ResourceARN")]
    pub(super) arn: String,
    #[serde(rename = "Tags")]
    pub(super) tags: Vec<Tag>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Tag {
    pub(super) key: String,
    pub(super) value: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Resources {
    resource_tag_mapping_list: Vec<Resource>,
    pagination_token: String,
}

/// One series as CloudWatch knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Query {
    pub(super) metric: String,
    pub(super) statistic: String,
    /// Sorted by name.
    pub(super) dimensions: Vec<(String, String)>,
}

/// What came of one query in one page.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) points: Vec<(i64, f64)>,
    /// CloudWatch could not answer it, and says so.
    pub(super) failed: bool,
}

pub(super) async fn account_id(aws: &Aws) -> Result<String> {
    let answer = aws.query(&Service::STS, "GetCallerIdentity", &[]).await?;
    Ok(answer.text("GetCallerIdentityResult/Account").to_owned())
}

/// Resources of these types that have tags of all these names.
pub(super) async fn resources(aws: &Aws, types: &[&str], tags: &[&str]) -> Result<Vec<Resource>> {
    let tags: Vec<_> = tags.iter().map(|key| json!({ "Key": key })).collect();
    let (mut found, mut token) = (Vec::new(), String::new());
    for _ in 0..PAGES_MAX {
        let mut asked = json!({ "ResourceTypeFilters": types, "ResourcesPerPage": 100 });
        if !tags.is_empty() {
            asked["TagFilters"] = tags.clone().into();
        }
        if !token.is_empty() {
            asked["PaginationToken"] = token.into();
        }
        let page: Resources = aws.json(&Service::TAGGING, "GetResources", &asked).await?;
        found.extend(page.resource_tag_mapping_list);
        token = page.pagination_token;
        if token.is_empty() {
            return Ok(found);
        }
    }
    Err(too_many("resources", PAGES_MAX))
}

/// The dimensions of a metric's series, each sorted by name.
pub(super) async fn list(aws: &Aws, namespace: &str, metric: &str, recently_active: bool) -> Result<Vec<Vec<(String, String)>>> {
    let mut parameters = vec![("Namespace".to_owned(), namespace.to_owned()), ("MetricName".to_owned(), metric.to_owned())];
    if recently_active {
        parameters.push(("RecentlyActive".to_owned(), "PT3H".to_owned()));
    }
    let mut found = Vec::new();
    loop {
        let answer = aws.query(&Service::MONITORING, "ListMetrics", &parameters).await?;
        found.extend(answer.list("ListMetricsResult/Metrics").iter().map(dimensions));
        if found.len() > LISTED_MAX {
            return Err(too_many("series", LISTED_MAX));
        }
        if !turn_page(&mut parameters, answer.text("ListMetricsResult/NextToken")) {
            return Ok(found);
        }
    }
}

fn too_many(what: &str, max: usize) -> Error {
    Error::new(Code::TooLarge, format!("cannot take all {what}: there are more than {max} of them or of their pages"))
}

fn dimensions(metric: &Element) -> Vec<(String, String)> {
    let one = |one: &Element| (one.text("Name").to_owned(), one.text("Value").to_owned());
    let mut dimensions: Vec<_> = metric.list("Dimensions").iter().map(one).collect();
    dimensions.sort();
    dimensions
}

/// False after the last page.
fn turn_page(parameters: &mut Vec<(String, String)>, token: &str) -> bool {
    parameters.retain(|(name, _)| name != "NextToken");
    parameters.push(("NextToken".to_owned(), token.to_owned()));
    !token.is_empty()
}

/// A question for the points of several series, page by page.
pub(super) struct Question<'a> {
    aws: &'a Aws,
    parameters: Option<Vec<(String, String)>>,
    pages: usize,
}

impl<'a> Question<'a> {
    pub(super) fn new<'q>(aws: &'a Aws, namespace: &str, period_ms: i64, window: Window, queries: impl Iterator<Item = &'q Query>) -> Self {
        let period = (period_ms / 1000).to_string();
        let mut parameters = vec![
            ("StartTime".to_owned(), time_text(window.start_ms)),
            ("EndTime".to_owned(), time_text(window.end_ms)),
            ("ScanBy".to_owned(), "TimestampAscending".to_owned()),
        ];
        for (number, query) in queries.enumerate() {
            let head = format!("MetricDataQueries.member.{}", number + 1);
            let mut add = |name: &str, value: &str| parameters.push((format!("{head}.{name}"), value.to_owned()));
            add("Id", &format!("m{number}"));
            add("MetricStat.Metric.Namespace", namespace);
            add("MetricStat.Metric.MetricName", &query.metric);
            for (at, (name, value)) in (1..).zip(&query.dimensions) {
                add(&format!("MetricStat.Metric.Dimensions.member.{at}.Name"), name);
                add(&format!("MetricStat.Metric.Dimensions.member.{at}.Value"), value);
            }
            add("MetricStat.Period", &period);
            add("MetricStat.Stat", &query.statistic);
            add("ReturnData", "true");
        }
        Self { aws, parameters: Some(parameters), pages: 0 }
    }

    /// The next page's answers by the number of their query; none after the last page.
    pub(super) async fn next(&mut self) -> Result<Option<HashMap<usize, Answer>>> {
        let Some(mut parameters) = self.parameters.take() else { return Ok(None) };
        let answer = self.aws.query(&Service::MONITORING, "GetMetricData", &parameters).await?;
        self.pages += 1;
        if turn_page(&mut parameters, answer.text("GetMetricDataResult/NextToken")) {
            if self.pages >= PAGES_MAX {
                return Err(too_many("points", PAGES_MAX));
            }
            self.parameters = Some(parameters);
        }
        answers(&answer).map(Some)
    }
}

fn time_text(time_ms: i64) -> String {
    DateTime::from_timestamp_millis(time_ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn answers(answer: &Element) -> Result<HashMap<usize, Answer>> {
    let unreadable = |what: &str| Error::unavailable(format!("cannot read what AWS answers to GetMetricData: {what:?}"));
    let mut found: HashMap<usize, Answer> = HashMap::new();
    for result in answer.list("GetMetricDataResult/MetricDataResults") {
        let id = result.text("Id");
        let number = id.strip_prefix('m').and_then(|number| number.parse().ok()).ok_or_else(|| unreadable(id))?;
        let answer = found.entry(number).or_default();
        // `Complete`, and `PartialData` when a further page has more.
        answer.failed |= matches!(result.text("StatusCode"), "InternalError" | "Forbidden");
        let (times, values) = (result.list("Timestamps"), result.list("Values"));
        for (time, value) in times.iter().zip(values) {
            let (time, value) = (time.own_text(), value.own_text());
            let parsed = DateTime::parse_from_rfc3339(time).map_err(|_| unreadable(time))?;
            answer.points.push((parsed.timestamp_millis(), value.parse().map_err(|_| unreadable(value))?));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let xml = b"<GetMetricDataResponse><GetMetricDataResult><MetricDataResults>
            <member><Id>m0</Id><Label>x</Label><Timestamps><member>2026-01-01T00:00:00Z</member><member>2026-01-01T00:01:00+00:00</member>
             </Timestamps><Values><member>1.5</member><member>2E-3</member></Values><StatusCode>Complete</StatusCode></member>
            <member><Id>m1</Id><Timestamps/><Values/><StatusCode>InternalError</StatusCode></member>
            </MetricDataResults><NextToken>n</NextToken></GetMetricDataResult></GetMetricDataResponse>";
        let found = answers(&crate::aws::parse_xml(xml).unwrap()).unwrap();
        let begin = 1_767_225_600_000;
        assert_eq!(found[&0], Answer { points: vec![(begin, 1.5), (begin + 60_000, 0.002)], failed: false });
        assert_eq!(found[&1], Answer { points: Vec::new(), failed: true });
        assert_eq!(time_text(begin + 999), "2026-01-01T00:00:00Z");
    }
}
