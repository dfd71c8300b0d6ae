//! Scraping: Tyto reads a Prometheus configuration file and fetches its targets' metrics.
//! Source: <https://prometheus.io/docs/prometheus/latest/configuration/configuration/>.
//!
//! Path: `config/` (the file) > `engine.rs` (a task for each scrape configuration) > `pool.rs` (its targets: `discovery/` finds
//! them, `target.rs` names them over `relabel.rs`) > `turn.rs` (one target's loop: fetches through `client.rs`, stores as remote
//! write does) > `reading.rs` (an exposition to series: labels, relabelling, limits) over `exposition/` (the formats) and
//! `cache.rs` (what came before). `exposition/`, `reading.rs`, `relabel.rs` and `cache.rs` know no sockets and no files.
//!
//! When you change what a user writes or sees, also touch `docs/scrape.md`.

mod cache;
mod client;
mod config;
mod discovery;
mod engine;
mod exposition;
mod pool;
mod reading;
mod relabel;
mod target;
mod turn;

pub use config::ScrapeConfig;
pub(crate) use config::{Fields, Reader, load};
pub use engine::Scraper;
pub use exposition::Format;
pub use reading::decode_exposition;
