"""Numbers that the box and the recipe must share. Run: python -m unittest discover -s tests"""

import unittest

import numpy as np
import torch

from scanside_train import export, nets, perlin, quantize, resample


class Perlin(unittest.TestCase):
    def test_one_octave(self):
        x, y = np.float32([0.5, 3.7, 12.7]), np.float32([0.25, 9.1, 0.06])
        np.testing.assert_allclose(perlin.octave(x, y, 0), [-0.0388184, 0.2014926, 0.0388778], atol=1e-6)
        np.testing.assert_allclose(perlin.octave(x, y, 1), [0.5388184, 0.0505854, -0.2912019], atol=1e-6)

    def test_ten_octaves(self):
        places = [(1, 2, 0.3), (64, 31, -0.31), (127, 127, -0.5), (5, 99, 0)]
        golden = {0: [0.0692578, -0.3275315, 0.1233818, 0.0491813], 1: [0.2352277, 0.5222521, 0.3550823, 0.1978976]}
        for base, wanted in golden.items():
            got = [float(perlin.fractal(np.float32(i / 17), np.float32(j / 17), p, base)) for i, j, p in places]
            np.testing.assert_allclose(got, wanted, atol=2e-6)

    def test_base_wraps(self):
        x, y = perlin.grid(16, 10)
        self.assertTrue((perlin.fractal(x, y, 0.3, 256) == perlin.fractal(x, y, 0.3, 0)).all())


class K2(unittest.TestCase):
    def test_golden(self):
        line = np.array([0, 0.1, 0.2, 1, 0.3, 0.7, 0.4, 0.9, 0])
        np.testing.assert_allclose(resample.matrix(9, 4) @ line, [0.078519948, 0.678731931, 0.573049739, 0.527703028], atol=1e-9)
        np.testing.assert_allclose(resample.matrix(9, 3) @ line, [0.150122319, 0.567861036, 0.545553320], atol=1e-9)
        up = [0.02, 0.04, 0.1, 0.16, 0.36, 0.84, 0.72, 0.3, 0.54, 0.64, 0.46, 0.6, 0.9, 0.36, 0.18]
        np.testing.assert_allclose(resample.matrix(9, 15) @ line, up, atol=1e-9)


class Networks(unittest.TestCase):
    def test_layers(self):
        net = nets.BcduNet()
        for name, wanted in nets.BCDU_LAYERS.items():
            self.assertEqual(nets.count(getattr(net, name)), wanted, name)
        self.assertEqual(nets.count(net), nets.BCDU_PARAMETERS)
        cnn = nets.Cnn()
        self.assertEqual([nets.count(c) for c in cnn.convs], nets.CNN_LAYERS)
        self.assertEqual(nets.count(cnn), nets.CNN_PARAMETERS)
        self.assertEqual(nets.count(nets.Cnn(240)), 1_084_555)

    def test_folded_cnn_is_the_trained_one(self):
        net = nets.NormedCnn().start(1).start_stem()
        x = torch.randn(2, 1, 50, 128, 128, generator=torch.Generator().manual_seed(0)) * 0.05
        with torch.no_grad():
            net(x)  # moves the running statistics
            net.eval()
            np.testing.assert_allclose(net.folded()(x).numpy(), net(x).numpy(), atol=1e-3)
        self.assertEqual(nets.count(net.folded()), nets.CNN_PARAMETERS)

    def test_onnx_is_the_network(self):
        net = nets.BcduNet().start(1).eval()
        x = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(2))
        got = quantize.session(export.bcdu(net, 32)).run(None, {"input": x.numpy()})[0]
        with torch.no_grad():
            np.testing.assert_allclose(got, net(x).numpy(), atol=1e-5)
        int8 = quantize.bcdu_int8(net, 32, [x.numpy()])
        got8 = quantize.session(int8).run(None, {"input": x.numpy()})[0]
        self.assertLess(np.abs(got8 - got).max(), 0.05)

    def test_int8_graph_keeps_to_the_loadable_form(self):
        net = nets.BcduNet().start(1).eval()
        model = quantize.bcdu_int8(net, 32, [np.random.default_rng(0).random((32, 32), np.float32)])
        kinds = {n.op_type for n in model.graph.node}
        self.assertLessEqual(kinds, {"QLinearConv", "QuantizeLinear", "DequantizeLinear", "MaxPool", "Conv", "ConvTranspose",
                                     "Mul", "Add", "Tanh", "HardSigmoid", "Concat", "Relu", "Sigmoid", "Split"})
        scales = [i for i in model.graph.initializer if i.name.endswith("_ws")]
        self.assertEqual(len(scales), 27)
        self.assertTrue(all(list(s.dims) == [] for s in scales))


if __name__ == "__main__":
    unittest.main()
