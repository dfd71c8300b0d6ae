//! What `tyto demo` runs: hours of the past in seconds, then the present, second by second.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::{Error, Result};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::fault;
use crate::pack::{Lane, Load, pack};
use crate::sender::{Endpoints, Sender};
use crate::sent::Sent;
use crate::world::{World, WorldOptions};

const RECORDS_PER_REQUEST: usize = 4_000;
const BACKFILL_TICK_SECONDS: u64 = 300;
/// Of the past, so much is sent before what is older: it is what a page shows when it is opened.
const SENT_FIRST_SECONDS: u64 = 3_600;
/// Requests that wait for one lane: enough to keep it busy, few enough to hold little memory.
const LOADS_WAITING_MAX: usize = 4;
const FAULTS_PLANNED: Duration = Duration::from_secs(86_400);

/// Called with the part of the back-fill that is done, from 0 to 1, and what was acknowledged so far.
pub type Progress = Arc<dyn Fn(f64, &Sent) + Send + Sync>;

#[derive(Clone)]
pub struct DemoOptions {
    pub endpoints: Endpoints,
    pub seed: u64,
    /// How far the past reaches back from now; six hours for the demo.
    pub backfill: Duration,
    pub journeys_per_second: f64,
    pub progress: Progress,
}

impl DemoOptions {
    /// Six hours of the past at the traffic that makes some 250 thousand spans of them.
    pub fn new(endpoints: Endpoints, seed: u64, progress: Progress) -> Self {
        let journeys_per_second = WorldOptions::new(seed, 0).journeys_per_second;
        Self { endpoints, seed, backfill: Duration::from_secs(6 * 3600), journeys_per_second, progress }
    }
}

pub struct Demo {
    options: DemoOptions,
    sender: Sender,
    world: Arc<Mutex<World>>,
    now_unix_seconds: u64,
}

impl Demo {
    /// The clock is read here once: the back-fill ends and the live part begins at this second. Must be called within a Tokio runtime.
    pub fn new(options: DemoOptions) -> Result<Self> {
        let now_unix_seconds = unix_seconds();
        let start = now_unix_seconds.saturating_sub(options.backfill.as_secs());
        let world = WorldOptions { journeys_per_second: options.journeys_per_second, ..WorldOptions::new(options.seed, start) };
        let sender = Sender::new(options.endpoints)?;
        Ok(Self { options, sender, world: Arc::new(Mutex::new(World::new(world))), now_unix_seconds })
    }

    /// Sends the past, its last hour first, every lane at its own pace, and returns when all of it is acknowledged. Fails with the first request that fails.
    pub async fn backfill(&self) -> Result<Sent> {
        let total = Arc::new(Mutex::new(Sent::default()));
        let mut lanes = Vec::new();
        let mut tasks = JoinSet::new();
        for lane in Lane::ALL {
            let (sender, receiver) = mpsc::channel(LOADS_WAITING_MAX);
            lanes.push((lane, sender));
            tasks.spawn(drive(self.sender.clone(), receiver, total.clone(), self.options.progress.clone()));
        }
        let (world, now) = (self.world.clone(), self.now_unix_seconds);
        let live = tokio::task::spawn_blocking(move || relive(&world, now, &lanes));
        while let Some(finished) = tasks.join_next().await {
            finished.map_err(|source| Error::internal("cannot finish a lane of the back-fill").because(source))??;
        }
        live.await.map_err(|source| Error::internal("cannot simulate the past").because(source))?;
        let total = *total.lock();
        (self.options.progress)(1.0, &total);
        Ok(total)
    }

    /// Lives in real time from where the world stands until `stop`, with faults from 90 s on. What cannot be sent is logged and not
    /// counted: a demo outlives a restart of its receiver.
    pub async fn live(&self, stop: impl Future<Output = ()>) -> Sent {
        let mut total = Sent::default();
        let mut planned_until = 0;
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return total,
                _ = second.tick() => {}
            }
            let now = unix_seconds();
            if now >= planned_until {
                planned_until = now + FAULTS_PLANNED.as_secs();
                self.world.lock().schedule(fault::demonstration(now, FAULTS_PLANNED));
            }
            // After a long back-fill or a suspended machine there is much to catch up with: no more than one step at a time.
            let telemetry = {
                let mut world = self.world.lock();
                let end = now.min(world.now_unix_seconds() + BACKFILL_TICK_SECONDS);
                world.tick(end)
            };
            for load in pack(telemetry, RECORDS_PER_REQUEST) {
                let lane = load.lane;
                match self.sender.send(load).await {
                    Ok(sent) => total += sent,
                    Err(error) => tracing::warn!(?lane, error = error.chain(), "telemetry of the simulation is lost"),
                }
            }
        }
    }
}

