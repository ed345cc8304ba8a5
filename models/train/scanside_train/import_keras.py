"""Turns a pair of Keras weight files of the published layout into a bundle of profile `release`.

    python -m scanside_train import-keras --bcdu BCDU.h5 --cnn CNN.h5 --out BUNDLE [--volumes FOLDER]

The files are the reader's own to get and to be allowed to use; none is shipped here. Layers are
taken in the file's order, because Keras numbers their names on through a session, and each one is
held to its kind and shape. With `--volumes` (arrays of `scanside preprocess --profile release`)
BCDU-Net is quantized on their slices, else it stays in f32. Nothing is judged: the card says so.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import torch

from . import bundle, cohort, cubes, export, keras_file, nets, quantize
from .keras_file import Refused

# Rows of the dense kernel -> side of the CNN's input.
SIZES = {1_152: 128, 6_272: 240}
# Calibration slices for int8 and slices for its comparison with f32.
CALIBRATION, HELD = 64, 24
# The box's f32 engine comes within 1e-5 of ONNX Runtime; int8 rounds.
TOLERANCE = {"f32": 1e-3, "int8": 0.05}

LIMITS = [
    "The weights of this model are not ours. They were read from two files of others; nobody has judged them here.",
    "Nothing is known of its training data, so that the box cannot tell a scan that is unlike them.",
    "Its probabilities are not calibrated. The call is the class above one half, else undetermined.",
]


def tensor(a):
    return torch.from_numpy(np.ascontiguousarray(a, np.float32))


def convolution(layer, dims):
    """Keras (k..., in, out) -> PyTorch (out, in, k...)."""
    cout, cin, *k = layer.weight.shape
    shapes = {"kernel": (*k, cin, cout), "bias": (cout,)}
    order = (dims + 1, dims, *range(dims))
    return "convolution", shapes, lambda w: (layer.weight.copy_(tensor(w["kernel"].transpose(order))), layer.bias.copy_(tensor(w["bias"])))


def transposed(layer):
    """Keras (kh, kw, out, in) -> PyTorch (in, out, kh, kw)."""
    cin, cout, *k = layer.weight.shape
    shapes = {"kernel": (*k, cout, cin), "bias": (cout,)}
    return "transposed convolution", shapes, lambda w: (layer.weight.copy_(tensor(w["kernel"].transpose(3, 2, 0, 1))), layer.bias.copy_(tensor(w["bias"])))


def norm(layer):
    n = layer.weight.numel()
    targets = {"gamma": layer.weight, "beta": layer.bias, "moving_mean": layer.running_mean, "moving_variance": layer.running_var}
    return "batch normalisation", {name: (n,) for name in targets}, lambda w: [t.copy_(tensor(w[name])) for name, t in targets.items()]


def lstm(layer):
    """Blocks stand in the order i, f, c, o in both; only the axes move."""
    f, cin = layer.f, layer.w.weight.shape[1]
    shapes = {"kernel": (3, 3, cin, 4 * f), "recurrent_kernel": (3, 3, f, 4 * f), "bias": (4 * f,)}
    return "ConvLSTM", shapes, lambda w: (
        layer.w.weight.copy_(tensor(w["kernel"].transpose(3, 2, 0, 1))), layer.r.weight.copy_(tensor(w["recurrent_kernel"].transpose(3, 2, 0, 1))),
        layer.w.bias.copy_(tensor(w["bias"])))


def dense(layer, flat=None):
    """Keras (in, out) -> (out, in). `flat` (z, y, x, channel): rows move to channel, z, y, x."""
    cout, cin = layer.weight.shape

    def put(w):
        k = w["kernel"]
        if flat:
            k = k.reshape(*flat, cout).transpose(3, 0, 1, 2, 4).reshape(cin, cout)
        layer.weight.copy_(tensor(k.T)), layer.bias.copy_(tensor(w["bias"]))

    return "dense", {"kernel": (cin, cout), "bias": (cout,)}, put


def bcdu_layers(net):
    """(our name, kind, shapes, how to take them) in the order of the data's way, which is the file's."""
    out = []

    def pair(name):
        for n, conv in enumerate(m for m in getattr(net, name) if hasattr(m, "weight")):
            out.append((f"{name}, convolution {n + 1}", *convolution(conv, 2)))

    for name in ("c1", "c2", "c3", "d1", "d2", "d3"):
        pair(name)
    for n in (6, 7, 8):
        up = getattr(net, f"u{n}")
        out.append((f"u{n}", *transposed(up.conv)))
        out.append((f"u{n}", *norm(up.norm)))
        out.append((f"l{n}", *lstm(getattr(net, f"l{n}"))))
        pair(f"c{n}")
    out.append(("the last 1x1", *convolution(net.out, 2)))
    return out


def cnn_layers(net):
    out = [(f"convolution {n + 1}", *convolution(conv, 3)) for n, conv in enumerate(net.convs)]
    channels = net.convs[-1].weight.shape[0]
    side = round((net.dense.weight.shape[1] / channels) ** 0.5)
    out.append(("hidden layer", *dense(net.dense, (1, side, side, channels))))
    out.append(("last layer", *dense(net.head)))
    return out


def in_words(shapes):
    return ", ".join(f"{name} {'x'.join(map(str, s))}" for name, s in shapes.items())


@torch.no_grad()
def take(file, wanted, network):
    """Puts the file's layers into ours, or says which one does not fit."""
    for n, (name, kind, shapes, put) in enumerate(wanted):
        where = f"{file.name}: layer {n + 1} of {network} ({name}) should be a {kind} with {in_words(shapes)}"
        if n >= len(file.layers):
            raise Refused(f"{where}, but the file ends after {len(file.layers)} layers")
        layer = file.layers[n]
        found = {k: w.shape for k, w in layer.weights.items()}
        if found != shapes:
            raise Refused(f"{where}, but {layer.name} has {in_words(found)}")
        settled(file, layer.name, kind)
        put(layer.weights)
    if len(file.layers) > len(wanted):
        raise Refused(f"{file.name}: {network} has {len(wanted)} layers with weights, the file goes on with {file.layers[len(wanted)].name}")


