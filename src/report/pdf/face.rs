//! Type: which face draws a character, how wide a line is, where it breaks.
//!
//! Inter has Latin, Greek, Cyrillic and Vietnamese; DejaVu Sans adds Arabic, Hebrew, Armenian,
//! Georgian and signs; a Persian report has its letters from Vazirmatn. A character that none has
//! becomes a box: a PDF/A may not hold a glyph without a character. Widths come from the same
//! shaping that is drawn, so what was measured to fit does fit.

use crate::base::language::{LEFT_TO_RIGHT, Language};
use crate::base::script::{self, NON_JOINER};
use krilla::text::{Font, GlyphId, KrillaGlyph};
use rustybuzz::ttf_parser::Tag;
use rustybuzz::{Direction, Feature, UnicodeBuffer};

/// Longer texts are cut before anything else looks at them: a header field may be a novel.
const LONGEST: usize = 1200;

/// Stands for a character that no face has.
const BOX: char = '\u{25a1}';

const ELLIPSIS: &str = "\u{2026}";

/// A space at which no line ends.
const FIRM_SPACE: char = '\u{a0}';

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
    /// Letters that join, for a report in a language that has them.
    joining: Option<[Face; 2]>,
}

/// Text in one face, shaped.
pub struct Run {
    pub font: Font,
    pub text: String,
    pub glyphs: Vec<KrillaGlyph>,
    /// From the left end of the line, at size 1.
    pub from: f32,
    /// Advance at size 1.
    pub advance: f32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pick {
    Own,
    Wide,
    Joining,
}

impl Faces {
    /// None only if a face in the binary is damaged.
    pub fn load(language: Language) -> Option<Self> {
        Some(Self {
            text: Face::new(include_bytes!("../faces/Inter-Regular.otf"))?,
            strong: Face::new(include_bytes!("../faces/Inter-SemiBold.otf"))?,
            wide: Face::new(include_bytes!("../faces/DejaVuSans.ttf"))?,
            joining: if language.runs_left() {
                Some([Face::new(script::REGULAR)?, Face::new(script::BOLD)?])
            } else {
                None
            },
        })
    }

    fn joining(&self, weight: Weight) -> Option<&Face> {
        let [text, strong] = self.joining.as_ref()?;
        Some(match weight {
            Weight::Text => text,
            Weight::Strong => strong,
        })
    }

    fn face(&self, pick: Pick, weight: Weight) -> &Face {
        match (pick, weight) {
            (Pick::Wide, _) => &self.wide,
            (Pick::Joining, weight) => self.joining(weight).unwrap_or(&self.wide),
            (Pick::Own, Weight::Text) => &self.text,
            (Pick::Own, Weight::Strong) => &self.strong,
        }
    }

    fn has(&self, character: char) -> bool {
        let joining = self.joining(Weight::Text);
        self.text.has(character)
            || self.wide.has(character)
            || joining.is_some_and(|face| face.has(character))
    }

    /// Whether every visible character of the text can be drawn.
    pub fn can_draw(&self, text: &str) -> bool {
        text.chars()
            .all(|c| c == ' ' || is_invisible(c) || self.has(c))
    }

    /// Whether lines of the text begin at the right: in a report whose language does so, if a letter
    /// of the text does. A number or a name of a scanner alone runs to the right everywhere.
    pub fn runs_left(&self, text: &str) -> bool {
        self.joining.is_some() && script::runs_left(text)
    }

    /// The text with only characters in it that can be drawn, white space as single spaces.
    fn clean(&self, text: &str) -> String {
        let mut letters = text.chars().filter(|c| !is_invisible(*c));
        let leftward = letters.any(script::is_leftward);
        let mut clean = String::with_capacity(text.len());
        for character in text.chars().take(LONGEST) {
            let character = match character {
                FIRM_SPACE | '\u{202f}' => FIRM_SPACE,
                c if c.is_whitespace() || c.is_control() => ' ',
                // Among letters that join they are a part of how words are written.
                NON_JOINER | LEFT_TO_RIGHT if leftward => character,
                c if is_invisible(c) => continue,
                c if self.has(c) => c,
                _ => BOX,
            };
            // One space, and a firm one before any other.
            match clean.chars().next_back() {
                None | Some(FIRM_SPACE) if is_space(character) => {}
                Some(' ') if character == ' ' => {}
                Some(' ') if character == FIRM_SPACE => {
                    clean.pop();
                    clean.push(character);
                }
                _ => clean.push(character),
            }
        }
        clean.truncate(clean.trim_end().len());
        clean
    }

