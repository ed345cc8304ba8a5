"""The papers' experiments as commands: `python -m scanside_train experiment NAME --work WORK --out DIR`.

Each one works on what the recipe's stages left in WORK and writes tables (CSV) and pictures (PNG,
SVG) to DIR. They judge simulated studies and a handful of real ones; they say nothing of patients.
"""

import argparse
from pathlib import Path

NAMES = ("judge", "int8", "ablation", "patches", "folds", "holdout", "sheet", "readers", "overlay", "cloud")


def options(argv):
    ap = argparse.ArgumentParser(prog="scanside_train experiment", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(dest="name", required=True)

    def command(name, words, work=True):
        p = sub.add_parser(name, help=words, description=words)
        if work:
            p.add_argument("--work", required=True, help="folder of the recipe")
        p.add_argument("--out", required=True, help="folder for tables and pictures")
        p.add_argument("--size", type=int, default=128, choices=(128, 240))
        p.add_argument("--seed", type=int, default=1)
        return p

    def steps(p):
        p.add_argument("--cnn-steps", type=int, default=300)
        p.add_argument("--cnn-whole-steps", type=int, default=500)
        p.add_argument("--cnn-minutes", type=float, help="bounds each of the two parts")

    p = command("judge", "accuracy, sensitivity, specificity, AUC, ROC, confusion of the 3D CNN, or of a table of predictions")
    p.add_argument("--predictions", help="CSV with case,label,p_control,p_covid19,p_cap instead of WORK/cnn.pt")
    p.add_argument("--of", default="test", choices=("test", "val", "eval"), help="which cubes")
    p = command("int8", "held-out phantoms through the shipped network and through its fp32 weights", work=False)
    p.add_argument("--bundle", required=True)
    p.add_argument("--fp32", help="folder of bcdu_fp32.onnx, WORK/export say; without it the bundle's own kernels in float")
    p.add_argument("--scanside", required=True, help="the program")
    p.add_argument("--phantoms", type=int, default=300)
    p.add_argument("--first-seed", type=int, default=2_000_000)
    p.add_argument("--matrix", type=int, default=160)
    p.add_argument("--thickness", type=float, help="of all phantoms, in mm, instead of drawn ones")
    p.add_argument("--minutes", type=float, help="stop there even if studies are left")
    p.add_argument("--jobs", type=int, default=2)
    p = command("ablation", "the same recipe with and without BCDU-Net and with each kind of noise")
    p.add_argument("--variants", nargs="+", help="some of them only")
    p.add_argument("--denoise-steps", type=int, default=800)
    p.add_argument("--denoise-minutes", type=float)
    p.add_argument("--inserts", type=int, default=60)
    p.add_argument("--exact", type=int, default=0, help="test phantoms per class taken on every slice")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--calibration", type=int, default=64, help="slices that choose the ranges of int8")
    p.add_argument("--scanside", help="the program, to make the cubes fast; without it ONNX Runtime makes them")
    steps(p)
    p = command("patches", "a 2-D network on patches of lung, its answers averaged per study")
    p.add_argument("--steps", type=int, default=1500)
    p = command("folds", "K-fold cross-validation by patient, the answers of all folds together")
    p.add_argument("--folds", type=int, default=5)
    steps(p)
    p = command("holdout", "a published hold-out by patient")
    p.add_argument("--split", default="95-5", choices=("95-5", "90-10"))
    steps(p)
    p = command("sheet", "an empty sheet for readers: cases in random order without their names, and the key")
    p.add_argument("--cases", type=int, default=20)
    p = command("readers", "readers' calls beside the model's")
    p.add_argument("--calls", required=True, help="CSV case,reader,call; call is control, covid19 or cap")
    p.add_argument("--key", help="CSV case,study from `sheet`; without it a case is a study's name")
    p.add_argument("--predictions", help="CSV as `judge` writes; else WORK/cnn.pt on the test and eval cubes")
    for name, words in (("overlay", "slices with the difference in violet"), ("cloud", "lung and infection as points in space")):
        p = command(name, words)
        p.add_argument("--study", action="append", required=True, help="name in WORK/volumes.csv; may be repeated")
        p.add_argument("--model", help="BCDU-Net as ONNX (default: WORK/export/bcdu.onnx)")
    return ap.parse_args(argv)


def main(argv=None):
    a = options(argv)
    out = Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    from . import ablation, int8, judge, patches, pictures, readers, rounds
    if a.name == "judge":
        judge.write(out, judge.read(a.predictions) if a.predictions else judge.predict(a.work, a.size, a.of))
    elif a.name == "int8":
        int8.run(a, out)
    elif a.name == "ablation":
        ablation.run(a, out)
    elif a.name == "patches":
        judge.write(out, patches.run(a.work, out, a.steps, a.seed))
    elif a.name == "folds":
        judge.write(out, rounds.run(a, out, [f"{a.folds}-fold:{k}" for k in range(a.folds)]))
    elif a.name == "holdout":
        judge.write(out, rounds.run(a, out, [a.split]))
    elif a.name == "sheet":
        readers.sheet(a.work, out, a.cases, a.seed)
    elif a.name == "readers":
        found = judge.read(a.predictions) if a.predictions else judge.predict(a.work, a.size, "test") + judge.predict(a.work, a.size, "eval")
        readers.compare(out, a.calls, a.key, found)
    else:
        for study in a.study:
            getattr(pictures, a.name)(a.work, study, out, a.model)
