//! Whom a span calls, as the map names it, by OpenTelemetry's semantic conventions and by the older ones that instrumentations still
//! write. The service graph keeps Tempo's names (`graph.rs`).
//!
//! What AWS runs is named as AWS does (`dynamodb.amazonaws.com`), whatever the account, the region and the table: one SDK tells the
//! host that it asks, another none, and a third calls the table a namespace. Refused: the host, which would make one database three.
//! Sources: <https://opentelemetry.io/docs/specs/semconv/db/dynamodb/>, <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/>.

use super::asked::{Key, key, keys};
use super::minutes::Place;
use super::span::Span;

/// Where the name of a side is that sends no spans.
const NAMES: [Key; 2] = keys(["peer.service", "service.peer.name"]);
const HOSTS: [Key; 3] = keys(["server.address", "net.peer.name", "http.host"]);
const URLS: [Key; 2] = keys(["url.full", "http.url"]);
const PEERS: [Key; 2] = keys(["network.peer.address", "net.peer.ip"]);

const QUEUES: [Key; 7] = keys([
    "messaging.destination.name",
    "messaging.destination",
    "messaging.rabbitmq.destination.routing_key",
    "messaging.rabbitmq.routing_key",
    "server.address",
    "net.peer.name",
    "messaging.system",
]);
const OPERATIONS: [Key; 3] = keys(["messaging.operation.type", "messaging.operation", "messaging.operation.name"]);
const MESSAGING_SYSTEM: Key = key("messaging.system");
const MESSAGES: Key = key("messaging.batch.message_count");
const RPC_SYSTEMS: [Key; 2] = keys(["rpc.system", "rpc.system.name"]);
const RPC_SERVICE: Key = key("rpc.service");
const RPC_METHOD: Key = key("rpc.method");
const DATABASES: [Key; 2] = keys(["db.system.name", "db.system"]);
const PORT: Key = key("network.peer.port");

/// The other side of a span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Called {
    Database(Box<str>),
    /// A message goes into it.
    Sends(Box<str>),
    /// Messages are asked for; none came of it where the flag is false.
    Receives(Box<str>, bool),
    External(Box<str>),
    /// Something is done to a queue, and no message goes in or out: it is asked for its address, a message is forgotten.
    Manages,
    #[default]
    Unknown,
}

impl Called {
    /// Of a span of a client or a producer. `databases` are the attributes that only calls of databases have.
    pub(crate) fn by(span: Span<'_>, databases: &[Key]) -> Self {
        if let Some(name) = database(span, databases) {
            return Self::Database(name);
        }
        if span.kind() == "producer" {
            return first(span, &QUEUES).map_or(Self::Unknown, |queue| Self::Sends(queue.into()));
        }
        match exchange(span) {
            Some(Exchange::Sends) => first(span, &QUEUES).map_or(Self::Unknown, |queue| Self::Sends(queue.into())),
            Some(Exchange::Receives) => Self::receives(span),
            Some(Exchange::Processes | Exchange::Manages) => Self::Manages,
            None => external(span).map_or(Self::Unknown, Self::External),
        }
    }

    /// Of a span that asks a queue for messages.
    fn receives(span: Span<'_>) -> Self {
        let is_empty = span.own(MESSAGES) == Some("0");
        first(span, &QUEUES).map_or(Self::Manages, |queue| Self::Receives(queue.into(), !is_empty))
    }

    /// Of a consumer's span.
    pub(crate) fn by_consumer(span: Span<'_>) -> Self {
        match exchange(span) {
            Some(Exchange::Receives) => Self::receives(span),
            _ => first(span, &QUEUES).map_or(Self::Unknown, |queue| Self::Receives(queue.into(), true)),
        }
    }

