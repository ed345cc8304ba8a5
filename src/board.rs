//! What the hardware is: `board.toml` -> [`Board`].
//!
//! A board file holds the facts that differ between boards and that no program can ask for: the
//! panel's true size, the thermal zones worth watching, the power mode, the partitions. It is read
//! once at start, checked whole, and passed on; nothing else in the program knows a board's name.
//! The module reads no sensor and opens no device: `screen` and `service` do that with what they
//! find here, and `board/image/` makes partitions from it.

use crate::base::unit::Mm;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Board files have about 50 lines. Whatever is longer than this is not one.
const LARGEST_FILE: u64 = 64 * 1024;

/// Degrees Celsius, as the kernel's thermal zones give them (divided by 1000).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize)]
#[serde(transparent)]
pub struct Celsius(pub f32);

/// A checked board.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// Name of its folder below `board/`.
    pub name: String,
    /// For the service page.
    pub title: String,
    pub panel: Panel,
    /// Empty where the board has no sensor worth watching.
    pub zones: Vec<Zone>,
    pub power: PowerMode,
    /// The kernel's code of the key that opens the service page; none where the board has no button.
    pub service_button: Option<u16>,
    /// Empty on a machine that is not made from an image of ours.
    pub partitions: Vec<Partition>,
    /// Where software from a stick goes; none where something else brings it, or nothing.
    pub systems: Option<Systems>,
}

/// Two systems, and what says which one starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Systems {
    pub record: PathBuf,
    pub slots: [PathBuf; 2],
}

/// The display.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// The DRM node.
    pub card: PathBuf,
    pub connector: Connector,
    pub size: PanelSize,
    pub rotation: Rotation,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connector {
    /// The first one that has a display.
    Any,
    /// By the kernel's name, "HDMI-A-1".
    Named(String),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PanelSize {
    /// The display tells the truth.
    Edid,
    /// The display does not, or tells nothing.
    Measured { width: Mm, height: Mm },
}

/// How far the picture is turned clockwise before it goes to the panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    #[default]
    Upright,
    Right,
    UpsideDown,
    Left,
}

impl Rotation {
    #[must_use]
    pub fn degrees(self) -> u16 {
        match self {
            Self::Upright => 0,
            Self::Right => 90,
            Self::UpsideDown => 180,
            Self::Left => 270,
        }
    }

    fn from_degrees(degrees: u16) -> Option<Self> {
        [Self::Upright, Self::Right, Self::UpsideDown, Self::Left]
            .into_iter()
            .find(|rotation| rotation.degrees() == degrees)
    }
}

/// A thermal zone of the kernel and what its temperatures mean.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Content of the zone's `type` file.
    pub kind: String,
    /// From here on the board may slow itself down: SLOW - HOT.
    #[serde(rename = "slow_c")]
    pub slow: Celsius,
    /// From here on it may stop at any moment.
    #[serde(rename = "stop_c")]
    pub stop: Celsius,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Heat {
    Fine,
    Slow,
    Stop,
}

