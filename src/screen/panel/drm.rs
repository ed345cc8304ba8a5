//! A display on a DRM card, with nothing but the kernel: dumb buffers and page flips.
//!
//! The picture is drawn in RAM and copied once, row by row, into the buffer that is not shown;
//! then the two change places. The buffer is never read back, since on some boards that is
//! uncached memory. We open the card first and alone, which makes us its master without any
//! capability (appliance spec 1.2, D1 to D7).
//!
//! Facts about a board (which connector, its true size, how it is mounted) come from the caller.

use super::{Panel, PanelError};
use crate::screen::PanelSize;
use crate::screen::canvas::Canvas;
use drm::buffer::{Buffer as _, DrmFourcc};
use drm::control::dumbbuffer::DumbBuffer;
use drm::control::{
    Device as ControlDevice, Event, Mode, PageFlipFlags, ResourceHandles, connector, crtc,
    framebuffer,
};
use drm::{Device, DriverCapability};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// How often we look whether a display came or went.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// A flip waits for the next refresh, 17 ms at 60 Hz and a few hundred under emulation. A second
/// leaves time for another try before the watchdog's five are over.
const FLIP_WITHIN: Duration = Duration::from_secs(1);

/// Pause between two looks for the flip's event: a third of a refresh.
const EVENT_PAUSE: Duration = Duration::from_millis(5);

/// Reads that clear the queue before a flip. One read takes some thirty events; one at most should
/// be left, from a flip that timed out.
const STALE_EVENTS: usize = 4;

/// How far the picture is turned, clockwise, to stand upright on the panel as it is mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    #[default]
    None,
    Quarter,
    Half,
    ThreeQuarters,
}

impl Rotation {
    /// From the degrees of a board file.
    #[must_use]
    pub fn from_degrees(degrees: u32) -> Option<Self> {
        match degrees {
            0 => Some(Self::None),
            90 => Some(Self::Quarter),
            180 => Some(Self::Half),
            270 => Some(Self::ThreeQuarters),
            _ => None,
        }
    }

    fn swap(self, (w, h): (u32, u32)) -> (u32, u32) {
        match self {
            Self::None | Self::Half => (w, h),
            Self::Quarter | Self::ThreeQuarters => (h, w),
        }
    }
}

/// What a board file says about its panel.
#[derive(Clone, Debug)]
pub struct DrmFacts {
    pub card: PathBuf,
    /// As the kernel names it, "HDMI-A-1"; any that is connected where none is named.
    pub connector: Option<String>,
    /// Size of the glass as mounted at 0 degrees, for panels that report a wrong one.
    pub mm: Option<(u32, u32)>,
    pub rotation: Rotation,
}

impl Default for DrmFacts {
    fn default() -> Self {
        Self {
            card: PathBuf::from("/dev/dri/card0"),
            connector: None,
            mm: None,
            rotation: Rotation::None,
        }
    }
}

pub struct DrmPanel {
    card: Card,
    facts: DrmFacts,
    live: Option<Live>,
    probed: Option<Instant>,
}

/// A display that a mode is set for.
struct Live {
    connector: connector::Handle,
    crtc: crtc::Handle,
    mode: Mode,
    mm: (u32, u32),
    /// The first is shown, the second is free.
    buffers: [Buffer; 2],
    /// The display went away or did not flip: its mode must be set anew. Until it is back we go
    /// on flipping, since a display that was only asleep still holds the last picture.
    lost: bool,
}

struct Buffer {
    dumb: DumbBuffer,
    shown_as: framebuffer::Handle,
}

/// The card's node; the traits of the crate drm hang on it.
struct Card(File);

