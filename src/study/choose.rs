//! Picks the stack that the networks get, and says why, or says why none is fit.
//!
//! The rules, in order: axial, reconstructed from the scan itself, at least 80 mm long, no
//! contrast medium, slices 1 to 3 mm apart, soft kernel, most slices. Localizers, dose pages,
//! screen captures, reformats in another plane and projections are never taken. A stack that is chosen here may
//! still be refused by [`super::check`]: its gaps and tilt are better told than passed over.

mod why;

use super::assemble::{Assembly, Stack};
use super::header::Header;
use super::refusal::Refusal;
use crate::base::unit::Mm;
use dicom_dictionary_std::uids;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Steeper slices are coronal, sagittal or oblique, not axial with a tilted gantry. Gantries
/// tilt by 30 degrees at most.
const AXIAL_DEGREES: f64 = 31.0;

/// Less than this cannot hold the lungs (product section 3, coverage).
pub const SHORTEST: Mm = Mm(80.0);

/// The step between slices that the networks were made for.
const GOOD_STEP: std::ops::RangeInclusive<f64> = 0.95..=3.05;

/// Which stack, and why this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Index into the assembly's stacks.
    pub stack: usize,
    pub why: Why,
    /// The other stacks that could be analysed, best first.
    pub others: Vec<usize>,
}

/// What speaks for the series that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// Series that could have been analysed, this one among them.
    pub candidates: usize,
    pub contrast: bool,
    pub step: f64,
    pub sharpness: Sharpness,
    pub slices: usize,
}

/// Sharpness of a reconstruction kernel, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharpness {
    Soft,
    Unknown,
    Sharp,
}

/// # Errors
/// [`Refusal`] when no stack can be analysed; it explains the most promising one.
pub fn choose(assembly: &Assembly, headers: &[Header]) -> Result<Choice, Refusal> {
    if two_patients(headers) {
        return Err(Refusal::TwoPatients);
    }
    let mut fit: Vec<(Rank, usize)> = assembly
        .stacks
        .iter()
        .enumerate()
        .filter_map(|(i, stack)| {
            let header = first_header(stack, headers)?;
            unfit(stack, header)
                .is_none()
                .then(|| (Rank::of(stack, header), i))
        })
        .collect();
    fit.sort_by_key(|(rank, i)| (rank.key(), *i));
    let mut order = fit.iter().map(|(_, i)| *i);
    match (order.next(), fit.first()) {
        (Some(stack), Some((rank, _))) => Ok(Choice {
            stack,
            why: rank.why(fit.len()),
            others: order.collect(),
        }),
        _ => Err(explain(assembly, headers)),
    }
}

/// Whether a study names two patients: whose result would it be? An image that names nobody is no
/// contradiction, and a folder may hold studies of several.
fn two_patients(headers: &[Header]) -> bool {
    let mut named: BTreeMap<&str, &str> = BTreeMap::new();
    headers.iter().any(|header| {
        let id = header.patient.id.reveal().trim();
        !id.is_empty() && *named.entry(header.study.as_str()).or_insert(id) != id
    })
}

/// Why a stack is never given to the networks.
fn unfit(stack: &Stack, header: &Header) -> Option<Refusal> {
    if let Some(refusal) = wrong_kind(header) {
        return Some(refusal);
    }
    let refusal = if is_reformat(header) {
        Refusal::Reformat
    } else {
        Refusal::NotAxial
    };
    (stack.tilt_degrees() > AXIAL_DEGREES).then_some(refusal)
}

/// Why an image is not a slice, whatever its geometry.
fn wrong_kind(header: &Header) -> Option<Refusal> {
    let any = |words: &[&str]| words.iter().any(|word| header.image_type_has(word));
    if any(&["LOCALIZER", "SCOUT", "TOPOGRAM"]) {
        Some(Refusal::Scout)
    } else if is_dose_page(header) {
        Some(Refusal::DosePage)
    } else if header.concatenated && header.is_enhanced() {
        Some(Refusal::Concatenation)
    } else if !header.is_ct() {
        Some(not_ct(header))
    } else if any(&[
        "PROJECTION IMAGE",
        "MIP",
        "MINIP",
        "AVERAGE",
        "VOLUME RENDERING",
        "CSA RESAMPLED",
        "SCREEN SAVE",
    ]) || computed(header)
    {
        Some(Refusal::Projection)
    } else {
        None
    }
}

/// Whether the header says that the images were cut anew out of others. Axial ones can be analysed,
/// with a warning; every original series goes before them.
#[must_use]
pub fn is_reformat(header: &Header) -> bool {
    let words = ["REFORMATTED", "MPR", "CSA MPR"];
    words.iter().any(|word| header.image_type_has(word))
}