    /// Where a call goes of which a client's span is all that is known.
    pub(crate) fn place(&self) -> Option<Place<'_>> {
        match self {
            Self::Sends(queue) => Some(Place::Queue(queue)),
            Self::External(name) => Some(Place::External(name)),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Exchange {
    Sends,
    Receives,
    Processes,
    Manages,
}

/// What is done with messages, if the span is about any.
fn exchange(span: Span<'_>) -> Option<Exchange> {
    let is_about_messages = span.own(MESSAGING_SYSTEM).is_some() || first(span, &QUEUES[..2]).is_some();
    if !is_about_messages && aws_service(span).is_none_or(|service| service != "sqs") {
        return None;
    }
    let method = span.own(RPC_METHOD).map(|method| method.rsplit(['/', '.']).next().unwrap_or_default());
    let Some(operation) = first(span, &OPERATIONS).or(method) else { return Some(Exchange::Sends) };
    let begins =
        |words: &[&str]| words.iter().any(|word| operation.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word)));
    Some(match () {
        () if begins(&["send", "publish"]) || operation == "create" => Exchange::Sends,
        () if begins(&["receive", "poll"]) => Exchange::Receives,
        () if begins(&["process", "deliver"]) => Exchange::Processes,
        () => Exchange::Manages,
    })
}

/// Whether it asks a queue for messages: that is no work, and most of its time is waiting.
pub(crate) fn is_receive(span: Span<'_>) -> bool {
    exchange(span) == Some(Exchange::Receives)
}

/// The service of AWS that an SDK's span is about, as in its host name.
pub(crate) fn aws_service(span: Span<'_>) -> Option<String> {
    first(span, &RPC_SYSTEMS).filter(|system| *system == "aws-api")?;
    let of_method = || span.own(RPC_METHOD).and_then(|method| method.split_once(['/', '.'])).map(|(service, _)| service);
    let service = span.own(RPC_SERVICE).or_else(of_method)?;
    Some(service.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect())
}

fn database(span: Span<'_>, databases: &[Key]) -> Option<Box<str>> {
    let name = databases.iter().find_map(|key| span.any(*key))?;
    let is_dynamodb = |system: &str| matches!(system, "dynamodb" | "aws.dynamodb");
    if let Some(name) = first(span, &NAMES) {
        return Some(name.into());
    }
    if DATABASES.into_iter().any(|key| span.any(key).is_some_and(is_dynamodb)) {
        return Some("dynamodb.amazonaws.com".into());
    }
    if let Some(host) = first(span, &HOSTS[..2]) {
        return Some(host.into());
    }
    Some(match (first(span, &PEERS), span.own(PORT)) {
        (Some(address), Some(port)) => format!("{address}:{port}").into(),
        (Some(address), None) => address.into(),
        (None, _) => name.into(),
    })
}

fn external(span: Span<'_>) -> Option<Box<str>> {
    first(span, &NAMES)
        .map(Into::into)
        .or_else(|| aws_service(span).map(|service| format!("{service}.amazonaws.com").into()))
        .or_else(|| address(span).or_else(|| span.own(RPC_SERVICE)).map(Into::into))
}

/// The host that a span says it calls.
pub(crate) fn address(span: Span<'_>) -> Option<&str> {
    first(span, &HOSTS).or_else(|| first(span, &URLS).and_then(host_of)).or_else(|| first(span, &PEERS))
}

/// Of `https://user@host:443/path`, `host`.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.strip_prefix('[') {
        Some(literal) => literal.split(']').next()?,
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

fn first<'a>(span: Span<'a>, keys: &[Key]) -> Option<&'a str> {
    keys.iter().find_map(|key| span.own(*key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host() {
        for (url, host) in [
            ("https://user:secret@api.example.com:443/a?b#c", Some("api.example.com")),
            ("http://127.0.0.1:8080", Some("127.0.0.1")),
            ("http://[::1]:8080/x", Some("::1")),
            ("https://example.com?q=a@b", Some("example.com")),
            ("/only/a/path", None),
            ("http:///x", None),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }
}
