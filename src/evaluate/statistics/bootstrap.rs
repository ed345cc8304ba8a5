//! Intervals by drawing patients again, with replacement.
//!
//! Two studies of one patient are not two witnesses, so patients are drawn and bring all their
//! studies along. The draws are made once and used for every number of a set of cases; the same
//! seed gives the same interval on every machine.

use super::Estimate;
use super::proportion::Share;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// Draws of an interval (product specification, section 11).
pub const DRAWS: usize = 2000;

/// Fewer usable draws than this and there is no interval worth the name.
const FEWEST_DRAWS: usize = 200;

/// How often each case stands in each draw.
#[derive(Clone, Debug)]
pub struct Draws {
    weights: Vec<Vec<u32>>,
    cases: usize,
}

impl Draws {
    /// `patients[i]` is the patient of case `i`.
    #[must_use]
    pub fn new(patients: &[usize], draws: usize, seed: u64) -> Self {
        let mut cases_of: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (case, patient) in patients.iter().enumerate() {
            cases_of.entry(*patient).or_default().push(case);
        }
        let cases_of: Vec<Vec<usize>> = cases_of.into_values().collect();
        let mut dice = Xoshiro256PlusPlus::seed_from_u64(seed);
        let weights = (0..draws)
            .map(|_| {
                let mut weight = vec![0u32; patients.len()];
                for _ in 0..cases_of.len() {
                    for &case in &cases_of[below(&mut dice, cases_of.len())] {
                        weight[case] += 1;
                    }
                }
                weight
            })
            .collect();
        Self {
            weights,
            cases: patients.len(),
        }
    }

    /// The 95 % interval of `statistic`, which sees how often each case stands in the draw.
    ///
    /// Draws in which the statistic does not exist (a class is missing) are left out. The interval
    /// is widened to hold the value itself, which a percentile interval need not do.
    #[must_use]
    pub fn interval(
        &self,
        value: f64,
        statistic: impl Fn(&[u32]) -> Option<f64>,
    ) -> Option<Estimate> {
        let mut seen: Vec<f64> = self.weights.iter().filter_map(|w| statistic(w)).collect();
        if seen.len() < FEWEST_DRAWS.min(self.weights.len()) || seen.is_empty() {
            return None;
        }
        seen.sort_by(f64::total_cmp);
        Some(Estimate {
            value,
            low: quantile(&seen, 0.025).min(value),
            high: quantile(&seen, 0.975).max(value),
            cases: self.cases,
        })
    }
}

/// Where all draws agree on a perfect score the bootstrap knows nothing. Then `fewer` cases
/// without a mistake set the end: Wilson's bound for that many of that many.
#[must_use]
pub fn honest_at_the_top(estimate: Estimate, fewer: usize) -> Estimate {
    match Share::new(fewer, fewer) {
        Some(share) if estimate.value >= 1.0 && estimate.low >= 1.0 => Estimate {
            low: share.low,
            ..estimate
        },
        _ => estimate,
    }
}

/// A whole number in `0..n`, without the bias of a remainder.
fn below(dice: &mut Xoshiro256PlusPlus, n: usize) -> usize {
    ((u128::from(dice.next_u64()) * n as u128) >> 64) as usize
}

/// Uniform in 0..1.
#[must_use]
pub fn unit(dice: &mut Xoshiro256PlusPlus) -> f64 {
    (dice.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Linear between the neighbours, as numpy has it; `sorted` is not empty.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let low = at.floor() as usize;
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64)
}

#[cfg(test)]
mod tests {
    use super::super::auc::Ranked;
    use super::*;
    use proptest::prelude::*;

    fn mean(values: &[f64]) -> impl Fn(&[u32]) -> Option<f64> + '_ {
        |weights| {
            let n: u32 = weights.iter().sum();
            let sum: f64 = values
                .iter()
                .zip(weights)
                .map(|(v, w)| v * f64::from(*w))
                .sum();
            (n > 0).then(|| sum / f64::from(n))
        }
    }

    #[test]
    fn a_quantile_is_numpys() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert!((quantile(&sorted, 0.025) - 1.075).abs() < 1e-12);
        assert!((quantile(&sorted, 0.5) - 3.0).abs() < 1e-12);
        assert!((quantile(&sorted, 1.0) - 8.0).abs() < 1e-12);
    }

    /// The mean of 100 values with deviation 1 has a standard error of 0.1.
    #[test]
    fn an_interval_is_as_wide_as_the_theory_says() {
        let values: Vec<f64> = (0..100)
            .map(|i| if i % 2 == 0 { 1.0 } else { -1.0 })
            .collect();
        let patients: Vec<usize> = (0..100).collect();
        let draws = Draws::new(&patients, DRAWS, 1);
        let got = draws.interval(0.0, mean(&values)).unwrap();
        assert!((got.low + 0.196).abs() < 0.025, "{got:?}");
        assert!((got.high - 0.196).abs() < 0.025, "{got:?}");
        assert_eq!(draws.interval(0.0, mean(&values)), Some(got));
    }

    #[test]
    fn ten_studies_of_one_patient_are_one_witness() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i / 10 % 2)).collect();
        let alone: Vec<usize> = (0..100).collect();
        let shared: Vec<usize> = (0..100).map(|i| i / 10).collect();
        let width = |patients: &[usize]| {
            let got = Draws::new(patients, DRAWS, 7).interval(0.5, mean(&values));
            got.map(|e| e.high - e.low).unwrap()
        };
        assert!(width(&shared) > 2.0 * width(&alone));
    }

    #[test]
    fn a_perfect_score_of_few_is_no_certainty() {
        let ranked = Ranked::new(&[0.1, 0.2, 0.8, 0.9], &[false, false, true, true]);
        let draws = Draws::new(&[0, 1, 2, 3], DRAWS, 3);
        let plain = draws.interval(1.0, |w| ranked.weighed(|i| w[i])).unwrap();
        assert_eq!((plain.low, plain.high), (1.0, 1.0));
        let honest = honest_at_the_top(plain, ranked.fewer());
        assert!((honest.low - 0.342_380_227_2).abs() < 1e-6, "{honest:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn an_interval_holds_its_estimate(
            cases in prop::collection::vec((0.0f64..1.0, any::<bool>(), 0usize..20), 6..50),
            seed in any::<u64>()
        ) {
            let scores: Vec<f64> = cases.iter().map(|c| c.0).collect();
            let truth: Vec<bool> = cases.iter().map(|c| c.1).collect();
            let patients: Vec<usize> = cases.iter().map(|c| c.2).collect();
            let ranked = Ranked::new(&scores, &truth);
            if let Some(value) = ranked.area() {
                let draws = Draws::new(&patients, 300, seed);
                if let Some(e) = draws.interval(value, |w| ranked.weighed(|i| w[i])) {
                    prop_assert!(e.low <= value && value <= e.high);
                    prop_assert!(0.0 <= e.low && e.high <= 1.0);
                }
            }
        }
    }
}
