"""What the machine is put through. Each function boots, provokes and asserts."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import picture
import power
import stick
import updates
from machine import HERE, Machine, eventually

READY = ("ready",)
ANSWERED = ("result", "not_analysed")
ENDED = ("safe_to_remove", "failed", "unusable")
# Under emulation, on a computer with other work.
PATIENCE = 900


class Run:
    """One call of tests/vm/run: where things are, and what was measured."""

    def __init__(self, image, scanside, folder):
        self.image, self.scanside, self.folder = image, scanside, folder
        self.pictures = folder / "pictures"
        self.pictures.mkdir(parents=True, exist_ok=True)
        self.table = []

    def measured(self, what, value):
        self.table.append((what, str(value)))
        print(f"  {what}: {value}", flush=True)

    def boot(self, name, log_data=False, append=""):
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        data = folder / "data.img"
        subprocess.run(["cp", "--sparse=always", self.image / "data.img", data], check=True)
        return Machine(self.image, folder, data, log_data, append=append)

    def phantom(self, kind, seed, slices, folder):
        """A study shorter than any chest: a slice costs many seconds under emulation."""
        shutil.rmtree(folder, ignore_errors=True)
        words = ["--scanner", "siemens", "--matrix", "256", "--thickness", "5", "--spacing", "5"]
        words += ["--class", kind, "--seed", str(seed), "--slices", str(slices)]
        self.host("phantom", *words, folder)
        return folder

    def host(self, *words, check=True):
        words = [self.scanside, *words]
        # The model lies in the repository.
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=HERE.parent.parent)
        assert not check or done.returncode == 0, f"{words[1]}: {done.stderr}"
        return done

    def send(self, box, study, check=True):
        done = self.host("send", f"SCANSIDE@127.0.0.1:{box.port}", study, check=check)
        return done.stdout


def status(box):
    text = box.read("/run/scanside/status.json")
    return json.loads(text) if text else {"state": {"kind": "none"}}


def wait_for(box, kinds, seconds=PATIENCE):
    def there():
        now = status(box)
        return now if now["state"]["kind"] in kinds else None

    return eventually(there, seconds, f"one of {kinds} on the wall", 2)


def stick_message(box):
    """What the newest stick's message says, or nothing where no stick is in."""
    text = box.sh("cat /run/scanside-stick/*/status.json 2>/dev/null", check=False)
    return json.loads(text) if text.startswith("{") else {"state": "", "words": ""}


def wait_for_stick(box, *states, seconds=240):
    def there():
        now = stick_message(box)
        return now if now["state"] in states else None

    return eventually(there, seconds, f"one of {states} about the stick", 1)


