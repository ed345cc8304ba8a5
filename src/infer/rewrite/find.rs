//! Walks over the graph and wires what it recognises.

use super::blocks::{self, Grid, LeaveGrid};
use super::buffers::Buffers;
use super::graph::{Graph, int, ints, text};
use super::head::Head;
use super::lstm;
use super::ops::{Concat, Conv, Leave, Own, Pool, Quantize, TAPS, Work};
use crate::infer::kernels::gates::Quantum;
use crate::infer::kernels::{Geometry, Isa, Packed};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tract_core::internal::*;

/// A value that exists as a plane of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane {
    pub outlet: OutletId,
    pub geometry: Geometry,
    pub quantum: Quantum,
    /// Twelve channels that stand for one: see [`Quantize::taps`].
    pub taps: bool,
}

/// State of one walk.
pub(super) struct Finder<'a> {
    pub graph: &'a Graph<'a>,
    model: &'a TypedModel,
    patch: &'a mut TypedModelPatch,
    isa: Isa,
    buffers: Arc<Buffers>,
    /// By the name of the value in the graph.
    pub planes: HashMap<&'a str, Plane>,
    /// Values that exist as volumes of floats in our layout.
    pub grids: HashMap<&'a str, Grid>,
    /// Nodes that our operators stand for.
    done: HashSet<usize>,
    /// Values that were given back to tract.
    left: HashSet<&'a str>,
}

impl<'a> Finder<'a> {
    pub fn new(
        graph: &'a Graph<'a>,
        model: &'a TypedModel,
        patch: &'a mut TypedModelPatch,
        isa: Isa,
    ) -> Self {
        Self {
            graph,
            model,
            patch,
            isa,
            buffers: Arc::default(),
            planes: HashMap::new(),
            grids: HashMap::new(),
            done: HashSet::new(),
            left: HashSet::new(),
        }
    }

    pub fn found(&self) -> usize {
        self.done.len()
    }

    /// Nodes of an ONNX graph come in the order in which they can run.
    pub fn walk(&mut self) -> TractResult<()> {
        let graph = self.graph;
        let nodes = graph.nodes;
        // The inner values of a ConvLSTM must not be taken for something else on the way.
        let lstms: HashMap<usize, lstm::Parts> = (0..nodes.len())
            .filter_map(|at| Some((at, lstm::find(graph, at)?)))
            .collect();
        let inside: HashSet<usize> = lstms
            .values()
            .flat_map(|l| l.nodes.iter().copied())
            .collect();
        for (at, node) in nodes.iter().enumerate() {
            let recognised = match (lstms.get(&at), inside.contains(&at)) {
                (Some(parts), _) => lstm::wire(self, at, parts)?,
                // Runs when its last node is reached; until then nobody reads it.
                (None, true) if self.whole(at, &lstms) => true,
                _ => self.one(at)?,
            };
            if !recognised {
                for name in &node.input {
                    self.leave(name)?;
                }
            }
        }
        let given: Vec<&str> = self
            .planes
            .keys()
            .copied()
            .filter(|name| graph.is_output(name))
            .collect();
        for name in given {
            self.leave(name)?;
        }
        Ok(())
    }

    /// True if the ConvLSTM that this node is part of will be ours: its inputs are planes by then.
    fn whole(&self, at: usize, lstms: &HashMap<usize, lstm::Parts>) -> bool {
        lstms
            .values()
            .filter(|parts| parts.nodes.contains(&at))
            .all(|parts| {
                self.planes.contains_key(parts.up.as_str())
                    && self.planes.contains_key(parts.skip.as_str())
            })
    }

    /// Tries each pattern that a node can be the beginning of.
    fn one(&mut self, at: usize) -> TractResult<bool> {
        if self.done.contains(&at) {
            return Ok(true);
        }
        match self.graph.nodes[at].op_type.as_str() {
            "QuantizeLinear" => self.quantize(at),
            "QLinearConv" => self.conv(at),
            "MaxPool" => self.pool(at),
            "DequantizeLinear" => self.dequantize(at),
            "Conv" => blocks::wire(self, at),
            _ => Ok(false),
        }
    }

    /// Wires an operator in the place of `nodes`; the last of them makes `value`.
    pub fn wire(
        &mut self,
        name: &'static str,
        work: impl Work,
        inputs: &[OutletId],
        nodes: &[usize],
        value: &str,
    ) -> TractResult<OutletId> {
        let own = Own {
            name,
            isa: self.isa,
            work: Arc::new(work),
            buffers: self.buffers.clone(),
        };
        let outlet = self
            .patch
            .wire_node(format!("{value}.{name}"), own, inputs)?[0];
        self.done.extend(nodes);
        Ok(outlet)
    }

