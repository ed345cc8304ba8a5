//! What the checks and the choice of a series have to say: each thing once, with its numbers.
//!
//! A check does not write sentences, it names one of these; [`Say::sentence`] and [`Say::action`]
//! put it into the language of the box. `say/words.rs` has the sentences without numbers.

mod words;

use super::super::choose::short_number;
use super::super::refusal::Refusal;
use crate::base::language::{Language, Phrase};

/// One thing to say to the person at the scanner.
#[derive(Clone, Debug, PartialEq)]
pub enum Say {
    /// No series is fit; see [`Refusal`].
    Unfit(Refusal),
    Derived,
    Reformatted,
    OffAxial {
        degrees: f64,
    },
    Tilted,
    SpacedHrct,
    TooFarApart {
        step: f64,
        most: f64,
    },
    FarApart {
        step: f64,
    },
    Uneven {
        by: f64,
    },
    Missing {
        first: i32,
        last: i32,
        width: f64,
        more_places: usize,
    },
    SamePlace,
    TooShort {
        slices: usize,
        length: f64,
    },
    CutBottom,
    CutTop,
    CutSide,
    TooLittleLung,
    TouchesEnd,
    NoLungs,
    LungSize,
    SmallLung,
    NotHounsfield,
    Shifted,
    SharpKernel,
    LowDose,
    Contrast,
    NoAge,
    Child,
    Motion,
    Expiration,
    Lossy,
    Unreadable {
        count: usize,
    },
    Damaged {
        image: usize,
    },
}

impl Say {
    /// What is so.
    #[must_use]
    pub fn sentence(&self, language: Language) -> String {
        let mm = |value: &f64| language.mm(&short_number(*value));
        match self {
            Say::Unfit(refusal) => refusal.sentence(language),
            Say::OffAxial { degrees } => off_axial(language, *degrees),
            Say::TooFarApart { step, most } => too_far_apart(language, &mm(step), &mm(most)),
            Say::FarApart { step } => far_apart(language, &mm(step)),
            Say::Uneven { by } => uneven(language, &mm(by)),
            Say::Missing {
                first,
                last,
                width,
                more_places,
            } => missing(language, (*first, *last), &mm(width), *more_places),
            Say::TooShort { slices, length } => too_short(language, *slices, &mm(length)),
            Say::Unreadable { count } => unreadable(language, *count),
            Say::Damaged { image } => damaged(language, *image),
            Say::Derived
            | Say::Reformatted
            | Say::Tilted
            | Say::SpacedHrct
            | Say::SamePlace
            | Say::CutBottom
            | Say::CutTop
            | Say::CutSide
            | Say::TooLittleLung
            | Say::TouchesEnd
            | Say::NoLungs
            | Say::LungSize
            | Say::SmallLung
            | Say::NotHounsfield
            | Say::Shifted
            | Say::SharpKernel
            | Say::LowDose
            | Say::Contrast
            | Say::NoAge
            | Say::Child
            | Say::Motion
            | Say::Expiration
            | Say::Lossy => words::sentence(self).of(language).to_owned(),
        }
    }

    /// What to do about it; empty where the sentence says it.
    #[must_use]
    pub fn action(&self, language: Language) -> &'static str {
        match self {
            Say::Unfit(refusal) => refusal.action(language),
            Say::SharpKernel => "",
            other => words::action(other).of(language),
        }
    }

    /// Both, as one text.
    #[must_use]
    pub fn words(&self, language: Language) -> String {
        format!("{} {}", self.sentence(language), self.action(language))
            .trim_end()
            .to_owned()
    }
}

fn off_axial(language: Language, degrees: f64) -> String {
    let degrees = language.number(degrees, 1);
    match language {
        Language::English => format!("The slices are {degrees} degrees off axial."),
        Language::German => format!("Die Schichten weichen um {degrees} Grad von axial ab."),
        Language::Spanish => format!("Los cortes se desvían {degrees} grados del plano axial."),
        Language::French => format!("Les coupes s'écartent de {degrees} degrés du plan axial."),
        Language::Persian => format!("برش‌ها {degrees} درجه از صفحه آگزیال انحراف دارند."),
    }
}

