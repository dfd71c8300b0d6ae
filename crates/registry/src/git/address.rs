//! `URL[#[BRANCH][:FOLDER]]`, as Docker writes the repository of a build.

use std::fmt;

use model::{Error, Result};
use url::Url;

use crate::parts;

/// What git asks for itself. Its other protocols run programs (`ext::`), or know neither host nor encryption (`git://`).
const SCHEMES: [&str; 4] = ["https", "http", "ssh", "file"];

const BYTES_MAX: usize = 2048;

/// A folder of a branch of a repository. As text it holds no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(crate) url: String,
    /// Empty: the one that the repository has by itself.
    pub(crate) branch: String,
    /// Empty: all of it.
    pub(crate) folder: String,
    /// What its files are called by in the catalogue.
    pub(crate) source: String,
}

impl Address {
    pub fn parse(text: &str) -> Result<Self> {
        let (url, within) = text.split_once('#').unwrap_or((text, ""));
        // A password may stand in it.
        let shown = without_user(url);
        let cannot = |why: &str| Error::invalid(format!("cannot follow {shown:?}: {why}"));
        if text.len() > BYTES_MAX || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(cannot(&format!("an address has no white space, and {BYTES_MAX} bytes at most")));
        }
        let (branch, folder) = within.split_once(':').unwrap_or((within, ""));
        if !is_branch(branch) {
            return Err(cannot(&format!("{branch:?} is no name of a branch")));
        }
        let folder = folder.trim_matches('/');
        if folder.split('/').any(|part| part == ".." || part == ".git") {
            return Err(cannot(&format!("{folder:?} is no folder in a repository")));
        }
        let path = repository_path(url).map_err(|why| cannot(&why))?;
        let source = source_of(&path, folder).ok_or_else(|| cannot("the address does not say what the repository is called"))?;
        Ok(Self { url: url.to_owned(), branch: branch.to_owned(), folder: folder.to_owned(), source })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// The reference that is asked for.
    pub(crate) fn reference(&self) -> String {
        if self.branch.is_empty() { "HEAD".to_owned() } else { format!("refs/heads/{}", self.branch) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", without_user(&self.url))?;
        match (self.branch.as_str(), self.folder.as_str()) {
            ("", "") => Ok(()),
            (branch, "") => write!(f, "#{branch}"),
            (branch, folder) => write!(f, "#{branch}:{folder}"),
        }
    }
}

/// What a repository at this address is called: `acme/payments`. For whoever applies files of a checkout.
pub(crate) fn source_at(url: &str) -> Option<String> {
    source_of(&repository_path(url).ok()?, "")
}

/// The path of a repository on its host; an error is why git is not asked for it.
fn repository_path(url: &str) -> Result<String, String> {
    // Whatever begins so is an option to one program or another; `::` names a helper program to run.
    if url.is_empty() || url.starts_with('-') || url.contains("::") {
        return Err("it is no address of a repository".to_owned());
    }
    if url.starts_with('/') {
        return Ok(url.to_owned());
    }
    if url.contains("://") {
        let parsed = Url::parse(url).map_err(|error| error.to_string())?;
        if !SCHEMES.contains(&parsed.scheme()) {
            return Err(format!("git is asked over {} only", SCHEMES.join(", ")));
        }
        if parsed.host_str().unwrap_or_default().starts_with('-') || parsed.username().starts_with('-') {
            return Err("a host or a user that begins with '-' would be an option".to_owned());
        }
        // Whoever reads addresses generously takes the first word of the path for one.
        if url.contains(":///") && parsed.scheme() != "file" {
            return Err("it names no host".to_owned());
        }
        return Ok(parsed.path().to_owned());
    }
    // `git@github.com:acme/payments.git`
    match url.split_once(':') {
        Some((host, path)) if !host.contains('/') && !path.is_empty() && !path.starts_with('-') => {
            if host.rsplit('@').any(|part| part.is_empty() || part.starts_with('-')) {
                return Err("a host or a user that begins with '-' would be an option".to_owned());
            }
            Ok(path.to_owned())
        }
        _ => Err("write https://, ssh://, file://, user@host:path or an absolute path".to_owned()),
    }
}

/// The last two words of the repository's path, and the folder.
fn source_of(path: &str, folder: &str) -> Option<String> {
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
    let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    let words = words[words.len().saturating_sub(2)..].iter().copied().chain(folder.split('/').filter(|word| !word.is_empty()));
    let plain = |word: &str| {
        let word = word.replace(|c: char| !c.is_ascii_alphanumeric() && !"-._".contains(c), "-");
        word.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
    };
    let source = words.map(plain).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("/");
    (source != parts::LOCAL && parts::check_source(&source).is_ok()).then_some(source)
}

/// As `git check-ref-format` has it, without what nobody calls a branch.
fn is_branch(branch: &str) -> bool {
    !branch.starts_with(['-', '/', '.'])
        && !branch.ends_with(['/', '.'])
        && !branch.ends_with(".lock")
        && !branch.contains("..")
        && !branch.contains("//")
        && !branch.contains("@{")
        && !branch.contains(['~', '^', ':', '?', '*', '[', '\\'])
}

/// User and password are between the host and whoever asks it.
fn without_user(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let host = rest[..end].rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{}", &rest[end..])
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: &str, source: &str) {
        let address = Address::parse(text).unwrap();
        assert_eq!((address.to_string().as_str(), address.source()), (shown, source));
        assert_eq!(Address::parse(shown).unwrap().source(), source, "what is shown can be written");
    }

    #[test]
    fn addresses_are_read_and_shown_without_passwords() {
        check("https://github.com/acme/payments.git", "https://github.com/acme/payments.git", "acme/payments");
        check("https://bot:secret@git.example/a/b/c/", "https://git.example/a/b/c/", "b/c");
        check("git@github.com:acme/payments.git#main", "git@github.com:acme/payments.git#main", "acme/payments");
        check(
            "ssh://git@git.example:2222/~me/x.git#release/1:deploy/omd",
            "ssh://git.example:2222/~me/x.git#release/1:deploy/omd",
            "me/x/deploy/omd",
        );
        check("/srv/git/x.git#:omd/", "/srv/git/x.git#:omd", "git/x/omd");
        check("file:///srv/x", "file:///srv/x", "srv/x");
    }

    #[test]
    fn what_would_run_or_be_something_else_is_refused() {
        for text in [
            "",
            "#main",
            "ext::sh -c touch% /tmp/x",
            "ext::sh",
            "-uhttps://a/b",
            "--upload-pack=touch",
            "ssh://-oProxyCommand=touch/x",
            "ssh://-oProxyCommand@host/x",
            "-oProxyCommand=touch:x/y",
            "git@-oProxyCommand=touch:x",
            "git@host:-x",
            "git://host/x/y",
            "ftp://host/x/y",
            "fd::3",
            "https:///x/y",
            "relative/path",
            "https://host/a/b#-x",
            "https://host/a/b#a..b",
            "https://host/a/b#main:../x",
            "https://host/a/b#main:.git",
            "https://host/a b",
            "https://host/a\nb",
            "https://host/",
            "/local",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
        let refused = Address::parse("https://bot:secret@host/#-x").unwrap_err();
        assert!(!refused.what.contains("secret"), "{refused}");
    }
}
