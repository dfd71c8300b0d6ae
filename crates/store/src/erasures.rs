//! The orders to erase, one small file each: an order that was accepted is carried out, whatever happens in between.
//!
//! The file of an order that is done holds no value any more, so that the proof is not itself what it proves gone.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use model::{Code, Erased, Erasure, ErasureOrder, ErasureState, Error, Result, Table};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::disk::write_whole;
use crate::hidden::{Target, targets};
use crate::{Disk, Remote, ShardOptions, WalPlace};

const FOLDER: &str = "erasures";
/// The version of the files, in `docs/formats/lake.md`.
const FORMAT_VERSION: u32 = 1;
/// Orders that may wait to be carried out: each scan tests them all.
const OPEN_MAX: usize = 100;
/// Proofs that are kept; of more the oldest goes.
const DONE_MAX: usize = 10_000;
const REFERENCE_BYTES_MAX: usize = 256;

pub(crate) struct Erasures {
    shelf: Shelf,
    /// Oldest first.
    entries: Mutex<Vec<Entry>>,
}

struct Entry {
    erasure: Erasure,
    /// None once it is done.
    order: Option<ErasureOrder>,
    targets: Vec<(Table, Arc<Target>)>,
}

/// Where the orders lie: beside the log, because an order must outlive what the log outlives.
struct Shelf {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    remote: Option<Remote>,
}

impl Shelf {
    fn of(options: &ShardOptions) -> Self {
        let remote = options.lake.remote().filter(|_| options.wal == WalPlace::Object).map(|remote| remote.within(FOLDER));
        Self { disk: options.disk.clone(), dir: options.dir.join(FOLDER), remote }
    }

