"""Software by stick: a good one stays, a bad one is left again, and no power cut leaves a box without a system."""

import json
import pathlib
import re
import shutil
import subprocess
import time

import stick
from machine import PROMPT, Machine, eventually

SYSTEM = "/usr/share/scanside/system.toml"
MODEL = "/usr/share/scanside/models/covidctnet-128"
SETTINGS = "/etc/scanside/scanside.toml"


def changed(image, to, files, gone=()):
    """A system with other files in it, made without mounting it: {path inside: bytes}."""
    to.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "--sparse=always", image / "system.img", to / "system.img"], check=True)
    lines = [f"rm {name}" for name in [*files, *gone]]
    for number, (name, content) in enumerate(files.items()):
        part = to / f"part{number}"
        part.write_bytes(content)
        lines += [f"write {part} {name}", f"sif {name} mode 0100644"]
    script = to / "debugfs.txt"
    script.write_text("\n".join(lines) + "\n")
    subprocess.run(["debugfs", "-w", "-f", script, to / "system.img"], check=True, capture_output=True)
    about = files.get(SYSTEM)
    (to / "system.toml").write_bytes(about or (image / "system.toml").read_bytes())
    return to


class Maker:
    """Makes systems of later versions, and packages of them."""

    def __init__(self, run):
        self.run, self.folder = run, run.folder / "maker"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        said = run.host("update", "key", self.folder / "key").stdout
        run.host("update", "key", self.folder / "other-key")
        keys = said.split("[update]")[1].strip()
        settings = (pathlib.Path(__file__).parent / "site/etc/scanside/scanside.toml").read_text()
        self.settings = settings.replace("[update]\n", f"[update]\n{keys}\n").encode()
        self.about = (run.image / "system.toml").read_text()
        # The box of the test: the image that was made, with the key in its settings.
        self.box = self.folder / "box"
        changed(run.image, self.box, {SETTINGS: self.settings})
        for name in ("vmlinuz", "initrd.gz", "cmdline", "data.img"):
            (self.box / name).symlink_to(run.image / name)

    def package(self, name, version, files=None, gone=(), key="key", about=None):
        text = re.sub(r'version = "[^"]*"', f'version = "{version}"', about or self.about)
        files = {SETTINGS: self.settings, SYSTEM: text.encode(), **(files or {})}
        folder = changed(self.run.image, self.folder / name, files, gone)
        out = self.folder / f"{name}.scanside"
        self.run.host("update", "pack", "--image", "--key", self.folder / key, folder, out)
        (folder / "system.img").unlink()
        return out

    def stick(self, package):
        image = stick.make(self.folder / f"{package.stem}.img", 512)
        words = ["mcopy", "-i", stick.where(image), package, f"::/{package.name}"]
        subprocess.run(words, check=True)
        return image


def again(box, seconds=600):
    """Waits until a box that starts by itself has a shell again."""
    eventually(lambda: PROMPT in box.text, seconds, "a shell after the start", 1)
    box.sh("stty -echo")
    return box.sh("cat /run/scanside-slot")


def outcome(box):
    text = box.read("/var/lib/scanside-update/outcome.json")
    return json.loads(text)["words"] if text else ""


def told(box, words, seconds=900):
    eventually(lambda: words in outcome(box), seconds, f"the box says: {words}", 3)


def stick_says(box):
    return box.sh("cat /run/scanside-stick/*/status.json 2>/dev/null", check=False)


def bring(box, image, words):
    """Puts a stick in, and pulls it when the box has said these words about it."""
    name = box.plug(image)
    eventually(lambda: words in stick_says(box), 300, f"about the stick: {words}; said: {stick_says(box)}", 1)
    box.pull(name)


def systems(run):
    """Software by stick, with one box that goes on from one package to the next."""
    maker = Maker(run)
    folder = run.folder / "updates"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    data = folder / "data.img"
    subprocess.run(["cp", "--sparse=always", run.image / "data.img", data], check=True)
    stranger = maker.package("stranger", "9.0.0", key="other-key")
    older = maker.package("older", "0.0.1")
    good = maker.package("good", "9.1.0")
    tampered = maker.folder / "tampered.scanside"
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 1
    tampered.write_bytes(content)
    broken = maker.package("broken", "9.0.2", {MODEL + "/cnn.onnx": b"no network"})
    # Systemd itself is gone: the kernel panics, and the initramfs counts.
    dead = maker.package("dead", "9.0.1", gone=["/usr/lib/systemd/systemd"])
    box = Machine(maker.box, folder, data, reboots=True)
    with box:
        assert box.sh("cat /run/scanside-slot") == "a good"
        bring(box, maker.stick(stranger), "not signed with a key of this box")
        bring(box, maker.stick(older), "has version 0.0.1")
        bring(box, maker.stick(tampered), "The update is damaged")
        assert box.sh("cat /run/scanside-slot") == "a good" and not outcome(box)

        bring(box, maker.stick(dead), "New software 9.0.1")
        told(box, "starts again when it is idle")
        begun = time.monotonic()
        box.text = ""
        assert again(box, 900) == "a good"
        told(box, "it did not start")
        run.measured("system without an init to the one before", f"{time.monotonic() - begun:.0f} s")
        bring(box, maker.stick(dead), "did not hold on this box before")

        bring(box, maker.stick(broken), "New software 9.0.2")
        told(box, "starts again when it is idle")
        box.text = ""
        assert again(box, 900) == "b trial"
        box.text = ""
        assert again(box, 900) == "a good"
        told(box, "New software 9.0.2 does not hold on this box")

        # The plug is pulled while the other slot is written.
        box.plug(maker.stick(good))
        unit = "systemctl is-active scanside-install.service"
        eventually(lambda: box.sh(unit, check=False) == "activating", 300, "the installation", 0.2)
    with box:
        slot = box.sh("cat /run/scanside-slot")
        assert slot == "a good", slot
        # What was copied is whole, and is installed now.
        told(box, "starts again when it is idle")
        box.text = ""
        begun = time.monotonic()
        assert again(box, 900) == "b trial"
        told(box, "New software 9.1.0 is in use.", 3600)
        run.measured("new system, start to good (one phantom)", f"{time.monotonic() - begun:.0f} s")
    with box:
        assert box.sh("cat /run/scanside-slot") == "b good"
