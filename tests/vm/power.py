"""The plug is pulled while images and a stick are written, and each state that this could have left
on the disk is taken up by the product itself.

A promise is what somebody outside was told: the console, that an image is stored; the person at the
panel, that there is a result or that the stick may be pulled. It is dated by the length of the block
log at the moment when it was heard, so each rebuilt state is held to the promises of its time.
"""

import collections
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading

import replay
import stick
from machine import eventually


class Promises:
    def __init__(self, box):
        self.box, self.images, self.results, self.stick = box, {}, {}, []
        self.sent = {}

    def length(self):
        return os.path.getsize(self.box.data_log)

    def send(self, run, study, stop=None):
        """Sends a study, and notes each image when the box has said that it is stored."""
        for file in pathlib.Path(study).rglob("*.dcm"):
            self.sent.update([uid_and_data(file)])
        words = [run.scanside, "--verbose", "send", f"SCANSIDE@127.0.0.1:{self.box.port}", study]
        with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as sending:
            for line in sending.stderr:
                found = re.search(r"\bstored (\S+)$", line.strip())
                if found and found.group(1) in self.sent:
                    self.images.setdefault(found.group(1), self.length())
                if stop and stop.is_set():
                    sending.kill()

    def result(self, report):
        self.results[report] = self.length()


def uid_and_data(file):
    """SOP Instance UID of a file, and its data set, which the box keeps bit for bit."""
    data = file.read_bytes()
    start = 144 + int.from_bytes(data[140:144], "little")
    at = data.index(b"\x02\x00\x03\x00UI")
    size = int.from_bytes(data[at + 6 : at + 8], "little")
    return data[at + 8 : at + 8 + size].strip(b"\0 ").decode(), data[start:]


def cut_while_busy(run, box, promises):
    """Images come in and a stick is written; then there is no power."""
    studies = [run.phantom(kind, 20 + n, 20, run.folder / f"busy{n}") for n, kind in enumerate(("cap", "covid19", "control"))]
    stop = threading.Event()

    def console():
        for study in studies:
            if not stop.is_set():
                promises.send(run, study, stop)

    base = stick.make(run.folder / "cut-base.img", 64)
    image = run.folder / "cut.img"
    replay.copy(base, image)
    log = run.folder / "cut.log"
    box.plug(image, log)
    sender = threading.Thread(target=console)
    # Everything from the first byte of the stick on.
    promises.busy_from = promises.length()
    sender.start()

    def stick_is_done():
        text = box.sh("cat /run/scanside-stick/*/status.json 2>/dev/null", 120, check=False)
        return "safe_to_remove" in text

    eventually(stick_is_done, 300, "the stick beside the images", 0.5)
    promises.stick.append(os.path.getsize(log))
    before = len(promises.images)
    eventually(lambda: len(promises.images) > max(before, 24) or not sender.is_alive(), 120, "images", 0.1)
    box.cut()
    stop.set()
    sender.join(60)


def recovered(run, state, config):
    """The product's own start on this state: from the first word to the last."""
    words = [run.scanside, "serve", "--config", config, "--listen", "127.0.0.1:0", "--state", state]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as serve:
        killer = threading.Timer(60, serve.kill)
        killer.start()
        first = serve.stdout.readline()
        serve.send_signal(signal.SIGTERM)
        _, said = serve.communicate()
        killer.cancel()
    assert first.startswith("ready"), f"it does not start: {said}"


