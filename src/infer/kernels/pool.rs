//! Max-pool 2x2 on planes of bytes.

use super::{Geometry, Isa, per_isa};

#[inline(always)]
fn pool_loop(input: &[u8], from: Geometry, out: &mut [u8], to: Geometry) {
    let c = from.channels;
    for y in 0..to.rows {
        let (upper, lower) = (from.at(2 * y, 0), from.at(2 * y + 1, 0));
        let (upper, lower) = (
            &input[upper..upper + 2 * to.columns * c],
            &input[lower..lower + 2 * to.columns * c],
        );
        let at = to.at(y, 0);
        let pairs = upper.chunks_exact(2 * c).zip(lower.chunks_exact(2 * c));
        for ((upper, lower), out) in pairs.zip(out[at..at + to.columns * c].chunks_exact_mut(c)) {
            let (a, b) = upper.split_at(c);
            let (d, e) = lower.split_at(c);
            let four = a.iter().zip(b).zip(d.iter().zip(e));
            for (out, ((a, b), (d, e))) in out.iter_mut().zip(four) {
                *out = (*a).max(*b).max((*d).max(*e));
            }
        }
    }
}

per_isa!(pool = pool_loop(input: &[u8], from: Geometry, out: &mut [u8], to: Geometry));
