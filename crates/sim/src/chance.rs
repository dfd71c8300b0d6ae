//! Seeded randomness whose bytes never change: a demo, a test and a bench that name one seed see one company, whatever
//! version of a random-number library is in fashion. (SplitMix64; Steele, Lea and Flood, "Fast splittable pseudorandom
//! number generators", 2014.)

#[derive(Clone, Debug)]
pub(crate) struct Chance {
    state: u64,
}

impl Chance {
    /// A stream of its own for every combination of seed and parts: what happens in one second and place does not
    /// depend on how many dice were thrown elsewhere.
    pub(crate) fn of(seed: u64, parts: &[u64]) -> Self {
        let mut chance = Self { state: seed };
        for part in parts {
            chance.state = chance.next().wrapping_add(part.wrapping_mul(0xd6e8_feb8_6659_fd93));
        }
        chance.next();
        chance
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// In [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// In [low, high).
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// In 0..bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below zero to choose");
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// Chooses by weight; the weights need not sum to one.
    pub(crate) fn weighted<'a, T>(&mut self, choices: &'a [T], weight: impl Fn(&T) -> f64) -> &'a T {
        let mut left = self.uniform() * choices.iter().map(&weight).sum::<f64>();
        for choice in choices {
            left -= weight(choice);
            if left < 0.0 {
                return choice;
            }
        }
        choices.last().expect("there is at least one choice")
    }

    /// Standard normal (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Latencies are log-normal: a median, and a long tail that grows with `sigma`.
    pub(crate) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    /// Arrivals in a window in which `mean` are expected (Knuth up to 30, then the normal approximation).
    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 30.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let limit = (-mean).exp();
        let mut product = self.uniform();
        let mut count = 0;
        while product > limit {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    pub(crate) fn span_id(&mut self) -> [u8; 8] {
        self.next().max(1).to_be_bytes()
    }

    pub(crate) fn trace_id(&mut self) -> [u8; 16] {
        ((u128::from(self.next()) << 64) | u128::from(self.next().max(1))).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_every_part_and_repeat() {
        let first = |seed, parts: &[u64]| Chance::of(seed, parts).next();
        assert_eq!(first(1, &[2, 3]), first(1, &[2, 3]));
        let mut all = vec![first(1, &[2, 3]), first(1, &[3, 2]), first(2, &[2, 3]), first(1, &[2]), first(1, &[2, 4])];
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 5);
    }

    #[test]
    fn distributions_have_their_means() {
        let mut chance = Chance::of(7, &[]);
        let mean = |mut draw: Box<dyn FnMut() -> f64 + '_>| (0..20_000).map(|_| draw()).sum::<f64>() / 20_000.0;
        assert!((mean(Box::new(|| chance.uniform())) - 0.5).abs() < 0.01);
        assert!(mean(Box::new(|| chance.normal())).abs() < 0.03);
        assert!((mean(Box::new(|| chance.poisson(1.5) as f64)) - 1.5).abs() < 0.05);
        assert!((mean(Box::new(|| chance.poisson(80.0) as f64)) - 80.0).abs() < 0.5);
        let mut latencies: Vec<f64> = (0..20_001).map(|_| chance.log_normal(12.0, 0.5)).collect();
        latencies.sort_by(f64::total_cmp);
        assert!((latencies[10_000] - 12.0).abs() < 0.3);
    }
}
