use std::sync::Arc;

use parking_lot::RwLock;

use crate::Catalog;

/// The catalogue in force. Who decides which one that is stands in the crate `registry`; everybody else only looks.
#[derive(Debug, Default)]
pub struct Live {
    /// With how often it was replaced.
    current: RwLock<(u64, Arc<Catalog>)>,
}

impl Live {
    pub fn of(catalog: Catalog) -> Self {
        Self { current: RwLock::new((0, Arc::new(catalog))) }
    }

    pub fn get(&self) -> Arc<Catalog> {
        self.versioned().1
    }

    /// The one in force, with a number that no other has had in this process.
    pub fn versioned(&self) -> (u64, Arc<Catalog>) {
        self.current.read().clone()
    }

    pub fn replace(&self, catalog: Arc<Catalog>) {
        let mut current = self.current.write();
        *current = (current.0 + 1, catalog);
    }
}
