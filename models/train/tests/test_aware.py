"""The int8 network that learns: it computes what its ONNX graph computes, keeps the function it starts from, and comes nearer to fp32."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

import tiny
from scanside_train import aware, bundle, denoise, export, quantize


class Aware(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.TemporaryDirectory()
        cls.work = tiny.work(Path(cls.tmp.name) / "work", train=2, test=1, n=18)
        with contextlib.redirect_stderr(io.StringIO()):
            denoise.train(cls.work, "denoise", 12, 1, log=lambda _: None)
        cls.net = bundle.load_bcdu(cls.work / "denoise.pt")
        cls.slices = bundle.calibration_slices(cls.work, 12)

    @classmethod
    def tearDownClass(cls):
        cls.tmp.cleanup()

    def student(self):
        return aware.student(self.net, tiny.SIZE, self.slices)

    def test_even_channels_change_nothing(self):
        x = torch.from_numpy(np.stack(self.slices))[:, None]
        with torch.no_grad():
            before, after = self.net(x), aware.equalized(self.net, self.slices)(x)
        self.assertLess(float((before - after).abs().max()), 1e-5)

    def test_the_student_computes_its_graph(self):
        student = self.student()
        run = quantize.session(export.bcdu(student.net, tiny.SIZE, student.ranges()), 1)
        for s in self.slices[:4]:
            with torch.no_grad():
                said = student(torch.from_numpy(s)[None, None]).numpy()
            # A sum that falls on the other side of a half in one of them is one step of u8, and moves more behind it;
            # but these errors have no side, and those of a graph that differs have one.
            error = said - run.run(None, {"input": s[None, None]})[0]
            self.assertLess(np.abs(error).mean(), 2e-3)
            self.assertLess(abs(error.mean()), 3e-4)

    def test_it_comes_nearer(self):
        student, x = self.student(), torch.from_numpy(np.stack(self.slices))[:, None]
        wanted = aware.frozen(self.net)(x).detach()
        lungs = (x < 0.3).float()
        before = float(aware.distance(student(x), wanted, lungs).detach())
        with contextlib.redirect_stderr(io.StringIO()):
            aware.train(student, aware.lessons(self.net, [(x, lungs)]), 40, self.work / "near.pt", log=lambda _: None)
        self.assertLess(float(aware.distance(student(x), wanted, lungs).detach()), 0.6 * before)


if __name__ == "__main__":
    unittest.main()
