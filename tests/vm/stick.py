"""Sticks as files: made with mtools, filled, read without the box."""

import hashlib
import json
import pathlib
import shutil
import struct
import subprocess

MIB = 1 << 20


def make(path, mib, bare=False, fill=0):
    """A FAT32 stick with one partition, or bare: a file system without a table of partitions."""
    path = pathlib.Path(path)
    with open(path, "wb") as disk:
        disk.truncate(mib * MIB)
        if not bare:
            entry = struct.pack("<B3sB3sII", 0, b"\xfe\xff\xff", 0x0C, b"\xfe\xff\xff", 2048, (mib - 1) * 2048)
            disk.seek(446)
            disk.write(entry)
            disk.seek(510)
            disk.write(b"\x55\xaa")
    sectors = (mib if bare else mib - 1) * 2048
    words = ["mformat", "-i", where(path, bare), "-T", str(sectors), "-F", "-h", "64", "-s", "32"]
    subprocess.run([*words, "-v", "SCANSIDE", "::"], check=True)
    if fill:
        zeros = subprocess.Popen(["head", "-c", str(fill * MIB), "/dev/zero"], stdout=subprocess.PIPE)
        words = ["mcopy", "-i", where(path, bare), "-", "::/FILL.BIN"]
        subprocess.run(words, stdin=zeros.stdout, check=True)
    return path


def make_exfat(path, mib):
    """A stick with exFAT and no table of partitions."""
    path = pathlib.Path(path)
    with open(path, "wb") as disk:
        disk.truncate(mib * MIB)
    subprocess.run(["mkfs.exfat", "-L", "SCANSIDE", str(path)], check=True, stdout=subprocess.DEVNULL)
    return path


def where(path, bare=False):
    """What mtools call the file system."""
    return str(path) if bare else f"{path}@@1M"


class Folder:
    """One report's folder: what is in it, and whether SHA256SUMS calls it whole."""

    def __init__(self, path):
        self.path, self.complete, self.wrong = path, False, []
        try:
            lines = (path / "SHA256SUMS").read_text().splitlines()
        except (OSError, ValueError):
            return
        sums = [line.split("  ", 1) for line in lines if line]
        # An empty list calls nothing good.
        self.complete = bool(sums)
        for entry in sums:
            if len(entry) != 2:
                self.complete = False
                continue
            file = path / entry[1]
            if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != entry[0]:
                self.wrong.append(entry[1])

    @property
    def whole(self):
        return self.complete and not self.wrong

    def report(self):
        return json.loads((self.path / "REPORT.JSN").read_text())


def read(image, to, bare=False):
    """Copies SCANSIDE from a stick, and judges its folders; by name."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    words = ["mcopy", "-s", "-n", "-Q", "-i", where(image, bare), "::/SCANSIDE", str(to)]
    # A stick that was pulled early may have nothing on it, or half of a tree.
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return {path.name: Folder(path) for path in sorted(to.glob("SCANSIDE/R[0-9]*"))}