    /// Splits a clean text by face and direction and shapes each part. The runs come in the order in
    /// which they are read. `leftward` says where the line begins.
    pub fn shape(&self, text: &str, weight: Weight, leftward: bool) -> Vec<Run> {
        let mut runs = if script::runs_left(text) {
            self.both_ways(text, weight, leftward)
        } else {
            self.rightward(text, weight)
        };
        let mut from = 0.0;
        for (_, run) in &mut runs {
            run.from = from;
            from += run.advance;
        }
        runs.sort_by_key(|(start, _)| *start);
        runs.into_iter().map(|(_, run)| run).collect()
    }

    /// The runs of a line with letters that run to the left, from the left to the right, each with
    /// the place of its text.
    fn both_ways(&self, text: &str, weight: Weight, leftward: bool) -> Vec<(usize, Run)> {
        // A word is in one face, or its letters would not join.
        let joining = self.joining(weight);
        let joining = joining.filter(|face| {
            let mut letters = text.chars().filter(|c| script::is_leftward(*c));
            letters.all(|c| face.has(c))
        });
        let pick = |c: char, leftward: bool| match joining {
            Some(face) if leftward && (c == NON_JOINER || face.has(c)) => Pick::Joining,
            _ if c == NON_JOINER => Pick::Wide,
            _ if c == LEFT_TO_RIGHT => Pick::Own,
            // Spaces go with the words around them.
            _ if leftward && is_space(c) => Pick::Wide,
            _ if self.face(Pick::Own, weight).has(c) => Pick::Own,
            Some(face) if !self.wide.has(c) && face.has(c) => Pick::Joining,
            _ => Pick::Wide,
        };
        let mut runs = Vec::new();
        for part in script::parts(text, leftward, pick) {
            let text = text.get(part.range.clone()).unwrap_or_default();
            let face = self.face(part.face, weight);
            let mut start = part.range.start;
            if !part.leftward {
                // The mark's work is done.
                let text = text.replace(LEFT_TO_RIGHT, "");
                if !text.is_empty() {
                    runs.push((start, run(face, text, Some(Direction::LeftToRight))));
                }
                continue;
            }
            // A run is a word here: glyphs are drawn from the left, words are to be read from the right.
            let from = runs.len();
            for word in text.split_inclusive(is_space) {
                let shaped = run(face, word.to_owned(), Some(Direction::RightToLeft));
                runs.push((start, shaped));
                start += word.len();
            }
            if let Some(words) = runs.get_mut(from..) {
                words.reverse();
            }
        }
        runs
    }

    fn rightward(&self, text: &str, weight: Weight) -> Vec<(usize, Run)> {
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
        let mut start = 0;
        let mut runs = Vec::with_capacity(parts.len());
        for (pick, text) in parts {
            let length = text.len();
            runs.push((start, run(self.face(pick, weight), text, None)));
            start += length;
        }
        runs
    }

