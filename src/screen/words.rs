//! Every word on the screen that is not handed over in the status: the one language file.
//!
//! The words are those of the product's specification, section 2.1, in each language as people who
//! work at a scanner say them. Reasons, actions and causes come from the stages that found them,
//! already as sentences.

pub mod service;

use super::sticks::Say;
use crate::base::language::{Language, Phrase};
use crate::status::{ResultWord, Who};

pub const STARTING: Phrase = Phrase {
    en: "STARTING",
    de: "STARTET",
    es: "INICIANDO",
    fr: "DÉMARRAGE",
    fa: "راه‌اندازی",
};
pub const READY: Phrase = Phrase {
    en: "READY",
    de: "BEREIT",
    es: "LISTO",
    fr: "PRÊT",
    fa: "آماده",
};
pub const RECEIVING: Phrase = Phrase {
    en: "RECEIVING",
    de: "EMPFANG",
    es: "RECIBIENDO",
    fr: "RÉCEPTION",
    fa: "در حال دریافت",
};
pub const CHECKING: Phrase = Phrase {
    en: "CHECKING",
    de: "PRÜFUNG",
    es: "COMPROBANDO",
    fr: "CONTRÔLE",
    fa: "در حال بررسی",
};
pub const ANALYSING: Phrase = Phrase {
    en: "ANALYSING",
    de: "AUSWERTUNG",
    es: "ANALIZANDO",
    fr: "ANALYSE",
    fa: "در حال تحلیل",
};
pub const NOT_ANALYSED: Phrase = Phrase {
    en: "NOT ANALYSED",
    de: "NICHT AUSGEWERTET",
    es: "NO ANALIZADO",
    fr: "NON ANALYSÉ",
    fa: "تحلیل نشد",
};
pub const ATTENTION: Phrase = Phrase {
    en: "ATTENTION",
    de: "ACHTUNG",
    es: "ATENCIÓN",
    fr: "ATTENTION",
    fa: "توجه",
};
pub const NOT_RECEIVING: Phrase = Phrase {
    en: "NOT RECEIVING",
    de: "KEIN EMPFANG",
    es: "NO RECIBE",
    fr: "PAS DE RÉCEPTION",
    fa: "دریافت ممکن نیست",
};
pub const SERVICE_MODE: Phrase = Phrase {
    en: "SERVICE MODE",
    de: "SERVICEMODUS",
    es: "MODO DE SERVICIO",
    fr: "MODE SERVICE",
    fa: "حالت سرویس",
};
pub const NO_SIGNAL: Phrase = Phrase {
    en: "NO SIGNAL",
    de: "KEIN SIGNAL",
    es: "SIN SEÑAL",
    fr: "PAS DE SIGNAL",
    fa: "بدون سیگنال",
};
/// In place of a result where patients can see the panel.
pub const DONE: Phrase = Phrase {
    en: "DONE",
    de: "FERTIG",
    es: "TERMINADO",
    fr: "TERMINÉ",
    fa: "انجام شد",
};
pub const NEEDS_YOU: Phrase = Phrase {
    en: "NEEDS YOU",
    de: "BITTE NACHSEHEN",
    es: "REQUIERE ATENCIÓN",
    fr: "À VÉRIFIER",
    fa: "نیازمند رسیدگی",
};

pub const CHECKING_MODEL: Phrase = Phrase {
    en: "Checking the model and the disk",
    de: "Modell und Speicher werden geprüft",
    es: "Comprobando el modelo y el disco",
    fr: "Contrôle du modèle et du disque",
    fa: "بررسی مدل و دیسک",
};
pub const CHECKING_IMAGES: Phrase = Phrase {
    en: "Checking the images",
    de: "Die Bilder werden geprüft",
    es: "Comprobando las imágenes",
    fr: "Contrôle des images",
    fa: "بررسی تصاویر",
};
pub const NO_STUDY_YET: Phrase = Phrase {
    en: "No study yet",
    de: "Noch keine Untersuchung",
    es: "Aún no hay ningún estudio",
    fr: "Aucun examen pour l'instant",
    fa: "هنوز اسکنی نیامده است",
};
pub const NO_PATIENT_DATA: Phrase = Phrase {
    en: "No patient data on screen",
    de: "Keine Patientendaten auf der Anzeige",
    es: "Sin datos de pacientes en pantalla",
    fr: "Aucune donnée patient à l'écran",
    fa: "داده‌ای از بیمار روی صفحه نیست",
};
pub const DO_NOT_TRUST: Phrase = Phrase {
    en: "This screen must not be trusted.",
    de: "Dieser Anzeige ist nicht zu trauen.",
    es: "No se fíe de esta pantalla.",
    fr: "Ne vous fiez pas à cet écran.",
    fa: "به این صفحه اعتماد نکنید.",
};

