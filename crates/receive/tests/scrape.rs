//! Real targets over real sockets, scraped into a store that remembers what it is told.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use axum::routing::get;
use model::samples::SamplesView;
use model::{Ack, Decoded, Health, Ingest, KnownSeries, ReceiveLimits, Result, Targets};
use receive::Receivers;
use receive::scrape::{ScrapeConfig, Scraper};
use tempfile::TempDir;
use tokio::net::TcpListener;

const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Keeps every point by the text of its series, and knows series by number as the shard does.
#[derive(Default)]
struct Store {
    points: Mutex<BTreeMap<String, Vec<(i64, f64)>>>,
    numbers: Mutex<Vec<String>>,
    told_whole: Mutex<usize>,
    forgets: Mutex<bool>,
}

#[async_trait]
impl Ingest<Decoded> for Store {
    async fn ingest(&self, batch: Decoded) -> Result<Ack> {
        if !batch.known.is_empty() && std::mem::take(&mut *self.forgets.lock().unwrap()) {
            return Ok(Ack { forgotten: true, ..Ack::default() });
        }
        let (mut points, mut numbers) = (self.points.lock().unwrap(), self.numbers.lock().unwrap());
        let view = SamplesView::of(&batch.records)?;
        let mut series = Vec::new();
        for row in 0..batch.records.num_rows() {
            let name = view.label_set(row).to_string();
            let (times, values) = (view.timestamps(row)?, view.floats(row).unwrap_or_default());
            if !values.is_empty() {
                points.entry(name.clone()).or_default().extend(times.iter().copied().zip(values.iter().copied()));
                *self.told_whole.lock().unwrap() += 1;
            }
            series.push(KnownSeries { slot: numbers.len() as u32, ..KnownSeries::default() });
            numbers.push(name);
        }
        for (series, range) in batch.known.runs() {
            let name = numbers[series.slot as usize].clone();
            points.entry(name).or_default().extend(range.map(|at| (batch.known.times_ms[at], batch.known.values[at])));
        }
        Ok(Ack { series, ..Ack::default() })
    }
}

impl Store {
    fn values(&self, series: &str) -> Vec<f64> {
        self.points.lock().unwrap().get(series).into_iter().flatten().map(|(_, value)| *value).collect()
    }

    fn last(&self, series: &str) -> Option<f64> {
        self.values(series).last().copied()
    }

    fn is_stale(&self, series: &str) -> bool {
        self.last(series).is_some_and(|value| value.to_bits() == STALE)
    }

    fn names(&self) -> Vec<String> {
        self.points.lock().unwrap().keys().cloned().collect()
    }
}

