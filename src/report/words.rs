//! The sentences of the report, in one place, so that they are read together and translated
//! together. Numbers are written here too: how many digits a reader gets is part of the wording.

mod checks;
mod facts;
mod phrases;

pub use checks::{check, verdict};
pub use facts::{Fact, Strip, facts, provenance, strip};
pub use phrases::*;

use super::{Analysed, KeyImage, ModelFacts, Outcome, Report};
use crate::base::language::{Language, Phrase};

/// The title of the document: the number, and nothing of the patient.
#[must_use]
pub fn title(language: Language, number: &str) -> String {
    format!("{} {number}", HEADING.of(language))
}

#[must_use]
pub fn made(language: Language, moment: &str) -> String {
    let moment = language.ltr(&self::moment(moment));
    match language {
        Language::English => format!("Report of {moment}"),
        Language::German => format!("Bericht vom {moment}"),
        Language::Spanish => format!("Informe del {moment}"),
        Language::French => format!("Compte rendu du {moment}"),
        Language::Persian => format!("گزارش {moment}"),
    }
}

/// "Result: Cannot decide".
#[must_use]
pub fn labelled(language: Language, label: &str, value: &str) -> String {
    match language {
        Language::French => format!("{label}\u{a0}: {value}"),
        _ => format!("{label}: {value}"),
    }
}

/// The banner behind its first sentence.
#[must_use]
pub fn banner_rest(language: Language) -> &'static str {
    let (whole, short) = (BANNER.of(language), BANNER_SHORT.of(language));
    let rest = whole.strip_prefix(short).unwrap_or(whole);
    rest.trim_start_matches(['.', ' '])
}

/// Where the box stands, and which one it is.
#[must_use]
pub fn place(report: &Report) -> String {
    let known = [&report.site, &report.device].into_iter();
    let known: Vec<&str> = known
        .map(String::as_str)
        .filter(|t| !t.is_empty())
        .collect();
    known.join(" \u{b7} ")
}

/// What stands under the bars.
#[must_use]
pub fn probability_note(language: Language, model: &ModelFacts) -> String {
    let tick = model.thresholds.map_or("", |_| THRESHOLDS.of(language));
    let parts = [&model.calibration, PROBABILITIES.of(language), tick].into_iter();
    let parts: Vec<&str> = parts.filter(|text| !text.is_empty()).collect();
    parts.join(" ")
}

/// What stands under the shares.
#[must_use]
pub fn involvement_note(language: Language, analysed: &Analysed) -> String {
    let part = analysed.involvement;
    let share = |value| percent(language, value);
    let litres = |ml: f32| language.decimals(&format!("{:.1}", ml / 1000.0));
    let (upper, middle, lower) = (
        share(part.upper_percent),
        share(part.middle_percent),
        share(part.lower_percent),
    );
    let (right, left) = (
        litres(analysed.lungs.right_ml),
        litres(analysed.lungs.left_ml),
    );
    let note = INVOLVEMENT.of(language);
    match language {
        Language::English => format!(
            "By height: upper third {upper}, middle {middle}, lower {lower}. {note} Lung volume \
             right {right} l, left {left} l."
        ),
        Language::German => format!(
            "Nach Höhe: oberes Drittel {upper}, mittleres {middle}, unteres {lower}. {note} \
             Lungenvolumen rechts {right} l, links {left} l."
        ),
        Language::Spanish => format!(
            "Por altura: tercio superior {upper}, medio {middle}, inferior {lower}. {note} \
             Volumen pulmonar derecho {right} l, izquierdo {left} l."
        ),
        Language::French => format!(
            "En hauteur\u{a0}: tiers supérieur {upper}, moyen {middle}, inférieur {lower}. {note} \
             Volume pulmonaire droit {right} l, gauche {left} l."
        ),
        Language::Persian => format!(
            "بر پایه ارتفاع: یک‌سوم بالا {upper}، میانی {middle}، پایین {lower}. {note} حجم ریه \
             راست {right} لیتر، چپ {left} لیتر."
        ),
    }
}

/// A key image for those who cannot see it.
#[must_use]
pub fn key_image(language: Language, image: &KeyImage) -> String {
    let (slice, of) = (image.slice, image.of);
    let share = percent(language, image.percent);
    match language {
        Language::English => format!(
            "Slice {slice} of {of} as acquired, and the same slice with the difference map; {share} \
             of its lung is involved."
        ),
        Language::German => format!(
            "Schicht {slice} von {of} wie aufgenommen und dieselbe Schicht mit der Differenzkarte; \
             {share} ihrer Lunge sind beteiligt."
        ),
        Language::Spanish => format!(
            "Corte {slice} de {of} tal como se adquirió y el mismo corte con el mapa de \
             diferencias; {share} de su pulmón está afectado."
        ),
        Language::French => format!(
            "Coupe {slice} sur {of} telle qu'acquise et la même coupe avec la carte des \
             différences\u{a0}; {share} de son poumon est atteint."
        ),
        Language::Persian => format!(
            "برش {slice} از {of} به صورت اصلی و همان برش با نقشه تفاوت؛ {share} ریه در آن درگیر است."
        ),
    }
}

