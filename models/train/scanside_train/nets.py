"""The two networks, in PyTorch, with the layer sizes of the published system.

BCDU-Net is the D3 variant at half width. Its three ConvLSTMs read two steps (the upsampled map
first, the skip second) from a zero state, so the first step needs no forget gate and no recurrent
convolution. The 3D CNN sees the signed difference of 50 slices. Both are written from a
description of their layers; no published weight is read here.
"""

import copy
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

# Keras' default for BatchNormalization; PyTorch's is 1e-5 and its momentum counts the other way.
BN_EPS = 1e-3
BN_MOMENTUM = 0.01

BCDU_PARAMETERS = 5_167_365  # 5,166,917 trained and 448 running statistics
CNN_PARAMETERS = 920_715

# (layer, parameters), BN statistics counted as Keras counts them.
BCDU_LAYERS = {
    "c1": 320 + 9_248, "c2": 18_496 + 36_928, "c3": 73_856 + 147_584,
    "d1": 295_168 + 590_080, "d2": 2 * 590_080, "d3": 1_179_904 + 590_080,
    "u6": 131_200 + 512, "l6": 442_624, "c6": 73_856 + 147_584,
    "u7": 32_832 + 256, "l7": 110_720, "c7": 18_496 + 36_928,
    "u8": 8_224 + 128, "l8": 27_712, "c8": 4_640 + 9_248 + 578, "out": 3,
}
CNN_LAYERS = [224, 1_736, 3_472, 6_928, 13_856, 27_680, 55_360, 110_656, 221_312, 442_496]


def hard_sigmoid(v):
    """clip(0.2 v + 0.5, 0, 1): the old Keras form. torch's own hardsigmoid has slope 1/6."""
    return torch.clamp(0.2 * v + 0.5, 0.0, 1.0)


def _he_normal(weight, fan_in, generator):
    # Keras draws a normal cut at two sigma and widens it so that the variance is 2 / fan_in.
    std = math.sqrt(2.0 / fan_in) / 0.87962566103423978
    nn.init.trunc_normal_(weight, 0.0, std, -2 * std, 2 * std, generator=generator)


class ConvPair(nn.Sequential):
    """3x3 same convolutions, each with ReLU."""

    def __init__(self, *channels):
        layers = []
        for a, b in zip(channels, channels[1:]):
            layers += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU()]
        super().__init__(*layers)


class Up(nn.Module):
    """ConvTranspose 2x2 stride 2, batch norm, ReLU."""

    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.ConvTranspose2d(cin, cout, 2, stride=2)
        self.norm = nn.BatchNorm2d(cout, eps=BN_EPS, momentum=BN_MOMENTUM)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))

    def folded(self):
        """Kernel and bias with the batch norm in them."""
        g = self.norm.weight / torch.sqrt(self.norm.running_var + BN_EPS)
        bias = (self.conv.bias - self.norm.running_mean) * g + self.norm.bias
        return self.conv.weight * g[None, :, None, None], bias


class ConvLstm(nn.Module):
    """Two steps of a ConvLSTM, upsampled map first, last state out. Blocks in the order i, f, c, o."""

    def __init__(self, cin, f):
        super().__init__()
        self.f = f
        self.w = nn.Conv2d(cin, 4 * f, 3, padding=1)
        self.r = nn.Conv2d(f, 4 * f, 3, padding=1, bias=False)

    def first_step(self):
        """Kernel and bias of the first step: blocks i, c, o."""
        f = self.f
        keep = lambda t: torch.cat([t[:f], t[2 * f:]])
        return keep(self.w.weight), keep(self.w.bias)

    def forward(self, skip, up):
        weight, bias = self.first_step()
        i, c, o = F.conv2d(up, weight, bias, padding=1).chunk(3, 1)
        cell = hard_sigmoid(i) * torch.tanh(c)
        hidden = hard_sigmoid(o) * torch.tanh(cell)
        i, f, c, o = (self.w(skip) + self.r(hidden)).chunk(4, 1)
        cell = hard_sigmoid(f) * cell + hard_sigmoid(i) * torch.tanh(c)
        return hard_sigmoid(o) * torch.tanh(cell)


