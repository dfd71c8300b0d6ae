//! The last good version on this node's disk, for a start without the database: `docs/formats/catalogue.md`.

use std::io::Write as _;
use std::path::Path;

use catalog::Version;
use model::{Code, Error, Result};
use serde::{Deserialize, Serialize};

use crate::parts::Parts;

const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Copy {
    format: u32,
    pub(crate) version: Version,
    /// The last version of each source.
    pub(crate) sources: Vec<Version>,
    pub(crate) files: Parts,
}

impl Copy {
    pub(crate) fn new(version: Version, sources: Vec<Version>, files: Parts) -> Self {
        Self { format: FORMAT, version, sources, files }
    }

    /// Whole, or as it was.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let cannot = || Error::unavailable(format!("cannot copy the catalogue to {}", path.display()));
        let text = serde_json::to_vec(self).map_err(|error| cannot().because(error))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let written = || {
            std::fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&text)?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            std::fs::File::open(folder)?.sync_all()
        };
        written().map_err(|error: std::io::Error| cannot().because(error))
    }

    /// None where there is none yet.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        let cannot = || Error::new(Code::Corrupt, format!("cannot use the copy of the catalogue in {}", path.display()));
        let text = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| cannot().because(error))?,
        };
        let copy: Self = serde_json::from_slice(&text).map_err(|error| cannot().because(error))?;
        if copy.format != FORMAT || copy.files.content_hash() != copy.version.content_hash {
            return Err(cannot().because("it is not what was written, or a newer Tyto has written it"));
        }
        Ok(Some(copy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of format 1, as the first Tyto that has it writes it.
    const GOLDEN: &str = include_str!("../tests/golden/catalogue-copy-1.json");

    #[test]
    fn the_first_format_is_read_and_written_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy.json");
        assert!(Copy::read(&path).unwrap().is_none());
        std::fs::write(&path, GOLDEN).unwrap();
        let copy = Copy::read(&path).unwrap().expect("there");
        assert_eq!((copy.version.number, copy.version.by.author.as_str(), copy.files.files().len()), (3, "Ada <ada@example.com>", 2));
        let again = folder.path().join("inner").join("again.json");
        copy.write(&again).unwrap();
        assert_eq!(std::fs::read_to_string(again).unwrap(), GOLDEN.trim_end());
    }

    #[test]
    fn a_copy_that_is_not_what_was_written_is_no_catalogue() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy.json");
        for wrong in [GOLDEN.replace("payments", "painters"), GOLDEN.replace("\"format\":1", "\"format\":2"), GOLDEN[..40].to_owned()] {
            std::fs::write(&path, wrong).unwrap();
            assert_eq!(Copy::read(&path).unwrap_err().code, Code::Corrupt);
        }
    }
}
