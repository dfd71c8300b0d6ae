//! Calls that lie within calls: below the span of an AWS SDK there is one of HTTP, below that of whoever sends a message one of the client
//! that carries it. Both are one call, and the outer says better what it is, unless the inner one has found its server.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::span::Sender;
use super::waiting::EdgeKey;

/// Of whom a call is, and the host that it names.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) sender: Arc<Sender>,
    pub(crate) host: Option<Box<str>>,
}

impl Layer {
    /// Whether the inner one does nothing but carry the outer: another host is another call, as for a token before it.
    fn is_carried_by(&self, inner: &Self) -> bool {
        self.sender == inner.sender && self.host.as_ref().is_none_or(|host| inner.host.as_ref().is_none_or(|other| host == other))
    }
}

pub(crate) struct Nested {
    /// Calls that are on the map, by their own span.
    outer: Recent,
    /// Calls that have found their server, by the span that they lie within.
    inner: Recent,
}

impl Nested {
    pub(crate) fn new(wait_ms: i64, max: usize) -> Self {
        // An inner call may come when the outer has waited as long as it may, and wait as long itself.
        let recent = || Recent { layers: HashMap::new(), queue: VecDeque::new(), keep_ms: wait_ms.saturating_mul(2), max };
        Self { outer: recent(), inner: recent() }
    }

    pub(crate) fn call(&mut self, key: EdgeKey, layer: Layer, now_ms: i64) {
        self.outer.put(key, layer, now_ms);
    }

    pub(crate) fn arrived(&mut self, within: EdgeKey, layer: Layer, now_ms: i64) {
        self.inner.put(within, layer, now_ms);
    }

    /// Whether a call only carries the one that it lies within.
    pub(crate) fn is_inner(&self, within: EdgeKey, layer: &Layer) -> bool {
        self.outer.layers.get(&within).is_some_and(|outer| outer.is_carried_by(layer))
    }

    /// Whether a call within this one has found the server.
    pub(crate) fn is_outer(&self, key: EdgeKey, layer: &Layer) -> bool {
        self.inner.layers.get(&key).is_some_and(|inner| layer.is_carried_by(inner))
    }
}

/// The newest of them; bounded.
struct Recent {
    layers: HashMap<EdgeKey, Layer>,
    queue: VecDeque<(i64, EdgeKey)>,
    keep_ms: i64,
    max: usize,
}

impl Recent {
    fn put(&mut self, key: EdgeKey, layer: Layer, now_ms: i64) {
        let is_over = |queue: &VecDeque<(i64, EdgeKey)>, max| queue.front().is_some_and(|front| front.0 <= now_ms || queue.len() >= max);
        while is_over(&self.queue, self.max) {
            if let Some((_, old)) = self.queue.pop_front() {
                self.layers.remove(&old);
            }
        }
        if self.layers.insert(key, layer).is_none() {
            self.queue.push_back((now_ms.saturating_add(self.keep_ms), key));
        }
    }
}
