//! Acknowledgements as Splunk has them: a number per request on a channel, asked for later.
//!
//! Tyto answers when a request is durable, so a number is given out only for what is acknowledged already, and the answer to
//! a question about it is yes. A channel therefore needs to remember no more than how many it gave out.

use std::collections::HashMap;
use std::collections::VecDeque;

use parking_lot::Mutex;

/// Channels that are remembered; the one that was made first is forgotten first, and begins again at 0.
const CHANNELS_MAX: usize = 10_000;
pub(super) const CHANNEL_BYTES_MAX: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Channels {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    next: HashMap<String, u64>,
    order: VecDeque<String>,
}

impl Channels {
    /// The next number of the channel.
    pub(super) fn give(&self, channel: &str) -> u64 {
        let mut known = self.known.lock();
        if let Some(next) = known.next.get_mut(channel) {
            *next += 1;
            return *next - 1;
        }
        if known.order.len() >= CHANNELS_MAX
            && let Some(oldest) = known.order.pop_front()
        {
            known.next.remove(&oldest);
        }
        known.order.push_back(channel.to_owned());
        known.next.insert(channel.to_owned(), 1);
        0
    }

    /// Whether the channel has given out the number, which it does for what is durable only.
    pub(super) fn gave(&self, channel: &str, number: u64) -> bool {
        self.known.lock().next.get(channel).is_some_and(|next| number < *next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_in_order_and_memory_is_bounded() {
        let channels = Channels::default();
        assert_eq!([channels.give("a"), channels.give("a"), channels.give("b")], [0, 1, 0]);
        assert!(channels.gave("a", 1) && !channels.gave("a", 2) && !channels.gave("c", 0));
        for number in 0..CHANNELS_MAX {
            channels.give(&number.to_string());
        }
        assert!(!channels.gave("a", 0), "the first is forgotten");
        assert_eq!(channels.known.lock().next.len(), CHANNELS_MAX);
    }
}
