"""Difference cubes for the 3D CNN, made with the int8 BCDU-Net that ships.

A training cube takes a slice every few millimetres through the denoiser, a study that is judged (kind
`exact`) every one, as the box does; both are then resized to 50 slices. Each training cube starts from a volume of the cohort that
is moved, scaled, blurred and made noisy. Control volumes, real ones and phantoms, also get simulated
findings of all three classes, so that no class is tied to a source.
"""

import csv
import functools
import math
import os
import subprocess
import tempfile
import zlib
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
# Distance of a training cube's slices in mm, drawn between these. Thicker ones stay as they are.
APART = (3.0, 5.0)
# The plain input of the ablation: what stands for zero, and its gain.
PLAIN_ZERO, PLAIN_GAIN = 0.4, 0.1
# Real studies of the training split that are judged too, per class.
SEEN = 3


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
    """One geometry for a whole volume, and its lungs."""
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


@functools.lru_cache(maxsize=4)
def rows_of(work):
    return {r.name: r for r in cohort.read_table(work)}


def input_volume(work, cube):
    """The unit volume that the denoiser gets for a cube."""
    if cube.kind == "exact":
        return cohort.load(work, cube.volume)
    rng = np.random.default_rng([cube.seed, 11])
    row = rows_of(work)[cube.volume]
    step = row.step(rng.uniform(*APART))
    v = cohort.load(work, cube.volume, step, int(rng.integers(step)))
    v, m = augment(rng, v)
    if cube.kind == "insert":
        v = lesions.insert(v, m, cube.label, rng, step * float(row.spacing))
    return degrade(rng, v, m)


def reconstruct(session, v):
    out = np.empty_like(v)
    for z in range(len(v)):
        out[z] = session.run(None, {"input": v[z][None, None]})[0][0, 0]
    return out


def difference_cube(session, v):
    """Input minus reconstruction on 50 slices; without a session the plain input, for the ablation. That is brought
    to the size of a difference, or the CNN, whose first filters wait for hundredths, dies of it."""
    return resample.along_z(v - reconstruct(session, v) if session else PLAIN_GAIN * (v - PLAIN_ZERO), DEPTH)


def plan(work, train_inserts, exact_per_class=None, asis=1, seed=1):
    """Which cubes to make, classes in turn. Splits follow the volume, that is, the patient. A cube's seed
    comes from its name, so that it stays what it is when volumes are added."""
    rows, cubes = cohort.read_table(work), []
    counts = {}

    def add(name, r, label, split, kind):
        cubes.append(Cube(name, r.name, label, r.source, split, kind, zlib.crc32(f"{seed}/{name}".encode())))

    for r in rows:
        if r.split == "eval" or (r.split == "test" and r.source != "phantom"):
            add(f"{r.name}_exact", r, r.label, r.split, "exact")
        elif r.split == "test":
            counts[r.label] = counts.get(r.label, 0) + 1
            kind = "exact" if exact_per_class is None or counts[r.label] <= exact_per_class else "asis"
            add(f"{r.name}_{kind}", r, r.label, r.split, kind)
        elif r.split == "val":  # what decides on temperature and thresholds is what the box sees
            add(f"{r.name}_exact", r, r.label, "val", "exact")
        else:
            for n in range(asis):
                add(f"{r.name}_asis{n}", r, r.label, "train", "asis")
    seen = {}
    for r in rows:  # some real ones that are trained on, as they are: their result stands in the card
        if r.split == "train" and r.source != "phantom" and seen.setdefault(r.label, 0) < SEEN:
            seen[r.label] += 1
            add(f"{r.name}_exact", r, r.label, "seen", "exact")
    real = [r for r in rows if r.split == "train" and r.label == "control" and r.source != "phantom"]
    for split, number in (("train", train_inserts), ("val", train_inserts // 8), ("test", train_inserts // 8)):
        made = [r for r in rows if r.split == split and r.label == "control" and r.source == "phantom"]
        for n in range(number):
            for label in cohort.LABELS:
                # Half of the inserts go into real volumes; these are few patients, so train only.
                pool = real if split == "train" and real and (n % 2 or not made) else made
                if not pool:
                    continue
                name = f"ins_{split}_{n}_{label}"
                rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
                add(name, pool[rng.choice(len(pool), p=weights(pool))], label, split, "insert")
    return cubes


def weights(pool):
    w = np.array([0.3 if "lowres" in r.source else 1.0 for r in pool])
    return w / w.sum()


# Volumes given to the program at a time.
TOGETHER = 6


def by_program(scanside, model, volumes):
    """Difference cubes through the program: the box's own kernels, subtraction and resize."""
    size = volumes[0].shape[-1]
    with tempfile.TemporaryDirectory() as tmp:
        pairs = [(f"{tmp}/{n}.npy", f"{tmp}/{n}_cube.npy") for n in range(len(volumes))]
        for v, (path, _) in zip(volumes, pairs):
            np.save(path, np.ascontiguousarray(v, np.float32))
        subprocess.run([scanside, "cube", "--network", str(model), "--size", str(size), *(p for pair in pairs for p in pair)],
                       check=True, capture_output=True, env={**os.environ, "RAYON_NUM_THREADS": "1"})
        return [np.load(out) for _, out in pairs]


def build(work, model, cubes, deadline=None, threads=2, scanside=None):
    """Makes the cubes that are missing, with the network at `model` or, for the ablation, with none. With
    `scanside` the program makes them, else ONNX Runtime. Real exact ones first, then all in mixed order."""
    import time
    folder = Path(work) / "cubes"
    folder.mkdir(parents=True, exist_ok=True)
    session = quantize.session(model, 1) if model and not scanside else None
    order = np.random.default_rng(3).permutation(len(cubes))
    first = [c for c in cubes if c.kind == "exact" and c.source != "phantom"]
    rest = [cubes[k] for k in order if cubes[k] not in first]
    there = lambda cube: (folder / f"{cube.name}.npy").exists()

    def work_on(some):
        """A few cubes; those that exist in the end."""
        missing = [c for c in some if not there(c)]
        if missing and not (deadline and time.time() > deadline):
            torch.set_num_threads(1)
            volumes = [input_volume(work, c) for c in missing]
            if model and scanside:
                made = by_program(scanside, model, volumes)
            else:
                made = [difference_cube(session, v) for v in volumes]
            for cube, d in zip(missing, made):
                part = folder / f"{cube.name}.part.npy"
                np.save(part, d.astype(np.float16))
                part.rename(folder / f"{cube.name}.npy")
        return [c for c in some if there(c)]

    wanted = first + rest
    chunks = [wanted[n:n + TOGETHER] for n in range(0, len(wanted), TOGETHER)]
    with ThreadPoolExecutor(threads) as pool:
        done = [c for some in tqdm(pool.map(work_on, chunks), total=len(chunks), desc=f"cubes by {TOGETHER}") for c in some]
    with open(Path(work) / "cubes.csv", "w", newline="") as f:
        table = csv.DictWriter(f, [x.name for x in fields(Cube)])
        table.writeheader()
        table.writerows(asdict(c) for c in done)
    return done
