//! Draws the status on the box's own display.
//!
//! A process of its own: it knows the rest of the program through `status.json` alone. Once a
//! second it reads the file, draws a picture in memory and hands it to a [`panel`]. A status that
//! is missing, unreadable or older than ten seconds becomes NO SIGNAL: the worst picture is a
//! READY that has frozen. The display raises information signals; it is no alarm system, and
//! nothing on it flashes.

pub mod canvas;
pub mod colour;
pub mod door;
pub mod keys;
pub mod lettering;
pub mod look;
pub mod panel;
pub mod picture;
pub mod pin;
pub mod scene;
pub mod shape;
mod sticks;
pub mod told;
pub mod words;

use crate::base::language::Language;
use crate::status::Status;
use canvas::Canvas;
use door::{Door, Knock, View};
use jiff::{Timestamp, Zoned};
use keys::Keys;
use look::Watch;
use panel::drm::{DrmFacts, DrmPanel};
use panel::png::PngPanel;
use panel::{Panel, PanelError};
use picture::Picture;
use pin::Pin;
use sd_notify::NotifyState;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use told::Told;

#[derive(Clone, Debug)]
pub struct ScreenConfig {
    pub status_file: PathBuf,
    /// What the service page shows.
    pub service_file: PathBuf,
    /// Has a folder for each stick that is in.
    pub sticks: PathBuf,
    /// The kernel's input devices, `/dev/input`.
    pub input: PathBuf,
    /// The key that opens the service page, and the PIN that does.
    pub button: Option<u16>,
    pub pin: Option<Pin>,
    /// Where `serve` is told who opened the service page; nowhere for a single picture.
    pub told: Option<PathBuf>,
    pub panel: PanelChoice,
    /// What is said in it where the status cannot be read.
    pub language: Language,
    /// One picture, then stop.
    pub once: bool,
}

#[derive(Clone, Debug)]
pub enum PanelChoice {
    Drm(DrmFacts),
    Png { file: PathBuf, size: PanelSize },
}

#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    #[error(transparent)]
    Panel(#[from] PanelError),
    #[error("no display is plugged in")]
    NoDisplay,
}

/// A panel as the scene sees it, after rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PanelSize {
    /// Width and height in pixels.
    pub px: (u32, u32),
    /// Width and height in millimetres; zero where nobody knows.
    pub mm: (u32, u32),
}

impl PanelSize {
    /// A 7 inch panel, the smallest that is read from across a room.
    pub const SEVEN_INCH: Self = Self {
        px: (1024, 600),
        mm: (154, 86),
    };

    /// Size of a pixel, from the width.
    #[must_use]
    pub fn mm_per_px(self) -> f32 {
        /// The density of a 10.1 inch panel with 1280 x 800; taken where a panel does not tell, or
        /// tells what cannot be (some say their aspect ratio in place of millimetres).
        const USUAL: f32 = 0.17;
        let density = self.mm.0 as f32 / self.px.0.max(1) as f32;
        if (0.03..3.0).contains(&density) {
            density
        } else {
            USUAL
        }
    }
}

/// Local time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

/// What the status file says, if it can be believed.
#[allow(
    clippy::large_enum_variant,
    reason = "there is one of them, made once a second"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    Live(Status),
    Lost(Lost),
}

impl Signal {
    /// The language of the status; `other` where there is none to believe.
    #[must_use]
    pub fn language(&self, other: Language) -> Language {
        match self {
            Signal::Live(status) => status.language,
            Signal::Lost(_) => other,
        }
    }
}

/// Why the status cannot be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    Missing,
    Unreadable,
    Stale {
        seconds: u64,
    },
    /// Written at a time that has not come yet: the clock was set back.
    FromTheFuture,
}

/// Draws one picture.
#[must_use]
pub fn render(signal: &Signal, map: Option<&Picture>, panel: PanelSize, now: Clock) -> Canvas {
    render_in(
        signal.language(Language::default()),
        signal,
        map,
        panel,
        now,
    )
}

/// The same in a language.
#[must_use]
pub fn render_in(
    language: Language,
    signal: &Signal,
    map: Option<&Picture>,
    panel: PanelSize,
    now: Clock,
) -> Canvas {
    let items = scene::compose_in(language, signal, map.map(Picture::size), panel, now);
    scene::paint(&items, map, panel)
}

/// Shows the status until the process ends, or one picture of it.
///
/// # Errors
/// [`ScreenError`] when the panel cannot be opened; later failures are logged and tried again.
/// With `once`, any failure.
pub fn run(config: ScreenConfig) -> Result<(), ScreenError> {
    let mut panel: Box<dyn Panel> = match config.panel {
        PanelChoice::Drm(facts) => Box::new(DrmPanel::open(facts)?),
        PanelChoice::Png { file, size } => Box::new(PngPanel { file, size }),
    };
    let mut watch = Watch::new(config.status_file, config.service_file, config.sticks);
    let mut service = Service::default();
    let mut desk = Desk {
        keys: Keys::new(&config.input),
        door: Door::new(config.button, config.pin),
        begun: Instant::now(),
        told: Told::default(),
        file: config.told,
    };
    loop {
        let view = desk.look();
        let shown = show(panel.as_mut(), &mut watch, view, config.language);
        if config.once {
            return match shown? {
                Shown::Picture => Ok(()),
                Shown::NoDisplay => Err(ScreenError::NoDisplay),
            };
        }
        service.tell(shown);
        desk.wait(until_next_second(Timestamp::now()), view);
    }
}

