"""Trains BCDU-Net: first to find the lungs (short), then to take pseudo-infection out of slices.

Half of the slices get noise: a share of it the published whole-slice Perlin noise, the rest the
infection-like kind of `perlin.infection`. The target is always the clean slice. The loss is binary
cross-entropy on continuous targets, heavier inside the lungs, because air and chest wall fill most
of a slice and teach little. Real volumes are few and weigh as much as all phantoms together.
"""

import copy
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F
from tqdm import tqdm

from . import cohort, lungs, nets, perlin, recover

BATCH = 8
# A batch is worked on in this many parts, one thread each, with their gradients added. Fixed, because
# batch norm sees a part: another number would be another result.
PARTS = 2
# How much heavier a pixel inside the lungs weighs in the loss.
LUNG_WEIGHT = 4.0
# Steps between checkpoints; what a stop can cost.
KEEP_EVERY = 100
# Share of noisy slices that get the published noise; the others get infection-like blobs.
PUBLISHED_SHARE = 0.25


class Slices:
    """Clean slices of the training controls, drawn with augmentation from one seed per step."""

    def __init__(self, work, real_share=0.5, limit=None, whole=False):
        self.sources = []  # (weight, slices, masks)
        rows = [r for r in cohort.read_table(work) if r.split == "train" and r.label == "control"]
        real, made = [r for r in rows if r.source != "phantom"], [r for r in rows if r.source == "phantom"]
        for group, share in ((real, real_share), (made[:limit], 1 - real_share)):
            for r in group:
                v = cohort.load(work, r.name, r.step(3), 0)
                m = lungs.mask(v)
                keep = np.flatnonzero(m.sum((1, 2)) > 0.01 * m[0].size)
                if len(keep) == 0:
                    continue
                # A few slices above and below the lungs, so that abdomen and shoulders are known; or all there are.
                keep = np.arange(len(v)) if whole else np.arange(max(0, keep[0] - 8), min(len(v), keep[-1] + 6))
                # A blurred low-resolution chest teaches less than a clinical one.
                weight = share / len(group) * (0.3 if "lowres" in r.source else 1.0)
                self.sources.append((weight, v[keep].astype(np.float16), m[keep], r.name))
        if not self.sources:
            raise SystemExit("no control volumes in the training split: run the stage `cohort` first")
        w = np.array([s[0] for s in self.sources])
        self.p = w / w.sum()

    def draw(self, rng):
        """A clean slice and its lungs."""
        _, v, m, _ = self.sources[rng.choice(len(self.sources), p=self.p)]
        k = rng.integers(len(v))
        return augment(rng, v[k].astype(np.float32), m[k])


def augment(rng, v, m):
    """Field of view, position, left and right, lung density, kernel and noise."""
    size = v.shape[-1]
    angle, zoom = rng.normal(0, 0.05), rng.uniform(0.8, 1.25)
    aspect, flip = rng.uniform(0.93, 1.07), rng.choice([-1, 1])
    c, s = math.cos(angle) * zoom, math.sin(angle) * zoom
    theta = torch.tensor([[flip * c * aspect, -s, rng.uniform(-0.12, 0.12)], [flip * s, c / aspect, rng.uniform(-0.12, 0.12)]])
    grid = F.affine_grid(theta.float()[None], [1, 2, size, size], align_corners=False)
    both = torch.from_numpy(np.stack([v, m.astype(np.float32)]))[None]
    v, m = F.grid_sample(both, grid, align_corners=False)[0].numpy()
    m = m > 0.5
    if rng.random() < 0.5:  # breath: lungs lighter or denser
        v = v * (1 + m * (v < 0.4) * np.float32(rng.uniform(-0.4, 0.5)))
    fine = lungs.fineness(size)
    if rng.random() < 0.3:
        v = ndimage.gaussian_filter(v, fine * rng.uniform(0.2, 0.8))
    if rng.random() < 0.5:
        grain = rng.standard_normal(v.shape).astype(np.float32)
        v = v + rng.uniform(0, 0.03) * ndimage.gaussian_filter(grain, fine * rng.uniform(0, 0.8))
    if rng.random() < 0.3:
        v = v * np.float32(rng.uniform(0.93, 1.07))
    return np.clip(v, 0, 1).astype(np.float32), m