fn too_far_apart(language: Language, step: &str, most: &str) -> String {
    match language {
        Language::English => format!("Slices are {step} apart; at most {most} can be analysed."),
        Language::German => {
            format!("Der Schichtabstand beträgt {step}; auswertbar sind höchstens {most}.")
        }
        Language::Spanish => {
            format!("Los cortes distan {step}; se pueden analizar hasta {most}.")
        }
        Language::French => {
            format!("Les coupes sont espacées de {step}\u{a0}; l'analyse accepte {most} au plus.")
        }
        Language::Persian => {
            format!("فاصله برش‌ها {step} است؛ حداکثر {most} قابل تحلیل است.")
        }
    }
}

fn far_apart(language: Language, step: &str) -> String {
    match language {
        Language::English => format!("Slices are {step} apart; thin ones are better."),
        Language::German => {
            format!("Der Schichtabstand beträgt {step}; dünne Schichten sind besser.")
        }
        Language::Spanish => format!("Los cortes distan {step}; son mejores los finos."),
        Language::French => {
            format!("Les coupes sont espacées de {step}\u{a0}; des coupes fines sont préférables.")
        }
        Language::Persian => format!("فاصله برش‌ها {step} است؛ برش‌های نازک بهترند."),
    }
}

fn uneven(language: Language, by: &str) -> String {
    match language {
        Language::English => format!("Slices are not evenly spaced (by {by})."),
        Language::German => format!("Die Schichtabstände sind ungleich (um {by})."),
        Language::Spanish => {
            format!("Los cortes no están a distancias iguales (diferencia de {by}).")
        }
        Language::French => format!("L'espacement des coupes est irrégulier (de {by})."),
        Language::Persian => format!("فاصله برش‌ها یکسان نیست (اختلاف {by})."),
    }
}

fn missing(language: Language, (first, last): (i32, i32), gap: &str, more: usize) -> String {
    let one = first == last;
    match language {
        Language::English => {
            let which = if one {
                format!("Slice {first} is missing")
            } else {
                format!("Slices {first} to {last} are missing")
            };
            let more = match more {
                0 => String::new(),
                1 => ", and slices at one more place".to_owned(),
                n => format!(", and slices at {n} more places"),
            };
            format!("{which} (gap of {gap}){more}.")
        }
        Language::German => {
            let which = if one {
                format!("Schicht {first} fehlt")
            } else {
                format!("Schichten {first} bis {last} fehlen")
            };
            let more = match more {
                0 => String::new(),
                1 => ", ebenso Schichten an einer weiteren Stelle".to_owned(),
                n => format!(", ebenso Schichten an {n} weiteren Stellen"),
            };
            format!("{which} (Lücke von {gap}){more}.")
        }
        Language::Spanish => {
            let which = if one {
                format!("Falta el corte {first}")
            } else {
                format!("Faltan los cortes {first} a {last}")
            };
            let more = match more {
                0 => String::new(),
                1 => ", y cortes en otro lugar más".to_owned(),
                n => format!(", y cortes en otros {n} lugares"),
            };
            format!("{which} (hueco de {gap}){more}.")
        }
        Language::French => {
            let which = if one {
                format!("La coupe {first} manque")
            } else {
                format!("Les coupes {first} à {last} manquent")
            };
            let more = match more {
                0 => String::new(),
                1 => ", et des coupes à un autre endroit".to_owned(),
                n => format!(", et des coupes à {n} autres endroits"),
            };
            format!("{which} (lacune de {gap}){more}.")
        }
        Language::Persian => {
            let which = if one {
                format!("برش {first} نیست")
            } else {
                format!("برش‌های {first} تا {last} نیستند")
            };
            let more = match more {
                0 => String::new(),
                n => format!("، و در {n} جای دیگر هم برش‌هایی نیستند"),
            };
            format!("{which} (شکاف {gap}){more}.")
        }
    }
}

