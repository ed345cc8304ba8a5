//! The acquisition checks: is this scan what the analysis was made for?
//!
//! Two rounds. [`acquisition`] needs headers only and runs as soon as a stack is chosen;
//! [`image`] judges numbers that were measured on the decoded volume by others. Each check
//! gives a value, the limit it was held against, a verdict and what it has to say; nothing
//! here stops anything, the caller does on [`Verdict::Refuse`].

mod found;
mod image;
mod say;

pub use found::Found;
pub use image::{ImageFacts, image};
pub use say::Say;

use super::assemble::{Flaws, Stack};
use super::choose::{SHORTEST, Sharpness, has_contrast, is_reformat, sharpness};
use super::header::Header;
use super::refusal::Refusal;
use crate::base::language::Language;
use crate::base::unit::{Hu, Mm};
use serde::{Deserialize, Serialize};

/// One check of product section 3.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    pub code: &'static str,
    /// Its row in the product's table. Two warnings of kinds 3, 6, 7, 8 and 10 make a result
    /// undetermined.
    pub kind: u8,
    pub value: Found,
    pub limit: Found,
    pub verdict: Verdict,
    /// Nothing when it passed.
    pub say: Option<Say>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Pass,
    Warn,
    Refuse,
}

/// Settings of the checks. The defaults are the product's table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Steps between slices up to this pass, up to `step_refuse` they warn.
    pub step_pass: Mm,
    pub step_refuse: Mm,
    pub jitter_pass: Mm,
    /// Slices up to this far off axial warn, beyond it they are refused.
    pub tilt_refuse_degrees: f64,
    pub youngest_years: f64,
    /// Refuse studies with contrast in the header instead of warning.
    pub refuse_contrast: bool,
    /// Below this exposure the noise is not what the networks know.
    pub low_dose_mas: f64,
    /// Both lungs together; not confirmed by a study of our own.
    pub lungs_ml: [f64; 2],
    /// A lung below this warns.
    pub one_lung_ml: f64,
    pub lung_length: Mm,
    /// Lung area on an end slice, as a share of the largest on any slice: above the first the
    /// check warns, above the second the lungs count as cut. An apex cut by 5 mm shows about a
    /// tenth; not confirmed by a study of our own.
    pub cut_share: [f64; 2],
    pub outside_air: [Hu; 2],
    pub lung_mode: [Hu; 2],
    /// Blood denser than this has contrast medium in it.
    pub blood: Hu,
    /// Lungs whose most frequent value is above this have let the breath out; not confirmed by a
    /// study of our own.
    pub expiration: Hu,
    /// Above this the lungs' area jumps from slice to slice as nobody's at rest does; not confirmed
    /// by a study of our own.
    pub restlessness: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            step_pass: Mm(3.0),
            step_refuse: Mm(5.0),
            jitter_pass: Mm(0.1),
            tilt_refuse_degrees: 5.0,
            youngest_years: 18.0,
            refuse_contrast: false,
            low_dose_mas: 10.0,
            lungs_ml: [1500.0, 9000.0],
            one_lung_ml: 500.0,
            lung_length: SHORTEST,
            cut_share: [0.01, 0.25],
            outside_air: [Hu(-1050.0), Hu(-950.0)],
            lung_mode: [Hu(-950.0), Hu(-600.0)],
            blood: Hu(150.0),
            expiration: Hu(-740.0),
            restlessness: 0.6,
        }
    }
}

/// The worst verdict of a round.
#[must_use]
pub fn worst(checks: &[Check]) -> Verdict {
    let verdicts = checks.iter().map(|c| c.verdict);
    verdicts.max().unwrap_or(Verdict::Pass)
}

/// The refusal that is shown: the first one in the product's order.
#[must_use]
pub fn refusal(checks: &[Check]) -> Option<&Check> {
    checks.iter().find(|c| c.verdict == Verdict::Refuse)
}

/// Checks that need headers only.
#[must_use]
pub fn acquisition(stack: &Stack, headers: &[Header], limits: &Limits) -> Vec<Check> {
    let slices: Vec<&Header> = stack
        .slices
        .iter()
        .filter_map(|&i| headers.get(i))
        .collect();
    let Some(first) = slices.first() else {
        return vec![unfit(Refusal::Empty)];
    };
    vec![
        class(first),
        orientation(stack, limits),
        spacing(stack, first, limits),
        continuity(&stack.flaws),
        length(stack, limits),
        rescale(&slices),
        kernel(first),
        dose(&slices, limits),
        contrast(&slices, limits),
        age(first, limits),
    ]
}

