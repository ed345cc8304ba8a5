//! Pages as lists of marks, with a structure beside them; at the end both become a PDF.
//!
//! Marks are collected first and drawn last, because the footer of the first page says how many
//! pages there are. Each mark either belongs to a node of the structure tree, or is an artifact
//! that a screen reader skips: lines, grounds, the banner after the first page.
//!
//! Units are points, the origin is the upper left corner. Where lines run to the left the whole page
//! is mirrored, as people set it there: callers draw as if for English, and what must not be turned
//! around (pictures beside each other, a scale, a tick) is drawn [`Pen::upright`].

use super::face::{Faces, Run, Style};
use crate::base::language::Language;
use krilla::geom::{Path, PathBuilder, Rect};

/// A4.
pub const PAGE_WIDTH: f32 = 595.28;
pub const PAGE_HEIGHT: f32 = 841.89;

/// 15 mm at the sides: every printer reaches it, and a hole punch leaves the text alone.
pub const LEFT: f32 = 42.5;
pub const RIGHT: f32 = PAGE_WIDTH - LEFT;
pub const WIDTH: f32 = RIGHT - LEFT;

/// Nothing of the flow stands below this line; the footer does.
pub const BOTTOM: f32 = 806.0;

/// More pages than this are never made: texts of a header could ask for any number.
const MOST_PAGES: usize = 4;

/// What a node of the structure tree is.
#[derive(Clone, Debug)]
pub enum Role {
    Section,
    /// Level and title.
    Heading(u16, String),
    Paragraph,
    Table,
    Row,
    HeadCell,
    Cell,
    /// With the words that stand for the picture.
    Figure(String),
}

pub enum Child {
    Node(usize),
    /// Page and place in its list.
    Mark(usize, usize),
}

pub struct Node {
    pub role: Role,
    pub children: Vec<Child>,
}

/// An image for the PDF: one byte a pixel for grey, three for RGB.
#[derive(Clone, Hash)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
    pub grey: bool,
    pub bytes: std::sync::Arc<Vec<u8>>,
}

pub enum Mark {
    Text {
        x: f32,
        baseline: f32,
        runs: Vec<Run>,
        style: Style,
    },
    Fill {
        path: Path,
        colour: [u8; 3],
    },
    Stroke {
        path: Path,
        colour: [u8; 3],
        width: f32,
        dashed: bool,
    },
    Picture {
        area: Rect,
        picture: Picture,
    },
}

#[derive(Default)]
pub struct Sheet {
    /// Drawn first, always artifacts: grounds whose height is known only after their text is set.
    pub under: Vec<Mark>,
    /// With `true` for a mark that belongs to the structure.
    pub marks: Vec<(Mark, bool)>,
}

/// What becomes of a distance from the left.
#[derive(Clone, Copy)]
enum Across {
    Kept,
    Mirrored,
    Moved(f32),
}

pub struct Pen {
    pub faces: Faces,
    /// Of all words on the pages.
    pub language: Language,
    pub sheets: Vec<Sheet>,
    /// The first one is the root.
    pub nodes: Vec<Node>,
    open: Vec<usize>,
    across: Across,
    /// Title, page and height of each section, for the outline.
    pub outline: Vec<(String, usize, f32)>,
    /// Where the flow goes on.
    pub y: f32,
}

impl Pen {
    pub fn new(faces: Faces, language: Language) -> Self {
        Self {
            faces,
            language,
            sheets: vec![Sheet::default()],
            nodes: vec![Node {
                role: Role::Section,
                children: Vec::new(),
            }],
            open: Vec::new(),
            across: if language.runs_left() {
                Across::Mirrored
            } else {
                Across::Kept
            },
            outline: Vec::new(),
            y: 0.0,
        }
    }

    pub fn page(&self) -> usize {
        self.sheets.len() - 1
    }

    /// Starts another page, unless there are too many. `false`: the flow stays where it is and
    /// the caller leaves the rest out.
    pub fn turn(&mut self) -> bool {
        if self.sheets.len() >= MOST_PAGES {
            return false;
        }
        self.sheets.push(Sheet::default());
        true
    }