/// What the target answers now; the headers it was last asked with.
#[derive(Clone, Default)]
struct Page {
    body: Arc<Mutex<String>>,
    status: Arc<Mutex<u16>>,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn page(State(page): State<Page>, request: Request) -> impl IntoResponse {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    page.asked.lock().unwrap().push(format!("{} {} {}", request.uri(), header("authorization"), header("accept")));
    let status = http::StatusCode::from_u16(200.max(*page.status.lock().unwrap())).unwrap();
    (status, [("content-type", "text/plain; version=0.0.4")], page.body.lock().unwrap().clone())
}

struct Setup {
    folder: TempDir,
    store: Arc<Store>,
    page: Page,
    address: SocketAddr,
    scraper: Option<Arc<Scraper>>,
}

async fn setup(body: &str) -> Setup {
    let page_state = Page::default();
    *page_state.body.lock().unwrap() = body.to_owned();
    let app = Router::new().route("/metrics", get(page)).route("/other", get(page)).with_state(page_state.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Setup { folder: tempfile::tempdir().unwrap(), store: Arc::default(), page: page_state, address, scraper: None }
}

impl Setup {
    fn write(&self, config: &str) -> std::path::PathBuf {
        let path = self.folder.path().join("prometheus.yml");
        let text = config.replace("ADDRESS", &self.address.to_string());
        std::fs::write(&path, format!("global: {{scrape_interval: 50ms, scrape_timeout: 50ms}}\n{text}")).unwrap();
        path
    }

    async fn scrape(&mut self, config: &str) -> Arc<Scraper> {
        let path = self.write(config);
        let config = ScrapeConfig::load(&path).unwrap_or_else(|problems| panic!("{problems:?}"));
        let receivers = Receivers::new(self.store.clone(), ReceiveLimits::default());
        let scraper = Scraper::start(&path, config, receivers);
        self.scraper = Some(scraper.clone());
        scraper
    }

    /// Waits until something holds.
    async fn until(&self, what: &str, holds: impl Fn(&Store) -> bool) {
        for _ in 0..400 {
            if holds(&self.store) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("not within 10 s: {what}; there is {:?}", self.store.names());
    }

    fn series(&self, name: &str, labels: &str) -> String {
        format!("{{__name__=\"{name}\", {labels}instance=\"{}\", job=\"shop\"}}", self.address)
    }
}

const SHOP: &str = "scrape_configs: [{job_name: shop, static_configs: [{targets: [ADDRESS]}]}]";

#[tokio::test]
async fn series_come_go_and_come_back() {
    let mut setup = setup("# TYPE a counter\na{x=\"1\"} 5\nb 7\nb 8\ninstance_named{instance=\"theirs\"} 1\n").await;
    let scraper = setup.scrape(SHOP).await;
    let a = format!("{{__name__=\"a\", instance=\"{}\", job=\"shop\", x=\"1\"}}", setup.address);
    let b = setup.series("b", "");
    let up = setup.series("up", "");
    setup.until("two scrapes", |store| store.values(&a).len() > 1).await;
    assert_eq!((setup.store.last(&a), setup.store.last(&up)), (Some(5.0), Some(1.0)));
    assert_eq!(setup.store.values(&b)[..2], [7.0, 7.0], "of two samples of one series the first counts");
    let exported = format!("exported_instance=\"theirs\", instance=\"{}\", job=\"shop\"}}", setup.address);
    assert!(setup.store.names().iter().any(|name| name.ends_with(&exported)), "{:?}", setup.store.names());
    let scraped = setup.series("scrape_samples_scraped", "");
    let added = setup.series("scrape_series_added", "");
    assert_eq!(setup.store.last(&scraped), Some(4.0));
    assert_eq!(setup.store.values(&added)[..2], [3.0, 0.0]);
    assert_eq!(*setup.store.told_whole.lock().unwrap(), 8, "series are told whole once");

    *setup.page.body.lock().unwrap() = "b 9\n".to_owned();
    setup.until("the end of a", |store| store.is_stale(&a)).await;
    assert_eq!(setup.store.last(&b), Some(9.0));
    *setup.page.status.lock().unwrap() = 500;
    setup.until("a failed scrape", |store| store.is_stale(&b)).await;
    assert_eq!(setup.store.last(&up), Some(0.0));
    let target = &scraper.active()[0];
    assert_eq!((target.health, target.last_error.contains("500")), (Health::Down, true), "{}", target.last_error);
    *setup.page.status.lock().unwrap() = 200;
    setup.until("b again", |store| store.last(&b) == Some(9.0)).await;
    let whole = *setup.store.told_whole.lock().unwrap();
    *setup.store.forgets.lock().unwrap() = true;
    setup.until("all told whole again", |store| *store.told_whole.lock().unwrap() >= whole + 6).await;
    let markers = setup.store.values(&b).iter().filter(|value| value.to_bits() == STALE).count();
    assert_eq!(markers, 1, "one end is marked once");
    assert_eq!(scraper.metadata()[0].1.len(), 0, "what is said of families goes with them");

    // A stop marks no ends: the next start goes on.
    scraper.stop().await;
    assert!(!setup.store.is_stale(&b));
}

#[tokio::test]
async fn a_reload_keeps_what_is_unchanged_and_ends_what_is_gone() {
    let mut setup = setup("a 1\n").await;
    let two = "scrape_configs:\n- {job_name: shop, static_configs: [{targets: [ADDRESS]}]}\n\
               - {job_name: other, metrics_path: /other, static_configs: [{targets: [ADDRESS]}]}\n";
    let scraper = setup.scrape(two).await;
    let a = setup.series("a", "");
    let other = a.replace("shop", "other");
    setup.until("both", |store| store.last(&a).is_some() && store.last(&other).is_some()).await;
    assert_eq!(scraper.pools(), ["other", "shop"]);

    setup.write("scrape_configs: [{job_name: shop, static_confgs: []}]");
    let problems = scraper.reload().unwrap_err();
    assert!(problems[0].to_string().contains("prometheus.yml:2:35: cannot use key \"static_confgs\""), "{problems:?}");
    assert!(problems[0].what.ends_with("did you mean \"static_configs\"?"), "{problems:?}");

    // The pool's configuration changes, its target does not: no series ends.
    setup.write(&SHOP.replace("job_name: shop", "job_name: shop, sample_limit: 100"));
    scraper.reload().unwrap();
    setup.until("the end of the other", |store| store.is_stale(&other) && store.is_stale(&other.replace("\"a\"", "\"up\""))).await;
    let before = setup.store.values(&a).len();
    setup.until("more of a", |store| store.values(&a).len() > before + 2).await;
    assert!(setup.store.values(&a).iter().all(|value| *value == 1.0));

    setup.write(&SHOP.replace("ADDRESS", "ADDRESS, 127.0.0.1:1").replace("job_name: shop", "job_name: shop, target_limit: 1"));
    scraper.reload().unwrap();
    let told = || scraper.active().iter().all(|target| !target.last_error.is_empty() || target.health == Health::Unknown);
    setup.until("too many targets", |store| store.is_stale(&a) && told()).await;
    scraper.stop().await;
}

#[tokio::test]
async fn files_bring_targets_and_take_them_away() {
    let mut setup = setup("a 1\n").await;
    let targets = setup.folder.path().join("targets.json");
    std::fs::write(&targets, format!("[{{\"targets\": [\"{}\", \"dropped:1\"], \"labels\": {{\"env\": \"prod\"}}}}]", setup.address))
        .unwrap();
    let config = "scrape_configs: [{job_name: shop, file_sd_configs: [{files: ['*.json']}], params: {module: [x]}, \
                  basic_auth: {username: me, password_file: secret}, \
                  relabel_configs: [{source_labels: [__address__], regex: 'dropped.*', action: drop}, \
                  {source_labels: [__meta_filepath], regex: '.*/(.*)', target_label: file}]}]";
    std::fs::write(setup.folder.path().join("secret"), "pass\n").unwrap();
    let scraper = setup.scrape(config).await;
    let a = format!("{{__name__=\"a\", env=\"prod\", file=\"targets.json\", instance=\"{}\", job=\"shop\"}}", setup.address);
    setup.until("a", |store| store.last(&a) == Some(1.0)).await;
    assert_eq!((scraper.active().len(), scraper.dropped().len(), scraper.dropped_counts()), (1, 1, vec![("shop".to_owned(), 1)]));
    assert_eq!(scraper.active()[0].scrape_url, format!("http://{}/metrics?module=x", setup.address));
    let asked = setup.page.asked.lock().unwrap()[0].clone();
    assert!(
        asked.starts_with("/metrics?module=x Basic bWU6cGFzcw== application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"),
        "{asked}"
    );
    std::fs::write(&targets, "[]").unwrap();
    // A series ends before its target is seen to go.
    setup.until("the end of a", |store| store.is_stale(&a) && scraper.active().is_empty()).await;
    scraper.stop().await;
}

#[tokio::test]
async fn limits_fail_the_scrape_as_a_whole() {
    for (limit, why) in [
        ("sample_limit: 1", "sample_limit, 1"),
        ("label_limit: 3", "label_limit is 3"),
        ("label_value_length_limit: 8", "label_value_length_limit is 8"),
        ("body_size_limit: 10B", "body_size_limit, 10 bytes"),
        ("metric_relabel_configs: [{regex: __name__, action: labeldrop}]", "is no name for it"),
    ] {
        let mut setup = setup("a{x=\"1\"} 1\nb{x=\"2\"} 2\n").await;
        let scraper = setup.scrape(&SHOP.replace("job_name: shop", &format!("job_name: shop, {limit}"))).await;
        let up = setup.series("up", "");
        setup.until(limit, |store| store.last(&up) == Some(0.0) && !scraper.active()[0].last_error.is_empty()).await;
        assert!(scraper.active()[0].last_error.contains(why), "{limit}: {}", scraper.active()[0].last_error);
        assert!(!setup.store.names().iter().any(|name| name.contains("\"a\"")), "{limit}");
        scraper.stop().await;
    }
}

#[tokio::test]
async fn a_thousand_targets_are_spread_over_the_interval() {
    let mut setup = setup("a 1\n").await;
    let targets: Vec<String> = (0..1000).map(|n| format!("{}?n={n}", setup.address)).collect();
    std::fs::write(setup.folder.path().join("many.json"), format!("[{{\"targets\": {targets:?}}}]")).unwrap();
    let config = "scrape_configs: [{job_name: shop, scrape_interval: 4s, scrape_timeout: 4s, file_sd_configs: [{files: [many.json]}], \
                  relabel_configs: [{source_labels: [__address__], regex: '(.*).n=(.*)', target_label: __param_n, replacement: '$2'}, \
                  {source_labels: [__param_n], target_label: instance}, {target_label: __address__, replacement: ADDRESS}]}]";
    let scraper = setup.scrape(config).await;
    setup.until("a scrape of each", |store| store.names().iter().filter(|name| name.contains("\"up\"")).count() == 1000).await;
    assert!(scraper.active().iter().all(|target| target.health == Health::Up));
    let mut tenths = [0_usize; 10];
    for points in setup.store.points.lock().unwrap().values() {
        tenths[(points[0].0.rem_euclid(4000) / 400) as usize] += 1;
    }
    let all: usize = tenths.iter().sum();
    assert!(tenths.iter().all(|tenth| *tenth > all / 20 && *tenth < all / 5), "{tenths:?}");
    scraper.stop().await;
}

#[test]
fn a_file_as_people_have_it_is_read_and_what_is_not_used_is_named() {
    let text = "global: {scrape_interval: 30s, evaluation_interval: 1m, external_labels: {dc: a}}\n\
                rule_files: [a.rules]\nalerting: {alertmanagers: [{static_configs: [{targets: [am:9093]}]}]}\n\
                remote_write: [{url: 'http://x/api/v1/write'}]\n\
                scrape_configs:\n- job_name: node\n  static_configs: [{targets: ['localhost:9100']}]\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prometheus.yml");
    std::fs::write(&path, text).unwrap();
    let config = ScrapeConfig::load(&path).unwrap();
    assert_eq!(config.unused, ["alerting", "global.evaluation_interval", "global.external_labels", "remote_write", "rule_files"]);
    let problems = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let found = ScrapeConfig::load(&path).expect_err("problems");
        found.iter().map(|problem| problem.to_string().replace(&format!("{}/", Path::new(folder.path()).display()), "")).collect::<Vec<_>>()
    };
    let pod = problems("scrape_configs:\n- job_name: pods\n  consul_sd_configs:\n  - server: here\n");
    assert!(pod[0].starts_with("prometheus.yml:3:3: cannot discover targets by consul_sd_configs: Tyto does not have it yet;"), "{pod:?}");
    let twice = problems("scrape_configs: [{job_name: a}, {job_name: a}]");
    assert_eq!(twice, ["prometheus.yml:1:33: cannot use job_name \"a\" twice: it stands at prometheus.yml:1:18"].map(str::to_owned));
    let times = problems("scrape_configs: [{job_name: a, scrape_interval: 1s, scrape_timeout: 2s}]");
    assert_eq!(times, ["prometheus.yml:1:69: cannot use a scrape_timeout over scrape_interval".to_owned()]);
}
