//! x86-64: AVX-512 VNNI, and AVX2 for older machines.

use super::pack::STEP;
use super::{BLOCK, Job, Sums, Tail, tiles};
use std::arch::x86_64::*;

/// Pixels of a tile: 14 times two registers of sums, two of weights and two to spare.
const VNNI_TILE: usize = 14;
/// AVX2 has half as many registers, half as wide.
const AVX2_TILE: usize = 4;

pub(super) fn vnni() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vnni")
}

/// Addresses of one tile's input and weights.
#[derive(Clone, Copy)]
struct Tile {
    /// First input byte of the first pixel.
    input: *const u8,
    /// From one pixel to the next.
    pixel: usize,
    /// From one row of taps to the next.
    row: usize,
    rows: usize,
    /// Input bytes of a row of taps, by four.
    steps: usize,
    weights: *const i8,
    /// Bytes of weights of one row of taps, and of a group of channels.
    weight_row: usize,
    weight_group: usize,
}

impl Tile {
    #[inline(always)]
    fn new(job: &Job, start: usize, block: usize) -> Self {
        let block = &job.weights.blocks[block];
        Self {
            input: job.plane[start..].as_ptr(),
            pixel: job.geometry.channels,
            row: job.geometry.row_bytes(),
            rows: job.weights.rows,
            steps: job.weights.run() / 4,
            weights: block.weights.as_ptr().cast(),
            weight_row: block.row,
            weight_group: block.group,
        }
    }
}

/// # Safety
/// The processor has what [`vnni`] asks for, and the job was checked by `conv`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) unsafe fn conv_vnni(job: &Job, tail: &mut Tail) {
    let tile = |start: usize, pixels: usize, block: usize, sums: &mut Sums| {
        let tile = Tile::new(job, start, block);
        macro_rules! pick {
            ($groups:literal: $($n:literal)*) => {
                match pixels {
                    // SAFETY: a tile of a checked job reads inside plane and weights.
                    $($n => unsafe { vnni_tile::<$n, $groups>(tile, sums) },)*
                    _ => unreachable!("tiles are at most {VNNI_TILE} pixels"),
                }
            };
        }
        if job.weights.blocks[block].groups == 2 {
            pick!(2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
        } else {
            pick!(1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
        }
    };
    tiles!(job, tail, VNNI_TILE, tile);
}

/// # Safety
/// As [`conv_vnni`]; all pixels of the tile lie in the plane.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn vnni_tile<const PIXELS: usize, const GROUPS: usize>(tile: Tile, sums: &mut Sums) {
    let mut acc = [[_mm512_setzero_si512(); GROUPS]; PIXELS];
    for row in 0..tile.rows {
        // SAFETY: inside the plane and the weights, by the caller's promise.
        let (input, weights) = unsafe {
            (
                tile.input.add(row * tile.row),
                tile.weights.add(row * tile.weight_row),
            )
        };
        for step in 0..tile.steps {
            let mut lines = [_mm512_setzero_si512(); GROUPS];
            for (group, line) in lines.iter_mut().enumerate() {
                // SAFETY: as above; weights lie in lines of 64 bytes.
                *line = unsafe {
                    _mm512_load_si512(weights.add(group * tile.weight_group + step * STEP).cast())
                };
            }
            for (pixel, acc) in acc.iter_mut().enumerate() {
                // SAFETY: as above; a step is four bytes of the pixel's run.
                let four = unsafe {
                    input
                        .add(pixel * tile.pixel + step * 4)
                        .cast::<i32>()
                        .read_unaligned()
                };
                let four = _mm512_set1_epi32(four);
                for (acc, line) in acc.iter_mut().zip(lines) {
                    *acc = _mm512_dpbusd_epi32(*acc, four, line);
                }
            }
        }
    }
    for (pixel, acc) in acc.iter().enumerate() {
        for (group, acc) in acc.iter().enumerate() {
            let out = sums.0[pixel][group * 16..(group + 1) * 16].as_mut_ptr();
            // SAFETY: sixteen sums of that row.
            unsafe { _mm512_storeu_si512(out.cast(), *acc) };
        }
    }
}

/// # Safety
/// The processor has AVX2, and the job was checked by `conv`.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn conv_avx2(job: &Job, tail: &mut Tail) {
    let tile = |start: usize, pixels: usize, block: usize, sums: &mut Sums| {
        let tile = Tile::new(job, start, block);
        for group in 0..job.weights.blocks[block].groups {
            for half in 0..2 {
                // SAFETY: a tile of a checked job reads inside plane and weights.
                unsafe {
                    match pixels {
                        1 => avx2_tile::<1>(tile, group, half, sums),
                        2 => avx2_tile::<2>(tile, group, half, sums),
                        3 => avx2_tile::<3>(tile, group, half, sums),
                        _ => avx2_tile::<4>(tile, group, half, sums),
                    }
                }
            }
        }
    };
    tiles!(job, tail, AVX2_TILE, tile);
}

/// Eight channels of `PIXELS` pixels. Bytes are widened to 16 bits, since AVX2's product of bytes saturates.
///
/// # Safety
/// The processor has AVX2; all pixels of the tile lie in the plane.
#[target_feature(enable = "avx2")]
unsafe fn avx2_tile<const PIXELS: usize>(tile: Tile, group: usize, half: usize, sums: &mut Sums) {
    // Two registers of four channels; each channel has two partial sums side by side.
    let mut acc = [[_mm256_setzero_si256(); 2]; PIXELS];
    for row in 0..tile.rows {
        // SAFETY: inside the plane and the weights, by the caller's promise.
        let (input, weights) = unsafe {
            (
                tile.input.add(row * tile.row),
                tile.weights.add(row * tile.weight_row),
            )
        };
        for step in 0..tile.steps {
            // SAFETY: as above; half a line of weights.
            let (low, high) = unsafe {
                let line = weights.add(group * tile.weight_group + step * STEP + half * 32);
                (
                    _mm_load_si128(line.cast()),
                    _mm_load_si128(line.add(16).cast()),
                )
            };
            let lines = [_mm256_cvtepi8_epi16(low), _mm256_cvtepi8_epi16(high)];
            for (pixel, acc) in acc.iter_mut().enumerate() {
                // SAFETY: as above; a step is four bytes of the pixel's run.
                let four = unsafe {
                    input
                        .add(pixel * tile.pixel + step * 4)
                        .cast::<i32>()
                        .read_unaligned()
                };
                let wide = _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(four)));
                for (acc, line) in acc.iter_mut().zip(lines) {
                    *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(wide, line));
                }
            }
        }
    }
    for (pixel, [low, high]) in acc.iter().enumerate() {
        // Adds neighbours; the result has the channels as 0 1 4 5, 2 3 6 7 in pairs of 64 bits.
        let both = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(*low, *high));
        let at = group * 16 + half * 8;
        let out = sums.0[pixel][at..at + 8].as_mut_ptr();
        // SAFETY: eight sums of that row.
        unsafe { _mm256_storeu_si256(out.cast(), both) };
    }
}

const _: () = assert!(VNNI_TILE <= super::TILE && AVX2_TILE <= super::TILE && BLOCK == 32);
