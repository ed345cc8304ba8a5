//! Reports to look at and to test with. Nobody's lungs: the pictures are drawn.

use super::{
    Analysed, CheckRow, KeyImage, ModelFacts, Outcome, Patient, Report, Seconds, StudyFacts, Texts,
};
use crate::base::grid::Spacing;
use crate::base::ident::{Private, ReportNo};
use crate::base::language::Language;
use crate::base::unit::Mm;
use crate::finding::decide::Doubt;
use crate::finding::{Caveat, Decision, Involvement, LungFacts, Probabilities};
use crate::study::check::{self, Check, Found, Limits, Say, Verdict};
use crate::study::choose::{Sharpness, Why};
use crate::study::refusal::Refusal;
use ndarray::Array3;

/// A Covid-like result with six key images.
#[must_use]
pub fn covid() -> Report {
    let profile: Vec<f32> = (0..50)
        .map(|z| {
            let z = z as f32;
            let hill = |at: f32, wide: f32, high: f32| high * (-((z - at) / wide).powi(2)).exp();
            hill(12.0, 7.0, 46.0) + hill(28.0, 5.0, 21.0)
        })
        .collect();
    let key_images = [7, 12, 17, 24, 29, 35]
        .into_iter()
        .enumerate()
        .map(|(i, z)| {
            let percent = profile.get(z).copied().unwrap_or(0.0);
            slice_picture(i as u32, z as u32, percent)
        })
        .collect();
    Report {
        language: Language::English,
        english: None,
        number: ReportNo(123),
        made: "2020-03-14T14:05:31+01:00".to_owned(),
        deidentified: false,
        device: "scanside-ct2".to_owned(),
        site: "Radiology, Building 4".to_owned(),
        software: "scanside 0.1.0".to_owned(),
        patient: Patient {
            name: Private::new("Mustermann^Erika"),
            id: Private::new("4711-0815"),
            birth_date: Private::new("19610512"),
            sex: Private::new("F"),
            age: Private::new("058Y"),
            others: Vec::new(),
        },
        study: study(),
        outcome: Outcome::Analysed(Box::new(Analysed {
            decision: Decision::Covid19,
            undecided_because: String::new(),
            p: Probabilities {
                control: 0.027,
                covid19: 0.913,
                cap: 0.06,
            },
            involvement: Involvement {
                total_percent: 21.4,
                right_percent: 26.9,
                left_percent: 15.2,
                upper_percent: 3.1,
                middle_percent: 24.8,
                lower_percent: 33.9,
            },
            lungs: LungFacts {
                right_ml: 2310.0,
                left_ml: 1980.0,
                touches_bottom: false,
                touches_top: false,
                height_mm: 243.0,
            },
            profile,
            distance: 3.4,
            distance_limit: 9.5,
            key_images,
            solid: drawn(&masks()),
        })),
        checks: checks(Language::English),
        caveats: vec![Caveat {
            code: "sharp_kernel".to_owned(),
            words: "Sharp kernel: choose the soft series if there is one.".to_owned(),
        }],
        model: model(),
        seconds: Seconds {
            read: 1.2,
            preprocess: 2.9,
            denoise: 14.6,
            classify: 0.4,
            all: 19.4,
        },
    }
}

/// Lungs, what is involved of them, and the spacing of their voxels.
pub type Masks = (Array3<bool>, Array3<bool>, Spacing);

fn drawn((lungs, involved, spacing): &Masks) -> Option<super::Raster> {
    super::solid::draw(lungs, involved, *spacing)
}

