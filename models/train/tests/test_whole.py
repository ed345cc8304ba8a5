"""From nothing to a bundle with one command. Slow: runs where SCANSIDE_BIN names the program.

SCANSIDE_SIZE=240 makes the preprint's variant, which takes four times as long; SCANSIDE_PHANTOMS is how
many phantoms there are of each class, 3 where it is not set.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

BIN = os.environ.get("SCANSIDE_BIN")
if not BIN:
    print("SKIPPED: the way from phantoms to a bundle, because SCANSIDE_BIN is not set")


@unittest.skipUnless(BIN, "SKIPPED: SCANSIDE_BIN is not set")
class Whole(unittest.TestCase):
    def test_a_few_phantoms_per_class_become_a_bundle(self):
        size, phantoms = os.environ.get("SCANSIDE_SIZE", "128"), os.environ.get("SCANSIDE_PHANTOMS", "3")
        with tempfile.TemporaryDirectory() as tmp:
            out = Path(tmp) / "bundle"
            command = [sys.executable, "-m", "scanside_train", "all", "--scanside", str(Path(BIN).resolve()), "--work", f"{tmp}/work", "--out", str(out),
                       "--size", size, "--phantoms", phantoms, "--matrix", "128", "--lungs-steps", "1", "--denoise-steps", "2", "--inserts", "1", "--exact", "0",
                       "--cnn-steps", "2", "--cnn-whole-steps", "2", "--jobs", "1"]
            subprocess.run(command, check=True, cwd=Path(__file__).parents[1])
            card = tomllib.loads((out / "card.toml").read_text())
            self.assertEqual(card["size"], int(size))
            self.assertEqual(card["name"], f"covidctnet-{size}")
            self.assertEqual(set(card["files"]), {p.name for p in out.iterdir()} - {"card.toml"})
            # The program takes it. What a network of two steps says is of no interest.
            study = Path(tmp) / "study"
            subprocess.run([BIN, "phantom", "--class", "control", "--seed", "5", "--matrix", "128", "--thickness", "5", str(study)], check=True)
            said = subprocess.run([BIN, "analyse", str(study), "--json", "--model", str(out)], capture_output=True, text=True)
            self.assertIn(said.returncode, (0, 3), said.stderr)  # 3: loaded and proven, but the study is refused
            self.assertIn(f"covidctnet-{size}", said.stdout)


if __name__ == "__main__":
    unittest.main()
