//! Decides what stands where: a status becomes a list of items, the list becomes a picture.
//!
//! The list is there so that the layout can be tested without looking at pixels: every text knows
//! the room that it may use. The tile takes 60 % of the height, the queue 25 %, the strip 15 %
//! (product spec 2.1 rule 8). A language that runs to the left has all of it on
//! the other side. Sizes follow the panel's pixels per millimetre where people read
//! from afar, and the panel's height where they do not.

mod face;
mod queue;
pub mod service;
mod strip;
mod tile;

use super::canvas::Canvas;
use super::colour::{self, Ink};
use super::lettering::{self, Block, Style, Weight};
use super::picture::Picture;
use super::shape::Shape;
use super::{Clock, PanelSize, Signal};
use crate::base::language::Language;
use crate::base::script;
use crate::status::{Place, State};
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::primitives::Rectangle;

/// A rectangle in pixels of the panel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    pub x: f32,
    pub y: f32,
    pub w: f32,
    pub h: f32,
}

impl Area {
    #[must_use]
    pub fn right(self) -> f32 {
        self.x + self.w
    }

    #[must_use]
    pub fn bottom(self) -> f32 {
        self.y + self.h
    }

    #[must_use]
    pub fn middle(self) -> f32 {
        self.y + self.h / 2.0
    }

    /// Smaller by `x` on the left and right and by `y` at the top and bottom.
    #[must_use]
    pub fn inset(self, x: f32, y: f32) -> Self {
        Self {
            x: self.x + x,
            y: self.y + y,
            w: (self.w - 2.0 * x).max(1.0),
            h: (self.h - 2.0 * y).max(1.0),
        }
    }

    /// What lies between two edges of the same area.
    #[must_use]
    pub fn rows(self, top: f32, bottom: f32) -> Self {
        let h = (bottom - top).max(1.0);
        Self { y: top, h, ..self }
    }

    #[must_use]
    pub fn columns(self, left: f32, right: f32) -> Self {
        let w = (right - left).max(1.0);
        Self { x: left, w, ..self }
    }

    fn rectangle(self) -> Rectangle {
        let (x, y) = (self.x.round(), self.y.round());
        let (w, h) = (self.right().round() - x, self.bottom().round() - y);
        Rectangle::new(
            Point::new(x as i32, y as i32),
            Size::new(w as u32, h as u32),
        )
    }
}

/// One thing on the picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Fill {
        area: Area,
        colour: Rgb888,
    },
    Shape {
        shape: Shape,
        /// A square.
        area: Area,
        colour: Rgb888,
    },
    Text {
        text: String,
        style: Style,
        x: f32,
        baseline: f32,
        ink: Ink,
        /// Where the text may stand.
        room: Area,
    },
    Picture {
        area: Area,
    },
}

/// The list under construction, and the measures that all parts share.
struct Sheet {
    items: Vec<Item>,
    panel: PanelSize,
    language: Language,
    whole: Area,
    /// The shorter side; type that is read from near grows with it.
    unit: f32,
    /// Between the edge of the panel and the first letter of every line.
    margin: f32,
}

/// The whole picture as a list, from the ground up. `map` is the size of the map's picture.
#[must_use]
pub fn compose(
    signal: &Signal,
    map: Option<(u32, u32)>,
    panel: PanelSize,
    now: Clock,
) -> Vec<Item> {
    compose_in(
        signal.language(Language::default()),
        signal,
        map,
        panel,
        now,
    )
}

/// The same in a language: without a signal there is no status that says which.
#[must_use]
pub fn compose_in(
    language: Language,
    signal: &Signal,
    map: Option<(u32, u32)>,
    panel: PanelSize,
    now: Clock,
) -> Vec<Item> {
    let mut sheet = sheet(panel, language);
    let whole = sheet.whole;
    let tile_end = (whole.h * 0.60).round();
    let queue_end = (whole.h * 0.85).round();
    tile::compose(&mut sheet, signal, map, whole.rows(0.0, tile_end));
    queue::compose(&mut sheet, signal, whole.rows(tile_end, queue_end));
    strip::compose(&mut sheet, signal, whole.rows(queue_end, whole.h), now);
    if language.runs_left() {
        for item in &mut sheet.items {
            mirror(item, whole.w);
        }
    }
    sheet.items
}

/// An empty list for a panel.
fn sheet(panel: PanelSize, language: Language) -> Sheet {
    let whole = Area {
        x: 0.0,
        y: 0.0,
        w: panel.px.0 as f32,
        h: panel.px.1 as f32,
    };
    let unit = whole.w.min(whole.h);
    Sheet {
        items: Vec::new(),
        panel,
        language,
        whole,
        unit,
        margin: (unit * 0.052).round(),
    }
}

