//! The decision: one of three classes, or an honest "cannot decide" with its reason.

use super::{Decision, Probabilities};
use crate::base::ident::Class;

/// The calibrated probability that each class needs.
#[derive(Clone, Copy, Debug)]
pub struct Needed {
    pub control: f32,
    pub covid19: f32,
    pub cap: f32,
}

/// Acquisition warnings of the kinds that weaken the numbers (product spec 4: spacing, HU,
/// kernel and dose, contrast, motion); this many of them and the box does not decide.
pub const WARNINGS_TO_ABSTAIN: usize = 2;

/// Decides. The second value says why not, and is empty for a class.
#[must_use]
pub fn decide(
    p: Probabilities,
    needed: Needed,
    distance: f32,
    distance_limit: f32,
    weakening_warnings: usize,
) -> (Decision, String) {
    let classes = [
        (Class::Control, p.control, needed.control),
        (Class::Covid19, p.covid19, needed.covid19),
        (Class::Cap, p.cap, needed.cap),
    ];
    let Some((class, share, needs)) = classes.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return (Decision::Undetermined, "There are no probabilities.".into());
    };
    // A distance or a share that is not a number decides nothing.
    let because = if distance.is_nan() || distance > distance_limit {
        format!(
            "This scan is unlike those that the model was trained on (distance {distance:.1}, \
             limit {distance_limit:.1})."
        )
    } else if share.is_nan() || share < needs {
        format!(
            "No pattern is clear enough: the highest probability is {:.0} %, {:.0} % is needed.",
            100.0 * share,
            100.0 * needs
        )
    } else if weakening_warnings >= WARNINGS_TO_ABSTAIN {
        format!("{weakening_warnings} acquisition warnings together make the numbers unreliable.")
    } else {
        return (class.into(), String::new());
    };
    (Decision::Undetermined, because)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: Needed = Needed {
        control: 0.5,
        covid19: 0.6,
        cap: 0.6,
    };

    fn p(control: f32, covid19: f32, cap: f32) -> Probabilities {
        Probabilities {
            control,
            covid19,
            cap,
        }
    }

    #[test]
    fn a_clear_class_is_decided() {
        assert_eq!(
            decide(p(0.1, 0.8, 0.1), NEEDED, 1.0, 9.0, 0).0,
            Decision::Covid19
        );
        assert_eq!(
            decide(p(0.9, 0.05, 0.05), NEEDED, 1.0, 9.0, 1).0,
            Decision::Control
        );
    }

    #[test]
    fn doubt_is_told_with_its_reason() {
        for (said, word) in [
            (decide(p(0.3, 0.55, 0.15), NEEDED, 1.0, 9.0, 0), "60 %"),
            (decide(p(0.1, 0.8, 0.1), NEEDED, 12.0, 9.0, 0), "unlike"),
            (decide(p(0.1, 0.8, 0.1), NEEDED, f32::NAN, 9.0, 0), "unlike"),
            (
                decide(p(0.1, 0.8, 0.1), NEEDED, 1.0, 9.0, 2),
                "2 acquisition",
            ),
        ] {
            assert_eq!(said.0, Decision::Undetermined);
            assert!(said.1.contains(word), "{}", said.1);
        }
    }
}
