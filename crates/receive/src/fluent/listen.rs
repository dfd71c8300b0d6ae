//! Forward's port: `HELO` and `PING` where a key is asked for, then messages, each acknowledged once it is durable.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use model::{Ack, Code, Error, Result};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::decode::decode_fluent;
use super::handshake::{FluentSecurity, Handshake};
use super::msgpack::Scanner;
use crate::body::{Held, Share};
use crate::otlp::DeltaState;
use crate::outcome::{Rules, unreadable};
use crate::sockets::{self, Seldom, Stopping, Stream, Tls, stopped};
use crate::state::{Receivers, count_request, http_status, retry_after_seconds, summary};

const PROTOCOL: &str = "fluent_forward";
/// Without a byte of a message that has begun, or of the handshake.
const MESSAGE_IDLE_MAX: Duration = Duration::from_secs(60);
/// Without a message. Senders connect anew when they have something to say.
const IDLE_MAX: Duration = Duration::from_secs(3600);
/// For a client to take an acknowledgement.
const WRITE_MAX: Duration = Duration::from_secs(60);
/// How long a batch that is told to come back is tried, before its sender is left to send it again.
const STORE_MAX: Duration = Duration::from_secs(60);
const READ_BYTES: usize = 16 << 10;
/// A connection that holds more is counted by the budget of all requests.
const UNCOUNTED_BYTES: usize = 64 << 10;
/// Messages that came together are stored together, up to this or the first that is larger.
const GROUP_BYTES: usize = 4 << 20;
const PING_BYTES_MAX: usize = 8 << 10;

/// Answers each datagram by one, as Fluentd does: clients look so whether a server is there.
pub async fn answer_heartbeats(socket: UdpSocket, stopping: Stopping) {
    let (mut datagram, mut stop) = ([0; 16], pin!(stopped(stopping)));
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut datagram) => received,
            () = &mut stop => return,
        };
        match received {
            // A client that does not hear it will ask again.
            Ok((_, from)) => drop(socket.send_to(&[0], from).await),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Returns when the server ends and what was begun is stored. `security`: what clients must know, if anything.
pub async fn serve_fluent(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    security: Option<Arc<FluentSecurity>>,
    receivers: Receivers,
    stopping: Stopping,
) {
    let port = if tls.is_some() { "fluent_tls" } else { "fluent" };
    let seldom = Arc::new(Seldom::default());
    let handle = {
        let stopping = stopping.clone();
        move |stream, peer: IpAddr| {
            let mut connection = Connection {
                stream,
                scanner: Scanner::new(receivers.limits.depth_max),
                buffer: BytesMut::new(),
                share: receivers.budget.share(),
                receivers: receivers.clone(),
                stopping: stopping.clone(),
                seldom: seldom.clone(),
            };
            let security = security.clone();
            async move {
                if let Err(error) = connection.run(security.as_deref()).await {
                    metrics::counter!("tyto_receive_connections_broken_total", "port" => port, "reason" => reason(&error)).increment(1);
                    if connection.seldom.may((connection.receivers.clock)()) {
                        tracing::warn!("connection of {peer} at {port} is closed: {}", error.chain());
                    }
                }
            }
        }
    };
    sockets::serve(listener, tls, port, stopping, handle).await;
}

fn reason(error: &Error) -> &'static str {
    match error.code {
        Code::Unauthenticated => "unauthenticated",
        Code::TooLarge => "too_large",
        Code::Timeout => "timeout",
        Code::Invalid => "invalid",
        _ => "not_stored",
    }
}

struct Connection {
    stream: Stream,
    scanner: Scanner,
    /// What has come and is not stored.
    buffer: BytesMut,
    /// Of the buffer, when it is large.
    share: Share,
    receivers: Receivers,
    stopping: Stopping,
    seldom: Arc<Seldom>,
}

impl Connection {
    async fn run(&mut self, security: Option<&FluentSecurity>) -> Result<()> {
        if let Some(security) = security {
            self.greet(security).await?;
        }
        loop {
            let ends = self.whole()?;
            if !ends.is_empty() {
                self.store(&ends).await?;
            } else if !self.read(self.receivers.limits.body_bytes_max).await? {
                return Ok(());
            }
        }
    }

    async fn greet(&mut self, security: &FluentSecurity) -> Result<()> {
        let mut random = [0; 32];
        SystemRandom::new().fill(&mut random).map_err(|_| Error::internal("cannot draw a nonce"))?;
        let handshake = Handshake::new(security, random);
        self.write(&handshake.helo()).await?;
        let end = loop {
            if let Some(end) = self.scan(0)? {
                break end;
            }
            if !self.read(PING_BYTES_MAX).await? {
                return Ok(());
            }
        };
        let (answer, done) = handshake.pong(&self.buffer[..end]);
        self.buffer.advance(end);
        self.write(&answer).await?;
        done
    }

