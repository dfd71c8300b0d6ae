//! One run: a shard on a simulated disk, what is done to it step by step, and the ledger that it is held against.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use model::{Ack, Code, Ingest, KnownPoints, KnownSeries, Order, Placed, Table};
use store::{Clock, Shard, ShardOptions, Tier, TierPlace};

use crate::disk::{PARTS, Part, SimDisk};
use crate::ledger::{Eyes, Ledger, State};
use crate::planted::Plant;
use crate::records::{self, Encoded, Follower, Known};
use crate::rng::Rng;

pub type Outcome<R = ()> = Result<R, String>;

const DAY_SECONDS: u64 = 86_400;

/// The simulated clock. It jumps when told to, and else stands still.
#[derive(Debug)]
pub struct SimClock {
    now_ms: AtomicI64,
    latest_ms: AtomicI64,
    start: Instant,
}

impl SimClock {
    pub fn jump(&self, by: i64) {
        let now = self.now_ms.fetch_add(by, Ordering::Relaxed) + by;
        self.latest_ms.fetch_max(now, Ordering::Relaxed);
    }

    /// Later than it ever was.
    pub fn pass(&self, by: Duration) {
        let latest = self.latest_ms.load(Ordering::Relaxed);
        self.now_ms.store(latest, Ordering::Relaxed);
        self.jump(by.as_millis() as i64);
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// Waits take as long as the clock has run in all.
    fn instant(&self) -> Instant {
        self.start + Duration::from_millis(self.latest_ms.load(Ordering::Relaxed).unsigned_abs())
    }
}

/// A batch on its way.
struct Sent {
    at: usize,
    /// Of another table in the same request.
    beside: Option<usize>,
    requests: Vec<Placed>,
    series: Vec<String>,
}

pub struct World {
    pub rng: Rng,
    pub disk: SimDisk,
    pub clock: Arc<SimClock>,
    pub options: ShardOptions,
    pub tables: Vec<Table>,
    pub shard: Option<Arc<Shard>>,
    pub ledger: Ledger,
    /// What this process has told of its series.
    known: Known,
    /// Who follows a table of this process, since it was looked at last.
    followers: HashMap<Table, Follower>,
    /// Processes so far.
    pub life: u64,
    /// Failures of the disk before this one began.
    pub failures_before: u64,
    /// What was done, a line each.
    pub steps: Vec<String>,
    pub plant: Option<Plant>,
}

impl World {
    pub fn new(dir: PathBuf, seed: u64, plant: Option<Plant>) -> Self {
        let mut rng = Rng::new(seed);
        let disk = SimDisk::new(&dir, seed, plant);
        let tiers = if rng.in_100(30) {
            tiers(&dir, rng.pick(&[Duration::ZERO, Duration::ZERO, Duration::from_secs(5 * DAY_SECONDS)]))
        } else {
            Vec::new()
        };
        // Where there are tiers, nearly everything is old.
        let now_ms = if tiers.is_empty() { 1_000_000 } else { 3 * DAY_SECONDS as i64 * 1000 };
        let clock = Arc::new(SimClock { now_ms: AtomicI64::new(now_ms), latest_ms: AtomicI64::new(now_ms), start: Instant::now() });
        let segment_bytes_max = rng.pick(&[1, 6000, 64 << 20]);
        let flush_bytes = rng.pick(&[4000, 64 << 20]);
        let options = ShardOptions {
            wal_group_interval: Duration::ZERO,
            wal_segment_bytes_max: segment_bytes_max,
            flush_rows_bytes: flush_bytes,
            flush_samples_bytes: flush_bytes,
            flush_interval: Duration::from_secs(120),
            head_bytes_max: rng.pick(&[12_000, 512 << 20, 512 << 20]),
            row_group_rows: rng.pick(&[2, 64, 64, 64, 64, 64]),
            chunk_points_max: rng.pick(&[2, 8192]),
            files_max_before_compaction: rng.pick(&[2, 3, 4]),
            compaction_memory_bytes_max: rng.pick(&[40_000, 256 << 20, 256 << 20]),
            replaced_file_age_min: rng.pick(&[Duration::ZERO, Duration::from_secs(600)]),
            checkpoint_commits: rng.pick(&[2, 6, 50, 50, 50]),
            scan_threads: 2,
            footer_bytes_max: rng.pick(&[0, 64 << 20]),
            // Mostly none: files are to be read.
            recent_samples_bytes_max: rng.pick(&[0, 0, 3000, 64 << 20]),
            tiers,
            background: false,
            disk: Arc::new(disk.clone()),
            clock: clock.clone(),
            ..ShardOptions::new("one", dir)
        };
        let options = ShardOptions { gram_bytes_max: options.footer_bytes_max, ..options };
        let mut tables = Table::ALL.to_vec();
        while tables.len() > 1 && rng.in_100(80) {
            tables.remove(rng.below(tables.len() as u64) as usize);
        }
        Self {
            rng,
            disk,
            clock,
            options,
            tables,
            shard: None,
            ledger: Ledger::default(),
            known: Known::new(),
            followers: HashMap::new(),
            life: 0,
            failures_before: 0,
            steps: Vec::new(),
            plant,
        }
    }

