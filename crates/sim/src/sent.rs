use std::ops::AddAssign;

use crate::pack::Load;
use crate::world::Telemetry;

/// What a receiver has acknowledged, in records of each protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub log_records: u64,
    /// Of the log records, those that came through Loki's API.
    pub loki_entries: u64,
    pub spans: u64,
    /// OTLP data points: a histogram is one, whatever its buckets.
    pub metric_points: u64,
    pub remote_write_samples: u64,
    /// Records that the receiver named as refused in an otherwise good answer; they are not counted above.
    pub rejected: u64,
    pub requests: u64,
    /// Of the bodies as they travelled, compressed.
    pub bytes: u64,
    /// Times a receiver asked to come back later.
    pub retries: u64,
}

impl Sent {
    /// The records a load holds, before anybody has acknowledged them.
    pub fn of(load: &Load) -> Self {
        let count = load.records() as u64;
        let mut sent = Self::default();
        match &load.telemetry {
            Telemetry::Logs(_) => sent.log_records = count,
            Telemetry::Loki(_) => (sent.log_records, sent.loki_entries) = (count, count),
            Telemetry::Spans(_) => sent.spans = count,
            Telemetry::Metrics(_) => sent.metric_points = count,
            Telemetry::RemoteWrite(_) => sent.remote_write_samples = count,
        }
        sent
    }

    pub(crate) fn reject(&mut self, rejected: u64) {
        self.rejected += rejected;
        for count in [&mut self.log_records, &mut self.spans, &mut self.metric_points] {
            *count = count.saturating_sub(rejected);
        }
    }

    pub fn records(&self) -> u64 {
        self.log_records + self.spans + self.metric_points + self.remote_write_samples
    }
}

impl AddAssign for Sent {
    fn add_assign(&mut self, other: Self) {
        self.log_records += other.log_records;
        self.loki_entries += other.loki_entries;
        self.spans += other.spans;
        self.metric_points += other.metric_points;
        self.remote_write_samples += other.remote_write_samples;
        self.rejected += other.rejected;
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.retries += other.retries;
    }
}
