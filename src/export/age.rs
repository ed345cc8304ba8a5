//! The sending side of age (age-encryption.org/v1): a stream sealed for X25519 recipients.
//!
//! The format is one page and frozen, and the box never opens anything, so this is the whole of it, on
//! ring's primitives, which speak our TLS. The `age` crate would bring 97 more crates along, most of
//! them for what a box must not do. Tests open what is made here with two other programs.
//!
//! A header names the file key once for each recipient, wrapped by a key that only an ephemeral key and
//! the recipient's have in common. The payload goes in chunks, each with its tag and its number, and the
//! last one says that it is the last: a file that was cut off does not open.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};
use std::fmt::{self, Write as _};
use std::io::{self, Write};

const VERSION: &str = "age-encryption.org/v1";

/// Human-readable part of a recipient. Those of plugins have more behind it.
const PREFIX: &str = "age";

/// What a key file has; nothing of it may be shown.
const SECRET: &str = "AGE-SECRET-KEY-";

/// Bytes of an X25519 key, of a tag, of a file key and of the payload's nonce.
const KEY: usize = 32;
const TAG: usize = 16;
const FILE_KEY: usize = 16;
const NONCE: usize = 16;

/// Plain bytes that go under one tag.
const CHUNK: usize = 64 * 1024;

/// Longest piece of somebody's text in a sentence.
const SHOWN: usize = 80;

/// For whom a file is sealed: a public key, as `age-keygen` prints it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recipient {
    text: String,
    key: [u8; KEY],
}

/// Why a text is no recipient. None of the sentences shows a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecipient {
    #[error(
        "one of them is a secret key (AGE-SECRET-KEY-), which belongs on no box; name the public key that \
         age-keygen printed with it, which begins with age1"
    )]
    Secret,
    #[error("\"{0}\" is no recipient; one begins with age1 and is what age-keygen prints")]
    Other(String),
    #[error(
        "\"{0}\" is a key of a plugin, of hardware or of another kind, for which this box cannot seal; \
         it takes those of age-keygen, age1 and 58 characters"
    )]
    Kind(String),
    #[error("\"{0}\" is mistyped: its check digits do not fit")]
    Mistyped(String),
    #[error("\"{0}\" is no key that anybody can have")]
    Weak(String),
}

impl Recipient {
    /// Reads `age1...`.
    ///
    /// # Errors
    /// [`BadRecipient`], a sentence for who wrote the settings.
    pub fn parse(text: &str) -> Result<Self, BadRecipient> {
        let text = text.trim();
        if text.to_ascii_uppercase().contains(SECRET) {
            return Err(BadRecipient::Secret);
        }
        let shown = || text.chars().take(SHOWN).collect::<String>();
        if !text.starts_with("age1") {
            return Err(BadRecipient::Other(shown()));
        }
        // The last 1 ends the readable part: age1plugin1... is none of ours.
        if text.rfind('1') != Some(PREFIX.len()) {
            return Err(BadRecipient::Kind(shown()));
        }
        let mistyped = || BadRecipient::Mistyped(shown());
        let checked = CheckedHrpstring::new::<Bech32>(text).map_err(|_| mistyped())?;
        let bytes: Vec<u8> = checked.byte_iter().collect();
        let key = <[u8; KEY]>::try_from(bytes.as_slice()).map_err(|_| mistyped())?;
        // One spelling for each key: no capitals, no stray bits at the end.
        if bech32::encode::<Bech32>(Hrp::parse_unchecked(PREFIX), &key).as_deref() != Ok(text) {
            return Err(mistyped());
        }
        let recipient = Self {
            text: text.to_owned(),
            key,
        };
        // A point of low order gives everybody the same key; the agreement refuses it.
        match recipient.wrap(&[0; FILE_KEY]) {
            Ok(_) => Ok(recipient),
            Err(Unspecified) => Err(BadRecipient::Weak(shown())),
        }
    }

    /// The ends of the key, enough to tell two apart.
    #[must_use]
    pub fn short(&self) -> String {
        let (head, tail) = (self.text.get(..12), self.text.get(self.text.len() - 4..));
        format!(
            "{}...{}",
            head.unwrap_or_default(),
            tail.unwrap_or_default()
        )
    }

