//! Syslog's ports.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::{Instant, sleep, timeout_at};

use super::frame::{Framer, Step, trimmed};
use super::queue::{Chunk, Queue, queue, refuse};
use crate::body::Share;
use crate::sockets::{self, Seldom, Stopping, Stream, Tls, stopped};
use crate::state::Receivers;

pub(super) const PROTOCOL: &str = "syslog";

/// For a message that has begun to come whole.
const MESSAGE_TIME_MAX: Duration = Duration::from_secs(60);
/// Without a message. Senders look whether they are still connected before they send the next.
const IDLE_MAX: Duration = Duration::from_secs(3600);
/// Read at one time; also what an idle connection may keep.
const READ_BYTES: usize = 16 << 10;
/// A connection that holds more is counted by the budget of all requests.
const UNCOUNTED_BYTES: usize = 64 << 10;

/// After the system refused to receive, which it does when it has no memory.
const RECEIVE_PAUSE: Duration = Duration::from_millis(100);

/// A datagram is a message. Returns when the server ends and what came is stored.
pub async fn serve_syslog_udp(socket: UdpSocket, receivers: Receivers, stopping: Stopping) {
    let (queue, batches) = queue();
    let storing = batches.store(receivers.clone(), stopping.clone());
    let counting = count_dropped(socket.local_addr().map_or(0, |address| address.port()), stopping.clone());
    tokio::join!(take_datagrams(socket, queue, receivers, stopping), storing, counting);
}

/// Counts what the system drops when nobody reads fast enough: its own count, of Linux.
async fn count_dropped(port: u16, stopping: Stopping) {
    const EVERY: Duration = Duration::from_secs(5);
    let mut stop = pin!(stopped(stopping));
    loop {
        let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
        let dropped = tables.iter().map(|table| dropped_at(table, port)).sum();
        metrics::counter!("tyto_receive_datagrams_dropped_total", "port" => "syslog_udp").absolute(dropped);
        tokio::select! {
            () = sleep(EVERY) => {}
            () = &mut stop => return,
        }
    }
}

/// The last column of the port's sockets; the second is address and port in hex.
fn dropped_at(table: &str, port: u16) -> u64 {
    let local = format!(":{port:04X}");
    let sockets = table.lines().filter(|line| line.split_ascii_whitespace().nth(1).is_some_and(|address| address.ends_with(&local)));
    sockets.filter_map(|line| line.split_ascii_whitespace().next_back()?.parse::<u64>().ok()).sum()
}

/// Reads as fast as it can and never waits for the store: what the system cannot keep for us nobody counts.
async fn take_datagrams(socket: UdpSocket, queue: Queue, receivers: Receivers, stopping: Stopping) {
    /// The largest datagram.
    const DATAGRAM_BYTES_MAX: usize = 64 << 10;
    let (mut datagram, seldom) = (vec![0; DATAGRAM_BYTES_MAX], Seldom::default());
    let mut stop = pin!(stopped(stopping));
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut datagram) => received,
            () = &mut stop => return,
        };
        let (mut chunk, mut next) = (Chunk::default(), None);
        match received {
            Ok(received) => next = Some(received),
            Err(error) => {
                tracing::warn!("cannot receive datagrams at syslog_udp: {error}");
                sleep(RECEIVE_PAUSE).await;
            }
        }
        while let Some((len, from)) = next {
            let message = trimmed(&datagram[..len]);
            if !message.is_empty() {
                chunk.push(message, canonical(from));
            }
            next = if chunk.is_full() { None } else { socket.try_recv_from(&mut datagram).ok() };
        }
        let messages = chunk.messages();
        if messages > 0 && !queue.try_put(chunk) {
            refuse(messages, "queue_full");
            if seldom.may((receivers.clock)()) {
                tracing::warn!("syslog datagrams are lost: they come faster than they are stored");
            }
        }
    }
}

fn canonical(from: SocketAddr) -> IpAddr {
    from.ip().to_canonical()
}

