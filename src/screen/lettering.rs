//! Letters: measuring, breaking into lines, fitting into a room, rasterising.
//!
//! B612 was drawn for cockpit displays and keeps its shapes apart at a distance; its digits are
//! all equally wide. It ends at Latin-1 and Greek, so a letter that it lacks (initials in Polish,
//! Czech, Cyrillic) comes from Inter, as high as its neighbours, and a letter that joins others from
//! Vazirmatn, in the order and the form that `base::script` finds. Sizes are in pixels of the panel; "cap" is the height of a capital H.

use super::canvas::Canvas;
use super::colour::Ink;
use crate::base::script;
use fontdue::{Font, FontSettings};
use std::sync::OnceLock;

/// No text on the screen needs more; bounds the work that a status file can ask for.
const LONGEST: usize = 400;

/// Below this size nobody reads it: text that does not fit then is cut with an ellipsis.
const SMALLEST_PX: f32 = 10.0;

/// From one baseline to the next, in em.
const PITCH: f32 = 1.25;

/// The same where letters reach as far under the line as Persian ones do.
const DEEP_PITCH: f32 = 1.5;

/// Smaller letters are drawn four times too large and averaged, so that the space between them
/// is right to a quarter of a pixel.
const FINE_BELOW_PX: f32 = 64.0;
const FINE: i32 = 4;

/// Measures are linear in the size; this one keeps clear of any rounding.
const EXACT_PX: f32 = 1000.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    Regular,
    Bold,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    pub weight: Weight,
    /// Size of the em.
    pub px: f32,
}

impl Style {
    /// The style whose capitals are `cap` pixels high.
    #[must_use]
    pub fn with_cap(weight: Weight, cap: f32) -> Self {
        let px = cap / cap_of_em(weight);
        Self { weight, px }
    }

    #[must_use]
    pub fn cap(self) -> f32 {
        self.px * cap_of_em(self.weight)
    }

    #[must_use]
    pub fn width(self, text: &str) -> f32 {
        width_in_em(text, self.weight) * self.px
    }

    /// How far the letters of `text` really reach over and under the baseline.
    #[must_use]
    pub fn reach(self, text: &str) -> Reach {
        let mut reach = Reach::default();
        for placed in line_of(text, self.weight) {
            let glyph = placed.glyph;
            let bounds = glyph
                .font
                .metrics_indexed(glyph.index, self.px * glyph.scale)
                .bounds;
            let up = placed.up * self.px;
            reach.over = reach.over.max(bounds.ymin + bounds.height + up);
            reach.under = reach.under.max(-bounds.ymin - up);
        }
        reach
    }
}

/// Pixels over and under a baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reach {
    pub over: f32,
    pub under: f32,
}

/// Lines of one style, set one under the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub lines: Vec<String>,
    pub style: Style,
}

impl Block {
    /// From one baseline to the next.
    #[must_use]
    pub fn pitch(&self) -> f32 {
        let deep = self.lines.iter().any(|line| script::runs_left(line));
        let pitch = if deep { DEEP_PITCH } else { PITCH };
        (self.style.px * pitch).ceil()
    }

    #[must_use]
    pub fn width(&self) -> f32 {
        let widths = self.lines.iter().map(|line| self.style.width(line));
        widths.fold(0.0, f32::max)
    }

    /// From the top of the first line's capitals to the foot of the last line's letters.
    #[must_use]
    pub fn height(&self) -> f32 {
        let Some(last) = self.lines.last() else {
            return 0.0;
        };
        let rows = (self.lines.len() - 1) as f32 * self.pitch();
        self.over() + rows + self.style.reach(last).under
    }

    /// From the top of the block to its first baseline.
    #[must_use]
    pub fn over(&self) -> f32 {
        let first = self.lines.first().map_or("", String::as_str);
        self.style.cap().max(self.style.reach(first).over)
    }
}

