//! Area under the ROC curve, by ranks, with ties counted half; and the curve itself.

/// Scores in ascending order, ready to be weighed many times over.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// Cases by ascending score.
    order: Vec<usize>,
    /// For each place in `order`, whether its score equals the one before it.
    tied: Vec<bool>,
    positive: Vec<bool>,
}

impl Ranked {
    /// `scores[i]` speaks for case `i` being positive. Scores that are not numbers rank lowest.
    #[must_use]
    pub fn new(scores: &[f64], positive: &[bool]) -> Self {
        let score = |i: usize| match scores.get(i) {
            Some(v) if !v.is_nan() => *v,
            _ => f64::NEG_INFINITY,
        };
        let mut order: Vec<usize> = (0..positive.len()).collect();
        order.sort_by(|a, b| score(*a).total_cmp(&score(*b)));
        let tied = (0..order.len())
            .map(|k| k > 0 && score(order[k]) == score(order[k - 1]))
            .collect();
        Self {
            order,
            tied,
            positive: positive.to_vec(),
        }
    }

    /// The area with each case once.
    #[must_use]
    pub fn area(&self) -> Option<f64> {
        self.weighed(|_| 1)
    }

    /// The area where case `i` stands `weight(i)` times. `None` unless both kinds are there.
    #[must_use]
    pub fn weighed(&self, weight: impl Fn(usize) -> u32) -> Option<f64> {
        let (mut positives, mut negatives) = (0.0, 0.0);
        // Negatives strictly below the group of equal scores, and what is in the group.
        let (mut below, mut group_pos, mut group_neg) = (0.0, 0.0, 0.0);
        let mut won = 0.0;
        for (k, &case) in self.order.iter().enumerate() {
            if !self.tied[k] {
                won += group_pos * (below + 0.5 * group_neg);
                below += group_neg;
                (group_pos, group_neg) = (0.0, 0.0);
            }
            let w = f64::from(weight(case));
            if self.positive[case] {
                group_pos += w;
                positives += w;
            } else {
                group_neg += w;
                negatives += w;
            }
        }
        won += group_pos * (below + 0.5 * group_neg);
        (positives > 0.0 && negatives > 0.0).then(|| won / (positives * negatives))
    }

    /// The smaller of the two groups.
    #[must_use]
    pub fn fewer(&self) -> usize {
        let positives = self.positive.iter().filter(|p| **p).count();
        positives.min(self.positive.len() - positives)
    }

    /// Corners of the curve from (0, 0) to (1, 1): share of false alarms, share found.
    #[must_use]
    pub fn curve(&self) -> Vec<(f64, f64)> {
        let of = |kind: bool| self.positive.iter().filter(|p| **p == kind).count().max(1) as f64;
        let (positives, negatives) = (of(true), of(false));
        let (mut found, mut alarms) = (0.0, 0.0);
        let mut corners = vec![(0.0, 0.0)];
        for (k, &case) in self.order.iter().enumerate().rev() {
            if self.positive[case] {
                found += 1.0;
            } else {
                alarms += 1.0;
            }
            // The group ends where the score changes.
            if !self.tied[k] {
                corners.push((alarms / negatives, found / positives));
            }
        }
        corners
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn area(scores: &[f64], positive: &[bool]) -> Option<f64> {
        Ranked::new(scores, positive).area()
    }

    /// scikit-learn 1.9: `roc_auc_score`, the second time with weights.
    #[test]
    fn the_area_is_scikit_learns() {
        let scores = [0.1, 0.4, 0.35, 0.8, 0.4, 0.4, 0.9, 0.05, 0.6, 0.6];
        let truth = [0, 0, 1, 1, 1, 0, 1, 0, 0, 1].map(|t| t == 1);
        let got = area(&scores, &truth).unwrap();
        assert!((got - AREA).abs() < 1e-12, "{got}");
        // The second case three times, the fifth not at all.
        let weights = [1, 3, 1, 2, 0, 1, 1, 1, 1, 1];
        let got = Ranked::new(&scores, &truth)
            .weighed(|i| weights[i])
            .unwrap();
        assert!((got - WEIGHED).abs() < 1e-12, "{got}");
    }

    #[test]
    fn without_both_kinds_there_is_no_area() {
        assert_eq!(area(&[0.1, 0.2], &[true, true]), None);
        assert_eq!(area(&[], &[]), None);
        assert_eq!(area(&[f64::NAN, 0.2], &[false, true]), Some(1.0));
    }

    #[test]
    fn the_curve_goes_from_corner_to_corner() {
        let curve = Ranked::new(&[0.1, 0.5, 0.5, 0.9], &[false, false, true, true]).curve();
        assert_eq!(curve, [(0.0, 0.0), (0.0, 0.5), (0.5, 1.0), (1.0, 1.0)]);
    }

    proptest! {
        #[test]
        fn the_complement_has_the_complement(
            cases in prop::collection::vec((0u8..12, any::<bool>()), 2..80)
        ) {
            let scores: Vec<f64> = cases.iter().map(|c| f64::from(c.0)).collect();
            let truth: Vec<bool> = cases.iter().map(|c| c.1).collect();
            let turned: Vec<f64> = scores.iter().map(|s| -s).collect();
            let other: Vec<bool> = truth.iter().map(|t| !t).collect();
            match (area(&scores, &truth), area(&turned, &truth), area(&scores, &other)) {
                (Some(a), Some(b), Some(c)) => {
                    prop_assert!((a + b - 1.0).abs() < 1e-12);
                    prop_assert!((a + c - 1.0).abs() < 1e-12);
                    prop_assert!((0.0..=1.0).contains(&a));
                }
                (None, None, None) => {}
                other => prop_assert!(false, "{other:?}"),
            }
        }

        #[test]
        fn the_area_lies_under_the_curve(
            cases in prop::collection::vec((0u8..12, any::<bool>()), 2..80)
        ) {
            let scores: Vec<f64> = cases.iter().map(|c| f64::from(c.0)).collect();
            let truth: Vec<bool> = cases.iter().map(|c| c.1).collect();
            let ranked = Ranked::new(&scores, &truth);
            if let Some(area) = ranked.area() {
                let under: f64 = ranked
                    .curve()
                    .windows(2)
                    .map(|w| (w[1].0 - w[0].0) * (w[0].1 + w[1].1) / 2.0)
                    .sum();
                prop_assert!((under - area).abs() < 1e-9, "{under} {area}");
            }
        }
    }

    const AREA: f64 = 0.78;
    const WEIGHED: f64 = 0.842_857_142_857_142_9;
}
