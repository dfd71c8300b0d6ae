//! The places beside a table's own folder that its files may lie in: which one a file belongs in, and how each is opened by
//! what the Delta log calls it, whether the options still name it or not.
//!
//! A tier of a local lake is a directory elsewhere and a link to it in the table's folder, `tier-<hash>`; the log names files
//! through the link, so that every reader of Delta which follows links finds them. Refused: absolute paths, which fewer
//! readers take (`docs/tiers.md` has the list). A tier in an object store can only be named by its URL.
//!
//! Within a tier each table has a folder that nobody else ever had: two shards of the same name that share a tier must not
//! take each other's files for what a crash left.

use std::io;
use std::sync::Arc;

use model::{Error, Result, Table};

use super::compact;
use super::files::LakeFile;
use super::folder::{Folder, LocalFolder};
use super::remote::RemoteFolder;
use super::window::{is_over, time_of, window};
use crate::hidden::Hidden;
use crate::{LakePlace, Remote, ShardOptions, Tier, TierPlace};

/// What the names of links begin with.
const LINK: &str = "tier-";

/// What the Delta log calls a file, in two: what stands before its name, and the name.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('/').map_or(0, |slash| slash + 1))
}

/// Opens the folder of a table's files whose names have this before them in the Delta log.
pub(crate) fn open(options: &ShardOptions, table: Table, prefix: &str) -> Result<Arc<dyn Folder>> {
    let is_link = |prefix: &str| prefix.strip_prefix(LINK).is_some_and(|rest| rest.find('/') == Some(rest.len() - 1));
    if prefix.is_empty() {
        Ok(options.folder(table))
    } else if prefix.starts_with("s3://") {
        Ok(Arc::new(RemoteFolder::tier(remote(options, prefix)?)))
    } else if matches!(options.lake, LakePlace::Local) && is_link(prefix) {
        Ok(Arc::new(LocalFolder::linked(options.disk.clone(), &options.table_dir(table), prefix)))
    } else {
        let what = format!("cannot open table {} in {}", table.name(), options.folder(table).address(""));
        Err(Error::unsupported(what).because(format!("it has files in {prefix:?}, and this version of Tyto knows no such place")))
    }
}

fn remote(options: &ShardOptions, url: &str) -> Result<Remote> {
    match options.remotes().find_map(|remote| remote.sibling(url)) {
        Some(sibling) => Ok(sibling),
        None => Ok(Remote::connect(url, &options.remotes)?.opened(options.cache().cloned(), None)),
    }
}

impl Tier {
    /// For people: the directory or URL that the options name.
    pub(crate) fn address(&self) -> String {
        match &self.place {
            TierPlace::Dir(dir) => dir.display().to_string(),
            TierPlace::Remote(remote) => remote.url().to_owned(),
        }
    }

    /// Whether files of the table whose names have this before them lie here.
    pub(crate) fn holds(&self, options: &ShardOptions, prefix: &str) -> bool {
        match &self.place {
            TierPlace::Dir(_) => self.link().is_some_and(|link| prefix.strip_suffix('/') == Some(&link)),
            TierPlace::Remote(_) => prefix.starts_with(&self.root(options)),
        }
    }

    /// Below which the table's folder lies.
    fn root(&self, options: &ShardOptions) -> String {
        format!("{}/{}/lake/{}/", self.address(), options.name, self.table.name())
    }

    fn link(&self) -> Option<String> {
        let TierPlace::Dir(dir) = &self.place else { return None };
        let hash = crc32c::crc32c(std::path::absolute(dir).ok()?.as_os_str().as_encoded_bytes());
        Some(format!("{LINK}{hash:08x}"))
    }

    /// The folder for the table's files, made durably if the table has none here; `used` are the prefixes of those it has.
    /// Blocks.
    pub(crate) fn enter(&self, options: &ShardOptions, used: &[String]) -> Result<Arc<dyn Folder>> {
        if let Some(prefix) = used.iter().find(|prefix| self.holds(options, prefix)) {
            return open(options, self.table, prefix);
        }
        let table_dir = options.table_dir(self.table);
        let fresh = || options.disk.fresh_name(&table_dir);
        let Some(link) = self.link() else { return open(options, self.table, &format!("{}{}/", self.root(options), fresh())) };
        let cannot = |error: io::Error| Error::unavailable(format!("cannot make a folder in tier {}", self.address())).because(error);
        let path = table_dir.join(&link);
        // One that an open which crashed left has its directory.
        if std::fs::symlink_metadata(&path).is_err() {
            let target = std::path::absolute(self.root(options)).map_err(cannot)?.join(fresh());
            options.disk.create_dir(&target).map_err(cannot)?;
            options.disk.symlink(&target, &path).map_err(cannot)?;
        }
        options.disk.sync_dir(&table_dir).map_err(cannot)?;
        open(options, self.table, &format!("{link}/"))
    }
}

