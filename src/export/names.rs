//! Names on a stick: capitals, digits and underscores, eight characters and three (rule U8).
//!
//! Every file system and every console reads such names. They come from the report's number and
//! from our own file names, never from a patient.

use crate::base::ident::ReportNo;
use crate::report::dicom::DIRECTORY;

/// The file of sums keeps its usual name: the programs that check it look for that one.
pub const SUMS: &str = "SHA256SUMS";

/// Endings of more than three letters, and what they become. `README.TXT` on the stick explains.
const ENDINGS: [(&str, &str); 3] = [("JSON", "JSN"), ("HTML", "HTM"), ("JPEG", "JPG")];

/// Names that mean a device to some systems.
const RESERVED: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "COM1", "LPT1"];

/// The name on the stick of a file in a report's folder: `report.json` is `REPORT.JSN`. None where
/// there is no such name. `sr.dcm` is `SR`, as `DICOMDIR` beside it says.
pub fn on_stick(name: &str) -> Option<String> {
    if name == DIRECTORY {
        return Some(name.to_owned());
    }
    let (stem, ending) = name.split_once('.')?;
    let (stem, ending) = (stem.to_ascii_uppercase(), ending.to_ascii_uppercase());
    let short = ENDINGS.iter().find(|(long, _)| *long == ending);
    let ending = short.map_or(ending, |(_, short)| (*short).to_owned());
    let sound = |part: &str, most: usize| {
        (1..=most).contains(&part.len())
            && part
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    let usable = sound(&stem, 8) && sound(&ending, 3) && !RESERVED.contains(&stem.as_str());
    // The names in a DICOM file-set have no ending (PS3.10 section 8.5).
    let whole = match ending.as_str() {
        "DCM" => stem.clone(),
        _ => format!("{stem}.{ending}"),
    };
    usable.then_some(whole)
}

/// The folders a report may have on a stick, in the order in which they are tried: the second one
/// is for a report whose first folder was cut off, or for another box that counts the same.
pub fn folders(number: ReportNo) -> impl Iterator<Item = String> {
    let plain = number.to_string();
    let lettered = ('A'..='Z').map({
        let plain = plain.clone();
        move |letter| format!("{plain}{letter}")
    });
    std::iter::once(plain)
        .chain(lettered)
        .filter(|name| name.len() <= 8)
}

/// The number in the name of a report's folder on the box.
pub fn number(folder: &str) -> Option<ReportNo> {
    let digits = folder.strip_prefix('R')?;
    let number = ReportNo(digits.parse().ok()?);
    // One spelling for each number, and no sign.
    (number.to_string() == folder).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn our_files_have_short_names() {
        assert_eq!(on_stick("report.pdf").unwrap(), "REPORT.PDF");
        assert_eq!(on_stick("report.json").unwrap(), "REPORT.JSN");
        assert_eq!(on_stick("report.html").unwrap(), "REPORT.HTM");
        assert_eq!(on_stick("report.csv").unwrap(), "REPORT.CSV");
        assert_eq!(on_stick("key_1.png").unwrap(), "KEY_1.PNG");
        assert_eq!(on_stick("seg.dcm").unwrap(), "SEG");
        assert_eq!(on_stick("DICOMDIR").unwrap(), "DICOMDIR");
        for bad in [
            "",
            "report",
            "../x.pdf",
            "a.b.c",
            "con.txt",
            "überlang.pdf",
            "ninechars.pdf",
        ] {
            assert_eq!(on_stick(bad), None, "{bad}");
        }
    }

    #[test]
    fn folders_are_the_number_and_then_letters() {
        let names: Vec<String> = folders(ReportNo(123)).collect();
        assert_eq!(names[..3], ["R000123", "R000123A", "R000123B"]);
        assert_eq!(names.len(), 27);
        assert_eq!(
            folders(ReportNo(4_000_000)).count(),
            1,
            "no room for a letter"
        );
    }

    #[test]
    fn only_folders_of_reports_have_a_number() {
        assert_eq!(number("R000123"), Some(ReportNo(123)));
        for other in ["R123", "R+00123", "r000123", "R000123A", "lost+found", "R"] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_folder(name in ".{0,30}") {
            if let Some(short) = on_stick(&name) {
                prop_assert!(short.len() <= 12);
                prop_assert!(short.bytes().all(|b| b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.".contains(&b)));
                prop_assert!(short.matches('.').count() <= 1);
            }
        }

        #[test]
        fn every_number_reads_back(n in any::<u32>()) {
            prop_assert_eq!(number(&ReportNo(n).to_string()), Some(ReportNo(n)));
        }
    }
}
