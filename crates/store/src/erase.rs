//! Carries erasures out: heads go to the lake, files with matching rows are written anew without them, and what held the
//! rows before is deleted at once: segments of the log, replaced files, old commits.

use std::sync::Arc;

use model::{DeclaredFields, Erased, ErasureState, Error, Result, Table};

use crate::ShardOptions;
use crate::erasures::Open;
use crate::flush::{Flusher, blocking};
use crate::hidden::{Gone, Hidden, Target};
use crate::lake::compact::read;
use crate::lake::files::LakeFile;
use crate::lake::merge::{Merged, clear, merge};
use crate::lake::write;
use crate::shard::Inner;

impl Inner {
    /// Starts what is to be erased, beside everything else: a large lake takes long, and flushes must go on.
    pub(crate) fn erase_if_due(self: &Arc<Self>) {
        let orders = self.erasures.to_do();
        metrics::gauge!("tyto_erasures_open", "shard" => self.options.name.clone()).set(orders.len() as f64);
        if orders.is_empty() {
            return;
        }
        let Ok(mut backoff) = self.erasing.clone().try_lock_owned() else { return };
        let now = self.options.clock.instant();
        if !backoff.is_over(now) {
            return;
        }
        let inner = self.clone();
        tokio::spawn(async move {
            let done = inner.erase(&orders).await;
            let wait = backoff.note(done.is_ok(), inner.options.clock.instant());
            if let Err(error) = done {
                tracing::warn!(shard = inner.options.name, error = error.chain(), again_in = ?wait, "cannot end an erasure yet");
                inner.note(&orders, move |erasure| erasure.hindered_by = Some(error.chain())).await;
            }
        });
    }

    async fn erase(&self, orders: &[Open]) -> Result<()> {
        let Some(wal) = &self.wal else { return Ok(()) };
        self.note(orders, |erasure| erasure.state = ErasureState::Running).await;
        // Everything acknowledged before is in segments that are closed, and then in the lake.
        wal.turn();
        wal.barrier().await;
        let seq = self.tables.applied_seq();
        self.flush().await?;
        for flusher in &self.flushers {
            let table = flusher.table.table;
            let of_table =
                |open: &Open| open.targets.iter().find(|(of, _)| *of == table).map(|(_, target)| (open.id.clone(), target.clone()));
            let (ids, targets): (Vec<_>, Vec<_>) = orders.iter().filter_map(of_table).unzip();
            if !targets.is_empty() {
                let (gone, files) = flusher.erase(&targets).await?;
                self.count_erased(table, &ids, &gone, files).await?;
            }
        }
        self.let_log_go().await;
        if wal.holds(seq) {
            return Err(Error::unavailable("cannot remove the segments of the log that hold the rows"));
        }
        let mut held = 0;
        for flusher in &self.flushers {
            held += flusher.delete_all_replaced(&self.footers).await?;
        }
        if held > 0 {
            return Err(Error::unavailable(format!("cannot delete {held} files that held the rows: queries still read them")));
        }
        self.finish_erasures(orders).await
    }

    async fn count_erased(&self, table: Table, ids: &[String], gone: &[Gone], files: u64) -> Result<()> {
        let labels = [("shard", self.options.name.clone()), ("table", table.name().to_owned())];
        metrics::counter!("tyto_erased_records_total", &labels).increment(gone.iter().map(|gone| gone.records).sum());
        let (erasures, ids, gone) = (self.erasures.clone(), ids.to_vec(), gone.to_vec());
        blocking(move || {
            for (id, gone) in ids.iter().zip(gone) {
                erasures.note(id, |erasure| {
                    *erasure.erased.of_mut(table) += gone.records;
                    erasure.files_rewritten += if gone.any { files } else { 0 };
                })?;
            }
            Ok(())
        })
        .await
    }

