"""Quantization-aware fine-tuning of BCDU-Net: the int8 network learns to answer what the fp32 one answers.

The fp32 network is the teacher and stays as it is. The student starts as its copy, computes with the
roundings of the int8 graph (the straight-through estimate for their gradients) and learns kernels,
biases and the ranges of its activations. What counts is what the 3D CNN sees: its first layers are
smoothing filters, so that an error spread over many pixels moves it and a lone one does not.
"""

import copy
import math
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from . import denoise, export, nets, quantize

# Sides of the squares whose mean error counts beside that of the single pixel, and how much each does.
SQUARES = {1: 1.0, 4: 8.0, 16: 32.0}
# Activation ranges move this much slower than weights.
RANGE_RATE = 0.3
# Steps between checkpoints.
KEEP_EVERY = 50


def steps_of(x):
    """Rounded, with the gradient of the unrounded."""
    return x + (x.round() - x).detach()


def weight_steps(w, dims):
    """A kernel as s8 has it, one scale per output channel; `dims` are the others."""
    scale = w.detach().abs().amax(dims, keepdim=True).clamp_min(1e-8) / 127
    return steps_of(w / scale).clamp(-127, 127) * scale


def frozen(net):
    """A copy whose batch norms are folded into the transposed convolutions."""
    net = copy.deepcopy(net).eval()
    with torch.no_grad():
        for n in (6, 7, 8):
            up = getattr(net, f"u{n}")
            weight, bias = up.folded()
            up.conv.weight.copy_(weight), up.conv.bias.copy_(bias)
            up.norm.running_mean.zero_(), up.norm.running_var.fill_(1 - nets.BN_EPS)
            up.norm.weight.fill_(1), up.norm.bias.zero_()
    return net


def convs(pair):
    return [m for m in pair if hasattr(m, "weight")]


@torch.no_grad()
def equalized(net, slices):
    """The same function with channels of more even range: behind a ReLU a channel may be scaled down and the
    kernels that read it scaled up. u8 has one range per tensor, and small channels drown in its steps.
    A ConvLSTM reads its skip and its upsampled map through one kernel, so these two go together."""
    net = frozen(net)
    c7, c8 = convs(net.c7), convs(net.c8)
    c1, c2 = convs(net.c1), convs(net.c2)
    # What is scaled, and what reads it.
    sites = [([c1[0]], [c1[1]]), ([c2[0]], [c2[1]]), ([c1[1], net.u8.conv], [c2[0], net.l8.w]),
             ([c2[1], net.u7.conv], [convs(net.c3)[0], net.l7.w]),
             ([c7[0]], [c7[1]]), ([c7[1]], [net.u8.conv]), ([c8[0]], [c8[1]]), ([c8[1]], [c8[2]])]
    seen, hooks = {}, []
    for made in {m for site, _ in sites for m in site}:
        note = lambda m, _, y: seen.setdefault(m, []).append(F.relu(y).transpose(0, 1).flatten(1)[:, ::7])
        hooks.append(made.register_forward_hook(note))
    for s in slices:
        net(torch.from_numpy(s)[None, None])
    for hook in hooks:
        hook.remove()
    top = {m: torch.cat(y, 1).kthvalue(int(0.9999 * len(y) * y[0].shape[1]), 1).values for m, y in seen.items()}
    along = lambda m, reads: (-1, 1, 1, 1) if isinstance(m, nn.ConvTranspose2d) == reads else (1, -1, 1, 1)
    for made, read in sites:
        share = torch.stack([top[m] / top[m].max() for m in made]).amax(0)
        factor = share.clamp_min(0.03).sqrt()
        for m in made:
            m.weight.div_(factor.view(along(m, False))), m.bias.div_(factor)
            top[m] = top[m] / factor
        for m in read:
            m.weight.mul_(factor.view(along(m, True)))
    return net


