"""Trains the 3D CNN on difference cubes, in two parts. First the crown alone: the stem starts as a bank
of smoothing filters, its output is computed once per cube, and a step costs a tenth. Then the whole
network, stem and all, at a lower rate on freshly augmented cubes. Then fixes what the card says about
its answers: temperature, thresholds, and the distance to the training features."""

import copy
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage, optimize
from torch.nn import functional as F
from tqdm import tqdm

from . import cohort, cubes, lungs, nets, recover, splits

# A step's batch, worked on in parts, one thread each.
BATCH, PARTS = 12, 2
# Augmented copies of each training cube whose stem output is kept for the first part.
COPIES = 3
# Rate of the second part over that of the first.
WHOLE_RATE = 0.4
# Softened targets keep the logits small where simulation and life differ.
SMOOTHING = 0.05
# Steps between looks at the validation cubes, with a checkpoint each.
JUDGE_EVERY = 50


class Set:
    """Cubes of one split in memory as float16. `scheme` says who is in which split, see `splits`."""

    def __init__(self, work, split, scheme=splits.TABLE):
        self.rows = [c for c in splits.placed(work, cubes.read_table(work), scheme) if c.split == split]
        self.x = [np.load(Path(work) / "cubes" / f"{c.name}.npy") for c in self.rows]
        self.y = np.array([cohort.LABELS.index(c.label) for c in self.rows])
        # Within a class a real source weighs as much as the phantoms, as far as it has cubes.
        self.by_class = []
        for k in range(3):
            index = np.flatnonzero(self.y == k)
            self.by_class.append(index)

    def __len__(self):
        return len(self.rows)

    def only(self, index):
        """The same with some of its cubes."""
        part = copy.copy(self)
        part.rows, part.x, part.y = [self.rows[k] for k in index], [self.x[k] for k in index], self.y[index]
        part.by_class = [np.flatnonzero(part.y == k) for k in range(3)]
        return part


def augment(rng, cube):
    """Position, scale, left and right, gain, offset, noise of a cube."""
    x = torch.from_numpy(cube.astype(np.float32))[None, None]
    zoom, aspect, flip = rng.uniform(0.85, 1.2), rng.uniform(0.93, 1.07), rng.choice([-1.0, 1.0])
    theta = torch.zeros(3, 4)
    theta[0, 0], theta[1, 1], theta[2, 2] = flip * zoom * aspect, zoom / aspect, rng.uniform(0.85, 1.15)
    theta[:, 3] = torch.tensor([rng.uniform(-0.12, 0.12), rng.uniform(-0.12, 0.12), rng.uniform(-0.12, 0.12)])
    grid = F.affine_grid(theta[None], x.shape, align_corners=False)
    x = F.grid_sample(x, grid, align_corners=False)[0, 0].numpy()
    x = x * np.float32(rng.uniform(0.7, 1.3))
    if rng.random() < 0.5:
        x = x + np.float32(rng.uniform(0, 0.015)) * rng.standard_normal(x.shape, np.float32)
    if rng.random() < 0.3:
        fine = lungs.fineness(x.shape[-1])
        x = ndimage.gaussian_filter(x, (0, fine * rng.uniform(0, 0.7), fine * rng.uniform(0, 0.7)))
    if rng.random() < 0.3:
        x = x + np.float32(rng.normal(0, 0.005))
    return x


def stems(net, data, copies, threads=2):
    """Stem outputs of every cube: [cube][copy] as float16; copy 0 is the cube as it is."""
    dev = next(net.parameters()).device

    def one(k):
        torch.set_num_threads(1)
        out = []
        for copy_ in range(copies):
            x = data.x[k].astype(np.float32)
            if copy_:
                x = augment(np.random.default_rng([k, copy_, 21]), x)
            x = torch.from_numpy(x)[None, None].to(dev, memory_format=torch.channels_last_3d)
            with torch.no_grad(), torch.autocast(dev.type, torch.bfloat16):
                out.append(net.stem(x)[0].float().cpu().numpy().astype(np.float16))
        return out

    with ThreadPoolExecutor(threads) as pool:
        return list(tqdm(pool.map(one, range(len(data))), total=len(data), desc="stems"))


def shake(rng, x):
    """Augmentation of a stem output (c, z, y, x): left and right, a cell of shift, gain, grain."""
    x = x.astype(np.float32)
    if rng.random() < 0.5:
        x = x[..., ::-1]
    x = np.roll(x, rng.integers(-1, 2, 3), (1, 2, 3))
    x = x * np.float32(rng.uniform(0.75, 1.3)) * (1 + np.float32(0.15) * rng.standard_normal(x.shape, np.float32))
    return np.ascontiguousarray(x)


