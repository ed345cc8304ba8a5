//! The published pseudo-infection: two-dimensional gradient noise of ten octaves.
//!
//! Training adds it to healthy slices so that BCDU-Net learns to take disease out again
//! (pipeline section 5). Everything is f32, as in the library that the papers used. The base is
//! taken modulo 256 and so is every subscript: the library reads past its table instead.

/// Ken Perlin's permutation of 0..=255.
const PERM: [u8; 256] = [
    151, 160, 137, 91, 90, 15, 131, 13, 201, 95, 96, 53, 194, 233, 7, 225, 140, 36, 103, 30, 69,
    142, 8, 99, 37, 240, 21, 10, 23, 190, 6, 148, 247, 120, 234, 75, 0, 26, 197, 62, 94, 252, 219,
    203, 117, 35, 11, 32, 57, 177, 33, 88, 237, 149, 56, 87, 174, 20, 125, 136, 171, 168, 68, 175,
    74, 165, 71, 134, 139, 48, 27, 166, 77, 146, 158, 231, 83, 111, 229, 122, 60, 211, 133, 230,
    220, 105, 92, 41, 55, 46, 245, 40, 244, 102, 143, 54, 65, 25, 63, 161, 1, 216, 80, 73, 209, 76,
    132, 187, 208, 89, 18, 169, 200, 196, 135, 130, 116, 188, 159, 86, 164, 100, 109, 198, 173,
    186, 3, 64, 52, 217, 226, 250, 124, 123, 5, 202, 38, 147, 118, 126, 255, 82, 85, 212, 207, 206,
    59, 227, 47, 16, 58, 17, 182, 189, 28, 42, 223, 183, 170, 213, 119, 248, 152, 2, 44, 154, 163,
    70, 221, 153, 101, 155, 167, 43, 172, 9, 129, 22, 39, 253, 19, 98, 108, 110, 79, 113, 224, 232,
    178, 185, 112, 104, 218, 246, 97, 228, 251, 34, 242, 193, 238, 210, 144, 12, 191, 179, 162,
    241, 81, 51, 145, 235, 249, 14, 239, 107, 49, 192, 214, 31, 181, 199, 106, 157, 184, 84, 204,
    176, 115, 121, 50, 45, 127, 4, 150, 254, 138, 236, 205, 93, 222, 114, 67, 29, 24, 72, 243, 141,
    128, 195, 78, 66, 215, 61, 156, 180,
];

/// The sixteen gradients; the last four repeat earlier ones, as in the classic table.
const GRADIENT: [(f32, f32); 16] = [
    (1.0, 1.0),
    (-1.0, 1.0),
    (1.0, -1.0),
    (-1.0, -1.0),
    (1.0, 0.0),
    (-1.0, 0.0),
    (1.0, 0.0),
    (-1.0, 0.0),
    (0.0, 1.0),
    (0.0, -1.0),
    (0.0, 1.0),
    (0.0, -1.0),
    (1.0, 0.0),
    (-1.0, 0.0),
    (0.0, -1.0),
    (0.0, 1.0),
];

/// Octaves of the published noise.
pub const OCTAVES: u32 = 10;

fn perm(i: u32) -> u32 {
    u32::from(PERM[(i & 255) as usize])
}

/// One octave at (x, y); 0 at whole numbers.
#[must_use]
pub fn octave(x: f32, y: f32, base: u32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let base = base & 255;
    let i = (fx as i32 as u32 & 255) + base;
    let j = (fy as i32 as u32 & 255) + base;
    let (dx, dy) = (x - fx, y - fy);
    let fade = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let corner = |i: u32, j: u32, dx: f32, dy: f32| {
        // The table is asked three times; the golden values below tell so.
        let (gx, gy) = GRADIENT[(perm(perm(perm(i) + j)) & 15) as usize];
        dx * gx + dy * gy
    };
    let lerp = |t: f32, a: f32, b: f32| a + t * (b - a);
    let (u, v) = (fade(dx), fade(dy));
    lerp(
        v,
        lerp(u, corner(i, j, dx, dy), corner(i + 1, j, dx - 1.0, dy)),
        lerp(
            u,
            corner(i, j + 1, dx, dy - 1.0),
            corner(i + 1, j + 1, dx - 1.0, dy - 1.0),
        ),
    )
}

