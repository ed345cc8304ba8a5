//! What the kernel tells of disk, heat and displays, by files that everybody may read.
//!
//! `sys` is `/sys`; tests bring one of their own. What is not there is not known, and never an error.

use crate::base::disk::{Disk as _, RealDisk};
use crate::board::{Board, Celsius, Heat};
use crate::status::page::{self, Ailment};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the kernel tells.
pub const SYS: &str = "/sys";

/// Longest word of the kernel for a controller's state.
const LONGEST_STATE: usize = 40;

/// Thermal zones that are looked through for one of the board's.
const ZONES: usize = 64;

fn text(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

fn number<T: std::str::FromStr>(path: &Path) -> Option<T> {
    text(path)?.parse().ok()
}

/// The zones of the board and how hot they are. The judgement is the board's.
#[must_use]
pub fn heat(board: &Board, sys: &Path) -> Vec<(String, Option<Celsius>, Heat)> {
    let folder = sys.join("class/thermal");
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = (entries.take(ZONES).map(|e| e.path())).collect();
    places.sort();
    let of = |kind: &str| {
        let place = places
            .iter()
            .find(|place| text(&place.join("type")).as_deref() == Some(kind))?;
        let milli: f32 = number(&place.join("temp"))?;
        Some(Celsius(milli / 1000.0))
    };
    board
        .zones
        .iter()
        .map(|zone| {
            let now = of(&zone.kind);
            let heat = now.map_or(Heat::Fine, |now| zone.judge(now));
            (zone.kind.clone(), now, heat)
        })
        .collect()
}

/// The disk that holds `folder`.
#[must_use]
pub fn disk(folder: &Path, sys: &Path) -> page::Disk {
    let space = RealDisk.space(folder).ok();
    let device = fs::metadata(folder).ok().and_then(|about| {
        let (major, minor) = (
            rustix::fs::major(about.dev()),
            rustix::fs::minor(about.dev()),
        );
        fs::canonicalize(sys.join(format!("dev/block/{major}:{minor}"))).ok()
    });
    let read_only = rustix::fs::statvfs(folder)
        .is_ok_and(|about| (about.f_flag).contains(rustix::fs::StatVfsMountFlags::RDONLY));
    let mut found = page::Disk {
        used_percent: space.map(|space| space.percent()),
        free_gb: space.map(|space| (space.free as f64 / 1e8).round() / 10.0),
        read_only,
        ..page::Disk::default()
    };
    if let Some(device) = device {
        let name = device.file_name().unwrap_or_default().to_string_lossy();
        let ext4 = sys.join("fs/ext4").join(&*name);
        found.errors = number(&ext4.join("errors_count"));
        let written: Option<u64> = number(&ext4.join("lifetime_write_kbytes"));
        found.written_gb = written.map(|kib| kib.saturating_mul(1024) / 1_000_000_000);
        found.worn_percent = worn(&device);
        found.ailments.extend(reserve(&device));
        found.ailments.extend(controller(&device));
        found.name = name.into_owned();
    }
    found
}

/// A file of the disk behind a partition.
fn of_disk(device: &Path, name: &str) -> Option<PathBuf> {
    let places = device.ancestors().take(4);
    let mut files = places.map(|folder| folder.join("device").join(name));
    files.find(|file| file.is_file())
}

/// The blocks in reserve of an eMMC (JEDEC 84-B51, EXT_CSD 267): 1 is normal, 2 four fifths used, 3 urgent.
fn reserve(device: &Path) -> Option<Ailment> {
    match text(&of_disk(device, "pre_eol_info")?)?.as_str() {
        "0x02" => Some(Ailment::ReserveLow),
        "0x03" => Some(Ailment::ReserveGone),
        _ => None,
    }
}

/// What the kernel tells of an NVMe disk without root's rights: whether its controller is at work, and its
/// temperature beside the limit that it names. Its wear is not told so.
fn controller(device: &Path) -> Vec<Ailment> {
    let Some(file) = of_disk(device, "state") else {
        return Vec::new();
    };
    let disk = file.parent().unwrap_or(device).to_owned();
    // Other kinds of disks have such a file too, and other words in it.
    let is_nvme = fs::canonicalize(&disk).is_ok_and(|disk| {
        let name = disk
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        name.starts_with("nvme")
    });
    if !is_nvme {
        return Vec::new();
    }
    let mut found = Vec::new();
    if let Some(state) = text(&file).filter(|state| state != "live") {
        let state = state
            .chars()
            .filter(|c| !c.is_control())
            .take(LONGEST_STATE);
        found.push(Ailment::Controller(state.collect()));
    }
    let folders = fs::read_dir(&disk).into_iter().flatten().flatten();
    let mut places = folders.map(|entry| entry.path()).filter(|path| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        name.starts_with("hwmon") && path.join("temp1_input").is_file()
    });
    if let Some(place) = places.next()
        && let Some(milli) = number::<i32>(&place.join("temp1_input"))
        && let Some(limit) = number::<i32>(&place.join("temp1_max"))
        && limit > 0
        && milli >= limit
    {
        found.push(Ailment::Hot(milli / 1000));
    }
    found
}