    /// Where messages that have come whole end, as far as they are stored together.
    fn whole(&mut self) -> Result<Vec<usize>> {
        let mut ends = Vec::new();
        let mut start = 0;
        while start < GROUP_BYTES
            && let Some(end) = self.scan(start)?
        {
            start += end;
            ends.push(start);
        }
        Ok(ends)
    }

    fn scan(&mut self, start: usize) -> Result<Option<usize>> {
        self.scanner.scan(&self.buffer[start..]).map_err(|malformed| unreadable("forwarded messages", malformed))
    }

    /// False when the client has closed, or the server ends.
    async fn read(&mut self, bytes_max: usize) -> Result<bool> {
        if self.buffer.len() > bytes_max {
            let why = format!("cannot accept message: it is over {bytes_max} bytes, which request_body_bytes_max sets");
            return Err(Error::new(Code::TooLarge, why));
        }
        self.buffer.reserve(READ_BYTES);
        let idle = if self.buffer.is_empty() { IDLE_MAX } else { MESSAGE_IDLE_MAX };
        let until = Instant::now() + idle;
        while self.buffer.capacity() > UNCOUNTED_BYTES
            && let Err(busy) = self.share.grow_to(self.buffer.capacity())
        {
            if retry_after_seconds(&busy).is_none() || Instant::now() >= until || *self.stopping.borrow() {
                return Err(busy);
            }
            sleep(Duration::from_millis(100)).await;
        }
        let read = tokio::select! {
            read = timeout_at(until, self.stream.read_buf(&mut self.buffer)) => read,
            () = stopped(self.stopping.clone()) => return Ok(false),
        };
        match read {
            Ok(Ok(bytes @ 1..)) => Ok(bytes > 0),
            Ok(_) if self.buffer.is_empty() => Ok(false),
            Ok(_) => Err(Error::invalid("cannot read message: the connection ended within it")),
            Err(_) if self.buffer.is_empty() => Ok(false),
            Err(_) => Err(Error::new(Code::Timeout, format!("cannot read message: nothing of it came for {idle:?}"))),
        }
    }

    /// Stores the messages that end there, together if that goes, and acknowledges what is durable.
    async fn store(&mut self, ends: &[usize]) -> Result<()> {
        let group = self.buffer.split_to(ends.last().copied().unwrap_or_default()).freeze();
        // What was held for all that came is held for the messages, by their own shares.
        self.share = self.receivers.budget.share();
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        match self.submit(group.clone()).await {
            Err(error) if ends.len() > 1 && retry_after_seconds(&error).is_none() => {
                // One that cannot be taken does not cost those that came with it.
                let mut start = 0;
                for end in ends {
                    let message = group.slice(start..*end);
                    start = *end;
                    self.submit(message).await?;
                }
                Ok(())
            }
            done => done,
        }
    }

    async fn submit(&mut self, messages: Bytes) -> Result<()> {
        let give_up = Instant::now() + STORE_MAX;
        let stored = loop {
            match try_submit(&self.receivers, messages.clone()).await {
                Err(error) if retry_after_seconds(&error).is_some() && Instant::now() < give_up && !*self.stopping.borrow() => {
                    sleep(Duration::from_secs(retry_after_seconds(&error).unwrap_or(1).min(5).into())).await;
                }
                done => break done,
            }
        };
        count_request(PROTOCOL, stored.as_ref().map_or_else(http_status, |_| StatusCode::OK).as_u16(), messages.len());
        let (ack, chunks) = stored?;
        // What is refused would be refused again: acknowledged, it is not sent for ever.
        if let (refused @ 1.., why) = summary(&ack.rejections)
            && self.seldom.may((self.receivers.clock)())
        {
            tracing::warn!("{refused} forwarded records were refused: {why}");
        }
        let answer: Vec<u8> = chunks.iter().flat_map(|chunk| [b"\x81\xa3ack", &chunk[..]].concat()).collect();
        self.write(&answer).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let written = timeout(WRITE_MAX, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        });
        match written.await {
            Ok(written) => written.map_err(|error| Error::new(Code::Cancelled, "cannot answer client").because(error)),
            Err(_) => Err(Error::new(Code::Timeout, format!("cannot answer client: it took nothing for {WRITE_MAX:?}"))),
        }
    }
}

async fn try_submit(receivers: &Receivers, messages: Bytes) -> Result<(Ack, Vec<Vec<u8>>)> {
    let mut share = receivers.budget.share();
    share.grow_to(messages.len())?;
    let held = Held { bytes: messages, share };
    let stored = receivers.to_the_end(async move |receivers| {
        let decode = |bytes: &[u8], rules: &Rules<'_>, _: &DeltaState| decode_fluent(bytes, rules);
        let (forwarded, share) = receivers.decode(PROTOCOL, held, decode, |forwarded| &forwarded.decoded).await?;
        let ack = receivers.submit(forwarded.decoded).await?;
        drop(share);
        Ok((ack, forwarded.chunks))
    });
    stored.await
}
