//! The checks of what was measured on the decoded volume: coverage, lungs, HU, contrast.

use super::{Check, Found, Limits, Say, rule};
use crate::base::unit::{Hu, Mm};
use serde::{Deserialize, Serialize};

/// What was measured on the volume. Shares and volumes are of the air-filled lungs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageFacts {
    pub right_ml: f64,
    pub left_ml: f64,
    pub lung_length: Mm,
    /// Lung area on the lowest and on the highest slice over the largest area on any slice.
    pub lowest_share: f64,
    pub highest_share: f64,
    /// The lungs reach the side of the field of view.
    pub touches_side: bool,
    /// Typical value outside the body, when there is an outside.
    pub outside_air: Option<Hu>,
    /// Most frequent value inside the lungs.
    pub lung_mode: Option<Hu>,
    /// Typical value of the blood in the heart and the great vessels, when they were found.
    pub blood: Option<Hu>,
    /// How much the lungs' area jumps from slice to slice; about 2 when it jumps at each.
    pub restlessness: Option<f64>,
}

/// Checks of what was measured on the volume.
#[must_use]
pub fn image(facts: &ImageFacts, limits: &Limits) -> Vec<Check> {
    vec![
        coverage(facts, limits),
        body_part(facts, limits),
        hounsfield(facts, limits),
        blood(facts, limits),
        breathing(facts, limits),
    ]
}

fn coverage(facts: &ImageFacts, limits: &Limits) -> Check {
    let [warn, cut] = limits.cut_share;
    let check = rule(
        "coverage",
        4,
        Found::Coverage {
            mm: facts.lung_length.0.round(),
            bottom: 100.0 * facts.lowest_share,
            top: 100.0 * facts.highest_share,
        },
        Found::CoverageLimit {
            mm: limits.lung_length.0,
            share: 100.0 * cut,
        },
    );
    if facts.touches_side {
        // Such a lung is not in the mask, so what follows would speak of a lung less.
        return check.refuse(Say::CutSide);
    }
    if facts.right_ml + facts.left_ml <= 0.0 {
        // The next check says it better.
        return check;
    }
    if facts.lowest_share > cut {
        check.refuse(Say::CutBottom)
    } else if facts.highest_share > cut {
        check.refuse(Say::CutTop)
    } else if facts.lung_length.0 < limits.lung_length.0 {
        check.refuse(Say::TooLittleLung)
    } else if facts.lowest_share.max(facts.highest_share) > warn {
        check.warn(Say::TouchesEnd)
    } else {
        check
    }
}

fn body_part(facts: &ImageFacts, limits: &Limits) -> Check {
    let [low, high] = limits.lungs_ml;
    let total = facts.right_ml + facts.left_ml;
    let check = rule(
        "lungs",
        5,
        Found::Lungs {
            right: facts.right_ml,
            left: facts.left_ml,
        },
        Found::LungsLimit(limits.lungs_ml),
    );
    if total <= 0.0 {
        check.refuse(Say::NoLungs)
    } else if !(low..=high).contains(&total) {
        check.warn(Say::LungSize)
    } else if facts.right_ml.min(facts.left_ml) < limits.one_lung_ml {
        check.warn(Say::SmallLung)
    } else {
        check
    }
}

fn hounsfield(facts: &ImageFacts, limits: &Limits) -> Check {
    let inside = |value: Option<Hu>, [low, high]: [Hu; 2]| {
        value.is_none_or(|v| (low.0..=high.0).contains(&v.0))
    };
    let check = rule(
        "hounsfield",
        6,
        Found::Air {
            outside: facts.outside_air.map(|hu| f64::from(hu.0)),
            lungs: facts.lung_mode.map(|hu| f64::from(hu.0)),
        },
        Found::AirLimit {
            outside: limits.outside_air.map(|hu| f64::from(hu.0)),
            lungs: limits.lung_mode.map(|hu| f64::from(hu.0)),
        },
    );
    if inside(facts.outside_air, limits.outside_air) && inside(facts.lung_mode, limits.lung_mode) {
        check
    } else {
        check.warn(Say::Shifted)
    }
}

/// What the header does not say, the picture does.
fn blood(facts: &ImageFacts, limits: &Limits) -> Check {
    let limit = Found::Hu(Some(f64::from(limits.blood.0)));
    let value = Found::Hu(facts.blood.map(|hu| f64::from(hu.0)));
    let check = rule("blood", 8, value, limit);
    match facts.blood {
        Some(v) if v.0 > limits.blood.0 && limits.refuse_contrast => check.refuse(Say::Contrast),
        Some(v) if v.0 > limits.blood.0 => check.warn(Say::Contrast),
        _ => check,
    }
}

fn breathing(facts: &ImageFacts, limits: &Limits) -> Check {
    let check = rule(
        "breathing",
        10,
        Found::Breathing {
            motion: facts.restlessness,
            lungs: facts.lung_mode.map(|hu| f64::from(hu.0)),
        },
        Found::Breathing {
            motion: Some(limits.restlessness),
            lungs: Some(f64::from(limits.expiration.0)),
        },
    );
    if facts.restlessness.is_some_and(|v| v > limits.restlessness) {
        check.warn(Say::Motion)
    } else if facts.lung_mode.is_some_and(|v| v.0 > limits.expiration.0) {
        check.warn(Say::Expiration)
    } else {
        check
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Verdict, worst};
    use super::*;

    fn facts() -> ImageFacts {
        ImageFacts {
            right_ml: 2200.0,
            left_ml: 1900.0,
            lung_length: Mm(240.0),
            outside_air: Some(Hu(-1000.0)),
            lung_mode: Some(Hu(-860.0)),
            ..ImageFacts::default()
        }
    }

    #[test]
    fn whole_lungs_pass() {
        assert_eq!(worst(&image(&facts(), &Limits::default())), Verdict::Pass);
    }

    #[test]
    fn cut_lungs_no_lungs_and_shifted_values_are_seen() {
        let judge = |bend: fn(&mut ImageFacts)| {
            let mut facts = facts();
            bend(&mut facts);
            let checks = image(&facts, &Limits::default());
            let worst = checks.iter().max_by_key(|c| c.verdict).unwrap().clone();
            (worst.code, worst.verdict)
        };
        use Verdict::{Refuse, Warn};
        assert_eq!(judge(|f| f.lowest_share = 0.6), ("coverage", Refuse));
        assert_eq!(judge(|f| f.highest_share = 0.1), ("coverage", Warn));
        assert_eq!(judge(|f| f.touches_side = true), ("coverage", Refuse));
        assert_eq!(judge(|f| f.lung_length = Mm(60.0)), ("coverage", Refuse));
        assert_eq!(judge(|f| *f = ImageFacts::default()), ("lungs", Refuse));
        assert_eq!(judge(|f| f.left_ml = 100.0), ("lungs", Warn));
        assert_eq!(
            judge(|f| f.outside_air = Some(Hu(-24.0))),
            ("hounsfield", Warn)
        );
        assert_eq!(judge(|f| f.blood = Some(Hu(300.0))), ("blood", Warn));
        assert_eq!(judge(|f| f.restlessness = Some(1.4)), ("breathing", Warn));
        assert_eq!(
            judge(|f| f.lung_mode = Some(Hu(-700.0))),
            ("breathing", Warn)
        );
    }
}