/// Whether the fourth value of an enhanced object's type says that its pixels were computed from
/// others (PS3.3 C.8.15.3.1.4). Classic images have makers' own words there.
fn computed(header: &Header) -> bool {
    const KINDS: [&str; 8] = [
        "ADDITION",
        "DIVISION",
        "MASKED",
        "MAXIMUM",
        "MEAN",
        "MINIMUM",
        "STD_DEVIATION",
        "SUBTRACTION",
    ];
    let contrast = header.image_type.get(3).map(String::as_str);
    header.is_enhanced() && contrast.is_some_and(|kind| KINDS.contains(&kind))
}

fn is_dose_page(header: &Header) -> bool {
    let named = |text: &str| text.to_ascii_uppercase().contains("DOSE");
    let page = !header.is_ct() || header.position.is_none();
    header.sop_class == uids::X_RAY_RADIATION_DOSE_SR_STORAGE
        || header.image_type.iter().any(|word| named(word))
        || (page && named(&header.series_description))
}

fn not_ct(header: &Header) -> Refusal {
    let class = header.sop_class.as_str();
    if header.is_enhanced() {
        Refusal::MultiFrame
    } else if class.starts_with(uids::SECONDARY_CAPTURE_IMAGE_STORAGE) {
        Refusal::ScreenCapture
    } else {
        Refusal::NotCt {
            modality: header.modality.clone(),
        }
    }
}

/// The refusal that helps the operator most: about the largest stack that is nearly right, or
/// about what was sent instead.
fn explain(assembly: &Assembly, headers: &[Header]) -> Refusal {
    let of_stacks = assembly
        .stacks
        .iter()
        .filter_map(|stack| unfit(stack, first_header(stack, headers)?));
    let of_single = assembly
        .unplaced
        .iter()
        .filter_map(|&i| headers.get(i))
        .map(|header| {
            let multi_frame = (header.frames != 1).then_some(Refusal::MultiFrame);
            wrong_kind(header)
                .or(multi_frame)
                .unwrap_or(Refusal::NoGeometry)
        });
    // Stacks come largest first, so among equals the largest speaks.
    of_stacks
        .chain(of_single)
        .min_by_key(Refusal::distance)
        .unwrap_or(Refusal::Empty)
}

fn first_header<'a>(stack: &Stack, headers: &'a [Header]) -> Option<&'a Header> {
    headers.get(*stack.slices.first()?)
}

/// What the rules look at.
struct Rank {
    derived: bool,
    short: bool,
    contrast: bool,
    step: f64,
    sharpness: Sharpness,
    slices: usize,
}

impl Rank {
    fn of(stack: &Stack, header: &Header) -> Self {
        Rank {
            derived: header.image_type_has("DERIVED") || is_reformat(header),
            short: stack.extent().0 + stack.spacing.z.0 < SHORTEST.0,
            contrast: has_contrast(header),
            step: stack.spacing.z.0,
            sharpness: sharpness(header),
            slices: stack.slices.len(),
        }
    }

    /// Smaller is better.
    fn key(&self) -> (bool, bool, bool, u8, u8, Reverse<usize>) {
        let step = if GOOD_STEP.contains(&self.step) {
            0
        } else if self.step < *GOOD_STEP.start() {
            1
        } else {
            2
        };
        let sharp = match self.sharpness {
            Sharpness::Soft => 0,
            Sharpness::Unknown => 1,
            Sharpness::Sharp => 2,
        };
        (
            self.short,
            self.derived,
            self.contrast,
            step,
            sharp,
            Reverse(self.slices),
        )
    }

    fn why(&self, candidates: usize) -> Why {
        Why {
            candidates,
            contrast: self.contrast,
            step: self.step,
            sharpness: self.sharpness,
            slices: self.slices,
        }
    }
}

/// Whether the header names a contrast agent. Writers also put a word for "none" there.
#[must_use]
pub fn has_contrast(header: &Header) -> bool {
    let agent = header.contrast_agent.trim().to_ascii_uppercase();
    !matches!(
        agent.as_str(),
        "" | "NO" | "NONE" | "N" | "NATIVE" | "NATIV" | "WITHOUT" | "UNENHANCED" | "-"
    )
}

