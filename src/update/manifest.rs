//! What a package says of itself: a model, or a whole system.

use super::Refused;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Three numbers; a later one is larger.
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
    pub kind: Kind,
    /// Name and version of the model's card; "scanside" and the version of the system.
    pub name: String,
    pub version: String,
    /// Which boxes a system is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Fit>,
    pub files: BTreeMap<String, Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Model,
    Software,
}

/// What a system is made for. A box takes no other one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// Name of the board.
    pub board: String,
    /// Of its settings: they lie in the system.
    pub site: String,
    /// Release of the kernel that its modules are for.
    pub kernel: String,
}

/// Files of one model, and their bytes together. A bundle has six files and 7 MB.
const MOST_FILES: usize = 32;
const MOST_BYTES: u64 = 64 << 20;

/// The one file of a system, and no system is larger. Its slot has the last word.
pub const SYSTEM: &str = "system.img";
const MOST_SYSTEM: u64 = 16 << 30;

impl Manifest {
    /// Reads a manifest whose signature was right. What it says is bounded all the same: the keeper of a
    /// key makes mistakes too.
    ///
    /// # Errors
    /// [`Refused::Kind`] for another kind, [`Refused::Damaged`] for what makes no sense.
    pub fn parse(text: &[u8]) -> Result<Self, Refused> {
        let damaged = |what: &str| Refused::Damaged(what.to_owned());
        let text = std::str::from_utf8(text).map_err(|_| damaged("its manifest is no text"))?;
        #[derive(Deserialize)]
        struct Kinds {
            kind: String,
        }
        let senseless = |_| damaged("its manifest makes no sense");
        let Kinds { kind } = toml::from_str(text).map_err(senseless)?;
        if !["model", "software"].contains(&kind.as_str()) {
            let kind = kind.chars().filter(char::is_ascii_alphanumeric);
            return Err(Refused::Kind(kind.take(24).collect()));
        }
        let manifest: Self = toml::from_str(text).map_err(senseless)?;
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
        let (files, most) = match manifest.kind {
            Kind::Model => (MOST_FILES, MOST_BYTES),
            Kind::Software => (1, MOST_SYSTEM),
        };
        if manifest.files.len() > files || all > most {
            return Err(damaged("it is too large"));
        }
        let fits = match (manifest.kind, &manifest.system) {
            (Kind::Model, fit) => fit.is_none(),
            (Kind::Software, fit) => fit.is_some() && manifest.files.contains_key(SYSTEM),
        };
        if !fits {
            return Err(damaged("its manifest makes no sense"));
        }
        Ok(manifest)
    }

    /// The image of a system.
    #[must_use]
    pub fn image(&self) -> Option<&Member> {
        self.files.get(SYSTEM)
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
