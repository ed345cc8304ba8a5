//! Why an update is not taken, for the person with the stick, in the language of the box. What the disk or
//! a damaged package says of itself stays in its words.

use super::Refused;
use crate::base::language::{Language, Phrase};

const OFF: Phrase = Phrase {
    en: "Updates are off: the settings of this box name no key.",
    de: "Aktualisierungen sind aus: Die Einstellungen dieses Geräts nennen keinen Schlüssel.",
    es: "Las actualizaciones están desactivadas: la configuración de este equipo no indica ninguna clave.",
    fr: "Les mises à jour sont désactivées\u{a0}: les réglages de ce boîtier ne nomment aucune clé.",
    fa: "به‌روزرسانی خاموش است: در تنظیمات این دستگاه کلیدی نیست.",
};
const STRANGER: Phrase = Phrase {
    en: "The update is not signed with a key of this box.",
    de: "Die Aktualisierung ist nicht mit einem Schlüssel dieses Geräts signiert.",
    es: "La actualización no está firmada con una clave de este equipo.",
    fr: "La mise à jour n'est pas signée avec une clé de ce boîtier.",
    fa: "به‌روزرسانی با کلیدهای این دستگاه امضا نشده است.",
};
const ONE_SYSTEM: Phrase = Phrase {
    en: "This box takes no software from a stick.",
    de: "Dieses Gerät nimmt keine Software von einem Stick.",
    es: "Este equipo no acepta software desde una memoria USB.",
    fr: "Ce boîtier n'accepte pas de logiciel par clé USB.",
    fa: "این دستگاه نرم‌افزار را از فلش نمی‌پذیرد.",
};
const FAILED: Phrase = Phrase {
    en: "This software did not hold on this box before.",
    de: "Diese Software hat sich auf diesem Gerät schon einmal nicht bewährt.",
    es: "Este software ya falló antes en este equipo.",
    fr: "Ce logiciel a déjà échoué sur ce boîtier.",
    fa: "این نرم‌افزار پیش‌تر در این دستگاه پذیرفته نشد.",
};
const TRYING: Phrase = Phrase {
    en: "The box still tries the software that came last.",
    de: "Das Gerät prüft noch die zuletzt gebrachte Software.",
    es: "El equipo aún está probando el último software.",
    fr: "Le boîtier essaie encore le dernier logiciel.",
    fa: "دستگاه هنوز آخرین نرم‌افزار را می‌آزماید.",
};

impl Refused {
    /// One sentence.
    #[must_use]
    pub fn sentence(&self, language: Language) -> String {
        let phrase = match self {
            Self::Off => OFF,
            Self::Stranger => STRANGER,
            Self::OneSystem => ONE_SYSTEM,
            Self::Failed => FAILED,
            Self::Trying => TRYING,
            Self::NoPackage(why) => return no_package(language, why),
            Self::Damaged(why) => return damaged(language, why),
            Self::Kind(kind) => return unknown(language, kind),
            Self::NotNewer { offered, present } => {
                return not_newer(language, &offered.to_string(), &present.to_string());
            }
            Self::OtherModel { offered, present } | Self::OtherBox { offered, present } => {
                return other(language, offered, present);
            }
            Self::NotProven(why) => return not_proven(language, why),
            Self::NoRoom(mb) => return no_room(language, *mb),
            Self::Disk(why) => return disk(language, &why.to_string()),
        };
        phrase.of(language).to_owned()
    }
}

fn no_package(language: Language, why: &str) -> String {
    match language {
        Language::English => format!("This is no update: {why}."),
        Language::German => format!("Das ist keine Aktualisierung: {why}."),
        Language::Spanish => format!("Esto no es una actualización: {why}."),
        Language::French => format!("Ce n'est pas une mise à jour\u{a0}: {why}."),
        Language::Persian => format!("این به‌روزرسانی نیست: {why}."),
    }
}

fn damaged(language: Language, why: &str) -> String {
    match language {
        Language::English => format!("The update is damaged: {why}."),
        Language::German => format!("Die Aktualisierung ist beschädigt: {why}."),
        Language::Spanish => format!("La actualización está dañada: {why}."),
        Language::French => format!("La mise à jour est endommagée\u{a0}: {why}."),
        Language::Persian => format!("به‌روزرسانی آسیب دیده است: {why}."),
    }
}

