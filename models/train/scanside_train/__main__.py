"""The command line of the recipe: `python -m scanside_train STAGE --work DIR ...`.

Beside the stages: `experiment` (the papers' experiments) and `import-keras` (published weights).

Stages: cohort, lungs, denoise, quantize, aware, cubes, cnn, bundle; `all` runs them in this order. Each
stage finds what the earlier ones left in the work folder and goes on where it was stopped.
"""

import argparse
import json
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import torch

from . import bundle, classify, cohort, cubes, denoise, splits

STAGES = ("cohort", "lungs", "denoise", "quantize", "aware", "cubes", "cnn", "bundle")

# Sentences for the report, whatever the numbers say.
LIMITS = [
    "Trained on simulated studies and on very few real ones; never on patients with Covid-19 or pneumonia.",
    "Not validated on patients. Its probabilities say how well a study fits the simulation, not how likely a disease is.",
    "Findings that are neither pneumonia nor a simulated control finding can be called anything.",
]


def options():
    ap = argparse.ArgumentParser(prog="scanside_train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("stage", choices=[*STAGES, "all"])
    ap.add_argument("--work", required=True, help="folder for volumes, cubes and checkpoints")
    ap.add_argument("--scanside", default="scanside", help="the program that preprocesses and makes phantoms")
    ap.add_argument("--out", help="bundle folder to write")
    ap.add_argument("--studies", help="CSV of DICOM studies: path,label,source,split")
    ap.add_argument("--labels", help="JSON of slice labels for the card: study -> {values}, one per slice")
    ap.add_argument("--phantoms", type=int, default=120, help="phantoms per class")
    ap.add_argument("--matrix", type=int, default=256, help="rows and columns of the phantoms")
    ap.add_argument("--thickness", type=float, help="slice thickness of all phantoms in mm, instead of drawn ones: thick slices are quick")
    ap.add_argument("--size", type=int, default=128, choices=(128, 240))
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--lungs-steps", type=int, default=100)
    ap.add_argument("--denoise-steps", type=int, default=3000)
    ap.add_argument("--denoise-rate", type=float, default=1e-3)
    ap.add_argument("--denoise-minutes", type=float, help="stop there even if steps are left")
    ap.add_argument("--published-noise", type=float, default=denoise.PUBLISHED_SHARE, help="share of noisy slices with the published noise")
    ap.add_argument("--start", help="checkpoint of BCDU-Net, or the bcdu.onnx of a bundle, to start the denoiser from")
    ap.add_argument("--cnn-start", help="cnn.onnx of a bundle to start the 3D CNN from; its first four convolutions stay as they are in the steps of the crown")
    ap.add_argument("--calibration", type=int, default=64, help="slices that choose the ranges of int8")
    ap.add_argument("--aware-steps", type=int, default=300, help="steps in which the int8 network learns to answer as its fp32 weights do; 0: none")
    ap.add_argument("--aware-minutes", type=float, help="stop there even if steps are left")
    ap.add_argument("--z-policy", default="native", choices=("native", "iso1"), help="slices as acquired, or one per millimetre")
    ap.add_argument("--inserts", type=int, default=60, help="training cubes with simulated findings per class")
    ap.add_argument("--exact", type=int, help="test phantoms per class judged on every slice (default: all)")
    ap.add_argument("--cube-minutes", type=float)
    ap.add_argument("--cnn-steps", type=int, default=400, help="steps of the 3D CNN's crown alone")
    ap.add_argument("--cnn-whole-steps", type=int, default=600, help="steps of the whole 3D CNN after that")
    ap.add_argument("--cnn-minutes", type=float, help="bounds each of the two parts")
    ap.add_argument("--split", type=splits.parse, default=splits.TABLE, help="who is held out from the 3D CNN: table (the cohort file), 95-5, 90-10, or 5-fold:0 to 5-fold:4")
    ap.add_argument("--cnn-rate", type=float, default=1e-3)
    ap.add_argument("--jobs", type=int, default=2, help="volumes or cubes made at a time")
    ap.add_argument("--name", help="default: covidctnet-SIZE")
    ap.add_argument("--version", default="0.1.0")
    ap.add_argument("--note", action="append", default=[], help="a sentence for the card's training section")
    return ap.parse_args()


def deadline(minutes):
    return time.time() + 60 * minutes if minutes else None


def run(stage, a):
    work, begun = Path(a.work), time.time()
    work.mkdir(parents=True, exist_ok=True)
    if stage == "cohort":
        cohort.build(work, a.scanside, a.size, a.phantoms, studies=a.studies, matrix=a.matrix, jobs=a.jobs, z_policy=a.z_policy, thickness=a.thickness)
    elif stage == "lungs" and a.lungs_steps:
        denoise.train(work, "lungs", a.lungs_steps, a.seed)
    elif stage == "denoise":
        start = a.start or (work / "lungs.pt" if (work / "lungs.pt").exists() else None)
        denoise.train(work, "denoise", a.denoise_steps, a.seed, a.denoise_rate, published=a.published_noise, minutes=a.denoise_minutes, start=start)
    elif stage == "quantize":
        bundle.quantize_bcdu(work, work / "denoise.pt", a.size, number=a.calibration)
    elif stage == "aware" and a.aware_steps:
        bundle.aware_bcdu(work, work / "denoise.pt", a.size, a.aware_steps, a.calibration, a.aware_minutes)
    elif stage == "cubes":
        made = cubes.plan(work, a.inserts, a.exact, seed=a.seed)
        cubes.build(work, work / "export" / "bcdu.onnx", made, deadline(a.cube_minutes), a.jobs, a.scanside)
    elif stage == "cnn":
        classify.train(work, a.cnn_steps, a.cnn_whole_steps, a.seed + 1, a.cnn_rate, a.cnn_minutes, a.size, scheme=a.split, start=a.cnn_start)
    elif stage == "bundle":
        if not a.out:
            raise SystemExit("the stage `bundle` needs --out")
        labels = json.loads(Path(a.labels).read_text()) if a.labels else {}
        bundle.write(work, a.out, a.size, a.name or f"covidctnet-{a.size}", a.version, {"slice_labels": labels, "training": training_facts(work, a), "limits": LIMITS, "z_policy": a.z_policy})
    times = work / "seconds.json"
    seconds = json.loads(times.read_text()) if times.exists() else {}
    seconds[stage] = round(seconds.get(stage, 0) + time.time() - begun, 1)
    times.write_text(json.dumps(seconds))


def origin(path):
    """What a network started from: the bundle and its version, or another file's sum."""
    if not path:
        return "fresh weights"
    card = Path(path).parent / "card.toml"
    if card.exists():
        held = tomllib.loads(card.read_text())
        return f"{held['name']} {held['version']}, {Path(path).name}"
    return f"sha256 {bundle.sha256(path)}"


def training_facts(work, a):
    """What the card says about how the networks came to be."""
    rows = cohort.read_table(work)
    counts = {}
    for r in rows:
        key = f"{r.source}_{r.label}_{r.split}"
        counts[key] = counts.get(key, 0) + 1
    state = torch.load(work / "denoise.pt", weights_only=False)["state"]
    head = torch.load(work / "cnn.pt", weights_only=False)["state"]
    seconds = json.loads((work / "seconds.json").read_text()) if (work / "seconds.json").exists() else {}
    licences = work / "licences.json"
    return {
        "volumes": counts, "seed": a.seed, "notes": a.note,
        "licences": json.loads(licences.read_text()) if licences.exists() else {},
        "denoise": {"started_from": origin(a.start), "steps": state["step"], "batch": denoise.BATCH, "optimiser": f"Adam {a.denoise_rate}, cosine from half way", "arithmetic": "bf16 autocast",
                    "loss": "binary cross-entropy on continuous targets", "lung_weight": denoise.LUNG_WEIGHT,
                    "noisy_share": 0.5, "published_noise_share_of_noisy": a.published_noise, "seconds": state["seconds"],
                    "losses_step_mean_excess": state["losses"]},
        "cnn_recipe": {"steps_crown": head["steps"][0], "steps_whole": head["steps"][1], "batch": classify.BATCH, "optimiser": f"AdamW {a.cnn_rate}, decay 1e-3, cosine", "label_smoothing": classify.SMOOTHING,
                       "started_from": origin(a.cnn_start), "normalisation": "batch norm behind convolutions 5 to 10 in training, folded into them for the file", "stem": "the first part trains the layers behind convolution 4, the second part all; fresh convolutions 1 to 4 start as a bank of smoothing and threshold filters", "copies": classify.COPIES, "kept": "lowest validation loss", "best_validation_loss": head["best"], "best_from": head["best_part"], "seconds_crown": head["seconds"][0], "seconds_whole": head["seconds"][1],
                       "cubes": f"through the int8 BCDU-Net by the program itself; slices every {cubes.APART[0]:g} to {cubes.APART[1]:g} mm, exact ones as the box has them"},
        "stage_seconds": seconds,
    }


def main():
    if sys.argv[1:2] == ["import-keras"]:
        from . import import_keras
        return import_keras.main(sys.argv[2:])
    if sys.argv[1:2] == ["experiment"]:
        from .experiments import main as experiments
        return experiments(sys.argv[2:])
    a = options()
    np.seterr(all="ignore")
    for stage in STAGES if a.stage == "all" else [a.stage]:
        run(stage, a)


if __name__ == "__main__":
    main()
