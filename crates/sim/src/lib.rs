//! What would a real company send us?
//!
//! A simulated streaming company: 22 components in six business services, at three production sites and one staging site, with
//! databases, queues, a cache, a payment provider, deployments, and faults that can be scheduled. `tyto demo`, tests and benches use it.
//!
//! The path, as files: `company` and `operations` (tables: who there is, who calls whom), `traffic` and `fault` (how many come, what is
//! wrong), `world` (one second after the other), `visit`, `walk`, `describe`, `measure` (one journey), `pod`, `meter`, `line` (what it
//! leaves behind), `pack` (requests), `sender` and `grpc` (the wire), `demo`. Beside them `hosts` (remote write), `legacy` (Loki push),
//! `bench` (input for measurements), `truth` (who calls whom), `estate` (a company of any size, in spans alone). Everything up to `pack` is pure: the same seed gives the same bytes.
//!
//! When you add a component, also touch `omd.yaml` and a call that reaches it; a fault, also `tests/faults.rs` and `docs/demo.md`.
//! This crate must not know how telemetry is received, stored or asked for: it knows only the public protocols.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod bench;
mod chance;
mod company;
mod demo;
mod describe;
pub mod estate;
mod fault;
mod grpc;
mod hosts;
mod legacy;
mod line;
mod measure;
mod meter;
mod operations;
mod pack;
mod pod;
mod sender;
mod sent;
mod traffic;
mod truth;
mod visit;
mod walk;
pub mod wire;
mod world;

pub use company::CATALOGUE;
pub use demo::{Demo, DemoOptions, Progress};
pub use fault::{Conditions, Fault, FaultKind, demonstration};
pub use pack::{GRPC_COMPONENT, Lane, Load, pack, records, service_name};
pub use sender::{Endpoints, Sender};
pub use sent::Sent;
pub use traffic::level as traffic_level;
pub use truth::{Party, truth};
pub use world::{Telemetry, World, WorldOptions};