pub const RESEARCH_USE_ONLY: Phrase = Phrase {
    en: "RESEARCH USE ONLY",
    de: "NUR FÜR FORSCHUNGSZWECKE",
    es: "SOLO PARA INVESTIGACIÓN",
    fr: "RECHERCHE UNIQUEMENT",
    fa: "فقط برای پژوهش",
};
pub const DEMONSTRATION: Phrase = Phrase {
    en: "DEMONSTRATION MODEL, not clinically validated",
    de: "DEMONSTRATIONSMODELL, nicht klinisch validiert",
    es: "MODELO DE DEMOSTRACIÓN, sin validación clínica",
    fr: "MODÈLE DE DÉMONSTRATION, non validé cliniquement",
    fa: "مدل نمایشی، بدون اعتبارسنجی بالینی",
};

pub const NETWORK: Phrase = Phrase {
    en: "Network",
    de: "Netzwerk",
    es: "Red",
    fr: "Réseau",
    fa: "شبکه",
};
pub const DISK: Phrase = Phrase {
    en: "Disk",
    de: "Speicher",
    es: "Disco",
    fr: "Disque",
    fa: "دیسک",
};
pub const CLOCK: Phrase = Phrase {
    en: "Clock",
    de: "Uhr",
    es: "Reloj",
    fr: "Horloge",
    fa: "ساعت",
};
pub const PACS: Phrase = Phrase {
    en: "PACS",
    de: "PACS",
    es: "PACS",
    fr: "PACS",
    fa: "PACS",
};
pub const STICK: Phrase = Phrase {
    en: "Stick",
    de: "Stick",
    es: "Memoria USB",
    fr: "Clé USB",
    fa: "فلش",
};

/// Rows of the queue, for places that patients can see.
pub const ROW_DONE: Phrase = Phrase {
    en: "done",
    de: "fertig",
    es: "terminado",
    fr: "terminé",
    fa: "انجام شد",
};
pub const ROW_NEEDS_YOU: Phrase = Phrase {
    en: "needs you",
    de: "bitte nachsehen",
    es: "requiere atención",
    fr: "à vérifier",
    fa: "نیازمند رسیدگی",
};

/// The result words, with U+00A0 where a line should rather not end.
#[must_use]
pub const fn result(word: ResultWord) -> Phrase {
    match word {
        ResultWord::Control => Phrase {
            en: "No\u{a0}pneumonia pattern",
            de: "Kein Pneumoniemuster",
            es: "Sin\u{a0}patrón de\u{a0}neumonía",
            fr: "Aucun\u{a0}aspect de\u{a0}pneumonie",
            fa: "بدون الگوی\u{a0}پنومونی",
        },
        ResultWord::Covid19 => Phrase {
            en: "Pneumonia\u{a0}pattern, Covid-like",
            de: "Pneumoniemuster, Covid-ähnlich",
            es: "Patrón\u{a0}de\u{a0}neumonía, tipo\u{a0}Covid",
            fr: "Aspect\u{a0}de\u{a0}pneumonie, type\u{a0}Covid",
            fa: "الگوی\u{a0}پنومونی، مشابه\u{a0}کووید",
        },
        ResultWord::Cap => Phrase {
            en: "Pneumonia\u{a0}pattern, other",
            de: "Pneumoniemuster, anderer\u{a0}Typ",
            es: "Patrón\u{a0}de\u{a0}neumonía, otro\u{a0}tipo",
            fr: "Aspect\u{a0}de\u{a0}pneumonie, autre\u{a0}type",
            fa: "الگوی\u{a0}پنومونی، نوع\u{a0}دیگر",
        },
        ResultWord::Undetermined => Phrase {
            en: "Cannot decide",
            de: "Nicht entscheidbar",
            es: "No concluyente",
            fr: "Non concluant",
            fa: "نتیجه نامشخص",
        },
    }
}

