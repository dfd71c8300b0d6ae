//! What can happen to a shard, drawn from the seed: work, bad weather, damage, death, and what must be true at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Code, Order, Table};
use store::Shard;

use crate::disk::{Call, Part, Weather};
use crate::planted::Plant;
use crate::records;
use crate::world::{Outcome, World, part_of};

/// What makes a run long or short.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// Processes before the last one.
    pub lives: u64,
    /// Steps of each, at most.
    pub steps: u64,
}

impl World {
    pub async fn run(&mut self, length: Length) -> Outcome {
        for _ in 0..length.lives {
            self.open_somehow().await?;
            for _ in 0..1 + self.rng.below(length.steps) {
                self.step().await?;
            }
            self.end_life().await?;
        }
        self.settle().await
    }

    async fn step(&mut self) -> Outcome {
        let table = self.table();
        match self.rng.below(100) {
            0..12 if !self.options.tiers.is_empty() => self.tier().await,
            0..54 => self.ingest(table).await,
            54..66 => self.burst().await,
            66..74 => self.flush().await,
            74..78 => self.compact().await,
            78..82 => self.tend().await,
            82..86 => self.check().await,
            86 => self.check_beside().await,
            87..90 => self.between(table).await,
            90..94 => {
                let by = self.rng.pick(&[1_000, 130_000, 700_000, -500_000, 86_400_000]);
                self.note(format!("the clock jumps by {by} ms"));
                self.clock.jump(by);
                Ok(())
            }
            94..98 => {
                let weather =
                    self.rng.pick(&[Weather::Flaky(5), Weather::Flaky(30), Weather::Full, Weather::Unsynced, Weather::Slow, Weather::Fair]);
                self.note(format!("weather {weather:?}"));
                self.disk.set_weather(weather);
                Ok(())
            }
            _ => self.damage_lake(table).await,
        }
    }

    /// A flush or a merge waits in the middle of its work, and something else goes on.
    async fn between(&mut self, table: Table) -> Outcome {
        // What became of a doubtful commit is found out with the lake's lock held, and then nothing else does go on.
        if self.disk.failures() > self.failures_before {
            return self.flush().await;
        }
        self.disk.set_weather(Weather::Fair);
        let (merges, moves) = (self.rng.in_100(50), !self.options.tiers.is_empty() && self.rng.in_100(50));
        let call = self.rng.pick(&[Call::Create, Call::Sync, Call::Link]);
        let what = if moves { "move" } else { ["flush", "compact"][usize::from(merges)] };
        self.note(format!("{what} held at {call:?} in {}", table.name()));
        let (failures, shard) = (self.disk.failures(), self.shard());
        let reached = self.disk.hold(part_of(table), Some(call));
        let mut outer = tokio::spawn(async move {
            match (moves, merges) {
                (true, _) => shard.tier().await,
                (_, true) => shard.compact().await,
                _ => shard.flush().await,
            }
        });
        let early = tokio::select! {
            biased;
            done = &mut outer => Some(done),
            _ = reached => None,
        };
        let mut meanwhile = Ok(());
        if early.is_none() {
            for _ in 0..1 + self.rng.below(2) {
                meanwhile = match self.rng.below(10) {
                    0..4 => self.ingest(table).await,
                    4..6 => self.check().await,
                    6..7 => self.check_beside().await,
                    // The first file that a move creates may be a commit.
                    _ if merges && !moves && call == Call::Create => self.flush().await,
                    _ => self.check_table(table).await,
                };
                if meanwhile.is_err() {
                    break;
                }
            }
            if self.rng.in_100(30) {
                self.note("it goes on, and dies");
                self.disk.die_soon_in(&mut self.rng, 12, &[Part::Wal, part_of(table)]);
            }
        }
        self.disk.let_go();
        let done = match early {
            Some(done) => done,
            None => outer.await,
        };
        meanwhile?;
        self.judge("go on", failures, done.expect("it does not panic"))?;
        if self.disk.failures() > failures {
            self.revive()
        } else {
            self.disk.spare()
        }
        match self.shard {
            Some(_) => Ok(()),
            None => self.open_somehow().await,
        }
    }