    fn address(&self, name: &str) -> String {
        self.remote.as_ref().map_or_else(|| self.dir.join(name).display().to_string(), |remote| remote.address(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let listed = match &self.remote {
            Some(remote) => remote.wait(remote.list()),
            None => self.disk.list(&self.dir),
        };
        Ok(listed?.into_iter().map(|(name, _)| name).collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        match &self.remote {
            Some(remote) => Ok(remote.wait(remote.get(name))?.0.to_vec()),
            None => self.disk.read(&self.dir.join(name)),
        }
    }

    fn write(&self, name: &str, bytes: Vec<u8>) -> io::Result<()> {
        match &self.remote {
            Some(remote) => remote.wait(remote.put(name, bytes.into())),
            None => {
                self.disk.create_dir(&self.dir)?;
                write_whole(&*self.disk, &self.dir.join(name), &[bytes.into()], true)
            }
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match &self.remote {
            Some(remote) => remote.wait(remote.remove(vec![name.to_owned()])),
            None => self.disk.remove(&self.dir.join(name)),
        }
    }

    /// A name that no order had.
    fn fresh_id(&self) -> String {
        self.disk.fresh_name(&self.dir)
    }
}

/// An order that is to be carried out.
pub(crate) struct Open {
    pub(crate) id: String,
    pub(crate) targets: Vec<(Table, Arc<Target>)>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    #[serde(flatten)]
    erasure: Erasure,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<ErasureOrder>,
}

impl Erasures {
    /// Reads what is there; without `read_only` also removes what a crash left half written.
    pub(crate) fn open(options: &ShardOptions, read_only: bool) -> Result<Self> {
        let shelf = Shelf::of(options);
        let failed = |error: io::Error| Error::unavailable(format!("cannot read the erasures in {}", shelf.address(""))).because(error);
        let mut entries = Vec::new();
        for name in shelf.list().map_err(failed)? {
            if name.ends_with(".json") {
                let entry = Entry::read(&shelf.read(&name).map_err(failed)?);
                entries.push(entry.map_err(|error| Error { what: format!("{} {}", error.what, shelf.address(&name)), ..error })?);
            } else if !read_only {
                // An order that nobody was told is accepted.
                shelf.remove(&name).map_err(failed)?;
            }
        }
        entries.sort_by(|a, b| (a.erasure.accepted_unix_ms, &a.erasure.id).cmp(&(b.erasure.accepted_unix_ms, &b.erasure.id)));
        Ok(Self { shelf, entries: Mutex::new(entries) })
    }

    /// Takes an order; it is durable when this returns. Blocks.
    pub(crate) fn accept(&self, order: ErasureOrder, now_ms: i64) -> Result<Erasure> {
        if order.reference.len() > REFERENCE_BYTES_MAX {
            return Err(Error::invalid(format!("cannot erase: \"reference\" is over reference_bytes_max, {REFERENCE_BYTES_MAX}")));
        }
        let targets = shared(targets(&order)?);
        let mut entries = self.entries.lock();
        if entries.iter().filter(|entry| entry.order.is_some()).count() >= OPEN_MAX {
            let what = format!("cannot take another erasure: {OPEN_MAX} wait to be carried out (erasures_open_max)");
            return Err(Error::new(Code::Overloaded { retry_after_seconds: 60 }, what));
        }
        let erasure = Erasure {
            id: self.shelf.fresh_id(),
            state: ErasureState::Pending,
            reference: order.reference.clone(),
            tables: targets.iter().map(|(table, _)| *table).collect(),
            fields: order.tests.iter().map(|test| test.field.clone()).collect(),
            start_unix_nano: order.start_unix_nano,
            end_unix_nano: order.end_unix_nano,
            accepted_unix_ms: now_ms,
            done_unix_ms: None,
            erased: Erased::default(),
            files_rewritten: 0,
            hindered_by: None,
        };
        let entry = Entry { erasure: erasure.clone(), order: Some(order), targets };
        self.write(&entry)?;
        entries.push(entry);
        Ok(erasure)
    }

    /// Every erasure, the newest first.
    pub(crate) fn all(&self) -> Vec<Erasure> {
        self.entries.lock().iter().rev().map(|entry| entry.erasure.clone()).collect()
    }

    /// What is to be carried out.
    pub(crate) fn to_do(&self) -> Vec<Open> {
        let entries = self.entries.lock();
        let open = entries.iter().filter(|entry| entry.order.is_some());
        open.map(|entry| Open { id: entry.erasure.id.clone(), targets: entry.targets.clone() }).collect()
    }

    /// Writes down how far an erasure is. Blocks.
    pub(crate) fn note(&self, id: &str, change: impl FnOnce(&mut Erasure)) -> Result<()> {
        self.change(id, |entry| change(&mut entry.erasure))
    }

    /// Its bytes are gone, and it forgets the values it was about. Blocks.
    pub(crate) fn finish(&self, id: &str, now_ms: i64) -> Result<()> {
        self.change(id, |entry| {
            entry.order = None;
            entry.targets.clear();
            entry.erasure.state = ErasureState::Done;
            entry.erasure.done_unix_ms = Some(now_ms);
            entry.erasure.hindered_by = None;
        })?;
        let mut entries = self.entries.lock();
        while entries.iter().filter(|entry| entry.order.is_none()).count() > DONE_MAX
            && let Some(oldest) = entries.iter().position(|entry| entry.order.is_none())
        {
            self.shelf.remove(&file_name(&entries[oldest].erasure.id)).map_err(|error| self.cannot_write(error))?;
            entries.remove(oldest);
        }
        Ok(())
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Entry)) -> Result<()> {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.iter_mut().find(|entry| entry.erasure.id == id) else { return Ok(()) };
        let mut changed = Entry { erasure: entry.erasure.clone(), order: entry.order.clone(), targets: entry.targets.clone() };
        change(&mut changed);
        if changed.erasure != entry.erasure {
            self.write(&changed)?;
            *entry = changed;
        }
        Ok(())
    }

    fn write(&self, entry: &Entry) -> Result<()> {
        let stored = Stored { version: FORMAT_VERSION, erasure: entry.erasure.clone(), order: entry.order.clone() };
        let bytes = serde_json::to_vec(&stored).map_err(|error| Error::internal("cannot write an erasure as JSON").because(error))?;
        self.shelf.write(&file_name(&entry.erasure.id), bytes).map_err(|error| self.cannot_write(error))
    }

    fn cannot_write(&self, error: io::Error) -> Error {
        Error::unavailable(format!("cannot write an erasure to {}", self.shelf.address(""))).because(error)
    }
}

fn file_name(id: &str) -> String {
    format!("{id}.json")
}

impl Entry {
    fn read(bytes: &[u8]) -> Result<Self> {
        let corrupt = |error: serde_json::Error| Error::new(Code::Corrupt, "cannot read erasure").because(error);
        let version = serde_json::from_slice::<serde_json::Value>(bytes).map_err(corrupt)?["version"].as_u64();
        if version != Some(FORMAT_VERSION.into()) {
            let why = format!("its version is {version:?} and this version of Tyto knows {FORMAT_VERSION}");
            return Err(Error::new(Code::Unsupported, "cannot read erasure").because(why));
        }
        let Stored { erasure, order, .. } = serde_json::from_slice(bytes).map_err(corrupt)?;
        let targets = order.as_ref().map(targets).transpose()?.map(shared).unwrap_or_default();
        Ok(Self { erasure, order, targets })
    }
}

fn shared(targets: Vec<(Table, Target)>) -> Vec<(Table, Arc<Target>)> {
    targets.into_iter().map(|(table, target)| (table, Arc::new(target))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::FieldTest;

    fn order(value: &str) -> ErasureOrder {
        let tests = vec![FieldTest { field: "attributes.user".to_owned(), equals: Some(value.to_owned()), contains: None }];
        ErasureOrder { tables: vec![Table::Logs], tests, start_unix_nano: Some(1), end_unix_nano: None, reference: "case 7".to_owned() }
    }

    #[test]
    fn an_order_outlives_a_crash_and_its_value_does_not_outlive_the_order() {
        let dir = tempfile::tempdir().unwrap();
        let options = ShardOptions::new("one", dir.path());
        let book = Erasures::open(&options, false).unwrap();
        let accepted = book.accept(order("secret"), 7).unwrap();
        assert_eq!((accepted.state, book.to_do()[0].targets.len()), (ErasureState::Pending, 1));
        std::fs::write(dir.path().join("erasures/half.json#1"), "{").unwrap();

        let again = Erasures::open(&options, false).unwrap();
        assert!(!dir.path().join("erasures/half.json#1").exists());
        assert_eq!((again.all(), again.to_do().len()), (vec![accepted.clone()], 1));
        again.note(&accepted.id, |erasure| *erasure.erased.of_mut(Table::Logs) += 3).unwrap();
        again.finish(&accepted.id, 9).unwrap();

        let path = dir.path().join("erasures").join(format!("{}.json", accepted.id));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("secret") && text.contains("case 7"), "{text}");
        let done = Erasures::open(&options, true).unwrap();
        assert!(done.to_do().is_empty());
        let proof = &done.all()[0];
        assert_eq!((proof.state, proof.done_unix_ms, proof.erased.logs), (ErasureState::Done, Some(9), 3));

        std::fs::write(&path, text.replace("\"version\":1", "\"version\":2")).unwrap();
        assert!(matches!(Erasures::open(&options, true), Err(error) if error.code == Code::Unsupported));
    }

    #[test]
    fn only_so_many_orders_wait() {
        let dir = tempfile::tempdir().unwrap();
        let book = Erasures::open(&ShardOptions::new("one", dir.path()), false).unwrap();
        for at in 0..OPEN_MAX {
            book.accept(order(&at.to_string()), 1).unwrap();
        }
        assert!(matches!(book.accept(order("one more"), 1), Err(error) if matches!(error.code, Code::Overloaded { .. })));
    }
}
