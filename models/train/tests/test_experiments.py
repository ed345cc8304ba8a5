"""The papers' experiments on a work folder of drawn chests."""

import contextlib
import csv
import io
import tempfile
import unittest
from pathlib import Path

import numpy as np

try:
    import matplotlib
except ImportError:
    matplotlib = None

import tiny
from scanside_train import bundle, classify, cohort, cubes, denoise, experiments
from scanside_train.experiments import ablation, int8, judge, metrics, patches, pictures, readers, rounds

HUSH = lambda _: None


def table(path):
    with open(path, newline="") as f:
        return list(csv.DictReader(f))


class Metrics(unittest.TestCase):
    def test_wilson_gives_the_known_intervals(self):
        # 13 of 15 and 19 of 20, as the journal's counts are usually given.
        self.assertEqual([round(100 * v) for v in metrics.wilson(13, 15)], [62, 96])
        self.assertEqual([round(100 * v) for v in metrics.wilson(19, 20)], [76, 99])

    def test_roc_and_area(self):
        y = np.array([False, False, True, True])
        f, t = metrics.roc(np.array([0.1, 0.4, 0.35, 0.8]), y)
        self.assertEqual((list(f), list(t)), ([0, 0, 0.5, 0.5, 1], [0, 0.5, 0.5, 1, 1]))
        self.assertEqual(metrics.area(f, t), 0.75)
        self.assertEqual(metrics.area(*metrics.roc(np.ones(4), y)), 0.5)
        rng = np.random.default_rng(0)
        score, y = rng.normal(size=200).round(1), rng.random(200) < 0.4
        self.assertAlmostEqual(metrics.area(*metrics.roc(score, y)), bundle.auc(score, y))

    def test_averages(self):
        y = np.array([0, 0, 1, 1, 2, 2])
        perfect = np.eye(3)[y] * 0.8 + 0.1
        self.assertEqual(set(metrics.areas(perfect, y).values()), {1.0})
        self.assertAlmostEqual(metrics.area(*metrics.curves(perfect, y)["macro"]), 1.0)
        p = np.random.default_rng(1).dirichlet(np.ones(3), 300)
        y = np.arange(300) % 3
        found = metrics.areas(p, y)
        self.assertAlmostEqual(found["macro"], np.mean([found[k] for k in ("control", "covid19", "cap")]))
        self.assertAlmostEqual(metrics.area(*metrics.curves(p, y)["macro"]), found["macro"], places=2)

    def test_two_classes_are_covid_against_the_rest(self):
        y, called = np.array([0, 1, 2, 2, 1]), np.array([2, 1, 0, 1, 0])
        found = {name: (hits, of) for name, hits, of in metrics.rates(called, y)}
        self.assertEqual(found["accuracy_3_class"], (1, 5))
        self.assertEqual(found["accuracy_2_class"], (3, 5))
        self.assertEqual(found["sensitivity_covid19"], (1, 2))
        self.assertEqual(found["specificity_covid19"], (2, 3))
        self.assertEqual(metrics.confusion(called, y).tolist(), [[0, 0, 1], [1, 1, 0], [1, 1, 0]])


class Int8(unittest.TestCase):
    def test_flips_words_and_areas_are_counted(self):
        row = lambda label, p, q, said, full: {"label": label, "slices": "60", "int8_call": said, "fp32_call": full,
                                               **{f"int8_{k}": str(v) for k, v in zip(cohort.LABELS, p)}, **{f"fp32_{k}": str(v) for k, v in zip(cohort.LABELS, q)}}
        rows = [row("control", (0.9, 0.05, 0.05), (0.88, 0.06, 0.06), "control", "control"),
                row("covid19", (0.3, 0.6, 0.1), (0.4, 0.5, 0.1), "covid19", "undetermined"),
                row("cap", (0.5, 0.1, 0.4), (0.4, 0.1, 0.5), "control", "cap"),
                row("control", (0.4, 0.2, 0.4), (0.6, 0.2, 0.2), "undetermined", "control")]
        found = int8.summary(rows)
        self.assertEqual((found["studies"], found["slices"], found["label_flips"], found["other_decisions"]), (4, 240, 1, 3))
        self.assertEqual(found["right_word_turned_wrong"], 1)
        self.assertAlmostEqual(found["max_abs_dp"], 0.2)
        self.assertEqual((found["auc_fp32"][0], found["auc_int8"][0], found["auc_change"][0]), (1.0, 0.75, -0.25))


