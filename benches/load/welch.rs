//! Whether two lots of times differ by more than chance (Welch, 1947).

/// Times of one kind, in nanoseconds.
#[derive(Debug, Default, Clone)]
pub(crate) struct Lot(Vec<f64>);

impl Lot {
    /// Notes one.
    pub(crate) fn note(&mut self, nanos: u64) {
        self.0.push(nanos as f64);
    }

    /// All of them, in microseconds.
    pub(crate) fn micros(&self) -> Vec<f64> {
        self.0.iter().map(|nanos| nanos / 1e3).collect()
    }

    /// In nanoseconds.
    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len().max(1) as f64
    }

    /// Of the mean, not of the times.
    fn variance_of_mean(&self) -> f64 {
        let (mean, count) = (self.mean(), self.0.len() as f64);
        let squares: f64 = self.0.iter().map(|nanos| (nanos - mean).powi(2)).sum();
        squares / (count - 1.0).max(1.0) / count.max(1.0)
    }

    /// Those that are no longer than that.
    fn up_to(&self, most: f64) -> Self {
        Self(self.0.iter().copied().filter(|nanos| *nanos <= most).collect())
    }
}

/// Welch's t of two lots: what their means are apart, in units of how uncertain that is. 0 where neither varies.
pub(crate) fn t(one: &Lot, other: &Lot) -> f64 {
    let uncertain = (one.variance_of_mean() + other.variance_of_mean()).sqrt();
    if uncertain > 0.0 { (one.mean() - other.mean()) / uncertain } else { 0.0 }
}

/// The same without the slowest twentieth of both together, which hides small differences: mishaps of the machine are
/// as long as they like.
pub(crate) fn t_cropped(one: &Lot, other: &Lot) -> f64 {
    let mut all: Vec<_> = one.0.iter().chain(&other.0).copied().collect();
    all.sort_by(f64::total_cmp);
    let Some(most) = all.get((all.len() * 19 / 20).min(all.len().saturating_sub(1))) else { return 0.0 };
    t(&one.up_to(*most), &other.up_to(*most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lot(nanos: &[u64]) -> Lot {
        let mut lot = Lot::default();
        nanos.iter().for_each(|nanos| lot.note(*nanos));
        lot
    }

    #[test]
    fn t_is_what_means_are_apart_by_how_uncertain_they_are() {
        // Means 3 and 6; variances 2.5 and 10, of five each: 3 / sqrt(0.5 + 2).
        let (one, other) = (lot(&[1, 2, 3, 4, 5]), lot(&[2, 4, 6, 8, 10]));
        assert!((t(&other, &one) - 3.0 / 2.5_f64.sqrt()).abs() < 1e-12);
        assert!((t(&one, &other) + t(&other, &one)).abs() < 1e-12);
        assert_eq!((t(&one, &one), t(&Lot::default(), &Lot::default())), (0.0, 0.0));
    }

    #[test]
    fn a_difference_shows_though_one_mishap_hides_it() {
        let times = |base: u64| (0..100).map(|each| base + each % 7).collect::<Vec<_>>();
        let (mut one, other) = (lot(&times(100)), lot(&times(110)));
        one.note(1_000_000);
        assert!(t(&one, &other).abs() < 4.5);
        assert!(t_cropped(&one, &other) < -4.5);
    }
}