/// Reads the kernel's name as its maker means it.
#[must_use]
pub fn sharpness(header: &Header) -> Sharpness {
    let Some(kernel) = header.kernel.first().filter(|k| !k.is_empty()) else {
        return Sharpness::Unknown;
    };
    let name = kernel.to_ascii_uppercase();
    let maker = header.manufacturer.to_ascii_uppercase();
    let number: u32 = name
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .take(3)
        .collect::<String>()
        .parse()
        .unwrap_or(0);
    let judged = |sharp: bool| {
        if sharp {
            Sharpness::Sharp
        } else {
            Sharpness::Soft
        }
    };
    if maker.contains("SIEMENS") || (maker.is_empty() && number >= 10 && !name.starts_with("FC")) {
        // B31f, I50s, D40s, Br38f, Bl64d: the number is the sharpness; lung kernels start at
        // 50 with the older letters and at 54 with the newer ones.
        let newer = name
            .get(1..2)
            .is_some_and(|c| !c.starts_with(|d: char| d.is_ascii_digit()));
        match number {
            0 => Sharpness::Unknown,
            n => judged(n >= if newer { 54 } else { 50 }),
        }
    } else if maker.contains("TOSHIBA") || maker.contains("CANON") {
        // FC01-FC19 body, FC20-FC29 head, FC30 and FC80 up bone, FC50-FC59 lung.
        match number {
            0 => Sharpness::Unknown,
            n => judged(n >= 30),
        }
    } else if maker.contains("PHILIPS") {
        // A, B, C and their U-, Y- and I-forms are soft; D, E, L, YC, YD, YE are sharp.
        match name.trim_start_matches(['U', 'I']) {
            "A" | "B" | "SB" | "C" | "YA" | "YB" => Sharpness::Soft,
            "D" | "E" | "F" | "L" | "YC" | "YD" | "YE" => Sharpness::Sharp,
            _ => Sharpness::Unknown,
        }
    } else {
        // GE has words, and others borrow them.
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if has(&["LUNG", "BONE", "EDGE", "SHARP", "ULTRA", "DETAIL"]) {
            Sharpness::Sharp
        } else if has(&["STANDARD", "STD", "SOFT", "CHST", "CHEST", "SMOOTH"]) {
            Sharpness::Soft
        } else {
            Sharpness::Unknown
        }
    }
}

