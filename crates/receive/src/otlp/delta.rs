//! Turns points of delta temporality into running sums, because the Prometheus model knows only cumulative ones.
//!
//! The state is memory of this process: after a restart every sum begins at zero again, which readers take for a
//! counter reset. A sender that repeats a request (its answer was lost) gets the same sums again; a point older than
//! the last is refused. Refused: sums kept in the store, because each point would need a read.

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
    /// A series that sent nothing for so long is forgotten.
    pub delta_idle_max: Duration,
}

impl Default for DeltaLimits {
    fn default() -> Self {
        Self { delta_series_max: 200_000, delta_idle_max: Duration::from_secs(3600) }
    }
}

/// Points that can be repeated per series.
const RESEND_POINTS_MAX: usize = 4;

/// The numbers that run together: one of a sum, all buckets with sum and count of a histogram.
#[derive(Clone, Debug)]
pub(super) enum Sums {
    Numbers(Vec<f64>),
    Native(NativeHistogram),
}

impl Sums {
    /// False when the two have another shape.
    fn add(&mut self, delta: &Self) -> bool {
        match (self, delta) {
            (Self::Numbers(sums), Self::Numbers(deltas)) if sums.len() == deltas.len() => {
                sums.iter_mut().zip(deltas).for_each(|(sum, delta)| *sum += delta);
                true
            }
            (Self::Native(sum), Self::Native(delta)) => {
                native::add(sum, delta);
                true
            }
            _ => false,
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
}

struct Running {
    sums: Sums,
    last_time_ms: i64,
    seen_unix_nano: i64,
    /// Time, delta and sums of the latest points, oldest first.
    recent: VecDeque<(i64, Sums, Sums)>,
}

/// The running sums of all delta series that senders keep alive.
#[derive(Default)]
pub struct DeltaState {
    limits: DeltaLimits,
    series: Mutex<HashMap<Box<[u8]>, Running>>,
}

impl DeltaState {
    pub fn new(limits: DeltaLimits) -> Self {
        Self { limits, series: Mutex::default() }
    }

    /// Series held now.
    pub fn len(&self) -> usize {
        self.series.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Turns the delta in `value` into the sum since the series began.
    pub(super) fn accumulate(&self, key: &[u8], time_ms: i64, value: &mut Sums, now_unix_nano: i64) -> Result<(), Fault> {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = series.get_mut(key) {
            return running.advance(time_ms, value, now_unix_nano);
        }
        if series.len() >= self.limits.delta_series_max {
            let idle_max = i64::try_from(self.limits.delta_idle_max.as_nanos()).unwrap_or(i64::MAX);
            series.retain(|_, running| now_unix_nano.saturating_sub(running.seen_unix_nano) < idle_max);
        }
        if series.len() >= self.limits.delta_series_max {
            let max = self.limits.delta_series_max;
            let why = format!("there are delta_series_max, {max}, series of delta temporality: send cumulative ones");
            return Err(Fault::new("too_many_delta_series", why));
        }
        let Entry::Vacant(entry) = series.entry(key.into()) else { unreachable!("the key was looked up under this lock") };
        let running =
            entry.insert(Running { sums: value.clone(), last_time_ms: time_ms, seen_unix_nano: now_unix_nano, recent: VecDeque::new() });
        running.recent.push_back((time_ms, value.clone(), value.clone()));
        Ok(())
    }
}

impl Running {
    fn advance(&mut self, time_ms: i64, value: &mut Sums, now_unix_nano: i64) -> Result<(), Fault> {
        self.seen_unix_nano = now_unix_nano;
        if let Some((.., sums)) = self.recent.iter().find(|(time, delta, _)| *time == time_ms && delta.same(value)) {
            *value = sums.clone();
            return Ok(());
        }
        if time_ms <= self.last_time_ms {
            let why = format!(
                "the point at {time_ms} ms is not after the last of its series, {} ms: send delta points in order",
                self.last_time_ms
            );
            return Err(Fault::new("out_of_order", why));
        }
        let delta = value.clone();
        if !self.sums.add(&delta) {
            self.sums = delta.clone();
        }
        value.clone_from(&self.sums);
        self.last_time_ms = time_ms;
        if self.recent.len() == RESEND_POINTS_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((time_ms, delta, value.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(state: &DeltaState, key: &str, time_ms: i64, delta: f64, now: i64) -> Result<f64, &'static str> {
        let mut value = Sums::Numbers(vec![delta]);
        state.accumulate(key.as_bytes(), time_ms, &mut value, now).map_err(|fault| fault.reason)?;
        let Sums::Numbers(numbers) = value else { unreachable!("numbers stay numbers") };
        Ok(numbers[0])
    }

    #[test]
    fn sums_run_resends_repeat_and_old_points_are_refused() {
        let state = DeltaState::default();
        assert_eq!(add(&state, "a", 1000, 2.0, 0), Ok(2.0));
        assert_eq!(add(&state, "a", 2000, 3.0, 0), Ok(5.0));
        assert_eq!(add(&state, "b", 2000, 1.0, 0), Ok(1.0));
        assert_eq!(add(&state, "a", 1000, 2.0, 0), Ok(2.0));
        assert_eq!(add(&state, "a", 2000, 3.0, 0), Ok(5.0));
        assert_eq!(add(&state, "a", 2000, 4.0, 0), Err("out_of_order"));
        assert_eq!(add(&state, "a", 1500, 1.0, 0), Err("out_of_order"));
        assert_eq!(add(&state, "a", 3000, 1.0, 0), Ok(6.0));
    }

    #[test]
    fn the_state_is_bounded_and_forgets_the_idle() {
        let state = DeltaState::new(DeltaLimits { delta_series_max: 2, delta_idle_max: Duration::from_nanos(100) });
        assert_eq!(add(&state, "a", 1, 1.0, 0), Ok(1.0));
        assert_eq!(add(&state, "b", 1, 1.0, 50), Ok(1.0));
        assert_eq!(add(&state, "c", 1, 1.0, 99), Err("too_many_delta_series"));
        assert_eq!(add(&state, "c", 1, 1.0, 100), Ok(1.0));
        assert_eq!(state.len(), 2);
        assert_eq!(add(&state, "b", 2, 1.0, 101), Ok(2.0));
    }
}
