//! Every instruction set of this machine against sums written down plainly.

use super::gates::{self, Quantum};
use super::volume::{self, Cube, Extent};
use super::{Bytes, Geometry, Isa, Packed, Tail, conv, lstm};
use proptest::prelude::*;

/// Numbers that look random and are the same each time.
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as u32
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    fn floats(&mut self, count: usize, most: f32) -> Vec<f32> {
        (0..count)
            .map(|_| (self.next() % 2001) as f32 / 1000.0 * most - most)
            .collect()
    }
}

struct Case {
    geometry: Geometry,
    outputs: usize,
    side: usize,
    zero: u8,
    plane: Vec<u8>,
    weights: Vec<i8>,
}

impl Case {
    fn new(
        seed: u64,
        rows: usize,
        columns: usize,
        channels: usize,
        outputs: usize,
        side: usize,
    ) -> Self {
        let mut stream = Stream(seed | 1);
        let geometry = Geometry::new(rows, columns, channels);
        let zero = stream.next() as u8;
        let mut plane = stream.bytes(geometry.bytes());
        geometry.frame(&mut plane, zero);
        let extreme = seed.is_multiple_of(3);
        let weights = (0..outputs * channels * side * side).map(|_| {
            // Now and then the largest sums there can be.
            if extreme {
                if stream.next().is_multiple_of(2) {
                    127
                } else {
                    -127
                }
            } else {
                (stream.next() % 255) as i8
            }
        });
        let weights = weights.collect();
        Self {
            geometry,
            outputs,
            side,
            zero,
            plane,
            weights,
        }
    }

    /// The definition, with the zero point taken off each input byte.
    fn sum(&self, o: usize, y: usize, x: usize) -> i32 {
        let (g, side) = (self.geometry, self.side);
        let mut sum = 0;
        for i in 0..g.channels {
            for dy in 0..side {
                for dx in 0..side {
                    let shift = side / 2;
                    let at = (y + 1 + dy - shift) * g.row_bytes()
                        + (x + 1 + dx - shift) * g.channels
                        + i;
                    let input = i32::from(self.plane[at]) - i32::from(self.zero);
                    sum += input
                        * i32::from(self.weights[((o * g.channels + i) * side + dy) * side + dx]);
                }
            }
        }
        sum
    }

    fn packed(&self) -> Packed {
        Packed::new(
            &self.weights,
            self.outputs,
            self.geometry.channels,
            self.side,
            self.zero,
        )
        .unwrap()
    }
}

/// Both steps of a ConvLSTM.
struct Steps {
    input: Geometry,
    state: Geometry,
    gates: [lstm::Gate; 3],
    biases: [Vec<f32>; 2],
    planes: [Vec<u8>; 2],
    quantum: Quantum,
}

impl Steps {
    fn new(
        seed: u64,
        (rows, columns): (usize, usize),
        inputs: usize,
        f: usize,
        steep: usize,
        tiny: bool,
    ) -> Self {
        let mut stream = Stream(seed | 1);
        let (input, state) = (
            Geometry::new(rows, columns, inputs),
            Geometry::new(rows, columns, f),
        );
        let zero = stream.next() as u8;
        let gates = [(inputs, 3), (inputs, 4), (f, 4)].map(|(inputs, parts)| {
            let outputs = parts * f;
            let weights: Vec<i8> = (0..outputs * inputs * 9)
                .map(|_| (stream.next() % 255) as i8)
                .collect();
            let most = [1e-6, 1e-5, 1e-3][steep];
            let scale = stream.floats(outputs, most);
            lstm::Gate {
                weights: Packed::new(&weights, outputs, inputs, 3, zero).unwrap(),
                scale: scale.iter().map(|s| s.abs() + most / 10.0).collect(),
            }
        });
        let mut plane = || {
            let mut plane = stream.bytes(input.bytes());
            input.frame(&mut plane, zero);
            plane
        };
        let planes = [plane(), plane()];
        let scale = if tiny { 1e-7 } else { 0.0071 };
        Self {
            input,
            state,
            gates,
            biases: [stream.floats(3 * f, 1.0), stream.floats(4 * f, 1.0)],
            planes,
            quantum: Quantum { scale, zero },
        }
    }

