use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::{Catalog, Problem};

/// The catalogue in force. A file that cannot be read never takes the place of one that could.
#[derive(Debug, Default)]
pub struct Live {
    paths: Vec<PathBuf>,
    /// With how often it was replaced.
    current: RwLock<(u64, Arc<Catalog>)>,
}

impl Live {
    /// No path is no catalogue: every record without an identity of its own stays unassigned.
    pub fn load(paths: Vec<PathBuf>) -> Result<Self, Vec<Problem>> {
        let current = RwLock::new((0, Arc::new(Catalog::load(&paths)?)));
        Ok(Self { paths, current })
    }

    /// One that is already read, and never reloads to anything else.
    pub fn of(catalog: Catalog) -> Self {
        Self { paths: Vec::new(), current: RwLock::new((0, Arc::new(catalog))) }
    }

    pub fn get(&self) -> Arc<Catalog> {
        self.versioned().1
    }

    /// The one in force, with a number that no other has had.
    pub fn versioned(&self) -> (u64, Arc<Catalog>) {
        self.current.read().clone()
    }

    /// Reads the files again. With problems the one in force stays in force.
    pub fn reload(&self) -> Result<Arc<Catalog>, Vec<Problem>> {
        if self.paths.is_empty() {
            return Ok(self.get());
        }
        let fresh = Arc::new(Catalog::load(&self.paths)?);
        let mut current = self.current.write();
        *current = (current.0 + 1, fresh.clone());
        Ok(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "business_services: [{name: payments, owners: [{team: pay}]}]";

    #[test]
    fn a_bad_file_never_replaces_a_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("omd.yaml");
        std::fs::write(&file, GOOD).unwrap();
        let live = Live::load(vec![folder.path().to_owned()]).unwrap();
        std::fs::write(&file, "business_servces: []").unwrap();
        let problems = live.reload().unwrap_err();
        assert!(problems[0].to_string().ends_with("did you mean \"business_services\"?"), "{problems:?}");
        assert_eq!(live.get().business_services[0].name, "payments");
        std::fs::write(&file, GOOD.replace("payments", "login")).unwrap();
        live.reload().unwrap();
        assert_eq!(live.get().business_services[0].name, "login");
    }

    #[test]
    fn an_absent_file_and_an_empty_directory_are_problems() {
        let folder = tempfile::tempdir().unwrap();
        let none = Live::load(vec![folder.path().to_owned()]).unwrap_err();
        assert!(none[0].what.starts_with("cannot find a catalogue"), "{none:?}");
        let absent = Live::load(vec![folder.path().join("omd.yaml")]).unwrap_err();
        assert!(absent[0].what.starts_with("cannot read catalogue"), "{absent:?}");
    }
}
