use crate::{Identity, Table};

/// What one identity sent of one signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Log records, spans, or sample points.
    pub records: u64,
    /// Bytes of the records in memory, before compression.
    pub bytes: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

/// Reads the usage counted so far, for `/metrics` and the cost rules.
pub trait UsageMeter: Send + Sync {
    fn usage(&self) -> Vec<(Identity, Table, Usage)>;
}