/// What a row of the queue says, from the word in the status file. A word that is not known here
/// is shown as it came.
#[must_use]
pub fn row(language: Language, state: &str) -> String {
    let phrase = match state {
        "receiving" => Phrase {
            en: "receiving",
            de: "wird empfangen",
            es: "recibiendo",
            fr: "réception",
            fa: "در حال دریافت",
        },
        "waiting" => Phrase {
            en: "waiting",
            de: "wartet",
            es: "en espera",
            fr: "en attente",
            fa: "در انتظار",
        },
        "checking" => Phrase {
            en: "checking",
            de: "wird geprüft",
            es: "comprobando",
            fr: "contrôle",
            fa: "در حال بررسی",
        },
        "analysing" => Phrase {
            en: "analysing",
            de: "wird ausgewertet",
            es: "analizando",
            fr: "analyse en cours",
            fa: "در حال تحلیل",
        },
        "not analysed" => Phrase {
            en: "not analysed",
            de: "nicht ausgewertet",
            es: "no analizado",
            fr: "non analysé",
            fa: "تحلیل نشد",
        },
        other => {
            let word = ResultWord::ALL.into_iter().find(|w| w.words() == other);
            let said = word.map(|word| result(word).of(language).replace('\u{a0}', " "));
            return said.unwrap_or_else(|| other.to_owned());
        }
    };
    phrase.of(language).to_owned()
}

#[must_use]
pub fn last_study(language: Language, at: &str) -> String {
    match language {
        Language::English => format!("Last study {at}"),
        Language::German => format!("Letzte Untersuchung {at}"),
        Language::Spanish => format!("Último estudio {at}"),
        Language::French => format!("Dernier examen {at}"),
        Language::Persian => format!("آخرین اسکن {at}"),
    }
}

#[must_use]
pub fn received(language: Language, images: u32, expected: Option<u32>) -> String {
    match (images, expected) {
        // A console may send more than it said; then its word counts for nothing.
        (images, Some(expected)) if images <= expected => match language {
            Language::English => format!("{images} of {expected} images"),
            Language::German => format!("{images} von {expected} Bildern"),
            Language::Spanish => format!("{images} de {expected} imágenes"),
            Language::French => format!("{images} images sur {expected}"),
            Language::Persian => format!("{images} از {expected} تصویر"),
        },
        (1, _) => match language {
            Language::English => "1 image, still receiving",
            Language::German => "1 Bild, Empfang läuft",
            Language::Spanish => "1 imagen, recepción en curso",
            Language::French => "1 image, réception en cours",
            Language::Persian => "1 تصویر، دریافت ادامه دارد",
        }
        .to_owned(),
        (images, _) => match language {
            Language::English => format!("{images} images, still receiving"),
            Language::German => format!("{images} Bilder, Empfang läuft"),
            Language::Spanish => format!("{images} imágenes, recepción en curso"),
            Language::French => format!("{images} images, réception en cours"),
            Language::Persian => format!("{images} تصویر، دریافت ادامه دارد"),
        },
    }
}

#[must_use]
pub fn analysing(language: Language, study: u32, of: u32, eta_s: Option<u32>) -> String {
    let said = match language {
        Language::English => format!("Study {study} of {of}"),
        Language::German => format!("Untersuchung {study} von {of}"),
        Language::Spanish => format!("Estudio {study} de {of}"),
        Language::French => format!("Examen {study} sur {of}"),
        Language::Persian => format!("اسکن {study} از {of}"),
    };
    let Some(seconds) = eta_s else { return said };
    let time = match (language, seconds) {
        (Language::Persian, ..90) => format!("{seconds} ثانیه"),
        (Language::Persian, _) => format!("{} دقیقه", seconds.div_ceil(60)),
        (_, ..90) => format!("{seconds} s"),
        (_, _) => format!("{} min", seconds.div_ceil(60)),
    };
    match language {
        Language::English => format!("{said}, about {time}"),
        Language::German => format!("{said}, etwa {time}"),
        Language::Spanish => format!("{said}, unos {time}"),
        Language::French => format!("{said}, environ {time}"),
        Language::Persian => format!("{said}، حدود {time}"),
    }
}

/// "J.D. · 123 · 14:02", with what is known of it.
#[must_use]
pub fn who_and_when(who: &Who, at: &str) -> String {
    joined(&[&who.initials, &who.id_end, at])
}

#[must_use]
pub fn who(who: &Who) -> String {
    joined(&[&who.initials, &who.id_end])
}

