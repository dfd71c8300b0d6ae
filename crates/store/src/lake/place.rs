//! Makes ready where the lake lies, or says why it may not lie there: rows in a place that the options forget would look lost.

use std::io;
use std::sync::Arc;

use model::{Code, Error, Result};
use serde::{Deserialize, Serialize};

use super::cache::Cache;
use super::lease::{Candidate, Lease};
use crate::disk::write_whole;
use crate::remote::Remote;
use crate::{LakePlace, ShardOptions, TierPlace, WalPlace};

/// The file that binds a data directory to a remote lake.
const NAME: &str = "lake.json";

#[derive(Serialize, Deserialize)]
struct Bond {
    /// What the lake's `LOCK` knows this directory by.
    owner: String,
    lake: String,
}

/// For a shard that is open for writing, and has its directory's lock.
pub(crate) async fn enter(options: ShardOptions) -> Result<ShardOptions> {
    check(&options)?;
    check_tiers(&options)?;
    if options.remotes().next().is_none() {
        return Ok(options);
    }
    let cache = Cache::open(&options.name, &options.dir.join("cache"), options.cache_memory_bytes_max, options.cache_disk_bytes_max);
    let options = cached(options, cache);
    let LakePlace::Remote(remote) = &options.lake else { return Ok(options) };
    let owner = match bond(&options)? {
        Some(bond) => bond.owner,
        None => bind(&options, remote)?,
    };
    let candidate =
        Candidate { owner, holder: holder(), log_in_store: options.wal == WalPlace::Object, silence_max: options.lease_silence_max };
    let lease = Some(Lease::take(remote, candidate).await?);
    let remote = remote.opened(options.cache().cloned(), lease);
    Ok(ShardOptions { lake: LakePlace::Remote(remote), ..options })
}

/// One cache before all that is remote.
fn cached(mut options: ShardOptions, cache: Cache) -> ShardOptions {
    let cache = Arc::new(cache);
    let opened = |remote: &Remote| remote.opened(Some(cache.clone()), None);
    if let LakePlace::Remote(remote) = &mut options.lake {
        *remote = opened(remote);
    }
    for tier in &mut options.tiers {
        if let TierPlace::Remote(remote) = &mut tier.place {
            *remote = opened(remote);
        }
    }
    options
}

/// Looks at no object store: a tier that is away must not keep a shard from taking records.
fn check_tiers(options: &ShardOptions) -> Result<()> {
    for tier in &options.tiers {
        let cannot = |why: &str| Err(Error::invalid(format!("cannot use tier {}", tier.address())).because(why));
        match &tier.place {
            TierPlace::Dir(_) if options.lake.remote().is_some() => {
                return cannot("the lake is in an object store and so must its tiers be: write s3://bucket/prefix");
            }
            TierPlace::Dir(dir) if !dir.is_dir() => return cannot("there is no such directory: make it, or mount it"),
            _ => {}
        }
    }
    Ok(())
}

/// For reading only: the disk is left as it is.
pub(crate) fn enter_read_only(options: ShardOptions) -> Result<ShardOptions> {
    check(&options)?;
    let cache = Cache::in_memory(&options.name, options.cache_memory_bytes_max);
    Ok(cached(options, cache))
}

fn check(options: &ShardOptions) -> Result<()> {
    let cannot = || Error::invalid(format!("cannot open {}", options.dir.display()));
    let bond = bond(options)?;
    match &options.lake {
        LakePlace::Local if options.wal == WalPlace::Object => {
            Err(cannot().because("a log in an object store needs a lake there: name its place"))
        }
        LakePlace::Local => match bond {
            Some(bond) => Err(cannot().because(format!("its lake lies at {}, and the options say that it is local", bond.lake))),
            None => Ok(()),
        },
        LakePlace::Remote(remote) => {
            if let Some(bond) = bond.filter(|bond| bond.lake != remote.url()) {
                return Err(cannot().because(format!("its lake lies at {}, and the options say {}", bond.lake, remote.url())));
            }
            if options.lake_dir().is_dir() {
                return Err(cannot().because(format!("it holds a lake of its own, and the options say {}", remote.url())));
            }
            let listed = options.disk.list(&options.wal_dir());
            let listed =
                listed.map_err(|error| Error::unavailable(format!("cannot list {}", options.wal_dir().display())).because(error))?;
            match options.wal == WalPlace::Object && !listed.is_empty() {
                true => Err(cannot().because("its disk holds a log, and the options say that the log is in an object store")),
                false => Ok(()),
            }
        }
    }
}

fn bond(options: &ShardOptions) -> Result<Option<Bond>> {
    let path = options.dir.join(NAME);
    let cannot = |code| Error::new(code, format!("cannot read {}", path.display()));
    match options.disk.read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| cannot(Code::Corrupt).because(error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot(Code::Unavailable).because(error)),
    }
}

/// Gives the directory its name as an owner, durably: after a crash it is the same one.
fn bind(options: &ShardOptions, remote: &Remote) -> Result<String> {
    let path = options.dir.join(NAME);
    let bond = Bond { owner: uuid::Uuid::new_v4().to_string(), lake: remote.url().to_owned() };
    let bytes = serde_json::to_vec(&bond).map_err(|error| Error::internal("cannot write a UUID").because(error))?;
    write_whole(&*options.disk, &path, &[bytes.into()], true)
        .map_err(|error| Error::unavailable(format!("cannot write {}", path.display())).because(error))?;
    Ok(bond.owner)
}

/// For people who find the lake in use.
fn holder() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let machine = if machine.trim().is_empty() { "a machine without a name" } else { machine.trim() };
    format!("process {} on {machine}", std::process::id())
}
