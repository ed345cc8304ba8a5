//! Brings an archive back to an empty box.

use super::make::is_plain;
use super::{
    ABOUT, About, BackupError, CARD, CHUNK, DATABASE, FOLDERS, ONCE, SCHEMA, SETTINGS, SUMS, at,
};
use crate::base::disk::{self, Disk as _, RealDisk};
use crate::config::Config;
use crate::report::hex;
use crate::store::{Records, Store, StoreError};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tar::{Archive, EntryType};

/// A page of text each; and as many members as there can be reports with their files.
const LARGEST_TEXT: u64 = 64 << 20;
const MOST_MEMBERS: usize = 4_000_000;

/// Brings a backup back into the state folder of `config`, which has no database. Gives back what
/// the archive says of itself and where its settings lie now.
///
/// # Errors
/// [`BackupError`]; the box is as empty as before then.
pub fn restore(config: &Config, from: &Path) -> Result<(About, Option<PathBuf>), BackupError> {
    if config.database().exists() {
        return Err(BackupError::NotEmpty(config.database()));
    }
    let new = !config.state.exists();
    fs::create_dir_all(&config.state).map_err(at(&config.state))?;
    let aside = config.state.join("restore");
    let brought = clear(&aside).and_then(|()| bring(config, from, &aside));
    let cleared = clear(&aside);
    if brought.is_err() && new {
        // Empty as it was made.
        let _ = fs::remove_dir(&config.state);
    }
    let brought = brought?;
    cleared?;
    Ok(brought)
}

fn clear(folder: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(folder) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(at(folder)(why)),
        _ => Ok(()),
    }
}

fn bring(
    config: &Config,
    from: &Path,
    aside: &Path,
) -> Result<(About, Option<PathBuf>), BackupError> {
    let owner = Owner::of(&config.state)?;
    owner.folder(aside)?;
    let members = unpack(from, aside, &owner)?;
    let about = believe(aside, &members)?;
    for root in FOLDERS {
        let (here, there) = (aside.join(root), config.state.join(root));
        if here.exists() {
            let empty = fs::remove_dir(&there);
            match empty {
                Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                    return Err(at(&there)(why));
                }
                _ => {}
            }
            RealDisk.rename(&here, &there).map_err(at(&there))?;
        }
    }
    let mut settings = None;
    for name in ONCE.into_iter().chain([SETTINGS, CARD]) {
        let here = aside.join(name);
        if !here.exists() {
            continue;
        }
        // What a person is to look at has a name that says where it comes from.
        let there = match name {
            SETTINGS | CARD => config.state.join(format!("restored-{name}")),
            _ => config.state.join(name),
        };
        RealDisk.rename(&here, &there).map_err(at(&there))?;
        if name == SETTINGS {
            settings = Some(there);
        }
    }
    RealDisk
        .sync_folder(&config.state)
        .map_err(at(&config.state))?;
    // The last step: with its database the box is one.
    let (here, there) = (aside.join(DATABASE), config.database());
    RealDisk.rename(&here, &there).map_err(at(&there))?;
    RealDisk
        .sync_folder(&config.state)
        .map_err(at(&config.state))?;
    Ok((about, settings))
}

/// Who owns the state folder. A restore is done by root, and the service is somebody else.
struct Owner {
    user: u32,
    group: u32,
    ours: bool,
}

impl Owner {
    fn of(folder: &Path) -> Result<Self, BackupError> {
        let about = fs::metadata(folder).map_err(at(folder))?;
        Ok(Self {
            user: about.uid(),
            group: about.gid(),
            ours: about.uid() == rustix::process::geteuid().as_raw(),
        })
    }

    fn give(&self, path: &Path) -> Result<(), BackupError> {
        if self.ours {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(self.user), Some(self.group)).map_err(at(path))
    }

    fn folder(&self, path: &Path) -> Result<(), BackupError> {
        if RealDisk.make_folder(path).map_err(at(path))? {
            self.give(path)?;
        }
        Ok(())
    }
}