/// The largest setting of `text` with capitals of at most `cap` that stays inside `width` by
/// `height` on at most `most` lines. Lines are balanced and do not break at U+00A0. Nothing is
/// ever drawn outside: a text that is too long even at [`SMALLEST_PX`] ends in an ellipsis.
#[must_use]
pub fn fit(text: &str, weight: Weight, cap: f32, room: (f32, f32), most: usize) -> Block {
    let text = clean(text);
    let words = Words::measure(&text, weight);
    let mut style = Style::with_cap(weight, cap.min(room.1));
    loop {
        let width_em = room.0 / style.px;
        let lines = words.wrap(width_em).filter(|lines| lines.len() <= most);
        if let Some(lines) = lines {
            let lines = words.balance(width_em, lines);
            let block = Block { lines, style };
            // Words were measured apart; in a line that runs to the left their signs may come from
            // another face.
            let wide = block.pitch() > style.px * PITCH + 1.0 && block.width() > room.0;
            if block.height() <= room.1 && !wide {
                return block;
            }
        }
        if style.px <= SMALLEST_PX {
            return cut(&text, style, room, most);
        }
        style.px = (style.px * 0.97).max(SMALLEST_PX);
    }
}

/// Draws one line; `x` and `baseline` are where the first letter stands.
pub fn draw(canvas: &mut Canvas, text: &str, style: Style, x: f32, baseline: f32, ink: Ink) {
    let fine = if style.px < FINE_BELOW_PX { FINE } else { 1 };
    let scale = fine as f32;
    let mut pen = x * scale;
    let base = baseline.round() as i32 * fine;
    for placed in line_of(text, style.weight) {
        let glyph = placed.glyph;
        let px = style.px * scale * glyph.scale;
        let (metrics, cover) = glyph.font.rasterize_indexed(glyph.index, px);
        let em = style.px * scale;
        let left = (pen + placed.right * em).round() as i32 + metrics.xmin;
        let up = (placed.up * em).round() as i32;
        let top = base - up - metrics.ymin - metrics.height as i32;
        let stencil = Stencil {
            cover: &cover,
            width: metrics.width,
            left,
            top,
        };
        stencil.press(canvas, fine, ink);
        pen += placed
            .advance
            .map_or(metrics.advance_width, |advance| advance * em);
    }
}

/// The coverage of one glyph on a grid that is `fine` times as dense as the canvas.
struct Stencil<'a> {
    cover: &'a [u8],
    width: usize,
    left: i32,
    top: i32,
}

impl Stencil<'_> {
    fn press(&self, canvas: &mut Canvas, fine: i32, ink: Ink) {
        if self.width == 0 {
            return;
        }
        let right = self.left + self.width as i32;
        let (first, last) = (self.left.div_euclid(fine), (right - 1).div_euclid(fine));
        let mut sums = vec![0_i32; (last - first + 1) as usize];
        let mut rows = self.cover.chunks_exact(self.width).zip(self.top..);
        let mut next = rows.next();
        while let Some((_, y)) = next {
            let row = y.div_euclid(fine);
            sums.fill(0);
            while let Some((covers, y)) = next
                && y.div_euclid(fine) == row
            {
                for (&cover, x) in covers.iter().zip(self.left..) {
                    if let Some(sum) = sums.get_mut((x.div_euclid(fine) - first) as usize) {
                        *sum += i32::from(cover);
                    }
                }
                next = rows.next();
            }
            for (&sum, x) in sums.iter().zip(first..) {
                let cover = (sum + fine * fine / 2) / (fine * fine);
                if cover > 0 {
                    canvas.blend(x, row, ink.text, cover.min(255) as u8);
                }
            }
        }
    }
}

