//! Moves old files to cheaper places, one at a time: copy, commit, show, and later delete what lay here, like any file that
//! was replaced.
//!
//! A crash between any two of these steps loses and doubles nothing: before the commit the copy is a file that no commit
//! names, and after it the old one is. What a crash left in a tier is looked for once the shard is at work, not when it is
//! opened: a tier that is away must not keep it from taking records.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Error, Result};

use crate::flush::{Flusher, blocking};
use crate::lake::commit::Change;
use crate::lake::compact::written_seq;
use crate::lake::tiers::due;
use crate::lake::write;
use crate::shard::Inner;
use crate::stats::TableStats;

/// How often files are looked at for their age.
const LOOK_EVERY_MS: i64 = 10_000;

impl Inner {
    /// Begins what the tiers need, beside everything else: cheap places are slow, and flushes must go on.
    pub(crate) fn begin_tiers(self: &Arc<Self>) {
        for flusher in self.flushers.iter().filter(|flusher| flusher.has_tiers()) {
            let (inner, flusher) = (self.clone(), flusher.clone());
            tokio::spawn(async move {
                if flusher.tier_if_due().await {
                    inner.wake.notify_one();
                }
            });
        }
    }
}

impl Inner {
    /// Files and bytes of a table by tier, as the options call it; those that have none, too.
    pub(crate) fn in_tiers(&self, stats: &TableStats) -> Vec<(String, u64, u64)> {
        let below = format!("/{}/lake/{}/", self.options.name, stats.table.name());
        let mut tiers: BTreeMap<String, (u64, u64)> = self.options.tiers_of(stats.table).map(|tier| (tier.address(), (0, 0))).collect();
        for tier in &stats.tiers {
            let name = tier.place.rsplit_once(&below).map_or(&*tier.place, |(name, _)| name);
            let (files, bytes) = tiers.entry(name.to_owned()).or_default();
            (*files, *bytes) = (*files + tier.files, *bytes + tier.bytes);
        }
        tiers.into_iter().map(|(tier, (files, bytes))| (tier, files, bytes)).collect()
    }
}

impl Flusher {
    fn has_tiers(&self) -> bool {
        self.options.tiers_of(self.table.table).next().is_some() || self.is_unswept()
    }

    /// Moves every file that is old enough now.
    pub(crate) async fn tier(&self) -> Result<()> {
        let _only_one = self.compacting.lock().await;
        while self.tier_once().await? {}
        Ok(())
    }

    /// Cleans up, or moves one file; says whether there may be more to do.
    pub(crate) async fn tier_if_due(&self) -> bool {
        let now_ms = self.options.clock.now_ms();
        if now_ms < self.tiering.lock().next_ms {
            return false;
        }
        // Merges and erasures come first.
        let Ok(_only_one) = self.compacting.try_lock() else { return false };
        let more = self.attempt("move old files", &self.backoffs.tier, self.tier_once()).await;
        if more == Some(false) {
            self.tiering.lock().next_ms = now_ms.saturating_add(LOOK_EVERY_MS);
        }
        more == Some(true)
    }

    async fn tier_once(&self) -> Result<bool> {
        self.sweep().await?;
        drop(self.settled().await?);
        let (options, table) = (self.options.clone(), self.table.clone());
        let hidden = table.hidden(options.clock.now_ms()).past();
        let due = blocking(move || Ok(due(&options, table.table, &table.files(), &hidden))).await?;
        let Some((old, tier)) = due else { return Ok(false) };
        let used = self.settled().await?.table.tiers();
        let (options, of) = (self.options.clone(), tier.clone());
        let folder = blocking(move || of.enter(&options, &used)).await?;
        self.settled().await?.table.use_tier(folder.prefix()).await?;

        let name = write::fresh_name(&self.options, self.table.table, written_seq(&old.name).unwrap_or_default());
        let file = old.clone();
        let copied = blocking(move || {
            let copy = file.copy(folder.clone(), name)?;
            write::finish(&*folder, vec![copy], Ok(()))
        });
        let copies = copied.await?;
        self.commit(vec![old.clone()], copies, Change::Moved).await?;
        let labels = [("shard", self.options.name.clone()), ("table", self.table.table.name().to_owned()), ("tier", tier.address())];
        metrics::counter!("tyto_tier_moved_files_total", &labels).increment(1);
        metrics::counter!("tyto_tier_moved_bytes_total", &labels).increment(old.bytes);
        Ok(true)
    }

    /// Removes what crashes left in the tiers that nobody has looked at since the shard was opened. `compacting` must be held:
    /// what is being written is in no commit, too.
    pub(crate) async fn sweep(&self) -> Result<()> {
        loop {
            let next = self.tiering.lock().unswept.last().cloned();
            let Some(folder) = next else { return Ok(()) };
            let failed = |error| Error::unavailable(format!("cannot clean up {}", folder.address(""))).because(error);
            let there = folder.clone();
            let listed = blocking(move || Ok(there.list())).await?.map_err(failed)?;
            let mut lake = self.settled().await?;
            let replaced = lake.replaced.iter().map(|(file, _)| file.name.clone());
            let known = self.table.files().iter().map(|file| file.name.clone()).chain(replaced).collect();
            let orphans = lake.table.orphans(&folder, listed, &known, 0).await?;
            lake.replaced.extend(orphans.kept);
            drop(lake);
            let there = folder.clone();
            blocking(move || Ok(orphans.gone.iter().try_for_each(|name| there.remove(name)))).await?.map_err(failed)?;
            self.tiering.lock().unswept.pop();
        }
    }
}
