//! A disk that fails, dies and loses power as its seed says. What a process sees lies in a real directory, because lake files
//! are read past [`Disk`]; what is durable, [`Platter`] knows.
//!
//! The three tables of a shard work at the same time, so no order of all calls could be the same twice. What happens to a
//! call depends on how many calls *of its part of the directory* came before, and within a part one call follows the other.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use store::{Disk, DiskFile, LocalDisk};
use tokio::sync::oneshot;

use crate::planted::Plant;
use crate::platter::Platter;
use crate::rng::{Rng, hash};

/// The parts of a shard's directory in which calls follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Root,
    Wal,
    Logs,
    Spans,
    Samples,
    Quarantine,
}

pub const PARTS: [Part; 6] = [Part::Root, Part::Wal, Part::Logs, Part::Spans, Part::Samples, Part::Quarantine];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    CreateDir,
    Create,
    Read,
    List,
    Append,
    Truncate,
    Sync,
    SyncDir,
    Link,
    Symlink,
    Rename,
    Remove,
}

/// Which calls fail from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weather {
    #[default]
    Fair,
    /// Any call, so many in a hundred.
    Flaky(u64),
    /// Whatever takes room.
    Full,
    /// Syncs of files and directories, every second one.
    Unsynced,
    /// A few calls take a while.
    Slow,
}

/// What becomes of a call. One that fails may have happened all the same, or in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Works,
    Fails {
        roll: u64,
    },
    /// The process, or the whole machine, is no more.
    Dead,
}

impl Fate {
    fn happens(self) -> bool {
        match self {
            Self::Works => true,
            Self::Fails { roll } => roll % 2 == 0,
            Self::Dead => false,
        }
    }

    fn result(self) -> io::Result<()> {
        match self {
            Self::Works => Ok(()),
            Self::Fails { roll } if roll % 3 == 0 => Err(io::Error::new(io::ErrorKind::StorageFull, "the simulated disk is full")),
            Self::Fails { .. } => Err(io::Error::other("the simulated disk failed")),
            Self::Dead => Err(io::Error::other("the simulated process is dead")),
        }
    }
}

#[derive(Clone)]
pub struct SimDisk(Arc<Shared>);

struct Shared {
    root: PathBuf,
    seed: u64,
    state: Mutex<State>,
    let_go: Condvar,
}

#[derive(Default)]
struct State {
    platter: Platter,
    weather: Weather,
    /// Calls that each part has seen.
    calls: [u64; PARTS.len()],
    /// The call of each part with which the process dies. The parts are independent of each other, so any such six moments
    /// are one moment in some order of what they did.
    dies_at: [Option<u64>; PARTS.len()],
    failures: u64,
    hold: Option<Hold>,
    plant: Option<Plant>,
    /// Names given so far.
    named: [u64; PARTS.len()],
    trace: [Vec<String>; PARTS.len()],
}

/// A call that waits until it is let go.
struct Hold {
    part: Part,
    /// None is any.
    call: Option<Call>,
    reached: Option<oneshot::Sender<()>>,
    let_go: bool,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDisk")
    }
}

impl SimDisk {
    pub fn new(root: &Path, seed: u64, plant: Option<Plant>) -> Self {
        let state = Mutex::new(State { plant, ..State::default() });
        Self(Arc::new(Shared { root: root.to_owned(), seed, state, let_go: Condvar::new() }))
    }

