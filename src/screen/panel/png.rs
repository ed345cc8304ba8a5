//! A panel that is a file: for tests, for the demo, and for a look at a box without a display.

use super::{Panel, PanelError};
use crate::screen::PanelSize;
use crate::screen::canvas::Canvas;
use crate::status::file::replace;
use std::path::PathBuf;

/// Replaces `file` with each picture in one step, so that a viewer never sees half of one.
#[derive(Clone, Debug)]
pub struct PngPanel {
    pub file: PathBuf,
    pub size: PanelSize,
}

impl Panel for PngPanel {
    fn size(&mut self) -> Result<Option<PanelSize>, PanelError> {
        Ok(Some(self.size))
    }

    fn present(&mut self, canvas: &Canvas) -> Result<(), PanelError> {
        replace(&self.file, &canvas.to_png()).map_err(|source| PanelError::Write {
            path: self.file.clone(),
            source,
        })
    }
}
