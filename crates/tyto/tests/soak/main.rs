//! A simulated week of the company, its clock compressed, through receivers, pipeline, shard and API in one process, while
//! retention, compaction, erasures, kills and restarts go on. It ends with memory, files and disk that did not grow, and
//! with the same sums of what was sent and what is held.
//!
//! `TYTO_SOAK_HOURS` is how long the story is (24 without it, a week for `make soak`, which also writes `bench/SOAK.md` to
//! `TYTO_SOAK_REPORT`). The story has seven parts, days when it is a week; retention is told in parts.
#![allow(clippy::unwrap_used)]

mod ledger;
mod report;
mod system;

use std::time::{Duration, Instant};

use ledger::Ledger;
use model::{Erasure, ErasureOrder, ErasureState, FieldTest, Retention, Table};
use report::{Look, Report};
use sim::{Lane, Load, Telemetry, World, WorldOptions, pack};
use system::System;

/// The program's own.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SEED: u64 = 7;
/// A Monday, midnight.
const START_UNIX_SECONDS: u64 = 1_759_708_800;
const HOUR_SECONDS: u64 = 3600;
const TICK_SECONDS: u64 = 600;
const TICKS_PER_HOUR: u64 = HOUR_SECONDS / TICK_SECONDS;
const PARTS: u64 = 7;
const RECORDS_PER_REQUEST: usize = 2_000;
/// Journeys that begin per second: a company small enough that a week of it fits into minutes.
const JOURNEYS_PER_SECOND: f64 = 0.05;
/// Of so many scrapes one is sent: how points are stored is measured by `make bench`.
const SCRAPES_PER_SENT: usize = 61;
/// What an erasure may take before the story stops to wait for it.
const ERASURE_MAX: Duration = Duration::from_secs(120);
const LOST_BUSINESS: &str = "advertising";
const ERASED_BUSINESS: &str = "payments";
pub(crate) const ERASED_ATTRIBUTE: (&str, &str) = ("device.type", "ios");

fn retention(part_hours: u64) -> Retention {
    let mut retention = Retention::default();
    for (table, scope, parts) in [
        (Table::Logs, ["", "", ""], 3),
        (Table::Spans, ["", "", ""], 2),
        (Table::Samples, ["", "", ""], 5),
        (Table::Logs, [LOST_BUSINESS, "", ""], 1),
    ] {
        retention.keep(table, scope, Duration::from_secs(parts * part_hours * HOUR_SECONDS));
    }
    retention
}

/// What of the last whole hour but one is erased: one business service everywhere, or one value of an attribute.
fn order(now_seconds: u64, attribute: bool) -> ErasureOrder {
    let (field, equals) = match attribute {
        true => (format!("attributes.{}", ERASED_ATTRIBUTE.0), ERASED_ATTRIBUTE.1),
        false => ("business_service".to_owned(), ERASED_BUSINESS),
    };
    let hour = |back: u64| Some(((now_seconds / HOUR_SECONDS - back) * HOUR_SECONDS * 1_000_000_000) as i64);
    ErasureOrder {
        tables: Vec::new(),
        tests: vec![FieldTest { field, equals: Some(equals.to_owned()), contains: None }],
        start_unix_nano: hour(2),
        end_unix_nano: hour(1),
        reference: "soak".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_story_of_seven_parts_ends_with_what_it_should() {
    let hours: u64 = std::env::var("TYTO_SOAK_HOURS").map_or(24, |hours| hours.parse().unwrap());
    let part_hours = (hours / PARTS).max(3);
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(WorldOptions { journeys_per_second: JOURNEYS_PER_SECOND, ..WorldOptions::new(SEED, START_UNIX_SECONDS) });
    let mut report = Report::new(hours, part_hours);
    let ledger = Ledger::default();
    let mut system = System::open(dir.path(), ledger.clone(), retention(part_hours), START_UNIX_SECONDS).await;
    let started = Instant::now();
    let mut asked: Option<(Erasure, Instant, [u64; 3])> = None;

    let mut scrapes = 0..;
    for tick in 1..=hours * TICKS_PER_HOUR {
        let now = START_UNIX_SECONDS + tick * TICK_SECONDS;
        let told = world.tick(now).into_iter().filter(|told| match told {
            Telemetry::Metrics(_) | Telemetry::RemoteWrite(_) => scrapes.next().is_some_and(|scrape| scrape % SCRAPES_PER_SENT == 0),
            _ => true,
        });
        report.sent += send(&system, pack(told, RECORDS_PER_REQUEST)).await;
        system.clock.set(now);
        if tick % TICKS_PER_HOUR != 0 {
            continue;
        }
        let hour = tick / TICKS_PER_HOUR;
        let (part, hour_of_part) = ((hour - 1) / part_hours, hour % part_hours);
        report.look(part, Look::at(&system, dir.path()));
        // In the middle of a part an erasure, now of a business service and now of an attribute.
        if hour_of_part == part_hours / 2 && hour >= 3 {
            let order = order(now, part % 2 == 1);
            let expected = ledger.erase(&order);
            let erasure = system.shard.erase(order).await.unwrap();
            asked = Some((erasure, Instant::now(), expected));
        }
        // Near the end of a part it is done, and has taken what it should.
        if hour_of_part == part_hours - 1
            && let Some((erasure, at, expected)) = asked.take()
        {
            let proof = done(&system, &erasure.id, at).await;
            let erased = [proof.erased.logs, proof.erased.spans, proof.erased.samples];
            assert_eq!(erased, expected, "part {part}: {proof:?}");
            report.erased.push((proof.fields[0].clone(), erased, proof.files_rewritten));
        }
        if hour_of_part == 0 && hour < hours {
            println!("part {} after {:.0} s", part + 1, started.elapsed().as_secs_f64());
            if part == 3 {
                // One more, and the kill comes at once.
                let order = order(now, true);
                ledger.erase(&order);
                system.shard.erase(order).await.unwrap();
            }
            system = system.restart(part % 2 == 0).await;
        }
    }
    for erasure in system.shard.erasures() {
        done(&system, &erasure.id, Instant::now()).await;
    }
    report.took = started.elapsed();
    report.acknowledged = ledger.acknowledged();
    report.sums = system.verify(&ledger, dir.path()).await;
    report.judge();
    report.write();
}

/// Sends what one sender has in its order, and the senders beside each other.
async fn send(system: &System, loads: Vec<Load>) -> u64 {
    let of_lane = |lane| {
        let loads: Vec<_> = loads.iter().filter(|load| load.lane == lane).collect();
        async move {
            let mut sent = 0;
            for load in loads {
                sent += system.send(load).await;
            }
            sent
        }
    };
    futures::future::join_all(Lane::ALL.map(of_lane)).await.into_iter().sum()
}

async fn done(system: &System, id: &str, since: Instant) -> Erasure {
    loop {
        let erasure = system.shard.erasures().into_iter().find(|erasure| erasure.id == id).unwrap();
        if erasure.state == ErasureState::Done {
            return erasure;
        }
        assert!(since.elapsed() < ERASURE_MAX, "not done: {erasure:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
