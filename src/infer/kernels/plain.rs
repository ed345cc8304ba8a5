//! The reference: the same sums, one after the other.

use super::pack::STEP;
use super::{Job, LANES, Sums, TILE, Tail, tiles};

pub(super) fn conv(job: &Job, tail: &mut Tail) {
    let weights = job.weights;
    let (channels, row, run) = (
        job.geometry.channels,
        job.geometry.row_bytes(),
        weights.run(),
    );
    let tile = |start: usize, pixels: usize, block: usize, sums: &mut Sums| {
        let block = &weights.blocks[block];
        let (lines, all) = (block.row / STEP, block.group / STEP);
        for (pixel, sums) in sums.0.iter_mut().enumerate().take(pixels) {
            let mut acc = [[0i32; LANES]; 2];
            for y in 0..weights.rows {
                let at = start + pixel * channels + y * row;
                let input = &job.plane[at..at + run];
                for (step, four) in input.as_chunks::<4>().0.iter().enumerate() {
                    for (group, acc) in acc.iter_mut().enumerate().take(block.groups) {
                        let line = &block.weights[group * all + y * lines + step].0;
                        for (n, four_weights) in line.as_chunks::<4>().0.iter().enumerate() {
                            for k in 0..4 {
                                acc[n] += i32::from(four[k]) * i32::from(four_weights[k]);
                            }
                        }
                    }
                }
            }
            for group in 0..block.groups {
                sums[group * LANES..(group + 1) * LANES].copy_from_slice(&acc[group]);
            }
        }
    };
    tiles!(job, tail, TILE, tile);
}
