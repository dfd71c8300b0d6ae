//! Turns points of delta temporality into running sums, because the Prometheus model knows only cumulative ones.
//!
//! The state is memory of this process: after a restart every sum begins at zero again, which readers take for a
//! counter reset. A sender that repeats a request (its answer was lost, or it was told to come back) gets the same sums
//! again; any other point that is not after the last of its series is refused. Refused: sums kept in the store, because
//! each point would need a read; and sums that move only with the acknowledgement, because requests overtake each other.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::NativeHistogram;

use super::native;
use crate::outcome::Fault;

/// Bounds of the state.
#[derive(Clone, Copy, Debug)]
pub struct DeltaLimits {
    pub delta_series_max: usize,
    /// Of all series together. Over it no series is added, and those that are there forget what may be repeated.
    pub delta_bytes_max: usize,
    /// A series that sent nothing for so long is forgotten.
    pub delta_idle_max: Duration,
}

impl Default for DeltaLimits {
    fn default() -> Self {
        Self { delta_series_max: 200_000, delta_bytes_max: 256 << 20, delta_idle_max: Duration::from_secs(3600) }
    }
}

/// Points of a series' latest request that can be repeated.
const REPEATABLE_POINTS_MAX: usize = 128;
/// The same of the requests before it.
const OLDER_POINTS_MAX: usize = 4;
/// The idle are looked for no more often.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The numbers that run together: one of a sum, all buckets with sum and count of a histogram.
#[derive(Clone, Debug)]
pub(super) enum Sums {
    Numbers(Vec<f64>),
    Native(NativeHistogram),
}

impl Sums {
    /// Begins anew with the delta when the two have another shape.
    fn add(&mut self, delta: &Self) {
        match (&mut *self, delta) {
            (Self::Numbers(sums), Self::Numbers(deltas)) if sums.len() == deltas.len() => {
                sums.iter_mut().zip(deltas).for_each(|(sum, delta)| *sum += delta);
            }
            (Self::Native(sum), Self::Native(delta)) => native::add(sum, delta),
            _ => self.clone_from(delta),
        }
    }

    /// Equal bit by bit, so that a repeated NaN is the same.
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Numbers(a), Self::Numbers(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits()),
            (Self::Native(a), Self::Native(b)) => a == b,
            _ => false,
        }
    }

    fn bytes(&self) -> usize {
        let parts = match self {
            Self::Numbers(numbers) => size_of_val(&numbers[..]),
            Self::Native(histogram) => size_of_val(&histogram.positive[..]) + size_of_val(&histogram.negative[..]),
        };
        size_of::<Self>() + parts
    }

    fn buckets(&self) -> usize {
        match self {
            Self::Numbers(_) => 0,
            Self::Native(histogram) => histogram.positive.len().max(histogram.negative.len()),
        }
    }
}

/// When a point came and with which request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// From [`DeltaState::begin_request`].
    pub(super) request: u64,
    pub(super) unix_nano: i64,
}

/// A point that may be repeated.
struct Recent {
    request: u64,
    time_ms: i64,
    delta: Sums,
}

struct Running {
    /// Of all points before the recent ones; none while those are all.
    base: Option<Sums>,
    recent: VecDeque<Recent>,
    /// Of all points.
    total: Sums,
    last_time_ms: i64,
    seen_unix_nano: i64,
}

/// The running sums of all delta series that senders keep alive.
#[derive(Default)]
pub struct DeltaState {
    limits: DeltaLimits,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    series: HashMap<Box<[u8]>, Running>,
    /// Of all series, keys included.
    bytes: usize,
    next_request: u64,
    next_sweep_unix_nano: i64,
}

