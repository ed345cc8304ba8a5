"""Writes a bundle: both networks, goldens, and the card with every fact that the box or a reader needs."""

import hashlib
import json
import time
from pathlib import Path

import numpy as np
import onnx
import torch

from . import aware, classify, cohort, cubes, denoise, export, lungs, nets, quantize, splits

# A difference above this inside the lungs counts as involved: 0.10 of 1400 HU is 140 HU over expected.
# Controls stay under one voxel in a hundred there, ground glass does not.
INVOLVED = 0.10
# Training cubes that the distance model is made from, beside the validation cubes.
FEATURES_FROM = 240


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def golden_cube(size):
    """A cube from integers, so that no file is needed: h = i * 2654435761 mod 2^32 (i counts z, y, x),
    value = ((h >> 8) / 2^24 - 0.5) * 0.2, in f32."""
    i = np.arange(cubes.DEPTH * size * size, dtype=np.uint64)
    h = (i * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    unit = (h >> np.uint64(8)).astype(np.float32) / np.float32(16777216)
    return ((unit - np.float32(0.5)) * np.float32(0.2)).reshape(1, 1, cubes.DEPTH, size, size)


def drawn_slice(size):
    """A slice for the golden where there is no phantom, since a patient's may not be in a bundle: two lungs in a body."""
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    soft = lambda r: 1 / (1 + np.exp(np.clip((r - 1) * 20, -50, 50)))
    body = soft((x / 0.9) ** 2 + (y / 0.7) ** 2)
    lungs = sum(soft(((x - s * 0.42) / 0.32) ** 2 + (y / 0.5) ** 2) for s in (-1, 1))
    return np.clip(0.74 * body - 0.6 * lungs, 0, 1).astype(np.float32)


def load_bcdu(path):
    net = nets.BcduNet()
    net.load_state_dict(torch.load(path, weights_only=False)["net"])
    return net.eval()


def calibration_slices(work, number=64, seed=9, source=None):
    """Noisy and clean slices of the training split, inside [0, 1] as the box's input is: the published
    noise leaves that range in training, but would only widen the int8 ranges here."""
    source, out = source or denoise.Slices(work), []
    for step in range(number):
        x, _, _ = denoise.batch(source, seed, step, 0)
        out += [x[n, 0].clamp(0, 1).numpy() for n in (0, 1)]
    return out[:number]


def quantize_bcdu(work, checkpoint, size, log=print, number=64):
    """WORK/export/bcdu.onnx (int8) and bcdu_fp32.onnx; their difference on training and held-out slices.
    Calibrates on `number` slices, compares on fewer."""
    folder = Path(work) / "export"
    folder.mkdir(parents=True, exist_ok=True)
    net = load_bcdu(checkpoint)
    fp32 = export.bcdu(net, size)
    onnx.save(fp32, folder / "bcdu_fp32.onnx")
    slices = calibration_slices(work, number)
    held = calibration_slices(work, max(2, number * 3 // 8), seed=10)
    full = quantize.session(fp32)
    wanted = [full.run(None, {"input": s[None, None]})[0] for s in held]
    if min(float(w.std()) for w in wanted) < 1e-3:
        raise SystemExit("dead output: the reconstruction of a slice is constant")
    best = quantize.best(net, size, fp32, slices, held, log)
    onnx.save(best[0], folder / "bcdu.onnx")
    (folder / "int8.json").write_text(json.dumps(best[1]))
    return best[1]


# Slices that the int8 network learns from, at most.
LESSONS = 192
# Slices that make channels even and choose ranges; phantoms whose whole scans it learns from.
EVEN = 24


def aware_bcdu(work, checkpoint, size, steps, number=64, minutes=None, log=print):
    """WORK/export/bcdu.onnx anew: channels made even, kernels and ranges trained until int8 answers as
    fp32 does. Stays as `quantize_bcdu` left it where that is nearer."""
    work = Path(work)
    folder, source = work / "export", denoise.Slices(work)
    net, slices = load_bcdu(checkpoint), calibration_slices(work, number, source=source)
    student = aware.student(net, size, slices[:EVEN])
    # Half of the slices as in training, half from anywhere in a scan: the fat of the abdomen, say, is not to answer
    # other than in fp32 either. No pseudo-infection is put there.
    everywhere = denoise.Slices(work, limit=EVEN, whole=True)

    def drawn():
        for n in range(min(LESSONS, steps * denoise.BATCH) // denoise.BATCH):
            for x, _, m in (denoise.batch(source, 31, n, 0, 0.1), denoise.batch(everywhere, 31, n, 1, None)):
                yield x, m

    taught = aware.lessons(net, drawn())
    state = aware.train(student, taught, steps, work / "aware.pt", minutes=minutes, log=log)

    held = calibration_slices(work, max(2, number * 3 // 8), seed=10, source=source)
    full = quantize.session(folder / "bcdu_fp32.onnx")
    wanted = [full.run(None, {"input": s[None, None]})[0] for s in held]
    int8 = export.bcdu(student.net, size, student.ranges())
    facts = quantize.facts_of("aware", quantize.error(int8, held, wanted)) | {"aware_steps": state["step"], "aware_lessons": len(taught), "aware_losses": state["losses"]}
    before = json.loads((folder / "int8.json").read_text())
    log(f"int8 (aware) against fp32: {facts}")
    if facts["mean_abs"] < before["mean_abs"]:
        onnx.save(int8, folder / "bcdu.onnx")
        (folder / "int8.json").write_text(json.dumps(facts))
    return facts


def round_to_half(net):
    """Weights as they rest in the file, so that everything measured is the shipped network."""
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(p.half().float())
    return net


def load_cnn(work, size, name="cnn"):
    net = nets.Cnn(size)
    net.load_state_dict(torch.load(Path(work) / f"{name}.pt", weights_only=False, map_location="cpu")["best"])
    return round_to_half(net).eval()


def confusion(y, called):
    table = np.zeros((3, 4), int)
    for a, b in zip(y, called):
        table[a, b] += 1
    return table.tolist()


def auc(score, positive):
    """Area under the ROC curve by ranks; ties count half."""
    from scipy.stats import rankdata
    n, m = int(positive.sum()), int((~positive).sum())
    if n == 0 or m == 0:
        return float("nan")
    return float((rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * m))


def decide(p, distance, thresholds, limit):
    """Class index, or 3 for undetermined."""
    over = [k for k in range(3) if p[k] >= thresholds[k]]
    return over[0] if len(over) == 1 and distance <= limit else 3


def toml_value(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, (int, np.integer)):
        return str(int(v))
    if isinstance(v, (float, np.floating)):
        return repr(round(float(v), 8)) if np.isfinite(v) else "nan"
    if isinstance(v, (list, tuple)):
        return "[" + ", ".join(toml_value(x) for x in v) + "]"
    return json.dumps(str(v), ensure_ascii=False)


def to_toml(card):
    """Top values, then one table per dict (one level of nesting more), then arrays of tables."""
    lines = [f"{k} = {toml_value(v)}" for k, v in card.items() if not isinstance(v, (dict, list)) or (isinstance(v, list) and not (v and isinstance(v[0], dict)))]

    def table(name, d):
        lines.extend(["", f"[{name}]"])
        lines.extend(f"{k if k.replace('_', '').replace('-', '').isalnum() else json.dumps(k)} = {toml_value(v)}" for k, v in d.items()
                     if not isinstance(v, dict) and not (isinstance(v, list) and v and isinstance(v[0], dict)))
        for k, v in d.items():
            if isinstance(v, dict):
                table(f"{name}.{k}", v)
            elif isinstance(v, list) and v and isinstance(v[0], dict):
                for item in v:
                    lines.extend(["", f"[[{name}.{k}]]"])
                    lines.extend(f"{a} = {toml_value(b)}" for a, b in item.items())

    for k, v in card.items():
        if isinstance(v, dict):
            table(k, v)
    return "\n".join(lines) + "\n"


def lung_shares(work, session, name):
    """Inside the lungs eroded by one pixel: mean |difference| and the share above the involvement threshold."""
    from scipy import ndimage
    v = cohort.load(work, name, cubes.rows_of(work)[name].step(3))
    # Lung where the input is air. Lung where the reconstruction is would hold consolidation up to the
    # pleura, but the dome of the diaphragm too: slice AUC of a real study fell from 0.86 to 0.71 by it.
    m = lungs.mask(v)
    inner = np.stack([ndimage.binary_erosion(s) for s in m])
    d = v - cubes.reconstruct(session, v)
    per_slice = np.array([(d[z][inner[z]] > INVOLVED).mean() if inner[z].sum() > 50 else 0.0 for z in range(len(v))])
    if not inner.any():
        return 0.0, 0.0, per_slice
    return float(np.abs(d[inner]).mean()), float((d[inner] > INVOLVED).mean()), per_slice


def slice_auc(per_slice, labels):
    """Slice-level AUC of the involved share; labels and shares cover the same chest. Both directions."""
    n = len(labels)
    z = np.clip((np.arange(n) * len(per_slice) / n).astype(int), 0, len(per_slice) - 1)
    return auc(per_slice[z], labels > 0), auc(per_slice[z][::-1], labels > 0)


def flips(work, rows, run, heat, int8_cubes, per_class):
    """The same test cubes through fp32 BCDU-Net: label flips and the largest change of a probability."""
    session, seen, flipped, worst = quantize.session(work / "export" / "bcdu_fp32.onnx", 1), [0] * 3, 0, 0.0
    for c, x in zip(rows, int8_cubes):
        k = cohort.LABELS.index(c.label)
        if c.kind == "exact" or seen[k] >= per_class:
            continue
        seen[k] += 1
        full = cubes.difference_cube(session, cubes.input_volume(work, c))
        a, b = (classify.softmax(run(v)[0][None], heat)[0] for v in (x, full))
        flipped += int(a.argmax() != b.argmax())
        worst = max(worst, float(np.abs(a - b).max()))
    return {"cubes": sum(seen), "label_flips": flipped, "max_abs_dp": worst}


def calibration_cubes(val):
    """Which validation cubes fix temperature and thresholds: studies as the box has them, where each class
    has some. Augmented ones are harder than any study, and make the answers too modest."""
    exact = np.array([r.kind == "exact" for r in val.rows], bool)
    return exact if len(np.unique(val.y[exact])) == 3 else np.ones(len(val), bool)


def fitted_on(val, sure):
    """The card's words for it."""
    rows = [r for r, s in zip(val.rows, sure) if s]
    what = "studies" if all(r.kind == "exact" for r in rows) else "cubes"
    made = "simulated " if all(r.source == "phantom" for r in rows) else ""
    return f"{len(rows)} {made}validation {what}"


def write(work, out, size=128, name="covidctnet-128", version="0.1.0", facts=None, log=print):
    """The bundle folder. Everything judged here is run through ONNX Runtime on the files written."""
    work, out = Path(work), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    facts = facts or {}
    (out / "bcdu.onnx").write_bytes((work / "export" / "bcdu.onnx").read_bytes())
    net = load_cnn(work, size)
    onnx.save(export.cnn(net, size), out / "cnn.onnx")
    bcdu, cnn = quantize.session(out / "bcdu.onnx", 1, exact=True), quantize.session(out / "cnn.onnx", 1)

    quick = quantize.session(out / "bcdu.onnx", 1)

    def run(x):
        _, logits, f = cnn.run(None, {"input": x.astype(np.float32).reshape(1, 1, cubes.DEPTH, size, size)})
        return logits[0], f[0]

    def run_all(data):
        found = [run(x) for x in data.x]
        return np.array([a for a, _ in found]).reshape(-1, 3), np.array([b for _, b in found]).reshape(-1, 32)

    cnn_state = torch.load(work / "cnn.pt", weights_only=False, map_location="cpu")["state"]
    scheme = cnn_state.get("scheme", splits.TABLE)
    train, val, test = (classify.Set(work, s, scheme) for s in ("train", "val", "test"))
    # The features of training cubes come without augmentation; a few hundred tell their spread.
    some = np.random.default_rng(5).permutation(len(train))[:FEATURES_FROM]
    _, t_features = classify.predict(net, train.only(some))
    v_logits, v_features = run_all(val)
    s_logits, s_features = run_all(test)
    sure = calibration_cubes(val)
    heat = classify.temperature(v_logits[sure], val.y[sure])
    v_p, s_p = classify.softmax(v_logits, heat), classify.softmax(s_logits, heat)
    limits = classify.thresholds(v_p[sure], val.y[sure])
    means, inverse = classify.distance_model(np.concatenate([t_features, v_features]), np.concatenate([train.y[some], val.y]))
    v_d, s_d = classify.distances(v_features, means, inverse), classify.distances(s_features, means, inverse)
    far = float(np.quantile(v_d, 0.99) * 1.25)
    np.save(out / "features.npy", np.concatenate([means, inverse]).astype(np.float32))

    test_calls = [decide(p, d, limits, far) for p, d in zip(s_p, s_d)]
    phantom = np.array([r.source == "phantom" and r.kind != "insert" for r in test.rows])
    evaluation = {
        "how": "ONNX Runtime on the shipped files; probabilities after temperature",
        "test_cubes": len(test), "test_counts": [int((test.y == k).sum()) for k in range(3)],
        "test_accuracy": float((s_logits.argmax(1) == test.y).mean()),
        "test_auc": [auc(s_p[:, k], test.y == k) for k in range(3)],
        "test_confusion": confusion(test.y, test_calls),
        "test_confusion_argmax": confusion(test.y, s_logits.argmax(1)),
        "phantom_counts": [int((test.y[phantom] == k).sum()) for k in range(3)],
        "phantom_confusion_argmax": confusion(test.y[phantom], s_logits[phantom].argmax(1)),
        "val_accuracy": float((v_logits.argmax(1) == val.y).mean()),
        "val_counts": [int((val.y == k).sum()) for k in range(3)],
        "confusion_columns": "control, covid19, cap, undetermined; rows in class order",
    }
    real = []
    for split in ("eval", "seen"):
        for c, x in zip(*(lambda s: (s.rows, s.x))(classify.Set(work, split, scheme))):
            logits, f = run(x)
            p, d = classify.softmax(logits[None], heat)[0], float(classify.distances(f[None], means, inverse)[0])
            call = decide(p, d, limits, far)
            mean_d, share, per_slice = lung_shares(work, quick, c.volume)
            words = [*cohort.LABELS, "undetermined"][call]
            entry = {"study": c.volume, "source": c.source, "truth": c.label, "seen_in_training": split == "seen", "p": p.tolist(),
                     "argmax": cohort.LABELS[int(p.argmax())], "decision": words, "argmax_right": cohort.LABELS[int(p.argmax())] == c.label,
                     "right": words == c.label, "distance": d, "lung_mean_abs_difference": mean_d, "lung_share_involved": share}
            labels = facts.get("slice_labels", {}).get(c.volume)
            if labels is not None:
                up, down = slice_auc(per_slice, np.array(labels["values"]))
                entry |= {"slice_auc_labels_feet_first": up, "slice_auc_labels_head_first": down}
            log(f"{c.volume}: {entry}")
            real.append(entry)
    evaluation["real"] = real
    unseen = [e for e in real if not e["seen_in_training"]]
    right, open_ = sum(e["right"] for e in unseen), sum(e["decision"] == "undetermined" for e in unseen)
    outcome = (f"Of {len(unseen)} real studies never seen in training, {right} decided rightly, "
               f"{len(unseen) - right - open_} wrongly, {open_} undetermined.")

    evaluation["int8_against_fp32"] = flips(work, test.rows, run, heat, test.x, 4)

    # Goldens: a phantom's slice and a cube made of integers.
    rows = [r for r in cohort.read_table(work) if r.source == "phantom" and r.split == "test" and r.label == "covid19"]
    v = cohort.load(work, rows[0].name) if rows else drawn_slice(size)[None]
    golden = np.ascontiguousarray(v[int(len(v) * 0.4)][None]).astype(np.float32)
    np.save(out / "golden_slice.npy", golden)
    wanted = bcdu.run(None, {"input": golden[None]})[0][0].astype(np.float32)
    np.save(out / "golden_output.npy", wanted)
    box = golden_cube(size)
    p, logits, f = cnn.run(None, {"input": box})
    clock = []
    for session, x in ((bcdu, golden[None]), (cnn, box)):
        took = []
        for _ in range(3):
            t = time.perf_counter()
            session.run(None, {"input": x})
            took.append(time.perf_counter() - t)
        clock.append(min(took))

    int8 = json.loads((work / "export" / "int8.json").read_text())
    files = ("bcdu.onnx", "cnn.onnx", "features.npy", "golden_slice.npy", "golden_output.npy")
    counts = {}
    for r in train.rows:
        key = f"{r.source}_{r.kind}_{r.label}"
        counts[key] = counts.get(key, 0) + 1
    card = {
        "name": name, "version": version, "demonstration": True, "profile": "paper", "size": size, "z_policy": facts.get("z_policy", "native"),
        "class_order": list(cohort.LABELS), "made": time.strftime("%Y-%m-%d", time.gmtime()),
        "files": {f: sha256(out / f) for f in files},
        "bcdu": {"file": "bcdu.onnx", "form": export.FORM,
                 "input": "input", "output": "output", "shape": [1, 1, size, size], "opset": export.OPSET,
                 "parameters": nets.BCDU_PARAMETERS, "tolerance": 0.05, "tolerance_mean": 0.004,
                 "fp32_file": "bcdu_fp32.onnx, not shipped", "fp32_sha256": sha256(work / "export" / "bcdu_fp32.onnx"), "int8_against_fp32": int8},
        "cnn": {"file": "cnn.onnx", "form": "f32 arithmetic, weights at rest as f16 and cast at load", "input": "input",
                "outputs": ["output", "logits", "features"], "shape": [1, 1, cubes.DEPTH, size, size],
                "softmax": "output is softmax(logits) at temperature 1; the box applies softmax(logits / temperature)",
                "flatten": "channel, z, y, x", "parameters": nets.CNN_PARAMETERS if size == 128 else nets.count(net), "tolerance": 1e-3},
        "calibration": {"temperature": heat, "fitted_on": fitted_on(val, sure)},
        "decision": {"thresholds": limits, "rule": "the one class whose calibrated probability reaches its threshold, if the distance is within the limit; else undetermined",
                     "distance_limit": far, "distance_rule": "99th percentile of validation times 1.25"},
        "features": {"file": "features.npy", "layout": "f32 (35, 32): three class means, then the inverse covariance",
                     "distance": "least over classes of sqrt((f - m)' S (f - m))"},
        "involvement": {"difference_threshold": INVOLVED, "rule": "lung voxels whose signed difference is above the threshold; one pixel off the pleura; share of lung volume"},
        "golden": {"slice": "golden_slice.npy", "output": "golden_output.npy", "slice_from": f"{rows[0].name}, made by scanside phantom" if rows else "two drawn lungs",
                   "output_std": float(wanted.std()),
                   "cube": "h = (i * 2654435761) mod 2^32 with i counting z, y, x from 0; value = ((h >> 8) / 16777216 - 0.5) * 0.2 in f32",
                   "cube_probabilities": p[0].tolist(), "cube_logits": logits[0].tolist(), "cube_feature_sum": float(f.sum()),
                   "bcdu_seconds": clock[0], "cnn_seconds": clock[1], "seconds_on": "ONNX Runtime, one thread, busy x86-64 host"},
        "training": {**facts.get("training", {}), "cubes": counts, "split": scheme, "cnn_losses_step_train_right_val_right": cnn_state["losses"]},
        "evaluation": evaluation,
        "limits": {"sentences": [*facts.get("limits", []), outcome]},
    }
    (out / "card.toml").write_text(to_toml(card))
    total = sum((out / f).stat().st_size for f in (*files, "card.toml"))
    log(f"bundle {out}: {total / 1e6:.2f} MB")
    import tomllib
    tomllib.loads((out / "card.toml").read_text())
    return card
