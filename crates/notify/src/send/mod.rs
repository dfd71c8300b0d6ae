//! A message goes out: a file per channel, and what a failure means.

mod email;
mod github;
mod http;
mod slack;
mod smtp;
mod webhook;

use std::time::Duration;

use catalog::{Channels, Secret};
use model::{Error, Result};

use crate::Channel;
use crate::message::Message;

/// Of one message, all that is said to and fro.
const SEND_MAX: Duration = Duration::from_secs(60);
/// Of what a server says, that is told on.
const WHY_CHARS_MAX: usize = 300;

/// A message that did not arrive, as far as anybody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For the counter: one of a few.
    pub(crate) reason: &'static str,
    pub(crate) why: String,
    /// Whether it may arrive later.
    pub(crate) is_passing: bool,
    pub(crate) asked_to_wait: Option<Duration>,
}

impl Failure {
    pub(crate) fn passing(reason: &'static str, why: impl AsRef<str>) -> Self {
        Self { reason, why: crate::words::clean(why.as_ref(), WHY_CHARS_MAX), is_passing: true, asked_to_wait: None }
    }

    pub(crate) fn lasting(reason: &'static str, why: impl AsRef<str>) -> Self {
        Self { is_passing: false, ..Self::passing(reason, why) }
    }
}

/// A message that arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Of GitHub, where what comes later belongs.
    pub(crate) issue: Option<u64>,
    /// What the server said, in short.
    pub(crate) answer: String,
}

/// Knows how to speak to all servers; shared by all messages.
#[derive(Clone)]
pub(crate) struct Sender {
    /// Or why there is none: a system without authorities to trust still has mail.
    http: Result<http::Http, String>,
}

impl Sender {
    pub(crate) fn new() -> Self {
        Self { http: http::Http::new().map_err(|error| error.chain()) }
    }

    pub(crate) async fn send(&self, channels: &Channels, message: &Message) -> Result<Sent, Failure> {
        let sending = async {
            // What was open when the message was made may be closed by now.
            let closed = || Failure::lasting("closed", format!("{} is not configured any more", message.channel.name()));
            let http = || self.http.as_ref().map_err(|why| Failure::passing("tls", why));
            match message.channel {
                Channel::Email => email::send(channels.email.as_ref().ok_or_else(closed)?, message).await,
                Channel::Slack => slack::send(http()?, channels.slack_of(&message.to).ok_or_else(closed)?, message).await,
                Channel::Github => github::send(http()?, channels.github.as_ref().ok_or_else(closed)?, message).await,
                Channel::Webhook => webhook::send(http()?, channels.webhook.as_ref().ok_or_else(closed)?, message).await,
            }
        };
        let late = |_| Failure::passing("timeout", format!("no answer within {} s", SEND_MAX.as_secs()));
        tokio::time::timeout(SEND_MAX, sending).await.map_err(late)?
    }
}

/// Whoever keeps the secret may put it there yet.
fn secret(secret: &Secret) -> Result<String, Failure> {
    secret.read().map_err(|error: Error| Failure::passing("secret", error.chain()))
}
