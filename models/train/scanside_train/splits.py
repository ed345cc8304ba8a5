"""Who is held out from the 3D CNN: by the cohort's table, as published, or by folds.

A split is made by patient and by class, so that no patient stands on two sides and every class on
each. Volumes of the split `eval` stay out of all of them.
"""

import argparse
import re
from dataclasses import replace

import numpy as np

from . import cohort

# The scheme of the cohort file itself.
TABLE = "table"
# Held out as published: 5 % in the journal, 10 % in the preprint.
HOLD = {"95-5": 0.05, "90-10": 0.10}
# Share of the patients not held out on which the best weights and the temperature are chosen.
VALIDATION = 0.1
# One seed for all schemes, so that training and judging agree without being told.
SEED = 17


def parse(scheme):
    """The scheme itself, if there is such a one."""
    fold = re.fullmatch(r"(\d+)-fold:(\d+)", scheme)
    if scheme == TABLE or scheme in HOLD or (fold and int(fold[1]) >= 3 and int(fold[2]) < int(fold[1])):
        return scheme
    raise argparse.ArgumentTypeError(f"{scheme}: a split is table, 95-5, 90-10, or K-fold:N with K from 3 and N below K")


def assign(rows, scheme):
    """Volume -> train, val or test, for the rows of a cohort that may be trained on."""
    rows = [r for r in rows if r.split in ("train", "val", "test")]
    if scheme == TABLE:
        return {r.name: r.split for r in rows}
    # A patient whose studies carry two labels counts with the first; they stay together.
    labels = {}
    for r in rows:
        labels.setdefault(r.patient or r.name, r.label)
    place = {}
    for k, label in enumerate(cohort.LABELS):
        patients = sorted(p for p, of in labels.items() if of == label)
        order = [patients[i] for i in np.random.default_rng([SEED, k]).permutation(len(patients))]
        if scheme in HOLD:
            test = max(1, round(HOLD[scheme] * len(order)))
            val = max(1, round(VALIDATION * (len(order) - test)))
            place |= {p: "test" if n < test else "val" if n < test + val else "train" for n, p in enumerate(order)}
        else:
            folds, held = map(int, scheme.split("-fold:"))
            name = {held: "test", (held + 1) % folds: "val"}
            place |= {p: name.get(n % folds, "train") for n, p in enumerate(order)}
    return {r.name: place[r.patient or r.name] for r in rows}


def placed(work, cubes, scheme):
    """The cubes with the split that the scheme gives to their volumes.

    A real training study as it is (`seen`) becomes a test cube where its volume is held out.
    """
    if scheme == TABLE:
        return cubes
    of, out = assign(cohort.read_table(work), scheme), []
    for c in cubes:
        split = of.get(c.volume, c.split)
        if c.split in ("eval",) or (c.split == "seen" and split != "test"):
            split = c.split
        out.append(replace(c, split=split))
    return out
