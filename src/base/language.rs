//! The languages of the display and of the report.
//!
//! A closed list: words stand in [`Phrase`]s and in exhaustive matches, so that the compiler asks
//! for every phrase in every language. Programs read codes, and those are English everywhere.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    #[default]
    #[serde(rename = "en")]
    English,
    #[serde(rename = "de")]
    German,
    #[serde(rename = "es")]
    Spanish,
    #[serde(rename = "fr")]
    French,
    #[serde(rename = "fa")]
    Persian,
}

/// Words without a number in them, in every language.
#[derive(Clone, Copy, Debug)]
pub struct Phrase {
    pub en: &'static str,
    pub de: &'static str,
    pub es: &'static str,
    pub fr: &'static str,
    pub fa: &'static str,
}

impl Phrase {
    #[must_use]
    pub const fn of(&self, language: Language) -> &'static str {
        match language {
            Language::English => self.en,
            Language::German => self.de,
            Language::Spanish => self.es,
            Language::French => self.fr,
            Language::Persian => self.fa,
        }
    }
}

impl Language {
    pub const ALL: [Self; 5] = [
        Self::English,
        Self::German,
        Self::Spanish,
        Self::French,
        Self::Persian,
    ];

    /// As it stands in the settings, in HTML and in PDF (ISO 639-1).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::Spanish => "es",
            Self::French => "fr",
            Self::Persian => "fa",
        }
    }

    /// The language of a tag in the settings.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }

    /// Whether lines run from the right to the left.
    #[must_use]
    pub const fn runs_left(self) -> bool {
        matches!(self, Self::Persian)
    }

    /// A number with the sign that parts its decimals here. Persian text keeps Latin digits and
    /// their point: a number must look the same on the box, in the archive and at the console.
    #[must_use]
    pub fn decimals(self, number: &str) -> String {
        match self {
            Self::English | Self::Persian => number.to_owned(),
            Self::German | Self::Spanish | Self::French => number.replace('.', ","),
        }
    }

    /// A number with so many decimals.
    #[must_use]
    pub fn number(self, value: f64, decimals: usize) -> String {
        self.decimals(&format!("{value:.decimals$}"))
    }

    /// A share, already rounded to text, with its sign.
    #[must_use]
    pub fn percent(self, number: &str) -> String {
        let number = self.decimals(number);
        match self {
            Self::English | Self::German | Self::Spanish => format!("{number} %"),
            Self::French => format!("{number}\u{a0}%"),
            Self::Persian => format!("{number} درصد"),
        }
    }

    /// A length in millimetres, already rounded to text.
    #[must_use]
    pub fn mm(self, number: &str) -> String {
        let number = self.decimals(number);
        match self {
            Self::English | Self::German | Self::Spanish => format!("{number} mm"),
            Self::French => format!("{number}\u{a0}mm"),
            Self::Persian => format!("{number} میلی‌متر"),
        }
    }

    /// Keeps a number with its sign and its unit in their order inside a line that runs to the left.
    #[must_use]
    pub fn ltr(self, text: &str) -> String {
        if self.runs_left() {
            format!("{LEFT_TO_RIGHT}{text}{LEFT_TO_RIGHT}")
        } else {
            text.to_owned()
        }
    }
}

/// The mark that makes its neighbours run to the right (U+200E).
pub const LEFT_TO_RIGHT: char = '\u{200e}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_lead_back_to_their_language() {
        for language in Language::ALL {
            assert_eq!(Language::from_tag(language.tag()), Some(language));
            let text = serde_json::to_string(&language).unwrap();
            assert_eq!(text, format!("\"{}\"", language.tag()));
        }
        assert_eq!(Language::from_tag("EN"), None);
        assert_eq!(Language::from_tag("it"), None);
    }

    #[test]
    fn decimals_are_parted_as_people_write_them() {
        let said = Language::ALL.map(|language| language.number(0.25, 2));
        assert_eq!(said, ["0.25", "0,25", "0,25", "0,25", "0.25"]);
        assert_eq!(Language::German.percent("3.1"), "3,1 %");
    }
}