/// Returns when the server ends and what came is stored.
pub async fn serve_syslog_tcp(listener: TcpListener, tls: Option<Arc<Tls>>, receivers: Receivers, stopping: Stopping) {
    let port = if tls.is_some() { "syslog_tls" } else { "syslog_tcp" };
    let (queue, batches) = queue();
    let storing = batches.store(receivers.clone(), stopping.clone());
    let seldom = Arc::new(Seldom::default());
    let handle = {
        let stopping = stopping.clone();
        move |stream, peer| {
            let connection = Connection {
                stream,
                peer,
                queue: queue.clone(),
                framer: Framer::new(receivers.limits.value_bytes_max),
                buffer: BytesMut::new(),
                share: receivers.budget.share(),
                receivers: receivers.clone(),
            };
            let (receivers, seldom, stopping) = (receivers.clone(), seldom.clone(), stopping.clone());
            async move {
                if let Err(end) = connection.run(stopping).await {
                    refuse(1, end.reason());
                    if seldom.may((receivers.clock)()) {
                        tracing::warn!("cannot read on from {peer} at {port}: {}", end.told());
                    }
                }
            }
        }
    };
    // The queue's last senders are in `handle`, which ends with the serving.
    tokio::join!(sockets::serve(listener, tls, port, stopping, handle), storing);
}

struct Connection {
    stream: Stream,
    peer: IpAddr,
    queue: Queue,
    framer: Framer,
    /// What has come and is not framed.
    buffer: BytesMut,
    /// Of the buffer, when it is large.
    share: Share,
    receivers: Receivers,
}

/// Why a connection is closed with something in it unread.
enum End {
    NotSyslog,
    Slow,
    Half,
    NoMemory,
}

impl End {
    fn reason(&self) -> &'static str {
        match self {
            Self::NotSyslog => "not_syslog",
            Self::Slow => "message_too_slow",
            Self::Half => "message_cut_off",
            Self::NoMemory => "no_memory",
        }
    }

    fn told(&self) -> String {
        match self {
            Self::NotSyslog => "a message is announced with an impossible length: this is not syslog".to_owned(),
            Self::Slow => format!("a message took over {MESSAGE_TIME_MAX:?} to come"),
            Self::Half => "it ended within a message".to_owned(),
            Self::NoMemory => "all requests under way together take inflight_bytes_max".to_owned(),
        }
    }
}

impl Connection {
    async fn run(mut self, stopping: Stopping) -> Result<(), End> {
        let mut stop = pin!(stopped(stopping));
        // When the message that is under way began to come.
        let mut begun: Option<Instant> = None;
        loop {
            self.buffer.reserve(READ_BYTES);
            if self.buffer.capacity() > UNCOUNTED_BYTES {
                self.share.grow_to(self.buffer.capacity()).map_err(|_| End::NoMemory)?;
            }
            let give_up = begun.map_or_else(|| Instant::now() + IDLE_MAX, |begun| begun + MESSAGE_TIME_MAX);
            let read = tokio::select! {
                read = timeout_at(give_up, self.stream.read_buf(&mut self.buffer)) => read,
                () = &mut stop => return Ok(()),
            };
            match read {
                // A connection that breaks off has said what it has said.
                Ok(Ok(0) | Err(_)) => return self.last().await,
                Ok(Ok(_)) => {}
                Err(_) if begun.is_none() => return Ok(()),
                Err(_) => return self.last().await.map_err(|_| End::Slow),
            }
            let framed = self.frame().await?;
            if self.buffer.is_empty() {
                begun = None;
                if self.buffer.capacity() > UNCOUNTED_BYTES {
                    (self.buffer, self.share) = (BytesMut::new(), self.receivers.budget.share());
                }
            } else if framed || begun.is_none() {
                begun = Some(Instant::now());
            }
        }
    }

