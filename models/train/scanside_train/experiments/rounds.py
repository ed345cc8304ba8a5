"""Trains the 3D CNN anew for each of several splits and gathers what it says of those held out.

BCDU-Net is not trained anew: it is the one that made the cubes and has seen controls of all folds,
as in the papers, where it was frozen before. The answers can be a little too good for that.
"""

from pathlib import Path

from .. import classify
from . import judge


def run(a, out, schemes):
    """Predictions of all held-out cubes. Checkpoints lie in `out`; what is trained is not trained again."""
    rows = []
    for scheme in schemes:
        name = f"cnn_{scheme.replace(':', '_')}"
        classify.train(a.work, a.cnn_steps, a.cnn_whole_steps, a.seed + 1, minutes=a.cnn_minutes, size=a.size, name=Path(out).resolve() / name, scheme=scheme)
        rows += judge.predict(a.work, a.size, "test", name, scheme, cnn_work=out)
    return rows