class Readers(unittest.TestCase):
    def test_calls_beside_the_model(self):
        with tempfile.TemporaryDirectory() as tmp:
            out = Path(tmp)
            work = tiny.work(out / "work", train=1, val=0, test=2)
            key = readers.sheet(work, out, 5, seed=3, log=HUSH)
            self.assertEqual([len(table(out / "sheet.csv")), len({k["study"] for k in key})], [5, 5])
            self.assertNotIn("study", table(out / "sheet.csv")[0])
            right = {k["case"]: k["label"] for k in key}
            calls = [{"case": c, "reader": "A", "call": right[c]} for c in right]
            calls += [{"case": c, "reader": "B", "call": "control"} for c in list(right)[:4]] + [{"case": 5, "reader": "B", "call": ""}]
            judge.save(out / "calls.csv", calls)
            said = [{"case": k["study"], "patient": k["study"], "label": k["label"], "source": "", "kind": "exact",
                     "p_control": 0.2, "p_covid19": 0.7, "p_cap": 0.1} for k in key]
            lines = {r["who"]: r for r in readers.compare(out, out / "calls.csv", out / "key.csv", said, log=HUSH)}
            covid = sum(k["label"] == "covid19" for k in key)
            self.assertEqual(lines["A"]["accuracy_3_class"], "5/5")
            self.assertEqual(lines["B"]["n"], 4)
            self.assertEqual(lines["all readers"]["n"], 9)
            self.assertEqual(lines["model"]["accuracy_3_class"], f"{covid}/5")
            self.assertEqual(lines["model"]["sensitivity_covid19"], f"{covid}/{covid}")
            self.assertEqual(table(out / "cases.csv")[0]["model"], "covid19")
            judge.save(out / "twice.csv", calls + calls[:1])
            with self.assertRaisesRegex(SystemExit, "A has called the case 1 before"):
                readers.compare(out, out / "twice.csv", out / "key.csv", said, log=HUSH)


