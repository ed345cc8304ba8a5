"""One seed gives one result, and a stop in between changes nothing."""

import contextlib
import io
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch

import tiny
from scanside_train import aware, bundle, classify, cohort, cubes, denoise, nets, splits

QUIET = {"log": lambda _: None}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class Stop(Exception):
    pass


def stopped(backward, at):
    """`backward` of a stage that is stopped when it comes to step `at`, given as (seed, step)."""
    def wrapped(*args):
        seed, step = [v for v in args if isinstance(v, int) and not isinstance(v, bool)][:2]
        if (seed, step) == at:
            raise Stop
        return backward(*args)
    return wrapped


class Resume(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.TemporaryDirectory()
        cls.work = tiny.work(Path(cls.tmp.name) / "work")
        # Plain cubes do: these tests are about training, not about differences.
        cubes.build(cls.work, None, cubes.plan(cls.work, 2, seed=1), threads=1)

    @classmethod
    def tearDownClass(cls):
        cls.tmp.cleanup()

    def setUp(self):
        hush = contextlib.ExitStack()
        hush.enter_context(contextlib.redirect_stderr(io.StringIO()))
        self.addCleanup(hush.close)

    def twin(self, name):
        folder = Path(self.tmp.name) / name
        shutil.copytree(self.work, folder)
        return folder

    def test_the_denoiser(self):
        with mock.patch.object(denoise, "KEEP_EVERY", 2):
            a, b, c = (self.twin(f"denoise{n}") for n in range(3))
            denoise.train(a, "denoise", 4, 3, **QUIET)
            denoise.train(b, "denoise", 4, 3, **QUIET)
            with mock.patch.object(denoise, "backward", stopped(denoise.backward, (3, 3))), self.assertRaises(Stop):
                denoise.train(c, "denoise", 4, 3, **QUIET)
            self.assertEqual(torch.load(c / "denoise.pt", weights_only=False)["state"]["step"], 2)
            denoise.train(c, "denoise", 4, 3, **QUIET)
            d = self.twin("denoise3")
            denoise.train(d, "denoise", 4, 4, **QUIET)
        one, again, resumed, other = (torch.load(w / "denoise.pt", weights_only=False)["net"] for w in (a, b, c, d))
        self.assertTrue(same(one, again))
        self.assertTrue(same(one, resumed))
        self.assertFalse(same(one, other))

    def test_the_int8_network_that_learns(self):
        def train(work):
            torch.manual_seed(0)
            net = nets.BcduNet().start(1)
            slices = bundle.calibration_slices(work, 4)
            student = aware.student(net, tiny.SIZE, slices)
            x = torch.from_numpy(np.stack(slices))[:, None]
            aware.train(student, aware.lessons(net, [(x, x < 0.3)]), 4, work / "aware.pt", 3, **QUIET)
            return student.state_dict()

        with mock.patch.object(aware, "KEEP_EVERY", 2):
            a, b, c = (self.twin(f"aware{n}") for n in range(3))
            one, again = train(a), train(b)
            # Two parts a step: the seventh comes in the last one.
            count, distance = iter(range(100)), aware.distance

            def stops(*args):
                if next(count) >= 6:
                    raise Stop
                return distance(*args)

            with mock.patch.object(aware, "distance", stops), self.assertRaises(Stop):
                train(c)
            self.assertEqual(torch.load(c / "aware.pt", weights_only=False)["state"]["step"], 2)
            resumed = train(c)
        self.assertTrue(same(one, again))
        self.assertTrue(same(one, resumed))

    def test_the_cnn(self):
        def train(work, **how):
            return classify.train(work, 4, 4, 3, size=tiny.SIZE, **QUIET, **how)

        with mock.patch.object(classify, "JUDGE_EVERY", 2):
            a, b = self.twin("cnn0"), self.twin("cnn1")
            train(a), train(b)
            # Seeds of the two parts differ by one. Stops in the crown, at the start of the whole, within the whole.
            stops = []
            for n, at in enumerate([(3, 3), (4, 0), (4, 3)]):
                c = self.twin(f"cnn_stop{n}")
                with mock.patch.object(classify, "backward", stopped(classify.backward, at)), self.assertRaises(Stop):
                    train(c)
                train(c)
                stops.append(c)
        one, again, *resumed = (torch.load(w / "cnn.pt", weights_only=False) for w in (a, b, *stops))
        self.assertEqual(one["state"]["steps"], [4, 4])
        self.assertTrue(same(one["best"], again["best"]))
        for n, r in enumerate(resumed):
            self.assertTrue(same(one["net"], r["net"]), n)
            self.assertTrue(same(one["best"], r["best"]), n)
        with self.assertRaisesRegex(SystemExit, "was trained on the split table, not on 90-10"):
            train(a, scheme="90-10")

    def test_the_crown_alone_keeps_its_best(self):
        """Where the whole network is not trained after it; judged on the stem's outputs as on the cubes."""
        work = self.twin("crown")
        with mock.patch.object(classify, "JUDGE_EVERY", 2):
            state = classify.train(work, 6, 0, 3, size=tiny.SIZE, **QUIET)
        losses = [row[3] for row in state["losses"]]
        self.assertEqual(len(losses), 3)
        self.assertEqual((round(state["best"], 4), state["best_part"]), (min(losses), "crown"))
        net = nets.Cnn(tiny.SIZE)
        net.load_state_dict(torch.load(work / "cnn.pt", weights_only=False)["best"])
        val = classify.Set(work, "val")
        logits, _ = classify.predict(net, val)
        # The kept outputs of the stem are rounded to half.
        self.assertAlmostEqual(classify.nll(logits, val.y), state["best"], places=2)

    def test_cubes_that_exist_are_not_made_again(self):
        a = self.twin("cubes")
        kept = a / "cubes" / "control_train_0_asis0.npy"
        before = kept.read_bytes()
        (a / "cubes" / "cap_train_0_asis0.npy").unlink()
        kept.write_bytes(b"kept")
        cubes.build(a, None, cubes.plan(a, 2, seed=1), threads=2)
        self.assertEqual(kept.read_bytes(), b"kept")
        other = self.work / "cubes" / "cap_train_0_asis0.npy"
        self.assertEqual((a / "cubes" / "cap_train_0_asis0.npy").read_bytes(), other.read_bytes())
        self.assertNotEqual(before, other.read_bytes())


class Splits(unittest.TestCase):
    ROWS = [cohort.Row(f"{label}{n}", label, "x", "train", patient=f"{label}p{n // 2}") for label in cohort.LABELS for n in range(40)]

    def test_patients_stay_together_and_classes_are_on_each_side(self):
        for scheme, held in (("95-5", 1), ("90-10", 2), ("5-fold:2", 4)):
            of = splits.assign(self.ROWS, scheme)
            self.assertEqual(of, splits.assign(self.ROWS[::-1], scheme))
            for label in cohort.LABELS:
                sides = {}
                for r in self.ROWS:
                    if r.label == label:
                        sides.setdefault(of[r.name], set()).add(r.patient)
                self.assertEqual(len(sides["test"]), held, scheme)
                self.assertGreaterEqual(len(sides["val"]), 1)
                self.assertEqual(sum(map(len, sides.values())), 20)

    def test_folds_hold_out_everybody_once(self):
        held = [name for k in range(5) for name, s in splits.assign(self.ROWS, f"5-fold:{k}").items() if s == "test"]
        self.assertEqual(sorted(held), sorted(r.name for r in self.ROWS))

    def test_unknown_schemes_are_refused(self):
        for wrong in ("80-20", "5-fold:5", "2-fold:0", ""):
            with self.assertRaises(Exception):
                splits.parse(wrong)

    def test_eval_stays_eval(self):
        with tempfile.TemporaryDirectory() as tmp:
            work = tiny.work(Path(tmp) / "w", train=4, val=0, test=0)
            rows = cohort.read_table(work)
            rows.append(cohort.Row("real", "cap", "clinic", "eval"))
            cohort.write_table(work, rows)
            made = [cubes.Cube(f"{r.name}_c", r.name, r.label, r.source, s, "exact", 0) for r in rows for s in ({"eval": ["eval"]}.get(r.split, ["train", "seen"]))]
            for k in range(4):
                of = {(c.volume, was.split): c.split for c, was in zip(splits.placed(work, made, f"4-fold:{k}"), made)}
                self.assertEqual(of["real", "eval"], "eval")
                for (volume, was), now in of.items():
                    if was == "seen":
                        self.assertEqual(now, "test" if of[volume, "train"] == "test" else "seen")


if __name__ == "__main__":
    unittest.main()
