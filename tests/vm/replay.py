"""Rebuilds a disk as a power cut could have left it, at many moments of one recorded run.

The log is in the format of dm-log-writes, as QEMU's blklogwrites writes it. For each moment there are
two disks: `ordered` has all writes so far, `torn` has lost a random half of those that no flush covers.
"""

import collections
import os
import random
import struct
import subprocess

FLUSH, FUA, DISCARD = 1, 2, 4

# data: where in the log the bytes are; end: how long the log was after this entry.
Entry = collections.namedtuple("Entry", "at flags data size end")


def entries(path):
    """Counts by looking: the number in the first sector is old where QEMU was killed."""
    whole, found = os.path.getsize(path), []
    with open(path, "rb") as log:
        _, _, _, sector = struct.unpack("<QQQI", log.read(28))
        place = sector
        while place + sector <= whole:
            log.seek(place)
            start, sectors, flags, words = struct.unpack("<QQQQ", log.read(32))
            if not (sectors or flags or words):
                break
            data = place + sector
            size = 0 if flags & DISCARD else sectors * sector
            if data + size > whole:
                break
            place = data + size
            found.append(Entry(start * sector, flags, data, size, place))
    return found


def moments(log, count, seed, after=0):
    """So many entries, at random, of those after the byte `after` of the log; and the last one."""
    candidates = [n for n in range(1, len(log)) if log[n - 1].end > after]
    chosen = random.Random(seed).sample(candidates, min(count - 1, len(candidates)))
    return sorted(chosen) + [len(log)]


def copy(source, target):
    subprocess.run(["cp", "--sparse=always", source, target], check=True)


class Disk:
    """A copy of the disk before the run, brought forward through the log."""

    def __init__(self, base, path, log_path):
        copy(base, path)
        self.path, self.log_path, self.done = path, log_path, 0

    def forward(self, log, upto):
        self.write(self.path, log[self.done : upto])
        self.done = max(self.done, upto)

    def write(self, path, some):
        with open(self.log_path, "rb") as log, open(path, "r+b") as disk:
            for entry in some:
                log.seek(entry.data)
                disk.seek(entry.at)
                disk.write(log.read(entry.size))


def states(base, log_path, chosen, scratch, seed):
    """Yields (entries applied, "ordered" or "torn", image). The image is another one each time."""
    log, rng, image = entries(log_path), random.Random(seed), f"{scratch}/state.img"
    ordered = Disk(base, f"{scratch}/ordered.img", log_path)
    flushed = Disk(base, f"{scratch}/flushed.img", log_path)
    flushes = [n + 1 for n, entry in enumerate(log) if entry.flags & FLUSH]
    for moment in chosen:
        ordered.forward(log, moment)
        copy(ordered.path, image)
        yield moment, "ordered", image
        safe = max((n for n in flushes if n <= moment), default=0)
        flushed.forward(log, safe)
        copy(flushed.path, image)
        rest = log[safe:moment]
        flushed.write(image, [e for e in rest if e.flags & FUA or rng.random() < 0.5])
        yield moment, "torn", image
