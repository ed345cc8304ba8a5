"""Both published sizes: 128x128 and the preprint's 240x240."""

import tempfile
import tomllib
import unittest
from pathlib import Path

import numpy as np
import onnx

import tiny
from scanside_train import bundle, classify, cohort, cubes, denoise, export, lesions, lungs, nets, quantize


class Sizes(unittest.TestCase):
    def test_both_sizes_run_as_int8_and_f32(self):
        bcdu = nets.BcduNet().start(1).eval()
        for size, parameters in ((128, nets.CNN_PARAMETERS), (240, 1_084_555)):
            slice_ = tiny.chest(8, size)[4]
            fp32 = export.bcdu(bcdu, size)
            wanted = quantize.session(fp32, 1).run(None, {"input": slice_[None, None]})[0]
            int8 = quantize.session(quantize.bcdu_int8(bcdu, size, [slice_]), 1).run(None, {"input": slice_[None, None]})[0]
            self.assertEqual(int8.shape, (1, 1, size, size))
            self.assertGreater(wanted.std(), 1e-3)
            self.assertLess(np.abs(int8 - wanted).max(), 0.05)
            net = nets.Cnn(size).start(2).eval()
            self.assertEqual(nets.count(net), parameters)
            p, logits, features = quantize.session(export.cnn(net, size), 1).run(None, {"input": bundle.golden_cube(size)})
            self.assertAlmostEqual(float(p.sum()), 1, places=5)
            self.assertEqual((logits.shape, features.shape), ((1, 3), (1, 32)))

    def test_findings_keep_their_size_in_the_body(self):
        shares = {}
        for size in (128, 240):
            v = tiny.chest(40, size)
            m = lungs.mask(v)
            added = [((lesions.insert(v, m, label, np.random.default_rng(s)) - v) > 0.1).sum() / m.sum()
                     for label in ("covid19", "cap") for s in range(3)]
            shares[size] = np.mean(added)
        self.assertLess(abs(shares[240] / shares[128] - 1), 0.5, shares)

    def test_findings_keep_their_size_whatever_the_slices(self):
        shares = []
        for n in (30, 90):  # slices of 6 and of 2 mm of one chest
            v = tiny.chest(n, 128)
            m = lungs.mask(v)
            shares.append(np.mean([((lesions.insert(v, m, label, np.random.default_rng(s), 180 / n) - v) > 0.1).sum() / m.sum()
                                   for label in ("covid19", "cap") for s in range(4)]))
        self.assertLess(abs(shares[1] / shares[0] - 1), 0.5, shares)

    def test_the_mask_is_the_same_lung(self):
        shares = [lungs.mask(tiny.chest(24, size)).mean() for size in (128, 240)]
        self.assertLess(abs(shares[0] / shares[1] - 1), 0.05)

    def test_small_cohorts_have_all_splits(self):
        self.assertEqual([cohort.phantom_split(1000 + n, n, 3) for n in range(3)], ["train", "val", "test"])
        self.assertEqual([cohort.phantom_split(1000 + n, n, 10) for n in range(10)], ["train"] * 8 + ["val", "test"])

    def test_a_work_folder_keeps_one_size(self):
        with tempfile.TemporaryDirectory() as tmp:
            work = tiny.work(Path(tmp) / "w", train=1, val=0, test=0, n=4)
            with self.assertRaisesRegex(SystemExit, "holds volumes of 40 x 40; those of 240 x 240"):
                cohort.build(work, "scanside", 240)

    def test_the_stages_make_a_bundle_of_the_size_they_are_given(self):
        with tempfile.TemporaryDirectory() as tmp:
            work = tiny.work(Path(tmp) / "w", train=2, test=1, n=18)
            quiet = {"log": lambda _: None}
            denoise.train(work, "denoise", 1, 1, **quiet)
            bundle.quantize_bcdu(work, work / "denoise.pt", tiny.SIZE, **quiet)
            bundle.aware_bcdu(work, work / "denoise.pt", tiny.SIZE, 2, **quiet)
            cubes.build(work, work / "export" / "bcdu.onnx", cubes.plan(work, 1), threads=1)
            classify.train(work, 1, 1, size=tiny.SIZE, **quiet)
            bundle.write(work, Path(tmp) / "bundle", tiny.SIZE, "tiny", "0", **quiet)
            card = tomllib.loads((Path(tmp) / "bundle" / "card.toml").read_text())
            self.assertEqual((card["size"], card["name"], card["training"]["split"]), (tiny.SIZE, "tiny", "table"))
            self.assertEqual(card["bcdu"]["shape"], [1, 1, tiny.SIZE, tiny.SIZE])
            cnn = onnx.load(Path(tmp) / "bundle" / "cnn.onnx")
            self.assertEqual(cnn.graph.input[0].type.tensor_type.shape.dim[4].dim_value, tiny.SIZE)


if __name__ == "__main__":
    unittest.main()
