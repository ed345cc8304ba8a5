"""Published weights: what comes out of the import computes what Keras computes."""

import tempfile
import tomllib
import unittest
from pathlib import Path

import numpy as np
import torch

try:
    import h5py
except ImportError:
    h5py = None

import keras_fixture as keras
from scanside_train import bundle, export, import_keras, keras_file, quantize
from scanside_train.keras_file import Refused


@unittest.skipIf(h5py is None, "SKIPPED: h5py is not installed (requirements-extra.txt)")
class Import(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.addCleanup(self.tmp.cleanup)
        self.folder = Path(self.tmp.name)

    def file(self, layers, name="w.h5", **how):
        keras.save(self.folder / name, layers, **how)
        return self.folder / name

    def test_bcdu_net_computes_what_keras_computes(self):
        layers = keras.bcdu_layers()
        x = np.random.default_rng(5).random((32, 40)).astype(np.float32)
        wanted = keras.run_bcdu(layers, x)
        self.assertGreater(wanted.std(), 1e-2)
        net, _ = import_keras.bcdu(self.file(layers))
        with torch.no_grad():
            np.testing.assert_allclose(net(torch.from_numpy(x)[None, None])[0, 0].numpy(), wanted, atol=1e-4)
        x = x[:, :32]
        got = quantize.session(export.bcdu(net, 32)).run(None, {"input": x[None, None]})[0][0, 0]
        np.testing.assert_allclose(got, keras.run_bcdu(layers, x), atol=1e-4)
        # The comparison sees each of the traps.
        for trap in ({"order": "ifoc"}, {"slope": 1 / 6}, {"go_backwards": False}, {"epsilon": 1e-5}):
            self.assertGreater(np.abs(keras.run_bcdu(layers, x, **trap) - got).max(), 1e-3, trap)

    def test_cnn_computes_what_keras_computes(self):
        layers = keras.cnn_layers(size=66)
        x = np.random.default_rng(6).normal(0, 1, (50, 66, 66)).astype(np.float32)
        logits, features = keras.run_cnn(layers, x)
        net, _, _ = import_keras.cnn(self.file(layers), size=66)
        _, got, f = quantize.session(export.cnn(net, 66, half=False)).run(None, {"input": x[None, None]})
        np.testing.assert_allclose(got[0], logits, atol=1e-4)
        np.testing.assert_allclose(f[0], features, atol=1e-4)
        self.assertGreater(np.abs(keras.run_cnn(layers, x, channels_first=True)[0] - logits).max(), 1e-2)

    def test_a_whole_saved_model_and_split_names_are_read_too(self):
        layers = keras.bcdu_layers()
        said = [{"class_name": "ConvLSTM2D", "config": {"name": "conv_lst_m2d_4", "go_backwards": True, "recurrent_activation": "hard_sigmoid"}}]
        net, file = import_keras.bcdu(self.file(layers, whole=True, config=said))
        other, _ = import_keras.bcdu(self.file(layers, "v.h5"))
        self.assertTrue(torch.equal(net.l8.r.weight, other.l8.r.weight))
        self.assertEqual(file.keras_version, "2.3.1")
        said[0]["config"]["go_backwards"] = False
        with self.assertRaisesRegex(Refused, "conv_lst_m2d_4 has go_backwards = False, the published system has True"):
            import_keras.bcdu(self.file(layers, whole=True, config=said))
        with h5py.File(self.folder / "v.h5", "r+") as f:
            names = list(f.attrs["layer_names"])
            del f.attrs["layer_names"]
            f.attrs["layer_names0"], f.attrs["layer_names1"] = names[:9], names[9:]
        again, _ = import_keras.bcdu(self.folder / "v.h5")
        self.assertTrue(torch.equal(again.c8[0].weight, other.c8[0].weight))

    def test_what_does_not_fit_is_said_in_words(self):
        layers = keras.bcdu_layers()
        cases = [
            (layers[:-1], r"layer 29 of BCDU-Net \(the last 1x1\) should be a convolution with kernel 1x1x2x1, bias 1, but the file ends after 28 layers"),
            (layers[:3] + layers[4:], r"layer 4 of BCDU-Net \(c2, convolution 2\) should be a convolution with kernel 3x3x64x64, bias 64, but conv2d_28 has kernel 3x3x64x128, bias 128"),
            (layers + [("conv2d_99", {"kernel": np.zeros((1, 1, 1, 1))})], "the file goes on with conv2d_99"),
            ([(n, {k: v for k, v in w.items() if k != "moving_mean"}) for n, w in layers], "should be a batch normalisation .* but batch_normalization_4 has gamma 128, beta 128, moving_variance 128"),
            ([(n, {k: v * np.nan for k, v in w.items()}) for n, w in layers], "no numbers"),
        ]
        for wrong, words in cases:
            with self.assertRaisesRegex(Refused, words):
                import_keras.bcdu(self.file(wrong))
        with self.assertRaisesRegex(Refused, "Keras 3.1.0, whose hard sigmoid"):
            import_keras.bcdu(self.file(layers, version="3.1.0"))
        with self.assertRaisesRegex(Refused, "1152 rows .* found 512"):
            import_keras.cnn(self.file(keras.cnn_layers(size=66)))
        with self.assertRaisesRegex(Refused, "no such file"):
            keras_file.read(self.folder / "none.h5")
        (self.folder / "text.h5").write_text("weights")
        with self.assertRaisesRegex(Refused, "no HDF5"):
            keras_file.read(self.folder / "text.h5")

    def test_a_pair_becomes_a_bundle_of_profile_release(self):
        a, b = self.file(keras.bcdu_layers(), "a.h5"), self.file(keras.cnn_layers(), "b.h5")
        out = self.folder / "bundle"
        import_keras.main(["--bcdu", str(a), "--cnn", str(b), "--out", str(out)])
        card = tomllib.loads((out / "card.toml").read_text())
        self.assertEqual((card["profile"], card["size"], card["demonstration"]), ("release", 128, True))
        self.assertEqual(card["imported"]["bcdu"]["sha256"], bundle.sha256(a))
        self.assertEqual(card["imported"]["cnn"]["sha256"], bundle.sha256(b))
        self.assertIn("no judgement", card["evaluation"]["how"])
        for name, hash_ in card["files"].items():
            self.assertEqual(bundle.sha256(out / name), hash_)
        golden = quantize.session(out / "bcdu.onnx", exact=True).run(None, {"input": np.load(out / "golden_slice.npy")[None]})[0][0]
        self.assertLess(np.abs(golden - np.load(out / "golden_output.npy")).max(), card["bcdu"]["tolerance"])
        self.assertEqual(np.load(out / "features.npy").shape, (35, 32))

    def test_with_volumes_the_first_network_becomes_int8(self):
        net, _ = import_keras.bcdu(self.file(keras.bcdu_layers()))
        volumes = self.folder / "volumes"
        volumes.mkdir()
        np.save(volumes / "v.npy", np.random.default_rng(0).random((6, 32, 32), np.float32))
        slices = import_keras.slices_of(volumes, 32, 8)
        model, facts = quantize.best(net, 32, export.bcdu(net, 32), slices[4:], slices[:4], log=lambda _: None)
        self.assertIn("QLinearConv", {n.op_type for n in model.graph.node})
        self.assertLess(facts["mean_abs"], 0.05)
        with self.assertRaisesRegex(Refused, "the networks want slices of 128 x 128"):
            import_keras.slices_of(volumes, 128, 8)


if __name__ == "__main__":
    unittest.main()