    /// A bit flips in a lake file: who reads it gives the right answer, or an error with the file's name.
    async fn damage_lake(&mut self, table: Table) -> Outcome {
        let folder = format!("lake/{}/", table.name());
        let files = self
            .disk
            .files()
            .into_iter()
            .filter(|(name, bytes)| name.starts_with(&folder) && name.ends_with(".parquet") && !bytes.is_empty());
        let files: Vec<_> = files.map(|(name, bytes)| (name, bytes.len())).collect();
        if files.is_empty() {
            return self.check_table(table).await;
        }
        let (name, bytes) = self.rng.pick(&files);
        let (byte, bit) = (self.rng.below(bytes as u64) as usize, self.rng.below(8) as u8);
        self.note(format!("bit {bit} of byte {byte} of {name} flips"));
        self.disk.flip(&name, byte, bit);
        let file = name.rsplit('/').next().unwrap_or(&name);
        let names_it = |what: &str, error: &model::Error| match error.chain().contains(file) {
            true => Ok(()),
            false => Err(format!("cannot {what}, and the error does not name the damaged {file}: {}", error.chain())),
        };
        match records::scan(&self.shard(), table, Order::Any).await {
            Ok(found) => self.ledger.check(table, &found, self.own_eyes())?,
            Err(error) => names_it("scan", &error)?,
        }
        if self.rng.in_100(50) {
            let failures = self.disk.failures();
            if let Err(error) = self.shard().compact().await
                && self.disk.failures() == failures
            {
                names_it("compact", &error)?;
            }
        }
        for other in self.tables.clone().into_iter().filter(|&other| other != table) {
            self.check_table(other).await?;
        }
        // The file comes back from a copy.
        if self.disk.files().iter().any(|(found, _)| *found == name) || self.plant == Some(Plant::WrongFileDamaged) {
            self.disk.flip(&name, byte, bit);
        }
        self.check_table(table).await
    }

    /// Death in the middle of something, death between two things, or a clean end.
    async fn end_life(&mut self) -> Outcome {
        if self.rng.in_100(15) {
            self.disk.set_weather(Weather::Fair);
            return self.shutdown().await;
        }
        if self.rng.in_100(75) {
            self.note("dies soon");
            let (what, table) = (self.rng.below(10), self.table());
            // A request takes two calls, a flush some twenty.
            let within = if what < 4 { 4 } else { self.rng.pick(&[4, 14, 14, 30]) };
            self.disk.die_soon(&mut self.rng, within);
            match what {
                0..2 => self.ingest(table).await?,
                2..4 => self.burst().await?,
                4..6 => self.flush().await?,
                6..9 if !self.options.tiers.is_empty() => self.tier().await?,
                6..9 => self.compact().await?,
                _ => self.shutdown().await?,
            }
        }
        self.revive();
        if self.rng.in_100(15) { self.damage_log().await } else { Ok(()) }
    }

    /// The process ends without a word, often because the power does.
    fn revive(&mut self) {
        self.drop_shard();
        if self.rng.in_100(60) {
            self.note("the power is cut");
            let roll = self.rng.next();
            self.disk.cut_power(roll);
        } else {
            self.note("killed");
            self.disk.kill();
        }
    }

    /// Opens the shard; some processes die before they are up.
    async fn open_somehow(&mut self) -> Outcome {
        while self.rng.in_100(12) {
            self.note("opens, and dies soon");
            let failures = self.disk.failures();
            match self.rng.below(3) {
                0 => self.disk.set_weather(Weather::Flaky(8)),
                _ => self.disk.die_soon(&mut self.rng, 24),
            }
            let opened = Shard::open(self.options.clone()).await;
            if let Some(shard) = self.judge("open", failures, opened)? {
                drop(shard);
                // It was up: what it found it may have shown.
                self.born();
            }
            self.revive();
        }
        self.note("open");
        self.open().await?;
        if self.rng.in_100(20) { self.check().await } else { Ok(()) }
    }

    /// A bit of the log flips while nobody runs: the shard does not open, and says which segment is damaged. Not in what was
    /// written last: that is a torn tail as far as anybody can tell.
    async fn damage_log(&mut self) -> Outcome {
        let segments: Vec<_> = self.disk.files().into_iter().filter(|(name, _)| name.ends_with(".wal")).collect();
        let places = segments.iter().enumerate().map(|(at, (name, bytes))| match at + 1 == segments.len() {
            true => (name, start_of_last_group(bytes)),
            false => (name, bytes.len()),
        });
        let places: Vec<_> = places.filter(|(_, bytes)| *bytes > 0).collect();
        if places.is_empty() {
            return Ok(());
        }
        let (name, bytes) = self.rng.pick(&places);
        let (byte, bit) = (self.rng.below(bytes as u64) as usize, self.rng.below(8) as u8);
        self.note(format!("bit {bit} of byte {byte} of {name} flips"));
        self.disk.flip(name, byte, bit);
        let opened = Shard::open(self.options.clone()).await;
        self.disk.flip(name, byte, bit);
        match opened {
            Ok(_) => Err(format!("the damage in {name} goes unseen")),
            Err(error) if error.code == Code::Corrupt && error.chain().contains(name.as_str()) => Ok(()),
            Err(error) => Err(format!("the error does not name the damaged {name}: {}", error.chain())),
        }
    }