/// One request of the past, and how much of the past is generated with it.
type Piece = (Load, f64);

/// Generates the past and hands it to the lanes, its last hour first; ends early when a lane has given up.
fn relive(world: &Mutex<World>, end: u64, lanes: &[(Lane, mpsc::Sender<Piece>)]) {
    let mut world = world.lock();
    let begin = world.now_unix_seconds();
    let mut older = world.clone();
    // Counters go on from the hours before, so these are lived first and told afterwards, by a world that lives them again.
    while world.now_unix_seconds() + SENT_FIRST_SECONDS < end {
        let until = world.now_unix_seconds() + BACKFILL_TICK_SECONDS;
        world.tick(until);
    }
    let first = world.now_unix_seconds();
    let mut told = 0;
    for (world, end_of_part) in [(&mut *world, end), (&mut older, first)] {
        while world.now_unix_seconds() < end_of_part {
            let from = world.now_unix_seconds();
            let telemetry = world.tick(end_of_part.min(from + BACKFILL_TICK_SECONDS));
            told += world.now_unix_seconds() - from;
            let done = told as f64 / (end - begin) as f64;
            for load in pack(telemetry, RECORDS_PER_REQUEST) {
                let (_, lane) = lanes.iter().find(|(lane, _)| *lane == load.lane).expect("every lane has a driver");
                if lane.blocking_send((load, done)).is_err() {
                    return;
                }
            }
        }
    }
}

async fn drive(sender: Sender, mut pieces: mpsc::Receiver<Piece>, total: Arc<Mutex<Sent>>, progress: Progress) -> Result<()> {
    while let Some((load, done)) = pieces.recv().await {
        let sent = sender.send(load).await?;
        let so_far = {
            let mut total = total.lock();
            *total += sent;
            *total
        };
        // All is done only when every lane is: the last per cent is announced by who waits for them.
        progress(done.min(0.99), &so_far);
    }
    Ok(())
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loads of each lane in the order they came.
    fn by_lane(loads: impl IntoIterator<Item = Load>) -> Vec<Vec<Load>> {
        let mut lanes = Lane::ALL.map(|_| Vec::new());
        loads.into_iter().for_each(|load| lanes[load.lane as usize].push(load));
        lanes.into()
    }

    #[test]
    fn the_last_hour_comes_first_and_is_the_same() {
        let start = 1_759_996_500;
        let (first, end) = (start + 900, start + 4_300);
        let mut plain = World::new(WorldOptions { journeys_per_second: 0.05, ..WorldOptions::new(3, start) });
        let world = Mutex::new(plain.clone());
        let mut live = |until| {
            let mut loads = Vec::new();
            while plain.now_unix_seconds() < until {
                let tick_end = until.min(plain.now_unix_seconds() + BACKFILL_TICK_SECONDS);
                loads.extend(pack(plain.tick(tick_end), RECORDS_PER_REQUEST));
            }
            loads
        };
        let (older, newest) = (live(first), live(end));
        assert!(older.len() > 10 && newest.len() > older.len(), "{} and {}", older.len(), newest.len());

        let (lanes, mut receivers): (Vec<_>, Vec<_>) = Lane::ALL
            .map(|lane| (lane, mpsc::channel(10_000)))
            .map(|(lane, (sender, receiver))| ((lane, sender), receiver))
            .into_iter()
            .unzip();
        relive(&world, end, &lanes);
        drop(lanes);
        let mut found = Vec::new();
        for receiver in &mut receivers {
            let pieces: Vec<Piece> = std::iter::from_fn(|| receiver.try_recv().ok()).collect();
            assert!(pieces.is_sorted_by_key(|(_, done)| *done) && pieces.iter().all(|(_, done)| (0.0..=1.0).contains(done)));
            found.push(pieces.into_iter().map(|(load, _)| load).collect::<Vec<_>>());
        }
        assert!(found == by_lane(newest.into_iter().chain(older)), "each lane has the newest loads, then the older ones");
        assert_eq!(world.lock().now_unix_seconds(), end);
    }
}
