"""Software by stick: a good one stays, a bad one is left again, and no power cut leaves a box without a system."""

import json
import pathlib
import re
import shutil
import subprocess
import time

import stick
from machine import eventually

SYSTEM = "/usr/share/scanside/system.toml"
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
