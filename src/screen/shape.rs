//! The shapes that say a state without a word: drawn four times too large with embedded-graphics
//! primitives, then averaged down, which gives them smooth edges.
//!
//! All are drawn on a grid of 100 by 100 with (0, 0) at the top left.

use super::canvas::Canvas;
use embedded_graphics::pixelcolor::{BinaryColor, Rgb888};
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{Circle, PrimitiveStyle, Rectangle, Triangle};
use std::convert::Infallible;
use std::f32::consts::TAU;

/// How much larger than shown a shape is drawn.
const FINE: u32 = 4;

/// No shape on any panel is larger.
const LARGEST: u32 = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Ring,
    Tick,
    ArrowDown,
    Magnifier,
    Gear,
    Document,
    Triangle,
    Octagon,
    Spanner,
    /// A disc: in good health.
    Dot,
    /// The dial around the second mark.
    Dial,
    /// The hand that shows the second, 0 to 59.
    Hand(u8),
}

type At = (f32, f32);

impl Shape {
    /// Draws the shape into the square of `side` pixels at (`x`, `y`).
    pub fn draw(self, canvas: &mut Canvas, x: i32, y: i32, side: u32, colour: Rgb888) {
        let side = side.min(LARGEST);
        let mut pen = Pen::new(side);
        self.trace(&mut pen);
        pen.press(canvas, x, y, colour);
    }

    /// The empty share of the square left of the shape, so that its ink and not its square can
    /// stand in line with letters.
    #[must_use]
    pub fn bearing(self) -> f32 {
        match self {
            Self::Ring => 0.08,
            Self::Tick => 0.07,
            Self::ArrowDown | Self::Dot => 0.10,
            Self::Magnifier => 0.075,
            Self::Gear => 0.045,
            Self::Document => 0.18,
            Self::Triangle => 0.03,
            Self::Octagon => 0.065,
            Self::Spanner => 0.125,
            Self::Dial | Self::Hand(_) => 0.0,
        }
    }

    fn trace(self, pen: &mut Pen) {
        match self {
            Self::Ring => pen.ring((50.0, 50.0), 36.0, 12.0),
            Self::Tick => pen.path(&[(14.0, 53.0), (39.0, 78.0), (86.0, 25.0)], 14.0),
            Self::ArrowDown => {
                pen.path(&[(50.0, 10.0), (50.0, 64.0)], 12.0);
                pen.path(&[(26.0, 42.0), (50.0, 66.0), (74.0, 42.0)], 12.0);
                pen.path(&[(16.0, 90.0), (84.0, 90.0)], 12.0);
            }
            Self::Magnifier => {
                pen.ring((41.0, 41.0), 28.0, 11.0);
                pen.path(&[(63.0, 63.0), (88.0, 88.0)], 15.0);
            }
            Self::Gear => gear(pen),
            Self::Document => document(pen),
            Self::Triangle => triangle(pen),
            Self::Octagon => octagon(pen),
            Self::Spanner => spanner(pen),
            Self::Dot => pen.disc((50.0, 50.0), 40.0),
            Self::Dial => pen.ring((50.0, 50.0), 46.0, 7.0),
            Self::Hand(second) => {
                let tip = polar(35.0, f32::from(second) / 60.0 - 0.25);
                pen.path(&[(50.0, 50.0), tip], 8.0);
                pen.disc((50.0, 50.0), 7.0);
            }
        }
    }
}

fn gear(pen: &mut Pen) {
    for tooth in 0..8 {
        let turn = (tooth as f32 + 0.5) / 8.0;
        let foot = |radius, side: f32| polar(radius, turn + side);
        let (a, b) = (foot(30.0, -0.047), foot(30.0, 0.047));
        let (c, d) = (foot(46.0, 0.024), foot(46.0, -0.024));
        pen.triangle(a, b, c);
        pen.triangle(a, c, d);
    }
    pen.disc((50.0, 50.0), 34.0);
    pen.erase();
    pen.disc((50.0, 50.0), 15.0);
}

fn document(pen: &mut Pen) {
    let edge = [
        (60.0, 9.0),
        (22.0, 9.0),
        (22.0, 91.0),
        (78.0, 91.0),
        (78.0, 27.0),
        (60.0, 9.0),
    ];
    pen.path(&edge, 8.0);
    pen.path(&[(58.0, 11.0), (58.0, 29.0), (76.0, 29.0)], 6.0);
    for y in [47.0, 61.0, 75.0] {
        pen.path(&[(36.0, y), (64.0, y)], 6.0);
    }
}