/// Which slice of how many.
#[must_use]
pub fn slice(language: Language, image: &KeyImage) -> String {
    let (slice, of) = (image.slice, image.of);
    match language {
        Language::English => format!("slice {slice} of {of}"),
        Language::German => format!("Schicht {slice} von {of}"),
        Language::Spanish => format!("corte {slice} de {of}"),
        Language::French => format!("coupe {slice} sur {of}"),
        Language::Persian => format!("برش {slice} از {of}"),
    }
}

#[must_use]
pub fn key_caption(language: Language, image: &KeyImage) -> String {
    let slice = slice(language, image);
    let z = language.ltr(&format!("z {} mm", language.number(image.position_mm, 1)));
    let comma = if language.runs_left() { '،' } else { ',' };
    format!("{slice}{comma} {z}")
}

#[must_use]
pub fn key_share(language: Language, image: &KeyImage) -> String {
    let share = percent(language, image.percent);
    match language {
        Language::English => format!("{share} of the lung"),
        Language::German => format!("{share} der Lunge"),
        Language::Spanish => format!("{share} del pulmón"),
        Language::French => format!("{share} du poumon"),
        Language::Persian => format!("{share} ریه"),
    }
}

/// What the software did not look for, the limits of the model and those of any. The model's stand
/// as its card has them.
#[must_use]
pub fn all_limits(language: Language, of_model: &[String]) -> Vec<String> {
    let comma = if language.runs_left() { "، " } else { ", " };
    let not = NOT_LOOKED_FOR
        .map(|finding| finding.of(language))
        .join(comma);
    let mut all = vec![match language {
        Language::English => format!("The software did not look for: {not}."),
        Language::German => format!("Die Software hat nicht gesucht nach: {not}."),
        Language::Spanish => format!("El programa no ha buscado: {not}."),
        Language::French => format!("Le logiciel n'a pas recherché\u{a0}: {not}."),
        Language::Persian => format!("نرم‌افزار به دنبال این موارد نبوده است: {not}."),
    }];
    all.extend_from_slice(of_model);
    all.extend(LIMITS.map(|limit| limit.of(language).to_owned()));
    all
}

/// What a reader can tick.
#[must_use]
pub fn opinions(language: Language, outcome: &Outcome) -> [&'static str; 2] {
    let opinions = match outcome {
        Outcome::Analysed(_) => [
            Phrase {
                en: "I agree with the result",
                de: "Ich stimme dem Ergebnis zu",
                es: "Estoy de acuerdo con el resultado",
                fr: "D'accord avec le résultat",
                fa: "با نتیجه موافقم",
            },
            Phrase {
                en: "I disagree with the result",
                de: "Ich stimme nicht zu",
                es: "No estoy de acuerdo",
                fr: "Pas d'accord",
                fa: "با نتیجه موافق نیستم",
            },
        ],
        Outcome::NotAnalysed { .. } => [
            Phrase {
                en: "The refusal was right",
                de: "Die Ablehnung war richtig",
                es: "El rechazo fue correcto",
                fr: "Le refus était justifié",
                fa: "رد اسکن درست بود",
            },
            Phrase {
                en: "The study was usable",
                de: "Die Untersuchung war verwendbar",
                es: "El estudio era utilizable",
                fr: "L'examen était utilisable",
                fa: "اسکن قابل استفاده بود",
            },
        ],
    };
    opinions.map(|phrase| phrase.of(language))
}

/// On what the probabilities were calibrated, in the words of the model's card.
#[must_use]
pub fn calibrated_on(language: Language, data: &str) -> String {
    match language {
        Language::English => format!("The probabilities were calibrated on {data}."),
        Language::German => format!("Die Wahrscheinlichkeiten wurden kalibriert an: {data}."),
        Language::Spanish => format!("Probabilidades calibradas con: {data}."),
        Language::French => format!("Probabilités calibrées sur\u{a0}: {data}."),
        Language::Persian => format!("احتمال‌ها با این داده‌ها کالیبره شده‌اند: {data}."),
    }
}

/// Page so many of so many.
#[must_use]
pub fn page(language: Language, page: usize, of: usize) -> String {
    match language {
        Language::English => format!("page {page} of {of}"),
        Language::German => format!("Seite {page} von {of}"),
        Language::Spanish => format!("página {page} de {of}"),
        Language::French => format!("page {page} sur {of}"),
        Language::Persian => format!("صفحه {page} از {of}"),
    }
}

/// A probability. The last digits of a network are no information, and no scan is certain.
#[must_use]
pub fn probability(language: Language, p: f32) -> String {
    if !p.is_finite() {
        "?".to_owned()
    } else if p > 0.99 {
        language.ltr(&language.decimals("> 0.99"))
    } else if p < 0.01 {
        language.ltr(&language.decimals("< 0.01"))
    } else {
        language.decimals(&format!("{p:.2}"))
    }
}

