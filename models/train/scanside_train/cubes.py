"""Difference cubes for the 3D CNN, made with the int8 BCDU-Net that ships.

A training cube takes every third millimetre through the denoiser, a study that is judged (kind
`exact`) every one, as the box does; both are then resized to 50 slices. Each training cube starts from a volume of the cohort that
is moved, scaled, blurred and made noisy. Control volumes, real ones and phantoms, also get simulated
findings of all three classes, so that no class is tied to a source.
"""

import csv
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F
from tqdm import tqdm

from . import cohort, lesions, lungs, quantize, resample

DEPTH = 50


@dataclass
class Cube:
    name: str
    volume: str
    label: str
    source: str
    split: str
    kind: str  # asis: augmented only; insert: with simulated findings; exact: as the box sees it
    seed: int


def read_table(work):
    path = Path(work) / "cubes.csv"
    if not path.exists():
        return []
    with open(path, newline="") as f:
        return [Cube(**{**r, "seed": int(r["seed"])}) for r in csv.DictReader(f)]


def augment(rng, v):
    """One geometry, one breath, one kernel and one dose for a whole volume (every third slice)."""
    n, size = len(v), v.shape[-1]
    low, high = rng.uniform(0, 0.1, 2)
    v = v[int(n * low):n - int(n * high)]
    angle, zoom, aspect = rng.normal(0, 0.05), rng.uniform(0.8, 1.25), rng.uniform(0.93, 1.07)
    flip = rng.choice([-1, 1])
    c, s = math.cos(angle) * zoom, math.sin(angle) * zoom
    theta = torch.tensor([[flip * c * aspect, -s, rng.uniform(-0.12, 0.12)], [flip * s, c / aspect, rng.uniform(-0.12, 0.12)]]).float()
    grid = F.affine_grid(theta[None], [1, len(v), size, size], align_corners=False)
    v = F.grid_sample(torch.from_numpy(np.ascontiguousarray(v))[None], grid, align_corners=False)[0].numpy()
    return v, lungs.mask(v)


def degrade(rng, v, m):
    """Breath, slice thickness, kernel and noise, after the findings are in."""
    if rng.random() < 0.5:
        v = v * (1 + m * (v < 0.35) * np.float32(rng.uniform(-0.35, 0.35)))
    if rng.random() < 0.5:
        v = ndimage.gaussian_filter(v, (rng.uniform(0, 1.2), 0, 0))
    fine = lungs.fineness(v.shape[-1])
    if rng.random() < 0.4:
        sigma = fine * rng.uniform(0, 0.8)
        v = ndimage.gaussian_filter(v, (0, sigma, sigma))
    if rng.random() < 0.7:
        grain = rng.standard_normal(v.shape).astype(np.float32)
        blur = fine * rng.uniform(0, 0.7)
        v = v + np.float32(rng.uniform(0, 0.03)) * ndimage.gaussian_filter(grain, (rng.uniform(0, 0.7), blur, blur))
    if rng.random() < 0.4:
        v = v * np.float32(rng.uniform(0.94, 1.06))
    return np.clip(v, 0, 1).astype(np.float32)


def input_volume(work, cube):
    """The unit volume that the denoiser gets for a cube."""
    if cube.kind == "exact":
        return cohort.load(work, cube.volume)
    rng = np.random.default_rng([cube.seed, 11])
    v = cohort.load(work, cube.volume, 3, int(rng.integers(3)))
    v, m = augment(rng, v)
    if cube.kind == "insert":
        v = lesions.insert(v, m, cube.label, rng)
    return degrade(rng, v, m)


def reconstruct(session, v):
    out = np.empty_like(v)
    for z in range(len(v)):
        out[z] = session.run(None, {"input": v[z][None, None]})[0][0, 0]
    return out


def difference_cube(session, v):
    """Input minus reconstruction on 50 slices; without a session the plain input, for the ablation."""
    return resample.along_z(v - reconstruct(session, v) if session else v, DEPTH)


def plan(work, train_inserts, exact_per_class=None, asis=1, seed=1):
    """Which cubes to make, classes in turn. Splits follow the volume, that is, the patient."""
    rows, cubes, rng = cohort.read_table(work), [], np.random.default_rng(seed)
    counts = {}
    for r in rows:
        if r.split == "eval" or (r.split == "test" and r.source != "phantom"):
            cubes.append(Cube(f"{r.name}_exact", r.name, r.label, r.source, r.split, "exact", 0))
        elif r.split == "test":
            counts[r.label] = counts.get(r.label, 0) + 1
            exact = exact_per_class is None or counts[r.label] <= exact_per_class
            kind = "exact" if exact else "asis"
            cubes.append(Cube(f"{r.name}_{kind}", r.name, r.label, r.source, r.split, kind, int(rng.integers(2**31))))
        elif r.source == "phantom":
            for n in range(asis if r.split == "train" else 1):
                cubes.append(Cube(f"{r.name}_asis{n}", r.name, r.label, r.source, r.split, "asis", int(rng.integers(2**31))))
    for r in rows:  # the real controls as they are, so that their result stands in the card
        if r.split == "train" and r.source != "phantom":
            cubes.append(Cube(f"{r.name}_exact", r.name, r.label, r.source, "seen", "exact", 0))
    real = [r for r in rows if r.split == "train" and r.label == "control" and r.source != "phantom"]
    for split, number in (("train", train_inserts), ("val", train_inserts // 8), ("test", train_inserts // 8)):
        made = [r for r in rows if r.split == split and r.label == "control" and r.source == "phantom"]
        for n in range(number):
            for label in cohort.LABELS:
                # Two of three inserts go into real volumes; these are few patients, so train only.
                pool = real if split == "train" and real and (n % 3 < 2 or not made) else made
                if not pool:
                    continue
                r = pool[rng.choice(len(pool), p=weights(pool))]
                cubes.append(Cube(f"ins_{split}_{n}_{label}", r.name, label, r.source, split, "insert", int(rng.integers(2**31))))
    return cubes


def weights(pool):
    w = np.array([0.3 if "lowres" in r.source else 1.0 for r in pool])
    return w / w.sum()


def build(work, model, cubes, deadline=None, threads=2):
    """Makes the cubes that are missing, with the network at `model` or, for the ablation, with none. Real exact ones first, then everything in mixed order."""
    import time
    folder = Path(work) / "cubes"
    folder.mkdir(parents=True, exist_ok=True)
    session = quantize.session(model, 1) if model else None
    order = np.random.default_rng(3).permutation(len(cubes))
    first = [c for c in cubes if c.kind == "exact" and c.source != "phantom"]
    rest = [cubes[k] for k in order if cubes[k] not in first]

    def work_on(cube):
        out = folder / f"{cube.name}.npy"
        if not out.exists():
            if deadline and time.time() > deadline:
                return None
            torch.set_num_threads(1)
            d = difference_cube(session, input_volume(work, cube))
            part = out.with_suffix(".part.npy")
            np.save(part, d.astype(np.float16))
            part.rename(out)
        return cube

    with ThreadPoolExecutor(threads) as pool:
        done = [c for c in tqdm(pool.map(work_on, first + rest), total=len(cubes), desc="cubes") if c]
    with open(Path(work) / "cubes.csv", "w", newline="") as f:
        table = csv.DictWriter(f, [x.name for x in fields(Cube)])
        table.writeheader()
        table.writerows(asdict(c) for c in done)
    return done
