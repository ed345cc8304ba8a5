//! The serial number of a stick, from what the kernel tells of USB devices.

use std::fs;
use std::path::Path;

/// Folders between a block device and its USB device: host, target, interface.
const DEEPEST: usize = 16;

/// The number of the USB device behind a block device such as `/dev/sda1`. `sys` is `/sys`. None for
/// what is no USB device, or for one without a number.
#[must_use]
pub fn serial(sys: &Path, device: &Path) -> Option<String> {
    let name = device.file_name()?;
    let place = fs::canonicalize(sys.join("class/block").join(name)).ok()?;
    let usb = place
        .ancestors()
        .take(DEEPEST)
        .find(|folder| folder.join("idVendor").is_file())?;
    let text = fs::read_to_string(usb.join("serial")).ok()?;
    // The stick says what it likes here.
    let sound = |c: &char| c.is_ascii_alphanumeric() || "_.-".contains(*c);
    let text: String = text.trim().chars().filter(sound).take(64).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_that_of_the_usb_device_above() {
        let sys = tempfile::tempdir().unwrap();
        let usb = sys.path().join("devices/usb1/1-2");
        let block = usb.join("1-2:1.0/host0/target0/0:0:0:0/block/sda/sda1");
        fs::create_dir_all(&block).unwrap();
        fs::create_dir_all(sys.path().join("class/block")).unwrap();
        std::os::unix::fs::symlink(&block, sys.path().join("class/block/sda1")).unwrap();
        let asked = || serial(sys.path(), Path::new("/dev/sda1"));
        assert_eq!(asked(), None);
        fs::write(usb.join("idVendor"), "0951\n").unwrap();
        assert_eq!(asked(), None, "a stick without a number");
        fs::write(usb.join("serial"), "E0D5\u{7}5E \"1\n").unwrap();
        assert_eq!(asked().as_deref(), Some("E0D55E1"));
        assert_eq!(serial(sys.path(), Path::new("/dev/sdb")), None);
    }
}