def picture_is_right(run, box, name):
    """The display shows what this computer's program draws of the same status, pixel for pixel."""
    said = {}

    def attempt():
        runtime = box.folder / "runtime"
        for folder in (runtime, box.folder / "runtime-stick/sda1"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        before = status(box)
        if "map" in before["state"] and before["state"]["map"]:
            map_file = before["state"]["map"]
            (runtime / map_file).write_bytes(box.read(f"/run/scanside/{map_file}"))
        message = stick_message(box)
        if message["state"]:
            text = json.dumps(message)
            (box.folder / "runtime-stick/sda1/status.json").write_text(text)
        # The screen has drawn what it has read by then, at a frame a second and slower.
        time.sleep(4)
        box.picture(run.pictures / f"{name}.png")
        box.qmp("screendump", filename=str(box.folder / "screen.ppm"), format="ppm")
        after = status(box)
        if {**before, "written_ms": 0} != {**after, "written_ms": 0}:
            said["why"] = "the status changes all the time"
            return False
        after["written_ms"] = int(time.time() * 1000)
        (runtime / "status.json").write_text(json.dumps(after))
        here = picture.drawn_here(run.scanside, runtime, box.folder)
        count, first = picture.difference(picture.ppm(box.folder / "screen.ppm"), picture.png(here))
        said["why"] = f"{count} pixels differ, the first at {first}; see {here}"
        return count == 0

    end = time.monotonic() + 90
    while not attempt():
        assert time.monotonic() < end, f"the picture {name}.png is not what it should be: {said['why']}"


LIMITS = {"serve": 0.5, "screen": 0.5, "export@sda1": 1.8, "deliver": 1.2}


def exposures(run, box):
    """As the running machine has them, drop-ins and all."""
    for name, limit in LIMITS.items():
        text = box.sh(f"systemd-analyze security --no-pager scanside-{name}.service | tail -n 1", 120)
        score = re.search(r": ([\d.]+) ", text).group(1)
        run.measured(f"{name.split('@')[0]}, exposure as it runs", score)
        assert float(score) <= limit, (name, text)


def memory(run, box):
    for name in ("serve", "screen"):
        pid = box.sh(f"systemctl show -P MainPID scanside-{name}")
        sizes = dict(re.findall(r"(\w+): +(\d+) kB", box.sh(f"cat /proc/{pid}/smaps_rollup")))
        rss, own = int(sizes["Rss"]) / 1000, int(sizes["Pss"]) / 1000
        run.measured(f"{name}, idle memory (RSS, its own share)", f"{rss:.0f} MB, {own:.0f} MB")


def tags(study):
    """Name and ID of the patient, from the bytes of the first file (explicit VR, little endian)."""
    data = next(iter(sorted(pathlib.Path(study).rglob("*.dcm")))).read_bytes()
    for tag, vr in ((b"\x10\x00\x10\x00", b"PN"), (b"\x10\x00\x20\x00", b"LO")):
        at = data.index(tag + vr)
        size = int.from_bytes(data[at + 6 : at + 8], "little")
        yield data[at + 8 : at + 8 + size].strip(b" \0")


def main_way(run):
    """Study in, result on the panel, report on a stick; then the plug is pulled and every state of
    the disk that this could have left is recovered."""
    study = run.phantom("control", 4, 3, run.folder / "study")
    with run.boot("main", log_data=True) as box:
        wait_for(box, ("starting", *READY))
        # Loading the model takes long here, and a status that is not renewed is NO SIGNAL by then.
        time.sleep(12)
        picture_is_right(run, box, "0-starting")
        now = wait_for(box, READY)
        for unit, words in (("screen", "first picture"), ("serve", "READY")):
            since = box.sh(f"systemctl show -P ActiveEnterTimestampMonotonic scanside-{unit}")
            run.measured(f"kernel's start to {words}, emulated", f"{int(since) / 1e6:.0f} s")
        state = box.sh("systemctl is-system-running --wait", 120, check=False)
        assert state == "running", box.sh("systemctl --failed --no-pager")
        assert now["strip"]["network"] == "good", now
        picture_is_right(run, box, "1-ready")
        memory(run, box)

        begun = time.monotonic()
        promises = power.Promises(box)
        promises.send(run, study)
        assert len(promises.images) == 3, promises.images
        now = wait_for(box, ANSWERED)
        promises.result(1)
        run.measured("study of 3 images to result, emulated", f"{time.monotonic() - begun:.0f} s")
        assert now["state"]["kind"] == "result", now
        picture_is_right(run, box, "2-result")
        # The screen is another account, and the services' umask lets nobody read.
        assert box.sh("stat -c %a /run/scanside/map-*.png") == "644"

        image = stick.make(run.folder / "stick.img", 64)
        name = box.plug(image)
        said = wait_for_stick(box, *ENDED)
        assert said["words"] == "SAFE TO REMOVE. 1 report copied and checked.", said
        picture_is_right(run, box, "3-stick")
        # serve enters what the exporter has left, and takes it away.
        receipts = "ls /var/lib/scanside-receipts"
        eventually(lambda: not box.sh(receipts), 60, "serve takes the exporter's receipt")
        told = box.sh("scanside audit show --config /etc/scanside/scanside.toml", 120)
        assert re.search(r"export.*to stick \S+: SCANSIDE/R000001/REPORT.PDF, \d+ bytes", told), told
        exposures(run, box)
        box.pull(name)
        eventually(lambda: not stick_message(box)["state"], 60, "the message goes with the stick")
        same_answer(run, study, now, image)

        journal = box.sh("journalctl --no-pager -o cat -b", 120).encode()
        assert b"report R000001" in journal, "the journal is not the whole one"
        for private in tags(study):
            assert private not in journal, "the journal names the patient"

        power.cut_while_busy(run, box, promises)
    power.replay_data(run, box, promises, moments=int(os.environ.get("SCANSIDE_VM_MOMENTS", "60")))
    power.replay_stick(run, promises, moments=30)


def same_answer(run, study, shown, image):
    """The report on the stick is whole, says what the panel said, and what this computer says."""
    folders = stick.read(image, run.folder / "stick")
    assert list(folders) == ["R000001"] and folders["R000001"].whole, folders
    there = folders["R000001"].report()
    config = run.image / "site.toml"
    here = json.loads(run.host("analyse", study, "--json", "--config", config).stdout)
    words = {"control", "covid19", "cap", "undetermined"}
    assert there["decision"] == here["decision"] == shown["state"]["word"], (there, here, shown)
    assert there["decision"] in words
    for kind, value in here["p"].items():
        assert abs(there["p"][kind] - value) < 0.01, (kind, there["p"], here["p"])
    # It left without a name, in every file of it.
    for file in folders["R000001"].path.iterdir():
        for private in tags(study):
            assert private not in file.read_bytes(), f"{file.name} names the patient"


def faults(run):
    """One start for all that goes wrong without the power going; a second for what must outlast it."""
    box = run.boot("faults", append="panic=0")
    with box:
        wait_for(box, READY)
        full_disk(run, box)
        sticks(run, box)
        two_sticks(run, box)
        keyboard(box)
        hung(run, box)
        first = box.sh("cat /etc/machine-id; journalctl --sync").strip()
        stopped_kernel(run, box)
    with box:
        wait_for(box, READY)
        journal(box, first)


def full_disk(run, box):
    """/var is full: the console is told to come again, the panel says why, and it ends by itself."""
    study = run.phantom("control", 4, 3, run.folder / "study")
    free = int(box.sh("df -B1 --output=avail /var").split()[-1])
    box.sh(f"fallocate -l {free - 120_000_000} /var/fill", 120)
    now = wait_for(box, ("not_receiving",), 120)
    assert now["state"]["cause"] == "Disk full", now
    picture_is_right(run, box, "4-disk-full")
    said = run.send(box, study, check=False)
    # Turned away before the first image, and for the time being.
    assert "0 of 3 instances stored" in said and "local limit exceeded" in said, said
    box.sh("rm /var/fill")
    wait_for(box, READY, 120)
    run.send(box, study)
    now = wait_for(box, ANSWERED)
    assert now["state"]["kind"] == "result", now


def sticks(run, box):
    """A stick without a table, a full one, one that is pulled while it is written."""

    def pulled(name):
        box.pull(name)
        eventually(lambda: not stick_message(box)["state"], 60, "the message goes with the stick")

    bare = stick.make(run.folder / "bare.img", 64, bare=True)
    name = box.plug(bare)
    said = wait_for_stick(box, *ENDED)
    assert said["state"] == "safe_to_remove", said
    units = box.sh("systemctl list-units --all --plain --no-legend 'scanside-export@*'")
    assert len(units.splitlines()) == 1, units
    pulled(name)
    # A box that is slow begins before the last image is there, and its second report is the one that counts.
    assert [folder.whole for folder in stick.read(bare, run.folder / "bare", bare=True).values()] == [True]

    # The second time there is nothing to do.
    name = box.plug(bare)
    said = wait_for_stick(box, *ENDED)
    assert "No new report" in said["words"], said
    pulled(name)

    full = stick.make(run.folder / "full.img", 40, fill=38)
    name = box.plug(full)
    said = wait_for_stick(box, *ENDED)
    assert said["state"] == "failed" and said["words"].startswith("STICK FULL"), said
    picture_is_right(run, box, "5-stick-full")
    pulled(name)
    assert not stick.read(full, run.folder / "full"), "half a folder is left"

    # More reports, so that there is time to pull it: the first one again under other numbers.
    box.sh("cd /var/lib/scanside/stick; last=$(ls -d R0* | tail -n 1); for n in $(seq 100 105); do cp -a $last R000$n; done", 300)
    yanked = stick.make(run.folder / "yanked.img", 128)
    name = box.plug(yanked)
    wait_for_stick(box, "writing")
    time.sleep(12)
    assert stick_message(box)["state"] == "writing", "the stick was written too quickly"
    pulled(name)
    assert "vfat" not in box.sh("cat /proc/mounts"), "a mount is left"
    found = stick.read(yanked, run.folder / "yanked")
    for there in found.values():
        assert there.whole or not there.complete, f"{there.path.name} has wrong files: {there.wrong}"
    whole = sum(there.whole for there in found.values())
    run.measured("stick pulled while written", f"{whole} of 7 folders whole, 0 with wrong files")
    # The box is as before, and goes on where it was.
    name = box.plug(yanked)
    said = wait_for_stick(box, *ENDED, seconds=600)
    assert said["state"] == "safe_to_remove", said
    pulled(name)
    found = stick.read(yanked, run.folder / "yanked")
    assert sum(there.whole for there in found.values()) == 7, found


def two_sticks(run, box):
    """One of FAT and one of exFAT, put in at once: each gets every report, and each says so."""
    first = stick.make(run.folder / "first.img", 128)
    second = stick.make_exfat(run.folder / "second.img", 128)
    names = [box.plug(first), box.plug(second)]
    messages = "for f in /run/scanside-stick/*/status.json; do cat $f; done 2>/dev/null"

    def said():
        lines = [json.loads(line) for line in box.sh(messages, check=False).splitlines() if line.startswith("{")]
        return lines if [line["state"] for line in lines] == ["safe_to_remove"] * 2 else None

    for line in eventually(said, 600, "both sticks are written", 2):
        assert "copied and checked" in line["words"], line
    reports = box.sh("ls /var/lib/scanside/stick").split()
    found = stick.read(first, run.folder / "first")
    assert sorted(found) == reports and all(there.whole for there in found.values()), found
    # mtools cannot read the other one, the box can.
    device = box.sh("blkid -t TYPE=exfat -o device")
    box.sh(f"mkdir -p /run/second && mount -t exfat -o ro {device} /run/second")
    sums = "(cd /run/second/SCANSIDE && for r in R0*; do (cd $r && sha256sum --quiet -c SHA256SUMS && echo $r); done)"
    assert box.sh(sums, 120).split() == reports
    box.sh("umount /run/second")
    for name in names:
        box.pull(name)
    left = "ls /run/scanside-stick/*/status.json 2>/dev/null"
    eventually(lambda: not box.sh(left, check=False), 60, "the messages go with the sticks")
    run.measured("two sticks at once, FAT and exFAT", f"{len(reports)} reports whole on each")


def keyboard(box):
    """A USB keyboard is turned away before a driver sees it."""
    box.qmp("device_add", driver="usb-kbd", id="keyboard", bus="usb.0")
    log = "journalctl -b -u usbguard --no-pager -o cat"
    eventually(lambda: "target.new='reject'" in box.sh(log, 120), 60, "usbguard's word", 2)
    names = box.sh("cat /sys/bus/usb/devices/*/product 2>/dev/null", check=False)
    assert "QEMU USB Keyboard" not in names, names
    box.qmp("device_del", id="keyboard")


def hung(run, box):
    """A serve that hangs, and a display that is unplugged."""
    box.sh("systemctl kill -s STOP scanside-serve")
    begun = time.monotonic()
    time.sleep(20)
    box.picture(run.pictures / "6-no-signal.png")
    restarts = "systemctl show -P NRestarts scanside-serve"
    eventually(lambda: box.sh(restarts) == "1", 240, "the watchdog of serve", 2)
    run.measured("hung serve to its restart (limit 60 s here)", f"{time.monotonic() - begun:.0f} s")
    assert "Watchdog timeout" in box.sh("journalctl -b -u scanside-serve --no-pager -o cat")
    wait_for(box, READY)
    picture_is_right(run, box, "7-ready-again")

    box.sh("echo off > /sys/class/drm/card0-Virtual-1/status")
    time.sleep(10)
    assert box.sh("systemctl show -P NRestarts scanside-screen") == "0"
    box.sh("echo detect > /sys/class/drm/card0-Virtual-1/status")
    time.sleep(5)
    picture_is_right(run, box, "8-display-again")


def stopped_kernel(run, box):
    """The hardware watchdog; QEMU ends where a board would start again."""
    begun = time.monotonic()
    box.serial.sendall(b"echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger\n")
    eventually(lambda: box.qemu.poll() is not None, 180, "the hardware watchdog", 1)
    run.measured("stopped kernel to reset (limit 30 s)", f"{time.monotonic() - begun:.0f} s")


def journal(box, first):
    """The box has another machine-id, and the journal of the last start in one folder with its own."""
    now = box.sh("cat /etc/machine-id")
    assert now != first
    assert box.sh("ls /var/log/journal").split() == [now]
    boots = box.sh("journalctl --list-boots --no-pager").splitlines()
    assert len([line for line in boots if re.match(r" *-?\d+ [0-9a-f]{32}", line)]) == 2, boots


SCENARIOS = {"main": main_way, "faults": faults, "updates": updates.systems}
