//! Packages as a stick brings them, whole and damaged, and the places where models lie.

use super::*;
use crate::base::disk::RealDisk;
use std::fs;
use std::path::{Path, PathBuf};

fn key() -> SigningKey {
    SigningKey::parse(&SigningKey::generate().unwrap()).unwrap()
}

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

/// A box with a shipped model 0.3.0, and a maker of models with a key.
struct Site {
    folder: tempfile::TempDir,
    key: SigningKey,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["state", "shipped", "made"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("made/card.toml"), "a card").unwrap();
        fs::write(folder.path().join("made/cnn.onnx"), [7; 2000]).unwrap();
        Self { folder, key: key() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn package(&self, name: &str, version: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        pack(&self.path("made"), (name, version), &self.key, &mut bytes).unwrap();
        bytes
    }

    fn keys(&self) -> Vec<PublicKey> {
        vec![key().public(), self.key.public()]
    }

    /// Lets a package wait and starts the box, whose model 0.3.0 or the brought one counts.
    fn start(
        &self,
        package: Option<&[u8]>,
        prove: &dyn Fn(&Path) -> Result<(), String>,
    ) -> Result<Option<Installed>, Refused> {
        let (state, shipped) = (self.path("state"), self.path("shipped"));
        let slots = slots(&state, &shipped);
        if let Some(bytes) = package {
            let stick = self.path("stick.scanside");
            fs::write(&stick, bytes).unwrap();
            slots.put(&stick).unwrap();
        }
        let at = slots.in_use();
        let brought = at.file_name().unwrap().to_str().unwrap().to_owned();
        let present = brought.strip_prefix("model-").map(|v| v.replace('-', "."));
        let present = version(&present.unwrap_or_else(|| "0.3.0".into()));
        slots.install(&self.keys(), &("model".into(), present), prove)
    }

    fn in_use(&self) -> String {
        let (state, shipped) = (self.path("state"), self.path("shipped"));
        let at = slots(&state, &shipped).in_use();
        at.file_name().unwrap().to_str().unwrap().to_owned()
    }

    /// What lies beside the model that counts.
    fn rest(&self) -> Vec<String> {
        let mut rest = Vec::new();
        for folder in ["state/models", "state/updates"] {
            let entries = fs::read_dir(self.path(folder));
            for entry in entries.into_iter().flatten() {
                rest.push(entry.unwrap().file_name().into_string().unwrap());
            }
        }
        rest.retain(|name| *name != "current" && *name != self.in_use());
        rest
    }
}

fn slots<'a>(state: &'a Path, shipped: &'a Path) -> Slots<'a> {
    Slots {
        disk: &RealDisk,
        state,
        shipped,
    }
}

#[test]
fn a_signed_newer_model_is_proven_and_counts_from_then_on() {
    let site = Site::new();
    assert_eq!(site.in_use(), "shipped");
    assert_eq!(site.start(None, &|_| Ok(())).unwrap(), None);
    let proven = |folder: &Path| {
        assert_eq!(fs::read(folder.join("cnn.onnx")).unwrap(), [7; 2000]);
        assert_eq!(fs::read(folder.join("card.toml")).unwrap(), b"a card");
        Ok(())
    };
    let done = site.start(Some(&site.package("model", "0.4.0")), &proven);
    assert_eq!(done.unwrap().unwrap().version, "0.4.0");
    assert_eq!(site.in_use(), "model-0-4-0");
    // And the next one takes its place.
    site.start(Some(&site.package("model", "0.10.0")), &proven)
        .unwrap();
    assert_eq!(site.in_use(), "model-0-10-0");
    assert_eq!(site.rest(), [""; 0]);
    let (state, shipped) = (site.path("state"), site.path("shipped"));
    slots(&state, &shipped).leave().unwrap();
    assert_eq!(site.in_use(), "shipped");
    assert_eq!(site.rest(), [""; 0]);
}

#[test]
fn what_is_not_newer_or_another_model_is_refused_in_words() {
    let site = Site::new();
    for (name, offered, words) in [
        (
            "model",
            "0.3.0",
            "The update has version 0.3.0, and this box has 0.3.0 already.",
        ),
        (
            "model",
            "0.2.9",
            "The update has version 0.2.9, and this box has 0.3.0 already.",
        ),
        (
            "other",
            "9.0.0",
            "The update is for other, and this box has model.",
        ),
    ] {
        let refused = site.start(Some(&site.package(name, offered)), &|_| panic!("tried"));
        assert_eq!(refused.unwrap_err().to_string(), words);
        assert_eq!((site.in_use(), site.rest()), ("shipped".into(), vec![]));
    }
}

#[test]
fn a_model_that_does_not_hold_leaves_the_old_one() {
    let site = Site::new();
    site.start(Some(&site.package("model", "0.4.0")), &|_| Ok(()))
        .unwrap();
    let prove = |_: &Path| Err("its golden outputs differ".into());
    let refused = site.start(Some(&site.package("model", "0.5.0")), &prove);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "The new model does not hold on this box: its golden outputs differ."
    );
    assert_eq!((site.in_use(), site.rest()), ("model-0-4-0".into(), vec![]));
}