def complaints(run, image, promises, length, scratch, config):
    """What is wrong with one state, after the file system's and the product's own repair."""
    if subprocess.run(["e2fsck", "-fy", image], capture_output=True, check=False).returncode >= 4:
        return ["the file system cannot be repaired"]
    state = scratch / "scanside"
    shutil.rmtree(state, ignore_errors=True)
    words = ["debugfs", "-R", f"rdump /lib/scanside {scratch}", image]
    subprocess.run(words, capture_output=True, check=False)
    if not state.exists():
        state.mkdir()
    database = state / "scanside.db"
    if database.exists() and database.stat().st_size:
        with sqlite3.connect(database) as connection:
            verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
        connection.close()
        if verdict != "ok":
            return [f"integrity_check: {verdict}"]
    try:
        recovered(run, state, config)
    except AssertionError as error:
        return [str(error)]
    wrong = []
    with sqlite3.connect(database) as connection:
        paths = dict(connection.execute("SELECT sop_uid, path FROM instances"))
        answered = {n for (n,) in connection.execute("SELECT report FROM results")}
        folders = dict(connection.execute("SELECT number, folder FROM reports WHERE finished IS NOT NULL"))
    connection.close()
    for uid, when in promises.images.items():
        if when <= length:
            path = state / paths.get(uid, "nowhere")
            if not path.is_file() or not path.read_bytes().endswith(promises.sent[uid]):
                wrong.append(f"image {uid} is lost")
    for report, when in promises.results.items():
        if when <= length and report not in answered:
            wrong.append(f"result {report} is lost")
    for report, folder in folders.items():
        if not stick.Folder(state / folder).whole:
            wrong.append(f"report {report} is not whole")
    return wrong


def replay_data(run, box, promises, moments):
    log = replay.entries(box.data_log)
    base = run.image / "data.img"
    # Half of them anywhere, half while images came in.
    chosen = sorted({*replay.moments(log, moments // 2, 1), *replay.moments(log, moments // 2, 2, promises.busy_from)})
    config = run.folder / "recover.toml"
    # Without a model it starts in no time; what it keeps is the same.
    config.write_text('model = "/nowhere"\n[disk]\nwarn_free_gb = 0.0\nstop_free_gb = 0.0\nwarn_percent = 100\nstop_percent = 100\n')
    judged = collections.Counter()
    with tempfile.TemporaryDirectory(dir=run.folder) as scratch:
        scratch = pathlib.Path(scratch)
        for moment, mode, image in replay.states(base, box.data_log, chosen, scratch, 7):
            wrong = complaints(run, image, promises, log[moment - 1].end, scratch, config)
            judged["broken" if wrong else "held"] += 1
            for words in wrong[:3]:
                print(f"  entry {moment} of {len(log)}, {mode}: {words}", flush=True)
    held = f"{judged['held']} of {sum(judged.values())} states hold"
    told = f"{len(promises.images)} images and {len(promises.results)} result acknowledged"
    run.measured("plug pulled, /var rebuilt", f"{held}; {told}, {len(log)} writes and flushes")
    assert not judged["broken"] and len(promises.images) >= 10, judged


def replay_stick(run, promises, moments):
    log_path, base = run.folder / "cut.log", run.folder / "cut-base.img"
    log = replay.entries(log_path)
    good = stick.read(run.folder / "cut.img", run.folder / "cut-last")
    assert good and all(folder.whole for folder in good.values()), "the last state of the stick"
    judged = collections.Counter()
    with tempfile.TemporaryDirectory(dir=run.folder) as scratch:
        scratch = pathlib.Path(scratch)
        for moment, mode, image in replay.states(base, log_path, replay.moments(log, moments, 3), scratch, 8):
            found = stick.read(image, scratch / "stick")
            wrong = []
            for name, folder in found.items():
                # What the sums call good must be what was meant.
                if folder.whole and not same(folder.path, good[name].path):
                    wrong.append(f"{name} is called good and is not")
            for when in promises.stick:
                if when <= log[moment - 1].end and not all(n in found and found[n].whole for n in good):
                    wrong.append("a folder that was safe is not whole")
            judged["broken" if wrong else "held"] += 1
            for words in wrong[:3]:
                print(f"  entry {moment} of {len(log)}, {mode}: {words}", flush=True)
    held = f"{judged['held']} of {sum(judged.values())} states hold"
    run.measured("plug pulled, stick rebuilt", f"{held}; {len(log)} writes and flushes")
    assert not judged["broken"] and log, judged


def same(one, other):
    names = sorted(path.name for path in one.iterdir())
    if names != sorted(path.name for path in other.iterdir()):
        return False
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)
