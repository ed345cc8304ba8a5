//! Settings for whoever looks after the box: the self-test, the service page.

use super::ConfigError;
use serde::Deserialize;
use std::fmt;

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

/// Six to twelve digits. It keeps passers-by out of a page without patient data, and is no secret
/// for whoever can read the settings; no sum of six digits would be one either.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(String);

impl Pin {
    #[must_use]
    pub fn is(&self, typed: &str) -> bool {
        self.0 == typed
    }
}

/// For the digest of the settings, which the audit trail has: another PIN is another digest.
impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(self.0.as_bytes());
        write!(f, "Pin({:02x}{:02x})", digest[0], digest[1])
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawService {
    pin: Option<String>,
}

impl RawService {
    pub fn check(self) -> Result<Option<Pin>, ConfigError> {
        let sound = |pin: &String| {
            (6..=12).contains(&pin.len()) && pin.bytes().all(|b| b.is_ascii_digit())
        };
        match self.pin {
            None => Ok(None),
            Some(pin) if sound(&pin) => Ok(Some(Pin(pin))),
            Some(_) => Err(ConfigError::Pin),
        }
    }
}

#[cfg(test)]
mod tests {
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
}
