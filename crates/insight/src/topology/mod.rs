//! Who calls whom, now and at any moment that samples are kept of, and does that agree with what teams declare?
//!
//! `seen.rs` asks the store for the map's samples, `quiet.rs` for what other signals say, `map.rs` joins them with the catalogue and draws a level, `drift.rs` compares both.
//! Nothing is kept here: the samples are the history.

mod drift;
mod durations;
mod map;
mod quiet;
mod seen;

use std::sync::Arc;

use async_trait::async_trait;
use catalog::Live;
use model::{DriftReport, MapLevel, MapRequest, Query, QueryLimits, Result, Topology, TopologyMap};

use crate::NowMs;
use map::Fine;
use quiet::Present;
pub use seen::REMEMBERED_MS;
use seen::{Asker, Seen, SeenComponent, Window};

/// Draws maps from what a [`Query`] answers.
pub struct TopologyEngine {
    query: Arc<dyn Query>,
    catalog: Arc<Live>,
    limits: QueryLimits,
    now_ms: NowMs,
}

impl TopologyEngine {
    /// `limits` are those of each question that a map asks.
    pub fn new(query: Arc<dyn Query>, catalog: Arc<Live>, limits: QueryLimits, now_ms: NowMs) -> Self {
        Self { query, catalog, limits, now_ms }
    }

    /// All that is known of a time, and the components that something else than spans came from.
    async fn look(&self, request: &MapRequest) -> Result<(Seen, Present)> {
        let asker = Asker { query: &*self.query, limits: &self.limits, request };
        let window = Window::of(request);
        let (mut seen, present) = futures::try_join!(seen::seen(&asker, &window, (self.now_ms)()), quiet::present(&asker, &window))?;
        let quiet: Present =
            present.iter().filter(|(node, _)| !seen.has_spans_of(node)).map(|(node, times)| (node.clone(), *times)).collect();
        if !quiet.is_empty() {
            seen.edges.extend(quiet::edges(&asker, &window, &quiet).await?);
            seen.components.extend(quiet.into_iter().map(|(node, (first_ms, last_ms))| SeenComponent::quiet(node, first_ms, last_ms)));
        }
        Ok((seen, present))
    }
}

#[async_trait]
impl Topology for TopologyEngine {
    async fn map(&self, request: MapRequest) -> Result<TopologyMap> {
        let (mut seen, _) = self.look(&request).await?;
        let warnings = std::mem::take(&mut seen.warnings);
        Ok(Fine::of(&seen, &self.catalog.get()).draw(&request, seen.seconds, warnings))
    }

    async fn drift(&self, start_ms: i64, end_ms: i64) -> Result<DriftReport> {
        let request = MapRequest { start_ms, end_ms, level: MapLevel::Component, region: String::new(), environment: String::new() };
        let (seen, present) = self.look(&request).await?;
        let catalog = self.catalog.get();
        Ok(drift::report(&Fine::of(&seen, &catalog), &seen, &catalog, &present, (start_ms, end_ms)))
    }
}