fn joined(parts: &[&str]) -> String {
    let known: Vec<&str> = (parts.iter().map(|part| part.trim()))
        .filter(|part| !part.is_empty())
        .collect();
    known.join(" · ")
}

#[must_use]
pub fn more(language: Language, hidden: u16) -> String {
    match (language, hidden) {
        (Language::English, n) => format!("+{n} more"),
        (Language::German, n) => format!("+{n} weitere"),
        (Language::Spanish, n) => format!("+{n} más"),
        (Language::French, 1) => "+1 autre".to_owned(),
        (Language::French, n) => format!("+{n} autres"),
        (Language::Persian, n) => format!("و {n} مورد دیگر"),
    }
}

#[must_use]
pub fn disk(language: Language, percent: Option<u8>) -> String {
    let name = DISK.of(language);
    match percent {
        Some(percent) => format!("{name} {}", language.percent(&percent.to_string())),
        // The ring beside it says that nothing is known yet.
        None => format!("{name} –"),
    }
}

/// Why there is no signal.
#[must_use]
pub fn silent_for(language: Language, seconds: u64) -> String {
    let time = match (language, seconds) {
        (Language::Persian, ..120) => format!("{seconds} ثانیه"),
        (Language::Persian, _) => format!("{} دقیقه", seconds / 60),
        (_, ..120) => format!("{seconds} s"),
        (_, _) => format!("{} min", seconds / 60),
    };
    match language {
        Language::English => format!("The analysis has been silent for {time}."),
        Language::German => format!("Die Auswertung meldet sich seit {time} nicht."),
        Language::Spanish => format!("El análisis no da señales desde hace {time}."),
        Language::French => format!("L'analyse ne répond plus depuis {time}."),
        Language::Persian => format!("تحلیل {time} است که پاسخی نداده است."),
    }
}

/// How the sentence of a finished export begins, with the stick unmounted.
pub const SAFE_TO_REMOVE: Phrase = Phrase {
    en: "SAFE TO REMOVE.",
    de: "STICK KANN ENTFERNT WERDEN.",
    es: "YA PUEDE RETIRARSE.",
    fr: "LA CLÉ PEUT ÊTRE RETIRÉE.",
    fa: "می‌توانید فلش را بردارید.",
};
pub const NOTHING_EXPORTED: Phrase = Phrase {
    en: "Copy failed. Nothing was exported.",
    de: "Kopieren fehlgeschlagen. Es wurde nichts exportiert.",
    es: "Error de copia. No se ha exportado nada.",
    fr: "Échec de la copie. Rien n'a été exporté.",
    fa: "کپی انجام نشد. چیزی منتقل نشد.",
};

/// What `export-stick` says by itself; nothing where the exporter has the word.
#[must_use]
pub const fn stick(say: Say) -> Option<Phrase> {
    Some(match say {
        Say::OtherFormat => Phrase {
            en: "This stick cannot be used. Format it as FAT32 or exFAT.",
            de: "Dieser Stick ist nicht verwendbar. Bitte mit FAT32 oder exFAT formatieren.",
            es: "Esta memoria USB no sirve. Formatéela en FAT32 o exFAT.",
            fr: "Cette clé n'est pas utilisable. Formatez-la en FAT32 ou exFAT.",
            fa: "این فلش قابل استفاده نیست. آن را با FAT32 یا exFAT فرمت کنید.",
        },
        Say::DoesNotOpen => Phrase {
            en: "This stick cannot be opened. Try another one.",
            de: "Dieser Stick lässt sich nicht öffnen. Bitte einen anderen nehmen.",
            es: "No se puede abrir esta memoria USB. Pruebe con otra.",
            fr: "Cette clé ne s'ouvre pas. Essayez-en une autre.",
            fa: "این فلش باز نمی‌شود. فلش دیگری بگذارید.",
        },
        Say::Writing => Phrase {
            en: "Writing reports. Do not pull the stick.",
            de: "Berichte werden geschrieben. Stick nicht abziehen.",
            es: "Escribiendo informes. No retire la memoria USB.",
            fr: "Écriture des comptes rendus. Ne retirez pas la clé.",
            fa: "گزارش‌ها نوشته می‌شوند. فلش را جدا نکنید.",
        },
        Say::TooSlow => Phrase {
            en: "Not all reports were written in time. Put the stick in again.",
            de: "Nicht alle Berichte wurden rechtzeitig geschrieben. Stick bitte erneut einstecken.",
            es: "No dio tiempo a escribir todos los informes. Vuelva a insertar la memoria USB.",
            fr: "Les comptes rendus n'ont pas tous été écrits à temps. Rebranchez la clé.",
            fa: "همه گزارش‌ها به‌موقع نوشته نشدند. فلش را دوباره وصل کنید.",
        },
        Say::NotClosed => Phrase {
            en: "Copy failed. The stick could not be closed.",
            de: "Kopieren fehlgeschlagen. Der Stick ließ sich nicht abschließen.",
            es: "Error de copia. No se pudo cerrar la memoria USB.",
            fr: "Échec de la copie. La clé n'a pas pu être fermée.",
            fa: "کپی انجام نشد. فلش بسته نشد.",
        },
        Say::Exported | Say::NotExported | Say::Unknown => return None,
    })
}

