//! What a check has found, and the limit it was held against, in the languages of the report.

use super::super::choose::short_number;
use crate::base::language::{Language, Phrase};

/// A value or a limit of a check. Numbers are rounded where they are put into words.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// As the header has it.
    Text(String),
    NoSeries,
    OneAxialChest,
    AxialOriginal,
    OffAxial(f64),
    Degrees(f64),
    Spacing {
        step: f64,
        jitter: f64,
    },
    SpacingLimit {
        pass: f64,
        most: f64,
    },
    Missing {
        missing: usize,
        collisions: usize,
    },
    Nothing,
    Length {
        slices: usize,
        mm: f64,
    },
    Mm(f64),
    NotSixteenBits,
    Absent,
    Present,
    HounsfieldScale,
    Soft,
    NotKnown,
    Mas(f64),
    MasLimit(f64),
    Years(f64),
    BelowLimit,
    AboveLimit,
    Decoded {
        slices: usize,
        lossy: usize,
        unreadable: usize,
    },
    /// The image (from 1) and the decoder's own words.
    Damaged {
        image: usize,
        why: String,
    },
    AllLossless,
    /// A study that has not been analysed before.
    New,
    OtherImages,
    /// The shares are of the largest area on any slice, in percent.
    Coverage {
        mm: f64,
        bottom: f64,
        top: f64,
    },
    CoverageLimit {
        mm: f64,
        share: f64,
    },
    Lungs {
        right: f64,
        left: f64,
    },
    LungsLimit([f64; 2]),
    Air {
        outside: Option<f64>,
        lungs: Option<f64>,
    },
    AirLimit {
        outside: [f64; 2],
        lungs: [f64; 2],
    },
    Hu(Option<f64>),
    Breathing {
        motion: Option<f64>,
        lungs: Option<f64>,
    },
}

/// So many slices.
#[must_use]
pub(super) fn slices(language: Language, count: usize) -> String {
    match (language, count) {
        (Language::English, 1) => "1 slice".to_owned(),
        (Language::English, n) => format!("{n} slices"),
        (Language::German, 1) => "1 Schicht".to_owned(),
        (Language::German, n) => format!("{n} Schichten"),
        (Language::Spanish, 1) => "1 corte".to_owned(),
        (Language::Spanish, n) => format!("{n} cortes"),
        (Language::French, 1) => "1 coupe".to_owned(),
        (Language::French, n) => format!("{n} coupes"),
        (Language::Persian, n) => format!("{n} برش"),
    }
}

