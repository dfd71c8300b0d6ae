//! The files of all sources: one catalogue, of which each source has a part.

use std::collections::BTreeMap;

use catalog::{Diagnostic, FILE_BYTES_MAX, Replacement, SourceFile};
use model::{Code, Error, Result};
use sha2::{Digest as _, Sha256};

/// Of the files beside the server. They are called by their paths.
pub const LOCAL: &str = "local";

/// Between a source and the file's name in it, as git writes "from the top of the repository". No source has a `:`, so that no two files
/// have one name, and none seems to lie in a folder that is called as its source.
const BETWEEN: &str = ":/";

/// Of one part.
pub const FILES_MAX: usize = 20_000;
/// Of one part, all texts together.
pub const BYTES_MAX: usize = 32 << 20;
const NAME_BYTES_MAX: usize = 1024;
const SOURCE_BYTES_MAX: usize = 200;
/// Parts of one catalogue.
const SOURCES_MAX: usize = 10_000;

/// Sorted, each name once in its part.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Parts(Vec<SourceFile>);

impl Parts {
    pub fn of(mut files: Vec<SourceFile>) -> Self {
        files.sort();
        files.dedup_by(|a, b| (&a.source, &a.name) == (&b.source, &b.name));
        Self(files)
    }

    pub fn files(&self) -> &[SourceFile] {
        &self.0
    }

    /// How many files each source has.
    pub fn counts(&self) -> BTreeMap<&str, usize> {
        self.0.iter().fold(BTreeMap::new(), |mut counts, file| {
            *counts.entry(file.source.as_str()).or_default() += 1;
            counts
        })
    }

    /// With the files of one source in the place of those that it had.
    pub fn with(&self, change: &Replacement) -> Result<Self> {
        check(change)?;
        let source = &change.by.source;
        let others = self.0.iter().filter(|file| file.source != *source).cloned();
        let mine = change.files.iter().map(|(name, text)| SourceFile { source: source.clone(), name: name.clone(), text: text.clone() });
        let all = Self::of(others.chain(mine).collect());
        if all.counts().len() > SOURCES_MAX {
            return Err(Error::new(Code::TooLarge, format!("cannot take a catalogue of more than sources_max, {SOURCES_MAX}")));
        }
        Ok(all)
    }

    /// Files that are not in `other` with the same text.
    pub fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a SourceFile> {
        self.0.iter().filter(|file| other.0.binary_search(file).is_err())
    }

    /// The texts as [`catalog::Catalog::parse`] takes them, by the names that problems have everywhere.
    pub fn texts(&self) -> Vec<(String, &str)> {
        self.0.iter().map(|file| (name_of(&file.source, &file.name), file.text.as_str())).collect()
    }

    /// Each length goes before its text, so that no two catalogues are written alike.
    pub fn content_hash(&self) -> String {
        let mut hash = Sha256::new();
        for SourceFile { source, name, text } in &self.0 {
            for part in [source, name, text] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part.as_bytes());
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a file is called beside those of other sources.
fn name_of(source: &str, name: &str) -> String {
    if source == LOCAL { name.to_owned() } else { format!("{source}{BETWEEN}{name}") }
}

/// First what stands in files of the source, by the names that it has for them.
pub(crate) fn for_source(source: &str, mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let prefix = name_of(source, "");
    let is_mine = |diagnostic: &Diagnostic| !prefix.is_empty() && diagnostic.problem.file.starts_with(&prefix);
    diagnostics.sort_by_key(|diagnostic| !is_mine(diagnostic));
    for diagnostic in diagnostics.iter_mut().filter(|diagnostic| is_mine(diagnostic)) {
        diagnostic.problem.file.drain(..prefix.len());
    }
    diagnostics
}

fn check(change: &Replacement) -> Result<()> {
    let source = &change.by.source;
    check_source(source)?;
    if change.files.len() > FILES_MAX {
        let count = change.files.len();
        return Err(Error::new(
            Code::TooLarge,
            format!("cannot take {count} files of {source}: they are more than files_max, {FILES_MAX}"),
        ));
    }
    let bytes: usize = change.files.iter().map(|(_, text)| text.len()).sum();
    if bytes > BYTES_MAX {
        return Err(Error::new(Code::TooLarge, format!("cannot take {bytes} bytes of {source}: they are over bytes_max, {BYTES_MAX}")));
    }
    let mut names: Vec<&str> = change.files.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::invalid(format!("cannot take {:?} of {source}: it is there twice", twice[0])));
    }
    change.files.iter().try_for_each(|(name, text)| check_file(source, name, text))
}