/// Behind the message of the most urgent one of several.
#[must_use]
pub fn sticks(language: Language, count: usize) -> String {
    match language {
        Language::English => format!("{count} sticks"),
        Language::German => format!("{count} Sticks"),
        Language::Spanish => format!("{count} memorias"),
        Language::French => format!("{count} clés"),
        Language::Persian => format!("{count} فلش"),
    }
}

pub const NOT_RUNNING: Phrase = Phrase {
    en: "The analysis is not running.",
    de: "Die Auswertung läuft nicht.",
    es: "El análisis no está en marcha.",
    fr: "L'analyse n'est pas en marche.",
    fa: "تحلیل در حال اجرا نیست.",
};
pub const NOT_READABLE: Phrase = Phrase {
    en: "The state of the analysis cannot be read.",
    de: "Der Zustand der Auswertung ist nicht lesbar.",
    es: "No se puede leer el estado del análisis.",
    fr: "L'état de l'analyse est illisible.",
    fa: "وضعیت تحلیل خوانده نمی‌شود.",
};
pub const CLOCK_JUMPED: Phrase = Phrase {
    en: "The clock was set back; waiting for a new state.",
    de: "Die Uhr wurde zurückgestellt; ein neuer Zustand wird erwartet.",
    es: "El reloj se ha atrasado; a la espera de un nuevo estado.",
    fr: "L'horloge a été reculée\u{a0}; en attente d'un nouvel état.",
    fa: "ساعت به عقب برده شد؛ در انتظار وضعیت تازه.",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_times_read_like_the_specification() {
        let english = Language::English;
        let received = |images, expected| received(english, images, expected);
        let analysing = |study, of, eta| analysing(english, study, of, eta);
        assert_eq!(received(212, Some(300)), "212 of 300 images");
        assert_eq!(received(212, None), "212 images, still receiving");
        assert_eq!(received(301, Some(300)), "301 images, still receiving");
        assert_eq!(analysing(1, 3, Some(20)), "Study 1 of 3, about 20 s");
        assert_eq!(analysing(1, 1, None), "Study 1 of 1");
        assert_eq!(analysing(2, 2, Some(121)), "Study 2 of 2, about 3 min");
    }

    #[test]
    fn the_tile_says_a_result_in_the_words_of_the_status() {
        for word in ResultWord::ALL {
            let said = result(word).of(Language::English);
            assert_eq!(said.replace('\u{a0}', " "), word.words());
        }
    }

    #[test]
    fn a_row_is_told_in_each_language_and_a_stranger_as_it_came() {
        assert_eq!(row(Language::English, "not analysed"), "not analysed");
        assert_eq!(row(Language::German, "not analysed"), "nicht ausgewertet");
        assert_eq!(row(Language::French, "Cannot decide"), "Non concluant");
        for word in ResultWord::ALL {
            assert_eq!(row(Language::English, word.words()), word.words());
            for other in Language::ALL.into_iter().skip(1) {
                assert_ne!(row(other, word.words()), word.words(), "{other:?}");
            }
        }
        assert_eq!(row(Language::Spanish, "asleep"), "asleep");
    }

    #[test]
    fn unknown_parts_of_a_patient_leave_no_gap() {
        let nobody = Who::default();
        assert_eq!(who_and_when(&nobody, "14:02"), "14:02");
        let mut known = Who::default();
        known.initials.push_str("J.D.").unwrap();
        known.id_end.push_str("123").unwrap();
        assert_eq!(who_and_when(&known, "14:02"), "J.D. · 123 · 14:02");
        assert_eq!(who(&nobody), "");
    }
}