fn triangle(pen: &mut Pen) {
    let (top, right, left) = ((50.0, 13.0), (92.0, 85.0), (8.0, 85.0));
    pen.triangle(top, right, left);
    pen.path(&[top, right, left, top], 10.0);
    pen.erase();
    pen.path(&[(50.0, 37.0), (50.0, 58.0)], 9.0);
    pen.disc((50.0, 74.0), 5.5);
}

fn octagon(pen: &mut Pen) {
    let corner = |index: u8| polar(47.0, (f32::from(index) + 0.5) / 8.0);
    for index in 0..8 {
        pen.triangle((50.0, 50.0), corner(index), corner(index + 1));
    }
    pen.erase();
    pen.path(&[(28.0, 50.0), (72.0, 50.0)], 13.0);
}

fn spanner(pen: &mut Pen) {
    pen.path(&[(22.0, 78.0), (62.0, 38.0)], 19.0);
    pen.disc((67.0, 33.0), 26.0);
    pen.erase();
    pen.path(&[(71.0, 29.0), (96.0, 4.0)], 19.0);
    pen.disc((22.0, 78.0), 5.0);
}

/// The point at `radius` from the middle; a whole turn is 1, 0 points right, 0.25 down.
fn polar(radius: f32, turn: f32) -> At {
    let (sin, cos) = (turn * TAU).sin_cos();
    (50.0 + radius * cos, 50.0 + radius * sin)
}

/// Draws on a grid that is [`FINE`] times as dense as the picture.
struct Pen {
    side: u32,
    dots: Vec<bool>,
    colour: BinaryColor,
}

impl Pen {
    fn new(side: u32) -> Self {
        let fine = (side * FINE) as usize;
        Self {
            side,
            dots: vec![false; fine * fine],
            colour: BinaryColor::On,
        }
    }

    /// From now on strokes take away.
    fn erase(&mut self) {
        self.colour = BinaryColor::Off;
    }

    fn disc(&mut self, middle: At, radius: f32) {
        let circle = Circle::with_center(self.point(middle), self.length(2.0 * radius));
        self.fill(&circle);
    }

    fn ring(&mut self, middle: At, radius: f32, width: f32) {
        let circle = Circle::with_center(self.point(middle), self.length(2.0 * radius));
        let style = PrimitiveStyle::with_stroke(self.colour, self.length(width));
        let Ok(()) = circle.into_styled(style).draw(self);
    }

    /// A stroke with round ends and corners. Its body is two triangles: the thick lines of
    /// embedded-graphics 0.8 stay empty when they are some 400 by 80 pixels large.
    fn path(&mut self, points: &[At], width: f32) {
        for pair in points.windows(2) {
            if let &[(x1, y1), (x2, y2)] = pair {
                let length = (x2 - x1).hypot(y2 - y1).max(f32::EPSILON);
                let (dx, dy) = ((x2 - x1) / length, (y2 - y1) / length);
                let (nx, ny) = (-dy * width / 2.0, dx * width / 2.0);
                let (a, b) = ((x1 + nx, y1 + ny), (x1 - nx, y1 - ny));
                let (c, d) = ((x2 + nx, y2 + ny), (x2 - nx, y2 - ny));
                self.triangle(a, b, c);
                self.triangle(b, c, d);
            }
        }
        for &point in points {
            self.disc(point, width / 2.0);
        }
    }

    fn triangle(&mut self, a: At, b: At, c: At) {
        let triangle = Triangle::new(self.point(a), self.point(b), self.point(c));
        self.fill(&triangle);
    }

    fn fill<P>(&mut self, primitive: &P)
    where
        P: Primitive + Copy,
        embedded_graphics::primitives::Styled<P, PrimitiveStyle<BinaryColor>>:
            Drawable<Color = BinaryColor>,
    {
        let style = PrimitiveStyle::with_fill(self.colour);
        let Ok(_) = primitive.into_styled(style).draw(self);
    }

    fn point(&self, (x, y): At) -> Point {
        let unit = (self.side * FINE) as f32 / 100.0;
        Point::new((x * unit).round() as i32, (y * unit).round() as i32)
    }

    fn length(&self, length: f32) -> u32 {
        let unit = (self.side * FINE) as f32 / 100.0;
        ((length * unit).round() as u32).max(1)
    }

    fn press(&self, canvas: &mut Canvas, x: i32, y: i32, colour: Rgb888) {
        let (side, fine) = (self.side as usize, FINE as usize);
        let rows: Vec<&[bool]> = self.dots.chunks_exact((side * fine).max(1)).collect();
        for (band, dy) in rows.chunks_exact(fine).zip(0..) {
            for (column, dx) in (0..side).zip(0..) {
                let cells = column * fine..(column + 1) * fine;
                let set = |row: &&[bool]| {
                    let cells = row.get(cells.clone()).unwrap_or_default();
                    cells.iter().filter(|&&dot| dot).count()
                };
                let count: usize = band.iter().map(set).sum();
                let cover = (count * 255 + fine * fine / 2) / (fine * fine);
                if cover > 0 {
                    canvas.blend(x + dx, y + dy, colour, cover.min(255) as u8);
                }
            }
        }
    }
}

