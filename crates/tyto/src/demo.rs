//! `tyto demo`: the whole product on one laptop, with a company to watch.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use indicatif::{ProgressBar, ProgressStyle};
use model::{Error, Result};

use crate::options::ServeOptions;
use crate::serve::{Addresses, Server};
use crate::stop::Stop;

const HOURS_MAX: f64 = 24.0 * 31.0;

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct DemoOptions {
    #[command(flatten)]
    serve: ServeOptions,

    /// The company's dice; the same seed gives the same company
    #[arg(long, default_value_t = 7)]
    seed: u64,

    /// Hours of history to send before the company goes live
    #[arg(long, default_value_t = 6.0)]
    hours: f64,
}

pub(crate) async fn run(options: DemoOptions) -> Result<()> {
    let mut stop = Stop::listen();
    // A name that nobody can guess, for this user only, and gone with the demo.
    let scratch = tempfile::Builder::new().prefix("tyto-demo-").tempdir();
    let scratch = scratch.map_err(|error| Error::unavailable("cannot create a folder for the demo").because(error))?;
    let mut serve = options.serve;
    serve.data_dir.get_or_insert_with(|| scratch.path().join("data"));
    let catalog = scratch.path().join("catalog");
    write_catalog(&catalog).map_err(|error| Error::unavailable("cannot write the demo's catalogue").because(error))?;
    serve.catalog.push(catalog);

    let Some(mut server) = Server::start(serve.resolve()?, &mut stop).await? else { return Ok(()) };
    let addresses = server.addresses.clone();
    let played = tokio::select! {
        played = play(addresses, options.seed, options.hours) => played,
        ended = server.until(stop.asked()) => ended,
    };
    let stopped = server.stop(&mut stop).await;
    played.and(stopped)
}

/// What the company has declared in git.
fn write_catalog(folder: &Path) -> io::Result<()> {
    for (name, text) in sim::CATALOGUE {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap_or(folder))?;
        fs::write(file, text)?;
    }
    Ok(())
}

async fn play(addresses: Addresses, seed: u64, hours: f64) -> Result<()> {
    let Addresses { http, otlp_grpc, otlp_http, .. } = addresses;
    println!("tyto ready {addresses}");
    println!("\n  Open http://{http} in a browser: a streaming company sends its logs, metrics and traces there.\n");
    let company = sim::Demo::new(sim::DemoOptions {
        backfill: Duration::from_secs_f64(hours.clamp(0.0, HOURS_MAX) * 3600.0),
        ..sim::DemoOptions::new(sim::Endpoints { http, otlp_http, otlp_grpc }, seed, progress_bar())
    })?;
    company.backfill().await?;
    println!("\n  Its history is in; from now on it is live. A fault starts in a minute or two. Ctrl-C ends the demo.\n");
    company.live(std::future::pending()).await;
    Ok(())
}

fn progress_bar() -> sim::Progress {
    let bar = ProgressBar::new(1000).with_style(
        ProgressStyle::with_template("  history [{bar:40.cyan/dim}] {percent:>3} %  {msg}").expect("the template is well formed"),
    );
    Arc::new(move |done, sent| {
        bar.set_position((done * 1000.0) as u64);
        let points = sent.metric_points + sent.remote_write_samples;
        bar.set_message(format!("{} logs, {} spans, {points} metric points", sent.log_records, sent.spans));
        if done >= 1.0 {
            bar.finish();
        }
    })
}