    /// Puts a file on the disk before the run begins.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.0.root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        self.0.state.lock().platter.put(&path, bytes.to_vec());
    }

    /// Every file, by its name from the root.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let state = self.0.state.lock();
        let name = |path: &Path| path.strip_prefix(&self.0.root).unwrap().to_str().unwrap().to_owned();
        state.platter.names().map(|path| (name(path), state.platter.bytes(path).to_vec())).collect()
    }

    pub fn set_weather(&self, weather: Weather) {
        self.0.state.lock().weather = weather;
    }

    /// Calls that failed so far.
    pub fn failures(&self) -> u64 {
        self.0.state.lock().failures
    }

    /// The process dies at a call soon: in each part after a number of its own.
    pub fn die_soon(&self, rng: &mut Rng, within: u64) {
        self.die_soon_in(rng, within, &PARTS);
    }

    /// The same while other parts are at work, of whom nobody knows how far they are: those come to the end of it.
    pub fn die_soon_in(&self, rng: &mut Rng, within: u64, parts: &[Part]) {
        let mut state = self.0.state.lock();
        let calls = state.calls;
        for (at, part) in PARTS.iter().enumerate() {
            let last = calls[at] + rng.below(within);
            state.dies_at[at] = parts.contains(part).then_some(last);
        }
    }

    /// It does not, after all.
    pub fn spare(&self) {
        self.0.state.lock().dies_at = Default::default();
    }

    /// The process is gone, and a new one may come.
    pub fn kill(&self) {
        let mut state = self.0.state.lock();
        state.dies_at = Default::default();
        state.weather = Weather::Fair;
    }

    /// The power is gone, and comes back. No shard may be open.
    pub fn cut_power(&self, roll: u64) {
        self.kill();
        let mut state = self.0.state.lock();
        for path in state.platter.names() {
            std::fs::remove_file(path).unwrap();
        }
        state.platter.cut_power(roll);
        for path in state.platter.names() {
            std::fs::write(path, state.platter.bytes(path)).unwrap();
        }
    }

    /// Changes one bit; again, and it is as before.
    pub fn flip(&self, name: &str, byte: usize, bit: u8) {
        let mut state = self.0.state.lock();
        let path = match state.plant {
            // Says that it flips one file, and flips another.
            Some(Plant::WrongFileDamaged) => {
                let other = |path: &&PathBuf| path.extension() == Path::new(name).extension() && !path.ends_with(name);
                state.platter.names().find(other).cloned().unwrap_or_else(|| self.0.root.join(name))
            }
            _ => self.0.root.join(name),
        };
        let byte = byte.min(state.platter.bytes(&path).len().saturating_sub(1));
        state.platter.flip(&path, byte, bit);
        std::fs::write(&path, state.platter.bytes(&path)).unwrap();
    }

    /// The next such call waits, and everything behind it in its part, until [`Self::let_go`]. The receiver is told when it is
    /// reached.
    pub fn hold(&self, part: Part, call: Option<Call>) -> oneshot::Receiver<()> {
        let (reached, receiver) = oneshot::channel();
        self.0.state.lock().hold = Some(Hold { part, call, reached: Some(reached), let_go: false });
        receiver
    }

    pub fn let_go(&self) {
        let mut state = self.0.state.lock();
        match &mut state.hold {
            Some(hold) if hold.reached.is_none() => hold.let_go = true,
            _ => state.hold = None,
        }
        self.0.let_go.notify_all();
    }

    /// Every call of each part and what became of it.
    pub fn trace(&self) -> [Vec<String>; PARTS.len()] {
        self.0.state.lock().trace.clone()
    }

    fn part(&self, path: &Path) -> Part {
        let inside = path.strip_prefix(&self.0.root).unwrap_or(Path::new(""));
        // The folders of a tier are below its own `one/`.
        let mut names = inside.strip_prefix("cold/one").unwrap_or(inside).iter().filter_map(|name| name.to_str());
        match (names.next(), names.next()) {
            (Some("wal"), _) => Part::Wal,
            (Some("lake"), Some("logs")) => Part::Logs,
            (Some("lake"), Some("spans")) => Part::Spans,
            (Some("lake"), Some("samples")) => Part::Samples,
            (Some("lake"), Some("quarantine")) => Part::Quarantine,
            _ => Part::Root,
        }
    }

    /// Decides what becomes of a call, after it was held if it is to be.
    fn enter(&self, call: Call, path: &Path, bytes: usize) -> Fate {
        let part = self.part(path);
        let mut state = self.0.state.lock();
        if let Some(hold) = state.hold.as_mut().filter(|hold| hold.part == part && hold.call.is_none_or(|held| held == call))
            && let Some(reached) = hold.reached.take()
        {
            let _ = reached.send(());
            self.0.let_go.wait_while(&mut state, |state| state.hold.as_ref().is_some_and(|hold| !hold.let_go));
            state.hold = None;
        }
        let at = part as usize;
        let nth = state.calls[at];
        state.calls[at] += 1;
        let roll = hash(&[self.0.seed, at as u64, nth]);
        let fate = match state.dies_at[at] {
            Some(last) if nth > last => Fate::Dead,
            Some(last) if nth == last => Fate::Fails { roll: hash(&[roll]) },
            _ if state.weather.strikes(call, roll) => Fate::Fails { roll: hash(&[roll]) },
            _ => Fate::Works,
        };
        state.failures += u64::from(fate != Fate::Works);
        let name = path.strip_prefix(&self.0.root).unwrap_or(path).display().to_string();
        // The link to a tier is called by a hash of where this run has its directory.
        let name = match name.split_once("/tier-") {
            Some((before, after)) => format!("{before}/tier{}", &after[8..]),
            None => name,
        };
        // A checkpoint holds the time of its making, and is compressed.
        let bytes = if path.to_string_lossy().contains("checkpoint") { 0 } else { bytes };
        state.trace[at].push(format!("{call:?} {name} {bytes} {fate:?}"));
        let slow = state.weather == Weather::Slow && roll.is_multiple_of(16);
        drop(state);
        if slow {
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        fate
    }

    fn plants(&self, plant: Plant, path: &Path, what: &str) -> bool {
        self.0.state.lock().plant == Some(plant) && path.to_string_lossy().contains(what)
    }
}

