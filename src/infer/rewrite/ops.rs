//! Operators of our own: planes of bytes in, planes of bytes out.

use super::buffers::Buffers;
use crate::infer::kernels::gates::{self, Quantum};
use crate::infer::kernels::lstm::{self, Cells, Gate};
use crate::infer::kernels::{self, Bytes, Geometry, Isa, Packed, Tail, conv};
use std::fmt::Debug;
use std::sync::Arc;
use tract_core::internal::*;

/// What one operator computes. Its inputs are planes as [`Geometry`] describes them, or tract's own tensors
/// for those at the border of the graph.
pub(super) trait Work: Debug + Send + Sync + 'static {
    fn run(&self, isa: Isa, inputs: &[TValue], buffers: &Buffers) -> TractResult<Tensor>;
    fn fact(&self) -> TypedFact;
}

/// A [`Work`] as tract's operator.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub name: &'static str,
    pub isa: Isa,
    pub work: Arc<dyn Work>,
    /// Of the network.
    pub buffers: Arc<Buffers>,
}

impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.work, &other.work)
    }
}

impl Eq for Own {}

impl Op for Own {
    fn name(&self) -> StaticName {
        self.name.into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(vec![format!("{:?} on {:?}", self.work, self.isa)])
    }

    op_as_typed_op!();
}

impl EvalOp for Own {
    fn eval(&self, _ctx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let out = self.work.run(self.isa, &inputs, &self.buffers)?;
        // tract has let go of inputs that nobody reads any more.
        for input in inputs.into_iter().filter(TValue::is_exclusive) {
            self.buffers.give(input.into_tensor());
        }
        Ok(tvec!(out.into()))
    }

    op_out_of_plan!();
}

impl TypedOp for Own {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(self.work.fact()))
    }

    as_op!();
}

/// A plane's bytes as tract keeps them: one long row, since only our operators look inside.
fn plane_fact(geometry: Geometry) -> TypedFact {
    u8::fact([geometry.bytes()])
}

pub(super) fn bytes(value: &TValue) -> TractResult<&[u8]> {
    value.try_as_plain_ram()?.as_slice::<u8>()
}

pub(super) fn floats(value: &TValue) -> TractResult<&[f32]> {
    value.try_as_plain_ram()?.as_slice::<f32>()
}

/// Makes a plane, its border at the zero point.
fn plane(
    buffers: &Buffers,
    geometry: Geometry,
    zero: u8,
    fill: impl FnOnce(&mut [u8]) -> TractResult<()>,
) -> TractResult<Tensor> {
    let mut tensor = buffers.bytes(geometry.bytes())?;
    {
        let mut plain = tensor.try_as_plain_ram_mut()?;
        let out = plain.as_slice_mut::<u8>()?;
        geometry.frame(out, zero);
        fill(out)?;
    }
    Ok(tensor)
}

/// Floats (1, channel, y, x) to a plane of bytes; with `taps` a pixel holds its 3 x 3 neighbours, which
/// makes a 3x3 convolution of one channel a 1x1 convolution of twelve.
#[derive(Debug)]
pub(super) struct Quantize {
    pub geometry: Geometry,
    pub quantum: Quantum,
    pub taps: bool,
}

/// Channels of a plane of taps: nine and three to make fours.
pub(super) const TAPS: usize = 12;