impl AsFd for Card {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Device for Card {}
impl ControlDevice for Card {}

impl DrmPanel {
    /// Opens the card and becomes its master.
    ///
    /// # Errors
    /// [`PanelError`] when there is no card, it is not ours, or it has no dumb buffers. A missing
    /// display is none: it may be plugged in later.
    pub fn open(facts: DrmFacts) -> Result<Self, PanelError> {
        let path = facts.card.clone();
        // Not blocking, so that waiting for a flip can end.
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = (OpenOptions::new().read(true).write(true))
            .custom_flags(flags)
            .open(&path)
            .map_err(|source| PanelError::NoCard {
                path: path.clone(),
                source,
            })?;
        let card = Card(file);
        card.acquire_master_lock()
            .map_err(|source| PanelError::NotMaster {
                path: path.clone(),
                source,
            })?;
        let dumb = card.get_driver_capability(DriverCapability::DumbBuffer);
        if !matches!(dumb, Ok(1..)) {
            return Err(PanelError::NoDumbBuffers { path });
        }
        Ok(Self {
            card,
            facts,
            live: None,
            probed: None,
        })
    }

    /// Looks for a display and sets its preferred mode if it is new or was lost.
    fn probe(&mut self) -> Result<(), PanelError> {
        self.probed = Some(Instant::now());
        let resources = step("listing the connectors", self.card.resource_handles())?;
        let Some(found) = self.connected(&resources) else {
            if let Some(live) = &mut self.live {
                live.lost = true;
            }
            return Ok(());
        };
        let Some(&mode) = found.modes().first() else {
            return Ok(());
        };
        let same =
            |live: &Live| !live.lost && live.connector == found.handle() && live.mode == mode;
        if self.live.as_ref().is_some_and(same) {
            return Ok(());
        }
        let next = self.set_mode(&resources, &found, mode)?;
        if let Some(old) = self.live.replace(next) {
            self.release(old.buffers);
        }
        log::info!("display {found}: {} x {}", mode.size().0, mode.size().1);
        Ok(())
    }

    /// The display that is shown already if it is still there, else the first that is connected.
    fn connected(&self, resources: &ResourceHandles) -> Option<connector::Info> {
        let wanted = |info: &connector::Info| match &self.facts.connector {
            Some(name) => info.to_string() == *name,
            None => true,
        };
        let mut found: Vec<connector::Info> = (resources.connectors().iter())
            .filter_map(|&handle| self.card.get_connector(handle, true).ok())
            .filter(wanted)
            .filter(|info| info.state() == connector::State::Connected)
            .filter(|info| !info.modes().is_empty())
            .collect();
        let shown = self.live.as_ref().map(|live| live.connector);
        let at = (found.iter()).position(|info| Some(info.handle()) == shown);
        (!found.is_empty()).then(|| found.swap_remove(at.unwrap_or(0)))
    }

    fn set_mode(
        &self,
        resources: &ResourceHandles,
        found: &connector::Info,
        mode: Mode,
    ) -> Result<Live, PanelError> {
        let crtc = self.controller(resources, found)?;
        let (w, h) = mode.size();
        let size = (u32::from(w), u32::from(h));
        let first = self.buffer(size)?;
        let second = match self.buffer(size) {
            Ok(second) => second,
            Err(error) => {
                self.release([first]);
                return Err(error);
            }
        };
        let set = self.card.set_crtc(
            crtc,
            Some(first.shown_as),
            (0, 0),
            &[found.handle()],
            Some(mode),
        );
        if let Err(error) = step("setting the mode", set) {
            self.release([first, second]);
            return Err(error);
        }
        Ok(Live {
            connector: found.handle(),
            crtc,
            mode,
            mm: self.facts.mm.or(found.size()).unwrap_or_default(),
            buffers: [first, second],
            lost: false,
        })
    }

    /// A controller that can drive the connector: the first of the card is the wrong one on
    /// boards with several heads.
    fn controller(
        &self,
        resources: &ResourceHandles,
        found: &connector::Info,
    ) -> Result<crtc::Handle, PanelError> {
        let now = found.current_encoder();
        let encoders = now.iter().chain(found.encoders());
        for &encoder in encoders {
            let Ok(encoder) = self.card.get_encoder(encoder) else {
                continue;
            };
            let possible = resources.filter_crtcs(encoder.possible_crtcs());
            let current = encoder.crtc().filter(|crtc| possible.contains(crtc));
            if let Some(crtc) = current.or_else(|| possible.first().copied()) {
                return Ok(crtc);
            }
        }
        Err(PanelError::NoController {
            path: self.facts.card.clone(),
            connector: found.to_string(),
        })
    }

