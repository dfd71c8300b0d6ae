//! The ledger, kept in the data directory: `docs/formats/notifications.md`.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use model::{Breach, Error, Result};
use serde::{Deserialize, Serialize};

use crate::ledger::{BREACHES_MAX, Known, Ledger};

const FILE: &str = "notifications.json";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    breaches: Vec<KeptBreach>,
}

#[derive(Serialize, Deserialize)]
struct KeptBreach {
    #[serde(flatten)]
    breach: Breach,
    #[serde(flatten)]
    known: Known,
}

/// What the file says; with none, or one that is damaged, owners are told again of what is broken still.
pub(crate) fn load(data_dir: &Path) -> Ledger {
    let path = path(data_dir);
    let read = match fs::read(&path) {
        Ok(bytes) => from_bytes(&bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ledger::default(),
        Err(error) => Err(cannot("read", &path, error)),
    };
    read.unwrap_or_else(|error| {
        tracing::warn!("owners are told again of what breaks contracts: {}", error.chain());
        Ledger::default()
    })
}

/// As a whole or not at all.
pub(crate) fn save(bytes: &[u8], data_dir: &Path) -> Result<()> {
    let (path, written) = (path(data_dir), data_dir.join(format!("{FILE}.new")));
    let write = || {
        let mut file = File::create(&written)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&written, &path)?;
        // So that the new name outlasts a power cut: what was told must not be told again.
        File::open(data_dir)?.sync_all()
    };
    write().map_err(|error| cannot("write", &path, error))
}

pub(crate) fn to_bytes(ledger: &Ledger) -> Vec<u8> {
    let breaches = ledger.breaches.iter().map(|(breach, known)| KeptBreach { breach: breach.clone(), known: known.clone() });
    serde_json::to_vec(&Kept { version: VERSION, breaches: breaches.collect() }).expect("texts and numbers are JSON")
}

fn from_bytes(bytes: &[u8]) -> Result<Ledger> {
    let unusable = |why: String| Error::invalid(format!("cannot use {FILE}")).because(why);
    let kept: Kept = serde_json::from_slice(bytes).map_err(|error| unusable(error.to_string()))?;
    if kept.version != VERSION {
        return Err(unusable(format!("it has version {}, this build knows {VERSION}", kept.version)));
    }
    let breaches = kept.breaches.into_iter().take(BREACHES_MAX).map(|KeptBreach { breach, known }| (breach, known));
    Ok(Ledger { breaches: breaches.collect() })
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

fn cannot(verb: &str, path: &Path, error: io::Error) -> Error {
    Error::unavailable(format!("cannot {verb} {}", path.display())).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Channel;
    use crate::ledger::{Issue, Told};
    use model::{Broken, ByMode};

    fn ledger() -> Ledger {
        let breach = Breach {
            business_service: "payments".into(),
            service: "cards".into(),
            component: "card-api".into(),
            contract: "payments".into(),
            rule: "enum".into(),
            path: "payment.method".into(),
        };
        let records = ByMode { observed: 1, quarantined: 2, rejected: 3 };
        let broken = Broken {
            version: "1.2.0".into(),
            expected: "one of [\"card\"]".into(),
            found: "a string of 1 to 8 bytes".into(),
            at: "contracts/payments.json:9".into(),
            sample: [("payment.method".to_owned(), "a string of 1 to 8 bytes".to_owned())].into(),
            records,
        };
        let issue = Some(Issue { repository: "example/payments".into(), number: 7 });
        let told = [
            (Channel::Email, Told { at_ms: 30, records, fixed: false, issue: None }),
            (Channel::Github, Told { at_ms: 40, records, fixed: true, issue }),
        ];
        let known = Known { team: "till".into(), first_ms: 10, last_ms: 20, broken, told: told.into(), unheard: false };
        Ledger { breaches: [(breach, known)].into() }
    }

    /// A file of version 1 as builds wrote it that are out in the world.
    #[test]
    fn the_golden_file_is_read_and_written() {
        let golden = include_bytes!("../tests/goldens/notifications-v1.json");
        assert_eq!(from_bytes(golden).unwrap(), ledger());
        assert_eq!(String::from_utf8_lossy(&to_bytes(&ledger())), String::from_utf8_lossy(golden).trim_end());
    }

    #[test]
    fn a_ledger_outlasts_the_program_and_damage_costs_no_more_than_a_message() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load(folder.path()), Ledger::default());
        save(&to_bytes(&ledger()), folder.path()).unwrap();
        assert_eq!(load(folder.path()), ledger());
        for damaged in ["", "{\"version\":1", "{\"version\":2,\"breaches\":[]}"] {
            fs::write(path(folder.path()), damaged).unwrap();
            assert_eq!(load(folder.path()), Ledger::default(), "{damaged}");
        }
    }
}
