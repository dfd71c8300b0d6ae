//! A shard whose lake, and in half of the tests whose log too, is in an object store that fails in every way: before it
//! does what was asked, after, and for good.
#![allow(clippy::unwrap_used)]

mod support;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use model::{Code, Table};
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use store::{LakePlace, Remote, Shard, ShardOptions, Tier, TierPlace, WalPlace};
use support::*;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Works,
    /// Refused, and nothing was done.
    Refused,
    /// Done, and the answer is lost.
    Unanswered,
}

type Rule = Box<dyn FnMut(&str, &str) -> Fate + Send>;

/// An object store in memory. A rule says what becomes of each call, by its kind (`put`, `get`, `list`, `delete`) and path.
#[derive(Clone, Default)]
struct FaultyStore {
    objects: Arc<InMemory>,
    rule: Arc<Mutex<Option<Rule>>>,
    gets: Arc<AtomicUsize>,
}

impl std::fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FaultyStore")
    }
}

impl std::fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FaultyStore")
    }
}

fn no_answer() -> Error {
    Error::Generic { store: "FaultyStore", source: "the test's store is away".into() }
}

impl FaultyStore {
    fn rule(&self, rule: impl FnMut(&str, &str) -> Fate + Send + 'static) {
        *self.rule.lock() = Some(Box::new(rule));
    }

    fn heal(&self) {
        *self.rule.lock() = None;
    }

    fn fate(&self, call: &str, path: &str) -> Fate {
        self.rule.lock().as_mut().map_or(Fate::Works, |rule| rule(call, path))
    }

    async fn met<R>(&self, call: &str, path: &str, work: impl Future<Output = Result<R>>) -> Result<R> {
        match self.fate(call, path) {
            Fate::Works => work.await,
            Fate::Refused => Err(no_answer()),
            Fate::Unanswered => work.await.and(Err(no_answer())),
        }
    }

    /// The same objects over a line of its own.
    fn seen_by_another(&self) -> Self {
        Self { objects: self.objects.clone(), ..Self::default() }
    }

    fn remote(&self) -> Remote {
        Remote::over(Arc::new(self.clone()), "s3://bucket/tyto").unwrap()
    }