    /// The ephemeral share, and the file key under the key that both sides have in common.
    fn wrap(&self, file_key: &[u8; FILE_KEY]) -> Result<([u8; KEY], Vec<u8>), Unspecified> {
        let ours = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new())?;
        let public = ours.compute_public_key()?;
        let share = <[u8; KEY]>::try_from(public.as_ref()).map_err(|_| Unspecified)?;
        let theirs = UnparsedPublicKey::new(&X25519, self.key);
        let salt = [share, self.key].concat();
        let wrapping = agree_ephemeral(ours, &theirs, |shared| {
            derive(&salt, shared, b"age-encryption.org/v1/X25519")
        })??;
        let mut body = file_key.to_vec();
        // The wrapping key is used once.
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        cipher(&wrapping)?.seal_in_place_append_tag(nonce, Aad::empty(), &mut body)?;
        Ok((share, body))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// HKDF with SHA-256, 32 bytes of it.
fn derive(salt: &[u8], secret: &[u8], info: &[u8]) -> Result<[u8; KEY], Unspecified> {
    let mut key = [0; KEY];
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(secret)
        .expand(&[info], hkdf::HKDF_SHA256)?
        .fill(&mut key)?;
    Ok(key)
}

fn cipher(key: &[u8; KEY]) -> Result<LessSafeKey, Unspecified> {
    Ok(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key)?))
}

/// What stands before the payload of one file, and the payload's key.
pub struct Envelope {
    head: Vec<u8>,
    key: LessSafeKey,
}

impl Envelope {
    /// Draws the keys of one file.
    ///
    /// # Errors
    /// When the system has no random bytes, or there is nobody to seal for.
    pub fn new(recipients: &[Recipient]) -> io::Result<Self> {
        if recipients.is_empty() {
            return Err(io::Error::other("there is no recipient"));
        }
        let drawn = draw(recipients);
        drawn.map_err(|Unspecified| io::Error::other("the system has no random bytes"))
    }

    /// Writes the header; what is written to the result goes sealed into `sink`.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn open<W: Write>(self, mut sink: W) -> io::Result<Sealer<W>> {
        sink.write_all(&self.head)?;
        Ok(Sealer {
            sink,
            key: self.key,
            chunk: Vec::with_capacity(CHUNK + TAG),
            number: 0,
        })
    }
}

fn draw(recipients: &[Recipient]) -> Result<Envelope, Unspecified> {
    let random = SystemRandom::new();
    let mut file_key = [0; FILE_KEY];
    random.fill(&mut file_key)?;
    let mut head = format!("{VERSION}\n");
    for recipient in recipients {
        let (share, body) = recipient.wrap(&file_key)?;
        let (share, body) = (STANDARD_NO_PAD.encode(share), STANDARD_NO_PAD.encode(body));
        let _ = write!(head, "-> X25519 {share}\n{body}\n");
    }
    head.push_str("---");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &derive(&[], &file_key, b"header")?);
    let tag = hmac::sign(&key, head.as_bytes());
    let _ = writeln!(head, " {}", STANDARD_NO_PAD.encode(tag));

    let mut nonce = [0; NONCE];
    random.fill(&mut nonce)?;
    let key = cipher(&derive(&nonce, &file_key, b"payload")?)?;
    let mut head = head.into_bytes();
    head.extend_from_slice(&nonce);
    Ok(Envelope { head, key })
}

/// Bytes of a file with so many plain ones, sealed for so many recipients.
#[must_use]
pub fn sealed_length(plain: u64, recipients: usize) -> u64 {
    // 32 bytes are 43 letters of base64 without padding.
    let stanza = "-> X25519 ".len() + 43 + 1 + 43 + 1;
    let head = VERSION.len() + 1 + recipients * stanza + "--- ".len() + 43 + 1 + NONCE;
    let chunks = plain.div_ceil(CHUNK as u64).max(1);
    head as u64 + plain + chunks * TAG as u64
}

/// Seals what is written to it. Without [`Sealer::finish`] the file does not open.
pub struct Sealer<W> {
    sink: W,
    key: LessSafeKey,
    chunk: Vec<u8>,
    number: u64,
}

impl<W: Write> Sealer<W> {
    /// Takes plain bytes.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // A full chunk waits for more: only then is it known not to be the last one.
            if self.chunk.len() == CHUNK {
                self.flush_chunk(false)?;
            }
            let room = CHUNK - self.chunk.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Writes the last chunk and gives the sink back.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush_chunk(true)?;
        Ok(self.sink)
    }

    fn flush_chunk(&mut self, last: bool) -> io::Result<()> {
        // Eleven bytes of the chunk's number and one that says whether it is the last.
        let mut nonce = [0; 12];
        let (number, end) = nonce.split_at_mut(11);
        number[3..].copy_from_slice(&self.number.to_be_bytes());
        end[0] = u8::from(last);
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(nonce, Aad::empty(), &mut self.chunk)
            .map_err(|Unspecified| io::Error::other("a chunk cannot be sealed"))?;
        self.number += 1;
        self.sink.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }
}

#[cfg(test)]
pub mod tests;
