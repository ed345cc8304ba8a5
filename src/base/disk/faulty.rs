//! A disk in memory that fails on command, for tests.
//!
//! It keeps two truths: what programs see, and what has reached the medium. Content reaches it by
//! a flush of the file, a name by a flush of the folder. After a power cut [`FaultyDisk::reboot`]
//! gives back one of the states that the cut may have left: each folder has seen some beginning
//! of its unflushed changes, independent of the other folders, and unflushed content is old, new,
//! cut short or zeros. That is harsher than a journalling file system, on purpose.

use super::{Disk, DiskFile, Entry, ReadSeek, Space};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What happens at the chosen step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// This one step finds no room, unless it removes something.
    Full,
    /// This one step fails.
    Fails,
    /// The power goes: the step has no effect and none after it has.
    Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    File(u64),
    Folder,
}

#[derive(Clone, Debug)]
enum Change {
    Put(OsString, Node),
    Drop(OsString),
}

type Names = BTreeMap<OsString, Node>;

#[derive(Clone, Debug, Default)]
struct Folder {
    seen: Names,
    kept: Names,
    pending: Vec<Change>,
}

impl Folder {
    fn change(&mut self, change: Change) {
        apply(&mut self.seen, &change);
        self.pending.push(change);
    }
}

fn apply(names: &mut Names, change: &Change) {
    match change {
        Change::Put(name, node) => names.insert(name.clone(), *node),
        Change::Drop(name) => names.remove(name),
    };
}

#[derive(Clone, Debug, Default)]
struct Content {
    seen: Vec<u8>,
    kept: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    folders: BTreeMap<PathBuf, Folder>,
    contents: BTreeMap<u64, Content>,
    next: u64,
    steps: u64,
    plan: Option<(u64, Trouble)>,
    off: bool,
    capacity: Option<u64>,
}

/// See the module's head. Clones share one disk.
#[derive(Clone, Debug)]
pub struct FaultyDisk(Arc<Mutex<State>>);

impl Default for FaultyDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl FaultyDisk {
    /// An empty disk with the folder `/`.
    #[must_use]
    pub fn new() -> Self {
        let mut state = State::default();
        state.folders.insert(PathBuf::from("/"), Folder::default());
        Self(Arc::new(Mutex::new(state)))
    }

    /// A disk on which all files together may hold so many bytes.
    #[must_use]
    pub fn with_capacity(self, bytes: u64) -> Self {
        self.state().capacity = Some(bytes);
        self
    }

    /// Lets trouble come at the `step`-th change from now on, counted from 0.
    pub fn plan(&self, step: u64, trouble: Trouble) {
        let mut state = self.state();
        state.plan = Some((state.steps + step, trouble));
    }