impl Work for Quantize {
    fn run(&self, isa: Isa, inputs: &[TValue], buffers: &Buffers) -> TractResult<Tensor> {
        let g = self.geometry;
        let view = inputs[0].try_as_plain_ram()?;
        let floats = view.as_slice::<f32>()?;
        let zero = self.quantum.zero;
        if !self.taps {
            let mut all = vec![0; floats.len()];
            gates::quantize(isa, self.quantum, floats, &mut all);
            return plane(buffers, g, zero, |out| {
                for y in 0..g.rows {
                    for x in 0..g.columns {
                        let pixel = g.at(y, x);
                        for (c, out) in out[pixel..][..g.channels].iter_mut().enumerate() {
                            *out = all[(c * g.rows + y) * g.columns + x];
                        }
                    }
                }
                Ok(())
            });
        }
        // With a border, so that every pixel has its neighbours.
        let wide = g.columns + 2;
        let mut all = vec![zero; (g.rows + 2) * wide];
        for (y, row) in floats.chunks_exact(g.columns).enumerate() {
            let at = (y + 1) * wide + 1;
            gates::quantize(isa, self.quantum, row, &mut all[at..at + g.columns]);
        }
        plane(buffers, g, zero, |out| {
            for y in 0..g.rows {
                let at = g.at(y, 0);
                let pixels = out[at..at + g.columns * TAPS].as_chunks_mut::<TAPS>().0;
                let row = |dy| all[(y + dy) * wide..(y + dy + 1) * wide].windows(3);
                let rows = row(0).zip(row(1)).zip(row(2));
                for (out, ((upper, here), lower)) in pixels.iter_mut().zip(rows) {
                    out[..3].copy_from_slice(upper);
                    out[3..6].copy_from_slice(here);
                    out[6..9].copy_from_slice(lower);
                }
            }
            Ok(())
        })
    }

    fn fact(&self) -> TypedFact {
        plane_fact(self.geometry)
    }
}

/// A plane back to tract's bytes (1, channel, y, x).
#[derive(Debug)]
pub(super) struct Leave {
    pub geometry: Geometry,
    pub fact: TypedFact,
}

impl Work for Leave {
    fn run(&self, _isa: Isa, inputs: &[TValue], _buffers: &Buffers) -> TractResult<Tensor> {
        let g = self.geometry;
        let input = bytes(&inputs[0])?;
        let mut all = Vec::with_capacity(g.pixels() * g.channels);
        for c in 0..g.channels {
            for y in 0..g.rows {
                all.extend((0..g.columns).map(|x| input[g.at(y, x) + c]));
            }
        }
        let tensor = Tensor::from_shape(&[1, g.channels, g.rows, g.columns], &all)?;
        // The scale is part of tract's type.
        Ok(tensor.cast_to_dt(self.fact.datum_type)?.into_owned())
    }

    fn fact(&self) -> TypedFact {
        self.fact.clone()
    }
}

/// A quantized convolution; with `up` followed by DepthToSpace.
#[derive(Debug)]
pub(super) struct Conv {
    pub input: Geometry,
    pub output: Geometry,
    pub weights: Packed,
    pub scale: Vec<f32>,
    pub bias: Vec<i32>,
    pub zero: u8,
    pub up: bool,
}

impl Work for Conv {
    fn run(&self, isa: Isa, inputs: &[TValue], buffers: &Buffers) -> TractResult<Tensor> {
        let input = bytes(&inputs[0])?;
        plane(buffers, self.output, self.zero, |out| {
            let mut tail = Tail::Bytes(Bytes {
                scale: &self.scale,
                bias: &self.bias,
                zero: self.zero,
                out,
                geometry: self.output,
                up: self.up,
            });
            conv(
                isa,
                input,
                self.input,
                &self.weights,
                0..self.input.rows,
                &mut tail,
            );
            Ok(())
        })
    }

    fn fact(&self) -> TypedFact {
        plane_fact(self.output)
    }
}

/// Max-pool 2x2.
#[derive(Debug)]
pub(super) struct Pool {
    pub input: Geometry,
    pub output: Geometry,
    pub zero: u8,
}

impl Work for Pool {
    fn run(&self, isa: Isa, inputs: &[TValue], buffers: &Buffers) -> TractResult<Tensor> {
        let input = bytes(&inputs[0])?;
        plane(buffers, self.output, self.zero, |out| {
            kernels::pool::pool(isa, input, self.input, out, self.output);
            Ok(())
        })
    }

    fn fact(&self) -> TypedFact {
        plane_fact(self.output)
    }
}

/// Concat of two planes along channels, each through a table that changes its scale.
#[derive(Debug)]
pub(super) struct Concat {
    pub inputs: [Geometry; 2],
    pub output: Geometry,
    pub tables: [Box<[u8; 256]>; 2],
    pub zero: u8,
}

