//! A data set in the making: elements by tag, texts in the character set of the study.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_object::InMemDicomObject;

/// The character set of an object, as far as we write texts of our own in it.
///
/// What is copied from the images stays the bytes that it was, and the object declares what the
/// images declare. Our texts are ASCII for the most part, which every set contains; a name of a
/// site with accents is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8.
    Unicode,
    Latin1,
    /// Whatever it is, it has the letters of ASCII.
    Ascii,
}

impl Charset {
    /// By the first value of SpecificCharacterSet.
    #[must_use]
    pub fn of(declared: &str) -> Self {
        match declared.split('\\').next().unwrap_or_default().trim() {
            "ISO_IR 192" => Self::Unicode,
            "ISO_IR 100" => Self::Latin1,
            _ => Self::Ascii,
        }
    }

    /// A text in this set; characters that it does not have become question marks.
    #[must_use]
    pub fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Unicode => text.as_bytes().to_vec(),
            Self::Latin1 => text
                .chars()
                .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
                .collect(),
            Self::Ascii => text
                .chars()
                .map(|c| if c.is_ascii() { c as u8 } else { b'?' })
                .collect(),
        }
    }
}

/// Elements of a data set or of an item.
#[derive(Clone, Debug)]
pub struct Set {
    pub object: InMemDicomObject,
    pub charset: Charset,
}

impl Set {
    #[must_use]
    pub fn new(charset: Charset) -> Self {
        Self {
            object: InMemDicomObject::new_empty(),
            charset,
        }
    }

    /// Filled in one go.
    #[must_use]
    pub fn with(charset: Charset, fill: impl FnOnce(&mut Set)) -> Self {
        let mut set = Self::new(charset);
        fill(&mut set);
        set
    }

    /// Text of any kind; the backslash parts values where the VR has several. Control characters
    /// become spaces, and a value that is too long for its VR is cut.
    pub fn text(&mut self, tag: Tag, vr: VR, text: &str) {
        let tidy = |c: char| match c {
            '\n' | '\r' if matches!(vr, VR::UT | VR::LT | VR::ST) => c,
            c if c.is_control() => ' ',
            c => c,
        };
        let cut = |value: &str| -> String { value.chars().map(tidy).take(longest(vr)).collect() };
        let text = match vr {
            // The backslash is a sign like any other here.
            VR::ST | VR::LT | VR::UT => cut(text),
            _ => text.split('\\').map(cut).collect::<Vec<_>>().join("\\"),
        };
        if matches!(vr, VR::DS | VR::IS) {
            self.put(tag, vr, PrimitiveValue::from(text));
        } else {
            self.bytes(tag, vr, self.charset.encode(&text));
        }
    }

    /// Code strings, titles and UIDs, which stand in the program.
    pub fn code_string(&mut self, tag: Tag, text: &str) {
        self.text(tag, VR::CS, text);
    }

    pub fn uid(&mut self, tag: Tag, uid: &str) {
        self.text(tag, VR::UI, uid);
    }

    /// A value as bytes, padded as its VR asks for it.
    pub fn bytes(&mut self, tag: Tag, vr: VR, mut bytes: Vec<u8>) {
        if bytes.len() % 2 == 1 {
            let null = matches!(vr, VR::UI | VR::OB | VR::UN);
            bytes.push(if null { 0 } else { b' ' });
        }
        self.put(tag, vr, PrimitiveValue::from(bytes));
    }

    pub fn small(&mut self, tag: Tag, number: u16) {
        self.put(tag, VR::US, PrimitiveValue::from(number));
    }

    pub fn long(&mut self, tag: Tag, number: u32) {
        self.put(tag, VR::UL, PrimitiveValue::from(number));
    }

    pub fn longs(&mut self, tag: Tag, numbers: &[u32]) {
        let numbers = numbers.iter().copied().collect();
        self.put(tag, VR::UL, PrimitiveValue::U32(numbers));
    }

    pub fn double(&mut self, tag: Tag, number: f64) {
        self.put(tag, VR::FD, PrimitiveValue::from(number));
    }

