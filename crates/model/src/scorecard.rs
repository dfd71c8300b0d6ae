use async_trait::async_trait;
use serde::Serialize;

use crate::Result;

/// How well something can be watched. The highest is reached by few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Maturity {
    pub level: u8,
    pub name: &'static str,
    /// For whoever reads the name for the first time.
    pub means: &'static str,
}

pub const LEVELS: [Maturity; 4] = [
    Maturity { level: 1, name: "Heard", means: "Something of it arrives" },
    Maturity { level: 2, name: "Owned", means: "Its records say whose they are, and somebody can be called" },
    Maturity { level: 3, name: "Explained", means: "Logs, metrics and traces arrive in the agreed form, so that a fault can be followed" },
    Maturity { level: 4, name: "Trusted", means: "It does what is declared, so that others and machines can build on it" },
];

/// What a scorecard is asked about. Times are milliseconds since the Unix epoch; what is empty is everybody's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScorecardRequest {
    pub start_ms: i64,
    pub end_ms: i64,
    pub team: String,
    pub business_service: String,
}

/// Serialises as the API shows it; times are seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scorecard {
    pub start: f64,
    pub end: f64,
    pub levels: [Maturity; 4],
    /// With fewer records than this in the time, nothing is judged.
    pub records_least: u64,
    /// Of all components that are asked about.
    pub all: Summary,
    /// Records that belong to nobody; of everything, whatever is asked about.
    pub unassigned: Figures,
    /// Of everything, or the one that is asked about.
    pub teams: Vec<Summary>,
    pub business_services: Vec<Summary>,
    /// Only where a team or a business service is asked about.
    pub components: Vec<ComponentScore>,
    /// By which the figures were found, for whoever wants to ask again.
    pub questions: Vec<Question>,
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    pub asks: &'static str,
    /// `sql` or `promql`
    pub language: &'static str,
    pub query: String,
}

/// What came in the time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    pub logs: u64,
    pub spans: u64,
    /// Points of samples, without those that Tyto computes.
    pub points: u64,
    /// Log records and spans that say no environment, and points that do not.
    pub without_environment: u64,
    pub points_without_environment: u64,
    /// Log records that were set aside, refused, and stored though they break a rule.
    pub quarantined: u64,
    pub rejected: u64,
    pub observed: u64,
}

impl Figures {
    pub fn records(&self) -> u64 {
        self.logs + self.spans + self.points
    }

    /// What was sent, stored or not.
    pub fn came(&self) -> u64 {
        self.records() + self.quarantined + self.rejected
    }

    pub fn add(&mut self, other: &Self) {
        self.logs += other.logs;
        self.spans += other.spans;
        self.points += other.points;
        self.without_environment += other.without_environment;
        self.points_without_environment += other.points_without_environment;
        self.quarantined += other.quarantined;
        self.rejected += other.rejected;
        self.observed += other.observed;
    }

    /// How many records are looked at for where they run, and how many of them say nothing. Points count only of who sends nothing else: there
    /// are so many that they would drown the rest, and what scrapes rarely knows.
    pub fn asked_where(&self) -> (u64, u64) {
        match self.logs + self.spans {
            0 => (self.points, self.points_without_environment),
            records => (records, self.without_environment),
        }
    }

    /// Of these records, the part that says where it runs; none without records.
    pub fn identity_ratio(&self) -> Option<f64> {
        let (records, without) = self.asked_where();
        (records > 0).then(|| 1.0 - without.min(records) as f64 / records as f64)
    }

    /// Of the log records that came, the part that breaks no rule; none without log records.
    pub fn kept_ratio(&self) -> Option<f64> {
        let came = self.logs + self.quarantined + self.rejected;
        (came > 0).then(|| 1.0 - (self.quarantined + self.rejected + self.observed).min(came) as f64 / came as f64)
    }

    pub fn logs_per_span(&self) -> Option<f64> {
        (self.spans > 0).then(|| self.logs as f64 / self.spans as f64)
    }

    pub fn logs_per_point(&self) -> Option<f64> {
        (self.points > 0).then(|| self.logs as f64 / self.points as f64)
    }
}

/// Whether one thing that a level asks for is so, with its figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    pub rule: &'static str,
    /// The level that asks for it.
    pub level: u8,
    /// None where it cannot be told, which holds nobody back.
    pub met: Option<bool>,
    pub says: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComponentScore {
    /// `payments/checkout/checkout-api`
    pub path: String,
    pub business_service: String,
    /// The first of its owners, or whom its records name.
    pub team: String,
    pub declared: bool,
    /// None while too little of it came to judge.
    pub level: Option<u8>,
    pub figures: Figures,
    pub identity_ratio: Option<f64>,
    /// None without a contract, and where nobody counts what breaks it.
    pub kept_ratio: Option<f64>,
    pub logs_per_span: Option<f64>,
    pub logs_per_point: Option<f64>,
    /// Differences between what is declared of it and what it does.
    pub drift: usize,
    /// Of what a catalogue entry is expected to say, how much this one does.
    pub said: usize,
    pub expected: usize,
    /// What every level asks for, the lowest first.
    pub verdicts: Vec<Verdict>,
}

/// Many components together: they stand where the one stands that is furthest behind.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    pub name: String,
    pub level: Option<u8>,
    pub components: usize,
    /// Of which too little came.
    pub without_data: usize,
    /// How many stand at each level, the lowest first.
    pub at_level: [usize; 4],
    pub figures: Figures,
    pub identity_ratio: Option<f64>,
    pub kept_ratio: Option<f64>,
    pub logs_per_span: Option<f64>,
    pub logs_per_point: Option<f64>,
    pub drift: usize,
    /// What is to be done for the next level, what most components lack first.
    pub lifts: Vec<Lift>,
}

/// One thing that lifts many components to the next level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lift {
    pub rule: &'static str,
    pub level: u8,
    /// How many lack it, of how many that are judged.
    pub components: usize,
    pub of: usize,
    pub says: String,
}

/// Knows how well things can be watched.
#[async_trait]
pub trait Scorecards: Send + Sync {
    async fn scorecard(&self, request: ScorecardRequest) -> Result<Scorecard>;
}