    fn buffer(&self, size: (u32, u32)) -> Result<Buffer, PanelError> {
        let dumb = self.card.create_dumb_buffer(size, DrmFourcc::Xrgb8888, 32);
        let dumb = step("making a buffer", dumb)?;
        match self.card.add_framebuffer(&dumb, 24, 32) {
            Ok(shown_as) => Ok(Buffer { dumb, shown_as }),
            Err(source) => {
                let _ = self.card.destroy_dumb_buffer(dumb);
                let step = "registering a buffer";
                Err(PanelError::Drm { step, source })
            }
        }
    }

    fn release<const N: usize>(&self, buffers: [Buffer; N]) {
        for buffer in buffers {
            let _ = self.card.destroy_framebuffer(buffer.shown_as);
            let _ = self.card.destroy_dumb_buffer(buffer.dumb);
        }
    }

    /// Copies into the free buffer, flips, and waits until it is on the glass.
    fn flip(&mut self, canvas: &Canvas) -> Result<(), PanelError> {
        let Some(live) = &mut self.live else {
            return Ok(());
        };
        let [shown, free] = &mut live.buffers;
        let pitch = free.dumb.pitch() as usize;
        let size = free.dumb.size();
        {
            let mut map = step("mapping", self.card.map_dumb_buffer(&mut free.dumb))?;
            copy(canvas, self.facts.rotation, map.as_mut(), pitch, size);
        }
        // An event that came too late for the last flip must not count for this one.
        for _ in 0..STALE_EVENTS {
            if self.card.receive_events().is_err() {
                break;
            }
        }
        let flipped = (self.card).page_flip(live.crtc, free.shown_as, PageFlipFlags::EVENT, None);
        step("the page flip", flipped)?;
        let crtc = live.crtc;
        let until = Instant::now() + FLIP_WITHIN;
        loop {
            match self.card.receive_events() {
                Ok(mut events) => {
                    if events.any(|e| matches!(e, Event::PageFlip(flip) if flip.crtc == crtc)) {
                        std::mem::swap(shown, free);
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let step = "waiting for the page flip";
                    return Err(PanelError::Drm { step, source });
                }
            }
            if Instant::now() >= until {
                return Err(PanelError::FlipTimeout);
            }
            thread::sleep(EVENT_PAUSE);
        }
    }
}

impl Panel for DrmPanel {
    fn size(&mut self) -> Result<Option<PanelSize>, PanelError> {
        if self.probed.is_none_or(|at| at.elapsed() >= PROBE_EVERY) {
            self.probe()?;
        }
        let rotation = self.facts.rotation;
        Ok(self.live.as_ref().map(|live| {
            let (w, h) = live.mode.size();
            PanelSize {
                px: rotation.swap((u32::from(w), u32::from(h))),
                mm: rotation.swap(live.mm),
            }
        }))
    }

