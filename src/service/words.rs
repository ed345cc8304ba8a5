//! What the service itself has to say on the wall and in a report, in the languages of the box.
//!
//! What the checks of a scan say stands in `study::check`, what a report says of itself in
//! `report::words`. Causes that other software words (a decoder, the engine) stay as they came.

use crate::base::language::{Language, Phrase};

pub const DISK_FULL: Phrase = Phrase {
    en: "Disk full",
    de: "Speicher voll",
    es: "Disco lleno",
    fr: "Disque plein",
    fa: "دیسک پر است",
};
pub const SELF_TEST_FAILED: Phrase = Phrase {
    en: "Self-test failed: images are kept, not analysed",
    de: "Selbsttest fehlgeschlagen: Bilder werden aufbewahrt, nicht ausgewertet",
    es: "Autotest fallido: las imágenes se guardan, pero no se analizan",
    fr: "Échec de l'autotest\u{a0}: les images sont gardées, mais pas analysées",
    fa: "خودآزمایی ناموفق بود: تصاویر نگه داشته می‌شوند ولی تحلیل نمی‌شوند",
};
pub const PACS_SILENT: Phrase = Phrase {
    en: "PACS does not answer",
    de: "PACS antwortet nicht",
    es: "El PACS no responde",
    fr: "Le PACS ne répond pas",
    fa: "PACS پاسخ نمی‌دهد",
};
pub const CLOCK_NOT_SET: Phrase = Phrase {
    en: "The clock is not set",
    de: "Die Uhr ist nicht gestellt",
    es: "El reloj no está en hora",
    fr: "L'horloge n'est pas à l'heure",
    fa: "ساعت تنظیم نیست",
};
pub const NOT_STORED: Phrase = Phrase {
    en: "A result cannot be stored",
    de: "Ein Ergebnis lässt sich nicht speichern",
    es: "No se puede guardar un resultado",
    fr: "Un résultat ne peut pas être enregistré",
    fa: "نتیجه‌ای ذخیره نمی‌شود",
};
pub const DATABASE_SILENT: Phrase = Phrase {
    en: "The database does not answer",
    de: "Die Datenbank antwortet nicht",
    es: "La base de datos no responde",
    fr: "La base de données ne répond pas",
    fa: "پایگاه داده پاسخ نمی‌دهد",
};
pub const MIXED_UP: Phrase = Phrase {
    en: "An image was refused: its number is that of another one",
    de: "Ein Bild wurde abgewiesen: Seine Nummer gehört zu einem anderen",
    es: "Imagen rechazada: su número es el de otra",
    fr: "Une image a été refusée\u{a0}: son numéro est celui d'une autre",
    fa: "تصویری رد شد: شماره آن از آن تصویر دیگری است",
};
pub const SET_ASIDE: Phrase = Phrase {
    en: "Images came again with other content: the first ones count",
    de: "Bilder kamen mit anderem Inhalt erneut: Die ersten gelten",
    es: "Llegaron imágenes repetidas con otro contenido: valen las primeras",
    fr: "Des images sont revenues avec un autre contenu\u{a0}: les premières comptent",
    fa: "تصاویر با محتوای دیگری دوباره آمدند: نخستین‌ها معتبرند",
};

#[must_use]
pub fn disk_low(language: Language, percent: u8) -> String {
    let share = language.percent(&percent.to_string());
    match language {
        Language::English => format!("Disk {share} full"),
        Language::German => format!("Speicher zu {share} voll"),
        Language::Spanish => format!("Disco al {share}"),
        Language::French => format!("Disque plein à {share}"),
        Language::Persian => format!("{share} دیسک پر است"),
    }
}

#[must_use]
pub fn learning(language: Language, until: &str) -> String {
    match language {
        Language::English => format!("New callers are noted until {until}"),
        Language::German => format!("Neue Absender werden bis {until} notiert"),
        Language::Spanish => format!("Se anotan nuevos emisores hasta las {until}"),
        Language::French => format!("Nouveaux émetteurs notés jusqu'à {until}"),
        Language::Persian => format!("فرستنده‌های تازه تا {until} یادداشت می‌شوند"),
    }
}

