//! Integer convolution on the processor's own instructions.
//!
//! Images are planes of unsigned bytes, channel last, with a border of one pixel; weights are signed
//! bytes with one scale per output channel. Sums are exact 32-bit integers, so every instruction
//! set gives the same numbers; what follows a sum (scale, round, hard sigmoid, tanh) is IEEE arithmetic
//! in a fixed order, fused where the code says so and nowhere else, so it does too. [`plain`] is the
//! reference that the others are held to.
//!
//! This folder and the display's panel are the only places with unsafe code: each kernel says what
//! it relies on, and [`conv`] checks that before any of them runs.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod amx_lstm;
pub mod gates;
pub mod head;
pub mod lstm;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pack;
mod plain;
pub mod pool;
mod tail;
#[cfg(test)]
mod tests;
pub mod volume;
#[cfg(target_arch = "x86_64")]
mod wide;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use pack::Packed;
pub use tail::{Bytes, Tail};

/// Output channels that one pass over the pixels makes.
const BLOCK: usize = 32;
/// Output channels of one register.
const LANES: usize = 16;
/// Pixels of one tile at most.
const TILE: usize = 32;
/// Bytes behind the last pixel of a plane that a kernel may read (and multiplies with zero).
pub const SLACK: usize = 64;

/// An instruction set that a kernel here is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// x86-64 with AMX tiles of bytes.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
    Amx,
    /// x86-64 with AVX-512 VNNI.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
    Vnni,
    /// x86-64 with AVX2.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
    Avx2,
    /// aarch64 with the dot product of Armv8.2.
    #[cfg_attr(not(target_arch = "aarch64"), expect(dead_code))]
    Dot,
    /// Whatever the compiler makes of it.
    Plain,
}

impl Isa {
    /// The fastest one of this processor.
    #[must_use]
    pub fn best() -> Self {
        Self::available().into_iter().next().unwrap_or(Self::Plain)
    }

    /// Those that this processor has, the fastest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if x86::vnni() && amx::available() {
                found.push(Self::Amx);
            }
            if x86::vnni() {
                found.push(Self::Vnni);
            }
            let fused = std::arch::is_x86_feature_detected!("fma");
            if std::arch::is_x86_feature_detected!("avx2") && fused {
                found.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            found.push(Self::Dot);
        }
        found.push(Self::Plain);
        found
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Amx => "AMX and AVX-512",
            Self::Vnni => "AVX-512 VNNI",
            Self::Avx2 => "AVX2",
            Self::Dot => "NEON with dot product",
            Self::Plain => "plain code",
        })
    }
}

/// Rows, columns and channels of a plane, without its border.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    pub rows: usize,
    pub columns: usize,
    pub channels: usize,
}

impl Geometry {
    #[must_use]
    pub fn new(rows: usize, columns: usize, channels: usize) -> Self {
        Self {
            rows,
            columns,
            channels,
        }
    }

    /// Bytes of the plane with its border and the slack behind it.
    #[must_use]
    pub fn bytes(self) -> usize {
        (self.rows + 2) * self.row_bytes() + SLACK
    }

    /// Bytes from one row to the next.
    #[must_use]
    pub fn row_bytes(self) -> usize {
        (self.columns + 2) * self.channels
    }

    #[must_use]
    pub fn pixels(self) -> usize {
        self.rows * self.columns
    }

    /// Where the first channel of pixel (y, x) lies.
    #[must_use]
    pub fn at(self, y: usize, x: usize) -> usize {
        (y + 1) * self.row_bytes() + (x + 1) * self.channels
    }

    /// Fills the border (and the slack) with the zero point.
    pub fn frame(self, plane: &mut [u8], zero: u8) {
        let row = self.row_bytes();
        plane[..row + self.channels].fill(zero);
        for y in 0..self.rows {
            let end = (y + 2) * row;
            let next = (end + self.channels).min(plane.len());
            plane[end - self.channels..next].fill(zero);
        }
        let last = (self.rows + 1) * row;
        plane[last..].fill(zero);
    }
}

