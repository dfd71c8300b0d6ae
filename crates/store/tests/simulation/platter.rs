//! What is on the disk, and what only the operating system believes is on it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::rng::hash;

/// A disk writes no less at once.
const SECTOR_BYTES: usize = 512;

/// Files by name, each twice: as a process sees it, and as a power cut leaves it at least.
#[derive(Clone, Debug, Default)]
pub struct Platter {
    files: Vec<File>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
}

#[derive(Clone, Debug, Default)]
struct File {
    data: Vec<u8>,
    durable: Vec<u8>,
    /// As far as both are the same.
    clean: usize,
    /// Written, and given up by a failed sync: Linux then calls the pages clean, and no later sync writes them.
    lost: Vec<Range<usize>>,
}

impl Platter {
    pub fn create(&mut self, path: &Path) -> usize {
        self.names.insert(path.to_owned(), self.files.len());
        self.files.push(File::default());
        self.files.len() - 1
    }

    /// A file that is there and durable from the start.
    pub fn put(&mut self, path: &Path, bytes: Vec<u8>) {
        let file = self.create(path);
        self.files[file] = File::at_rest(bytes);
        self.durable_names.insert(path.to_owned(), file);
    }

    pub fn append(&mut self, file: usize, bytes: &[u8]) {
        self.files[file].data.extend_from_slice(bytes);
    }

    pub fn truncate(&mut self, file: usize, bytes: u64) {
        self.files[file].truncate(bytes as usize);
    }

    pub fn sync(&mut self, file: usize) {
        self.files[file].sync();
    }

    /// Some sectors reach the disk, the others are never written.
    pub fn sync_fails(&mut self, file: usize, roll: u64) {
        self.files[file].sync_fails(roll);
    }

    pub fn remove(&mut self, path: &Path) {
        self.names.remove(path);
    }

    pub fn link(&mut self, from: &Path, to: &Path) {
        let file = self.names[from];
        self.names.insert(to.to_owned(), file);
    }

    pub fn rename(&mut self, from: &Path, to: &Path) {
        self.link(from, to);
        self.remove(from);
    }

    pub fn sync_dir(&mut self, dir: &Path) {
        let inside = |path: &PathBuf| path.parent() == Some(dir);
        self.durable_names.retain(|path, _| !inside(path));
        self.durable_names.extend(self.names.iter().filter(|(path, _)| inside(path)).map(|(path, &file)| (path.clone(), file)));
    }

    pub fn file(&self, path: &Path) -> Option<usize> {
        self.names.get(path).copied()
    }

    pub fn names(&self) -> impl Iterator<Item = &PathBuf> {
        self.names.keys()
    }

    pub fn bytes(&self, path: &Path) -> &[u8] {
        self.file(path).map_or(&[], |file| &self.files[file].data)
    }

    /// The same bit of what is there and of what is durable changes; again, and it is as before.
    pub fn flip(&mut self, path: &Path, byte: usize, bit: u8) {
        if let Some(file) = self.file(path) {
            let File { data, durable, .. } = &mut self.files[file];
            for bytes in [data, durable] {
                bytes.iter_mut().skip(byte).take(1).for_each(|byte| *byte ^= 1 << bit);
            }
        }
    }

    /// What the machine finds when it comes up again: what was durable, and of the rest whatever happened to be written.
    pub fn cut_power(&mut self, roll: u64) {
        let all: BTreeSet<PathBuf> = self.names.keys().chain(self.durable_names.keys()).cloned().collect();
        let mut left = Self::default();
        // Two names of one file stay two names of one file.
        let mut files: BTreeMap<usize, usize> = BTreeMap::new();
        for (nth, path) in all.into_iter().enumerate() {
            let newer = match roll % 4 {
                0 => false,
                1 => true,
                _ => hash(&[roll, nth as u64]).is_multiple_of(2),
            };
            let name = if newer { self.names.get(&path) } else { self.durable_names.get(&path) };
            let Some(&file) = name else { continue };
            let place = *files.entry(file).or_insert_with(|| {
                left.files.push(File::at_rest(self.files[file].after_cut(hash(&[roll, 1, file as u64]))));
                left.files.len() - 1
            });
            left.names.insert(path, place);
        }
        left.durable_names = left.names.clone();
        *self = left;
    }
}