    /// A last process on a good disk: everything is there, it works, and it leaves nothing behind.
    async fn settle(&mut self) -> Outcome {
        self.note("settle");
        self.clock.pass(Duration::from_secs(86_400));
        self.open().await?;
        if !self.options.tiers.is_empty() {
            // What is moved is deleted here by the open after it, and what a crash left there by the move after that.
            self.move_old().await?;
            self.drop_shard();
            self.open().await?;
            self.move_old().await?;
        }
        self.check().await?;
        let table = self.table();
        if self.rng.in_100(25) {
            // The heads may be full of what the log held.
            self.flush().await?;
            let sent = self.ledger.stored(table);
            self.ingest(table).await?;
            if self.ledger.stored(table) == sent {
                return Err("a request is refused though everything works and the heads are empty".to_owned());
            }
            self.check_table(table).await?;
        }
        if self.rng.in_100(30) {
            // The end is much the same in all, and costs what two lives of other runs do.
            self.drop_shard();
            return Ok(());
        }
        self.shutdown().await?;
        self.check_files()?;
        if self.rng.in_100(4) {
            self.open().await?;
            self.tables = Table::ALL.to_vec();
            self.check().await?;
            self.drop_shard();
        }
        Ok(())
    }

    /// What lies on the disk is what the Delta log names, and of the log nothing.
    fn check_files(&self) -> Outcome {
        let files = self.disk.files();
        if let Some((name, _)) = files.iter().find(|(name, _)| name.starts_with("wal/")) {
            return Err(format!("{name} stays though everything is in the lake"));
        }
        for table in Table::ALL {
            let folder = format!("lake/{}/", table.name());
            let inside = || files.iter().filter_map(|(name, bytes)| Some((name.strip_prefix(&folder)?, bytes)));
            let mut live = BTreeMap::new();
            for (_, bytes) in inside().filter(|(name, _)| name.starts_with("_delta_log/") && name.ends_with(".json")) {
                for action in serde_json::Deserializer::from_slice(bytes).into_iter::<serde_json::Value>() {
                    let action = action.map_err(|error| format!("a commit of {} is no JSON: {error}", table.name()))?;
                    let path = |kind: &str| action[kind]["path"].as_str().map(str::to_owned);
                    live.extend(path("add").map(|path| (path, None)));
                    live.extend(path("remove").map(|path| (path, action["remove"]["deletionTimestamp"].as_i64())));
                }
            }
            for (name, _) in inside() {
                let age_min = self.options.replaced_file_age_min.as_millis() as i64;
                let young = |at: i64| store::Clock::now_ms(&*self.clock) - at < age_min;
                let wanted = match live.get(name) {
                    Some(replaced) => replaced.is_none_or(young),
                    None => name.starts_with("_delta_log/") && !name.ends_with("#1"),
                };
                if !wanted {
                    return Err(format!("{folder}{name} stays, and nobody wants it"));
                }
            }
            let present = |path: &str| inside().any(|(name, _)| name == path);
            if let Some((path, _)) = live.iter().find(|(path, replaced)| replaced.is_none() && !present(path)) {
                return Err(format!("{folder}{path} is live, and gone"));
            }
        }
        Ok(())
    }
}

/// Where the last write to a segment began; 0 when there was none before it.
fn start_of_last_group(bytes: &[u8]) -> usize {
    let long = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let (mut at, mut groups) = (16, Vec::new());
    while let Some((length, group)) = long(at).map(|word| word as u32 as usize).zip(long(at + 16)) {
        let Some(frame) = bytes.get(at..at + 28 + length) else { break };
        let sum = crc32c::crc32c_append(crc32c::crc32c(&frame[..4]), &frame[8..]);
        if frame[4..8] != sum.to_le_bytes() {
            break;
        }
        if groups.last().is_none_or(|&(last, _)| last != group) {
            groups.push((group, at));
        }
        at += 28 + length;
    }
    // Behind the last whole one there may be a torn one: damage before that would look like its beginning.
    if groups.len() > 1 { groups[groups.len() - 1].1 } else { 0 }
}
