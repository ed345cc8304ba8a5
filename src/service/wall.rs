//! What the wall shows: the one [`Status`] that follows from all that is going on.

use super::worker::{Done, from_file_word};
use super::{clock, words};
use crate::base::language::{Language, Phrase};
use crate::config::Config;
use crate::reception::Access;
use crate::spool::Level;
use crate::status::{Health, QueueRow, SCHEMA, State, Status, Strip, Who};
use crate::store::{StudyRow, StudyState};
use std::time::Duration;

/// How long a result stays on the tile before READY comes back. A technologist walks over in less.
const RESULT_STAYS: Duration = Duration::from_secs(120);

/// Everything that the tile follows from.
#[derive(Default)]
pub struct Scene {
    pub starting: bool,
    /// Why the model cannot be trusted; empty when it can.
    pub model_fault: String,
    pub model: String,
    /// The self-test of this start has still to be made.
    pub untested: bool,
    /// What the last self-test found wrong; empty when nothing.
    pub test_fault: String,
    /// Nothing where the disk does not say.
    pub disk: Option<(Level, u8)>,
    pub receiving: Option<u32>,
    pub analysing: Option<Running>,
    pub waiting: u32,
    /// Seconds a slice, of the last study.
    pub pace: Option<f64>,
    /// The last finished run and when it ended.
    pub last: Option<(Done, StudyRow, Duration)>,
    pub recent: Vec<StudyRow>,
    /// What a person ought to know for a while, and since when.
    pub notice: Option<(String, Duration)>,
    /// The store or the spool does not answer.
    pub trouble: Option<Phrase>,
    /// Degrees of a zone that is over the board's limit.
    pub hot: Option<u8>,
    /// Whether an archive has not answered for long; nothing where there is none.
    pub pacs_silent: Option<bool>,
    /// A caller that was refused a short while ago, in words.
    pub refused: Option<String>,
    /// Until when strangers are heard, "14:12".
    pub learning: Option<String>,
    /// TLS certificates that end soon or have ended, in words.
    pub certificates: Vec<String>,
}

/// A run that is going on.
#[derive(Clone, Debug)]
pub struct Running {
    pub study_uid: String,
    pub done: usize,
    pub of: usize,
    pub since: Duration,
    /// Measured on this box; none before the first study is done.
    pub seconds_per_slice: Option<f64>,
}

/// Composes the status. `now` is the service's monotonic clock.
#[must_use]
pub fn compose(scene: &Scene, config: &Config, address: &str, now: Duration) -> Status {
    let mut causes = causes(scene, config.language, now);
    let state = if causes.is_empty() {
        ready(scene)
    } else {
        causes.remove(0)
    };
    // What only says that the box is busy is no hidden cause.
    let hidden = causes
        .iter()
        .filter(|state| {
            matches!(
                state,
                State::NotReceiving { .. } | State::Attention { .. } | State::NotAnalysed { .. }
            )
        })
        .count();
    Status {
        schema: SCHEMA,
        written_ms: clock::now_ms(),
        place: config.place,
        language: config.language,
        state,
        hidden_causes: u16::try_from(hidden).unwrap_or(u16::MAX),
        queue: scene.recent.iter().take(5).map(row).collect(),
        strip: Strip {
            network: match &config.access {
                Access::Peers(peers) if peers.is_empty() => Health::Warn,
                _ => Health::Good,
            },
            address: address.into(),
            disk: match scene.disk {
                Some((Level::Normal, _)) => Health::Good,
                Some((Level::Low, _)) => Health::Warn,
                Some((Level::Stop, _)) => Health::Bad,
                None => Health::Off,
            },
            disk_used_percent: scene.disk.map(|(_, percent)| percent),
            clock: if clock_is_sane() {
                Health::Good
            } else {
                Health::Warn
            },
            pacs: match scene.pacs_silent {
                None => Health::Off,
                Some(false) => Health::Good,
                Some(true) => Health::Warn,
            },
            model: scene.model.clone(),
        },
        stick: None,
        refused: scene.refused.clone(),
    }
}