def draw(data, kept, seed, step, part):
    """One part of a batch: kept stem outputs, or whole cubes where `kept` is None."""
    rng = np.random.default_rng([seed, step, part])
    xs, ys = [], []
    for n in range(BATCH // PARTS):
        k = n % 3  # classes take turns
        chosen = rng.choice(data.by_class[k])
        if kept is None:
            xs.append(augment(rng, data.x[chosen])[None])
        else:
            xs.append(shake(rng, kept[chosen][rng.integers(len(kept[chosen]))]))
        ys.append(k)
    return torch.from_numpy(np.stack(xs).astype(np.float32)), torch.tensor(ys)


def backward(net, data, kept, seed, step, part, dev):
    torch.set_num_threads(1)
    x, y = draw(data, kept, seed, step, part)
    net.drop.rng = np.random.default_rng([seed, step, part, 5])
    with torch.autocast(dev.type, torch.bfloat16):
        x = x.to(dev, memory_format=torch.channels_last_3d)
        seen = net.features(x) if kept is None else net.crown(x)
        logits = net.head(net.drop(seen))
    loss = F.cross_entropy(logits.float(), y.to(dev), label_smoothing=SMOOTHING)
    net.zero_grad(set_to_none=True)
    (loss / PARTS).backward()
    return float(loss.detach()), float((logits.argmax(1).cpu() == y).float().mean())


@torch.no_grad()
def predict(net, data, threads=2, kept=None):
    """Logits and features of every cube, in fp32; from the outputs of a stem that stands still, where they are `kept`."""
    net = net.eval()

    def one(x):
        torch.set_num_threads(1)
        t = torch.from_numpy(x.astype(np.float32)).to(next(net.parameters()).device)
        with torch.no_grad():
            f = net.crown(t[None]) if kept else net.features(t[None, None])
            return net.head(f)[0].cpu().numpy(), f[0].cpu().numpy()

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(one, [copies[0] for copies in kept] if kept else data.x))
    return np.array([a for a, _ in found]).reshape(-1, 3), np.array([b for _, b in found]).reshape(-1, 32)


def nll(logits, y, temperature=1.0):
    z = logits / temperature
    z = z - z.max(1, keepdims=True)
    return float(-(z[np.arange(len(y)), y] - np.log(np.exp(z).sum(1))).mean())


def scale(step, done):
    """Share of the full rate: thirty steps of warming up, then a cosine down to a fiftieth."""
    return min(1.0, (step + 1) / 30) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))