    /// Hidden states of both steps.
    fn run(&self, isa: Isa, pass: usize) -> [Vec<u8>; 2] {
        let g = self.state;
        let line = g.columns * g.channels;
        let mut floats = vec![0.0; (2 * pass + 1) * line];
        let mut scratch = vec![0.0; lstm::scratch(pass, g)];
        let mut planes = [vec![0; g.bytes()], vec![0; g.bytes()]];
        let mut cells = lstm::Cells {
            floats: &mut floats,
            rows: 2 * pass + 1,
            line,
        };
        fn output<'a>(plane: &'a mut [u8], steps: &Steps) -> lstm::Output<'a> {
            lstm::Output {
                plane,
                geometry: steps.state,
                quantum: steps.quantum,
            }
        }
        let [hidden, out] = &mut planes;
        g.frame(hidden, self.quantum.zero);
        let (mut made, mut done) = (0, 0);
        while done < g.rows {
            let [up, skip] = [0, 1].map(|n| lstm::Input {
                plane: &self.planes[n],
                geometry: self.input,
                gate: &self.gates[n],
            });
            let next = (made + pass).min(g.rows);
            let bias = &self.biases[0];
            let mut to = output(hidden, self);
            lstm::first(isa, up, bias, made..next, &mut cells, &mut to, &mut scratch);
            made = next;
            let until = if made == g.rows {
                (done + pass).min(made)
            } else {
                made - 1
            };
            let back = lstm::Input {
                plane: hidden,
                geometry: g,
                gate: &self.gates[2],
            };
            let bias = &self.biases[1];
            let mut to = output(out, self);
            let both = [skip, back];
            lstm::second(isa, both, bias, done..until, &cells, &mut to, &mut scratch);
            done = until;
        }
        planes
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn sums_are_exact(
        seed in any::<u64>(), rows in 1usize..7, columns in 1usize..40,
        fours in 1usize..20, sixteens in 1usize..5, three in any::<bool>(),
    ) {
        let case = Case::new(seed, rows, columns, fours * 4, sixteens * 16, if three { 3 } else { 1 });
        let packed = case.packed();
        let scale = vec![0.5; case.outputs];
        for isa in Isa::available() {
            let mut out = vec![0.0; case.geometry.pixels() * case.outputs];
            conv(isa, &case.plane, case.geometry, &packed, 0..rows, &mut Tail::Floats { scale: &scale, out: &mut out });
            for y in 0..rows {
                for x in 0..columns {
                    for o in 0..case.outputs {
                        let wanted = case.sum(o, y, x) as f32 * 0.5;
                        let found = out[(y * columns + x) * case.outputs + o];
                        prop_assert_eq!(found, wanted, "{} at {} {} {}", isa, y, x, o);
                    }
                }
            }
        }
    }

    #[test]
    fn bytes_are_rounded_half_to_even_and_clamped(
        seed in any::<u64>(), rows in 1usize..5, columns in 1usize..20, up in any::<bool>(), zero in any::<u8>(),
    ) {
        let (channels, outputs) = (8, 64);
        let case = Case::new(seed, rows, columns, channels, outputs, 1);
        let geometry = if up {
            Geometry::new(2 * rows, 2 * columns, outputs / 4)
        } else {
            Geometry::new(rows, columns, outputs)
        };
        let mut stream = Stream(seed ^ 0xABCD | 1);
        let scale: Vec<f32> = stream.floats(outputs, 0.01).iter().map(|s| s.abs() + 1e-4).collect();
        let bias: Vec<i32> = (0..outputs).map(|_| stream.next() as i32 % 5000).collect();
        for isa in Isa::available() {
            let mut out = vec![0; geometry.bytes()];
            let bytes = Bytes { scale: &scale, bias: &bias, zero, out: &mut out, geometry, up };
            conv(isa, &case.plane, case.geometry, &case.packed(), 0..rows, &mut Tail::Bytes(bytes));
            for y in 0..rows {
                for x in 0..columns {
                    for o in 0..outputs {
                        let scaled = (case.sum(o, y, x) + bias[o]) as f32 * scale[o];
                        let wanted = (scaled.round_ties_even() + f32::from(zero)).clamp(0.0, 255.0) as u8;
                        let (y, x, o) = if up {
                            let (part, rest) = (o / 16, o % 16);
                            (2 * y + part / 2, 2 * x + part % 2, rest)
                        } else {
                            (y, x, o)
                        };
                        prop_assert_eq!(out[geometry.at(y, x) + o], wanted, "{} at {} {} {}", isa, y, x, o);
                    }
                }
            }
        }
    }

    #[test]
    fn gates_have_the_same_bits_everywhere(seed in any::<u64>(), pixels in 1usize..9) {
        let f = 16;
        let mut stream = Stream(seed | 1);
        let (pre, other) = (stream.floats(pixels * 4 * f, 6.0), stream.floats(pixels * 4 * f, 3.0));
        let (bias, before) = (stream.floats(4 * f, 1.0), stream.floats(pixels * f, 1.0));
        let quantum = Quantum { scale: 0.0075, zero: 127 };
        let run = |isa| {
            let (mut cell, mut hidden, mut out) = (vec![0.0; pixels * f], vec![0; pixels * f], vec![0; pixels * f]);
            gates::first(isa, &pre[..pixels * 3 * f], &bias[..3 * f], &mut cell, &mut hidden, quantum);
            gates::second(isa, &pre, &other, &bias, &before, &mut out, quantum);
            (cell, hidden, out)
        };
        let wanted = run(Isa::Plain);
        for isa in Isa::available() {
            prop_assert_eq!(run(isa), wanted.clone(), "{}", isa);
        }
        // And they are the gates of the definition.
        let hard = |x: f64| (0.2 * x + 0.5).clamp(0.0, 1.0);
        let at = |block: usize| f64::from(pre[block * f]) + f64::from(other[block * f]) + f64::from(bias[block * f]);
        let state = hard(at(1)) * f64::from(before[0]) + hard(at(0)) * at(3).tanh();
        // A byte ends at 0 and 255, and an open gate goes beyond.
        let wanted = (hard(at(2)) * state.tanh() / f64::from(quantum.scale) + 127.0).clamp(0.0, 255.0);
        prop_assert!((f64::from(run(Isa::best()).2[0]) - wanted).abs() < 0.502);
    }

    /// Whole steps, among them rows that no tile divides, a ring of cells that comes round, gates that saturate,
    /// and scales of bytes that a kernel may leave to others.
    #[test]
    fn convlstms_have_the_same_bytes_everywhere(
        seed in any::<u64>(), rows in 1usize..9, columns in 1usize..40, fours in 1usize..12, sixteens in 1usize..5,
        steep in 0usize..3, tiny in any::<bool>(),
    ) {
        let case = Steps::new(seed, (rows, columns), fours * 4, sixteens * 16, steep, tiny);
        let wanted = case.run(Isa::Plain, 1);
        for isa in Isa::available() {
            for pass in [1, 3] {
                prop_assert!(case.run(isa, pass) == wanted, "{} in passes of {}", isa, pass);
            }
        }
    }

    #[test]
    fn volumes_have_the_same_bits_everywhere(
        seed in any::<u64>(), rows in 3usize..9, columns in 3usize..40, inputs in 1usize..5, eights in 1usize..4,
        border in 0usize..2, missing in 0usize..4,
    ) {
        let mut stream = Stream(seed | 1);
        let input = Extent { slices: 3, channels: inputs, rows, columns, border };
        let less = 2 - 2 * border;
        let to = Extent { slices: 1, channels: eights * 8, rows: rows - less, columns: columns - less, border: 1 };
        let weights = stream.floats(to.channels * inputs * 27, 1.0);
        let bias = stream.floats(to.channels, 1.0);
        let cube = Cube::new(&weights, &bias, inputs).unwrap();
        let mut all = vec![0.0; input.floats()];
        for z in 0..3 {
            for c in 0..inputs {
                for y in 0..rows {
                    let at = z * input.plane() + input.row(c, y);
                    all[at..at + columns].copy_from_slice(&stream.floats(columns, 1.0));
                }
            }
        }
        let planes = [0, 1, 2].map(|z| (z != missing).then(|| &all[z * input.plane()..]));
        let run = |isa| {
            let mut out = vec![0.0; to.floats()];
            volume::plane(isa, &cube, planes, &input, to.rows, &mut out, &to);
            out
        };
        let wanted = run(Isa::Plain);
        for isa in Isa::available() {
            prop_assert!(run(isa) == wanted, "{}", isa);
        }
        for (y, x, o) in [(0, 0, 0), (to.rows - 1, to.columns - 1, to.channels - 1)] {
            let mut sum = f64::from(bias[o]);
            for z in (0..3).filter(|z| *z != missing) {
                for i in 0..inputs {
                    for tap in 0..9 {
                        let at = z * input.plane() + i * input.channel() + (y + tap / 3) * input.pitch() + x + tap % 3;
                        sum += f64::from(all[at]) * f64::from(weights[((o * inputs + i) * 3 + z) * 9 + tap]);
                    }
                }
            }
            prop_assert!((f64::from(wanted[to.row(o, y) + x]) - sum.max(0.0)).abs() < 1e-4);
        }
        // Right and left of each row the border is zeros again.
        for y in 0..to.rows {
            let row = to.row(0, y);
            prop_assert!(wanted[row + to.columns..row - 1 + to.pitch()].iter().all(|v| *v == 0.0));
        }
    }
}

