#!/usr/bin/env python3
"""Instructions that a slice of BCDU-Net takes on aarch64: int8 as shipped, over fp32.

Usage: instructions.py SCANSIDE_AARCH64 [--model FOLDER] [--qemu PROGRAM]

The program runs under QEMU's emulation of a user's program with a plugin that counts (instructions.c). What a slice
takes is the difference between a run over one slice and one over none, so that loading counts for nothing. The
fp32 network is the shipped one written out (written_out.py) and runs on tract's kernels for the Cortex-A55. A count
is no time: an instruction that multiplies sixteen bytes counts as one that adds two numbers.

Wants a C compiler, Debian's qemu-user (qemu-user-static loads no plugin) and libc6:arm64, and numpy and onnx.
"""

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy

import written_out

HERE = Path(__file__).resolve().parent


def count(asked, plugin: Path, work: Path, network: Path, slices: int) -> int:
    volume, cube = work / f"{slices}.npy", work / "cube.npy"
    numpy.save(volume, numpy.random.default_rng(7).random((slices, 128, 128), dtype="f4"))
    command = [asked.qemu, "-plugin", plugin, "-E", "TRACT_CPU_AARCH64_KIND=a55", "-E", "RAYON_NUM_THREADS=1",
               asked.scanside, "cube", "--network", network, "--size", "128", volume, cube]
    # The counter is one for all threads and not guarded, so there is one that computes.
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=3600)
    found = re.search(r"instructions: (\d+)", ended.stderr)
    if ended.returncode != 0 or not found:
        raise SystemExit(f"{' '.join(map(str, command))}: {ended.returncode}\n{ended.stderr[-500:]}")
    return int(found[1])


def main() -> None:
    parse = argparse.ArgumentParser()
    parse.add_argument("scanside", type=Path)
    parse.add_argument("--model", type=Path, default=HERE / "../../models/covidctnet-128")
    parse.add_argument("--qemu", default=shutil.which("qemu-aarch64") or "qemu-aarch64")
    asked = parse.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        plugin = work / "instructions.so"
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", plugin, HERE / "instructions.c"], check=True)
        fp32 = work / "bcdu_fp32.onnx"
        written_out.write(asked.model / "bcdu.onnx", fp32)
        took = {}
        for name, network in [("int8", asked.model / "bcdu.onnx"), ("fp32", fp32)]:
            none, one = (count(asked, plugin, work, network, slices) for slices in (0, 1))
            took[name] = one - none
            print(f"{name}: {took[name] / 1e6:.0f} million instructions a slice", flush=True)
        print(f"int8 over fp32: {took['int8'] / took['fp32']:.3f}")


if __name__ == "__main__":
    main()
