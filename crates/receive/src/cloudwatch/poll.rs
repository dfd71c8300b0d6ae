//! One job's loop: which series there are, what is new of them, and storing it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use model::{Error, Labels, Result, Table};
use tokio::sync::Semaphore;

use super::api::{self, QUERIES_MAX, Query, Question, Resource};
use super::config::{Found, Job};
use super::naming::{label_name, metric_name};
use super::services::{About, Associations, Service};
use super::window::{Seen, Window};
use crate::Receivers;
use crate::aws::{Aws, Options, World};
use crate::body::Held;
use crate::outcome::{Outcome, unreadable};
use crate::series::SeriesTable;

const PROTOCOL: &str = "cloudwatch";
const COUNTER: &str = "tyto_cloudwatch_requests_total";
/// Metrics of long periods are asked for no more often than this.
const EVERY_MAX: Duration = Duration::from_secs(3600);
/// What is said of resources is said again after this long, so that a query of now finds it.
const INFO_EVERY: Duration = Duration::from_secs(60);
/// Of one job.
const SERIES_MAX: usize = 200_000;
/// Of one batch.
const POINTS_AT_ONCE: usize = 50_000;
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// What all jobs use together.
pub(super) struct Shared {
    pub(super) receivers: Receivers,
    pub(super) interval: Duration,
    /// Questions under way at one time.
    pub(super) turns: Semaphore,
}

/// A point of a series with its name and labels.
type Point = (String, Labels, i64, f64);

pub(super) struct Poll {
    job: Arc<Job>,
    shared: Arc<Shared>,
    aws: Option<(Aws, String)>,
    /// When each metric is asked for next.
    due_ms: Vec<i64>,
    /// Whether each metric has been asked for since the start.
    begun: Vec<bool>,
    seen: HashMap<Query, Seen>,
    info: Vec<Labels>,
}

/// A series that is asked for now.
struct Asked {
    query: Query,
    labels: Labels,
    metric: usize,
    window: Window,
}

impl Poll {
    pub(super) fn new(job: Arc<Job>, shared: Arc<Shared>) -> Self {
        let count = job.metrics.len();
        Self { job, shared, aws: None, due_ms: vec![0; count], begun: vec![false; count], seen: HashMap::new(), info: Vec::new() }
    }

    /// Never ends by itself; a failure is told and counted, and the next turn makes up for it.
    pub(super) async fn run(mut self) {
        if matches!(self.job.found, Found::Tagged { .. }) && Service::of(&self.job.namespace).is_none() {
            tracing::warn!("{}: its metrics have no tags: Tyto does not know what their dimensions name", self.job.name);
        }
        loop {
            let due: Vec<usize> = (0..self.due_ms.len()).filter(|at| self.due_ms[*at] <= self.now_ms()).collect();
            let turn = if due.is_empty() { self.tell_info(self.info.clone()).await } else { self.turn(&due).await };
            metrics::counter!("tyto_cloudwatch_polls_total", "result" => if turn.is_ok() { "ok" } else { "failed" }).increment(1);
            if let Err(error) = turn {
                tracing::warn!("{} in {}: {}", self.job.name, self.job.region, error.chain());
            }
            let next_ms = self.due_ms.iter().copied().min().unwrap_or_default() - self.now_ms();
            let next = Duration::from_millis(next_ms.max(1).cast_unsigned());
            tokio::time::sleep(if self.info.is_empty() { next } else { next.min(INFO_EVERY) }).await;
        }
    }

    fn now_ms(&self) -> i64 {
        (self.shared.receivers.clock)() / 1_000_000
    }

    async fn turn(&mut self, due: &[usize]) -> Result<()> {
        // Also after a failure the next turn comes at its time.
        for at in due {
            let period = Duration::from_millis(self.job.metrics[*at].rhythm.period_ms.cast_unsigned());
            let every = period.min(EVERY_MAX).max(self.shared.interval);
            self.due_ms[*at] = self.now_ms() + every.as_millis() as i64;
        }
        let (aws, account) = match self.aws.take() {
            Some(known) => known,
            None => self.connect().await?,
        };
        self.aws = Some((aws.clone(), account.clone()));
        let (resources, none_fit) = self.resources(&aws).await?;
        self.describe(&resources, &account).await?;
        if none_fit {
            return Ok(());
        }
        let asked = self.asked(&aws, &account, due, &resources).await?;
        metrics::counter!("tyto_cloudwatch_metrics_requested_total").increment(asked.len() as u64);
        self.ask(&aws, asked).await?;
        due.iter().for_each(|at| self.begun[*at] = true);
        Ok(())
    }

