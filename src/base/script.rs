//! Text of a script that runs to the left and joins its letters: in which order its parts stand on a
//! line, and which glyphs they become.
//!
//! The order is that of the Unicode algorithm (unicode-bidi), the letters are joined by rustybuzz.
//! Screen and report set the parts each with their own faces; the face of such a script is one for
//! both and stands here with its licence.

use rustybuzz::{BufferFlags, Direction, Face, UnicodeBuffer};
use std::ops::Range;
use unicode_bidi::{BidiClass, BidiInfo, Level, bidi_class};

/// Vazirmatn (OFL), the variant without Latin letters: those come from the faces beside it.
pub const REGULAR: &[u8] = include_bytes!("faces/Vazirmatn-Regular.ttf");
pub const BOLD: &[u8] = include_bytes!("faces/Vazirmatn-Bold.ttf");

/// Keeps two letters from joining inside a word (U+200C).
pub const NON_JOINER: char = '\u{200c}';

/// Neighbours in one face that run in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<F> {
    /// Bytes of the line.
    pub range: Range<usize>,
    pub face: F,
    pub leftward: bool,
}

/// Whether a text has a letter that runs to the left.
#[must_use]
pub fn runs_left(text: &str) -> bool {
    text.chars().any(is_leftward)
}

/// Whether a character runs to the left.
#[must_use]
pub fn is_leftward(c: char) -> bool {
    // Latin text has none below the Hebrew block, and most text is that.
    c >= '\u{590}'
        && matches!(
            bidi_class(c),
            BidiClass::R | BidiClass::AL | BidiClass::RLE | BidiClass::RLO | BidiClass::RLI
        )
}

/// The parts of a line from the left to the right. `begins_right` says from where the line as a whole
/// is read; `pick` names the face of a character, with whether it stands among letters that run to the
/// left.
#[must_use]
pub fn parts<F: Copy + PartialEq>(
    line: &str,
    begins_right: bool,
    pick: impl Fn(char, bool) -> F,
) -> Vec<Part<F>> {
    let level = if begins_right {
        Level::rtl()
    } else {
        Level::ltr()
    };
    let info = BidiInfo::new(line, Some(level));
    let mut parts = Vec::new();
    for paragraph in &info.paragraphs {
        let (levels, runs) = info.visual_runs(paragraph, paragraph.range.clone());
        for run in runs {
            let leftward = levels.get(run.start).is_some_and(|level| level.is_rtl());
            let from = parts.len();
            for (at, character) in line.get(run.clone()).unwrap_or_default().char_indices() {
                let start = run.start + at;
                let end = start + character.len_utf8();
                let face = pick(character, leftward);
                match parts.get_mut(from..).and_then(<[Part<F>]>::last_mut) {
                    Some(part) if part.face == face => part.range.end = end,
                    _ => parts.push(Part {
                        range: start..end,
                        face,
                        leftward,
                    }),
                }
            }
            if leftward && let Some(run) = parts.get_mut(from..) {
                run.reverse();
            }
        }
    }
    parts
}

/// One glyph of a shaped part, in the units of its face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyph {
    pub index: u16,
    /// Byte of the part where the text of this glyph begins.
    pub cluster: usize,
    pub advance: i32,
    pub x: i32,
    pub y: i32,
}

/// The glyphs of a part from the left to the right, joined. Characters that steer others are gone.
#[must_use]
pub fn shape(face: &Face<'static>, text: &str, leftward: bool) -> Vec<Glyph> {
    let mut buffer = UnicodeBuffer::new();
    buffer.push_str(text);
    buffer.guess_segment_properties();
    buffer.set_direction(if leftward {
        Direction::RightToLeft
    } else {
        Direction::LeftToRight
    });
    buffer.set_flags(BufferFlags::REMOVE_DEFAULT_IGNORABLES);
    let shaped = rustybuzz::shape(face, &[], buffer);
    (shaped.glyph_infos().iter())
        .zip(shaped.glyph_positions())
        .map(|(info, position)| Glyph {
            index: u16::try_from(info.glyph_id).unwrap_or(0),
            cluster: info.cluster as usize,
            advance: position.x_advance,
            x: position.x_offset,
            y: position.y_offset,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &str) -> Vec<&str> {
        let parts = parts(line, true, |c, _| !c.is_ascii_alphanumeric());
        parts.into_iter().map(|part| &line[part.range]).collect()
    }

    #[test]
    fn numbers_and_latin_words_keep_their_order_in_a_line_that_runs_left() {
        assert!(runs_left("برش 12") && !runs_left("slice 12 · Ж"));
        // Seen from the left: the last word first, the number as it is read.
        assert_eq!(order("برش 24 از"), [" از", "24", "برش "]);
        // A sign stays with its number when a mark says so.
        let air = "هوا \u{200e}-998 HU\u{200e}";
        let seen: String = order(air).concat().replace('\u{200e}', "");
        assert_eq!(seen, "-998 HUهوا ");
    }

    #[test]
    fn letters_join_and_a_non_joiner_parts_them() {
        let face = Face::from_slice(REGULAR, 0).unwrap();
        let glyphs = |text| -> Vec<u16> {
            let shaped = shape(&face, text, true);
            shaped.iter().map(|glyph| glyph.index).collect()
        };
        let joined = glyphs("می");
        let apart = glyphs("م\u{200c}ی");
        assert_eq!((joined.len(), apart.len()), (2, 2));
        assert_ne!(joined, apart);
        assert!(!joined.contains(&0) && !apart.contains(&0));
    }

    #[test]
    fn both_weights_have_every_letter_of_persian() {
        for bytes in [REGULAR, BOLD] {
            let face = Face::from_slice(bytes, 0).unwrap();
            for letter in "آابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهیئءأؤ،؛؟".chars()
            {
                assert!(face.glyph_index(letter).is_some(), "{letter}");
            }
        }
    }
}
