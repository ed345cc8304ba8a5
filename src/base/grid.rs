//! Voxel grids. Axes are always (z, y, x): z from feet to head, y from front to back, x from the
//! patient's right to the left, as DICOM's patient coordinates have it for (1,0,0\0,1,0).

use super::unit::Mm;
use serde::{Deserialize, Serialize};

/// Distance between voxel centres along (z, y, x).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spacing {
    pub z: Mm,
    pub y: Mm,
    pub x: Mm,
}

impl Spacing {
    #[must_use]
    pub fn zyx(self) -> [f64; 3] {
        [self.z.0, self.y.0, self.x.0]
    }

    /// Size of a grid of 1 mm voxels that covers `shape` voxels of this spacing: each axis is
    /// max(1, round half to even(n * spacing)), as numpy rounds (pipeline section 4 step 2).
    #[must_use]
    pub fn isotropic_shape(self, shape: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|axis| {
            let n = (shape[axis] as f64 * self.zyx()[axis]).round_ties_even();
            (n as usize).max(1)
        })
    }
}
