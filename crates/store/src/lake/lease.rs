use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use model::{Code, Error, Result};
use object_store::UpdateVersion;
use serde::{Deserialize, Serialize};

use crate::remote::{Put, Remote};

const NAME: &str = "LOCK";
/// Times that somebody else may be faster.
const TRIES_MAX: usize = 10;
/// Of `docs/formats/lake.md`.
const VERSION: u32 = 1;

/// What the object `LOCK` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Lock {
    version: u32,
    /// Of the data directory that writes to the shard.
    owner: String,
    /// For people: which process on which machine.
    holder: String,
    /// Grows with every open.
    epoch: u64,
    /// Grows while the holder lives.
    beat: u64,
    /// The log is beside the lake: whoever comes next finds everything that was acknowledged.
    log_in_store: bool,
    /// The holder went in order: nothing is anywhere but here.
    released: bool,
}

/// The right to write to a shard in an object store, which knows no file locks.
///
/// `LOCK` says who has it, and is changed by conditional puts only. It keeps a second writer out with a message; what keeps a
/// late writer from doing harm are the claims that follow it, one in every Delta log and one in the log: the next name is
/// taken, so nothing under way from before can land. No clock is compared: who waits looks whether the beat goes on.
#[derive(Debug)]
pub(crate) struct Lease {
    remote: Remote,
    lock: tokio::sync::Mutex<(Lock, UpdateVersion)>,
    epoch: u64,
    /// Who has it now, once it is not us any more.
    lost: OnceLock<String>,
}

/// Who wants to write, and how long a holder may be silent that can be succeeded.
pub(crate) struct Candidate {
    pub(crate) owner: String,
    pub(crate) holder: String,
    pub(crate) log_in_store: bool,
    pub(crate) silence_max: Duration,
}

