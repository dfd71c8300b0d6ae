//! How do the parts become one program?
//!
//! `wiring.rs` is the page that shows the flow: the write path and the read path, each in one function.
//! Around it: `options.rs` (flags, environment, file), `serve.rs` (start, readiness, shutdown), `http.rs` (HTTP over sockets,
//! under limits), `wire.rs` (ports that are no HTTP), `demo.rs` (the simulated company), `ask.rs` (`tyto sql|promql|logql`), `erase.rs` (`tyto erase`), `check.rs` (`tyto check`, `tyto schema`), `apply.rs` (`tyto apply`), `contract.rs` (`tyto contract`), `import.rs` (`tyto import`), `notify.rs` (`tyto notify test`), `pipeline_try.rs` (`tyto pipeline try`), `quarantine.rs` (`tyto quarantine`), `topology.rs` (`tyto topology`), `telemetry.rs` (Tyto about itself).
//!
//! When you add a receiver or an API, touch `wiring.rs`; when you add a flag, touch `options.rs`, and its page in the
//! book follows from the doc comment. This crate must hold no algorithm: it only joins.

mod apply;
mod ask;
mod check;
mod contract;
mod contract_try;
mod demo;
mod erase;
mod http;
mod import;
mod notify;
mod options;
mod patterns;
mod pipeline_try;
mod quarantine;
mod scorecard;
mod serve;
mod stop;
mod telemetry;
mod topology;
mod wire;
mod wiring;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Batches are made by one thread and dropped by another. glibc keeps what is freed so in the arena of the first: resident
/// memory grew to several times what was in use. Here an arena is a processor's, and what stays free for a second goes back to
/// the system: see `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The open observability platform: logs, metrics and traces in one open lake.
#[derive(Parser)]
#[command(name = "tyto", version, about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Receive, store and answer until SIGTERM or Ctrl-C.
    Serve(options::ServeOptions),
    /// Everything embedded, with a simulated streaming company sending to it.
    Demo(demo::DemoOptions),
    /// Ask in SQL.
    Sql(ask::AskOptions),
    /// Ask in PromQL.
    Promql(ask::AskOptions),
    /// Ask in LogQL.
    Logql(ask::AskOptions),
    /// Erase rows for good, by what they hold; prints the proof.
    Erase(erase::EraseOptions),
    /// Whether catalogue files can be used, for CI: 0 when they can, 1 when they cannot, 2 when nobody can tell.
    Check(check::CheckOptions),
    /// Catalogue files into force on a server, all of them or none: 0 when they are, 1 when they are refused, 2 when nobody can tell.
    Apply(apply::ApplyOptions),
    /// The JSON Schema of a kind of catalogue file, for editors.
    Schema(check::SchemaOptions),
    /// Two versions of a contract compared, or a draft tried on what came, for CI: 0 when nothing breaks, 1 when something does, 2 when nobody can tell.
    Contract(contract::ContractOptions),
    /// Catalogue files of other programs as an `omd.yaml`.
    Import(import::ImportOptions),
    /// Log records that broke their contract: what waits, and letting it in or throwing it away.
    Quarantine(quarantine::QuarantineOptions),
    /// Whether owners would be told of what breaks their contracts.
    Notify(notify::NotifyOptions),
    /// What a pipeline does to log records, before it is in force.
    Pipeline(pipeline_try::PipelineOptions),
    /// How well each team's components can be watched, and what would lift them; for CI with --fail-below.
    Scorecard(scorecard::ScorecardOptions),
    /// Who calls whom, compared with what is declared.
    Topology(topology::TopologyOptions),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    if let Err(error) = telemetry::log_to_stderr() {
        eprintln!("tyto: {}", error.chain());
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("the system gives us threads");
    let code = runtime.block_on(async {
        let done = match command {
            Command::Serve(options) => serve::run(options).await,
            Command::Demo(options) => demo::run(options).await,
            Command::Sql(options) => ask::run(ask::Language::Sql, options).await,
            Command::Promql(options) => ask::run(ask::Language::Promql, options).await,
            Command::Logql(options) => ask::run(ask::Language::Logql, options).await,
            Command::Erase(options) => erase::run(options).await,
            Command::Quarantine(options) => quarantine::run(options).await,
            Command::Notify(options) => notify::run(options).await,
            Command::Pipeline(options) => return pipeline_try::run(options).await,
            Command::Scorecard(options) => return scorecard::run(options).await,
            Command::Topology(options) => return topology::run(options).await,
            Command::Apply(options) => return apply::run(options).await,
            Command::Check(options) => return check::run(options).await,
            Command::Contract(options) => return contract::run(&options).await,
            Command::Schema(options) => check::schema(&options),
            Command::Import(options) => import::run(&options),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("tyto: {}", error.chain());
                ExitCode::FAILURE
            }
        }
    });
    // What is stored is stored. Whatever still runs, a query or a merge that nobody will commit, ends with the process and does
    // not keep it alive; in a runtime that shuts down, its requests to a bucket would panic.
    std::mem::forget(runtime);
    code
}
