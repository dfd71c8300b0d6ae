//! Start, readiness and an orderly end.

use std::collections::HashMap;
use std::fmt;
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use model::{Code, Error, Result};
use present::Admin as _;
use store::Shard;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::http;
use crate::options::{ServeOptions, Settings};
use crate::patterns;
use crate::stop::{Stop, listen_to, stopped};
use crate::telemetry::{self, Metrics};
use crate::wiring::{self, Admin, Declared};

/// How long requests under way may take once the end is asked for.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// A gRPC sender that has vanished without a word is noticed.
const GRPC_PING_EVERY: Duration = Duration::from_secs(60);

/// Connections that the system keeps for us until they are accepted.
const BACKLOG: u32 = 1024;

pub(crate) async fn run(options: ServeOptions) -> Result<()> {
    let mut stop = Stop::listen();
    let hangup = listen_to(SignalKind::hangup());
    let Some(mut server) = Server::start(options.resolve()?, &mut stop).await? else { return Ok(()) };
    server.reload_on(hangup);
    println!("tyto ready {}", server.addresses);
    std::io::stdout().flush().map_err(|error| Error::unavailable("cannot write to stdout").because(error))?;
    let ended = server.until(stop.asked()).await;
    let stopped = server.stop(&mut stop).await;
    ended.and(stopped)
}

#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) otlp_grpc: SocketAddr,
    pub(crate) otlp_http: SocketAddr,
    /// Of ports that are there only when they are asked for.
    pub(crate) others: Vec<(&'static str, SocketAddr)>,
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { http, otlp_grpc, otlp_http, others } = self;
        write!(f, "http={http} otlp_grpc={otlp_grpc} otlp_http={otlp_http}")?;
        others.iter().try_for_each(|(name, address)| write!(f, " {name}={address}"))
    }
}

/// A server that answers; [`Self::stop`] ends it without losing anything.
pub(crate) struct Server {
    pub(crate) addresses: Addresses,
    shard: Arc<Shard>,
    admin: Arc<Admin>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<()>>,
}

impl Server {
    /// None when the end is asked for before all is open.
    pub(crate) async fn start(settings: Settings, stop: &mut Stop) -> Result<Option<Self>> {
        // On a thread of its own: a long recovery must not keep the signal from being heard.
        let opening = tokio::spawn(Self::open(settings));
        tokio::select! {
            opened = opening => opened.map_err(|panic| Error::internal("cannot start: the start broke off").because(panic))?.map(Some),
            () = stop.asked() => Ok(None),
        }
    }

    async fn open(settings: Settings) -> Result<Self> {
        // Addresses first: one that is taken is said before a store is opened. Nobody listens there until it is open, so
        // whoever comes early is refused at once instead of waiting.
        let http = bind("http", settings.http)?;
        let otlp_grpc = bind("otlp_grpc", settings.otlp_grpc)?;
        let otlp_http = bind("otlp_http", settings.otlp_http)?;
        let mut own_ports = HashMap::new();
        for (option, address) in settings.own_ports() {
            own_ports.insert(option, bind(option, address)?);
        }
        let wire = settings.wire.bind()?;
        let mut others = wire.addresses()?;
        for (option, _) in settings.own_ports() {
            others.push((option, local(&own_ports[option])?));
        }
        let addresses = Addresses { http: local(&http)?, otlp_grpc: local(&otlp_grpc)?, otlp_http: local(&otlp_http)?, others };

        let metrics = Metrics::install();
        let declared = Declared::read(&settings)?;
        let shard = Shard::open(settings.storage.shard("default", &settings.data_dir)?).await?;
        let (stop, stopping) = watch::channel(false);
        let registry = wiring::registry(&settings, shard.clone()).await?;
        let wired = wiring::wire(&settings, declared, registry.clone(), shard, metrics.clone(), stopping.clone());

        let mut tasks = JoinSet::new();
        tasks.spawn(registry.run(stopping.clone()));
        tasks.spawn(patterns::keep(wired.patterns, settings.data_dir.clone(), stopping.clone()));
        tasks.spawn(metrics.clone().keep_up(stopping.clone()));
        tasks.spawn(serve_http(listen(http, "http", settings.http)?, "http", wired.http, stopping.clone()));
        tasks.spawn(serve_http(listen(otlp_http, "otlp_http", settings.otlp_http)?, "otlp_http", wired.otlp_http, stopping.clone()));
        if let (Some(socket), Some(address)) = (own_ports.remove("jaeger_grpc"), settings.jaeger_grpc) {
            tasks.spawn(serve_grpc(listen(socket, "jaeger_grpc", address)?, wired.otlp_grpc.clone(), stopping.clone()));
        }
        tasks.spawn(serve_grpc(listen(otlp_grpc, "otlp_grpc", settings.otlp_grpc)?, wired.otlp_grpc, stopping.clone()));
        for (option, address, router) in wired.own_ports {
            let Some(socket) = own_ports.remove(option) else { continue };
            tasks.spawn(serve_http(listen(socket, option, address)?, option, router, stopping.clone()));
        }
        wire.serve(&wired.receivers, &stopping, &mut tasks)?;
        tasks.spawn(async move {
            wired.tails.ended().await;
            Ok(())
        });
        if let Some(scraper) = wired.scraper {
            let stopping = stopping.clone();
            tasks.spawn(async move {
                stopped(stopping).await;
                scraper.stop().await;
                Ok(())
            });
        }
        if let Some(cloudwatch) = wired.cloudwatch {
            let stopping = stopping.clone();
            tasks.spawn(async move {
                stopped(stopping).await;
                cloudwatch.stop().await;
                Ok(())
            });
        }
        if let Some(notifier) = wired.notifier {
            tasks.spawn(notifier.run(stopping.clone()));
        }
        if let Some((feed, options)) = wired.feed {
            tasks.spawn(feed.run(options, wiring::now_ms(), wired.pipeline.clone(), stopping.clone()));
        }
        tasks.spawn(tell_metrics(wired.pipeline.clone(), stopping.clone()));
        if settings.self_telemetry {
            tasks.spawn(telemetry::store_own_metrics(metrics, wired.pipeline, stopping));
        }
        Ok(Self { addresses, shard: wired.shard, admin: wired.admin, stop, tasks })
    }

