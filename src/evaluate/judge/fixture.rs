//! Rows as a model of known quality would give them, without a single image.

use crate::base::ident::Class;
use crate::evaluate::answer::{Answer, State, highest};
use crate::evaluate::statistics::bootstrap::unit;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

const MAKERS: [(&str, &str); 4] = [
    ("GE MEDICAL SYSTEMS", "LightSpeed VCT"),
    ("SIEMENS", "SOMATOM Force"),
    ("Philips", "Brilliance 64"),
    ("CANON_MEC", "Aquilion Prime SP"),
];

/// `count` studies, classes in turn; `skill` 0 guesses, 6 hardly ever errs. One in 14 is refused.
pub fn cohort(count: usize, skill: f64) -> Vec<Answer> {
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(4);
    (0..count).map(|i| row(i, skill, &mut dice)).collect()
}

fn row(i: usize, skill: f64, dice: &mut Xoshiro256PlusPlus) -> Answer {
    let mut any = || unit(dice);
    let truth = i % 3;
    let (maker, model) = MAKERS[(any() * 4.0) as usize];
    let thickness = [0.6, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0][(any() * 7.0) as usize];
    let mut answer = Answer {
        id: format!("phantom {} {i} 512", Class::ALL[truth].word()),
        seed: Some(i as u64),
        source: "phantom".into(),
        patient: format!("{i:016x}"),
        truth: Class::ALL[truth].word().into(),
        maker: maker.into(),
        scanner: format!("{maker} {model}"),
        sharpness: if any() < 0.5 { "soft" } else { "sharp" }.into(),
        thickness_mm: Some(thickness),
        spacing_mm: Some(thickness),
        pixel_mm: Some(0.7),
        fov_mm: Some(300.0 + 100.0 * any()),
        slices: 300,
        age: Some(25.0 + 60.0 * any()),
        sex: if any() < 0.5 { "F" } else { "M" }.into(),
        mas: Some(30.0 + 100.0 * any()),
        distance_limit: Some(5.7),
        seconds: 20.0,
        model_sha256: "fixture".into(),
        ..Answer::default()
    };
    if i % 14 == 13 {
        answer.state = State::NotAnalysed;
        answer.code = "spacing".into();
        answer.reason = "Slices are 8 mm apart. Please resend the thin series.".into();
        return answer;
    }
    let mut three = |pull: f64| {
        let logits = [0, 1, 2].map(|k| {
            let luck: f64 = (0..4).map(|_| any()).sum::<f64>() - 2.0;
            2.0 * luck + if k == truth { pull } else { 0.0 }
        });
        let e = logits.map(f64::exp);
        let sum: f64 = e.iter().sum();
        (logits, e.map(|v| v / sum))
    };
    let (logits, p) = three(skill);
    let (_, blanked) = three(0.0);
    let (_, inside) = three(skill);
    answer.state = State::Analysed;
    [answer.logit_control, answer.logit_covid19, answer.logit_cap] = logits.map(Some);
    [answer.p_control, answer.p_covid19, answer.p_cap] = p.map(Some);
    [
        answer.blanked_control,
        answer.blanked_covid19,
        answer.blanked_cap,
    ] = blanked.map(Some);
    [
        answer.inside_control,
        answer.inside_covid19,
        answer.inside_cap,
    ] = inside.map(Some);
    [answer.fp32_control, answer.fp32_covid19, answer.fp32_cap] = p.map(|v| Some(v * 0.999));
    let best = highest(&p);
    answer.decision = if p[best] >= 0.6 {
        Class::ALL[best].word().into()
    } else {
        answer.because = "No pattern is clear enough.".into();
        "undetermined".into()
    };
    answer.fp32_decision = answer.decision.clone();
    answer.involvement_percent = Some(if truth == 0 { 0.4 } else { 3.0 + 30.0 * any() });
    answer.fp32_involvement_percent = answer.involvement_percent.map(|v| v + 0.1);
    answer.distance = Some(2.0);
    if answer.decision != answer.truth {
        answer.picture = format!("pictures/{i}.png");
    }
    answer
}