/// The board has throttled itself.
#[must_use]
pub fn hot(language: Language, degrees: u8) -> String {
    match language {
        Language::English => {
            format!("Slow, it is hot: {degrees} °C inside. Please free the vents.")
        }
        Language::German => {
            format!("Langsam, es ist heiß: {degrees} °C im Gerät. Bitte die Lüftung frei machen.")
        }
        Language::Spanish => {
            format!("Lento por calor: {degrees} °C en el equipo. Despeje la ventilación.")
        }
        Language::French => {
            format!("Lent, il fait chaud\u{a0}: {degrees} °C à l'intérieur. Dégagez les aérations.")
        }
        Language::Persian => {
            format!("کند به علت گرما: دمای داخل {degrees} درجه است. جلوی دریچه‌ها را باز کنید.")
        }
    }
}

/// The association broke, or never ended.
pub const INTERRUPTED: Phrase = Phrase {
    en: "The sending of this study was interrupted; images may be missing.",
    de: "Das Senden dieser Untersuchung wurde unterbrochen; es können Bilder fehlen.",
    es: "El envío de este estudio se interrumpió; pueden faltar imágenes.",
    fr: "L'envoi de cet examen a été interrompu\u{a0}; des images peuvent manquer.",
    fa: "ارسال این اسکن قطع شد؛ ممکن است تصاویری نباشند.",
};
/// Images still came when the longest wait was over.
pub const STILL_COMING: Phrase = Phrase {
    en: "Images still came when the longest wait was over; images may be missing.",
    de: "Nach der längsten Wartezeit kamen noch Bilder; es können Bilder fehlen.",
    es: "Seguían llegando imágenes tras la espera máxima; pueden faltar imágenes.",
    fr: "Des images arrivaient encore après l'attente maximale\u{a0}; il peut en manquer.",
    fa: "پس از بیشترین زمان انتظار هنوز تصویر می‌آمد؛ ممکن است تصاویری نباشند.",
};

/// What the caller did, in the words of [`wrong_title`] or [`not_listed`].
#[must_use]
pub fn refused(language: Language, what: &str) -> String {
    match language {
        Language::English => format!("Refused: {what}"),
        Language::German => format!("Abgewiesen: {what}"),
        Language::Spanish => format!("Rechazado: {what}"),
        Language::French => format!("Refusé\u{a0}: {what}"),
        Language::Persian => format!("رد شد: {what}"),
    }
}

/// A caller that asks for another title than ours. Titles stand as they came.
#[must_use]
pub fn wrong_title(language: Language, who: (&str, &str), called: &str, ours: &str) -> String {
    let (calling, ip) = who;
    match language {
        Language::English => {
            format!("{calling} at {ip} calls \"{called}\", this is \"{ours}\"")
        }
        Language::German => {
            format!("{calling} ({ip}) ruft \"{called}\", hier ist \"{ours}\"")
        }
        Language::Spanish => {
            format!("{calling} ({ip}) llama a \"{called}\", este equipo es \"{ours}\"")
        }
        Language::French => {
            format!("{calling} ({ip}) appelle \"{called}\", ce boîtier est \"{ours}\"")
        }
        Language::Persian => {
            format!(
                "{calling} ({ip}) نشانی \"{called}\" را خواسته است، نام این دستگاه \"{ours}\" است"
            )
        }
    }
}

#[must_use]
pub fn not_listed(language: Language, calling: &str, ip: &str) -> String {
    match language {
        Language::English => format!("{calling} at {ip} is not on the list of callers"),
        Language::German => format!("{calling} ({ip}) steht nicht auf der Liste der Absender"),
        Language::Spanish => format!("{calling} ({ip}) no figura en la lista de emisores"),
        Language::French => format!("{calling} ({ip}) n'est pas dans la liste des émetteurs"),
        Language::Persian => format!("{calling} ({ip}) در فهرست فرستنده‌ها نیست"),
    }
}

/// A result that stood before the study came again.
#[must_use]
pub fn again(language: Language, at: &str) -> String {
    match language {
        Language::English => format!("Already analysed at {at}. Showing that result."),
        Language::German => format!("Bereits um {at} ausgewertet. Gezeigt wird jenes Ergebnis."),
        Language::Spanish => format!("Ya analizado a las {at}. Se muestra aquel resultado."),
        Language::French => format!("Déjà analysé à {at}. Ce résultat est affiché."),
        Language::Persian => format!("پیش‌تر در {at} تحلیل شده است. همان نتیجه نشان داده می‌شود."),
    }
}

