//! Enters into the audit trail what the display tells of the door of its service page.

use crate::screen::told::Told;
use crate::store::Store;
use std::path::Path;

/// Takes in what is new in the file. It belongs to the display and stays.
pub(super) fn take_in(file: &Path, store: &Store) {
    let told = match Told::read(file) {
        Ok(Some(told)) if !told.events.is_empty() => told,
        Ok(_) => return,
        Err(trouble) => {
            crate::limited!(log::Level::Warn, "{}: {trouble}", file.display());
            return;
        }
    };
    let events = told.events.iter();
    let events: Vec<_> = events
        .map(|event| (event.number, event.at_ms, event.what.words()))
        .collect();
    if let Err(trouble) = store.audit_door(&told.session, &events) {
        crate::limited!(
            log::Level::Error,
            "who opened the service page cannot be entered: {trouble}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::door::Knock;
    use crate::store::Records;

    #[test]
    fn what_the_display_tells_is_entered_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let store = Store::open(&path).unwrap();
        let file = folder.path().join("door.json");
        take_in(&file, &store);
        let mut told = Told::default();
        told.add(Knock::WrongPin, 7);
        told.add(Knock::Pin, 8);
        told.write(&file).unwrap();
        take_in(&file, &store);
        told.add(Knock::Button, 9);
        told.write(&file).unwrap();
        take_in(&file, &store);
        take_in(&file, &store);
        std::fs::write(&file, "nothing of ours").unwrap();
        take_in(&file, &store);
        let rows = Records::open(&path).unwrap().audit(9).unwrap();
        let told: Vec<(&str, &str)> = rows
            .iter()
            .map(|row| (row.event.as_str(), row.what.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("login", "refused: a wrong PIN"),
                ("login", "service page opened by its PIN"),
                ("login", "service page opened by its button"),
            ]
        );
    }
}
