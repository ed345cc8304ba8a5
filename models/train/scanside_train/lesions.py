"""Simulated findings, so that every source of volumes has all three classes.

Lengths are in voxels of 3 mm, roughly what a voxel of the 128 grid is in the plane; they are stretched
in the plane for finer grids, and along z for slices nearer or farther than 3 mm. Lesions follow what
the radiology of the three classes describes; no patient's lesion is copied. Control is not empty:
it gets nodules, masses, scars, emphysema, dependent atelectasis, effusion and expiration.
"""

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from . import lungs as lungs_

CLASSES = ("control", "covid19", "cap")

# Share of simulated pneumonias that keep to the airways of both lungs. Without them the network called
# a real one, all of small foci, a control: small foci were vessels to it.
AIRWAYS = 0.3


def noise(rng, shape, cell, octaves=3):
    """Smooth fractal noise of about unit variance; `cell` is the coarse cell in voxels, one or one per axis."""
    total = np.zeros(shape, np.float32)
    for k in range(octaves):
        cells = np.maximum(1.5, np.broadcast_to(cell, 3) / 2**k)
        coarse = rng.standard_normal([max(2, int(np.ceil(n / c)) + 1) for n, c in zip(shape, cells)]).astype(np.float32)
        up = F.interpolate(torch.from_numpy(coarse)[None, None], size=tuple(shape), mode="trilinear", align_corners=True)
        total += up[0, 0].numpy() * np.float32(0.55**k)
    return total / max(1e-6, float(total.std()))


class Chest:
    """A volume with its lungs, and where in the lungs each voxel lies."""

    def __init__(self, volume, lungs, apart=3.0):
        self.v, self.lungs = volume.astype(np.float32).copy(), lungs
        self.shape = volume.shape
        # Voxels of this grid per voxel of 3 mm, by axis.
        fine = lungs_.fineness(volume.shape[-1])
        self.scale = np.array([3.0 / apart, fine, fine])
        z, y, x = np.nonzero(lungs)
        self.voxels = np.stack([z, y, x], 1)
        self.mid = np.median(x) if len(x) else volume.shape[-1] / 2
        # Fractions inside the lungs: 0 anterior .. 1 posterior, 0 apex .. 1 base.
        lo, hi = np.percentile(y, [1, 99]) if len(y) else (0, 1)
        self.posterior = np.clip((np.arange(self.shape[1]) - lo) / max(1, hi - lo), 0, 1)
        lo, hi = np.percentile(z, [1, 99]) if len(z) else (0, 1)
        self.basal = 1 - np.clip((np.arange(self.shape[0]) - lo) / max(1, hi - lo), 0, 1)
        self.depth = ndimage.distance_transform_edt(lungs, sampling=1 / self.scale).astype(np.float32)

    def pick(self, rng, weight=None, side=None):
        """A voxel of the lungs; `weight(posterior, basal, depth)` says where it is likely."""
        v = self.voxels[rng.integers(0, len(self.voxels), 4000)]
        w = np.ones(len(v)) if weight is None else weight(self.posterior[v[:, 1]], self.basal[v[:, 0]], self.depth[tuple(v.T)])
        if side is not None:
            w = w * ((v[:, 2] > self.mid) == bool(side)) + 1e-9
        return v[rng.choice(len(v), p=w / w.sum())]

    def box(self, centre, radius):
        return tuple(slice(max(0, int(c - r)), min(n, int(c + r) + 1)) for c, r, n in zip(centre, radius * self.scale, self.shape))

    def inside(self, box, centre, radii):
        """How far inside an ellipsoid the voxels of a box are: 1 in its middle, 0 on its surface."""
        grids = np.meshgrid(*[np.arange(s.start, s.stop) for s in box], indexing="ij")
        return 1 - np.sqrt(sum(((g - c) / q) ** 2 for g, c, q in zip(grids, centre, radii * self.scale))).astype(np.float32)

    def blob(self, rng, centre, radii, warp, soft, cell=None):
        """Soft warped ellipsoid: its box and its alpha, gated to the lungs."""
        radii = np.asarray(radii, np.float32)
        box = self.box(centre, float(radii.max()) * (1 + warp) + 2)
        s = self.inside(box, centre, radii)
        if warp > 0:
            s = s + np.float32(warp) * noise(rng, s.shape, (cell or max(2, radii.mean() / 1.5)) * self.scale) * 0.5
        return box, np.clip(s / soft, 0, 1) * self.lungs[box]

    def fill(self, box, alpha, density):
        """Raise to `density` where it is lower, by alpha; vessels stay."""
        self.v[box] += alpha * np.maximum(density - self.v[box], 0)


