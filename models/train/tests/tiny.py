"""A work folder of drawn chests, small enough for tests: what the stage `cohort` would have left."""

from pathlib import Path

import numpy as np

from scanside_train import cohort

# The least side that both networks take: a multiple of 8, and one column left after five pools.
SIZE = 40


def chest(n=48, size=SIZE):
    """Two ellipses of air in an ellipse of water."""
    z, y, x = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    v = np.where((x / 0.9) ** 2 + (y / 0.7) ** 2 < 1, 0.72, 0.0)
    for side in (-1, 1):
        v[((x - side * 0.42) / 0.32) ** 2 + (y / 0.5) ** 2 + (z / 0.8) ** 2 < 1] = 0.1
    return v.astype(np.float32)


def study(label, seed, size=SIZE, n=48):
    rng, v = np.random.default_rng(seed), chest(n, size)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, k) for k in v.shape), indexing="ij")
    lung = v == np.float32(0.1)
    if label == "covid19":
        v[lung & (y > 0.2 + 0.1 * rng.random()) & (z < 0.2)] = 0.4
    elif label == "cap":
        v[lung & (x > 0) & (np.abs(z + 0.2) < 0.3 + 0.1 * rng.random())] = 0.68
    return np.clip(v + 0.01 * rng.standard_normal(v.shape), 0, 1).astype(np.float16)


def work(folder, size=SIZE, train=3, val=1, test=2, n=48):
    """WORK with volumes of each class and split; the source is `phantom`."""
    folder = Path(folder)
    (folder / "volumes").mkdir(parents=True)
    rows = []
    for k, label in enumerate(cohort.LABELS):
        for split, number in (("train", train), ("val", val), ("test", test)):
            for m in range(number):
                name = f"{label}_{split}_{m}"
                np.save(folder / "volumes" / f"{name}.npy", study(label, 100 * k + 10 * len(split) + m, size, n))
                rows.append(cohort.Row(name, label, "phantom", split))
    cohort.write_table(folder, rows)
    return folder