def train(work, steps, whole_steps, seed=2, rate=5e-4, minutes=None, size=128, log=print, name="cnn", scheme=splits.TABLE, start=None):
    """`steps` of the crown, then `whole_steps` of the whole network; `minutes` bound each of them.
    `start` is the cnn.onnx of a bundle to go on from; then `steps` may be 0. Resumes from WORK/cnn.pt. Keeps the weights with the lowest validation loss."""
    path = Path(work) / f"{name}.pt"
    dev = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = nets.NormedCnn(size).start(seed)
    net.start_stem()
    net = net.to(dev, memory_format=torch.channels_last_3d)
    state = {"part": 0, "step": 0, "steps": [0, 0], "losses": [], "seconds": [0.0, 0.0], "best": None, "scheme": scheme}
    best, adam_state = None, None
    if path.exists():
        saved = torch.load(path, weights_only=False, map_location=dev)
        net.load_state_dict(saved["net"])
        state, best, adam_state = saved["state"], saved["best"], saved["adam"]
        if state.setdefault("scheme", splits.TABLE) != scheme:
            raise SystemExit(f"{path} was trained on the split {state['scheme']}, not on {scheme}: delete it to begin again")
    data, val = Set(work, "train", scheme), Set(work, "val", scheme)
    log(f"cubes: {len(data)} train, {len(val)} val")
    if start and not path.exists():
        few = np.random.default_rng([seed, 8]).choice(len(data), min(24, len(data)), replace=False)
        net = recover.unfold(recover.read_cnn(start, size), size, [data.x[k] for k in few]).to(dev, memory_format=torch.channels_last_3d)
    twins = [net] + [copy.deepcopy(net) for _ in range(PARTS - 1)]
    pool = ThreadPoolExecutor(PARTS)

    def save(adam):
        torch.save({"net": net.state_dict(), "adam": adam and adam.state_dict(), "state": state, "best": best}, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").rename(path)

    for part, (wanted, top, title) in enumerate(((steps, rate, "crown"), (whole_steps, rate * WHOLE_RATE, "cnn"))):
        if part < state["part"]:
            continue
        crown_only = part == 0 and wanted > state["steps"][0]
        kept, kept_val = (stems(net, data, COPIES), stems(net, val, 1)) if crown_only else (None, None)
        learned = net.crown_parameters() if part == 0 else list(net.parameters())
        adam = torch.optim.AdamW(learned, top, weight_decay=1e-3)
        if adam_state:
            adam.load_state_dict(adam_state)
            adam_state = None
        if part == 1 and wanted and state["steps"][1] == 0:
            best, state["best"] = None, None  # what ships is trained through and through
        window, begun = [], time.time() - state["seconds"][part]
        bar = tqdm(total=wanted, initial=state["steps"][part], desc=title)
        for twin in twins:
            twin.train()
        while state["steps"][part] < wanted:
            step = state["steps"][part]
            done = max(step / wanted, state["seconds"][part] / (60 * minutes) if minutes else 0)
            if done >= 1:
                break
            for group in adam.param_groups:
                group["lr"] = top * scale(step, done)
            for twin in twins[1:]:
                twin.load_state_dict(net.state_dict())
            found = list(pool.map(lambda k: backward(twins[k], data, kept, seed + part, step, k, dev), range(PARTS)))
            for twin in twins[1:]:
                for p, q in zip(net.parameters(), twin.parameters()):
                    if p.grad is not None:
                        p.grad += q.grad
            torch.nn.utils.clip_grad_norm_(learned, 2.0)
            adam.step()
            window.append(np.mean(found, 0))
            state["steps"][part] += 1
            state["step"] += 1
            state["seconds"][part] = time.time() - begun
            bar.update()
            if state["steps"][part] % JUDGE_EVERY == 0 or state["steps"][part] == wanted:
                plain = net.folded()
                logits, _ = predict(plain, val, kept=kept_val)
                loss, right = nll(logits, val.y), float((logits.argmax(1) == val.y).mean())
                mean = np.mean(window, 0)
                window = []
                state["losses"].append([state["step"], *(round(float(v), 4) for v in (*mean, loss, right))])
                log(f"{title} step {state['steps'][part]} loss {mean[0]:.3f} right {mean[1]:.3f} | val {loss:.3f} right {right:.3f} {state['seconds'][part]:.0f} s")
                if best is None or loss < state["best"]:
                    state["best"], best = loss, plain.state_dict()
                    state["best_part"] = title
                save(adam)
        state["part"] = part + 1
        save(None)  # the next part begins with a fresh optimiser
    if best is None:
        best = net.folded().state_dict()
        save(None)
    return state


def temperature(logits, y):
    found = optimize.minimize_scalar(lambda t: nll(logits, y, math.exp(t)), bounds=(-1.5, 2.5), method="bounded")
    return float(math.exp(found.x))


def softmax(logits, t=1.0):
    z = logits / t
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


# A pneumonia that is called control costs more than a study left open. Set when a real pneumonia, which
# nothing was trained on, was called control at 0.82.
CONTROL_AT_LEAST = 0.85


def thresholds(p, y, precision=0.9):
    """Per class the lowest threshold from 0.5 up at which nine of ten such calls on validation are right."""
    out = []
    for k in range(3):
        value = 0.8
        for t in np.arange(0.5, 0.81, 0.05):
            called = p[:, k] >= t
            if called.any() and (y[called] == k).mean() >= precision:
                value = float(t)
                break
        out.append(round(max(value, CONTROL_AT_LEAST) if k == 0 else value, 2))
    return out


def distance_model(features, y, shrink=0.1):
    """Class means and the inverse of the pooled covariance, shrunk to its diagonal and floored."""
    means = np.stack([features[y == k].mean(0) for k in range(3)])
    rest = features - means[y]
    cov = rest.T @ rest / max(1, len(rest) - 3)
    diagonal = np.diag(cov)
    floor = max(1e-6, 0.05 * float(diagonal.mean()))  # a feature that never moves must not decide
    cov = (1 - shrink) * cov + shrink * np.diag(diagonal) + floor * np.eye(len(cov))
    return means.astype(np.float32), np.linalg.inv(cov).astype(np.float32)


def distances(features, means, inverse):
    """Distance to the nearest class mean."""
    d = features[:, None, :] - means[None]
    return np.sqrt(np.einsum("nki,ij,nkj->nk", d, inverse, d).min(1))
