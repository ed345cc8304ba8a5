//! Progress on stderr: a bar where a person looks on, a line now and then where a log does.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One kind of work with a known end.
pub struct Bar {
    bar: Option<ProgressBar>,
    what: String,
    told: AtomicUsize,
}

impl Bar {
    #[must_use]
    pub fn new(what: &str, of: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(of as u64), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template(
                "{msg:22} {wide_bar:.magenta} {pos:>4}/{len:<4} {eta:>4}",
            ) {
                bar.set_style(style);
            }
            bar.set_message(what.to_owned());
            bar
        });
        Self {
            bar,
            what: what.into(),
            told: AtomicUsize::new(0),
        }
    }

    pub fn set(&self, done: usize, of: usize) {
        if let Some(bar) = &self.bar {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
            return;
        }
        // A line per quarter.
        let quarter = 4 * done / of.max(1);
        if self.told.fetch_max(quarter, Ordering::Relaxed) < quarter {
            eprintln!("{}: {done} of {of}", self.what);
        }
    }

    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