    pub fn note(&mut self, step: impl Into<String>) {
        self.steps.push(step.into());
    }

    pub fn shard(&self) -> Arc<Shard> {
        self.shard.clone().expect("a step needs an open shard")
    }

    pub fn table(&mut self) -> Table {
        self.rng.pick(&self.tables)
    }

    pub fn own_eyes(&self) -> Eyes {
        Eyes::Own { life: self.life }
    }

    /// An error is for the disk's failures since then, or it is a bug.
    pub fn judge<R>(&self, what: &str, failures: u64, result: model::Result<R>) -> Outcome<Option<R>> {
        match result {
            Ok(done) => Ok(Some(done)),
            Err(_) if self.disk.failures() > failures => Ok(None),
            Err(error) => Err(format!("cannot {what} though the disk works: {}", error.chain())),
        }
    }

    /// Opens the shard on a disk that works.
    pub async fn open(&mut self) -> Outcome {
        let failures = self.disk.failures();
        let opened = Shard::open(self.options.clone()).await;
        self.shard = self.judge("open", failures, opened)?;
        self.born();
        Ok(())
    }

    pub fn born(&mut self) {
        self.life += 1;
        self.known.clear();
        self.followers.clear();
        self.failures_before = self.disk.failures();
    }

    /// Drops the shard as a killed process would, with its memory.
    pub fn drop_shard(&mut self) {
        self.shard = None;
        self.followers.clear();
    }

    fn send(&mut self, table: Table) -> Sent {
        let id = self.ledger.batches.len() as u64;
        let batch = records::batch(&mut self.rng, table, id, self.steps.len());
        let nothing = Known::new();
        let known = if self.rng.in_100(70) { &self.known } else { &nothing };
        let Encoded { records, known, series } = match self.plant {
            Some(Plant::ValueChanged) if id.is_multiple_of(4) => {
                let mut other = batch.clone();
                other.records[0].value = "4".to_owned();
                records::encode(&other, known)
            }
            _ => records::encode(&batch, known),
        };
        // Some of a request to logs is set aside.
        let beside = match table == Table::Logs && self.tables.contains(&Table::Quarantine) && self.rng.in_100(50) {
            true => Some(records::batch(&mut self.rng, Table::Quarantine, id + 1, self.steps.len())),
            false => None,
        };
        let mut aside = beside.as_ref().map(|batch| records::encode(batch, &nothing).records);
        let mut place = |records, known| Placed { shard: "one".to_owned(), table, records, known, aside: aside.take() };
        let requests = match self.plant {
            Some(Plant::RequestTornInTwo) if records.num_rows() > 1 => {
                let rest = records.slice(1, records.num_rows() - 1);
                vec![place(records.slice(0, 1), KnownPoints::default()), place(rest, known)]
            }
            _ => vec![place(records, known)],
        };
        let at = self.ledger.add(batch);
        let beside = beside.map(|batch| self.ledger.add(batch));
        self.ledger.twins.extend(beside.map(|beside| (at, beside)));
        Sent { at, beside, requests, series }
    }