/// Convolves rows `from..to` of a plane (3x3 with its border as padding, or 1x1).
///
/// # Panics
/// When plane, weights and output do not belong together; the operators check shapes at load.
pub fn conv(
    isa: Isa,
    plane: &[u8],
    geometry: Geometry,
    weights: &Packed,
    rows: std::ops::Range<usize>,
    tail: &mut Tail,
) {
    assert!(plane.len() >= geometry.bytes(), "plane too short");
    assert_eq!(geometry.channels, weights.channels, "channels differ");
    assert!(geometry.channels.is_multiple_of(4), "channels in fours");
    assert!(rows.start <= rows.end && rows.end <= geometry.rows);
    tail.check(weights.outputs, geometry, rows.len());
    let job = Job {
        plane,
        geometry,
        weights,
        rows,
    };
    match isa {
        // SAFETY: an Isa comes from `available`, which has asked the processor; the bounds that the
        // kernels rely on were asserted above.
        #[cfg(target_arch = "x86_64")]
        Isa::Amx => unsafe { amx::conv(&job, tail) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Vnni => unsafe { x86::conv_vnni(&job, tail) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { x86::conv_avx2(&job, tail) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Isa::Dot => unsafe { neon::conv(&job, tail) },
        _ => plain::conv(&job, tail),
    }
}

/// What a kernel gets.
struct Job<'a> {
    plane: &'a [u8],
    geometry: Geometry,
    weights: &'a Packed,
    rows: std::ops::Range<usize>,
}

impl Job<'_> {
    /// Offset of the first byte that pixel (y, x) needs.
    #[inline(always)]
    fn start(&self, y: usize, x: usize) -> usize {
        let g = self.geometry;
        if self.weights.rows == 3 {
            y * g.row_bytes() + x * g.channels
        } else {
            g.at(y, x)
        }
    }
}

/// Sums of one tile: a pixel a row, [`BLOCK`] channels each.
#[repr(C, align(64))]
struct Sums([[i32; BLOCK]; TILE]);

impl Sums {
    fn new() -> Self {
        Self([[0; BLOCK]; TILE])
    }
}

/// Goes over all tiles of a job: `$tile(x offset, pixels, block, sums)` computes, then the tail runs.
/// A macro, since a function would not take on the instruction set of the kernel that calls it.
macro_rules! tiles {
    ($job:expr, $tail:expr, $most:expr, $tile:expr) => {{
        let job: &$crate::infer::kernels::Job = $job;
        let mut sums = $crate::infer::kernels::Sums::new();
        let columns = job.geometry.columns;
        let count = columns.div_ceil($most);
        for block in 0..job.weights.blocks.len() {
            for y in job.rows.clone() {
                let mut x = 0;
                for n in 0..count {
                    // Even shares, so that no tile is a lonely rest.
                    let pixels = (columns - x).div_ceil(count - n);
                    $tile(job.start(y, x), pixels, block, &mut sums);
                    let done = &sums.0[..pixels];
                    $crate::infer::kernels::tail::finish(job, done, block, (y, x), $tail);
                    x += pixels;
                }
            }
        }
    }};
}
use tiles;

/// A function per instruction set around a loop, and one that picks.
macro_rules! per_isa {
    ($name:ident = $body:ident($($arg:ident: $type:ty),*)) => {
        #[doc = concat!("`", stringify!($body), "` with the instructions of `isa`.")]
        pub fn $name(isa: Isa, $($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
                fn wide($($arg: $type),*) {
                    $body($($arg),*);
                }
                #[target_feature(enable = "avx2,fma")]
                fn half($($arg: $type),*) {
                    $body($($arg),*);
                }
                match isa {
                    // SAFETY: an Isa comes from `Isa::available`, which has asked the processor.
                    Isa::Amx | Isa::Vnni => return unsafe { wide($($arg),*) },
                    // SAFETY: as above.
                    Isa::Avx2 => return unsafe { half($($arg),*) },
                    _ => {}
                }
            }
            let _ = isa;
            $body($($arg),*);
        }
    };
}

use per_isa;
