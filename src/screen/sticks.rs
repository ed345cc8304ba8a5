//! What `export-stick` says about the sticks that are in.
//!
//! Each has a folder with a `status.json`, which lasts exactly as long as the stick is in (appliance
//! spec U2). The words are meant for the person who waits in front of the display. What the script
//! says by itself comes as a code and is put into the box's language here; what the exporter says
//! comes in that language.

use super::words;
use crate::base::language::Language;
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

/// What the script itself has to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Say {
    OtherFormat,
    DoesNotOpen,
    Writing,
    TooSlow,
    NotClosed,
    Exported,
    NotExported,
    /// A script that is newer than this program: its own words are shown.
    #[default]
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct Message {
    state: State,
    #[serde(default)]
    say: Say,
    words: String,
}

impl Message {
    fn in_language(&self, language: Language) -> String {
        if let Some(said) = words::stick(self.say) {
            return said.of(language).to_owned();
        }
        let safe = &words::SAFE_TO_REMOVE;
        match (self.state, self.words.strip_prefix(safe.en)) {
            (State::SafeToRemove, Some(rest)) => {
                let rest = rest.trim_start();
                let rest = rest.strip_prefix(safe.of(language)).unwrap_or(rest);
                format!("{} {}", safe.of(language), rest.trim_start())
            }
            _ if self.words == words::NOTHING_EXPORTED.en => {
                words::NOTHING_EXPORTED.of(language).to_owned()
            }
            _ => self.words.clone(),
        }
    }
}

/// The most urgent message, with the number of the others behind it.
#[must_use]
pub fn message(folder: &Path, language: Language) -> Option<String> {
    let entries = fs::read_dir(folder).ok()?;
    let mut found: Vec<Message> = entries
        .flatten()
        .take(MOST)
        .filter_map(|entry| read(&entry.path().join("status.json")))
        .collect();
    found.sort_by_key(|message| message.state);
    let first = found.first()?;
    let said = first.in_language(language);
    let said = said.chars().filter(|c| !c.is_control());
    let said: String = said.take(LONGEST).collect();
    Some(match found.len() {
        1 => said.trim_end().to_owned(),
        n => format!("{} ({})", said.trim_end(), words::sticks(language, n)),
    })
}

fn read(path: &Path) -> Option<Message> {
    let mut text = Vec::new();
    let file = File::open(path).ok()?;
    file.take(LARGEST).read_to_end(&mut text).ok()?;
    // A sentence that was cut within a letter is a sentence all the same.
    serde_json::from_str(&String::from_utf8_lossy(&text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stick_that_must_not_be_pulled_is_shown_first() {
        let folder = tempfile::tempdir().unwrap();
        let message = |folder: &Path| message(folder, Language::English);
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

    #[test]
    fn a_code_is_told_in_the_language_of_the_box() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sda1")).unwrap();
        let said = |text: &str, language| {
            fs::write(folder.path().join("sda1/status.json"), text).unwrap();
            message(folder.path(), language).unwrap()
        };
        let (english, german) = (Language::English, Language::German);
        let text = r#"{"state": "failed", "say": "too_slow", "words": "in English"}"#;
        assert!(said(text, english).starts_with("Not all reports were written"));
        assert!(said(text, german).starts_with("Nicht alle Berichte"));
        let text = r#"{"state": "failed", "say": "of_tomorrow", "words": "A new sentence."}"#;
        assert_eq!(said(text, german), "A new sentence.");
        // The exporter has said it in German, the script has put its own words before it.
        let own = words::SAFE_TO_REMOVE.of(german);
        for rest in [
            format!("{own} 2 Berichte kopiert."),
            "2 Berichte kopiert.".into(),
        ] {
            let text = format!(
                r#"{{"state": "safe_to_remove", "say": "exported", "words": "SAFE TO REMOVE. {rest}"}}"#
            );
            assert_eq!(said(&text, german), format!("{own} 2 Berichte kopiert."));
        }
    }
}
