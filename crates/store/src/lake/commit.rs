use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties, TableReference, TransactionError};
use deltalake_core::kernel::{Action, Add, DataType, Metadata, MetadataExt, MetadataValue, Remove, StructType, Transaction};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError, checkpoints};
use futures::TryStreamExt;
use model::{Code, DeclaredFields, Error, FieldType, Result, Table};
use object_store::ObjectMeta;

use super::columns::{schema_with, usual};
use super::compact::written_seq;
use super::fields::KEY;
use super::files::{FileStats, LakeFile};
use super::folder::Folder;
use super::lease::Lease;
use super::tiers;
use crate::ShardOptions;
use crate::flush::blocking;

const FORMAT_KEY: &str = "tyto.formatVersion";
/// Names the tiers that have, or had, files of the table: a JSON list of what stands before the names of those files.
const TIERS_KEY: &str = "tyto.tiers";
/// Other writers that a claim meets at most; after the first the lock is ours, so there is hardly a second.
const CLAIMS_MAX: usize = 10;

/// The Delta log of one table. This process is its only writer: the shard's lock sees to that, and in an object store
/// [`Lease`] with the claims below.
pub(crate) struct LakeTable {
    options: Arc<ShardOptions>,
    table: Table,
    folder: Arc<dyn Folder>,
    app_id: String,
    delta: DeltaTable,
    /// The files of a commit that reported an error; the log may hold them all the same.
    doubtful: Option<Vec<(Arc<dyn Folder>, String)>>,
    commits_since_checkpoint: u64,
}

/// Why files take the place of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Merged,
    /// Some of their rows are in no file any more.
    RowsWent,
    /// The same bytes elsewhere.
    Moved,
}

/// Files that no commit names: those that readers outside may still want, with when they were replaced, and names of the rest.
#[derive(Default)]
pub(crate) struct Orphans {
    pub(crate) kept: Vec<(Arc<LakeFile>, i64)>,
    pub(crate) gone: Vec<String>,
}

/// What a table holds at open.
pub(crate) struct Opened {
    pub(crate) lake: LakeTable,
    pub(crate) files: Vec<Arc<LakeFile>>,
    /// The last frame of the log whose rows are in the files.
    pub(crate) committed_seq: u64,
}