    fn answered(
        &mut self,
        (at, beside): (usize, Option<usize>),
        series: Vec<String>,
        failures: u64,
        answer: model::Result<Vec<Ack>>,
    ) -> Outcome {
        let overloaded = matches!(&answer, Err(error) if matches!(error.code, Code::Overloaded { .. }));
        if overloaded {
            let stats = self.shard().stats();
            let held: u64 = stats.tables.iter().map(|table| table.head_rows).sum();
            return match held {
                0 => Err("a request is refused as overload though every head is empty".to_owned()),
                _ => Ok(()),
            };
        }
        let acks = self.judge("take a request", failures, answer)?;
        self.ledger.batches[at].state = match &acks {
            None => State::Refused { life: self.life },
            Some(acks) if acks.iter().any(|ack| ack.forgotten) => {
                self.known.clear();
                State::Gone
            }
            Some(_) => State::Stored,
        };
        if let Some(beside) = beside {
            self.ledger.batches[beside].state = self.ledger.batches[at].state;
        }
        let known = acks.into_iter().flatten().flat_map(|ack| ack.series);
        self.known.extend(series.into_iter().zip(known).filter(|(_, known)| *known != KnownSeries::NONE));
        Ok(())
    }

    pub async fn ingest(&mut self, table: Table) -> Outcome {
        let failures = self.disk.failures();
        let Sent { at, beside, requests, series } = self.send(table);
        self.note(format!("batch {at} of {} to {}", self.ledger.batches[at].records.len(), table.name()));
        let answer = all(&self.shard(), requests).await;
        self.answered((at, beside), series, failures, answer)
    }

    /// One request that is being written, and others that come meanwhile and share the next write.
    pub async fn burst(&mut self) -> Outcome {
        let (failures, shard) = (self.disk.failures(), self.shard());
        let count = 2 + self.rng.below(4) as usize;
        let sent: Vec<_> = (0..count)
            .map(|_| {
                let table = self.table();
                self.send(table)
            })
            .collect();
        self.note(format!("batches {} to {} at once", sent[0].at, sent[count - 1].at));
        let mut reached = Some(self.disk.hold(Part::Wal, None));
        let (mut numbers, mut answers) = (Vec::new(), Vec::new());
        for Sent { at, beside, requests, series } in sent {
            numbers.push(((at, beside), series));
            answers.push(Box::pin(futures::future::maybe_done(all(&shard, requests))));
        }
        for answer in &mut answers {
            let Some(held) = &mut reached else {
                // Whoever is asked once has lined up.
                let _ = futures::poll!(answer);
                continue;
            };
            tokio::select! {
                biased;
                _ = held => reached = None,
                // Refused before it came to the log.
                () = answer => {}
            }
        }
        self.disk.let_go();
        futures::future::join_all(answers.iter_mut().map(|answer| answer.as_mut())).await;
        for ((at, series), mut answer) in numbers.into_iter().zip(answers) {
            let answer = answer.as_mut().take_output().expect("joined");
            self.answered(at, series, failures, answer)?;
        }
        Ok(())
    }

    pub async fn flush(&mut self) -> Outcome {
        self.note("flush");
        let failures = self.disk.failures();
        let flushed = self.shard().flush().await;
        if self.judge("flush", failures, flushed)?.is_some() && self.disk.failures() == failures {
            // One that a failed write left dirty is cleaned by the next write.
            let segments = self.shard().stats().wal_segments;
            if segments > u64::from(failures > self.failures_before) {
                return Err(format!("the log keeps {segments} segments though everything is in the lake"));
            }
        }
        Ok(())
    }

