//! The database hosts, as node_exporter shows them: Prometheus remote write with the identity in external labels.

use crate::chance::Chance;
use crate::company::SITES;
use crate::fault::Conditions;
use crate::traffic;
use crate::wire::{Label, Sample, TimeSeries, WriteRequest};

const CPUS: [&str; 4] = ["0", "1", "2", "3"];
const DEVICES: [&str; 2] = ["nvme0n1", "nvme1n1"];
const INTERFACES: [&str; 2] = ["eth0", "eth1"];
const MEMORY_BYTES: f64 = 64.0 * 1_073_741_824.0;
const DISK_BYTES: f64 = 900.0 * 1_073_741_824.0;

#[derive(Clone, Debug)]
pub(crate) struct Host {
    seed: u64,
    index: u64,
    site_index: usize,
    primary: bool,
    labels: Vec<(&'static str, String)>,
    booted_unix_seconds: u64,
    /// In the order in which `collect` names them.
    counters: Vec<f64>,
}

impl Host {
    /// A primary and a replica in every production region.
    pub(crate) fn all(seed: u64, start_unix_seconds: u64) -> Vec<Self> {
        let mut hosts = Vec::new();
        for (site_index, site) in SITES.iter().enumerate().filter(|(_, site)| site.is_production()) {
            for number in [1, 2] {
                let index = hosts.len() as u64;
                let mut labels = vec![
                    ("business_service", "payments".to_owned()),
                    ("component", "ledger-db".to_owned()),
                    ("environment", site.environment.to_owned()),
                    ("instance", format!("ledger-db-{number}.{}:9100", site.region)),
                    ("job", "node".to_owned()),
                    ("region", site.region.to_owned()),
                    ("service", "subscriptions".to_owned()),
                    ("team", "billing".to_owned()),
                ];
                labels.sort();
                let booted_unix_seconds = start_unix_seconds - 86_400 * (20 + index);
                hosts.push(Self { seed, index, site_index, primary: number == 1, labels, booted_unix_seconds, counters: Vec::new() });
            }
        }
        hosts
    }

    /// Every series once, at `second`, after `interval` seconds.
    pub(crate) fn collect(&mut self, second: u64, interval: u64, conditions: &Conditions) -> WriteRequest {
        let mut chance = Chance::of(self.seed, &[second, self.index, 0x405f]);
        let busy = traffic::level(second, SITES[self.site_index].utc_offset_hours) * conditions.surge.sqrt();
        let strain = if self.primary { conditions.database_slowdown } else { 1.0 };
        let mut sheet = Sheet { host: self, timestamp: (second * 1000).cast_signed(), next: 0, series: Vec::new() };
        let seconds = interval as f64;
        for cpu in CPUS {
            let user = 0.11 * busy * chance.between(0.9, 1.1);
            let iowait = (0.01 * strain * chance.between(0.8, 1.2)).min(0.6);
            let system = 0.04 * busy * chance.between(0.9, 1.1);
            let idle = (1.0 - user - iowait - system).max(0.0);
            for (mode, share) in [("idle", idle), ("iowait", iowait), ("steal", 0.0), ("system", system), ("user", user)] {
                sheet.count("node_cpu_seconds_total", &[("cpu", cpu), ("mode", mode)], share * seconds);
            }
        }
        for device in DEVICES {
            let reads = 90.0 * busy * chance.between(0.8, 1.2) * seconds;
            let writes = 140.0 * busy * chance.between(0.8, 1.2) * seconds;
            let labels = [("device", device)];
            sheet.count("node_disk_reads_completed_total", &labels, reads.round());
            sheet.count("node_disk_writes_completed_total", &labels, writes.round());
            sheet.count("node_disk_read_bytes_total", &labels, (reads * 8192.0).round());
            sheet.count("node_disk_written_bytes_total", &labels, (writes * 8192.0).round());
            sheet.count("node_disk_io_time_seconds_total", &labels, (0.08 * busy * strain.sqrt()).min(1.0) * seconds);
        }
        for device in INTERFACES {
            let bytes = 2.4e6 * busy * chance.between(0.85, 1.15) * seconds;
            let labels = [("device", device)];
            sheet.count("node_network_receive_bytes_total", &labels, bytes.round());
            sheet.count("node_network_transmit_bytes_total", &labels, (bytes * 1.7).round());
            sheet.count("node_network_receive_errs_total", &labels, 0.0);
        }
        sheet.count("node_context_switches_total", &[], (9_000.0 * busy * seconds).round());
        let used = 0.52 + 0.05 * busy + 0.01 * chance.normal();
        sheet.set("node_memory_MemTotal_bytes", &[], MEMORY_BYTES);
        sheet.set("node_memory_MemAvailable_bytes", &[], (MEMORY_BYTES * (1.0 - used)).round());
        sheet.set("node_memory_Cached_bytes", &[], (MEMORY_BYTES * 0.31).round());
        let grown = (second - sheet.host.booted_unix_seconds) as f64 * 2_000.0;
        let filesystem = [("device", "/dev/nvme1n1"), ("fstype", "xfs"), ("mountpoint", "/var/lib/postgresql")];
        sheet.set("node_filesystem_size_bytes", &filesystem, DISK_BYTES);
        sheet.set("node_filesystem_avail_bytes", &filesystem, (DISK_BYTES * 0.6 - grown).max(0.0));
        let load = 0.9 * busy * strain.sqrt();
        for (name, smoothing) in [("node_load1", 0.2), ("node_load5", 0.1), ("node_load15", 0.05)] {
            let wobble = 1.0 + smoothing * chance.normal().clamp(-2.0, 2.0);
            sheet.set(name, &[], (load * wobble * 100.0).round() / 100.0);
        }
        sheet.set("node_boot_time_seconds", &[], sheet.host.booted_unix_seconds as f64);
        sheet.set("node_time_seconds", &[], second as f64);
        sheet.set("up", &[], 1.0);
        WriteRequest { timeseries: sheet.series }
    }
}

/// One collection being written down.
struct Sheet<'h> {
    host: &'h mut Host,
    timestamp: i64,
    next: usize,
    series: Vec<TimeSeries>,
}

impl Sheet<'_> {
    fn count(&mut self, name: &str, labels: &[(&str, &str)], amount: f64) {
        if self.host.counters.len() == self.next {
            self.host.counters.push(0.0);
        }
        self.host.counters[self.next] += amount;
        let value = self.host.counters[self.next];
        self.next += 1;
        self.set(name, labels, value);
    }

    fn set(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let label = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
        let mut all = vec![label("__name__", name)];
        all.extend(self.host.labels.iter().map(|(name, value)| label(name, value)));
        all.extend(labels.iter().map(|(name, value)| label(name, value)));
        all.sort_by(|left, right| left.name.cmp(&right.name));
        self.series.push(TimeSeries { labels: all, samples: vec![Sample { value, timestamp: self.timestamp }] });
    }
}
