//! A person's name in a form that can be shown, whatever character set it claims.
//!
//! The library below decodes the first value of SpecificCharacterSet and leaves the escape
//! sequences of ISO 2022 standing. Here the bytes are taken back out of that text and decoded by
//! the escapes (PS3.5 section 6.1.2.5). Chinese consoles write GBK under the name of Latin 1; what
//! can be nothing else is read as that.
//!
//! Every input has an outcome without control characters. The bytes as received stay in the spool;
//! what comes out here is for reading and is compared with nothing.

use encoding_rs::{
    EUC_JP, EUC_KR, Encoding, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6,
    ISO_8859_7, ISO_8859_8, SHIFT_JIS, WINDOWS_874, WINDOWS_1252, WINDOWS_1254,
};

const ESCAPE: u8 = 0x1B;

/// Signs that end a component or a group of a name, where the first character set is back.
const DELIMITERS: &[u8] = b"^=\\\r\n";

/// `text` is what the library made of the name, `charsets` the values of SpecificCharacterSet.
#[must_use]
pub fn readable(text: &str, charsets: &[String]) -> String {
    let clean = |text: &str| text.chars().filter(|c| !c.is_control()).collect::<String>();
    let first = charsets.first().map_or("", String::as_str);
    if text.contains(char::from(ESCAPE)) || charsets.len() > 1 {
        return match bytes_of(text) {
            Some(bytes) => clean(&by_escapes(&bytes, first)),
            None => clean(text),
        };
    }
    let latin = matches!(first, "" | "ISO_IR 6" | "ISO_IR 100");
    match bytes_of(text).filter(|_| latin).and_then(|b| as_gbk(&b)) {
        Some(chinese) => clean(&chinese),
        None => clean(text),
    }
}

/// The bytes from which the library made this text. It reads an unknown or empty set as Latin 1,
/// and Japanese half-width signs (ISO IR 13) as such.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    text.chars()
        .map(|c| match u32::from(c) {
            byte @ 0..=0xFF => u8::try_from(byte).ok(),
            katakana @ 0xFF61..=0xFF9F => u8::try_from(katakana - 0xFF61 + 0xA1).ok(),
            0x203E => Some(b'~'),
            _ => None,
        })
        .collect()
}

/// What the code elements G0 (7 bits) and G1 (8 bits) hold.
#[derive(Clone, Copy)]
enum Set {
    Single(&'static Encoding),
    /// Two bytes each, written with both high bits set in the encoding.
    Double(&'static Encoding),
    /// JIS X 0212: two bytes after 8F in EUC-JP.
    Supplementary,
}

fn by_escapes(bytes: &[u8], first: &str) -> String {
    let home = (Set::Single(WINDOWS_1252), high_set(first));
    let (mut low, mut high) = home;
    let mut text = String::new();
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == ESCAPE {
            rest = escape(after, &mut low, &mut high);
            continue;
        }
        let double = matches!(low, Set::Double(_) | Set::Supplementary);
        if DELIMITERS.contains(&byte) && !(double && starts_pair(rest)) {
            (low, high) = home;
            text.push(char::from(byte));
            rest = after;
            continue;
        }
        let set = if byte < 0x80 { low } else { high };
        let width = if matches!(set, Set::Single(_)) { 1 } else { 2 };
        let (sign, after) = rest.split_at_checked(width).unwrap_or((rest, &[]));
        text.push_str(&one(sign, set));
        rest = after;
    }
    text
}

/// Whether the next two bytes can be one sign of a two-byte set; a delimiter in front of an escape
/// or at the end cannot.
fn starts_pair(bytes: &[u8]) -> bool {
    matches!(bytes, [0x21..=0x7E, 0x21..=0x7E, ..])
}

fn one(sign: &[u8], set: Set) -> String {
    let mut bytes = sign.to_vec();
    let encoding = match set {
        Set::Single(encoding) => encoding,
        Set::Double(encoding) => {
            bytes.iter_mut().for_each(|b| *b |= 0x80);
            encoding
        }
        Set::Supplementary => {
            bytes.iter_mut().for_each(|b| *b |= 0x80);
            bytes.insert(0, 0x8F);
            EUC_JP
        }
    };
    encoding.decode_without_bom_handling(&bytes).0.into_owned()
}

/// Applies an escape sequence and returns what follows it. One that is not known is passed over
/// with its intermediate signs.
fn escape<'a>(bytes: &'a [u8], low: &mut Set, high: &mut Set) -> &'a [u8] {
    let taken = match bytes {
        [b'(', b'B' | b'J', ..] => {
            *low = Set::Single(WINDOWS_1252);
            2
        }
        [b')', b'I', ..] => {
            *high = Set::Single(SHIFT_JIS);
            2
        }
        [b'$', b'@' | b'B', ..] => {
            *low = Set::Double(EUC_JP);
            2
        }
        [b'$', b'(', b'D', ..] => {
            *low = Set::Supplementary;
            3
        }
        [b'$', b')', b'C', ..] => {
            *high = Set::Double(EUC_KR);
            3
        }
        [b'$', b')', b'A', ..] => {
            *high = Set::Double(GBK);
            3
        }
        [b'-', last, ..] => {
            *high = Set::Single(latin_part(*last));
            2
        }
        _ => {
            let between = bytes.iter().take_while(|b| (0x20..0x30).contains(*b));
            (between.count() + 1).min(bytes.len())
        }
    };
    bytes.get(taken..).unwrap_or_default()
}

