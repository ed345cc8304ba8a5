//! A look at an ONNX graph by names: who makes a value, who reads it, which values are constants.

use std::collections::HashMap;
use tract_core::prelude::f16;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

/// An index over a graph that is only read.
pub(super) struct Graph<'a> {
    pub nodes: &'a [NodeProto],
    makers: HashMap<&'a str, usize>,
    readers: HashMap<&'a str, Vec<usize>>,
    constants: HashMap<&'a str, &'a TensorProto>,
    outputs: Vec<&'a str>,
}

impl<'a> Graph<'a> {
    pub fn new(graph: &'a GraphProto) -> Self {
        let mut makers = HashMap::new();
        let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, node) in graph.node.iter().enumerate() {
            for name in &node.output {
                makers.insert(name.as_str(), at);
            }
            for name in &node.input {
                readers.entry(name).or_default().push(at);
            }
        }
        let constants = graph.initializer.iter().map(|t| (t.name.as_str(), t));
        Self {
            nodes: &graph.node,
            makers,
            readers,
            constants: constants.collect(),
            outputs: graph.output.iter().map(|o| o.name.as_str()).collect(),
        }
    }

    /// The node that makes a value, if it is of that kind.
    pub fn maker(&self, value: &str, kind: &str) -> Option<usize> {
        let at = *self.makers.get(value)?;
        (self.nodes[at].op_type == kind).then_some(at)
    }

    /// The node that makes a value, and its inputs, if it is of that kind and has as many.
    pub fn made_by<const N: usize>(
        &self,
        value: &str,
        kind: &str,
    ) -> Option<(usize, [&'a str; N])> {
        let at = self.maker(value, kind)?;
        let inputs: Vec<&str> = self.nodes[at].input.iter().map(String::as_str).collect();
        Some((at, inputs.try_into().ok()?))
    }

    /// The only reader of a value that is no output of the graph.
    pub fn only_reader(&self, value: &str) -> Option<usize> {
        match self.readers.get(value)?.as_slice() {
            [one] if !self.outputs.contains(&value) => Some(*one),
            _ => None,
        }
    }

    pub fn is_output(&self, value: &str) -> bool {
        self.outputs.contains(&value)
    }

    pub fn f32s(&self, name: &str) -> Option<Vec<f32>> {
        self.words(name, DataType::Float, f32::from_le_bytes)
    }

    pub fn i32s(&self, name: &str) -> Option<Vec<i32>> {
        self.words(name, DataType::Int32, i32::from_le_bytes)
    }

    pub fn i8s(&self, name: &str) -> Option<Vec<i8>> {
        self.words(name, DataType::Int8, i8::from_le_bytes)
    }

    pub fn u8s(&self, name: &str) -> Option<Vec<u8>> {
        self.words(name, DataType::Uint8, u8::from_le_bytes)
    }

    /// Shape and values of a constant of floats that may rest as f16 behind a Cast.
    pub fn floats(&self, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        if let Some(values) = self.f32s(name) {
            return Some((self.shape(name)?, values));
        }
        let (_, [half]) = self.made_by(name, "Cast")?;
        let values = self.words(half, DataType::Float16, f16::from_le_bytes)?;
        let values = values.into_iter().map(f16::to_f32).collect();
        Some((self.shape(half)?, values))
    }

    pub fn f32(&self, name: &str) -> Option<f32> {
        one(&self.f32s(name)?)
    }

    pub fn u8(&self, name: &str) -> Option<u8> {
        one(&self.u8s(name)?)
    }

    /// Sizes of a constant.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let dims = &self.constants.get(name)?.dims;
        dims.iter().map(|&d| usize::try_from(d).ok()).collect()
    }

    /// A constant's values; None if it is no constant, of another kind, or not stored as raw bytes.
    fn words<T, const N: usize>(
        &self,
        name: &str,
        kind: DataType,
        read: fn([u8; N]) -> T,
    ) -> Option<Vec<T>> {
        let tensor = self.constants.get(name)?;
        let count: usize = self.shape(name)?.iter().product();
        let (words, rest) = tensor.raw_data.as_chunks::<N>();
        (tensor.data_type == kind as i32 && rest.is_empty() && words.len() == count)
            .then(|| words.iter().map(|word| read(*word)).collect())
    }
}

fn one<T: Copy>(values: &[T]) -> Option<T> {
    match values {
        [value] => Some(*value),
        _ => None,
    }
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

/// A list of integers, or what the standard says when it is absent.
pub(super) fn ints(node: &NodeProto, name: &str, absent: &[i64]) -> Vec<i64> {
    attribute(node, name).map_or_else(|| absent.to_vec(), |a| a.ints.clone())
}

pub(super) fn int(node: &NodeProto, name: &str, absent: i64) -> i64 {
    attribute(node, name).map_or(absent, |a| a.i)
}

pub(super) fn float(node: &NodeProto, name: &str, absent: f32) -> f32 {
    attribute(node, name).map_or(absent, |a| a.f)
}

pub(super) fn text<'a>(node: &'a NodeProto, name: &str, absent: &'a str) -> &'a str {
    attribute(node, name).map_or(absent, |a| std::str::from_utf8(&a.s).unwrap_or(""))
}
