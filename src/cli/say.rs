//! Standard output, whose reader may leave before the end.
//!
//! `println!` panics when nobody reads any more, as in `scanside analyse --json DIR | head`. Here a
//! reader who has seen enough is no error; any other trouble, such as a full disk behind `>`, is
//! remembered and makes the command fail at its end.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

static TROUBLE: Mutex<Option<io::Error>> = Mutex::new(None);

/// As `println!`, for every word that a command has to say.
macro_rules! say {
    () => {
        $crate::cli::say::line(format_args!(""))
    };
    ($($words:tt)*) => {
        $crate::cli::say::line(format_args!($($words)*))
    };
}
pub(super) use say;

pub(super) fn line(words: fmt::Arguments<'_>) {
    note(write(&mut io::stdout().lock(), words));
}

fn write(to: &mut impl Write, words: fmt::Arguments<'_>) -> io::Result<()> {
    match writeln!(to, "{words}") {
        Err(trouble) if trouble.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn note(written: io::Result<()>) {
    if let Err(trouble) = written {
        let mut first = TROUBLE.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(trouble);
    }
}

/// What went wrong with the output, if anything did.
///
/// # Errors
/// The first trouble other than a reader who is gone.
pub(super) fn finish() -> io::Result<()> {
    match io::stdout().flush() {
        Err(trouble) if trouble.kind() == ErrorKind::BrokenPipe => {}
        flushed => note(flushed),
    }
    let trouble = TROUBLE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    trouble.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone(ErrorKind);

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_is_gone_is_no_error_and_a_full_disk_is() {
        let words = format_args!("{}", 1);
        assert!(write(&mut Gone(ErrorKind::BrokenPipe), words).is_ok());
        assert!(write(&mut Gone(ErrorKind::StorageFull), words).is_err());
        let mut said = Vec::new();
        write(&mut said, words).unwrap();
        assert_eq!(said, b"1\n");
    }
}