impl Found {
    #[must_use]
    pub fn words(&self, language: Language) -> String {
        let phrase = |phrase: Phrase| phrase.of(language).to_owned();
        let mm = |value: f64| language.mm(&short_number(value));
        match self {
            Found::Text(text) => text.clone(),
            Found::NoSeries => phrase(NO_SERIES),
            Found::OneAxialChest => phrase(ONE_AXIAL_CHEST),
            Found::AxialOriginal => phrase(AXIAL_ORIGINAL),
            Found::Nothing => phrase(NOTHING),
            Found::NotSixteenBits => phrase(NOT_SIXTEEN_BITS),
            Found::Absent => phrase(ABSENT),
            Found::Present => phrase(PRESENT),
            Found::HounsfieldScale => phrase(HOUNSFIELD_SCALE),
            Found::Soft => phrase(SOFT),
            Found::NotKnown => phrase(NOT_KNOWN),
            Found::BelowLimit => phrase(BELOW_LIMIT),
            Found::AboveLimit => phrase(ABOVE_LIMIT),
            Found::AllLossless => phrase(ALL_LOSSLESS),
            Found::New => phrase(NEW),
            Found::OtherImages => phrase(OTHER_IMAGES),
            Found::Mm(value) => mm(*value),
            Found::OffAxial(value) => {
                let value = language.number(*value, 1);
                match language {
                    Language::English => format!("{value} degrees off axial"),
                    Language::German => format!("{value} Grad neben axial"),
                    Language::Spanish => format!("a {value} grados del plano axial"),
                    Language::French => format!("à {value} degrés du plan axial"),
                    Language::Persian => format!("{value} درجه انحراف از آگزیال"),
                }
            }
            Found::Degrees(value) => {
                let value = language.decimals(&value.to_string());
                let unit = DEGREES.of(language);
                format!("{value} {unit}")
            }
            Found::Spacing { step, jitter } => {
                let (step, jitter) = (mm(*step), mm(*jitter));
                match language {
                    Language::English => format!("{step}, uneven by {jitter}"),
                    Language::German => format!("{step}, ungleich um {jitter}"),
                    Language::Spanish => format!("{step}, irregular en {jitter}"),
                    Language::French => format!("{step}, irrégularité {jitter}"),
                    Language::Persian => format!("{step}، اختلاف {jitter}"),
                }
            }
            Found::SpacingLimit { pass, most } => {
                let (pass, most) = (mm(*pass), mm(*most));
                match language {
                    Language::English => format!("{pass}, at most {most}"),
                    Language::German => format!("{pass}, höchstens {most}"),
                    Language::Spanish => format!("{pass}, como máximo {most}"),
                    Language::French => format!("{pass}, au plus {most}"),
                    Language::Persian => format!("{pass}، حداکثر {most}"),
                }
            }
            Found::Missing {
                missing,
                collisions,
            } => match language {
                Language::English => format!("{missing} missing, {collisions} at a taken place"),
                Language::German => format!("{missing} fehlen, {collisions} doppelt belegt"),
                Language::Spanish => format!("faltan {missing}, {collisions} en lugar ocupado"),
                Language::French => {
                    format!("{missing} manquantes, {collisions} à une place occupée")
                }
                Language::Persian => format!("{missing} کم، {collisions} در جای تکراری"),
            },
            Found::Length {
                slices: count,
                mm: length,
            } => {
                let comma = if language.runs_left() { '،' } else { ',' };
                format!("{}{comma} {}", slices(language, *count), mm(*length))
            }
            Found::Mas(value) => language.ltr(&format!("{value:.0} mAs")),
            Found::MasLimit(value) => {
                language.ltr(&format!("{} mAs", language.decimals(&value.to_string())))
            }
            Found::Years(value) => {
                let value = language.decimals(&value.to_string());
                format!("{value} {}", YEARS.of(language))
            }
            Found::Decoded {
                slices,
                lossy,
                unreadable,
            } => match language {
                Language::English => {
                    format!("{slices} decode, {lossy} lossy, {unreadable} unreadable")
                }
                Language::German => {
                    format!("{slices} lesbar, {lossy} verlustbehaftet, {unreadable} unlesbar")
                }
                Language::Spanish => {
                    format!("{slices} legibles, {lossy} con pérdida, {unreadable} ilegibles")
                }
                Language::French => {
                    format!("{slices} lisibles, {lossy} avec perte, {unreadable} illisibles")
                }
                Language::Persian => {
                    format!("{slices} خوانا، {lossy} با افت کیفیت، {unreadable} ناخوانا")
                }
            },
            Found::Damaged { image, why } => {
                let image = match language {
                    Language::English | Language::French => format!("image {image}"),
                    Language::German => format!("Bild {image}"),
                    Language::Spanish => format!("imagen {image}"),
                    Language::Persian => format!("تصویر {image}"),
                };
                match language {
                    Language::French => format!("{image}\u{a0}: {why}"),
                    _ => format!("{image}: {why}"),
                }
            }
            Found::Coverage {
                mm: length,
                bottom,
                top,
            } => {
                let length = mm(*length);
                let share = |value: &f64| language.percent(&format!("{value:.0}"));
                let (bottom, top) = (share(bottom), share(top));
                match language {
                    Language::English => {
                        format!("{length} of lung, {bottom} at the bottom, {top} at the top")
                    }
                    Language::German => format!("{length} Lunge, {bottom} unten, {top} oben"),
                    Language::Spanish => {
                        format!("{length} de pulmón, {bottom} abajo, {top} arriba")
                    }
                    Language::French => {
                        format!("{length} de poumon, {bottom} en bas, {top} en haut")
                    }
                    Language::Persian => {
                        format!("{length} ریه، {bottom} در پایین، {top} در بالا")
                    }
                }
            }
            Found::CoverageLimit { mm: length, share } => {
                let comma = if language.runs_left() { '،' } else { ',' };
                let share = language.percent(&format!("{share:.0}"));
                format!("{}{comma} {share}", mm(*length))
            }
            Found::Lungs { right, left } => match language {
                Language::English => format!("right {right:.0} ml, left {left:.0} ml"),
                Language::German => format!("rechts {right:.0} ml, links {left:.0} ml"),
                Language::Spanish => {
                    format!("derecho {right:.0} ml, izquierdo {left:.0} ml")
                }
                Language::French => format!("droit {right:.0} ml, gauche {left:.0} ml"),
                Language::Persian => {
                    format!("راست {right:.0} میلی‌لیتر، چپ {left:.0} میلی‌لیتر")
                }
            },
            Found::LungsLimit([low, high]) => match language {
                Language::English => format!("{low} to {high} ml"),
                Language::German => format!("{low} bis {high} ml"),
                Language::Spanish => format!("{low} a {high} ml"),
                Language::French => format!("{low} à {high} ml"),
                Language::Persian => format!("{low} تا {high} میلی‌لیتر"),
            },
            Found::Air { outside, lungs } => {
                air(language, &hu(language, *outside), &hu(language, *lungs))
            }
            Found::AirLimit { outside, lungs } => air_limit(
                language,
                &hu_range(language, *outside),
                &hu_range(language, *lungs),
            ),
            Found::Hu(value) => hu(language, *value),
            Found::Breathing { motion, lungs } => {
                let motion = motion.map_or_else(
                    || NOT_SEEN.of(language).to_owned(),
                    |value| language.number(value, 2),
                );
                let lungs = hu(language, *lungs);
                match language {
                    Language::English => format!("motion {motion}, lungs {lungs}"),
                    Language::German => format!("Bewegung {motion}, Lunge {lungs}"),
                    Language::Spanish => format!("movimiento {motion}, pulmones {lungs}"),
                    Language::French => format!("mouvement {motion}, poumons {lungs}"),
                    Language::Persian => format!("حرکت {motion}، ریه‌ها {lungs}"),
                }
            }
        }
    }
}

