//! The PIN of the service page.

use std::fmt;

/// Six to twelve digits. It keeps passers-by out of a page without patient data, and is no secret
/// for whoever can read the settings; no sum of six digits would be one either.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(String);

/// As long as a PIN may be.
pub const LONGEST: usize = 12;

impl Pin {
    /// None for what is no PIN.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        let sound = (6..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        sound.then_some(Self(text))
    }

    #[must_use]
    pub fn is(&self, typed: &str) -> bool {
        self.0 == typed
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}
