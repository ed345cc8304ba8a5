"""From thirty DICOM folders to a bundle that the program proves and runs, with one command; both published sizes.

Minutes: runs where SCANSIDE_BIN names the program. The budget is far too small to learn anything.
What is held here is the way: no file is touched by hand, and 240x240, of nine of the folders, needs
nothing but its card. SCANSIDE_SIZES="128" leaves the large one out, SCANSIDE_PHANTOMS is the number of
folders, 30 where it is not set.
"""

import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

try:
    import torch
except ImportError:
    torch = None

BIN = os.environ.get("SCANSIDE_BIN")
WHY = "SCANSIDE_BIN is not set" if not BIN else "torch is not installed" if torch is None else None
if WHY:
    print(f"SKIPPED: the way from DICOM folders to a bundle, because {WHY}")

LABELS = ("control", "covid19", "cap")
# As little of everything as the stages take.
BUDGET = ("--phantoms", "0", "--lungs-steps", "1", "--denoise-steps", "2", "--calibration", "4", "--aware-steps", "2", "--inserts", "1",
          "--cnn-steps", "2", "--cnn-whole-steps", "2", "--jobs", "2")


def scanside(*args, **more):
    return subprocess.run([BIN, *map(str, args)], capture_output=True, text=True, **more)


def folders(root, number):
    """DICOM folders, the classes in turn, and what a hospital would write of them. The last two of a class are held out."""
    rows = []
    for n in range(number):
        label, held = LABELS[n % 3], {number // 3 - 1: "test", number // 3 - 2: "val"}
        study = root / f"study_{n:02}"
        # The box takes slices of up to 5 mm.
        scanside("phantom", "--class", label, "--seed", 40 + n, "--matrix", 128, "--thickness", 5, study, check=True)
        rows.append({"path": study.name, "label": label, "source": "ward", "split": held.get(n // 3, "train"), "patient": f"p{n}"})
    return rows


def cohort_file(path, rows):
    with open(path, "w", newline="") as f:
        out = csv.DictWriter(f, list(rows[0]))
        out.writeheader()
        out.writerows(rows)
    return path


@unittest.skipIf(WHY, f"SKIPPED: {WHY}")
class Whole(unittest.TestCase):
    def test_thirty_folders_become_a_bundle_that_the_program_runs(self):
        number, sizes = int(os.environ.get("SCANSIDE_PHANTOMS", "30")), os.environ.get("SCANSIDE_SIZES", "128 240").split()
        with tempfile.TemporaryDirectory() as tmp:
            tmp = Path(tmp)
            (tmp / "dicom").mkdir()
            rows = folders(tmp / "dicom", number)
            few = rows[:3] + rows[-6:]  # one of each class to train on, and those held out
            for size in sizes:
                with self.subTest(size=size):
                    some = few if size == "240" else rows
                    self.one(tmp, cohort_file(tmp / "dicom" / f"cohort{size}.csv", some), some, size)

    def one(self, tmp, cohort, rows, size):
        out = tmp / f"bundle{size}"
        command = [sys.executable, "-m", "scanside_train", "all", "--scanside", str(Path(BIN).resolve()), "--work", tmp / f"work{size}",
                   "--out", out, "--studies", cohort, "--size", size, *BUDGET]
        subprocess.run([str(c) for c in command], check=True, cwd=Path(__file__).parents[1])

        card = tomllib.loads((out / "card.toml").read_text())
        self.assertEqual((card["size"], card["name"]), (int(size), f"covidctnet-{size}"))
        self.assertEqual(card["bcdu"]["shape"], [1, 1, int(size), int(size)])
        sums = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in out.iterdir() if p.name != "card.toml"}
        self.assertEqual(sums, card["files"])
        volumes = card["training"]["volumes"]
        self.assertEqual(sum(volumes.values()), len(rows))
        trained = {r["label"] for r in rows if r["split"] == "train"}
        self.assertEqual({k for k in card["training"]["cubes"] if "asis" in k}, {f"ward_asis_{k}" for k in trained})
        self.assertEqual(card["evaluation"]["test_counts"], [1, 1, 1])

        # The program proves it against its goldens and runs it: nothing but the folder is named.
        settings = tmp / f"scanside{size}.toml"
        settings.write_text(f'model = "{out}"\n')
        said = scanside("check", "--config", settings)
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
        self.assertRegex(said.stdout, rf"model +covidctnet-{size} ")
        study = tmp / "dicom" / rows[0]["path"]
        said = scanside("analyse", study, "--json", "--model", out)
        self.assertEqual(said.returncode, 0, said.stderr)
        report = json.loads(said.stdout)
        self.assertEqual(report["model"]["name"], f"covidctnet-{size}")
        self.assertEqual(report["state"], "analysed")
        self.assertAlmostEqual(sum(report["p"].values()), 1, places=4)

        # And it does not take a bundle with another byte in it.
        weights = out / "cnn.onnx"
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        self.assertNotEqual(scanside("check", "--config", settings).returncode, 0)
        weights.write_bytes(whole)


if __name__ == "__main__":
    unittest.main()
