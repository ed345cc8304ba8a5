//! The checks of what was measured on the decoded volume: coverage, lungs, HU, contrast.

use super::{Check, Limits, mm, rule};
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
    /// Typical value inside the aorta, when it was found.
    pub aorta: Option<Hu>,
}

/// Checks of what was measured on the volume.
#[must_use]
pub fn image(facts: &ImageFacts, limits: &Limits) -> Vec<Check> {
    vec![
        coverage(facts, limits),
        body_part(facts, limits),
        hounsfield(facts, limits),
        aorta(facts, limits),
    ]
}

fn coverage(facts: &ImageFacts, limits: &Limits) -> Check {
    let [warn, cut] = limits.cut_share;
    let check = rule(
        "coverage",
        4,
        format!(
            "{} of lung, {:.0} % at the bottom, {:.0} % at the top",
            mm(Mm(facts.lung_length.0.round())),
            100.0 * facts.lowest_share,
            100.0 * facts.highest_share
        ),
        format!("{}, {:.0} %", mm(limits.lung_length), 100.0 * cut),
    );
    if facts.right_ml + facts.left_ml <= 0.0 {
        // The next check says it better.
        return check;
    }
    if facts.lowest_share > cut {
        check.refuse("The lung bases are cut off at the bottom. Please send the whole chest.")
    } else if facts.highest_share > cut {
        check.refuse("The lung tips are cut off at the top. Please send the whole chest.")
    } else if facts.lung_length.0 < limits.lung_length.0 {
        check.refuse("Too little of the lungs was scanned. Please send the whole chest.")
    } else if facts.touches_side {
        check.refuse("The lungs are cut off at the side. Please send a larger field of view.")
    } else if facts.lowest_share.max(facts.highest_share) > warn {
        check.warn("The lungs reach the end of the scan.")
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
        format!(
            "right {:.0} ml, left {:.0} ml",
            facts.right_ml, facts.left_ml
        ),
        format!("{low} to {high} ml"),
    );
    if total <= 0.0 {
        check.refuse("No lungs found. Is this the chest series?")
    } else if !(low..=high).contains(&total) {
        check.warn("The lungs have an unusual size.")
    } else if facts.right_ml.min(facts.left_ml) < limits.one_lung_ml {
        check.warn("One lung is small or could not be told from its surroundings.")
    } else {
        check
    }
}

fn hounsfield(facts: &ImageFacts, limits: &Limits) -> Check {
    let inside = |value: Option<Hu>, [low, high]: [Hu; 2]| {
        value.is_none_or(|v| (low.0..=high.0).contains(&v.0))
    };
    let say = |value: Option<Hu>| value.map_or("not seen".to_owned(), |v| format!("{:.0} HU", v.0));
    let range = |[low, high]: [Hu; 2]| format!("{:.0} to {:.0} HU", low.0, high.0);
    let check = rule(
        "hounsfield",
        6,
        format!(
            "air outside {}, lungs {}",
            say(facts.outside_air),
            say(facts.lung_mode)
        ),
        format!(
            "air {}, lungs {}",
            range(limits.outside_air),
            range(limits.lung_mode)
        ),
    );
    if inside(facts.outside_air, limits.outside_air) && inside(facts.lung_mode, limits.lung_mode) {
        check
    } else {
        check.warn("Image values are shifted from the Hounsfield scale.")
    }
}

fn aorta(facts: &ImageFacts, limits: &Limits) -> Check {
    let limit = format!("{:.0} HU", limits.aorta.0);
    match facts.aorta {
        None => rule("aorta", 8, "not seen", limit),
        Some(v) if v.0 > limits.aorta.0 => rule("aorta", 8, format!("{:.0} HU", v.0), limit)
            .warn("Contrast was used; the model was trained without."),
        Some(v) => rule("aorta", 8, format!("{:.0} HU", v.0), limit),
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
        assert_eq!(judge(|f| f.aorta = Some(Hu(300.0))), ("aorta", Warn));
    }
}
