//! The facts of a report as labels and values, for every form that prints them.

use super::super::{Analysed, Report};
use super::{DEIDENTIFIED, NO_PATIENT, NOT_GIVEN, date};
use crate::base::language::{Language, Phrase};

/// A label and its value.
pub type Fact = (&'static str, String);

/// Three columns: whose study, which study, how it was scanned. `name` is the patient's as the form
/// can print it.
#[must_use]
pub fn facts(report: &Report, name: &str) -> [Vec<Fact>; 3] {
    let language = report.language;
    let label = |phrase: Phrase| phrase.of(language);
    let or_unknown = |text: &str| or_unknown(language, text);
    let study = &report.study;
    let mm = |value: Option<f64>| value.map_or("?".to_owned(), |v| language.mm(&format!("{v:.1}")));
    let when = join(", ", &[&date(&study.date), &study.time]);
    let slices = slices(language, study.slices_received, study.slices_used);
    let mut examination = vec![(label(STUDY), or_unknown(&when))];
    if !study.description.is_empty() {
        examination.push((label(DESCRIPTION), study.description.clone()));
    }
    examination.push((label(SERIES), or_unknown(&study.series_choice)));
    let mut scanner = vec![
        (label(SCANNER), or_unknown(&study.scanner)),
        (label(KERNEL), or_unknown(&study.kernel)),
        (label(SLICES), slices),
    ];
    if study.thickness_mm.is_some() || study.spacing_mm.is_some() {
        let thickness = mm(study.thickness_mm);
        scanner.push((
            label(THICKNESS),
            every(language, &thickness, &mm(study.spacing_mm)),
        ));
    }
    [patient(report, name), examination, scanner]
}

fn patient(report: &Report, name: &str) -> Vec<Fact> {
    let language = report.language;
    let label = |phrase: Phrase| phrase.of(language);
    let patient = &report.patient;
    if report.deidentified {
        return vec![
            (label(PATIENT), DEIDENTIFIED.of(language).to_owned()),
            ("", label(REMOVED).to_owned()),
        ];
    }
    if patient.is_empty() {
        return vec![(label(PATIENT), NO_PATIENT.of(language).to_owned())];
    }
    let known = |text: &str| or_unknown(language, text);
    let comma = if language.runs_left() { "، " } else { ", " };
    vec![
        (label(PATIENT), known(name)),
        (label(ID), known(patient.id.reveal())),
        (label(BORN), known(&date(patient.birth_date.reveal()))),
        (
            label(SEX_AGE),
            known(&join(
                comma,
                &[patient.sex.reveal(), &age(language, patient.age.reveal())],
            )),
        ),
    ]
}

/// Software, model and input, each with what it can be told again by.
#[must_use]
pub fn provenance(report: &Report) -> [Fact; 7] {
    let (model, study, seconds) = (&report.model, &report.study, report.seconds);
    let language = report.language;
    let label = |phrase: Phrase| phrase.of(language);
    let profile = match language {
        Language::English => "profile",
        Language::German => "Profil",
        Language::Spanish => "perfil",
        Language::French => "profil",
        Language::Persian => "profile",
    };
    let version = format!(
        "{} {}, {profile} {}",
        model.name, model.version, model.profile
    );
    let one = |seconds: f64| language.number(seconds, 1);
    let (all, read, preprocess, denoise, classify) = (
        one(seconds.all),
        one(seconds.read),
        one(seconds.preprocess),
        one(seconds.denoise),
        one(seconds.classify),
    );
    let times = match language {
        Language::English => format!(
            "{all} s: reading {read}, preprocessing {preprocess}, reconstruction {denoise}, \
             classification {classify}"
        ),
        Language::German => format!(
            "{all} s: Lesen {read}, Aufbereitung {preprocess}, Rekonstruktion {denoise}, \
             Klassifikation {classify}"
        ),
        Language::Spanish => format!(
            "{all} s: lectura {read}, preparación {preprocess}, reconstrucción {denoise}, \
             clasificación {classify}"
        ),
        Language::French => format!(
            "{all} s\u{a0}: lecture {read}, préparation {preprocess}, reconstruction {denoise}, \
             classification {classify}"
        ),
        Language::Persian => format!(
            "{all} ثانیه: خواندن {read}، آماده‌سازی {preprocess}، بازسازی {denoise}، \
             طبقه‌بندی {classify}"
        ),
    };
    [
        (label(SOFTWARE), report.software.clone()),
        (label(MODEL), version),
        (label(CARD_SHA), model.sha256.clone()),
        (label(INPUT_SHA), study.input_sha256.clone()),
        (label(STUDY_UID), study.study_uid.clone()),
        (label(SERIES_UID), study.series_uid.clone()),
        (label(TIME), times),
    ]
}

/// Involvement along the body, to be drawn.
pub struct Strip {
    /// Percent of each slice, feet to head.
    pub shares: Vec<f32>,
    /// Upper end of the axis: a round number, and never below 10 %, so that noise does not look
    /// like much.
    pub scale: f32,
    /// For those who cannot see it.
    pub words: String,
}

#[must_use]
pub fn strip(language: Language, analysed: &Analysed) -> Strip {
    let finite = |share: &f32| {
        if share.is_finite() {
            share.max(0.0)
        } else {
            0.0
        }
    };
    let shares: Vec<f32> = analysed.profile.iter().map(finite).collect();
    let highest = shares.iter().copied().fold(0.0_f32, f32::max);
    let scale = [10.0, 20.0, 50.0, 100.0]
        .into_iter()
        .find(|end| highest <= *end)
        .unwrap_or(100.0);
    let words = match language {
        Language::English => format!(
            "Share of involved lung per slice from feet to head, at most {highest:.0} percent; the \
             key slices are marked with their numbers."
        ),
        Language::German => format!(
            "Anteil beteiligter Lunge je Schicht von den Füßen zum Kopf, höchstens {highest:.0} \
             Prozent; die Schlüsselschichten sind mit ihren Nummern markiert."
        ),
        Language::Spanish => format!(
            "Parte de pulmón afectado por corte, de los pies a la cabeza, como máximo {highest:.0} \
             por ciento; los cortes clave llevan su número."
        ),
        Language::French => format!(
            "Part de poumon atteint par coupe, des pieds à la tête, {highest:.0} pour cent au \
             plus\u{a0}; les coupes clés portent leur numéro."
        ),
        Language::Persian => format!(
            "سهم ریه درگیر در هر برش از پا به سر، حداکثر {highest:.0} درصد؛ برش‌های کلیدی با شماره \
             مشخص شده‌اند."
        ),
    };
    Strip {
        shares,
        scale,
        words,
    }
}

/// "58 years" from the header's "058Y".
fn age(language: Language, text: &str) -> String {
    let at = text.char_indices().nth(3).map_or(text.len(), |(at, _)| at);
    let (count, unit) = text.split_at(at);
    let unit = match unit {
        "Y" => YEARS,
        "M" => MONTHS,
        "W" => WEEKS,
        "D" => DAYS,
        _ => return text.to_owned(),
    };
    match count.parse::<u16>() {
        Ok(count) => format!("{count} {}", unit.of(language)),
        Err(_) => text.to_owned(),
    }
}

fn slices(language: Language, received: u32, used: u32) -> String {
    match (language, used) {
        (Language::English, 0) => format!("{received} received, none used"),
        (Language::English, used) => format!("{received} received, {used} used"),
        (Language::German, 0) => format!("{received} empfangen, keine verwendet"),
        (Language::German, used) => format!("{received} empfangen, {used} verwendet"),
        (Language::Spanish, 0) => format!("{received} recibidos, ninguno usado"),
        (Language::Spanish, used) => format!("{received} recibidos, {used} usados"),
        (Language::French, 0) => format!("{received} reçues, aucune utilisée"),
        (Language::French, used) => format!("{received} reçues, {used} utilisées"),
        (Language::Persian, 0) => format!("{received} دریافت شد، هیچ‌یک به کار نرفت"),
        (Language::Persian, used) => format!("{received} دریافت شد، {used} به کار رفت"),
    }
}

/// How thick slices are, and how far from one to the next.
fn every(language: Language, thickness: &str, step: &str) -> String {
    match language {
        Language::English => format!("{thickness}, every {step}"),
        Language::German => format!("{thickness}, alle {step}"),
        Language::Spanish => format!("{thickness}, cada {step}"),
        Language::French => format!("{thickness}, tous les {step}"),
        Language::Persian => format!("{thickness}، فاصله {step}"),
    }
}

fn or_unknown(language: Language, text: &str) -> String {
    if text.trim().is_empty() {
        NOT_GIVEN.of(language).to_owned()
    } else {
        text.to_owned()
    }
}

fn join(comma: &str, parts: &[&str]) -> String {
    let parts: Vec<&str> = parts.iter().copied().filter(|t| !t.is_empty()).collect();
    parts.join(comma)
}

const STUDY: Phrase = Phrase {
    en: "Study",
    de: "Untersuchung",
    es: "Estudio",
    fr: "Examen",
    fa: "اسکن",
};
const DESCRIPTION: Phrase = Phrase {
    en: "Description",
    de: "Beschreibung",
    es: "Descripción",
    fr: "Description",
    fa: "شرح",
};
const SERIES: Phrase = Phrase {
    en: "Series chosen",
    de: "Serie",
    es: "Serie elegida",
    fr: "Série choisie",
    fa: "سری",
};
const SCANNER: Phrase = Phrase {
    en: "Scanner",
    de: "Scanner",
    es: "Equipo",
    fr: "Scanner",
    fa: "دستگاه",
};
const KERNEL: Phrase = Phrase {
    en: "Kernel",
    de: "Kernel",
    es: "Filtro",
    fr: "Filtre",
    fa: "کرنل",
};
const SLICES: Phrase = Phrase {
    en: "Slices",
    de: "Schichten",
    es: "Cortes",
    fr: "Coupes",
    fa: "برش‌ها",
};
const THICKNESS: Phrase = Phrase {
    en: "Thickness",
    de: "Dicke",
    es: "Grosor",
    fr: "Épaisseur",
    fa: "ضخامت",
};
const PATIENT: Phrase = Phrase {
    en: "Patient",
    de: "Patient",
    es: "Paciente",
    fr: "Patient",
    fa: "بیمار",
};
const ID: Phrase = Phrase {
    en: "ID",
    de: "ID",
    es: "ID",
    fr: "ID",
    fa: "شناسه",
};
const BORN: Phrase = Phrase {
    en: "Born",
    de: "Geboren",
    es: "Nacido",
    fr: "Né(e) le",
    fa: "تولد",
};
const SEX_AGE: Phrase = Phrase {
    en: "Sex, age",
    de: "Geschl., Alter",
    es: "Sexo, edad",
    fr: "Sexe, âge",
    fa: "جنس، سن",
};
const REMOVED: Phrase = Phrase {
    en: "Name, ID, dates and UIDs were removed or replaced.",
    de: "Name, ID, Daten und UIDs wurden entfernt oder ersetzt.",
    es: "Nombre, ID, fechas y UID se han eliminado o sustituido.",
    fr: "Nom, ID, dates et UID ont été supprimés ou remplacés.",
    fa: "نام، شناسه، تاریخ‌ها و UIDها حذف یا جایگزین شده‌اند.",
};
const SOFTWARE: Phrase = Phrase {
    en: "Software",
    de: "Software",
    es: "Programa",
    fr: "Logiciel",
    fa: "نرم‌افزار",
};
const MODEL: Phrase = Phrase {
    en: "Model",
    de: "Modell",
    es: "Modelo",
    fr: "Modèle",
    fa: "مدل",
};
const CARD_SHA: Phrase = Phrase {
    en: "Model card SHA-256",
    de: "SHA-256 Modellkarte",
    es: "SHA-256 del modelo",
    fr: "SHA-256 du modèle",
    fa: "SHA-256 مدل",
};
const INPUT_SHA: Phrase = Phrase {
    en: "Input SHA-256",
    de: "SHA-256 Eingabe",
    es: "SHA-256 de entrada",
    fr: "SHA-256 de l'entrée",
    fa: "SHA-256 ورودی",
};
const STUDY_UID: Phrase = Phrase {
    en: "Study UID",
    de: "Untersuchungs-UID",
    es: "UID del estudio",
    fr: "UID de l'examen",
    fa: "UID اسکن",
};
const SERIES_UID: Phrase = Phrase {
    en: "Series UID",
    de: "Serien-UID",
    es: "UID de la serie",
    fr: "UID de la série",
    fa: "UID سری",
};
const TIME: Phrase = Phrase {
    en: "Processing time",
    de: "Rechenzeit",
    es: "Tiempo de cálculo",
    fr: "Temps de calcul",
    fa: "زمان پردازش",
};
const YEARS: Phrase = Phrase {
    en: "years",
    de: "Jahre",
    es: "años",
    fr: "ans",
    fa: "سال",
};
const MONTHS: Phrase = Phrase {
    en: "months",
    de: "Monate",
    es: "meses",
    fr: "mois",
    fa: "ماه",
};
const WEEKS: Phrase = Phrase {
    en: "weeks",
    de: "Wochen",
    es: "semanas",
    fr: "semaines",
    fa: "هفته",
};
const DAYS: Phrase = Phrase {
    en: "days",
    de: "Tage",
    es: "días",
    fr: "jours",
    fa: "روز",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_as_people_say_them() {
        assert_eq!(age(Language::English, "058Y"), "58 years");
        assert_eq!(age(Language::English, "006M"), "6 months");
        assert_eq!(age(Language::English, "58"), "58");
        assert_eq!(age(Language::English, ""), "");
        assert_eq!(age(Language::English, "58 Jahre"), "58 Jahre");
        assert_eq!(age(Language::English, "ä\u{e4}5Y"), "ä\u{e4}5Y");
    }
}
