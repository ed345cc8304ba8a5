"""Static quantization of BCDU-Net: watches the activations of the fp32 graph on calibration slices
and chooses one range per tensor.

A range is the one of a handful of candidates (share of the full span) with the least mean squared
rounding and clipping error over the values seen. ReLU outputs start at zero.
"""

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from . import export

# Shares of the observed span that are tried as the clipped range.
SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4)
# Values kept per tensor and slice; 40 slices give 80,000, enough for a mean squared error.
KEPT = 2_000


def session(model, threads=2):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    data = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def watched(fp32):
    """Tensors that may become u8: inputs and outputs of the convolutions, after their ReLU."""
    relu = {n.input[0]: n.output[0] for n in fp32.graph.node if n.op_type == "Relu"}
    names = []
    for node in fp32.graph.node:
        if node.op_type == "Conv":
            names += [node.input[0], relu.get(node.output[0], node.output[0])]
    return [n for n in dict.fromkeys(names) if n != "input"]


def collect(fp32, slices, seed=0):
    """Tensor name -> (lo, hi, sample of values)."""
    probe = onnx.ModelProto.FromString(fp32.SerializeToString())
    names = watched(fp32)
    for name in names:
        probe.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    net, rng = session(probe), np.random.default_rng(seed)
    seen = {name: [] for name in names}
    bounds = {name: [0.0, 0.0] for name in names}
    for s in slices:
        values = net.run(names, {"input": s.reshape(1, 1, *s.shape[-2:]).astype(np.float32)})
        for name, v in zip(names, values):
            v = v.ravel()
            bounds[name] = [min(bounds[name][0], float(v.min())), max(bounds[name][1], float(v.max()))]
            seen[name].append(v[rng.integers(0, v.size, KEPT)])
    return {n: (*bounds[n], np.concatenate(seen[n])) for n in names}


def best_range(lo, hi, values):
    """The candidate with the least squared error."""
    best, result = np.inf, (lo, hi)
    for share in SHARES:
        a, b = lo * share, hi * share
        scale = max(b - a, 1e-6) / 255.0
        error = np.mean((np.clip(np.rint(values / scale) * scale, a, b) - values) ** 2)
        if error < best:
            best, result = error, (a, b)
    return result


def ranges(seen, method="mse"):
    """Tensor name -> (lo, hi) from what `collect` saw."""
    found = {name: (lo, hi) if method == "minmax" else best_range(lo, hi, values) for name, (lo, hi, values) in seen.items()}
    found["input"] = (0.0, 1.0)
    return found


def bcdu_int8(net, size, slices, method="mse"):
    """The int8 graph of a trained network."""
    return export.bcdu(net, size, ranges(collect(export.bcdu(net, size), slices), method))


def best(net, size, fp32, slices, held, log=print):
    """The int8 graph that comes nearest to `fp32` on the held slices, of two ways to choose ranges; and how near."""
    full, seen, found = session(fp32), collect(fp32, slices), None
    wanted = [full.run(None, {"input": s[None, None]})[0] for s in held]
    for method in ("mse", "minmax"):
        int8 = export.bcdu(net, size, ranges(seen, method))
        run = session(int8)
        error = np.stack([np.abs(run.run(None, {"input": s[None, None]})[0] - w) for s, w in zip(held, wanted)])
        facts = {"method": method, "mean_abs": float(error.mean()), "p99_abs": float(np.quantile(error, 0.99)),
                 "max_abs": float(error.max()), "slices": len(held)}
        log(f"int8 ({method}) against fp32: {facts}")
        if found is None or facts["mean_abs"] < found[1]["mean_abs"]:
            found = (int8, facts)
    return found
