//! Type: which face draws a character, how wide a line is, where it breaks.
//!
//! Inter has Latin, Greek, Cyrillic and Vietnamese; DejaVu Sans adds Arabic, Hebrew, Armenian,
//! Georgian and signs. A character that neither has becomes a box: a PDF/A may not hold a glyph
//! without a character. Widths come from the same shaping that is drawn, so what was measured
//! to fit does fit.

use krilla::text::{Font, GlyphId, KrillaGlyph};
use rustybuzz::ttf_parser::Tag;
use rustybuzz::{Feature, UnicodeBuffer};

/// Longer texts are cut before anything else looks at them: a header field may be a novel.
const LONGEST: usize = 1200;

/// Stands for a character that no face has.
const BOX: char = '\u{25a1}';

const ELLIPSIS: &str = "\u{2026}";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    Text,
    Strong,
}

/// How a text is set.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub size: f32,
    pub weight: Weight,
    pub colour: [u8; 3],
}

struct Face {
    font: Font,
    shaper: rustybuzz::Face<'static>,
}

impl Face {
    fn new(bytes: &'static [u8]) -> Option<Self> {
        Some(Self {
            font: Font::new(bytes.into(), 0)?,
            shaper: rustybuzz::Face::from_slice(bytes, 0)?,
        })
    }

    fn has(&self, character: char) -> bool {
        // Private characters mean something else in every font.
        !matches!(character, '\u{e000}'..='\u{f8ff}')
            && self.shaper.glyph_index(character).is_some_and(|g| g.0 != 0)
    }
}

pub struct Faces {
    text: Face,
    strong: Face,
    wide: Face,
}

/// Text in one face, shaped.
pub struct Run {
    pub font: Font,
    pub text: String,
    pub glyphs: Vec<KrillaGlyph>,
    /// Advance at size 1.
    pub advance: f32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pick {
    Own,
    Wide,
}

impl Faces {
    /// None only if a face in the binary is damaged.
    pub fn load() -> Option<Self> {
        Some(Self {
            text: Face::new(include_bytes!("../faces/Inter-Regular.otf"))?,
            strong: Face::new(include_bytes!("../faces/Inter-SemiBold.otf"))?,
            wide: Face::new(include_bytes!("../faces/DejaVuSans.ttf"))?,
        })
    }

    fn face(&self, pick: Pick, weight: Weight) -> &Face {
        match (pick, weight) {
            (Pick::Wide, _) => &self.wide,
            (Pick::Own, Weight::Text) => &self.text,
            (Pick::Own, Weight::Strong) => &self.strong,
        }
    }

    /// Whether every visible character of the text can be drawn.
    pub fn can_draw(&self, text: &str) -> bool {
        text.chars()
            .all(|c| c == ' ' || is_invisible(c) || self.text.has(c) || self.wide.has(c))
    }

    /// The text with only characters in it that can be drawn, white space as single spaces.
    fn clean(&self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        for character in text.chars().take(LONGEST) {
            let character = match character {
                c if c.is_whitespace() || c.is_control() => ' ',
                c if is_invisible(c) => continue,
                c if self.text.has(c) || self.wide.has(c) => c,
                _ => BOX,
            };
            if character != ' ' || !(clean.is_empty() || clean.ends_with(' ')) {
                clean.push(character);
            }
        }
        clean.truncate(clean.trim_end().len());
        clean
    }

    /// Splits a clean text by face and shapes each part.
    pub fn shape(&self, text: &str, weight: Weight) -> Vec<Run> {
        let mut parts: Vec<(Pick, String)> = Vec::new();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let own = self.face(Pick::Own, weight).has(character);
            let mut pick = if own { Pick::Own } else { Pick::Wide };
            // A space between two words of another script stays with them: in a script that runs
            // to the left the words would change places.
            let next = characters.peek().copied();
            if character == ' '
                && parts.last().is_some_and(|(last, _)| *last == Pick::Wide)
                && next.is_some_and(|c| !self.face(Pick::Own, weight).has(c))
            {
                pick = Pick::Wide;
            }
            match parts.last_mut() {
                Some((last, part)) if *last == pick => part.push(character),
                _ => parts.push((pick, character.to_string())),
            }
        }
        parts
            .into_iter()
            .map(|(pick, text)| run(self.face(pick, weight), text))
            .collect()
    }

    /// Width of a clean text in points.
    pub fn width(&self, text: &str, style: Style) -> f32 {
        let runs = self.shape(text, style.weight);
        runs.iter().map(|run| run.advance).sum::<f32>() * style.size
    }

    /// One line, shortened with an ellipsis where it is too long.
    pub fn line(&self, text: &str, style: Style, width: f32) -> String {
        self.lines(text, style, width, 1).pop().unwrap_or_default()
    }

    /// Breaks a text into lines at spaces and behind backslashes (DICOM's sign between values), and
    /// inside a word where a word is too long. What does
    /// not fit into `most` lines ends with an ellipsis.
    pub fn lines(&self, text: &str, style: Style, width: f32, most: usize) -> Vec<String> {
        let clean = self.clean(text);
        let mut lines = Vec::new();
        let mut rest = clean.as_str();
        while !rest.is_empty() && lines.len() < most {
            let end = self.fitting(rest, style, width);
            let last = lines.len() + 1 == most;
            if last && end < rest.len() {
                lines.push(self.shortened(rest, style, width));
                break;
            }
            let (line, after) = rest.split_at(end);
            lines.push(line.trim_end().to_owned());
            rest = after.trim_start();
        }
        lines
    }

