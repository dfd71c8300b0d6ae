//! HTTP over a socket under limits: how many connections, how long a client may take to ask and to take its answer.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tower::ServiceExt as _;

use crate::stop::stopped;

#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Of one port; further ones are closed at once, and counted.
    connections_max: usize,
    /// For the head of a request to arrive. HTTP/1 counts the time between two requests too, so senders that come once a
    /// minute keep their connection.
    head_read_max: Duration,
    /// Without a byte of an answer taken.
    write_idle_max: Duration,
}

pub(crate) const LIMITS: Limits =
    Limits { connections_max: 4096, head_read_max: Duration::from_secs(75), write_idle_max: Duration::from_secs(60) };

/// After the system refused a connection, most often because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Until `stopping`; then takes no new connection and returns when the last request has its answer.
pub(crate) async fn serve(listener: TcpListener, port: &'static str, router: Router, limits: Limits, stopping: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut stop = pin!(stopped(stopping.clone()));
    loop {
        metrics::gauge!("tyto_http_connections", "port" => port).set(connections.len() as f64);
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) if connections.len() < limits.connections_max => {
                connections.spawn(connection(stream, router.clone(), limits, stopping.clone()));
            }
            Ok(_) => metrics::counter!("tyto_http_connections_refused_total", "port" => port).increment(1),
            Err(error) => {
                tracing::warn!("cannot accept a connection at {port}: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Until the last answer, or until the connection becomes a WebSocket: that is its task's, still under [`Patient`].
async fn connection(stream: TcpStream, router: Router, limits: Limits, stopping: watch::Receiver<bool>) {
    // Answers are written whole; waiting to fill a packet only delays their end.
    let _ = stream.set_nodelay(true);
    let asked = Arc::new(Notify::new());
    let service = TowerToHyperService::new(router.map_request({
        let asked = asked.clone();
        move |request| {
            asked.notify_one();
            request
        }
    }));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head_read_max);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(limits.head_read_max);
    let mut served = pin!(builder.serve_connection_with_upgrades(TokioIo::new(Patient::new(stream, limits.write_idle_max)), service));

    // The server's own timer runs from when it knows which HTTP is spoken; a client that says too little for that is not
    // waited for either.
    let mut first = pin!(timeout(limits.head_read_max, asked.notified()));
    let mut stop = pin!(stopped(stopping));
    let (mut waiting, mut ending) = (true, false);
    loop {
        tokio::select! {
            // What fails here is one client's connection, which that client sees.
            _ = served.as_mut() => return,
            () = &mut stop, if !ending => {
                ending = true;
                served.as_mut().graceful_shutdown();
            }
            seen = &mut first, if waiting => match seen {
                Ok(()) => waiting = false,
                Err(_) => return,
            },
        }
    }
}

/// A stream that gives up on a peer which takes nothing for `idle`. Without it a client that stops reading holds its
/// connection and its answer for ever.
struct Patient<S> {
    inner: S,
    idle: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    fn new(inner: S, idle: Duration) -> Self {
        Self { inner, idle, stalled: None }
    }

    fn watched<T>(&mut self, context: &mut Context<'_>, progress: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.stalled = None;
            return progress;
        }
        let idle = self.idle;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(sleep(idle))).as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watched(context, progress)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        self.watched(context, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.inner).poll_flush(context);
        self.watched(context, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.inner).poll_shutdown(context);
        self.watched(context, progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const BRIEF: Duration = Duration::from_millis(50);

    async fn server(limits: Limits) -> (std::net::SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopping) = watch::channel(false);
        let router = Router::new().route("/", get(async || "yes"));
        (address, stop, tokio::spawn(serve(listener, "test", router, limits, stopping)))
    }

    /// Everything until the server closes.
    async fn exchange(address: std::net::SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).expect("text")
    }

    #[tokio::test]
    async fn a_client_that_never_asks_is_closed() {
        let (address, _stop, _task) = server(Limits { head_read_max: BRIEF, ..LIMITS }).await;
        // Nothing; what may become HTTP/2; half a head.
        for said in ["", "PRI * HT", "GET / HTTP/1.1\r\nhost: a\r\n"] {
            let answer = timeout(Duration::from_secs(10), exchange(address, said)).await.expect("closed");
            assert_eq!(answer, "", "{said:?}");
        }
        let answer = exchange(address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("yes"), "{answer}");
    }

    #[tokio::test]
    async fn connections_over_the_limit_are_closed_and_the_end_waits_for_the_others() {
        let (address, stop, task) = server(Limits { connections_max: 1, ..LIMITS }).await;
        let mut first = TcpStream::connect(address).await.expect("connected");
        first.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
        let mut start = [0; 8];
        first.read_exact(&mut start).await.expect("answered");
        assert_eq!(exchange(address, "").await, "");
        stop.send_replace(true);
        task.await.expect("an idle connection is closed");
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (near, far) = tokio::io::duplex(16);
        let mut patient = Patient::new(near, BRIEF);
        let refused = patient.write_all(&[0; 64]).await.expect_err("nobody reads");
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        drop(far);
    }
}
