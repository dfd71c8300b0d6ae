//! Lines as they come, over a WebSocket.
//!
//! The question is asked before the handshake is answered, so what is wrong with it is an answer of HTTP; from then on
//! lines wait in a [`Backlog`], whatever the client does. Messages leave at most every [`MESSAGE_INTERVAL`], or when they are full.

use std::pin::pin;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use futures::{SinkExt, StreamExt};
use model::{Answered, Ask, Error, LogTail, Result};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::backlog::Backlog;
use super::query::{encoding, limit};
use super::{Failure, HOUR_NS};
use crate::error::mismatch;
use crate::params::Params;
use crate::state::{Shared, now_ns};
use crate::tails::Tails;
use crate::times;
use crate::websocket::{Handshake, WebSocket};

const MESSAGE_INTERVAL: Duration = Duration::from_millis(100);

/// A client that is there answers; one that is silent for so long has gone.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// For the last messages and the client's farewell.
const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// As Loki has it.
const DELAY_SECONDS_MAX: usize = 5;

/// Lines stamped further ahead than that are not among those that were there: clocks differ, and one that is a year ahead
/// must not fill the list. They are told when they come.
const AHEAD_MAX_NS: i64 = 600 * 1_000_000_000;

/// Bytes of the reason of an end.
const REASON_BYTES_MAX: usize = 123;

pub(super) async fn tail(State(state): State<Shared>, mut request: Request) -> Result<Response, Failure> {
    let encoding = encoding(request.headers());
    let params = Params::of_address(request.uri())?;
    let query = params.required("query")?.to_owned();
    let (limit, delay) = (limit(&params)?, delay(&params)?);
    let since = params.parsed("since", "duration", times::duration)?.map_or(HOUR_NS, times::as_nanos);
    let start_ns = params.parsed("start", "timestamp", times::loki_nanos)?;
    let handshake = Handshake::read(&mut request)?;
    let turn = state.tails.begin()?;
    let now_ns = now_ns();
    let (start_ns, end_ns) = (start_ns.unwrap_or_else(|| now_ns.saturating_sub(since)), now_ns.saturating_add(AHEAD_MAX_NS));
    let answer = state.ask(Ask::LogqlTail { query, start_ns, end_ns, limit }, None).await?;
    let Answered::Tail(tail) = answer.data else { return Err(mismatch("a tail").into()) };
    let (response, socket) = handshake.split();
    let tails = state.tails.clone();
    tokio::spawn(async move {
        let _turn = turn;
        match socket.await {
            Ok(socket) => follow(socket, tail, Backlog::new(encoding, delay), &tails).await,
            Err(error) => tracing::debug!(error = error.chain(), "a tail did not begin"),
        }
    });
    Ok(response)
}

fn delay(params: &Params) -> Result<Duration> {
    let seconds = params.count("delay_for")?.unwrap_or_default();
    match seconds <= DELAY_SECONDS_MAX {
        true => Ok(Duration::from_secs(seconds as u64)),
        false => Err(Error::invalid(format!("delay_for can't be greater than {DELAY_SECONDS_MAX}"))),
    }
}

/// Why a tail ends.
enum End {
    /// The client closed it, or is not there any more.
    Gone,
    Stopping,
    Expired,
    Failed(Error),
}

impl End {
    /// The label `end` of the counter.
    fn name(&self) -> &'static str {
        match self {
            Self::Gone => "client",
            Self::Stopping => "shutdown",
            Self::Expired => "duration",
            Self::Failed(_) => "error",
        }
    }

    /// What the client is told, with Loki's words where Loki has some: its clients begin anew after those.
    fn farewell(&self) -> Option<Message> {
        let (code, reason) = match self {
            Self::Gone => return None,
            Self::Stopping => (CloseCode::Away, "the server is shutting down".to_owned()),
            Self::Expired => (CloseCode::Error, "reached tail max duration limit".to_owned()),
            Self::Failed(error) => (CloseCode::Error, error.chain()),
        };
        let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
        Some(Message::Close(Some(CloseFrame { code, reason: reason.into() })))
    }
}

async fn follow(socket: WebSocket, tail: LogTail, mut backlog: Backlog, tails: &Tails) {
    let (mut sink, mut said) = socket.split();
    // One message waits while another is written: all further ones wait as lines.
    let (messages, mut waiting) = mpsc::channel(1);
    let mut writer = pin!(async move {
        while let Some(message) = waiting.recv().await {
            sink.send(message).await?;
        }
        sink.flush().await
    });
    let end = tokio::select! {
        // What fails here is the client's connection.
        _ = &mut writer => End::Gone,
        () = tails.stopped() => End::Stopping,
        () = sleep(tails.duration_max) => End::Expired,
        () = listen(&mut said) => End::Gone,
        end = tell(tail, &mut backlog, &messages) => end,
    };
    metrics::counter!("tyto_log_tails_ended_total", "end" => end.name()).increment(1);
    if let End::Failed(error) = &end {
        tracing::warn!(error = error.chain(), "tail broken off");
    }
    let Some(farewell) = end.farewell() else { return };
    let last = async move {
        while !matches!(end, End::Failed(_)) && backlog.is_ready(i64::MAX) {
            messages.send(text(&mut backlog, i64::MAX)).await.ok();
        }
        messages.send(farewell).await.ok();
    };
    let all = async {
        let ((), _) = tokio::join!(last, writer);
        while let Some(Ok(_)) = said.next().await {}
    };
    // A client that does not take its leave is left.
    let _ = timeout(FAREWELL_MAX, all).await;
}

/// Returns when the client has closed the connection, or is silent for too long. What it says means nothing.
async fn listen(said: &mut futures::stream::SplitStream<WebSocket>) {
    // Behind a client's farewell comes the end: to look for it is what answers the farewell.
    while let Ok(Some(Ok(_))) = timeout(SILENCE_MAX, said.next()).await {}
}

/// Tells the client what was there and what comes.
async fn tell(tail: LogTail, backlog: &mut Backlog, messages: &mpsc::Sender<Message>) -> End {
    let LogTail { mut stored, mut arriving } = tail;
    let mut ticks = interval(MESSAGE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pinged = Instant::now();
    // Whether what was there is known, and whether a message may leave.
    let (mut begun, mut due) = (false, false);
    loop {
        let now = now_ns();
        tokio::select! {
            room = messages.reserve(), if due && backlog.is_ready(now) => {
                let Ok(room) = room else { return End::Gone };
                room.send(text(backlog, now));
                due = backlog.is_full();
            }
            read = &mut stored, if !begun => match read {
                Ok(streams) => {
                    backlog.begin(streams);
                    (begun, due) = (true, true);
                }
                Err(error) => return End::Failed(error),
            },
            arrival = arriving.next() => match arrival {
                Some(Ok(arrival)) => {
                    backlog.add(arrival, now);
                    due |= begun && backlog.is_full();
                    // A flood must not keep the writer from its turn.
                    yield_now().await;
                }
                Some(Err(error)) => return End::Failed(error),
                None => return End::Stopping,
            },
            _ = ticks.tick() => {
                due = begun;
                if pinged.elapsed() >= PING_INTERVAL && messages.try_send(Message::Ping(bytes::Bytes::new())).is_ok() {
                    pinged = Instant::now();
                }
            }
        }
    }
}

fn text(backlog: &mut Backlog, now_ns: i64) -> Message {
    Message::text(backlog.message(now_ns))
}
