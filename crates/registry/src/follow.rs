//! From the start to the end: what is in force first, and what is newer at each turn.

use std::path::PathBuf;
use std::sync::Arc;

use catalog::{Catalog, Provenance, Replacement, SourceKind, Trouble};
use model::Result;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::copy::Copy;
use crate::git::{self, Address, Commit};
use crate::keeper::{Registry, is_away};
use crate::parts::LOCAL;

/// What a repository's newest files came to, and beside which version of the catalogue.
struct Refusal {
    commit: String,
    /// What refuses them may be changed by others.
    version: u64,
    trouble: Trouble,
}

/// A commit whose files are in force, and the number of the version that made them so.
type Taken = (String, u64);

impl Registry {
    /// Puts a catalogue in force: the newest of the store, else the copy of it on this disk, with the files beside the server. Fails only where these
    /// are wrong and none that were good are known.
    pub async fn start(&self) -> Result<()> {
        // Of a process that was killed.
        let _ = std::fs::remove_dir_all(self.scratch());
        let turn = self.turn().await?;
        if let Err(error) = self.catch_up().await
            && self.options.postgres.is_some()
        {
            self.take_copy(&error.what);
        }
        drop(turn);
        if let Err(error) = self.take_local().await {
            if !self.state.lock().kept.counts().contains_key(LOCAL) {
                return Err(error);
            }
            tracing::error!("the catalogue's last good version stays in force: {}", error.chain());
        }
        if self.options.postgres.is_none() {
            self.forget_sources().await;
        }
        self.note(|_| ());
        // Nobody is told before: what is not known yet may say how long rows are kept.
        self.tell_change();
        Ok(())
    }

    /// Where commits are read.
    fn scratch(&self) -> PathBuf {
        self.options.data_dir.join("catalogue-git")
    }

    fn take_copy(&self, why: &str) {
        let copy = match Copy::read(&self.copy_path()) {
            Ok(copy) => copy,
            Err(error) => return tracing::error!("{}", error.chain()),
        };
        let Some(copy) = copy else { return };
        let texts = copy.files.texts();
        let texts: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        match Catalog::parse(&texts) {
            Ok(catalog) => {
                tracing::warn!("version {} of the catalogue is in force, from its copy on this disk: {why}", copy.version.number);
                self.in_force(copy.version, copy.sources, copy.files, catalog);
            }
            Err(problems) => tracing::error!("cannot use the copy of the catalogue: {}", problems[0]),
        }
    }

    /// A file in the data directory is this process's alone: what its options name no more, others will not miss. What others have in a
    /// database stays until somebody removes it.
    async fn forget_sources(&self) {
        let followed = |source: &str| self.options.git.iter().any(|address| address.source() == source);
        let known: Vec<Provenance> = self.state.lock().sources.values().map(|version| version.by.clone()).collect();
        for by in known {
            let is_named = match by.kind {
                SourceKind::Local => !self.options.local.is_empty(),
                SourceKind::Git => followed(&by.source),
                SourceKind::Apply => true,
            };
            if is_named {
                continue;
            }
            let gone = Replacement { by: Provenance { commit: String::new(), author: String::new(), ..by.clone() }, files: Vec::new() };
            let what = match self.change_part(&gone, false).await {
                Ok(outcome) if outcome.problems().is_empty() => continue,
                Ok(outcome) => outcome.problems()[0].to_string(),
                Err(error) => error.chain(),
            };
            tracing::error!("{} is in no option any more and stays in force: {what}", by.source);
            let trouble = self.trouble(format!("it is in no option any more, and cannot go: {what}"));
            self.note(|state| state.trouble(&by, trouble));
        }
    }