fn unknown(language: Language, kind: &str) -> String {
    match language {
        Language::English => {
            format!("This update is of a kind that this box does not know ({kind}).")
        }
        Language::German => {
            format!("Diese Art von Aktualisierung kennt dieses Gerät nicht ({kind}).")
        }
        Language::Spanish => {
            format!("Este equipo no conoce este tipo de actualización ({kind}).")
        }
        Language::French => {
            format!("Ce boîtier ne connaît pas ce genre de mise à jour ({kind}).")
        }
        Language::Persian => format!("این دستگاه این نوع به‌روزرسانی را نمی‌شناسد ({kind})."),
    }
}

fn not_newer(language: Language, offered: &str, present: &str) -> String {
    match language {
        Language::English => {
            format!("The update has version {offered}, and this box has {present} already.")
        }
        Language::German => {
            format!("Die Aktualisierung hat Version {offered}, dieses Gerät hat schon {present}.")
        }
        Language::Spanish => {
            format!("La actualización es la versión {offered}; este equipo ya tiene la {present}.")
        }
        Language::French => {
            format!("La mise à jour est en version {offered}, ce boîtier a déjà la {present}.")
        }
        Language::Persian => {
            format!("نسخهٔ به‌روزرسانی {offered} است و این دستگاه {present} را دارد.")
        }
    }
}

fn other(language: Language, offered: &str, present: &str) -> String {
    match language {
        Language::English => format!("The update is for {offered}, and this box has {present}."),
        Language::German => {
            format!("Die Aktualisierung ist für {offered}, dieses Gerät hat {present}.")
        }
        Language::Spanish => {
            format!("La actualización es para {offered}, y este equipo tiene {present}.")
        }
        Language::French => {
            format!("La mise à jour est pour {offered}, et ce boîtier a {present}.")
        }
        Language::Persian => {
            format!("به‌روزرسانی برای {offered} است و این دستگاه {present} دارد.")
        }
    }
}

fn not_proven(language: Language, why: &str) -> String {
    match language {
        Language::English => format!("The new model does not hold on this box: {why}."),
        Language::German => format!("Das neue Modell bewährt sich auf diesem Gerät nicht: {why}."),
        Language::Spanish => format!("El nuevo modelo no supera la prueba en este equipo: {why}."),
        Language::French => format!("Le nouveau modèle échoue sur ce boîtier\u{a0}: {why}."),
        Language::Persian => format!("مدل تازه در این دستگاه پذیرفته نشد: {why}."),
    }
}

fn no_room(language: Language, mb: u64) -> String {
    match language {
        Language::English => format!("There is no room for the update: {mb} MB are needed."),
        Language::German => {
            format!("Für die Aktualisierung fehlt Platz: {mb} MB werden gebraucht.")
        }
        Language::Spanish => format!("No hay espacio para la actualización: se necesitan {mb} MB."),
        Language::French => {
            format!("Il n'y a pas de place pour la mise à jour\u{a0}: il faut {mb} Mo.")
        }
        Language::Persian => format!("جا برای به‌روزرسانی نیست: {mb} مگابایت لازم است."),
    }
}

fn disk(language: Language, why: &str) -> String {
    match language {
        Language::English => format!("The update cannot be read or stored ({why})."),
        Language::German => {
            format!("Die Aktualisierung lässt sich nicht lesen oder speichern ({why}).")
        }
        Language::Spanish => format!("No se puede leer o guardar la actualización ({why})."),
        Language::French => {
            format!("La mise à jour ne peut pas être lue ou enregistrée ({why}).")
        }
        Language::Persian => format!("به‌روزرسانی خوانده یا ذخیره نمی‌شود ({why})."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::Version;

    /// What the log says and what the display says in English are one text.
    #[test]
    fn english_is_said_once() {
        let version = |text| Version::parse(text).unwrap();
        for refused in [
            Refused::Off,
            Refused::NoPackage("it is too long"),
            Refused::Stranger,
            Refused::Damaged("it ends in the middle".into()),
            Refused::Kind("fonts".into()),
            Refused::NotNewer {
                offered: version("0.1.0"),
                present: version("0.2.0"),
            },
            Refused::OtherModel {
                offered: "a".into(),
                present: "b".into(),
            },
            Refused::OtherBox {
                offered: "a".into(),
                present: "b".into(),
            },
            Refused::NotProven("x".into()),
            Refused::OneSystem,
            Refused::Failed,
            Refused::Trying,
            Refused::NoRoom(7),
            Refused::Disk(std::io::Error::other("x")),
        ] {
            let english = refused.sentence(Language::English);
            assert_eq!(english, refused.to_string());
            for language in Language::ALL {
                let said = refused.sentence(language);
                assert!(said.ends_with('.'), "{said}");
                assert!(language == Language::English || said != english, "{said}");
            }
        }
    }
}
