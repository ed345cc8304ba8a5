//! Why a series was chosen, in words.

use super::{Sharpness, Why, short_number};
use crate::base::language::{Language, Phrase};

impl Why {
    #[must_use]
    pub fn words(&self, language: Language) -> String {
        let contrast = if self.contrast { CONTRAST } else { NO_CONTRAST };
        let kernel = match self.sharpness {
            Sharpness::Soft => SOFT,
            Sharpness::Unknown => UNKNOWN,
            Sharpness::Sharp => SHARP,
        };
        let step = language.mm(&short_number(self.step));
        let step = match language {
            Language::English => format!("every {step}"),
            Language::German => format!("Schichten alle {step}"),
            Language::Spanish => format!("cortes cada {step}"),
            Language::French => format!("coupes tous les {step}"),
            Language::Persian => format!("یک برش در هر {step}"),
        };
        let count = self.slices;
        let count = match language {
            Language::English => format!("{count} slices"),
            Language::German => format!("{count} Schichten"),
            Language::Spanish => format!("{count} cortes"),
            Language::French => format!("{count} coupes"),
            Language::Persian => format!("{count} برش"),
        };
        let comma = if language.runs_left() { "، " } else { ", " };
        let what = [
            AXIAL.of(language),
            contrast.of(language),
            &step,
            kernel.of(language),
            &count,
        ]
        .join(comma);
        match (language, self.candidates) {
            (Language::English, 1) => format!("The only usable series: {what}."),
            (Language::English, n) => format!("Best of {n} usable series: {what}."),
            (Language::German, 1) => format!("Die einzige verwendbare Serie: {what}."),
            (Language::German, n) => format!("Die beste von {n} verwendbaren Serien: {what}."),
            (Language::Spanish, 1) => format!("La única serie utilizable: {what}."),
            (Language::Spanish, n) => format!("La mejor de {n} series utilizables: {what}."),
            (Language::French, 1) => format!("La seule série utilisable\u{a0}: {what}."),
            (Language::French, n) => {
                format!("La meilleure de {n} séries utilisables\u{a0}: {what}.")
            }
            (Language::Persian, 1) => format!("تنها سری قابل استفاده: {what}."),
            (Language::Persian, n) => format!("بهترین سری از {n} سری قابل استفاده: {what}."),
        }
    }
}

const AXIAL: Phrase = Phrase {
    en: "axial",
    de: "axial",
    es: "axial",
    fr: "axiale",
    fa: "آگزیال",
};
const CONTRAST: Phrase = Phrase {
    en: "contrast in the header",
    de: "laut Header mit Kontrastmittel",
    es: "con contraste (cabecera)",
    fr: "avec injection (en-tête)",
    fa: "ماده حاجب در هدر",
};
const NO_CONTRAST: Phrase = Phrase {
    en: "no contrast in the header",
    de: "laut Header nativ",
    es: "sin contraste (cabecera)",
    fr: "sans injection (en-tête)",
    fa: "بدون ماده حاجب در هدر",
};
const SOFT: Phrase = Phrase {
    en: "soft kernel",
    de: "weicher Kernel",
    es: "filtro blando",
    fr: "filtre mou",
    fa: "کرنل نرم",
};
const UNKNOWN: Phrase = Phrase {
    en: "kernel not known",
    de: "Kernel nicht bekannt",
    es: "filtro desconocido",
    fr: "filtre inconnu",
    fa: "کرنل نامشخص",
};
const SHARP: Phrase = Phrase {
    en: "sharp kernel",
    de: "harter Kernel",
    es: "filtro duro",
    fr: "filtre dur",
    fa: "کرنل تیز",
};