/// One line of plain letters: no control characters, no runs of blanks, not too long.
fn clean(text: &str) -> String {
    text.chars()
        .take(LONGEST)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// The words of a text with their widths, measured once for all sizes.
struct Words<'a> {
    words: Vec<(&'a str, f32)>,
    blank: f32,
}

impl<'a> Words<'a> {
    fn measure(text: &'a str, weight: Weight) -> Self {
        let words = text.split(' ').filter(|word| !word.is_empty());
        Self {
            words: words
                .map(|word| (word, width_in_em(word, weight)))
                .collect(),
            blank: width_in_em(" ", weight),
        }
    }

    /// Breaks at blanks so that no line is wider; none where a single word is.
    fn wrap(&self, width_em: f32) -> Option<Vec<String>> {
        let mut lines: Vec<String> = Vec::new();
        let mut taken = 0.0;
        for &(word, width) in &self.words {
            if width > width_em {
                return None;
            }
            match lines.last_mut() {
                Some(line) if taken + self.blank + width <= width_em => {
                    line.push(' ');
                    line.push_str(word);
                    taken += self.blank + width;
                }
                _ => {
                    lines.push(word.to_owned());
                    taken = width;
                }
            }
        }
        Some(lines)
    }

    /// The narrowest setting with as many lines, so that no line ends with one lost word.
    fn balance(&self, width_em: f32, lines: Vec<String>) -> Vec<String> {
        let mut best = lines;
        if best.len() < 2 {
            return best;
        }
        let mut width = width_em;
        while width > 1.0 {
            width -= 0.25;
            match self.wrap(width) {
                Some(lines) if lines.len() <= best.len() => best = lines,
                _ => break,
            }
        }
        best
    }
}

/// Sets what fits, broken inside words if need be, and marks the end with an ellipsis.
fn cut(text: &str, style: Style, room: (f32, f32), most: usize) -> Block {
    let rows = 1.0 + ((room.1 - style.px * PITCH) / (style.px * PITCH)).max(0.0);
    let most = most.min(rows as usize).max(1);
    let width_em = room.0 / style.px;
    let mark = width_in_em("…", style.weight);
    let mut lines = vec![String::new()];
    let mut taken = 0.0;
    let mut whole = true;
    let joins = script::runs_left(text);
    for letter in text.chars() {
        let mut width = glyph(letter, style.weight).advance();
        if joins && let Some(line) = lines.last() {
            // A letter changes the one before it.
            let longer = width_in_em(&format!("{line}{letter}"), style.weight);
            width = (longer - taken).max(0.0);
        }
        let full = lines.len() == most;
        let needed = taken + width + if full { mark } else { 0.0 };
        match lines.last_mut() {
            Some(line) if needed <= width_em => {
                line.push(letter);
                taken += width;
            }
            _ if full => {
                whole = false;
                break;
            }
            _ => {
                lines.push(letter.to_string());
                taken = width;
            }
        }
    }
    if let Some(line) = lines.last_mut().filter(|_| !whole) {
        line.truncate(line.trim_end().len());
        if mark <= width_em {
            line.push('…');
        }
    }
    Block { lines, style }
}

fn width_in_em(text: &str, weight: Weight) -> f32 {
    line_of(text, weight)
        .iter()
        .map(|placed| placed.advance.unwrap_or_else(|| placed.glyph.advance()))
        .sum()
}

/// A glyph in its place on a line; distances in em of the line's style.
struct Placed {
    glyph: Glyph,
    /// To the next one; the glyph's own where nothing shaped it.
    advance: Option<f32>,
    right: f32,
    up: f32,
}

/// The glyphs of a line from the left to the right.
fn line_of(text: &str, weight: Weight) -> Vec<Placed> {
    let single = |letter| Placed {
        glyph: glyph(letter, weight),
        advance: None,
        right: 0.0,
        up: 0.0,
    };
    if !script::runs_left(text) {
        return text.chars().map(single).collect();
    }
    let joining = joining(weight);
    let parts = script::parts(text, true, |letter, leftward| {
        leftward && joining.shaper.glyph_index(letter).is_some() || steers(letter)
    });
    let mut line = Vec::new();
    for part in parts {
        let text = text.get(part.range).unwrap_or_default();
        if !part.face {
            let letters = text.chars().map(mirrored(part.leftward)).map(single);
            let from = line.len();
            line.extend(letters);
            if part.leftward
                && let Some(added) = line.get_mut(from..)
            {
                added.reverse();
            }
            continue;
        }
        let em = joining.scale / joining.shaper.units_per_em().max(1) as f32;
        for shaped in script::shape(&joining.shaper, text, part.leftward) {
            line.push(Placed {
                glyph: Glyph {
                    font: &joining.font,
                    index: shaped.index,
                    scale: joining.scale,
                },
                advance: Some(shaped.advance as f32 * em),
                right: shaped.x as f32 * em,
                up: shaped.y as f32 * em,
            });
        }
    }
    line
}

/// Whether a character only steers its neighbours. Shaping takes it out.
fn steers(letter: char) -> bool {
    matches!(letter, script::NON_JOINER | '\u{200d}'..='\u{200f}' | '\u{2066}'..='\u{2069}')
}

/// A bracket opens to the other side in a line that runs to the left.
fn mirrored(leftward: bool) -> impl Fn(char) -> char {
    move |letter| match letter {
        '(' if leftward => ')',
        ')' if leftward => '(',
        other => other,
    }
}

/// The face of letters that join.
struct Joining {
    font: Font,
    shaper: rustybuzz::Face<'static>,
    scale: f32,
}

fn joining(weight: Weight) -> &'static Joining {
    /// Height of the Latin capitals that Vazirmatn's letters were drawn for, in em.
    const CAPITAL: f32 = 0.711;
    static FACES: OnceLock<[Joining; 2]> = OnceLock::new();
    let faces = FACES.get_or_init(|| {
        [
            (Weight::Regular, script::REGULAR),
            (Weight::Bold, script::BOLD),
        ]
        .map(|(weight, bytes)| Joining {
            font: load(bytes),
            shaper: rustybuzz::Face::from_slice(bytes, 0).expect("the face is in the program"),
            scale: cap_of_em(weight) / CAPITAL,
        })
    });
    &faces[weight as usize]
}