impl Weather {
    fn strikes(self, call: Call, roll: u64) -> bool {
        match self {
            Self::Fair | Self::Slow => false,
            Self::Flaky(in_100) => roll % 100 < in_100,
            Self::Full => matches!(call, Call::Create | Call::Append | Call::CreateDir),
            Self::Unsynced => matches!(call, Call::Sync | Call::SyncDir) && roll.is_multiple_of(2),
        }
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let fate = self.enter(Call::CreateDir, dir, 0);
        if fate.happens() {
            LocalDisk.create_dir(dir)?;
        }
        fate.result()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let fate = self.enter(Call::Create, path, 0);
        if !fate.happens() {
            fate.result()?;
        }
        let real = LocalDisk.create(path)?;
        let file = self.0.state.lock().platter.create(path);
        fate.result()?;
        Ok(Box::new(SimFile { disk: self.clone(), path: path.to_owned(), file, real }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.enter(Call::Read, path, 0).result()?;
        let path = match self.0.state.lock().plant {
            Some(Plant::SegmentsSwapped) if path.extension().is_some_and(|found| found == "wal") => swapped(path),
            _ => path.to_owned(),
        };
        LocalDisk.read(&path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        self.enter(Call::List, dir, 0).result()?;
        let mut files = LocalDisk.list(dir)?;
        if self.plants(Plant::SegmentUnlisted, dir, "wal") {
            files.pop();
        }
        Ok(files)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let fate = self.enter(Call::Remove, path, 0);
        if self.plants(Plant::ReplacedFileKept, path, ".parquet") || self.plants(Plant::SegmentsKept, path, ".wal") {
            return fate.result();
        }
        if fate.happens() {
            let mut state = self.0.state.lock();
            LocalDisk.remove(path)?;
            state.platter.remove(path);
            let beside = |other: &&PathBuf| other.parent() == path.parent() && other.extension() == path.extension();
            let other = state.platter.names().find(beside).cloned();
            if let Some(other) = other
                .filter(|other| state.plant == Some(Plant::LiveFileRemoved) && other.extension().is_some_and(|found| found == "parquet"))
            {
                LocalDisk.remove(&other)?;
                state.platter.remove(&other);
            }
        }
        fate.result()
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let fate = self.enter(Call::Link, to, 0);
        if fate.happens() {
            LocalDisk.link(from, to)?;
            self.0.state.lock().platter.link(from, to);
        }
        fate.result()
    }

    /// A power cut does not take it: whoever names a file through it has synced it before.
    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        let fate = self.enter(Call::Symlink, link, 0);
        if fate.happens() {
            LocalDisk.symlink(target, link)?;
        }
        fate.result()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let fate = self.enter(Call::Rename, to, 0);
        if fate.happens() && !self.plants(Plant::TornTailKept, to, ".wal") {
            LocalDisk.rename(from, to)?;
            self.0.state.lock().platter.rename(from, to);
        }
        fate.result()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let fate = self.enter(Call::SyncDir, dir, 0);
        let lies = self.plants(Plant::SegmentNotNamed, dir, "/wal") || self.plants(Plant::CommitNotNamed, dir, "_delta_log");
        if fate.happens() && !lies {
            self.0.state.lock().platter.sync_dir(dir);
        }
        fate.result()
    }

    fn fresh_name(&self, dir: &Path) -> String {
        let mut state = self.0.state.lock();
        let at = self.part(dir) as usize;
        state.named[at] += 1;
        format!("{:016x}", hash(&[self.0.seed, at as u64, state.named[at], 1]))
    }
}

fn swapped(path: &Path) -> PathBuf {
    let segments = LocalDisk.list(path.parent().unwrap()).unwrap_or_default();
    let at = segments.iter().position(|(name, _)| path.ends_with(name)).unwrap_or_default();
    path.with_file_name(segments.get(at ^ 1).map_or_else(|| path.file_name().unwrap().into(), |(name, _)| std::ffi::OsString::from(name)))
}

struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    file: usize,
    real: Box<dyn DiskFile>,
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimFile {}", self.path.display())
    }
}

