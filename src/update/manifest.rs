//! What a package says of itself.

use super::Refused;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A model has three numbers; a later one is larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u32; 3]);

impl Version {
    /// Reads "0.3.0".
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|number| {
            let plain = number.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| number.parse().ok()).flatten()
        });
        let version = [numbers.next()??, numbers.next()??, numbers.next()??];
        numbers.next().is_none().then_some(Self(version))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// Length and SHA-256 (64 hexadecimal digits) of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub bytes: u64,
    pub sha256: String,
}

/// First member of a package, in TOML. Its signature covers every byte of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// "model".
    pub kind: String,
    /// Name and version of the model's card.
    pub name: String,
    pub version: String,
    pub files: BTreeMap<String, Member>,
}

/// Files of one package, and their bytes together. A bundle has six files and 7 MB.
const MOST_FILES: usize = 32;
const MOST_BYTES: u64 = 64 << 20;

impl Manifest {
    /// Reads a manifest whose signature was right. What it says is bounded all the same: the keeper of a
    /// key makes mistakes too.
    ///
    /// # Errors
    /// [`Refused::Kind`] for another kind, [`Refused::Damaged`] for what makes no sense.
    pub fn parse(text: &[u8]) -> Result<Self, Refused> {
        let damaged = |what: &str| Refused::Damaged(what.to_owned());
        let text = std::str::from_utf8(text).map_err(|_| damaged("its manifest is no text"))?;
        let manifest: Self =
            toml::from_str(text).map_err(|_| damaged("its manifest makes no sense"))?;
        if manifest.kind != "model" {
            let kind = manifest.kind.chars().filter(char::is_ascii_alphanumeric);
            return Err(Refused::Kind(kind.take(24).collect()));
        }
        let names = manifest.files.keys().chain([&manifest.name]);
        let sums = manifest.files.values().all(|m| is_sum(&m.sha256));
        if !names.into_iter().all(|name| is_plain(name)) || !sums {
            return Err(damaged("its manifest names what is no file"));
        }
        if manifest.version().is_none() {
            return Err(damaged("it has no version"));
        }
        let bytes = manifest.files.values().map(|m| m.bytes);
        let all = bytes.fold(0_u64, u64::saturating_add);
        if manifest.files.len() > MOST_FILES || all > MOST_BYTES {
            return Err(damaged("it is too large"));
        }
        Ok(manifest)
    }

    #[must_use]
    pub fn version(&self) -> Option<Version> {
        Version::parse(&self.version)
    }
}

/// A name that is a file in one folder and nothing else, on every system.
fn is_plain(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    !name.starts_with('.') && (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

fn is_sum(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}