def ground_glass(rng):
    return rng.uniform(0.22, 0.5)


def solid(rng):
    return rng.uniform(0.62, 0.76)


def covid(chest, rng):
    """Both lungs, multifocal, peripheral, posterior, basal; ground glass first, consolidation later."""
    foci = int(rng.choice([rng.integers(3, 8), rng.integers(6, 16), rng.integers(14, 32)], p=[0.35, 0.4, 0.25]))
    one_side = rng.integers(0, 2) if rng.random() < 0.08 else None
    late, peripheral = rng.random(), rng.uniform(1.2, 4)
    lean = rng.uniform(0.2, 2.0)
    where = lambda post, base, depth: np.exp(-depth / peripheral) * (0.15 + post) ** lean * (0.3 + base)
    for n in range(foci):
        side = one_side if one_side is not None else (n % 2 if n < 2 else None)
        centre = chest.pick(rng, where, side)
        r = rng.uniform(2.5, 10) if rng.random() < 0.8 else rng.uniform(8, 16)
        radii = r * rng.uniform(0.6, 1.4, 3)
        box, a = chest.blob(rng, centre, radii, rng.uniform(0.3, 0.9), rng.uniform(0.15, 0.6))
        if rng.random() < 0.08 and r > 4:  # reversed halo: a firm ring round a lighter middle
            core = np.clip(chest.inside(box, centre, radii * 0.6) / 0.3, 0, 1)
            chest.fill(box, a * (1 - core), rng.uniform(0.55, 0.72))
            a = a * (1 - 0.7 * core)
        density = ground_glass(rng)
        if rng.random() < 0.3:  # crazy paving: a fine net on the glass
            density = density + 0.12 * (np.abs(noise(rng, a.shape, 2 * chest.scale, 1)) < 0.35)
        chest.fill(box, a * rng.uniform(0.6, 1.0), density)
        if rng.random() < 0.2 + 0.4 * late:
            box, a = chest.blob(rng, centre, radii * rng.uniform(0.3, 0.7), 0.7, 0.4)
            chest.fill(box, a, rng.uniform(0.5, 0.74))


def nodules(chest, rng, side):
    """A patch of centrilobular nodules and short branches."""
    centre = chest.pick(rng, lambda p, b, d: 0.3 + b, side)
    reach, density = rng.uniform(7, 22), rng.uniform(0.45, 0.75)
    for _ in range(int(rng.integers(15, 120))):
        at = centre + rng.normal(0, reach / 2, 3) * chest.scale
        if not all(0 <= int(c) < n for c, n in zip(at, chest.shape)) or not chest.lungs[tuple(at.astype(int))]:
            continue
        for _ in range(int(rng.integers(1, 4))):  # tree in bud: buds side by side
            box, a = chest.blob(rng, at, [rng.uniform(0.7, 2.0)] * 3, 0, 0.5)
            chest.fill(box, a, density)
            at = at + rng.normal(0, 1.6, 3) * chest.scale
    if rng.random() < 0.5:
        box, a = chest.blob(rng, centre, [reach * 0.8] * 3, 0.8, 0.6)
        chest.fill(box, a * rng.uniform(0.2, 0.6), ground_glass(rng))


