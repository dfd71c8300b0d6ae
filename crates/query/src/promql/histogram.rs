//! Arithmetic of native histograms, after <https://prometheus.io/docs/specs/native_histograms/>.

mod arithmetic;
mod buckets;
mod quantile;
mod trim;

pub(super) use arithmetic::{Combined, average, combine, divided, equal, is_reset, scaled, total};
pub(super) use buckets::{Bucket, ascending, text};
pub(super) use quantile::{fraction, quantile, variance};
pub(super) use trim::trimmed;

/// The schema of histograms that name their bounds.
pub(super) const CUSTOM: i32 = -53;

/// Counter reset hints.
pub(super) const HINT_UNKNOWN: i32 = 0;
pub(super) const HINT_RESET: i32 = 1;
pub(super) const HINT_NO_RESET: i32 = 2;
pub(super) const HINT_GAUGE: i32 = 3;