/// The right half that `ESC 2/13 F` brings.
fn latin_part(last: u8) -> &'static Encoding {
    match last {
        b'B' => ISO_8859_2,
        b'C' => ISO_8859_3,
        b'D' => ISO_8859_4,
        b'L' => ISO_8859_5,
        b'G' => ISO_8859_6,
        b'F' => ISO_8859_7,
        b'H' => ISO_8859_8,
        b'M' => WINDOWS_1254,
        b'T' => WINDOWS_874,
        _ => WINDOWS_1252,
    }
}

/// The right half before any escape. Two-byte sets without their escape are what some writers
/// forget; a pair of high bytes says enough then.
fn high_set(first: &str) -> Set {
    match first
        .trim_start_matches("ISO 2022 ")
        .trim_start_matches("ISO_")
    {
        "IR 101" => Set::Single(ISO_8859_2),
        "IR 109" => Set::Single(ISO_8859_3),
        "IR 110" => Set::Single(ISO_8859_4),
        "IR 144" => Set::Single(ISO_8859_5),
        "IR 127" => Set::Single(ISO_8859_6),
        "IR 126" => Set::Single(ISO_8859_7),
        "IR 138" => Set::Single(ISO_8859_8),
        "IR 148" => Set::Single(WINDOWS_1254),
        "IR 166" => Set::Single(WINDOWS_874),
        "IR 13" => Set::Single(SHIFT_JIS),
        "IR 149" => Set::Double(EUC_KR),
        "IR 58" => Set::Double(GBK),
        _ => Set::Single(WINDOWS_1252),
    }
}