    fn present(&mut self, canvas: &Canvas) -> Result<(), PanelError> {
        let flipped = self.flip(canvas);
        if flipped.is_err() {
            // Set the mode anew, at once if the display is there (D7). Where it is gone, nothing
            // is left to flip.
            self.probed = None;
            match &mut self.live {
                Some(live) if !live.lost => live.lost = true,
                _ => {
                    if let Some(gone) = self.live.take() {
                        self.release(gone.buffers);
                    }
                }
            }
        }
        flipped
    }
}

/// Copies the picture into a buffer of `w` by `h` pixels, turned. What the picture does not
/// cover stays as it is; a row is `pitch` bytes long, which may be more than 4 w.
fn copy(canvas: &Canvas, turn: Rotation, buffer: &mut [u8], pitch: usize, size: (u32, u32)) {
    let (w, h) = (size.0 as usize, size.1 as usize);
    let wide = canvas.width() as usize;
    let high = canvas.height() as usize;
    let pixels = canvas.pixels();
    if turn == Rotation::None {
        // As most panels are mounted, and several times as quick as asking for each pixel.
        let rows = buffer.chunks_mut(pitch.max(1)).take(h);
        for (row, from) in rows.zip(pixels.chunks_exact(wide.max(1))) {
            for (bytes, pixel) in row.chunks_exact_mut(4).take(w).zip(from) {
                bytes.copy_from_slice(&pixel.to_le_bytes());
            }
        }
        return;
    }
    for (y, row) in buffer.chunks_mut(pitch.max(1)).take(h).enumerate() {
        for (x, bytes) in row.chunks_exact_mut(4).take(w).enumerate() {
            let (from_x, from_y) = match turn {
                Rotation::None => (Some(x), Some(y)),
                Rotation::Quarter => (Some(y), high.checked_sub(1 + x)),
                Rotation::Half => (wide.checked_sub(1 + x), high.checked_sub(1 + y)),
                Rotation::ThreeQuarters => (wide.checked_sub(1 + y), Some(x)),
            };
            let (Some(from_x), Some(from_y)) = (from_x, from_y) else {
                continue;
            };
            if from_x < wide
                && let Some(pixel) = pixels.get(from_y * wide + from_x)
            {
                // Xrgb8888 is little-endian on every machine.
                bytes.copy_from_slice(&pixel.to_le_bytes());
            }
        }
    }
}

fn step<T>(step: &'static str, done: io::Result<T>) -> Result<T, PanelError> {
    done.map_err(|source| PanelError::Drm { step, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_graphics::pixelcolor::Rgb888;

    /// A picture of 3 x 2 whose pixels are 1 to 6.
    fn picture() -> Canvas {
        let mut canvas = Canvas::new(3, 2);
        for (index, at) in (1..).zip([(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]) {
            canvas.blend(at.0, at.1, Rgb888::new(0, 0, index), 255);
        }
        canvas
    }

    /// The copy as one digit per pixel; the padding at the end of each row must stay untouched.
    fn copied(turn: Rotation, (w, h): (u32, u32)) -> String {
        let pitch = w as usize * 4 + 12;
        let mut buffer = vec![9; pitch * h as usize];
        copy(&picture(), turn, &mut buffer, pitch, (w, h));
        let mut rows = Vec::new();
        for row in buffer.chunks_exact(pitch) {
            let (shown, padding) = row.split_at(w as usize * 4);
            assert!(padding.iter().all(|&byte| byte == 9));
            let digits = shown.chunks_exact(4).map(|p| p[0].to_string());
            rows.push(digits.collect::<String>());
        }
        rows.join("/")
    }

    #[test]
    fn the_picture_is_turned_clockwise() {
        assert_eq!(copied(Rotation::None, (3, 2)), "123/456");
        assert_eq!(copied(Rotation::Quarter, (2, 3)), "41/52/63");
        assert_eq!(copied(Rotation::Half, (3, 2)), "654/321");
        assert_eq!(copied(Rotation::ThreeQuarters, (2, 3)), "36/25/14");
    }

    #[test]
    fn a_buffer_of_another_size_is_never_overrun() {
        assert_eq!(copied(Rotation::None, (4, 3)), "1239/4569/9999");
        assert_eq!(copied(Rotation::Half, (1, 1)), "6");
        assert_eq!(copied(Rotation::Quarter, (4, 4)), "4199/5299/6399/9999");
    }

    #[test]
    fn without_a_card_the_message_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let card = folder.path().join("card0");
        let facts = DrmFacts {
            card: card.clone(),
            ..DrmFacts::default()
        };
        let said = DrmPanel::open(facts).err().unwrap().to_string();
        assert!(said.starts_with("no display: "), "{said}");
        assert!(said.contains(card.to_str().unwrap()), "{said}");
    }

    #[test]
    fn what_is_no_card_is_refused() {
        let facts = DrmFacts {
            card: PathBuf::from("/dev/null"),
            ..DrmFacts::default()
        };
        let error = DrmPanel::open(facts).err().unwrap();
        assert!(matches!(error, PanelError::NotMaster { .. }), "{error}");
    }
}
