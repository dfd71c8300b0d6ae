//! `tyto notify test`: whether a message would arrive.

use catalog::{Channels, Owner};

use crate::Channel;
use crate::due::link;
use crate::message::{Kind, Message, id};
use crate::send::Sender;

/// What became of a message by one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub channel: Channel,
    /// The team's contact.
    pub to: String,
    /// What the server said, or why it has no message.
    pub result: std::result::Result<String, String>,
}

/// Sends a team a test by each of its contacts, once: nothing is tried again.
pub async fn trial(channels: &Channels, owner: &Owner, now_ms: i64) -> Vec<Answered> {
    let sender = Sender::new();
    let mut answers = Vec::new();
    for (channel, contact) in [
        (Channel::Email, &owner.email),
        (Channel::Slack, &owner.slack),
        (Channel::Github, &owner.github),
        (Channel::Webhook, &owner.webhook),
    ] {
        if contact.is_empty() {
            continue;
        }
        let result = match channel.to(owner, channels) {
            None => Err("this way is not open to it: see the notification configuration".to_owned()),
            Some(to) => {
                let message = test(owner, channel, to, channels, now_ms);
                sender.send(channels, &message).await.map(|sent| sent.answer).map_err(|failure| failure.why)
            }
        };
        answers.push(Answered { channel, to: contact.clone(), result });
    }
    answers
}

fn test(owner: &Owner, channel: Channel, to: String, channels: &Channels, now_ms: i64) -> Message {
    Message {
        // Another test is another message.
        id: format!("{}-{now_ms}", id(Kind::Test, &owner.team, channel, &[])),
        kind: Kind::Test,
        team: owner.team.clone(),
        channel,
        to,
        at_ms: now_ms,
        items: Vec::new(),
        more: 0,
        covers: Vec::new(),
        issue: None,
        closes: false,
        link: link(channels, &owner.team),
    }
}