fn hu(language: Language, value: Option<f64>) -> String {
    value.map_or_else(
        || NOT_SEEN.of(language).to_owned(),
        |value| language.ltr(&format!("{value:.0} {}", HU.of(language))),
    )
}

fn hu_range(language: Language, [low, high]: [f64; 2]) -> String {
    let unit = HU.of(language);
    match language {
        Language::English => format!("{low:.0} to {high:.0} {unit}"),
        Language::German => format!("{low:.0} bis {high:.0} {unit}"),
        Language::Spanish => format!("{low:.0} a {high:.0} {unit}"),
        Language::French => format!("{low:.0} à {high:.0} {unit}"),
        Language::Persian => {
            let (low, high) = (format!("{low:.0}"), format!("{high:.0} {unit}"));
            format!("{} تا {}", language.ltr(&low), language.ltr(&high))
        }
    }
}

fn air(language: Language, outside: &str, lungs: &str) -> String {
    match language {
        Language::English => format!("air outside {outside}, lungs {lungs}"),
        Language::German => format!("Luft außen {outside}, Lunge {lungs}"),
        Language::Spanish => format!("aire exterior {outside}, pulmones {lungs}"),
        Language::French => format!("air extérieur {outside}, poumons {lungs}"),
        Language::Persian => format!("هوای بیرون {outside}، ریه‌ها {lungs}"),
    }
}

fn air_limit(language: Language, outside: &str, lungs: &str) -> String {
    match language {
        Language::English => format!("air {outside}, lungs {lungs}"),
        Language::German => format!("Luft {outside}, Lunge {lungs}"),
        Language::Spanish => format!("aire {outside}, pulmones {lungs}"),
        Language::French => format!("air {outside}, poumons {lungs}"),
        Language::Persian => format!("هوا {outside}، ریه‌ها {lungs}"),
    }
}