/// Images that came a second time with other content.
#[must_use]
pub fn resent(language: Language, images: u32) -> String {
    match (language, images) {
        (Language::English, n) => {
            format!("{n} images came again with other content; the first ones were used.")
        }
        (Language::German, 1) => {
            "1 Bild kam mit anderem Inhalt erneut; verwendet wurde das erste.".to_owned()
        }
        (Language::German, n) => {
            format!("{n} Bilder kamen mit anderem Inhalt erneut; verwendet wurden die ersten.")
        }
        (Language::Spanish, 1) => {
            "1 imagen llegó de nuevo con otro contenido; se usó la primera.".to_owned()
        }
        (Language::Spanish, n) => {
            format!("{n} imágenes llegaron de nuevo con otro contenido; se usaron las primeras.")
        }
        (Language::French, 1) => {
            "1 image est revenue avec un autre contenu\u{a0}; la première a été utilisée."
                .to_owned()
        }
        (Language::French, n) => format!(
            "{n} images sont revenues avec un autre contenu\u{a0}; les premières ont été utilisées."
        ),
        (Language::Persian, n) => {
            format!("{n} تصویر با محتوای دیگری دوباره آمد؛ نخستین‌ها به کار رفت.")
        }
    }
}

/// Why a run has no result, where no check refused the scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// With what the engine says.
    Internal(Option<String>),
    Model(String),
    Unusable(String),
}

impl Trouble {
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Trouble::Internal(_) => "internal",
            Trouble::Model(_) => "model",
            Trouble::Unusable(_) => "unusable",
        }
    }

    #[must_use]
    pub fn reason(&self, language: Language) -> String {
        let (phrase, cause) = match self {
            Trouble::Internal(cause) => (&STOPPED, cause.as_deref()),
            Trouble::Model(why) => (&NOT_TRUSTED, Some(why.as_str())),
            Trouble::Unusable(why) => (&NOT_USABLE, Some(why.as_str())),
        };
        let phrase = phrase.of(language);
        match (language, cause) {
            (_, None) => format!("{phrase}."),
            (Language::French, Some(cause)) => format!("{phrase}\u{a0}: {cause}."),
            (_, Some(cause)) => format!("{phrase}: {cause}."),
        }
    }

    #[must_use]
    pub fn action(&self, language: Language) -> &'static str {
        match self {
            Trouble::Internal(None) => AGAIN.of(language),
            Trouble::Internal(Some(_)) => "",
            Trouble::Model(_) => CALL_SERVICE.of(language),
            Trouble::Unusable(_) => RESEND.of(language),
        }
    }
}

const STOPPED: Phrase = Phrase {
    en: "An internal error stopped the analysis",
    de: "Ein interner Fehler hat die Auswertung beendet",
    es: "Un error interno detuvo el análisis",
    fr: "Une erreur interne a arrêté l'analyse",
    fa: "خطای داخلی تحلیل را متوقف کرد",
};
const NOT_TRUSTED: Phrase = Phrase {
    en: "The model cannot be trusted",
    de: "Dem Modell ist nicht zu trauen",
    es: "El modelo no es fiable",
    fr: "Le modèle n'est pas fiable",
    fa: "مدل قابل اعتماد نیست",
};
const NOT_USABLE: Phrase = Phrase {
    en: "The images cannot be used",
    de: "Die Bilder sind nicht verwendbar",
    es: "Las imágenes no se pueden usar",
    fr: "Les images ne sont pas utilisables",
    fa: "تصاویر قابل استفاده نیستند",
};
const AGAIN: Phrase = Phrase {
    en: "Please send it again.",
    de: "Bitte erneut senden.",
    es: "Envíelo de nuevo.",
    fr: "Veuillez renvoyer l'examen.",
    fa: "لطفاً دوباره بفرستید.",
};
const CALL_SERVICE: Phrase = Phrase {
    en: "Please call service.",
    de: "Bitte den Service rufen.",
    es: "Avise al servicio técnico.",
    fr: "Veuillez appeler la maintenance.",
    fa: "لطفاً با خدمات فنی تماس بگیرید.",
};
const RESEND: Phrase = Phrase {
    en: "Please resend the series.",
    de: "Bitte die Serie erneut senden.",
    es: "Vuelva a enviar la serie.",
    fr: "Veuillez renvoyer la série.",
    fa: "لطفاً سری را دوباره بفرستید.",
};
