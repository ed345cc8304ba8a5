//! Gives the worker a self-test when nothing else is to be done, and takes what it found.

use super::{Desk, Event, Job, Scene, Turn};
use crate::config::Config;
use crate::service::selftest::Tested;
use crate::service::software;
use crate::service::trail::{self, Trail};
use crate::service::updates;
use crate::spool::Level;
use crate::store::Store;
use std::time::Duration;
use tokio::sync::mpsc;

/// What is to be tested, after the last test that the database knows.
pub(super) fn turn(config: &Config, store: &Store, scene: &Scene) -> Turn {
    let last = store.last_self_test().ok().flatten();
    Turn::new(
        &config.self_test,
        last.as_ref(),
        scene.model_fault.is_empty(),
    )
}

impl Desk {
    /// A start is not over before its test; what an earlier test found wrong stays until then.
    pub(super) fn expect_test(&mut self) {
        self.scene.untested = self.turn.is_awaited();
        if let Ok(Some(last)) = self.store.last_self_test()
            && !last.good
        {
            self.scene.test_fault = last.words;
        }
    }

    /// No study arrives, waits or runs.
    pub(super) fn is_idle(&self) -> bool {
        self.arrivals.newest().is_none() && self.queue.is_empty() && self.scene.analysing.is_none()
    }

    /// Begins nothing while `held`, which is asked at each tick. Gives false where the box is told to stop.
    pub(in crate::service) async fn hold(
        &mut self,
        events: &mut mpsc::Receiver<Event>,
        held: impl Fn() -> bool,
    ) -> bool {
        while let Some(event) = events.recv().await {
            match event {
                Event::Stop => return false,
                Event::Door(event) => self.door(event),
                Event::Tick if !held() => return true,
                _ => {}
            }
        }
        false
    }

    /// A model was brought, and nothing else is to be done.
    pub(super) fn starts_anew(&self) -> bool {
        let anew = self.is_idle() && updates::wants_a_start(&self.config);
        if anew {
            log::info!("the box starts anew, to try a model that was brought");
        }
        anew
    }

    /// Tells what is new of software, and asks for the restart that it needs.
    pub(super) fn mind_software(&mut self, now: Duration) {
        if let Some(words) = software::news(&self.config, &self.store) {
            self.scene.notice = Some((words, now));
        }
        if self.is_idle() && software::wants_a_restart(&self.config) {
            software::ask_for_restart(&self.config);
        }
    }

    pub(super) fn test_when_idle(&mut self, now: Duration) {
        // A full disk is told as that, and would fail the test for no reason of its own.
        let idle = self.is_idle() && self.spool.level() != Level::Stop;
        if self.turn.is_due(idle, now, self.store.running_ms())
            && self.jobs.try_send(Job::SelfTest(self.turn.halt())).is_ok()
        {
            self.turn.begin();
            self.busy_since = Some(now);
        }
    }

    pub(super) fn tested(&mut self, tested: Option<&Tested>) {
        self.turn.end(tested, self.store.running_ms());
        if self.scene.analysing.is_none() {
            self.busy_since = None;
        }
        if let Some(tested) = tested {
            trail::note(Trail::SelfTest {
                good: tested.good(),
            });
            self.scene.untested = false;
            self.scene.test_fault = match tested.good() {
                true => String::new(),
                false => tested.words(),
            };
        }
    }
}
