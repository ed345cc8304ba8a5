"""Readers' calls beside the model's (the papers' Table 3).

`sheet` draws cases and hides their names; the readers fill the column `call`; `compare` sets their
calls beside the truth and the model. What readers are shown, and for how long, is the study's own.
"""

import csv
from pathlib import Path

import numpy as np

from .. import cohort
from . import judge, metrics


def sheet(work, out, cases, seed=1, log=print):
    """sheet.csv (case,reader,call; to be filled) and key.csv (case,study,label; to be kept away)."""
    rng, out = np.random.default_rng(seed), Path(out)
    rows = [r for r in cohort.read_table(work) if r.split in ("test", "eval")]
    by_label = [[r for r in rows if r.label == k] for k in cohort.LABELS]
    drawn = []
    for group in by_label:
        rng.shuffle(group)
    while len(drawn) < cases and any(by_label):
        for group in by_label:
            if group and len(drawn) < cases:
                drawn.append(group.pop())
    if not drawn:
        raise SystemExit(f"{work}: no studies of the splits test and eval")
    rng.shuffle(drawn)
    key = [{"case": n + 1, "study": r.name, "label": r.label} for n, r in enumerate(drawn)]
    judge.save(out / "key.csv", key)
    judge.save(out / "sheet.csv", [{"case": k["case"], "reader": "", "call": ""} for k in key])
    log(f"{len(key)} cases; a copy of sheet.csv for each reader, key.csv for nobody who reads")
    return key


def table(path, needed):
    with open(path, newline="") as f:
        rows = list(csv.DictReader(f))
    if not rows or any(c not in rows[0] for c in needed):
        raise SystemExit(f"{path}: the columns {', '.join(needed)} are needed, with at least one row")
    return rows


def summary(name, called, y):
    row = {"who": name, "n": len(y)}
    for key, hits, of in metrics.rates(called, y)[:6]:
        low, high = metrics.wilson(hits, of)
        row |= {key: f"{hits}/{of}", f"{key}_value": hits / of if of else float("nan"), f"{key}_low": low, f"{key}_high": high}
    return row


def compare(out, calls, key, predictions, log=print):
    """cases.csv, one row per case with everybody's call, and summary.csv, one row per reader, all readers, model."""
    out = Path(out)
    # A study judged on every slice stands for itself before its augmented copies.
    model = {}
    for r in sorted(predictions, key=lambda r: r.get("kind") == "exact"):
        model[r["case"]] = r
    study = {r["case"]: r["study"] for r in table(key, ("case", "study"))} if key else None
    said = {}
    for n, r in enumerate(table(calls, ("case", "reader", "call"))):
        if not r["call"]:
            continue
        name = study.get(r["case"], "") if study else r["case"]
        if r["call"] not in cohort.LABELS:
            raise SystemExit(f"{calls}, row {n + 1}: the call is one of {', '.join(cohort.LABELS)}, not {r['call']}")
        if name not in model:
            raise SystemExit(f"{calls}, row {n + 1}: the model has said nothing of the case {r['case']} {name}".rstrip())
        if r["reader"] in said.setdefault(name, {}):
            raise SystemExit(f"{calls}, row {n + 1}: {r['reader']} has called the case {r['case']} before")
        said[name][r["reader"]] = r["call"]
    readers = sorted({reader for of in said.values() for reader in of})
    number, rows = cohort.LABELS.index, []
    for name, of in said.items():
        m = model[name]
        p = [m[f"p_{k}"] for k in cohort.LABELS]
        rows.append({"study": name, "truth": m["label"], "model": cohort.LABELS[int(np.argmax(p))], **{f"p_{k}": m[f"p_{k}"] for k in cohort.LABELS},
                     **{reader: of.get(reader, "") for reader in readers}})
    judge.save(out / "cases.csv", rows)
    lines, together = [], []
    for reader in readers:
        pairs = [(number(r[reader]), number(r["truth"])) for r in rows if r[reader]]
        together += pairs
        lines.append(summary(reader, *np.array(pairs).T))
    lines.append(summary("all readers", *np.array(together).T))
    lines.append(summary("model", *np.array([(number(r["model"]), number(r["truth"])) for r in rows]).T))
    judge.save(out / "summary.csv", lines)
    for line in lines:
        log(f"{line['who']:<16} 3-class {line['accuracy_3_class']}, 2-class {line['accuracy_2_class']}, sensitivity {line['sensitivity_covid19']}, specificity {line['specificity_covid19']}")
    return lines
