//! What the tile says in each state: the table of the product's specification, section 2.1.
//!
//! A new state gets its words, colour, shape and place here; how they are set is the tile's
//! business.

use super::{Signal, colour};
use crate::base::language::Language;
use crate::screen::colour::Tone;
use crate::screen::shape::Shape;
use crate::screen::{Lost, words};
use crate::status::{Place, State, Status};

/// Places in the rail, in the order of a study's way through the box and then of urgency.
pub const PLACES: usize = 10;

/// The place of a result.
pub const RESULT: usize = 5;

/// What a tile says.
pub struct Face<'a> {
    pub tone: Tone,
    pub shape: Shape,
    /// Index of the lit place.
    pub place: usize,
    pub word: &'a str,
    /// Under the word.
    pub line: String,
    /// Under the line, in bold: what to do.
    pub action: String,
    /// Beside the shape: whom a result or a refusal is about, and since when it stands.
    pub aside: String,
    /// The bar at the foot, 0 to 1.
    pub progress: Option<f32>,
    /// A light band at the foot.
    pub band: &'static str,
    pub map: bool,
}

pub fn of(signal: &Signal, language: Language) -> Face<'_> {
    match signal {
        Signal::Live(status) => face(status, language),
        Signal::Lost(lost) => no_signal(lost, language),
    }
}

fn plain(tone: Tone, shape: Shape, place: usize, word: &str, line: String) -> Face<'_> {
    Face {
        tone,
        shape,
        place,
        word,
        line,
        action: String::new(),
        aside: String::new(),
        progress: None,
        band: "",
        map: false,
    }
}

fn no_signal(lost: &Lost, language: Language) -> Face<'static> {
    let why = match lost {
        Lost::Missing => words::NOT_RUNNING.of(language).to_owned(),
        Lost::Unreadable => words::NOT_READABLE.of(language).to_owned(),
        Lost::Stale { seconds } => words::silent_for(language, *seconds),
        Lost::FromTheFuture => words::CLOCK_JUMPED.of(language).to_owned(),
    };
    Face {
        action: words::DO_NOT_TRUST.of(language).to_owned(),
        ..plain(
            colour::RED,
            Shape::Octagon,
            8,
            words::NO_SIGNAL.of(language),
            why,
        )
    }
}

fn face(status: &Status, language: Language) -> Face<'_> {
    let public = status.place == Place::Public;
    match &status.state {
        State::Starting => {
            let line = words::CHECKING_MODEL.of(language).to_owned();
            plain(
                colour::WHITE,
                Shape::Ring,
                0,
                words::STARTING.of(language),
                line,
            )
        }
        State::Ready { last_study } => {
            let line = match last_study {
                Some(at) => words::last_study(language, at),
                None => words::NO_STUDY_YET.of(language).to_owned(),
            };
            plain(
                colour::GREEN,
                Shape::Tick,
                1,
                words::READY.of(language),
                line,
            )
        }
        State::Receiving { images, expected } => Face {
            progress: expected
                .filter(|&expected| expected > 0 && *images <= expected)
                .map(|expected| *images as f32 / expected as f32),
            ..plain(
                colour::BLUE,
                Shape::ArrowDown,
                2,
                words::RECEIVING.of(language),
                words::received(language, *images, *expected),
            )
        },
        State::Checking => {
            let line = words::CHECKING_IMAGES.of(language).to_owned();
            plain(
                colour::BLUE,
                Shape::Magnifier,
                3,
                words::CHECKING.of(language),
                line,
            )
        }
        State::Analysing {
            study,
            of,
            eta_s,
            percent,
        } => Face {
            progress: Some(f32::from((*percent).min(100)) / 100.0),
            ..plain(
                colour::BLUE,
                Shape::Gear,
                4,
                words::ANALYSING.of(language),
                words::analysing(language, *study, *of, *eta_s),
            )
        },
        State::Result { at, .. } if public => plain(
            colour::BLUE,
            Shape::Document,
            5,
            words::DONE.of(language),
            at.clone(),
        ),
        State::Result {
            word,
            who,
            at,
            map,
            demonstration,
            note,
        } => Face {
            band: if *demonstration {
                words::DEMONSTRATION.of(language)
            } else {
                ""
            },
            map: map.is_some(),
            aside: words::who_and_when(who, at),
            ..plain(
                colour::BLUE,
                Shape::Document,
                RESULT,
                words::result(*word).of(language),
                note.clone(),
            )
        },
        State::NotAnalysed { at, .. } if public => plain(
            colour::YELLOW,
            Shape::Triangle,
            6,
            words::NEEDS_YOU.of(language),
            at.clone(),
        ),
        State::NotAnalysed {
            who,
            at,
            reason,
            action,
        } => Face {
            aside: words::who_and_when(who, at),
            action: action.clone(),
            ..plain(
                colour::YELLOW,
                Shape::Triangle,
                6,
                words::NOT_ANALYSED.of(language),
                reason.clone(),
            )
        },
        State::Attention { cause } => {
            let (tone, word) = (colour::YELLOW, words::ATTENTION.of(language));
            plain(tone, Shape::Triangle, 7, word, cause.clone())
        }
        State::NotReceiving { cause } => {
            let (tone, word) = (colour::RED, words::NOT_RECEIVING.of(language));
            plain(tone, Shape::Octagon, 8, word, cause.clone())
        }
        State::Service => {
            let line = String::new();
            Face {
                band: words::NO_PATIENT_DATA.of(language),
                ..plain(
                    colour::WHITE,
                    Shape::Spanner,
                    9,
                    words::SERVICE_MODE.of(language),
                    line,
                )
            }
        }
    }
}
