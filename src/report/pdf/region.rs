//! The lower half of the first page: how much of the lungs, and where.

use super::super::{Analysed, KeyImage, Raster, png, solid, words};
use super::pen::{BOTTOM, LEFT, Pen, Picture, RIGHT, Role, WIDTH};
use super::{GREY, INK, RULE, VIOLET, paragraph, room, section, strong, text};
use std::sync::Arc;

pub fn involvement(pen: &mut Pen, analysed: &Analysed) {
    const SOLID_WIDTH: f32 = 152.0;
    // Words, strip and picture of the lungs beside each other: the room below is the key images'.
    let (height, words_width, strip_right) = match &analysed.solid {
        Some(_) => (78.0, 196.0, RIGHT - SOLID_WIDTH - 8.0),
        None => (54.0, 236.0, RIGHT),
    };
    if !room(pen, height + 30.0) {
        return;
    }
    section(pen, words::INVOLVEMENT_TITLE.of(pen.language));
    let top = pen.y;
    let part = analysed.involvement;
    let columns = [
        (words::BOTH_LUNGS.of(pen.language), part.total_percent, 17.0),
        (words::RIGHT.of(pen.language), part.right_percent, 13.0),
        (words::LEFT.of(pen.language), part.left_percent, 13.0),
    ];
    let mut x = LEFT;
    for (label, share, size) in columns {
        pen.within(Role::Paragraph, |pen| {
            pen.text(x, top + 9.0, 66.0, label, text(7.4, GREY));
            pen.text(
                x,
                top + 26.0,
                70.0,
                &words::percent(pen.language, share),
                strong(size, INK),
            );
        });
        x += words_width * if size > 15.0 { 0.39 } else { 0.3 };
    }
    let note = words::involvement_note(pen.language, analysed);
    let note = pen.break_text(&note, text(6.8, GREY), words_width - 10.0, 4);
    pen.within(Role::Paragraph, |pen| {
        pen.lines(LEFT, top + 38.0, 8.6, &note)
    });
    // As far down as the picture beside it.
    let down = (height - 54.0) / 2.0;
    let from = LEFT + words_width + 6.0;
    // A scale runs from the left to the right in every language.
    pen.upright(from, strip_right, |pen| {
        strip(pen, analysed, (from, strip_right), top + down);
    });
    if let Some(solid) = &analysed.solid {
        draw_solid(pen, solid, (RIGHT - SOLID_WIDTH, top), height);
    }
    pen.y = top + height + 8.0;
}

/// The lungs as a solid, at the right margin, with its words under it.
fn draw_solid(pen: &mut Pen, solid: &Raster, (left, top): (f32, f32), height: f32) {
    let solid = solid::labelled(solid, pen.language);
    let side = |length: usize| u32::try_from(length).unwrap_or(0);
    let tall = height - 11.0;
    let wide = tall * solid.width as f32 / solid.height.max(1) as f32;
    let wide = wide.min(RIGHT - left);
    let tall = wide * solid.height as f32 / solid.width.max(1) as f32;
    let x = RIGHT - wide;
    pen.within(
        Role::Figure(words::SOLID.of(pen.language).to_owned()),
        |pen| {
            let picture = Picture {
                width: side(solid.width),
                height: side(solid.height),
                grey: false,
                bytes: Arc::new(solid.rgb),
            };
            pen.picture(x, top + 2.0, wide, tall, picture);
        },
    );
    pen.within(Role::Paragraph, |pen| {
        // Wider than the picture: below the strip there is nothing beside it.
        let room = RIGHT - left + 36.0;
        pen.text_right(
            RIGHT,
            top + tall + 10.0,
            room,
            words::SOLID.of(pen.language),
            text(6.4, GREY),
        );
    });
}

/// The share of involved lung from feet to head, with the key slices marked.
fn strip(pen: &mut Pen, analysed: &Analysed, (x, right): (f32, f32), top: f32) {
    const HEIGHT: f32 = 38.0;
    const HEAD: f32 = 18.0;
    // "100 %", or as a word.
    let axis = if pen.language.runs_left() { 36.0 } else { 24.0 };
    let left = x + axis;
    let right = right - HEAD;
    let width = right - left;
    let base = top + HEIGHT + 3.0;
    let words::Strip {
        shares,
        scale,
        words,
    } = words::strip(pen.language, analysed);
    pen.within(Role::Figure(words), |pen| {
        pen.text_right(
            left - 4.0,
            top + 6.0,
            axis,
            &pen.language.percent(&format!("{scale:.0}")),
            text(6.4, GREY),
        );
        pen.text_right(
            left - 4.0,
            base,
            axis,
            &pen.language.percent("0"),
            text(6.4, GREY),
        );
        pen.stroke(&[(left, top + 3.0), (right, top + 3.0)], RULE, 0.5, true);
        let middle = top + 3.0 + (base - top - 3.0) / 2.0;
        pen.stroke(&[(left, middle), (right, middle)], RULE, 0.5, true);
        let count = shares.len().max(1) as f32;
        let step = width / count;
        for (z, share) in shares.iter().enumerate() {
            let height = (base - top - 3.0) * (share / scale).min(1.0);
            if height > 0.15 {
                let bar = left + z as f32 * step;
                pen.fill(
                    bar + 0.3,
                    base - height,
                    (step - 0.6).max(0.4),
                    height,
                    VIOLET,
                );
            }
        }
        pen.stroke(&[(left, base), (right, base)], INK, 0.7, false);
        let centres: Vec<f32> = analysed
            .shown()
            .iter()
            .map(|image| left + (image.network_z as f32 + 0.5).min(count) * step)
            .collect();
        let baseline = base + 12.4;
        // Two marks closer than a figure is wide would print over each other.
        let mut free_from = left - 20.0;
        for (index, centre) in centres.iter().copied().enumerate() {
            let (top, bottom, half) = (base + 2.0, base + 5.4, 1.9);
            let corners = [
                (centre, top),
                (centre - half, bottom),
                (centre + half, bottom),
            ];
            pen.shape(&corners, INK);
            if centre - 3.0 >= free_from {
                let number = (index + 1).to_string();
                pen.text_centred(centre, baseline, 12.0, &number, strong(6.8, INK));
                free_from = centre + 3.0;
            }
        }
        // Outside the strip, where no mark can push them away.
        pen.text_right(
            left - 4.0,
            baseline,
            axis,
            words::FEET.of(pen.language),
            text(6.4, GREY),
        );
        let head = words::HEAD.of(pen.language);
        pen.text(right + 4.0, baseline, HEAD + 8.0, head, text(6.4, GREY));
    });
}

