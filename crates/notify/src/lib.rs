//! Who is told that something is wrong, where, how often, and in which words?
//!
//! Today: the owner of records that break a contract. The pipeline counts (`model::Breaches`), once a second [`Notifier`] takes what was counted.
//!
//! Path: `ledger.rs` (what is broken, by component and rule, and who has been told what of it) > `due.rs` (what is to be told now, at most one
//! message a team and channel) > `message.rs` with `words.rs` (what it says) > `send/` (a file per channel: `email.rs` over `smtp.rs`, `slack.rs`,
//! `github.rs`, `webhook.rs`) > `lane.rs` (how often a team is told by a channel, and when again after a failure) > the ledger, which is
//! kept by `file.rs`. `desk.rs` joins these and knows neither clock nor network; `run.rs` is the loop around it. `trial.rs` is `tyto notify test`.
//!
//! No message is ever queued: what is due is found in the ledger anew each time, so a message says what holds when it is sent, a restart forgets nothing,
//! and a channel that is down costs no memory.
//!
//! When you add a channel, it goes to [`Channel`], `send/`, `catalog/src/channels.rs` and `docs/notifications.md`.
//! This crate knows no record, no storage and no HTTP that comes in.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod desk;
mod due;
mod file;
mod lane;
mod ledger;
mod message;
mod run;
mod send;
mod trial;
mod words;

pub use run::{Notifier, NowMs};
pub use trial::{Answered, trial};

use catalog::{Channels, Owner, Webhook};
use serde::{Deserialize, Serialize};

/// A way by which a team is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    Email,
    Slack,
    Github,
    Webhook,
}

/// Whoever writes the catalogue chooses an address, the operator which hosts it may have.
fn may_post(webhook: &Webhook, address: &str) -> bool {
    reqwest::Url::parse(address).is_ok_and(|url| url.host_str().is_some_and(|host| webhook.allows(host)))
}

impl Channel {
    pub const ALL: [Self; 4] = [Self::Email, Self::Slack, Self::Github, Self::Webhook];

    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Slack => "slack",
            Self::Github => "github",
            Self::Webhook => "webhook",
        }
    }

    /// Where the team is told by it; none where the team has no such contact, or Tyto no such way.
    pub fn to(self, owner: &Owner, channels: &Channels) -> Option<String> {
        let (contact, is_open) = match self {
            Self::Email => (&owner.email, channels.email.is_some()),
            Self::Slack => (&owner.slack, channels.slack_of(&owner.slack).is_some()),
            Self::Github => (&owner.github, channels.github.is_some()),
            Self::Webhook => (&owner.webhook, channels.webhook.as_ref().is_some_and(|webhook| may_post(webhook, &owner.webhook))),
        };
        (is_open && !contact.is_empty()).then(|| contact.clone())
    }
}
