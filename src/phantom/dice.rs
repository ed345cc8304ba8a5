//! Chance that is the same on every machine: seeded streams and a smooth noise field.
//!
//! Only raw 64-bit draws of the generator are used, so that a new version of a distribution
//! library can never change a phantom. Each purpose has a stream of its own: the body of seed 7
//! is the same body whatever lesions are put into it.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Mixes the bits of `x` (the finaliser of splitmix64).
pub fn scramble(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A stream of random numbers.
pub struct Dice(Xoshiro256PlusPlus);

impl Dice {
    /// The stream of `seed` for one purpose.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let key = purpose
            .bytes()
            .fold(scramble(seed), |h, b| scramble(h ^ u64::from(b)));
        Self(Xoshiro256PlusPlus::seed_from_u64(key))
    }

    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in 0..1.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }

    pub fn range(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * self.unit()
    }

    /// About normal (sum of six uniforms), held to three deviations.
    pub fn normal(&mut self, mean: f32, deviation: f32) -> f32 {
        let sum: f32 = (0..6).map(|_| self.unit()).sum();
        mean + deviation * (sum - 3.0) * std::f32::consts::SQRT_2
    }

    pub fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// A whole number in `from..=to`.
    pub fn count(&mut self, from: usize, to: usize) -> usize {
        from + (self.unit() * (to + 1 - from) as f32) as usize
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.count(0, choices.len() - 1)]
    }

    /// Fills with noise of mean 0 and deviation 1, four 16-bit uniforms a sample: fast, and
    /// close enough to normal for the noise of a detector.
    pub fn fill_normal(&mut self, out: &mut [f32]) {
        // A sum of four uniforms on 0..65535 has deviation 65536 / sqrt(3).
        const SCALE: f32 = 1.732_050_8 / 65536.0;
        for v in out {
            let b = self.bits();
            let sum = (b & 0xffff) + (b >> 16 & 0xffff) + (b >> 32 & 0xffff) + (b >> 48);
            *v = (sum as f32 - 131_070.0) * SCALE;
        }
    }
}

/// Cells of the noise lattice along each axis; it repeats after them.
const CELLS: usize = 32;

/// Smooth noise in space, about -1..1, repeating after 32 units.
pub struct Noise {
    table: Vec<f32>,
}

impl Noise {
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut dice = Dice::new(seed, purpose);
        let table = (0..CELLS * CELLS * CELLS)
            .map(|_| dice.range(-1.0, 1.0))
            .collect();
        Self { table }
    }

    /// The noise at (x, y, z), in lattice units.
    pub fn at(&self, x: f32, y: f32, z: f32) -> f32 {
        let cell = |v: f32| {
            let f = v.floor();
            let t = v - f;
            let i = (f as i32 as usize) & (CELLS - 1);
            (i, (i + 1) & (CELLS - 1), t * t * (3.0 - 2.0 * t))
        };
        let ((x0, x1, tx), (y0, y1, ty), (z0, z1, tz)) = (cell(x), cell(y), cell(z));
        let g = |z: usize, y: usize, x: usize| self.table[(z * CELLS + y) * CELLS + x];
        let row = |z, y| g(z, y, x0) + (g(z, y, x1) - g(z, y, x0)) * tx;
        let a = row(z0, y0) + (row(z0, y1) - row(z0, y0)) * ty;
        let b = row(z1, y0) + (row(z1, y1) - row(z1, y0)) * ty;
        a + (b - a) * tz
    }

    /// Two octaves at wave length `mm` and half of it.
    pub fn rough(&self, p: [f32; 3], mm: f32) -> f32 {
        let k = 1.0 / mm;
        let (x, y, z) = (p[0] * k, p[1] * k, p[2] * k);
        0.67 * self.at(x, y, z) + 0.33 * self.at(2.0 * x + 7.3, 2.0 * y + 1.7, 2.0 * z + 4.1)
    }
}
