//! What is asked of every store of versions, of SQLite and of PostgreSQL.

#![allow(clippy::unwrap_used)]

mod postgres;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use catalog::{Change, History, Provenance, Replacement, SourceKind, Verdict, When};
use model::Code;
use postgres::Postgres;
use registry::{Known, Options, Registry};

const HOUR_MS: i64 = 3_600_000;

/// One process, with a clock of its own that nothing moves but the test.
struct Process {
    registry: Arc<Registry>,
    clock: Arc<AtomicI64>,
}

impl Process {
    async fn start(store: &Store<'_>, folder: &Path) -> Self {
        Self::beside(store, folder, Vec::new()).await
    }

    /// With files and folders of its own.
    async fn beside(store: &Store<'_>, folder: &Path, local: Vec<PathBuf>) -> Self {
        let options = Options {
            local,
            git: Vec::new(),
            postgres: store.0.map(Postgres::url),
            poll: Duration::from_millis(50),
            data_dir: folder.to_owned(),
        };
        let clock = Arc::new(AtomicI64::new(HOUR_MS));
        let now = clock.clone();
        let registry = Registry::new(options, Box::new(|_, _| ()), Arc::new(move || now.load(Ordering::Relaxed))).unwrap();
        registry.start().await.unwrap();
        Self { registry: Arc::new(registry), clock }
    }

    async fn apply(&self, source: &str, files: &[(&str, &str)]) -> catalog::Outcome {
        self.registry.apply(change(source, files), false).await.unwrap()
    }

