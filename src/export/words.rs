//! The sentences of an export, for the display: the person in front of it waits with a stick.

use super::{Cause, ExportError, Exported, FOLDER};
use crate::base::language::{Language, Phrase};
use crate::screen::words::SAFE_TO_REMOVE;

impl Exported {
    /// For the screen, when the stick is unmounted.
    #[must_use]
    pub fn sentence(&self, language: Language) -> String {
        let mut words = vec![SAFE_TO_REMOVE.of(language).to_owned()];
        words.push(match (self.copied.len(), self.already.len()) {
            (0, 0) => NO_REPORT.of(language).to_owned(),
            (0, already) => only_old(language, already),
            (copied, 0) => format!("{}.", new(language, copied)),
            (copied, already) => {
                let comma = if language.runs_left() { '،' } else { ',' };
                format!(
                    "{}{comma} {}.",
                    new(language, copied),
                    old(language, already)
                )
            }
        });
        if self.sealed && self.copied.len() + self.already.len() > 0 {
            words.push(SEALED.of(language).to_owned());
        }
        words.extend(self.damaged.iter().map(|number| match language {
            Language::English => {
                format!("Report {number} is damaged on this box and was not copied.")
            }
            Language::German => {
                format!("Bericht {number} ist auf diesem Gerät beschädigt und wurde nicht kopiert.")
            }
            Language::Spanish => {
                format!("El informe {number} está dañado en este equipo y no se ha copiado.")
            }
            Language::French => {
                format!(
                    "Le compte rendu {number} est endommagé sur ce boîtier et n'a pas été copié."
                )
            }
            Language::Persian => {
                format!("گزارش {number} در این دستگاه آسیب دیده است و کپی نشد.")
            }
        }));
        words.join(" ")
    }
}

const SEALED: Phrase = Phrase {
    en: "Sealed: only the key opens them.",
    de: "Verschlüsselt: Nur der Schlüssel öffnet sie.",
    es: "Cifrado: solo la clave los abre.",
    fr: "Chiffré\u{a0}: seule la clé les ouvre.",
    fa: "رمزگذاری شده: تنها با کلید باز می‌شود.",
};

const NO_REPORT: Phrase = Phrase {
    en: "There was no report to copy.",
    de: "Es gab keinen Bericht zu kopieren.",
    es: "No había informes que copiar.",
    fr: "Il n'y avait aucun compte rendu à copier.",
    fa: "گزارشی برای کپی نبود.",
};

fn only_old(language: Language, count: usize) -> String {
    let old = old(language, count);
    match language {
        Language::English => format!("No new report: {old}."),
        Language::German => format!("Kein neuer Bericht: {old}."),
        Language::Spanish => format!("Ningún informe nuevo: {old}."),
        Language::French => format!("Aucun nouveau compte rendu\u{a0}: {old}."),
        Language::Persian => format!("گزارش تازه‌ای نبود: {old}."),
    }
}

fn new(language: Language, count: usize) -> String {
    match (language, count) {
        (Language::English, 1) => "1 report copied and checked".to_owned(),
        (Language::English, n) => format!("{n} reports copied and checked"),
        (Language::German, 1) => "1 Bericht kopiert und geprüft".to_owned(),
        (Language::German, n) => format!("{n} Berichte kopiert und geprüft"),
        (Language::Spanish, 1) => "1 informe copiado y comprobado".to_owned(),
        (Language::Spanish, n) => format!("{n} informes copiados y comprobados"),
        (Language::French, 1) => "1 compte rendu copié et vérifié".to_owned(),
        (Language::French, n) => format!("{n} comptes rendus copiés et vérifiés"),
        (Language::Persian, n) => format!("{n} گزارش کپی و بررسی شد"),
    }
}

fn old(language: Language, count: usize) -> String {
    match (language, count) {
        (Language::English, 1) => "1 report was there before".to_owned(),
        (Language::English, n) => format!("{n} reports were there before"),
        (Language::German, 1) => "1 Bericht war schon da".to_owned(),
        (Language::German, n) => format!("{n} Berichte waren schon da"),
        (Language::Spanish, 1) => "1 informe ya estaba".to_owned(),
        (Language::Spanish, n) => format!("{n} informes ya estaban"),
        (Language::French, 1) => "1 compte rendu y était déjà".to_owned(),
        (Language::French, n) => format!("{n} comptes rendus y étaient déjà"),
        (Language::Persian, n) => format!("{n} گزارش از پیش موجود بود"),
    }
}