/// Two lungs with a dome below, a notch for the heart, and foci in the lower back.
#[must_use]
pub fn masks() -> Masks {
    let (nz, n) = (50, 96);
    let spacing = Spacing {
        z: Mm(5.0),
        y: Mm(3.2),
        x: Mm(3.2),
    };
    let ball = |at: [f32; 3], centre: [f32; 3], radius: [f32; 3]| {
        let part = |i: usize| ((at[i] - centre[i]) / radius[i]) * ((at[i] - centre[i]) / radius[i]);
        part(0) + part(1) + part(2)
    };
    let place = |(z, y, x): (usize, usize, usize)| [z as f32, y as f32, x as f32];
    let lungs = Array3::from_shape_fn((nz, n, n), |at| {
        let at = place(at);
        let right = ball(at, [20.0, 48.0, 29.0], [27.0, 27.0, 17.0]) < 1.0;
        let left = ball(at, [20.0, 48.0, 67.0], [27.0, 27.0, 16.0]) < 1.0
            && ball(at, [12.0, 38.0, 56.0], [13.0, 14.0, 11.0]) > 1.0;
        let dome = [[-2.0, 46.0, 29.0], [-4.0, 46.0, 67.0]];
        let above = dome
            .iter()
            .all(|centre| ball(at, *centre, [11.0, 24.0, 20.0]) > 1.0);
        (right || left) && above
    });
    let involved = Array3::from_shape_fn((nz, n, n), |at| {
        let foci = [
            ([12.0, 64.0, 24.0], [6.0, 8.0, 9.0]),
            ([22.0, 66.0, 30.0], [4.0, 5.0, 6.0]),
            ([14.0, 66.0, 68.0], [5.0, 6.0, 8.0]),
            ([30.0, 50.0, 38.0], [3.0, 4.0, 4.0]),
        ];
        let hit = foci
            .iter()
            .any(|(centre, radius)| ball(place(at), *centre, *radius) < 1.0);
        hit && lungs[at]
    });
    (lungs, involved, spacing)
}

/// No pattern, and next to nothing raised.
#[must_use]
pub fn control() -> Report {
    let mut report = covid();
    report.caveats.clear();
    if let Outcome::Analysed(analysed) = &mut report.outcome {
        analysed.decision = Decision::Control;
        analysed.p = Probabilities {
            control: 0.9963,
            covid19: 0.0031,
            cap: 0.0006,
        };
        analysed.involvement = Involvement {
            total_percent: 0.4,
            right_percent: 0.5,
            left_percent: 0.3,
            upper_percent: 0.2,
            middle_percent: 0.3,
            lower_percent: 0.7,
        };
        for share in &mut analysed.profile {
            *share *= 0.02;
        }
        let (lungs, mut involved, spacing) = masks();
        involved.fill(false);
        analysed.solid = drawn(&(lungs, involved, spacing));
        for image in &mut analysed.key_images {
            image.overlay.fill(0);
            image.percent *= 0.02;
        }
    }
    report
}

/// No class over its threshold, a scan unlike the training data, no key images.
#[must_use]
pub fn undetermined() -> Report {
    let mut report = covid();
    report.caveats.push(Caveat {
        code: "motion".to_owned(),
        words: "Breathing motion seen; result is less reliable.".to_owned(),
    });
    if let Outcome::Analysed(analysed) = &mut report.outcome {
        analysed.decision = Decision::Undetermined;
        analysed.undecided_because =
            "The scan is unlike the scans the model was trained on (distance 14.1, limit 9.5)."
                .to_owned();
        analysed.p = Probabilities {
            control: 0.31,
            covid19: 0.42,
            cap: 0.27,
        };
        analysed.distance = 14.1;
        analysed.key_images.clear();
        analysed.solid = None;
    }
    report
}

/// Refused: a scout view alone.
#[must_use]
pub fn not_analysed() -> Report {
    let mut report = covid();
    report.caveats.clear();
    report.outcome = Outcome::NotAnalysed {
        code: "localizer".to_owned(),
        reason: "This is a scout view.".to_owned(),
        action: "Please send the axial chest series.".to_owned(),
    };
    report.study.slices_received = 2;
    report.study.slices_used = 0;
    report.study.slices_denoised = 0;
    report.study.series_uid.clear();
    report.study.thickness_mm = None;
    report.study.spacing_mm = None;
    report.study.series_choice = "No series of this study can be analysed.".to_owned();
    report.study.input_sha256.clear();
    report.checks.truncate(1);
    if let Some(check) = report.checks.first_mut() {
        check.code = "scout".to_owned();
        check.value = "no series is fit".to_owned();
        check.limit = "one axial chest CT".to_owned();
        check.verdict = "refuse".to_owned();
        check.words = "This is a scout view. Please send the axial chest series.".to_owned();
    }
    report.seconds = Seconds {
        read: 0.1,
        all: 0.1,
        ..Seconds::default()
    };
    report
}

