//! What `export-stick` says about the sticks that are in.
//!
//! Each has a folder with a `status.json`, which lasts exactly as long as the stick is in (appliance
//! spec U2). The words are meant for the person who waits in front of the display.

use serde::Deserialize;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// The box has a handful of ports.
const MOST: usize = 8;

/// A message is a sentence.
const LARGEST: u64 = 4096;

/// Longest text for the display's field.
const LONGEST: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    // In the order in which one of several is shown: what must not be pulled goes first.
    Writing,
    Failed,
    Unusable,
    SafeToRemove,
}

#[derive(Deserialize)]
struct Message {
    state: State,
    words: String,
}

/// The most urgent message, with the number of the others behind it.
#[must_use]
pub fn message(folder: &Path) -> Option<String> {
    let entries = fs::read_dir(folder).ok()?;
    let mut found: Vec<Message> = entries
        .flatten()
        .take(MOST)
        .filter_map(|entry| read(&entry.path().join("status.json")))
        .collect();
    found.sort_by_key(|message| message.state);
    let first = found.first()?;
    let words = first.words.chars().filter(|c| !c.is_control());
    let words: String = words.take(LONGEST).collect();
    Some(match found.len() {
        1 => words,
        n => format!("{words} ({n} sticks)"),
    })
}

fn read(path: &Path) -> Option<Message> {
    let mut text = Vec::new();
    let file = File::open(path).ok()?;
    file.take(LARGEST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stick_that_must_not_be_pulled_is_shown_first() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(message(&folder.path().join("none")), None);
        assert_eq!(message(folder.path()), None);
        let say = |stick: &str, text: &str| {
            fs::create_dir_all(folder.path().join(stick)).unwrap();
            fs::write(folder.path().join(stick).join("status.json"), text).unwrap();
        };
        say(
            "sda1",
            r#"{"state": "safe_to_remove", "words": "SAFE TO REMOVE."}"#,
        );
        say("sdb", "half a messa");
        assert_eq!(message(folder.path()).unwrap(), "SAFE TO REMOVE.");
        say(
            "sdc1",
            "{\"state\": \"writing\", \"words\": \"Do not\\u0007 pull.\"}",
        );
        assert_eq!(message(folder.path()).unwrap(), "Do not pull. (2 sticks)");
    }
}
