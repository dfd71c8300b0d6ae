use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::stats::CacheStats;

/// What is fetched and kept at least: a whole number of the blocks that a lake file has sums of.
pub(crate) const BLOCK_BYTES: u64 = 1 << 20;

/// Blocks of remote lake files near at hand: in memory those fetched or written last, on the local disk more of them. It
/// outlives the process, because files never change and their names hold a UUID.
///
/// What it gives is checked like what the store gives, by the sums of the file; a block that was damaged here is forgotten and
/// fetched again. So nothing is synced, and no failure here is anybody's error. Refused: `foyer`, which the architecture
/// named: its asynchronous engine and a file format of its own would stand before blocks that are files with sums already.
#[derive(Debug)]
pub(crate) struct Cache {
    shard: String,
    /// Of the blocks on disk; none without a disk.
    dir: Option<PathBuf>,
    state: Mutex<State>,
}

/// A file's name and the number of the block in it.
pub(crate) type Key = (Arc<str>, u64);

#[derive(Debug)]
struct State {
    memory: Tier<Bytes>,
    disk: Tier<()>,
    stats: CacheStats,
}

/// Blocks up to a number of bytes; the least recently used go first.
#[derive(Debug)]
pub(crate) struct Tier<Block> {
    bytes_max: u64,
    bytes: u64,
    uses: u64,
    held: HashMap<Key, Held<Block>>,
    order: BTreeMap<u64, Key>,
}

#[derive(Debug)]
struct Held<Block> {
    block: Block,
    bytes: u64,
    used: u64,
}

impl<Block: Clone> Tier<Block> {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, bytes: 0, uses: 0, held: HashMap::new(), order: BTreeMap::new() }
    }

    pub(crate) fn get(&mut self, key: &Key) -> Option<(Block, u64)> {
        let held = self.held.get_mut(key)?;
        self.order.remove(&held.used);
        self.uses += 1;
        held.used = self.uses;
        self.order.insert(held.used, key.clone());
        Some((held.block.clone(), held.bytes))
    }

    /// Gives the keys that had to go.
    pub(crate) fn put(&mut self, key: Key, block: Block, bytes: u64) -> Vec<Key> {
        if bytes > self.bytes_max {
            return Vec::new();
        }
        self.remove(&key);
        self.uses += 1;
        self.bytes += bytes;
        self.order.insert(self.uses, key.clone());
        self.held.insert(key, Held { block, bytes, used: self.uses });
        let mut gone = Vec::new();
        while self.bytes > self.bytes_max
            && let Some(key) = self.order.first_key_value().map(|(_, key)| key.clone())
        {
            self.remove(&key);
            gone.push(key);
        }
        gone
    }

    pub(crate) fn remove(&mut self, key: &Key) -> bool {
        let Some(held) = self.held.remove(key) else { return false };
        self.order.remove(&held.used);
        self.bytes -= held.bytes;
        true
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn of_file(&self, name: &str) -> Vec<Key> {
        self.held.keys().filter(|(file, _)| **file == *name).cloned().collect()
    }
}

impl Cache {
    /// Takes up what `dir` holds from before. Without room on disk the folder is emptied.
    pub(crate) fn open(shard: &str, dir: &Path, memory_bytes_max: u64, disk_bytes_max: u64) -> Self {
        let cache = Self::in_memory(shard, memory_bytes_max);
        cache.state.lock().disk.bytes_max = disk_bytes_max;
        let made = if disk_bytes_max > 0 { fs::create_dir_all(dir) } else { Ok(()) };
        match made.and_then(|()| cache.take_up(dir)) {
            Ok(()) if disk_bytes_max > 0 => Self { dir: Some(dir.to_owned()), ..cache },
            Ok(()) => cache,
            Err(error) if error.kind() == io::ErrorKind::NotFound => cache,
            Err(error) => {
                tracing::warn!(shard, dir = %dir.display(), %error, "cannot use the cache on disk; remote files are held in memory only");
                cache
            }
        }
    }

    /// Without a disk.
    pub(crate) fn in_memory(shard: &str, bytes_max: u64) -> Self {
        let state = State { memory: Tier::new(bytes_max), disk: Tier::new(0), stats: CacheStats::default() };
        Self { shard: shard.to_owned(), dir: None, state: Mutex::new(state) }
    }