fn too_short(language: Language, slices: usize, length: &str) -> String {
    let slices = super::found::slices(language, slices);
    match language {
        Language::English => format!("Only {slices} ({length}): the lungs are not covered."),
        Language::German => format!("Nur {slices} ({length}): Die Lunge ist nicht erfasst."),
        Language::Spanish => {
            format!("Solo {slices} ({length}): los pulmones no están cubiertos.")
        }
        Language::French => {
            format!("Seulement {slices} ({length})\u{a0}: les poumons ne sont pas couverts.")
        }
        Language::Persian => format!("فقط {slices} ({length}): ریه‌ها پوشش داده نشده‌اند."),
    }
}

fn unreadable(language: Language, count: usize) -> String {
    match (language, count) {
        (Language::English, 1) => "1 received object could not be read.".to_owned(),
        (Language::English, n) => format!("{n} received objects could not be read."),
        (Language::German, 1) => "1 empfangenes Objekt war nicht lesbar.".to_owned(),
        (Language::German, n) => format!("{n} empfangene Objekte waren nicht lesbar."),
        (Language::Spanish, 1) => "No se pudo leer 1 objeto recibido.".to_owned(),
        (Language::Spanish, n) => format!("No se pudieron leer {n} objetos recibidos."),
        (Language::French, 1) => "1 objet reçu n'a pas pu être lu.".to_owned(),
        (Language::French, n) => format!("{n} objets reçus n'ont pas pu être lus."),
        (Language::Persian, n) => format!("{n} مورد دریافت‌شده خوانده نشد."),
    }
}

fn damaged(language: Language, image: usize) -> String {
    match language {
        Language::English => format!("Image data is damaged (image {image})."),
        Language::German => format!("Bilddaten sind beschädigt (Bild {image})."),
        Language::Spanish => format!("Los datos de imagen están dañados (imagen {image})."),
        Language::French => format!("Des données d'image sont endommagées (image {image})."),
        Language::Persian => format!("داده‌های تصویر آسیب دیده است (تصویر {image})."),
    }
}

impl Refusal {
    /// The row of the product's table that it belongs to.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Refusal::NotAxial | Refusal::NoGeometry => 2,
            Refusal::MultiFrame | Refusal::Concatenation | Refusal::Empty => 12,
            _ => 1,
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn sentence(&self, language: Language) -> String {
        match self {
            Refusal::NotCt { modality } if !modality.is_empty() => match language {
                Language::English => format!("These are {modality} objects, not CT images."),
                Language::German => format!("Dies sind {modality}-Objekte, keine CT-Bilder."),
                Language::Spanish => format!("Son objetos {modality}, no imágenes de TC."),
                Language::French => {
                    format!("Ce sont des objets {modality}, pas des images de scanner.")
                }
                Language::Persian => format!("این‌ها از نوع {modality} هستند، نه تصویر سی‌تی."),
            },
            other => words::refusal(other).of(language).to_owned(),
        }
    }

    /// What the operator can do.
    #[must_use]
    pub fn action(&self, language: Language) -> &'static str {
        words::refusal_action(self).of(language)
    }
}

/// Room for a phrase that is empty in every language.
const NOTHING: Phrase = Phrase {
    en: "",
    de: "",
    es: "",
    fr: "",
    fa: "",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_said_in_each_language_and_in_none_twice() {
        for say in [
            Say::Derived,
            Say::Tilted,
            Say::CutBottom,
            Say::Motion,
            Say::Unfit(Refusal::Scout),
            Say::Uneven { by: 0.25 },
        ] {
            let said = Language::ALL.map(|language| say.words(language));
            for (index, text) in said.iter().enumerate() {
                assert!(text.ends_with(['.', '؟']), "{text}");
                assert!(!said[..index].contains(text), "{text}");
            }
        }
    }

    #[test]
    fn numbers_have_the_comma_of_the_language() {
        let say = Say::Uneven { by: 0.25 };
        assert!(say.sentence(Language::German).contains("0,25 mm"));
        assert!(say.sentence(Language::English).contains("0.25 mm"));
    }
}
