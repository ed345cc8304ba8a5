//! Settings for whoever looks after the box: the self-test, the service page, who may bring models.

use super::ConfigError;
use crate::base::ident::Class;
use crate::screen::pin::Pin;
use crate::update::PublicKey;
use serde::Deserialize;

/// A day.
const EVERY_H: u32 = 24;

/// When phantoms go the whole way of a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfTests {
    pub at_start: bool,
    /// Hours of running time; 0 for never.
    pub every_h: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawSelfTests {
    at_start: Option<bool>,
    every_h: Option<u32>,
}

impl RawSelfTests {
    pub fn check(self) -> SelfTests {
        SelfTests {
            at_start: self.at_start.unwrap_or(true),
            every_h: self.every_h.unwrap_or(EVERY_H),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawUpdate {
    keys: Vec<String>,
    phantoms: Option<Vec<Class>>,
}

impl RawUpdate {
    /// All of them, unless a board is too slow for that. Without any, new software would have nothing to prove.
    pub fn phantoms(&self) -> Result<Vec<Class>, ConfigError> {
        match &self.phantoms {
            None => Ok(Class::ALL.to_vec()),
            Some(some) if some.is_empty() => Err(ConfigError::TrialPhantoms),
            Some(some) => Ok(some.clone()),
        }
    }

    pub fn check(self) -> Result<Vec<PublicKey>, ConfigError> {
        let check = |text: &String| PublicKey::parse(text).ok_or(ConfigError::UpdateKey);
        self.keys.iter().map(check).collect()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawService {
    pin: Option<String>,
}

impl RawService {
    pub fn check(self) -> Result<Option<Pin>, ConfigError> {
        let check = |text| Pin::new(text).ok_or(ConfigError::Pin);
        self.pin.map(check).transpose()
    }
}

#[cfg(test)]
mod tests {
    use crate::base::ident::Class;
    use crate::config::Config;

    #[test]
    fn a_pin_is_digits_and_is_not_printed() {
        let config = Config::parse("[service]\npin = \"493817\"").unwrap();
        let pin = config.pin.clone().unwrap();
        assert!(pin.is("493817") && !pin.is("49381"));
        assert!(!format!("{config:?}").contains("493817"));
        for bad in ["12345", "1234567890123", "12345a", ""] {
            let text = format!("[service]\npin = \"{bad}\"");
            assert!(Config::parse(&text).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_of_updates_is_64_digits() {
        assert!(Config::parse("").unwrap().update_keys.is_empty());
        let text = |key: &str| format!("[update]\nkeys = [\"{key}\"]");
        let config = Config::parse(&text(&"ab".repeat(32))).unwrap();
        assert_eq!(config.update_keys.len(), 1);
        assert!(Config::parse(&text("abc")).is_err());
    }

    #[test]
    fn new_software_has_something_to_prove() {
        let wanted = |text: &str| Config::parse(text).map(|config| config.trial_phantoms);
        assert_eq!(wanted("").unwrap(), Class::ALL);
        let one = wanted("[update]\nphantoms = [\"cap\"]").unwrap();
        assert_eq!(one, [Class::Cap]);
        let none = wanted("[update]\nphantoms = []").unwrap_err();
        assert!(none.to_string().contains("at least one"));
    }
}