class Student(nn.Module):
    """BCDU-Net with the roundings of `export.bcdu(net, size, ranges)`."""

    def __init__(self, net, ranges):
        super().__init__()
        self.net = frozen(net)
        # A pool has the range of what it reads.
        self.names = [n for n in ranges if n not in ("input", "p1", "p2", "p3")]
        self.spans = {n: (min(0.0, lo), max(0.0, hi)) for n, (lo, hi) in ranges.items()}
        # The zero point stays; a range grows and shrinks as a whole.
        self.factors = nn.ParameterDict({n: nn.Parameter(torch.zeros(())) for n in self.names})

    def ranges(self):
        """What `export.bcdu` is to be given."""
        grown = lambda n: float(self.factors[n].detach().exp()) if n in self.factors else 1.0
        return {n: (lo * grown(n), hi * grown(n)) for n, (lo, hi) in self.spans.items()}

    def learned(self, rate):
        """Parameter groups of the optimiser."""
        weights = [p for n, p in self.net.named_parameters() if ".norm." not in n]
        return [{"params": weights, "top": rate}, {"params": list(self.factors.values()), "top": rate * RANGE_RATE}]

    def u8(self, x, name):
        lo, hi = self.spans[name]
        scale = max(hi - lo, 1e-6) / 255
        zero = min(255, max(0, round(-lo / scale)))
        if name in self.factors:
            scale = scale * self.factors[name].exp()
        return (steps_of(x / scale).clamp(-zero, 255 - zero)) * scale

    def pair(self, x, pair, name):
        for letter, conv in zip("abc", convs(pair)):
            if name + letter == "c8c":  # in float
                return F.relu(F.conv2d(x, conv.weight, conv.bias, padding=1))
            x = F.relu(F.conv2d(x, weight_steps(conv.weight, (1, 2, 3)), conv.bias, padding=1))
            x = self.u8(x, name + letter)
        return x

    def up(self, x, up, name):
        y = F.conv_transpose2d(x, weight_steps(up.conv.weight, (0,)), up.conv.bias, stride=2)
        return self.u8(F.relu(y), name)

    def lstm(self, skip, up, lstm, name):
        f, w, hs = lstm.f, weight_steps(lstm.w.weight, (1, 2, 3)), nets.hard_sigmoid
        keep = lambda t: torch.cat([t[:f], t[2 * f:]])
        i, c, o = F.conv2d(up, keep(w), keep(lstm.w.bias), padding=1).chunk(3, 1)
        cell = hs(i) * torch.tanh(c)
        hidden = self.u8(hs(o) * torch.tanh(cell), name + "_hidden1")
        sums = F.conv2d(skip, w, lstm.w.bias, padding=1) + F.conv2d(hidden, weight_steps(lstm.r.weight, (1, 2, 3)), padding=1)
        i, g, c, o = sums.chunk(4, 1)
        cell = hs(g) * cell + hs(i) * torch.tanh(c)
        return self.u8(hs(o) * torch.tanh(cell), name)

    def forward(self, x, deep=None):
        """Reconstruction of x. With `deep`, the output of c6, only what has full and half resolution is
        worked out: the rest adds a hundredth of the error and most of the time."""
        net = self.net
        c1 = self.pair(self.u8(x, "input"), net.c1, "c1")
        c2 = self.pair(F.max_pool2d(c1, 2), net.c2, "c2")
        if deep is None:
            c3 = self.pair(F.max_pool2d(c2, 2), net.c3, "c3")
            d1 = self.pair(F.max_pool2d(c3, 2), net.d1, "d1")
            d2 = self.pair(d1, net.d2, "d2")
            y = self.pair(self.u8(torch.cat([d2, d1], 1), "d21"), net.d3, "d3")
            skips = ((6, c3), (7, c2), (8, c1))
        else:
            y, skips = self.u8(deep, "c6b"), ((7, c2), (8, c1))
        for n, skip in skips:
            up = self.up(y, getattr(net, f"u{n}"), f"u{n}")
            y = self.lstm(skip, up, getattr(net, f"l{n}"), f"l{n}")
            y = self.pair(y, getattr(net, f"c{n}"), f"c{n}")
        return torch.sigmoid(net.out(y))