impl Work for Concat {
    fn run(&self, _isa: Isa, inputs: &[TValue], buffers: &Buffers) -> TractResult<Tensor> {
        let parts = [bytes(&inputs[0])?, bytes(&inputs[1])?];
        let g = self.output;
        plane(buffers, g, self.zero, |out| {
            for y in 0..g.rows {
                for x in 0..g.columns {
                    let mut at = g.at(y, x);
                    for ((part, from), table) in parts.iter().zip(self.inputs).zip(&self.tables) {
                        let start = from.at(y, x);
                        let pixel = &part[start..start + from.channels];
                        for (out, &byte) in out[at..].iter_mut().zip(pixel) {
                            *out = table[usize::from(byte)];
                        }
                        at += from.channels;
                    }
                }
            }
            Ok(())
        })
    }

    fn fact(&self) -> TypedFact {
        plane_fact(self.output)
    }
}

/// A whole ConvLSTM of two steps: upsampled features first, skip second (pipeline section 6.1).
#[derive(Debug)]
pub(super) struct ConvLstm {
    /// Geometry of both inputs, and of the state.
    pub up: Geometry,
    pub skip: Geometry,
    pub state: Geometry,
    pub first: Gate,
    pub second: Gate,
    pub recurrent: Gate,
    /// Of both steps.
    pub biases: [Vec<f32>; 2],
    pub hidden: Quantum,
    pub out: Quantum,
}

impl Work for ConvLstm {
    fn run(&self, isa: Isa, inputs: &[TValue], buffers: &Buffers) -> TractResult<Tensor> {
        let (up, skip) = (bytes(&inputs[0])?, bytes(&inputs[1])?);
        let g = self.state;
        let line = g.columns * g.channels;
        let step = lstm::pass(isa, g);
        // The second step is one row behind the first, whose neighbours it needs.
        let mut cells = buffers.floats((2 * step + 1) * line)?;
        let mut scratch = buffers.floats(lstm::scratch(step, g))?;
        let mut between = plane(buffers, g, self.hidden.zero, |_| Ok(()))?;
        let out = plane(buffers, g, self.out.zero, |out| {
            let mut between = between.try_as_plain_ram_mut()?;
            let between = between.as_slice_mut::<u8>()?;
            let mut cells = cells.try_as_plain_ram_mut()?;
            let mut cells = Cells {
                floats: cells.as_slice_mut::<f32>()?,
                rows: 2 * step + 1,
                line,
            };
            let mut scratch = scratch.try_as_plain_ram_mut()?;
            let scratch = scratch.as_slice_mut::<f32>()?;
            let (mut made, mut done) = (0, 0);
            while done < g.rows {
                let next = (made + step).min(g.rows);
                let mut hidden = lstm::Output {
                    plane: &mut *between,
                    geometry: g,
                    quantum: self.hidden,
                };
                let up = lstm::Input {
                    plane: up,
                    geometry: self.up,
                    gate: &self.first,
                };
                let [first, second] = &self.biases;
                lstm::first(isa, up, first, made..next, &mut cells, &mut hidden, scratch);
                made = next;
                let until = if made == g.rows {
                    (done + step).min(made)
                } else {
                    made - 1
                };
                let skip = lstm::Input {
                    plane: skip,
                    geometry: self.skip,
                    gate: &self.second,
                };
                let hidden = lstm::Input {
                    plane: between,
                    geometry: g,
                    gate: &self.recurrent,
                };
                let mut to = lstm::Output {
                    plane: &mut *out,
                    geometry: g,
                    quantum: self.out,
                };
                let both = [skip, hidden];
                lstm::second(isa, both, second, done..until, &cells, &mut to, scratch);
                done = until;
            }
            Ok(())
        });
        buffers.give(cells);
        buffers.give(scratch);
        buffers.give(between);
        out
    }

    fn fact(&self) -> TypedFact {
        plane_fact(self.state)
    }
}