def consolidation(chest, rng, side):
    """Lobar or segmental: dense, with air in the bronchi, bounded by a fissure on one side."""
    centre = chest.pick(rng, lambda p, b, d: 0.3 + b, side)
    r = rng.uniform(9, 26)
    radii = r * rng.uniform(0.7, 1.3, 3)
    box, a = chest.blob(rng, centre, radii, rng.uniform(0.2, 0.6), rng.uniform(0.1, 0.35))
    normal = rng.normal(0, 1, 3) * (1.5, 1, 0.4)
    normal /= np.linalg.norm(normal)
    grids = np.meshgrid(*[np.arange(s.start, s.stop) for s in box], indexing="ij")
    plane = sum(n * (g - c) / s for n, g, c, s in zip(normal, grids, centre, chest.scale)) + r * rng.uniform(-0.1, 0.6)
    if rng.random() < 0.7:
        a = a * np.clip(plane / 1.0, 0, 1)
    density = solid(rng) * (1 + 0.08 * noise(rng, a.shape, 4 * chest.scale, 2))
    glass = np.clip(ndimage.gaussian_filter(a, rng.uniform(1, 3) * chest.scale) * 1.5, 0, 1) * chest.lungs[box]
    chest.fill(box, glass * rng.uniform(0.3, 0.9), ground_glass(rng))
    if rng.random() < 0.75:  # air bronchograms
        a = a * (np.abs(noise(rng, a.shape, rng.uniform(4, 7) * chest.scale, 1)) > rng.uniform(0.05, 0.2))
    chest.fill(box, a * rng.uniform(0.75, 1.0), density)
    if rng.random() < 0.12:
        box, hole = chest.blob(rng, centre, [rng.uniform(2, 5)] * 3, 0.3, 0.4)
        chest.v[box] += hole * (0.03 - chest.v[box])


def effusion(chest, rng, side):
    """Water behind and below the lung of one side."""
    lung = chest.lungs.copy()
    x = np.arange(chest.shape[2])
    lung &= ((x > chest.mid) == bool(side))[None, None]
    if not lung.any():
        return
    level = rng.uniform(0.72, 0.95)
    height = (chest.posterior[None, :, None] + 0.25 * (chest.basal[:, None, None] - 0.5)).astype(np.float32)
    a = np.clip((height - level) * rng.uniform(8, 25), 0, 1) * lung * np.clip(chest.basal * 3 - 0.6, 0, 1)[:, None, None]
    chest.fill((slice(None),) * 3, a.astype(np.float32), rng.uniform(0.71, 0.74))


def airways(chest, rng):
    """Infection along the airways of both lungs: very many buds of a voxel or two, most of them in the
    lower lobes, and bronchi that are wide, with thick walls. No part of it is large."""
    lean = rng.uniform(0.5, 2.5)
    where = np.clip(noise(rng, chest.shape, rng.uniform(8, 16) * chest.scale, 2) + rng.uniform(-0.2, 0.8), 0, 1)
    where = where * np.clip(chest.basal, 0, 1)[:, None, None] ** lean * np.clip((chest.depth - 0.5) / 1.5, 0, 1)
    buds = noise(rng, chest.shape, rng.uniform(1.8, 4) * chest.scale, 2)
    a = np.clip((buds - rng.uniform(0.2, 1.2)) / 0.5, 0, 1) * np.clip(3 * where, 0, 1) * chest.lungs
    everywhere = (slice(None),) * 3
    chest.fill(everywhere, (where * rng.uniform(0, 0.35) * chest.lungs).astype(np.float32), ground_glass(rng))
    chest.fill(everywhere, a.astype(np.float32), rng.uniform(0.45, 0.75))
    for _ in range(int(rng.integers(3, 30))):
        centre = chest.pick(rng, lambda p, b, d: 0.1 + b**lean)
        radii = rng.uniform(1.2, 2.8) * np.array([rng.uniform(1, 3), rng.uniform(0.8, 1.2), rng.uniform(0.8, 1.2)])
        box = chest.box(centre, float(radii.max()) + 1)
        s = chest.inside(box, centre, radii)
        gate = chest.lungs[box] * (chest.v[box] < 0.6)  # the mask takes the dome of the diaphragm in
        wall, lumen = np.clip(1 - np.abs(s - 0.2) / 0.3, 0, 1) * gate, np.clip((s - 0.45) / 0.2, 0, 1) * gate
        chest.fill(box, wall * rng.uniform(0.6, 1.0), rng.uniform(0.5, 0.74))
        chest.v[box] += lumen * (0.02 - chest.v[box])


