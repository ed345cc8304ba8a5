//! Pairs of 3-D convolutions with their max-pool: the second network (pipeline section 9).
//!
//! A pair runs plane by plane along z and keeps only the planes that it still needs, so that no
//! volume of a convolution ever exists in memory.

use super::buffers::Buffers;
use super::find::Finder;
use super::graph::{Graph, ints};
use super::ops::{Work, floats};
use crate::infer::kernels::Isa;
use crate::infer::kernels::volume::{self, Cube, Extent};
use tract_core::internal::*;

/// A volume that exists in our layout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub outlet: OutletId,
    pub extent: Extent,
}

/// Conv, ReLU, conv, ReLU, max-pool.
#[derive(Debug)]
struct Block {
    /// Of the input; if `plain`, as tract has it (1, channel, z, y, x), else in our layout.
    input: Extent,
    plain: bool,
    first: Cube,
    second: Cube,
    /// Between the two convolutions, all slices.
    between: Extent,
    /// Behind the second one.
    behind: Extent,
    output: Extent,
}

impl Block {
    /// The input in our layout.
    fn take(&self, values: &[f32]) -> Vec<f32> {
        let e = &self.input;
        let mut all = vec![0f32; e.floats()];
        for (z, plane) in all.chunks_exact_mut(e.plane()).take(e.slices).enumerate() {
            for channel in 0..e.channels {
                for y in 0..e.rows {
                    let from = ((channel * e.slices + z) * e.rows + y) * e.columns;
                    let to = e.row(channel, y);
                    plane[to..to + e.columns].copy_from_slice(&values[from..from + e.columns]);
                }
            }
        }
        all
    }
}

impl Work for Block {
    fn run(&self, isa: Isa, inputs: &[TValue], _buffers: &Buffers) -> TractResult<Tensor> {
        let view = floats(&inputs[0])?;
        let taken;
        let input = if self.plain {
            taken = self.take(view);
            taken.as_slice()
        } else {
            view
        };
        // A plane with the slack that a kernel may read behind it.
        fn plane<'a>(all: &'a [f32], extent: &Extent, z: usize) -> &'a [f32] {
            &all[z * extent.plane()..]
        }
        let pad = self.input.border;
        let mut out = Tensor::zero::<f32>(&[self.output.floats()])?;
        {
            let mut plain = out.try_as_plain_ram_mut()?;
            let out = plain.as_slice_mut::<f32>()?;
            let one = Extent {
                slices: 1,
                ..self.between
            };
            let mut ring: [Vec<f32>; 3] = std::array::from_fn(|_| vec![0f32; one.floats()]);
            let pair = Extent {
                slices: 1,
                ..self.behind
            };
            let mut two: [Vec<f32>; 2] = std::array::from_fn(|_| vec![0f32; pair.floats()]);
            let mut made = 0;
            for z in 0..2 * self.output.slices {
                // The second convolution needs planes z - 1 to z + 1 of the first.
                while made < (z + 2).min(self.between.slices) {
                    let planes = [0, 1, 2].map(|dz| {
                        let at = (made + dz).checked_sub(pad)?;
                        (at < self.input.slices).then(|| plane(input, &self.input, at))
                    });
                    let rows = self.between.rows;
                    volume::plane(
                        isa,
                        &self.first,
                        planes,
                        &self.input,
                        rows,
                        &mut ring[made % 3],
                        &self.between,
                    );
                    made += 1;
                }
                let planes = [0, 1, 2].map(|dz| {
                    let at = (z + dz).checked_sub(1)?;
                    (at < self.between.slices).then(|| ring[at % 3].as_slice())
                });
                let rows = 2 * self.output.rows;
                volume::plane(
                    isa,
                    &self.second,
                    planes,
                    &self.between,
                    rows,
                    &mut two[z % 2],
                    &self.behind,
                );
                if z % 2 == 1 {
                    let at = z / 2 * self.output.plane();
                    let out = &mut out[at..at + self.output.plane()];
                    volume::pool(isa, [&two[0], &two[1]], &self.behind, out, &self.output);
                }
            }
        }
        Ok(out)
    }

    fn fact(&self) -> TypedFact {
        f32::fact([self.output.floats()])
    }
}

/// A volume back to tract's (1, channel, z, y, x).
#[derive(Debug)]
pub(super) struct LeaveGrid {
    pub extent: Extent,
}

impl Work for LeaveGrid {
    fn run(&self, _isa: Isa, inputs: &[TValue], _buffers: &Buffers) -> TractResult<Tensor> {
        let e = &self.extent;
        let all = floats(&inputs[0])?;
        let mut values = Vec::with_capacity(e.channels * e.slices * e.rows * e.columns);
        for channel in 0..e.channels {
            for z in 0..e.slices {
                for y in 0..e.rows {
                    let at = z * e.plane() + e.row(channel, y);
                    values.extend_from_slice(&all[at..at + e.columns]);
                }
            }
        }
        Tensor::from_shape(&[1, e.channels, e.slices, e.rows, e.columns], &values)
    }

