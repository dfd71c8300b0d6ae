//! Who reads a table's rows as they arrive.
//!
//! A reader begins, and a batch is handed to all readers, under the lock under which the head takes it: what a view of the
//! head shows and what is handed over afterwards are together every row, each once. Handed over is what is durable: the log
//! applies nothing before its fsync. So nobody is shown a line that a crash could take back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::head::Block;

/// The readers of one table.
#[derive(Default)]
pub(crate) struct Followers {
    /// Whether there are readers: all that ingest looks at when there are none. Written and read under the table's lock.
    any: AtomicBool,
    feeds: Mutex<Feeds>,
}

#[derive(Default)]
struct Feeds {
    each: Vec<Weak<Feed>>,
    closed: bool,
}

/// What waits for one reader.
struct Feed {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    bytes_max: usize,
}

#[derive(Default)]
struct Waiting {
    taken: Taken,
    bytes: usize,
    closed: bool,
}

/// What has arrived since the reader last looked.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Before the blocks.
    pub(crate) skipped: Option<Skipped>,
    pub(crate) blocks: VecDeque<Arc<Block>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) rows: u64,
    pub(crate) last_ns: i64,
}

/// One reader; dropping it ends it.
pub(crate) struct Follower(Arc<Feed>);

impl Followers {
    /// Must be called with the table's lock held: it begins with the next batch that the head takes.
    pub(crate) fn add(&self, bytes_max: usize) -> Follower {
        let mut feeds = self.feeds.lock();
        let waiting = Mutex::new(Waiting { closed: feeds.closed, ..Waiting::default() });
        let feed = Arc::new(Feed { waiting, arrived: Notify::new(), bytes_max });
        feeds.each.push(Arc::downgrade(&feed));
        self.any.store(true, Ordering::Relaxed);
        Follower(feed)
    }

    /// Whether a batch is wanted. As [`Self::offer`], with the table's lock held for writing.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Hands a batch over to every reader. Nobody waits for one that is slow: it loses its oldest.
    pub(crate) fn offer(&self, block: &Arc<Block>) {
        let mut feeds = self.feeds.lock();
        feeds.each.retain(|feed| match feed.upgrade() {
            Some(feed) => {
                feed.push(block.clone());
                true
            }
            None => false,
        });
        self.any.store(!feeds.each.is_empty(), Ordering::Relaxed);
    }

    /// No further batch comes; readers end with what waits for them.
    pub(crate) fn close(&self) {
        let mut feeds = self.feeds.lock();
        feeds.closed = true;
        for feed in feeds.each.iter().filter_map(Weak::upgrade) {
            feed.waiting.lock().closed = true;
            feed.arrived.notify_one();
        }
    }
}

impl Feed {
    /// The newest batch stays however large it is: it is shared with the head and with every other reader.
    fn push(&self, block: Arc<Block>) {
        let mut waiting = self.waiting.lock();
        waiting.bytes += block.bytes;
        waiting.taken.blocks.push_back(block);
        while waiting.bytes > self.bytes_max
            && waiting.taken.blocks.len() > 1
            && let Some(lost) = waiting.taken.blocks.pop_front()
        {
            waiting.bytes -= lost.bytes;
            let before = waiting.taken.skipped.unwrap_or(Skipped { rows: 0, last_ns: i64::MIN });
            let rows = before.rows + lost.records.num_rows() as u64;
            waiting.taken.skipped = Some(Skipped { rows, last_ns: before.last_ns.max(lost.max_time) });
        }
        drop(waiting);
        self.arrived.notify_one();
    }
}

impl Follower {
    /// Waits until something has arrived, and takes all of it; none once no more comes.
    pub(crate) async fn next(&self) -> Option<Taken> {
        loop {
            {
                let mut waiting = self.0.waiting.lock();
                if !waiting.taken.blocks.is_empty() {
                    waiting.bytes = 0;
                    return Some(std::mem::take(&mut waiting.taken));
                }
                if waiting.closed {
                    return None;
                }
            }
            self.0.arrived.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::logs::{LogRow, LogsBuilder};
    use model::{Attributes, Table};

    fn block(time_unix_nano: i64) -> Arc<Block> {
        let mut builder = LogsBuilder::default();
        builder.push(&LogRow { time_unix_nano, ..LogRow::default() }, &Attributes::default(), &Attributes::default());
        Arc::new(Block::new(Table::Logs, builder.finish()).unwrap())
    }

    #[tokio::test]
    async fn a_reader_that_is_slow_keeps_the_newest_and_is_told() {
        let followers = Followers::default();
        assert!(!followers.any());
        let follower = followers.add(3 * block(0).bytes);
        let small = followers.add(1);
        for time in [1, 9, 3, 4, 5] {
            followers.offer(&block(time));
        }
        let times = |taken: &Taken| taken.blocks.iter().map(|block| block.min_time).collect::<Vec<_>>();
        let taken = follower.next().await.unwrap();
        assert_eq!((times(&taken), taken.skipped), (vec![3, 4, 5], Some(Skipped { rows: 2, last_ns: 9 })));
        let taken = small.next().await.unwrap();
        assert_eq!((times(&taken), taken.skipped.map(|skipped| skipped.rows)), (vec![5], Some(4)), "one stays, whatever its size");
        followers.offer(&block(6));
        let taken = follower.next().await.unwrap();
        assert_eq!((times(&taken), taken.skipped), (vec![6], None));
    }

    #[tokio::test]
    async fn who_has_gone_costs_nothing_and_the_end_comes_after_what_waits() {
        let followers = Followers::default();
        drop(followers.add(1000));
        followers.offer(&block(1));
        assert!(!followers.any());
        let follower = followers.add(1000);
        followers.offer(&block(2));
        followers.close();
        assert_eq!(follower.next().await.unwrap().blocks.len(), 1);
        assert!(follower.next().await.is_none() && followers.add(1000).next().await.is_none());
    }
}
