"""Judges predictions: tables, ROC curves and the confusion matrix (the journal's Fig. 4 and 5).

A prediction is a dict with case, patient, label, p_control, p_covid19, p_cap; as a CSV it can come
from anywhere, so that the box's own answers are judged by the same code.
"""

import csv
from pathlib import Path

import numpy as np

from .. import bundle, classify, cohort, splits
from . import metrics, plots

COLUMNS = ("case", "patient", "label", "source", "kind", "p_control", "p_covid19", "p_cap")


def read_rows(path):
    with open(path, newline="") as f:
        return list(csv.DictReader(f))


def read(path):
    rows = read_rows(path)
    for n, r in enumerate(rows):
        if r.get("label") not in cohort.LABELS:
            raise SystemExit(f"{path}, row {n + 1}: the label is one of {', '.join(cohort.LABELS)}, not {r.get('label')}")
        try:
            r |= {f"p_{k}": float(r[f"p_{k}"]) for k in cohort.LABELS}
        except (KeyError, ValueError):
            raise SystemExit(f"{path}, row {n + 1}: p_control, p_covid19 and p_cap must be numbers") from None
    return rows


def save(path, rows, columns=None):
    columns = columns or (list(rows[0]) if rows else [])
    with open(path, "w", newline="") as f:
        out = csv.DictWriter(f, columns, extrasaction="ignore", lineterminator="\n")
        out.writeheader()
        out.writerows({k: round(v, 6) if isinstance(v, float) else v for k, v in r.items()} for r in rows)


def prediction(work_rows, cube, p):
    return {"case": cube.volume, "patient": work_rows.get(cube.volume, cube.volume), "label": cube.label, "source": cube.source,
            "kind": cube.kind, **{f"p_{k}": float(v) for k, v in zip(cohort.LABELS, p)}}


def patients(work):
    """Volume -> patient."""
    return {r.name: r.patient or r.name for r in cohort.read_table(work)}


def predict(work, size=128, split="test", name="cnn", scheme=splits.TABLE, cnn_work=None):
    """What WORK/cnn.pt says of the cubes of a split, weights as they ship; temperature 1."""
    net, data = bundle.load_cnn(cnn_work or work, size, name), classify.Set(work, split, scheme)
    if len(data) == 0:
        return []
    logits, _ = classify.predict(net, data, threads=1)
    of = patients(work)
    return [prediction(of, c, p) for c, p in zip(data.rows, classify.softmax(logits))]


def arrays(rows):
    p = np.array([[r[f"p_{k}"] for k in cohort.LABELS] for r in rows])
    y = np.array([cohort.LABELS.index(r["label"]) for r in rows])
    return p, y, np.array([r.get("patient") or r.get("case") or str(n) for n, r in enumerate(rows)])


def write(out, rows, log=print):
    """predictions.csv, metrics.csv, roc.csv, confusion.csv and the two pictures; returns the metrics."""
    out = Path(out)
    if not rows:
        raise SystemExit("there is nothing to judge: no cubes of that split")
    out.mkdir(parents=True, exist_ok=True)
    save(out / "predictions.csv", rows, COLUMNS)
    p, y, who = arrays(rows)
    found = metrics.table(p, y, who)
    save(out / "metrics.csv", found)
    curves, areas = metrics.curves(p, y), metrics.areas(p, y)
    save(out / "roc.csv", [{"curve": name, "false_positive_rate": float(f), "true_positive_rate": float(t)} for name, c in curves.items() for f, t in zip(*c)],
         ("curve", "false_positive_rate", "true_positive_rate"))
    table = metrics.confusion(p.argmax(1), y)
    save(out / "confusion.csv", [{"truth": k, **dict(zip(cohort.LABELS, map(int, row)))} for k, row in zip(cohort.LABELS, table)])
    plots.roc(out / "roc", curves, areas)
    plots.confusion(out / "confusion", table, cohort.LABELS)
    for r in found:
        counts = f"{r['hits']}/{r['of']}" if r["hits"] != "" else f"n = {r['of']}"
        log(f"{r['name']:<22} {r['value']:.3f} [{r['low']:.3f} to {r['high']:.3f}] {counts}")
    return found
