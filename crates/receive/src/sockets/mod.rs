//! Connections of protocols that are no HTTP: accepted under limits, with or without TLS ([`tls`]), until the server ends.

pub(crate) mod tls;

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use tls::{Tls, TlsFiles};

/// Of one port; further ones are closed at once, and counted.
const CONNECTIONS_MAX: usize = 4096;

/// For a client to agree on keys.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// After the system refused a connection, most often because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Becomes true when the server ends.
pub(crate) type Stopping = watch::Receiver<bool>;

pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// A connection, encrypted or not.
pub(crate) type Stream = Box<dyn Duplex>;

/// Hands every connection to `handle`; returns when the server ends and all of them have.
pub(crate) async fn serve<F>(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    port: &'static str,
    stopping: Stopping,
    handle: impl Fn(Stream, IpAddr) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let mut connections = JoinSet::new();
    let mut stop = pin!(stopped(stopping));
    loop {
        metrics::gauge!("tyto_receive_connections", "port" => port).set(connections.len() as f64);
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) if connections.len() < CONNECTIONS_MAX => {
                let (tls, handle) = (tls.clone(), handle.clone());
                let _ = stream.set_nodelay(true);
                let peer = peer.ip().to_canonical();
                connections.spawn(async move {
                    match agreed(stream, tls).await {
                        Ok(stream) => handle(stream, peer).await,
                        Err(error) => {
                            metrics::counter!("tyto_receive_tls_failures_total", "port" => port).increment(1);
                            // Any scanner of ports can make this happen, and as often as it likes.
                            tracing::debug!("cannot agree on TLS with {peer} at {port}: {error}");
                        }
                    }
                });
            }
            Ok(_) => metrics::counter!("tyto_receive_connections_refused_total", "port" => port).increment(1),
            Err(error) => {
                tracing::warn!("cannot accept a connection at {port}: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn agreed(stream: TcpStream, tls: Option<Arc<Tls>>) -> io::Result<Stream> {
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    match timeout(HANDSHAKE_MAX, tls.acceptor().accept(stream)).await {
        Ok(stream) => Ok(Box::new(stream?)),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Returns when the server ends.
pub(crate) async fn stopped(mut stopping: Stopping) {
    // An error means that the server itself is gone, which is a stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Lets a thing be said once in ten seconds: what peers do wrong they do all the time.
#[derive(Debug, Default)]
pub(crate) struct Seldom(AtomicI64);

impl Seldom {
    const NANOS: i64 = 10_000_000_000;

    pub(crate) fn may(&self, now_unix_nano: i64) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        now_unix_nano.saturating_sub(last) >= Self::NANOS
            && self.0.compare_exchange(last, now_unix_nano, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