/// A check that passes until said otherwise.
fn rule(code: &'static str, kind: u8, value: Found, limit: Found) -> Check {
    Check {
        code,
        kind,
        value,
        limit,
        verdict: Verdict::Pass,
        say: None,
    }
}

impl Check {
    fn warn(self, say: Say) -> Self {
        Check {
            verdict: Verdict::Warn,
            say: Some(say),
            ..self
        }
    }

    fn refuse(self, say: Say) -> Self {
        Check {
            verdict: Verdict::Refuse,
            say: Some(say),
            ..self
        }
    }

    /// What it has to say; empty when it passed.
    #[must_use]
    pub fn words(&self, language: Language) -> String {
        let say = self.say.as_ref();
        say.map(|say| say.words(language)).unwrap_or_default()
    }
}

/// The row of a study in which no series is fit.
#[must_use]
pub fn unfit(refusal: Refusal) -> Check {
    let (code, kind) = (refusal.code(), refusal.kind());
    rule(code, kind, Found::NoSeries, Found::OneAxialChest).refuse(Say::Unfit(refusal))
}

/// The row of what was found when the pixels were decoded: images of the series and those of them
/// that were compressed with loss, objects that could not be read at all, and the image (counted
/// from 1) that is damaged, with the decoder's own words.
#[must_use]
pub fn image_data(
    slices: usize,
    lossy: usize,
    unreadable: usize,
    damaged: Option<(usize, String)>,
) -> Check {
    let value = match &damaged {
        Some((image, why)) => Found::Damaged {
            image: *image,
            why: why.clone(),
        },
        None => Found::Decoded {
            slices,
            lossy,
            unreadable,
        },
    };
    let check = rule("image_data", 12, value, Found::AllLossless);
    match damaged {
        Some((image, _)) => check.refuse(Say::Damaged { image }),
        None if lossy > 0 => check.warn(Say::Lossy),
        None if unreadable > 0 => check.warn(Say::Unreadable { count: unreadable }),
        None => check,
    }
}

/// How many images of a stack were compressed with loss.
#[must_use]
pub fn lossy(stack: &Stack, headers: &[Header]) -> usize {
    let headers = stack.slices.iter().filter_map(|&i| headers.get(i));
    headers.filter(|header| header.lossy).count()
}

fn class(header: &Header) -> Check {
    let value = format!("{} {}", header.modality, header.image_type.join("\\"));
    let check = rule("class", 1, Found::Text(value), Found::AxialOriginal);
    if is_reformat(header) {
        check.warn(Say::Reformatted)
    } else if header.image_type_has("DERIVED") {
        check.warn(Say::Derived)
    } else {
        check
    }
}

fn orientation(stack: &Stack, limits: &Limits) -> Check {
    /// Headers round their cosines; below this a slice is axial.
    const STRAIGHT: f64 = 0.5;
    let (tilt, shear) = (stack.tilt_degrees(), stack.flaws.shear_degrees);
    let off = tilt.max(shear);
    let check = rule(
        "orientation",
        2,
        Found::OffAxial(off),
        Found::Degrees(limits.tilt_refuse_degrees),
    );
    if off <= STRAIGHT {
        check
    } else if off <= limits.tilt_refuse_degrees {
        check.warn(Say::OffAxial { degrees: off })
    } else {
        check.refuse(Say::Tilted)
    }
}

fn spacing(stack: &Stack, first: &Header, limits: &Limits) -> Check {
    /// Positions are written with a few digits; their differences carry the rounding.
    const ROUNDING: f64 = 0.01;
    let (step, jitter) = (stack.spacing.z, stack.flaws.jitter);
    let check = rule(
        "spacing",
        3,
        Found::Spacing {
            step: step.0,
            jitter: jitter.0,
        },
        Found::SpacingLimit {
            pass: limits.step_pass.0,
            most: limits.step_refuse.0,
        },
    );
    if is_spaced_hrct(step, first.thickness) {
        return Check {
            code: "spaced_hrct",
            ..check.refuse(Say::SpacedHrct)
        };
    }
    if step.0 > limits.step_refuse.0 + ROUNDING {
        check.refuse(Say::TooFarApart {
            step: step.0,
            most: limits.step_refuse.0,
        })
    } else if step.0 > limits.step_pass.0 + ROUNDING {
        check.warn(Say::FarApart { step: step.0 })
    } else if jitter.0 > limits.jitter_pass.0 + ROUNDING {
        check.warn(Say::Uneven { by: jitter.0 })
    } else {
        check
    }
}