fn cap_of_em(weight: Weight) -> f32 {
    static CAPS: OnceLock<[f32; 2]> = OnceLock::new();
    let caps = CAPS.get_or_init(|| [Weight::Regular, Weight::Bold].map(|w| cap_of(first(w))));
    caps[weight as usize]
}

fn cap_of(font: &Font) -> f32 {
    let capital = font.lookup_glyph_index('H');
    font.metrics_indexed(capital, EXACT_PX).bounds.height / EXACT_PX
}

/// One letter of one face.
#[derive(Clone, Copy)]
struct Glyph {
    font: &'static Font,
    index: u16,
    /// Brings the capitals of the second face to the height of the first.
    scale: f32,
}

impl Glyph {
    /// Width with its share of the space to the next letter, in em.
    fn advance(self) -> f32 {
        let metrics = self.font.metrics_indexed(self.index, EXACT_PX);
        metrics.advance_width / EXACT_PX * self.scale
    }
}

/// The letter from the face that has it; a question mark where none has.
fn glyph(letter: char, weight: Weight) -> Glyph {
    let font = first(weight);
    let own = |letter| Glyph {
        font,
        index: font.lookup_glyph_index(letter),
        scale: 1.0,
    };
    let found = own(letter);
    if found.index != 0 {
        return found;
    }
    let font = second();
    match font.lookup_glyph_index(letter) {
        0 => own('?'),
        index => Glyph {
            font,
            index,
            scale: cap_of_em(weight) / cap_of(font),
        },
    }
}

fn first(weight: Weight) -> &'static Font {
    static REGULAR: OnceLock<Font> = OnceLock::new();
    static BOLD: OnceLock<Font> = OnceLock::new();
    match weight {
        Weight::Regular => REGULAR.get_or_init(|| load(include_bytes!("faces/B612-Regular.otf"))),
        Weight::Bold => BOLD.get_or_init(|| load(include_bytes!("faces/B612-Bold.otf"))),
    }
}

