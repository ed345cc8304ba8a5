//! What the networks take: planes of 128 or 240 pixels, and a cube of 50 planes.

use super::resample::{Banded, Kernel, weigh};
use ndarray::{Array3, ArrayView3, Axis};
use rayon::prelude::*;

/// Planes of the 3D CNN's input (pipeline section 8).
pub const CUBE_PLANES: usize = 50;

/// Resamples one plane in both directions.
#[derive(Clone, Debug)]
pub struct PlaneResizer {
    down: Banded<f32>,
    across: Banded<f32>,
}

impl PlaneResizer {
    /// From `(rows, columns)` to `(rows, columns)`.
    #[must_use]
    pub fn new(kernel: Kernel, from: (usize, usize), to: (usize, usize)) -> Self {
        Self {
            down: Banded::new(kernel, from.0, to.0),
            across: Banded::new(kernel, from.1, to.1),
        }
    }

    /// Resamples `plane` into `out`; `half` is room to work in, of any length.
    pub fn resize(&self, plane: &[f32], half: &mut Vec<f32>, out: &mut [f32]) {
        half.resize(self.down.outputs() * self.across.inputs(), 0.0);
        self.down.down(plane, self.across.inputs(), half);
        self.across.across(half, out);
    }

    /// Samples of a resampled plane.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.down.outputs() * self.across.outputs()
    }
}

/// The difference map (z, y, x) as the 3D CNN takes it: [`CUBE_PLANES`] planes by K2 along z.
/// The map must have at least one plane.
#[must_use]
pub fn to_cube(difference: ArrayView3<'_, f32>) -> Array3<f32> {
    let (planes, height, width) = difference.dim();
    let z = Banded::<f32>::new(Kernel::Linear, planes, CUBE_PLANES);
    let mut cube = Array3::zeros((CUBE_PLANES, height, width));
    let standard = difference.as_standard_layout();
    let source: Vec<&[f32]> = standard
        .axis_iter(Axis(0))
        .map(|plane| plane.to_slice().unwrap_or_default())
        .collect();
    let planes: Vec<_> = cube.axis_iter_mut(Axis(0)).enumerate().collect();
    planes.into_par_iter().for_each(|(j, mut plane)| {
        let lines = z.taps(j).filter_map(|(k, w)| Some((*source.get(k)?, w)));
        weigh(lines, 0, plane.as_slice_mut().unwrap_or_default());
    });
    cube
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_keeps_its_mean_when_it_shrinks() {
        let plane: Vec<f32> = (0..300 * 200).map(|i| (i % 7) as f32).collect();
        let resizer = PlaneResizer::new(Kernel::Linear, (300, 200), (128, 128));
        let mut small = vec![0.0; resizer.samples()];
        resizer.resize(&plane, &mut Vec::new(), &mut small);
        let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
        assert_eq!(small.len(), 128 * 128);
        assert!((mean(&small) - mean(&plane)).abs() < 0.02);
    }

    #[test]
    fn the_cube_has_fifty_planes_whatever_came() {
        for planes in [1, 2, 49, 50, 51, 300] {
            let map = Array3::from_shape_fn((planes, 4, 4), |(z, _, _)| z as f32);
            let cube = to_cube(map.view());
            assert_eq!(cube.dim(), (50, 4, 4));
            let first_last = (cube[[0, 0, 0]], cube[[49, 3, 3]]);
            assert!(first_last.0 >= 0.0 && first_last.1 <= (planes - 1) as f32);
            let mean = cube.mean().unwrap();
            assert!((mean - (planes - 1) as f32 / 2.0).abs() < 0.02 * planes as f32);
        }
        let map = Array3::from_shape_fn((50, 3, 5), |(z, y, x)| (z * 100 + y * 10 + x) as f32);
        assert_eq!(to_cube(map.view()), map);
    }
}
