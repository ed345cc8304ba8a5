//! What is told of software that was brought, in the languages of the box.

use crate::base::language::{Language, Phrase};

/// Why a new system was left that never got so far as to say something.
pub const NO_START: Phrase = Phrase {
    en: "it did not start",
    de: "sie ist nicht gestartet",
    es: "no arrancó",
    fr: "il n'a pas démarré",
    fa: "راه‌اندازی نشد",
};
pub const NOT_READY: Phrase = Phrase {
    en: "it was not ready in time",
    de: "sie war nicht rechtzeitig bereit",
    es: "no estuvo listo a tiempo",
    fr: "il n'a pas été prêt à temps",
    fa: "به موقع آماده نشد",
};

/// Copied off a stick, which may be pulled.
#[must_use]
pub fn on_its_way(language: Language, version: &str) -> String {
    match language {
        Language::English => format!("New software {version}: the box installs it now."),
        Language::German => format!("Neue Software {version}: Das Gerät installiert sie jetzt."),
        Language::Spanish => format!("Nuevo software {version}: el equipo lo instala ahora."),
        Language::French => {
            format!("Nouveau logiciel {version}\u{a0}: le boîtier l'installe maintenant.")
        }
        Language::Persian => format!("نرم‌افزار تازه {version}: دستگاه اکنون آن را نصب می‌کند."),
    }
}

#[must_use]
pub fn installed(language: Language, version: &str) -> String {
    match language {
        Language::English => {
            format!("New software {version}: the box starts again when it is idle, to try it.")
        }
        Language::German => {
            format!(
                "Neue Software {version}: Das Gerät startet neu, sobald es frei ist, und prüft sie."
            )
        }
        Language::Spanish => {
            format!(
                "Nuevo software {version}: el equipo se reiniciará cuando esté libre, para probarlo."
            )
        }
        Language::French => {
            format!(
                "Nouveau logiciel {version}\u{a0}: le boîtier redémarre dès qu'il est libre, pour l'essayer."
            )
        }
        Language::Persian => {
            format!(
                "نرم‌افزار تازه {version}: دستگاه هنگام بیکاری برای آزمودن آن دوباره راه‌اندازی می‌شود."
            )
        }
    }
}

#[must_use]
pub fn in_use(language: Language, version: &str) -> String {
    match language {
        Language::English => format!("New software {version} is in use."),
        Language::German => format!("Neue Software {version} ist in Gebrauch."),
        Language::Spanish => format!("El nuevo software {version} está en uso."),
        Language::French => format!("Le nouveau logiciel {version} est en service."),
        Language::Persian => format!("نرم‌افزار تازه {version} به کار گرفته شد."),
    }
}

#[must_use]
pub fn left(language: Language, version: &str, why: &str) -> String {
    match language {
        Language::English => {
            format!(
                "New software {version} does not hold on this box: {why}. The one before is in use."
            )
        }
        Language::German => {
            format!(
                "Neue Software {version} bewährt sich hier nicht: {why}. Die vorige ist in Gebrauch."
            )
        }
        Language::Spanish => {
            format!(
                "El nuevo software {version} falla en este equipo: {why}. Sigue en uso el anterior."
            )
        }
        Language::French => {
            format!(
                "Le nouveau logiciel {version} échoue ici\u{a0}: {why}. Le précédent est en service."
            )
        }
        Language::Persian => {
            format!("نرم‌افزار تازه {version} پذیرفته نشد: {why}. نرم‌افزار پیشین به کار است.")
        }
    }
}
