//! Identities: UIDs, application entity titles, report numbers, the three classes.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What the 3D CNN tells apart. The order is the order of its outputs in the published system;
/// a bundle's card repeats it and a different order there is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    Control,
    Covid19,
    Cap,
}

impl Class {
    pub const ALL: [Class; 3] = [Class::Control, Class::Covid19, Class::Cap];

    /// The word of the command line and of every file format.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Class::Control => "control",
            Class::Covid19 => "covid19",
            Class::Cap => "cap",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A text that is not a DICOM UID: digits and dots, 1 to 64 characters (PS3.5 section 9).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a DICOM UID (digits and dots, at most 64 characters)")]
pub struct BadUid;

/// Takes the trailing padding off a UID and checks its characters.
///
/// Components with leading zeros are let through: real scanners write them.
pub fn checked_uid(text: &str) -> Result<String, BadUid> {
    let uid = text.trim_end_matches(['\0', ' ']);
    let sound = !uid.is_empty()
        && uid.len() <= 64
        && uid.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && uid.split('.').all(|component| !component.is_empty());
    if sound {
        Ok(uid.to_owned())
    } else {
        Err(BadUid)
    }
}

macro_rules! uid_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// # Errors
            /// [`BadUid`] when the text is not a UID.
            pub fn new(text: &str) -> Result<Self, BadUid> {
                checked_uid(text).map(Self)
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

uid_type!(
    /// Study Instance UID (0020,000D).
    StudyUid
);
uid_type!(
    /// Series Instance UID (0020,000E).
    SeriesUid
);
uid_type!(
    /// SOP Instance UID (0008,0018).
    SopUid
);

/// Text about a patient. It prints as `<redacted>` wherever `{}` or `{:?}` could reach a log;
/// [`Private::reveal`] is the one way out, for reports and the database.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Private(String);

impl Private {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl fmt::Display for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// Number of a report on this box; also the name of its folder on a stick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReportNo(pub u32);

impl fmt::Display for ReportNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "R{:06}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_digits_and_dots_and_never_a_path() {
        assert_eq!(
            StudyUid::new("1.2.840.10008\0").unwrap().as_str(),
            "1.2.840.10008"
        );
        for bad in [
            "",
            "../../x",
            "/etc/passwd",
            "1..2",
            "1.2.",
            "1.2a",
            &"1".repeat(65),
        ] {
            assert!(SopUid::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn patient_text_never_prints() {
        let name = Private::new("Doe^Jane");
        assert_eq!(format!("{name} {name:?}"), "<redacted> <redacted>");
    }

    #[test]
    fn report_numbers_are_eight_dot_three_names() {
        assert_eq!(ReportNo(123).to_string(), "R000123");
    }
}