/// A study that came without a name, and with no series that says how it was made.
#[must_use]
pub fn anonymous() -> Report {
    let mut report = control();
    report.patient = Patient::default();
    report.device.clear();
    report.site.clear();
    report.study.date.clear();
    report.study.time.clear();
    report.study.description.clear();
    report.study.scanner.clear();
    report.study.kernel.clear();
    report.model.demonstration = false;
    report.model.thresholds = None;
    report.model.calibration.clear();
    report
}

/// Every text far longer than anybody would wish.
#[must_use]
pub fn long_texts() -> Report {
    let mut report = covid();
    let long =
        "Unverhältnismäßig-lange Beschreibung der Untersuchung mit Nebensätzen, die niemand \
                liest, und einem Wort ohne Ende: Kontrastmittelunverträglichkeitsbescheinigung"
            .repeat(3);
    report.patient.name = Private::new(
        "Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine Adolph Charles David Earl Frederick\
         ^Gerald^Prof. Dr. med.^Sr.",
    );
    report.patient.id = Private::new("A".repeat(64));
    report.site = long.clone();
    report.device = long.clone();
    report.study.description = long.clone();
    report.study.scanner = long.clone();
    report.study.kernel = "B30f\\Br40d\\3\\LUNG_ENHANCED_EDGE_PRESERVING".to_owned();
    report.study.series_choice = long.clone();
    report.study.study_uid = format!("1.2.{}", "3".repeat(60));
    report.study.series_uid = format!("1.2.{}", "4".repeat(60));
    for check in &mut report.checks {
        check.value = long.clone();
        check.limit = long.clone();
        check.words = long.clone();
    }
    report.caveats = (0..5)
        .map(|i| Caveat {
            code: format!("long_{i}"),
            words: long.clone(),
        })
        .collect();
    report.model.name = "a-model-with-a-name-that-somebody-thought-was-a-sentence".to_owned();
    report.model.limits.push(long.clone());
    if let Outcome::Analysed(analysed) = &mut report.outcome {
        analysed.decision = Decision::Undetermined;
        analysed.undecided_because = long;
    }
    report
}

fn study() -> StudyFacts {
    StudyFacts {
        study_uid: "1.3.12.2.1107.5.1.4.73473.30000020031412302216200000021".to_owned(),
        series_uid: "1.3.12.2.1107.5.1.4.73473.30000020031412302216200000187".to_owned(),
        date: "2020-03-14".to_owned(),
        time: "14:02".to_owned(),
        description: "CT thorax low dose".to_owned(),
        scanner: "SIEMENS SOMATOM Scope".to_owned(),
        kernel: "B60s".to_owned(),
        thickness_mm: Some(2.0),
        spacing_mm: Some(1.5),
        pixel_mm: Some(0.684),
        slices_received: 326,
        slices_used: 162,
        slices_denoised: 243,
        series_choice: "Series 3, the only axial one without contrast medium.".to_owned(),
        input_sha256: "5d41402abc4b2a76b9719d911017c5925d41402abc4b2a76b9719d911017c592".to_owned(),
    }
}

fn model() -> ModelFacts {
    ModelFacts {
        name: "covidctnet-128".to_owned(),
        version: "1.0".to_owned(),
        sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        profile: "release".to_owned(),
        demonstration: true,
        limits: vec![
            "Trained on synthetic chests and a handful of public scans; never on children."
                .to_owned(),
            "Not tried on scans with contrast medium, after surgery or with tubes in place."
                .to_owned(),
        ],
        calibration: "Temperature-scaled on 120 synthetic studies, not on patients.".to_owned(),
        thresholds: Some(Probabilities {
            control: 0.6,
            covid19: 0.65,
            cap: 0.6,
        }),
    }
}

