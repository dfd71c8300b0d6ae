use crate::Identity;

/// How many values a label brings to the series of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelCardinality {
    /// Only who owns the series: business service, service, component.
    pub identity: Identity,
    /// Of series that nobody owns, their label `job`.
    pub job: String,
    pub label: String,
    /// Values that came in this window, also those that were too many; an estimate, some 3 % off, where `overflows`.
    pub values: u64,
    /// As many new values are let in per window.
    pub values_max: u64,
    /// Values are too many: whatever else comes is `__cardinality_overflow__`.
    pub overflows: bool,
    /// Series told whole in this window whose value was replaced.
    pub replaced_series: u64,
}

/// Reads what each label brings, for the API.
pub trait Cardinality: Send + Sync {
    /// Those with the most values first, at most so many.
    fn labels(&self, limit: usize) -> Vec<LabelCardinality>;
}
