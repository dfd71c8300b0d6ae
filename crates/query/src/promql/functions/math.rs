/// A sum that carries the error of each addition (Neumaier's form of Kahan's), so that it does not depend on the order.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Kahan {
    sum: f64,
    carried: f64,
}

impl Kahan {
    pub(in super::super) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_infinite() {
            self.carried = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.carried += (self.sum - total) + value;
        } else {
            self.carried += (value - total) + self.sum;
        }
        self.sum = total;
    }

    pub(in super::super) fn sum(&self) -> f64 {
        if self.sum.is_finite() { self.sum + self.carried } else { self.sum }
    }
}

impl FromIterator<f64> for Kahan {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sum = Self::default();
        values.into_iter().for_each(|value| sum.add(value));
        sum
    }
}

/// The mean, also where the sum would overflow.
pub(in super::super) fn mean(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let sum = values.iter().copied().collect::<Kahan>().sum();
    if sum.is_finite() || values.iter().any(|value| !value.is_finite()) {
        return sum / count;
    }
    values.iter().map(|value| value / count).collect::<Kahan>().sum()
}

/// The population variance.
pub(in super::super) fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean) * (value - mean)).collect::<Kahan>().sum() / values.len() as f64
}

/// NaN only when all are.
pub(in super::super) fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::min)
}

pub(in super::super) fn greatest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}

/// A float in a message, as Go's `%g` writes it.
pub(in super::super) fn format_short(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_what_is_small() {
        let values = [1.0, 1e100, 1.0, -1e100];
        assert_eq!(values.into_iter().collect::<Kahan>().sum(), 2.0);
        assert_eq!([f64::INFINITY, f64::INFINITY].into_iter().collect::<Kahan>().sum(), f64::INFINITY);
    }

    #[test]
    fn a_mean_does_not_overflow() {
        assert_eq!(mean(&[f64::MAX, f64::MAX]), f64::MAX);
        assert_eq!(mean(&[f64::INFINITY, 1.0]), f64::INFINITY);
    }
}
