"""What the image takes from board.toml.

facts.py fstab BOARD.toml     the table of file systems
facts.py size BOARD.toml /    MiB of the partition with this mount point
facts.py slots BOARD.toml     where the initramfs finds the record and the two systems
facts.py system BOARD.toml SETTINGS VERSION KERNEL
                              what a system says of itself, for its package
"""

import json
import sys
import tomllib

# /var has the images, so a fault must not let it be filled with more; the box says NO SIGNAL then and
# starts all the same (nofail), with the folders made only after the mount was tried.
OPTIONS = {
    "/": "ro,noatime",
    "/var": "rw,noatime,nosuid,nodev,noexec,errors=remount-ro,nofail,"
    "x-systemd.device-timeout=30s,x-systemd.before=systemd-tmpfiles-setup.service,"
    "x-systemd.before=systemd-random-seed.service",
}


def fstab(partitions):
    mounts = [p["mount"] for p in partitions]
    for p in partitions:
        # Two slots for one place: the boot loader names the one that is used, and `ro` beside it.
        if mounts.count(p["mount"]) > 1:
            continue
        options = OPTIONS[p["mount"]]
        assert p["writable"] == options.startswith("rw"), p
        last = 0 if p["mount"] == "/" else 2
        print(p["device"], p["mount"], p["filesystem"], options, 0, last)


def main():
    what, board = sys.argv[1:3]
    with open(board, "rb") as file:
        facts = tomllib.load(file)
    partitions = facts["partition"]
    if what == "fstab":
        fstab(partitions)
    elif what == "slots":
        systems = [p["device"] for p in partitions if p["mount"] == "/"]
        print(f"record={facts['slots']['record']} system_a={systems[0]} system_b={systems[1]}")
    elif what == "system":
        settings, version, kernel = sys.argv[3:6]
        with open(settings, "rb") as file:
            site = tomllib.load(file).get("site", "")
        words = {"version": version, "board": facts["name"], "site": site, "kernel": kernel}
        for name, word in words.items():
            # JSON's strings are TOML's.
            print(f"{name} = {json.dumps(word, ensure_ascii=False)}")
    else:
        print(next(p["mib"] for p in partitions if p["mount"] == sys.argv[3]))


if __name__ == "__main__":
    main()
