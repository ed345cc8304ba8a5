"""Numbers about probabilities and truths: rates with intervals, ROC curves, their areas.

Classes are 0 control, 1 Covid-19, 2 CAP. The two-class figures set class 1 against the others. It
knows no files.
"""

import math

import numpy as np

# Draws of the bootstrap; the interval's ends move by about a hundredth between seeds.
DRAWS = 1000


def wilson(hits, of, z=1.959964):
    """95 % interval of a share."""
    if of == 0:
        return float("nan"), float("nan")
    p = hits / of
    middle, half = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return max(0.0, (middle - half) / (1 + z * z / of)), min(1.0, (middle + half) / (1 + z * z / of))


def roc(score, positive):
    """False and true positive rates from the highest threshold down; equal scores are one step."""
    order = np.argsort(-score, kind="stable")
    s, y = score[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(s)), len(s) - 1)
    tp, fp = np.cumsum(y)[last], np.cumsum(~y)[last]
    n, m = max(1, int(positive.sum())), max(1, int((~positive).sum()))
    return np.append(0.0, fp / m), np.append(0.0, tp / n)


def area(fpr, tpr):
    return float(np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2))


def curves(p, y):
    """Name -> (fpr, tpr): one class against the others, all decisions together (micro), the mean curve (macro)."""
    out, grid = {}, np.linspace(0, 1, 201)
    for k, name in enumerate(("control", "covid19", "cap")):
        if 0 < (y == k).sum() < len(y):
            out[name] = roc(p[:, k], y == k)
    if not out:
        return {}
    rise = []
    for f, t in out.values():
        # The highest true rate at each false rate: a curve that climbs straight up keeps its corner.
        at = np.searchsorted(f, grid, side="right") - 1
        right = np.minimum(at + 1, len(f) - 1)
        width = np.where(f[right] > f[at], f[right] - f[at], 1)
        rise.append(t[at] + (t[right] - t[at]) * (grid - f[at]) / width)
    out["micro"] = roc(p.ravel(), (np.arange(3) == y[:, None]).ravel())
    out["macro"] = (np.append(0.0, grid), np.append(0.0, np.mean(rise, 0)))
    return out


def areas(p, y):
    """AUC by name. Macro is the mean of the classes, not the area under the drawn mean curve."""
    found = {name: area(*c) for name, c in curves(p, y).items() if name != "macro"}
    classes = [found[n] for n in ("control", "covid19", "cap") if n in found]
    return {**found, "macro": float(np.mean(classes))} if classes else {}


def confusion(called, y):
    table = np.zeros((3, 3), int)
    np.add.at(table, (y, called), 1)
    return table


def rates(called, y):
    """(name, hits, of) for the shares that the papers give."""
    covid, said = y == 1, called == 1
    return [
        ("accuracy_3_class", int((called == y).sum()), len(y)),
        ("accuracy_2_class", int((covid == said).sum()), len(y)),
        ("sensitivity_covid19", int((covid & said).sum()), int(covid.sum())),
        ("specificity_covid19", int((~covid & ~said).sum()), int((~covid).sum())),
        ("ppv_covid19", int((covid & said).sum()), int(said.sum())),
        ("npv_covid19", int((~covid & ~said).sum()), int((~said).sum())),
        *((f"sensitivity_{name}", int(((y == k) & (called == k)).sum()), int((y == k).sum())) for k, name in ((0, "control"), (2, "cap"))),
        *((f"specificity_{name}", int(((y != k) & (called != k)).sum()), int((y != k).sum())) for k, name in ((0, "control"), (2, "cap"))),
    ]


def bootstrap(p, y, patients, seed=0):
    """Name -> 95 % interval of its AUC, patients drawn with replacement."""
    rng, found = np.random.default_rng(seed), {}
    groups = [np.flatnonzero(patients == q) for q in np.unique(patients)]
    for _ in range(DRAWS):
        k = np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])
        for name, value in areas(p[k], y[k]).items():
            found.setdefault(name, []).append(value)
    return {name: tuple(float(v) for v in np.quantile(values, [0.025, 0.975])) for name, values in found.items()}


def table(p, y, patients):
    """Rows name, value, low, high, hits, of."""
    called = p.argmax(1)
    rows = [{"name": name, "value": hits / of if of else float("nan"), "low": wilson(hits, of)[0], "high": wilson(hits, of)[1], "hits": hits, "of": of}
            for name, hits, of in rates(called, y)]
    spread = bootstrap(p, y, patients)
    for name, value in areas(p, y).items():
        low, high = spread.get(name, (float("nan"),) * 2)
        rows.append({"name": f"auc_{name}", "value": value, "low": low, "high": high, "hits": "", "of": len(y)})
    return rows