    pub fn smalls(&mut self, tag: Tag, numbers: &[u16]) {
        let numbers = numbers.iter().copied().collect();
        self.put(tag, VR::US, PrimitiveValue::U16(numbers));
    }

    /// A pointer to an attribute.
    pub fn pointer(&mut self, tag: Tag, to: Tag) {
        self.put(tag, VR::AT, PrimitiveValue::from(to));
    }

    /// Decimal strings.
    pub fn decimals(&mut self, tag: Tag, numbers: &[f64]) {
        let texts: Vec<String> = numbers.iter().map(|n| decimal(*n)).collect();
        self.text(tag, VR::DS, &texts.join("\\"));
    }

    pub fn items(&mut self, tag: Tag, items: Vec<Set>) {
        let items: Vec<InMemDicomObject> = items.into_iter().map(|item| item.object).collect();
        let items = DataSetSequence::from(items);
        self.object.put(DataElement::new(tag, VR::SQ, items));
    }

    /// A sequence of one item.
    pub fn item(&mut self, tag: Tag, fill: impl FnOnce(&mut Set)) {
        let item = Set::with(self.charset, fill);
        self.items(tag, vec![item]);
    }

    /// Type 2 without a value.
    pub fn empty(&mut self, tag: Tag, vr: VR) {
        if vr == VR::SQ {
            self.items(tag, Vec::new());
        } else {
            self.put(tag, vr, PrimitiveValue::Empty);
        }
    }

    fn put(&mut self, tag: Tag, vr: VR, value: PrimitiveValue) {
        self.object.put(DataElement::new(tag, vr, value));
    }
}

/// Characters that a value of this VR may have (PS3.5 table 6.2-1).
fn longest(vr: VR) -> usize {
    match vr {
        VR::SH | VR::CS | VR::AE => 16,
        VR::LO | VR::UI => 64,
        VR::ST => 1024,
        VR::LT => 10240,
        _ => usize::MAX,
    }
}

/// A number in at most sixteen characters, the shortest that reads back as it was where there is
/// one.
#[must_use]
pub fn decimal(number: f64) -> String {
    if !number.is_finite() {
        return "0".to_owned();
    }
    let fits = |text: &String| text.len() <= 16;
    let plain = format!("{number}");
    if fits(&plain) {
        return plain;
    }
    let scientific = format!("{number:E}");
    if fits(&scientific) {
        return scientific;
    }
    (0..=15)
        .rev()
        .flat_map(|digits| [format!("{number:.digits$}"), format!("{number:.digits$E}")])
        .find(fits)
        .unwrap_or_else(|| "0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_fit_and_read_back() {
        for number in [
            0.0,
            1.5,
            -312.5,
            1.0 / 3.0,
            -1.0 / 3.0,
            1e-10,
            123_456_789.123_456_79,
        ] {
            let text = decimal(number);
            assert!(text.len() <= 16, "{text}");
            let back: f64 = text.parse().unwrap();
            assert!(
                (back - number).abs() <= 1e-9 * number.abs().max(1e-6),
                "{text}"
            );
        }
        assert_eq!(
            decimal(f64::from(14.285_714_f32) as f32 as f64),
            decimal(14.285_714_149_475_098)
        );
        assert_eq!(decimal(f64::NAN), "0");
    }

    #[test]
    fn texts_stay_in_their_set() {
        assert_eq!(Charset::of("ISO_IR 100").encode("Köln"), b"K\xf6ln");
        assert_eq!(Charset::of("\\ISO 2022 IR 87").encode("Köln"), b"K?ln");
        assert_eq!(Charset::of("ISO_IR 192").encode("Köln"), "Köln".as_bytes());
        let set = Set::with(Charset::Ascii, |s| {
            s.text(dicom_dictionary_std::tags::STATION_NAME, VR::SH, "a\nb");
        });
        let bytes = set
            .object
            .element(dicom_dictionary_std::tags::STATION_NAME)
            .unwrap();
        assert_eq!(bytes.to_bytes().unwrap().as_ref(), b"a b ");
    }
}
