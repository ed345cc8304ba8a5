"""The networks back out of a bundle, to go on training where only the bundle is at hand.

BCDU-Net's weights come back rounded to s8 and the 3D CNN's to f16; training mends that. Both forms are read: one scale per tensor
with ConvTranspose in float (bundles up to 0.2.0), and the form that `export` writes.
"""

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from . import nets


def read(path):
    """A network with the weights of the int8 graph at `path`."""
    held = {i.name: numpy_helper.to_array(i) for i in onnx.load(str(path)).graph.initializer}
    net = nets.BcduNet()
    column = lambda v: np.asarray(v, np.float32).reshape(-1, 1, 1, 1)

    def kernel(name, x):
        """Kernel and bias of a QLinearConv; `x` is the tensor that it reads."""
        w = held[name + "_w"].astype(np.float32) * column(held[name + "_ws"])
        b = held[name + "_b"] * (held[x + "_scale"] * held[name + "_ws"]).astype(np.float32)
        return w, b

    def put(parameter, value):
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(np.array(value, np.float32)))

    pairs = {"c1": ("input", "c1a"), "c2": ("p1", "c2a"), "c3": ("p2", "c3a"), "d1": ("p3", "d1a"), "d2": ("d1b", "d2a"),
             "d3": ("d21", "d3a"), "c6": ("l6", "c6a"), "c7": ("l7", "c7a"), "c8": ("l8", "c8a")}
    scale_of = lambda x: next(n for n in (x, {"p1": "c1b", "p2": "c2b", "p3": "c3b"}.get(x, x)) if n + "_scale" in held)
    for name, (x, _) in pairs.items():
        convs = [m for m in getattr(net, name) if hasattr(m, "weight")]
        for conv, letter in zip(convs, "abc"):
            out = name + letter
            w, b = kernel(out, scale_of(x)) if out + "_ws" in held else (held[out + "_w"], held[out + "_b"])
            put(conv.weight, w), put(conv.bias, b)
            x = out
    put(net.out.weight, held["logit_w"]), put(net.out.bias, held["logit_b"])

    for n, x in ((6, "d3b"), (7, "c6b"), (8, "c7b")):
        up = getattr(net, f"u{n}")
        w, b = held[f"u{n}_w"], held[f"u{n}_b"]
        if f"u{n}_ws" in held:
            w, b = kernel(f"u{n}", x)
            cout = len(b) // 4
            w, b = w.reshape(2, 2, cout, -1).transpose(3, 2, 0, 1), b[:cout]
        put(up.conv.weight, w), put(up.conv.bias, b)
        # The batch norm is folded into the kernel: here it changes nothing. `settle` gives it statistics.
        with torch.no_grad():
            up.norm.running_var.fill_(1 - nets.BN_EPS)

        lstm, f = getattr(net, f"l{n}"), getattr(net, f"l{n}").f
        back = np.r_[0:2 * f, 3 * f:4 * f, 2 * f:3 * f]  # (i, f, o, c) to (i, f, c, o)
        if f"l{n}_b" in held:  # sums in float; their scale is the input's times the kernel's
            unscaled = lambda layer, of: held[layer + "_w"] * (held[layer + "_ws"].reshape(-1, 1, 1, 1) / held[of + "_scale"])
            w, b = unscaled(f"l{n}_s", {6: "c3b", 7: "c2b", 8: "c1b"}[n]), held[f"l{n}_b"].ravel()
            r = unscaled(f"l{n}_r", f"l{n}_hidden1")
        else:
            w, b = kernel(f"l{n}_s", {6: "c3b", 7: "c2b", 8: "c1b"}[n])
            r, _ = kernel(f"l{n}_r", f"l{n}_hidden1")
        put(lstm.w.weight, w[back]), put(lstm.w.bias, b[back]), put(lstm.r.weight, r[back])
    return net.eval()


@torch.no_grad()
def settle(net, slices):
    """Gives the folded batch norms the statistics of `slices` (n, 1, S, S): the function stays, and
    training, which normalises by what it sees, starts from the same one."""
    seen = {}
    hooks = [getattr(net, f"u{n}").conv.register_forward_hook(lambda m, _, y, n=n: seen.setdefault(n, []).append(y)) for n in (6, 7, 8)]
    for s in slices:
        net(s[None])
    for hook in hooks:
        hook.remove()
    for n in (6, 7, 8):
        y, norm = torch.cat(seen[n]), getattr(net, f"u{n}").norm
        norm.running_mean.copy_(y.mean((0, 2, 3)))
        norm.running_var.copy_(y.var((0, 2, 3)))
        norm.weight.copy_(torch.sqrt(norm.running_var + nets.BN_EPS))
        norm.bias.copy_(norm.running_mean)
    return net


def read_cnn(path, size=128):
    """The 3D CNN of a bundle; its batch norms are folded into its kernels."""
    held = {i.name: numpy_helper.to_array(i).astype(np.float32) for i in onnx.load(str(path)).graph.initializer}
    of = lambda name: torch.from_numpy(np.array(held.get(name + "_h", held.get(name))))
    net = nets.Cnn(size)
    with torch.no_grad():
        for n, conv in enumerate(net.convs):
            conv.weight.copy_(of(f"k{n}_w")), conv.bias.copy_(of(f"k{n}_b"))
        for name in ("dense", "head"):
            getattr(net, name).weight.copy_(of(name + "_w")), getattr(net, name).bias.copy_(of(name + "_b"))
    return net.eval()


@torch.no_grad()
def unfold(plain, size, cubes):
    """The CNN as it is trained, computing what `plain` computes; its batch norms hold the statistics of `cubes`."""
    net = nets.NormedCnn(size)
    for name in ("convs", "dense", "head"):
        getattr(net, name).load_state_dict(getattr(plain, name).state_dict())
    seen = {}
    hooks = [conv.register_forward_hook(lambda m, _, y, n=n: seen.setdefault(n, []).append((y.mean((0, 2, 3, 4)), (y * y).mean((0, 2, 3, 4)))))
             for n, conv in enumerate(plain.convs) if n >= net.STEM]
    for x in cubes:
        plain(torch.from_numpy(np.asarray(x, np.float32))[None, None])
    for hook in hooks:
        hook.remove()
    for n, norm in enumerate(net.norms):
        mean, square = (torch.stack(v).mean(0) for v in zip(*seen[n + net.STEM]))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_((square - mean * mean).clamp_min(1e-6))
        norm.weight.copy_(torch.sqrt(norm.running_var + norm.eps))
        norm.bias.copy_(mean)
    return net