    async fn connect(&self) -> Result<(Aws, String)> {
        let job = &self.job;
        let options =
            Options { region: Some(job.region.clone()), role: job.role.clone(), sts_region: job.sts_region.clone(), ..Options::default() };
        let http = reqwest::Client::builder().build();
        let http = http.map_err(|error| Error::unavailable("cannot make an HTTP client").because(error))?;
        let aws = Aws::connect(&options, http, World::real(), COUNTER).await?;
        let account = api::account_id(&aws).await?;
        Ok((aws, account))
    }

    /// Those with the tags that are searched for; and whether there must be one and is none.
    async fn resources(&self, aws: &Aws) -> Result<(Vec<Resource>, bool)> {
        let (Found::Tagged { search, .. }, Some(service)) = (&self.job.found, Service::of(&self.job.namespace)) else {
            return Ok((Vec::new(), false));
        };
        let keys: Vec<&str> = search.iter().map(|(key, _)| key.as_str()).collect();
        let mut found = api::resources(aws, service.resources, &keys).await?;
        let fits = |resource: &Resource| {
            search.iter().all(|(key, value)| resource.tags.iter().any(|tag| tag.key == *key && value.0.is_match(&tag.value)))
        };
        found.retain(fits);
        let none_fit = found.is_empty() && !search.is_empty();
        Ok((found, none_fit))
    }

    /// Tells what resources there are; those that are gone end.
    async fn describe(&mut self, resources: &[Resource], account: &str) -> Result<()> {
        let Found::Tagged { info_context, .. } = &self.job.found else { return Ok(()) };
        let info = |resource: &Resource| {
            let mut labels = vec![("name".to_owned(), resource.arn.clone())];
            let tags = resource.tags.iter().filter_map(|tag| Some((label_name("tag_", &tag.key)?, tag.value.clone())));
            labels.extend(tags);
            if *info_context {
                labels.extend(self.context(account));
            }
            Labels::from_pairs(labels)
        };
        let fresh: Vec<Labels> = resources.iter().map(info).collect();
        let (name, now_ms) = (metric_name(&self.job.namespace, "info", ""), self.now_ms());
        let there: HashSet<&Labels> = fresh.iter().collect();
        let gone = self.info.iter().filter(|labels| !there.contains(labels));
        let ends: Vec<Point> = gone.map(|labels| (name.clone(), labels.clone(), now_ms, STALE)).collect();
        self.store(ends).await?;
        self.tell_info(fresh.clone()).await?;
        self.info = fresh;
        Ok(())
    }

    async fn tell_info(&self, info: Vec<Labels>) -> Result<()> {
        let (name, now_ms) = (metric_name(&self.job.namespace, "info", ""), self.now_ms());
        self.store(info.into_iter().map(|labels| (name.clone(), labels, now_ms, 0.0)).collect()).await
    }

    /// Labels of every series of the job.
    fn context(&self, account: &str) -> Vec<(String, String)> {
        let mut labels = vec![("region".to_owned(), self.job.region.clone()), ("account_id".to_owned(), account.to_owned())];
        let custom = self.job.custom_tags.iter().filter_map(|(key, value)| Some((label_name("custom_tag_", key)?, value.clone())));
        labels.extend(custom);
        labels
    }

