//! The strip: health of what the box depends on, the model, the clock, RESEARCH USE ONLY.

use super::{Area, Sheet, Signal, colour};
use crate::base::language::Language;
use crate::screen::lettering::{Style, Weight};
use crate::screen::shape::Shape;
use crate::screen::{Clock, words};
use crate::status::{Health, Status};
use embedded_graphics::pixelcolor::Rgb888;

/// Capital height of the strip's text at best, as a share of the panel's shorter side.
const CAP: f32 = 0.027;

/// Sizes are tried in these steps until all chips fit.
const SHRINK: f32 = 0.96;

pub fn compose(sheet: &mut Sheet, signal: &Signal, area: Area, now: Clock) {
    sheet.fill(area, colour::SLATE);
    let inside = area.inset(sheet.margin, sheet.margin * 0.2);
    let left = clock(sheet, inside, now);
    let room = inside.columns(inside.x, left - sheet.margin * 0.8);
    let chips = match signal {
        Signal::Live(status) => chips(status, sheet.language),
        Signal::Lost(_) => vec![research(sheet.language)],
    };
    set(sheet, &chips, room);
}

/// Time and second mark at the right. Gives back where they begin.
fn clock(sheet: &mut Sheet, inside: Area, now: Clock) -> f32 {
    let cap = (sheet.unit * 0.055).min(inside.h * 0.5);
    let side = (cap * 1.6).round();
    let dial = inside.right() - side;
    let top = (inside.middle() - side / 2.0).round();
    sheet.shape(Shape::Dial, dial, top, side, colour::STONE);
    let hand = Shape::Hand(now.second % 60);
    sheet.shape(hand, dial, top, side, colour::PAPER);
    let text = format!("{:02}:{:02}", now.hour, now.minute);
    let room = inside.columns(inside.x + inside.w * 0.5, dial - cap * 0.5);
    sheet.line_right(&text, Weight::Bold, cap, room, colour::STRIP)
}

/// A mark and a few words that stay together.
struct Chip {
    mark: Option<(Shape, Rgb888)>,
    text: String,
    weight: Weight,
    soft: bool,
    /// Stands on a light plate and begins a line.
    plate: bool,
}

fn research(language: Language) -> Chip {
    Chip {
        mark: None,
        text: words::RESEARCH_USE_ONLY.of(language).to_owned(),
        weight: Weight::Bold,
        soft: false,
        plate: true,
    }
}

fn chips(status: &Status, language: Language) -> Vec<Chip> {
    let strip = &status.strip;
    let health = |health: Health, text: String| Chip {
        mark: Some(match health {
            Health::Good => (Shape::Dot, colour::LEAF),
            Health::Warn => (Shape::Triangle, colour::AMBER),
            Health::Bad => (Shape::Octagon, colour::ROSE),
            Health::Off => (Shape::Ring, colour::MIST),
        }),
        text,
        weight: Weight::Regular,
        soft: health == Health::Off,
        plate: false,
    };
    vec![
        health(
            strip.network,
            format!("{} {}", words::NETWORK.of(language), strip.address)
                .trim()
                .to_owned(),
        ),
        health(strip.disk, words::disk(language, strip.disk_used_percent)),
        health(strip.clock, words::CLOCK.of(language).to_owned()),
        health(strip.pacs, words::PACS.of(language).to_owned()),
        research(language),
        Chip {
            mark: None,
            text: strip.model.clone(),
            weight: Weight::Regular,
            soft: true,
            plate: false,
        },
    ]
}

/// Sets the chips in lines, as large as fits, never larger than [`CAP`] allows.
fn set(sheet: &mut Sheet, chips: &[Chip], room: Area) {
    let mut cap = sheet.unit * CAP;
    let lines = loop {
        let lines = flow(chips, cap, room.w);
        // Half a capital between lines and above the first: the strip must breathe.
        let fits = lines.len() as f32 * cap * 2.0 <= room.h
            && lines.iter().all(|line| width(line, cap) <= room.w);
        if fits || cap < 8.0 {
            break lines;
        }
        cap *= SHRINK;
    };
    let step = (room.h / lines.len() as f32).min(cap * 2.5);
    let mut top = room.middle() - step * lines.len() as f32 / 2.0;
    for line in lines {
        let mut left = room.x;
        for chip in line {
            let row = room.rows(top, top + step);
            let width = chip_width(chip, cap).min(room.right() - left);
            set_chip(sheet, chip, cap, row.columns(left, left + width));
            left += width + gap(cap);
        }
        top += step;
    }
}

fn set_chip(sheet: &mut Sheet, chip: &Chip, cap: f32, room: Area) {
    let mut room = room;
    let ink = match chip {
        Chip { plate: true, .. } => colour::PLATE,
        Chip { soft: true, .. } => colour::STRIP_SOFT,
        _ => colour::STRIP,
    };
    if let Some((shape, colour)) = chip.mark {
        let side = mark(cap);
        sheet.shape(shape, room.x, room.middle() - side / 2.0, side, colour);
        room = room.columns(room.x + side + cap * 0.5, room.right());
    }
    if chip.plate {
        let half = (cap * 0.9).round();
        let middle = room.middle().round();
        sheet.fill(room.rows(middle - half, middle + half), ink.ground);
        room = room.inset(pad(cap), 0.0);
    }
    sheet.line(&chip.text, chip.weight, cap, room, ink);
}

fn flow(chips: &[Chip], cap: f32, room: f32) -> Vec<Vec<&Chip>> {
    let mut lines: Vec<Vec<&Chip>> = Vec::new();
    for chip in chips.iter().filter(|chip| !chip.text.is_empty()) {
        let fits = |line: &[&Chip]| width(&[line, &[chip]].concat(), cap) <= room;
        match lines.last_mut() {
            Some(line) if !chip.plate && fits(line) => line.push(chip),
            _ => lines.push(vec![chip]),
        }
    }
    lines
}

fn width(line: &[&Chip], cap: f32) -> f32 {
    let chips: f32 = line.iter().map(|chip| chip_width(chip, cap)).sum();
    chips + gap(cap) * line.len().saturating_sub(1) as f32
}

fn chip_width(chip: &Chip, cap: f32) -> f32 {
    let mark = chip.mark.map_or(0.0, |_| mark(cap) + cap * 0.5);
    let plate = if chip.plate { 2.0 * pad(cap) } else { 0.0 };
    mark + plate + style(chip, cap).width(&chip.text) + 1.0
}

fn style(chip: &Chip, cap: f32) -> Style {
    Style::with_cap(chip.weight, cap)
}

fn mark(cap: f32) -> f32 {
    (cap * 1.15).round()
}

/// Between the edge of the plate and its first letter.
fn pad(cap: f32) -> f32 {
    (cap * 0.6).round()
}

fn gap(cap: f32) -> f32 {
    cap * 1.9
}
