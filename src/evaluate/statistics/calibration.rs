//! Whether a probability of 0.8 is right in 8 of 10 cases: bins of equal mass, the expected
//! calibration error, and Brier's score.

use super::bootstrap::unit;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

/// Bins of the calibration error (product specification, section 11).
pub const BINS: usize = 15;

/// One bin: what was said on average, and what came true.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    pub said: f64,
    pub came_true: f64,
    pub cases: usize,
}

/// Sorts by what was said and cuts into `bins` bins of equal mass; fewer where there are fewer
/// cases.
#[must_use]
pub fn bins(said: &[f64], came_true: &[bool], bins: usize) -> Vec<Bin> {
    let mut cases: Vec<(f64, bool)> = said
        .iter()
        .copied()
        .zip(came_true.iter().copied())
        .filter(|(p, _)| !p.is_nan())
        .collect();
    cases.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = cases.len();
    let bins = bins.min(n);
    (0..bins)
        .filter_map(|k| {
            let part = cases.get(k * n / bins..(k + 1) * n / bins)?;
            let m = part.len() as f64;
            Some(Bin {
                said: part.iter().map(|c| c.0).sum::<f64>() / m,
                came_true: part.iter().filter(|c| c.1).count() as f64 / m,
                cases: part.len(),
            })
        })
        .collect()
}

/// Mean gap between what was said and what came true, over [`BINS`] bins of equal mass.
#[must_use]
pub fn expected_error(said: &[f64], came_true: &[bool]) -> Option<f64> {
    let bins = bins(said, came_true, BINS);
    let n: usize = bins.iter().map(|b| b.cases).sum();
    (n > 0).then(|| {
        bins.iter()
            .map(|b| (b.said - b.came_true).abs() * b.cases as f64)
            .sum::<f64>()
            / n as f64
    })
}

/// The error that a perfectly calibrated model would show on as many cases, by chance alone: the
/// mean over `draws` sets of outcomes drawn from what was said.
#[must_use]
pub fn error_by_chance(said: &[f64], draws: usize, seed: u64) -> Option<f64> {
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(seed);
    let errors: Vec<f64> = (0..draws)
        .filter_map(|_| {
            let drawn: Vec<bool> = said.iter().map(|p| unit(&mut dice) < *p).collect();
            expected_error(said, &drawn)
        })
        .collect();
    (!errors.is_empty()).then(|| errors.iter().sum::<f64>() / errors.len() as f64)
}

/// Mean squared distance between the three probabilities and the truth: 0 is perfect, 2/3 is
/// what three thirds get.
#[must_use]
pub fn brier(p: &[[f64; 3]], truth: &[usize]) -> Option<f64> {
    let total: f64 = p
        .iter()
        .zip(truth)
        .map(|(p, &t)| {
            p.iter()
                .enumerate()
                .map(|(k, v)| (v - f64::from(u8::from(k == t))).powi(2))
                .sum::<f64>()
        })
        .sum();
    let n = p.len().min(truth.len());
    (n > 0).then(|| total / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same definition written in numpy.
    #[test]
    fn the_error_is_numpys() {
        let said: Vec<f64> = (0..40)
            .map(|i| 0.4 + 0.6 * f64::from(i * 7 % 40) / 40.0)
            .collect();
        let truth: Vec<bool> = (0..40).map(|i| i * 11 % 5 > 1).collect();
        let got = expected_error(&said, &truth).unwrap();
        assert!((got - ERROR).abs() < 1e-12, "{got}");
        assert_eq!(bins(&said, &truth, 15).len(), 15);
        assert_eq!(expected_error(&[], &[]), None);
    }

    /// scikit-learn 1.9: `brier_score_loss(..., scale_by_half=False)`.
    #[test]
    fn brier_is_scikit_learns() {
        let p = [
            [0.7, 0.2, 0.1],
            [0.1, 0.5, 0.4],
            [0.3, 0.3, 0.4],
            [0.05, 0.05, 0.9],
        ];
        let got = brier(&p, &[0, 2, 1, 2]).unwrap();
        assert!((got - BRIER).abs() < 1e-12, "{got}");
    }

    #[test]
    fn few_cases_look_badly_calibrated_by_chance() {
        let said = |n: usize| vec![0.7; n];
        let (few, many) = (
            error_by_chance(&said(30), 200, 5).unwrap(),
            error_by_chance(&said(3000), 200, 5).unwrap(),
        );
        assert!(few > 0.15 && many < 0.05, "{few} {many}");
    }

    proptest! {
        #[test]
        fn no_case_is_lost_in_the_bins(
            cases in prop::collection::vec((0.0f64..1.0, any::<bool>()), 0..100)
        ) {
            let said: Vec<f64> = cases.iter().map(|c| c.0).collect();
            let truth: Vec<bool> = cases.iter().map(|c| c.1).collect();
            let bins = bins(&said, &truth, BINS);
            prop_assert_eq!(bins.iter().map(|b| b.cases).sum::<usize>(), cases.len());
            prop_assert!(bins.windows(2).all(|w| w[0].said <= w[1].said));
            if let Some(error) = expected_error(&said, &truth) {
                prop_assert!((0.0..=1.0).contains(&error));
            }
        }
    }

    const ERROR: f64 = 0.190_75;
    const BRIER: f64 = 0.378_75;
}
