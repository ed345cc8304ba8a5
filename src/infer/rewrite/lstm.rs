//! The pattern of a ConvLSTM of two steps, as the recipe's exporter writes it (pipeline section 6.1).

use super::find::{Finder, Plane};
use super::graph::{Graph, float, int};
use super::ops::ConvLstm;
use crate::infer::kernels::Geometry;
use crate::infer::kernels::gates::Quantum;
use crate::infer::kernels::lstm::Gate;
use tract_core::internal::*;

/// Names of what a ConvLSTM is made of.
pub(super) struct Parts {
    /// The two inputs, in bytes.
    pub up: String,
    pub skip: String,
    first: Product,
    second: Product,
    recurrent: Product,
    biases: [String; 2],
    hidden: [String; 2],
    out: [String; 2],
    /// Every node, the last QuantizeLinear among them.
    pub nodes: Vec<usize>,
}

/// ConvInteger -> Cast -> Mul: a convolution of bytes that leaves floats.
struct Product {
    node: usize,
    input: String,
    weights: String,
    zero: String,
    scale: String,
}

/// Looks backwards from a QuantizeLinear.
pub(super) fn find(graph: &Graph, at: usize) -> Option<Parts> {
    let mut nodes = vec![at];
    let mut made = |value: &str, kind: &str| -> Option<Vec<String>> {
        let node = graph.maker(value, kind)?;
        if !nodes.contains(&node) {
            nodes.push(node);
        }
        Some(graph.nodes[node].input.clone())
    };
    let [l, scale, zero]: [String; 3] = made(graph.nodes[at].output.first()?, "QuantizeLinear")?
        .try_into()
        .ok()?;
    let out = [scale, zero];
    // Behind the second step: l = o * tanh(f * cell1 + i * tanh(c)).
    let [o, cell2t] = pair(made(&l, "Mul")?)?;
    let [cell2] = single(made(&cell2t, "Tanh")?)?;
    let [keep, new] = pair(made(&cell2, "Add")?)?;
    let [f, cell1] = pair(made(&keep, "Mul")?)?;
    let [i, ct] = pair(made(&new, "Mul")?)?;
    let [c] = single(made(&ct, "Tanh")?)?;
    let pre2 = gates(graph, &mut made, &[&i, &f, &o], &c)?;
    let [both, bias2] = pair(made(&pre2, "Add")?)?;
    let [skipped, returned] = pair(made(&both, "Add")?)?;
    // Behind the first step: cell1 = i * tanh(c), hidden = o * tanh(cell1).
    let [i1, ct1] = pair(made(&cell1, "Mul")?)?;
    let [c1] = single(made(&ct1, "Tanh")?)?;
    let second = product(graph, &mut made, &skipped)?;
    let recurrent = product(graph, &mut made, &returned)?;
    let [hidden1, hidden_scale, hidden_zero]: [String; 3] =
        made(&recurrent.input, "QuantizeLinear")?.try_into().ok()?;
    let [o1, cell1t] = pair(made(&hidden1, "Mul")?)?;
    let [same] = single(made(&cell1t, "Tanh")?)?;
    if same != cell1 {
        return None;
    }
    let pre1 = gates(graph, &mut made, &[&i1, &o1], &c1)?;
    let [one, bias1] = pair(made(&pre1, "Add")?)?;
    let first = product(graph, &mut made, &one)?;
    Some(Parts {
        up: first.input.clone(),
        skip: second.input.clone(),
        first,
        second,
        recurrent,
        biases: [bias1, bias2],
        hidden: [hidden_scale, hidden_zero],
        out,
        nodes,
    })
}

fn pair(inputs: Vec<String>) -> Option<[String; 2]> {
    inputs.try_into().ok()
}

fn single(inputs: Vec<String>) -> Option<[String; 1]> {
    inputs.try_into().ok()
}

/// The value that is split into gates and `c`; the gates are split again behind one hard sigmoid.
fn gates(
    graph: &Graph,
    made: &mut impl FnMut(&str, &str) -> Option<Vec<String>>,
    wanted: &[&str],
    c: &str,
) -> Option<String> {
    let split = graph.maker(wanted[0], "Split")?;
    let outputs = &graph.nodes[split].output;
    if outputs.iter().ne(wanted.iter().copied()) || int(&graph.nodes[split], "axis", 0) != 1 {
        return None;
    }
    let sigmoid = made(wanted[0], "Split")?.first()?.clone();
    let node = &graph.nodes[graph.maker(&sigmoid, "HardSigmoid")?];
    // The very numbers of pipeline section 6.1; another hard sigmoid is another network.
    if (float(node, "alpha", 0.2), float(node, "beta", 0.5)) != (0.2, 0.5) {
        return None;
    }
    let inner = made(&sigmoid, "HardSigmoid")?.first()?.clone();
    let split = graph.maker(&inner, "Split")?;
    let outer = &graph.nodes[split];
    if outer.output.iter().ne([inner.as_str(), c]) || int(outer, "axis", 0) != 1 {
        return None;
    }
    made(&inner, "Split")?.first().cloned()
}

