//! Versions and their files in SQLite or PostgreSQL, by the same statements.
//!
//! A version is added by its number, one more than that of the version it was made of: of two who make the same number the database takes one,
//! and the other is told and begins anew. So nothing is locked while files are checked, no change is lost, and numbers have no gaps. Refused: a
//! lock held over the check, which one process that hangs keeps from all others.

use std::path::Path;
use std::time::Duration;

use catalog::{Provenance, SourceFile, SourceKind, Version, When};
use model::{Code, Error, Result};
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyPool, Row as _, SqlSafeStr as _};
use tokio::sync::OnceCell;

use crate::parts::Parts;

const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "versions", include_str!("../migrations/0001_versions.sql"))];

/// For a connection, a new one included.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// For a question, and for a change of thousands of files.
const ASK_MAX: Duration = Duration::from_secs(15);
const ADD_MAX: Duration = Duration::from_secs(60);

const CONNECTIONS_MAX: u32 = 4;

/// Of one page of versions.
pub const VERSIONS_MAX: usize = 1000;

const COLUMNS: &str = "v.number, v.in_force_from_ms, v.source, v.kind, v.origin, v.revision, v.author, v.content_hash, n.in_force_from_ms";

#[derive(Debug)]
pub struct Database {
    pool: AnyPool,
    kind: &'static str,
    migrated: OnceCell<()>,
}

/// Whether a version is there now.
#[derive(Debug, PartialEq, Eq)]
pub enum Added {
    Yes,
    /// Somebody else has added one of that number.
    Overtaken,
}

impl Database {
    /// Nothing is opened before it is asked for: the start waits for no database.
    pub fn sqlite(file: &Path) -> Result<Self> {
        let cannot = || Error::invalid(format!("cannot keep the catalogue in {}: it is no path that SQLite takes", file.display()));
        let absolute = std::path::absolute(file).map_err(|error| cannot().because(error))?;
        let path = url::Url::from_file_path(absolute).map_err(|()| cannot())?;
        // One connection: what waits for another one of this process need not wait in SQLite.
        Self::open(&format!("sqlite://{}?mode=rwc", path.path()), "sqlite", 1)
    }