/// Loaded when the first letter asks for it: its 2500 letters take a while.
fn second() -> &'static Font {
    static WIDE: OnceLock<Font> = OnceLock::new();
    WIDE.get_or_init(|| load(include_bytes!("faces/Inter-SemiBold.otf")))
}

/// The faces are part of the program, so a face that does not load is a broken build.
fn load(face: &[u8]) -> Font {
    Font::from_bytes(face, FontSettings::default()).expect("a face of this program is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::colour;

    #[test]
    fn sizes_are_capital_heights() {
        let style = Style::with_cap(Weight::Bold, 100.0);
        assert!((style.cap() - 100.0).abs() < 0.01);
        assert!((style.reach("H").over - 100.0).abs() < 1.0);
        assert!(
            style.reach("HEAR").under < 3.0,
            "capitals stand on the line"
        );
        assert!(style.reach("g").under > 15.0);
    }

    #[test]
    fn digits_are_equally_wide_so_that_the_clock_stands_still() {
        let style = Style::with_cap(Weight::Bold, 40.0);
        let widths: Vec<f32> = ('0'..='9').map(|d| style.width(&d.to_string())).collect();
        assert!(
            widths.windows(2).all(|w| (w[0] - w[1]).abs() < 0.01),
            "{widths:?}"
        );
    }

    #[test]
    fn long_words_go_on_two_lines_and_stay_inside() {
        let text = "Pneumonia\u{a0}pattern, Covid-like";
        let block = fit(text, Weight::Bold, 90.0, (640.0, 200.0), 2);
        assert_eq!(block.lines, ["Pneumonia\u{a0}pattern,", "Covid-like"]);
        assert!(block.width() <= 640.0 && block.height() <= 200.0);
        assert!(block.style.cap() > 45.0, "{}", block.style.cap());
    }

    #[test]
    fn what_cannot_fit_is_cut_with_an_ellipsis() {
        for text in [
            "word ".repeat(300),
            "x".repeat(3000),
            "\n\t".into(),
            String::new(),
        ] {
            let block = fit(&text, Weight::Regular, 20.0, (120.0, 40.0), 3);
            assert!(block.width() <= 120.0, "{block:?}");
            assert!(block.height() <= 40.0, "{block:?}");
            assert_eq!(text.len() > 900, block.lines.concat().ends_with('…'));
        }
    }

    #[test]
    fn letters_that_the_first_face_lacks_come_from_the_second() {
        for letter in "ŁČЖ".chars() {
            let found = glyph(letter, Weight::Bold);
            assert!(
                found.index != 0 && std::ptr::eq(found.font, second()),
                "{letter}"
            );
        }
        let unknown = glyph('漢', Weight::Bold);
        let question = glyph('?', Weight::Bold);
        assert!(std::ptr::eq(unknown.font, first(Weight::Bold)) && unknown.index == question.index);
        let style = Style::with_cap(Weight::Bold, 100.0);
        let (own, other) = (style.reach("H").over, style.reach("Ж").over);
        assert!((own - other).abs() < 1.5, "{own} {other}");
    }

    #[test]
    fn small_letters_keep_their_weight() {
        // The ink of a letter at 40 px must be the same whether it is drawn fine or coarse.
        let mut canvas = Canvas::new(60, 60);
        let style = Style {
            weight: Weight::Bold,
            px: 40.0,
        };
        draw(
            &mut canvas,
            "R",
            style,
            5.3,
            45.0,
            colour::Ink {
                text: colour::WHITE.text,
                ground: colour::NIGHT,
            },
        );
        let ink: u32 = canvas.pixels().iter().map(|pixel| pixel & 0xff).sum();
        let glyph = glyph('R', Weight::Bold);
        let (_, cover) = glyph.font.rasterize_indexed(glyph.index, 40.0);
        let expected: u32 = cover.iter().map(|&c| u32::from(c)).sum();
        assert!(ink.abs_diff(expected) < expected / 50, "{ink} {expected}");
    }
}
