//! x86-64 with AMX: sixteen pixels by sixteen channels by 64 bytes in one instruction.
//!
//! The intrinsics are not stable, so the instructions stand here as assembly. Tiles 0 to 3 hold sums, 4 and 5
//! input, 6 and 7 weights.

use super::pack::STEP;
use super::{Job, LANES, Sums, Tail, tail};
use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::OnceLock;

/// Pixels of one tile.
const STRIP: usize = 16;

/// True if the processor has the instructions and the kernel lets this process use them.
pub(super) fn available() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        // Leaf 7: AMX-TILE and AMX-INT8. Leaf 1: the system saves extended state.
        let tiles = __cpuid_count(7, 0).edx >> 24 & 0b11;
        let saved = __cpuid_count(1, 0).ecx >> 27 & 1;
        tiles == 0b11 && saved == 1 && permitted()
    })
}

/// Linux gives the eight kilobytes of tiles to processes that ask for them.
fn permitted() -> bool {
    const ARCH_PRCTL: u64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XTILEDATA: u64 = 18;
    let answer: u64;
    // SAFETY: a system call without pointers; rcx and r11 are what the processor overwrites in it.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

/// What `ldtilecfg` reads: palette 1, every tile 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Config([u8; 64]);

static CONFIG: Config = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = 64;
        bytes[48 + tile] = 16;
        tile += 1;
    }
    Config(bytes)
};

/// # Safety
/// [`available`] said yes, `x86::vnni` too, and the job was checked by `conv`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) unsafe fn conv(job: &Job, tail: &mut Tail) {
    let columns = job.geometry.columns;
    if columns < STRIP {
        // SAFETY: the caller's promises are this kernel's too.
        return unsafe { super::x86::conv_vnni(job, tail) };
    }
    // SAFETY: the configuration is a constant of 64 bytes; tile registers belong to nobody else.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIG, options(nostack, readonly)) };
    let per_row = columns.div_ceil(STRIP);
    let strips = job.rows.len() * per_row;
    // The last strip of a row ends where the row does, and does some pixels again.
    let place = |strip: usize| {
        let y = job.rows.start + strip / per_row;
        (y, (strip % per_row * STRIP).min(columns - STRIP))
    };
    let mut sums = Sums::new();
    for block in 0..job.weights.blocks.len() {
        let mut strip = 0;
        while strip < strips {
            let one = place(strip);
            // A last odd strip is computed twice; the tail takes one.
            let two = place((strip + 1).min(strips - 1));
            // SAFETY: both strips lie in the plane, with the slack behind it.
            unsafe {
                tile(
                    job,
                    block,
                    job.start(one.0, one.1),
                    job.start(two.0, two.1),
                    &mut sums,
                )
            };
            let both = if strip + 1 < strips { 2 } else { 1 };
            for (n, at) in [one, two].into_iter().take(both).enumerate() {
                let done = &sums.0[n * STRIP..(n + 1) * STRIP];
                tail::finish(job, done, block, at, tail);
            }
            strip += both;
        }
    }
    // SAFETY: gives the tiles back, so that the next switch of threads need not save them.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// Two strips of pixels by one block of channels.
///
/// # Safety
/// Tiles are configured; reads up to `SLACK` bytes behind a run, which the plane has.
#[inline(always)]
unsafe fn tile(job: &Job, block: usize, one: usize, two: usize, sums: &mut Sums) {
    let pixel = job.geometry.channels;
    let row = job.geometry.row_bytes();
    let steps = job.weights.run().div_ceil(STEP);
    let block = &job.weights.blocks[block];
    let plane = job.plane.as_ptr();
    let weights: *const i8 = block.weights.as_ptr().cast();
    let out = sums.0.as_mut_ptr().cast::<u8>();
    // Bytes from one row of sums to the next.
    let pitch = size_of::<[i32; super::BLOCK]>();
    let line = block.groups * STEP;
    // SAFETY: see above; each instruction reads or writes 16 rows of 64 bytes.
    unsafe {
        if block.groups == 2 {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                options(nostack, nomem)
            );
            for y in 0..job.weights.rows {
                let (mut a, mut b) = (plane.add(one + y * row), plane.add(two + y * row));
                let mut w = weights.add(y * block.row);
                for _ in 0..steps {
                    asm!(
                        "tileloadd tmm4, [{a} + {pixel}]",
                        "tileloadd tmm6, [{w} + {line}]",
                        "tileloadd tmm5, [{b} + {pixel}]",
                        "tdpbusd tmm0, tmm4, tmm6",
                        "tileloadd tmm7, [{w} + {line} + 64]",
                        "tdpbusd tmm2, tmm5, tmm6",
                        "tdpbusd tmm1, tmm4, tmm7",
                        "tdpbusd tmm3, tmm5, tmm7",
                        a = in(reg) a, b = in(reg) b, w = in(reg) w, pixel = in(reg) pixel, line = in(reg) line,
                        options(nostack, readonly),
                    );
                    a = a.add(STEP);
                    b = b.add(STEP);
                    w = w.add(LANES * line);
                }
            }
            asm!(
                "tilestored [{out} + {pitch}], tmm0",
                "tilestored [{out} + {pitch} + 64], tmm1",
                "tilestored [{next} + {pitch}], tmm2",
                "tilestored [{next} + {pitch} + 64], tmm3",
                out = in(reg) out, next = in(reg) out.add(STRIP * pitch), pitch = in(reg) pitch,
                options(nostack),
            );
        } else {
            asm!("tilezero tmm0", "tilezero tmm2", options(nostack, nomem));
            for y in 0..job.weights.rows {
                let (mut a, mut b) = (plane.add(one + y * row), plane.add(two + y * row));
                let mut w = weights.add(y * block.row);
                for _ in 0..steps {
                    asm!(
                        "tileloadd tmm4, [{a} + {pixel}]",
                        "tileloadd tmm6, [{w} + {line}]",
                        "tileloadd tmm5, [{b} + {pixel}]",
                        "tdpbusd tmm0, tmm4, tmm6",
                        "tdpbusd tmm2, tmm5, tmm6",
                        a = in(reg) a, b = in(reg) b, w = in(reg) w, pixel = in(reg) pixel, line = in(reg) line,
                        options(nostack, readonly),
                    );
                    a = a.add(STEP);
                    b = b.add(STEP);
                    w = w.add(LANES * line);
                }
            }
            asm!(
                "tilestored [{out} + {pitch}], tmm0",
                "tilestored [{next} + {pitch}], tmm2",
                out = in(reg) out, next = in(reg) out.add(STRIP * pitch), pitch = in(reg) pitch,
                options(nostack),
            );
        }
    }
}
