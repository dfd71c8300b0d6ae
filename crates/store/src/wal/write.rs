use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use model::{Code, Error, KnownPoints, KnownSeries, Result, Table};
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::format::{self, FRAME_HEADER_BYTES, FrameHeader, Payload};
use super::points::PointsWriter;
use super::segments::Journal;
use crate::{ShardOptions, WalPlace};

/// Payload bytes of one write where each is an object: one put, and what recovery reads at once.
const OBJECT_BYTES_MAX: usize = 16 << 20;

/// A request on its way into the log.
pub(crate) struct WriteRequest {
    pub(crate) table: Table,
    /// Rows, with what they are in the log.
    pub(crate) records: Option<(RecordBatch, Payload)>,
    /// Rows of `quarantine` in the same frame.
    pub(crate) aside: Option<RecordBatch>,
    pub(crate) known: KnownPoints,
    /// What the records take in memory, counted until they are in the head or refused.
    pub(crate) held: Held,
    /// Answered when the records are durable and in the head.
    pub(crate) done: oneshot::Sender<Result<Taken>>,
}

/// What became of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The series of each row, where rows are series.
    pub(crate) series: Vec<KnownSeries>,
    /// A series of `known` is known no more, and nothing was taken.
    pub(crate) forgotten: bool,
}

/// A share of a sum that admission looks at, given back when dropped.
pub(crate) struct Held {
    sum: Arc<AtomicUsize>,
    bytes: usize,
}

impl Held {
    pub(crate) fn new(sum: &Arc<AtomicUsize>, bytes: usize) -> Self {
        sum.fetch_add(bytes, Ordering::Relaxed);
        Self { sum: sum.clone(), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.sum.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl WriteRequest {
    /// About as many as its frames take.
    fn frame_bytes(&self) -> usize {
        2 * FRAME_HEADER_BYTES + self.records.as_ref().map_or(0, |(_, payload)| payload.len()) + self.known.bytes()
    }

    fn bytes(&self) -> usize {
        self.records.as_ref().map_or(0, |(_, payload)| payload.len()) + self.held.bytes
    }
}

/// Where durable records become visible.
pub(crate) trait Sink: Send + Sync {
    /// Taken before a group is encoded and held until it is applied: no head begins between the frame that defines a
    /// series and the frames that rely on it.
    fn begin_group(&self) -> MutexGuard<'_, PointsWriter>;
    /// The frame of known points; none when a series is known no more.
    fn encode(&self, known: &KnownPoints, writer: &mut PointsWriter) -> Result<Option<Payload>>;
    /// Puts a frame's rows where queries see them. Called in the order of sequence numbers, before the acknowledgement; an
    /// error is the request's answer.
    /// `aside` are rows of `quarantine` of the same frame.
    fn apply(&self, seq: u64, table: Table, records: &RecordBatch, aside: Option<&RecordBatch>) -> Result<Vec<KnownSeries>>;
    /// The same for a frame of known points.
    fn apply_known(&self, seq: u64, known: &KnownPoints) -> Result<()>;
}

/// The handle of the log's one writer thread.
///
/// Whoever comes while an fsync is running joins the next one: no timer decides how long a group is. Refused: an async
/// task (fsync blocks its thread anyway) and a lock around the file (every waiter would wake for every fsync).
pub(crate) struct Wal {
    queue: Arc<Queue>,
    gauges: Arc<Gauges>,
    thread: Mutex<Option<JoinHandle<()>>>,
    bytes_max: usize,
    requests_max: usize,
}

#[derive(Default)]
struct Queue {
    state: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<WriteRequest>,
    bytes: usize,
    /// Every table's lake holds what it needs up to here.
    passed: Option<u64>,
    /// What follows goes into a new segment.
    turn: bool,
    /// Answered when everything that waits now is done.
    barriers: Vec<oneshot::Sender<()>>,
    /// No request is taken any more.
    refusing: bool,
    closing: bool,
    /// The thread is gone: nothing is done any more.
    ended: bool,
}

/// Says that the thread is gone, however it went: who waits would wait for ever.
struct Ending<'a>(&'a Queue);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.state.lock();
        waiting.ended = true;
        waiting.requests.clear();
        waiting.barriers.clear();
    }
}

#[derive(Default)]
struct Gauges {
    bytes: AtomicU64,
    segments: AtomicU64,
    /// The last frame of the oldest segment, `u64::MAX` without one.
    oldest_seq: AtomicU64,
}

impl Waiting {
    fn is_idle(&self) -> bool {
        self.requests.is_empty() && self.passed.is_none() && !self.turn && self.barriers.is_empty()
    }