    /// `postgres://user:password@host/database?sslmode=verify-full&sslrootcert=/etc/ssl/rds.pem`.
    pub fn postgres(url: &str) -> Result<Self> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            // What stands there may be a password.
            return Err(Error::invalid("cannot use catalog_store: write postgres://user@host/database"));
        }
        Self::open(url, "postgres", CONNECTIONS_MAX)
    }

    fn open(url: &str, kind: &'static str, connections: u32) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new().max_connections(connections).acquire_timeout(CONNECT_MAX).connect_lazy(url);
        let pool =
            pool.map_err(|error| Error::invalid(format!("cannot use the address of the catalogue's {kind} store")).because(error))?;
        Ok(Self { pool, kind, migrated: OnceCell::new() })
    }

    /// `sqlite` or `postgres`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    pub async fn version(&self, when: When) -> Result<Option<Version>> {
        let (condition, value) = match when {
            When::Now => ("v.number > $1", 0),
            When::Number(number) => ("v.number = $1", int(number)?),
            When::At(ms) => ("v.in_force_from_ms <= $1", ms),
        };
        Ok(self.select(condition, value, 1).await?.pop())
    }

    /// The newest first, below a number.
    pub async fn versions(&self, before: Option<u64>, limit: usize) -> Result<Vec<Version>> {
        let before = before.map_or(Ok(i64::MAX), int)?;
        self.select("v.number < $1", before, limit.min(VERSIONS_MAX)).await
    }

    /// Of each source the last one that it brought.
    pub async fn last_of_sources(&self) -> Result<Vec<Version>> {
        let last = "v.number > $1 AND v.number IN (SELECT max(number) FROM catalogue_versions GROUP BY source)";
        self.select(last, 0, VERSIONS_MAX).await
    }

    async fn select(&self, condition: &'static str, value: i64, limit: usize) -> Result<Vec<Version>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM catalogue_versions v LEFT JOIN catalogue_versions n ON n.number = v.number + 1 \
             WHERE {condition} ORDER BY v.number DESC LIMIT {limit}"
        );
        self.within(ASK_MAX, async {
            // Of constants and a number alone.
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(value).fetch_all(&self.pool).await?;
            rows.iter().map(version).collect()
        })
        .await
    }

    /// All files of a version, sorted.
    pub async fn files(&self, number: u64) -> Result<Parts> {
        let number = int(number)?;
        self.within(ASK_MAX, async {
            let sql = "SELECT source, name, content FROM catalogue_files \
                       WHERE first_version <= $1 AND (last_version IS NULL OR last_version >= $1)";
            let rows = sqlx::query(sql).bind(number).fetch_all(&self.pool).await?;
            let file = |row: &AnyRow| Ok(SourceFile { source: row.try_get(0)?, name: row.try_get(1)?, text: row.try_get(2)? });
            Ok(Parts::of(rows.iter().map(file).collect::<sqlx::Result<Vec<_>>>()?))
        })
        .await
    }

    /// `files` are those of `version`, and `before` those of the one of the number below. Durable when this returns.
    pub async fn add(&self, version: &Version, before: &Parts, files: &Parts) -> Result<Added> {
        let number = int(version.number)?;
        let Provenance { source, kind, from, commit, author } = &version.by;
        self.within(ADD_MAX, async {
            let mut change = self.pool.begin().await?;
            let added = sqlx::query(
                "INSERT INTO catalogue_versions (number, in_force_from_ms, source, kind, origin, revision, author, content_hash) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            );
            let added = added.bind(number).bind(version.in_force_from_ms).bind(source.as_str()).bind(kind.name());
            let added = added.bind(from.as_str()).bind(commit.as_str()).bind(author.as_str()).bind(version.content_hash.as_str());
            match added.execute(&mut *change).await {
                Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => return Ok(Added::Overtaken),
                other => other?,
            };
            for file in before.without(files) {
                let ended =
                    sqlx::query("UPDATE catalogue_files SET last_version = $1 WHERE source = $2 AND name = $3 AND last_version IS NULL");
                ended.bind(number - 1).bind(file.source.as_str()).bind(file.name.as_str()).execute(&mut *change).await?;
            }
            for file in files.without(before) {
                let begun = sqlx::query("INSERT INTO catalogue_files (source, name, first_version, content) VALUES ($1, $2, $3, $4)");
                let begun = begun.bind(file.source.as_str()).bind(file.name.as_str()).bind(number).bind(file.text.as_str());
                begun.execute(&mut *change).await?;
            }
            change.commit().await?;
            Ok(Added::Yes)
        })
        .await
    }

    async fn within<T>(&self, allowed: Duration, work: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
        let cannot = || Error::unavailable(format!("cannot reach the catalogue's {} store", self.kind));
        let late = || cannot().because(format!("it did not answer within {allowed:?}"));
        let work = async {
            self.migrated.get_or_try_init(|| self.migrate()).await?;
            work.await.map_err(|error| cannot().because(error))
        };
        tokio::time::timeout(allowed, work).await.unwrap_or_else(|_| Err(late()))
    }

    /// Several processes may come at once: the database lets one of them migrate.
    async fn migrate(&self) -> Result<()> {
        let migration = |(number, name, sql): (i64, &'static str, &'static str)| {
            Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        };
        let migrator = Migrator::with_migrations(MIGRATIONS.map(migration).into());
        let cannot = || Error::unavailable(format!("cannot prepare the catalogue's {} store", self.kind));
        // By a connection that goes with it: what a migration that breaks off has locked is locked for as long as its connection lives.
        let options = self.pool.connect_options().as_ref().clone();
        let own = AnyPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_MAX).connect_lazy_with(options);
        let migrated = migrator.run(&own).await.map_err(|error| cannot().because(error));
        own.close().await;
        migrated
    }
}

fn int(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| Error::new(Code::NotFound, format!("cannot find version {number} of the catalogue")))
}

fn version(row: &AnyRow) -> sqlx::Result<Version> {
    let kind: String = row.try_get(3)?;
    let kind = SourceKind::ALL.into_iter().find(|known| known.name() == kind);
    let kind = kind.ok_or_else(|| sqlx::Error::Decode("a newer Tyto has written a kind of source that this one does not know".into()))?;
    Ok(Version {
        number: row.try_get::<i64, _>(0)?.unsigned_abs(),
        in_force_from_ms: row.try_get(1)?,
        by: Provenance { source: row.try_get(2)?, kind, from: row.try_get(4)?, commit: row.try_get(5)?, author: row.try_get(6)? },
        content_hash: row.try_get(7)?,
        superseded_ms: row.try_get(8)?,
    })
}