/// A sample with its sentences in another language.
#[must_use]
pub fn told(report: Report, language: Language) -> Report {
    let refused = Say::Unfit(Refusal::Scout);
    let mut texts = Texts::default();
    match &report.outcome {
        Outcome::Analysed(analysed) => {
            texts.checks = checks(language);
            let why = Why {
                candidates: 1,
                contrast: false,
                step: 1.5,
                sharpness: Sharpness::Sharp,
                slices: 162,
            };
            texts.series_choice = why.words(language);
            if analysed.decision == Decision::Undetermined {
                let doubt = Doubt::Unlike {
                    distance: analysed.distance,
                    limit: analysed.distance_limit,
                };
                texts.undecided_because = doubt.words(language);
            }
        }
        Outcome::NotAnalysed { .. } => {
            texts.reason = refused.sentence(language);
            texts.action = refused.action(language).to_owned();
            let unfit = check::unfit(Refusal::Scout);
            texts.checks = vec![row(&unfit, language)];
        }
    }
    texts.caveats = (report.caveats.iter())
        .map(|caveat| Caveat {
            code: caveat.code.clone(),
            words: match caveat.code.as_str() {
                "motion" => Say::Motion.sentence(language),
                _ => Say::SharpKernel.words(language),
            },
        })
        .collect();
    report.in_language(language, texts)
}

fn row(check: &Check, language: Language) -> CheckRow {
    CheckRow {
        code: check.code.to_owned(),
        value: check.value.words(language),
        limit: check.limit.words(language),
        verdict: match check.verdict {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Refuse => "refuse",
        }
        .to_owned(),
        words: check.words(language),
    }
}

fn checks(language: Language) -> Vec<CheckRow> {
    let limits = Limits::default();
    let pass = |code, value, limit| Check {
        code,
        kind: 0,
        value,
        limit,
        verdict: Verdict::Pass,
        say: None,
    };
    let text = |text: &str| Found::Text(text.to_owned());
    let hu = |value: f64| Found::Hu(Some(value));
    let checks = [
        pass(
            "class",
            text("CT ORIGINAL\\PRIMARY\\AXIAL"),
            Found::AxialOriginal,
        ),
        pass("orientation", Found::OffAxial(0.0), Found::Degrees(5.0)),
        pass(
            "spacing",
            Found::Spacing {
                step: 1.5,
                jitter: 0.0,
            },
            Found::SpacingLimit {
                pass: 3.0,
                most: 5.0,
            },
        ),
        pass(
            "continuity",
            Found::Missing {
                missing: 0,
                collisions: 0,
            },
            Found::Nothing,
        ),
        pass(
            "length",
            Found::Length {
                slices: 162,
                mm: 243.0,
            },
            Found::Mm(80.0),
        ),
        pass("rescale", Found::Present, Found::HounsfieldScale),
        Check {
            verdict: Verdict::Warn,
            say: Some(Say::SharpKernel),
            ..pass("kernel", text("B60s"), Found::Soft)
        },
        pass("dose", Found::Mas(84.0), Found::MasLimit(10.0)),
        pass("contrast", Found::Nothing, Found::Nothing),
        pass("age", Found::AboveLimit, Found::Years(18.0)),
        check::image_data(162, 0, 0, None),
        pass(
            "coverage",
            Found::Coverage {
                mm: 243.0,
                bottom: 0.0,
                top: 0.0,
            },
            Found::CoverageLimit {
                mm: 80.0,
                share: 25.0,
            },
        ),
        pass(
            "lungs",
            Found::Lungs {
                right: 2310.0,
                left: 1980.0,
            },
            Found::LungsLimit(limits.lungs_ml),
        ),
        pass(
            "hounsfield",
            Found::Air {
                outside: Some(-998.0),
                lungs: Some(-865.0),
            },
            Found::AirLimit {
                outside: [-1050.0, -950.0],
                lungs: [-950.0, -600.0],
            },
        ),
        pass("blood", hu(44.0), hu(150.0)),
        pass(
            "breathing",
            Found::Breathing {
                motion: Some(0.12),
                lungs: Some(-865.0),
            },
            Found::Breathing {
                motion: Some(0.6),
                lungs: Some(-740.0),
            },
        ),
        pass("duplicate", Found::New, Found::OtherImages),
    ];
    checks.iter().map(|check| row(check, language)).collect()
}