def cap(chest, rng):
    if rng.random() < AIRWAYS:
        airways(chest, rng)
        for _ in range(int(rng.integers(0, 4))):
            nodules(chest, rng, int(rng.integers(0, 2)))
        return
    side, kind = int(rng.integers(0, 2)), rng.random()
    both = rng.random() < 0.3
    if kind < 0.62:
        for _ in range(int(rng.integers(1, 3))):
            consolidation(chest, rng, side)
        if both and rng.random() < 0.4:
            consolidation(chest, rng, 1 - side)
    if kind > 0.4:
        for n in range(int(rng.integers(2, 8))):
            nodules(chest, rng, int(rng.integers(0, 2)) if both or kind > 0.85 else side)
        if kind > 0.62 and rng.random() < 0.5:
            centre = chest.pick(rng, None, side)
            box, a = chest.blob(rng, centre, rng.uniform(3, 8) * rng.uniform(0.7, 1.3, 3), 0.8, 0.4)
            chest.fill(box, a, solid(rng))
    if rng.random() < 0.3:
        effusion(chest, rng, side)


def background(chest, rng, share):
    """Findings that are no pneumonia. `share` scales how often they come."""
    hit = lambda p: rng.random() < p * share
    if hit(0.4):
        for _ in range(int(rng.integers(1, 4))):
            box, a = chest.blob(rng, chest.pick(rng), [rng.uniform(1, 4)] * 3, 0.2, 0.4)
            chest.fill(box, a, rng.uniform(0.5, 0.76))
    if hit(0.2):  # a mass, in the papers' sense a control
        box, a = chest.blob(rng, chest.pick(rng), rng.uniform(5, 12) * rng.uniform(0.8, 1.2, 3), 0.35, 0.2)
        chest.fill(box, a, rng.uniform(0.68, 0.76))
    if hit(0.35):  # dependent atelectasis: a thin band behind, both sides
        width = rng.uniform(1.0, 3.0)
        band = np.exp(-chest.depth / width) * np.clip(chest.posterior * 4 - 2.8, 0, 1)[None, :, None] * chest.lungs
        chest.fill((slice(None),) * 3, (band * np.clip(0.4 + chest.basal, 0, 1)[:, None, None]).astype(np.float32), rng.uniform(0.2, 0.5))
    if hit(0.25):  # emphysema
        holes = np.clip(noise(rng, chest.shape, rng.uniform(3, 8) * chest.scale, 2) - 0.6, 0, 1) * chest.lungs
        chest.v *= 1 - np.float32(rng.uniform(0.3, 0.8)) * holes * (chest.v < 0.3)
    if hit(0.25):  # plate-like scars
        for _ in range(int(rng.integers(1, 4))):
            centre = chest.pick(rng)
            box, a = chest.blob(rng, centre, [rng.uniform(0.6, 1.1), rng.uniform(4, 9), rng.uniform(4, 9)], 0.15, 0.5)
            chest.fill(box, a, rng.uniform(0.4, 0.7))
    if hit(0.12):
        effusion(chest, rng, int(rng.integers(0, 2)))
    if hit(0.3):  # expiration: denser lungs, more behind
        gain = rng.uniform(0.02, 0.09) * (0.6 + 0.8 * chest.posterior)[None, :, None]
        chest.v += (gain * chest.lungs * (chest.v < 0.35)).astype(np.float32)


def insert(volume, lungs, label, rng, apart=3.0):
    """The volume with findings of a class, a name of CLASSES; `apart` is the distance of its slices in mm."""
    chest = Chest(volume, lungs, apart)
    if len(chest.voxels) < 500 * chest.scale.prod():
        return chest.v
    background(chest, rng, 1.0 if label == "control" else 0.4)
    if label == "covid19":
        covid(chest, rng)
    elif label == "cap":
        cap(chest, rng)
    return chest.v