    async fn names(&self, under: &str) -> Vec<String> {
        let listed = self.objects.list(Some(&ObjectPath::from(format!("tyto/{under}")))).collect::<Vec<_>>().await;
        listed.into_iter().map(|meta| meta.unwrap().location.to_string()).collect()
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &ObjectPath, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.met("put", location.as_ref(), self.objects.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(&self, location: &ObjectPath, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.met("put", location.as_ref(), self.objects.put_multipart_opts(location, options)).await
    }

    async fn get_opts(&self, location: &ObjectPath, options: GetOptions) -> Result<GetResult> {
        self.gets.fetch_add(usize::from(location.as_ref().ends_with(".parquet")), Ordering::Relaxed);
        self.met("get", location.as_ref(), self.objects.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &ObjectPath, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.met("get", location.as_ref(), self.objects.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<ObjectPath>>) -> BoxStream<'static, Result<ObjectPath>> {
        let store = self.clone();
        let delete = move |location: Result<ObjectPath>| {
            let store = store.clone();
            async move {
                let location = location?;
                store.met("delete", location.as_ref(), store.objects.delete(&location)).await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&ObjectPath>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.fate("list", prefix.map_or("", |prefix| prefix.as_ref())) {
            Fate::Works => self.objects.list(prefix),
            _ => futures::stream::iter([Err(no_answer())]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&ObjectPath>) -> Result<ListResult> {
        let path = prefix.map_or("", |prefix| prefix.as_ref()).to_owned();
        self.met("list", &path, self.objects.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &ObjectPath, to: &ObjectPath, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

fn remote_options(dir: &Path, store: &FaultyStore, wal: WalPlace) -> ShardOptions {
    ShardOptions {
        lake: LakePlace::Remote(store.remote()),
        wal,
        lease_silence_max: Duration::from_millis(100),
        files_max_before_compaction: 3,
        ..options(dir)
    }
}

async fn open(dir: &Path, store: &FaultyStore, wal: WalPlace) -> Arc<Shard> {
    Shard::open(remote_options(dir, store, wal)).await.unwrap()
}

async fn logged(shard: &Shard) -> Vec<String> {
    bodies(&all(shard, Table::Logs).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_lake_holds_what_a_local_one_does() {
    for wal in [WalPlace::Disk, WalPlace::Object] {
        let (dir, store) = (tempfile::tempdir().unwrap(), FaultyStore::default());
        let shard = open(dir.path(), &store, wal).await;
        for (time, body) in [(1, "one"), (2, "two"), (3, "three"), (4, "four")] {
            put(&shard, Table::Logs, logs(&[(time, "a", body)])).await.unwrap();
            put(&shard, Table::Samples, floats("up", "x", &[(time, time as f64)])).await.unwrap();
            put(&shard, Table::Spans, spans(&[(time, body)])).await.unwrap();
            shard.flush().await.unwrap();
        }
        put(&shard, Table::Logs, logs(&[(5, "a", "in the log")])).await.unwrap();
        let expect = ["four", "in the log", "one", "three", "two"];
        assert_eq!(logged(&shard).await, expect);
        let before = shard.stats().tables[0].lake_files;
        shard.compact().await.unwrap();
        assert!(shard.stats().tables[0].lake_files < before);
        assert_eq!(logged(&shard).await, expect);
        assert!(!dir.path().join("lake").exists() && (wal == WalPlace::Disk || !dir.path().join("wal").exists()));
        let reader = Shard::open_read_only(remote_options(dir.path(), &store, wal)).await.unwrap();
        assert_eq!(logged(&reader).await, expect, "beside the living one");
        drop(shard);

        let shard = open(dir.path(), &store, wal).await;
        assert_eq!((logged(&shard).await, points(&all(&shard, Table::Samples).await).len()), (expect.map(str::to_owned).to_vec(), 4));
        assert_eq!(all(&shard, Table::Spans).await.num_rows(), 4);
        shard.shutdown().await.unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let shard = open(elsewhere.path(), &store, wal).await;
        assert_eq!(logged(&shard).await, expect, "ended in order, anybody may have it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_disk_loses_nothing_when_it_is_killed() {
    let store = FaultyStore::default();
    let mut expect = Vec::new();
    for round in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let shard = open(dir.path(), &store, WalPlace::Object).await;
        assert_eq!(logged(&shard).await, expect, "round {round}");
        for line in 0..3 {
            let body = format!("{round} {line}");
            put(&shard, Table::Logs, logs(&[(line, "a", &body)])).await.unwrap();
            expect.push(body);
            if line == 1 && round % 2 == 0 {
                shard.flush().await.unwrap();
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path(), &store, WalPlace::Object).await;
    assert_eq!(logged(&shard).await, expect);
    shard.flush().await.unwrap();
    assert_eq!(store.names("wal").await.len(), 1, "only the newest object stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_is_refused_and_told_who_has_it() {
    for wal in [WalPlace::Disk, WalPlace::Object] {
        let (dir, other, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), FaultyStore::default());
        let shard = open(dir.path(), &store, wal).await;
        put(&shard, Table::Logs, logs(&[(1, "a", "mine")])).await.unwrap();
        let refused = Shard::open(remote_options(other.path(), &store, wal)).await.map(drop).unwrap_err();
        assert_eq!(refused.code, Code::Unavailable);
        assert!(refused.chain().contains(&format!("held by process {}", std::process::id())), "{}", refused.chain());
        put(&shard, Table::Logs, logs(&[(2, "a", "still mine")])).await.unwrap();
        shard.flush().await.unwrap();
        assert_eq!(logged(&shard).await, ["mine", "still mine"]);
    }
}

/// The holder was cut off so long that another took over; then it comes back and goes on as if nothing had been.
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_was_succeeded_writes_no_more() {
    let (dir, other, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), FaultyStore::default());
    let old = open(dir.path(), &store, WalPlace::Object).await;
    put(&old, Table::Logs, logs(&[(1, "a", "one")])).await.unwrap();
    store.rule(|_, _| Fate::Refused);
    let seen_by_other = store.seen_by_another();
    let new = open(other.path(), &seen_by_other, WalPlace::Object).await;
    put(&new, Table::Logs, logs(&[(2, "a", "two")])).await.unwrap();
    // All but the lock is reached again: the old holder does not know yet.
    store.rule(|_, path| if path.ends_with("LOCK") { Fate::Refused } else { Fate::Works });
    let refused = put(&old, Table::Logs, logs(&[(3, "a", "late")])).await.unwrap_err();
    assert!(refused.chain().contains("another process has written it"), "{}", refused.chain());
    old.flush().await.unwrap_err();
    old.compact().await.unwrap_err();
    store.heal();
    put(&old, Table::Logs, logs(&[(3, "a", "late")])).await.unwrap_err();
    let refused = put(&old, Table::Logs, logs(&[(3, "a", "late")])).await.unwrap_err();
    assert!(refused.chain().contains("taken over by process"), "{}", refused.chain());
    old.flush().await.unwrap_err();
    new.flush().await.unwrap();
    assert_eq!(logged(&new).await, ["one", "two"]);
    old.shutdown().await.unwrap_err();
    drop((old, new));
    let fresh = tempfile::tempdir().unwrap();
    assert_eq!(logged(&*open(fresh.path(), &seen_by_other, WalPlace::Object).await).await, ["one", "two"]);
}

/// Lets the call number `at` have this fate and all others work; gives whether it came to that call, and which it was.
async fn check_failing_call(wal: WalPlace, fate: Fate, at: usize) -> Option<String> {
    let (dir, store) = (tempfile::tempdir().unwrap(), FaultyStore::default());
    let shard = open(dir.path(), &store, wal).await;
    put(&shard, Table::Logs, logs(&[(0, "a", "first")])).await.unwrap();
    let met = Arc::new(Mutex::new(None));
    let (noted, mut calls) = (met.clone(), 0);
    store.rule(move |call, path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        if name == "LOCK" {
            return Fate::Works;
        }
        calls += 1;
        if calls - 1 != at {
            return Fate::Works;
        }
        *noted.lock() = Some(format!("{call} {path}"));
        fate
    });
    let (mut acknowledged, mut refused) = (vec!["first".to_owned()], Vec::new());
    for body in ["a", "b", "c", "d"] {
        match put(&shard, Table::Logs, logs(&[(1, "a", body)])).await {
            Ok(_) => acknowledged.push(body.to_owned()),
            Err(_) => refused.push(body.to_owned()),
        }
        let _ = shard.flush().await;
        if body == "d" {
            let _ = shard.compact().await;
        }
    }
    let what = format!("{wal:?} {fate:?} call {at}: {:?}", met.lock());
    acknowledged.sort();
    assert_eq!(logged(&shard).await, acknowledged, "{what}: living");
    drop(shard);
    store.heal();
    let elsewhere = tempfile::tempdir().unwrap();
    let dir = if wal == WalPlace::Disk { &dir } else { &elsewhere };
    for round in 0..2 {
        let shard = open(dir.path(), &store, wal).await;
        let mut found = logged(&shard).await;
        // A put that was refused to its sender may have been done, then its rows are there, once.
        for body in &refused {
            if let Some(place) = found.iter().position(|found| found == body) {
                found.remove(place);
            }
        }
        assert_eq!(found, acknowledged, "{what}: opened again {round}");
        shard.flush().await.unwrap();
        put(&shard, Table::Samples, floats("up", "x", &[(round, 1.0)])).await.unwrap();
    }
    met.lock().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_of_any_call_loses_and_doubles_nothing() {
    for wal in [WalPlace::Disk, WalPlace::Object] {
        for fate in [Fate::Refused, Fate::Unanswered] {
            let mut kinds = std::collections::BTreeSet::new();
            let mut at = 0;
            while let Some(met) = check_failing_call(wal, fate, at).await {
                kinds.insert(met.split(' ').next().unwrap().to_owned());
                // Later commits do what the first ones did.
                at += 1 + at / 6;
            }
            // The log on disk leaves nothing to delete in the store at once.
            let expect: &[&str] = if wal == WalPlace::Disk { &["get", "list", "put"] } else { &["delete", "get", "list", "put"] };
            assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expect, "{wal:?} {fate:?} after {at} calls");
        }
    }
}

/// Nothing is reached for a while: the log on disk takes rows until the budgets are used up, queries say what they miss.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_refuses_beyond_the_budget_and_ends_without_a_trace() {
    let (dir, store) = (tempfile::tempdir().unwrap(), FaultyStore::default());
    let options = ShardOptions { cache_memory_bytes_max: 0, cache_disk_bytes_max: 0, ..remote_options(dir.path(), &store, WalPlace::Disk) };
    let shard = Shard::open(ShardOptions { head_bytes_max: 20_000, ..options }).await.unwrap();
    put(&shard, Table::Logs, logs(&[(1, "a", "in the lake")])).await.unwrap();
    shard.flush().await.unwrap();
    store.rule(|_, _| Fate::Refused);
    let mut acknowledged = vec!["in the lake".to_owned()];
    let refused = loop {
        let body = format!("line {} {}", acknowledged.len(), "x".repeat(400));
        match put(&shard, Table::Logs, logs(&[(2, "a", &body)])).await {
            Ok(_) => acknowledged.push(body),
            Err(error) => break error,
        }
        assert!(acknowledged.len() < 1000);
    };
    assert!(matches!(refused.code, Code::Overloaded { retry_after_seconds: 1 }) && acknowledged.len() > 5, "{refused:?}");
    shard.flush().await.unwrap_err();
    let request = model::ScanRequest::new(Table::Logs, model::TimeRange::ALL);
    let scanned: std::result::Result<Vec<_>, _> =
        futures::TryStreamExt::try_collect(model::Scan::scan(&*shard, request).await.unwrap()).await;
    let error = scanned.unwrap_err();
    assert_eq!(error.code, Code::Unavailable);
    assert!(error.chain().contains("cannot read lake file s3://bucket/tyto/lake/logs/part-"), "{}", error.chain());
    store.heal();
    shard.flush().await.unwrap();
    put(&shard, Table::Logs, logs(&[(3, "a", "zz after")])).await.unwrap();
    acknowledged.push("zz after".to_owned());
    acknowledged.sort();
    assert_eq!(logged(&shard).await, acknowledged);
    drop(shard);
    assert_eq!(logged(&*open(dir.path(), &store, WalPlace::Disk).await).await, acknowledged);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_or_read_is_cached_and_a_damaged_copy_is_fetched_again() {
    let (dir, store) = (tempfile::tempdir().unwrap(), FaultyStore::default());
    let options = ShardOptions { cache_memory_bytes_max: 0, ..remote_options(dir.path(), &store, WalPlace::Disk) };
    let shard = Shard::open(options.clone()).await.unwrap();
    put(&shard, Table::Logs, logs(&[(1, "a", "one")])).await.unwrap();
    shard.flush().await.unwrap();
    assert_eq!(logged(&shard).await, ["one"]);
    let stats = shard.stats().cache.unwrap();
    assert!(stats.disk_hits > 0 && stats.misses == 0 && stats.disk_bytes > 0, "{stats:?}");
    assert_eq!(store.gets.load(Ordering::Relaxed), 0, "what was just written is near");
    drop(shard);

    let shard = Shard::open(options.clone()).await.unwrap();
    assert_eq!(logged(&shard).await, ["one"]);
    assert_eq!(store.gets.load(Ordering::Relaxed), 0, "the cache outlives the process");
    drop(shard);

    let blocks: Vec<_> = std::fs::read_dir(dir.path().join("cache")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let whole = std::fs::read(&blocks[0]).unwrap();
    for at in [10, whole.len() / 2, whole.len() - 10] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&blocks[0], damaged).unwrap();
        let shard = Shard::open(options.clone()).await.unwrap();
        assert_eq!(logged(&shard).await, ["one"], "byte {at}");
        assert_eq!(shard.stats().cache.unwrap().forgotten, 1);
        assert_eq!(std::fs::read(&blocks[0]).unwrap(), whole, "fetched anew");
    }

    // Damage in the store itself stays damage, by name.
    let name = store.names("lake/logs").await.into_iter().find(|name| name.ends_with(".parquet")).unwrap();
    let mut damaged = whole.clone();
    damaged[10] ^= 1;
    store.objects.put(&ObjectPath::from(name.clone()), damaged.into()).await.unwrap();
    std::fs::remove_dir_all(dir.path().join("cache")).unwrap();
    let shard = Shard::open(options).await.unwrap();
    let request = model::ScanRequest::new(Table::Logs, model::TimeRange::ALL);
    let scanned: std::result::Result<Vec<_>, _> =
        futures::TryStreamExt::try_collect(model::Scan::scan(&*shard, request).await.unwrap()).await;
    let error = scanned.unwrap_err();
    assert!(error.code == Code::Corrupt && error.chain().contains(&name), "{}", error.chain());
}

/// More than one part, more than one request to read it back.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_up_in_parts() {
    let (dir, store) = (tempfile::tempdir().unwrap(), FaultyStore::default());
    let options =
        ShardOptions { cache_disk_bytes_max: 0, cache_memory_bytes_max: 3 << 20, ..remote_options(dir.path(), &store, WalPlace::Disk) };
    let shard = Shard::open(options.clone()).await.unwrap();
    let mut expect = Vec::new();
    for round in 0..4 {
        let rows: Vec<_> = (0..40_000).map(|_| format!("{round}{}", uuid::Uuid::new_v4().simple().to_string().repeat(5))).collect();
        let rows: Vec<_> = rows.iter().map(|row| format!("{row}{}{}", uuid::Uuid::new_v4(), uuid::Uuid::new_v4())).collect();
        let batch: Vec<_> = rows.iter().map(|body| (1, "a", &**body)).collect();
        put(&shard, Table::Logs, logs(&batch)).await.unwrap();
        expect.extend(rows);
    }
    shard.flush().await.unwrap();
    expect.sort();
    assert!(shard.stats().tables[0].lake_bytes > 8 << 20, "{}", shard.stats().tables[0].lake_bytes);
    assert_eq!(logged(&shard).await, expect);
    let stats = shard.stats().cache.unwrap();
    assert!(stats.misses > 0 && stats.memory_bytes <= 3 << 20, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_forget_where_rows_are_open_nothing() {
    let store = FaultyStore::default();
    let refused = async |options: ShardOptions, why: &str| {
        let error = Shard::open(options).await.map(drop).unwrap_err();
        assert!(error.chain().contains(why), "{}", error.chain());
    };
    let local = tempfile::tempdir().unwrap();
    Shard::open(options(local.path())).await.unwrap().shutdown().await.unwrap();
    refused(remote_options(local.path(), &store, WalPlace::Disk), "holds a lake of its own").await;
    refused(ShardOptions { wal: WalPlace::Object, ..options(local.path()) }, "needs a lake there").await;

    let remote = tempfile::tempdir().unwrap();
    let shard = open(remote.path(), &store, WalPlace::Disk).await;
    put(&shard, Table::Logs, logs(&[(1, "a", "one")])).await.unwrap();
    drop(shard);
    refused(options(remote.path()), "its lake lies at s3://bucket/tyto").await;
    refused(remote_options(remote.path(), &store, WalPlace::Object), "its disk holds a log").await;
    let elsewhere = tempfile::tempdir().unwrap();
    refused(remote_options(elsewhere.path(), &store, WalPlace::Object), "log is kept in another place").await;
    refused(remote_options(elsewhere.path(), &store, WalPlace::Disk), "the log on its disk may hold rows").await;
    let other_place = LakePlace::Remote(store.remote().within("deeper"));
    refused(
        ShardOptions { lake: other_place, ..remote_options(remote.path(), &store, WalPlace::Disk) },
        "the options say s3://bucket/tyto/deeper",
    )
    .await;
    let shard = open(remote.path(), &store, WalPlace::Disk).await;
    assert_eq!(logged(&shard).await, ["one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_outlives_a_node_without_a_disk_and_reaches_every_object() {
    const SECRET: &str = "mallory-4711@example.com";
    let store = FaultyStore::default();
    let dir = tempfile::tempdir().unwrap();
    let shard = open(dir.path(), &store, WalPlace::Object).await;
    for round in 0..3 {
        put(&shard, Table::Logs, logs(&[(round, SECRET, "a"), (round, "s", SECRET), (round, "s", "stays")])).await.unwrap();
        if round < 2 {
            shard.flush().await.unwrap();
        }
    }
    let order = |field: &str| model::ErasureOrder {
        tables: vec![Table::Logs],
        tests: vec![model::FieldTest { field: field.to_owned(), equals: Some(SECRET.to_owned()), contains: None }],
        start_unix_nano: None,
        end_unix_nano: None,
        reference: String::new(),
    };
    shard.erase(order("body")).await.unwrap();
    shard.erase(order("service_name")).await.unwrap();
    drop((shard, dir));

    let dir = tempfile::tempdir().unwrap();
    let options = ShardOptions { background: true, ..remote_options(dir.path(), &store, WalPlace::Object) };
    let shard = Shard::open(options).await.unwrap();
    assert_eq!(logged(&shard).await, ["stays"; 3], "hidden before it goes on");
    let done = async {
        while shard.erasures().iter().any(|erasure| erasure.state != model::ErasureState::Done) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), done).await.unwrap();
    assert_eq!(shard.erasures().iter().map(|erasure| erasure.erased.logs).collect::<Vec<_>>(), [3, 3]);
    assert_eq!(logged(&shard).await, ["stays"; 3]);
    let log = store.names("wal").await;
    assert_eq!(log.len(), 1, "the newest place in the log, which holds no frame");
    for name in store.names("").await {
        let bytes = store.objects.get(&ObjectPath::from(name.as_str())).await.unwrap().bytes().await.unwrap();
        assert!(memchr::memmem::find(&bytes, SECRET.as_bytes()).is_none(), "{name}");
        assert!(!log.contains(&name) || bytes.len() < 100, "a claim and no batch: {} bytes", bytes.len());
        if name.ends_with(".parquet") && !name.contains("_delta_log") {
            let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
            let held: Vec<String> = reader.flat_map(|records| rows(&records.unwrap())).collect();
            assert!(!held.iter().any(|row| row.contains(SECRET)), "{name}");
        }
    }
}

/// Everything that is older than a day or two of this decade goes to another place in the bucket.
fn tiered(options: ShardOptions, store: &FaultyStore) -> ShardOptions {
    let remote = Remote::over(Arc::new(store.clone()), "s3://bucket/cold").unwrap();
    let tier = |table| Tier { table, age: Duration::from_secs(86_400), place: TierPlace::Remote(remote.clone()) };
    ShardOptions { tiers: Table::ALL.map(tier).to_vec(), ..options }
}

async fn cold_files(store: &FaultyStore) -> Vec<String> {
    let listed = store.objects.list(Some(&ObjectPath::from("cold"))).collect::<Vec<_>>().await;
    listed.into_iter().map(|meta| meta.unwrap().location.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_in_an_object_store_serves_a_lake_here_and_a_lake_there() {
    for local in [true, false] {
        let (dir, store) = (tempfile::tempdir().unwrap(), FaultyStore::default());
        let bare = || match local {
            true => ShardOptions { cache_memory_bytes_max: 0, ..options(dir.path()) },
            false => ShardOptions { cache_memory_bytes_max: 0, ..remote_options(dir.path(), &store, WalPlace::Disk) },
        };
        let with = || ShardOptions { cache_disk_bytes_max: 0, replaced_file_age_min: Duration::ZERO, ..tiered(bare(), &store) };
        let shard = Shard::open(with()).await.unwrap();
        for (time, body) in [(1, "one"), (2, "two"), (i64::MAX / 2, "new")] {
            put(&shard, Table::Logs, logs(&[(time, "a", body)])).await.unwrap();
            shard.flush().await.unwrap();
        }
        let expect = ["new", "one", "two"];
        // Whatever fails on the way, and whether it was done all the same: the next try ends it.
        for (call, fate) in [("put", Fate::Refused), ("put", Fate::Unanswered), ("get", Fate::Refused)] {
            let left = AtomicUsize::new(1);
            store.rule(move |found, path| {
                let hit = found == call
                    && path.starts_with("cold/")
                    && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
                if hit { fate } else { Fate::Works }
            });
            shard.tier().await.unwrap_err();
            assert_eq!(logged(&shard).await, expect);
        }
        store.heal();
        shard.tier().await.unwrap();
        shard.tend().await.unwrap();
        assert_eq!(logged(&shard).await, expect);
        assert!(cold_files(&store).await.iter().all(|path| path.starts_with("cold/one/lake/logs/")));
        let place = |stats: &store::ShardStats| stats.tables[0].tiers[0].clone();
        let stats = shard.stats();
        assert!(
            (place(&stats).files, stats.tables[0].lake_files) == (2, 3)
                && place(&stats).place.starts_with("s3://bucket/cold/one/lake/logs/")
        );

        store.rule(|call, path| if call == "get" && path.starts_with("cold/") { Fate::Refused } else { Fate::Works });
        let request = model::ScanRequest::new(Table::Logs, model::TimeRange::ALL);
        let error = futures::TryStreamExt::try_collect::<Vec<_>>(model::Scan::scan(&*shard, request).await.unwrap()).await.unwrap_err();
        assert!(error.code == Code::Unavailable && error.chain().contains("s3://bucket/cold/"), "{}", error.chain());
        store.heal();
        shard.shutdown().await.unwrap();
        drop(shard);

        // What a crash left there goes, also when the options name only the bucket.
        let left = ObjectPath::from(format!(
            "{}/part-00000000000000000001-left.parquet",
            place(&stats).place.trim_end_matches('/').trim_start_matches("s3://bucket/")
        ));
        store.objects.put(&left, "x".into()).await.unwrap();
        let shard = Shard::open(if local { with() } else { bare() }).await.unwrap();
        store.rule(|call, path| if call == "list" && path.starts_with("cold/") { Fate::Refused } else { Fate::Works });
        assert!(shard.tier().await.unwrap_err().chain().contains("cannot clean up s3://bucket/cold/"));
        store.heal();
        shard.tier().await.unwrap();
        assert_eq!((logged(&shard).await, cold_files(&store).await.len()), (expect.map(str::to_owned).to_vec(), 2));
        shard.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_in_an_object_store_has_its_tiers_there() {
    let (dir, store) = (tempfile::tempdir().unwrap(), FaultyStore::default());
    let tier = Tier { table: Table::Logs, age: Duration::ZERO, place: TierPlace::Dir(dir.path().to_owned()) };
    let options = ShardOptions { tiers: vec![tier], ..remote_options(dir.path(), &store, WalPlace::Disk) };
    let error = Shard::open(options).await.map(drop).unwrap_err();
    assert!(error.chain().contains("cannot use tier") && error.chain().contains("s3://bucket/prefix"), "{}", error.chain());
}