impl DiskFile for SimFile {
    /// A failing write leaves some of its bytes, as a full disk does.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fate = self.disk.enter(Call::Append, &self.path, bytes.len());
        let written = match fate {
            Fate::Works => bytes.len(),
            Fate::Fails { roll } => (roll % (bytes.len() as u64 + 1)) as usize,
            Fate::Dead => 0,
        };
        let altered = self.disk.0.state.lock().plant.and_then(|plant| plant.alters(&self.path, bytes));
        let bytes = altered.as_deref().unwrap_or(bytes);
        let written = &bytes[..written.min(bytes.len())];
        self.real.append(written)?;
        self.disk.0.state.lock().platter.append(self.file, written);
        fate.result()
    }

    fn sync(&mut self) -> io::Result<()> {
        let fate = self.disk.enter(Call::Sync, &self.path, 0);
        let lies = self.disk.plants(Plant::AckBeforeSync, &self.path, ".wal")
            || self.disk.plants(Plant::CommitNotSynced, &self.path, ".json#1")
            || self.disk.plants(Plant::FileNotSynced, &self.path, ".parquet");
        let mut state = self.disk.0.state.lock();
        match fate {
            Fate::Works if lies => {}
            Fate::Works => state.platter.sync(self.file),
            Fate::Fails { roll } => state.platter.sync_fails(self.file, roll),
            Fate::Dead => {}
        }
        fate.result()
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let fate = self.disk.enter(Call::Truncate, &self.path, bytes as usize);
        if fate.happens() && !self.disk.plants(Plant::FailedWriteKept, &self.path, ".wal") {
            self.real.truncate(bytes)?;
            self.disk.0.state.lock().platter.truncate(self.file, bytes);
        }
        fate.result()
    }
}
