//! x86-64 with AMX: sixteen pixels by sixteen channels by 64 bytes in one instruction.
//!
//! The intrinsics are not stable, so the instructions stand here as assembly. Tiles 0 to 3 hold sums, 4 and 5
//! input, 6 and 7 weights.

use super::pack::STEP;
use super::{Job, LANES, Tail, wide};
use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::OnceLock;

/// Pixels of one tile.
pub(super) const STRIP: usize = 16;

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

/// Sums of two strips by two groups: sixteen channels of a pixel in each row.
#[repr(C, align(64))]
pub(super) struct Four([[[[i32; LANES]; STRIP]; 2]; 2]);

impl Four {
    pub(super) const fn new() -> Self {
        Self([[[[0; LANES]; STRIP]; 2]; 2])
    }

    /// Some pixels of one of the strips, of one of the groups; the first is a multiple of their number.
    #[inline(always)]
    pub(super) fn pixels<const N: usize>(
        &self,
        strip: usize,
        group: usize,
        first: usize,
    ) -> &[[i32; LANES]; N] {
        &self.0[strip][group].as_chunks().0[first / N]
    }
}

/// Sums that wait for their tail.
#[derive(Clone, Copy, Default)]
struct Full {
    block: usize,
    groups: usize,
    /// Where they go: a strip's groups, then the next strip's.
    places: [usize; 4],
    all: usize,
    /// A strip's two groups lie together.
    paired: bool,
    /// What is done: fours of pixels of a group, or twos of both.
    done: usize,
}

impl Full {
    /// Finishes up to so many times four pixels of a group.
    ///
    /// # Safety
    /// The places lie in the tail's output, which is of this pitch.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    unsafe fn some(
        &mut self,
        most: usize,
        sums: &Four,
        finish: &wide::Finish,
        pitch: wide::Pitch,
        tail: &mut Tail,
    ) {
        let until = (self.all * STRIP / 4).min(self.done.saturating_add(most));
        while self.done < until {
            if self.paired {
                let (strip, pixel) = (self.done / (STRIP / 2), self.done % (STRIP / 2) * 2);
                let at = self.places[2 * strip] + pixel * pitch.pixel;
                let both = [sums.pixels(strip, 0, pixel), sums.pixels(strip, 1, pixel)];
                // SAFETY: two of the sixteen pixels of a place.
                unsafe { finish.two(both, at, pitch, tail) };
                self.done += 1;
                continue;
            }
            let (run, pixel) = (self.done / (STRIP / 4), self.done % (STRIP / 4) * 4);
            let at = self.places[run] + pixel * pitch.pixel;
            // There are one or two.
            let (strip, group) = ((run >> (self.groups - 1)) & 1, run & (self.groups - 1));
            let sums = sums.pixels(strip, group, pixel);
            // SAFETY: four of the sixteen pixels of a place.
            unsafe { finish.four(sums, group, at, pitch, tail) };
            self.done += 1;
        }
    }
}

/// # Safety
/// [`available`] said yes, `x86::vnni` too, and the job was checked by `conv`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) unsafe fn conv(job: &Job, tail: &mut Tail) {
    let columns = job.geometry.columns;
    if columns < STRIP {
        // SAFETY: the caller's promises are this kernel's too.
        return unsafe { super::x86::conv_vnni(job, tail) };
    }
    // SAFETY: AMX is here, by the caller's promise.
    unsafe { begin() };
    let per_row = columns.div_ceil(STRIP);
    let strips = job.rows.len() * per_row;
    // Counted from the first row of the job. The last strip of a row ends where the row does, and does some
    // pixels again.
    let place = |strip: usize| {
        (
            strip / per_row,
            (strip % per_row * STRIP).min(columns - STRIP),
        )
    };
    let from = job.rows.start;
    let blocks = job.weights.blocks.len();
    let finishes: Vec<_> = (0..blocks)
        .map(|block| wide::Finish::new(job, block, tail))
        .collect();
    let pitch = wide::Pitch::new(job, tail);
    let length = match tail {
        Tail::Bytes(b) => b.out.len(),
        Tail::Floats { out, .. } => out.len(),
    };
    // One is filled by the tiles while the tail empties the other, some pixels between two steps.
    let mut sums = [const { Four::new() }; 2];
    let mut full = Full::default();
    let fours = (4 * STRIP).div_ceil(4 * steps(job));
    let mut turn = 0;
    // Weights come from the second cache again and again, input and output stay in the first.
    for first in (0..strips).step_by(2) {
        let at = [place(first), place((first + 1).min(strips - 1))];
        let starts = [
            job.start(from + at[0].0, at[0].1),
            job.start(from + at[1].0, at[1].1),
        ];
        // The last odd strip is computed twice.
        let count = if first + 1 < strips { 2 } else { 1 };
        for (block, finish) in finishes.iter().enumerate() {
            let [even, odd] = &mut sums;
            let (now, before) = if turn == 0 { (even, odd) } else { (odd, even) };
            let done = &finishes[full.block];
            // SAFETY: its places are those of `Finish::place` for this tail and pitch.
            let mut between = || unsafe { full.some(fours, before, done, pitch, tail) };
            // SAFETY: the strips lie in the plane, with the slack behind it.
            unsafe { tile(job, block, starts, &finish.offset, now, &mut between) };
            // SAFETY: as above.
            unsafe { full.some(usize::MAX, before, done, pitch, tail) };
            full = Full {
                block,
                groups: finish.groups,
                ..Full::default()
            };
            for at in at.into_iter().take(count) {
                for group in 0..finish.groups {
                    full.places[full.all] = finish.place(group, at, pitch, length);
                    full.all += 1;
                }
            }
            full.paired = finish.groups == 2 && full.places[1] == full.places[0] + LANES;
            turn = 1 - turn;
        }
    }
    let done = &finishes[full.block];
    // SAFETY: its places are those of `Finish::place`; the tiles are set up above.
    unsafe {
        full.some(usize::MAX, &sums[1 - turn], done, pitch, tail);
        end();
    }
}