def distance(said, wanted, lungs):
    """Squared error of pixels and of the means of squares, heavier inside the lungs."""
    error, weight = said - wanted, 1 + denoise.LUNG_WEIGHT * lungs
    total = 0.0
    for side, share in SQUARES.items():
        e, w = (F.avg_pool2d(t, side) if side > 1 else t for t in (error, weight))
        total = total + share * (w * e * e).mean()
    return total


def student(net, size, slices):
    """The int8 network before it learns: even channels, and ranges that `slices` choose."""
    even = equalized(net, slices)
    return Student(even, quantize.ranges(quantize.collect(export.bcdu(even, size), slices), "percentile"))


@torch.no_grad()
def lessons(teacher, batches, log=print):
    """Per slice: input, lungs, what the teacher answers, and what its c6 gives. `batches` yields tensors of input and lungs."""
    teacher, found = frozen(teacher), []
    keep = {}
    hook = teacher.c6.register_forward_hook(lambda m, _, y: keep.update(deep=y))
    for xs, ms in batches:
        for x, m in zip(xs.clamp(0, 1), ms):
            found.append((x, m.float(), teacher(x[None])[0], keep["deep"][0].half()))
    hook.remove()
    return found


def train(student, learned_from, steps, path, seed=1, rate=1e-4, minutes=None, log=print):
    """On slices from `lessons`. Adam, cosine. Resumes from `path`; returns the mean loss per 50 steps."""
    twins = [student] + [copy.deepcopy(student) for _ in range(denoise.PARTS - 1)]
    groups = student.learned(rate)
    adam = torch.optim.Adam(groups, rate)
    state = {"step": 0, "losses": [], "seconds": 0.0}
    if path.exists():
        saved = torch.load(path, weights_only=False)
        student.load_state_dict(saved["student"]), adam.load_state_dict(saved["adam"])
        state = saved["state"]
    pool, share = ThreadPoolExecutor(denoise.PARTS), denoise.BATCH // denoise.PARTS

    def backward(step, part):
        torch.set_num_threads(1)
        order = np.random.default_rng([seed, step * denoise.BATCH // len(learned_from)]).permutation(len(learned_from))
        at = step * denoise.BATCH + part * share
        x, m, wanted, deep = (torch.stack(t).float().contiguous(memory_format=torch.channels_last)
                              for t in zip(*(learned_from[order[(at + n) % len(order)]] for n in range(share))))
        loss = distance(twins[part](x, deep), wanted, m)
        twins[part].zero_grad(set_to_none=True)
        (loss / denoise.PARTS).backward()
        return float(loss.detach())

    begun, window = time.time() - state["seconds"], []
    bar = tqdm(total=steps, initial=state["step"], desc="aware")
    while state["step"] < steps:
        step = state["step"]
        done = max(step / steps, state["seconds"] / (60 * minutes) if minutes else 0)
        if done >= 1:
            break
        for group in adam.param_groups:
            group["lr"] = group["top"] * min(1.0, (step + 1) / 10) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        for twin in twins[1:]:
            twin.load_state_dict(student.state_dict())
        found = list(pool.map(lambda part: backward(step, part), range(denoise.PARTS)))
        for twin in twins[1:]:
            for p, q in zip(student.parameters(), twin.parameters()):
                if p.grad is not None:
                    p.grad += q.grad
        adam.step()
        window.append(sum(found) / len(found))
        state["step"] += 1
        state["seconds"] = time.time() - begun
        bar.update()
        if state["step"] % KEEP_EVERY == 0 or state["step"] == steps or (minutes and state["seconds"] >= 60 * minutes):
            state["losses"].append([state["step"], float(f"{sum(window) / len(window):.4g}")])
            log(f"aware step {state['step']} loss {state['losses'][-1][1]:.3g} {state['seconds']:.0f} s")
            window = []
            part = path.with_suffix(".tmp")
            torch.save({"student": student.state_dict(), "adam": adam.state_dict(), "state": state}, part)
            part.rename(path)
    return state