    fn names(&self) -> Vec<String> {
        let catalog = self.registry.live().get();
        catalog.business_services.iter().map(|business| business.name.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// None is SQLite.
struct Store<'a>(Option<&'a Postgres>);

fn change(source: &str, files: &[(&str, &str)]) -> Replacement {
    let by = Provenance {
        source: source.to_owned(),
        kind: SourceKind::Apply,
        from: ".".to_owned(),
        commit: "c0ffee".to_owned(),
        author: "Ada <ada@example.com>".to_owned(),
    };
    Replacement { by, files: files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect() }
}

fn omd(name: &str) -> String {
    format!("business_services: [{{name: {name}, owners: [{{team: {name}, email: {name}@example.com}}]}}]\n")
}

/// What is deleted by its age does not come back: nobody is told that all is known before it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_declared_is_only_a_part_while_the_store_is_away() {
    let told = async |postgres: Option<String>| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("omd.yaml");
        std::fs::write(&file, omd("pay")).unwrap();
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = told.clone();
        let on_change = move |catalog: &catalog::Catalog, known| seen.lock().unwrap().push((catalog.business_services.len(), known));
        let options =
            Options { local: vec![file], git: Vec::new(), postgres, poll: Duration::from_secs(60), data_dir: folder.path().to_owned() };
        Registry::new(options, Box::new(on_change), Arc::new(|| HOUR_MS)).unwrap().start().await.unwrap();
        told.lock().unwrap().clone()
    };
    let nobody = "postgres://nobody@127.0.0.1:1/none".to_owned();
    let away = told(Some(nobody)).await;
    assert!(!away.is_empty() && away.iter().all(|told| *told == (1, Known::Part)), "{away:?}");
    let there = told(None).await;
    assert!(!there.is_empty() && there.iter().all(|told| *told == (1, Known::All)), "{there:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_versions() {
    conforms(|| Store(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_versions() {
    let all = [Postgres::start(), Postgres::start(), Postgres::start(), Postgres::start(), Postgres::start()];
    let next = std::sync::atomic::AtomicUsize::new(0);
    conforms(|| Store(Some(&all[next.fetch_add(1, Ordering::Relaxed)]))).await;
}

/// Each with a store of its own.
async fn conforms<'a>(store: impl Fn() -> Store<'a>) {
    a_version_is_what_was_in_force_then(&store()).await;
    what_cannot_be_used_changes_nothing(&store()).await;
    what_is_kept_is_there_after_a_restart(&store()).await;
    the_end_of_a_part_is_a_version(&store()).await;
    changes_at_the_same_time_lose_no_file_and_leave_no_gap(&store()).await;
}

async fn a_version_is_what_was_in_force_then(store: &Store<'_>) {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(store, folder.path()).await;
    assert_eq!(process.registry.version(When::Now).await.unwrap(), None);
    let first = process.apply("acme/pay", &[("omd.yaml", &omd("pay"))]).await;
    assert_eq!(first.verdict, Verdict::Applied);
    process.clock.store(3 * HOUR_MS, Ordering::Relaxed);
    let second = process.apply("acme/play", &[("omd.yaml", &omd("play"))]).await.version.unwrap();
    let unchanged = process.apply("acme/play", &[("omd.yaml", &omd("play"))]).await;
    assert_eq!((unchanged.verdict, unchanged.version), (Verdict::Unchanged, Some(second.clone())));

    let registry = &process.registry;
    let number = async |when| registry.version(when).await.unwrap().map(|version| version.number);
    assert_eq!(number(When::At(HOUR_MS - 1)).await, None);
    assert_eq!(number(When::At(HOUR_MS)).await, Some(1));
    assert_eq!(number(When::At(3 * HOUR_MS - 1)).await, Some(1));
    assert_eq!(number(When::At(i64::MAX)).await, Some(2));
    assert_eq!(number(When::Number(3)).await, None);
    assert_eq!(registry.catalog(1).await.unwrap().business_services.len(), 1);
    assert_eq!(registry.catalog(2).await.unwrap().business_services.len(), 2);
    assert_eq!(registry.catalog(3).await.unwrap_err().code, Code::NotFound);

    let all = registry.versions(None, 10).await.unwrap();
    assert_eq!(all.iter().map(|version| (version.number, version.superseded_ms)).collect::<Vec<_>>(), [(2, None), (1, Some(3 * HOUR_MS))]);
    assert_eq!(all[0], second);
    assert_eq!(registry.versions(Some(2), 1).await.unwrap()[0].number, 1);
    let differences = registry.differences(1, 2).await.unwrap();
    assert_eq!(differences.iter().map(|difference| difference.words.as_str()).collect::<Vec<_>>(), ["business service play is new"]);
    assert!(matches!(&registry.differences(2, 0).await.unwrap()[0].change, Change::Removed { path, .. } if path == "pay"));
}

async fn what_cannot_be_used_changes_nothing(store: &Store<'_>) {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(store, folder.path()).await;
    process.apply("acme/pay", &[("omd.yaml", &omd("pay"))]).await;
    let refused = process.apply("acme/play", &[("b/omd.yaml", "business_services:\n  - nme: play\n")]).await;
    assert_eq!(refused.verdict, Verdict::Refused);
    assert!(refused.problems()[0].to_string().starts_with("b/omd.yaml:2:5: cannot use key \"nme\""), "{:?}", refused.problems());
    // Two sources that declare the same are both told.
    let conflict = process.apply("acme/play", &[("omd.yaml", &omd("pay"))]).await;
    let told = conflict.problems()[0].to_string();
    assert!(told.starts_with("omd.yaml:1:") && told.contains("acme/pay:/omd.yaml:1:"), "{told}");
    let dry = process.registry.apply(change("acme/play", &[("omd.yaml", &omd("play"))]), true).await.unwrap();
    assert_eq!((dry.verdict, dry.differences.len()), (Verdict::WouldApply, 1));
    let wrong = process.registry.apply(change("acme/play", &[("../omd.yaml", "")]), false).await.unwrap_err();
    assert_eq!(wrong.code, Code::Invalid);
    assert_eq!(process.registry.versions(None, 10).await.unwrap().len(), 1);
    assert_eq!(process.names(), ["pay"]);
}

async fn what_is_kept_is_there_after_a_restart(store: &Store<'_>) {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(store, folder.path()).await;
    process.apply("acme/pay", &[("omd.yaml", &omd("pay")), ("contracts/pay.json", "{\"type\": \"object\"}")]).await;
    // A clock that was set back keeps no version from being the newest.
    process.clock.store(0, Ordering::Relaxed);
    process.apply("acme/play", &[("omd.yaml", &omd("play"))]).await;
    drop(process);
    let again = Process::start(store, folder.path()).await;
    assert_eq!(again.names(), ["pay", "play"]);
    assert_eq!(again.registry.live().get().contracts.len(), 1);
    let status = again.registry.status();
    assert_eq!((status.stale, status.version.unwrap().in_force_from_ms), (false, HOUR_MS + 1));
    let sources: Vec<_> = status.sources.iter().map(|source| (source.by.source.as_str(), source.version, source.files)).collect();
    assert_eq!(sources, [("acme/pay", 1, 2), ("acme/play", 2, 1)]);
    assert_eq!(status.sources[0].by.author, "Ada <ada@example.com>");
}

async fn the_end_of_a_part_is_a_version(store: &Store<'_>) {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(store, folder.path()).await;
    process.apply("acme/pay", &[("omd.yaml", &omd("pay")), ("more.omd.yaml", &omd("more"))]).await;
    process.apply("acme/pay", &[("omd.yaml", &omd("pay"))]).await;
    process.apply("acme/pay", &[("omd.yaml", &omd("pay")), ("more.omd.yaml", &omd("more"))]).await;
    let gone = process.apply("acme/pay", &[]).await;
    assert_eq!(gone.version.unwrap().number, 4);
    assert!(process.names().is_empty() && process.registry.status().sources.is_empty());
    for (number, names) in [(1, 2), (2, 1), (3, 2), (4, 0)] {
        assert_eq!(process.registry.catalog(number).await.unwrap().business_services.len(), names, "version {number}");
    }
}

/// Whatever order they come in: every change that was taken is in the versions from its own on, and in the last.
async fn changes_at_the_same_time_lose_no_file_and_leave_no_gap(store: &Store<'_>) {
    const PROCESSES: usize = 3;
    const SOURCES: usize = 4;
    const CHANGES: usize = 3;
    let folder = tempfile::tempdir().unwrap();
    let mut processes = Vec::new();
    for _ in 0..PROCESSES {
        processes.push(Arc::new(Process::start(store, folder.path()).await));
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (number, process) in processes.iter().enumerate() {
        for source in 0..SOURCES {
            let (process, name) = (process.clone(), format!("p{number}s{source}"));
            tasks.spawn(async move {
                let mut numbers = Vec::new();
                for change in 0..CHANGES {
                    let file = format!("{name}c{change}");
                    let outcome = process.apply(&name, &[("omd.yaml", &omd(&file))]).await;
                    assert_eq!(outcome.verdict, Verdict::Applied);
                    numbers.push((outcome.version.unwrap().number, file));
                }
                numbers
            });
        }
    }
    let taken: Vec<(u64, String)> = tasks.join_all().await.into_iter().flatten().collect();
    let all = PROCESSES * SOURCES * CHANGES;
    let numbers: BTreeSet<u64> = taken.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=all as u64).collect(), "no number is missing and none is there twice");
    let registry = &processes[0].registry;
    for (number, file) in taken {
        let catalog = registry.catalog(number).await.unwrap();
        assert!(catalog.business_services.iter().any(|business| business.name == file), "version {number} has {file}");
    }
    let last = registry.catalog(all as u64).await.unwrap();
    let names: BTreeSet<String> = last.business_services.iter().map(|business| business.name.clone()).collect();
    let wanted = (0..PROCESSES).flat_map(|process| (0..SOURCES).map(move |source| format!("p{process}s{source}c{}", CHANGES - 1)));
    assert_eq!(names, wanted.collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_keeps_nothing_from_being_in_force() {
    let mut postgres = Postgres::start();
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let process = Process::start(&Store(Some(&postgres)), folder.path()).await;
    let neighbour = Process::start(&Store(Some(&postgres)), other.path()).await;
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let following = tokio::spawn(neighbour.registry.clone().run(stopping));
    process.apply("acme/pay", &[("omd.yaml", &omd("pay"))]).await;
    eventually(|| neighbour.names() == ["pay"]).await;

    postgres.kill();
    let away = process.registry.apply(change("acme/play", &[("omd.yaml", &omd("play"))]), false).await.unwrap_err();
    assert_eq!(away.code, Code::Unavailable, "{away}");
    eventually(|| neighbour.registry.status().stale).await;
    assert_eq!((process.names(), neighbour.names()), (vec!["pay".to_owned()], vec!["pay".to_owned()]));
    // A start has the copy on its disk; one without has nothing, and starts.
    drop(process);
    let again = Process::start(&Store(Some(&postgres)), folder.path()).await;
    assert_eq!(again.names(), ["pay"]);
    let status = again.registry.status();
    assert!(status.stale && status.trouble.is_some() && status.version.unwrap().number == 1);
    let bare = tempfile::tempdir().unwrap();
    assert!(Process::start(&Store(Some(&postgres)), bare.path()).await.names().is_empty());

    postgres.resume();
    let applied = again.apply("acme/play", &[("omd.yaml", &omd("play"))]).await;
    assert_eq!(applied.version.unwrap().number, 2);
    assert!(!again.registry.status().stale);
    eventually(|| neighbour.names() == ["pay", "play"] && !neighbour.registry.status().stale).await;
    stop.send_replace(true);
    following.await.unwrap().unwrap();
}

/// Files beside the server need no database to be in force, and are a version once there is one.
#[tokio::test(flavor = "multi_thread")]
async fn files_beside_the_server_are_kept_when_the_database_is_back() {
    let mut postgres = Postgres::start();
    let (folder, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let write = |name: &str| std::fs::write(files.path().join("omd.yaml"), omd(name)).unwrap();
    write("pay");
    let local = vec![files.path().to_owned()];
    let process = Process::beside(&Store(Some(&postgres)), folder.path(), local).await;
    process.apply("acme/play", &[("omd.yaml", &omd("play"))]).await;
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let following = tokio::spawn(process.registry.clone().run(stopping));

    postgres.kill();
    write("billing");
    process.registry.take_local().await.unwrap();
    assert_eq!(process.names(), ["billing", "play"]);
    assert!(process.registry.status().stale);
    std::fs::write(files.path().join("omd.yaml"), "business_services: [{nme: x}]").unwrap();
    assert!(process.registry.take_local().await.unwrap_err().what.contains("omd.yaml:1:22: "));
    assert_eq!(process.names(), ["billing", "play"]);
    write("billing");

    postgres.resume();
    eventually(|| !process.registry.status().stale).await;
    assert_eq!(process.names(), ["billing", "play"]);
    let versions = process.registry.versions(None, 10).await.unwrap();
    assert_eq!(versions.iter().map(|version| version.by.source.as_str()).collect::<Vec<_>>(), ["local", "acme/play", "local"]);
    stop.send_replace(true);
    following.await.unwrap().unwrap();
}

async fn eventually(holds: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("within a minute");
}
