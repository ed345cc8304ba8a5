//! Writing and reading the file.

use super::manifest::{Manifest, Member, Version};
use super::{PublicKey, Refused, SIGNATURE, SigningKey};
use crate::base::disk::{self, Disk};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;

/// How a package's name ends: a stick is searched for it.
pub const NAME_END: &str = ".scanside";

const MANIFEST: &str = "manifest.toml";
const SIGNED: &str = "manifest.sig";

/// Longest manifest.
const MOST_TEXT: u64 = 64 << 10;

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the model in `folder` as a package. `name` and `version` are those of its card.
///
/// # Errors
/// When a file cannot be read or written, or the version is none.
pub fn pack(
    folder: &Path,
    (name, version): (&str, &str),
    key: &SigningKey,
    out: impl Write,
) -> io::Result<Manifest> {
    if Version::parse(version).is_none() {
        return Err(io::Error::other(format!("{version} is no version")));
    }
    let mut contents = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        if entry.file_type()?.is_file() {
            contents.insert(name.to_owned(), std::fs::read(entry.path())?);
        }
    }
    let member = |bytes: &Vec<u8>| Member {
        bytes: bytes.len() as u64,
        sha256: hex(&Sha256::digest(bytes)),
    };
    let manifest = Manifest {
        kind: "model".to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        files: contents
            .iter()
            .map(|(name, bytes)| (name.clone(), member(bytes)))
            .collect(),
    };
    let text = toml::to_string(&manifest).map_err(io::Error::other)?;
    // What no box would take is not written.
    Manifest::parse(text.as_bytes()).map_err(|refused| io::Error::other(refused.to_string()))?;
    let mut archive = tar::Builder::new(out);
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes)
    };
    add(MANIFEST, text.as_bytes())?;
    add(SIGNED, &key.sign(text.as_bytes()))?;
    for (name, bytes) in &contents {
        add(name, bytes)?;
    }
    archive.into_inner()?.flush()?;
    Ok(manifest)
}

/// Reads a package to its end, and writes its files into `into`, a folder that is there and empty. Without
/// it they are only looked at.
///
/// # Errors
/// [`Refused`]; what was written before is then worth nothing.
pub fn read(
    package: impl Read,
    keys: &[PublicKey],
    into: Option<(&dyn Disk, &Path)>,
) -> Result<Manifest, Refused> {
    if keys.is_empty() {
        return Err(Refused::Off);
    }
    let mut archive = tar::Archive::new(package);
    let mut members = archive.entries()?;
    let mut head = |name: &'static str, most: u64| -> Result<Vec<u8>, Refused> {
        let no = Refused::NoPackage("its first members are not a manifest and a signature");
        let Some(Ok(member)) = members.next() else {
            return Err(no);
        };
        let plain = member.header().entry_type() == tar::EntryType::Regular;
        if !plain || member.path_bytes() != name.as_bytes() || member.size() > most {
            return Err(no);
        }
        let mut bytes = Vec::new();
        member.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = head(MANIFEST, MOST_TEXT)?;
    let signature = head(SIGNED, SIGNATURE as u64)?;
    if !keys.iter().any(|key| key.signed(&text, &signature)) {
        return Err(Refused::Stranger);
    }
    let manifest = Manifest::parse(&text)?;
    let damaged = |what: String| Refused::Damaged(what);
    let mut open = manifest.files.clone();
    for member in members {
        let member = member.map_err(|_| damaged("it ends in the middle".into()))?;
        let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        let Some(wanted) = open.remove(&name) else {
            return Err(damaged(
                "it has a file that its manifest does not name".into(),
            ));
        };
        let plain = member.header().entry_type() == tar::EntryType::Regular;
        if !plain || member.size() != wanted.bytes {
            return Err(damaged(format!("{name} has another length")));
        }
        let mut bytes = Vec::new();
        let read = member.take(wanted.bytes).read_to_end(&mut bytes);
        read.map_err(|_| damaged("it ends in the middle".into()))?;
        if hex(&Sha256::digest(&bytes)) != wanted.sha256.to_ascii_lowercase() {
            return Err(damaged(format!("{name} has another sum")));
        }
        if let Some((disk, folder)) = into {
            disk::write_whole(disk, &folder.join(&name), &bytes)?;
        }
    }
    match open.keys().next() {
        Some(name) => Err(damaged(format!("{name} is missing"))),
        None => Ok(manifest),
    }
}
