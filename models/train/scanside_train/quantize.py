"""Static quantization of BCDU-Net: watches the activations of the fp32 graph on calibration slices
and chooses one range per tensor.

Three ways to choose ranges are tried: of a handful of shares of the full span the one with the least
mean squared rounding and clipping error over the values seen, the span without its outer ten
thousandth, the full span. What comes nearest to the fp32 network on held slices is kept. ReLU
outputs start at zero. Searching the ranges tensor by tensor gained two parts in a hundred for
minutes of work, and shifting biases by the layers' mean errors made it worse: neither is done.
"""

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from . import export

# Shares of the observed span that are tried as the clipped range.
SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4)
# Values kept per tensor and slice; 40 slices give 80,000, enough for a mean squared error.
KEPT = 2_000


def session(model, threads=2, exact=False):
    """ONNX Runtime on a model. Its ConvInteger is slow, so the same sums are made in float, which rounds
    them in the eighth digit, unless `exact`."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if not isinstance(model, onnx.ModelProto):
        model = onnx.load(str(model))
    if not exact:
        model = sums_in_float(model)
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def sums_in_float(model):
    """The model with every ConvInteger and its Cast as a Conv on dequantized input; as it is where it has none."""
    if not any(n.op_type == "ConvInteger" for n in model.graph.node):
        return model
    out = onnx.ModelProto.FromString(model.SerializeToString())
    held = {i.name: i for i in out.graph.initializer}
    nodes, made = [], {}
    for node in out.graph.node:
        if node.op_type == "ConvInteger":
            x, w, zero = node.input
            if "one" not in made:
                out.graph.initializer.append(numpy_helper.from_array(np.float32(1), "sums_one"))
                made["one"] = True
            out.graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(held[w]).astype(np.float32), w + "_float"))
            deep = x + "_steps_" + w
            nodes.append(helper.make_node("DequantizeLinear", [x, "sums_one", zero], [deep]))
            cast = next(n for n in out.graph.node if n.op_type == "Cast" and n.input[0] == node.output[0])
            conv = helper.make_node("Conv", [deep, w + "_float"], list(cast.output))
            conv.attribute.extend(node.attribute)
            nodes.append(conv)
            made[cast.name] = True
        elif node.name not in made:
            nodes.append(node)
    del out.graph.node[:]
    out.graph.node.extend(nodes)
    return out


def watched(fp32):
    """Tensors that become u8: inputs of the convolutions. The last two convolutions stay in float."""
    names = [n.input[0] for n in fp32.graph.node if n.op_type in ("Conv", "ConvTranspose") and not n.output[0].startswith("logit")]
    # What a max-pool or a concatenation reads is u8 too.
    names += [x for n in fp32.graph.node if n.op_type in ("MaxPool", "Concat") for x in n.input]
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


METHODS = ("mse", "percentile", "minmax")


def ranges(seen, method="mse"):
    """Tensor name -> (lo, hi) from what `collect` saw."""
    choose = {"mse": best_range, "minmax": lambda lo, hi, _: (lo, hi),
              "percentile": lambda lo, hi, v: (float(np.quantile(v, 0.0001)) if lo < 0 else 0.0, float(np.quantile(v, 0.9999)))}[method]
    found = {name: choose(lo, hi, values) for name, (lo, hi, values) in seen.items()}
    found["input"] = (0.0, 1.0)
    return found


def error(model, slices, wanted):
    """Absolute differences of the outputs from `wanted`, slice by slice."""
    run = session(model)
    return np.stack([np.abs(run.run(None, {"input": s.reshape(1, 1, *s.shape[-2:])})[0] - w) for s, w in zip(slices, wanted)])


def bcdu_int8(net, size, slices, method="mse"):
    """The int8 graph of a trained network."""
    return export.bcdu(net, size, ranges(collect(export.bcdu(net, size), slices), method))


def facts_of(method, errors):
    return {"method": method, "mean_abs": float(errors.mean()), "p99_abs": float(np.quantile(errors, 0.99)),
            "max_abs": float(errors.max()), "slices": len(errors)}


def best(net, size, fp32, slices, held, log=print):
    """The int8 graph that comes nearest to `fp32` on the held slices, of several ways to calibrate; and how near."""
    full, seen, tried = session(fp32), collect(fp32, slices), []
    wanted = [full.run(None, {"input": s[None, None]})[0] for s in held]
    for method in METHODS:
        int8 = export.bcdu(net, size, ranges(seen, method))
        facts = facts_of(method, error(int8, held, wanted))
        log(f"int8 ({method}) against fp32: {facts}")
        tried.append((int8, facts))
    return min(tried, key=lambda t: t[1]["mean_abs"])