/// The name as GBK, if every component is plain ASCII or made of whole pairs, and one of them of nothing but
/// common Chinese signs. A Latin name has an ASCII letter beside each accented one: some of its components
/// may be pairs of GBK (Øy, Éléa), but none has accented letters alone.
fn as_gbk(bytes: &[u8]) -> Option<String> {
    let mut sure = false;
    for component in bytes.split(|b| DELIMITERS.contains(b) || *b == b' ') {
        if component.is_ascii() {
            continue;
        }
        let (pairs, odd) = component.as_chunks::<2>();
        let pair = |pair: &[u8; 2]| matches!(pair, [0x81..=0xFE, 0x40..=0x7E | 0x80..=0xFE]);
        if !odd.is_empty() || !pairs.iter().all(pair) {
            return None;
        }
        // The second of them begins with what is no sign in Latin 1.
        let common = |pair: &[u8; 2]| {
            matches!(
                pair,
                [0xB0..=0xF7, 0xA1..=0xFE] | [0x81..=0x9F, 0x80..=0xFE]
            )
        };
        sure |= pairs.iter().all(common);
    }
    if !sure {
        return None;
    }
    let (text, _, damaged) = GBK.decode(bytes);
    (!damaged).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the library makes of bytes whose first character set is empty or Latin.
    fn latin(bytes: &[u8]) -> String {
        bytes.iter().map(|&b| char::from(b)).collect()
    }

    fn sets(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    /// The examples of PS3.5 annexes H, I and K.
    #[test]
    fn the_standards_examples_are_read() {
        let japanese =
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B";
        assert_eq!(
            readable(&latin(japanese), &sets(&["", "ISO 2022 IR 87"])),
            "Yamada^Tarou=山田^太郎=やまだ^たろう"
        );
        let half = b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J";
        let through_library: String = latin(half)
            .chars()
            .map(|c| match u32::from(c) {
                b @ 0xA1..=0xDF => char::from_u32(b - 0xA1 + 0xFF61).unwrap_or(c),
                _ => c,
            })
            .collect();
        assert_eq!(
            readable(
                &through_library,
                &sets(&["ISO 2022 IR 13", "ISO 2022 IR 87"])
            ),
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"
        );
        let korean = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf";
        assert_eq!(
            readable(&latin(korean), &sets(&["", "ISO 2022 IR 149"])),
            "Hong^Gildong=洪^吉洞=홍^길동"
        );
        let chinese = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=";
        assert_eq!(
            readable(&latin(chinese), &sets(&["", "ISO 2022 IR 58"])),
            "Zhang^XiaoDong=张^小东="
        );
    }

    #[test]
    fn gbk_under_the_name_of_latin_is_read_and_latin_stays_latin() {
        let name = GBK.encode("王^小东").0.into_owned();
        for set in [&[][..], &["ISO_IR 100"], &["ISO_IR 6"]] {
            assert_eq!(readable(&latin(&name), &sets(set)), "王^小东");
        }
        // Signs that GB 2312 does not have, beside one that it has, and alone.
        for (name, bytes) in [
            ("朱^镕基", &b"\xD6\xEC^\xE9\x46\xBB\xF9"[..]),
            ("朱^喆", b"\xD6\xEC^\x86\xB4"),
            ("Zhu^喆", b"Zhu^\x86\xB4"),
        ] {
            assert_eq!(readable(&latin(bytes), &sets(&["ISO_IR 100"])), name);
        }
        for name in [
            "Müller^Jürgen",
            "Conceição^João",
            "Ñandú^Ÿ",
            "Ö^Ä",
            // Pairs of GBK, every one.
            "Øy^Éléa",
            "Ås^Özüm",
            "Øy^Ås",
        ] {
            let shown = readable(name, &sets(&["ISO_IR 100"]));
            assert_eq!(shown, name, "a Latin name");
        }
        // Letters of Windows under the name of Latin 1 (Šiša, Žo) are no signs there, and no Chinese ones.
        let windows = latin(b"\x8Ai\x9Aa^\x8Eo");
        assert_eq!(readable(&windows, &sets(&["ISO_IR 100"])), "ia^o");
        assert_eq!(readable("王^小东", &sets(&["ISO_IR 192"])), "王^小东");
    }

    #[test]
    fn what_nobody_defined_is_shown_without_its_controls() {
        let odd = readable("\x1b%/1Doe^Jane\x07\x1b", &sets(&["ISO 2022 IR 165", "x"]));
        assert!(
            odd.contains("Doe^Jane") && !odd.chars().any(char::is_control),
            "{odd:?}"
        );
        assert_eq!(readable("\x1b$", &sets(&["", "ISO 2022 IR 87"])), "");
        assert_eq!(readable("", &[]), "");
    }

    proptest! {
        #[test]
        fn every_input_has_an_end(bytes in prop::collection::vec(any::<u8>(), 0..80), set in 0usize..6) {
            let names = [
                &["", "ISO 2022 IR 87"][..], &["ISO 2022 IR 13", "ISO 2022 IR 87"],
                &["", "ISO 2022 IR 149"], &["", "ISO 2022 IR 58"], &["ISO_IR 100"], &[],
            ][set];
            let shown = readable(&latin(&bytes), &sets(names));
            prop_assert!(!shown.chars().any(char::is_control));
        }
    }
}