    /// Until `stopping`.
    pub async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) -> Result<()> {
        let mut loops = JoinSet::new();
        loops.spawn(self.clone().follow_store());
        for address in self.options.git.clone() {
            loops.spawn(self.clone().follow_git(address));
        }
        // An error is that nobody can ask for the end any more.
        let _ = stopping.wait_for(|stops| *stops).await;
        Ok(())
    }

    async fn follow_store(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.options.poll).await;
            let unkept = self.state.lock().unkept;
            // What cannot be caught up with is noted where it fails.
            if unkept {
                let _ = self.take_local().await;
            } else if let Ok(_turn) = self.turn().await {
                let _ = self.catch_up().await;
            }
        }
    }

    async fn follow_git(self: Arc<Self>, address: Address) {
        let (mut taken, mut refusal) = (self.taken(&address), None);
        loop {
            let result = match self.poll_git(&address, &mut taken, &mut refusal).await {
                Ok(result) => result,
                Err(error) => {
                    self.git_trouble(&address, self.trouble(error.chain()));
                    "failed"
                }
            };
            metrics::counter!("tyto_catalog_git_polls_total", "source" => address.source().to_owned(), "result" => result).increment(1);
            tokio::time::sleep(self.options.poll).await;
        }
    }

    /// What is in force of a repository.
    fn taken(&self, address: &Address) -> Option<Taken> {
        let state = self.state.lock();
        let version = state.sources.get(address.source()).filter(|version| version.by.from == address.to_string())?;
        state.kept.counts().contains_key(address.source()).then(|| (version.by.commit.clone(), version.number))
    }

    /// Gives what came of it, as the counter calls it.
    async fn poll_git(&self, address: &Address, taken: &mut Option<Taken>, refusal: &mut Option<Refusal>) -> Result<&'static str> {
        let newest = git::newest(address).await?;
        // Another server may have taken the part away, or brought another commit of it; a database may have been put back.
        let number = self.taken(address).map(|(_, number)| number);
        if number.is_some() && taken.as_ref().is_some_and(|(commit, made)| *commit == newest && Some(*made) == number) {
            self.note(|state| state.troubles.remove(address.source()));
            return Ok("unchanged");
        }
        let version = self.state.lock().version.as_ref().map_or(0, |version| version.number);
        if let Some(refusal) = refusal.as_ref().filter(|refusal| refusal.commit == newest && refusal.version == version) {
            self.git_trouble(address, refusal.trouble.clone());
            return Ok("refused");
        }
        let (commit, files) = git::fetch(address, &self.scratch()).await?;
        let by = Provenance { commit: commit.id.clone(), author: commit.author.clone(), ..provenance(address) };
        let problems = match files {
            Err(problems) => problems,
            Ok(files) => {
                let outcome = match self.change_part(&Replacement { by, files }, false).await {
                    // The store's own trouble is noted; the next turn comes here again.
                    Err(error) if is_away(&error) => return Ok("failed"),
                    other => other?,
                };
                outcome.problems()
            }
        };
        if problems.is_empty() {
            // A commit that changes none of the files makes no version.
            (*taken, *refusal) = (self.taken(address).map(|(_, number)| (commit.id, number)), None);
            self.note(|state| state.troubles.remove(address.source()));
            return Ok("taken");
        }
        let Commit { id, author } = commit;
        tracing::error!("commit {id} of {address} by {author} is refused; what was in force stays: {}", problems[0]);
        let short: String = id.chars().take(12).collect();
        let what = format!("cannot use commit {short} by {author}: {}", problems[0]);
        let trouble = Trouble { problems, commit: id.clone(), author, ..self.trouble(what) };
        *refusal = Some(Refusal { commit: id, version, trouble: trouble.clone() });
        self.git_trouble(address, trouble);
        Ok("refused")
    }

    fn git_trouble(&self, address: &Address, trouble: Trouble) {
        let is_new = self.note(|state| {
            let before = state.troubles.get(address.source()).map(|(_, before)| before.what.clone());
            state.trouble(&provenance(address), trouble.clone());
            before.as_ref() != Some(&trouble.what)
        });
        if is_new && trouble.commit.is_empty() {
            tracing::error!("what was in force of {address} stays: {}", trouble.what);
        }
    }
}

fn provenance(address: &Address) -> Provenance {
    Provenance { source: address.source().to_owned(), kind: SourceKind::Git, from: address.to_string(), ..Provenance::default() }
}
