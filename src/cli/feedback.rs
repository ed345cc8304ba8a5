//! `scanside feedback`: a reader's file into the database of the box; `evaluate --feedback` shows
//! what has come together.

use super::Failure;
use super::say::say;
use crate::config::Config;
use crate::evaluate::feedback::{LARGEST_FILE, count, page, read};
use crate::service::clock;
use crate::store::Store;
use std::path::Path;

/// Enters a file, all or nothing.
pub fn enter(config: &Config, file: &Path) -> Result<(), Failure> {
    let named = |why: &dyn std::fmt::Display| Failure::Failed(format!("{}: {why}", file.display()));
    let about = std::fs::metadata(file).map_err(|e| named(&e))?;
    if about.len() > LARGEST_FILE {
        return Err(named(&"it is larger than any list of opinions"));
    }
    let text = std::fs::read_to_string(file).map_err(|e| named(&e))?;
    let opinions = read(&text).map_err(|e| named(&e))?;
    let lines: Vec<usize> = opinions.iter().map(|(line, _)| *line).collect();
    let store = Store::open(&config.database()).map_err(Failure::failed)?;
    let opinions = opinions.into_iter().map(|(_, opinion)| opinion).collect();
    let entered = store
        .enter_feedback(opinions, clock::now_ms())
        .map_err(Failure::failed)?;
    if let Some(first) = entered.unknown.first() {
        let line = lines.get(*first).copied().unwrap_or_default();
        let why = format!(
            "line {line}: this box has made no such report ({} such lines); nothing was entered",
            entered.unknown.len()
        );
        return Err(named(&why));
    }
    say!(
        "{} opinions entered, {} were there before",
        entered.new,
        entered.known
    );
    Ok(())
}

/// The box's running confusion table.
pub fn show(config: &Config) -> Result<(), Failure> {
    let store = Store::open(&config.database()).map_err(Failure::failed)?;
    let judged = store.judged().map_err(Failure::failed)?;
    say!("{}\n", crate::report::BANNER);
    say!("{}", page(&count(&judged)));
    Ok(())
}