impl Lease {
    /// Takes the right to write, or says who has it.
    pub(crate) async fn take(remote: &Remote, candidate: Candidate) -> Result<Arc<Self>> {
        let unavailable = |error: std::io::Error| Error::unavailable(format!("cannot lock {}", remote.url())).because(error);
        for _ in 0..TRIES_MAX {
            let found = read(remote).await.map_err(unavailable)?;
            if let Some((lock, _)) = &found
                && !candidate.may_succeed(lock, remote)?
            {
                tracing::info!(holder = lock.holder, "the lake at {} is in use; waiting whether its holder lives", remote.url());
                tokio::time::sleep(candidate.silence_max).await;
                let now = read(remote).await.map_err(unavailable)?;
                if now.as_ref().map(|(lock, _)| (lock.epoch, lock.beat)) != Some((lock.epoch, lock.beat)) {
                    return Err(held(remote, lock, "only one process may write to a shard"));
                }
            }
            let epoch = found.as_ref().map_or(0, |(lock, _)| lock.epoch) + 1;
            let lock = candidate.lock(epoch);
            let put = match found {
                None => remote.put_new(NAME, lock.bytes()).await,
                Some((_, version)) => remote.put_over(NAME, lock.bytes(), version).await,
            };
            match put.map_err(unavailable)? {
                Put::Done(version) => {
                    let (remote, lock) = (remote.clone(), tokio::sync::Mutex::new((lock, version)));
                    return Ok(Arc::new(Self { remote, lock, epoch, lost: OnceLock::new() }));
                }
                // Somebody was faster, or an earlier try of this put was answered by nobody and done all the same.
                Put::Conflict => {}
            }
        }
        Err(Error::unavailable(format!("cannot lock {}", remote.url()))
            .because("others try, too, or the store does not do conditional puts"))
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// An error once the shard is known to be another's.
    pub(crate) fn check(&self) -> Result<()> {
        match self.lost.get() {
            None => Ok(()),
            Some(holder) => Err(Error::unavailable(format!("cannot write to {}: it was taken over by {holder}", self.remote.url()))),
        }
    }

    /// Looks whether the shard is still ours.
    pub(crate) async fn verify(&self) -> Result<()> {
        let mut held = self.lock.lock().await;
        self.look(&mut held).await?;
        self.check()
    }

    async fn look(&self, held: &mut (Lock, UpdateVersion)) -> Result<()> {
        let unavailable = |error: std::io::Error| Error::unavailable(format!("cannot tell whose {} is", self.remote.url())).because(error);
        match read(&self.remote).await.map_err(unavailable)? {
            Some((lock, version)) if lock.owner == held.0.owner && lock.epoch == self.epoch => *held = (lock, version),
            found => {
                let holder = found.map_or_else(|| "whoever deleted LOCK".to_owned(), |(lock, _)| lock.holder);
                tracing::error!(holder, "the lake at {} is not ours any more: nothing is written to it", self.remote.url());
                let _ = self.lost.set(holder);
            }
        }
        Ok(())
    }

    /// Says that the holder lives.
    pub(crate) async fn beat(&self) -> Result<()> {
        let beat = |lock: &Lock| Lock { beat: lock.beat + 1, ..lock.clone() };
        self.change(beat).await
    }

    /// Lets go of the shard, of which everything is in the lake.
    pub(crate) async fn release(&self) -> Result<()> {
        self.change(|lock| Lock { released: true, ..lock.clone() }).await
    }

    async fn change(&self, new: impl Fn(&Lock) -> Lock) -> Result<()> {
        let mut held = self.lock.lock().await;
        self.check()?;
        let lock = new(&held.0);
        let put = self.remote.put_over(NAME, lock.bytes(), held.1.clone()).await;
        let put = put.map_err(|error| Error::unavailable(format!("cannot renew the lock of {}", self.remote.url())).because(error))?;
        match put {
            Put::Done(version) => *held = (lock, version),
            // Ours all the same when an earlier try of this put was done and nobody said so.
            Put::Conflict => self.look(&mut held).await?,
        }
        self.check()
    }
}

impl Candidate {
    fn lock(&self, epoch: u64) -> Lock {
        let Self { owner, holder, log_in_store, .. } = self;
        let (owner, holder, log_in_store) = (owner.clone(), holder.clone(), *log_in_store);
        Lock { version: VERSION, owner, holder, epoch, beat: 0, log_in_store, released: false }
    }

    /// Whether the shard can be had at once; false when its holder must be silent first.
    fn may_succeed(&self, lock: &Lock, remote: &Remote) -> Result<bool> {
        if lock.released {
            return Ok(true);
        }
        if lock.log_in_store != self.log_in_store {
            return Err(held(remote, lock, "its log is kept in another place than the options say; end it in order with those it had"));
        }
        if lock.owner == self.owner {
            return Ok(true);
        }
        match lock.log_in_store {
            true => Ok(false),
            false => Err(held(remote, lock, "the log on its disk may hold rows that the lake has not; start it there, or delete LOCK")),
        }
    }
}

impl Lock {
    fn bytes(&self) -> Bytes {
        serde_json::to_vec(self).expect("a lock is texts and numbers").into()
    }
}

fn held(remote: &Remote, lock: &Lock, why: &str) -> Error {
    Error::unavailable(format!("cannot lock {}", remote.url())).because(format!("it is held by {}: {why}", lock.holder))
}

async fn read(remote: &Remote) -> std::io::Result<Option<(Lock, UpdateVersion)>> {
    let (bytes, version) = match remote.get(NAME).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        got => got?,
    };
    let damaged = |why: String| {
        let error = Error::new(Code::Corrupt, format!("cannot read {}", remote.address(NAME))).because(why);
        std::io::Error::other(error.chain())
    };
    let lock: Lock = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    match lock.version <= VERSION {
        true => Ok(Some((lock, version))),
        false => Err(damaged(format!("its version is {} and this version of Tyto knows {VERSION}", lock.version))),
    }
}
