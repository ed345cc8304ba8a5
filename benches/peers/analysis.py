#!/usr/bin/env python3
"""Analysis beside other software: the same studies, the same threads, one run.

Usage: analysis.py SCANSIDE [--rounds N] [--rows NAME,...] [--write docs/performance.md]

SCANSIDE is the program; its model is the one it finds. The peers are ONNX Runtime on the same ONNX
files (and on the first network written out in fp32) and the reference program of the numeric
pipeline (`--reference`, or beside SCANSIDE_DATA), which is numpy, SciPy, scikit-image, pydicom and
ONNX Runtime in fp32. In a round each side runs once, one after the other, and the order turns; a
ratio is of one round, and the table has its median, least and most. Python's own start and its
imports are not counted; scanside's are.

Rows: networks, study, preprocess, streamed, memory, start, size, length. Without --rows all of
them; `--quick` has fewer rounds and leaves the longest stacks out. The studies are a phantom of 2 mm
slices and, with SCANSIDE_DATA, a real one in JPEG Lossless.

Wants a C compiler and what .ci/peers.txt lists.
"""

import argparse
import importlib.util
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy
import pydicom

import written_out

HERE = Path(__file__).resolve().parent
BCDU_MACS, CNN_MACS = 4.418e9, 3.269e9
BEGIN, END = "<!-- analysis.py begins -->", "<!-- analysis.py ends -->"

# The stack of the row `length` is a chest several times over, which no scan is.
LENIENT = "[checks]\nlung_length = 1.0\ncut_share = [2.0, 2.0]\n"


class Run(NamedTuple):
    """Seconds of the clock and of the processors, peak memory in bytes, what was printed as JSON."""

    seconds: float
    processor: float
    peak: int
    said: dict


class Bench:
    def __init__(self, asked, work: Path):
        self.asked, self.work = asked, work
        self.program = str(Path(asked.scanside).resolve())
        self.rounds = asked.rounds
        self.lines: list[str] = []
        self.model = Path(asked.model)
        self.card = self.model / "card.toml"
        self.reference = reference(asked)

    def say(self, text: str) -> None:
        print(text, flush=True)

    def row(self, what: str, ours: str, theirs: str, ratio: str, must: str) -> None:
        line = f"| {what} | {ours} | {theirs} | {ratio} | {must} |"
        self.lines.append(line)
        self.say(line)

    def run(self, *arguments: str, threads: int = 2, settings: str = "") -> "Run":
        command = [self.program, *map(str, arguments)]
        if settings:
            file = self.work / "settings.toml"
            file.write_text(settings)
            command += ["--config", str(file)]
        environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
        out = self.work / "out"
        begun = time.perf_counter()
        with open(out, "wb") as to:
            child = subprocess.Popen(command, stdout=to, stderr=subprocess.DEVNULL, env=environment)
            memory = Memory(child.pid)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        took = time.perf_counter() - begun
        said = out.read_text()
        if child.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: {child.returncode}\n{said[-500:]}")
        return Run(took, usage.ru_utime + usage.ru_stime, memory.peak(),
                   json.loads(said) if said.startswith("{") else {})

    def analyse(self, folder: Path, threads: int = 2, settings: str = "") -> "Run":
        return self.run("analyse", folder, "--json", "--model", self.model, threads=threads, settings=settings)

    def phantom(self, name: str, *options: str) -> Path:
        folder = self.work / name
        if not folder.exists():
            self.run("phantom", "--class", "covid19", "--seed", "910003", "--scanner", "siemens", *options, folder)
        return folder


class Memory:
    """Watches a process's own high-water mark until it ends.

    What the system says at its end will not do: a child is charged with what this program held when it was forked.
    """

    def __init__(self, pid: int):
        self.status = Path(f"/proc/{pid}/status")
        # The child is a copy of this program until it has become the other one.
        self.us = os.readlink("/proc/self/exe")
        self.exe = f"/proc/{pid}/exe"
        self.most = 0
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self) -> None:
        while True:
            try:
                if os.readlink(self.exe) != self.us:
                    found = re.search(r"VmHWM:\s+(\d+) kB", self.status.read_text())
                    if not found:  # It has ended and waits to be collected.
                        return
                    self.most = max(self.most, int(found[1]) * 1024)
            except (FileNotFoundError, ProcessLookupError):
                return
            time.sleep(0.02)

    def peak(self) -> int:
        self.thread.join()
        return self.most


