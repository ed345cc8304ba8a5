"""What int8 changes: held-out phantoms through the shipped BCDU-Net and through its fp32 weights.

The program makes, prepares and reconstructs each study as the box does; ONNX Runtime reconstructs
the same slices in fp32, and the same 3D CNN judges both cubes. `scanside evaluate --fp32` asks the
same of the box alone, at twice the time. A run that was stopped goes on.
"""

import json
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .. import bundle, classify, cohort, cubes, export, quantize, recover
from . import judge

COLUMNS = ("seed", "label", "slices", *(f"{n}_{k}" for n in ("int8", "fp32") for k in ("control", "covid19", "cap", "call")))


class Judge:
    """The second network of a bundle, with the card's temperature and thresholds."""

    def __init__(self, folder):
        folder = Path(folder)
        self.card = tomllib.loads((folder / "card.toml").read_text())
        self.size, self.cnn = self.card["size"], quantize.session(folder / "cnn.onnx", 1)
        features = np.load(folder / "features.npy")
        self.means, self.inverse = features[:3], features[3:]

    def __call__(self, cube):
        """Probabilities, and the decision as an index; 3 is undetermined."""
        _, logits, f = self.cnn.run(None, {"input": cube.astype(np.float32).reshape(1, 1, cubes.DEPTH, self.size, self.size)})
        p = classify.softmax(logits, self.card["calibration"]["temperature"])[0]
        limits = self.card["decision"]
        return p, bundle.decide(p, classify.distances(f, self.means, self.inverse)[0], limits["thresholds"], limits["distance_limit"])


def fp32(a, size):
    """What int8 is held against: the weights that it was rounded from, or where they are not kept its own kernels in float."""
    return Path(a.fp32) / "bcdu_fp32.onnx" if a.fp32 else export.bcdu(recover.read(Path(a.bundle) / "bcdu.onnx"), size)


def one(a, ask, full, seed, label):
    """A row of COLUMNS for one phantom."""
    with tempfile.TemporaryDirectory() as tmp:
        volume = Path(tmp) / "v.npy"
        cohort.make_phantom(a.scanside, label, seed, volume, ask.size, a.matrix, ask.card["z_policy"], a.thickness, exactly=True)
        v = np.load(volume).astype(np.float32)
    made = {"int8": cubes.by_program(a.scanside, Path(a.bundle) / "bcdu.onnx", [v])[0], "fp32": cubes.difference_cube(full, v)}
    row = {"seed": seed, "label": label, "slices": len(v)}
    for name, cube in made.items():
        p, call = ask(cube)
        row |= {f"{name}_{k}": float(x) for k, x in zip(cohort.LABELS, p)} | {f"{name}_call": [*cohort.LABELS, "undetermined"][call]}
    return row


def summary(rows):
    """Flips, the change of each AUC, and the largest change of a probability."""
    y = np.array([cohort.LABELS.index(r["label"]) for r in rows])
    p, q = (np.array([[float(r[f"{n}_{k}"]) for k in cohort.LABELS] for r in rows]) for n in ("int8", "fp32"))
    areas = {n: [bundle.auc(x[:, k], y == k) for k in range(3)] for n, x in (("int8", p), ("fp32", q))}
    return {
        "studies": len(rows), "slices": sum(int(r["slices"]) for r in rows),
        "label_flips": int((p.argmax(1) != q.argmax(1)).sum()),
        "other_decisions": sum(r["int8_call"] != r["fp32_call"] for r in rows),
        "right_word_turned_wrong": sum(r["int8_call"] not in (r["label"], "undetermined") and r["fp32_call"] == r["label"] for r in rows),
        "mean_abs_dp": float(np.abs(p - q).mean()), "max_abs_dp": float(np.abs(p - q).max()),
        "auc_int8": areas["int8"], "auc_fp32": areas["fp32"], "auc_change": [i - f for i, f in zip(areas["int8"], areas["fp32"])],
    }


def run(a, out, log=print):
    """int8.csv with a row per study and int8.json with the sums."""
    path, ask = out / "int8.csv", Judge(a.bundle)
    rows = judge.read_rows(path) if path.exists() else []
    done = {int(r["seed"]) for r in rows}
    full = quantize.session(fp32(a, ask.size), 1)
    wanted = [(a.first_seed + n, cohort.LABELS[n % 3]) for n in range(a.phantoms)]
    until = time.time() + 60 * a.minutes if a.minutes else None

    def work_on(task):
        return one(a, ask, full, *task) if not (until and time.time() > until) else None

    with ThreadPoolExecutor(a.jobs) as pool:
        left = [t for t in wanted if t[0] not in done]
        for row in tqdm(pool.map(work_on, left), total=len(left), desc="studies"):
            if row:
                rows.append(row)
                judge.save(path, rows, COLUMNS)
    if not rows:
        raise SystemExit("no study was judged: give more --minutes")
    found = summary(rows)
    (out / "int8.json").write_text(json.dumps(found, indent=1))
    log(json.dumps(found))
    return found