impl DeltaState {
    pub fn new(limits: DeltaLimits) -> Self {
        Self { limits, inner: Mutex::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Series held now.
    pub fn len(&self) -> usize {
        self.lock().series.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the points of one request have in common.
    pub(super) fn begin_request(&self, now_unix_nano: i64) -> Arrival {
        let mut inner = self.lock();
        inner.next_request += 1;
        inner.sweep(now_unix_nano, self.limits.delta_idle_max);
        Arrival { request: inner.next_request, unix_nano: now_unix_nano }
    }

    /// Turns the delta in `value` into the sum since the series began.
    pub(super) fn accumulate(&self, key: &[u8], time_ms: i64, value: &mut Sums, arrival: Arrival, buckets_max: usize) -> Result<(), Fault> {
        let mut inner = self.lock();
        let full = inner.bytes >= self.limits.delta_bytes_max;
        let Inner { series, bytes, .. } = &mut *inner;
        if let Some(running) = series.get_mut(key) {
            let before = running.bytes();
            let advanced = running.advance(time_ms, value, arrival, buckets_max);
            if full {
                running.forget_recent();
            }
            *bytes = *bytes - before + running.bytes();
            return advanced;
        }
        let DeltaLimits { delta_series_max, delta_bytes_max, .. } = self.limits;
        if full || series.len() >= delta_series_max {
            let why = format!(
                "there are delta_series_max, {delta_series_max}, series of delta temporality, or they take delta_bytes_max, {delta_bytes_max}: send cumulative ones"
            );
            return Err(Fault::new("too_many_delta_series", why));
        }
        let Entry::Vacant(entry) = series.entry(key.into()) else { unreachable!("the key was looked up under this lock") };
        let running = entry.insert(Running::begin(time_ms, value, arrival));
        *bytes += key.len() + running.bytes();
        Ok(())
    }
}

impl Inner {
    fn sweep(&mut self, now_unix_nano: i64, idle_max: Duration) {
        if now_unix_nano < self.next_sweep_unix_nano {
            return;
        }
        let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        self.next_sweep_unix_nano = now_unix_nano.saturating_add(nanos(SWEEP_EVERY.min(idle_max)));
        let idle_max = nanos(idle_max);
        let Self { series, bytes, .. } = self;
        series.retain(|key, running| {
            let kept = now_unix_nano.saturating_sub(running.seen_unix_nano) < idle_max;
            if !kept {
                *bytes -= key.len() + running.bytes();
            }
            kept
        });
    }
}

impl Running {
    fn begin(time_ms: i64, first: &Sums, arrival: Arrival) -> Self {
        let recent = VecDeque::from([Recent { request: arrival.request, time_ms, delta: first.clone() }]);
        Self { base: None, recent, total: first.clone(), last_time_ms: time_ms, seen_unix_nano: arrival.unix_nano }
    }

    fn bytes(&self) -> usize {
        let recent: usize = self.recent.iter().map(|point| size_of::<Recent>() - size_of::<Sums>() + point.delta.bytes()).sum();
        size_of::<Self>() + self.base.as_ref().map_or(0, Sums::bytes) + self.total.bytes() + recent
    }

    fn advance(&mut self, time_ms: i64, value: &mut Sums, arrival: Arrival, buckets_max: usize) -> Result<(), Fault> {
        self.seen_unix_nano = arrival.unix_nano;
        if let Some(at) = self.recent.iter().position(|point| point.time_ms == time_ms && point.delta.same(value)) {
            let mut sums = self.base.clone();
            self.recent.iter().take(at + 1).for_each(|point| add(&mut sums, &point.delta));
            value.clone_from(&sums.expect("a point was added"));
            return Ok(());
        }
        if time_ms <= self.last_time_ms {
            let why = format!(
                "the point at {time_ms} ms is not after the last of its series, {} ms: send delta points in order",
                self.last_time_ms
            );
            return Err(Fault::new("out_of_order", why));
        }
        let mut total = self.total.clone();
        total.add(value);
        if total.buckets() > buckets_max {
            return Err(native::too_many_buckets(buckets_max));
        }
        let delta = std::mem::replace(value, total.clone());
        self.total = total;
        self.last_time_ms = time_ms;
        self.recent.push_back(Recent { request: arrival.request, time_ms, delta });
        let older = self.recent.iter().take_while(|point| point.request != arrival.request).count();
        let too_many = self.recent.len().saturating_sub(REPEATABLE_POINTS_MAX).max(older.saturating_sub(OLDER_POINTS_MAX));
        self.recent.drain(..too_many).for_each(|point| add(&mut self.base, &point.delta));
        Ok(())
    }

    fn forget_recent(&mut self) {
        self.recent = VecDeque::new();
        self.base = Some(self.total.clone());
    }
}

/// In the order in which they came, so that a repeated point gets the same sums bit by bit.
fn add(sums: &mut Option<Sums>, delta: &Sums) {
    match sums {
        Some(sums) => sums.add(delta),
        None => *sums = Some(delta.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request of one point.
    fn one(state: &DeltaState, key: &str, time_ms: i64, delta: f64, now: i64) -> Result<f64, &'static str> {
        add_to(state, key, time_ms, delta, state.begin_request(now))
    }

    fn add_to(state: &DeltaState, key: &str, time_ms: i64, delta: f64, arrival: Arrival) -> Result<f64, &'static str> {
        let mut value = Sums::Numbers(vec![delta]);
        state.accumulate(key.as_bytes(), time_ms, &mut value, arrival, 100).map_err(|fault| fault.reason)?;
        let Sums::Numbers(numbers) = value else { unreachable!("numbers stay numbers") };
        Ok(numbers[0])
    }

    #[test]
    fn sums_run_resends_repeat_and_old_points_are_refused() {
        let state = DeltaState::default();
        assert_eq!(one(&state, "a", 1000, 2.0, 0), Ok(2.0));
        assert_eq!(one(&state, "a", 2000, 3.0, 0), Ok(5.0));
        assert_eq!(one(&state, "b", 2000, 1.0, 0), Ok(1.0));
        assert_eq!(one(&state, "a", 1000, 2.0, 0), Ok(2.0));
        assert_eq!(one(&state, "a", 2000, 3.0, 0), Ok(5.0));
        assert_eq!(one(&state, "a", 2000, 4.0, 0), Err("out_of_order"));
        assert_eq!(one(&state, "a", 1500, 1.0, 0), Err("out_of_order"));
        assert_eq!(one(&state, "a", 3000, 1.0, 0), Ok(6.0));
    }

    #[test]
    fn the_state_is_bounded_and_forgets_the_idle() {
        let state =
            DeltaState::new(DeltaLimits { delta_series_max: 2, delta_idle_max: Duration::from_nanos(100), ..DeltaLimits::default() });
        assert_eq!(one(&state, "a", 1, 1.0, 0), Ok(1.0));
        assert_eq!(one(&state, "b", 1, 1.0, 50), Ok(1.0));
        assert_eq!(one(&state, "c", 1, 1.0, 99), Err("too_many_delta_series"));
        assert_eq!(one(&state, "c", 1, 1.0, 100), Ok(1.0));
        assert_eq!(state.len(), 2);
        assert_eq!(one(&state, "b", 2, 1.0, 101), Ok(2.0));
    }
    #[test]
    fn a_request_of_many_points_may_be_repeated() {
        let state = DeltaState::default();
        let send = |from: i64| {
            let arrival = state.begin_request(0);
            (from..from + 50).map(|time| add_to(&state, "a", time, 0.1, arrival)).collect::<Result<Vec<_>, _>>()
        };
        let first = send(1).expect("in order");
        assert_eq!(send(1).expect("the same again"), first);
        let second = send(51).expect("in order");
        assert_eq!(send(51).expect("the same again"), second);
        assert_eq!(one(&state, "a", 47, 0.1, 0), Ok(first[46]), "of an older request the last four");
        assert_eq!(one(&state, "a", 46, 0.1, 0), Err("out_of_order"));
    }

    #[test]
    fn bytes_are_bounded_and_series_that_are_there_go_on() {
        let state = DeltaState::new(DeltaLimits { delta_bytes_max: 5000, ..DeltaLimits::default() });
        let added = (0..100).filter(|index| one(&state, &format!("series {index}"), 1, 1.0, 0).is_ok()).count();
        assert!((5..50).contains(&added), "{added}");
        assert_eq!(one(&state, "another", 1, 1.0, 0), Err("too_many_delta_series"));
        for time in 2..500 {
            assert_eq!(one(&state, "series 0", time, 1.0, 0), Ok(time as f64));
        }
        let inner = state.lock();
        let counted: usize = inner.series.iter().map(|(key, running)| key.len() + running.bytes()).sum();
        assert!(counted == inner.bytes && counted < 6000, "{counted} {}", inner.bytes);
    }

    #[test]
    fn a_sum_of_histograms_does_not_outgrow_the_limit() {
        let state = DeltaState::default();
        let add = |time_ms: i64| {
            let from = i32::try_from(time_ms).expect("small") * 10;
            let mut value =
                Sums::Native(NativeHistogram { positive: (from..from + 10).map(|index| (index, 1.0)).collect(), ..Default::default() });
            state.accumulate(b"a", time_ms, &mut value, state.begin_request(0), 25).map_err(|fault| fault.reason)
        };
        assert_eq!((add(1), add(2), add(3), add(4)), (Ok(()), Ok(()), Err("too_many_buckets"), Err("too_many_buckets")));
    }
}