#[test]
fn a_model_that_takes_the_box_down_is_not_tried_twice() {
    let site = Site::new();
    let package = site.package("model", "0.4.0");
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        site.start(Some(&package), &|_| panic!("the process ends"))
    }));
    assert!(died.is_err());
    let refused = site.start(None, &|_| panic!("tried again")).unwrap_err();
    assert!(refused.to_string().contains("stopped while it tried it"));
    assert_eq!((site.in_use(), site.rest()), ("shipped".into(), vec![]));
    assert_eq!(site.start(None, &|_| Ok(())).unwrap(), None);
}

#[test]
fn every_changed_byte_and_every_cut_is_refused_before_anything_is_tried() {
    let site = Site::new();
    let whole = site.package("model", "0.4.0");
    let keys = site.keys();
    assert!(read(&whole[..], &keys, None).is_ok());
    for cut in (0..whole.len()).step_by(97) {
        // The end of the archive is zeros, of which it may want less than there are.
        let content = whole[cut..].iter().any(|byte| *byte != 0);
        assert!(
            read(&whole[..cut], &keys, None).is_err() || !content,
            "{cut}"
        );
    }
    let mut changed = whole.clone();
    for at in 0..whole.len() {
        changed[at] ^= 0x10;
        // In fields of the archive's headers that nobody reads a change does nothing.
        if let Ok(manifest) = read(&changed[..], &keys, None) {
            assert_eq!(manifest.version, "0.4.0", "{at}");
            assert_eq!(manifest.files.len(), 2, "{at}");
        }
        changed[at] = whole[at];
    }
    let text = whole.windows(5).position(|w| w == b"0.4.0").unwrap();
    changed[text] = b'9';
    assert!(matches!(
        read(&changed[..], &keys, None),
        Err(Refused::Stranger)
    ));
    let content = whole.windows(6).rposition(|w| w == b"a card").unwrap();
    let mut changed = whole.clone();
    changed[content] = b'A';
    assert!(matches!(
        read(&changed[..], &keys, None),
        Err(Refused::Damaged(_))
    ));
}

#[test]
fn only_keys_of_the_box_count_and_without_one_updates_are_off() {
    let site = Site::new();
    let package = site.package("model", "0.4.0");
    assert!(matches!(read(&package[..], &[], None), Err(Refused::Off)));
    let others = [key().public()];
    assert!(matches!(
        read(&package[..], &others, None),
        Err(Refused::Stranger)
    ));
    assert!(matches!(
        read(&b"not an archive"[..], &others, None),
        Err(Refused::NoPackage(_) | Refused::Disk(_))
    ));
    let public = site.key.public();
    assert_eq!(PublicKey::parse(&public.hex()), Some(public));
    for odd in ["", "zz", &public.hex()[1..], &"é".repeat(32)] {
        assert_eq!(PublicKey::parse(odd), None);
    }
}

/// The manifest is signed, but whoever signs may be wrong too.
#[test]
fn a_manifest_that_reaches_out_of_its_folder_is_refused() {
    let manifest = |name: &str, bytes: u64| {
        format!(
            "kind = 'model'\nname = 'model'\nversion = '0.4.0'\n[files]\n\"{name}\" = {{ bytes = {bytes}, sha256 = '{}' }}\n",
            "0".repeat(64)
        )
    };
    assert!(Manifest::parse(manifest("cnn.onnx", 5).as_bytes()).is_ok());
    for name in ["../cnn.onnx", "/etc/passwd", ".hidden", "a/b", "A", ""] {
        let refused = Manifest::parse(manifest(name, 5).as_bytes());
        assert!(matches!(refused, Err(Refused::Damaged(_))), "{name}");
    }
    assert!(Manifest::parse(manifest("cnn.onnx", u64::MAX / 2).as_bytes()).is_err());
    let fonts = manifest("cnn.onnx", 5).replace("kind = 'model'", "kind = 'fonts'");
    let refused = Manifest::parse(fonts.as_bytes()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "This update is of a kind that this box does not know (fonts)."
    );
    // A system is one image, and says for whom.
    let system = manifest("system.img", 5 << 30).replace("kind = 'model'", "kind = 'software'");
    assert!(Manifest::parse(system.as_bytes()).is_err());
    let fit = "[system]\nboard = 'b'\nsite = ''\nkernel = 'k'\n[files]";
    let system = system.replace("[files]", fit);
    assert!(Manifest::parse(system.as_bytes()).is_ok());
    let other = system.replace("system.img", "cnn.onnx");
    assert!(Manifest::parse(other.as_bytes()).is_err());
    assert!(Manifest::parse(system.replace("'software'", "'model'").as_bytes()).is_err());
}

#[test]
fn versions_are_three_numbers() {
    assert!(version("0.10.0") > version("0.9.9"));
    assert_eq!(version("1.2.3").to_string(), "1.2.3");
    for odd in [
        "", "1", "1.2", "1.2.3.4", "1.2.x", "1.2.-3", "1.2.+3", "1..3",
    ] {
        assert_eq!(Version::parse(odd), None, "{odd}");
    }
}
