//! A thread for what no console waits for: the service page, and what the exporter has left.
//!
//! It looks every few seconds, reads the database beside the writer, and yields to the threads that
//! receive. Nothing that it does can hold up the loop.

use super::run::step_back;
use super::{clock, hardware, knocks, receipts, trail, updates};
use crate::board::{Board, Heat};
use crate::config::Config;
use crate::status::page::{self, Caller, Page, Versions};
use crate::store::{Call, Records, Store};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::Builder;
use std::time::Duration;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(4);

/// The hottest zone of the board in degrees, 0 while none is over its limit: for the wall.
pub type Hot = Arc<AtomicU8>;

/// What it needs.
pub struct Aside {
    pub config: Config,
    pub store: Store,
    /// Name, version and sum of the model.
    pub model: String,
    /// What a console must be set to.
    pub sign: String,
    pub hot: Hot,
}

impl Aside {
    /// Starts the thread, which ends when the other end of `end` is dropped.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn start(self, end: Receiver<()>) -> io::Result<()> {
        let work = move || {
            step_back();
            let board = board(&self.config);
            let versions = self.versions(&board);
            // One failure is told once.
            let mut failed = false;
            loop {
                receipts::take_in(&self.config.receipts(), &self.store);
                knocks::take_in(&self.config.door_file(), &self.store);
                updates::take_in(&self.config);
                let page = self.page(&board, &versions);
                let heat = page.heat.iter().filter(|zone| zone.hot);
                let hottest = heat.filter_map(|zone| zone.celsius).fold(0.0, f32::max);
                // As much as silicon survives fits.
                self.hot.store(hottest as u8, Ordering::Relaxed);
                let written = page.write(&self.config.service_file());
                if let Err(trouble) = &written
                    && !failed
                {
                    log::error!("the service page cannot be written: {trouble}");
                }
                failed = written.is_err();
                if end.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        Builder::new().name("aside".into()).spawn(work).map(drop)
    }

    fn versions(&self, board: &Board) -> Versions {
        Versions {
            software: concat!("scanside ", env!("CARGO_PKG_VERSION")).into(),
            model: self.model.clone(),
            board: board.title.clone(),
            kernel: hardware::kernel(),
            layout: Store::layout(),
        }
    }

    fn page(&self, board: &Board, versions: &Versions) -> Page {
        let sys = Path::new(hardware::SYS);
        let mut page = Page {
            written_ms: clock::now_ms(),
            address: self.sign.clone(),
            versions: versions.clone(),
            disk: Some(hardware::disk(&self.config.state, sys)),
            events: trail::newest(),
            ..Page::new()
        };
        for (zone, now, heat) in hardware::heat(board, sys) {
            // A board has fewer zones than fit.
            let _ = page.heat.push(page::Heat {
                zone,
                celsius: now.map(|c| c.0),
                hot: heat != Heat::Fine,
            });
        }
        match Records::open(&self.config.database()) {
            Ok(records) => from_records(&records, &mut page),
            Err(trouble) => crate::limited!(log::Level::Error, "{trouble}"),
        }
        page
    }
}

/// The board of the settings. One that cannot be read is told at the start of the screen as well.
fn board(config: &Config) -> Board {
    let Some(path) = &config.board else {
        return Board::desk();
    };
    Board::load(path).unwrap_or_else(|trouble| {
        log::error!("{trouble}");
        Board::desk()
    })
}

fn from_records(records: &Records, page: &mut Page) {
    match records.calls(16) {
        Ok(calls) => page.calls = calls.into_iter().take(16).map(caller).collect(),
        Err(trouble) => crate::limited!(log::Level::Error, "{trouble}"),
    }
    match records.last_self_test() {
        Ok(test) => {
            page.self_test = test.map(|test| page::SelfTest {
                at: clock::day_or_hour(test.at_ms),
                good: test.good,
                words: test.words,
            });
        }
        Err(trouble) => crate::limited!(log::Level::Error, "{trouble}"),
    }
}

fn caller(call: Call) -> Caller {
    Caller {
        at: clock::day_or_hour(call.at_ms),
        peer: call.peer,
        secure: call.secure,
        calling: call.calling,
        called: call.called,
        outcome: call.outcome,
        words: call.words,
        instances: call.instances,
        times: call.times,
    }
}