    /// Bytes of the text that fit into one line: whole words, or as many characters of a long word
    /// as there is room for, and one at least.
    fn fitting(&self, text: &str, style: Style, width: f32) -> usize {
        if self.width(text, style) <= width {
            return text.len();
        }
        let breaks = text.match_indices([' ', '\\']);
        let breaks = breaks.map(|(at, sign)| at + usize::from(sign == "\\"));
        let words = breaks
            .take_while(|at| self.width(text.get(..*at).unwrap_or_default(), style) <= width)
            .last();
        match words {
            Some(at) if at > 0 => at,
            _ => {
                let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
                let fits = ends
                    .clone()
                    .take_while(|at| {
                        self.width(text.get(..*at).unwrap_or_default(), style) <= width
                    })
                    .last();
                fits.or_else(|| ends.clone().next()).unwrap_or(text.len())
            }
        }
    }

    fn shortened(&self, text: &str, style: Style, width: f32) -> String {
        let room = width - self.width(ELLIPSIS, style);
        let fits = text
            .char_indices()
            .map(|(at, c)| at + c.len_utf8())
            .take_while(|at| self.width(text.get(..*at).unwrap_or_default(), style) <= room)
            .last()
            .unwrap_or(0);
        let kept = text.get(..fits).unwrap_or_default().trim_end();
        format!("{kept}{ELLIPSIS}")
    }
}

/// Characters that steer others and show nothing themselves. Taken out: they can turn a line
/// around or hide in it.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
    )
}

fn run(face: &Face, text: String) -> Run {
    let mut buffer = UnicodeBuffer::new();
    buffer.push_str(&text);
    buffer.guess_segment_properties();
    // Figures of one width, so that columns of numbers stand below each other.
    let tabular = Feature::new(Tag::from_bytes(b"tnum"), 1, ..);
    let shaped = rustybuzz::shape(&face.shaper, &[tabular], buffer);
    let unit = face.font.units_per_em().max(1.0);

    let mut starts: Vec<usize> = shaped
        .glyph_infos()
        .iter()
        .map(|info| info.cluster as usize)
        .collect();
    starts.sort_unstable();
    starts.dedup();
    let end_of = |start: usize| {
        let next = starts.partition_point(|other| *other <= start);
        starts.get(next).copied().unwrap_or(text.len())
    };
    let glyphs: Vec<KrillaGlyph> = shaped
        .glyph_infos()
        .iter()
        .zip(shaped.glyph_positions())
        .map(|(info, position)| KrillaGlyph {
            glyph_id: GlyphId::new(info.glyph_id),
            text_range: info.cluster as usize..end_of(info.cluster as usize),
            x_advance: position.x_advance as f32 / unit,
            x_offset: position.x_offset as f32 / unit,
            y_offset: position.y_offset as f32 / unit,
            y_advance: position.y_advance as f32 / unit,
            location: None,
        })
        .collect();
    Run {
        font: face.font.clone(),
        advance: glyphs.iter().map(|glyph| glyph.x_advance).sum(),
        glyphs,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STYLE: Style = Style {
        size: 9.0,
        weight: Weight::Text,
        colour: [0; 3],
    };

    #[test]
    fn words_stay_whole_and_long_ones_break() {
        let faces = Faces::load().unwrap();
        let lines = faces.lines("one two three four", STYLE, 45.0, 9);
        assert_eq!(lines, ["one two", "three four"]);
        let lines = faces.lines(&"1.2.3".repeat(20), STYLE, 60.0, 99);
        assert!(lines.len() > 3);
        assert_eq!(lines.concat(), "1.2.3".repeat(20));
        let lines = faces.lines("CT ORIGINAL\\PRIMARY\\AXIAL", STYLE, 100.0, 9);
        assert_eq!(lines, ["CT ORIGINAL\\", "PRIMARY\\AXIAL"]);
    }

    #[test]
    fn what_does_not_fit_says_so() {
        let faces = Faces::load().unwrap();
        let lines = faces.lines("one two three four five six", STYLE, 45.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with('…'), "{lines:?}");
        assert_eq!(faces.line("short", STYLE, 100.0), "short");
    }

    #[test]
    fn scripts_find_their_face() {
        let faces = Faces::load().unwrap();
        for name in [
            "Müller",
            "Иванов, Пётр",
            "Παπαδόπουλος",
            "דוד כהן",
            "محمد رضا",
            "Հայ",
            "ქარ",
        ] {
            assert!(faces.can_draw(name), "{name}");
        }
        assert!(!faces.can_draw("山田"));
        let runs = faces.shape("محمد رضا", Weight::Text);
        assert_eq!(runs.len(), 1, "the space stays inside");
    }

    #[test]
    fn hidden_characters_are_taken_out() {
        let faces = Faces::load().unwrap();
        assert_eq!(faces.clean("a\u{202e}b\0\n\t c\u{feff} "), "ab c");
        assert_eq!(faces.clean("山\u{e000}"), "□□");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn no_line_is_wider_than_asked(text in "\\PC{0,120}", width in 20.0_f32..200.0) {
            let faces = Faces::load().unwrap();
            for line in faces.lines(&text, STYLE, width, 6) {
                // One character that is wider than the line is let through.
                let narrow = line.chars().count() > 2;
                prop_assert!(!narrow || faces.width(&line, STYLE) <= width + 0.01, "{line:?}");
            }
        }
    }
}