    /// Reads the catalogue and the scrape configuration again at each signal, as `POST /-/reload` does.
    fn reload_on(&mut self, mut hangup: Signal) {
        let (admin, stopping) = (self.admin.clone(), self.stop.subscribe());
        self.tasks.spawn(async move {
            let mut stop = pin!(stopped(stopping));
            loop {
                tokio::select! {
                    _ = hangup.recv() => {}
                    () = &mut stop => return Ok(()),
                }
                let admin = admin.clone();
                match tokio::task::spawn_blocking(move || admin.reload()).await {
                    Ok(Ok(())) => tracing::info!("catalogue and configurations are read again"),
                    Ok(Err(error)) => tracing::error!("what cannot be used is not taken; what was in force stays: {}", error.chain()),
                    Err(panic) => tracing::error!("cannot reload: {panic}"),
                }
            }
        });
    }

    /// Until `stop`, or until a part of the server ends, which none does by itself.
    pub(crate) async fn until(&mut self, stop: impl Future<Output = ()>) -> Result<()> {
        tokio::select! {
            () = stop => Ok(()),
            Some(ended) = self.tasks.join_next() => {
                ended.map_err(|panic| Error::internal("cannot serve on: a part of the server broke off").because(panic))??;
                Err(Error::internal("cannot serve on: a part of the server ended"))
            }
        }
    }

    /// Takes no new connection, lets requests end, flushes the head to the lake; a second signal ends it at once.
    pub(crate) async fn stop(self, stop: &mut Stop) -> Result<()> {
        tokio::select! {
            ended = self.drain() => ended,
            () = stop.asked() => Err(Error::new(
                Code::Cancelled,
                "cannot end in order: a second signal came first. Nothing acknowledged is lost, the next start reads the log",
            )),
        }
    }

    async fn drain(mut self) -> Result<()> {
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

/// The address is ours, and nobody can connect to it yet.
pub(crate) fn bind(option: &str, address: SocketAddr) -> Result<TcpSocket> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // The connections of a process that has just ended do not keep the next one from starting.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    };
    bound().map_err(|error| cannot_listen(option, address, error))
}

pub(crate) fn listen(socket: TcpSocket, option: &str, address: SocketAddr) -> Result<TcpListener> {
    socket.listen(BACKLOG).map_err(|error| cannot_listen(option, address, error))
}

pub(crate) fn cannot_listen(option: &str, address: SocketAddr, error: std::io::Error) -> Error {
    let flag = option.replace('_', "-");
    Error::unavailable(format!("cannot listen at {option}={address}; choose another with --{flag}")).because(error)
}

pub(crate) fn local(socket: &TcpSocket) -> Result<SocketAddr> {
    socket.local_addr().map_err(|error| Error::internal("cannot tell the address of a socket").because(error))
}

/// Metrics that pipelines count from log records, until the end and once more.
async fn tell_metrics(pipeline: Arc<pipeline::Pipeline>, stopping: watch::Receiver<bool>) -> Result<()> {
    let mut stop = pin!(stopped(stopping));
    loop {
        let ends = tokio::select! {
            () = tokio::time::sleep(pipeline::TOLD_EVERY) => false,
            () = &mut stop => true,
        };
        if let Err(error) = pipeline.tell_metrics().await {
            tracing::warn!("cannot store metrics of log records, they are told with the next: {}", error.chain());
        }
        if ends {
            return Ok(());
        }
    }
}

async fn serve_http(listener: TcpListener, port: &'static str, router: axum::Router, stopping: watch::Receiver<bool>) -> Result<()> {
    http::serve(listener, port, router, http::LIMITS, stopping).await;
    Ok(())
}

async fn serve_grpc(listener: TcpListener, routes: tonic::service::Routes, stopping: watch::Receiver<bool>) -> Result<()> {
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(GRPC_PING_EVERY))
        .add_routes(routes)
        .serve_with_incoming_shutdown(tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true)), stopped(stopping))
        .await
        .map_err(|error| Error::unavailable("cannot serve gRPC").because(error))
}