/// All that applies, by priority: red, yellow, receiving, analysing, result.
fn causes(scene: &Scene, language: Language, now: Duration) -> Vec<State> {
    let mut causes = Vec::new();
    if scene.starting {
        causes.push(State::Starting);
        return causes;
    }
    if matches!(scene.disk, Some((Level::Stop, _))) {
        causes.push(State::NotReceiving {
            cause: words::DISK_FULL.of(language).into(),
        });
    }
    if let Some(trouble) = scene.trouble {
        causes.push(State::NotReceiving {
            cause: trouble.of(language).into(),
        });
    }
    if !scene.model_fault.is_empty() || !scene.test_fault.is_empty() {
        causes.push(State::Attention {
            cause: words::SELF_TEST_FAILED.of(language).into(),
        });
    }
    let fresh = scene
        .last
        .as_ref()
        .filter(|(_, _, at)| now.saturating_sub(*at) < RESULT_STAYS);
    if let Some((done, study, _)) = fresh
        && done.word.is_none()
    {
        causes.push(State::NotAnalysed {
            who: who(study),
            at: clock::hour_minute(study.changed_ms),
            reason: done.reason.clone(),
            action: done.action.clone(),
        });
    }
    if let Some((Level::Low, percent)) = scene.disk {
        causes.push(State::Attention {
            cause: words::disk_low(language, percent),
        });
    }
    if let Some((notice, at)) = &scene.notice
        && now.saturating_sub(*at) < RESULT_STAYS
    {
        causes.push(State::Attention {
            cause: notice.clone(),
        });
    }
    if let Some(degrees) = scene.hot {
        causes.push(State::Attention {
            cause: words::hot(language, degrees),
        });
    }
    if scene.pacs_silent == Some(true) {
        causes.push(State::Attention {
            cause: words::PACS_SILENT.of(language).into(),
        });
    }
    if !clock_is_sane() {
        causes.push(State::Attention {
            cause: words::CLOCK_NOT_SET.of(language).into(),
        });
    }
    if let Some(until) = &scene.learning {
        causes.push(State::Attention {
            cause: words::learning(language, until),
        });
    }
    if let Some(what) = &scene.refused {
        causes.push(State::Attention {
            cause: words::refused(language, what),
        });
    }
    if let Some(images) = scene.receiving {
        causes.push(State::Receiving {
            images,
            expected: None,
        });
    }
    if let Some(running) = &scene.analysing {
        causes.push(if running.of == 0 {
            State::Checking
        } else {
            analysing(running, scene)
        });
    }
    if let Some((done, study, _)) = fresh
        && let Some(word) = done.word
    {
        causes.push(State::Result {
            word,
            who: who(study),
            at: clock::hour_minute(study.changed_ms),
            map: done.map.clone(),
            demonstration: done.demonstration,
            note: done.note.clone(),
        });
    }
    // For weeks: it takes the place of READY, and never that of a result.
    for ending in &scene.certificates {
        causes.push(State::Attention {
            cause: ending.clone(),
        });
    }
    causes
}

fn analysing(running: &Running, scene: &Scene) -> State {
    let left = running.of.saturating_sub(running.done);
    State::Analysing {
        study: 1,
        of: 1 + scene.waiting,
        eta_s: running
            .seconds_per_slice
            .map(|s| (s * left as f64).ceil() as u32),
        percent: u8::try_from(100 * running.done / running.of.max(1)).unwrap_or(100),
    }
}

fn ready(scene: &Scene) -> State {
    if scene.untested {
        return State::Starting;
    }
    let last = scene
        .recent
        .iter()
        .find(|row| matches!(row.state, StudyState::Analysed | StudyState::NotAnalysed));
    State::Ready {
        last_study: last.map(|row| clock::hour_minute(row.changed_ms)),
    }
}

fn clock_is_sane() -> bool {
    clock::now_ms() > clock::BUILT_AFTER_MS
}

/// "Doe^Jane" becomes "J.D.", "123456" its last three characters.
fn who(row: &StudyRow) -> Who {
    let mut who = Who::default();
    let mut parts = row.patient_name.split('=').next().unwrap_or("").split('^');
    let family = parts.next().and_then(first_letter);
    let given = parts.next().and_then(first_letter);
    for letter in [given, family].into_iter().flatten() {
        // Sixteen bytes hold any two letters with their points.
        let _ = who.initials.push(letter);
        let _ = who.initials.push('.');
    }
    let id: Vec<char> = row.patient_id.chars().filter(|c| !c.is_control()).collect();
    for c in id.iter().skip(id.len().saturating_sub(3)) {
        let _ = who.id_end.push(*c);
    }
    who
}

