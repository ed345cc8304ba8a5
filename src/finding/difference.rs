//! The difference map: network input minus reconstruction (pipeline section 7).
//!
//! Signed: no absolute value, clip, threshold or mask. Positive means denser than the network
//! expects of a healthy lung. It is an anomaly map, not a lesion map.

use ndarray::Array3;

/// `unit` minus `clean`, both (z, y, x) in network units, in the place of `unit`: a third volume
/// beside these two would be the largest thing in memory.
///
/// # Panics
/// When the shapes differ; both come from one study.
#[must_use]
pub fn difference(unit: Array3<f32>, clean: &Array3<f32>) -> Array3<f32> {
    unit - clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denser_than_expected_is_positive_and_thinner_stays_negative() {
        let unit = Array3::from_shape_vec((1, 1, 2), vec![0.5, 0.1]).unwrap();
        let clean = Array3::from_shape_vec((1, 1, 2), vec![0.2, 0.3]).unwrap();
        let d = difference(unit, &clean);
        assert!((d[[0, 0, 0]] - 0.3).abs() < 1e-6 && (d[[0, 0, 1]] + 0.2).abs() < 1e-6);
    }
}
