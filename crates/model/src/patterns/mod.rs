//! What do log messages have in common? Which of them are new, and which ceased?
//!
//! A body's message (`message.rs`: the first line, or the message field of JSON and logfmt) has a shape, which is the store's
//! template of it ([`crate::variables`]). The pattern of a shape that was seen before is remembered. Of another the message is
//! read into tokens (`tokens.rs`: words, marks, and variables by their looks), and the miner (`miner.rs`) says whose pattern
//! that is. Nothing is configured, and every message is looked at once.
//!
//! An id stays: it is a hash of what the first message of the pattern had, and when patterns become one it is the oldest's.
//!
//! What is remembered are hashes of words and never words, so that nothing that was erased lives on in here: the text of a
//! pattern is made from one of its messages, by whoever is allowed to read that.

mod message;
mod miner;
mod recent;
mod saved;
mod tokens;

use std::sync::{Mutex, MutexGuard, PoisonError};

use twox_hash::XxHash3_64;

use self::message::Message;
use self::miner::Miner;
pub use self::miner::PatternLimits;
use self::recent::Recent;
use crate::variables::{PLACEHOLDER, variables};

/// Bodies that are looked at between two that may wait for each other.
const TURN_ROWS: usize = 256;

/// Whether learning may make older patterns leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learning {
    /// For what arrives: the patterns that were not seen for longest make room.
    Always,
    /// For what is read: it is learned as long as there is room.
    WhenThereIsRoom,
}

/// Every pattern known; shared by those who write and those who ask.
pub struct Patterns {
    known: Mutex<Known>,
}

struct Known {
    limits: PatternLimits,
    miner: Miner,
    /// The id of a pattern, by the shape of its messages.
    shapes: Recent,
    /// Messages whose shape was new.
    read: u64,
}

/// What stands in `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatternStats {
    pub patterns: usize,
    /// Patterns that made room for others, since the start.
    pub evicted: u64,
    /// Messages of which the shape was not known, since the start.
    pub read: u64,
}

impl Default for Patterns {
    fn default() -> Self {
        Self::new(PatternLimits::default())
    }
}

impl Patterns {
    pub fn new(limits: PatternLimits) -> Self {
        let known = Known { limits, miner: Miner::new(limits), shapes: Recent::new(limits.names_max), read: 0 };
        Self { known: Mutex::new(known) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // What is known is whole between any two steps; a panic has at most lost one message.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of the pattern of a body, of a record of this time in Unix nanoseconds.
    pub fn id(&self, body: &str, time_ns: i64, learning: Learning) -> u64 {
        let message = Message::of(body);
        let shape = shape(message, &mut Vec::with_capacity(message.text.len() + 1));
        self.known().id(message, shape, Some(time_ns), learning)
    }

    /// Gives the id of the pattern of each body, with the time of its record, where that is known.
    pub fn ids<'a>(&self, bodies: impl IntoIterator<Item = (&'a str, Option<i64>)>, learning: Learning) -> Vec<u64> {
        let (mut ids, mut turn, mut buffer) = (Vec::new(), Vec::with_capacity(TURN_ROWS), Vec::new());
        let mut bodies = bodies.into_iter().peekable();
        while bodies.peek().is_some() {
            turn.clear();
            turn.extend(bodies.by_ref().take(TURN_ROWS).map(|(body, time_ns)| {
                let message = Message::of(body);
                (message, shape(message, &mut buffer), time_ns)
            }));
            let mut known = self.known();
            ids.extend(turn.iter().map(|&(message, shape, time_ns)| known.id(message, shape, time_ns, learning)));
        }
        ids
    }

    /// The id that a pattern has now, which was given this one.
    pub fn current(&self, id: u64) -> u64 {
        self.known().miner.current(id)
    }

    /// When the first and the last message of a pattern were, in Unix nanoseconds, where the times of any are known.
    pub fn seen(&self, id: u64) -> Option<(i64, i64)> {
        let known = self.known();
        let pattern = known.miner.patterns.get(&known.miner.current(id))?;
        (pattern.first_ns <= pattern.last_ns).then_some((pattern.first_ns, pattern.last_ns))
    }

    /// The text of the pattern with this id, made from one of its bodies: `<_>` is in the place of each variable. LogQL's
    /// `|>` finds with it every line of the pattern.
    pub fn text(&self, body: &str, id: u64) -> String {
        let message = Message::of(body);
        let tokens = tokens::read(message);
        let known = self.known();
        let pattern = known.miner.patterns.get(&known.miner.current(id)).filter(|pattern| pattern.tokens.len() == tokens.len());
        let pattern: Box<[u64]> = pattern.map(|pattern| pattern.tokens.clone()).unwrap_or_default();
        drop(known);
        tokens::text_of(message.text, &tokens, &pattern)
    }

    pub fn stats(&self) -> PatternStats {
        let known = self.known();
        PatternStats { patterns: known.miner.patterns.len(), evicted: known.miner.evicted, read: known.read }
    }
}

impl Known {
    fn id(&mut self, message: Message<'_>, shape: u64, time_ns: Option<i64>, learning: Learning) -> u64 {
        if let Some(id) = self.shapes.get(shape).and_then(|id| self.miner.touch(id, time_ns)) {
            return id;
        }
        self.read += 1;
        let tokens: Vec<u64> = tokens::read(message).iter().map(|token| token.hash).collect();
        let has_room = learning == Learning::Always || self.miner.patterns.len() < self.limits.patterns_max;
        if !has_room {
            return self.miner.find(&tokens);
        }
        let id = self.miner.learn(&tokens, time_ns);
        self.shapes.set(shape, id);
        id
    }
}

/// A hash of what all messages have that differ in runs of letters and digits with a digit only: they have the same tokens.
fn shape(message: Message<'_>, buffer: &mut Vec<u8>) -> u64 {
    let text = message.text.as_bytes();
    buffer.clear();
    buffer.push(u8::from(message.before) | u8::from(message.after) << 1 | u8::from(message.is_document) << 2);
    let mut literal = 0;
    for (start, end, _) in variables(text) {
        buffer.extend_from_slice(&text[literal..start]);
        buffer.push(PLACEHOLDER);
        literal = end;
    }
    buffer.extend_from_slice(&text[literal..]);
    XxHash3_64::oneshot(buffer)
}

#[cfg(test)]
mod tests;