pub fn key_images(pen: &mut Pen, analysed: &Analysed) {
    const COLUMNS: usize = 2;
    const GUTTER: f32 = 15.0;
    const INNER: f32 = 3.0;
    const CAPTION: f32 = 12.5;
    const LEAST: f32 = 88.0;
    let sound: Vec<(usize, &KeyImage)> = analysed
        .shown()
        .iter()
        .enumerate()
        .filter(|(_, image)| image.is_sound())
        .collect();
    let note = if sound.is_empty() {
        words::NO_KEY_IMAGES.of(pen.language)
    } else {
        words::KEY_IMAGES.of(pen.language)
    };
    let rows = sound.len().div_ceil(COLUMNS);
    let head = 15.0 + 2.0 * 9.0 + 6.0;
    let needed = head + rows as f32 * (LEAST + CAPTION);
    if !room(pen, needed) {
        return;
    }
    section(pen, words::KEY_IMAGES_TITLE.of(pen.language));
    paragraph(pen, note, text(6.9, GREY), 8.8, 3);
    pen.y += 4.0;
    if rows == 0 {
        return;
    }
    let widest = ((WIDTH - GUTTER) / 2.0 - INNER) / 2.0;
    let height = (BOTTOM - pen.y) / rows as f32 - CAPTION;
    let side = widest.min(height).max(LEAST - 8.0);
    let slack = ((WIDTH - GUTTER) / 2.0 - (2.0 * side + INNER)).max(0.0);
    for (place, (index, image)) in sound.iter().enumerate() {
        let (row, column) = (place / COLUMNS, place % COLUMNS);
        // The left column stands at the left margin, the right one at the right margin.
        let x = LEFT + column as f32 * ((WIDTH - GUTTER) / 2.0 + GUTTER + slack);
        let y = pen.y + row as f32 * (side + CAPTION);
        picture_pair(pen, image, index + 1, (x, y), side, INNER);
    }
    pen.y += rows as f32 * (side + CAPTION);
}

fn picture_pair(
    pen: &mut Pen,
    image: &KeyImage,
    number: usize,
    (x, y): (f32, f32),
    side: f32,
    inner: f32,
) {
    let png::Pair { original, overlay } = png::pair(image, pen.language);
    let longer = original.width.max(original.height).max(1) as f32;
    let (w, h) = (
        side * original.width as f32 / longer,
        side * original.height as f32 / longer,
    );
    let words = words::key_image(pen.language, image);
    pen.within(Role::Figure(words), |pen| {
        let grey: Vec<u8> = original.rgb.iter().step_by(3).copied().collect();
        let size = |length: usize| u32::try_from(length).unwrap_or(0);
        // As in the file of the pair: the slice on the left, its map on the right.
        pen.upright(x, x + 2.0 * side + inner, |pen| {
            for (at, grey, bytes) in [(x, true, grey), (x + side + inner, false, overlay.rgb)] {
                pen.fill(at, y, side, side, [0; 3]);
                let picture = Picture {
                    width: size(original.width),
                    height: size(original.height),
                    grey,
                    bytes: Arc::new(bytes),
                };
                let (dx, dy) = ((side - w) / 2.0, (side - h) / 2.0);
                pen.picture(at + dx, y + dy, w, h, picture);
            }
        });
    });
    pen.within(Role::Paragraph, |pen| {
        let baseline = y + side + 8.6;
        let taken = pen.text(x, baseline, 12.0, &number.to_string(), strong(7.2, INK));
        let caption = words::key_caption(pen.language, image);
        let x_caption = x + taken + 5.0;
        pen.text(x_caption, baseline, side * 1.3, &caption, text(7.0, GREY));
        let share = words::key_share(pen.language, image);
        pen.text_right(
            x + 2.0 * side + inner,
            baseline,
            side,
            &share,
            text(7.0, GREY),
        );
    });
}
