//! Keys that were pressed, from the kernel's input devices: a button of the board, a keypad.
//!
//! Each `/dev/input/event*` gives records of 24 bytes: the time, a type, a code, a value. Only presses
//! of keys are taken; what a device is called or claims to be does not matter, since the page that they
//! open shows nothing of a patient and changes nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often devices that were plugged in are looked for.
const LOOK: Duration = Duration::from_secs(2);

/// The box has a button and perhaps a keypad.
const MOST: usize = 8;

/// Records that are read from one device in a turn. Nobody types faster, and a device that never
/// stops must not hold up the picture.
const AT_ONCE: usize = 64;

/// `struct input_event` where a long has 64 bits, as on every board of ours.
const RECORD: usize = 24;

/// EV_KEY, and the value of a press. A key that is held repeats with another.
const KEY: u16 = 1;
const PRESSED: i32 = 1;

/// The devices that are open.
#[derive(Debug)]
pub struct Keys {
    folder: PathBuf,
    open: Vec<(PathBuf, File)>,
    looked: Option<Instant>,
}

impl Keys {
    /// `folder` is `/dev/input`.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            open: Vec::new(),
            looked: None,
        }
    }

    /// Codes of the keys that were pressed since the last turn.
    pub fn pressed(&mut self) -> Vec<u16> {
        let now = Instant::now();
        if self.looked.is_none_or(|at| now - at >= LOOK) {
            self.looked = Some(now);
            self.look();
        }
        let mut pressed = Vec::new();
        self.open
            .retain_mut(|(_, device)| read(device, &mut pressed));
        pressed
    }

    fn look(&mut self) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("event") && !self.open.iter().any(|(known, _)| known == path)
        });
        paths.sort();
        for path in paths {
            if self.open.len() == MOST {
                return;
            }
            let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
            match OpenOptions::new()
                .read(true)
                .custom_flags(nonblocking)
                .open(&path)
            {
                Ok(device) => self.open.push((path, device)),
                Err(why) => {
                    crate::limited!(log::Level::Warn, "{} cannot be read: {why}", path.display())
                }
            }
        }
    }
}

/// False when the device is gone.
fn read(device: &mut File, pressed: &mut Vec<u16>) -> bool {
    let mut bytes = [0; RECORD * AT_ONCE];
    match device.read(&mut bytes) {
        // The kernel gives whole records.
        Ok(length) => {
            let records = bytes.get(..length).unwrap_or_default();
            pressed.extend(records.chunks_exact(RECORD).filter_map(press));
            true
        }
        Err(why) => matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}

/// The code of a record that is a press.
fn press(record: &[u8]) -> Option<u16> {
    let two = |at: usize| Some(u16::from_ne_bytes(record.get(at..at + 2)?.try_into().ok()?));
    let value = i32::from_ne_bytes(record.get(20..24)?.try_into().ok()?);
    (two(16)? == KEY && value == PRESSED).then(|| two(18))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn record(kind: u16, code: u16, value: i32) -> Vec<u8> {
        let mut bytes = vec![7; 16];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(code.to_ne_bytes());
        bytes.extend(value.to_ne_bytes());
        bytes
    }

    #[test]
    fn presses_are_heard_once_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("event3");
        let mut device = File::create(&path).unwrap();
        fs::write(folder.path().join("mouse0"), record(1, 99, 1)).unwrap();
        let mut keys = Keys::new(folder.path());
        assert!(keys.pressed().is_empty());
        for bytes in [
            record(1, 28, 1),
            // Held, let go, a mouse that moves, the end of a report.
            record(1, 28, 2),
            record(1, 28, 0),
            record(2, 1, 1),
            record(0, 0, 0),
            record(1, 257, 1),
        ] {
            device.write_all(&bytes).unwrap();
        }
        assert_eq!(keys.pressed(), [28, 257]);
        assert!(keys.pressed().is_empty());
    }

    #[test]
    fn a_box_without_an_input_device_has_no_key_pressed() {
        assert!(Keys::new(Path::new("/nowhere")).pressed().is_empty());
    }

    #[test]
    fn a_device_that_never_stops_is_left_for_the_next_turn() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("event0"), record(1, 2, 1).repeat(1000)).unwrap();
        let mut keys = Keys::new(folder.path());
        assert_eq!(keys.pressed().len(), AT_ONCE);
    }
}
