//! CloudWatch's metrics, asked for as the exporter YACE does, after its configuration file.
//!
//! Path: `config.rs` (the file, to one job for each region and role) > `poll.rs` (a job's loop: resources by tag, series, points) over
//! `api.rs` (questions and answers), `services.rs` (which resource a metric is about), `window.rs` (which times, what is new),
//! `naming.rs` > `receive`'s way of samples. All but `mod.rs`, `poll.rs` and the calls of `api.rs` know no sockets.
//!
//! When you change what a user writes or sees, also touch `docs/cloudwatch.md`.

mod api;
mod config;
mod naming;
mod poll;
mod services;
mod window;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use catalog::Problem;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::Receivers;
pub use config::CloudwatchConfig;
use config::Job;
use poll::{Poll, Shared};

/// Questions under way at one time, as YACE has it.
const QUESTIONS_MAX: usize = 5;

/// Asks for what a configuration file says.
pub struct Cloudwatch {
    path: PathBuf,
    shared: Arc<Shared>,
    jobs: Mutex<Vec<(Arc<Job>, JoinHandle<()>)>>,
}

impl Cloudwatch {
    /// Begins with a configuration that was read from this file. Must be called in a Tokio runtime.
    pub fn start(path: &Path, config: CloudwatchConfig, interval: Duration, receivers: Receivers) -> Arc<Self> {
        let shared = Arc::new(Shared { receivers, interval, turns: Semaphore::new(QUESTIONS_MAX) });
        let cloudwatch = Arc::new(Self { path: path.to_owned(), shared, jobs: Mutex::default() });
        cloudwatch.apply(config);
        cloudwatch
    }

    /// Reads the file again. With problems what runs goes on; otherwise jobs that have not changed do. Must be called in a Tokio runtime.
    pub fn reload(&self) -> Result<(), Vec<Problem>> {
        self.apply(CloudwatchConfig::load(&self.path)?);
        Ok(())
    }

    fn apply(&self, config: CloudwatchConfig) {
        if !config.unused.is_empty() {
            tracing::info!(target: "tyto", "{}: not used by Tyto: {}", self.path.display(), config.unused.join(", "));
        }
        let mut jobs = self.jobs.lock();
        let mut old = std::mem::take(&mut *jobs);
        for job in config.jobs {
            let task = match old.iter().position(|(other, _)| *other == job) {
                Some(at) => old.swap_remove(at).1,
                None => tokio::spawn(Poll::new(job.clone(), self.shared.clone()).run()),
            };
            jobs.push((job, task));
        }
        // What is being stored is stored to its end all the same.
        old.iter().for_each(|(_, task)| task.abort());
        metrics::gauge!("tyto_cloudwatch_jobs").set(jobs.len() as f64);
    }

    /// Asks for nothing more.
    pub async fn stop(&self) {
        let jobs = std::mem::take(&mut *self.jobs.lock());
        for (job, task) in jobs {
            task.abort();
            if let Err(broken) = task.await
                && broken.is_panic()
            {
                tracing::error!("{} broke off: {broken}", job.name);
            }
        }
    }
}