const HU: Phrase = Phrase {
    en: "HU",
    de: "HE",
    es: "UH",
    fr: "UH",
    fa: "HU",
};
const DEGREES: Phrase = Phrase {
    en: "degrees",
    de: "Grad",
    es: "grados",
    fr: "degrés",
    fa: "درجه",
};
const YEARS: Phrase = Phrase {
    en: "years",
    de: "Jahre",
    es: "años",
    fr: "ans",
    fa: "سال",
};
const NOT_SEEN: Phrase = Phrase {
    en: "not seen",
    de: "nicht gesehen",
    es: "no visto",
    fr: "non vu",
    fa: "دیده نشد",
};
const NO_SERIES: Phrase = Phrase {
    en: "no series is fit",
    de: "keine Serie geeignet",
    es: "ninguna serie apta",
    fr: "aucune série adaptée",
    fa: "هیچ سری مناسب نیست",
};
const ONE_AXIAL_CHEST: Phrase = Phrase {
    en: "one axial chest CT",
    de: "eine axiale Thorax-CT",
    es: "una TC axial de tórax",
    fr: "un scanner thoracique axial",
    fa: "یک سی‌تی آگزیال قفسه سینه",
};
const AXIAL_ORIGINAL: Phrase = Phrase {
    en: "CT, original, axial",
    de: "CT, original, axial",
    es: "TC, original, axial",
    fr: "scanner, original, axial",
    fa: "سی‌تی، اصلی، آگزیال",
};
const NOTHING: Phrase = Phrase {
    en: "none",
    de: "keine",
    es: "ninguno",
    fr: "aucun",
    fa: "هیچ",
};
const NOT_SIXTEEN_BITS: Phrase = Phrase {
    en: "not 16 bits",
    de: "nicht 16 Bit",
    es: "no son 16 bits",
    fr: "pas 16 bits",
    fa: "16 بیت نیست",
};
const ABSENT: Phrase = Phrase {
    en: "missing",
    de: "fehlt",
    es: "falta",
    fr: "absent",
    fa: "نیست",
};
const PRESENT: Phrase = Phrase {
    en: "present",
    de: "vorhanden",
    es: "presente",
    fr: "présent",
    fa: "موجود",
};
const HOUNSFIELD_SCALE: Phrase = Phrase {
    en: "slope and intercept to HU, 16 bits",
    de: "Steigung und Achsenabschnitt nach HE, 16 Bit",
    es: "pendiente e intersección a UH, 16 bits",
    fr: "pente et ordonnée vers UH, 16 bits",
    fa: "شیب و عرض از مبدأ به HU، 16 بیت",
};
const SOFT: Phrase = Phrase {
    en: "soft",
    de: "weich",
    es: "blando",
    fr: "mou",
    fa: "نرم",
};
const NOT_KNOWN: Phrase = Phrase {
    en: "not known",
    de: "nicht bekannt",
    es: "desconocido",
    fr: "inconnu",
    fa: "نامشخص",
};
const BELOW_LIMIT: Phrase = Phrase {
    en: "below the limit",
    de: "unter der Grenze",
    es: "por debajo del límite",
    fr: "sous la limite",
    fa: "کمتر از حد",
};
const ABOVE_LIMIT: Phrase = Phrase {
    en: "above the limit",
    de: "über der Grenze",
    es: "por encima del límite",
    fr: "au-dessus de la limite",
    fa: "بیشتر از حد",
};
const ALL_LOSSLESS: Phrase = Phrase {
    en: "all, none lossy",
    de: "alle, keine verlustbehaftet",
    es: "todas, ninguna con pérdida",
    fr: "toutes, aucune avec perte",
    fa: "همه، بدون افت کیفیت",
};
const NEW: Phrase = Phrase {
    en: "new",
    de: "neu",
    es: "nuevo",
    fr: "nouveau",
    fa: "تازه",
};
const OTHER_IMAGES: Phrase = Phrase {
    en: "other images than before",
    de: "andere Bilder als zuvor",
    es: "imágenes distintas de las anteriores",
    fr: "autres images qu'auparavant",
    fa: "تصاویری جز تصاویر پیشین",
};
