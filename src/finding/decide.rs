//! The decision: one of three classes, or an honest "cannot decide" with its reason.

use super::{Decision, Probabilities};
use crate::base::ident::Class;
use crate::base::language::Language;

/// The calibrated probability that each class needs.
#[derive(Clone, Copy, Debug)]
pub struct Needed {
    pub control: f32,
    pub covid19: f32,
    pub cap: f32,
}

/// Acquisition warnings of the kinds that weaken the numbers (product spec 4: spacing, HU,
/// kernel and dose, contrast, motion); this many of them and the box does not decide.
pub const WARNINGS_TO_ABSTAIN: usize = 2;

/// Why no class is named.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Doubt {
    /// The features lie further from the training data than the card allows.
    Unlike {
        distance: f32,
        limit: f32,
    },
    /// The highest probability and what its class needs.
    Unclear {
        share: f32,
        needs: f32,
    },
    Warnings {
        count: usize,
    },
}

impl Doubt {
    #[must_use]
    pub fn words(&self, language: Language) -> String {
        let one = |value: f32| language.decimals(&format!("{value:.1}"));
        let share = |value: f32| language.percent(&format!("{:.0}", 100.0 * value));
        match *self {
            Doubt::Unlike { distance, limit } => {
                let (distance, limit) = (one(distance), one(limit));
                match language {
                    Language::English => format!(
                        "This scan is unlike those that the model was trained on (distance \
                         {distance}, limit {limit})."
                    ),
                    Language::German => format!(
                        "Dieser Scan ist denen unähnlich, mit denen das Modell trainiert wurde \
                         (Abstand {distance}, Grenze {limit})."
                    ),
                    Language::Spanish => format!(
                        "Esta exploración no se parece a las del entrenamiento del modelo \
                         (distancia {distance}, límite {limit})."
                    ),
                    Language::French => format!(
                        "Cet examen ne ressemble pas à ceux de l'entraînement du modèle \
                         (distance {distance}, limite {limit})."
                    ),
                    Language::Persian => format!(
                        "این اسکن به اسکن‌های آموزش مدل شباهت ندارد (فاصله {distance}، حد {limit})."
                    ),
                }
            }
            Doubt::Unclear {
                share: highest,
                needs,
            } => {
                let (highest, needs) = (share(highest), share(needs));
                match language {
                    Language::English => format!(
                        "No pattern is clear enough: the highest probability is {highest}, \
                         {needs} is needed."
                    ),
                    Language::German => format!(
                        "Kein Muster ist deutlich genug: Die höchste Wahrscheinlichkeit ist \
                         {highest}, nötig sind {needs}."
                    ),
                    Language::Spanish => format!(
                        "Ningún patrón es lo bastante claro: la probabilidad más alta es \
                         {highest}, se necesita {needs}."
                    ),
                    Language::French => format!(
                        "Aucun aspect n'est assez net\u{a0}: la probabilité la plus haute est de \
                         {highest}, il faut {needs}."
                    ),
                    Language::Persian => format!(
                        "هیچ الگویی به اندازه کافی روشن نیست: بیشترین احتمال {highest} است و \
                         {needs} لازم است."
                    ),
                }
            }
            Doubt::Warnings { count } => match language {
                Language::English => {
                    format!("{count} acquisition warnings together make the numbers unreliable.")
                }
                Language::German => format!(
                    "{count} Warnungen zur Aufnahme machen die Zahlen zusammen unzuverlässig."
                ),
                Language::Spanish => {
                    format!("{count} avisos de adquisición juntos hacen poco fiables los números.")
                }
                Language::French => format!(
                    "{count} avertissements d'acquisition rendent ensemble les chiffres peu fiables."
                ),
                Language::Persian => {
                    format!("{count} هشدار اسکن با هم اعداد را نامطمئن می‌کنند.")
                }
            },
        }
    }
}

/// Decides. The second value says why not, and is none for a class.
#[must_use]
pub fn decide(
    p: Probabilities,
    needed: Needed,
    distance: f32,
    distance_limit: f32,
    weakening_warnings: usize,
) -> (Decision, Option<Doubt>) {
    let classes = [
        (Class::Control, p.control, needed.control),
        (Class::Covid19, p.covid19, needed.covid19),
        (Class::Cap, p.cap, needed.cap),
    ];
    let Some((class, share, needs)) = classes.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return (Decision::Undetermined, None);
    };
    // A distance or a share that is not a number decides nothing.
    let doubt = if distance.is_nan() || distance > distance_limit {
        Doubt::Unlike {
            distance,
            limit: distance_limit,
        }
    } else if share.is_nan() || share < needs {
        Doubt::Unclear { share, needs }
    } else if weakening_warnings >= WARNINGS_TO_ABSTAIN {
        Doubt::Warnings {
            count: weakening_warnings,
        }
    } else {
        return (class.into(), None);
    };
    (Decision::Undetermined, Some(doubt))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: Needed = Needed {
        control: 0.5,
        covid19: 0.6,
        cap: 0.6,
    };

    fn p(control: f32, covid19: f32, cap: f32) -> Probabilities {
        Probabilities {
            control,
            covid19,
            cap,
        }
    }

    #[test]
    fn a_clear_class_is_decided() {
        assert_eq!(
            decide(p(0.1, 0.8, 0.1), NEEDED, 1.0, 9.0, 0).0,
            Decision::Covid19
        );
        assert_eq!(
            decide(p(0.9, 0.05, 0.05), NEEDED, 1.0, 9.0, 1).0,
            Decision::Control
        );
    }

    #[test]
    fn doubt_is_told_with_its_reason() {
        for (said, word) in [
            (decide(p(0.3, 0.55, 0.15), NEEDED, 1.0, 9.0, 0), "60 %"),
            (decide(p(0.1, 0.8, 0.1), NEEDED, 12.0, 9.0, 0), "unlike"),
            (decide(p(0.1, 0.8, 0.1), NEEDED, f32::NAN, 9.0, 0), "unlike"),
            (
                decide(p(0.1, 0.8, 0.1), NEEDED, 1.0, 9.0, 2),
                "2 acquisition",
            ),
        ] {
            assert_eq!(said.0, Decision::Undetermined);
            let doubt = said.1.unwrap().words(Language::English);
            assert!(doubt.contains(word), "{doubt}");
        }
    }
}