/// 2 instead of 2.00, 0.625 instead of 0.62.
pub(crate) fn short_number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::assemble::assemble;
    use super::super::fixture::{renamed, series};
    use super::*;
    use crate::base::ident::{Private, StudyUid};
    use crate::base::language::Language;

    fn bent(count: i32, uid: &str, bend: impl Fn(&mut Header)) -> Vec<Header> {
        let mut headers = renamed(series(count), uid);
        headers.iter_mut().for_each(bend);
        headers
    }

    /// Series UID of the choice among the series given.
    fn chosen(series: &[Vec<Header>]) -> Result<String, Refusal> {
        let headers = series.concat();
        let assembly = assemble(&headers);
        let choice = choose(&assembly, &headers)?;
        Ok(assembly.stacks[choice.stack].series.to_string())
    }

    fn thin(header: &mut Header) {
        header.position = header.position.map(|[x, y, z]| [x, y, z / 4.0]);
    }

    #[test]
    fn the_rules_apply_in_their_order() {
        let plain = || bent(100, "1.1", |_| {});
        let sharp = || bent(300, "1.2", |h| h.kernel = vec!["B70f".into()]);
        let contrast = || bent(300, "1.3", |h| h.contrast_agent = "APPLIED".into());
        let thin = || bent(400, "1.4", thin);
        let long = || bent(150, "1.5", |_| {});
        let fragment = || bent(10, "1.6", |_| {});
        let siemens = |mut all: Vec<Vec<Header>>| {
            for header in all.iter_mut().flatten() {
                header.manufacturer = "SIEMENS".into();
            }
            chosen(&all).unwrap()
        };
        assert_eq!(siemens(vec![sharp(), plain()]), "1.1");
        assert_eq!(siemens(vec![contrast(), sharp()]), "1.2");
        assert_eq!(siemens(vec![thin(), plain()]), "1.1");
        assert_eq!(siemens(vec![plain(), long()]), "1.5");
        assert_eq!(siemens(vec![fragment(), sharp()]), "1.2");
    }

    #[test]
    fn the_choice_says_why_and_offers_the_rest() {
        let headers = [bent(100, "1.1", |_| {}), bent(90, "1.2", |_| {})].concat();
        let choice = choose(&assemble(&headers), &headers).unwrap();
        assert_eq!(choice.others, [1]);
        assert_eq!(
            choice.why.words(Language::English),
            "Best of 2 usable series: axial, no contrast in the header, every 2 mm, \
             kernel not known, 100 slices."
                .replace("kernel not known", "soft kernel")
        );
    }

    #[test]
    fn never_a_localizer_a_dose_page_a_reformat_or_a_capture() {
        let coronal = |h: &mut Header| {
            h.orientation = Some([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]);
        };
        let scout = bent(2, "1.1", |h| {
            coronal(h);
            h.image_type = vec!["ORIGINAL".into(), "PRIMARY".into(), "LOCALIZER".into()];
        });
        let dose = bent(1, "1.2", |h| {
            h.sop_class = uids::SECONDARY_CAPTURE_IMAGE_STORAGE.into();
            h.image_type = vec!["DERIVED".into(), "SECONDARY".into(), "DOSE_INFO".into()];
            h.position = None;
        });
        let capture = bent(3, "1.3", |h| {
            h.sop_class = uids::SECONDARY_CAPTURE_IMAGE_STORAGE.into();
        });
        let reformat = bent(60, "1.4", |h| {
            coronal(h);
            h.image_type = vec!["DERIVED".into(), "SECONDARY".into(), "REFORMATTED".into()];
        });
        let axial = bent(60, "1.7", |h| {
            h.image_type = vec!["DERIVED".into(), "SECONDARY".into(), "REFORMATTED".into()];
        });
        assert_eq!(chosen(std::slice::from_ref(&axial)), Ok("1.7".into()));
        let side = bent(60, "1.5", coronal);
        let mr = bent(60, "1.6", |h| {
            h.sop_class = uids::MR_IMAGE_STORAGE.into();
            h.modality = "MR".into();
        });
        assert_eq!(chosen(std::slice::from_ref(&scout)), Err(Refusal::Scout));
        assert_eq!(chosen(std::slice::from_ref(&dose)), Err(Refusal::DosePage));
        assert_eq!(
            chosen(std::slice::from_ref(&capture)),
            Err(Refusal::ScreenCapture)
        );
        assert_eq!(
            chosen(std::slice::from_ref(&reformat)),
            Err(Refusal::Reformat)
        );
        assert_eq!(chosen(std::slice::from_ref(&side)), Err(Refusal::NotAxial));
        let modality = "MR".to_owned();
        assert_eq!(chosen(&[mr]), Err(Refusal::NotCt { modality }));
        assert_eq!(chosen(&[]), Err(Refusal::Empty));
        // The reformat is what the operator meant to send; the scout came along.
        let both = [scout.clone(), dose.clone(), reformat.clone()];
        assert_eq!(chosen(&both), Err(Refusal::Reformat));
        let with_axial = [
            scout,
            dose,
            capture,
            reformat,
            side,
            bent(40, "1.9", |_| {}),
        ];
        assert_eq!(chosen(&with_axial).unwrap(), "1.9");
    }

    #[test]
    fn a_study_of_two_patients_has_no_result() {
        let mut headers = bent(100, "1.1", |h| h.patient.id = Private::new("A1 "));
        assert!(chosen(std::slice::from_ref(&headers)).is_ok());
        headers[50].patient.id = Private::new("");
        assert!(chosen(std::slice::from_ref(&headers)).is_ok());
        headers[99].patient.id = Private::new("A2");
        assert_eq!(
            chosen(std::slice::from_ref(&headers)),
            Err(Refusal::TwoPatients)
        );
        headers[99].study = StudyUid::new("1.2.4").unwrap();
        assert!(chosen(&[headers]).is_ok(), "another study");
    }

    #[test]
    fn images_without_geometry_are_refused_with_that_reason() {
        let stripped = bent(3, "1.1", |h| h.orientation = None);
        assert_eq!(chosen(&[stripped]), Err(Refusal::NoGeometry));
        let enhanced = bent(1, "1.1", |h| {
            h.sop_class = uids::ENHANCED_CT_IMAGE_STORAGE.into();
            h.frames = 200;
        });
        assert_eq!(chosen(&[enhanced]), Err(Refusal::MultiFrame));
    }

    #[test]
    fn kernels_are_read_as_their_makers_mean_them() {
        let judge = |maker: &str, kernel: &str| {
            let mut header = series(1).remove(0);
            header.manufacturer = maker.into();
            header.kernel = vec![kernel.into()];
            sharpness(&header)
        };
        for (maker, soft, sharp) in [
            ("SIEMENS", "D40s", "B60f"),
            ("Siemens Healthineers", "Br38f", "Bl64d"),
            ("GE MEDICAL SYSTEMS", "STANDARD", "LUNG"),
            ("Philips", "B", "L"),
            ("TOSHIBA", "FC08", "FC51"),
            ("", "B30f", "B70s"),
        ] {
            assert_eq!(judge(maker, soft), Sharpness::Soft, "{maker} {soft}");
            assert_eq!(judge(maker, sharp), Sharpness::Sharp, "{maker} {sharp}");
        }
        assert_eq!(judge("UIH", "X"), Sharpness::Unknown);
        assert_eq!(judge("SIEMENS", ""), Sharpness::Unknown);
    }
}
