//! tanh and sigmoid that give the same bits on every processor.
//!
//! tract picks its kernels by processor: fused multiply-add here, another order there. The last digit
//! then differs, and in front of a quantized layer that digit decides rounding ties: BCDU-Net's output
//! differed by up to 0.024 between x86-64 and aarch64. Here are additions, products, fused multiply-adds and
//! one division, each written out, which IEEE 754 defines to the bit. What is not written as fused is not: Rust
//! never fuses by itself.
//!
//! They are as close as a byte needs. A quantized layer's step is some thousandths, the error here some
//! millionths; a series that is right to the last digit made a slice 6 % slower.
//!
//! A fused step is one instruction where the processor has it and a call where it has not, so whole slices go
//! through functions that are compiled for the processor's instructions.

use super::kernels::{Isa, gates, head};
use tract_core::internal::*;
use tract_core::ops::element_wise::{ElementWiseMiniOp, ElementWiseOp};
use tract_core::ops::math::Tanh;
use tract_core::ops::nn::Sigmoid;

/// log2(e).
pub(super) const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// Adding this to a float below 2^22 leaves its nearest integer in the low bits.
pub(super) const ROUND: f32 = 12_582_912.0;
/// Two to such a power is a normal number; beyond it sigmoid and tanh are at their ends to the last bit or nearly so.
pub(super) const FAR: f32 = 126.0;
/// 2^x for |x| <= 1/2 within 3e-6 of itself, from the fourth power down to the first. Fitted so that the largest
/// relative error is least, with 1 as the constant: 2^0 is 1, so tanh(0) is 0.
pub(super) const POWER: [f32; 4] = [0.009_585_382, 0.055_906_627, 0.240_240_38, 0.693_124_2];
/// How steep Keras' hard sigmoid is.
pub(super) const HARD_SLOPE: f32 = 0.2;

/// The nearest integer, half to even, for |x| < 2^22. A cast would do; this is what vectorises everywhere.
#[inline(always)]
pub(super) fn round(x: f32) -> i32 {
    let bits = (x + ROUND).to_bits().wrapping_sub(ROUND.to_bits());
    bits.cast_signed()
}

/// Keras' hard sigmoid: clip(0.2 x + 0.5, 0, 1) (pipeline section 6.1).
#[inline(always)]
pub(super) fn hard_sigmoid(x: f32) -> f32 {
    x.mul_add(HARD_SLOPE, 0.5).clamp(0.0, 1.0)
}

/// 2 to the power x, within 3e-6 of itself; x beyond [`FAR`] counts as [`FAR`].
#[inline(always)]
fn power(x: f32) -> f32 {
    let x = x.clamp(-FAR, FAR);
    let turns = (x + ROUND) - ROUND;
    let rest = x - turns;
    let mut sum = POWER[0];
    for coefficient in &POWER[1..] {
        sum = sum.mul_add(rest, *coefficient);
    }
    let sum = sum.mul_add(rest, 1.0);
    let whole = (x + ROUND).to_bits().wrapping_sub(ROUND.to_bits());
    // A whole number between -126 and 126, so both factors and the product are normal numbers.
    sum * f32::from_bits(whole.wrapping_add(127).wrapping_shl(23))
}

/// 1 / (1 + e^-x), absolute error below 1e-6.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + power(x * -LOG2_E))
}

/// Absolute error below 2e-6; small values lose relative digits, which the next layer rounds away.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    2.0 / (1.0 + power(x * (-2.0 * LOG2_E))) - 1.0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exact {
    Tanh,
    Sigmoid,
}

impl ElementWiseMiniOp for Exact {
    fn name(&self) -> String {
        format!("Exact{self:?}")
    }

    fn eval_in_place(&self, tensor: &mut Tensor, _: Option<DatumType>) -> TractResult<()> {
        let mut plain = tensor.try_as_plain_ram_mut()?;
        let values = plain.as_slice_mut::<f32>()?;
        match self {
            Self::Tanh => gates::tanh_all(Isa::best(), values),
            Self::Sigmoid => head::sigmoid_all(Isa::best(), values),
        }
        Ok(())
    }
}

/// Puts these functions in the place of tract's own where they work on f32.
pub(super) fn replace(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes.len() {
        let float = model
            .node_input_facts(id)?
            .iter()
            .all(|f| f.datum_type == DatumType::F32);
        let Some(op) = model.nodes[id].op_as::<ElementWiseOp>().filter(|_| float) else {
            continue;
        };
        let exact = if op.0.is::<Tanh>() {
            Exact::Tanh
        } else if op.0.is::<Sigmoid>() {
            Exact::Sigmoid
        } else {
            continue;
        };
        model.nodes[id].op = Box::new(ElementWiseOp(Box::new(exact), None));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn close_to_the_true_functions(x in -100.0f32..100.0) {
            let wide = f64::from(x);
            prop_assert!((f64::from(tanh(x)) - wide.tanh()).abs() < 2e-6, "tanh {x}");
            prop_assert!((f64::from(sigmoid(x)) - 1.0 / (1.0 + (-wide).exp())).abs() < 1e-6, "sigmoid {x}");
        }
    }

    #[test]
    fn the_ends_are_the_ends() {
        assert_eq!((tanh(0.0), sigmoid(0.0)), (0.0, 0.5));
        assert_eq!((tanh(1e30), tanh(-1e30)), (1.0, -1.0));
        assert_eq!(tanh(f32::INFINITY), 1.0);
        assert!(tanh(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
    }

    /// The same on every machine: a sum over bits, not over values.
    #[test]
    fn the_bits_are_these() {
        let mut sum = 0u32;
        for step in -4000i32..=4000 {
            let x = step as f32 / 256.0;
            sum = sum.rotate_left(5) ^ tanh(x).to_bits() ^ sigmoid(x).to_bits();
        }
        assert_eq!(sum, 532_229_334);
    }

    #[test]
    fn they_take_the_place_of_tracts() {
        let mut model = TypedModel::default();
        let input = model.add_source("x", f32::fact([4])).unwrap();
        let wire = model
            .wire_node("t", tract_core::ops::math::tanh(), &[input])
            .unwrap();
        let wire = model
            .wire_node("s", tract_core::ops::nn::sigmoid(), &wire)
            .unwrap();
        model.select_output_outlets(&wire).unwrap();
        replace(&mut model).unwrap();
        let names: Vec<_> = model
            .nodes
            .iter()
            .map(|n| n.op.name().into_owned())
            .collect();
        assert_eq!(&names[1..], ["ExactTanh", "ExactSigmoid"]);
        let plan = model.into_optimized().unwrap().into_runnable().unwrap();
        let input = tensor1(&[-2.0f32, -0.1, 0.0, 3.0]);
        let out = plan.run(tvec!(input.into())).unwrap();
        let wanted = [-2.0f32, -0.1, 0.0, 3.0].map(|x| sigmoid(tanh(x)));
        assert_eq!(
            out[0]
                .to_plain_array_view::<f32>()
                .unwrap()
                .as_slice()
                .unwrap(),
            wanted
        );
    }
}