impl Zone {
    /// A reading that is no number (a sensor that answers nonsense) counts as fine: it must not
    /// take the screen from a cause that is known.
    #[must_use]
    pub fn judge(&self, now: Celsius) -> Heat {
        if now >= self.stop {
            Heat::Stop
        } else if now >= self.slow {
            Heat::Slow
        } else {
            Heat::Fine
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerMode {
    /// The board has one mode, or the image leaves it alone.
    AsItIs,
    /// The number of NVIDIA's `nvpmodel -m`.
    Nvpmodel(u8),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    pub label: String,
    pub device: PathBuf,
    /// Several partitions with one mount point are slots of an A/B scheme.
    pub mount: PathBuf,
    pub filesystem: Filesystem,
    pub mib: u32,
    pub writable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filesystem {
    Ext4,
    Vfat,
}

/// Why a board file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    #[error("the board file {} cannot be read", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the board file {} is too long to be one ({bytes} bytes)", path.display())]
    TooLong { path: PathBuf, bytes: u64 },
    #[error("the board file is not as it should be: {0}")]
    Syntax(#[from] toml::de::Error),
    #[error("the board file has a wrong {field}: {why}")]
    Wrong {
        field: &'static str,
        why: &'static str,
    },
}

impl Board {
    /// Reads and checks a board file.
    ///
    /// # Errors
    /// [`BoardError`], whole or nothing.
    pub fn load(path: &Path) -> Result<Self, BoardError> {
        let unread = |source| BoardError::Read {
            path: path.to_owned(),
            source,
        };
        let bytes = std::fs::metadata(path).map_err(unread)?.len();
        if bytes > LARGEST_FILE {
            return Err(BoardError::TooLong {
                path: path.to_owned(),
                bytes,
            });
        }
        Self::parse(&std::fs::read_to_string(path).map_err(unread)?)
    }

    /// Checks the text of a board file.
    ///
    /// # Errors
    /// [`BoardError::Syntax`] or [`BoardError::Wrong`].
    pub fn parse(text: &str) -> Result<Self, BoardError> {
        toml::from_str::<Raw>(text)?.checked()
    }

    /// A machine that is no box: a developer's desk, a server. No fact is known about it.
    #[must_use]
    pub fn desk() -> Self {
        Self {
            name: "desk".to_owned(),
            title: "this machine".to_owned(),
            panel: Panel {
                card: PathBuf::from("/dev/dri/card0"),
                connector: Connector::Any,
                size: PanelSize::Edid,
                rotation: Rotation::Upright,
            },
            zones: Vec::new(),
            power: PowerMode::AsItIs,
            service_button: None,
            partitions: Vec::new(),
            systems: None,
        }
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    title: String,
    panel: RawPanel,
    #[serde(default, rename = "zone")]
    zones: Vec<Zone>,
    #[serde(default)]
    power: RawPower,
    #[serde(default)]
    service: RawService,
    #[serde(default, rename = "partition")]
    partitions: Vec<Partition>,
    slots: Option<RawSlots>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSlots {
    record: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPanel {
    card: PathBuf,
    connector: String,
    size_mm: Option<[f64; 2]>,
    rotation: u16,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawService {
    button: Option<u16>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPower {
    nvpmodel: Option<u8>,
}

/// Says what is wrong unless `sound`.
fn check(sound: bool, field: &'static str, why: &'static str) -> Result<(), BoardError> {
    if sound {
        Ok(())
    } else {
        Err(BoardError::Wrong { field, why })
    }
}

/// Lines are drawn on the service page and names go into unit and file names.
fn is_word(text: &str, longest: usize) -> bool {
    !text.is_empty()
        && text.len() <= longest
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl Raw {
    fn checked(self) -> Result<Board, BoardError> {
        check(
            is_word(&self.name, 32),
            "name",
            "letters, digits and -, at most 32",
        )?;
        check(
            !self.title.is_empty()
                && self.title.len() <= 64
                && !self.title.contains(char::is_control),
            "title",
            "one line of at most 64 bytes",
        )?;
        for zone in &self.zones {
            check(
                is_word(&zone.kind, 32),
                "zone.kind",
                "letters, digits and -, at most 32",
            )?;
            // Below 40 C a warm room would raise it; above 125 C silicon does not live.
            check(
                zone.slow.0 >= 40.0 && zone.stop.0 <= 125.0 && zone.slow < zone.stop,
                "zone",
                "slow_c below stop_c, both from 40 to 125",
            )?;
        }
        check_partitions(&self.partitions)?;
        let systems = self.slots.map(|slots| slots.checked(&self.partitions));
        // Digits are for the PIN, and 767 is the kernel's last code.
        let button = self.service.button;
        check(
            button.is_none_or(|code| (12..=767).contains(&code)),
            "service.button",
            "a key code of the kernel that is no digit, from 12 to 767",
        )?;
        Ok(Board {
            name: self.name,
            title: self.title,
            panel: self.panel.checked()?,
            zones: self.zones,
            power: self
                .power
                .nvpmodel
                .map_or(PowerMode::AsItIs, PowerMode::Nvpmodel),
            service_button: button,
            partitions: self.partitions,
            systems: systems.transpose()?,
        })
    }
}

impl RawSlots {
    fn checked(self, partitions: &[Partition]) -> Result<Systems, BoardError> {
        let wrong = BoardError::Wrong {
            field: "slots",
            why: "a record below /dev that is no partition, and two partitions mounted at /",
        };
        let systems = partitions.iter().filter(|one| one.mount == Path::new("/"));
        let systems: Vec<PathBuf> = systems.map(|one| one.device.clone()).collect();
        let own = partitions.iter().all(|one| one.device != self.record);
        match <[PathBuf; 2]>::try_from(systems) {
            Ok(slots) if own && self.record.starts_with("/dev") => Ok(Systems {
                record: self.record,
                slots,
            }),
            _ => Err(wrong),
        }
    }
}

impl RawPanel {
    fn checked(self) -> Result<Panel, BoardError> {
        check(
            self.card.starts_with("/dev"),
            "panel.card",
            "a node below /dev",
        )?;
        let connector = if self.connector.is_empty() {
            Connector::Any
        } else {
            check(
                is_word(&self.connector, 32),
                "panel.connector",
                "a kernel name such as HDMI-A-1, or empty",
            )?;
            Connector::Named(self.connector)
        };
        let size = match self.size_mm {
            None => PanelSize::Edid,
            Some([width, height]) => {
                // From a 2 inch module to a wall display: outside, somebody wrote pixels.
                let sound = [width, height]
                    .iter()
                    .all(|mm| (20.0..=2000.0).contains(mm));
                check(sound, "panel.size_mm", "millimetres, each from 20 to 2000")?;
                PanelSize::Measured {
                    width: Mm(width),
                    height: Mm(height),
                }
            }
        };
        let rotation = Rotation::from_degrees(self.rotation).ok_or(BoardError::Wrong {
            field: "panel.rotation",
            why: "0, 90, 180 or 270",
        })?;
        Ok(Panel {
            card: self.card,
            connector,
            size,
            rotation,
        })
    }
}

/// The system is read-only, /var is one partition of its own, and nothing has two names.
fn check_partitions(partitions: &[Partition]) -> Result<(), BoardError> {
    if partitions.is_empty() {
        return Ok(());
    }
    for (i, one) in partitions.iter().enumerate() {
        // 16 bytes are what ext4 keeps of a label.
        check(
            is_word(&one.label, 16),
            "partition.label",
            "letters, digits, - and _, at most 16",
        )?;
        check(one.mib > 0, "partition.mib", "more than 0")?;
        check(
            one.device.starts_with("/dev"),
            "partition.device",
            "a node below /dev",
        )?;
        check(
            one.mount.is_absolute(),
            "partition.mount",
            "an absolute path",
        )?;
        let twice = partitions[..i]
            .iter()
            .any(|other| other.label == one.label || other.device == one.device);
        check(!twice, "partition", "a label or a device stands twice")?;
    }
    let at = |mount: &str| {
        partitions
            .iter()
            .filter(|one| one.mount == Path::new(mount))
            .collect::<Vec<_>>()
    };
    let system = at("/");
    check(
        !system.is_empty() && system.iter().all(|one| !one.writable),
        "partition",
        "the system needs a slot mounted at /, and no slot is writable",
    )?;
    let data = at("/var");
    check(
        matches!(data.as_slice(), [one] if one.writable && one.filesystem == Filesystem::Ext4),
        "partition",
        "/var is one writable ext4 partition",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const QEMU: &str = include_str!("../board/qemu-virt/board.toml");
    const ORIN: &str = include_str!("../board/orin-nano/board.toml");

    fn refusal(text: &str) -> String {
        match Board::parse(text) {
            Err(BoardError::Syntax(error)) => error.to_string(),
            Err(error) => error.to_string(),
            Ok(board) => panic!("taken: {board:?}"),
        }
    }

    fn orin_with(old: &str, new: &str) -> String {
        assert!(ORIN.contains(old), "the board file lost {old:?}");
        ORIN.replacen(old, new, 1)
    }

    #[test]
    fn both_boards_are_taken() {
        let qemu = Board::parse(QEMU).unwrap();
        assert_eq!(
            qemu.panel.connector,
            Connector::Named("Virtual-1".to_owned())
        );
        assert_eq!(qemu.panel.size, PanelSize::Edid);
        assert_eq!(qemu.power, PowerMode::AsItIs);
        assert!(qemu.zones.is_empty());
        let systems = qemu.systems.unwrap();
        assert_eq!(systems.record, Path::new("/dev/vdd"));
        assert_eq!(systems.slots, ["/dev/vda", "/dev/vdc"].map(PathBuf::from));

        let orin = Board::parse(ORIN).unwrap();
        assert_eq!(orin.panel.connector, Connector::Any);
        assert_eq!(
            orin.panel.size,
            PanelSize::Measured {
                width: Mm(217.0),
                height: Mm(136.0)
            }
        );
        assert_eq!(orin.power, PowerMode::Nvpmodel(0));
        assert_eq!(orin.partitions.len(), 3);
        // Its boot loader has slots of its own.
        assert_eq!(orin.systems, None);
    }

    #[test]
    fn a_folder_is_called_as_its_board() {
        for (folder, text) in [("qemu-virt", QEMU), ("orin-nano", ORIN)] {
            assert_eq!(Board::parse(text).unwrap().name, folder);
        }
    }

    #[test]
    fn heat_is_judged_from_the_board_s_own_limits() {
        let zone = &Board::parse(ORIN).unwrap().zones[0];
        assert_eq!(zone.judge(Celsius(84.9)), Heat::Fine);
        assert_eq!(zone.judge(Celsius(85.0)), Heat::Slow);
        assert_eq!(zone.judge(Celsius(95.0)), Heat::Stop);
        assert_eq!(zone.judge(Celsius(f32::NAN)), Heat::Fine);
    }

    #[test]
    fn a_wrong_board_is_refused_in_words() {
        for (text, word) in [
            (orin_with("rotation = 0", "rotation = 45"), "rotation"),
            (orin_with("rotation = 0", "turned = 0"), "turned"),
            (orin_with("[217.0, 136.0]", "[1280, 8]"), "size_mm"),
            (orin_with("[217.0, 136.0]", "[nan, 136.0]"), "size_mm"),
            (orin_with("slow_c = 85.0", "slow_c = 96.0"), "slow_c"),
            (orin_with("slow_c = 85.0", "slow_c = nan"), "slow_c"),
            (orin_with("writable = false", "writable = true"), "slot"),
            (orin_with("mount = \"/var\"", "mount = \"/data\""), "/var"),
            (orin_with("label = \"APP_b\"", "label = \"APP\""), "twice"),
            (QEMU.replace("/dev/vdd", "/dev/vdb"), "slots"),
            (QEMU.replace("/dev/vdd", "/tmp/x"), "slots"),
            (orin_with("\"orin-nano\"", "\"../orin\""), "name"),
            (orin_with("/dev/dri/card0", "/etc/passwd"), "card"),
            (String::new(), "name"),
        ] {
            let refusal = refusal(&text);
            assert!(refusal.contains(word), "{word:?} is not in {refusal:?}");
        }
    }

    #[test]
    fn a_file_that_is_no_board_file_is_not_swallowed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("board.toml");
        assert!(matches!(Board::load(&path), Err(BoardError::Read { .. })));
        std::fs::write(&path, " ".repeat(LARGEST_FILE as usize + 1)).unwrap();
        assert!(matches!(
            Board::load(&path),
            Err(BoardError::TooLong { .. })
        ));
        std::fs::write(&path, QEMU).unwrap();
        assert_eq!(Board::load(&path).unwrap().name, "qemu-virt");
    }
}
