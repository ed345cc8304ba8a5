//! Names and verdicts of the acquisition checks.

use crate::base::language::{Language, Phrase};

/// The name of a check for people. Codes that are not known here are made readable.
#[must_use]
pub fn check(language: Language, code: &str) -> String {
    let known = match code {
        "class" | "scout" | "dose_page" | "screen_capture" | "not_ct" | "reformat"
        | "projection" => Phrase {
            en: "Kind of image",
            de: "Bildart",
            es: "Tipo de imagen",
            fr: "Type d'image",
            fa: "نوع تصویر",
        },
        "orientation" | "not_axial" | "no_geometry" => Phrase {
            en: "Orientation",
            de: "Ausrichtung",
            es: "Orientación",
            fr: "Orientation",
            fa: "جهت",
        },
        "spacing" | "spaced_hrct" => Phrase {
            en: "Slice spacing",
            de: "Schichtabstand",
            es: "Espaciado de cortes",
            fr: "Espacement des coupes",
            fa: "فاصله برش‌ها",
        },
        "continuity" => Phrase {
            en: "Missing slices",
            de: "Fehlende Schichten",
            es: "Cortes que faltan",
            fr: "Coupes manquantes",
            fa: "برش‌های ناموجود",
        },
        "length" => Phrase {
            en: "Length of the scan",
            de: "Länge des Scans",
            es: "Longitud explorada",
            fr: "Longueur explorée",
            fa: "طول اسکن",
        },
        "rescale" => Phrase {
            en: "Scale of values",
            de: "Skala der Werte",
            es: "Escala de valores",
            fr: "Échelle des valeurs",
            fa: "مقیاس مقادیر",
        },
        "contrast" => Phrase {
            en: "Contrast medium",
            de: "Kontrastmittel",
            es: "Medio de contraste",
            fr: "Produit de contraste",
            fa: "ماده حاجب",
        },
        "image_data" | "multi_frame" | "concatenation" | "empty" => Phrase {
            en: "Image data",
            de: "Bilddaten",
            es: "Datos de imagen",
            fr: "Données d'image",
            fa: "داده‌های تصویر",
        },
        "two_patients" => Phrase {
            en: "Patient",
            de: "Patient",
            es: "Paciente",
            fr: "Patient",
            fa: "بیمار",
        },
        "hounsfield" => Phrase {
            en: "Hounsfield units",
            de: "Hounsfield-Einheiten",
            es: "Unidades Hounsfield",
            fr: "Unités Hounsfield",
            fa: "واحد هانسفیلد",
        },
        "blood" => Phrase {
            en: "Density of blood",
            de: "Dichte des Blutes",
            es: "Densidad de la sangre",
            fr: "Densité du sang",
            fa: "چگالی خون",
        },
        "kernel" => Phrase {
            en: "Kernel",
            de: "Kernel",
            es: "Filtro",
            fr: "Filtre",
            fa: "کرنل",
        },
        "dose" => Phrase {
            en: "Dose",
            de: "Dosis",
            es: "Dosis",
            fr: "Dose",
            fa: "دوز",
        },
        "age" => Phrase {
            en: "Age",
            de: "Alter",
            es: "Edad",
            fr: "Âge",
            fa: "سن",
        },
        "coverage" => Phrase {
            en: "Coverage",
            de: "Abdeckung",
            es: "Cobertura",
            fr: "Couverture",
            fa: "پوشش",
        },
        "lungs" => Phrase {
            en: "Lungs",
            de: "Lunge",
            es: "Pulmones",
            fr: "Poumons",
            fa: "ریه‌ها",
        },
        "breathing" => Phrase {
            en: "Breathing",
            de: "Atmung",
            es: "Respiración",
            fr: "Respiration",
            fa: "تنفس",
        },
        "duplicate" => Phrase {
            en: "Duplicate",
            de: "Duplikat",
            es: "Duplicado",
            fr: "Doublon",
            fa: "تکراری",
        },
        _ => return readable(code),
    };
    known.of(language).to_owned()
}

fn readable(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut characters = words.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => "(no name)".to_owned(),
    }
}

/// A verdict of the acquisition checks, as it is printed.
#[must_use]
pub fn verdict(language: Language, word: &str) -> &str {
    let known = match word {
        "pass" => Phrase {
            en: "Pass",
            de: "In Ordnung",
            es: "Correcto",
            fr: "Conforme",
            fa: "قبول",
        },
        "warn" => Phrase {
            en: "Warning",
            de: "Warnung",
            es: "Aviso",
            fr: "Alerte",
            fa: "هشدار",
        },
        "refuse" => Phrase {
            en: "Refused",
            de: "Abgelehnt",
            es: "Rechazado",
            fr: "Refusé",
            fa: "رد",
        },
        other => return other,
    };
    known.of(language)
}