    async fn asked(&mut self, aws: &Aws, account: &str, due: &[usize], resources: &[Resource]) -> Result<Vec<Asked>> {
        let job = self.job.clone();
        let service = Service::of(&job.namespace).filter(|_| !resources.is_empty());
        let associations = service.map(|service| Associations::new(service, resources.iter().map(|resource| resource.arn.as_str())));
        let (now_ms, mut asked) = (self.now_ms(), Vec::new());
        for at in due {
            let metric = &job.metrics[*at];
            let listed = match &job.found {
                Found::Written { dimensions, .. } => vec![dimensions.clone()],
                _ => api::list(aws, &job.namespace, &metric.name, job.recently_active).await?,
            };
            for dimensions in listed {
                let needed = &job.dimension_names;
                let fits = needed.len() == dimensions.len() && dimensions.iter().all(|(name, _)| needed.contains(name));
                if !needed.is_empty() && !fits {
                    continue;
                }
                let about = associations.as_ref().map_or(About::Nothing, |known| known.about(&job.namespace, &dimensions));
                let resource = match about {
                    About::Other => continue,
                    About::Resource(number) => Some(&resources[number]),
                    About::Nothing => None,
                };
                let labels = self.labels(&dimensions, resource, account);
                for statistic in &metric.statistics {
                    let query = Query { metric: metric.name.clone(), statistic: statistic.clone(), dimensions: dimensions.clone() };
                    let seen = self.seen.entry(query.clone()).or_default();
                    let window = seen.window(&metric.rhythm, now_ms, !self.begun[*at]);
                    asked.push(Asked { query, labels: labels.clone(), metric: *at, window });
                }
                if self.seen.len() > SERIES_MAX {
                    return Err(Error::new(
                        model::Code::TooLarge,
                        format!("cannot ask for more than series_max, {SERIES_MAX}, series in a job"),
                    ));
                }
            }
        }
        let names: Vec<&str> = due.iter().map(|at| job.metrics[*at].name.as_str()).collect();
        let current: HashSet<&Query> = asked.iter().map(|asked| &asked.query).collect();
        self.seen.retain(|query, _| current.contains(query) || !names.contains(&query.metric.as_str()));
        Ok(asked)
    }

    fn labels(&self, dimensions: &[(String, String)], resource: Option<&Resource>, account: &str) -> Labels {
        let mut labels = self.context(account);
        labels.extend(dimensions.iter().filter_map(|(name, value)| Some((label_name("dimension_", name)?, value.clone()))));
        let name = match (&self.job.found, resource) {
            (Found::Written { name, .. } | Found::Listed { name }, _) => name,
            (_, Some(resource)) => &resource.arn,
            (_, None) => "global",
        };
        labels.push(("name".to_owned(), name.to_owned()));
        if let (Found::Tagged { exported, .. }, Some(resource)) = (&self.job.found, resource) {
            let tags = resource.tags.iter().filter(|tag| exported.contains(&tag.key));
            labels.extend(tags.filter_map(|tag| Some((label_name("tag_", &tag.key)?, tag.value.clone()))));
        }
        labels.sort();
        labels.dedup_by(|later, earlier| later.0 == earlier.0);
        Labels::from_pairs(labels)
    }

