//! aarch64 with the dot product of Armv8.2 (`sdot`), as every Jetson since Xavier has it.
//!
//! The intrinsics are not stable, so the instructions stand here as assembly. `sdot` takes signed bytes: the
//! input's top bit is flipped on the way, which takes 128 from each, and the sums get it back.

use super::pack::STEP;
use super::{Job, LANES, Sums, Tail, tiles};
use std::arch::aarch64::int32x4_t;
use std::arch::asm;

/// Pixels of a tile: four times four registers of sums, four of input, four of weights, one to flip.
const STRIP: usize = 4;
/// Input bytes that one register holds.
const CHUNK: usize = 16;

/// # Safety
/// The processor has the dot product, and the job was checked by `conv`.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn conv(job: &Job, tail: &mut Tail) {
    let tile = |start: usize, pixels: usize, block: usize, sums: &mut Sums| {
        for group in 0..job.weights.blocks[block].groups {
            // SAFETY: a tile of a checked job reads inside plane (with its slack) and weights.
            unsafe { four(job, start, pixels, block, group, sums) };
        }
    };
    tiles!(job, tail, STRIP, tile);
}

/// Sixteen channels of up to four pixels. Fewer pixels are computed as four, the last one again.
///
/// # Safety
/// The processor has the dot product; all pixels of the tile lie in the plane.
#[target_feature(enable = "neon,dotprod")]
unsafe fn four(
    job: &Job,
    start: usize,
    pixels: usize,
    block: usize,
    group: usize,
    sums: &mut Sums,
) {
    let pixel = job.geometry.channels;
    let block_number = block;
    let block = &job.weights.blocks[block];
    let chunks = job.weights.run().div_ceil(CHUNK);
    let line = STEP;
    let at = |n: usize| start + n.min(pixels - 1) * pixel;
    // SAFETY: zero is a value of the type.
    let mut acc: [int32x4_t; 16] = unsafe { std::mem::zeroed() };
    for y in 0..job.weights.rows {
        let row = y * job.geometry.row_bytes();
        // SAFETY: inside the plane and the weights; rows of weights are padded to 64 input bytes.
        let (mut a, mut b, mut c, mut d, mut w) = unsafe {
            let input = job.plane.as_ptr().add(row);
            let weights = block.weights.as_ptr().cast::<i8>();
            (
                input.add(at(0)),
                input.add(at(1)),
                input.add(at(2)),
                input.add(at(3)),
                weights.add(group * block.group + y * block.row),
            )
        };
        for _ in 0..chunks {
            let [
                a0,
                a1,
                a2,
                a3,
                b0,
                b1,
                b2,
                b3,
                c0,
                c1,
                c2,
                c3,
                d0,
                d1,
                d2,
                d3,
            ] = &mut acc;
            // SAFETY: reads sixteen bytes of each pixel and four lines of weights.
            unsafe {
                asm!(
                    "movi v31.16b, #128",
                    "ldr q24, [{a}], #16",
                    "ldr q25, [{b}], #16",
                    "ldr q26, [{c}], #16",
                    "ldr q27, [{d}], #16",
                    "eor v24.16b, v24.16b, v31.16b",
                    "eor v25.16b, v25.16b, v31.16b",
                    "eor v26.16b, v26.16b, v31.16b",
                    "eor v27.16b, v27.16b, v31.16b",
                    ".irp i, 0, 1, 2, 3",
                    "ld1 {{v20.16b, v21.16b, v22.16b, v23.16b}}, [{w}], {line}",
                    "sdot {a0:v}.4s, v20.16b, v24.4b[\\i]",
                    "sdot {a1:v}.4s, v21.16b, v24.4b[\\i]",
                    "sdot {a2:v}.4s, v22.16b, v24.4b[\\i]",
                    "sdot {a3:v}.4s, v23.16b, v24.4b[\\i]",
                    "sdot {b0:v}.4s, v20.16b, v25.4b[\\i]",
                    "sdot {b1:v}.4s, v21.16b, v25.4b[\\i]",
                    "sdot {b2:v}.4s, v22.16b, v25.4b[\\i]",
                    "sdot {b3:v}.4s, v23.16b, v25.4b[\\i]",
                    "sdot {c0:v}.4s, v20.16b, v26.4b[\\i]",
                    "sdot {c1:v}.4s, v21.16b, v26.4b[\\i]",
                    "sdot {c2:v}.4s, v22.16b, v26.4b[\\i]",
                    "sdot {c3:v}.4s, v23.16b, v26.4b[\\i]",
                    "sdot {d0:v}.4s, v20.16b, v27.4b[\\i]",
                    "sdot {d1:v}.4s, v21.16b, v27.4b[\\i]",
                    "sdot {d2:v}.4s, v22.16b, v27.4b[\\i]",
                    "sdot {d3:v}.4s, v23.16b, v27.4b[\\i]",
                    ".endr",
                    a = inout(reg) a, b = inout(reg) b, c = inout(reg) c, d = inout(reg) d, w = inout(reg) w,
                    line = in(reg) line,
                    a0 = inout(vreg) *a0, a1 = inout(vreg) *a1, a2 = inout(vreg) *a2, a3 = inout(vreg) *a3,
                    b0 = inout(vreg) *b0, b1 = inout(vreg) *b1, b2 = inout(vreg) *b2, b3 = inout(vreg) *b3,
                    c0 = inout(vreg) *c0, c1 = inout(vreg) *c1, c2 = inout(vreg) *c2, c3 = inout(vreg) *c3,
                    d0 = inout(vreg) *d0, d1 = inout(vreg) *d1, d2 = inout(vreg) *d2, d3 = inout(vreg) *d3,
                    out("v20") _, out("v21") _, out("v22") _, out("v23") _,
                    out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v31") _,
                    options(nostack, readonly),
                );
            }
        }
    }
    let channel = block_number * super::BLOCK + group * LANES;
    for n in 0..pixels {
        for part in 0..4 {
            // SAFETY: the same sixteen bytes under another name.
            let lanes: [i32; 4] = unsafe { std::mem::transmute(acc[4 * n + part]) };
            for (lane, sum) in lanes.into_iter().enumerate() {
                let one = part * 4 + lane;
                sums.0[n][group * LANES + one] = sum + 128 * job.weights.weight_sums[channel + one];
            }
        }
    }
}