fn first_letter(part: &str) -> Option<char> {
    part.chars()
        .find(|c| c.is_alphabetic())
        .and_then(|c| c.to_uppercase().next())
}

fn row(row: &StudyRow) -> QueueRow {
    let word = row.decision.as_deref().and_then(from_file_word);
    QueueRow {
        who: who(row),
        at: clock::hour_minute(row.changed_ms),
        state: match (row.state, word) {
            (StudyState::Receiving, _) => "receiving".into(),
            (StudyState::Queued, _) => "waiting".into(),
            (StudyState::Analysing, _) => "analysing".into(),
            (StudyState::Analysed, Some(word)) => word.words().into(),
            (StudyState::Analysed | StudyState::NotAnalysed, _) => "not analysed".into(),
        },
        needs_you: row.state == StudyState::NotAnalysed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::ResultWord;

    fn study(name: &str, id: &str) -> StudyRow {
        StudyRow {
            study_uid: "1".into(),
            state: StudyState::Analysed,
            changed_ms: 0,
            patient_name: name.into(),
            patient_id: id.into(),
            instances: 1,
            input_sha256: String::new(),
            decision: Some("covid19".into()),
        }
    }

    fn done(word: Option<ResultWord>) -> Done {
        Done {
            study_uid: "1".into(),
            report: 1,
            word,
            reason: "This is a scout view.".into(),
            action: "Please send the axial chest series.".into(),
            map: None,
            demonstration: true,
            note: String::new(),
            seconds: 1.0,
            new: true,
        }
    }

    #[test]
    fn initials_and_the_end_of_the_id_are_all_that_the_wall_gets() {
        let seen = who(&study("Doe^Jane^Mary", "A1234567"));
        assert_eq!(
            (seen.initials.as_str(), seen.id_end.as_str()),
            ("J.D.", "567")
        );
        let odd = who(&study("", "7"));
        assert_eq!((odd.initials.as_str(), odd.id_end.as_str()), ("", "7"));
        assert_eq!(who(&study("王^小东=x", "1")).initials.as_str(), "小.王.");
    }

    #[test]
    fn red_goes_before_yellow_goes_before_work_goes_before_a_result() {
        let config = Config::parse("").unwrap();
        let mut scene = Scene {
            last: Some((
                done(Some(ResultWord::Covid19)),
                study("A^B", "1"),
                Duration::ZERO,
            )),
            ..Scene::default()
        };
        let state = |scene: &Scene| compose(scene, &config, "", Duration::from_secs(1)).state;
        assert!(matches!(state(&scene), State::Result { .. }));
        scene.receiving = Some(3);
        assert!(matches!(state(&scene), State::Receiving { images: 3, .. }));
        scene.model_fault = "x".into();
        assert!(matches!(state(&scene), State::Attention { .. }));
        scene.disk = Some((Level::Stop, 99));
        assert!(matches!(state(&scene), State::NotReceiving { .. }));
        assert_eq!(
            compose(&scene, &config, "", Duration::from_secs(1)).hidden_causes,
            1
        );
    }

    #[test]
    fn a_certificate_that_ends_hides_no_result() {
        let config = Config::parse("").unwrap();
        let mut scene = Scene {
            last: Some((
                done(Some(ResultWord::Cap)),
                study("A^B", "1"),
                Duration::ZERO,
            )),
            certificates: vec!["The TLS certificate ends in 3 days".into()],
            ..Scene::default()
        };
        let status = compose(&scene, &config, "", Duration::from_secs(1));
        assert!(matches!(status.state, State::Result { .. }));
        assert_eq!(status.hidden_causes, 1);
        scene.last = None;
        let State::Attention { cause } = compose(&scene, &config, "", Duration::ZERO).state else {
            panic!("it is not told");
        };
        assert!(cause.contains("in 3 days"));
    }

    #[test]
    fn a_result_leaves_the_tile_after_a_while_and_stays_in_the_queue() {
        let config = Config::parse("").unwrap();
        let scene = Scene {
            last: Some((done(None), study("A^B", "1"), Duration::ZERO)),
            recent: vec![study("A^B", "1")],
            ..Scene::default()
        };
        let later = compose(&scene, &config, "", RESULT_STAYS + Duration::from_secs(1));
        assert!(matches!(later.state, State::Ready { .. }));
        assert_eq!(later.queue[0].state, "Pneumonia pattern, Covid-like");
    }
}