    /// The requests of the next write: as many as fit, and one at least.
    fn take_group(&mut self, bytes_max: usize) -> VecDeque<WriteRequest> {
        let mut bytes = 0;
        let fitting = self.requests.iter().take_while(|request| {
            bytes += request.frame_bytes();
            bytes <= bytes_max
        });
        let count = fitting.count().max(1).min(self.requests.len());
        let rest = self.requests.split_off(count);
        let group = std::mem::replace(&mut self.requests, rest);
        self.bytes -= group.iter().map(WriteRequest::bytes).sum::<usize>();
        group
    }
}

impl Wal {
    pub(crate) fn start(options: &ShardOptions, journal: Box<dyn Journal>, next_seq: u64, sink: Arc<dyn Sink>) -> Result<Self> {
        let (queue, gauges) = (Arc::<Queue>::default(), Arc::<Gauges>::default());
        let mut writer = Writer {
            journal,
            shard: options.name.clone(),
            group_interval: options.wal_group_interval,
            group_bytes_max: if options.wal == WalPlace::Object { OBJECT_BYTES_MAX } else { usize::MAX },
            next_seq,
            last_sync: None,
            sink,
            gauges: gauges.clone(),
        };
        writer.count();
        let waiting = queue.clone();
        let thread = std::thread::Builder::new()
            .name(format!("wal-{}", options.name))
            .spawn(move || {
                let ending = Ending(&waiting);
                writer.run(ending.0);
            })
            .map_err(|error| Error::unavailable("cannot start the log's thread").because(error))?;
        Ok(Self {
            queue,
            gauges,
            thread: Mutex::new(Some(thread)),
            bytes_max: options.wal_queue_bytes_max,
            requests_max: options.wal_queue_requests_max,
        })
    }

    /// Lines the request up; its sender is answered later.
    pub(crate) fn submit(&self, request: WriteRequest) -> Result<()> {
        let mut waiting = self.queue.state.lock();
        if waiting.ended {
            return Err(Error::unavailable("cannot take a request: the log's thread has ended"));
        }
        if waiting.refusing {
            return Err(Error::unavailable("cannot take a request: the shard is shutting down"));
        }
        let full = waiting.requests.len() >= self.requests_max || waiting.bytes + request.bytes() > self.bytes_max;
        // A request larger than the whole queue passes alone, or it would never.
        if full && !waiting.requests.is_empty() {
            return Err(Error::new(
                Code::Overloaded { retry_after_seconds: 1 },
                "cannot take a request: too much waits for the log (wal_queue_bytes_max, wal_queue_requests_max)",
            ));
        }
        waiting.bytes += request.bytes();
        waiting.requests.push_back(request);
        self.queue.arrived.notify_one();
        Ok(())
    }

    /// Lets go of every segment whose frames are all at or before `seq`.
    pub(crate) fn pass(&self, seq: u64) {
        let mut waiting = self.queue.state.lock();
        waiting.passed = waiting.passed.max(Some(seq));
        self.queue.arrived.notify_one();
    }

    /// Closes the segment that is being written, so that it can go without waiting to be full.
    pub(crate) fn turn(&self) {
        self.queue.state.lock().turn = true;
        self.queue.arrived.notify_one();
    }

    /// Whether a segment may hold a frame up to `seq`, when [`Self::turn`] was called at or after it.
    pub(crate) fn holds(&self, seq: u64) -> bool {
        self.gauges.oldest_seq.load(Ordering::Acquire) <= seq
    }

    /// Takes no request from now on; what waits is still written.
    pub(crate) fn refuse(&self) {
        self.queue.state.lock().refusing = true;
    }

    /// Waits until everything submitted and passed before is done.
    pub(crate) async fn barrier(&self) {
        let (done, reached) = oneshot::channel();
        {
            let mut waiting = self.queue.state.lock();
            if waiting.ended {
                return;
            }
            waiting.barriers.push(done);
        }
        self.queue.arrived.notify_one();
        // The sender is dropped unanswered when the thread ends, and then nothing waits either.
        let _ = reached.await;
    }