def settled(file, name, kind):
    """Where the file says how a layer computes, that must be the published way."""
    said = file.config.get(name, {})
    wanted = {"ConvLSTM": {"go_backwards": True, "recurrent_activation": "hard_sigmoid", "activation": "tanh", "return_sequences": False},
              "batch normalisation": {"epsilon": nets.BN_EPS}}.get(kind, {})
    for key, value in wanted.items():
        if key in said and said[key] != value and not (isinstance(value, float) and abs(said[key] - value) < 1e-9):
            raise Refused(f"{file.name}: {name} has {key} = {said[key]}, the published system has {value}")


def bcdu(path):
    file, net = keras_file.read(path), nets.BcduNet()
    take(file, bcdu_layers(net), "BCDU-Net")
    return net.eval(), file


def cnn(path, size=None):
    """The 3D CNN; its size follows from the dense layer's rows if it is not given."""
    file = keras_file.read(path)
    if size is None:
        rows = [layer.weights["kernel"].shape[0] for layer in file.layers if "kernel" in layer.weights and layer.weights["kernel"].ndim == 2]
        if not rows or rows[0] not in SIZES:
            raise Refused(f"{file.name}: its hidden dense layer should have 1152 rows (128x128) or 6272 (240x240), found {rows[0] if rows else 'no dense layer'}")
        size = SIZES[rows[0]]
    net = nets.Cnn(size)
    take(file, cnn_layers(net), "the 3D CNN")
    return net.eval(), file, size


def slices_of(folder, size, number, seed=9):
    """`number` slices from the volumes in a folder, drawn evenly from all of them."""
    paths = sorted(Path(folder).glob("*.npy"))
    if not paths:
        raise Refused(f"{folder}: no volumes (.npy) to quantize on")
    rng, out = np.random.default_rng(seed), []
    for n in range(number):
        v = np.load(paths[n % len(paths)], mmap_mode="r")
        if v.ndim != 3 or v.shape[1:] != (size, size):
            raise Refused(f"{paths[n % len(paths)].name}: a volume of {v.shape}, the networks want slices of {size} x {size}")
        out.append(np.asarray(v[rng.integers(len(v))], np.float32).clip(0, 1))
    return out


