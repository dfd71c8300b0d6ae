//! What can go wrong, when, and what it changes in the world's rules.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// Everybody presses play at once: traffic times six, and everything a little slower.
    SeasonFinale,
    /// Postgres answers thirty times slower; some statements run into their timeout.
    SlowDatabase,
    /// Most `GetItem` calls on DynamoDB's table `markers` answer 404.
    MissingItem,
    /// `tax-service` is deployed with twice the rate; the provider refuses amounts and checkout tries again.
    WrongTaxRate,
    /// `ranking-service` writes fifty times its lines, at debug level.
    NoisyLogger,
    /// `search-api` keeps what it should let go until it is killed and restarted, again and again.
    MemoryLeak,
}

impl FaultKind {
    pub const ALL: [Self; 6] =
        [Self::SeasonFinale, Self::SlowDatabase, Self::MissingItem, Self::WrongTaxRate, Self::NoisyLogger, Self::MemoryLeak];
}

/// Faults happen in production only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    pub start_unix_seconds: u64,
    pub duration: Duration,
}

impl Fault {
    pub fn end_unix_seconds(&self) -> u64 {
        self.start_unix_seconds + self.duration.as_secs()
    }

    pub fn is_active(&self, second: u64) -> bool {
        (self.start_unix_seconds..self.end_unix_seconds()).contains(&second)
    }
}

/// The rules of one second at one site.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    pub surge: f64,
    pub database_slowdown: f64,
    pub missing_items: bool,
    pub tax_factor: f64,
    pub noise: u32,
    pub leaking: bool,
}

impl Conditions {
    pub const CALM: Self = Self { surge: 1.0, database_slowdown: 1.0, missing_items: false, tax_factor: 1.0, noise: 1, leaking: false };

    pub fn at(second: u64, faults: &[Fault]) -> Self {
        let mut conditions = Self::CALM;
        for fault in faults.iter().filter(|fault| fault.is_active(second)) {
            match fault.kind {
                FaultKind::SeasonFinale => {
                    // The crowd comes over a minute, not in one second.
                    let ramp = ((second - fault.start_unix_seconds) as f64 / 60.0).min(1.0);
                    conditions.surge = 1.0 + 5.0 * ramp;
                }
                FaultKind::SlowDatabase => conditions.database_slowdown = 30.0,
                FaultKind::MissingItem => conditions.missing_items = true,
                FaultKind::WrongTaxRate => conditions.tax_factor = 2.0,
                FaultKind::NoisyLogger => conditions.noise = 50,
                FaultKind::MemoryLeak => conditions.leaking = true,
            }
        }
        conditions
    }
}

/// What `tyto demo` shows: the missing item 90 s after the start, then one fault after the other with calm between them, round
/// and round for `span`.
pub fn demonstration(start_unix_seconds: u64, span: Duration) -> Vec<Fault> {
    const CYCLE: [(FaultKind, u64); 6] = [
        (FaultKind::MissingItem, 10),
        (FaultKind::SlowDatabase, 8),
        (FaultKind::SeasonFinale, 10),
        (FaultKind::WrongTaxRate, 10),
        (FaultKind::NoisyLogger, 8),
        (FaultKind::MemoryLeak, 12),
    ];
    const CALM_SECONDS: u64 = 300;
    let mut faults = Vec::new();
    let mut at = start_unix_seconds + 90;
    for (kind, minutes) in CYCLE.into_iter().cycle() {
        if at >= start_unix_seconds + span.as_secs() {
            return faults;
        }
        faults.push(Fault { kind, start_unix_seconds: at, duration: Duration::from_secs(minutes * 60) });
        at += minutes * 60 + CALM_SECONDS;
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demonstration_shows_every_fault_one_at_a_time() {
        let faults = demonstration(1_000, Duration::from_secs(3 * 3600));
        assert_eq!((faults[0].kind, faults[0].start_unix_seconds), (FaultKind::MissingItem, 1_090));
        assert!(faults.windows(2).all(|pair| pair[0].end_unix_seconds() < pair[1].start_unix_seconds));
        assert!(FaultKind::ALL.iter().all(|kind| faults.iter().any(|fault| fault.kind == *kind)));
    }
}
