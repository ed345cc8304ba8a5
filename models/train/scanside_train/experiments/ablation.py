"""The recipe with and without BCDU-Net, and with each kind of noise (the journal's Fig. 1, asked as a question).

All variants share volumes, seeds, splits and steps; only what is named differs. The table says what
each was given. Each has a folder of its own with everything the stages leave, and goes on where it
was stopped.
"""

import json
import shutil
import time
from pathlib import Path

from .. import bundle, classify, cubes, denoise
from . import judge

# What the bundle's BCDU-Net takes.
BUNDLE_SIZE = 128
# Variant -> share of the published noise among noisy slices; None: slices stay clean; "" : no BCDU-Net at all;
# a path: that of the bundle, trained for as long as it was.
VARIANTS = {
    "bundle": Path(__file__).parents[3] / "covidctnet-128" / "bcdu.onnx",
    "both-noises": denoise.PUBLISHED_SHARE,
    "published-noise": 1.0,
    "infection-noise": 0.0,
    "no-noise": None,
    "no-bcdu": "",
}
WORDS = {
    "bundle": "difference; the BCDU-Net of the bundle, trained for longer than the other variants'",
    "both-noises": "difference; Perlin on a quarter of the noisy slices, infection on the others",
    "published-noise": "difference; the published whole-slice Perlin noise alone",
    "infection-noise": "difference; infection-like blobs alone",
    "no-noise": "difference; BCDU-Net learns to repeat clean slices",
    "no-bcdu": "the plain input, resized to 50 slices",
}


def prepare(work, folder):
    """A work folder that shares the volumes."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "volumes").exists():
        (folder / "volumes").symlink_to((Path(work) / "volumes").resolve())
    shutil.copyfile(Path(work) / "volumes.csv", folder / "volumes.csv")
    return folder


def variant(a, name, folder):
    """Cubes and a 3D CNN of one variant: what it says of the test cubes, and the budget it had."""
    noise, model, steps = VARIANTS[name], None, 0
    spent, begun = folder / "seconds.json", time.time()
    before = json.loads(spent.read_text()) if spent.exists() else 0
    if isinstance(noise, Path):
        model = noise
    elif noise != "":
        start = Path(a.work) / "lungs.pt"
        steps = denoise.train(folder, "denoise", a.denoise_steps, a.seed, published=noise, minutes=a.denoise_minutes, start=start if start.exists() else None)["step"]
        model = folder / "export" / "bcdu.onnx"
        if not model.exists():
            bundle.quantize_bcdu(folder, folder / "denoise.pt", a.size, number=a.calibration)
    made = cubes.build(folder, model, cubes.plan(folder, a.inserts, a.exact, seed=a.seed), threads=a.jobs, scanside=a.scanside)
    head = classify.train(folder, a.cnn_steps, a.cnn_whole_steps, a.seed + 1, minutes=a.cnn_minutes, size=a.size)
    spent.write_text(json.dumps(round(before + time.time() - begun, 1)))
    budget = {"denoise_steps": steps, "train_cubes": sum(c.split == "train" for c in made), "cnn_steps": sum(head["steps"]), "seconds": json.loads(spent.read_text())}
    return judge.predict(folder, a.size), budget


def run(a, out):
    """One row per variant in ablation.csv; details in a folder each."""
    fits = a.size == BUNDLE_SIZE
    wanted, rows = a.variants or [name for name in VARIANTS if fits or name != "bundle"], []
    if "bundle" in wanted and not fits:
        raise SystemExit(f"bundle: its BCDU-Net takes {BUNDLE_SIZE} x {BUNDLE_SIZE}, not {a.size} x {a.size}")
    for name in wanted:
        if name not in VARIANTS:
            raise SystemExit(f"{name}: the variants are {', '.join(VARIANTS)}")
    for name in wanted:
        print(f"-- {name}: {WORDS[name]}")
        folder = prepare(a.work, Path(out) / name)
        said, budget = variant(a, name, folder)
        found = {r["name"]: r for r in judge.write(folder / "judged", said)}
        row = {"variant": name, "what": WORDS[name], **budget, "n": found["accuracy_3_class"]["of"]}
        for key in ("accuracy_3_class", "accuracy_2_class", "sensitivity_covid19", "specificity_covid19", "auc_control", "auc_covid19", "auc_cap", "auc_micro", "auc_macro"):
            r = found.get(key, {})
            row |= {key: r.get("value", ""), f"{key}_low": r.get("low", ""), f"{key}_high": r.get("high", "")}
        rows.append(row)
        judge.save(Path(out) / "ablation.csv", rows)
    return rows