    async fn finish_erasures(&self, orders: &[Open]) -> Result<()> {
        let (erasures, now_ms) = (self.erasures.clone(), self.options.clock.now_ms());
        let ids: Vec<String> = orders.iter().map(|open| open.id.clone()).collect();
        blocking(move || ids.iter().try_for_each(|id| erasures.finish(id, now_ms))).await?;
        self.hide_orders();
        for erasure in self.erasures.all().into_iter().filter(|erasure| orders.iter().any(|open| open.id == erasure.id)) {
            let Erased { logs, spans, samples, quarantine } = erasure.erased;
            tracing::info!(id = erasure.id, logs, spans, samples, quarantine, files = erasure.files_rewritten, "erased for good");
        }
        Ok(())
    }

    /// Hides from every scan what is to be erased.
    pub(crate) fn hide_orders(&self) {
        for table in &self.tables.each {
            // Looked up under the table's lock: of an order that comes and one that ends at once, neither is overlooked.
            table.hide(|hiding| {
                let orders = self.erasures.to_do();
                let targets = orders.iter().flat_map(|open| &open.targets).filter(|(of, _)| *of == table.table);
                hiding.targets = targets.map(|(_, target)| target.clone()).collect();
            });
        }
    }

    /// Says how far it is; what cannot be written down is no reason to stop.
    async fn note(&self, orders: &[Open], change: impl Fn(&mut model::Erasure) + Send + 'static) {
        let (erasures, ids) = (self.erasures.clone(), orders.iter().map(|open| open.id.clone()).collect::<Vec<_>>());
        let noted = blocking(move || ids.iter().try_for_each(|id| erasures.note(id, &change))).await;
        if let Err(error) = noted {
            tracing::warn!(shard = self.options.name, error = error.chain(), "cannot write down how far an erasure is");
        }
    }
}

impl Flusher {
    /// Writes every file with matching rows anew without them, in one commit; gives what went for each target, and how many
    /// files it was in.
    async fn erase(&self, targets: &[Arc<Target>]) -> Result<(Vec<Gone>, u64)> {
        let _only_one = self.compacting.lock().await;
        let declared = self.settled().await?.table.fields()?;
        let (options, table) = (self.options.clone(), self.table.clone());
        let hidden: Vec<_> = targets.iter().map(|target| Hidden::by(table.table, target.clone())).collect();
        let (old, new) = blocking(move || rewrite(&options, table.table, &declared, &table.files(), &hidden)).await?;
        let (gone, files) = (new.gone.clone(), old.len() as u64);
        if !old.is_empty() {
            self.replace(old, new).await?;
        }
        self.forget_past().await?;
        Ok((gone, files))
    }
}

/// The files that hold something hidden, and new ones for the rest of their rows.
fn rewrite(
    options: &ShardOptions,
    table: Table,
    declared: &DeclaredFields,
    files: &[Arc<LakeFile>],
    hidden: &[Hidden],
) -> Result<(Vec<Arc<LakeFile>>, Merged)> {
    let mut all = Merged { files: Vec::new(), gone: vec![Gone::default(); hidden.len()] };
    let mut old = Vec::new();
    for file in files {
        let rewritten = match holds(file, hidden) {
            Ok(false) => continue,
            Ok(true) => merge(options, table, declared, std::slice::from_ref(file), hidden),
            Err(error) => Err(error),
        };
        match rewritten {
            Ok(new) => {
                old.push(file.clone());
                all.files.extend(new.files);
                all.gone.iter_mut().zip(new.gone).for_each(|(all, gone)| all.add(gone));
            }
            Err(error) => {
                write::discard(&all.files);
                return Err(error);
            }
        }
    }
    Ok((old, all))
}

/// Whether a file holds something hidden, by the columns that tell.
fn holds(file: &LakeFile, hidden: &[Hidden]) -> Result<bool> {
    let touching: Vec<_> = hidden.iter().filter(|hidden| hidden.touches(&file.stats)).cloned().collect();
    if touching.is_empty() {
        return Ok(false);
    }
    let mut columns: Vec<&str> = touching.iter().flat_map(Hidden::columns).collect();
    columns.push("exemplars");
    let mut gone = vec![Gone::default(); touching.len()];
    for records in read(file, Some(&columns))? {
        clear(&touching, &mut gone, file, records?)?;
        if gone.iter().any(|gone| gone.any) {
            return Ok(true);
        }
    }
    Ok(false)
}
