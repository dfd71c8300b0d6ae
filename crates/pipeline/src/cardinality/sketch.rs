//! How many different hashes were there? HyperLogLog in a kilobyte, about 3 % off.

const INDEX_BITS: u32 = 10;
const REGISTERS: usize = 1 << INDEX_BITS;

#[derive(Clone, Debug)]
pub(super) struct Sketch(Box<[u8; REGISTERS]>);

impl Default for Sketch {
    fn default() -> Self {
        Self(Box::new([0; REGISTERS]))
    }
}

impl Sketch {
    /// Takes a good 64-bit hash of a value.
    pub(super) fn add(&mut self, hash: u64) {
        let register = &mut self.0[(hash >> (u64::BITS - INDEX_BITS)) as usize];
        // The bit that ends the zeros is always there.
        let zeros = ((hash << INDEX_BITS) | (1 << (INDEX_BITS - 1))).leading_zeros() as u8;
        *register = (*register).max(zeros + 1);
    }

    pub(super) fn estimate(&self) -> u64 {
        let count = REGISTERS as f64;
        let sum: f64 = self.0.iter().map(|&register| (-f64::from(register)).exp2()).sum();
        let estimate = 0.7213 / (1.0 + 1.079 / count) * count * count / sum;
        let empty = self.0.iter().filter(|register| **register == 0).count();
        match empty > 0 && estimate <= 2.5 * count {
            // Few values: the share of registers without one tells more.
            true => (count * (count / empty as f64).ln()).round() as u64,
            false => estimate.round() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twox_hash::XxHash3_64;

    #[test]
    fn estimates_are_a_few_percent_off() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.estimate(), 0);
        let mut counted = 0;
        for wanted in [10, 100, 1_000, 5_000, 50_000, 1_000_000] {
            for value in counted..wanted {
                let hash = XxHash3_64::oneshot(format!("user-{value}").as_bytes());
                sketch.add(hash);
                sketch.add(hash);
            }
            counted = wanted;
            let (estimate, wanted) = (sketch.estimate() as f64, f64::from(wanted));
            assert!((estimate - wanted).abs() <= 0.1 * wanted, "{estimate} of {wanted}");
        }
    }
}