/// A share in percent: whole numbers from 10, one decimal below.
#[must_use]
pub fn percent(language: Language, share: f32) -> String {
    if !share.is_finite() {
        "?".to_owned()
    } else if share >= 9.95 {
        language.percent(&format!("{share:.0}"))
    } else {
        // The maximum takes the sign off a negative zero.
        language.percent(&format!("{:.1}", share.max(0.0)))
    }
}

/// The distance of a scan to the training data, against the card's limit.
#[must_use]
pub fn distance(language: Language, value: f32, limit: f32) -> String {
    if !value.is_finite() || !limit.is_finite() || limit <= 0.0 {
        return UNMEASURED.of(language).to_owned();
    }
    let says = if value <= limit { LIKE } else { UNLIKE }.of(language);
    let (value, limit) = (
        language.decimals(&format!("{value:.1}")),
        language.decimals(&format!("{limit:.1}")),
    );
    match language {
        Language::English => {
            format!("Distance to the training data: {value}, limit {limit}. {says}")
        }
        Language::German => {
            format!("Abstand zu den Trainingsdaten: {value}, Grenze {limit}. {says}")
        }
        Language::Spanish => {
            format!("Distancia a los datos de entrenamiento: {value}, límite {limit}. {says}")
        }
        Language::French => {
            format!("Distance aux données d'entraînement\u{a0}: {value}, limite {limit}. {says}")
        }
        Language::Persian => format!("فاصله تا داده‌های آموزش: {value}، حد {limit}. {says}"),
    }
}

/// A patient's name as a person writes it, from the five parts of a DICOM name.
///
/// A name may come in several scripts (PS3.5 section 6.2.1.1: groups split by `=`); each is given
/// back, the first one first.
#[must_use]
pub fn names(text: &str) -> Vec<String> {
    text.split('=')
        .map(|group| {
            let mut parts = group.split('^').map(str::trim);
            let family = parts.next().unwrap_or_default();
            let others: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
            match (family.is_empty(), others.is_empty()) {
                (_, true) => family.to_owned(),
                (true, false) => others.join(" "),
                (false, false) => format!("{family}, {}", others.join(" ")),
            }
        })
        .filter(|name| !name.is_empty())
        .collect()
}

/// A date as the header writes it ("20200314") or as we write it, always as we write it.
#[must_use]
pub fn date(text: &str) -> String {
    let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit());
    match (text.get(0..4), text.get(4..6), text.get(6..8)) {
        (Some(year), Some(month), Some(day)) if digits => format!("{year}-{month}-{day}"),
        _ => text.to_owned(),
    }
}

/// "2020-03-14 14:05" from "2020-03-14T14:05:09+01:00"; other texts as they are.
#[must_use]
pub fn moment(made: &str) -> String {
    match (made.get(0..10), made.get(10..11), made.get(11..16)) {
        (Some(day), Some("T"), Some(time)) => format!("{day} {time}"),
        _ => made.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_several_scripts_come_apart() {
        assert_eq!(
            names("Yamada^Tarou=山田^太郎=やまだ^たろう"),
            ["Yamada, Tarou", "山田, 太郎", "やまだ, たろう"]
        );
        assert_eq!(names("Doe^Jane^Q^Dr.^"), ["Doe, Jane Q Dr."]);
        assert_eq!(names("^Jane"), ["Jane"]);
        assert_eq!(names("Anonymous"), ["Anonymous"]);
        assert!(names("").is_empty());
        assert!(names("=^^=").is_empty());
    }

    #[test]
    fn unknown_checks_get_a_readable_name() {
        assert_eq!(check(Language::English, "spacing"), "Slice spacing");
        assert_eq!(check(Language::English, "gantry_tilt"), "Gantry tilt");
        assert_eq!(check(Language::English, ""), "(no name)");
    }

    #[test]
    fn no_probability_is_printed_as_certain() {
        assert_eq!(probability(Language::English, 0.999), "> 0.99");
        assert_eq!(probability(Language::English, 0.913), "0.91");
        assert_eq!(probability(Language::English, 0.0004), "< 0.01");
        assert_eq!(probability(Language::English, f32::NAN), "?");
    }

    #[test]
    fn percents_have_as_many_digits_as_they_deserve() {
        assert_eq!(percent(Language::English, -0.0), "0.0 %");
        assert_eq!(percent(Language::English, 3.12), "3.1 %");
        assert_eq!(percent(Language::English, 9.96), "10 %");
        assert_eq!(percent(Language::English, 42.4), "42 %");
    }

    #[test]
    fn dates_of_the_header_are_readable() {
        assert_eq!(date("20200314"), "2020-03-14");
        assert_eq!(date("2020"), "2020");
        assert_eq!(date("ä0200314"), "ä0200314");
        assert_eq!(moment("2020-03-14T14:05:09+01:00"), "2020-03-14 14:05");
        assert_eq!(moment("2020"), "2020");
    }

    #[test]
    fn a_scan_beyond_the_limit_is_called_unlike() {
        assert!(distance(Language::English, 12.0, 9.0).contains("unlike"));
        assert!(distance(Language::English, 3.0, 9.0).contains("resembles"));
        assert!(distance(Language::English, f32::NAN, 9.0).contains("not measured"));
    }
}