def reference(asked):
    place = asked.reference
    if not place and os.environ.get("SCANSIDE_DATA"):
        place = Path(os.environ["SCANSIDE_DATA"]) / "../reference/ctnet_reference.py"
    if not place or not Path(place).exists():
        return None
    spec = importlib.util.spec_from_file_location("ctnet_reference", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def spread(values: list[float], digits: int = 3) -> str:
    """Median, least and most."""
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


def paired(rounds: int, sides: dict) -> dict[str, list[float]]:
    """Runs every side once a round, in turning order; each gives seconds."""
    names, took = list(sides), {name: [] for name in sides}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            took[name].append(sides[name]())
    return took


def measured(work, used: list[float]) -> float:
    begun, before = time.perf_counter(), time.process_time()
    work()
    used.append(time.process_time() - before)
    return time.perf_counter() - begun


def both(took: dict, used: dict) -> str:
    """The ratio by the clock, and by the time of the processors, which other work disturbs less."""
    by = lambda what: spread(ratios(what["ours"], what["theirs"]))
    return f"{by(took)}; processors {by(used)}"


def ratios(ours: list[float], theirs: list[float]) -> list[float]:
    return [a / b for a, b in zip(ours, theirs)]


def session(file: Path, threads: int = 1):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    # Threads that wait by spinning would take the time of those that work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def timed(net, shape: list[int], times: int):
    given = numpy.random.default_rng(7).random(shape, dtype="f4")
    name = net.get_inputs()[0].name
    net.run(None, {name: given})

    def once() -> float:
        begun = time.perf_counter()
        for _ in range(times):
            net.run(None, {name: given})
        return (time.perf_counter() - begun) / times

    return once


def networks(b: Bench) -> None:
    folder = b.phantom("short", "--thickness", "1", "--spacing", "1", "--matrix", "128", "--slices", "150")
    answers: list[dict] = []

    def ours() -> float:
        report = b.analyse(folder, threads=1, settings=LENIENT).said
        answers.append(report)
        return report["seconds"]["denoise"] / report["slices"]["denoised"]

    fp32 = b.work / "bcdu_fp32.onnx"
    written_out.write(b.model / "bcdu.onnx", fp32)
    slices = timed(session(b.model / "bcdu.onnx"), [1, 1, 128, 128], 10)
    floats = timed(session(fp32), [1, 1, 128, 128], 5)
    rates: list[dict[str, float]] = []

    def floor_of_the_moment() -> float:
        rates.append(peaks(b))
        return 0.0

    # The processor's own pace changes with the hour; what it can do is measured beside what is done.
    sides = {"ours": ours, "int8": slices, "fp32": floats, "floor": floor_of_the_moment}
    took = paired(b.rounds, sides)
    best = [min(pair) for pair in zip(took["int8"], took["fp32"])]
    ms = lambda values: f"{1e3 * statistics.median(values):.1f} ms"
    theirs = f"int8 {ms(took['int8'])}, fp32 {ms(took['fp32'])}"
    b.row("BCDU-Net slice, one core, over ONNX Runtime's best", ms(took["ours"]), theirs,
          spread(ratios(took["ours"], best)), "<= 1.0, goal 0.5")
    cube = timed(session(b.model / "cnn.onnx"), [1, 1, 50, 128, 128], 2)
    own = [report["seconds"]["classify"] for report in answers]
    other = [cube() for _ in own]
    b.row("3D CNN, one core, over ONNX Runtime's best", ms(own), f"fp32 {ms(other)}",
          spread(ratios(own, other)), "<= 1.0, goal 0.5")
    if not rates[0]:
        return b.say("no C compiler: no floors")
    peak = {name: statistics.median(rate[name] for rate in rates) for name in rates[0]}
    for name, rate in peak.items():
        unit = "GB/s" if name == "read" else "G multiply-adds/s"
        b.say(f"one core, {name}: {rate / 1e9:.1f} {unit}")
    b.peak = peak
    for kind, macs, seconds in [("int8", BCDU_MACS, took["ours"]), ("fp32", CNN_MACS, own)]:
        for name in peak:
            if name.startswith(kind):
                floors = [macs / rate[name] for rate in rates]
                what = "BCDU-Net slice" if kind == "int8" else "3D CNN"
                b.row(f"{what} over its floor by {name}", ms(seconds), f"{1e3 * statistics.median(floors):.2f} ms",
                      spread(ratios(seconds, floors), 2), "<= 4, goal 2" if kind == "int8" else "")


def peaks(b: Bench) -> dict[str, float]:
    """What one core can do at this moment; nothing without a C compiler."""
    compiler = shutil.which("cc")
    if not compiler:
        return {}
    program = b.work / "peak"
    if not program.exists():
        subprocess.run([compiler, "-O2", "-o", program, HERE / "peak.c"], check=True)
    said = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return {name: float(rate) for name, rate in (line.split() for line in said.splitlines())}


def studies(b: Bench) -> dict[str, Path]:
    found = {"phantom, 2 mm": b.phantom("study", "--thickness", "2", "--spacing", "2")}
    data = os.environ.get("SCANSIDE_DATA")
    real = Path(data or "") / "ct/covid_ct_md/Covid-19/P001"
    if data and real.is_dir():
        found["P001, 2 mm, JPEG Lossless"] = real
    return found


def preprocess(b: Bench) -> None:
    if not b.reference:
        return b.say("no reference program: no row")
    for name, folder in studies(b).items():
        out = b.work / "unit.npy"
        used = {"ours": [], "theirs": []}

        def theirs() -> float:
            return measured(lambda: b.reference.preprocess(folder, "paper", 128), used["theirs"])

        def ours() -> float:
            run = b.run("preprocess", "--profile", "paper", "--size", "128", folder, out)
            used["ours"].append(run.processor)
            return run.seconds

        took = paired(b.rounds, {"ours": ours, "theirs": theirs})
        files = sum(f.stat().st_size for f in folder.rglob("*"))
        floor = ""
        if rate := getattr(b, "peak", {}).get("read"):
            # What is read, every sample as f32 on the way in, and the result, once each.
            moved = files + len(list(folder.rglob("*"))) * 512 * 512 * 4 + out.stat().st_size
            floor = f"; floor {1e3 * moved / rate / 2:.0f} ms on two cores"
        b.row(f"preprocessing ({name})", f"{statistics.median(took['ours']):.2f} s{floor}",
              f"{statistics.median(took['theirs']):.2f} s", both(took, used), "<= 0.05, goal 0.02")


def study(b: Bench) -> None:
    if not b.reference:
        return b.say("no reference program: no row")
    fp32 = b.work / "bcdu_fp32.onnx"
    if not fp32.exists():
        written_out.write(b.model / "bcdu.onnx", fp32)
    for name, folder in studies(b).items():
        reports, used = [], {"ours": [], "theirs": []}
        networks_of = str(fp32), str(b.model / "cnn.onnx")

        def theirs() -> float:
            whole = lambda: b.reference.analyse(folder, "paper", 128, *networks_of, 2, "iso1")
            return measured(whole, used["theirs"])

        def ours() -> float:
            run = b.analyse(folder)
            reports.append(run.said)
            used["ours"].append(run.processor)
            return run.seconds

        took = paired(max(1, b.rounds // 2), {"ours": ours, "theirs": theirs})
        b.row(f"whole study ({name}, {reports[0]['slices']['denoised']} planes)",
              f"{statistics.median(took['ours']):.2f} s", f"{statistics.median(took['theirs']):.2f} s",
              both(took, used), "<= 0.10, goal 0.03")
        parts = reports[-1]["seconds"]
        b.say("  " + ", ".join(f"{part} {seconds:.2f} s" for part, seconds in parts.items()))


class Box:
    """`scanside serve` with state of its own."""

    def __init__(self, b: Bench, name: str, settle: float = 0.0):
        self.state = b.work / name
        settings = b.work / f"{name}.toml"
        settings.write_text(f"model = '{b.model}'\n[completion]\nsettle_s = {settle}\nquiet_s = 30.0\n")
        command = [b.program, "serve", "--config", settings, "--state", self.state, "--allow-any",
                   "--listen", "127.0.0.1:0", "--ae", "BENCH"]
        self.log = open(b.work / f"{name}.log", "w")
        environment = {**os.environ, "RAYON_NUM_THREADS": "2"}
        begun = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment)
        self.memory = Memory(self.process.pid)
        words = self.process.stdout.readline().split()
        self.ready_after = time.perf_counter() - begun
        if words[:1] != ["ready"]:
            raise SystemExit(f"the box does not get ready: {words}")
        self.port = int(words[1].rsplit(":", 1)[1])

    def report(self) -> Path:
        return self.state / "reports/R000001/SHA256SUMS"

    def end(self) -> int:
        """Ends it; returns its peak memory in bytes."""
        self.process.terminate()
        self.process.wait()
        return self.memory.peak()


def send(port: int, folder: Path, rate: float) -> float:
    """Sends a study at so many images a second; returns when the last answer came."""
    from pynetdicom import AE

    files = sorted(f for f in folder.rglob("*") if f.is_file())
    images = [pydicom.dcmread(f) for f in files]
    client = AE("BENCH")
    for kind in {(i.SOPClassUID, i.file_meta.TransferSyntaxUID) for i in images}:
        client.add_requested_context(*kind)
    association = client.associate("127.0.0.1", port, ae_title="BENCH")
    begun = time.perf_counter()
    for n, image in enumerate(images):
        time.sleep(max(0.0, begun + n / rate - time.perf_counter()))
        if association.send_c_store(image).Status != 0:
            raise SystemExit("an image was refused")
    last = time.perf_counter()
    association.release()
    return last


def streamed(b: Bench) -> None:
    folder = studies(b)["phantom, 2 mm"]
    walls, work, whole, left = [], [], [], []
    for turn in range(max(1, b.rounds // 2)):
        report = b.analyse(folder).said
        whole.append(report["seconds"]["all"])
        box = Box(b, f"streamed-{turn}")
        try:
            last = send(box.port, folder, b.asked.rate)
            while not box.report().exists():
                if time.perf_counter() - last > 600:
                    raise SystemExit("the study has no report")
                time.sleep(0.01)
            walls.append(time.perf_counter() - last)
            answer = json.loads((box.state / "reports/R000001/report.json").read_text())
            work.append(answer["seconds"]["all"])
            left.append(answer["seconds"]["denoise"])
        finally:
            box.end()
        for field in ["decision", "p", "involvement"]:
            if answer[field] != report[field]:
                raise SystemExit(f"streamed and from files differ in {field}: {answer[field]} {report[field]}")
    b.row(f"after the last image at {b.asked.rate:.0f} images/s, over from files (work alone)",
          f"{statistics.median(work):.2f} s, of that denoising {statistics.median(left):.2f} s",
          f"{statistics.median(whole):.2f} s", spread(ratios(work, whole)), "<= 0.25, goal 0.05")
    b.row("after the last image until the report is on the disk, waiting (0.7 s and more) included",
          f"{statistics.median(walls):.2f} s", f"{statistics.median(whole):.2f} s", spread(ratios(walls, whole)), "")


def repeated(b: Bench, count: int) -> Path:
    """So many slices of 512 x 512, 1 mm apart: the phantom up and down and up again."""
    source = sorted(f for f in b.phantom("study", "--thickness", "2", "--spacing", "2").rglob("*") if f.is_file())
    images = sorted((pydicom.dcmread(f) for f in source), key=lambda d: d.ImagePositionPatient[2])
    folder = b.work / f"long-{count}"
    folder.mkdir(exist_ok=True)
    period = 2 * len(images) - 2
    for n in range(count):
        k = n % period
        image = images[k if k < len(images) else period - k]
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.3680043.10.999.78.{count}.{n}"
        image.SeriesInstanceUID = f"1.2.826.0.1.3680043.10.999.79.{count}"
        image.StudyInstanceUID = f"1.2.826.0.1.3680043.10.999.80.{count}"
        image.InstanceNumber = n + 1
        x, y, _ = image.ImagePositionPatient
        image.ImagePositionPatient = [x, y, n - 300]
        if "SliceLocation" in image:
            image.SliceLocation = n - 300
        image.save_as(folder / f"{n:04}.dcm")
    return folder


def memory(b: Bench) -> None:
    folder = repeated(b, 600)
    run = b.analyse(folder, settings=LENIENT)
    report, peak = run.said, run.peak
    b.row(f"peak memory, 600 slices of 512 x 512 ({report['slices']['denoised']} planes), from files",
          f"{peak / 1e6:.0f} MB", "", "", "<= 512, goal 256")
    box = Box(b, "memory")
    try:
        last = send(box.port, folder, 200)
        while not box.report().exists() and time.perf_counter() - last < 600:
            time.sleep(0.1)
    finally:
        peak = box.end()
    b.row("peak memory of the box, the same study received", f"{peak / 1e6:.0f} MB", "", "", "<= 512, goal 256")
    shutil.rmtree(folder)


def length(b: Bench) -> None:
    costs = {}
    for count in [150, 300] if b.asked.quick else [150, 300, 600, 1200]:
        folder = repeated(b, count)
        each = []
        for _ in range(1 if count > 300 else 2):
            report = b.analyse(folder, settings=LENIENT).said
            parts = report["seconds"]
            each.append((parts["read"] + parts["preprocess"] + parts["denoise"]) / report["slices"]["denoised"])
        costs[count] = min(each)
        shutil.rmtree(folder)
    least, most = min(costs.values()), max(costs.values())
    shown = ", ".join(f"{count}: {1e3 * cost:.1f}" for count, cost in costs.items())
    b.row("cost of a slice by the number of slices", f"{shown} ms", "", f"{most / least:.2f}", "1.10, goal 1.05")


def start(b: Bench) -> None:
    took = []
    for turn in range(b.rounds):
        box = Box(b, f"start-{turn}")
        took.append(box.ready_after)
        box.end()
    b.row("start to Ready", f"{spread(took, 2)} s", "", "", "<= 2, goal 0.5")


def size(b: Bench) -> None:
    program = Path(b.program).stat().st_size
    bundle = sum(f.stat().st_size for f in b.model.iterdir())
    b.row("program and bundle", f"{(program + bundle) / 1e6:.1f} MB ({program / 1e6:.1f} + {bundle / 1e6:.1f})",
          "", "", "<= 60, goal 30")


ROWS = {f.__name__: f for f in [networks, preprocess, study, streamed, memory, start, size, length]}


def processor() -> str:
    try:
        facts = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    field = lambda name: next((l.split(":", 1)[1].strip() for l in facts if l.startswith(name)), "")
    flags = field("flags").split() or field("Features").split()
    wide = [f for f in ["avx2", "avx512f", "avx512_vnni", "amx_int8", "asimddp", "i8mm"] if f in flags]
    model = field("model name") or field("CPU part")
    numbers = f", family {field('cpu family')} model {field('model')}" if field("cpu family") else ""
    return f"{model}{numbers} ({' '.join(wide)}), {os.cpu_count()} processors"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("scanside")
    options.add_argument("--model", default=str(HERE.parent.parent / "models/covidctnet-128"))
    options.add_argument("--reference", help="ctnet_reference.py")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--rate", type=float, default=15.0, help="images a second of the row `streamed`")
    options.add_argument("--rows", default=",".join(ROWS))
    options.add_argument("--quick", action="store_true")
    options.add_argument("--write", help="puts the table between the marks in this file")
    asked = options.parse_args()
    if asked.quick:
        asked.rounds = min(asked.rounds, 2)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as work:
        b = Bench(asked, Path(work))
        head = f"{processor()}; load {load:.1f} at the start; {asked.rounds} rounds; {date.today()}"
        b.say(head)
        for name in asked.rows.split(","):
            ROWS[name](b)
        head += f", {os.getloadavg()[0]:.1f} at the end"
        versions = "ONNX Runtime {}, numpy {}".format(
            *(__import__(name).__version__ for name in ("onnxruntime", "numpy")))
        table = ["| figure | scanside | peer or floor | ratio: median (least to most) | must |", "|---|---|---|---|---|"]
        peak = getattr(b, "peak", {})
        rates = ", ".join(f"{name} {rate / 1e9:.0f} G/s" for name, rate in peak.items())
        text = [BEGIN, "", f"{head}. {versions}.", *([f"One core at most, measured: {rates}."] if rates else []),
                "", *table, *b.lines, "", END]
    if asked.write:
        file = Path(asked.write)
        before = file.read_text()
        if BEGIN not in before:
            raise SystemExit(f"{file} has no {BEGIN}")
        kept, after = before.split(BEGIN)[0], before.split(END)[1]
        file.write_text(kept + "\n".join(text) + after)


if __name__ == "__main__":
    main()