/// How much of an eMMC's life is used: two estimates in steps of ten percent, the worse of which
/// counts (JEDEC 84-B51, EXT_CSD 268 and 269).
fn worn(device: &Path) -> Option<u8> {
    let text = text(&of_disk(device, "life_time")?)?;
    let steps = text
        .split_whitespace()
        .filter_map(|part| u8::from_str_radix(part.trim_start_matches("0x"), 16).ok());
    let worst = steps.max().filter(|step| (1..=11).contains(step))?;
    Some((worst * 10).min(100))
}

/// Displays of the board's card: None without a card, otherwise the connectors that have one.
#[must_use]
pub fn displays(board: &Board, sys: &Path) -> Option<Vec<String>> {
    let card = board.panel.card.file_name()?.to_string_lossy().into_owned();
    let folder = sys.join("class/drm");
    if !folder.join(&card).exists() {
        return None;
    }
    let prefix = format!("{card}-");
    let mut found: Vec<String> = fs::read_dir(&folder)
        .ok()?
        .flatten()
        .filter(|entry| text(&entry.path().join("status")).as_deref() == Some("connected"))
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            Some(name.strip_prefix(&prefix)?.to_owned())
        })
        .collect();
    found.sort();
    Some(found)
}

/// "6.1.0-42-arm64".
#[must_use]
pub fn kernel() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A board of one zone and a connector, and what its kernel tells.
    pub fn board() -> Board {
        Board::parse(
            "name = \"b\"\ntitle = \"Test board\"\n[panel]\ncard = \"/dev/dri/card0\"\n\
             connector = \"\"\nrotation = 0\n[[zone]]\nkind = \"cpu\"\nslow_c = 80.0\nstop_c = 95.0\n",
        )
        .unwrap()
    }

    pub fn put(sys: &Path, path: &str, text: &str) {
        let path = sys.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Gives the disk of `folder` a name in this tree.
    pub fn name_disk(sys: &Path, folder: &Path, name: &str) {
        let dev = fs::metadata(folder).unwrap().dev();
        let (major, minor) = (rustix::fs::major(dev), rustix::fs::minor(dev));
        let device = sys.join("devices/block").join(name);
        fs::create_dir_all(&device).unwrap();
        fs::create_dir_all(sys.join("dev/block")).unwrap();
        let link = sys.join(format!("dev/block/{major}:{minor}"));
        std::os::unix::fs::symlink(device, link).unwrap();
    }

    #[test]
    fn zones_are_found_by_their_kind() {
        let sys = tempfile::tempdir().unwrap();
        let seen = |sys: &Path| heat(&board(), sys).remove(0);
        assert_eq!(seen(sys.path()).1, None);
        put(sys.path(), "class/thermal/thermal_zone0/type", "gpu\n");
        put(sys.path(), "class/thermal/thermal_zone0/temp", "99000\n");
        put(sys.path(), "class/thermal/thermal_zone3/type", "cpu\n");
        put(sys.path(), "class/thermal/thermal_zone3/temp", "81500\n");
        let (kind, now, heat) = seen(sys.path());
        assert_eq!(
            (kind.as_str(), now, heat),
            ("cpu", Some(Celsius(81.5)), Heat::Slow)
        );
    }

    #[test]
    fn errors_and_wear_are_those_of_the_disk_that_holds_the_folder() {
        let sys = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let plain = disk(folder.path(), sys.path());
        assert!(plain.used_percent.is_some() && plain.free_gb.is_some() && !plain.read_only);
        assert_eq!((plain.errors, plain.worn_percent), (None, None));
        name_disk(sys.path(), folder.path(), "mmcblk0p3");
        put(sys.path(), "fs/ext4/mmcblk0p3/errors_count", "2\n");
        put(sys.path(), "devices/block/device/life_time", "0x02 0x09\n");
        let known = disk(folder.path(), sys.path());
        assert_eq!(known.name, "mmcblk0p3");
        assert_eq!((known.errors, known.worn_percent), (Some(2), Some(90)));
    }

    #[test]
    fn an_emmc_tells_of_its_reserve() {
        let (sys, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        name_disk(sys.path(), folder.path(), "mmcblk0p3");
        for (said, ailments) in [
            ("0x01\n", vec![]),
            ("0x02\n", vec![Ailment::ReserveLow]),
            ("0x03\n", vec![Ailment::ReserveGone]),
            ("0x00\n", vec![]),
        ] {
            put(sys.path(), "devices/block/device/pre_eol_info", said);
            assert_eq!(disk(folder.path(), sys.path()).ailments, ailments, "{said}");
        }
    }

    /// The tree of kernel 6.1: the disk's `device` is a link to the controller, which has the hwmon.
    #[test]
    fn an_nvme_disk_tells_of_its_controller_and_its_heat() {
        let (sys, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        name_disk(sys.path(), folder.path(), "nvme0n1p2");
        put(sys.path(), "fs/ext4/nvme0n1p2/errors_count", "0\n");
        put(
            sys.path(),
            "fs/ext4/nvme0n1p2/lifetime_write_kbytes",
            "5859375\n",
        );
        let nvme = "devices/pci/nvme/nvme0";
        put(sys.path(), &format!("{nvme}/state"), "live\n");
        put(sys.path(), &format!("{nvme}/hwmon2/temp1_input"), "41850\n");
        put(sys.path(), &format!("{nvme}/hwmon2/temp1_max"), "83850\n");
        let link = sys.path().join("devices/block/device");
        std::os::unix::fs::symlink(sys.path().join(nvme), link).unwrap();
        let seen = || disk(folder.path(), sys.path());
        assert_eq!((seen().errors, seen().written_gb), (Some(0), Some(6)));
        assert_eq!(seen().ailments, []);
        put(sys.path(), &format!("{nvme}/hwmon2/temp1_input"), "84850\n");
        assert_eq!(seen().ailments, [Ailment::Hot(84)]);
        put(sys.path(), &format!("{nvme}/state"), "dead\n");
        let dead = Ailment::Controller("dead".into());
        assert_eq!(seen().ailments, [dead, Ailment::Hot(84)]);
        // No limit of its own is no limit of ours.
        put(sys.path(), &format!("{nvme}/hwmon2/temp1_max"), "0\n");
        assert_eq!(seen().ailments.len(), 1);
    }

    #[test]
    fn the_word_of_another_kind_of_disk_is_not_an_nvmes() {
        let (sys, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        name_disk(sys.path(), folder.path(), "sda1");
        put(sys.path(), "devices/block/device/state", "running\n");
        assert_eq!(disk(folder.path(), sys.path()).ailments, []);
    }

    #[test]
    fn a_display_is_one_that_is_plugged_into_the_boards_card() {
        let sys = tempfile::tempdir().unwrap();
        assert_eq!(displays(&board(), sys.path()), None);
        put(sys.path(), "class/drm/card0/dev", "226:0");
        put(sys.path(), "class/drm/card0-DP-1/status", "disconnected\n");
        put(sys.path(), "class/drm/card1-DP-1/status", "connected\n");
        assert_eq!(displays(&board(), sys.path()), Some(Vec::new()));
        put(sys.path(), "class/drm/card0-HDMI-A-1/status", "connected\n");
        assert_eq!(
            displays(&board(), sys.path()),
            Some(vec!["HDMI-A-1".into()])
        );
    }
}