    fn fact(&self) -> TypedFact {
        let e = &self.extent;
        f32::fact([1, e.channels, e.slices, e.rows, e.columns])
    }
}

/// Wires the block that begins with the 3-D convolution `at`.
pub(super) fn wire(finder: &mut Finder<'_>, at: usize) -> TractResult<bool> {
    let graph = finder.graph;
    let source = graph.nodes[at].input.first().map_or("", String::as_str);
    let grid = finder.grids.get(source).copied();
    let (extent, theirs) = match grid {
        Some(grid) => (grid.extent, None),
        None => {
            let outlet = finder.theirs(source)?;
            let fact = finder.fact(outlet)?;
            let shape = fact.shape.as_concrete().map(<[usize]>::to_vec);
            let Some(&[1, channels, slices, rows, columns]) = shape.as_deref() else {
                return Ok(false);
            };
            let extent = Extent {
                slices,
                channels,
                rows,
                columns,
                border: 0,
            };
            (extent, Some(outlet))
        }
    };
    let Some((block, nodes)) = find(graph, at, extent, theirs.is_some()) else {
        return Ok(false);
    };
    let (extent, last) = (block.output, *nodes.last().unwrap_or(&at));
    let input = match (grid, theirs) {
        (Some(grid), _) => grid.outlet,
        (None, Some(outlet)) => finder.tap(outlet)?,
        (None, None) => return Ok(false),
    };
    let value = finder.output(last);
    let outlet = finder.wire("Block", block, &[input], &nodes, value)?;
    finder.grids.insert(value, Grid { outlet, extent });
    Ok(true)
}

fn find(graph: &Graph, at: usize, input: Extent, plain: bool) -> Option<(Block, Vec<usize>)> {
    let next = |at: usize, kind: &str| {
        let reader = graph.only_reader(graph.nodes[at].output.first()?)?;
        (graph.nodes[reader].op_type == kind).then_some(reader)
    };
    let relu = next(at, "Relu")?;
    let second = next(relu, "Conv")?;
    let last_relu = next(second, "Relu")?;
    let pool = next(last_relu, "MaxPool")?;
    let (first, first_pad) = cube(graph, at)?;
    let (second_cube, second_pad) = cube(graph, second)?;
    let node = &graph.nodes[pool];
    let plain_pool = ints(node, "kernel_shape", &[]) == [2; 3]
        && ints(node, "strides", &[1; 3]) == [2; 3]
        && ints(node, "pads", &[0; 6]) == [0; 6];
    // A volume in our layout has its border made for a convolution that pads.
    let fits = first.inputs == input.channels
        && second_cube.inputs == first.outputs
        && second_pad == 1
        && plain_pool
        && (plain || first_pad == input.border);
    if !fits {
        return None;
    }
    let input = Extent {
        border: first_pad,
        ..input
    };
    let less = |n: usize| (n + 2 * first_pad).checked_sub(2);
    let between = Extent {
        slices: less(input.slices)?,
        channels: first.outputs,
        rows: less(input.rows)?,
        columns: less(input.columns)?,
        border: 1,
    };
    let behind = Extent {
        channels: second_cube.outputs,
        border: 0,
        ..between
    };
    let output = Extent {
        slices: behind.slices / 2,
        rows: behind.rows / 2,
        columns: behind.columns / 2,
        channels: behind.channels,
        border: 1,
    };
    if output.slices == 0 || output.rows == 0 || output.columns == 0 {
        return None;
    }
    let block = Block {
        input,
        plain,
        first,
        second: second_cube,
        between,
        behind,
        output,
    };
    Some((block, vec![at, relu, second, last_relu, pool]))
}

/// A 3x3x3 convolution of stride 1 with its padding, 0 or 1 on all sides.
fn cube(graph: &Graph, at: usize) -> Option<(Cube, usize)> {
    let node = &graph.nodes[at];
    let [_, w, b] = node.input.as_slice() else {
        return None;
    };
    let (shape, weights) = graph.floats(w)?;
    let (_, bias) = graph.floats(b)?;
    let [outputs, inputs, 3, 3, 3]: [usize; 5] = shape.try_into().ok()? else {
        return None;
    };
    let pads = ints(node, "pads", &[0; 6]);
    let pad = usize::from(pads == [1; 6]);
    let plain = (pad == 1 || pads == [0; 6])
        && ints(node, "strides", &[1; 3]) == [1; 3]
        && ints(node, "dilations", &[1; 3]) == [1; 3]
        && super::graph::int(node, "group", 1) == 1
        && bias.len() == outputs;
    plain
        .then(|| Cube::new(&weights, &bias, inputs))?
        .map(|cube| (cube, pad))
}