fn product(
    graph: &Graph,
    made: &mut impl FnMut(&str, &str) -> Option<Vec<String>>,
    value: &str,
) -> Option<Product> {
    let [cast, scale] = pair(made(value, "Mul")?)?;
    let [sums] = single(made(&cast, "Cast")?)?;
    let node = graph.maker(&sums, "ConvInteger")?;
    // The weights' zero point may be left out.
    let inputs = made(&sums, "ConvInteger")?;
    let [input, weights, zero] =
        [inputs.first()?, inputs.get(1)?, inputs.get(2)?].map(Clone::clone);
    if let Some(zeros) = inputs.get(3)
        && graph.i8s(zeros)?.iter().any(|&z| z != 0)
    {
        return None;
    }
    Some(Product {
        node,
        input,
        weights,
        zero,
        scale,
    })
}

/// Wires the operator if both inputs are planes.
pub(super) fn wire(finder: &mut Finder<'_>, at: usize, parts: &Parts) -> TractResult<bool> {
    let (Some(&up), Some(&skip)) = (
        finder.planes.get(parts.up.as_str()),
        finder.planes.get(parts.skip.as_str()),
    ) else {
        return Ok(false);
    };
    let Some(work) = build(finder, parts, up, skip) else {
        return Ok(false);
    };
    let (geometry, quantum) = (work.state, work.out);
    let value = finder.output(at);
    let outlet = finder.wire(
        "ConvLstm",
        work,
        &[up.outlet, skip.outlet],
        &parts.nodes,
        value,
    )?;
    finder.planes.insert(
        value,
        Plane {
            outlet,
            geometry,
            quantum,
            taps: false,
        },
    );
    Ok(true)
}

fn build(finder: &Finder, parts: &Parts, up: Plane, skip: Plane) -> Option<ConvLstm> {
    let graph = finder.graph;
    let quantum = |[scale, zero]: &[String; 2]| {
        Some(Quantum {
            scale: graph.f32(scale)?,
            zero: graph.u8(zero)?,
        })
    };
    let (hidden, out) = (quantum(&parts.hidden)?, quantum(&parts.out)?);
    let f = graph.shape(&parts.recurrent.weights)?.get(1).copied()?;
    if up.taps || skip.taps || !f.is_multiple_of(16) {
        return None;
    }
    let state = Geometry::new(up.geometry.rows, up.geometry.columns, f);
    if (skip.geometry.rows, skip.geometry.columns) != (state.rows, state.columns) {
        return None;
    }
    let gate = |product: &Product, input: Plane, blocks: usize| {
        if graph.u8(&product.zero)? != input.quantum.zero {
            return None;
        }
        let weights = finder.weights(product.node, &product.weights, None, input, blocks)?;
        let scale = sixteens(&finder.scales(&product.scale, blocks * f)?, blocks, 1);
        (weights.outputs == blocks * f).then_some(Gate { weights, scale })
    };
    let bias = |name: &String, blocks: usize| {
        let bias = graph.f32s(name)?;
        (bias.len() == blocks * f).then(|| sixteens(&bias, blocks, 1))
    };
    let state_plane = Plane {
        geometry: state,
        quantum: hidden,
        ..up
    };
    Some(ConvLstm {
        up: up.geometry,
        skip: skip.geometry,
        state,
        first: gate(&parts.first, up, 3)?,
        second: gate(&parts.second, skip, 4)?,
        recurrent: gate(&parts.recurrent, state_plane, 4)?,
        biases: [bias(&parts.biases[0], 3)?, bias(&parts.biases[1], 4)?],
        hidden,
        out,
    })
}

/// Brings blocks of channels together by sixteens: the first sixteen of each block, then the next. A channel
/// has `size` values.
pub(super) fn sixteens<T: Copy>(values: &[T], blocks: usize, size: usize) -> Vec<T> {
    let runs: Vec<&[T]> = values.chunks(16 * size).collect();
    let per_block = runs.len() / blocks;
    let order = (0..per_block).flat_map(|n| (0..blocks).map(move |block| block * per_block + n));
    order.flat_map(|run| runs[run].iter().copied()).collect()
}
