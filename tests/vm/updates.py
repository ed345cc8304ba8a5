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


def again(box, count, seconds=900):
    """Waits until a box that starts by itself has started so often, and says which systems that were."""
    eventually(lambda: len(box.starts()) >= count, seconds, f"start number {count}; seen: {box.starts()}", 1)
    box.text = ""
    box.serial.sendall(b"\n")
    eventually(lambda: PROMPT in box.text, 60, "a shell after the start", 1)
    box.sh("stty -echo")
    return box.starts()


def audited(box, words):
    told = box.sh("scanside audit show --config /etc/scanside/scanside.toml", 120)
    assert words in told, told


def outcome(box):
    text = box.read("/var/lib/scanside-update/outcome.json")
    return json.loads(text)["words"] if text else ""


def told(box, words, seconds=900):
    eventually(lambda: words in outcome(box), seconds, f"the box says: {words}", 3)


def stick_says(box):
    return box.sh("cat /run/scanside-stick/*/status.json 2>/dev/null", check=False)


def bring(box, image, words):
    """Puts a stick in, and pulls it when the box has said these words about it."""
    begun = time.monotonic()
    name = box.plug(image)
    said = eventually(lambda: re.search(r"safe_to_remove.*|failed.*|unusable.*", stick_says(box)), 600, "the end of the export", 1)
    assert words in said.group(), said.group()
    box.pull(name)
    eventually(lambda: not stick_says(box), 60, "the message goes with the stick", 0.5)
    return time.monotonic() - begun


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
    # Here, since that file asks for this one.
    from scenarios import READY, wait_for

    with box:
        wait_for(box, READY)
        bring(box, maker.stick(stranger), "not signed with a key of this box")
        bring(box, maker.stick(older), "has version 0.0.1")
        bring(box, maker.stick(tampered), "The update is damaged")
        assert not outcome(box)

        spent = bring(box, maker.stick(dead), "New software 9.0.1")
        run.measured("software off the stick, copied and proven, emulated", f"{spent:.0f} s")
        begun = time.monotonic()
        # Three starts that come to nothing: none of them gets as far as a shell.
        assert again(box, 2) == ["a good"] * 2
        told(box, "it did not start")
        run.measured("a system without an init, installed, tried three times and left", f"{time.monotonic() - begun:.0f} s")
        wait_for(box, READY)
        audited(box, "New software 9.0.1: the box starts again when it is idle")
        bring(box, maker.stick(dead), "did not hold on this box before")

        bring(box, maker.stick(broken), "New software 9.0.2")
        assert again(box, 4)[2:] == ["b trial", "a good"]
        told(box, "New software 9.0.2 does not hold on this box")
        wait_for(box, READY)

        # The plug is pulled while the other slot is written.
        box.plug(maker.stick(good))
        unit = "systemctl is-active scanside-install.service"
        eventually(lambda: box.sh(unit, check=False) == "activating", 600, "the installation", 0.2)
    with box:
        assert box.starts() == ["a good"], box.starts()
        # What was copied is whole, and is installed now.
        assert again(box, 2) == ["a good", "b trial"]
        begun = time.monotonic()
        told(box, "New software 9.1.0 is in use.", 3600)
        run.measured("new system, its start to the decision that it stays (one phantom), emulated", f"{time.monotonic() - begun:.0f} s")
        wait_for(box, READY)
        box.picture(run.pictures / "9-new-software.png")
        assert not box.sh("systemctl --failed --no-legend --plain"), box.sh("systemctl --failed --no-pager")
        version = box.sh("cat " + SYSTEM)
        assert 'version = "9.1.0"' in version, version
    with box:
        assert box.starts() == ["b good"], box.starts()
        wait_for(box, READY)
        run.send(box, run.phantom("control", 4, 3, run.folder / "study"))
