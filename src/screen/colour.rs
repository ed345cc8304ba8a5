//! Every colour of the screen, as pairs that belong together.
//!
//! The lamp speaks about the box, never about the patient: green is ready, blue is at work or
//! done, white is neither, yellow wants a person soon, red wants one now (product spec 2.1).
//! The calm states have a dark tile and a bright shape, the two that want a person have a bright
//! tile: the panel glows only when it is needed. Text keeps at least 7:1 (appliance spec C2).

use embedded_graphics::pixelcolor::{Rgb888, RgbColor};

/// Text and the ground it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ink {
    pub text: Rgb888,
    pub ground: Rgb888,
}

/// The colours of one tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tone {
    pub ground: Rgb888,
    pub text: Rgb888,
    /// The shape, the lit place in the rail, the bar of progress.
    pub glow: Rgb888,
    /// The places in the rail that are not lit, and the ground of the bar.
    pub dim: Rgb888,
}

impl Tone {
    #[must_use]
    pub const fn ink(self) -> Ink {
        ink(self.text, self.ground)
    }

    /// The band at the foot of a tile: the tile's colours turned round, so that nobody takes it
    /// for decoration.
    #[must_use]
    pub const fn band(self) -> Ink {
        ink(self.ground, PAPER)
    }
}

const fn rgb(hex: u32) -> Rgb888 {
    let [_, red, green, blue] = hex.to_be_bytes();
    Rgb888::new(red, green, blue)
}

pub const WHITE: Tone = Tone {
    ground: rgb(0x2a_343e),
    text: rgb(0xff_ffff),
    glow: rgb(0xff_ffff),
    dim: rgb(0x43_4f5b),
};

pub const GREEN: Tone = Tone {
    ground: rgb(0x0a_5336),
    text: rgb(0xff_ffff),
    glow: rgb(0x86_f2b6),
    dim: rgb(0x1f_6f4f),
};

pub const BLUE: Tone = Tone {
    ground: rgb(0x10_437c),
    text: rgb(0xff_ffff),
    glow: rgb(0x9f_d3ff),
    dim: rgb(0x2a_5f9b),
};

pub const YELLOW: Tone = Tone {
    ground: rgb(0xf6_c720),
    text: rgb(0x15_1204),
    glow: rgb(0x15_1204),
    dim: rgb(0xd3_a60c),
};

pub const RED: Tone = Tone {
    ground: rgb(0x9c_1018),
    text: rgb(0xff_ffff),
    glow: rgb(0xff_ffff),
    dim: rgb(0xbb_353b),
};

/// The ground of the queue.
pub const NIGHT: Rgb888 = rgb(0x0d_1115);
/// The ground of the strip and of the stick's field.
pub const SLATE: Rgb888 = rgb(0x18_1f26);
/// Lines between rows.
pub const HAIR: Rgb888 = rgb(0x2d_3740);
/// The ring of the second mark.
pub const STONE: Rgb888 = rgb(0x5a_6876);
pub const PAPER: Rgb888 = rgb(0xf3_f6f8);
pub const MIST: Rgb888 = rgb(0xb3_bec9);
pub const LEAF: Rgb888 = rgb(0x5f_d699);
pub const SKY: Rgb888 = rgb(0x7f_c1ff);
pub const AMBER: Rgb888 = rgb(0xf9_d040);
pub const ROSE: Rgb888 = rgb(0xff_8a84);

pub const QUEUE: Ink = ink(PAPER, NIGHT);
pub const QUEUE_SOFT: Ink = ink(MIST, NIGHT);
pub const QUEUE_NEEDS_YOU: Ink = ink(AMBER, NIGHT);
pub const STRIP: Ink = ink(PAPER, SLATE);
pub const STRIP_SOFT: Ink = ink(MIST, SLATE);
/// The plate with RESEARCH USE ONLY.
pub const PLATE: Ink = ink(NIGHT, PAPER);

const fn ink(text: Rgb888, ground: Rgb888) -> Ink {
    Ink { text, ground }
}

/// Contrast by the formula of WCAG 2: 1 for equal colours, 21 for black on white.
#[must_use]
pub fn contrast(a: Rgb888, b: Rgb888) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(colour: Rgb888) -> f64 {
    let linear = |level: u8| {
        let level = f64::from(level) / 255.0;
        if level <= 0.040_45 {
            level / 12.92
        } else {
            ((level + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_knows_its_two_ends() {
        assert!((contrast(Rgb888::WHITE, Rgb888::BLACK) - 21.0).abs() < 1e-9);
        assert!((contrast(Rgb888::CYAN, Rgb888::CYAN) - 1.0).abs() < 1e-9);
        assert!((contrast(rgb(0x77_7777), Rgb888::WHITE) - 4.48).abs() < 0.01);
    }

    #[test]
    fn text_keeps_seven_to_one_and_shapes_four_and_a_half() {
        for tone in [WHITE, GREEN, BLUE, YELLOW, RED] {
            assert!(contrast(tone.text, tone.ground) >= 7.0, "{tone:?}");
            assert!(contrast(tone.glow, tone.ground) >= 4.5, "{tone:?}");
        }
        for ink in [
            WHITE.band(),
            BLUE.band(),
            QUEUE,
            QUEUE_SOFT,
            QUEUE_NEEDS_YOU,
            STRIP,
            STRIP_SOFT,
            PLATE,
        ] {
            assert!(contrast(ink.text, ink.ground) >= 7.0, "{ink:?}");
        }
        for mark in [LEAF, SKY, AMBER, ROSE] {
            assert!(contrast(mark, SLATE) >= 4.5, "{mark:?}");
            assert!(contrast(mark, NIGHT) >= 4.5, "{mark:?}");
        }
    }
}