impl LakeTable {
    /// Opens the table, or creates it. None when only reading and there is no table.
    pub(crate) async fn open(options: Arc<ShardOptions>, table: Table, read_only: bool) -> Result<Option<Opened>> {
        let folder = options.folder(table);
        let what = format!("cannot open table {} in {}", table.name(), folder.address(""));
        let failed = |error: DeltaTableError| {
            // Bytes that came and make no sense are damage; bytes that did not come are not.
            let mut causes = std::iter::successors(Some(&error as &(dyn std::error::Error + 'static)), |error| error.source());
            let unread = |cause: &(dyn std::error::Error + 'static)| cause.is::<std::io::Error>() || is_unanswered(cause);
            let code = if causes.any(unread) { Code::Unavailable } else { Code::Corrupt };
            Error::new(code, what.clone()).because(error)
        };
        let Some(log) = folder.log(read_only)? else { return Ok(None) };
        let mut delta = DeltaTable::new(log);
        let exists = delta.verify_deltatable_existence().await.map_err(failed)?;
        match exists {
            true => delta.load().await.map_err(failed)?,
            false if read_only => return Ok(None),
            false => delta = create(&delta, table).await.map_err(failed)?,
        }
        let mut lake =
            Self { app_id: format!("tyto/{}", options.name), options, table, folder, delta, doubtful: None, commits_since_checkpoint: 0 };
        lake.check_format()?;
        if let Some(lease) = lake.lease().filter(|_| !read_only) {
            lake.claim(&lease).await?;
        }
        if !read_only {
            lake.upgrade().await?;
        }
        lake.commits_since_checkpoint = lake.version().saturating_sub(lake.newest_checkpoint().await.map_err(failed)?);
        let (files, committed_seq) = (lake.files()?, lake.committed_seq().await.map_err(failed)?);
        Ok(Some(Opened { lake, files, committed_seq }))
    }

    /// Brings the columns of a table that an older Tyto made up to date, before files have them. From then on an older Tyto
    /// refuses the table: it would take packed values for none.
    async fn upgrade(&mut self) -> Result<()> {
        let mut declared = self.fields()?;
        if self.found_format() == Some(format_version(self.table, &declared)) {
            return Ok(());
        }
        usual(self.table).iter().for_each(|field| drop(declared.add(&field.key, field.kind)));
        self.bring_columns(&declared).await
    }

    /// Gives the table columns for declared attributes, and keeps those it has.
    pub(crate) async fn declare(&mut self, fields: &DeclaredFields) -> Result<()> {
        let mut declared = self.fields()?;
        let held = declared.len();
        fields.iter().for_each(|field| drop(declared.add(&field.key, field.kind)));
        match declared.len() == held {
            true => Ok(()),
            false => self.bring_columns(&declared).await,
        }
    }

    async fn bring_columns(&mut self, declared: &DeclaredFields) -> Result<()> {
        let (metadata, operation) = self.with_columns(declared).map_err(|error| self.cannot("change the columns in", error))?;
        tracing::info!(table = self.table.name(), declared = declared.len(), "bringing a table's columns up to date");
        self.commit(vec![Action::Metadata(metadata)], operation, None, &[]).await
    }

    /// The attributes that have columns, in their order.
    pub(crate) fn fields(&self) -> Result<DeclaredFields> {
        let read = |error| self.cannot("read the columns in", error);
        let schema = self.delta.snapshot().and_then(|snapshot| Ok(snapshot.metadata().parse_schema()?)).map_err(read)?;
        let mut fields = DeclaredFields::default();
        for field in schema.fields() {
            let Some(MetadataValue::String(key)) = field.metadata().get(KEY) else { continue };
            if let Some(kind) = field_type(field.data_type()) {
                // No version wrote one that this one could not declare; to pass over it would lose the column with the next commit.
                let refused = |why| Error::new(Code::Unsupported, format!("cannot read the column of attribute {key:?}: {why}"));
                fields.add(key, kind).map_err(refused)?;
            }
        }
        Ok(fields)
    }

    fn with_columns(&self, declared: &DeclaredFields) -> Result<(Metadata, DeltaOperation), DeltaTableError> {
        let metadata = self.delta.snapshot()?.metadata().clone();
        let held = metadata.parse_schema()?;
        let version = format_version(self.table, declared);
        let schema: StructType = schema_with(self.table, declared).as_ref().try_into_kernel()?;
        let fields = schema.fields().filter(|field| held.field(field.name()).is_none()).cloned().collect();
        let metadata = metadata.with_schema(&schema)?.add_config_key(FORMAT_KEY.to_owned(), version.to_string())?;
        Ok((metadata, DeltaOperation::AddColumn { fields }))
    }

    /// Commits new files with the log position they reach, durably. After an error ask [`Self::resolve`] what became of it.
    pub(crate) async fn append(&mut self, files: &[LakeFile], seq: u64) -> Result<()> {
        let adds = files.iter().map(|file| Action::Add(self.add(file, true))).collect();
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        let now = self.options.clock.now_ms();
        let seq = i64::try_from(seq).map_err(|_| Error::internal("cannot commit: the sequence number is over 2^63"))?;
        let transaction = Transaction::new_with_last_update(&self.app_id, seq, Some(now));
        self.commit(adds, operation, Some(transaction), files).await
    }

    /// Commits that `new` holds the rows of `old`, but for those that went, durably. After an error ask [`Self::resolve`]
    /// what became of it.
    pub(crate) async fn replace(&mut self, old: &[Arc<LakeFile>], new: &[LakeFile], change: Change) -> Result<()> {
        // For readers that follow the table's changes: in a merge of samples the chunks of one series become one row.
        let data_change = change == Change::RowsWent || (change == Change::Merged && self.table == Table::Samples);
        let removes = old.iter().map(|file| Action::Remove(self.remove(file, data_change)));
        let actions = removes.chain(new.iter().map(|file| Action::Add(self.add(file, data_change)))).collect();
        let target_size = i64::try_from(self.options.compaction_bytes_max).unwrap_or(i64::MAX);
        // What went is not said: it would stand in the log.
        let operation = match change {
            Change::RowsWent => DeltaOperation::Delete { predicate: None },
            Change::Merged | Change::Moved => DeltaOperation::Optimize { predicate: None, target_size },
        };
        self.commit(actions, operation, None, new).await
    }

    /// The prefixes of the tiers that have, or had, files of the table.
    pub(crate) fn tiers(&self) -> Vec<String> {
        let said = self.delta.snapshot().ok().and_then(|state| state.metadata().configuration().get(TIERS_KEY).cloned());
        said.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Says in the log that a tier has files of the table, before it has one: whoever cleans up must know where.
    pub(crate) async fn use_tier(&mut self, prefix: &str) -> Result<()> {
        let mut tiers = self.tiers();
        if tiers.iter().any(|tier| tier == prefix) {
            return Ok(());
        }
        tiers.push(prefix.to_owned());
        let value = serde_json::json!(tiers).to_string();
        let properties = HashMap::from([(TIERS_KEY.to_owned(), value.clone())]);
        let metadata = self.with_key(TIERS_KEY, value).map_err(|error| self.cannot("add a tier to", error))?;
        self.commit(vec![Action::Metadata(metadata)], DeltaOperation::SetTableProperties { properties }, None, &[]).await
    }

    fn with_key(&self, key: &str, value: String) -> Result<Metadata, DeltaTableError> {
        Ok(self.delta.snapshot()?.metadata().clone().add_config_key(key.to_owned(), value)?)
    }

    /// Leaves nothing of the table's past in its log: a checkpoint, and no commit before it. Old commits have statistics of
    /// files that are gone, and those quote their rows.
    pub(crate) async fn forget_past(&mut self) -> Result<()> {
        self.write_checkpoint().await?;
        self.commits_since_checkpoint = 0;
        let (folder, version) = (self.folder.clone(), self.version());
        let forgotten = blocking(move || Ok(folder.forget_commits(version))).await?;
        forgotten
            .map_err(|error| Error::unavailable(format!("cannot clean up the Delta log of {}", self.folder.address(""))).because(error))?;
        // What is held names the commits that are gone, and reads them when it is asked which files were replaced.
        let loaded = self.delta.load().await;
        loaded.map_err(|error| self.cannot("read", error))
    }

    async fn commit(
        &mut self,
        actions: Vec<Action>,
        operation: DeltaOperation,
        transaction: Option<Transaction>,
        new: &[LakeFile],
    ) -> Result<()> {
        assert!(self.doubtful.is_none(), "a doubtful commit is resolved before the next");
        if let Some(lease) = self.lease() {
            lease.check()?;
        }
        self.doubtful = Some(new.iter().map(|file| (file.folder().clone(), file.name.clone())).collect());
        let committed = self.try_commit(actions, operation, transaction).await;
        committed.map_err(|error| self.cannot("commit to", error))?;
        self.doubtful = None;
        Ok(())
    }

    fn cannot(&self, verb: &str, error: DeltaTableError) -> Error {
        Error::unavailable(format!("cannot {verb} the Delta log of {}", self.folder.address(""))).because(error)
    }

    async fn try_commit(
        &mut self,
        actions: Vec<Action>,
        operation: DeltaOperation,
        transaction: Option<Transaction>,
    ) -> Result<(), DeltaTableError> {
        let mut properties =
            CommitProperties::default().with_max_retries(0).with_create_checkpoint(false).with_cleanup_expired_logs(Some(false));
        if let Some(transaction) = transaction {
            properties = properties.with_application_transaction(transaction);
        }
        let state = self.delta.snapshot()?.clone();
        let commit = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&state as &dyn TableReference), self.delta.log_store(), operation)
            .await?;
        self.delta.state = Some(commit.snapshot());
        self.commits_since_checkpoint += 1;
        Ok(())
    }

    fn lease(&self) -> Option<Arc<Lease>> {
        self.options.lake.lease()
    }

    /// Takes the next version of the log with a commit that adds nothing, and learns all before it: a commit still under way,
    /// of ours that nobody answered or of an owner before us, can land no more.
    async fn claim(&mut self, lease: &Lease) -> Result<()> {
        let epoch = i64::try_from(lease.epoch()).unwrap_or(i64::MAX);
        for _ in 0..CLAIMS_MAX {
            self.delta.update_state().await.map_err(|error| self.cannot("read", error))?;
            let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
            let owner = Transaction::new_with_last_update(format!("{}/owner", self.app_id), epoch, Some(self.options.clock.now_ms()));
            match self.try_commit(Vec::new(), operation, Some(owner)).await {
                Err(
                    DeltaTableError::VersionAlreadyExists(_)
                    | DeltaTableError::Transaction {
                        source: TransactionError::VersionAlreadyExists(_) | TransactionError::MaxCommitAttempts(_),
                    },
                ) => lease.verify().await?,
                claimed => return claimed.map_err(|error| self.cannot("claim", error)),
            }
        }
        Err(Error::unavailable(format!("cannot claim the Delta log of {}: others write to it", self.folder.address(""))))
    }

    /// After a commit that reported an error: what the table holds by its own log, and none when there was no doubt.
    /// An error may come after the log file was written, and doing the commit again would double its rows.
    pub(crate) async fn resolve(&mut self) -> Result<Option<(Vec<Arc<LakeFile>>, u64)>> {
        let Some(new) = self.doubtful.clone() else { return Ok(None) };
        let failed = |error: DeltaTableError| Error::unavailable("cannot read the Delta log again").because(error);
        match self.lease() {
            Some(lease) => {
                lease.verify().await?;
                self.claim(&lease).await?;
            }
            None => self.delta.update_state().await.map_err(failed)?,
        }
        let (files, committed_seq) = (self.files()?, self.committed_seq().await.map_err(failed)?);
        self.folder.renew_newest_commit()?;
        self.doubtful = None;
        let gone: Vec<_> = new.into_iter().filter(|(_, name)| !files.iter().any(|file| file.name == *name)).collect();
        blocking(move || {
            for (folder, name) in gone {
                if let Err(error) = folder.remove(&name) {
                    tracing::warn!(path = folder.address(&name), %error, "cannot remove a file whose commit failed; the next open will");
                }
            }
            Ok(())
        })
        .await?;
        Ok(Some((files, committed_seq)))
    }

    /// Writes a checkpoint every so many commits, so that opening stays fast, and lets go of expired log files.
    pub(crate) async fn checkpoint(&mut self) {
        if self.commits_since_checkpoint < self.options.checkpoint_commits {
            return;
        }
        self.commits_since_checkpoint = 0;
        if let Err(error) = self.try_checkpoint().await {
            tracing::warn!(table = self.table.name(), error = error.chain(), "cannot write a checkpoint; the log stays longer");
        }
    }

    async fn try_checkpoint(&self) -> Result<()> {
        self.write_checkpoint().await?;
        let failed = |error: DeltaTableError| Error::unavailable("cannot let go of expired log files").because(error);
        checkpoints::cleanup_metadata(&self.delta, None).await.map_err(failed)?;
        Ok(())
    }

    async fn write_checkpoint(&self) -> Result<()> {
        let failed = |error: DeltaTableError| Error::unavailable("cannot write a Delta checkpoint").because(error);
        checkpoints::create_checkpoint(&self.delta, None).await.map_err(failed)
    }

    fn version(&self) -> u64 {
        self.delta.version().unwrap_or_default()
    }

    fn add(&self, file: &LakeFile, data_change: bool) -> Add {
        Add {
            path: file.path(),
            partition_values: HashMap::new(),
            size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
            modification_time: self.options.clock.now_ms(),
            data_change,
            stats: Some(file.stats.to_json()),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        }
    }

    fn remove(&self, file: &LakeFile, data_change: bool) -> Remove {
        Remove {
            path: file.path(),
            data_change,
            deletion_timestamp: Some(self.options.clock.now_ms()),
            extended_file_metadata: Some(true),
            partition_values: Some(HashMap::new()),
            size: i64::try_from(file.bytes).ok(),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
        }
    }

    /// The live files, oldest rows of the log first: a later file's point replaces an earlier one's.
    fn files(&self) -> Result<Vec<Arc<LakeFile>>> {
        let mut folders = HashMap::from([(String::new(), self.folder.clone())]);
        let mut files = Vec::new();
        for view in self.delta.snapshot().map_err(|error| self.cannot("read", error))?.log_data().iter() {
            let path = view.path();
            let (prefix, name) = tiers::split(&path);
            let folder = match folders.get(prefix) {
                Some(folder) => folder.clone(),
                None => folders.entry(prefix.to_owned()).or_insert(tiers::open(&self.options, self.table, prefix)?).clone(),
            };
            let stats = view.stats().and_then(|text| FileStats::from_json(self.table, &text)).unwrap_or_default();
            files.push(Arc::new(LakeFile::new(folder, name.to_owned(), u64::try_from(view.size()).unwrap_or_default(), stats)));
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    async fn committed_seq(&self) -> Result<u64, DeltaTableError> {
        let version = self.delta.snapshot()?.transaction_version(self.delta.log_store().as_ref(), &self.app_id).await?;
        Ok(version.and_then(|seq| u64::try_from(seq).ok()).unwrap_or_default())
    }

    fn check_format(&self) -> Result<()> {
        let cannot = || Error::new(Code::Unsupported, format!("cannot read table {} in {}", self.table.name(), self.folder.address("")));
        let (found, known) = (self.found_format(), version_max(self.table));
        match found.is_some_and(|found| found <= known) {
            true => Ok(()),
            false => Err(cannot().because(format!("its {FORMAT_KEY} is {found:?} and this version of Tyto knows {known}"))),
        }
    }

    fn found_format(&self) -> Option<u32> {
        self.delta.snapshot().ok()?.metadata().configuration().get(FORMAT_KEY)?.parse().ok()
    }

    /// Removes Parquet files of the table's own folder that no commit names: a crash came between writing and committing, or
    /// before replaced files were deleted. Those replaced so recently that a reader outside may still want them are kept and
    /// given, with when.
    pub(crate) async fn remove_orphans(&self, files: &[Arc<LakeFile>], logged_seq: u64) -> Result<Vec<(Arc<LakeFile>, i64)>> {
        let failed = |error| Error::unavailable(format!("cannot clean up {}", self.folder.address(""))).because(error);
        let known = files.iter().map(|file| file.name.clone()).collect();
        let folder = self.folder.clone();
        let listed = blocking(move || Ok(folder.list())).await?.map_err(failed)?;
        let Orphans { kept, gone } = self.orphans(&self.folder, listed, &known, logged_seq).await?;
        let folder = self.folder.clone();
        blocking(move || Ok(gone.iter().try_for_each(|name| folder.remove(name)))).await?.map_err(failed)?;
        Ok(kept)
    }

    /// The Parquet files of a folder that are not among those `known`.
    ///
    /// `logged_seq` is the last frame of the write-ahead log. A flush writes no row before its frame is durable, so a file
    /// that reaches beyond both log and table holds rows that are nowhere else: something took a commit away.
    pub(crate) async fn orphans(
        &self,
        folder: &Arc<dyn Folder>,
        listed: Vec<(String, u64)>,
        known: &HashSet<String>,
        logged_seq: u64,
    ) -> Result<Orphans> {
        let unread = |error: DeltaTableError| Error::unavailable(format!("cannot clean up {}", folder.address(""))).because(error);
        let held_seq = self.committed_seq().await.map_err(unread)?.max(logged_seq);
        let nameless: Vec<_> = listed.into_iter().filter(|(name, _)| name.ends_with(".parquet") && !known.contains(name)).collect();
        if let Some((name, _)) = nameless.iter().find(|(name, _)| written_seq(name).is_some_and(|seq| seq > held_seq)) {
            let seq = written_seq(name).unwrap_or_default();
            let what = format!("cannot open table {} in {}", self.table.name(), folder.address(""));
            let why = format!("{name} holds rows up to frame {seq} and neither a commit nor the log has them");
            return Err(Error::new(Code::Corrupt, what).because(why));
        }
        let mut orphans = Orphans::default();
        if nameless.is_empty() {
            return Ok(orphans);
        }
        let replaced = self.replaced_at_ms().await.map_err(unread)?;
        let age_min = i64::try_from(self.options.replaced_file_age_min.as_millis()).unwrap_or(i64::MAX);
        let now = self.options.clock.now_ms();
        for (name, bytes) in nameless {
            match replaced.get(&format!("{}{name}", folder.prefix())) {
                Some(&at) if now.saturating_sub(at) < age_min => {
                    orphans.kept.push((Arc::new(LakeFile::new(folder.clone(), name, bytes, FileStats::default())), at));
                }
                _ => {
                    tracing::info!(
                        table = self.table.name(),
                        file = folder.address(&name),
                        bytes,
                        "removing a lake file that no commit names"
                    );
                    orphans.gone.push(name);
                }
            }
        }
        Ok(orphans)
    }

    /// The version of the newest checkpoint, 0 without one.
    async fn newest_checkpoint(&self) -> Result<u64, DeltaTableError> {
        let log = self.delta.log_store();
        let version = |meta: ObjectMeta| meta.location.filename()?.split_once(".checkpoint")?.0.parse().ok();
        let versions = log.object_store(None).list(Some(log.log_path())).map_ok(version);
        let newest = versions.try_fold(0, |newest, version: Option<u64>| std::future::ready(Ok(newest.max(version.unwrap_or_default()))));
        Ok(newest.await?)
    }

    /// Files that were replaced, by what the log calls them, and when.
    async fn replaced_at_ms(&self) -> Result<HashMap<String, i64>, DeltaTableError> {
        let log_store = self.delta.log_store();
        let tombstones = self.delta.snapshot()?.all_tombstones(log_store.as_ref());
        tombstones.map_ok(|file| (file.path().into_owned(), file.deletion_timestamp().unwrap_or_default())).try_collect().await
    }
}

/// The version of `docs/formats/lake.md` that a table's files follow.
fn format_version(table: Table, declared: &DeclaredFields) -> u32 {
    match table {
        Table::Spans => 2,
        Table::Quarantine => 1,
        Table::Samples => 3,
        // Without declared attributes an older Tyto reads logs as well.
        Table::Logs => {
            if declared.is_empty() {
                2
            } else {
                version_max(table)
            }
        }
    }
}

fn version_max(table: Table) -> u32 {
    match table {
        Table::Spans => 2,
        Table::Quarantine => 1,
        Table::Samples => 3,
        Table::Logs => 3,
    }
}

fn field_type(data_type: &DataType) -> Option<FieldType> {
    match *data_type {
        DataType::STRING => Some(FieldType::String),
        DataType::LONG => Some(FieldType::Integer),
        DataType::DOUBLE => Some(FieldType::Number),
        DataType::BOOLEAN => Some(FieldType::Boolean),
        _ => None,
    }
}

async fn create(delta: &DeltaTable, table: Table) -> Result<DeltaTable, DeltaTableError> {
    let schema: StructType = schema_with(table, &usual(table)).as_ref().try_into_kernel()?;
    CreateBuilder::new()
        .with_log_store(delta.log_store())
        .with_table_name(table.name())
        .with_columns(schema.fields().cloned())
        .with_raise_if_key_not_exists(false)
        .with_configuration([(FORMAT_KEY, Some(format_version(table, &DeclaredFields::default()).to_string()))])
        .await
}

/// A store that said no, or nothing, and not that something is missing or makes no sense.
fn is_unanswered(cause: &(dyn std::error::Error + 'static)) -> bool {
    matches!(cause.downcast_ref(), Some(object_store::Error::Generic { .. } | object_store::Error::PermissionDenied { .. }))
}