/// Thin slices with wide gaps on purpose: a legal examination, and not one for us.
fn is_spaced_hrct(step: Mm, thickness: Option<f64>) -> bool {
    thickness.is_some_and(|t| t <= 2.0 && step.0 >= 5.0 && step.0 >= 3.0 * t)
}

fn continuity(flaws: &Flaws) -> Check {
    let missing: usize = flaws.gaps.iter().map(|gap| gap.missing).sum();
    let check = rule(
        "continuity",
        3,
        Found::Missing {
            missing,
            collisions: flaws.collisions,
        },
        Found::Nothing,
    );
    if let Some(gap) = flaws.gaps.first() {
        let after = i32::try_from(gap.missing.saturating_sub(1)).unwrap_or(0);
        check.refuse(Say::Missing {
            first: gap.slice,
            last: gap.slice.saturating_add(after),
            width: gap.width.0,
            more_places: flaws.gaps.len() - 1,
        })
    } else if flaws.collisions > 0 {
        check.refuse(Say::SamePlace)
    } else {
        check
    }
}

fn length(stack: &Stack, limits: &Limits) -> Check {
    let covered = Mm(stack.extent().0 + stack.spacing.z.0);
    let check = rule(
        "length",
        4,
        Found::Length {
            slices: stack.slices.len(),
            mm: covered.0,
        },
        Found::Mm(limits.lung_length.0),
    );
    if covered.0 < limits.lung_length.0 {
        check.refuse(Say::TooShort {
            slices: stack.slices.len(),
            length: covered.0,
        })
    } else {
        check
    }
}

fn rescale(slices: &[&Header]) -> Check {
    let check = |value| rule("rescale", 6, value, Found::HounsfieldScale);
    if slices.iter().any(|h| h.bits_allocated != 16) {
        check(Found::NotSixteenBits).refuse(Say::NotHounsfield)
    } else if slices.iter().any(|h| h.rescale.is_none()) {
        check(Found::Absent).refuse(Say::NotHounsfield)
    } else if let Some(other) = slices.iter().find(|h| !h.speaks_hu()) {
        check(Found::Text(other.rescale_type.clone())).refuse(Say::NotHounsfield)
    } else {
        check(Found::Present)
    }
}

fn kernel(first: &Header) -> Check {
    let check = rule(
        "kernel",
        7,
        Found::Text(first.kernel.join("\\")),
        Found::Soft,
    );
    match sharpness(first) {
        Sharpness::Sharp => check.warn(Say::SharpKernel),
        Sharpness::Soft | Sharpness::Unknown => check,
    }
}

fn dose(slices: &[&Header], limits: &Limits) -> Check {
    let known: Vec<f64> = slices.iter().filter_map(|h| h.tube_current_time).collect();
    let mean = known.iter().sum::<f64>() / known.len() as f64;
    let limit = Found::MasLimit(limits.low_dose_mas);
    if known.is_empty() {
        rule("dose", 7, Found::NotKnown, limit)
    } else if mean < limits.low_dose_mas {
        rule("dose", 7, Found::Mas(mean), limit).warn(Say::LowDose)
    } else {
        rule("dose", 7, Found::Mas(mean), limit)
    }
}

fn contrast(slices: &[&Header], limits: &Limits) -> Check {
    let Some(header) = slices.iter().find(|h| has_contrast(h)) else {
        return rule("contrast", 8, Found::Nothing, Found::Nothing);
    };
    let check = rule(
        "contrast",
        8,
        Found::Text(header.contrast_agent.clone()),
        Found::Nothing,
    );
    if limits.refuse_contrast {
        check.refuse(Say::Contrast)
    } else {
        check.warn(Say::Contrast)
    }
}

fn age(first: &Header, limits: &Limits) -> Check {
    let limit = Found::Years(limits.youngest_years);
    match first.patient.age_years() {
        // The age itself stays with the patient's data.
        None => rule("age", 9, Found::Absent, limit).warn(Say::NoAge),
        Some(years) if years < limits.youngest_years => {
            rule("age", 9, Found::BelowLimit, limit).refuse(Say::Child)
        }
        Some(_) => rule("age", 9, Found::AboveLimit, limit),
    }
}

#[cfg(test)]
mod tests {
    use super::super::assemble::assemble;
    use super::super::fixture::series;
    use super::*;

    fn checks(headers: &[Header]) -> Vec<Check> {
        let stack = assemble(headers).stacks.remove(0);
        acquisition(&stack, headers, &Limits::default())
    }

    fn spread(headers: &mut [Header], step: f64) {
        for (i, header) in headers.iter_mut().enumerate() {
            header.position = Some([-180.0, -180.0, step * i as f64]);
        }
    }

