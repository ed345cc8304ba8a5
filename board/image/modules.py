"""Leaves of a folder of kernel modules only those that are named, and what they need.

modules.py LIST FOLDER [INITRAMFS]

LIST has a module a line; a * before it also copies the module and its needs into the folder
INITRAMFS, with numbers before the names that give the order of loading.
"""

import pathlib
import shutil
import sys


def main():
    words, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    lines = [line for line in words.read_text().splitlines() if line and line[0] != "#"]
    needs = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
    by_name = {pathlib.Path(p).name.split(".ko")[0].replace("-", "_"): p for p in needs}
    builtin = (folder / "modules.builtin").read_text().split()
    builtin = {pathlib.Path(p).stem.replace("-", "_") for p in builtin}

    def with_needs(name, order):
        if name not in by_name:
            assert name in builtin, f"the kernel has no module {name}"
            return order
        path = by_name[name]
        for path in [*reversed(needs[path]), path]:
            if path not in order:
                order.append(path)
        return order

    early, kept = [], []
    for line in lines:
        with_needs(line.lstrip("*"), kept)
        if line[0] == "*":
            with_needs(line[1:], early)
    for path in folder.rglob("*.ko*"):
        if str(path.relative_to(folder)) not in kept:
            path.unlink()
    if len(sys.argv) > 3:
        for number, path in enumerate(early):
            to = pathlib.Path(sys.argv[3]) / f"{number:02}-{pathlib.Path(path).name}"
            shutil.copy(folder / path, to)
    print(f"{len(kept)} kernel modules, {len(early)} of them in the initramfs")


if __name__ == "__main__":
    main()
