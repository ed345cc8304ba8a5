//! Writing and reading the file.

use super::manifest::{Kind, Manifest, Member, SYSTEM};
use super::system::About;
use super::{PublicKey, Refused, SIGNATURE, SigningKey, hex};
use crate::base::disk::{self, Disk};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// How a package's name ends: a stick is searched for it.
pub const NAME_END: &str = ".scanside";

const MANIFEST: &str = "manifest.toml";
const SIGNED: &str = "manifest.sig";

/// Longest manifest.
const MOST_TEXT: u64 = 64 << 10;

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
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        if entry.file_type()?.is_file() {
            files.insert(name.to_owned(), member(&entry.path())?);
        }
    }
    let manifest = Manifest {
        kind: Kind::Model,
        name: name.to_owned(),
        version: version.to_owned(),
        system: None,
        files,
    };
    write(manifest, folder, key, out)
}

/// Writes the system that `board/image/make` has left in `folder` as a package.
///
/// # Errors
/// When a file cannot be read or written, or is none of an image.
pub fn pack_system(folder: &Path, key: &SigningKey, out: impl Write) -> io::Result<Manifest> {
    let about = About::read(&folder.join(About::FILE))?;
    let manifest = Manifest {
        kind: Kind::Software,
        name: "scanside".to_owned(),
        version: about.version,
        system: Some(about.fit),
        files: BTreeMap::from([(SYSTEM.to_owned(), member(&folder.join(SYSTEM))?)]),
    };
    write(manifest, folder, key, out)
}

fn member(path: &Path) -> io::Result<Member> {
    let (bytes, sha256) = sum_of(File::open(path)?)?;
    Ok(Member { bytes, sha256 })
}

/// Length and sum of all that a reader has.
pub(super) fn sum_of(mut from: impl Read) -> io::Result<(u64, String)> {
    let (mut sum, mut bytes) = (Sha256::new(), 0);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok((bytes, hex(&sum.finalize())));
        }
        sum.update(chunk.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}

fn write(
    manifest: Manifest,
    folder: &Path,
    key: &SigningKey,
    out: impl Write,
) -> io::Result<Manifest> {
    if manifest.version().is_none() {
        let words = format!("{} is no version", manifest.version);
        return Err(io::Error::other(words));
    }
    let text = toml::to_string(&manifest).map_err(io::Error::other)?;
    // What no box would take is not written.
    Manifest::parse(text.as_bytes()).map_err(|refused| io::Error::other(refused.to_string()))?;
    let mut archive = tar::Builder::new(out);
    let mut add = |name: &str, bytes: u64, from: &mut dyn Read| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, from)
    };
    add(MANIFEST, text.len() as u64, &mut text.as_bytes())?;
    let signature = key.sign(text.as_bytes());
    add(SIGNED, signature.len() as u64, &mut signature.as_slice())?;
    for (name, member) in &manifest.files {
        add(name, member.bytes, &mut File::open(folder.join(name))?)?;
    }
    archive.into_inner()?.flush()?;
    Ok(manifest)
}

/// What a package says of itself, once its signature was found right, and the sum of that, which names this
/// package and no other. Its files are not looked at.
///
/// # Errors
/// [`Refused`].
pub fn head(package: impl Read, keys: &[PublicKey]) -> Result<(Manifest, String), Refused> {
    let mut archive = tar::Archive::new(package);
    signed(&mut archive.entries()?, keys)
}

fn signed(
    members: &mut tar::Entries<'_, impl Read>,
    keys: &[PublicKey],
) -> Result<(Manifest, String), Refused> {
    if keys.is_empty() {
        return Err(Refused::Off);
    }
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
    Ok((Manifest::parse(&text)?, hex(&Sha256::digest(&text))))
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
    let mut archive = tar::Archive::new(package);
    let mut members = archive.entries()?;
    let (manifest, _) = signed(&mut members, keys)?;
    if manifest.kind != Kind::Model {
        return Err(Refused::Kind("software".into()));
    }
    files(members, &manifest, |name, from, wanted| {
        let mut bytes = Vec::new();
        from.take(wanted.bytes)
            .read_to_end(&mut bytes)
            .map_err(|_| cut())?;
        let sum = hex(&Sha256::digest(&bytes));
        if let Some((disk, folder)) = into
            && sum == wanted.sha256
        {
            disk::write_whole(disk, &folder.join(name), &bytes)?;
        }
        Ok(sum)
    })?;
    Ok(manifest)
}

/// Bytes of an image that are in memory at once.
const CHUNK: usize = 256 << 10;

/// Reads the package of a system to its end, and writes its image as it comes. `fits` says whether it is
/// for this box, before a byte is written. Gives the sum that names the package.
///
/// # Errors
/// [`Refused`]; what was written before is then worth nothing.
pub fn read_system(
    package: impl Read,
    keys: &[PublicKey],
    fits: impl FnOnce(&Manifest, &str) -> Result<(), Refused>,
    into: &mut dyn Write,
) -> Result<(Manifest, String), Refused> {
    let mut archive = tar::Archive::new(package);
    let mut members = archive.entries()?;
    let (manifest, id) = signed(&mut members, keys)?;
    if manifest.kind != Kind::Software {
        return Err(Refused::Kind("model".into()));
    }
    fits(&manifest, &id)?;
    files(members, &manifest, |_, from, wanted| {
        let (mut sum, mut left) = (Sha256::new(), wanted.bytes);
        let mut chunk = vec![0; CHUNK];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let now = chunk.get_mut(..most).unwrap_or_default();
            from.read_exact(now).map_err(|_| cut())?;
            sum.update(&*now);
            into.write_all(now)?;
            left -= now.len() as u64;
        }
        Ok(hex(&sum.finalize()))
    })?;
    Ok((manifest, id))
}

fn cut() -> Refused {
    Refused::Damaged("it ends in the middle".into())
}

/// Gives each file that the manifest names to `take`, which reads it and says its sum. All have to be there
/// and nothing else.
fn files<R: Read>(
    members: tar::Entries<'_, R>,
    manifest: &Manifest,
    mut take: impl FnMut(&str, &mut dyn Read, &Member) -> Result<String, Refused>,
) -> Result<(), Refused> {
    let damaged = |what: String| Refused::Damaged(what);
    let mut open = manifest.files.clone();
    for member in members {
        let mut member = member.map_err(|_| cut())?;
        let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        let Some(mut wanted) = open.remove(&name) else {
            return Err(damaged(
                "it has a file that its manifest does not name".into(),
            ));
        };
        wanted.sha256.make_ascii_lowercase();
        let plain = member.header().entry_type() == tar::EntryType::Regular;
        if !plain || member.size() != wanted.bytes {
            return Err(damaged(format!("{name} has another length")));
        }
        if take(&name, &mut member, &wanted)? != wanted.sha256 {
            return Err(damaged(format!("{name} has another sum")));
        }
    }
    match open.keys().next() {
        Some(name) => Err(damaged(format!("{name} is missing"))),
        None => Ok(()),
    }
}