    /// Runs `draw` with its marks inside a new node of the structure.
    pub fn within<T>(&mut self, role: Role, draw: impl FnOnce(&mut Self) -> T) -> T {
        let node = self.nodes.len();
        let parent = self.open.last().copied().unwrap_or(0);
        self.nodes.push(Node {
            role,
            children: Vec::new(),
        });
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.push(Child::Node(node));
        }
        self.open.push(node);
        let drawn = draw(self);
        self.open.pop();
        drawn
    }

    /// Draws what stands between `left` and `right` at its place in the page's order, and in its own
    /// order from the left to the right.
    pub fn upright<T>(&mut self, left: f32, right: f32, draw: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.across;
        if matches!(before, Across::Mirrored) {
            self.across = Across::Moved(PAGE_WIDTH - right - left);
        }
        let drawn = draw(self);
        self.across = before;
        drawn
    }

    /// Where something of this width stands on the paper.
    fn x(&self, x: f32, width: f32) -> f32 {
        match self.across {
            Across::Kept => x,
            Across::Mirrored => PAGE_WIDTH - x - width,
            Across::Moved(by) => x + by,
        }
    }

    fn points(&self, points: &[(f32, f32)]) -> Vec<(f32, f32)> {
        points.iter().map(|(x, y)| (self.x(*x, 0.0), *y)).collect()
    }

    fn place(&mut self, mark: Mark, structured: bool) {
        let page = self.page();
        let node = self.open.last().copied().filter(|_| structured);
        let Some(sheet) = self.sheets.last_mut() else {
            return;
        };
        let at = sheet.marks.len();
        sheet.marks.push((mark, node.is_some()));
        if let Some(node) = node.and_then(|node| self.nodes.get_mut(node)) {
            node.children.push(Child::Mark(page, at));
        }
    }

    /// A line of text that was made to fit before, on its baseline. Returns its width.
    fn set(&mut self, x: f32, baseline: f32, line: &str, style: Style, leftward: bool) -> f32 {
        if line.is_empty() {
            return 0.0;
        }
        let runs = self.faces.shape(line, style.weight, leftward);
        let width = runs.iter().map(|run| run.advance).sum::<f32>() * style.size;
        let mark = Mark::Text {
            x: self.x(x, width),
            baseline,
            runs,
            style,
        };
        self.place(mark, true);
        width
    }

    /// One line on its baseline, shortened to `width`. Returns the width it took.
    pub fn text(&mut self, x: f32, baseline: f32, width: f32, text: &str, style: Style) -> f32 {
        let line = self.faces.line(text, style, width);
        self.set(x, baseline, &line, style, self.faces.runs_left(text))
    }

    /// The same, ending at `right`.
    pub fn text_right(&mut self, right: f32, baseline: f32, width: f32, text: &str, style: Style) {
        let line = self.faces.line(text, style, width);
        let x = right - self.faces.width(&line, style);
        self.set(x, baseline, &line, style, self.faces.runs_left(text));
    }

    /// The same, around `centre`.
    pub fn text_centred(&mut self, centre: f32, baseline: f32, width: f32, text: &str, s: Style) {
        let line = self.faces.line(text, s, width);
        let x = centre - self.faces.width(&line, s) / 2.0;
        self.set(x, baseline, &line, s, self.faces.runs_left(text));
    }

    /// Lines below each other, the first baseline at `baseline`. Returns the baseline after the
    /// last one.
    pub fn lines(&mut self, x: f32, baseline: f32, leading: f32, set: &Setting) -> f32 {
        let mut baseline = baseline;
        for line in &set.lines {
            self.set(x, baseline, line, set.style, set.leftward);
            baseline += leading;
        }
        baseline
    }

    /// Breaks a text for [`Pen::lines`].
    pub fn break_text(&self, text: &str, style: Style, width: f32, most: usize) -> Setting {
        Setting {
            lines: self.faces.lines(text, style, width, most),
            style,
            leftward: self.faces.runs_left(text),
        }
    }

    pub fn fill(&mut self, x: f32, y: f32, w: f32, h: f32, colour: [u8; 3]) {
        if let Some(path) = rectangle(self.x(x, w), y, w, h) {
            self.place(Mark::Fill { path, colour }, false);
        }
    }

    /// A ground below everything else on this page.
    pub fn ground(&mut self, x: f32, y: f32, w: f32, h: f32, colour: [u8; 3]) {
        let x = self.x(x, w);
        if let (Some(path), Some(sheet)) = (rectangle(x, y, w, h), self.sheets.last_mut()) {
            sheet.under.push(Mark::Fill { path, colour });
        }
    }

    pub fn frame(&mut self, x: f32, y: f32, w: f32, h: f32, colour: [u8; 3], width: f32) {
        if let Some(path) = rectangle(self.x(x, w), y, w, h) {
            let dashed = false;
            self.place(
                Mark::Stroke {
                    path,
                    colour,
                    width,
                    dashed,
                },
                false,
            );
        }
    }

    pub fn stroke(&mut self, points: &[(f32, f32)], colour: [u8; 3], width: f32, dashed: bool) {
        if let Some(path) = polygon(&self.points(points), false) {
            self.place(
                Mark::Stroke {
                    path,
                    colour,
                    width,
                    dashed,
                },
                false,
            );
        }
    }

    pub fn shape(&mut self, points: &[(f32, f32)], colour: [u8; 3]) {
        if let Some(path) = polygon(&self.points(points), true) {
            self.place(Mark::Fill { path, colour }, false);
        }
    }

    /// A closed outline.
    pub fn outline_shape(&mut self, points: &[(f32, f32)], colour: [u8; 3], width: f32) {
        if let Some(path) = polygon(&self.points(points), true) {
            let dashed = false;
            self.place(
                Mark::Stroke {
                    path,
                    colour,
                    width,
                    dashed,
                },
                false,
            );
        }
    }

    pub fn picture(&mut self, x: f32, y: f32, w: f32, h: f32, picture: Picture) {
        if let Some(area) = Rect::from_xywh(self.x(x, w), y, w, h) {
            self.place(Mark::Picture { area, picture }, true);
        }
    }
}

/// A text broken into lines.
pub struct Setting {
    pub lines: Vec<String>,
    pub style: Style,
    /// Of the whole text: a line of Latin words in it begins at the right as the others do.
    leftward: bool,
}

impl Setting {
    pub fn height(&self, leading: f32) -> f32 {
        self.lines.len() as f32 * leading
    }
}

fn rectangle(x: f32, y: f32, w: f32, h: f32) -> Option<Path> {
    let mut builder = PathBuilder::new();
    builder.push_rect(Rect::from_xywh(x, y, w, h)?);
    builder.finish()
}

fn polygon(points: &[(f32, f32)], close: bool) -> Option<Path> {
    if points.iter().any(|(x, y)| !x.is_finite() || !y.is_finite()) {
        return None;
    }
    let mut builder = PathBuilder::new();
    let (first, others) = points.split_first()?;
    builder.move_to(first.0, first.1);
    for (x, y) in others {
        builder.line_to(*x, *y);
    }
    if close {
        builder.close();
    }
    builder.finish()
}
