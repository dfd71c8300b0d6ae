//! Old files lie in another place, and are in every answer; whatever fails on the way there loses and doubles nothing.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use model::{Code, ErasureOrder, ErasureState, FieldTest, Retention, Scan, ScanRequest, Table, TimeRange};
use store::{Clock, Shard, ShardOptions, Tier, TierPlace};
use support::*;

const HOUR_MS: i64 = 3_600_000;
const HOUR: i64 = HOUR_MS * 1_000_000;

#[derive(Clone, Debug, Default)]
struct Hand(Arc<AtomicI64>);

impl Clock for Hand {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A shard's directory, and beside it those of two tiers.
struct Place {
    dir: tempfile::TempDir,
    clock: Hand,
}

impl Place {
    fn new(hours: i64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        ["data", "cold", "frozen"].iter().for_each(|name| std::fs::create_dir(dir.path().join(name)).unwrap());
        let place = Self { dir, clock: Hand::default() };
        place.at(hours);
        place
    }

    fn at(&self, hours: i64) {
        self.clock.0.store(hours * HOUR_MS, Ordering::SeqCst);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Everything goes to `cold` after two days, and logs to `frozen` after twenty.
    fn options(&self) -> ShardOptions {
        let tier = |table, days: u64, name| Tier { table, age: Duration::from_secs(days * 86_400), place: TierPlace::Dir(self.path(name)) };
        let mut tiers: Vec<_> = SIGNALS.iter().map(|&table| tier(table, 2, "cold")).collect();
        tiers.push(tier(Table::Logs, 20, "frozen"));
        // By the clock on this wall nothing is flushed or deleted by itself.
        let flush_interval = Duration::from_secs(1 << 40);
        ShardOptions { tiers, flush_interval, clock: Arc::new(self.clock.clone()), ..options(&self.path("data")) }
    }

    fn without_tiers(&self) -> ShardOptions {
        ShardOptions { tiers: Vec::new(), ..self.options() }
    }

    /// The Parquet files below a place, with their bytes.
    fn files(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        fn add(dir: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().to_string_lossy().into_owned();
                match entry.file_type().unwrap() {
                    kind if kind.is_dir() => add(&entry.path(), found),
                    kind if kind.is_file() && name.starts_with("part-") => drop(found.insert(name, std::fs::read(entry.path()).unwrap())),
                    _ => {}
                }
            }
        }
        let mut found = BTreeMap::new();
        add(&self.path(name), &mut found);
        found
    }

