//! What a stick says to whoever finds it. Lines end as Windows wants them and are shorter than 80.

use super::age::Recipient;
use std::fmt::Write as _;

const HEAD: &str = "\
RESEARCH USE ONLY. Not a medical device. Not for diagnosis, screening or\r
treatment decisions. Read by a radiologist.\r
\r
Each folder here holds one report of a scanside box, named by its number.\r
\r
";

const FILES: &str = "\
REPORT.PDF   the report to read and print\r
REPORT.JSN   the same for programs: a JSON text. Names here end in three\r
             letters; copy it to report.json where a program insists\r
REPORT.HTM   the same for a browser, in one file; REPORT.CSV one row for a\r
             spreadsheet\r
KEY_1.PNG    the key images: the slice, and the slice with the difference map\r
DICOMDIR     the directory of the DICOM objects beside it: SR (measurements),\r
             SEG (the region), SC (key images), PDF (the report)\r
DEIDENT.TXT  what was done to take the patient out of all this\r
";

const TAIL: &str = "\
SHA256SUMS   written last\r
\r
A folder without SHA256SUMS is incomplete: the stick was removed too early.\r
So is one for which `sha256sum -c SHA256SUMS` reports a mismatch. Do not use\r
it; the next export writes the report again into a folder with a letter.\r
\r
Treat this stick as you treat patient data.\r
";

const SEALED: &str = "\
The reports are sealed: only who has one of the secret keys can read them.\r
\r
REPORT.AGE   the report, sealed with age (age-encryption.org)\r
SEALED.TXT   for which keys this folder is sealed, and how to open it\r
";

/// `README.TXT` beside the folders.
pub fn readme(recipients: Option<&[Recipient]>) -> String {
    let Some(recipients) = recipients else {
        return [HEAD, FILES, TAIL].concat();
    };
    let mut text = [HEAD, SEALED, TAIL].concat();
    text.push_str("\r\nWhen this stick was written first, it was sealed for:\r\n\r\n");
    list(&mut text, recipients);
    text.push_str("\r\nHow to open a report:\r\n\r\n");
    text.push_str(OPEN);
    text
}

const OPEN: &str = "  \
  age -d -i KEY -o REPORT.TAR REPORT.AGE\r
  tar -xf REPORT.TAR\r
\r
KEY is the file that age-keygen made, with the secret key in it; age is on\r
age-encryption.org and in Linux distributions, tar is in Windows too. What\r
comes out is a folder with the report and with sums of its own.\r
";

/// `SEALED.TXT` of a folder. The mark is the box's, by which it knows its own file again.
pub fn sealed(recipients: &[Recipient], mark: &str) -> String {
    let mut text = "\
RESEARCH USE ONLY. Not a medical device. Not for diagnosis, screening or\r
treatment decisions. Read by a radiologist.\r
\r
REPORT.AGE is one report, sealed with age (age-encryption.org/v1). These\r
public keys name for whom; nobody else can open it, the box included:\r
\r
"
    .to_owned();
    list(&mut text, recipients);
    text.push_str("\r\nHow to open it:\r\n\r\n");
    text.push_str(OPEN);
    let _ = write!(text, "\r\nThe box knows this file by:\r\n{mark}\r\n");
    text
}

fn list(text: &mut String, recipients: &[Recipient]) {
    for recipient in recipients {
        let _ = write!(text, "  {recipient}\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::age::tests::Identity;

    #[test]
    fn lines_are_short_and_end_as_windows_wants_them() {
        let recipients = [Identity::draw().recipient(), Identity::draw().recipient()];
        let mark = "ab".repeat(32);
        for text in [
            readme(None),
            readme(Some(&recipients)),
            sealed(&recipients, &mark),
        ] {
            assert!(text.is_ascii() && text.ends_with("\r\n"));
            for line in text.split_terminator('\n') {
                assert!(line.len() <= 80 && line.ends_with('\r'), "{line:?}");
            }
        }
        for text in [readme(Some(&recipients)), sealed(&recipients, &mark)] {
            assert!(text.contains("\r\n  age -d -i KEY"), "{text}");
            for recipient in &recipients {
                assert!(text.contains(&recipient.to_string()));
            }
        }
    }
}