/// Configures the tiles.
///
/// # Safety
/// [`available`] said yes.
#[inline(always)]
pub(super) unsafe fn begin() {
    // SAFETY: the configuration is a constant of 64 bytes; tile registers belong to nobody else.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIG, options(nostack, readonly)) };
}

/// Gives the tiles back, so that the next switch of threads need not save them.
///
/// # Safety
/// As [`begin`].
#[inline(always)]
pub(super) unsafe fn end() {
    // SAFETY: nobody needs what is in them any more.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// Steps of 64 bytes that a sum takes.
pub(super) fn steps(job: &Job) -> usize {
    job.weights.rows * job.weights.run().div_ceil(STEP)
}

/// Two strips of pixels by one block of channels, whose sums begin at `offset`. What `between` does runs beside the
/// tiles, which keep the processor's other units idle.
///
/// # Safety
/// Tiles are configured; reads up to `SLACK` bytes behind a run, which the plane has.
#[inline(always)]
pub(super) unsafe fn tile(
    job: &Job,
    block: usize,
    starts: [usize; 2],
    offset: &wide::Offset,
    sums: &mut Four,
    between: &mut impl FnMut(),
) {
    let pixel = job.geometry.channels;
    let row = job.geometry.row_bytes();
    let steps = job.weights.run().div_ceil(STEP);
    let block = &job.weights.blocks[block];
    let weights: *const i8 = block.weights.as_ptr().cast();
    let plane = job.plane.as_ptr();
    let out = sums.0.as_mut_ptr().cast::<u8>();
    // Bytes of one tile of sums.
    const TILE: usize = size_of::<[[i32; LANES]; STRIP]>();
    // SAFETY: see above; each instruction reads or writes 16 rows of 64 bytes. With a pitch of zero all rows
    // are the same line.
    unsafe {
        asm!(
            "tileloadd tmm0, [{offset} + {none}]",
            "tileloadd tmm1, [{offset} + {none} + 64]",
            "tileloadd tmm2, [{offset} + {none}]",
            "tileloadd tmm3, [{offset} + {none} + 64]",
            offset = in(reg) offset, none = in(reg) 0usize,
            options(nostack, readonly),
        );
        let mut w = weights;
        if block.groups == 2 {
            // Many input channels mean weights that no first cache holds; they should not push out what it does hold.
            macro_rules! all {
                ($load:literal) => {
                    for y in 0..job.weights.rows {
                        let [mut a, mut b] = starts.map(|start| plane.add(start + y * row));
                        for _ in 0..steps {
                            asm!(
                                "tileloadd tmm4, [{a} + {pixel}]",
                                concat!($load, " tmm6, [{w} + {line}]"),
                                "tileloadd tmm5, [{b} + {pixel}]",
                                "tdpbusd tmm0, tmm4, tmm6",
                                concat!($load, " tmm7, [{v} + {line}]"),
                                "tdpbusd tmm2, tmm5, tmm6",
                                "tdpbusd tmm1, tmm4, tmm7",
                                "tdpbusd tmm3, tmm5, tmm7",
                                a = in(reg) a, b = in(reg) b,
                                w = in(reg) w, v = in(reg) w.add(block.group),
                                pixel = in(reg) pixel, line = in(reg) STEP,
                                options(nostack, readonly),
                            );
                            a = a.add(STEP);
                            b = b.add(STEP);
                            w = w.add(LANES * STEP);
                            between();
                        }
                    }
                };
            }
            if pixel >= STEP {
                all!("tileloaddt1");
            } else {
                all!("tileloadd");
            }
            asm!(
                "tilestored [{out} + {line}], tmm0",
                "tilestored [{out} + {line} + {tile}], tmm1",
                "tilestored [{out} + {line} + {tile2}], tmm2",
                "tilestored [{out} + {line} + {tile3}], tmm3",
                out = in(reg) out, line = in(reg) STEP, tile = const TILE,
                tile2 = const 2 * TILE, tile3 = const 3 * TILE,
                options(nostack),
            );
        } else {
            for y in 0..job.weights.rows {
                let [mut a, mut b] = starts.map(|start| plane.add(start + y * row));
                for _ in 0..steps {
                    asm!(
                        "tileloadd tmm4, [{a} + {pixel}]",
                        "tileloadd tmm6, [{w} + {line}]",
                        "tileloadd tmm5, [{b} + {pixel}]",
                        "tdpbusd tmm0, tmm4, tmm6",
                        "tdpbusd tmm2, tmm5, tmm6",
                        a = in(reg) a, b = in(reg) b, w = in(reg) w,
                        pixel = in(reg) pixel, line = in(reg) STEP,
                        options(nostack, readonly),
                    );
                    a = a.add(STEP);
                    b = b.add(STEP);
                    w = w.add(LANES * STEP);
                    between();
                }
            }
            asm!(
                "tilestored [{out} + {line}], tmm0",
                "tilestored [{out} + {line} + {tile2}], tmm2",
                out = in(reg) out, line = in(reg) STEP, tile2 = const 2 * TILE,
                options(nostack),
            );
        }
    }
}
