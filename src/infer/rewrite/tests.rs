//! The rewritten graph against the one that tract runs, and instruction sets against each other.

use crate::infer::kernels::Isa;
use crate::infer::net::Net;
use ndarray::{Array3, Array4, ArrayD, Axis};

const BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/covidctnet-128");

/// Something like a chest: two dark lungs with specks in a grey body.
fn slice(size: usize) -> ArrayD<f32> {
    let half = size as f32 / 2.0;
    Array4::from_shape_fn((1, 1, size, size), |(_, _, y, x)| {
        let (dy, dx) = ((y as f32 - half) / half, (x as f32 - half) / half);
        let noise = ((x * 7919 + y * 104_729) % 97) as f32 / 970.0;
        let lung = (dy * dy + (dx.abs() - 0.4).powi(2) * 6.0) < 0.3;
        let body = dy * dy * 1.5 + dx * dx < 0.8;
        noise
            + if lung {
                0.15
            } else if body {
                0.7
            } else {
                0.0
            }
    })
    .into_dyn()
}

fn load(isa: Option<Isa>) -> Net {
    let onnx = std::fs::read(format!("{BUNDLE}/bcdu.onnx")).unwrap();
    Net::load_for(isa, &onnx, &[1, 1, 128, 128]).unwrap()
}

fn reconstruct(isa: Option<Isa>) -> ArrayD<f32> {
    load(isa).run(slice(128).view()).unwrap().remove(0)
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let wanted = reconstruct(Some(Isa::Plain));
    for isa in Isa::available() {
        assert!(
            reconstruct(Some(isa)) == wanted,
            "{isa:?} differs from the reference"
        );
    }
}

/// Another engine's answer: tract's own kernels for int8 on AMX take the process down now and then, so
/// the bundle's golden output (ONNX Runtime) is the judge.
#[test]
fn the_rewritten_graph_is_the_graph() {
    let read =
        |name: &str| -> Array3<f32> { ndarray_npy::read_npy(format!("{BUNDLE}/{name}")).unwrap() };
    let (input, wanted) = (read("golden_slice.npy"), read("golden_output.npy"));
    let ours = load(Some(Isa::best()))
        .run(input.view().insert_axis(Axis(0)).into_dyn())
        .unwrap()
        .remove(0);
    let most = |a: &Array3<f32>| {
        ours.iter()
            .zip(a)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max)
    };
    assert!(
        most(&wanted) < 0.02,
        "{} away from ONNX Runtime",
        most(&wanted)
    );
    // The picture matters: an output that is its input would also be near.
    assert!(most(&input) > 0.05);
}

#[test]
fn every_node_of_the_shipped_network_is_recognised() {
    let net = load(Some(Isa::best()));
    assert_eq!(net.rest(), Vec::<String>::new(), "tract runs these");
    // The rule can fail: without our kernels tract has all of it.
    assert!(load(None).rest().len() > 50);
}

fn classify(isa: Option<Isa>) -> Vec<ArrayD<f32>> {
    let onnx = std::fs::read(format!("{BUNDLE}/cnn.onnx")).unwrap();
    let net = Net::load_for(isa, &onnx, &[1, 1, 50, 128, 128]).unwrap();
    let cube = crate::infer::golden_cube(128)
        .insert_axis(Axis(0))
        .insert_axis(Axis(0))
        .into_dyn();
    net.run(cube.view()).unwrap()
}

#[test]
fn the_classifier_says_what_tract_says_and_the_same_everywhere() {
    let (ours, tracts) = (classify(Some(Isa::best())), classify(None));
    for (a, b) in ours.iter().zip(&tracts) {
        let most = a
            .iter()
            .zip(b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(most < 1e-4, "{most}");
    }
    for isa in Isa::available()
        .into_iter()
        .filter(|isa| *isa != Isa::Plain)
    {
        assert!(classify(Some(isa)) == ours, "{isa:?} differs");
    }
}
