#!/usr/bin/env python3
"""Reception beside other software: the same sender, the same slices, one run.

Usage: reception.py SCANSIDE [--slices N] [--associations N] [--rounds N]

SCANSIDE is the program. 400 slices of 512 x 512 go to `scanside serve`, to DCMTK's storescp, to Orthanc
and to pynetdicom's storescp, where these are installed, in one association and in several at once. Each
receiver is started on a free loopback port with an empty folder and stopped afterwards. scanside answers
after fsync of the file and its folder and a commit; the others as they come. The order of the receivers
turns from round to round, and the best round counts: the machine may have other work, and that only
makes a round longer. The processor seconds of a receiver, its start included, are of the same round; those
of children that a receiver does not wait for are missing (DCMTK with several associations).

Wants pydicom and numpy, as the tests do.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.10.999.77"


def slices(folder: Path, count: int) -> None:
    """Slices of noise: nothing that a receiver could compress or recognise."""
    dice = numpy.random.default_rng(7)
    for i in range(count):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = f"{ROOT}.3.{i}"
        d = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        d.SOPClassUID, d.SOPInstanceUID = CTImageStorage, f"{ROOT}.3.{i}"
        d.StudyInstanceUID, d.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.2"
        d.PatientName, d.PatientID, d.Modality = "BENCH", "BENCH", "CT"
        d.InstanceNumber = i + 1
        d.Rows = d.Columns = 512
        d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 0
        d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
        d.ImagePositionPatient = [0, 0, i]
        d.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        d.PixelSpacing, d.RescaleSlope, d.RescaleIntercept = [0.7, 0.7], 1, -1024
        d.PixelData = dice.integers(0, 4096, (512, 512), dtype="uint16").tobytes()
        (folder / f"{i % 10}").mkdir(exist_ok=True)
        pydicom.dcmwrite(folder / f"{i % 10}" / f"{i:04}.dcm", d, enforce_file_format=True)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def scanside(program: str, home: Path, port: int, _: int) -> list[str]:
    settings = home / "scanside.toml"
    # Longer than the run: the question is how it receives.
    settings.write_text("[completion]\nsettle_s = 3600\nquiet_s = 3600\nstalled_s = 3600\n")
    where = ["--listen", f"127.0.0.1:{port}", "--ae", "BENCH", "--state", str(home / "state")]
    return [program, "serve", "--config", str(settings), "--allow-any", *where]


def storescp(home: Path, port: int, at_once: int) -> list[str]:
    fork = ["--fork"] if at_once > 1 else []
    return ["storescp", *fork, "-aet", "BENCH", "-od", str(home), str(port)]


def orthanc(home: Path, port: int, _: int) -> list[str]:
    settings = {
        "Name": "BENCH",
        "StorageDirectory": str(home / "db"),
        "IndexDirectory": str(home / "db"),
        "DicomAet": "BENCH",
        "DicomPort": port,
        "HttpServerEnabled": False,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowEcho": True,
    }
    (home / "orthanc.json").write_text(json.dumps(settings))
    return ["Orthanc", str(home / "orthanc.json")]


def pynetdicom(home: Path, port: int, _: int) -> list[str]:
    return [sys.executable, "-m", "pynetdicom", "storescp", "-aet", "BENCH", "-od", str(home), str(port)]


def wait_for(program: str, port: int) -> None:
    for _ in range(300):
        echo = [program, "echo", f"BENCH@127.0.0.1:{port}"]
        if subprocess.run(echo, capture_output=True).returncode == 0:
            return
        time.sleep(0.2)
    raise SystemExit("the receiver does not answer")


def one(program: str, command: list[str], port: int, folder: Path, at_once: int) -> tuple[float, float]:
    log = open(os.devnull, "w")
    receiver = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(program, port)
        parts = sorted(folder.iterdir())
        begun = time.monotonic()
        senders = [
            subprocess.Popen(
                [program, "send", f"BENCH@127.0.0.1:{port}", *map(str, parts[n::at_once])],
                stdout=log,
                stderr=log,
            )
            for n in range(at_once)
        ]
        if any(sender.wait() != 0 for sender in senders):
            raise SystemExit(f"{command[0]} did not take all")
        took = time.monotonic() - begun
    finally:
        used = stop(receiver)
    return took, used


def stop(receiver: subprocess.Popen) -> float:
    """Ends the receiver; returns the processor seconds of it and its children."""
    os.killpg(receiver.pid, signal.SIGTERM)
    for _ in range(200):
        pid, _, usage = os.wait4(receiver.pid, os.WNOHANG)
        if pid:
            return usage.ru_utime + usage.ru_stime
        time.sleep(0.1)
    os.killpg(receiver.pid, signal.SIGKILL)
    _, _, usage = os.wait4(receiver.pid, 0)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("scanside")
    options.add_argument("--slices", type=int, default=400)
    options.add_argument("--associations", type=int, default=4)
    options.add_argument("--rounds", type=int, default=3)
    asked = options.parse_args()
    receivers = {"scanside": lambda h, p, n: scanside(asked.scanside, h, p, n)}
    if shutil.which("storescp"):
        receivers["DCMTK storescp"] = storescp
    if shutil.which("Orthanc"):
        receivers["Orthanc"] = orthanc
    if subprocess.run([sys.executable, "-c", "import pynetdicom"], capture_output=True).returncode == 0:
        receivers["pynetdicom storescp"] = pynetdicom
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        slices(folder, asked.slices)
        print(f"{asked.slices} slices of 512 x 512, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
        for at_once in (1, asked.associations):
            best: dict[str, tuple[float, float]] = {}
            names = list(receivers)
            for turn in range(asked.rounds):
                for name in names[turn % len(names) :] + names[: turn % len(names)]:
                    with tempfile.TemporaryDirectory() as home:
                        port = free_port()
                        command = receivers[name](Path(home), port, at_once)
                        took = one(asked.scanside, command, port, folder, at_once)
                        best[name] = min(took, best.get(name, took))
            print(f"\n{at_once} association{'s at once' if at_once > 1 else ''}")
            for name, (took, used) in best.items():
                ratio, rate = took / best["scanside"][0], asked.slices / took
                line = f"  {name:20} {took:7.2f} s {rate:7.0f} images/s {ratio:6.2f} x scanside's time"
                print(f"{line} {used:7.2f} s of processor")


if __name__ == "__main__":
    main()
