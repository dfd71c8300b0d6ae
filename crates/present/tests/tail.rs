//! Loki's tail through a socket: what a client is told, and how it ends.

#![allow(clippy::unwrap_used)]

mod fake;

use std::net::SocketAddr;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

type Client = WebSocketStream<TcpStream>;

async fn serve(fixture: &str) -> (SocketAddr, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopping) = watch::channel(false);
    let (router, _) = fake::stopping_router(fixture, stopping);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, stop)
}

/// As logcli asks; the client, or the answer that is no upgrade.
async fn open(address: SocketAddr, headers: &str) -> Result<Client, String> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let path = "/loki/api/v1/tail?limit=30&query=%7Bapp%3D%22player%22%7D&start=1600000000000000000";
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: loki-logcli/3.5.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    if !head.starts_with("HTTP/1.1 101 ") {
        let length = head.to_ascii_lowercase().split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        return Err(head + &String::from_utf8(body).unwrap());
    }
    assert!(head.to_ascii_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    Ok(WebSocketStream::from_raw_socket(stream, Role::Client, None).await)
}

async fn next(client: &mut Client) -> Message {
    loop {
        let message = tokio::time::timeout(Duration::from_secs(20), client.next()).await.expect("a message").unwrap().unwrap();
        if !message.is_ping() {
            return message;
        }
    }
}

async fn text(client: &mut Client) -> Value {
    serde_json::from_str(next(client).await.to_text().unwrap()).unwrap()
}

async fn close(client: &mut Client) -> (u16, String) {
    loop {
        if let Message::Close(frame) = next(client).await {
            let frame = frame.unwrap();
            return (frame.code.into(), frame.reason.to_string());
        }
    }
}

/// Every line of messages until there are so many.
async fn lines(client: &mut Client, count: usize) -> (Vec<String>, Vec<Value>) {
    let (mut found, mut messages) = (Vec::new(), Vec::new());
    while found.len() < count {
        let message = text(client).await;
        for stream in message["streams"].as_array().unwrap() {
            found.extend(stream["values"].as_array().unwrap().iter().map(|value| value[0].as_str().unwrap().to_owned()));
        }
        messages.push(message);
    }
    (found, messages)
}

#[tokio::test]
async fn lines_that_were_there_come_first_and_what_was_skipped_is_said() {
    let (address, _stop) = serve("tail").await;
    let mut client = open(address, "").await.unwrap();
    let (mut found, messages) = lines(&mut client, 7).await;
    // Within a message lines are grouped by stream.
    found.sort();
    assert_eq!(found, ["10", "20", "25", "30", "40", "41", "42"]);
    let first = json!({"stream": {"app": "player", "level": "info", "trace_id": "ab"}, "values": [["10", "first"]]});
    assert_eq!(messages[0]["streams"][0], first);
    let told = messages.iter().find(|message| message.get("dropped_entries").is_some()).unwrap();
    assert_eq!(told["dropped_entries"], json!([{"labels": {}, "timestamp": "39"}]));
    assert_eq!(told["tyto"], json!({"dropped_lines": 0, "unread_rows": 7}));
    client.close(None).await.unwrap();
    assert!(matches!(next(&mut client).await, Message::Close(_)), "a farewell is answered");
}

#[tokio::test]
async fn labels_stand_apart_for_grafana() {
    let (address, _stop) = serve("tail").await;
    let mut client = open(address, "X-Loki-Response-Encoding-Flags: categorize-labels\r\n").await.unwrap();
    let message = text(&mut client).await;
    assert_eq!(message["encodingFlags"], json!(["categorize-labels"]));
    let first = json!(["10", "first", {"structuredMetadata": {"trace_id": "ab"}, "parsed": {"level": "info"}}]);
    assert_eq!((&message["streams"][0]["stream"], &message["streams"][0]["values"][0]), (&json!({"app": "player"}), &first));
}

#[tokio::test]
async fn every_end_has_its_code_and_its_reason() {
    for (fixture, code, reason) in [
        ("tail expires", 1011, "reached tail max duration limit".to_owned()),
        ("tail fails", 1011, "cannot read the lake".to_owned()),
        ("tail breaks", 1011, format!("cannot follow: {}", "é".repeat(54))),
        ("tail ends", 1001, "the server is shutting down".to_owned()),
    ] {
        let (address, _stop) = serve(fixture).await;
        assert_eq!(close(&mut open(address, "").await.unwrap()).await, (code, reason), "{fixture}");
    }
    let (address, stop) = serve("tail").await;
    let mut client = open(address, "").await.unwrap();
    stop.send_replace(true);
    assert_eq!(close(&mut client).await.0, 1001);
}

#[tokio::test]
async fn what_is_wrong_is_said_before_the_upgrade() {
    let (address, _stop) = serve("only metrics").await;
    let refused = open(address, "").await.err().unwrap();
    assert!(refused.starts_with("HTTP/1.1 400 ") && refused.ends_with("only log selector is supported"), "{refused}");
}

#[tokio::test]
async fn so_many_follow_at_once_and_who_leaves_makes_room() {
    let (address, _stop) = serve("tail").await;
    let (first, _second) = (open(address, "").await.unwrap(), open(address, "").await.unwrap());
    let refused = open(address, "").await.err().unwrap();
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("count > limit (3 > 2)"), "{refused}");
    drop(first);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while open(address, "").await.is_err() {
        assert!(std::time::Instant::now() < until, "the room of a client that went away is free again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// It reads nothing while forty megabytes come, and then everything.
#[tokio::test]
async fn a_client_that_is_slow_is_told_what_it_lost() {
    let (address, _stop) = serve("tail floods").await;
    let mut client = open(address, "").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (mut found, mut dropped, mut named) = (Vec::new(), 0, 0);
    while found.len() + dropped < 40_004 {
        let (lines, messages) = lines(&mut client, 1).await;
        found.extend(lines);
        dropped += messages.iter().map(|message| message["tyto"]["dropped_lines"].as_u64().unwrap_or(0) as usize).sum::<usize>();
        named += messages.iter().map(|message| message["dropped_entries"].as_array().map_or(0, Vec::len)).sum::<usize>();
    }
    assert!(dropped > 10_000 && (1..=dropped).contains(&named), "{dropped} {named}");
    assert_eq!(found.len() + dropped, 40_004);
    assert!(found.contains(&"40039".to_owned()), "the newest is there");
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len() + dropped, 40_004, "none comes twice");
    client.send(Message::Pong(bytes::Bytes::new())).await.unwrap();
}
