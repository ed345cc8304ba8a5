"""Simulated findings, masks and goldens behave. Run: python -m unittest discover -s tests"""

import tomllib
import unittest

import numpy as np
from scipy import ndimage

from scanside_train import bundle, classify, lesions, lungs, perlin


def chest(n=40, size=64):
    """Two ellipses of air in an ellipse of water."""
    z, y, x = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    v = np.where((x / 0.9) ** 2 + (y / 0.7) ** 2 < 1, 0.72, 0.0)
    for side in (-1, 1):
        v[((x - side * 0.42) / 0.32) ** 2 + (y / 0.5) ** 2 + (z / 0.8) ** 2 < 1] = 0.1
    return v.astype(np.float32)


class Findings(unittest.TestCase):
    def test_the_mask_takes_the_lungs_and_not_the_room(self):
        v = chest()
        m = lungs.mask(v)
        self.assertEqual(m[:, 0].sum(), 0)
        inside = (v == np.float32(0.1))
        self.assertGreater((m & inside).sum() / inside.sum(), 0.99)
        self.assertLess((m & ~inside).sum() / inside.sum(), 0.1)

    def test_infections_stay_in_the_lungs_and_only_add(self):
        v = chest()
        m = lungs.mask(v)
        for label in ("covid19", "cap"):
            for seed in range(4):
                w = lesions.insert(v, m, label, np.random.default_rng(seed))
                again = lesions.insert(v, m, label, np.random.default_rng(seed))
                self.assertTrue((w == again).all())
                self.assertTrue((w[~m] == v[~m]).all())
                self.assertGreater(((w - v) > 0.1).sum(), 20, (label, seed))

    def test_infection_of_the_airways_is_in_pieces_and_below(self):
        v = chest()
        m = lungs.mask(v)
        middle, below, above = int(np.median(np.nonzero(m)[0])), 0, 0
        for seed in range(6):
            w = lesions.Chest(v, m)
            lesions.airways(w, np.random.default_rng(seed))
            self.assertTrue((w.v[~m] == v[~m]).all())
            raised = (w.v - v) > 0.1
            self.assertGreater(ndimage.label(raised)[1], 10, seed)
            below, above = below + raised[:middle].sum(), above + raised[middle:].sum()  # slices go from feet to head
        self.assertGreater(below, 1.5 * above)

    def test_slice_infection_is_gated(self):
        v = chest()[20]
        m = lungs.mask(chest())[20]
        w = perlin.infection(np.random.default_rng(0), v, m, lungs.depth(m[None])[0])
        self.assertTrue((w[~m] == v[~m]).all())
        self.assertTrue((w >= v - 1e-6).all())
        self.assertGreater((w - v).max(), 0.1)


class Facts(unittest.TestCase):
    def test_golden_cube_is_what_the_card_says(self):
        cube = bundle.golden_cube(128).ravel()
        for i in (0, 1, 2, 819_199):
            h = (i * 2654435761) % 2**32
            self.assertAlmostEqual(float(cube[i]), ((h >> 8) / 2**24 - 0.5) * 0.2, places=7)

    def test_card_is_toml(self):
        card = {"a": 1, "f": {"x.onnx": "ab", "n": [1.5, 2.0]}, "e": {"real": [{"p": [0.1], "ok": True}], "deep": {"k": "ü"}}}
        back = tomllib.loads(bundle.to_toml(card))
        self.assertEqual(back["e"]["real"][0]["ok"], True)
        self.assertEqual(back["f"]["x.onnx"], "ab")
        self.assertEqual(back["e"]["deep"]["k"], "ü")

    def test_auc(self):
        self.assertEqual(bundle.auc(np.array([1, 2, 3, 4.0]), np.array([False, False, True, True])), 1.0)
        self.assertEqual(bundle.auc(np.ones(4), np.array([False, False, True, True])), 0.5)

    def test_distance_of_a_mean_is_zero(self):
        rng = np.random.default_rng(0)
        f, y = rng.normal(size=(60, 32)), np.arange(60) % 3
        means, inverse = classify.distance_model(f, y)
        self.assertLess(classify.distances(means, means, inverse).max(), 1e-3)
        self.assertGreater(classify.distances(means + 50, means, inverse).min(), 50)

    def test_undetermined(self):
        self.assertEqual(bundle.decide([0.9, 0.05, 0.05], 1.0, [0.5] * 3, 2.0), 0)
        self.assertEqual(bundle.decide([0.9, 0.05, 0.05], 3.0, [0.5] * 3, 2.0), 3)
        self.assertEqual(bundle.decide([0.4, 0.3, 0.3], 1.0, [0.5] * 3, 2.0), 3)


if __name__ == "__main__":
    unittest.main()