fn check_file(source: &str, name: &str, text: &str) -> Result<()> {
    let cannot = |why: &str| Err(Error::invalid(format!("cannot take the file {name:?} of {source}: {why}")));
    let is_path = source == LOCAL || !name.split('/').any(|part| part.is_empty() || part == "." || part == "..");
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) || !is_path {
        return cannot("its name is a path in the repository, such as billing/omd.yaml, of 1024 bytes at most");
    }
    if text.len() as u64 > FILE_BYTES_MAX {
        return cannot(&format!("{} bytes are over file_bytes_max, {FILE_BYTES_MAX}", text.len()));
    }
    // PostgreSQL has no text with such a character, and no file of a catalogue needs one.
    if text.contains('\0') {
        return cannot("it holds the character NUL");
    }
    Ok(())
}

/// A source is called as a repository is: `acme/payments`.
pub fn check_source(source: &str) -> Result<()> {
    let may_have = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
    let is_word = |word: &str| !word.is_empty() && word.chars().all(may_have) && word.starts_with(|c: char| c.is_ascii_alphanumeric());
    if source.len() > SOURCE_BYTES_MAX || !source.split('/').all(is_word) {
        let wanted = "write words of letters, digits, '-', '.' and '_', with '/' between, such as acme/payments";
        return Err(Error::invalid(format!("cannot use the source {source:?}: {wanted}, of {SOURCE_BYTES_MAX} bytes at most")));
    }
    // What is declared on the server a check is compared with has names that begin so.
    if source == "server" {
        return Err(Error::invalid("cannot use the source \"server\": choose another name"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::Provenance;

    fn change(source: &str, files: &[(&str, &str)]) -> Replacement {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Replacement { by: Provenance { source: source.to_owned(), ..Provenance::default() }, files }
    }

    #[test]
    fn a_source_replaces_its_own_files_and_no_others() {
        let one = Parts::default().with(&change("a", &[("omd.yaml", "1"), ("b.omd.yaml", "2")])).unwrap();
        let two = one.with(&change("b", &[("omd.yaml", "3")])).unwrap();
        assert_eq!(two.counts().into_iter().collect::<Vec<_>>(), [("a", 2), ("b", 1)]);
        let three = two.with(&change("a", &[("omd.yaml", "4")])).unwrap();
        let texts: Vec<_> = three.texts();
        assert_eq!(texts, [("a:/omd.yaml".to_owned(), "4"), ("b:/omd.yaml".to_owned(), "3")]);
        let gone: Vec<_> = two.without(&three).map(|file| file.name.as_str()).collect();
        assert_eq!(gone, ["b.omd.yaml", "omd.yaml"]);
        assert_eq!(three.with(&change("b", &[])).unwrap().counts().len(), 1);
    }

    #[test]
    fn the_hash_tells_where_a_text_begins() {
        let hash = |files: &[(&str, &str)]| Parts::default().with(&change("a", files)).unwrap().content_hash();
        assert_eq!(hash(&[("b", "c"), ("a", "")]), hash(&[("a", ""), ("b", "c")]));
        assert_ne!(hash(&[("ab", "c")]), hash(&[("a", "bc")]));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for source in ["", "a b", "-a", "../a", "a//b", "a:b", "/a", "server", "é"] {
            assert!(Parts::default().with(&change(source, &[])).is_err(), "{source:?}");
        }
        for name in ["", "/etc/passwd", "../omd.yaml", "a/./omd.yaml", "a//b", "a\nb", "a/"] {
            assert!(Parts::default().with(&change("a", &[(name, "")])).is_err(), "{name:?}");
        }
        assert!(Parts::default().with(&change("acme/payments.git", &[("billing/omd.yaml", "")])).is_ok());
        assert!(Parts::default().with(&change("a", &[("omd.yaml", "a\0")])).unwrap_err().what.contains("NUL"));
        assert!(Parts::default().with(&change("a", &[("omd.yaml", ""), ("omd.yaml", "")])).unwrap_err().what.contains("twice"));
        assert!(Parts::default().with(&change(LOCAL, &[("/etc/tyto/omd.yaml", ""), ("../omd.yaml", "")])).is_ok());
    }
}
