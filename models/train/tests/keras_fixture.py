"""Keras weight files of the published layout with random weights, and what Keras would make of them.

Written from the description of the layers, with nothing of `scanside_train`: plain numpy in f64,
arrays (y, x, channel) and (z, y, x, channel) as Keras has them.
"""

import numpy as np

# Keras numbers names on through a session; the published files do not begin at 1 either.
FIRST = {"conv2d": 24, "conv2d_transpose": 4, "batch_normalization": 4, "conv_lst_m2d": 4, "conv3d": 11, "dense": 3}


class Drawer:
    """Draws layers in the file's order."""

    def __init__(self, seed):
        self.rng, self.count, self.layers = np.random.default_rng(seed), dict(FIRST), []

    def add(self, kind, **weights):
        n = self.count[kind]
        self.count[kind] += 1
        self.layers.append((f"{kind}_{n}", {k: v.astype(np.float32) for k, v in weights.items()}))

    def normal(self, shape, fan_in):
        return self.rng.normal(0, np.sqrt(2 / fan_in), shape)

    def conv(self, kind, k, cin, cout, dims):
        self.add(kind, kernel=self.normal((*[k] * dims, cin, cout), cin * k**dims), bias=self.rng.normal(0, 0.1, cout))


def bcdu_layers(seed=1):
    d = Drawer(seed)
    pair = lambda *c: [d.conv("conv2d", 3, a, b, 2) for a, b in zip(c, c[1:])]
    for c in ((1, 32, 32), (32, 64, 64), (64, 128, 128), (128, 256, 256), (256, 256, 256), (512, 256, 256)):
        pair(*c)
    for cin, cout, tail in ((256, 128, (64, 128, 128)), (128, 64, (32, 64, 64)), (64, 32, (16, 32, 32, 2))):
        d.add("conv2d_transpose", kernel=d.normal((2, 2, cout, cin), cin), bias=d.rng.normal(0, 0.1, cout))
        variance = 10 ** d.rng.uniform(-3.5, 0, cout)  # small enough that epsilon shows
        d.add("batch_normalization", gamma=d.rng.uniform(0.5, 1.5, cout) * np.sqrt(variance), beta=d.rng.normal(0, 0.2, cout),
              moving_mean=d.rng.normal(0, 0.3, cout), moving_variance=variance)
        f = cout // 2
        d.add("conv_lst_m2d", kernel=d.normal((3, 3, cout, 4 * f), 9 * cout), recurrent_kernel=d.normal((3, 3, f, 4 * f), 9 * f),
              bias=d.rng.normal(0, 0.3, 4 * f))
        pair(*tail)
    d.layers[-1][1]["bias"][:] = 0.5  # the two last channels start alive
    d.conv("conv2d", 1, 2, 1, 2)
    return d.layers