    fn counts(&self) -> [usize; 3] {
        ["data", "cold", "frozen"].map(|name| self.files(name).len())
    }
}

/// A record of each table at an hour, in a file of its own.
async fn fill(shard: &Shard, hour: i64) {
    put(shard, Table::Logs, logs(&[(hour * HOUR, "s", &format!("{hour:04}"))])).await.unwrap();
    put(shard, Table::Spans, spans(&[(hour * HOUR, "op")])).await.unwrap();
    put(shard, Table::Samples, floats("up", "x", &[(hour * HOUR_MS, hour as f64)])).await.unwrap();
    shard.flush().await.unwrap();
}

async fn shown(shard: &Shard) -> (Vec<String>, usize, Vec<i64>) {
    let points = points(&all(shard, Table::Samples).await).into_iter().map(|point| point.2 / HOUR_MS).collect();
    (bodies(&all(shard, Table::Logs).await), all(shard, Table::Spans).await.num_rows(), points)
}

fn in_tiers(shard: &Shard, table: Table) -> u64 {
    let stats = shard.stats().tables.into_iter().find(|stats| stats.table == table).unwrap();
    stats.tiers.iter().map(|tier| tier.files).sum()
}

/// All that comes after the move has waited for its readers.
async fn clean(place: &Place, shard: &Shard, hours: i64) {
    place.at(hours);
    shard.tend().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn old_files_go_down_as_they_are_and_stay_in_every_answer() {
    let place = Place::new(30 * 24);
    let shard = Shard::open(place.options()).await.unwrap();
    for hour in [1, 100, 26 * 24, 30 * 24 - 1] {
        fill(&shard, hour).await;
    }
    let metadata = model::samples::SeriesRow { name: "lonely", kind: "gauge", ..Default::default() };
    let mut lonely = model::samples::SamplesBuilder::default();
    lonely.push_series(&metadata, std::iter::empty());
    put(&shard, Table::Samples, lonely.finish()).await.unwrap();
    shard.flush().await.unwrap();
    let (expect, before) = (shown(&shard).await, place.files("data"));
    assert_eq!((expect.0.len(), before.len()), (4, 13));

    shard.tier().await.unwrap();
    assert_eq!(shown(&shard).await, expect);
    assert_eq!(place.counts(), [13, 7, 2], "what lay here waits for its readers");
    assert_eq!(SIGNALS.map(|table| in_tiers(&shard, table)), [3, 3, 3], "the newest stays, and so does what has no time");
    clean(&place, &shard, 30 * 24 + 1).await;
    assert_eq!((place.counts(), shown(&shard).await), ([4, 7, 2], expect.clone()));
    let all: BTreeSet<_> = ["data", "cold", "frozen"].into_iter().flat_map(|name| place.files(name).into_values()).collect();
    assert_eq!(all, before.into_values().collect(), "the same bytes");

    // A scan by time leaves alone what it need not read; one in order finds all.
    let request = ScanRequest { order: model::Order::OldestFirst, ..ScanRequest::new(Table::Logs, TimeRange::ALL) };
    assert_eq!(times(&scan(&shard, request).await, "time_unix_nano"), [1, 100, 26 * 24, 30 * 24 - 1].map(|hour| hour * HOUR));
    shard.shutdown().await.unwrap();
    drop(shard);
    for options in [place.options(), place.without_tiers()] {
        let shard = Shard::open(options.clone()).await.unwrap();
        shard.tend().await.unwrap();
        assert_eq!((shown(&shard).await, place.counts()), (expect.clone(), [4, 7, 2]), "whether the options name the tiers or not");
        let reader = Shard::open_read_only(options).await.unwrap();
        assert_eq!(shown(&reader).await, expect);
        shard.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_and_retention_work_where_files_lie() {
    let place = Place::new(24 * 24);
    let shard = Shard::open(ShardOptions { files_max_before_compaction: 3, ..place.options() }).await.unwrap();
    // Of one day two files, which are too few for a merge; then a third comes late.
    for hour in [50, 51] {
        fill(&shard, hour).await;
    }
    shard.tier().await.unwrap();
    fill(&shard, 52).await;
    shard.tier().await.unwrap();
    assert_eq!(SIGNALS.map(|table| in_tiers(&shard, table)), [3, 3, 3]);
    let expect = shown(&shard).await;
    shard.compact().await.unwrap();
    assert_eq!(SIGNALS.map(|table| in_tiers(&shard, table)), [1, 1, 1]);
    clean(&place, &shard, 24 * 24 + 2).await;
    assert_eq!((place.counts(), shown(&shard).await), ([0, 2, 1], expect));

    let mut keep = Retention::default();
    keep.keep(Table::Logs, ["", "", ""], Duration::from_secs((24 * 24 + 2 - 51) as u64 * 3600));
    shard.set_retention(keep);
    shard.retain().await.unwrap();
    let (bodies, ..) = shown(&shard).await;
    assert_eq!(bodies, ["0051", "0052"]);
    let mut keep = Retention::default();
    keep.keep(Table::Logs, ["", "", ""], Duration::from_secs(10 * 86_400));
    keep.keep(Table::Spans, ["", "", ""], Duration::from_secs(10 * 86_400));
    shard.set_retention(keep);
    shard.retain().await.unwrap();
    clean(&place, &shard, 24 * 24 + 3).await;
    assert_eq!((place.counts(), shown(&shard).await), ([0, 1, 0], (Vec::new(), 0, vec![50, 51, 52])));
}

fn order(value: &str) -> ErasureOrder {
    let tests = vec![FieldTest { field: "body".to_owned(), equals: Some(value.to_owned()), contains: None }];
    ErasureOrder { tables: vec![Table::Logs], tests, start_unix_nano: None, end_unix_nano: None, reference: "case".to_owned() }
}

async fn done(shard: &Shard) {
    for _ in 0..300 {
        if shard.erasures().iter().all(|erasure| erasure.state == ErasureState::Done) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not done after 15 s: {:?}", shard.erasures());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_rewrites_files_where_they_lie() {
    let place = Place::new(24 * 24);
    let shard = Shard::open(ShardOptions { background: true, ..place.options() }).await.unwrap();
    put(&shard, Table::Logs, logs(&[(HOUR, "s", "keep"), (2 * HOUR, "s", "mallory")])).await.unwrap();
    shard.flush().await.unwrap();
    shard.tier().await.unwrap();
    // What lay here before is still there, and goes at once.
    assert_eq!(place.counts(), [1, 0, 1]);
    shard.erase(order("mallory")).await.unwrap();
    done(&shard).await;
    assert_eq!((place.counts(), shown(&shard).await.0), ([0, 0, 1], vec!["keep".to_owned()]));

    // A crash after the commit leaves the rewritten file in the tier, and the tier is away: nobody says that it is gone.
    put(&shard, Table::Logs, logs(&[(HOUR, "s", "trudy"), (2 * HOUR, "s", "stays")])).await.unwrap();
    shard.flush().await.unwrap();
    shard.tier().await.unwrap();
    shard.shutdown().await.unwrap();
    drop(shard);
    let frozen = place.files("frozen").keys().next().unwrap().clone();
    let folder = std::fs::read_dir(place.path("frozen/one/lake/logs")).unwrap().next().unwrap().unwrap().path();
    std::fs::copy(folder.join(&frozen), folder.join("part-00000000000000000001-left-by-a-crash.parquet")).unwrap();
    std::fs::rename(&folder, place.path("away")).unwrap();
    let shard = Shard::open(ShardOptions { background: true, ..place.options() }).await.unwrap();
    put(&shard, Table::Logs, logs(&[(700 * HOUR, "s", "eve")])).await.unwrap();
    shard.erase(ErasureOrder { start_unix_nano: Some(600 * HOUR), ..order("eve") }).await.unwrap();
    let hindered = async {
        while shard.erasures()[0].hindered_by.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), hindered).await.unwrap();
    let why = shard.erasures()[0].hindered_by.clone().unwrap();
    assert!(why.contains("cannot clean up") && why.contains("frozen") && why.contains("mounted"), "{why}");
    std::fs::rename(place.path("away"), &folder).unwrap();
    done(&shard).await;
    assert_eq!((place.files("frozen").len(), shown(&shard).await.0), (2, ["keep", "stays", "trudy"].map(str::to_owned).to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_that_is_away_is_an_error_that_names_it_and_not_a_smaller_answer() {
    let place = Place::new(24 * 24);
    let shard = Shard::open(place.options()).await.unwrap();
    for hour in [1, 24 * 24 - 1] {
        fill(&shard, hour).await;
    }
    shard.tier().await.unwrap();
    let expect = shown(&shard).await;
    for (step, name) in ["frozen", "cold"].into_iter().enumerate() {
        std::fs::rename(place.path(name).join("one"), place.path("away")).unwrap();
        let shard = match step {
            // Open since before, and opened anew.
            0 => shard.clone(),
            _ => Shard::open_read_only(place.options()).await.unwrap(),
        };
        let table = if name == "frozen" { Table::Logs } else { Table::Spans };
        let error = shard.scan(ScanRequest::new(table, TimeRange::ALL)).await.unwrap().try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(error.code, Code::Unavailable);
        assert!(error.chain().contains(place.path(name).to_str().unwrap()), "{}", error.chain());
        let recent = ScanRequest::new(table, TimeRange::new(100 * HOUR, i64::MAX));
        assert_eq!(scan(&shard, recent).await.num_rows(), 1, "what does not need it is answered");
        std::fs::rename(place.path("away"), place.path(name).join("one")).unwrap();
        assert_eq!(shown(&shard).await, expect);
    }
    shard.shutdown().await.unwrap();

    // Records are taken while it is away, and nothing is written in its place.
    std::fs::rename(place.path("cold/one/lake/spans"), place.path("away")).unwrap();
    place.at(30 * 24);
    let shard = Shard::open(place.options()).await.unwrap();
    fill(&shard, 24 * 24).await;
    shard.tier().await.unwrap_err();
    assert!(!place.path("cold/one/lake/spans").exists());
    std::fs::rename(place.path("away"), place.path("cold/one/lake/spans")).unwrap();
    shard.tier().await.unwrap();
    assert_eq!((shown(&shard).await.1, in_tiers(&shard, Table::Spans)), (3, 3));
    // What is past goes from the table at once, and its bytes when the tier is back.
    let spans = place.path("cold/one/lake/spans");
    std::fs::rename(&spans, place.path("away")).unwrap();
    let mut keep = Retention::default();
    keep.keep(Table::Spans, ["", "", ""], Duration::from_secs(3600));
    shard.set_retention(keep);
    shard.retain().await.unwrap();
    for (days, left) in [(31, 8), (32, 5)] {
        place.at(days * 24);
        shard.tend().await.unwrap();
        if !spans.exists() {
            std::fs::rename(place.path("away"), &spans).unwrap();
        }
        assert_eq!((all(&shard, Table::Spans).await.num_rows(), place.counts()[1]), (0, left));
    }
    shard.shutdown().await.unwrap();
    drop(shard);
    std::fs::rename(place.path("frozen"), place.path("away")).unwrap();
    let error = Shard::open(place.options()).await.map(drop).unwrap_err();
    assert!(error.chain().contains("cannot use tier") && error.chain().contains("mount it"), "{}", error.chain());
    Shard::open(place.without_tiers()).await.map(drop).unwrap();
}

/// Lets one call of a move fail, and then the process or the power; checks what is seen at each moment, and what lies where
/// at the end.
async fn check_crash_point(what: &str, fails: impl Fn(&str, &Path) -> bool + Send + 'static) {
    let place = Place::new(10 * 24);
    let disk = Arc::new(FaultyDisk::default());
    let options = || ShardOptions { disk: disk.clone(), ..place.options() };
    let shard = Shard::open(options()).await.unwrap();
    for hour in [0, 1, 10 * 24 - 1] {
        put(&shard, Table::Logs, logs(&[(hour * HOUR, "s", &format!("{hour:04}"))])).await.unwrap();
        shard.flush().await.unwrap();
    }
    let expect = bodies(&all(&shard, Table::Logs).await);
    let hit = Arc::new(AtomicBool::new(false));
    let seen = hit.clone();
    disk.fail_when(move |call, path| {
        // Until the process ends, nothing works any more.
        let fail = seen.load(Ordering::Relaxed) || fails(call, path);
        seen.fetch_or(fail, Ordering::Relaxed);
        fail
    });
    let moved = shard.tier().await;
    assert!(hit.load(Ordering::Relaxed), "{what}: the fault never happened");
    assert_eq!(bodies(&all(&shard, Table::Logs).await), expect, "{what}: while failing ({moved:?})");
    drop(shard);
    disk.heal();
    disk.cut_power();
    let shard = Shard::open(options()).await.unwrap();
    assert_eq!(bodies(&all(&shard, Table::Logs).await), expect, "{what}: after a crash");
    shard.tier().await.unwrap();
    assert_eq!((bodies(&all(&shard, Table::Logs).await), in_tiers(&shard, Table::Logs)), (expect.clone(), 2), "{what}: moved after it");
    clean(&place, &shard, 10 * 24 + 1).await;
    shard.shutdown().await.unwrap();
    drop(shard);
    assert_eq!(place.counts(), [1, 2, 0], "{what}: nothing is left over");
    let shard = Shard::open(place.without_tiers()).await.unwrap();
    assert_eq!(bodies(&all(&shard, Table::Logs).await), expect, "{what}: at rest");
}

fn is_cold(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|name| name.to_string_lossy().starts_with("tier-"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_of_a_move_loses_and_doubles_nothing() {
    let is = |path: &Path, extension: &str| path.extension().is_some_and(|found| found == extension);
    check_crash_point("making the tier's folder", |call, path| call == "create_dir" && path.to_string_lossy().contains("/cold/")).await;
    check_crash_point("making the link", |call, _| call == "symlink").await;
    check_crash_point("syncing the link", |call, path| call == "sync_dir" && path.ends_with("lake/logs")).await;
    check_crash_point("saying that there is a tier", move |call, path| call == "append" && is(path, "json#1")).await;
    check_crash_point("creating the copy", |call, path| call == "create" && is_cold(path)).await;
    check_crash_point("writing the copy", |call, path| call == "append" && is_cold(path)).await;
    check_crash_point("syncing the copy", |call, path| call == "sync" && is_cold(path)).await;
    let in_tier = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tier-"));
    check_crash_point("between the copy and the commit", move |call, path| call == "sync_dir" && in_tier(path)).await;
    // The first commit says that there is a tier, the second that a file is there.
    let second = |call: &'static str, matches: fn(&Path) -> bool| {
        let count = AtomicI64::new(0);
        move |found: &str, path: &Path| found == call && matches(path) && count.fetch_add(1, Ordering::Relaxed) == 1
    };
    check_crash_point("writing the commit", second("append", |path| path.to_string_lossy().ends_with("json#1"))).await;
    check_crash_point("syncing the commit", second("sync", |path| path.to_string_lossy().ends_with("json#1"))).await;
    check_crash_point("naming the commit", second("link", |path| path.to_string_lossy().ends_with("json"))).await;
    check_crash_point("syncing the commit's name", second("sync_dir", |path| path.ends_with("_delta_log"))).await;
    check_crash_point("between two files", second("create", is_cold)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_not_moved() {
    let place = Place::new(10 * 24);
    let shard = Shard::open(place.options()).await.unwrap();
    fill(&shard, 0).await;
    let name = parquet_files(&place.path("data"), "logs").remove(0);
    let path = place.path("data/lake/logs").join(&name);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let error = shard.tier().await.unwrap_err();
    assert!(error.code == Code::Corrupt && error.chain().contains(&name), "{}", error.chain());
    assert_eq!((place.counts()[1], in_tiers(&shard, Table::Logs)), (0, 0));
    bytes[100] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    shard.tier().await.unwrap();
    assert_eq!((shown(&shard).await.0, in_tiers(&shard, Table::Logs)), (vec!["0000".to_owned()], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_shards_of_one_name_share_a_tier_and_leave_each_other_alone() {
    let (one, other) = (Place::new(10 * 24), Place::new(10 * 24));
    let options = other.options();
    let shared = one.options().tiers;
    let shards = [Shard::open(one.options()).await.unwrap(), Shard::open(ShardOptions { tiers: shared.clone(), ..options }).await.unwrap()];
    for (shard, hour) in shards.iter().zip(1..) {
        fill(shard, hour).await;
        shard.tier().await.unwrap();
        shard.shutdown().await.unwrap();
    }
    drop(shards);
    for (place, body) in [(&one, "0001"), (&other, "0002")] {
        let shard = Shard::open(ShardOptions { tiers: shared.clone(), ..place.options() }).await.unwrap();
        shard.tend().await.unwrap();
        assert_eq!(shown(&shard).await.0, [body]);
        shard.shutdown().await.unwrap();
    }
    assert_eq!(one.files("cold").len(), 6);
}
