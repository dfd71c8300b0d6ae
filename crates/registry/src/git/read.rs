//! Which commit of a repository is the newest, and the catalogue's files in it.
//!
//! Asking costs one round trip and leaves nothing on the disk; only a commit that is new is fetched, without its history, into a folder that goes
//! with it. Refused: a clone that stays, which has locks left over from a process that was killed, and grows.

use std::path::Path;
use std::time::Duration;

use catalog::{Diagnostic, Problem};
use model::{Error, Result};

use super::address::{self, Address};
use super::run::git;

/// For one question to the repository's host.
const ASK_MAX: Duration = Duration::from_secs(30);
const FETCH_MAX: Duration = Duration::from_secs(300);
/// For what needs no host.
const LOCAL_MAX: Duration = Duration::from_secs(120);

/// Of an author's name and address.
const AUTHOR_CHARS_MAX: usize = 200;

/// A commit, and who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) id: String,
    /// `Name <address>`, as the commit has it.
    pub(crate) author: String,
}

/// The name of the newest commit.
pub(crate) async fn newest(address: &Address) -> Result<String> {
    let reference = address.reference();
    let what = format!("ask {address} for its newest commit");
    let said = git(Path::new("/"), &["ls-remote", "--exit-code", "--", &address.url, &reference], ASK_MAX, &what).await?;
    let line = said.lines().find(|line| line.split_once('\t').is_some_and(|(_, name)| name == reference));
    let id = line.and_then(|line| line.split_once('\t')).map(|(id, _)| id.to_owned());
    id.filter(|id| is_commit(id)).ok_or_else(|| Error::unavailable(format!("cannot find {reference} in {address}")))
}

/// The newest commit and the catalogue's files in it, by their names in the repository; or why these cannot be read.
pub(crate) async fn fetch(address: &Address, scratch: &Path) -> Result<(Commit, Result<Vec<(String, String)>, Vec<Problem>>)> {
    let cannot = |error: std::io::Error| Error::unavailable(format!("cannot make a folder for {address}")).because(error);
    std::fs::create_dir_all(scratch).map_err(cannot)?;
    let folder = tempfile::Builder::new().prefix("git-").tempdir_in(scratch).map_err(cannot)?;
    let (at, what) = (folder.path(), format!("fetch {address}"));
    git(at, &["init", "--quiet", "--template="], LOCAL_MAX, &what).await?;
    let arguments = ["fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", &address.url, &address.reference()];
    git(at, &arguments, FETCH_MAX, &what).await?;
    let commit = commit_at(at, "FETCH_HEAD", &what).await?;
    git(at, &["checkout", "--quiet", "--force", "--detach", &commit.id], LOCAL_MAX, &what).await?;
    let (top, part) = (at.to_owned(), at.join(&address.folder));
    let read = tokio::task::spawn_blocking(move || files(&top, &part)).await;
    let read = read.map_err(|panic| Error::internal(format!("cannot read {address}")).because(panic))?;
    Ok((commit, read))
}

fn files(top: &Path, part: &Path) -> Result<Vec<(String, String)>, Vec<Problem>> {
    let prefix = format!("{}/", top.display());
    let relative = |name: &str| name.strip_prefix(&prefix).unwrap_or(name).to_owned();
    match catalog::texts(&[part]) {
        Ok(texts) => Ok(texts.into_iter().map(|(name, text)| (relative(&name), text)).collect()),
        Err(diagnostics) => Err(diagnostics
            .into_iter()
            .map(|Diagnostic { problem, .. }| Problem { file: relative(&problem.file), what: problem.what.replace(&prefix, ""), ..problem })
            .collect()),
    }
}

async fn commit_at(folder: &Path, revision: &str, what: &str) -> Result<Commit> {
    let said = git(folder, &["log", "-1", "--no-color", "--format=%H%n%an <%ae>", revision, "--"], LOCAL_MAX, what).await?;
    let (id, author) = said.split_once('\n').unwrap_or((&said, ""));
    let author: String = author.trim().chars().filter(|c| !c.is_control()).take(AUTHOR_CHARS_MAX).collect();
    if is_commit(id) {
        Ok(Commit { id: id.to_owned(), author })
    } else {
        Err(Error::unavailable(format!("cannot {what}: git names no commit")))
    }
}

fn is_commit(id: &str) -> bool {
    id.len() >= 40 && id.chars().all(|c| c.is_ascii_hexdigit())
}

/// A checkout as whoever applies its files sees it. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// What its repository is called: `acme/payments`.
    pub source: String,
    pub commit: String,
    pub author: String,
}

/// Of the checkout that a folder lies in.
pub async fn head_of(folder: &Path) -> Head {
    let remote = git(folder, &["config", "--get", "remote.origin.url"], LOCAL_MAX, "ask for the remote repository").await;
    let source = remote.ok().and_then(|url| address::source_at(url.trim())).unwrap_or_default();
    let commit = commit_at(folder, "HEAD", "ask for the commit").await.ok();
    let (commit, author) = commit.map(|commit| (commit.id, commit.author)).unwrap_or_default();
    Head { source, commit, author }
}