    /// Hands on what has come whole; tells whether that was anything.
    async fn frame(&mut self) -> Result<bool, End> {
        let (mut chunk, mut used, mut any) = (Chunk::default(), 0, false);
        let ended = loop {
            let (step, bytes) = self.framer.next(&self.buffer[used..]);
            match step {
                Step::Message(b"") => {}
                Step::Message(message) => chunk.push(message, self.peer),
                Step::TooLong => refuse(1, "message_too_long"),
                Step::More => {
                    used += bytes;
                    break Ok(());
                }
                Step::NotSyslog => break Err(End::NotSyslog),
            }
            any = true;
            used += bytes;
        };
        self.buffer.advance(used);
        if chunk.messages() > 0 {
            self.queue.put(chunk).await;
        }
        ended.map(|()| any)
    }

    async fn last(&mut self) -> Result<(), End> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let message = self.framer.last(&self.buffer).ok_or(End::Half)?;
        let mut chunk = Chunk::default();
        chunk.push(message, self.peer);
        self.buffer.clear();
        self.queue.put(chunk).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::logs::LogsView;
    use model::{Ack, Code, Decoded, Error, Ingest, ReceiveLimits};
    use parking_lot::Mutex;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;
    use tokio::sync::watch;

    use super::*;

    /// Keeps what comes, batch by batch; the first tries are told to come back.
    struct Kept {
        busy: Mutex<usize>,
        batches: Mutex<Vec<Vec<String>>>,
    }

    #[async_trait::async_trait]
    impl Ingest<Decoded> for Kept {
        async fn ingest(&self, batch: Decoded) -> model::Result<Ack> {
            let mut busy = self.busy.lock();
            if *busy > 0 {
                *busy -= 1;
                return Err(Error::new(Code::Overloaded { retry_after_seconds: 1 }, "cannot accept more"));
            }
            let rows = batch.rows().expect("canonical");
            let view = LogsView::of(&rows).expect("canonical");
            self.batches.lock().push((0..rows.num_rows()).map(|row| view.body.value(row).to_owned()).collect());
            Ok(Ack::default())
        }
    }

    #[tokio::test]
    async fn many_messages_are_few_batches_in_their_order_and_none_is_lost() {
        let kept = Arc::new(Kept { busy: Mutex::new(1), batches: Mutex::default() });
        let receivers = Receivers::new(kept.clone(), ReceiveLimits::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(serve_syslog_tcp(listener, None, receivers, stopping));
        const SENDERS: usize = 4;
        const EACH: usize = 500;
        let senders = (0..SENDERS).map(|sender| async move {
            let mut stream = TcpStream::connect(address).await.expect("connected");
            for number in 0..EACH {
                stream.write_all(format!("<13>1 - - - - - - {sender} {number}\n").as_bytes()).await.expect("sent");
                tokio::task::yield_now().await;
            }
        });
        futures::future::join_all(senders).await;
        let count = || kept.batches.lock().iter().map(Vec::len).sum::<usize>();
        let done = tokio::time::timeout(Duration::from_secs(60), async {
            while count() < SENDERS * EACH {
                sleep(Duration::from_millis(5)).await;
            }
        });
        done.await.expect("all are stored");
        stop.send_replace(true);
        serving.await.expect("it ends");
        let batches = kept.batches.lock();
        assert!(batches.len() < SENDERS * EACH / 4, "{} batches", batches.len());
        for sender in 0..SENDERS {
            let prefix = format!("{sender} ");
            let numbers: Vec<_> = batches.iter().flatten().filter_map(|body| body.strip_prefix(&prefix)).collect();
            assert_eq!(numbers, (0..EACH).map(|number| number.to_string()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_the_system_dropped_is_read_from_its_table() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            1234: 0100007F:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 99 2 0000000000000000 17\n\
            1235: 0100007F:0203 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 98 2 0000000000000000 5\n";
        assert_eq!([0x202, 0x203, 0x204].map(|port| dropped_at(table, port)), [17, 5, 0]);
    }
}
