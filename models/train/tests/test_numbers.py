"""Numbers that the box and the recipe must share. Run: python -m unittest discover -s tests"""

import tempfile
import unittest

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from scanside_train import export, nets, perlin, quantize, recover, resample


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

    def test_int8_graph_keeps_to_the_form_that_the_box_knows(self):
        net = nets.BcduNet().start(1).eval()
        model = quantize.bcdu_int8(net, 32, [np.random.default_rng(0).random((32, 32), np.float32)])
        kinds = [n.op_type for n in model.graph.node]
        self.assertEqual({k: kinds.count(k) for k in set(kinds)}, {
            "QuantizeLinear": 8, "QLinearConv": 21, "ConvInteger": 9, "Cast": 9, "MaxPool": 3, "DepthToSpace": 3, "DequantizeLinear": 3, "Concat": 1,
            "Conv": 2, "Relu": 1, "Sigmoid": 1, "Mul": 24, "Add": 12, "Tanh": 12, "HardSigmoid": 6, "Split": 12})
        held = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "QLinearConv":  # a scale per output channel, no zero points behind a ReLU
                self.assertEqual(held[node.input[4]].shape, (len(held[node.input[3]]),))
                self.assertEqual((held[node.input[7]], held[node.input[2]] if node.input[0] not in ("l6_q", "l7_q", "l8_q") else 0), (0, 0))
            elif node.op_type == "ConvInteger":
                self.assertEqual((held[node.input[1]].dtype, len(node.input)), (np.int8, 3))

    def test_sums_in_float_are_the_integer_sums(self):
        net = nets.BcduNet().start(1).eval()
        x = np.random.default_rng(0).random((1, 1, 32, 32), np.float32)
        model = quantize.bcdu_int8(net, 32, [x])
        exact, quick = (quantize.session(model, 1, exact=e).run(None, {"input": x})[0] for e in (True, False))
        # A rounded digit may turn a tie of the next QuantizeLinear.
        self.assertLess(np.abs(exact - quick).mean(), 1e-4)

    def test_the_networks_come_back_out_of_a_bundle(self):
        net = nets.BcduNet().start(1).eval()
        x = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(2))
        with tempfile.TemporaryDirectory() as tmp:
            onnx.save(quantize.bcdu_int8(net, 32, [v.numpy() for v in x]), f"{tmp}/bcdu.onnx")
            back = recover.read(f"{tmp}/bcdu.onnx")
            cnn = nets.Cnn(66).start(2).eval()
            onnx.save(export.cnn(cnn, 66), f"{tmp}/cnn.onnx")
            plain = recover.read_cnn(f"{tmp}/cnn.onnx", 66)
        with torch.no_grad():
            np.testing.assert_allclose(back(x).numpy(), net(x).numpy(), atol=0.02)
            for a, b in zip(back.parameters(), net.parameters()):
                self.assertLess(float((a - b).abs().max()), 0.02)
            same = back(x).numpy()
            np.testing.assert_allclose(recover.settle(back, x)(x).numpy(), same, atol=1e-4)
            cubes = np.random.default_rng(3).normal(0, 0.05, (2, 50, 66, 66)).astype(np.float32)
            y = torch.from_numpy(cubes)[:, None]
            np.testing.assert_allclose(plain(y).numpy(), cnn(y).numpy(), atol=1e-2)
            np.testing.assert_allclose(recover.unfold(plain, 66, cubes).eval()(y).numpy(), plain(y).numpy(), atol=1e-3)


if __name__ == "__main__":
    unittest.main()