/// The keys in front of the panel, and what they open.
struct Desk {
    keys: Keys,
    door: Door,
    begun: Instant,
    told: Told,
    file: Option<PathBuf>,
}

impl Desk {
    /// How often keys are looked for: a person takes less for at once.
    const GLANCE: Duration = Duration::from_millis(50);

    fn look(&mut self) -> View {
        let now = self.begun.elapsed();
        for code in self.keys.pressed() {
            self.door.press(code, now);
        }
        let knocks = self.door.take_knocks();
        if !knocks.is_empty() {
            self.tell(&knocks);
        }
        self.door.view(now)
    }

    fn tell(&mut self, knocks: &[Knock]) {
        let Some(file) = &self.file else { return };
        let now = Timestamp::now().as_millisecond();
        for knock in knocks {
            self.told.add(*knock, now);
        }
        if let Err(trouble) = self.told.write(file) {
            crate::limited!(
                log::Level::Error,
                "the audit trail cannot be told who opened the service page: {trouble}"
            );
        }
    }

    /// Waits so long, or until a key has changed what is shown.
    fn wait(&mut self, time: Duration, view: View) {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(Self::GLANCE));
            // The seconds that are left change with the picture's own second.
            let same = match (self.look(), view) {
                (View::Service { .. }, View::Service { .. }) => true,
                (now, before) => now == before,
            };
            if !same {
                return;
            }
        }
    }
}

/// What one turn of the loop achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Picture,
    NoDisplay,
}

fn show(
    panel: &mut dyn Panel,
    watch: &mut Watch,
    view: View,
    language: Language,
) -> Result<Shown, PanelError> {
    let Some(size) = panel.size()? else {
        return Ok(Shown::NoDisplay);
    };
    let now = Zoned::now();
    let signal = watch.signal(now.timestamp().as_millisecond());
    let clock = Clock {
        hour: now.hour().unsigned_abs(),
        minute: now.minute().unsigned_abs(),
        second: now.second().unsigned_abs(),
    };
    let language = signal.language(language);
    let canvas = match view {
        View::Wall => render_in(language, &signal, watch.map(&signal), size, clock),
        View::Asking(asking) => {
            let items = scene::service::question(asking, &signal, size, clock);
            scene::paint(&items, None, size)
        }
        View::Service { seconds } => {
            let page = watch.page(now.timestamp().as_millisecond());
            let items = scene::service::page(&page, seconds, &signal, size, clock);
            scene::paint(&items, None, size)
        }
    };
    panel.present(&canvas)?;
    Ok(Shown::Picture)
}

/// Pictures change on the full second, as the second mark does.
fn until_next_second(now: Timestamp) -> Duration {
    let passed = now.as_millisecond().rem_euclid(1000).unsigned_abs();
    Duration::from_millis(1000 - passed)
}

/// What the service manager and the journal are told.
#[derive(Default)]
struct Service {
    ready: bool,
    /// The last line, which is not said again every second.
    said: String,
}

impl Service {
    /// The watchdog is fed after a completed flip. It is also fed while nothing is plugged in:
    /// then no frozen picture can be seen, and a restart would not bring the cable back.
    fn tell(&mut self, shown: Result<Shown, PanelError>) {
        let line = match &shown {
            Ok(Shown::Picture) => String::new(),
            Ok(Shown::NoDisplay) => ScreenError::NoDisplay.to_string(),
            Err(error) => with_causes(error),
        };
        if line != self.said {
            if !line.is_empty() {
                log::warn!("{line}");
            }
            self.said = line;
        }
        if shown.is_ok() {
            let states = [NotifyState::Watchdog, NotifyState::Ready];
            let states = if self.ready {
                &states[..1]
            } else {
                &states[..]
            };
            match sd_notify::notify(states) {
                Ok(()) => self.ready = true,
                Err(error) => log::debug!("the service manager does not listen: {error}"),
            }
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_that_lie_about_their_size_get_the_usual_density() {
        let panel = |px, mm| PanelSize { px, mm }.mm_per_px();
        assert!((panel((1024, 600), (154, 86)) - 0.1504).abs() < 0.001);
        assert!((panel((1024, 600), (0, 0)) - 0.17).abs() < 1e-6);
        assert!((panel((1920, 1080), (16, 9)) - 0.17).abs() < 1e-6);
        assert!((panel((0, 0), (5000, 9)) - 0.17).abs() < 1e-6);
    }

    #[test]
    fn the_loop_wakes_on_the_full_second() {
        let at = |ms| until_next_second(Timestamp::from_millisecond(ms).unwrap());
        assert_eq!(at(5000), Duration::from_millis(1000));
        assert_eq!(at(5999), Duration::from_millis(1));
        assert_eq!(at(-1), Duration::from_millis(1));
    }
}
