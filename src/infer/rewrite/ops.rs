//! Operators of our own: planes of bytes in, planes of bytes out.

use crate::infer::kernels::gates::{self, Quantum};
use crate::infer::kernels::{Bytes, Geometry, Isa, Packed, Tail, conv, pool};
use std::fmt::Debug;
use std::sync::Arc;
use tract_core::internal::*;

/// What one operator computes. Its inputs are planes as [`Geometry`] describes them, or tract's own tensors
/// for those at the border of the graph.
pub(super) trait Work: Debug + Send + Sync + 'static {
    fn run(&self, isa: Isa, inputs: &[TValue]) -> TractResult<Tensor>;
    fn fact(&self) -> TypedFact;
}

/// A [`Work`] as tract's operator.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub name: &'static str,
    pub isa: Isa,
    pub work: Arc<dyn Work>,
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
        Ok(tvec!(self.work.run(self.isa, &inputs)?.into()))
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
    geometry: Geometry,
    zero: u8,
    fill: impl FnOnce(&mut [u8]) -> TractResult<()>,
) -> TractResult<Tensor> {
    let mut tensor = Tensor::zero_dt(DatumType::U8, &[geometry.bytes()])?;
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
    fn run(&self, _isa: Isa, inputs: &[TValue]) -> TractResult<Tensor> {
        let g = self.geometry;
        let view = inputs[0].try_as_plain_ram()?;
        let floats = view.as_slice::<f32>()?;
        let one: Vec<u8> = floats.iter().map(|&x| self.quantum.byte(x)).collect();
        plane(g, self.quantum.zero, |out| {
            for y in 0..g.rows {
                for x in 0..g.columns {
                    let at = g.at(y, x);
                    if self.taps {
                        for tap in 0..9 {
                            let (dy, dx) = (y + tap / 3, x + tap % 3);
                            let inside =
                                (1..=g.rows).contains(&dy) && (1..=g.columns).contains(&dx);
                            out[at + tap] = if inside {
                                one[(dy - 1) * g.columns + dx - 1]
                            } else {
                                self.quantum.zero
                            };
                        }
                    } else {
                        for c in 0..g.channels {
                            out[at + c] = one[(c * g.rows + y) * g.columns + x];
                        }
                    }
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
    fn run(&self, _isa: Isa, inputs: &[TValue]) -> TractResult<Tensor> {
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
    fn run(&self, isa: Isa, inputs: &[TValue]) -> TractResult<Tensor> {
        let input = bytes(&inputs[0])?;
        plane(self.output, self.zero, |out| {
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
    fn run(&self, isa: Isa, inputs: &[TValue]) -> TractResult<Tensor> {
        let input = bytes(&inputs[0])?;
        plane(self.output, self.zero, |out| {
            pool::pool(isa, input, self.input, out, self.output);
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
    fn run(&self, _isa: Isa, inputs: &[TValue]) -> TractResult<Tensor> {
        let parts = [bytes(&inputs[0])?, bytes(&inputs[1])?];
        let g = self.output;
        plane(g, self.zero, |out| {
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
    pub hidden: Quantum,
    pub out: Quantum,
}

/// A convolution that leaves floats.
#[derive(Debug)]
pub(super) struct Gate {
    pub weights: Packed,
    pub scale: Vec<f32>,
    pub bias: Vec<f32>,
}

/// Floats that a pass over rows leaves before the gates take them; they should stay in the cache.
const PASS: usize = 16 * 1024;

impl Work for ConvLstm {
    fn run(&self, isa: Isa, inputs: &[TValue]) -> TractResult<Tensor> {
        let (up, skip) = (bytes(&inputs[0])?, bytes(&inputs[1])?);
        let g = self.state;
        let f = g.channels;
        let rows = (PASS / (g.columns * 4 * f)).max(1);
        let mut cells = vec![0f32; g.pixels() * f];
        let mut hidden = vec![0u8; g.bytes()];
        g.frame(&mut hidden, self.hidden.zero);
        let mut pre = [
            vec![0f32; rows * g.columns * 4 * f],
            vec![0f32; rows * g.columns * 4 * f],
        ];
        let line = g.columns * f;
        for from in (0..g.rows).step_by(rows) {
            let to = (from + rows).min(g.rows);
            let [pre, _] = &mut pre;
            let pre = &mut pre[..(to - from) * line * 3];
            let mut tail = Tail::Floats {
                scale: &self.first.scale,
                out: pre,
            };
            conv(isa, up, self.up, &self.first.weights, from..to, &mut tail);
            for y in from..to {
                let pre = &pre[(y - from) * line * 3..][..line * 3];
                let cell = &mut cells[y * line..][..line];
                let at = g.at(y, 0);
                let hidden = &mut hidden[at..at + line];
                gates::first(isa, pre, &self.first.bias, cell, hidden, self.hidden);
            }
        }
        plane(g, self.out.zero, |out| {
            for from in (0..g.rows).step_by(rows) {
                let to = (from + rows).min(g.rows);
                let [skipped, recurrent] = &mut pre;
                let skipped = &mut skipped[..(to - from) * line * 4];
                let recurrent = &mut recurrent[..(to - from) * line * 4];
                let mut tail = Tail::Floats {
                    scale: &self.second.scale,
                    out: skipped,
                };
                conv(
                    isa,
                    skip,
                    self.skip,
                    &self.second.weights,
                    from..to,
                    &mut tail,
                );
                let mut tail = Tail::Floats {
                    scale: &self.recurrent.scale,
                    out: recurrent,
                };
                conv(
                    isa,
                    &hidden,
                    g,
                    &self.recurrent.weights,
                    from..to,
                    &mut tail,
                );
                for y in from..to {
                    let row = (y - from) * line * 4..(y - from + 1) * line * 4;
                    let (skipped, recurrent) = (&skipped[row.clone()], &recurrent[row]);
                    let at = g.at(y, 0);
                    let cell = &cells[y * line..][..line];
                    let out = &mut out[at..at + line];
                    gates::second(
                        isa,
                        skipped,
                        recurrent,
                        &self.second.bias,
                        cell,
                        out,
                        self.out,
                    );
                }
            }
            Ok(())
        })
    }

    fn fact(&self) -> TypedFact {
        plane_fact(self.state)
    }
}
