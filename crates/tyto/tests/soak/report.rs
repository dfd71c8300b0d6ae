//! What the story looked like from outside, hour by hour, and whether it grew.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use crate::system::{Compared, System};

const MIB: f64 = (1 << 20) as f64;

/// The system at one hour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    resident_bytes: u64,
    files: u64,
    lake_bytes: u64,
    wal_bytes: u64,
    disk_bytes: u64,
}

impl Look {
    pub(crate) fn at(system: &System, dir: &Path) -> Self {
        let stats = system.shard.stats();
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            resident_bytes: pages * 4096,
            files: stats.tables.iter().map(|table| table.lake_files).sum(),
            lake_bytes: stats.tables.iter().map(|table| table.lake_bytes).sum(),
            wal_bytes: stats.wal_bytes,
            disk_bytes: bytes_under(dir),
        }
    }
}

/// Files may go while they are counted.
fn bytes_under(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_under(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

pub(crate) struct Report {
    hours: u64,
    part_hours: u64,
    parts: Vec<Vec<Look>>,
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    pub(crate) took: Duration,
    /// Field, records of each table, files.
    pub(crate) erased: Vec<(String, [u64; 3], u64)>,
    pub(crate) sums: Compared,
}

impl Report {
    pub(crate) fn new(hours: u64, part_hours: u64) -> Self {
        let (took, erased, sums) = (Duration::ZERO, Vec::new(), Vec::new());
        Self { hours, part_hours, parts: Vec::new(), sent: 0, acknowledged: 0, took, erased, sums }
    }

    pub(crate) fn look(&mut self, part: u64, look: Look) {
        self.parts.resize_with(self.parts.len().max(part as usize + 1), Vec::new);
        self.parts[part as usize].push(look);
    }

    fn median(&self, part: usize, of: impl Fn(&Look) -> u64) -> f64 {
        let mut all: Vec<u64> = self.parts[part].iter().map(of).collect();
        all.sort_unstable();
        all[all.len() / 2] as f64
    }

    fn max(&self, part: usize, of: impl Fn(&Look) -> u64) -> u64 {
        self.parts[part].iter().map(of).max().unwrap()
    }

    /// Nothing grew. Of a story shorter than a week only what does not need whole days to be dropped.
    pub(crate) fn judge(&self) {
        println!("{}", self.text());
        let parts = self.parts.len();
        assert!(self.acknowledged >= self.sent, "{} acknowledged of {} sent", self.acknowledged, self.sent);
        assert!(self.erased.len() >= 4 && self.erased.iter().all(|(_, erased, _)| erased.iter().sum::<u64>() > 0), "{:?}", self.erased);
        for part in 0..parts {
            assert!(self.max(part, |look| look.files) < 150, "files of three tables");
            assert!(self.max(part, |look| look.wal_bytes) < 256 << 20, "bytes of the log");
        }
        if self.hours < 168 {
            return;
        }
        let (third, last) = (self.median(2, |look| look.resident_bytes), self.median(6, |look| look.resident_bytes));
        assert!(last < third * 1.2, "memory of day 3 and of day 7: {:.0} and {:.0} MiB", third / MIB, last / MIB);
        // Samples are kept for five days, and go as whole days.
        let (sixth, last) = (self.median(5, |look| look.lake_bytes), self.median(6, |look| look.lake_bytes));
        assert!(last < sixth * 1.15, "the lake of day 6 and of day 7: {:.0} and {:.0} MiB", sixth / MIB, last / MIB);
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} h of the company in {:.0} s: {} records sent (histograms as one), {} acknowledged as rows and points.\n\n",
            self.hours,
            self.took.as_secs_f64(),
            self.sent,
            self.acknowledged
        );
        text.push_str("| part | resident MiB, median | lake files, most | lake MiB, median | log MiB, most | directory MiB, most |\n");
        text.push_str("|---|---|---|---|---|---|\n");
        for part in 0..self.parts.len() {
            writeln!(
                text,
                "| {} | {:.0} | {} | {:.1} | {:.1} | {:.1} |",
                part + 1,
                self.median(part, |look| look.resident_bytes) / MIB,
                self.max(part, |look| look.files),
                self.median(part, |look| look.lake_bytes) / MIB,
                self.max(part, |look| look.wal_bytes) as f64 / MIB,
                self.max(part, |look| look.disk_bytes) as f64 / MIB,
            )
            .unwrap();
        }
        text.push_str("\n| erased by | logs | spans | points | files written anew |\n|---|---|---|---|---|\n");
        for (field, [logs, spans, samples], files) in &self.erased {
            writeln!(text, "| `{field}` | {logs} | {spans} | {samples} | {files} |").unwrap();
        }
        text.push_str("\n| table | records held at the end | sum of their hashes, sent and held |\n|---|---|---|\n");
        for (table, count, sum) in &self.sums {
            writeln!(text, "| `{}` | {count} | `{sum:016x}` |", table.name()).unwrap();
        }
        text
    }

    pub(crate) fn write(&self) {
        let Ok(path) = std::env::var("TYTO_SOAK_REPORT") else { return };
        let text = format!(
            "# The soak\n\nWritten by `make soak`; `crates/tyto/tests/soak/` is the story. A part has {} h. Logs are kept for three parts (those of one \
             business service for one), spans for two, samples for five. Every part has an erasure and ends with a kill or a restart. \
             Sums are compared hour by hour and component by component.\n\n{}",
            self.part_hours,
            self.text()
        );
        std::fs::write(path, text).unwrap();
    }
}
