"""Writes the networks as ONNX, node by node: fp32, and BCDU-Net as static int8.

The graphs are made by hand rather than traced, because the box computes the int8 one with kernels of
its own and knows this form only: u8 activations, s8 weights with one scale per output channel.

- 3x3 convolutions with ReLU: QLinearConv; zero point 0, so that saturation is the ReLU.
- Max-pool on u8. Concatenation through float.
- ConvTranspose 2x2 stride 2 with its ReLU: QLinearConv 1x1 with four times the channels, then DepthToSpace.
- ConvLSTM: ConvInteger, whose sums become gate values in float without another rounding.
- Gates, the last two convolutions and the sigmoid: float.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
IR_VERSION = 8

# The int8 form in the words of the card.
FORM = ("int8: u8 activations, s8 weights with a scale per output channel; ConvLSTM sums in integers and never rounded to u8; "
        "gates, last two convolutions and sigmoid in float")


def _np(t):
    return t.detach().float().cpu().numpy()


class Graph:
    """A growing ONNX graph. With `ranges` (tensor name -> (lo, hi)) convolutions come out as int8."""

    def __init__(self, name, ranges=None):
        self.name, self.ranges = name, ranges
        self.nodes, self.weights, self.q = [], {}, {}

    def const(self, name, value):
        self.weights.setdefault(name, numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def op(self, kind, inputs, out, **attributes):
        outs = out if isinstance(out, list) else [out]
        self.nodes.append(helper.make_node(kind, inputs, outs, name=f"{outs[0]}_{kind}", **attributes))
        return out

    # -- int8 ------------------------------------------------------------------------------

    def scale(self, tensor):
        """Scale and zero point of a u8 activation; zero is always exact."""
        lo, hi = (min(0.0, self.ranges[tensor][0]), max(0.0, self.ranges[tensor][1]))
        scale = np.float32(max(hi - lo, 1e-6) / 255.0)
        zero = np.uint8(np.clip(round(-lo / float(scale)), 0, 255))
        return scale, zero, self.const(tensor + "_scale", scale), self.const(tensor + "_zero", zero)

    def quantized(self, tensor):
        """The u8 twin of a tensor; made with QuantizeLinear where it exists in float only."""
        if tensor not in self.q:
            _, _, s, z = self.scale(tensor)
            self.q[tensor] = self.op("QuantizeLinear", [tensor, s, z], tensor + "_q")
        return self.q[tensor]

    def floated(self, tensor):
        """The float twin of a tensor that exists as u8 only."""
        if tensor in self.q and not any(tensor in n.output for n in self.nodes):
            _, _, s, z = self.scale(tensor)
            self.op("DequantizeLinear", [self.q[tensor], s, z], tensor)
        return tensor

    def qlinear(self, x, weight, bias, out, attributes, name=None):
        """QLinearConv with ReLU; `out` names the value, whose range must start at zero."""
        name = name or out
        x_scale, _, xs, xz = self.scale(x)
        xq = self.quantized(x)
        wq, w_scale = rounded(weight)
        b32 = np.rint(bias / (float(x_scale) * w_scale.astype(np.float64)))
        b32 = np.clip(b32, -2**31 + 1, 2**31 - 1).astype(np.int32)
        self.ranges[out] = (0.0, self.ranges[out][1])
        _, _, ys, yz = self.scale(out)
        inputs = [xq, xs, xz, self.const(out + "_w", wq), self.const(out + "_ws", w_scale),
                  self.const(out + "_wz", np.zeros(len(w_scale), np.int8)), ys, yz, self.const(out + "_b", b32)]
        return self.op("QLinearConv", inputs, name + "_q", **attributes)

    def sums(self, x, weight, out):
        """A 3x3 convolution as exact integer sums, then scaled to float: gate values are not rounded to u8."""
        x_scale, _, _, xz = self.scale(x)
        xq = self.quantized(x)
        wq, w_scale = rounded(weight)
        self.op("ConvInteger", [xq, self.const(out + "_w", wq), xz], out + "_sum", **same(weight))
        self.op("Cast", [out + "_sum"], out + "_cast", to=TensorProto.FLOAT)
        return self.op("Mul", [out + "_cast", self.const(out + "_ws", column(x_scale * w_scale))], out)

    # -- either ----------------------------------------------------------------------------

    def conv(self, x, weight, bias, out, relu, pad=1, int8=True):
        """A convolution, int8 if the graph is and the layer may be. `out` names the value after ReLU."""
        if self.ranges is not None and int8:
            self.q[out] = self.qlinear(x, weight, bias, out, same(weight, pad))
            return out
        x = self.floated(x)
        inputs = [x, self.const(out + "_w", weight.astype(np.float32)), self.const(out + "_b", bias.astype(np.float32))]
        if not relu:
            return self.op("Conv", inputs, out, **same(weight, pad))
        self.op("Conv", inputs, out + "_pre", **same(weight, pad))
        return self.op("Relu", [out + "_pre"], out)

    def up(self, x, weight, bias, out):
        """ConvTranspose 2x2 stride 2 and ReLU; weight (Cin, Cout, 2, 2). Windows do not overlap, so it is
        a 1x1 convolution whose channel (a * 2 + b) * Cout + o is the output at (2y + a, 2x + b, o)."""
        if self.ranges is None:
            self.op("ConvTranspose", [x, self.const(out + "_w", weight), self.const(out + "_b", bias)], out + "_pre",
                    kernel_shape=[2, 2], strides=[2, 2])
            return self.op("Relu", [out + "_pre"], out)
        flat = weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0], 1, 1)
        deep = self.qlinear(x, flat, np.tile(bias, 4), out, same(flat, 0), out + "_deep")
        self.q[out] = self.op("DepthToSpace", [deep], out + "_q", blocksize=2, mode="DCR")
        return out

    def pool(self, x, out):
        """2x2 max-pool; on u8 where the tensor is u8, with the same scale."""
        if x in self.q:
            self.ranges[out] = self.ranges[x]
            self.q[out] = self.op("MaxPool", [self.q[x]], out + "_q", kernel_shape=[2, 2], strides=[2, 2])
            return out
        return self.op("MaxPool", [x], out, kernel_shape=[2, 2], strides=[2, 2])

    def model(self, inputs, outputs):
        graph = helper.make_graph(self.nodes, self.name, inputs, outputs, list(self.weights.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="scanside_train")
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model)
        return model


def rounded(weight):
    """A kernel as s8 and its scale per output channel."""
    scale = np.maximum(np.abs(weight).max(axis=(1, 2, 3)), 1e-8).astype(np.float32) / np.float32(127)
    return np.clip(np.rint(weight / scale[:, None, None, None]), -127, 127).astype(np.int8), scale


def column(v):
    """One number per channel, ready to be added or multiplied."""
    return np.asarray(v, np.float32).reshape(1, -1, 1, 1)


def same(weight, pad=1):
    """Attributes of a stride-1 convolution."""
    return dict(kernel_shape=list(weight.shape[2:]), pads=[pad] * (2 * (weight.ndim - 2)), strides=[1] * (weight.ndim - 2))


def _pair(g, x, pair, name, float_last=False):
    convs = [m for m in pair if hasattr(m, "weight")]
    for n, conv in enumerate(convs):
        int8 = not (float_last and n == len(convs) - 1)
        x = g.conv(x, _np(conv.weight), _np(conv.bias), f"{name}{'abc'[n]}", relu=True, int8=int8)
    return x


def _lstm(g, skip, up, lstm, name):
    """The blocks leave in the order (i, o, c) and (i, f, o, c): one HardSigmoid and one Tanh per step."""
    f, w, b = lstm.f, _np(lstm.w.weight), _np(lstm.w.bias)
    r = _np(lstm.r.weight)
    i, fo, c, o = (slice(n * f, (n + 1) * f) for n in range(4))
    first, second = np.r_[i, o, c], np.r_[i, fo, o, c]
    hs = lambda x, out: g.op("HardSigmoid", [x], out, alpha=0.2, beta=0.5)
    split = lambda x, outs, sizes: g.op(
        "Split", [x, g.const(f"split_{'_'.join(map(str, sizes))}", np.array(sizes, np.int64))], outs, axis=1)

    if g.ranges is None:
        pre = g.conv(up, w[first], b[first], f"{name}_u", relu=False)
    else:
        a = g.sums(up, w[first], f"{name}_u")
        pre = g.op("Add", [a, g.const(f"{name}_u_b", column(b[first]))], f"{name}_u_pre")
    split(pre, [f"{name}_u_gates", f"{name}_u_c"], [2 * f, f])
    split(hs(f"{name}_u_gates", f"{name}_u_hs"), [f"{name}_u_i", f"{name}_u_o"], [f, f])
    g.op("Tanh", [f"{name}_u_c"], f"{name}_u_ct")
    g.op("Mul", [f"{name}_u_i", f"{name}_u_ct"], f"{name}_cell1")
    g.op("Tanh", [f"{name}_cell1"], f"{name}_cell1t")
    g.op("Mul", [f"{name}_u_o", f"{name}_cell1t"], f"{name}_hidden1")

    if g.ranges is None:
        none = np.zeros(4 * f, np.float32)
        a = g.conv(skip, w[second], b[second], f"{name}_s", relu=False)
        h = g.conv(f"{name}_hidden1", r[second], none, f"{name}_r", relu=False)
        g.op("Add", [a, h], f"{name}_pre2")
    else:
        a = g.sums(skip, w[second], f"{name}_s")
        h = g.sums(f"{name}_hidden1", r[second], f"{name}_r")
        g.op("Add", [a, h], f"{name}_both")
        g.op("Add", [f"{name}_both", g.const(f"{name}_b", column(b[second]))], f"{name}_pre2")
    split(f"{name}_pre2", [f"{name}_gates", f"{name}_c"], [3 * f, f])
    split(hs(f"{name}_gates", f"{name}_hs"), [f"{name}_i", f"{name}_f", f"{name}_o"], [f, f, f])
    g.op("Tanh", [f"{name}_c"], f"{name}_ct")
    g.op("Mul", [f"{name}_f", f"{name}_cell1"], f"{name}_keep")
    g.op("Mul", [f"{name}_i", f"{name}_ct"], f"{name}_new")
    g.op("Add", [f"{name}_keep", f"{name}_new"], f"{name}_cell2")
    g.op("Tanh", [f"{name}_cell2"], f"{name}_cell2t")
    return g.op("Mul", [f"{name}_o", f"{name}_cell2t"], name)


def bcdu(net, size, ranges=None):
    """BCDU-Net as ONNX, batch 1, (1, 1, size, size) -> the same. With `ranges`: int8."""
    g = Graph("bcdu", None if ranges is None else dict(ranges))
    c1 = _pair(g, "input", net.c1, "c1")
    c2 = _pair(g, g.pool(c1, "p1"), net.c2, "c2")
    c3 = _pair(g, g.pool(c2, "p2"), net.c3, "c3")
    d1 = _pair(g, g.pool(c3, "p3"), net.d1, "d1")
    d2 = _pair(g, d1, net.d2, "d2")
    both = g.op("Concat", [g.floated(d2), g.floated(d1)], "d21", axis=1)
    y = _pair(g, both, net.d3, "d3")
    for n, skip in ((6, c3), (7, c2), (8, c1)):
        weight, bias = (_np(t) for t in getattr(net, f"u{n}").folded())
        up = g.up(y, weight, bias, f"u{n}")
        y = _lstm(g, skip, up, getattr(net, f"l{n}"), f"l{n}")
        y = _pair(g, y, getattr(net, f"c{n}"), f"c{n}", float_last=n == 8)
    y = g.conv(y, _np(net.out.weight), _np(net.out.bias), "logit", relu=False, pad=0, int8=False)
    g.op("Sigmoid", [y], "output")
    shape = [1, 1, size, size]
    return g.model([helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
                   [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)])


def cnn(net, size, half=True):
    """The 3D CNN: (1, 1, 50, size, size) -> probabilities, logits, features. Weights may rest as f16."""
    g = Graph("cnn")

    def weight(name, t):
        value = _np(t)
        if not half:
            return g.const(name, value)
        g.const(name + "_h", value.astype(np.float16))
        return g.op("Cast", [name + "_h"], name, to=TensorProto.FLOAT)

    x = "input"
    for n, conv in enumerate(net.convs):
        pad = 0 if n == 0 else 1
        g.op("Conv", [x, weight(f"k{n}_w", conv.weight), weight(f"k{n}_b", conv.bias)], f"k{n}_pre",
             kernel_shape=[3] * 3, pads=[pad] * 6, strides=[1] * 3)
        x = g.op("Relu", [f"k{n}_pre"], f"k{n}")
        if n % 2:
            x = g.op("MaxPool", [x], f"k{n}_pool", kernel_shape=[2] * 3, strides=[2] * 3)
    x = g.op("Flatten", [x], "flat", axis=1)
    g.op("Gemm", [x, weight("dense_w", net.dense.weight), weight("dense_b", net.dense.bias)], "dense", transB=1)
    g.op("Relu", ["dense"], "features")
    g.op("Gemm", ["features", weight("head_w", net.head.weight), weight("head_b", net.head.bias)], "logits", transB=1)
    g.op("Softmax", ["logits"], "output", axis=1)
    info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    return g.model([info("input", [1, 1, 50, size, size])],
                   [info("output", [1, 3]), info("logits", [1, 3]), info("features", [1, 32])])