@unittest.skipIf(matplotlib is None, "SKIPPED: matplotlib is not installed (requirements-extra.txt)")
class Commands(unittest.TestCase):
    """Few steps; the numbers mean nothing, the files are all there."""

    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.TemporaryDirectory()
        cls.hush = contextlib.ExitStack()
        cls.hush.enter_context(contextlib.redirect_stderr(io.StringIO()))
        cls.hush.enter_context(contextlib.redirect_stdout(io.StringIO()))
        cls.work, cls.out = tiny.work(Path(cls.tmp.name) / "work", n=24), Path(cls.tmp.name)
        denoise.train(cls.work, "denoise", 2, 1)
        bundle.quantize_bcdu(cls.work, cls.work / "denoise.pt", tiny.SIZE)
        cubes.build(cls.work, cls.work / "export" / "bcdu.onnx", cubes.plan(cls.work, 1, 0), threads=1)
        classify.train(cls.work, 1, 1, size=tiny.SIZE)

    @classmethod
    def tearDownClass(cls):
        cls.hush.close()
        cls.tmp.cleanup()

    def options(self, name, *more):
        a = experiments.options([name, "--work", str(self.work), "--out", str(self.out / name), *more])
        a.size = tiny.SIZE
        Path(a.out).mkdir(exist_ok=True)
        return a

    def test_judge(self):
        found = judge.write(self.out / "judge", judge.predict(self.work, tiny.SIZE))
        n = next(r["of"] for r in found if r["name"] == "accuracy_3_class")
        self.assertEqual(n, 6)
        names = {p.name for p in (self.out / "judge").iterdir()}
        self.assertEqual(names, {"predictions.csv", "metrics.csv", "roc.csv", "roc.png", "roc.svg", "confusion.csv", "confusion.png", "confusion.svg"})
        self.assertEqual(sum(int(r[k]) for r in table(self.out / "judge" / "confusion.csv") for k in ("control", "covid19", "cap")), 6)
        again = judge.write(self.out / "again", judge.read(self.out / "judge" / "predictions.csv"))
        self.assertEqual([r["name"] for r in again], [r["name"] for r in found])
        self.assertEqual((self.out / "judge" / "roc.svg").read_bytes(), (self.out / "again" / "roc.svg").read_bytes())

    def test_ablation_has_a_row_for_each_variant(self):
        a = self.options("ablation", "--denoise-steps", "1", "--inserts", "1", "--cnn-steps", "1", "--cnn-whole-steps", "1", "--jobs", "1",
                         "--variants", "no-noise", "no-bcdu")
        rows = ablation.run(a, a.out)
        self.assertEqual([r["variant"] for r in rows], ["no-noise", "no-bcdu"])
        self.assertEqual(len(table(Path(a.out) / "ablation.csv")), 2)
        plain = np.load(Path(a.out) / "no-bcdu" / "cubes" / "control_test_0_asis.npy")
        difference = np.load(Path(a.out) / "no-noise" / "cubes" / "control_test_0_asis.npy")
        self.assertEqual(plain.shape, (50, tiny.SIZE, tiny.SIZE))
        self.assertAlmostEqual(float(plain.min()), -cubes.PLAIN_GAIN * cubes.PLAIN_ZERO, places=3)  # air, no difference of a denoiser
        self.assertLess(difference.min(), 0)
        with self.assertRaisesRegex(SystemExit, "the variants are"):
            ablation.run(self.options("ablation", "--variants", "none"), a.out)
        with self.assertRaisesRegex(SystemExit, "bundle: its BCDU-Net takes 128 x 128, not"):
            ablation.run(self.options("ablation", "--variants", "bundle"), a.out)

    def test_no_noise_means_clean_slices(self):
        s = denoise.Slices(self.work)
        x, y, _ = denoise.batch(s, 1, 0, 0, None)
        self.assertTrue((x == y).all())
        x, y, _ = denoise.batch(s, 1, 0, 0, 1.0)
        self.assertFalse((x == y).all())

    def test_folds_judge_every_study_once(self):
        a = self.options("folds", "--cnn-steps", "1", "--cnn-whole-steps", "1")
        rows = rounds.run(a, a.out, [f"3-fold:{k}" for k in range(3)])
        volumes = {r["case"] for r in rows}
        self.assertEqual(len(volumes), 18)
        self.assertTrue((Path(a.out) / "cnn_3-fold_2.pt").exists())

    def test_patches(self):
        rows = patches.run(self.work, self.out, 2)
        self.assertEqual(len(rows), 6)
        self.assertAlmostEqual(sum(rows[0][f"p_{k}"] for k in ("control", "covid19", "cap")), 1, places=5)
        again = patches.run(self.work, self.out, 2)
        self.assertEqual(rows, again)

    def test_pictures(self):
        # Of a network that has learnt nothing: only the files are looked at here.
        overlay = pictures.overlay(self.work, "covid19_test_0", self.out)
        picture = matplotlib.image.imread(overlay)
        self.assertEqual(picture.shape[0], 4 * tiny.SIZE)
        cloud = pictures.cloud(self.work, "covid19_test_0", self.out)
        self.assertTrue(cloud.exists())
        ply = cloud.with_suffix(".ply").read_text().splitlines()
        self.assertEqual(int(ply[2].split()[-1]), len(ply) - ply.index("end_header") - 1)
        with self.assertRaisesRegex(SystemExit, "nobody is not in"):
            pictures.overlay(self.work, "nobody", self.out)

    def test_violet_where_denser(self):
        d = np.array([[0.0, 0.4, -0.4]])
        picture = pictures.painted(np.full((1, 3), 0.5), d)[0]
        self.assertTrue((picture[0] == 0.5).all() and (picture[2] == 0.5).all())
        self.assertGreater(picture[1, 2], picture[1, 1] + 0.3)


if __name__ == "__main__":
    unittest.main()