/// Where a rounding decides: quotients that lie at the middle between two bytes, and the floats around.
#[cfg(target_arch = "x86_64")]
#[test]
fn bytes_of_hidden_states_are_those_of_the_plain_gates() {
    use super::wide::{Rounder, TOGETHER};
    use std::arch::x86_64::_mm512_loadu_ps;

    #[target_feature(enable = "avx512f,avx512bw")]
    fn bytes(x: &[f32; 16 * TOGETHER], quantum: Quantum) -> [u8; 16 * TOGETHER] {
        let rounder = Rounder::new(quantum).unwrap();
        let mut out = [0; 16 * TOGETHER];
        // SAFETY: sixteen floats each, and a place for as many bytes.
        unsafe {
            let pixels = std::array::from_fn(|n| _mm512_loadu_ps(x[16 * n..].as_ptr()));
            rounder.store(pixels, out.as_mut_ptr(), 16);
        }
        out
    }

    if !Isa::available().contains(&Isa::Vnni) {
        return;
    }
    let mut stream = Stream(20_261_127);
    for _ in 0..200 {
        let scale = (stream.next() % 20_000 + 500) as f32 * 1e-6 + stream.next() as f32 * 1e-17;
        let zero = stream.next() as u8;
        let quantum = Quantum { scale, zero };
        let near = (-260..260).flat_map(|half| {
            let middle = (half as f32 + 0.5) * scale;
            (-8..8).map(move |ulps| f32::from_bits(middle.to_bits().wrapping_add_signed(ulps)))
        });
        let near: Vec<f32> = near.filter(|x| x.abs() <= 1.0).collect();
        for x in near.as_chunks::<{ 16 * TOGETHER }>().0 {
            // SAFETY: the processor was asked above.
            let found = unsafe { bytes(x, quantum) };
            assert_eq!(
                found,
                x.map(|x| quantum.byte_by(1.0 / scale, x)),
                "{scale} {x:?}"
            );
        }
    }
}

/// The product with 1 / scale gives the byte of `QuantizeLinear` wherever a quotient is not at a tie, and there one of
/// the two beside it.
#[test]
fn a_product_gives_the_byte_of_the_quotient() {
    let mut stream = Stream(20_261_128);
    for _ in 0..20_000 {
        let scale = (stream.next() % 20_000 + 500) as f32 * 1e-6;
        let quantum = Quantum {
            scale,
            zero: stream.next() as u8,
        };
        let x = (stream.next() % 2_000_001) as f32 * 1e-6 - 1.0;
        let (product, quotient) = (quantum.byte_by(1.0 / scale, x), quantum.byte(x));
        let exact = f64::from(x) / f64::from(scale);
        let from_tie = (exact - exact.floor() - 0.5).abs();
        let apart = product.abs_diff(quotient);
        assert!(
            apart == 0 || (apart == 1 && from_tie < 1e-3),
            "{x} by {scale}"
        );
    }
}
