"""Writes the networks as ONNX, node by node: fp32, and BCDU-Net as static int8.

The graphs are made by hand rather than traced, because the box's engine loads only some operators
well: QLinearConv with one scale per tensor, u8 activations, s8 weights, MaxPool on u8, everything
else in float. Gates, ConvTranspose, the last two convolutions and the sigmoid stay in float.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
IR_VERSION = 8


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

    def conv(self, x, weight, bias, out, relu, pad=1, int8=True):
        """A convolution, int8 if the graph is and the layer may be. `out` names the value after ReLU."""
        attributes = dict(kernel_shape=list(weight.shape[2:]), pads=[pad] * (2 * (weight.ndim - 2)),
                          strides=[1] * (weight.ndim - 2))
        if self.ranges is not None and int8:
            x_scale, _, xs, xz = self.scale(x)
            xq = self.quantized(x)
            w_scale = np.float32(max(np.abs(weight).max(), 1e-8) / 127.0)
            wq = np.clip(np.rint(weight / w_scale), -127, 127).astype(np.int8)
            inputs = [xq, xs, xz, self.const(out + "_w", wq), self.const(out + "_ws", w_scale),
                      self.const(out + "_wz", np.int8(0))]
            if relu:  # u8 with zero point 0 saturates below zero: that is the ReLU
                self.ranges[out] = (0.0, self.ranges[out][1])
            _, _, ys, yz = self.scale(out)
            b32 = np.rint(bias / (float(x_scale) * float(w_scale)))
            b32 = np.clip(b32, -2**31 + 1, 2**31 - 1).astype(np.int32)
            inputs += [ys, yz, self.const(out + "_b", b32)]
            self.q[out] = self.op("QLinearConv", inputs, out + "_q", **attributes)
            return out
        x = self.floated(x)
        inputs = [x, self.const(out + "_w", weight.astype(np.float32)), self.const(out + "_b", bias.astype(np.float32))]
        if not relu:
            return self.op("Conv", inputs, out, **attributes)
        self.op("Conv", inputs, out + "_pre", **attributes)
        return self.op("Relu", [out + "_pre"], out)

    def pool(self, x, out):
        """2x2 max-pool; on u8 where the tensor is u8, with the same scale."""
        if x in self.q:
            _, _, s, z = self.scale(x)
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


def _pair(g, x, pair, name, last_relu=True, float_last=False):
    convs = [m for m in pair if hasattr(m, "weight")]
    for n, conv in enumerate(convs):
        int8 = not (float_last and n == len(convs) - 1)
        x = g.conv(x, _np(conv.weight), _np(conv.bias), f"{name}{'abc'[n]}", relu=True, int8=int8)
    return x


def _up(g, x, up, name):
    weight, bias = (_np(t) for t in up.folded())
    g.op("ConvTranspose", [g.floated(x), g.const(name + "_w", weight), g.const(name + "_b", bias)], name + "_pre",
         kernel_shape=[2, 2], strides=[2, 2])
    return g.op("Relu", [name + "_pre"], name)


def _lstm(g, skip, up, lstm, name):
    """The blocks leave in the order (i, o, c) and (i, f, o, c): one HardSigmoid and one Tanh per step."""
    f, w, b = lstm.f, _np(lstm.w.weight), _np(lstm.w.bias)
    r = _np(lstm.r.weight)
    i, fo, c, o = (slice(n * f, (n + 1) * f) for n in range(4))
    first, second = np.r_[i, o, c], np.r_[i, fo, o, c]
    hs = lambda x, out: g.op("HardSigmoid", [x], out, alpha=0.2, beta=0.5)
    split = lambda x, outs, sizes: g.op(
        "Split", [x, g.const(f"split_{'_'.join(map(str, sizes))}", np.array(sizes, np.int64))], outs, axis=1)

    pre = g.floated(g.conv(up, w[first], b[first], f"{name}_u", relu=False))
    split(pre, [f"{name}_u_gates", f"{name}_u_c"], [2 * f, f])
    split(hs(f"{name}_u_gates", f"{name}_u_hs"), [f"{name}_u_i", f"{name}_u_o"], [f, f])
    g.op("Tanh", [f"{name}_u_c"], f"{name}_u_ct")
    g.op("Mul", [f"{name}_u_i", f"{name}_u_ct"], f"{name}_cell1")
    g.op("Tanh", [f"{name}_cell1"], f"{name}_cell1t")
    g.op("Mul", [f"{name}_u_o", f"{name}_cell1t"], f"{name}_hidden1")

    a = g.floated(g.conv(skip, w[second], b[second], f"{name}_s", relu=False))
    h = g.floated(g.conv(f"{name}_hidden1", r[second], np.zeros(4 * f, np.float32), f"{name}_r", relu=False))
    g.op("Add", [a, h], f"{name}_pre2")
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
        up = _up(g, y, getattr(net, f"u{n}"), f"u{n}")
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