impl OriginDimensions for Pen {
    fn size(&self) -> Size {
        Size::new(self.side * FINE, self.side * FINE)
    }
}

impl DrawTarget for Pen {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<BinaryColor>>,
    {
        let bounds = Rectangle::new(Point::zero(), self.size());
        let width = (self.side * FINE) as usize;
        for Pixel(at, colour) in pixels {
            if bounds.contains(at)
                && let Some(dot) = self.dots.get_mut(at.y as usize * width + at.x as usize)
            {
                *dot = colour.is_on();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [Shape; 9] = [
        Shape::Ring,
        Shape::Tick,
        Shape::ArrowDown,
        Shape::Magnifier,
        Shape::Gear,
        Shape::Document,
        Shape::Triangle,
        Shape::Octagon,
        Shape::Spanner,
    ];

    fn drawn(shape: Shape, side: u32) -> Canvas {
        let mut canvas = Canvas::new(side + 4, side + 4);
        shape.draw(&mut canvas, 2, 2, side, Rgb888::WHITE);
        canvas
    }

    #[test]
    fn every_shape_stays_in_its_square_and_has_smooth_edges() {
        for shape in STATES.into_iter().chain([Shape::Dot, Shape::Dial]) {
            let canvas = drawn(shape, 40);
            let at = |x: u32, y: u32| canvas.pixels()[(y * 44 + x) as usize] & 0xff;
            let border = (0..44).flat_map(|i| [(i, 0), (i, 1), (i, 42), (i, 43)]);
            assert!(
                border
                    .into_iter()
                    .all(|(x, y)| at(x, y) == 0 && at(y, x) == 0)
            );
            let levels: Vec<u32> = canvas.pixels().iter().map(|p| p & 0xff).collect();
            assert!(
                levels.iter().any(|&l| l > 0 && l < 255),
                "{shape:?} has hard edges"
            );
            assert!(
                levels.iter().filter(|&&l| l == 255).count() > 60,
                "{shape:?}"
            );
        }
    }

    #[test]
    fn the_bearing_is_where_the_ink_begins() {
        for shape in STATES.into_iter().chain([Shape::Dot]) {
            let canvas = drawn(shape, 200);
            let inked = |x: &u32| (0..204).any(|y| canvas.pixels()[(y * 204 + x) as usize] != 0);
            let first = (0..204).find(inked).unwrap() as f32 - 2.0;
            assert!(
                (first / 200.0 - shape.bearing()).abs() < 0.012,
                "{shape:?} {first}"
            );
        }
    }

    /// A colour-blind reader across the room has the outline only: any two shapes of 24 pixels
    /// must differ in an eighth of their square at least.
    #[test]
    fn no_two_states_look_alike() {
        let pictures = STATES.map(|shape| drawn(shape, 24));
        for (i, a) in pictures.iter().enumerate() {
            for (j, b) in pictures.iter().enumerate().skip(i + 1) {
                let pairs = a.pixels().iter().zip(b.pixels());
                let differ: u32 = pairs.map(|(a, b)| (a & 0xff).abs_diff(b & 0xff)).sum();
                let share = f64::from(differ) / (255.0 * 24.0 * 24.0);
                assert!(share > 0.125, "{:?} {:?} {share}", STATES[i], STATES[j]);
            }
        }
    }

    /// Found by looking: a stroke that was there at 80 pixels was gone at 140.
    #[test]
    fn a_shape_covers_the_same_share_of_its_square_at_every_size() {
        for shape in STATES {
            let share = |side: u32| {
                let canvas = drawn(shape, side);
                let ink: u32 = canvas.pixels().iter().map(|p| p & 0xff).sum();
                f64::from(ink) / (255.0 * f64::from(side * side))
            };
            for side in [40, 60, 140, 300] {
                let (small, large) = (share(100), share(side));
                assert!(
                    (small / large - 1.0).abs() < 0.1,
                    "{shape:?} {side} {small} {large}"
                );
            }
        }
    }

    #[test]
    fn the_hand_moves_every_second() {
        for second in 0..60 {
            let next = (second + 1) % 60;
            assert_ne!(drawn(Shape::Hand(second), 30), drawn(Shape::Hand(next), 30));
        }
    }
}