/// A drawn chest slice of 512 x 512: skin, ribs, spine, heart, two lungs with vessels, haze, noise.
fn slice_picture(index: u32, z: u32, percent: f32) -> KeyImage {
    const SIDE: usize = 512;
    let mut noise = Noise(0x9e37_79b9 ^ u64::from(index));
    let mut grey = Vec::with_capacity(SIDE * SIDE);
    let mut overlay = Vec::with_capacity(SIDE * SIDE);
    let size = 0.72 + 0.05 * f32::from(5 - index.min(5) as u8);
    for row in 0..SIDE {
        for column in 0..SIDE {
            let x = (column as f32 - 256.0) / 256.0;
            let y = (row as f32 - 256.0) / 256.0;
            let inside = |cx: f32, cy: f32, rx: f32, ry: f32| {
                1.0 - ((x - cx) / rx).powi(2) - ((y - cy) / ry).powi(2)
            };
            let right = inside(-0.38, -0.02, 0.30 * size, 0.50 * size);
            let left = inside(0.40, -0.02, 0.28 * size, 0.48 * size);
            let heart = inside(0.10, -0.12, 0.24, 0.26);
            let mut hu = -1000.0;
            if inside(0.0, 0.0, 0.92, 0.66) > 0.0 {
                hu = -90.0;
            }
            if inside(0.0, 0.0, 0.82, 0.58) > 0.0 {
                hu = 40.0;
                let angle = y.atan2(x) * 11.0 + index as f32;
                if inside(0.0, 0.0, 0.79, 0.56) < 0.1 && angle.sin() > 0.3 {
                    hu = 420.0;
                }
            }
            if inside(0.0, 0.40, 0.12, 0.11) > 0.0 {
                hu = 320.0;
            }
            let lung = right.max(left);
            let mut strength = 0.0_f32;
            if lung > 0.0 && heart < 0.0 {
                hu = -860.0;
                let vessels = (x * 37.0 + (y * 23.0).sin() * 2.0).sin()
                    * (y * 41.0 + (x * 19.0).cos() * 2.0).sin();
                if vessels > 0.86 && lung > 0.1 {
                    hu = -100.0;
                }
                for (cx, cy, r) in [(-0.52, 0.24, 0.13), (-0.34, 0.33, 0.1), (0.52, 0.2, 0.11)] {
                    let d = ((x - cx).powi(2) + (y - cy).powi(2)).sqrt() / r;
                    let haze = (percent / 40.0).min(1.0) * (-d * d).exp();
                    hu += 560.0 * haze;
                    strength = strength.max(haze);
                }
            }
            if heart > 0.0 && inside(0.0, 0.0, 0.82, 0.58) > 0.0 {
                hu = 45.0;
            }
            hu += 22.0 * noise.next();
            // Lung window: level -600, width 1500.
            grey.push(((hu + 1350.0) / 1500.0 * 255.0).clamp(0.0, 255.0) as u8);
            let raised = if strength > 0.22 { strength } else { 0.0 };
            overlay.push((raised * 255.0).clamp(0.0, 255.0) as u8);
        }
    }
    KeyImage {
        slice: 3 + z * 3,
        of: 162,
        position_mm: -312.5 + f64::from(z) * 4.86,
        percent,
        network_z: z,
        width: SIDE,
        height: SIDE,
        pixel_mm: 0.684,
        grey,
        left_edge: "R".to_owned(),
        top_edge: "A".to_owned(),
        overlay,
    }
}

/// A small generator, so that pictures repeat.
struct Noise(u64);

impl Noise {
    /// About normal, mean 0, deviation 1.
    fn next(&mut self) -> f32 {
        let mut sum = 0.0;
        for _ in 0..3 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            sum += (self.0 >> 40) as f32 / (1_u64 << 24) as f32 - 0.5;
        }
        sum * 2.0
    }
}