/// Moves an item to the other side of a panel of this width. Nothing is turned: a shape, a picture
/// and a line of text look as they did.
fn mirror(item: &mut Item, width: f32) {
    match item {
        Item::Fill { area, .. } | Item::Shape { area, .. } | Item::Picture { area } => {
            area.x = width - area.right();
        }
        Item::Text {
            text,
            style,
            x,
            room,
            ..
        } => {
            *x = width - *x - style.width(text);
            room.x = width - room.right();
        }
    }
}

/// Draws the list. The map's picture fills the item that stands for it.
#[must_use]
pub fn paint(items: &[Item], map: Option<&Picture>, panel: PanelSize) -> Canvas {
    let mut canvas = Canvas::new(panel.px.0, panel.px.1);
    for item in items {
        match item {
            Item::Fill { area, colour } => {
                let Ok(()) = canvas.fill_solid(&area.rectangle(), *colour);
            }
            Item::Shape {
                shape,
                area,
                colour,
            } => {
                let square = area.rectangle();
                let Point { x, y } = square.top_left;
                shape.draw(&mut canvas, x, y, square.size.width, *colour);
            }
            Item::Text {
                text,
                style,
                x,
                baseline,
                ink,
                ..
            } => lettering::draw(&mut canvas, text, *style, *x, *baseline, *ink),
            Item::Picture { area } => {
                if let Some(picture) = map {
                    picture.draw(&mut canvas, area.rectangle());
                }
            }
        }
    }
    canvas
}

impl Sheet {
    fn fill(&mut self, area: Area, colour: Rgb888) {
        self.items.push(Item::Fill { area, colour });
    }

    fn shape(&mut self, shape: Shape, x: f32, y: f32, side: f32, colour: Rgb888) {
        let side = side.round();
        let (x, y) = (x.round(), y.round());
        let area = Area {
            x,
            y,
            w: side,
            h: side,
        };
        self.items.push(Item::Shape {
            shape,
            area,
            colour,
        });
    }

    /// Sets a block with its top at `top`; `room` bounds it. Gives back where it ends.
    fn block(&mut self, block: &Block, top: f32, room: Area, ink: Ink) -> f32 {
        let mut baseline = top + block.over();
        for line in &block.lines {
            if !line.is_empty() {
                self.items.push(Item::Text {
                    text: line.clone(),
                    style: block.style,
                    x: room.x,
                    baseline: baseline.floor(),
                    ink,
                    room,
                });
            }
            baseline += block.pitch();
        }
        top + block.height()
    }

    /// One line of at most `cap`, its capitals centred in the height of `room`, at the left.
    /// Gives back where it ends.
    fn line(&mut self, text: &str, weight: Weight, cap: f32, room: Area, ink: Ink) -> f32 {
        self.aligned(text, weight, cap, room, ink, 0.0)
    }

    /// The same at the right. Gives back where it begins.
    fn line_right(&mut self, text: &str, weight: Weight, cap: f32, room: Area, ink: Ink) -> f32 {
        let end = self.aligned(text, weight, cap, room, ink, 1.0);
        room.right() - (end - room.x)
    }

    fn aligned(
        &mut self,
        text: &str,
        weight: Weight,
        cap: f32,
        room: Area,
        ink: Ink,
        right: f32,
    ) -> f32 {
        let block = lettering::fit(text, weight, cap, (room.w, room.h), 1);
        let (width, cap) = (block.width(), block.style.cap());
        let reach = block.lines.first().map(|line| block.style.reach(line));
        let Some(line) = block
            .lines
            .into_iter()
            .next()
            .filter(|line| !line.is_empty())
        else {
            return room.x;
        };
        self.items.push(Item::Text {
            style: block.style,
            x: room.x + (room.w - width) * right,
            baseline: match reach {
                // Letters that reach far under the line are centred with all of their height.
                Some(reach) if script::runs_left(&line) => {
                    (room.middle() + (reach.over - reach.under) / 2.0).round()
                }
                _ => (room.middle() + cap / 2.0).round(),
            },
            text: line,
            ink,
            room,
        });
        room.x + width
    }

    /// Pixels of a length on the panel.
    fn mm(&self, mm: f32) -> f32 {
        mm / self.panel.mm_per_px()
    }

    /// Capital height of what is read at arm's length: 6.4 mm is right for 1 m, and a twentieth of
    /// the panel keeps the proportions on one that is larger than it says.
    fn near_cap(&self) -> f32 {
        self.mm(6.4).clamp(self.unit * 0.05, self.unit * 0.068)
    }
}
