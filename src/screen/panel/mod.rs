//! Where a finished picture goes: a display through the kernel's mode setting, or a PNG file.

pub mod drm;
pub mod png;

use super::PanelSize;
use super::canvas::Canvas;
use std::io;
use std::path::PathBuf;

/// A display that may come and go.
pub trait Panel {
    /// The size to draw for, `None` while nothing is plugged in. Looks for a display when it is
    /// time to (appliance spec D7), so it is called before every picture.
    ///
    /// # Errors
    /// [`PanelError`] when the display was found and could not be set up; the next call tries
    /// again.
    fn size(&mut self) -> Result<Option<PanelSize>, PanelError>;

    /// Shows the picture. It is on the glass, or in the file, when this returns.
    ///
    /// # Errors
    /// [`PanelError`] when it is not.
    fn present(&mut self, canvas: &Canvas) -> Result<(), PanelError>;
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PanelError {
    #[error(
        "no display: {path} cannot be opened. Is the kernel's mode setting on, and is this user \
         in the group video?"
    )]
    NoCard { path: PathBuf, source: io::Error },
    #[error("the display belongs to another program: {path} gives no control over modes")]
    NotMaster { path: PathBuf, source: io::Error },
    #[error("{path} has no dumb buffers; this driver cannot show a picture without a GPU")]
    NoDumbBuffers { path: PathBuf },
    #[error("the display does not take a picture: {step} failed")]
    Drm {
        step: &'static str,
        source: io::Error,
    },
    #[error("no controller of {path} can drive the connector {connector}")]
    NoController { path: PathBuf, connector: String },
    #[error("the display did not show the picture within one second")]
    FlipTimeout,
    #[error("the picture cannot be written to {path}")]
    Write { path: PathBuf, source: io::Error },
}
