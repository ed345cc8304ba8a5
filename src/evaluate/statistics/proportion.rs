//! Counts and what follows from them: shares with Wilson's interval, and predictive values at a
//! prevalence.

use serde::{Deserialize, Serialize};

/// The normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

/// `count` of `of` cases, with Wilson's 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub count: usize,
    pub of: usize,
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Share {
    /// `None` without cases.
    #[must_use]
    pub fn new(count: usize, of: usize) -> Option<Self> {
        if of == 0 {
            return None;
        }
        let (n, p) = (of as f64, count as f64 / of as f64);
        let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Some(Self {
            count,
            of,
            value: p,
            low: (middle - half).clamp(0.0, p),
            high: (middle + half).clamp(p, 1.0),
        })
    }
}

/// What a call and what its absence are worth where `prevalence` of the patients have the class.
///
/// The ends come from the ends of both intervals, which is wider than needed and never
/// pretends: a specificity of 40 of 40 is no proof that every call is right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predictive {
    pub prevalence: f64,
    pub ppv: Range,
    pub npv: Range,
}

/// A value between two ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Predictive {
    /// `None` where nothing is ever called, or everything is.
    #[must_use]
    pub fn new(sensitivity: &Share, specificity: &Share, prevalence: f64) -> Option<Self> {
        let range = |f: fn(f64, f64, f64) -> Option<f64>| {
            let value = f(sensitivity.value, specificity.value, prevalence)?;
            let low = f(sensitivity.low, specificity.low, prevalence).unwrap_or(0.0);
            let high = f(sensitivity.high, specificity.high, prevalence).unwrap_or(1.0);
            Some(Range {
                value,
                low: low.min(value),
                high: high.max(value),
            })
        };
        Some(Self {
            prevalence,
            ppv: range(ppv)?,
            npv: range(npv)?,
        })
    }
}

/// Share of calls that are right.
#[must_use]
pub fn ppv(sensitivity: f64, specificity: f64, prevalence: f64) -> Option<f64> {
    let hits = sensitivity * prevalence;
    let called = hits + (1.0 - specificity) * (1.0 - prevalence);
    (called > 0.0).then(|| hits / called)
}

/// Share of patients without a call who do not have the class.
#[must_use]
pub fn npv(sensitivity: f64, specificity: f64, prevalence: f64) -> Option<f64> {
    let clear = specificity * (1.0 - prevalence);
    let silent = clear + (1.0 - sensitivity) * prevalence;
    (silent > 0.0).then(|| clear / silent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// scipy 1.17: `binomtest(k, n).proportion_ci(0.95, method="wilson")`.
    #[test]
    fn wilson_is_scipys() {
        for (k, n, low, high) in WILSON {
            let share = Share::new(k, n).unwrap();
            assert!((share.low - low).abs() < 1e-9, "{k}/{n}: {share:?}");
            assert!((share.high - high).abs() < 1e-9, "{k}/{n}: {share:?}");
        }
        assert_eq!(Share::new(0, 0), None);
    }

    /// The product's own table: .93 and .93 give .12, .41, .60 and .85.
    #[test]
    fn predictive_values_follow_the_prevalence() {
        for (prevalence, said) in [(0.01, 0.12), (0.05, 0.41), (0.10, 0.60), (0.30, 0.85)] {
            let value = ppv(0.93, 0.93, prevalence).unwrap();
            assert!((value - said).abs() < 0.005, "{prevalence}: {value}");
        }
        let value = npv(0.93, 0.93, 0.1).unwrap();
        assert!((value - 0.991_706_161_137_440_8).abs() < 1e-12, "{value}");
        assert_eq!(ppv(0.0, 1.0, 0.1), None);
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_value(of in 1usize..5000, part in 0.0f64..=1.0) {
            let count = (part * of as f64) as usize;
            let share = Share::new(count, of).unwrap();
            prop_assert!(0.0 <= share.low && share.low <= share.value);
            prop_assert!(share.value <= share.high && share.high <= 1.0);
            let twice = Share::new(2 * count, 2 * of).unwrap();
            prop_assert!(twice.high - twice.low <= share.high - share.low);
        }

        #[test]
        fn predictive_ranges_hold_their_values(a in 0usize..=20, b in 0usize..=20) {
            let (a, b) = (Share::new(a, 20).unwrap(), Share::new(b, 20).unwrap());
            if let Some(p) = Predictive::new(&a, &b, 0.05) {
                for r in [p.ppv, p.npv] {
                    prop_assert!(r.low <= r.value && r.value <= r.high);
                    prop_assert!((0.0..=1.0).contains(&r.low) && (0.0..=1.0).contains(&r.high));
                }
            }
        }
    }

    const WILSON: [(usize, usize, f64, f64); 4] = [
        (8, 33, 0.128_317_133_771_75, 0.410_246_198_295_574),
        (0, 12, 0.0, 0.242_494_006_655_241),
        (17, 20, 0.639_581_135_259_243, 0.947_631_254_103_783),
        (300, 300, 0.987_357_028_775_454, 1.0),
    ];
}
