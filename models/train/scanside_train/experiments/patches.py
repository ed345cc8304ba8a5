"""A patch-based baseline: a small 2-D network on squares of lung, its answers averaged per study.

Each square carries the label of its patient, though most squares of a sick lung look healthy; that
is the weakness of the kind. It sees the same volumes, splits and simulated findings as the 3D CNN
but no reconstruction. It is ours, small, and no copy of anybody's; it says what squares alone give.
"""

from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from .. import cohort, cubes, lungs, splits
from . import judge

# Side in pixels of the 128 grid, about 9 cm of a patient.
SIDE = 32
# Squares kept per study, and per step.
PER_STUDY, BATCH = 48, 32


class PatchNet(nn.Sequential):
    """32x32 in, three logits out."""

    def __init__(self):
        widths, layers = (1, 16, 32, 64, 64), []
        for a, b in zip(widths, widths[1:]):
            layers += [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2)]
        super().__init__(*layers, nn.Flatten(), nn.Linear(64 * (SIDE // 16) ** 2, 3))


def squares(work, cube, number=PER_STUDY):
    """(number, SIDE, SIDE) as float16, centred in the lungs; none where there are no lungs."""
    v = cohort.load(work, cube.volume, 3, 1) if cube.kind == "exact" else cubes.input_volume(work, cube)
    fine = lungs.fineness(v.shape[-1])
    if fine > 1:
        v = ndimage.zoom(v, (1, 1 / fine, 1 / fine), order=1)
    at = np.argwhere(lungs.mask(v))
    if len(at) == 0:
        return np.zeros((0, SIDE, SIDE), np.float16)
    rng = np.random.default_rng([cube.seed, 31])
    padded = np.pad(v, [(0, 0), (SIDE // 2,) * 2, (SIDE // 2,) * 2])
    chosen = at[rng.integers(0, len(at), number)]
    return np.stack([padded[z, y:y + SIDE, x:x + SIDE] for z, y, x in chosen]).astype(np.float16)


def run(work, out, steps, seed=1):
    """Trains on the training cubes' volumes, answers for the test ones; predictions."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    made = {s: [c for c in splits.placed(work, cubes.read_table(work), splits.TABLE) if c.split == s] for s in ("train", "test")}
    data = [[], [], []]
    for c in tqdm(made["train"], desc="squares"):
        found = squares(work, c)
        if len(found):
            data[cohort.LABELS.index(c.label)].append(found)
    if not all(data):
        raise SystemExit("a class has no training studies: run the stage `cubes` first")
    net, rng = PatchNet(), np.random.default_rng([seed, 41])
    adam = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=1e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(adam, 2e-3, total_steps=max(steps, 2))
    for _ in tqdm(range(steps), desc="patches"):
        y = np.arange(BATCH) % 3
        x = []
        for k in y:
            study = data[k][rng.integers(len(data[k]))]
            s = study[rng.integers(len(study))].astype(np.float32)
            s = s[:, ::-1] if rng.random() < 0.5 else s
            x.append(s * np.float32(rng.uniform(0.9, 1.1)) + np.float32(rng.normal(0, 0.02)))
        logits = net(torch.from_numpy(np.stack(x))[:, None])
        loss = F.cross_entropy(logits, torch.from_numpy(y), label_smoothing=0.05)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step(), rate.step()
    torch.save(net.state_dict(), Path(out) / "patches.pt")
    net.eval()
    rows, of = [], judge.patients(work)
    for c in tqdm(made["test"], desc="studies"):
        found = squares(work, c)
        p = np.full(3, 1 / 3)
        if len(found):
            with torch.no_grad():
                p = F.softmax(net(torch.from_numpy(found.astype(np.float32))[:, None]), 1).mean(0).numpy()
        rows.append(judge.prediction(of, c, p))
    return rows
