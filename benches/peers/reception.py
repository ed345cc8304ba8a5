#!/usr/bin/env python3
"""Reception beside other software: the same sender, the same slices, one run.

Usage: reception.py SCANSIDE [--slices N] [--associations N] [--rounds N] [--only NAME ...]

SCANSIDE is the program. 400 slices of 512 x 512 go to `scanside serve`, to DCMTK's storescp, to Orthanc, to
pynetdicom's storescp and to dicom-rs' dicom-storescp, where these are installed, in one association and in
several at once. Each receiver is started on a free loopback port with an empty folder and stopped afterwards.
scanside answers when the instance would survive a loss of power; Orthanc as it comes, which syncs as well; the
others as they come, without fsync.

A round is one run of each receiver, in an order that turns. Ratios are made inside a round, so that other work
of the machine meets both sides of each; the smallest, the middle and the largest of them are printed. The
processor seconds are of the receiver alone, less what its start costs; those of children that a receiver does
not wait for are missing (DCMTK with several associations).

Wants pydicom and numpy, as the tests do.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
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


def dicom_rs(home: Path, port: int, at_once: int) -> list[str]:
    several = ["--non-blocking"] if at_once > 1 else []
    # Its largest PDU, so that it is not slowed by small ones.
    return ["dicom-storescp", *several, "--promiscuous", "-m", "131066", "-o", str(home), "-p", str(port)]


def wait_for(program: str, port: int) -> None:
    for _ in range(300):
        echo = [program, "echo", f"BENCH@127.0.0.1:{port}"]
        if subprocess.run(echo, capture_output=True).returncode == 0:
            return
        time.sleep(0.2)
    raise SystemExit("the receiver does not answer")


def one(
    program: str, command: list[str], home: Path, port: int, folder: Path, at_once: int
) -> tuple[float, float]:
    log = open(os.devnull, "w")
    receiver = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(program, port)
        idle = processor(receiver.pid)
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
        used = processor(receiver.pid) - idle
    finally:
        stop(receiver)
    sent = sum(path.is_file() for path in folder.rglob("*"))
    kept = sum(path.is_file() for path in home.rglob("*"))
    if kept < sent:
        raise SystemExit(f"{command[0]} has {kept} files of {sent} instances")
    return took, used


def processor(pid: int) -> float:
    """Processor seconds of a process and of the children that it has waited for."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK")


def stop(receiver: subprocess.Popen) -> None:
    os.killpg(receiver.pid, signal.SIGTERM)
    try:
        receiver.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(receiver.pid, signal.SIGKILL)
        receiver.wait()


def spread(values: list[float]) -> str:
    return f"{min(values):.2f} / {statistics.median(values):.2f} / {max(values):.2f}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("scanside")
    options.add_argument("--slices", type=int, default=400)
    options.add_argument("--associations", type=int, default=4)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", nargs="*", help="these receivers, beside scanside")
    options.add_argument("--with", dest="other", help="another scanside program, as one more receiver")
    asked = options.parse_args()
    receivers = {"scanside": lambda h, p, n: scanside(asked.scanside, h, p, n)}
    if asked.other:
        receivers["other scanside"] = lambda h, p, n: scanside(asked.other, h, p, n)
    if shutil.which("storescp"):
        receivers["DCMTK storescp"] = storescp
    if shutil.which("Orthanc"):
        receivers["Orthanc"] = orthanc
    if subprocess.run([sys.executable, "-c", "import pynetdicom"], capture_output=True).returncode == 0:
        receivers["pynetdicom storescp"] = pynetdicom
    if shutil.which("dicom-storescp"):
        receivers["dicom-rs storescp"] = dicom_rs
    for name in ("DCMTK storescp", "Orthanc", "pynetdicom storescp", "dicom-rs storescp"):
        if name not in receivers:
            print(f"SKIPPED: {name} is not installed", file=sys.stderr)
    if asked.only is not None:
        ours = ("scanside", "other scanside")
        receivers = {name: made for name, made in receivers.items() if name in ours or name in asked.only}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        slices(folder, asked.slices)
        print(f"{asked.slices} slices of 512 x 512, {os.cpu_count()} processors, {asked.rounds} rounds")
        print("seconds and ratios: smallest / middle / largest")
        for at_once in dict.fromkeys((1, asked.associations)):
            took: dict[str, list[float]] = {name: [] for name in receivers}
            used: dict[str, list[float]] = {name: [] for name in receivers}
            loads = []
            names = list(receivers)
            for turn in range(asked.rounds):
                turn %= len(names)
                for name in names[turn:] + names[:turn]:
                    with tempfile.TemporaryDirectory() as home:
                        port = free_port()
                        command = receivers[name](Path(home), port, at_once)
                        seconds = one(asked.scanside, command, Path(home), port, folder, at_once)
                        took[name].append(seconds[0])
                        used[name].append(seconds[1])
                loads.append(os.getloadavg()[0])
            print(f"\n{at_once} association{'s at once' if at_once > 1 else ''}, load {spread(loads)}")
            for name in receivers:
                ratios = [theirs / ours for theirs, ours in zip(took[name], took["scanside"])]
                rate = asked.slices / statistics.median(took[name])
                print(
                    f"  {name:20} {spread(took[name]):>23} s {rate:5.0f} images/s"
                    f" {spread(ratios):>19} x scanside {statistics.median(used[name]):6.2f} s of processor"
                )


if __name__ == "__main__":
    main()
