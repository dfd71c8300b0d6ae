//! Sockets, readiness and an orderly end.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use catalog::Live;
use model::{Error, Result};
use store::{Shard, ShardOptions};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::options::{ServeOptions, Settings};
use crate::telemetry::{self, Metrics};
use crate::wiring::{self, Wired};

/// How long requests under way may take once the end is asked for.
const DRAIN_MAX: Duration = Duration::from_secs(10);

pub(crate) async fn run(options: ServeOptions) -> Result<()> {
    let stop = stop_signal();
    let server = Server::start(options.resolve()?).await?;
    let Addresses { http, otlp_grpc, otlp_http } = server.addresses;
    println!("tyto ready http={http} otlp_grpc={otlp_grpc} otlp_http={otlp_http}");
    std::io::stdout().flush().map_err(|error| Error::unavailable("cannot write to stdout").because(error))?;
    stop.await;
    server.stop().await
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) otlp_grpc: SocketAddr,
    pub(crate) otlp_http: SocketAddr,
}

/// A server that answers; [`Self::stop`] ends it without losing anything.
pub(crate) struct Server {
    pub(crate) addresses: Addresses,
    shard: Arc<Shard>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<()>>,
}

impl Server {
    pub(crate) async fn start(settings: Settings) -> Result<Self> {
        // Addresses first: one that is taken is said before a store is opened.
        let http = bind("http", settings.http).await?;
        let otlp_grpc = bind("otlp_grpc", settings.otlp_grpc).await?;
        let otlp_http = bind("otlp_http", settings.otlp_http).await?;
        let addresses = Addresses { http: local(&http)?, otlp_grpc: local(&otlp_grpc)?, otlp_http: local(&otlp_http)? };

        let metrics = Metrics::install();
        let catalog = Arc::new(load_catalog(&settings)?);
        let shard = Shard::open(ShardOptions::new("default", settings.data_dir.join("shards/default"))).await?;
        let Wired { http: main, otlp_http: otlp, otlp_grpc: grpc, shard, pipeline } =
            wiring::wire(&settings, catalog, shard, metrics.clone());

        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_http(http, main, stopping.clone()));
        tasks.spawn(serve_http(otlp_http, otlp, stopping.clone()));
        tasks.spawn(serve_grpc(otlp_grpc, grpc, stopping.clone()));
        if settings.self_telemetry {
            tasks.spawn(telemetry::store_own_metrics(metrics, pipeline, stopping));
        }
        Ok(Self { addresses, shard, stop, tasks })
    }

    /// Takes no new connection, lets requests end, flushes the head to the lake.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.stop.send_replace(true);
        let drained = tokio::time::timeout(DRAIN_MAX, async {
            while let Some(ended) = self.tasks.join_next().await {
                match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!("{}", error.chain()),
                    Err(error) => tracing::error!("a server task failed: {error}"),
                }
            }
        });
        if drained.await.is_err() {
            tracing::warn!("requests still open after {} s are cut", DRAIN_MAX.as_secs());
            self.tasks.abort_all();
        }
        self.shard.shutdown().await
    }
}

fn load_catalog(settings: &Settings) -> Result<Live> {
    Live::load(settings.catalog.clone()).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Error::invalid(format!("cannot use the catalogue:\n{}", lines.join("\n")))
    })
}

async fn bind(option: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        Error::unavailable(format!("cannot listen at {option}={address}; choose another with --{}", option.replace('_', "-")))
            .because(error)
    })
}

fn local(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(|error| Error::internal("cannot tell the address of a listener").because(error))
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the server itself is gone, which is a stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn serve_http(listener: TcpListener, router: axum::Router, stopping: watch::Receiver<bool>) -> Result<()> {
    axum::serve(listener, router)
        .with_graceful_shutdown(stopped(stopping))
        .await
        .map_err(|error| Error::unavailable("cannot serve HTTP").because(error))
}

async fn serve_grpc(listener: TcpListener, routes: tonic::service::Routes, stopping: watch::Receiver<bool>) -> Result<()> {
    tonic::transport::Server::builder()
        .add_routes(routes)
        .serve_with_incoming_shutdown(tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true)), stopped(stopping))
        .await
        .map_err(|error| Error::unavailable("cannot serve gRPC").because(error))
}

/// Listens from the call on, so that a signal right after the ready line ends the process in order.
pub(crate) fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("the system lets us listen to signals");
    let mut interrupt = signal(SignalKind::interrupt()).expect("the system lets us listen to signals");
    async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
