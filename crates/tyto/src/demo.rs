//! `tyto demo`: the whole product on one laptop, with a company to watch.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use model::{Error, Result};

use crate::options::ServeOptions;
use crate::serve::{self, Addresses, Server};

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
    let stop = serve::stop_signal();
    tokio::pin!(stop);
    let scratch = Scratch::new()?;
    let mut serve = options.serve;
    serve.data_dir.get_or_insert_with(|| scratch.0.join("data"));
    let catalog = scratch.0.join("omd.yaml");
    std::fs::write(&catalog, sim::OMD_YAML).map_err(|error| Error::unavailable("cannot write the demo's catalogue").because(error))?;
    serve.catalog.push(catalog);

    let server = Server::start(serve.resolve()?).await?;
    let Addresses { http, otlp_grpc, otlp_http } = server.addresses;
    eprintln!("Tyto demo: a streaming company sends its logs, metrics and traces to http://{http}");

    let company = sim::Demo::new(sim::DemoOptions {
        backfill: Duration::from_secs_f64(options.hours.clamp(0.0, HOURS_MAX) * 3600.0),
        ..sim::DemoOptions::new(sim::Endpoints { http, otlp_http, otlp_grpc }, options.seed, progress_bar())
    })?;
    let played = async {
        company.backfill().await?;
        println!("tyto ready http={http} otlp_grpc={otlp_grpc} otlp_http={otlp_http}");
        println!("\n  Open http://{http} in a browser. A fault starts in a minute or two. Ctrl-C ends the demo.\n");
        company.live(std::future::pending()).await;
        Ok::<(), Error>(())
    };
    tokio::select! {
        ended = played => ended?,
        () = &mut stop => {}
    }
    server.stop().await
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

/// A folder that goes with the demo.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("tyto-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| Error::unavailable(format!("cannot create {}", path.display())).because(error))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!("cannot remove {}: {error}", self.0.display());
        }
    }
}