    fn take_up(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let key = name.rsplit_once('.').and_then(|(file, block)| Some((Arc::from(file), block.parse().ok()?)));
            let bytes = entry.metadata().map_or(u64::MAX, |metadata| metadata.len());
            let gone = match key {
                Some(key) if bytes <= state.disk.bytes_max => state.disk.put(key, (), bytes),
                _ => {
                    let _ = fs::remove_file(entry.path());
                    Vec::new()
                }
            };
            gone.iter().for_each(|key| remove(dir, key));
        }
        Ok(())
    }

    /// Fills `target` with what a block of so many bytes holds from `skipped` on; says whether it could.
    pub(crate) fn get(&self, name: &str, block: u64, block_bytes: u64, skipped: usize, target: &mut [u8]) -> bool {
        let key = (Arc::from(name), block);
        let mut state = self.state.lock();
        if let Some((bytes, _)) = state.memory.get(&key)
            && bytes.len() as u64 == block_bytes
        {
            state.stats.memory_hits += 1;
            drop(state);
            target.copy_from_slice(&bytes[skipped..skipped + target.len()]);
            self.count("tyto_cache_hits_total", "memory");
            return true;
        }
        let on_disk = state.disk.get(&key).is_some_and(|(_, bytes)| bytes == block_bytes);
        drop(state);
        // Outside the lock: a block that goes meanwhile is a miss.
        let mut read = |dir: &PathBuf| File::open(path(dir, &key)).and_then(|file| file.read_exact_at(target, skipped as u64));
        let found = on_disk && self.dir.as_ref().is_some_and(|dir| read(dir).is_ok());
        let mut state = self.state.lock();
        match found {
            true => state.stats.disk_hits += 1,
            false => state.stats.misses += 1,
        }
        drop(state);
        match found {
            true => self.count("tyto_cache_hits_total", "disk"),
            false => self.count("tyto_cache_misses_total", "all"),
        }
        found
    }

    pub(crate) fn put(&self, name: &str, block: u64, bytes: Bytes) {
        let (key, length): (Key, _) = ((Arc::from(name), block), bytes.len() as u64);
        let room = {
            let mut state = self.state.lock();
            state.memory.put(key.clone(), bytes.clone(), length);
            length <= state.disk.bytes_max
        };
        let Some(dir) = self.dir.as_ref().filter(|_| room) else { return self.gauge() };
        match fs::write(path(dir, &key), &bytes) {
            Ok(()) => {
                let gone = self.state.lock().disk.put(key, (), length);
                gone.iter().for_each(|key| remove(dir, key));
            }
            Err(error) => {
                tracing::debug!(shard = self.shard, %error, "cannot write a block into the cache");
                self.count("tyto_cache_write_errors_total", "disk");
                remove(dir, &key);
            }
        }
        self.gauge();
    }

    /// Forgets a block that is not what was written; says whether there was one.
    pub(crate) fn forget(&self, name: &str, block: u64) -> bool {
        let held = self.remove(&(Arc::from(name), block));
        if held {
            self.state.lock().stats.forgotten += 1;
            self.count("tyto_cache_forgotten_total", "all");
        }
        held
    }

    /// Forgets a file that is deleted, wherever it is.
    pub(crate) fn forget_file(&self, name: &str) {
        let keys = {
            let state = self.state.lock();
            let mut keys = state.memory.of_file(name);
            keys.extend(state.disk.of_file(name));
            keys
        };
        for key in &keys {
            self.remove(key);
        }
        self.gauge();
    }

    fn remove(&self, key: &Key) -> bool {
        let mut state = self.state.lock();
        let (in_memory, on_disk) = (state.memory.remove(key), state.disk.remove(key));
        drop(state);
        if let Some(dir) = self.dir.as_ref().filter(|_| on_disk) {
            remove(dir, key);
        }
        in_memory || on_disk
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let state = self.state.lock();
        CacheStats { memory_bytes: state.memory.bytes(), disk_bytes: state.disk.bytes(), ..state.stats }
    }

    fn count(&self, counter: &'static str, tier: &'static str) {
        metrics::counter!(counter, "shard" => self.shard.clone(), "tier" => tier).increment(1);
    }

    fn gauge(&self) {
        let stats = self.stats();
        for (tier, bytes) in [("memory", stats.memory_bytes), ("disk", stats.disk_bytes)] {
            metrics::gauge!("tyto_cache_bytes", "shard" => self.shard.clone(), "tier" => tier).set(bytes as f64);
        }
    }
}

fn path(dir: &Path, (name, block): &Key) -> PathBuf {
    dir.join(format!("{name}.{block}"))
}

fn remove(dir: &Path, key: &Key) {
    // One that stays is taken up again at the next open, and counted.
    let _ = fs::remove_file(path(dir, key));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(byte: u8) -> Bytes {
        Bytes::from(vec![byte; 100])
    }

    fn get(cache: &Cache, name: &str, block: u64) -> Option<u8> {
        let mut target = [0; 10];
        cache.get(name, block, 100, 90, &mut target).then_some(target[9])
    }

    #[test]
    fn memory_holds_the_last_blocks_and_the_disk_more_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open("one", dir.path(), 250, 350);
        for number in 0..4 {
            cache.put("a", number, block(number as u8));
        }
        assert_eq!([get(&cache, "a", 0), get(&cache, "a", 1), get(&cache, "a", 3)], [None, Some(1), Some(3)]);
        let stats = cache.stats();
        assert_eq!((stats.memory_hits, stats.disk_hits, stats.misses), (1, 1, 1));
        assert_eq!((stats.memory_bytes, stats.disk_bytes), (200, 300));
        assert!(!cache.forget("a", 0) && cache.forget("a", 3));
        assert_eq!(get(&cache, "a", 3), None);
        cache.forget_file("a");
        assert_eq!((cache.stats().memory_bytes, cache.stats().disk_bytes), (0, 0));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_disk_is_taken_up_again_within_its_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open("one", dir.path(), 0, 1000);
        (0..5).for_each(|number| cache.put("a", number, block(7)));
        fs::write(dir.path().join("stranger"), "x").unwrap();
        fs::write(path(dir.path(), &("a".into(), 0)), "torn").unwrap();
        let again = Cache::open("one", dir.path(), 1000, 1000);
        assert_eq!([get(&again, "a", 0), get(&again, "a", 4)], [None, Some(7)]);
        let smaller = Cache::open("one", dir.path(), 1000, 200);
        assert!(smaller.stats().disk_bytes <= 200);
        assert!(fs::read_dir(dir.path()).unwrap().count() <= 2);
        Cache::open("one", dir.path(), 1000, 0);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "no room on disk");
        assert!(Cache::open("one", &dir.path().join("nowhere"), 1000, 0).dir.is_none());
    }
}