def write(out, bcdu_path, cnn_path, volumes=None, name="imported", version="0", threshold=0.5, log=print):
    """The bundle folder; returns the card."""
    first, first_file = bcdu(bcdu_path)
    second, second_file, size = cnn(cnn_path)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    model, form, int8 = export.bcdu(first, size), "f32", {}
    golden = bundle.drawn_slice(size)
    if volumes:
        drawn = slices_of(volumes, size, CALIBRATION + HELD)
        model, int8 = quantize.best(first, size, model, drawn[HELD:], drawn[:HELD], log)
        form, golden = "int8", max(drawn[:HELD], key=np.std)
    onnx.save(model, out / "bcdu.onnx")
    onnx.save(export.cnn(second, size, half=False), out / "cnn.onnx")
    np.save(out / "features.npy", np.zeros((35, 32), np.float32))
    np.save(out / "golden_slice.npy", golden[None])
    wanted = quantize.session(out / "bcdu.onnx", 1).run(None, {"input": golden[None, None]})[0][0].astype(np.float32)
    if wanted.std() < 1e-3:
        raise Refused(f"{first_file.name}: dead output, the reconstruction of a slice is constant")
    np.save(out / "golden_output.npy", wanted)
    p, logits, f = quantize.session(out / "cnn.onnx", 1).run(None, {"input": bundle.golden_cube(size)})
    files = ("bcdu.onnx", "cnn.onnx", "features.npy", "golden_slice.npy", "golden_output.npy")
    source = lambda file: {"file": file.name, "sha256": file.sha256, "keras_version": file.keras_version, "layers_with_weights": len(file.layers)}
    card = {
        "name": name, "version": version, "demonstration": True, "profile": "release", "size": size, "z_policy": "iso1",
        "class_order": list(cohort.LABELS), "made": time.strftime("%Y-%m-%d", time.gmtime()),
        "files": {f: bundle.sha256(out / f) for f in files},
        "bcdu": {"file": "bcdu.onnx", "form": "f32" if form == "f32" else export.FORM,
                 "input": "input", "output": "output", "shape": [1, 1, size, size], "opset": export.OPSET, "parameters": nets.count(first),
                 "tolerance": TOLERANCE[form], **({"int8_against_fp32": int8} if int8 else {})},
        "cnn": {"file": "cnn.onnx", "form": "f32", "input": "input", "outputs": ["output", "logits", "features"], "shape": [1, 1, cubes.DEPTH, size, size],
                "flatten": "channel, z, y, x", "parameters": nets.count(second), "tolerance": TOLERANCE["f32"]},
        "calibration": {"temperature": 1.0, "fitted_on": "nothing: they are the published softmax as it is"},
        "decision": {"thresholds": [threshold] * 3, "rule": "the one class whose probability reaches the threshold, else undetermined; the published system takes the largest",
                     "distance_limit": 1.0, "distance_rule": "none: no training features are known, the distance is always 0"},
        "features": {"file": "features.npy", "layout": "f32 (35, 32), all zero: no training features are known"},
        "involvement": {"difference_threshold": bundle.INVOLVED, "rule": "lung voxels whose signed difference is above the threshold; set for our own models, not measured on this one"},
        "golden": {"slice": "golden_slice.npy", "output": "golden_output.npy", "slice_from": "a volume given at import" if volumes else "two drawn lungs",
                   "output_std": float(wanted.std()), "cube_probabilities": p[0].tolist(), "cube_logits": logits[0].tolist(), "cube_feature_sum": float(f.sum())},
        "imported": {"how": "weights read from two Keras files by import_keras; none of them was made or trained here", "bcdu": source(first_file), "cnn": source(second_file)},
        "evaluation": {"how": "none: no judgement was made of this model"},
        "limits": {"sentences": LIMITS},
    }
    (out / "card.toml").write_text(bundle.to_toml(card))
    log(f"bundle {out}: profile release, {size}x{size}, BCDU-Net in {form}")
    return card


def main(argv=None):
    ap = argparse.ArgumentParser(prog="scanside_train import-keras", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bcdu", required=True, help="Keras file of BCDU-Net")
    ap.add_argument("--cnn", required=True, help="Keras file of the 3D CNN")
    ap.add_argument("--out", required=True, help="bundle folder to write")
    ap.add_argument("--volumes", help="folder of volumes to quantize on; without it BCDU-Net stays in f32")
    ap.add_argument("--name", default="imported")
    ap.add_argument("--version", default="0")
    ap.add_argument("--threshold", type=float, default=0.5, help="probability that a class needs; 0 takes the largest, as published")
    a = ap.parse_args(argv)
    try:
        write(a.out, a.bcdu, a.cnn, a.volumes, a.name, a.version, a.threshold)
    except Refused as e:
        sys.exit(f"refused: {e}")


if __name__ == "__main__":
    main()