    pub async fn compact(&mut self) -> Outcome {
        self.note("compact");
        let failures = self.disk.failures();
        let compacted = self.shard().compact().await;
        self.judge("compact", failures, compacted).map(|_| ())
    }

    pub async fn tier(&mut self) -> Outcome {
        if self.rng.in_100(50) {
            self.flush().await?;
        }
        self.move_old().await
    }

    pub async fn move_old(&mut self) -> Outcome {
        self.note("move old files");
        let failures = self.disk.failures();
        let moved = self.shard().tier().await;
        self.judge("move old files", failures, moved).map(|_| ())
    }

    pub async fn tend(&mut self) -> Outcome {
        self.note("tend");
        let failures = self.disk.failures();
        let tended = self.shard().tend().await;
        self.judge("tend", failures, tended).map(|_| ())
    }

    pub async fn shutdown(&mut self) -> Outcome {
        self.note("shutdown");
        let failures = self.disk.failures();
        let done = self.shard().shutdown().await;
        let done = self.judge("shut down", failures, done);
        self.drop_shard();
        done.map(|_| ())
    }

    pub async fn check_table(&mut self, table: Table) -> Outcome {
        let order = self.rng.pick(&[Order::Any, Order::Any, Order::OldestFirst, Order::NewestFirst]);
        // Points compete in the order of writing, which only a scan without another order has.
        let order = if table == Table::Samples { Order::Any } else { order };
        let cannot = |error: model::Error| format!("cannot scan {}: {}", table.name(), error.chain());
        if table == Table::Samples {
            let found = records::scan(&self.shard(), table, order).await.map_err(cannot)?;
            return self.ledger.check(table, &found, self.own_eyes());
        }
        let mut follower = Follower::begin(&self.shard(), table, order).await.map_err(cannot)?;
        let eyes = self.own_eyes();
        self.ledger.check(table, follower.found().map_err(cannot)?, eyes)?;
        // Who looked before and has read on sees the same.
        if let Some(mut before) = self.followers.insert(table, follower) {
            let found = before.found().map_err(cannot)?;
            self.ledger.check(table, found, eyes).map_err(|what| format!("to who follows: {what}"))?;
        }
        Ok(())
    }

    pub async fn check(&mut self) -> Outcome {
        self.note("scan");
        for table in self.tables.clone() {
            self.check_table(table).await?;
        }
        Ok(())
    }

    /// Another process reads beside this one.
    pub async fn check_beside(&mut self) -> Outcome {
        self.note("read beside");
        let failures = self.disk.failures();
        let opened = Shard::open_read_only(self.options.clone()).await;
        let Some(reader) = self.judge("open for reading", failures, opened)? else { return Ok(()) };
        for table in self.tables.clone() {
            let found = records::scan(&reader, table, Order::Any).await;
            let found = found.map_err(|error| format!("cannot scan {} beside the shard: {}", table.name(), error.chain()))?;
            self.ledger.check(table, &found, Eyes::Beside)?;
        }
        Ok(())
    }
}

/// One for every table.
fn tiers(dir: &Path, age: Duration) -> Vec<Tier> {
    let dir = dir.join("cold");
    std::fs::create_dir_all(&dir).expect("a directory in memory");
    Table::ALL.iter().map(|&table| Tier { table, age, place: TierPlace::Dir(dir.clone()) }).collect()
}

/// Several requests, of which the first that fails is the answer.
async fn all(shard: &Shard, requests: Vec<Placed>) -> model::Result<Vec<Ack>> {
    let mut acks = Vec::new();
    for request in requests {
        acks.push(shard.ingest(request).await?);
    }
    Ok(acks)
}

pub fn part_of(table: Table) -> Part {
    PARTS[2 + Table::ALL.iter().position(|&other| other == table).expect("one of all")]
}
