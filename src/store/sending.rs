//! How the sending of a study ended: what its result has to say about images that may be missing.

use super::writer::{Store, StoreError};
use rusqlite::OptionalExtension;

/// How the last sending of a study ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// By a release, or nobody knows otherwise.
    Ended,
    /// The association broke, or never ended.
    Interrupted,
    /// Images still came when the longest wait was over.
    Longest,
}

impl Sending {
    fn word(self) -> &'static str {
        match self {
            Self::Ended => "",
            Self::Interrupted => "interrupted",
            Self::Longest => "longest",
        }
    }
}

impl Store {
    /// Notes how the sending of a study ended; nothing is written where that is known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sending_ended(&self, study_uid: &str, sending: Sending) -> Result<(), StoreError> {
        let uid = study_uid.to_owned();
        self.run(move |c| {
            c.prepare_cached("UPDATE studies SET sending=?2 WHERE study_uid=?1 AND sending<>?2")?
                .execute([uid.as_str(), sending.word()])
                .map(drop)
        })
    }

    /// How the sending of a study ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sending(&self, study_uid: &str) -> Result<Sending, StoreError> {
        let uid = study_uid.to_owned();
        let word: Option<String> = self.run(move |c| {
            c.prepare_cached("SELECT sending FROM studies WHERE study_uid=?1")?
                .query_row([&uid], |row| row.get(0))
                .optional()
        })?;
        Ok(match word.as_deref() {
            Some("interrupted") => Sending::Interrupted,
            Some("longest") => Sending::Longest,
            _ => Sending::Ended,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_instance;
    use super::*;

    #[test]
    fn it_is_told_until_another_sending_ends() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        store.receive(test_instance("1")).unwrap();
        assert_eq!(store.sending("1").unwrap(), Sending::Ended);
        for sending in [Sending::Interrupted, Sending::Longest, Sending::Ended] {
            store.sending_ended("1", sending).unwrap();
            assert_eq!(store.sending("1").unwrap(), sending);
        }
        store.sending_ended("2", Sending::Longest).unwrap();
        assert_eq!(store.sending("2").unwrap(), Sending::Ended, "no such study");
    }
}
