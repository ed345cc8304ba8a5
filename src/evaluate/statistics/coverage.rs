//! Risk against coverage: how often the answer is wrong if only the surest cases are answered.

use serde::{Deserialize, Serialize};

/// Answering the surest `coverage` of all cases, `risk` of these answers are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub coverage: f64,
    pub risk: f64,
}

/// One point per case, from the surest on. Within equal sureness mistakes are spread evenly, so
/// the curve does not depend on the order of the cases.
#[must_use]
pub fn curve(sureness: &[f64], wrong: &[bool]) -> Vec<Point> {
    let mut cases: Vec<(f64, bool)> = sureness
        .iter()
        .copied()
        .zip(wrong.iter().copied())
        .filter(|(s, _)| !s.is_nan())
        .collect();
    cases.sort_by(|a, b| b.0.total_cmp(&a.0));
    let n = cases.len() as f64;
    let mut points = Vec::with_capacity(cases.len());
    let mut mistakes = 0.0;
    for group in cases.chunk_by(|a, b| a.0 == b.0) {
        let each = group.iter().filter(|c| c.1).count() as f64 / group.len() as f64;
        for _ in group {
            mistakes += each;
            let answered = points.len() as f64 + 1.0;
            points.push(Point {
                coverage: answered / n,
                risk: mistakes / answered,
            });
        }
    }
    points
}

/// Area under the curve: the mean risk over all coverages. 0 is perfect.
#[must_use]
pub fn area(curve: &[Point]) -> Option<f64> {
    (!curve.is_empty()).then(|| curve.iter().map(|p| p.risk).sum::<f64>() / curve.len() as f64)
}

/// The risk when at least this share is answered.
#[must_use]
pub fn risk_at(curve: &[Point], coverage: f64) -> Option<f64> {
    curve
        .iter()
        .find(|p| p.coverage >= coverage - 1e-9)
        .map(|p| p.risk)
}

/// The largest share that can be answered at no more than this risk; 0 when none can.
#[must_use]
pub fn coverage_at(curve: &[Point], risk: f64) -> f64 {
    curve
        .iter()
        .rev()
        .find(|p| p.risk <= risk + 1e-12)
        .map_or(0.0, |p| p.coverage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_small_curve_by_hand() {
        let curve = curve(&[0.9, 0.8, 0.7, 0.6], &[false, true, false, true]);
        let risks: Vec<f64> = curve.iter().map(|p| p.risk).collect();
        assert_eq!(risks, [0.0, 0.5, 1.0 / 3.0, 0.5]);
        assert_eq!(area(&curve), Some((0.5 + 1.0 / 3.0 + 0.5) / 4.0));
        assert_eq!(risk_at(&curve, 0.75), Some(1.0 / 3.0));
        assert_eq!(coverage_at(&curve, 0.4), 0.75);
        assert_eq!(coverage_at(&curve, 0.1), 0.25);
        assert_eq!((area(&[]), risk_at(&[], 1.0)), (None, None));
    }

    proptest! {
        #[test]
        fn the_order_of_the_cases_does_not_matter(
            cases in prop::collection::vec((0u8..9, any::<bool>()), 1..60)
        ) {
            let of = |cases: &[(u8, bool)]| {
                let s: Vec<f64> = cases.iter().map(|c| f64::from(c.0)).collect();
                let w: Vec<bool> = cases.iter().map(|c| c.1).collect();
                curve(&s, &w)
            };
            let mut turned = cases.clone();
            turned.reverse();
            for (a, b) in of(&cases).iter().zip(of(&turned)) {
                prop_assert!((a.risk - b.risk).abs() < 1e-9);
            }
            let all = cases.iter().filter(|c| c.1).count() as f64 / cases.len() as f64;
            prop_assert!((risk_at(&of(&cases), 1.0).unwrap() - all).abs() < 1e-9);
        }
    }
}
