//! The time before the box is ready: recovery, the database, the model's goldens.
//!
//! That takes seconds on a quick machine and minutes on a slow one or after a hard end. The wall must
//! not call it NO SIGNAL, and systemd must not end it for being slow.

use super::desk::show;
use super::wall::{self, Scene};
use crate::config::Config;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// How often the wall's status is written anew; it counts as silent after ten seconds.
const EVERY: Duration = Duration::from_secs(2);

/// What one step of the start may take beyond the unit's own limit: the recovery of a full spool, or
/// the model's goldens on an emulated board.
const STEP: Duration = Duration::from_secs(600);

/// Says STARTING on the wall until it is dropped.
pub struct Starting {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Starting {
    /// # Errors
    /// When the thread cannot be started.
    pub fn begin(config: &Config, sign: &str) -> io::Result<Self> {
        let (config, sign) = (config.clone(), sign.to_owned());
        let (end, ended) = mpsc::channel();
        let say = move || {
            // The first study should not wait for it.
            crate::report::prepare(config.language);
            let scene = Scene {
                starting: true,
                ..Scene::default()
            };
            loop {
                show(
                    &wall::compose(&scene, &config, &sign, Duration::ZERO),
                    &config,
                );
                if ended.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        let thread = Builder::new().name("starting".into()).spawn(say)?;
        Ok(Self {
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// A step begins that may take long: systemd waits for its end before it gives up on us.
    pub fn step(&self) {
        let limit = u32::try_from(STEP.as_micros()).unwrap_or(u32::MAX);
        let _ = sd_notify::notify(&[sd_notify::NotifyState::ExtendTimeoutUsec(limit)]);
    }
}

impl Drop for Starting {
    /// Afterwards the status file belongs to the desk.
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // It ends at once, and a panic in it would have ended the process.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{State, Status};

    #[test]
    fn starting_is_said_again_and_again_until_the_desk_takes_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::parse("").unwrap();
        config.runtime = folder.path().to_owned();
        let written = |config: &Config| Status::read(&config.status_file()).unwrap();
        let starting = Starting::begin(&config, "11112 SCANSIDE").unwrap();
        let until = |what: &dyn Fn() -> bool| {
            let begun = std::time::Instant::now();
            while !what() {
                assert!(begun.elapsed() < 30 * EVERY, "it is not said");
                std::thread::sleep(EVERY / 20);
            }
        };
        until(&|| config.status_file().exists());
        let first = written(&config);
        assert!(matches!(first.state, State::Starting));
        until(&|| written(&config).written_ms > first.written_ms);
        drop(starting);
        // Its thread has ended with it: the file belongs to the desk now.
        std::fs::remove_file(config.status_file()).unwrap();
        std::thread::sleep(EVERY + EVERY / 4);
        assert!(!config.status_file().exists());
    }
}
