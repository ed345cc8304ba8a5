//! The end of BCDU-Net: a 3x3 convolution with few outputs, ReLU, a weighted sum, sigmoid.

use super::buffers::Buffers;
use super::find::Plane;
use super::graph::{Graph, int, ints};
use super::ops::{Work, bytes};
use crate::infer::kernels::head::{self, Output};
use crate::infer::kernels::{Geometry, Isa, Packed, Tail, conv};
use tract_core::internal::*;

/// The convolution's weights are floats in the graph; here each is three signed bytes, 24 bits in all, so that its
/// sums are exact integers and the same everywhere.
#[derive(Debug)]
pub(super) struct Head {
    pub input: Geometry,
    /// Three outputs of bytes for each output of the convolution, the highest first.
    pub weights: Packed,
    pub outputs: Vec<Output>,
    pub bias: f32,
    /// Of one: what the floats of [`Tail::Floats`] are multiplied with.
    pub ones: Vec<f32>,
}

/// Rows that one pass takes.
const PASS: usize = 16;

impl Work for Head {
    fn run(&self, isa: Isa, inputs: &[TValue], buffers: &Buffers) -> TractResult<Tensor> {
        let input = bytes(&inputs[0])?;
        let g = self.input;
        let width = self.weights.outputs;
        let mut digits = buffers.floats(PASS * g.columns * width)?;
        let mut all = Tensor::zero::<f32>(&[1, 1, g.rows, g.columns])?;
        {
            let mut digits = digits.try_as_plain_ram_mut()?;
            let digits = digits.as_slice_mut::<f32>()?;
            let mut all = all.try_as_plain_ram_mut()?;
            let all = all.as_slice_mut::<f32>()?;
            for from in (0..g.rows).step_by(PASS) {
                let rows = from..(from + PASS).min(g.rows);
                let out = &mut all[from * g.columns..rows.end * g.columns];
                let digits = &mut digits[..out.len() * width];
                let mut tail = Tail::Floats {
                    scale: &self.ones,
                    out: digits,
                };
                conv(isa, input, g, &self.weights, rows, &mut tail);
                head::picture(isa, digits, width, &self.outputs, self.bias, out);
            }
        }
        buffers.give(digits);
        Ok(all)
    }

    fn fact(&self) -> TypedFact {
        f32::fact([1, 1, self.input.rows, self.input.columns])
    }
}

impl Head {
    /// The parts behind the DequantizeLinear `at`, which the convolution `first` reads alone.
    pub fn find(
        graph: &Graph,
        at: usize,
        first: usize,
        input: Plane,
    ) -> Option<(Self, Vec<usize>, usize)> {
        let next = |at: usize, kind: &str| {
            let reader = graph.only_reader(graph.nodes[at].output.first()?)?;
            (graph.nodes[reader].op_type == kind).then_some(reader)
        };
        let relu = next(first, "Relu")?;
        let sum = next(relu, "Conv")?;
        let last = next(sum, "Sigmoid")?;
        let [_, w, b]: [&String; 3] = graph.nodes[first]
            .input
            .iter()
            .collect::<Vec<_>>()
            .try_into()
            .ok()?;
        let [_, v, c]: [&String; 3] = graph.nodes[sum]
            .input
            .iter()
            .collect::<Vec<_>>()
            .try_into()
            .ok()?;
        let [outputs, inputs, 3, 3]: [usize; 4] = graph.shape(w)?.try_into().ok()? else {
            return None;
        };
        let one = |node: usize, pad: i64| {
            let node = &graph.nodes[node];
            ints(node, "pads", &[0; 4]) == [pad; 4]
                && ints(node, "strides", &[1, 1]) == [1, 1]
                && int(node, "group", 1) == 1
        };
        let (weights, biases) = (graph.f32s(w)?, graph.f32s(b)?);
        let (sums, bias) = (graph.f32s(v)?, graph.f32(c)?);
        // Sums of one byte's digits must be whole numbers of f32.
        let exact = inputs * 9 * 255 * 128 < 1 << 24;
        if !exact
            || !one(first, 1)
            || !one(sum, 0)
            || graph.shape(v)? != [1, outputs, 1, 1]
            || biases.len() != outputs
            || inputs != input.geometry.channels
            || 3 * outputs > 16
        {
            return None;
        }
        let mut digits = Vec::new();
        let mut parts = Vec::new();
        for ((weights, &bias), &weight) in weights.chunks_exact(inputs * 9).zip(&biases).zip(&sums)
        {
            let most = weights
                .iter()
                .fold(f32::MIN_POSITIVE, |most, w| most.max(w.abs()));
            // 127 * 65536 leaves room for the carries below.
            let unit = f64::from(most) / f64::from(126 << 16);
            let whole = |w: f32| (f64::from(w) / unit).round_ties_even() as i64;
            let low = |n: i64| n - ((n + 128) >> 8 << 8);
            for digit in 0..3 {
                digits.extend(weights.iter().map(|&w| {
                    let n = whole(w);
                    let (last, rest) = (low(n), (n + 128) >> 8);
                    let (middle, high) = (low(rest), (rest + 128) >> 8);
                    [high, middle, last][digit] as i8
                }));
            }
            parts.push(Output {
                scale: f64::from(input.quantum.scale) * unit,
                bias,
                weight,
            });
        }
        let weights = Packed::new(&digits, 3 * outputs, inputs, 3, input.quantum.zero)?;
        let ones = vec![1.0; weights.outputs];
        let head = Self {
            input: input.geometry,
            weights,
            outputs: parts,
            bias,
            ones,
        };
        Some((head, vec![at, first, relu, sum, last], last))
    }
}
