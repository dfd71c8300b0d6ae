//! One call of the program `git`: without a shell, without anybody to ask, with a deadline.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use model::{Code, Error, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// Of what git says on each of its two outputs; what is beyond is not waited for.
const OUTPUT_BYTES_MAX: u64 = 64 << 10;

/// Of that, in an error.
const SAID_CHARS_MAX: usize = 400;

/// What a repository could make git do beyond giving its files. Nothing here runs hooks, follows links out of the folder, or changes texts.
const SETTINGS: [&str; 12] = [
    "core.hooksPath=/dev/null",
    "core.symlinks=false",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "submodule.recurse=false",
    "gc.auto=0",
    "advice.detachedHead=false",
    "log.showSignature=false",
    "core.attributesFile=/dev/null",
    "filter.lfs.process=",
    "filter.lfs.smudge=",
    "filter.lfs.required=false",
];

/// These would make it work on another repository than ours.
const NOT_OURS: [&str; 7] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
];

/// What git writes to stdout. `what` is what the call is for: "cannot <what>" is the error.
pub(super) async fn git(folder: &Path, arguments: &[&str], allowed: Duration, what: &str) -> Result<String> {
    let cannot = || Error::unavailable(format!("cannot {what}"));
    let mut command = Command::new("git");
    for setting in SETTINGS {
        command.arg("-c").arg(setting);
    }
    for name in NOT_OURS {
        command.env_remove(name);
    }
    // What Tyto is told in its environment are its own secrets.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TYTO_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(folder).env("LC_ALL", "C");
    command.env("GIT_ALLOW_PROTOCOL", "file:http:https:ssh").env("GIT_TERMINAL_PROMPT", "0");
    if std::env::var_os("GIT_SSH_COMMAND").is_none() && std::env::var_os("GIT_SSH").is_none() {
        // A host that says nothing is left, also when git was left before.
        command.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=15 -oServerAliveInterval=10 -oServerAliveCountMax=2");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => cannot().because("the program git is not there: install it"),
        _ => cannot().because(error),
    })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let done = tokio::time::timeout(allowed, async {
        let (stdout, stderr) = tokio::join!(said(stdout), said(stderr));
        Ok::<_, std::io::Error>((child.wait().await?, stdout?, stderr?))
    });
    let (status, stdout, stderr) = match done.await {
        Ok(done) => done.map_err(|error| cannot().because(error))?,
        Err(_) => return Err(Error::new(Code::Timeout, format!("cannot {what} within {} s", allowed.as_secs()))),
    };
    if !status.success() {
        return Err(cannot().because(printable(&stderr)));
    }
    Ok(stdout)
}

async fn said(output: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(output) = output {
        output.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The end of what git says is the reason; passwords in addresses are none of it.
fn printable(said: &str) -> String {
    let words = said.split_whitespace().map(|word| match (word.find("://"), word.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}{}", &word[..scheme + 3], &word[at + 1..]),
        _ => word.to_owned(),
    });
    let line: String = words.collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).collect();
    let skipped = line.chars().count().saturating_sub(SAID_CHARS_MAX);
    if line.is_empty() { "git does not say why".to_owned() } else { line.chars().skip(skipped).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_has_an_end_and_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let version = git(folder.path(), &["version"], Duration::from_secs(60), "ask git").await.unwrap();
        assert!(version.starts_with("git version "), "{version}");
        let refused = git(folder.path(), &["log"], Duration::from_secs(60), "read the log").await.unwrap_err();
        assert!(refused.chain().starts_with("cannot read the log: fatal: not a git repository"), "{}", refused.chain());
        let late = git(folder.path(), &["cat-file", "--batch"], Duration::ZERO, "wait").await.unwrap_err();
        assert_eq!(late.code, Code::Timeout);
    }

    #[test]
    fn what_git_says_has_no_passwords() {
        assert_eq!(
            printable("fatal: unable to access 'https://bot:secret@host/x'\n\x1b[31m"),
            "fatal: unable to access 'https://host/x' [31m"
        );
    }
}