impl ExportError {
    /// Why the export ended, and what had been done by then.
    #[must_use]
    pub fn sentence(&self, language: Language) -> String {
        let cause = self.cause.sentence(language);
        let done = match (language, self.done.copied.len()) {
            (_, 0) => NOTHING.of(language).to_owned(),
            (Language::English, 1) => "1 report was copied before and whole.".to_owned(),
            (Language::English, n) => format!("{n} reports were copied before and whole."),
            (Language::German, 1) => "1 Bericht wurde vorher vollständig kopiert.".to_owned(),
            (Language::German, n) => format!("{n} Berichte wurden vorher vollständig kopiert."),
            (Language::Spanish, 1) => "Antes se copió completo 1 informe.".to_owned(),
            (Language::Spanish, n) => format!("Antes se copiaron completos {n} informes."),
            (Language::French, 1) => "1 compte rendu avait été copié en entier.".to_owned(),
            (Language::French, n) => format!("{n} comptes rendus avaient été copiés en entier."),
            (Language::Persian, n) => format!("پیش از آن {n} گزارش کامل کپی شده بود."),
        };
        format!("{cause} {done}")
    }
}

const NOTHING: Phrase = Phrase {
    en: "Nothing was exported.",
    de: "Es wurde nichts exportiert.",
    es: "No se ha exportado nada.",
    fr: "Rien n'a été exporté.",
    fa: "چیزی منتقل نشد.",
};

impl Cause {
    /// In words; what the system says of it stays in its language.
    #[must_use]
    pub fn sentence(&self, language: Language) -> String {
        let phrase = match self {
            Cause::NoStick => Phrase {
                en: "There is no stick at this place.",
                de: "Hier ist kein Stick.",
                es: "Aquí no hay ninguna memoria USB.",
                fr: "Il n'y a pas de clé à cet endroit.",
                fa: "در این محل فلشی نیست.",
            },
            Cause::WriteProtected => Phrase {
                en: "The stick is write-protected.",
                de: "Der Stick ist schreibgeschützt.",
                es: "La memoria USB está protegida contra escritura.",
                fr: "La clé est protégée en écriture.",
                fa: "فلش در برابر نوشتن قفل است.",
            },
            Cause::Gone(_) => Phrase {
                en: "The stick was removed or does not answer.",
                de: "Der Stick wurde entfernt oder antwortet nicht.",
                es: "La memoria USB se ha retirado o no responde.",
                fr: "La clé a été retirée ou ne répond pas.",
                fa: "فلش جدا شده است یا پاسخ نمی‌دهد.",
            },
            Cause::OtherBytes => Phrase {
                en: "Copy failed: the stick gives back other bytes than were written. Do not use it.",
                de: "Kopieren fehlgeschlagen: Der Stick liest anderes, als geschrieben wurde. \
                     Nicht verwenden.",
                es: "Error de copia: la memoria USB devuelve datos distintos de los escritos. \
                     No la use.",
                fr: "Échec de la copie\u{a0}: la clé ne rend pas ce qui a été écrit. \
                     Ne l'utilisez pas.",
                fa: "کپی انجام نشد: فلش داده‌ها را درست پس نمی‌دهد. از آن استفاده نکنید.",
            },
            Cause::StickFull { needed_mb } => return full(language, *needed_mb),
            Cause::Occupied => return occupied(language),
            Cause::NoName(number) => {
                return match language {
                    Language::English => {
                        format!("There are too many folders of report {number} on the stick.")
                    }
                    Language::German => {
                        format!("Auf dem Stick sind zu viele Ordner des Berichts {number}.")
                    }
                    Language::Spanish => {
                        format!("Hay demasiadas carpetas del informe {number} en la memoria USB.")
                    }
                    Language::French => {
                        format!("Il y a trop de dossiers du compte rendu {number} sur la clé.")
                    }
                    Language::Persian => {
                        format!("پوشه‌های گزارش {number} روی فلش بیش از اندازه است.")
                    }
                };
            }
            Cause::Stick(trouble) => {
                return match language {
                    Language::English => format!("The stick cannot be written ({trouble})."),
                    Language::German => {
                        format!("Auf den Stick kann nicht geschrieben werden ({trouble}).")
                    }
                    Language::Spanish => {
                        format!("No se puede escribir en la memoria USB ({trouble}).")
                    }
                    Language::French => format!("Écriture impossible sur la clé ({trouble})."),
                    Language::Persian => format!("نوشتن روی فلش ممکن نیست ({trouble})."),
                };
            }
            Cause::Seal(trouble) => {
                return match language {
                    Language::English => {
                        format!(
                            "The reports cannot be sealed, and unsealed none leaves ({trouble})."
                        )
                    }
                    Language::German => format!(
                        "Die Berichte lassen sich nicht verschlüsseln, und unverschlüsselt geht keiner \
                         hinaus ({trouble})."
                    ),
                    Language::Spanish => format!(
                        "Los informes no se pueden cifrar, y sin cifrar no sale ninguno ({trouble})."
                    ),
                    Language::French => format!(
                        "Les comptes rendus ne peuvent pas être chiffrés, et aucun ne sort en clair \
                         ({trouble})."
                    ),
                    Language::Persian => format!(
                        "گزارش‌ها رمزگذاری نمی‌شوند و بدون رمز هیچ‌یک بیرون نمی‌رود ({trouble})."
                    ),
                };
            }
            Cause::Reports(trouble) => {
                return match language {
                    Language::English => {
                        format!("The reports of this box cannot be read ({trouble}).")
                    }
                    Language::German => {
                        format!("Die Berichte dieses Geräts sind nicht lesbar ({trouble}).")
                    }
                    Language::Spanish => {
                        format!("No se pueden leer los informes de este equipo ({trouble}).")
                    }
                    Language::French => {
                        format!("Les comptes rendus de ce boîtier sont illisibles ({trouble}).")
                    }
                    Language::Persian => {
                        format!("گزارش‌های این دستگاه خوانده نمی‌شوند ({trouble}).")
                    }
                };
            }
        };
        phrase.of(language).to_owned()
    }
}

