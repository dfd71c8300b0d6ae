//! The store, simulated: a seed decides what is done to a shard, what its disk does, when it dies and what a power cut leaves.
//! A checker knows every record that was ever sent. `docs/simulation.md` tells the rest.
//!
//! `world.rs` is a run and the steps of a shard at work, `steps.rs` what else can happen and what must be true at the end,
//! `ledger.rs` the checker, `disk.rs` and `platter.rs` the disk, `planted.rs` the bugs that must be found.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

mod disk;
mod ledger;
mod planted;
mod platter;
mod records;
mod rng;
mod start;
mod steps;
mod world;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use disk::PARTS;
use futures::FutureExt;
use planted::Plant;
use rng::hash;
use start::Starts;
use steps::Length;
use tokio::runtime::Runtime;
use world::World;

/// Seeds of a plain `cargo test`; CI runs as many as the Makefile says.
const SEEDS: u64 = 200;
/// One seed in so many is a longer run, and one in so many a long one.
const LONGER_EVERY: u64 = 50;
const LONG_EVERY: u64 = 1000;
const SHORT: Length = Length { lives: 1, steps: 8 };
const LONGER: Length = Length { lives: 3, steps: 16 };
const LONG: Length = Length { lives: 8, steps: 30 };
/// A planted bug is found by so many seeds.
const PLANTED_SEEDS: u64 = 150;
/// No run takes a hundredth of it.
const TIME_MAX: Duration = Duration::from_secs(120);

struct Run {
    steps: Vec<String>,
    trace: [Vec<String>; PARTS.len()],
    found: Result<(), String>,
}

/// Two workers: what holds one at a call of the disk must not hold the other.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// How long the run of a seed is.
fn length(seed: u64) -> Length {
    match seed {
        _ if seed.is_multiple_of(LONG_EVERY) => LONG,
        _ if seed.is_multiple_of(LONGER_EVERY) => LONGER,
        _ => SHORT,
    }
}

fn simulate(runtime: &Runtime, starts: &Starts, seed: u64, length: Length, plant: Option<Plant>) -> Run {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let mut world = World::new(dir.path().to_owned(), hash(&[seed]), plant);
    starts.begin(&mut world);
    let run = std::panic::AssertUnwindSafe(async {
        match tokio::time::timeout(TIME_MAX, world.run(length)).await {
            Ok(found) => found,
            Err(_) => Err("it hangs".to_owned()),
        }
    });
    let found = runtime.block_on(run.catch_unwind()).unwrap_or_else(|_| Err("it panics, as said above".to_owned()));
    Run { trace: world.disk.trace(), steps: std::mem::take(&mut world.steps), found }
}

fn report(seed: u64, run: &Run, what: &str, long: &str) -> String {
    let steps: Vec<_> = run.steps.iter().enumerate().map(|(at, step)| format!("  {at:>4} {step}")).collect();
    let from = steps.len().saturating_sub(60);
    format!("seed {seed}, step {}: {what}\n{}\nreplay: make simulate SEED={seed}{long}\n", run.steps.len(), steps[from..].join("\n"))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .filter(|text| !text.is_empty())
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}")))
}

/// `SEED` names one run, `SEEDS` how many and `FROM` the first.
#[test]
fn whatever_happens_no_seed_loses_doubles_or_changes_a_record() {
    let (from, count) = match number("SEED") {
        Some(seed) => (seed, 1),
        None => (number("FROM").unwrap_or(1), number("SEEDS").unwrap_or(SEEDS)),
    };
    // All of them long, to look for what takes many steps.
    let all_long = number("LONG").is_some();
    let length = |seed| if all_long { LONG } else { length(seed) };
    let (next, failed, started) = (AtomicU64::new(from), Mutex::new(Vec::new()), Instant::now());
    let steps = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let runtime = runtime();
                let starts = Starts::make(&runtime);
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + count || failed.lock().unwrap().len() >= 3 {
                        return;
                    }
                    let run = simulate(&runtime, &starts, seed, length(seed), None);
                    steps.fetch_add(run.steps.len() as u64, Ordering::Relaxed);
                    if (seed - from + 1).is_multiple_of(1000) {
                        println!("seed {seed} after {:.0} s", started.elapsed().as_secs_f64());
                    }
                    if count == 1 {
                        println!("{}", run.trace.concat().join("\n"));
                        println!("{}", run.steps.join("\n"));
                    }
                    if let Err(what) = &run.found {
                        failed.lock().unwrap().push(report(seed, &run, what, if all_long { " LONG=1" } else { "" }));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    println!("{count} seeds from {from}, {} steps, {:.1} s", steps.into_inner(), started.elapsed().as_secs_f64());
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn one_seed_twice_is_the_same_run() {
    let runtime = runtime();
    let starts = Starts::make(&runtime);
    for seed in (1..25).chain([LONGER_EVERY, LONG_EVERY]) {
        let [first, second] = [(), ()].map(|()| simulate(&runtime, &starts, seed, length(seed), None));
        assert_eq!(first.steps, second.steps, "seed {seed}");
        for (a, b) in first.trace.iter().flatten().zip(second.trace.iter().flatten()) {
            assert_eq!(a, b, "seed {seed}");
        }
        assert_eq!(first.trace.map(|calls| calls.len()), second.trace.map(|calls| calls.len()), "seed {seed}");
    }
}

#[test]
fn every_planted_bug_is_found_and_called_by_its_name() {
    let bugs = Mutex::new(planted::SAYS.iter());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let runtime = runtime();
                let starts = Starts::make(&runtime);
                loop {
                    let Some((plant, says)) = bugs.lock().unwrap().next() else { return };
                    // Several lives: what the first leaves, the second may build upon, and the third finds.
                    let mut found = Vec::new();
                    for seed in 1..=PLANTED_SEEDS {
                        found.extend(simulate(&runtime, &starts, seed, LONGER, Some(*plant)).found.err());
                        if found.last().is_some_and(|what| what.contains(says)) {
                            break;
                        }
                    }
                    let named = found.last().is_some_and(|what| what.contains(says));
                    assert!(named, "{plant:?} is not called {says:?} by {PLANTED_SEEDS} seeds, but {found:#?}");
                    println!("{plant:?}: {}", found.last().map_or("", |what| what.as_str()));
                }
            });
        }
    });
}