/// The file with the oldest rows that belongs in a tier further down than where it lies, and that tier. One that a merge or
/// retention will take, or whose day may still get rows, stays where it is.
pub(crate) fn due(options: &ShardOptions, table: Table, files: &[Arc<LakeFile>], hidden: &Hidden) -> Option<(Arc<LakeFile>, Tier)> {
    let now_ns = options.clock.now_ms().saturating_mul(1_000_000);
    let depth = |file: &LakeFile| match file.folder().prefix() {
        "" => Some(0),
        // Where the options name no tier, nobody asked for its files to be moved.
        prefix => options.tiers_of(table).position(|tier| tier.holds(options, prefix)).map(|at| at + 1),
    };
    let below = |file: &LakeFile| {
        let (_, last) = time_of(table, file);
        let age_ns = u128::try_from(now_ns.saturating_sub(last)).ok()?;
        let (at, tier) = options.tiers_of(table).enumerate().filter(|(_, tier)| tier.age.as_nanos() <= age_ns).last()?;
        // Rows of metadata have no time; they are small, and asked for whenever somebody writes a query.
        let is_old = !(table == Table::Samples && last == 0) && is_over(now_ns, window(now_ns, last));
        (is_old && depth(file)? <= at && !hidden.is_past(&file.stats)).then_some(tier)
    };
    let mut old: Vec<_> = files.iter().filter_map(|file| Some((time_of(table, file).1, file, below(file)?))).collect();
    old.sort_by_key(|(last, ..)| *last);
    let merged = if old.is_empty() { Vec::new() } else { compact::choose(options, table, files, None).unwrap_or_default() };
    let is_merged = |file: &LakeFile| merged.iter().any(|other| other.name == file.name);
    old.into_iter().find(|(_, file, _)| !is_merged(file)).map(|(_, file, tier)| (file.clone(), tier.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::time::Duration;

    use crate::hidden::Hiding;
    use crate::lake::files::{Bounds, FileStats};

    const HOUR_NS: i64 = 3_600_000_000_000;

    #[derive(Debug)]
    struct At(i64);

    impl crate::Clock for At {
        fn now_ms(&self) -> i64 {
            self.0 * HOUR_NS / 1_000_000
        }
    }

    fn tiers(ages_hours: &[u64]) -> Vec<Tier> {
        let tier = |&hours: &u64| Tier {
            table: Table::Logs,
            age: Duration::from_secs(hours * 3600),
            place: TierPlace::Dir(PathBuf::from(format!("/cold/{hours}"))),
        };
        ages_hours.iter().map(tier).collect()
    }

    #[test]
    fn a_file_goes_down_and_never_up() {
        let mut options = ShardOptions { tiers: tiers(&[48, 480]), clock: Arc::new(At(1000)), ..ShardOptions::new("one", "nowhere") };
        let hidden = Hiding::default().at(Table::Logs, 0);
        let check = |options: &ShardOptions, from: Option<u64>, last_hour: Option<i64>, to: Option<u64>| {
            let prefix = from.map_or_else(String::new, |hours| format!("{}/", tiers(&[hours])[0].link().unwrap()));
            let mut stats = FileStats::default();
            if let Some(hour) = last_hour {
                let range = Some((0, hour * HOUR_NS));
                stats.longs.insert("time_unix_nano".to_owned(), Bounds { range, nulls: 0, unknown: false });
            }
            let file = LakeFile::new(open(options, Table::Logs, &prefix).unwrap(), "part".to_owned(), u64::MAX, stats);
            let found = due(options, Table::Logs, &[Arc::new(file)], &hidden).map(|(_, tier)| tier.address());
            assert_eq!(found, to.map(|hours| format!("/cold/{hours}")), "from {from:?}, last row at {last_hour:?}");
        };
        check(&options, None, Some(953), None);
        // Old enough, and its day is not over for an hour.
        check(&options, None, Some(951), Some(48));
        check(&options, None, Some(520), Some(480));
        check(&options, Some(48), Some(951), None);
        check(&options, Some(48), Some(520), Some(480));
        check(&options, Some(480), Some(951), None);
        check(&options, Some(77), Some(520), None);
        check(&options, None, None, None);
        options.tiers = tiers(&[1]);
        check(&options, None, Some(991), None);
        check(&options, None, Some(982), Some(1));
        check(&options, Some(480), Some(520), None);
    }

    #[test]
    fn a_place_that_nobody_knows_is_named() {
        assert_eq!(
            [split("part"), split("tier-1/part"), split("s3://a/b/part")],
            [("", "part"), ("tier-1/", "part"), ("s3://a/b/", "part")]
        );
        let options = ShardOptions::new("one", "nowhere");
        for prefix in ["gs://bucket/", "/mnt/cold/", "tier-1/../", "other/"] {
            let error = open(&options, Table::Logs, prefix).unwrap_err();
            assert!(error.chain().contains(prefix), "{}", error.chain());
        }
    }
}