/// Ten octaves, each twice as fine and `persistence` times as strong as the one before, divided
/// by the signed sum of the strengths.
#[must_use]
pub fn noise(x: f32, y: f32, persistence: f32, base: u32) -> f32 {
    let (mut total, mut sum) = (0.0f32, 0.0f32);
    let (mut frequency, mut strength) = (1.0f32, 1.0f32);
    for _ in 0..OCTAVES {
        total += octave(x * frequency, y * frequency, base) * strength;
        sum += strength;
        frequency *= 2.0;
        strength *= persistence;
    }
    total / sum
}

/// What the papers redraw for every slice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Pixels a lattice cell, 10 to 29.
    pub scale: u32,
    /// Strength of an octave over the one before, -0.5 to 0.49.
    pub persistence: f32,
    /// Start in the table, 0 to 999 (used modulo 256).
    pub base: u32,
}

impl Draw {
    /// The parameters for slice `index` of `seed`.
    #[must_use]
    pub fn of(seed: u64, index: u64) -> Self {
        let mut dice = super::dice::Dice::new(seed ^ super::dice::scramble(index), "perlin");
        Self {
            scale: dice.count(10, 29) as u32,
            persistence: 0.01 * (dice.count(0, 99) as f32 - 50.0),
            base: dice.count(0, 999) as u32,
        }
    }

    /// The field that is added to a slice of `rows` x `columns`.
    #[must_use]
    pub fn field(&self, rows: usize, columns: usize) -> Vec<f32> {
        let scale = self.scale as f32;
        (0..rows * columns)
            .map(|k| {
                let (i, j) = ((k / columns) as f32, (k % columns) as f32);
                noise(i / scale, j / scale, self.persistence, self.base)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tolerance of the specification's values: they were measured with f32.
    const CLOSE: f32 = 1e-6;

    #[test]
    fn one_octave_equals_the_library() {
        let at = [(0.5, 0.25), (3.7, 9.1), (12.7, 0.06)];
        let golden = [
            (0, [-0.0388184, 0.2014926, 0.0388778]),
            (1, [0.5388184, 0.0505854, -0.2912019]),
        ];
        for (base, values) in golden {
            for ((x, y), want) in at.into_iter().zip(values) {
                let got = octave(x, y, base);
                assert!(
                    (got - want).abs() < CLOSE,
                    "base {base} at ({x},{y}): {got}"
                );
            }
        }
    }

    #[test]
    fn ten_octaves_equal_the_library() {
        let at = [
            (1., 2., 0.3),
            (64., 31., -0.31),
            (127., 127., -0.5),
            (5., 99., 0.),
        ];
        let golden = [
            (0, [0.0692578, -0.3275315, 0.1233818, 0.0491813]),
            (1, [0.2352277, 0.5222521, 0.3550823, 0.1978976]),
        ];
        for (base, values) in golden {
            for ((i, j, p), want) in at.into_iter().zip(values) {
                let got = noise(i / 17.0, j / 17.0, p, base);
                assert!(
                    (got - want).abs() < CLOSE,
                    "base {base} ({i},{j},{p}): {got}"
                );
            }
        }
    }

    #[test]
    fn the_base_wraps_at_256() {
        for k in 0..200 {
            let (x, y) = (k as f32 * 0.061, k as f32 * 0.037);
            assert_eq!(octave(x, y, 256), octave(x, y, 0));
            assert_eq!(octave(x, y, 999), octave(x, y, 999 - 3 * 256));
        }
        assert_eq!(octave(3.0, 5.0, 17), 0.0);
    }

    #[test]
    fn draws_stay_in_the_published_ranges() {
        let mut signs = [false; 2];
        for k in 0..400 {
            let d = Draw::of(3, k);
            assert!((10..=29).contains(&d.scale) && d.base <= 999, "{d:?}");
            assert!((-0.5..=0.49 + 1e-6).contains(&d.persistence), "{d:?}");
            signs[usize::from(d.persistence < 0.0)] = true;
        }
        assert_eq!(signs, [true; 2]);
        assert_eq!(Draw::of(3, 5), Draw::of(3, 5));
    }
}