    /// How many changes were asked for so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// The disk after the power has come back; `seed` picks one of the possible states. Seed 0
    /// has lost everything that was not flushed, seed 1 nothing.
    #[must_use]
    pub fn reboot(&self, seed: u64) -> Self {
        let state = self.state();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut pick = |most: usize| match seed {
            0 => 0,
            1 => most,
            _ => rng.random_range(0..=most),
        };
        let mut folders = BTreeMap::new();
        for (path, folder) in &state.folders {
            let mut kept = folder.kept.clone();
            let survived = pick(folder.pending.len());
            for change in folder.pending.iter().take(survived) {
                apply(&mut kept, change);
            }
            let seen = kept.clone();
            let pending = Vec::new();
            folders.insert(
                path.clone(),
                Folder {
                    seen,
                    kept,
                    pending,
                },
            );
        }
        let reachable: Vec<PathBuf> = folders
            .keys()
            .filter(|path| {
                path.ancestors().all(|at| {
                    let (Some(parent), Some(name)) = (at.parent(), at.file_name()) else {
                        return true;
                    };
                    folders
                        .get(parent)
                        .is_some_and(|f| f.kept.get(name) == Some(&Node::Folder))
                })
            })
            .cloned()
            .collect();
        folders.retain(|path, _| reachable.contains(path));
        let mut contents = state.contents.clone();
        for content in contents.values_mut() {
            if content.seen != content.kept {
                content.kept = match pick(3) {
                    0 => std::mem::take(&mut content.kept),
                    1 => content.seen[..content.seen.len() / 2].to_vec(),
                    2 => vec![0; content.seen.len()],
                    _ => content.seen.clone(),
                };
            }
            content.seen = content.kept.clone();
        }
        Self(Arc::new(Mutex::new(State {
            folders,
            contents,
            next: state.next,
            capacity: state.capacity,
            ..State::default()
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        state.step(true)?;
        act(&mut state)
    }

    fn removal<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        state.step(false)?;
        act(&mut state)
    }
}

impl State {
    fn step(&mut self, wants_room: bool) -> io::Result<()> {
        let now = self.steps;
        self.steps += 1;
        if let Some((at, trouble)) = self.plan
            && at == now
        {
            match trouble {
                Trouble::Full if wants_room => return Err(io::ErrorKind::StorageFull.into()),
                Trouble::Full => {}
                Trouble::Fails => return Err(io::Error::other("the disk failed")),
                Trouble::Cut => self.off = true,
            }
        }
        self.powered()
    }

    fn powered(&self) -> io::Result<()> {
        if self.off {
            return Err(io::Error::other("the power is off"));
        }
        Ok(())
    }

    fn folder(&mut self, path: &Path) -> io::Result<&mut Folder> {
        if path.parent().is_some() && self.node(path)? != Node::Folder {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        self.folders
            .get_mut(path)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        let (parent, name) = split(path)?;
        self.folders
            .get(parent)
            .and_then(|folder| folder.seen.get(name))
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file(&self, path: &Path) -> io::Result<u64> {
        match self.node(path)? {
            Node::File(id) => Ok(id),
            Node::Folder => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// Bytes of all files that still have a name, whose second name costs nothing.
    fn used(&self) -> u64 {
        let named = self.folders.values().flat_map(|f| f.seen.values());
        let files: BTreeSet<u64> = named
            .filter_map(|node| match node {
                Node::File(id) => Some(*id),
                Node::Folder => None,
            })
            .collect();
        let contents = files.iter().filter_map(|id| self.contents.get(id));
        contents.map(|content| content.seen.len() as u64).sum()
    }
}

fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

struct Handle {
    disk: FaultyDisk,
    id: u64,
}

impl Write for Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.change(|state| {
            if let Some(capacity) = state.capacity
                && state.used() + bytes.len() as u64 > capacity
            {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let content = state.contents.entry(self.id).or_default();
            content.seen.extend_from_slice(bytes);
            Ok(bytes.len())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for Handle {
    fn sync(&mut self) -> io::Result<()> {
        self.disk.change(|state| {
            let content = state.contents.entry(self.id).or_default();
            content.kept = content.seen.clone();
            Ok(())
        })
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let id = self.change(|state| {
            let (parent, name) = split(path)?;
            if state.node(path).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let id = state.next;
            state.next += 1;
            let put = Change::Put(name.to_owned(), Node::File(id));
            state.folder(parent)?.change(put);
            state.contents.insert(id, Content::default());
            Ok(id)
        })?;
        let disk = self.clone();
        Ok(Box::new(Handle { disk, id }))
    }

    fn reopen(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state();
        state.powered()?;
        let id = state.file(path)?;
        let disk = self.clone();
        Ok(Box::new(Handle { disk, id }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadSeek>> {
        let state = self.state();
        state.powered()?;
        let id = state.file(path)?;
        let seen = state.contents.get(&id).map(|content| content.seen.clone());
        Ok(Box::new(io::Cursor::new(seen.unwrap_or_default())))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        let disk = self.clone();
        let id = self.state().file(path)?;
        Handle { disk, id }.sync()
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.change(|state| {
            let folder = state.folder(path)?;
            folder.kept = folder.seen.clone();
            folder.pending.clear();
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            let node = state.node(from)?;
            let ((old, name), (new, new_name)) = (split(from)?, split(to)?);
            let put = Change::Put(new_name.to_owned(), node);
            state.folder(new)?.change(put);
            let gone = Change::Drop(name.to_owned());
            state.folder(old)?.change(gone);
            Ok(())
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            let node = Node::File(state.file(from)?);
            if state.node(to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let (folder, name) = split(to)?;
            let put = Change::Put(name.to_owned(), node);
            state.folder(folder)?.change(put);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.removal(|state| {
            state.file(path)?;
            let (parent, name) = split(path)?;
            let gone = Change::Drop(name.to_owned());
            state.folder(parent)?.change(gone);
            Ok(())
        })
    }

    fn make_folder(&self, path: &Path) -> io::Result<bool> {
        self.change(|state| {
            if state.folder(path).is_ok() {
                return Ok(false);
            }
            let (parent, name) = split(path)?;
            let put = Change::Put(name.to_owned(), Node::Folder);
            state.folder(parent)?.change(put);
            state.folders.insert(path.to_owned(), Folder::default());
            Ok(true)
        })
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.removal(|state| {
            if !state.folder(path)?.seen.is_empty() {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            let (parent, name) = split(path)?;
            let gone = Change::Drop(name.to_owned());
            // Its content stays known: the name may come back after a cut.
            state.folder(parent)?.change(gone);
            Ok(())
        })
    }

    fn exists(&self, path: &Path) -> bool {
        self.state().node(path).is_ok()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut state = self.state();
        state.powered()?;
        let names = state.folder(path)?.seen.clone();
        let entry = |(name, node): (OsString, Node)| match node {
            Node::File(id) => Entry {
                name,
                folder: false,
                bytes: state.contents.get(&id).map_or(0, |c| c.seen.len() as u64),
            },
            Node::Folder => Entry {
                name,
                folder: true,
                bytes: 0,
            },
        };
        Ok(names.into_iter().map(entry).collect())
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        let state = self.state();
        let used = state.used();
        // Without a capacity the disk is as good as endless.
        let capacity = state.capacity.unwrap_or(1 << 50);
        let free = capacity.saturating_sub(used);
        Ok(Space { used, free })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{reserve, settle, settle_folder};
    use super::*;

    fn one_file(disk: &FaultyDisk) -> io::Result<super::super::Durable> {
        settle_folder(disk, Path::new("/d"))?;
        let mut file = disk.create(Path::new("/f.part"))?;
        file.write_all(b"content")?;
        settle(disk, file, Path::new("/f.part"), Path::new("/d/f"))
    }

    fn read(disk: &FaultyDisk, path: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut file = disk.open(Path::new(path)).ok()?;
        file.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    #[test]
    fn what_is_settled_survives_every_cut() {
        let disk = FaultyDisk::new();
        one_file(&disk).unwrap();
        for seed in 0..50 {
            assert_eq!(read(&disk.reboot(seed), "/d/f").unwrap(), b"content");
        }
    }

    #[test]
    fn a_reserved_name_needs_one_flush() {
        let disk = FaultyDisk::new();
        let folder = Path::new("/d");
        settle_folder(&disk, folder).unwrap();
        let names = reserve(&disk, folder, ["f".to_owned()]).unwrap();
        let mut file = names[0].open(&disk).unwrap();
        file.write_all(b"content").unwrap();
        names[0].fill(file).unwrap();
        disk.link(Path::new("/d/f"), Path::new("/d/g")).unwrap();
        for seed in 0..50 {
            assert_eq!(read(&disk.reboot(seed), "/d/f").unwrap(), b"content");
        }
        assert_eq!(
            read(&disk.reboot(0), "/d/g"),
            None,
            "a name without a flush"
        );
        assert_eq!(disk.space(folder).unwrap().used, 7);
    }

    #[test]
    fn what_is_not_flushed_can_be_lost_or_torn() {
        let disk = FaultyDisk::new();
        let mut file = disk.create(Path::new("/f")).unwrap();
        file.write_all(b"content").unwrap();
        assert_eq!(read(&disk.reboot(0), "/f"), None);
        disk.sync_folder(Path::new("/")).unwrap();
        assert_eq!(read(&disk.reboot(0), "/f").unwrap(), b"");
        assert_eq!(read(&disk.reboot(1), "/f").unwrap(), b"content");
        let torn = (2..60).any(|seed| read(&disk.reboot(seed), "/f").unwrap() == [0; 7]);
        assert!(torn, "no seed has torn the file");
    }

    #[test]
    fn a_name_that_survives_a_cut_in_settle_has_its_content() {
        let all = {
            let disk = FaultyDisk::new();
            one_file(&disk).unwrap();
            disk.steps()
        };
        for step in 0..all {
            let disk = FaultyDisk::new();
            disk.plan(step, Trouble::Cut);
            assert!(one_file(&disk).is_err());
            for seed in 0..20 {
                if let Some(content) = read(&disk.reboot(seed), "/d/f") {
                    assert_eq!(content, b"content", "cut at {step}, seed {seed}");
                }
            }
        }
    }
}
