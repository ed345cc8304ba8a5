//! Whether the patient moved, from how the lungs' area goes from slice to slice.
//!
//! Lungs grow and shrink smoothly along the body. Someone who breathes or coughs while the table
//! moves is scanned at heights that jump to and fro, and the area jumps with them. The measure is
//! the sum of the changes of the change over the sum of the changes: small for a smooth
//! curve whatever its shape, and towards 2 for one that jumps at every slice.

/// Fewer slices of lung make no curve.
const FEWEST: usize = 20;

/// `areas` are lung voxels of each acquired slice, feet to head.
#[must_use]
pub fn restlessness(areas: &[usize]) -> Option<f64> {
    let first = areas.iter().position(|area| *area > 0)?;
    let last = areas.iter().rposition(|area| *area > 0)?;
    let lung: Vec<f64> = areas[first..=last].iter().map(|a| *a as f64).collect();
    if lung.len() < FEWEST {
        return None;
    }
    let change: Vec<f64> = lung.windows(2).map(|w| w[1] - w[0]).collect();
    let bend: f64 = change.windows(2).map(|w| (w[1] - w[0]).abs()).sum();
    let all: f64 = change.iter().map(|c| c.abs()).sum();
    (all > 0.0).then_some(bend / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hill(swing: f64) -> Vec<usize> {
        (0..100)
            .map(|z| {
                let z = f64::from(z) + swing * (f64::from(z) * 0.9).sin();
                (9000.0 * (z / 99.0 * std::f64::consts::PI).sin().max(0.0)) as usize
            })
            .collect()
    }

    #[test]
    fn a_smooth_lung_is_at_rest_and_a_jumping_one_is_not() {
        let (still, moving) = (restlessness(&hill(0.0)), restlessness(&hill(3.0)));
        assert!(still.unwrap() < 0.1, "{still:?}");
        assert!(moving.unwrap() > 0.5, "{moving:?}");
    }

    #[test]
    fn a_few_slices_say_nothing() {
        assert_eq!(restlessness(&[0; 50]), None);
        assert_eq!(restlessness(&[5; 10]), None);
        assert_eq!(restlessness(&[7; 60]), None);
    }
}
