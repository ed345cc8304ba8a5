//! Models and whole systems that come on a stick: signed by the hospital's own key, proven before they are
//! used, and left again when they do not hold.
//!
//! A package is one file, a tar archive: the manifest first, its Ed25519 signature second, then the files
//! that the manifest names with their lengths and sums. Nothing of a package is believed before the
//! signature is that of one of the keys in the settings, and a file is believed for its sum alone.
//!
//! The model that came with the software is in the read-only root and stays there. One that was brought
//! lies beside the database ([`slots`]) and counts from the moment that a file names it, so that a cut of the
//! power leaves the box with the old one or the new one.
//!
//! A system is an image of the read-only root. It goes into the slot that does not run ([`system`]), and a
//! record outside both says which one starts ([`choice`]): a new one is tried, and stays when it has proven
//! itself.

pub mod choice;
mod manifest;
mod package;
mod slots;
pub mod system;
mod words;

pub use manifest::{Kind, Manifest, Version};
pub use package::{NAME_END, head, pack, pack_system, read, read_system};
pub use slots::{Installed, Slots};

use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::io;

/// What is signed before the manifest, so that no signature for something else can be used here.
const PURPOSE: &[u8] = b"scanside model package 1\n";

/// Bytes of a signature and of a public key.
const SIGNATURE: usize = 64;
const KEY: usize = 32;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why a package is not taken. Each is a sentence for the person with the stick.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("Updates are off: the settings of this box name no key.")]
    Off,
    #[error("This is no update: {0}.")]
    NoPackage(&'static str),
    #[error("The update is not signed with a key of this box.")]
    Stranger,
    #[error("The update is damaged: {0}.")]
    Damaged(String),
    #[error("This update is of a kind that this box does not know ({0}).")]
    Kind(String),
    #[error("The update has version {offered}, and this box has {present} already.")]
    NotNewer { offered: Version, present: Version },
    #[error("The update is for {offered}, and this box has {present}.")]
    OtherModel { offered: String, present: String },
    #[error("The new model does not hold on this box: {0}.")]
    NotProven(String),
    #[error("This box takes no software from a stick.")]
    OneSystem,
    #[error("The update is for {offered}, and this box has {present}.")]
    OtherBox { offered: String, present: String },
    #[error("This software did not hold on this box before.")]
    Failed,
    #[error("The box still tries the software that came last.")]
    Trying,
    #[error("There is no room for the update: {0} MB are needed.")]
    NoRoom(u64),
    #[error("The update cannot be read or stored ({0}).")]
    Disk(#[from] io::Error),
}

/// A public key, as the settings have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; KEY]);

impl PublicKey {
    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut key = [0; KEY];
        if text.len() != 2 * KEY || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(key))
    }

    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    fn signed(&self, manifest: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        key.verify(&[PURPOSE, manifest].concat(), signature).is_ok()
    }
}

/// The key that signs. It belongs on no box.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Makes a new key; the bytes are PKCS #8, as OpenSSL writes them.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn generate() -> io::Result<Vec<u8>> {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        let made = made.map_err(|_| io::Error::other("the system has no random bytes"))?;
        Ok(made.as_ref().to_vec())
    }

    /// Reads a key of PKCS #8, version 1 or 2.
    #[must_use]
    pub fn parse(pkcs8: &[u8]) -> Option<Self> {
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
            .ok()
            .map(Self)
    }

    /// The half that goes into the settings of boxes.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut key = [0; KEY];
        let bytes = self.0.public_key().as_ref();
        key.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        PublicKey(key)
    }

    fn sign(&self, manifest: &[u8]) -> Vec<u8> {
        let signature = self.0.sign(&[PURPOSE, manifest].concat());
        signature.as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests;