    fn find<'a>(checks: &'a [Check], code: &str) -> &'a Check {
        checks.iter().find(|c| c.code == code).expect(code)
    }

    #[test]
    fn a_plain_chest_series_passes_everything() {
        let checks = checks(&series(150));
        assert_eq!(worst(&checks), Verdict::Pass, "{checks:?}");
        assert!(checks.iter().all(|c| c.say.is_none()));
    }

    #[test]
    fn a_missing_slice_is_refused_by_number() {
        let mut headers = series(200);
        spread(&mut headers, 5.0);
        headers.remove(142);
        let checks = checks(&headers);
        let refusal = refusal(&checks).unwrap();
        assert_eq!(refusal.code, "continuity");
        assert_eq!(
            refusal.words(Language::English),
            "Slice 143 is missing (gap of 10 mm). Please resend the series."
        );
        headers.drain(50..53);
        headers.remove(20);
        let words = find(&self::checks(&headers), "continuity").words(Language::English);
        assert_eq!(
            words,
            "Slice 21 is missing (gap of 10 mm), and slices at 2 more places. \
             Please resend the series."
        );
    }

    #[test]
    fn five_millimetres_warn_and_more_is_refused() {
        let mut headers = series(64);
        for header in &mut headers {
            header.thickness = Some(5.0);
        }
        for (step, verdict) in [
            (2.5, Verdict::Pass),
            (3.0, Verdict::Pass),
            (4.0, Verdict::Warn),
            (5.0, Verdict::Warn),
            (6.5, Verdict::Refuse),
        ] {
            spread(&mut headers, step);
            assert_eq!(
                find(&checks(&headers), "spacing").verdict,
                verdict,
                "{step}"
            );
        }
    }

    #[test]
    fn spaced_hrct_has_its_own_sentence() {
        let mut headers = series(30);
        spread(&mut headers, 10.0);
        for header in &mut headers {
            header.thickness = Some(1.0);
        }
        let checks = checks(&headers);
        let refusal = refusal(&checks).unwrap();
        assert_eq!(refusal.code, "spaced_hrct");
        assert_eq!(
            refusal.words(Language::English),
            "Spaced HRCT: the analysis needs a continuous scan. \
             Please send a continuous series if there is one."
        );
    }

    #[test]
    fn tilt_warns_up_to_five_degrees() {
        for (degrees, verdict) in [(3.0f64, Verdict::Warn), (18.5, Verdict::Refuse)] {
            let (sin, cos) = degrees.to_radians().sin_cos();
            let mut headers = series(100);
            for header in &mut headers {
                header.orientation = Some([[1.0, 0.0, 0.0], [0.0, cos, -sin]]);
            }
            assert_eq!(find(&checks(&headers), "orientation").verdict, verdict);
        }
    }

    #[test]
    fn children_are_refused_and_a_missing_age_warns() {
        use crate::base::ident::Private;
        for (age, verdict) in [
            ("017Y", Verdict::Refuse),
            ("018Y", Verdict::Pass),
            ("009M", Verdict::Refuse),
            ("", Verdict::Warn),
        ] {
            let mut headers = series(100);
            for header in &mut headers {
                header.patient.age = Private::new(age);
            }
            let checks = checks(&headers);
            let check = find(&checks, "age");
            assert_eq!(check.verdict, verdict, "{age}");
            let value = check.value.words(Language::English);
            assert!(!value.contains("17"), "the age is the patient's");
        }
    }

    #[test]
    fn one_bad_slice_is_enough() {
        let bent = |bend: fn(&mut Header)| {
            let mut headers = series(100);
            bend(&mut headers[57]);
            checks(&headers)
        };
        let verdict = |code, bend| find(&bent(bend), code).verdict;
        assert_eq!(verdict("rescale", |h| h.rescale = None), Verdict::Refuse);
        assert_eq!(
            verdict("rescale", |h| h.rescale_type = "OD".into()),
            Verdict::Refuse
        );
        assert_eq!(
            verdict("rescale", |h| h.rescale_type = "US".into()),
            Verdict::Pass
        );
        assert_eq!(
            verdict("contrast", |h| h.contrast_agent = "APPLIED".into()),
            Verdict::Warn
        );
        assert_eq!(
            verdict("contrast", |h| h.contrast_agent = "none".into()),
            Verdict::Pass
        );
    }

    #[test]
    fn a_fragment_is_refused() {
        let checks = checks(&series(20));
        assert_eq!(
            refusal(&checks).unwrap().words(Language::English),
            "Only 20 slices (40 mm): the lungs are not covered. Please send the whole series."
        );
    }
}