class Drop(nn.Module):
    """Dropout. Its bits come from a numpy generator that the caller sets before a step:
    one seed gives one result with any number of threads, and cheap bits save a fifth of a step."""

    def __init__(self, share=0.5):
        super().__init__()
        self.share = share
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        if not self.training:
            return x
        if self.share != 0.5:
            keep = self.rng.random(x.shape, np.float32) >= self.share
            return x * (torch.from_numpy(keep).to(x.device) / (1 - self.share)).to(x.dtype)
        bits = np.unpackbits(np.frombuffer(self.rng.bytes((x.numel() + 7) // 8), np.uint8))[:x.numel()]
        b, c, h, w = x.shape
        keep = torch.from_numpy(bits).view(b, h, w, c).permute(0, 3, 1, 2).to(x.device)
        return x * (keep * 2).to(x.dtype)


class BcduNet(nn.Module):
    """Slice in, the same slice without infection out. Any side that 8 divides."""

    def __init__(self):
        super().__init__()
        self.c1, self.c2, self.c3 = ConvPair(1, 32, 32), ConvPair(32, 64, 64), ConvPair(64, 128, 128)
        self.d1, self.d2, self.d3 = ConvPair(128, 256, 256), ConvPair(256, 256, 256), ConvPair(512, 256, 256)
        self.u6, self.l6, self.c6 = Up(256, 128), ConvLstm(128, 64), ConvPair(64, 128, 128)
        self.u7, self.l7, self.c7 = Up(128, 64), ConvLstm(64, 32), ConvPair(32, 64, 64)
        self.u8, self.l8, self.c8 = Up(64, 32), ConvLstm(32, 16), ConvPair(16, 32, 32, 2)
        self.out = nn.Conv2d(2, 1, 1)
        self.drop = Drop()

    def logits(self, x):
        c1 = self.c1(x)
        c2 = self.c2(F.max_pool2d(c1, 2))
        c3 = self.c3(F.max_pool2d(c2, 2))
        d1 = self.drop(self.d1(F.max_pool2d(c3, 2)))
        d2 = self.drop(self.d2(d1))
        d3 = self.drop(self.d3(torch.cat([d2, d1], 1)))
        y = self.c6(self.l6(self.drop(c3), self.u6(d3)))
        y = self.c7(self.l7(c2, self.u7(y)))
        y = self.c8(self.l8(c1, self.u8(y)))
        return self.out(y)

    def forward(self, x):
        return torch.sigmoid(self.logits(x))

    @torch.no_grad()
    def start(self, seed):
        """Fresh weights from a seed, as the published recipe draws them."""
        g = torch.Generator().manual_seed(seed)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                _he_normal(module.weight, module.weight[0].numel(), g)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.ConvTranspose2d):
                _he_normal(module.weight, 4 * module.weight.shape[1], g)  # Keras counts Cout here
                module.bias.zero_()
        for lstm in (self.l6, self.l7, self.l8):
            nn.init.orthogonal_(lstm.r.weight.view(4 * lstm.f, -1), generator=g)
            lstm.w.bias[lstm.f:2 * lstm.f] = 1.0  # remember by default
        # Two channels behind a ReLU carry the whole picture and can die: they start alive, with
        # opposite signs, inside the bounds of glorot.
        self.c8[-2].bias.fill_(0.5)
        self.out.weight.copy_(torch.tensor([1.2, -1.2]).view(1, 2, 1, 1))
        self.out.bias.fill_(-1.0)  # most of a slice is air
        return self


class Cnn(nn.Module):
    """Difference cube (50, S, S) in, three class logits out; the first convolution is unpadded.

    The flatten is channel first (c, z, y, x): the dense kernel is trained in that order.
    """

    WIDTHS = (8, 8, 16, 16, 32, 32, 64, 64, 128, 128)

    def __init__(self, size=128):
        super().__init__()
        self.convs, cin = nn.ModuleList(), 1
        for n, cout in enumerate(self.WIDTHS):
            self.convs.append(nn.Conv3d(cin, cout, 3, padding=0 if n == 0 else 1))
            cin = cout
        side = (size - 2) // 32
        self.dense = nn.Linear(128 * side * side, 32)  # 48 >> 5 = 1 in z
        self.head = nn.Linear(32, 3)
        self.drop = Drop(0.3)

    # The first four convolutions are the stem, the others and the dense layers the crown.
    STEM = 4

    def normed(self, n, x):
        return x

    def layers(self, x, first, last):
        for n in range(first, last):
            x = F.relu(self.normed(n, self.convs[n](x)))
            if n % 2:
                x = F.max_pool3d(x, 2)
        return x

    def stem(self, x):
        return self.layers(x, 0, self.STEM)

    def crown(self, x):
        return F.relu(self.dense(self.layers(x, self.STEM, len(self.convs)).flatten(1)))

    def features(self, x):
        return self.crown(self.stem(x))

    def forward(self, x):
        return self.head(self.drop(self.features(x)))

    @torch.no_grad()
    def start(self, seed):
        g = torch.Generator().manual_seed(seed)
        for layer in [*self.convs, self.dense]:
            bound = math.sqrt(6.0 / layer.weight[0].numel())
            layer.weight.uniform_(-bound, bound, generator=g)
            layer.bias.zero_()
        # Answers start near even. With a full-sized head the first steps are wrong and sure of it, and the quickest way
        # out is to switch the dense layer off, from which it does not come back.
        nn.init.xavier_uniform_(self.head.weight, gain=0.05, generator=g)
        self.head.bias.zero_()
        return self


class NormedCnn(Cnn):
    """The CNN as it is trained: batch norm behind the convolutions of the crown, a stem that starts as filters.

    Ten plain layers lose the little that differs between two chests and end at a constant answer.
    `folded` gives the plain network back, the same to rounding.
    """

    def __init__(self, size=128):
        super().__init__(size)
        self.size = size
        # Half a batch of twelve cubes says little of a mean: the statistics that ship are those of some thirty steps.
        self.norms = nn.ModuleList(nn.BatchNorm3d(c, momentum=0.03) for c in self.WIDTHS[self.STEM:])

    def crown_parameters(self):
        in_stem = lambda name: name.startswith("convs.") and int(name.split(".")[1]) < self.STEM
        return [p for name, p in self.named_parameters() if not in_stem(name)]

    def normed(self, n, x):
        return self.norms[n - self.STEM](x) if n >= self.STEM else x

    @torch.no_grad()
    def start_stem(self):
        """Starts the stem as a bank of smoothing filters: how dense, how large, how fine a difference is.

        Every filter is symmetric, so that a flip of the cube is a flip of the stem's output. The gain
        of ten brings differences of hundredths to order one; biases cut at steps of density.
        """
        line = torch.tensor([0.25, 0.5, 0.25])
        smooth = line[:, None, None] * line[None, :, None] * line[None, None, :]
        box, point = torch.full((3, 3, 3), 1 / 27), torch.zeros(3, 3, 3)
        point[1, 1, 1] = 1
        k0, k1, k2, k3 = self.convs[:4]
        drawn = [conv.weight.clone() for conv in (k0, k1, k2, k3)]
        for conv in (k0, k1, k2, k3):
            conv.weight.zero_(), conv.bias.zero_()
        bank = [(smooth, 0), (-smooth, 0), (smooth, 0.5), (smooth, 1.0), (point - box, 0), (box - point, 0), (smooth, 2.0), (box, 0.3)]
        for n, (kernel, cut) in enumerate(bank):
            k0.weight[n, 0], k0.bias[n] = 10 * kernel, -cut
            k1.weight[n, n] = smooth
            k2.weight[n, n] = smooth
        for n, (source, kernel, cut) in enumerate([(0, box, 0.5), (2, box, 0.5), (3, box, 0.5), (6, box, 0.5),
                                                   (0, point - box, 0), (3, point - box, 0), (4, point - box, 0), (1, point - box, 0)]):
            k2.weight[8 + n, source], k2.bias[8 + n] = kernel, -cut
        for n in range(16):
            k3.weight[n, n] = smooth if n < 8 else point
        # A little of the random start in every kernel, so that no two weights stay alike for ever.
        for conv, draw in zip((k0, k1, k2, k3), drawn):
            conv.weight.add_(0.05 * draw)
        return self

    @torch.no_grad()
    def folded(self):
        plain = Cnn(self.size).to(self.head.weight.device)
        plain.dense, plain.head = copy.deepcopy(self.dense), copy.deepcopy(self.head)
        plain.convs = copy.deepcopy(self.convs)
        for conv, norm in zip(plain.convs[self.STEM:], self.norms):
            g = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            conv.weight.mul_(g[:, None, None, None, None])
            conv.bias.copy_((conv.bias - norm.running_mean) * g + norm.bias)
        return plain.eval()


def count(module):
    """Parameters as Keras counts them: trained ones and BN statistics."""
    statistics = sum(b.numel() for name, b in module.named_buffers() if "running" in name)
    return sum(p.numel() for p in module.parameters()) + statistics
