"""Volumes for training: DICOM studies through `scanside preprocess`, phantoms through `scanside phantom`.

The cohort file is a CSV with the columns path,label,source,split and, where a patient has more than one
study, patient. Label is control, covid19 or cap,
split is train, val, test, or eval (looked at, never trained on or tuned on). Every volume rests as
float16 under WORK/volumes, with a row in WORK/volumes.csv; what is there is not made again.
"""

import csv
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from tqdm import tqdm

SCANNERS = ("ge", "siemens", "philips", "canon")
# Slice thickness of phantoms in mm; thin ones are costly to make and say little more on the network's grid.
THICKNESS = (2.0, 2.5, 3.0, 4.0, 5.0, 5.0)
LABELS = ("control", "covid19", "cap")


@dataclass
class Row:
    name: str
    label: str
    source: str
    split: str
    detail: str = ""
    patient: str = ""  # empty: the volume is its patient


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


def preprocess(scanside, folder, out, size):
    """One study through the box's own preprocessing, kept as float16 (an error of at most 2.4e-4)."""
    with tempfile.TemporaryDirectory() as tmp:
        target = Path(tmp) / "v.npy"
        subprocess.run([scanside, "preprocess", "--profile", "paper", "--size", str(size), str(folder), str(target)],
                       check=True, capture_output=True, text=True)
        v = np.load(target)
    part = out.with_suffix(".part.npy")
    np.save(part, v.astype(np.float16))
    part.rename(out)


def phantom_split(seed, n=0, of=10):
    """Split by patient: a phantom's seed is its patient. Of fewer than ten the last two are held out."""
    if of < 10:
        return {of - 1: "test", of - 2: "val"}.get(n, "train")
    return {7: "val", 8: "test", 9: "test"}.get(seed % 10, "train")


def make_phantom(scanside, label, seed, out, size, matrix):
    rng = np.random.default_rng([seed, 77])
    scanner, thickness = SCANNERS[rng.integers(4)], float(rng.choice(THICKNESS))
    with tempfile.TemporaryDirectory() as tmp:
        study = Path(tmp) / "study"
        subprocess.run([scanside, "phantom", "--class", label, "--seed", str(seed), "--scanner", scanner,
                        "--matrix", str(matrix), "--thickness", str(thickness), str(study)],
                       check=True, capture_output=True, text=True)
        preprocess(scanside, study, out, size)


def phantom_detail(seed):
    rng = np.random.default_rng([seed, 77])
    return f"{SCANNERS[rng.integers(4)]} {float(rng.choice(THICKNESS))} mm"


def build(work, scanside, size=128, phantoms=0, first_seed=1000, studies=None, matrix=256, jobs=2, deadline=None):
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
                jobs_todo.append((row, lambda out, p=path: preprocess(scanside, p, out, size)))
    for n in range(phantoms):
        for k, label in enumerate(LABELS):
            seed = first_seed + n + 100_000 * k  # no two phantoms share a body
            row = Row(f"phantom_{label}_{seed}", label, "phantom", phantom_split(seed, n, phantoms), phantom_detail(seed))
            jobs_todo.append((row, lambda out, l=label, s=seed: make_phantom(scanside, l, s, out, size, matrix)))

    def work_on(job):
        row, make = job
        out = folder / f"{row.name}.npy"
        if not out.exists():
            if deadline and time.time() > deadline:
                return None
            try:
                make(out)
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
