"""Pictures of one study: slices with the difference in violet (Fig. 2), and lung and infection as
points in space (Fig. 3). What lights up is what the network did not expect, not a finding."""

from pathlib import Path

import numpy as np
from scipy import ndimage

from .. import bundle, cohort, cubes, lungs, quantize
from . import plots

VIOLET = np.array([0.58, 0.0, 0.83])
# A difference of 0.3 is 420 HU over the expected: full colour.
FULL = 0.3
# Slices of an overlay, points of a cloud.
SLICES, POINTS = 8, 9_000


def look(work, study, model=None):
    """Every third slice of a study, its difference inside the lungs, the lungs."""
    if study not in {r.name for r in cohort.read_table(work)}:
        raise SystemExit(f"{study} is not in {work}/volumes.csv")
    v = cohort.load(work, study, 3, 1)
    session = quantize.session(model or Path(work) / "export" / "bcdu.onnx", 1)
    clean = cubes.reconstruct(session, v)
    # Where the network sees lung behind an opacity at the pleura, there is lung, as the box has it.
    d, m = v - clean, lungs.mask(np.minimum(v, clean))
    # The pleura itself differs a little everywhere; one pixel off it, as the box counts.
    inner = np.stack([ndimage.binary_erosion(s) for s in m])
    return v, np.where(inner, d, 0.0), m


def painted(slice_, difference):
    """(y, x, 3): grey, with violet where the scan is denser than the network expects."""
    grey = np.repeat(np.clip(slice_, 0, 1)[..., None], 3, -1)
    alpha = np.clip((difference - bundle.INVOLVED / 2) / FULL, 0, 1)[..., None] * 0.85
    return grey * (1 - alpha) + VIOLET * alpha


def chosen(d, m, number=SLICES):
    """Slices spread over the lungs, from each stretch the one with the most involvement; head first."""
    with_lung = np.flatnonzero(m.any((1, 2)))
    if len(with_lung) == 0:
        return np.linspace(0, len(d) - 1, min(number, len(d))).astype(int)[::-1]
    parts = np.array_split(with_lung, min(number, len(with_lung)))
    share = (d > bundle.INVOLVED).sum((1, 2))
    return np.array([part[share[part].argmax()] for part in parts])[::-1]


def overlay(work, study, out, model=None):
    """STUDY_overlay.png: above the slices as they are, below with violet."""
    v, d, m = look(work, study, model)
    at = chosen(d, m)
    above = np.concatenate([painted(v[z], np.zeros_like(d[z])) for z in at], 1)
    below = np.concatenate([painted(v[z], d[z]) for z in at], 1)
    plt = plots.drawing()
    path = Path(out) / f"{study}_overlay.png"
    plt.imsave(path, np.kron(np.concatenate([above, below]), np.ones((2, 2, 1))), metadata={"Software": None})
    return path


def points(d, m, number=POINTS, seed=0):
    """Voxels of the lungs' surface and of what is involved: two arrays (n, 3) of z, y, x."""
    rng = np.random.default_rng(seed)
    few = lambda a: a if len(a) <= number else a[np.sort(rng.choice(len(a), number, replace=False))]
    return few(np.argwhere(m & ~ndimage.binary_erosion(m))), few(np.argwhere(d > bundle.INVOLVED))


def save_ply(path, surface, infection):
    """Points with colours, for a viewer that turns them."""
    rows = [f"{x} {y} {z} {r} {g} {b}" for group, (r, g, b) in ((surface, (190, 190, 190)), (infection, (148, 0, 211))) for z, y, x in group]
    head = ["ply", "format ascii 1.0", f"element vertex {len(rows)}", *(f"property float {c}" for c in "xyz"), *(f"property uchar {c}" for c in ("red", "green", "blue")), "end_header"]
    Path(path).write_text("\n".join(head + rows) + "\n")


def cloud(work, study, out, model=None):
    """STUDY_cloud.png from the front and from the side, and STUDY_cloud.ply. Voxels of the 128 grid are about as
    wide as three millimetres are high; a finer grid is brought to that."""
    v, d, m = look(work, study, model)
    fine = lungs.fineness(v.shape[-1])
    surface, infection = (p / (1, fine, fine) for p in points(d, m))
    plt = plots.drawing()
    figure = plt.figure(figsize=(8, 4.2))
    for n, (turn, words) in enumerate(((-90, "from the front"), (0, "from the left"))):
        axes = figure.add_subplot(1, 2, n + 1, projection="3d")
        # y grows to the back and x to the patient's left.
        axes.scatter(surface[:, 2], surface[:, 1], surface[:, 0], s=2, color="#8c8c8c", alpha=0.25, linewidths=0)
        axes.scatter(infection[:, 2], infection[:, 1], infection[:, 0], s=3, color=VIOLET, alpha=0.6, linewidths=0)
        if len(surface):
            axes.set_box_aspect(np.ptp(surface, 0)[[2, 1, 0]].clip(1), zoom=1.5)
        axes.view_init(elev=8, azim=turn)
        axes.set_axis_off()
        axes.set_title(words, fontsize=8)
    plots.save(figure, Path(out) / f"{study}_cloud")
    save_ply(Path(out) / f"{study}_cloud.ply", surface, infection)
    return Path(out) / f"{study}_cloud.png"