def cnn_layers(seed=2, size=128):
    d, cin = Drawer(seed), 1
    for c in (8, 8, 16, 16, 32, 32, 64, 64, 128, 128):
        d.conv("conv3d", 3, cin, c, 3)
        cin = c
    rows = 128 * ((size - 2) // 32) ** 2
    for a, b in ((rows, 32), (32, 3)):
        d.add("dense", kernel=d.normal((a, b), a), bias=d.rng.normal(0, 0.1, b))
    return d.layers


def save(path, layers, version="2.3.1", whole=False, config=None):
    """As `save_weights` writes, or `save` with whole=True; layers without weights stand between."""
    import json

    import h5py
    with h5py.File(path, "w") as file:
        top = file.create_group("model_weights") if whole else file
        names = ["input_1"]
        top.create_group("input_1").attrs["weight_names"] = np.array([], "S1")
        for n, (name, weights) in enumerate(layers):
            group = top.create_group(name)
            full = {k: f"{name}/{k}:0" for k in weights}
            group.attrs["weight_names"] = [v.encode() for v in full.values()]
            for k, v in weights.items():
                group.create_dataset(full[k], data=v)
            names.append(name)
            if n % 3 == 0:
                names.append(f"max_pooling_{n}")
                top.create_group(names[-1]).attrs["weight_names"] = np.array([], "S1")
        top.attrs["layer_names"] = [n.encode() for n in names]
        top.attrs["keras_version"], top.attrs["backend"] = version.encode(), b"tensorflow"
        if config:
            file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": {"layers": config}}).encode()


# -- what Keras computes -------------------------------------------------------------------------

def conv(x, kernel, bias=None, padding="same"):
    """Cross-correlation in two or three dimensions, stride 1."""
    dims, k = kernel.ndim - 2, kernel.shape[0]
    if padding == "same":
        x = np.pad(x, [(k // 2, k // 2)] * dims + [(0, 0)])
    shape = [n - k + 1 for n in x.shape[:dims]]
    out = np.zeros((*shape, kernel.shape[-1]))
    for tap in np.ndindex(*kernel.shape[:dims]):
        out += x[tuple(slice(t, t + n) for t, n in zip(tap, shape))] @ kernel[tap].astype(np.float64)
    return out if bias is None else out + bias


def relu(x):
    return np.maximum(x, 0)


def pool(x):
    dims = x.ndim - 1
    x = x[tuple(slice(0, n // 2 * 2) for n in x.shape[:dims])]
    split = [m for n in x.shape[:dims] for m in (n // 2, 2)]
    return x.reshape(*split, x.shape[-1]).max(axis=tuple(range(1, 2 * dims, 2)))


def conv_transpose(x, kernel, bias):
    h, w, _ = x.shape
    out = np.zeros((2 * h, 2 * w, kernel.shape[2]))
    for a in range(2):
        for b in range(2):
            out[a::2, b::2] = x @ kernel[a, b].T.astype(np.float64)
    return out + bias


def batch_norm(x, w, epsilon=1e-3):
    return (x - w["moving_mean"]) / np.sqrt(w["moving_variance"].astype(np.float64) + epsilon) * w["gamma"] + w["beta"]


def conv_lstm(sequence, w, go_backwards=True, order="ifco", slope=0.2):
    """ConvLSTM2D over a sequence from a zero state; the last output. Every step does all of it."""
    hard = lambda v: np.clip(slope * v + 0.5, 0, 1)
    f = w["recurrent_kernel"].shape[2]
    hidden = cell = np.zeros((*sequence[0].shape[:2], f))
    for x in sequence[::-1] if go_backwards else sequence:
        z = conv(x, w["kernel"], w["bias"]) + conv(hidden, w["recurrent_kernel"])
        block = {gate: z[..., n * f:(n + 1) * f] for n, gate in enumerate(order)}
        cell = hard(block["f"]) * cell + hard(block["i"]) * np.tanh(block["c"])
        hidden = hard(block["o"]) * np.tanh(cell)
    return hidden


def run_bcdu(layers, x, epsilon=1e-3, **lstm):
    """x (y, x) -> the reconstruction (y, x)."""
    rest = iter([w for _, w in layers])

    def convs(y, n):
        for _ in range(n):
            w = next(rest)
            y = relu(conv(y, w["kernel"], w["bias"]))
        return y

    c1 = convs(x[..., None].astype(np.float64), 2)
    c2 = convs(pool(c1), 2)
    c3 = convs(pool(c2), 2)
    d1 = convs(pool(c3), 2)
    d2 = convs(d1, 2)
    y = convs(np.concatenate([d2, d1], -1), 2)
    for skip, n in ((c3, 2), (c2, 2), (c1, 3)):
        w = next(rest)
        up = relu(batch_norm(conv_transpose(y, w["kernel"], w["bias"]), next(rest), epsilon))
        y = convs(conv_lstm([skip, up], next(rest), **lstm), n)
    w = next(rest)
    return 1 / (1 + np.exp(-conv(y, w["kernel"], w["bias"])[..., 0]))


def run_cnn(layers, x, channels_first=False):
    """x (z, y, x) -> three logits and 32 features."""
    weights = [w for _, w in layers]
    y = x[..., None].astype(np.float64)
    for n, w in enumerate(weights[:10]):
        y = relu(conv(y, w["kernel"], w["bias"], "valid" if n == 0 else "same"))
        if n % 2:
            y = pool(y)
    flat = y.transpose(3, 0, 1, 2).ravel() if channels_first else y.ravel()
    features = relu(flat @ weights[10]["kernel"] + weights[10]["bias"])
    return features @ weights[11]["kernel"] + weights[11]["bias"], features
