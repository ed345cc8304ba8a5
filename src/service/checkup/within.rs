//! What the settings and the database say: callers, board, database, self-test, sticks, archives.

use super::Finding;
use crate::board::Board;
use crate::config::Config;
use crate::export::age::Recipient;
use crate::reception::Access;
use crate::service::clock::day_hour_minute;
use crate::store::{Records, StoreError};

/// A result that has waited for so long is not on its way any more.
const SILENT_MS: i64 = 10 * 60 * 1000;

pub fn callers(config: &Config) -> Finding {
    const WHAT: &str = "callers";
    match &config.access {
        Access::Any => Finding::look(WHAT, "everybody may send; for tests only"),
        Access::Peers(peers) if peers.is_empty() => Finding::look(
            WHAT,
            "nobody may send yet. scanside learn finds the consoles, [[caller]] lets them in",
        ),
        Access::Peers(peers) => Finding::good(WHAT, format!("{} on the list", peers.len())),
    }
}

pub fn board(config: &Config) -> (Board, Finding) {
    const WHAT: &str = "board";
    let Some(path) = &config.board else {
        let words = "the settings name none: this is taken for an ordinary computer";
        return (Board::desk(), Finding::look(WHAT, words));
    };
    match Board::load(path) {
        Ok(board) => {
            let words = board.title.clone();
            (board, Finding::good(WHAT, words))
        }
        Err(why) => {
            let words = format!("{why}. The display needs it.");
            (Board::desk(), Finding::wrong(WHAT, words))
        }
    }
}

pub fn database(config: &Config, records: &Result<Records, StoreError>) -> Finding {
    const WHAT: &str = "database";
    let path = config.database();
    if !path.exists() {
        let words = format!(
            "{} is not there yet; scanside serve makes it",
            path.display()
        );
        return Finding::look(WHAT, words);
    }
    let known = records.as_ref().map_err(ToString::to_string);
    let whole = known.and_then(|records| {
        let layout = records.known_layout().map_err(|why| why.to_string())?;
        records.quick_check().map_err(|why| why.to_string())?;
        Ok(layout)
    });
    match whole {
        Ok(layout) => Finding::good(WHAT, format!("whole, layout {layout}")),
        Err(why) => Finding::wrong(
            WHAT,
            format!(
                "{why}. Keep the file aside, and bring the last backup back with scanside restore."
            ),
        ),
    }
}

pub fn self_test(config: &Config, records: Option<&Records>) -> Finding {
    const WHAT: &str = "self-test";
    if config.self_test.every_h == 0 {
        return Finding::look(WHAT, "the daily one is switched off ([self_test] every_h)");
    }
    let never = || Finding::look(WHAT, "none was made yet; the box makes one when it is idle");
    let Some(records) = records else {
        return never();
    };
    let (last, ran_ms) = match records.last_self_test().and_then(|last| {
        let ran = records.ran_ms()?;
        Ok((last, ran))
    }) {
        Ok((Some(last), ran)) => (last, ran),
        Ok((None, _)) => return never(),
        Err(why) => return Finding::wrong(WHAT, why.to_string()),
    };
    let at = day_hour_minute(last.at_ms);
    if !last.good {
        let words = format!(
            "failed {at}: {} Studies are kept and not analysed. If the next one fails too, install the \
             software again; if that does not help, the hardware is at fault.",
            last.words
        );
        return Finding::wrong(WHAT, words);
    }
    let hours = ran_ms.saturating_sub(last.ran_ms) / 3_600_000;
    if hours >= 2 * i64::from(config.self_test.every_h) {
        let words =
            format!("passed {at}, {hours} hours of running time ago: the box is never idle");
        return Finding::look(WHAT, words);
    }
    Finding::good(WHAT, format!("passed {at} in {:.0} s", last.seconds))
}

pub fn sticks(config: &Config) -> Finding {
    const WHAT: &str = "sticks";
    let export = &config.export;
    if !export.enabled {
        return Finding::good(WHAT, "export is switched off: no stick is written");
    }
    let which = match export.sticks.as_deref() {
        None => "any stick is written".to_owned(),
        Some([]) => {
            return Finding::wrong(
                WHAT,
                "export is on and the list of sticks is empty. Name serial numbers in [export] sticks, or switch it off.",
            );
        }
        Some(listed) => format!("{} listed", listed.len()),
    };
    let what = match export.identified {
        true => "with the patient's name",
        false => "de-identified",
    };
    if !export.recipients.is_empty() {
        let keys: Vec<String> = export.recipients.iter().map(Recipient::short).collect();
        return Finding::good(
            WHAT,
            format!("{which}, {what}, sealed for {}", keys.join(", ")),
        );
    }
    if export.identified {
        let words = format!(
            "{which}, {what}; whoever finds one reads it, unless [export] recipients seals it"
        );
        return Finding::look(WHAT, words);
    }
    Finding::good(WHAT, format!("{which}, {what}"))
}

/// One finding for each archive of the settings.
pub fn archives(config: &Config, records: Option<&Records>, now_ms: i64) -> Vec<Finding> {
    const WHAT: &str = "PACS";
    if config.destinations.is_empty() {
        return vec![Finding::good(WHAT, "none is set up: results stay here")];
    }
    let Some(records) = records else {
        return vec![Finding::look(WHAT, "the database does not say what waits")];
    };
    let one = |name: &str| {
        let queue = match records.queue(name, now_ms - SILENT_MS) {
            Ok(queue) => queue,
            Err(why) => return Finding::wrong(WHAT, why.to_string()),
        };
        if queue.failed > 0 {
            let words = format!(
                "{name}: {} objects were not taken. scanside deliver --list says why, --again tries them anew.",
                queue.failed
            );
            return Finding::wrong(WHAT, words);
        }
        if queue.late > 0 {
            let words = format!(
                "{name} does not answer: {} objects wait. Is it switched on? scanside echo asks it.",
                queue.late
            );
            return Finding::wrong(WHAT, words);
        }
        Finding::good(
            WHAT,
            format!(
                "{name}: {} delivered, {} on their way",
                queue.done, queue.open
            ),
        )
    };
    config.destinations.iter().map(|to| one(&to.name)).collect()
}
