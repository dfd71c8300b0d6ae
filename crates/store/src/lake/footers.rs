use std::sync::Arc;

use model::Result;
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use super::cache::Tier;
use super::files::LakeFile;
use super::filter::GramMaps;
use super::handle::Handle;

/// Footers of the files that scans read, and the maps of grams of their row groups: the last used, up to a number of bytes. All of
/// them would be gigabytes in a lake of some thousand files, because a footer knows every page of every column, and a row has a
/// byte in a map.
#[derive(Debug)]
pub(crate) struct Footers {
    /// Numbered 0: the tables of a shard share this, and a file's name holds a UUID.
    footers: Mutex<Tier<ArrowReaderMetadata>>,
    /// Half of what a search for some text costs is to unpack them.
    grams: Mutex<Tier<Arc<GramMaps>>>,
}

impl Footers {
    pub(crate) fn new(bytes_max: usize, gram_bytes_max: usize) -> Self {
        Self { footers: Mutex::new(Tier::new(bytes_max as u64)), grams: Mutex::new(Tier::new(gram_bytes_max as u64)) }
    }

    /// The maps of grams of a row group, which are read when they are not remembered.
    pub(crate) fn grams(&self, file: &str, group: usize, read: impl FnOnce() -> Result<GramMaps>) -> Result<Arc<GramMaps>> {
        let key = (Arc::from(file), group as u64);
        if let Some((maps, _)) = self.grams.lock().get(&key) {
            return Ok(maps);
        }
        let maps = Arc::new(read()?);
        self.grams.lock().put(key, maps.clone(), maps.bytes() as u64);
        Ok(maps)
    }

    /// Opens a file; its footer is read when it is not remembered.
    pub(crate) fn open(&self, file: &LakeFile) -> Result<(Handle, ArrowReaderMetadata)> {
        let key = (Arc::from(file.name.as_str()), 0);
        let known = self.footers.lock().get(&key).map(|(footer, _)| footer);
        let remembered = known.is_some();
        let (handle, footer) = file.open(known)?;
        if !remembered {
            self.footers.lock().put(key, footer.clone(), footer.metadata().memory_size() as u64);
        }
        Ok((handle, footer))
    }

    /// A footer quotes its rows, which may be erased; a map spells them.
    pub(crate) fn forget(&self, name: &str) {
        self.footers.lock().remove(&(Arc::from(name), 0));
        let mut grams = self.grams.lock();
        for key in grams.of_file(name) {
            grams.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ShardOptions;
    use crate::lake::write::FileWriter;
    use model::Table;
    use model::logs::{LogRow, LogsBuilder};

    #[test]
    fn the_least_recently_used_footers_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let options = ShardOptions::new("one", dir.path());
        std::fs::create_dir_all(options.lake_dir().join("logs")).unwrap();
        let files: Vec<_> = (0..3)
            .map(|seq| {
                let mut builder = LogsBuilder::default();
                builder.push(&LogRow::default(), &model::Attributes::default(), &model::Attributes::default());
                let (folder, batches) = (options.folder(Table::Logs), std::iter::once(Ok(builder.finish())));
                FileWriter { options: &options, table: Table::Logs, folder: &folder, declared: &Default::default(), seq }
                    .write_file(batches)
                    .unwrap()
                    .unwrap()
            })
            .collect();
        let one = files[0].open(None).unwrap().1.metadata().memory_size();
        let footers = Footers::new(one * 5 / 2, 0);
        for at in [0, 1, 0, 2] {
            footers.open(&files[at]).unwrap();
        }
        let held = |at: usize| !footers.footers.lock().of_file(&files[at].name).is_empty();
        assert_eq!([held(0), held(1), held(2)], [true, false, true]);
        assert!(footers.footers.lock().bytes() <= one as u64 * 5 / 2);
        assert!(files[0].memory_bytes().unwrap() > 0);
    }
}