    /// The name of a node's first output, as the graph keeps it.
    pub fn output(&self, at: usize) -> &'a str {
        self.graph.nodes[at]
            .output
            .first()
            .map_or("", String::as_str)
    }

    /// Gives a plane back to tract for a node that is not ours.
    fn leave(&mut self, name: &'a str) -> TractResult<()> {
        if let Some(grid) = self.grids.get(name).copied()
            && self.left.insert(name)
        {
            let outlet = self.theirs(name)?;
            let work = LeaveGrid {
                extent: grid.extent,
            };
            let back = self.wire("LeaveGrid", work, &[grid.outlet], &[], name)?;
            return self.patch.shunt_outside(self.model, outlet, back);
        }
        let Some(plane) = self.planes.get(name).copied() else {
            return Ok(());
        };
        if !self.left.insert(name) || plane.taps {
            return Ok(());
        }
        let outlet = self.theirs(name)?;
        let fact = self.model.outlet_fact(outlet)?.clone();
        let work = Leave {
            geometry: plane.geometry,
            fact,
        };
        let back = self.wire("Leave", work, &[plane.outlet], &[], name)?;
        self.patch.shunt_outside(self.model, outlet, back)
    }

    /// The outlet in tract's model that has a value of the graph.
    pub fn theirs(&self, name: &str) -> TractResult<OutletId> {
        let by_node = || {
            self.model
                .nodes
                .iter()
                .find(|n| n.name == name)
                .map(|n| OutletId::new(n.id, 0))
        };
        self.model
            .find_outlet_label(name)
            .or_else(by_node)
            .with_context(|| format!("no outlet has the name {name}"))
    }

    pub fn fact(&self, outlet: OutletId) -> TractResult<&'a TypedFact> {
        self.model.outlet_fact(outlet)
    }

    /// An outlet of tract's model, to be read by one of our operators.
    pub fn tap(&mut self, outlet: OutletId) -> TractResult<OutletId> {
        self.patch.tap_model(self.model, outlet)
    }

    fn quantum(&self, scale: &str, zero: &str) -> Option<Quantum> {
        Some(Quantum {
            scale: self.graph.f32(scale)?,
            zero: self.graph.u8(zero)?,
        })
    }

    /// QuantizeLinear of tract's floats, or of two planes that were dequantized and joined.
    fn quantize(&mut self, at: usize) -> TractResult<bool> {
        let Some((_, [from, scale, zero])) = self.graph.made_by(self.output(at), "QuantizeLinear")
        else {
            return Ok(false);
        };
        let Some(quantum) = self.quantum(scale, zero) else {
            return Ok(false);
        };
        if self.graph.maker(from, "Concat").is_some() {
            return self.concat(at, from, quantum);
        }
        let value = self.output(at);
        let outlet = self.theirs(from)?;
        let Some([1, channels, rows, columns]) = sizes(self.model.outlet_fact(outlet)?) else {
            return Ok(false);
        };
        let taps = channels == 1;
        if !taps && !channels.is_multiple_of(4) {
            return Ok(false);
        }
        let geometry = Geometry::new(rows, columns, if taps { TAPS } else { channels });
        let tap = self.tap(outlet)?;
        let work = Quantize {
            geometry,
            quantum,
            taps,
        };
        let outlet = self.wire("Quantize", work, &[tap], &[at], value)?;
        self.planes.insert(
            value,
            Plane {
                outlet,
                geometry,
                quantum,
                taps,
            },
        );
        Ok(true)
    }

    fn concat(&mut self, at: usize, joined: &str, quantum: Quantum) -> TractResult<bool> {
        let Some((join, sources)) = self.graph.made_by::<2>(joined, "Concat") else {
            return Ok(false);
        };
        let mut nodes = vec![join, at];
        let mut planes = Vec::new();
        for source in sources {
            let Some((node, [bytes, ..])) = self.graph.made_by::<3>(source, "DequantizeLinear")
            else {
                return Ok(false);
            };
            let Some(plane) = self.planes.get(bytes).copied().filter(|p| !p.taps) else {
                return Ok(false);
            };
            nodes.push(node);
            planes.push(plane);
        }
        let [a, b] = planes[..] else {
            return Ok(false);
        };
        if int(&self.graph.nodes[join], "axis", -1) != 1
            || (a.geometry.rows, a.geometry.columns) != (b.geometry.rows, b.geometry.columns)
        {
            return Ok(false);
        }
        let value = self.output(at);
        let output = Geometry {
            channels: a.geometry.channels + b.geometry.channels,
            ..a.geometry
        };
        let table = |plane: Plane| {
            let mut table = Box::new([0; 256]);
            for (byte, new) in (0..=u8::MAX).zip(table.iter_mut()) {
                *new = quantum.byte(plane.quantum.float(byte));
            }
            table
        };
        let work = Concat {
            inputs: [a.geometry, b.geometry],
            output,
            tables: [table(a), table(b)],
            zero: quantum.zero,
        };
        let outlet = self.wire("Concat", work, &[a.outlet, b.outlet], &nodes, value)?;
        self.planes.insert(
            value,
            Plane {
                outlet,
                geometry: output,
                quantum,
                taps: false,
            },
        );
        Ok(true)
    }

    /// QLinearConv, and DepthToSpace if it follows alone.
    fn conv(&mut self, at: usize) -> TractResult<bool> {
        let found = self.graph.made_by::<9>(self.output(at), "QLinearConv");
        let Some((_, [x, xs, xz, w, ws, wz, ys, yz, b])) = found else {
            return Ok(false);
        };
        let Some(input) = self.planes.get(x).copied() else {
            return Ok(false);
        };
        let quanta = self.quantum(xs, xz).zip(self.quantum(ys, yz));
        let Some(((from, to), bias)) = quanta.zip(self.graph.i32s(b)) else {
            return Ok(false);
        };
        if from != input.quantum {
            return Ok(false);
        }
        let Some(weights) = self.weights(at, w, Some(wz), input, 1) else {
            return Ok(false);
        };
        let Some(scale) = self.scales(ws, bias.len()) else {
            return Ok(false);
        };
        if weights.outputs != bias.len() {
            return Ok(false);
        }
        let scale: Vec<f32> = scale.iter().map(|w| from.scale * w / to.scale).collect();
        let (value, up) = match self.up(at) {
            Some(next) => (next, true),
            None => (at, false),
        };
        let nodes = if up { vec![at, value] } else { vec![at] };
        let value = self.output(value);
        let g = input.geometry;
        let output = if up {
            Geometry::new(2 * g.rows, 2 * g.columns, weights.outputs / 4)
        } else {
            Geometry::new(g.rows, g.columns, weights.outputs)
        };
        let work = Conv {
            input: g,
            output,
            weights,
            scale,
            bias,
            zero: to.zero,
            up,
        };
        let outlet = self.wire("Conv", work, &[input.outlet], &nodes, value)?;
        self.planes.insert(
            value,
            Plane {
                outlet,
                geometry: output,
                quantum: to,
                taps: false,
            },
        );
        Ok(true)
    }

    /// DepthToSpace by two, directly behind, reading planes whose quarters are whole registers.
    fn up(&self, at: usize) -> Option<usize> {
        let next = self.graph.only_reader(self.output(at))?;
        let node = &self.graph.nodes[next];
        let outputs = self.graph.shape(&self.graph.nodes[at].input[3])?[0];
        (node.op_type == "DepthToSpace"
            && int(node, "blocksize", 0) == 2
            && text(node, "mode", "DCR") == "DCR"
            && outputs.is_multiple_of(64))
        .then_some(next)
    }

    /// Weights of a 3x3 convolution with padding 1 or a 1x1 convolution without, stride 1. Its outputs are
    /// so many blocks, which are brought together by sixteens.
    pub fn weights(
        &self,
        at: usize,
        w: &str,
        wz: Option<&str>,
        input: Plane,
        blocks: usize,
    ) -> Option<Packed> {
        let node = &self.graph.nodes[at];
        let [outputs, inputs, height, width] = self.graph.shape(w)?.try_into().ok()?;
        let pad = i64::try_from(height / 2).ok()?;
        let plain = height == width
            && ints(node, "pads", &[0; 4]) == [pad; 4]
            && ints(node, "strides", &[1, 1]) == [1, 1]
            && ints(node, "dilations", &[1, 1]) == [1, 1]
            && int(node, "group", 1) == 1
            && outputs.is_multiple_of(16 * blocks);
        if let Some(zeros) = wz
            && self.graph.i8s(zeros)?.iter().any(|&zero| zero != 0)
        {
            return None;
        }
        if !plain {
            return None;
        }
        let bytes = lstm::sixteens(&self.graph.i8s(w)?, blocks, inputs * height * width);
        if input.taps {
            // Nine taps of one channel are the channels of a pixel.
            if inputs != 1 || height != 3 {
                return None;
            }
            return Packed::new(&bytes, outputs, 9, 1, input.quantum.zero)
                .filter(|p| p.channels == TAPS);
        }
        let packed = Packed::new(&bytes, outputs, inputs, height, input.quantum.zero)?;
        (packed.channels == input.geometry.channels).then_some(packed)
    }

    /// One scale for all outputs, or one for each.
    pub fn scales(&self, name: &str, outputs: usize) -> Option<Vec<f32>> {
        let scales = self.graph.f32s(name)?;
        match scales.len() {
            1 => Some(vec![scales[0]; outputs]),
            n if n == outputs => Some(scales),
            _ => None,
        }
    }

    fn pool(&mut self, at: usize) -> TractResult<bool> {
        let node = &self.graph.nodes[at];
        let Some((_, [x])) = self.graph.made_by(self.output(at), "MaxPool") else {
            return Ok(false);
        };
        let Some(input) = self.planes.get(x).copied().filter(|p| !p.taps) else {
            return Ok(false);
        };
        let plain = ints(node, "kernel_shape", &[]) == [2, 2]
            && ints(node, "strides", &[1, 1]) == [2, 2]
            && ints(node, "pads", &[0; 4]) == [0; 4]
            && int(node, "ceil_mode", 0) == 0
            && node.output.len() == 1;
        if !plain {
            return Ok(false);
        }
        let g = input.geometry;
        let value = self.output(at);
        let output = Geometry::new(g.rows / 2, g.columns / 2, g.channels);
        let work = Pool {
            input: g,
            output,
            zero: input.quantum.zero,
        };
        let outlet = self.wire("Pool", work, &[input.outlet], &[at], value)?;
        self.planes.insert(
            value,
            Plane {
                outlet,
                geometry: output,
                ..input
            },
        );
        Ok(true)
    }

    /// DequantizeLinear is ours where a concat or the head takes it up; both are found from here.
    fn dequantize(&mut self, at: usize) -> TractResult<bool> {
        let value = self.output(at);
        let Some((_, [bytes, ..])) = self.graph.made_by::<3>(value, "DequantizeLinear") else {
            return Ok(false);
        };
        let Some(input) = self.planes.get(bytes).copied().filter(|p| !p.taps) else {
            return Ok(false);
        };
        let Some(reader) = self.graph.only_reader(value) else {
            return Ok(false);
        };
        match self.graph.nodes[reader].op_type.as_str() {
            // Will be looked at again when its QuantizeLinear comes; if that fails, tract has it all.
            "Concat" => Ok(self.joins(reader)),
            "Conv" => self.head(at, reader, input),
            _ => Ok(false),
        }
    }

    /// True if all that a concat joins are planes and only a QuantizeLinear reads it.
    fn joins(&self, concat: usize) -> bool {
        let node = &self.graph.nodes[concat];
        let plane = |name: &String| {
            self.graph
                .made_by::<3>(name, "DequantizeLinear")
                .is_some_and(|(_, [bytes, ..])| self.planes.contains_key(bytes))
        };
        let quantized = self
            .graph
            .only_reader(self.output(concat))
            .is_some_and(|next| self.graph.nodes[next].op_type == "QuantizeLinear");
        node.input.len() == 2
            && quantized
            && node.input.iter().all(plane)
            && int(node, "axis", -1) == 1
    }

    /// Dequantize, 3x3 convolution with few outputs, ReLU, 1x1 convolution, sigmoid.
    fn head(&mut self, at: usize, first: usize, input: Plane) -> TractResult<bool> {
        let graph = self.graph;
        let Some(found) = Head::find(graph, at, first, input) else {
            return Ok(false);
        };
        let (work, nodes, last) = found;
        let value = self.output(last);
        let theirs = self.theirs(value)?;
        let outlet = self.wire("Head", work, &[input.outlet], &nodes, value)?;
        self.patch.shunt_outside(self.model, theirs, outlet)?;
        Ok(true)
    }
}

/// Sizes of a tensor of rank four.
fn sizes(fact: &TypedFact) -> Option<[usize; 4]> {
    fact.shape.as_concrete()?.try_into().ok()
}