fn full(language: Language, mb: u64) -> String {
    match language {
        Language::English => format!("STICK FULL: {mb} MB are needed."),
        Language::German => format!("STICK VOLL: {mb} MB werden benötigt."),
        Language::Spanish => format!("MEMORIA USB LLENA: se necesitan {mb} MB."),
        Language::French => format!("CLÉ PLEINE\u{a0}: il faut {mb} Mo."),
        Language::Persian => format!("فلش پر است: {mb} مگابایت لازم است."),
    }
}

fn occupied(language: Language) -> String {
    match language {
        Language::English => format!("{FOLDER} on the stick is not a folder of ours."),
        Language::German => format!("{FOLDER} auf dem Stick ist kein Ordner dieses Geräts."),
        Language::Spanish => {
            format!("{FOLDER} en la memoria USB no es una carpeta de este equipo.")
        }
        Language::French => format!("{FOLDER} sur la clé n'est pas un dossier de ce boîtier."),
        Language::Persian => format!("{FOLDER} روی فلش پوشه این دستگاه نیست."),
    }
}

pub const SWITCHED_OFF: Phrase = Phrase {
    en: "Export is switched off on this box ([export] enabled in scanside.toml).",
    de: "Der Export ist auf diesem Gerät abgeschaltet ([export] enabled in scanside.toml).",
    es: "La exportación está desactivada en este equipo ([export] enabled en scanside.toml).",
    fr: "L'export est désactivé sur ce boîtier ([export] enabled dans scanside.toml).",
    fa: "خروجی گرفتن در این دستگاه غیرفعال است ([export] enabled در scanside.toml).",
};
pub const NO_SERIAL: Phrase = Phrase {
    en: "This stick has no serial number and is not on the list.",
    de: "Dieser Stick hat keine Seriennummer und steht nicht auf der Liste.",
    es: "Esta memoria USB no tiene número de serie y no figura en la lista.",
    fr: "Cette clé n'a pas de numéro de série et n'est pas dans la liste.",
    fa: "این فلش شماره سریال ندارد و در فهرست نیست.",
};

#[must_use]
pub fn not_listed(language: Language, serial: &str) -> String {
    match language {
        Language::English => {
            format!("This stick is not on the list of this box. Its serial number is {serial}.")
        }
        Language::German => {
            format!("Dieser Stick steht nicht auf der Liste. Seine Seriennummer ist {serial}.")
        }
        Language::Spanish => {
            format!("Esta memoria USB no figura en la lista. Su número de serie es {serial}.")
        }
        Language::French => {
            format!("Cette clé n'est pas dans la liste. Son numéro de série est {serial}.")
        }
        Language::Persian => {
            format!("این فلش در فهرست این دستگاه نیست. شماره سریال آن {serial} است.")
        }
    }
}