impl File {
    fn at_rest(bytes: Vec<u8>) -> Self {
        Self { clean: bytes.len(), durable: bytes.clone(), data: bytes, lost: Vec::new() }
    }

    fn truncate(&mut self, bytes: usize) {
        self.data.truncate(bytes);
        self.clean = self.clean.min(bytes);
        for range in &mut self.lost {
            range.end = range.end.min(bytes);
        }
        self.lost.retain(|range| range.start < range.end);
    }

    /// The bytes as a sync that works leaves them.
    fn synced(&self) -> Vec<u8> {
        let mut bytes = self.data.clone();
        self.lost.iter().for_each(|range| self.undo(&mut bytes, range.clone()));
        bytes
    }

    /// Puts back what is durable, zeros where nothing is.
    fn undo(&self, bytes: &mut [u8], range: Range<usize>) {
        for at in range {
            bytes[at] = self.durable.get(at).copied().unwrap_or(0);
        }
    }

    fn sync(&mut self) {
        self.durable = self.synced();
        self.clean = self.data.len();
    }

    fn sync_fails(&mut self, roll: u64) {
        for sector in self.dirty_sectors() {
            if hash(&[roll, sector.start as u64]).is_multiple_of(2) {
                self.lost.push(sector);
            }
        }
        self.sync();
    }

    fn dirty_sectors(&self) -> Vec<Range<usize>> {
        let mut sectors = Vec::new();
        let mut start = self.clean;
        while start < self.data.len() {
            let end = ((start / SECTOR_BYTES + 1) * SECTOR_BYTES).min(self.data.len());
            sectors.push(start..end);
            start = end;
        }
        sectors
    }

    fn after_cut(&self, roll: u64) -> Vec<u8> {
        let mut bytes = self.synced();
        match roll % 4 {
            // What was never synced never came.
            0 => self.durable.clone(),
            // It came from the beginning up to somewhere.
            1 => {
                let dirty = (bytes.len() - self.clean) as u64;
                bytes.truncate(self.clean + (hash(&[roll, 2]) % (dirty + 1)) as usize);
                bytes
            }
            // Any sectors came.
            2 => {
                for sector in self.dirty_sectors() {
                    if hash(&[roll, sector.start as u64]).is_multiple_of(2) {
                        self.undo(&mut bytes, sector);
                    }
                }
                bytes
            }
            _ => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(platter: &Platter, roll: u64) -> BTreeMap<String, Vec<u8>> {
        let mut platter = platter.clone();
        platter.cut_power(roll);
        platter.names().map(|path| (path.display().to_string(), platter.bytes(path).to_vec())).collect()
    }

    #[test]
    fn a_power_cut_leaves_what_was_synced_and_perhaps_more() {
        let mut platter = Platter::default();
        let (dir, path) = (Path::new("dir"), Path::new("dir/file"));
        let file = platter.create(path);
        platter.append(file, &[1; 600]);
        platter.sync(file);
        assert!(left(&platter, 0).is_empty(), "its name was not synced");
        platter.sync_dir(dir);
        platter.append(file, &[2; 1000]);
        let mut lengths = BTreeSet::new();
        for roll in 0..200 {
            let bytes = left(&platter, roll).remove("dir/file").unwrap();
            assert_eq!(bytes[..600], [1; 600], "what is durable stays");
            assert!(bytes[600..].iter().all(|&byte| byte == 2 || byte == 0));
            lengths.insert(bytes.len());
        }
        assert!(lengths.contains(&600) && lengths.contains(&1600) && lengths.len() > 10);
    }

    #[test]
    fn pages_of_a_failed_sync_are_never_written_unless_written_anew() {
        let mut platter = Platter::default();
        let path = Path::new("dir/file");
        let file = platter.create(path);
        platter.sync_dir(Path::new("dir"));
        platter.append(file, &[1; 100]);
        let roll = (0..).find(|&roll| hash(&[roll, 0]).is_multiple_of(2)).unwrap();
        platter.sync_fails(file, roll);
        platter.sync(file);
        assert_eq!(left(&platter, 3)["dir/file"], [0; 100]);
        platter.truncate(file, 0);
        platter.append(file, &[1; 100]);
        platter.sync(file);
        assert_eq!(left(&platter, 0)["dir/file"], [1; 100]);
    }
}