def batch(slices, seed, step, part, published=PUBLISHED_SHARE):
    """Noisy input, clean target, lungs of one part: tensors (n, 1, S, S), the same for the same numbers.
    `published` is the share of the published noise among noisy slices; None leaves all slices clean."""
    rng = np.random.default_rng([seed, step, part])
    xs, ys, ms = [], [], []
    for n in range(BATCH // PARTS):
        clean, m = slices.draw(rng)
        x = clean
        if n % 2 and published is not None:
            if rng.random() < published:
                x = clean + perlin.field(rng, clean.shape[-1])
            else:
                x = perlin.infection(rng, clean, m, ndimage.distance_transform_edt(m).astype(np.float32))
        xs.append(x), ys.append(clean), ms.append(m)
    t = lambda a: torch.from_numpy(np.stack(a).astype(np.float32))[:, None]
    return t(xs), t(ys), t(ms)


def backward(net, slices, stage, seed, step, part, published, dev):
    """Gradients of one part of a batch, left in `net`; its loss, its loss over the floor, output spread."""
    torch.set_num_threads(1)
    net.drop.rng = np.random.default_rng([seed, step, part, 5])
    x, y, m = batch(slices, seed, step, part, published)
    if stage == "lungs":
        y = m
    x, y, m = (a.to(dev, memory_format=torch.channels_last) for a in (x, y, m))
    with torch.autocast(dev.type, torch.bfloat16):
        logit = net.logits(x)
    logit = logit.float()
    weight = 1 + LUNG_WEIGHT * m if stage == "denoise" else torch.ones_like(y)
    loss = (F.binary_cross_entropy_with_logits(logit, y, reduction="none") * weight).sum() / weight.sum()
    # What is left when the prediction is perfect: the entropy of the targets.
    floor = -(torch.xlogy(y, y) + torch.xlogy(1 - y, 1 - y))
    net.zero_grad(set_to_none=True)
    (loss / PARTS).backward()
    loss = float(loss.detach())
    return loss, loss - float((floor * weight).sum() / weight.sum()), float(torch.sigmoid(logit.detach()).std())


def device():
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(work, stage, steps, seed=1, rate=1e-3, published=PUBLISHED_SHARE, minutes=None, start=None, name=None, real_share=0.5, log=print):
    """One stage ('lungs' or 'denoise'). Resumes from WORK/<name>.pt; returns the mean loss per 50 steps."""
    path = Path(work) / f"{name or stage}.pt"
    dev = device()
    torch.manual_seed(seed)
    net = nets.BcduNet().start(seed).to(dev, memory_format=torch.channels_last)
    adam = torch.optim.Adam(net.parameters(), rate)
    state = {"step": 0, "losses": [], "seconds": 0.0}
    if path.exists():
        saved = torch.load(path, weights_only=False)
        net.load_state_dict(saved["net"]), adam.load_state_dict(saved["adam"])
        state = saved["state"]
    elif start and str(start).endswith(".onnx"):  # a bundle's network, whose fp32 weights are gone
        net.load_state_dict(recover.read(start).state_dict())
    elif start:
        net.load_state_dict(torch.load(start, weights_only=False)["net"])
        if stage == "denoise" and Path(start).stem == "lungs":  # the old last layers answer another question
            fresh = nets.BcduNet().start(seed)
            net.c8.load_state_dict(fresh.c8.state_dict()), net.out.load_state_dict(fresh.out.state_dict())
    slices = Slices(work, real_share)
    if not path.exists() and start and str(start).endswith(".onnx"):
        recover.settle(net, torch.cat([batch(slices, seed, step, 0, published)[0] for step in range(8)]).to(dev))

    def save():
        torch.save({"net": net.state_dict(), "adam": adam.state_dict(), "state": state}, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").rename(path)

    begun, window, bar = time.time() - state["seconds"], [], tqdm(total=steps, initial=state["step"], desc=stage)
    twins = [net] + [copy.deepcopy(net) for _ in range(PARTS - 1)]
    for twin in twins:
        twin.train()
    pool = ThreadPoolExecutor(PARTS)
    while state["step"] < steps:
        step = state["step"]
        done = step / steps
        if minutes:  # the slower of step and clock decides how far the rate has come down
            done = max(done, state["seconds"] / (60 * minutes))
            if done >= 1:
                break
        # Full rate for the first half, then a cosine down to a fiftieth.
        scale = 1.0 if done < 0.5 else 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (done - 0.5) * 2))
        warm = min(1.0, (step + 1) / 20)
        for group in adam.param_groups:
            group["lr"] = rate * scale * warm
        for twin in twins[1:]:
            twin.load_state_dict(net.state_dict())
        found = list(pool.map(lambda part: backward(twins[part], slices, stage, seed, step, part, published, dev), range(PARTS)))
        for twin in twins[1:]:
            for p, q in zip(net.parameters(), twin.parameters()):
                p.grad += q.grad
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
        loss, excess, spread = np.mean(found, 0)
        window.append((loss, excess))
        state["step"] += 1
        state["seconds"] = time.time() - begun
        bar.update()
        if state["step"] % 50 == 0:
            mean, over = np.mean(window, 0)
            state["losses"].append([state["step"], round(float(mean), 5), round(float(over), 5)])
            log(f"{stage} step {state['step']} loss {mean:.4f} excess {over:.4f} {state['seconds']:.0f} s")
            window = []
            if state["step"] >= 300 and spread < 1e-2:
                raise SystemExit("dead output: the reconstruction is constant; start again with another seed")
        if state["step"] % KEEP_EVERY == 0:
            save()
    save()
    return state