    /// Width of a clean text in points.
    pub fn width(&self, text: &str, style: Style) -> f32 {
        let runs = self.shape(text, style.weight, self.runs_left(text));
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
        let breaks = breaks.filter(|(at, _)| !before_a_percent_sign(text, *at));
        let breaks = breaks.filter(|(at, _)| !between_marks(text, *at));
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

fn is_space(c: char) -> bool {
    matches!(c, ' ' | FIRM_SPACE)
}

/// Whether a share would be parted from its sign here: "34 %".
fn before_a_percent_sign(text: &str, at: usize) -> bool {
    let before = text.get(..at).and_then(|text| text.chars().next_back());
    let after = text.get(at..).unwrap_or_default();
    before.is_some_and(|c| c.is_ascii_digit()) && after.starts_with(" %")
}

/// Whether a number would be parted from its unit here, which marks keep together in a line that runs
/// to the left (`Language::ltr`).
fn between_marks(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    before.matches(LEFT_TO_RIGHT).count() % 2 == 1
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

fn run(face: &Face, text: String, direction: Option<Direction>) -> Run {
    let mut buffer = UnicodeBuffer::new();
    buffer.push_str(&text);
    buffer.guess_segment_properties();
    if let Some(direction) = direction {
        buffer.set_direction(direction);
    }
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
        from: 0.0,
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
        let faces = Faces::load(Language::English).unwrap();
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
        let faces = Faces::load(Language::English).unwrap();
        let lines = faces.lines("one two three four five six", STYLE, 45.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with('…'), "{lines:?}");
        assert_eq!(faces.line("short", STYLE, 100.0), "short");
    }

    #[test]
    fn scripts_find_their_face() {
        let faces = Faces::load(Language::English).unwrap();
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
        let runs = faces.shape("محمد رضا", Weight::Text, false);
        let words: Vec<&str> = runs.iter().map(|run| run.text.as_str()).collect();
        assert_eq!(words, ["محمد ", "رضا"], "the first one at the right");
        assert!(runs[0].from > runs[1].from);
    }

    #[test]
    fn a_line_of_persian_is_read_from_the_right_and_keeps_its_numbers() {
        let faces = Faces::load(Language::Persian).unwrap();
        let seen = |text: &str| -> String {
            let line = faces.line(text, STYLE, 500.0);
            let mut runs = faces.shape(&line, Weight::Text, faces.runs_left(text));
            runs.sort_by(|a, b| a.from.total_cmp(&b.from));
            let words: Vec<String> = runs.into_iter().map(|run| run.text).collect();
            words.join("|")
        };
        assert_eq!(seen("برش 24 از آن"), "آن|از | |24|برش ");
        assert_eq!(seen("هوا \u{200e}-998 HU\u{200e}"), "-998 HU|هوا ");
        assert_eq!(seen("1.2.840-10"), "1.2.840-10");
        // In the order of reading, for those who have it read to them.
        let runs = faces.shape("برش 24 از آن", Weight::Text, true);
        let read: Vec<&str> = runs.iter().map(|run| run.text.as_str()).collect();
        assert_eq!(read, ["برش ", "24", " ", "از ", "آن"]);
        let lines = faces.lines("هوای بیرون \u{200e}-998 HU\u{200e}", STYLE, 75.0, 9);
        assert_eq!(lines, ["هوای بیرون", "\u{200e}-998 HU\u{200e}"]);
        // Two letters that a mark keeps apart stay so.
        assert!(faces.clean("می\u{200c}شود").contains(NON_JOINER));
        // A letter that the face does not have takes its whole line along.
        let own = &faces.joining(Weight::Text).unwrap().font;
        let joined = |text: &str| {
            let runs = faces.shape(text, Weight::Text, true);
            runs.iter().filter(|run| run.font == *own).count()
        };
        assert_eq!((joined("ریه‌ها را"), joined("ریه ה")), (2, 0));
    }

    #[test]
    fn a_firm_space_is_drawn_and_ends_no_line() {
        let faces = Faces::load(Language::English).unwrap();
        let lines = faces.lines("aspect de type\u{a0}Covid ici", STYLE, 70.0, 9);
        assert_eq!(lines, ["aspect de", "type\u{a0}Covid ici"]);
        assert_eq!(faces.clean("a \u{a0} \u{202f}b"), "a\u{a0}b");
        assert!((faces.width("a\u{a0}b", STYLE) - faces.width("a b", STYLE)).abs() < 0.01);
        // A share keeps its sign, at every width at which both have room.
        let words = "with 34 % of the lung and 5,1 % of the other one involved";
        for width in 30_u8..200 {
            let lines = faces.lines(words, STYLE, f32::from(width), 99);
            assert!(!lines.iter().any(|line| line.starts_with('%')), "{lines:?}");
        }
    }

    #[test]
    fn hidden_characters_are_taken_out() {
        let faces = Faces::load(Language::English).unwrap();
        assert_eq!(faces.clean("a\u{202e}b\0\n\t c\u{feff} "), "ab c");
        assert_eq!(faces.clean("山\u{e000}"), "□□");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn no_line_is_wider_than_asked(text in "\\PC{0,120}", width in 20.0_f32..200.0) {
            let faces = Faces::load(Language::English).unwrap();
            for line in faces.lines(&text, STYLE, width, 6) {
                // One character that is wider than the line is let through.
                let narrow = line.chars().count() > 2;
                prop_assert!(!narrow || faces.width(&line, STYLE) <= width + 0.01, "{line:?}");
            }
        }
    }
}
