//! tract against ONNX Runtime: the same files on the same real input.
//!
//! tract reads quantized graphs with traps that say nothing; only another program's numbers show
//! them. The input is a patient's chest as our own preprocessing makes it.

use crate::box_process::{model, output, program, turn};
use crate::peers;
use ndarray::{Array2, Array3, ArrayD, Axis, s, stack};
use scanside::finding::difference::difference;
use scanside::infer::{Bundle, Model, Net};
use scanside::volume::resize::to_cube;
use std::path::Path;

/// For networks that compute in fp32. Both programs sum in their own order.
const FP32: f32 = 1e-4;

/// Slices that are compared one by one.
const SLICES: usize = 6;

/// Every third slice of the chest goes into the cube, so that the test takes seconds.
const STEP: usize = 3;

/// Runs each entry along the first axis through ONNX Runtime; output k goes to `k.npy`.
const RUNTIME: &str = "
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])
name = session.get_inputs()[0].name
answers = [session.run(None, {name: entry}) for entry in numpy.load(sys.argv[2])]
for k, values in enumerate(zip(*answers)):
    numpy.save(f'{sys.argv[3]}/{k}.npy', numpy.stack(values).astype(numpy.float32))
";

/// The largest difference on each output.
fn compare(file: &Path, inputs: &ArrayD<f32>) -> Option<Vec<f32>> {
    let mut python = peers::python_with(&["numpy", "onnxruntime"])?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let given = folder.path().join("given.npy");
    ndarray_npy::write_npy(&given, inputs).expect("the inputs");
    let arguments = [file, &given, folder.path()];
    peers::run(python.arg("-c").arg(RUNTIME).args(arguments));

    let onnx = std::fs::read(file).expect("the network");
    let net = Net::load(&onnx, &inputs.shape()[1..]).expect("tract takes it");
    let mut largest: Vec<f32> = Vec::new();
    for (n, input) in inputs.axis_iter(Axis(0)).enumerate() {
        let ours = net.run(input).expect("it runs");
        largest.resize(ours.len(), 0.0);
        for (k, (ours, largest)) in ours.iter().zip(&mut largest).enumerate() {
            let theirs: ArrayD<f32> =
                ndarray_npy::read_npy(folder.path().join(format!("{k}.npy"))).expect("an answer");
            let theirs = theirs.index_axis(Axis(0), n);
            assert_eq!(ours.shape(), theirs.shape(), "output {k}");
            assert!(ours.iter().all(|v| v.is_finite()), "output {k}");
            // Two networks that say nothing would agree as well.
            let spread = |v: f32| ours.iter().any(|w| (w - v).abs() > 1e-3);
            assert!(
                ours.first().is_some_and(|&v| spread(v)),
                "output {k} is constant"
            );
            let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
            *largest = apart.fold(*largest, f32::max);
        }
    }
    Some(largest)
}

/// The chest of a patient in the networks' units, feet first.
fn chest(bundle: &Bundle, data: &Path) -> Array3<f32> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("unit.npy");
    let recipe = bundle.card().recipe();
    let mut command = program();
    command
        .args(["preprocess", "--profile", &recipe.profile.to_string()])
        .args(["--size", &recipe.size.pixels().to_string()])
        .arg(data.join("ct/covid_ct_md/Covid-19/P001"))
        .arg(&out);
    let ended = output(&mut command);
    let words = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{words}");
    ndarray_npy::read_npy(&out).expect("the volume")
}

/// Single slices from all heights, as the first network takes them.
fn slices(unit: &Array3<f32>) -> ArrayD<f32> {
    let planes = unit.dim().0;
    let chosen: Vec<_> = (0..SLICES)
        .map(|n| unit.index_axis(Axis(0), (2 * n + 1) * planes / (2 * SLICES)))
        .collect();
    let slices = stack(Axis(0), &chosen).expect("slices of one size");
    slices.insert_axis(Axis(1)).insert_axis(Axis(1)).into_dyn()
}

#[test]
fn the_networks_say_what_onnx_runtime_says() {
    let Some(data) = peers::data() else { return };
    let _turn = turn();
    let folder = model();
    let bundle = Bundle::load(&folder).expect("a bundle");
    let card = bundle.card();
    let unit = chest(&bundle, &data);
    let slices = slices(&unit);

    let Some(apart) = compare(&folder.join(&card.bcdu.file), &slices) else {
        return;
    };
    let tolerance = card.bcdu.tolerance;
    peers::say(&format!(
        "first network: {apart:?}, the card allows {tolerance}"
    ));
    assert!(apart[0] <= tolerance, "{apart:?} over {tolerance}");

    let sparse = unit.slice(s![..;STEP, .., ..]).to_owned();
    let clean = bundle.denoise(&sparse, &()).expect("it runs").clean;
    let map = difference(sparse, &clean);
    let cube = to_cube(map.view());
    let cube = cube.insert_axis(Axis(0)).insert_axis(Axis(0));
    let cube = cube.insert_axis(Axis(0)).into_dyn();
    let apart = compare(&folder.join(&card.cnn.file), &cube).expect("it was there before");
    peers::say(&format!("second network: {apart:?}"));
    assert_eq!(apart.len(), 3, "probabilities, logits, features");
    assert!(apart.iter().all(|d| *d <= FP32), "{apart:?}");
}

/// The shipped network with every int8 operator written out in fp32, weights and all. The network
/// before quantization is 21 MB and not shipped; this one is the same graph with the shipped weights.
const WRITTEN_OUT: &str = include_str!("../../benches/peers/written_out.py");

#[test]
fn the_first_network_in_fp32_says_what_onnx_runtime_says() {
    let Some(data) = peers::data() else { return };
    let Some(mut python) = peers::python_with(&["numpy", "onnx"]) else {
        return;
    };
    let _turn = turn();
    let folder = model();
    let bundle = Bundle::load(&folder).expect("a bundle");
    let shipped = folder.join(&bundle.card().bcdu.file);
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let file = scratch.path().join("fp32.onnx");
    peers::run(python.arg("-c").arg(WRITTEN_OUT).args([&shipped, &file]));
    let slices = slices(&chest(&bundle, &data));
    let Some(apart) = compare(&file, &slices) else {
        return;
    };
    peers::say(&format!("first network in fp32: {apart:?}"));
    assert!(apart[0] <= FP32, "{apart:?}");
}

/// The halves of a pair must not be mistaken for one another.
#[test]
fn a_network_takes_its_own_shape_only() {
    let folder = model();
    let bundle = Bundle::load(&folder).expect("a bundle");
    let size = bundle.card().size.pixels();
    let onnx = std::fs::read(folder.join(&bundle.card().bcdu.file)).expect("the network");
    let net = Net::load(&onnx, &[1, 1, size, size]).expect("tract takes it");
    let other = Array2::<f32>::zeros((size, size)).into_dyn();
    assert!(net.run(other.view()).is_err());
    assert!(Net::load(b"no network", &[1, 1, size, size]).is_err());
}
