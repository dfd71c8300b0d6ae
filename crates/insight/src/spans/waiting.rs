use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::called::Called;
use super::nested::Layer;
use super::span::Sender;

/// The span that a call leaves by: of which trace, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EdgeKey {
    trace: u128,
    span: u128,
}

impl EdgeKey {
    pub(crate) fn new(trace_id: &str, span_id: &str) -> Self {
        Self { trace: number(trace_id), span: number(span_id) }
    }
}

/// Ids are hexadecimal; what a lenient sender made of them is told apart all the same.
fn number(id: &str) -> u128 {
    let hashed = || {
        id.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
        })
    };
    if id.len() > 32 { hashed() } else { u128::from_str_radix(id, 16).unwrap_or_else(|_| hashed()) }
}

/// What one side of an edge said.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) sender: Arc<Sender>,
    pub(crate) seconds: f64,
    pub(crate) start_ns: i64,
    pub(crate) end_ns: i64,
    /// In the order of the options; none where the attribute is missing.
    pub(crate) dimensions: Box<[Option<Box<str>>]>,
}

/// An edge of which not all is known yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Open {
    pub(crate) trace_id: Box<str>,
    pub(crate) span_id: Box<str>,
    pub(crate) client: Option<Side>,
    pub(crate) server: Option<Side>,
    pub(crate) failed: bool,
    pub(crate) is_messaging: bool,
    /// A span of it is too old for the counters of now.
    pub(crate) is_late: bool,
    /// Who the other side is by Tempo's rules, where it sends no spans.
    pub(crate) peer: Option<Box<str>>,
    /// The same for the map.
    pub(crate) called: Called,
    /// The host that the client's span names.
    pub(crate) host: Option<Box<str>>,
    /// The span that the client's lies in.
    pub(crate) within: Option<EdgeKey>,
}

impl Open {
    pub(crate) fn layer(&self, client: &Side) -> Layer {
        Layer { sender: client.sender.clone(), host: self.host.clone() }
    }
}

/// Edges that wait for their other side, the oldest first; bounded.
pub(crate) struct Waiting {
    open: HashMap<EdgeKey, (Open, i64)>,
    /// By deadline; keys of edges that are complete stay until then or until there are too many.
    queue: VecDeque<(i64, EdgeKey)>,
    wait_ms: i64,
    max: usize,
}

impl Waiting {
    pub(crate) fn new(wait_ms: i64, max: usize) -> Self {
        Self { open: HashMap::new(), queue: VecDeque::new(), wait_ms, max }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// The edge that waits under this key, taken out.
    pub(crate) fn take(&mut self, key: EdgeKey) -> Option<Open> {
        self.open.remove(&key).map(|(open, _)| open)
    }

    /// Lets an edge wait; gives it back when there is no room.
    pub(crate) fn put(&mut self, key: EdgeKey, open: Open, now_ms: i64) -> Option<Open> {
        if self.open.len() >= self.max && !self.open.contains_key(&key) {
            return Some(open);
        }
        let deadline = now_ms.saturating_add(self.wait_ms);
        self.open.insert(key, (open, deadline));
        self.queue.push_back((deadline, key));
        if self.queue.len() > 2 * self.max {
            let open = &self.open;
            self.queue.retain(|(deadline, key)| open.get(key).is_some_and(|(_, own)| own == deadline));
        }
        None
    }

    /// An edge that has waited long enough.
    pub(crate) fn expired(&mut self, now_ms: i64) -> Option<Open> {
        while self.queue.front().is_some_and(|(deadline, _)| *deadline <= now_ms) {
            let (deadline, key) = self.queue.pop_front()?;
            if self.open.get(&key).is_some_and(|(_, own)| *own == deadline) {
                return self.take(key);
            }
        }
        None
    }
}