    /// Writes what waits, then ends the thread; blocks until it has.
    pub(crate) fn close(&self) {
        let mut waiting = self.queue.state.lock();
        (waiting.refusing, waiting.closing) = (true, true);
        drop(waiting);
        self.queue.arrived.notify_one();
        let Some(thread) = self.thread.lock().take() else { return };
        if thread.join().is_err() {
            tracing::error!("the log's thread panicked");
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.gauges.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn segments(&self) -> u64 {
        self.gauges.segments.load(Ordering::Relaxed)
    }
}

struct Writer {
    journal: Box<dyn Journal>,
    shard: String,
    group_interval: Duration,
    group_bytes_max: usize,
    next_seq: u64,
    last_sync: Option<Instant>,
    sink: Arc<dyn Sink>,
    gauges: Arc<Gauges>,
}

impl Writer {
    fn run(&mut self, queue: &Queue) {
        loop {
            self.pace(queue);
            let mut waiting = queue.state.lock();
            while waiting.is_idle() && !waiting.closing {
                queue.arrived.wait(&mut waiting);
            }
            if waiting.is_idle() {
                return;
            }
            let requests = waiting.take_group(self.group_bytes_max);
            let passed = waiting.passed.take();
            // Who waits for everything waits until nothing is left.
            let is_last = waiting.requests.is_empty();
            let turn = is_last && std::mem::take(&mut waiting.turn);
            let barriers = if is_last { std::mem::take(&mut waiting.barriers) } else { Vec::new() };
            drop(waiting);
            if !requests.is_empty() {
                self.write_group(requests);
            }
            if turn {
                self.turn();
            }
            if let Some(seq) = passed {
                self.journal.let_go(seq);
            }
            self.count();
            for barrier in barriers {
                let _ = barrier.send(());
            }
        }
    }

    /// Keeps fsyncs apart under load. An idle log does not wait: its last fsync is long ago.
    fn pace(&self, queue: &Queue) {
        let Some(early) = self.last_sync.and_then(|last| self.group_interval.checked_sub(last.elapsed())) else { return };
        if !queue.state.lock().closing {
            std::thread::sleep(early);
        }
    }

    fn write_group(&mut self, requests: VecDeque<WriteRequest>) {
        match self.journal.ready(self.next_seq) {
            Ok(next_seq) => self.next_seq = next_seq,
            Err(error) => return self.refuse(requests, &error),
        }
        let sink = self.sink.clone();
        let mut writer = sink.begin_group();
        let (group, mut seq) = (self.next_seq, self.next_seq);
        let mut buffer = Vec::with_capacity(requests.iter().map(WriteRequest::frame_bytes).sum());
        let mut framed = Vec::with_capacity(requests.len());
        for request in requests {
            let points = match sink.encode(&request.known, &mut writer) {
                _ if request.known.is_empty() => None,
                Ok(Some(payload)) => Some(payload),
                refused => {
                    let _ = request.done.send(refused.map(|_| Taken { forgotten: true, ..Taken::default() }));
                    continue;
                }
            };
            let first_seq = seq;
            for payload in request.records.iter().map(|(_, payload)| payload).chain(&points) {
                format::push_frame(&mut buffer, FrameHeader::new(seq, group, request.table), payload);
                seq += 1;
            }
            framed.push((first_seq, request));
        }
        if framed.is_empty() {
            return;
        }
        if let Err(error) = self.write(&buffer, group, seq - 1) {
            // What the group has defined may be on no disk.
            writer.begin();
            return self.refuse(framed.into_iter().map(|(_, request)| request), &error);
        }
        self.next_seq = seq;
        metrics::counter!("tyto_wal_bytes_total", "shard" => self.shard.clone()).increment(buffer.len() as u64);
        let mut answers = Vec::with_capacity(framed.len());
        for (first_seq, request) in framed {
            let WriteRequest { table, records, aside, known, held, done } = request;
            let rows = records.as_ref().map(|(records, _)| (records, aside.as_ref()));
            let applied = apply(&*sink, first_seq, table, rows, &known);
            // In the head from here on, and counted there.
            drop(held);
            answers.push((done, applied));
        }
        drop(writer);
        // Before the acknowledgements: who has one sees the log it went into.
        self.count();
        for (done, applied) in answers {
            let _ = done.send(applied);
        }
    }

    fn refuse(&self, requests: impl IntoIterator<Item = WriteRequest>, error: &io::Error) {
        tracing::error!(shard = self.shard, %error, "cannot write the log; requests are refused until a write works");
        metrics::counter!("tyto_wal_write_errors_total", "shard" => self.shard.clone()).increment(1);
        for request in requests {
            let refused = Error::unavailable("cannot write to the log").because(error.to_string());
            // Nobody listens when the caller went away.
            let _ = request.done.send(Err(refused));
        }
    }

    fn write(&mut self, buffer: &[u8], group: u64, last_seq: u64) -> io::Result<()> {
        self.last_sync = Some(Instant::now());
        let written = self.journal.append(buffer, group, last_seq);
        metrics::histogram!("tyto_wal_fsync_seconds", "shard" => self.shard.clone())
            .record(self.last_sync.map_or(0.0, |start| start.elapsed().as_secs_f64()));
        written
    }

    fn turn(&mut self) {
        match self.journal.turn(self.next_seq) {
            Ok(next_seq) => self.next_seq = next_seq,
            // Who asked for it asks again.
            Err(error) => tracing::warn!(shard = self.shard, %error, "cannot begin a new segment of the log"),
        }
    }

    fn count(&self) {
        let (bytes, segments) = self.journal.size();
        self.gauges.bytes.store(bytes, Ordering::Relaxed);
        self.gauges.oldest_seq.store(self.journal.oldest_seq(), Ordering::Release);
        self.gauges.segments.store(segments, Ordering::Relaxed);
    }
}

/// Applies a request's frames: its rows, then its known points.
fn apply(
    sink: &dyn Sink,
    first_seq: u64,
    table: Table,
    rows: Option<(&RecordBatch, Option<&RecordBatch>)>,
    known: &KnownPoints,
) -> Result<Taken> {
    let series = rows.map_or(Ok(Vec::new()), |(records, aside)| sink.apply(first_seq, table, records, aside));
    let points = match known.is_empty() {
        true => Ok(()),
        false => sink.apply_known(first_seq + u64::from(rows.is_some()), known),
    };
    points.and(series).map(|series| Taken { series, forgotten: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::segments::segments;
    use model::logs::{LogRow, LogsBuilder};

    /// Does with each frame what it is told.
    struct Scripted<F: Fn() -> Result<()>>(F, Mutex<PointsWriter>);

    impl<F: Fn() -> Result<()> + Send + Sync> Sink for Scripted<F> {
        fn begin_group(&self) -> MutexGuard<'_, PointsWriter> {
            self.1.lock()
        }

        fn encode(&self, _: &KnownPoints, _: &mut PointsWriter) -> Result<Option<Payload>> {
            Ok(None)
        }

        fn apply(&self, _: u64, _: Table, _: &RecordBatch, _: Option<&RecordBatch>) -> Result<Vec<KnownSeries>> {
            (self.0)().map(|()| Vec::new())
        }

        fn apply_known(&self, _: u64, _: &KnownPoints) -> Result<()> {
            (self.0)()
        }
    }

    fn request() -> (WriteRequest, oneshot::Receiver<Result<Taken>>) {
        let mut builder = LogsBuilder::default();
        builder.push(&LogRow::default(), &model::Attributes::default(), &model::Attributes::default());
        let records = builder.finish();
        let (done, answer) = oneshot::channel();
        let payload = Payload::encode(&records, None).unwrap();
        let (records, known) = (Some((records, payload)), KnownPoints::default());
        (WriteRequest { table: Table::Logs, records, aside: None, known, held: Held::new(&Arc::default(), 1000), done }, answer)
    }

    fn wal(options: ShardOptions, apply: impl Fn() -> Result<()> + Send + Sync + 'static) -> Wal {
        Wal::start(&options, segments(&options).journal(Vec::new()), 1, Arc::new(Scripted(apply, Mutex::new(PointsWriter::new().unwrap()))))
            .unwrap()
    }

    #[tokio::test]
    async fn a_batch_that_cannot_be_applied_is_not_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let wal = wal(ShardOptions::new("one", dir.path()), || Err(Error::internal("cannot apply")));
        let (request, answer) = request();
        wal.submit(request).unwrap();
        assert_eq!(answer.await.unwrap().unwrap_err().what, "cannot apply");
        wal.close();
    }

    #[tokio::test]
    async fn points_of_a_forgotten_series_are_told_so_and_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let wal = wal(ShardOptions::new("one", dir.path()), || panic!("nothing is applied"));
        let (mut request, answer) = request();
        request.known = KnownPoints { values: vec![1.0], ..KnownPoints::default() };
        wal.submit(request).unwrap();
        assert_eq!(answer.await.unwrap().unwrap(), Taken { forgotten: true, ..Taken::default() });
        assert_eq!(wal.bytes(), 0);
        wal.close();
    }

    #[tokio::test]
    async fn nobody_waits_for_a_thread_that_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let wal = wal(ShardOptions::new("one", dir.path()), || panic!("a bug of the test's"));
        let (sent, answer) = request();
        wal.submit(sent).unwrap();
        assert!(answer.await.is_err(), "dropped unanswered");
        wal.close();
        wal.barrier().await;
        assert!(wal.submit(request().0).unwrap_err().what.contains("has ended"));
    }

    #[tokio::test]
    async fn the_queue_counts_records_as_they_are_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Mutex::new(held);
        let apply = move || {
            let _ = held.lock().recv();
            Ok(())
        };
        let wal = wal(ShardOptions { wal_queue_bytes_max: 2500, ..ShardOptions::new("one", dir.path()) }, apply);
        let mut answers = Vec::new();
        let refused = loop {
            let (request, answer) = request();
            match wal.submit(request) {
                Ok(()) => answers.push(answer),
                Err(error) => break error,
            }
        };
        assert!(matches!(refused.code, Code::Overloaded { .. }) && answers.len() <= 3, "{} requests of 1000 bytes", answers.len());
        drop(release);
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
        wal.close();
    }
}