/// Writes every member below `aside`, durable, and gives back their sums.
fn unpack(
    from: &Path,
    aside: &Path,
    owner: &Owner,
) -> Result<BTreeMap<String, String>, BackupError> {
    let file = File::open(from).map_err(at(from))?;
    let not_one = |why: std::io::Error| BackupError::NotOne(why.to_string());
    let mut archive = Archive::new(file);
    let mut members = BTreeMap::new();
    for entry in archive.entries().map_err(not_one)? {
        let mut entry = entry.map_err(not_one)?;
        let name = entry
            .path()
            .map_err(not_one)?
            .to_string_lossy()
            .into_owned();
        if entry.header().entry_type() != EntryType::Regular || !is_ours(&name) {
            return Err(BackupError::NotOne(format!("it has a member {name:?}")));
        }
        if members.is_empty() && name != ABOUT {
            return Err(BackupError::NotOne(format!("it begins with {name:?}")));
        }
        let to = aside.join(&name);
        // One folder below another, at most two: what is_ours lets pass.
        let above: Vec<&Path> = to
            .ancestors()
            .skip(1)
            .take_while(|folder| *folder != aside)
            .collect();
        for folder in above.into_iter().rev() {
            owner.folder(folder)?;
        }
        let sum = write(&mut entry, &to)?;
        owner.give(&to)?;
        if members.insert(name.clone(), sum).is_some() || members.len() > MOST_MEMBERS {
            return Err(BackupError::NotOne(format!("it has {name:?} twice")));
        }
    }
    if members.is_empty() {
        return Err(BackupError::NotOne("it is empty".into()));
    }
    Ok(members)
}

/// The members that a backup of ours has, and none that leads elsewhere.
fn is_ours(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        [one] => [ABOUT, SUMS, DATABASE, SETTINGS, CARD].contains(one) || ONCE.contains(one),
        [root, report, file] => FOLDERS.contains(root) && is_plain(report) && is_plain(file),
        _ => false,
    }
}

fn write(entry: &mut impl Read, to: &Path) -> Result<String, BackupError> {
    let mut file = RealDisk.create(to).map_err(at(to))?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = entry
            .read(&mut chunk)
            .map_err(|why| BackupError::Damaged(why.to_string()))?;
        let bytes = chunk.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        hash.update(bytes);
        file.write_all(bytes).map_err(at(to))?;
    }
    disk::flush(file).map_err(at(to))?;
    Ok(hex(&hash.finalize()))
}

/// Whether all of it is what was written: sums, layout, database, audit trail, reports.
fn believe(aside: &Path, members: &BTreeMap<String, String>) -> Result<About, BackupError> {
    let damaged = |why: &str| BackupError::Damaged(why.to_owned());
    let text = read(&aside.join(ABOUT))?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| BackupError::NotOne(e.to_string()))?;
    if value["schema"]
        .as_u64()
        .is_some_and(|n| n > u64::from(SCHEMA))
    {
        return Err(BackupError::Newer);
    }
    let about: About =
        serde_json::from_value(value).map_err(|e| BackupError::NotOne(e.to_string()))?;
    if about.layout > i64::from(Store::layout()) {
        return Err(BackupError::Newer);
    }
    if !members.contains_key(SUMS) {
        return Err(damaged("its end is missing"));
    }
    let said: BTreeMap<String, String> = read(&aside.join(SUMS))?
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| (name.to_owned(), sum.to_owned()))
        .collect();
    let found = members.iter().filter(|(name, _)| *name != SUMS);
    for (name, sum) in found {
        if said.get(name) != Some(sum) {
            return Err(BackupError::Damaged(format!(
                "{name} is not what was written"
            )));
        }
    }
    if said.len() + 1 != members.len() {
        return Err(damaged("a member is missing"));
    }
    let path = aside.join(DATABASE);
    if !path.exists() {
        return Err(damaged("it has no database"));
    }
    let unreadable = |why: StoreError| BackupError::Damaged(why.to_string());
    let records = Records::open(&path).map_err(unreadable)?;
    records.quick_check().map_err(unreadable)?;
    let trail = records.verify_audit(None).map_err(unreadable)?;
    if trail.broken.is_some() || trail.head != about.audit_head {
        return Err(damaged("its audit trail is not what was written"));
    }
    for (_, folder) in records.finished_reports().map_err(unreadable)? {
        if !aside.join(&folder).join(SUMS).exists() {
            return Err(BackupError::Damaged(format!("{folder} is missing")));
        }
    }
    drop(records);
    // What a look at a database leaves beside it.
    for ending in ["-wal", "-shm"] {
        let mut name = path.clone().into_os_string();
        name.push(ending);
        let _ = fs::remove_file(name);
    }
    Ok(about)
}

fn read(path: &Path) -> Result<String, BackupError> {
    let mut text = String::new();
    let file =
        File::open(path).map_err(|_| BackupError::NotOne("it does not say what it is".into()))?;
    file.take(LARGEST_TEXT)
        .read_to_string(&mut text)
        .map_err(|why| BackupError::NotOne(why.to_string()))?;
    Ok(text)
}
