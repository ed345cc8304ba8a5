"""Volumes for training: DICOM studies through `scanside preprocess`, phantoms through `scanside phantom`.

The cohort file is a CSV with the columns path,label,source,split and, where a patient has more than one
study, patient. Label is control, covid19 or cap,
split is train, val, test, or eval (looked at, never trained on or tuned on). Every volume rests as
float16 under WORK/volumes, with a row in WORK/volumes.csv; what is there is not made again.
Slices stay as they were acquired where they are at least 1 mm apart (`native`), or become one per
millimetre (`iso1`); the table holds how far apart they are.
"""

import csv
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from tqdm import tqdm

# Rows and columns of a phantom beside the asked number: the box gets any matrix.
MATRICES = (0.85, 1, 1, 1.33)
LABELS = ("control", "covid19", "cap")


@dataclass
class Row:
    name: str
    label: str
    source: str
    split: str
    detail: str = ""
    patient: str = ""  # empty: the volume is its patient
    spacing: str = "1"  # mm from slice to slice of the volume as it rests

    def step(self, apart):
        """Slices to go on for about `apart` mm."""
        return max(1, round(apart / float(self.spacing)))


def read_table(work):
    path = Path(work) / "volumes.csv"
    if not path.exists():
        return []
    with open(path, newline="") as f:
        return [Row(**r) for r in csv.DictReader(f)]


def write_table(work, rows):
    with open(Path(work) / "volumes.csv", "w", newline="") as f:
        out = csv.DictWriter(f, [x.name for x in fields(Row)])
        out.writeheader()
        out.writerows(asdict(r) for r in rows)


def load(work, name, step=1, offset=0):
    """Unit volume as float32, every `step`-th slice."""
    v = np.load(Path(work) / "volumes" / f"{name}.npy", mmap_mode="r")
    return np.asarray(v[offset::step], np.float32)


def preprocess(scanside, folder, out, size, z_policy="native"):
    """One study through the box's own preprocessing, kept as float16 (an error of at most 2.4e-4).
    Returns the distance of its slices in mm."""
    with tempfile.TemporaryDirectory() as tmp:
        target = Path(tmp) / "v.npy"
        said = subprocess.run([scanside, "preprocess", "--profile", "paper", "--size", str(size), "--z-policy", z_policy, str(folder), str(target)],
                              check=True, capture_output=True, text=True).stdout
        v = np.load(target)
    part = out.with_suffix(".part.npy")
    np.save(part, v.astype(np.float16))
    part.rename(out)
    apart = re.search(r"slices every ([0-9.]+) mm", said)
    # The program brings thinner slices to 1 mm, and `iso1` all of them.
    return max(1.0, float(apart[1])) if apart and z_policy == "native" else 1.0


def phantom_split(seed, n=0, of=10):
    """Split by patient: a phantom's seed is its patient. Of fewer than ten the last two are held out."""
    if of < 10:
        return {of - 1: "test", of - 2: "val"}.get(n, "train")
    return {8: "val", 9: "test"}.get(seed % 10, "train")


def make_phantom(scanside, label, seed, out, size, matrix, z_policy="native", thickness=None, exactly=False):
    """Scanner, kernel and all else are drawn by the program from the seed, the thickness too where none
    is given; the matrix is drawn round the given one, or is `exactly` that."""
    rows = matrix if exactly else int(matrix * MATRICES[np.random.default_rng([seed, 77]).integers(len(MATRICES))])
    with tempfile.TemporaryDirectory() as tmp:
        study = Path(tmp) / "study"
        thick = ["--thickness", str(thickness)] if thickness else []
        subprocess.run([scanside, "phantom", "--class", label, "--seed", str(seed), "--matrix", str(rows), *thick, str(study)],
                       check=True, capture_output=True, text=True)
        return preprocess(scanside, study, out, size, z_policy)


def build(work, scanside, size=128, phantoms=0, first_seed=1000, studies=None, matrix=256, jobs=2, deadline=None, z_policy="native", labels=LABELS, thickness=None):
    """Makes what is missing. Classes take turns, so a run cut short stays balanced."""
    import time
    folder = Path(work) / "volumes"
    folder.mkdir(parents=True, exist_ok=True)
    rows = {r.name: r for r in read_table(work)}
    for found in list(folder.glob("*.npy"))[:1]:
        if (there := np.load(found, mmap_mode="r").shape[-1]) != size:
            raise SystemExit(f"{work} holds volumes of {there} x {there}; those of {size} x {size} need a work folder of their own")
    jobs_todo = []
    if studies:
        with open(studies, newline="") as f:
            for r in csv.DictReader(f):
                path = (Path(studies).parent / r["path"]).resolve()
                name = f"{r['source']}_{path.name}".replace(" ", "_")
                row = Row(name, r["label"], r["source"], r["split"], "", r.get("patient") or "")
                jobs_todo.append((row, lambda out, p=path: preprocess(scanside, p, out, size, z_policy)))
    for n in range(phantoms):
        for k, label in enumerate(LABELS):
            if label not in labels:
                continue
            seed = first_seed + n + 100_000 * k  # no two phantoms share a body
            row = Row(f"phantom_{label}_{seed}", label, "phantom", phantom_split(seed, n, phantoms))
            jobs_todo.append((row, lambda out, l=label, s=seed: make_phantom(scanside, l, s, out, size, matrix, z_policy, thickness)))

    def work_on(job):
        row, make = job
        out = folder / f"{row.name}.npy"
        if row.name in rows and out.exists():
            row.spacing = rows[row.name].spacing
        else:
            if deadline and time.time() > deadline:
                return None
            try:
                row.spacing = f"{make(out):g}"
            except subprocess.CalledProcessError as e:
                tqdm.write(f"{row.name}: {e.stderr.strip()[-300:]}")
                return None
        return row

    with ThreadPoolExecutor(jobs) as pool:
        for n, row in enumerate(tqdm(pool.map(work_on, jobs_todo), total=len(jobs_todo), desc="volumes")):
            if row:
                rows[row.name] = row
            if n % 20 == 0:
                write_table(work, rows.values())
    write_table(work, rows.values())
    shutil.rmtree(folder / "tmp", ignore_errors=True)
    return list(rows.values())
