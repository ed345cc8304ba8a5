//! The secondary capture: a page with the answer, then the key slices with their overlay, as
//! pictures that every viewer shows.
//!
//! The banner is in the pixels of each page. No text about the patient is drawn.

use super::Kind;
use super::code;
use super::common::Common;
use super::set::Set;
use crate::base::language::Language;
use crate::report::raster::{Raster, label_size};
use crate::report::{BANNER, BANNER_SHORT, DEMONSTRATION, Outcome, png, words};
use dicom_core::VR;
use dicom_dictionary_std::tags;

/// Two pictures of a key slice and the gap between them.
const WIDTH: usize = 1030;
const HEIGHT: usize = 512;

/// Left edge of the text of the first page.
const EDGE: i32 = 36;

pub fn write(make: &Common) -> Set {
    let pages = pages(make);
    let mut set = make.begin(Kind::Sc, "OT", "key images");
    set.code_string(tags::CONVERSION_TYPE, "WSD");
    let (maker, model) = make.maker();
    set.text(tags::SECONDARY_CAPTURE_DEVICE_MANUFACTURER, VR::LO, maker);
    set.text(
        tags::SECONDARY_CAPTURE_DEVICE_MANUFACTURER_MODEL_NAME,
        VR::LO,
        model,
    );
    set.code_string(tags::BODY_PART_EXAMINED, "CHEST");
    set.empty(tags::PATIENT_ORIENTATION, VR::CS);
    set.code_string(tags::IMAGE_TYPE, "DERIVED\\SECONDARY");
    let what = "Acquired slices in the lung window, beside them the difference map in violet";
    set.text(tags::DERIVATION_DESCRIPTION, VR::ST, what);
    set.code_string(tags::BURNED_IN_ANNOTATION, "YES");
    set.code_string(tags::LOSSY_IMAGE_COMPRESSION, "00");
    let keys = make.report.key_images().iter();
    let places = keys.filter_map(|key| usize::try_from(key.slice).ok()?.checked_sub(1));
    let sources = make.pointers(places, code::SOURCE_FOR_PROCESSING);
    if !sources.is_empty() {
        set.items(tags::SOURCE_IMAGE_SEQUENCE, sources);
    }

    set.small(tags::SAMPLES_PER_PIXEL, 3);
    set.code_string(tags::PHOTOMETRIC_INTERPRETATION, "RGB");
    set.small(tags::PLANAR_CONFIGURATION, 0);
    set.small(tags::ROWS, HEIGHT as u16);
    set.small(tags::COLUMNS, WIDTH as u16);
    set.small(tags::BITS_ALLOCATED, 8);
    set.small(tags::BITS_STORED, 8);
    set.small(tags::HIGH_BIT, 7);
    set.small(tags::PIXEL_REPRESENTATION, 0);
    set.text(tags::NUMBER_OF_FRAMES, VR::IS, &pages.len().to_string());
    if pages.len() > 1 {
        set.pointer(tags::FRAME_INCREMENT_POINTER, tags::PAGE_NUMBER_VECTOR);
        let numbers: Vec<String> = (1..=pages.len()).map(|n| n.to_string()).collect();
        set.text(tags::PAGE_NUMBER_VECTOR, VR::IS, &numbers.join("\\"));
    }
    let pixels = pages.into_iter().flat_map(|page| page.rgb).collect();
    set.bytes(tags::PIXEL_DATA, VR::OB, pixels);
    set
}

/// The first page and one for each key slice.
fn pages(make: &Common) -> Vec<Raster> {
    let mut pages = vec![summary(make)];
    for image in make.report.key_images().iter().filter(|i| i.is_sound()) {
        let png::Pair { original, overlay } = png::pair(image, Language::English);
        let mut page = Raster::new(WIDTH, HEIGHT, [0; 3]);
        let half = (WIDTH - 6) / 2;
        for (left, half_page) in [(0, &original), (WIDTH - half, &overlay)] {
            let x = left + half.saturating_sub(half_page.width) / 2;
            let y = HEIGHT.saturating_sub(half_page.height) / 2;
            page.paste(x, y, half_page);
        }
        pages.push(page);
    }
    pages
}

/// What a reader must know before the pictures, or instead of them.
fn summary(make: &Common) -> Raster {
    let report = make.report;
    let mut page = Raster::new(WIDTH, HEIGHT, [0; 3]);
    let mut y = 20;
    let mut line = |size: f32, text: &str| {
        for text in wrapped(text, size, WIDTH as i32 - 2 * EDGE) {
            page.label(EDGE, y, size, &text);
            y += label_size(size, &text).1;
        }
        y += (size / 3.0) as i32;
    };
    line(30.0, BANNER_SHORT);
    line(16.0, BANNER.trim_start_matches("RESEARCH USE ONLY. "));
    if report.model.demonstration {
        line(20.0, DEMONSTRATION);
    }
    match &report.outcome {
        Outcome::Analysed(a) => {
            line(44.0, words::result(a.decision).of(Language::English));
            line(17.0, words::meaning(a.decision).of(Language::English));
            if !a.undecided_because.is_empty() {
                line(17.0, &a.undecided_because);
            }
            let p = |p| words::probability(Language::English, p);
            line(
                20.0,
                &format!(
                    "No pneumonia {}, Covid-like {}, other pneumonia {}",
                    p(a.p.control),
                    p(a.p.covid19),
                    p(a.p.cap)
                ),
            );
            let share = |share| words::percent(Language::English, share);
            let part = &a.involvement;
            line(
                20.0,
                &format!(
                    "Raised difference: both lungs {}, right {}, left {}",
                    share(part.total_percent),
                    share(part.right_percent),
                    share(part.left_percent)
                ),
            );
            line(
                20.0,
                &format!(
                    "By height: upper third {}, middle {}, lower {}",
                    share(part.upper_percent),
                    share(part.middle_percent),
                    share(part.lower_percent)
                ),
            );
            line(15.0, words::INVOLVEMENT.of(Language::English));
        }
        Outcome::NotAnalysed { reason, action, .. } => {
            line(44.0, words::NOT_ANALYSED.of(Language::English));
            line(22.0, reason);
            line(22.0, action);
            line(17.0, words::NOT_ANALYSED_MEANING.of(Language::English));
        }
    }
    for caveat in report.caveats.iter().take(3) {
        line(15.0, &caveat.words);
    }
    let model = &report.model;
    line(
        15.0,
        &format!("{} {}, {}", model.name, model.version, report.software),
    );
    page
}

/// A text in lines that are no wider than this.
fn wrapped(text: &str, size: f32, width: i32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match (longer, lines.last_mut()) {
            (Some(longer), Some(line)) if label_size(size, &longer).0 <= width => *line = longer,
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
