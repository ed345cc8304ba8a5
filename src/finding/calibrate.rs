//! From the network's numbers to probabilities, and how far a study lies from the training data.

use super::Probabilities;

/// Softmax of the logits over the card's temperature, in the order control, covid19, cap.
#[must_use]
pub fn probabilities(logits: [f32; 3], temperature: f32) -> Probabilities {
    let scaled = logits.map(|v| f64::from(v) / f64::from(temperature));
    let top = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let e = scaled.map(|v| (v - top).exp());
    let sum: f64 = e.iter().sum();
    let [control, covid19, cap] = e.map(|v| (v / sum) as f32);
    Probabilities {
        control,
        covid19,
        cap,
    }
}

/// Mahalanobis distance of `features` to the nearest of `means`.
///
/// Rows of `inverse_covariance` are as long as the features; the card's check has made sure.
#[must_use]
pub fn distance(features: &[f32], means: &[&[f32]], inverse_covariance: &[Vec<f32>]) -> f32 {
    let to = |mean: &&[f32]| {
        let d: Vec<f64> = features
            .iter()
            .zip(mean.iter())
            .map(|(f, m)| f64::from(*f) - f64::from(*m))
            .collect();
        let square: f64 = inverse_covariance
            .iter()
            .zip(&d)
            .map(|(row, di)| {
                di * row
                    .iter()
                    .zip(&d)
                    .map(|(w, dj)| f64::from(*w) * dj)
                    .sum::<f64>()
            })
            .sum();
        square.max(0.0).sqrt() as f32
    };
    means.iter().map(to).fold(f32::INFINITY, f32::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_a_temperature_softens() {
        let sharp = probabilities([2.0, 0.0, -1.0], 1.0);
        let soft = probabilities([2.0, 0.0, -1.0], 3.0);
        assert!((sharp.control + sharp.covid19 + sharp.cap - 1.0).abs() < 1e-6);
        assert!((sharp.control - 0.843_795).abs() < 1e-5, "{sharp:?}");
        assert!(soft.control < sharp.control && soft.control > soft.covid19);
        let extreme = probabilities([1e4, -1e4, 0.0], 1.0);
        assert!(extreme.control == 1.0 && extreme.cap == 0.0);
    }

    #[test]
    fn distance_is_to_the_nearest_mean_in_units_of_spread() {
        let inverse = vec![vec![0.25, 0.0], vec![0.0, 1.0]];
        let d = distance(&[4.0, 0.0], &[&[0.0, 0.0], &[4.0, 3.0]], &inverse);
        assert!((d - 2.0).abs() < 1e-6, "{d}");
    }
}