    /// Asks for all series, those of one window and period together. One question that fails does not keep others from being asked.
    async fn ask(&mut self, aws: &Aws, mut asked: Vec<Asked>) -> Result<()> {
        let job = self.job.clone();
        let alike = |one: &Asked| (one.window, job.metrics[one.metric].rhythm.period_ms);
        asked.sort_by_key(alike);
        let mut questions = Vec::new();
        for group in asked.chunk_by(|a, b| alike(a) == alike(b)) {
            for part in group.chunks(QUERIES_MAX) {
                let seen: Vec<Seen> = part.iter().map(|one| self.seen.get(&one.query).cloned().unwrap_or_default()).collect();
                questions.push((part, seen));
            }
        }
        let mut work = Vec::with_capacity(questions.len());
        let mut parts = Vec::with_capacity(questions.len());
        for (part, seen) in questions {
            parts.push(part);
            work.push(self.question(aws, part, seen));
        }
        // `turns` bounds how many are under way.
        let answered = futures::future::join_all(work).await;
        let mut failed = None;
        for (part, (seen, result)) in parts.into_iter().zip(answered) {
            for (one, seen) in part.iter().zip(seen) {
                self.seen.insert(one.query.clone(), seen);
            }
            failed = result.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    /// What is remembered of the series afterwards, also of those that were stored before something failed.
    async fn question(&self, aws: &Aws, part: &[Asked], mut seen: Vec<Seen>) -> (Vec<Seen>, Result<()>) {
        let result = self.pages(aws, part, &mut seen).await;
        (seen, result)
    }

    async fn pages(&self, aws: &Aws, part: &[Asked], seen: &mut [Seen]) -> Result<()> {
        let Some(first) = part.first() else { return Ok(()) };
        let turn = self.shared.turns.acquire().await;
        let (job, window) = (&self.job, first.window);
        let period_ms = job.metrics[first.metric].rhythm.period_ms;
        let queries = part.iter().map(|one| &one.query);
        let mut question = Question::new(aws, &job.namespace, period_ms, window, queries);
        let mut failed = vec![false; part.len()];
        while let Some(answers) = question.next().await? {
            let mut fresh = Vec::new();
            for (number, answer) in answers.into_iter().filter(|(number, _)| *number < part.len()) {
                failed[number] |= answer.failed;
                let points = answer.points.into_iter().filter(|(time_ms, value)| seen[number].is_news(*time_ms, *value));
                fresh.extend(points.map(|(time_ms, value)| (number, time_ms, value)));
            }
            self.take(part, seen, fresh).await?;
        }
        drop(turn);
        let is_zero = |one: &Asked| job.metrics[one.metric].nil_to_zero;
        let whole = |number: &usize| !failed[*number];
        let mut zeros = Vec::new();
        for number in (0..part.len()).filter(whole).filter(|number| is_zero(&part[*number])) {
            zeros.extend(seen[number].empty(window, period_ms).into_iter().map(|time_ms| (number, time_ms, 0.0)));
        }
        self.take(part, seen, zeros).await?;
        for number in (0..part.len()).filter(whole) {
            seen[number].finish(window, &job.metrics[part[number].metric].rhythm);
        }
        match failed.iter().filter(|failed| **failed).count() {
            0 => Ok(()),
            count => Err(Error::unavailable(format!(
                "cannot ask for {count} series: CloudWatch has no answer for them; they are asked for again"
            ))),
        }
    }

    /// Stores points, by the number of their series, and remembers them.
    async fn take(&self, part: &[Asked], seen: &mut [Seen], points: Vec<(usize, i64, f64)>) -> Result<()> {
        let point = |(number, time_ms, value): &(usize, i64, f64)| {
            let Asked { query: Query { metric, statistic, .. }, labels, .. } = &part[*number];
            (metric_name(&self.job.namespace, metric, statistic), labels.clone(), *time_ms, *value)
        };
        for points in points.chunks(POINTS_AT_ONCE) {
            self.store(points.iter().map(point).collect()).await?;
            points.iter().for_each(|(number, time_ms, value)| seen[*number].stored(*time_ms, *value));
        }
        Ok(())
    }

    /// The way of every received sample.
    async fn store(&self, points: Vec<Point>) -> Result<()> {
        if points.is_empty() {
            return Ok(());
        }
        let receivers = &self.shared.receivers;
        let held = Held { bytes: bytes::Bytes::new(), share: receivers.budget.share() };
        let count = points.len() as u64;
        let ack = receivers.take(PROTOCOL, held, move |_, rules, _| decode(&points, rules)).await?;
        metrics::counter!("tyto_cloudwatch_samples_total").increment(count);
        if let Some(refused) = ack.rejections.first() {
            tracing::warn!("{}: not all samples are taken: {}: {}", self.job.name, refused.field, refused.why);
        }
        Ok(())
    }
}

fn decode(points: &[Point], rules: &crate::Rules<'_>) -> Result<model::Decoded> {
    let mut outcome = Outcome::new(rules.limits);
    let mut table = SeriesTable::default();
    let too_large = |malformed| unreadable("CloudWatch's answer", malformed);
    table.begin_metric(&crate::series::Metric { kind: "gauge", ..Default::default() }, &mut outcome).map_err(too_large)?;
    for (name, labels, time_ms, value) in points {
        let point_time = rules.time_unix_milli(*time_ms).and_then(|_| rules.check_labels(labels.iter()));
        if let Err(fault) = point_time {
            outcome.reject(1, fault, || name.clone());
            continue;
        }
        let series = table.series(name, labels.iter(), &mut outcome).map_err(too_large)?;
        table.float(series, *time_ms, *value, &mut outcome).map_err(too_large)?;
    }
    let records = table.into_batch(&mut outcome);
    Ok(outcome.finish(rules, Table::Samples, model::Naming::Labels, records))
}
