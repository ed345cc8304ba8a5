"""One emulated board: power, serial shell, display, sticks.

with Machine(image, folder) as box:
    print(box.sh("systemctl is-system-running --wait"))
    box.picture("screen.png")

Whoever leaves the block pulls the plug: QEMU is killed, and what the guest has not flushed is lost.
"""

import base64
import contextlib
import gzip
import json
import pathlib
import re
import shlex
import socket
import subprocess
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
PROMPT = "@@"
PORT = 21112


def eventually(test, seconds, what, pause=0.5):
    """The first true answer of `test`; an AssertionError that names `what` after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        answer = test()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(pause)


class Machine:
    """`image` is what board/image/make has filled; `folder` takes sockets, logs and the data disk."""

    def __init__(self, image, folder, data, log_data=False, port=PORT, append="", reboots=False):
        # A box that starts again by itself goes on; else QEMU ends where a board would start again.
        self.reboots = reboots
        self.image, self.folder = pathlib.Path(image).resolve(), pathlib.Path(folder).resolve()
        self.data, self.port, self.append = pathlib.Path(data).resolve(), port, append
        self.data_log = self.folder / "data.log" if log_data else None
        self.text, self.sticks, self.events = "", 0, []
        self.lock = threading.Lock()

    # Power

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("qmp.sock", "serial.sock"):
            (self.folder / name).unlink(missing_ok=True)
        self.initrd()
        self.systems()
        # A second start must not take the first one's prompt for its own.
        self.text = ""
        with open(self.folder / "qemu.log", "w") as log:
            self.qemu = subprocess.Popen(
                ["nice", "-n", "2", *self.command()], stdout=log, stderr=log, cwd=self.folder
            )
        try:
            self.serial = self.connect("serial.sock")
            # Always read: a guest whose serial pipe is full stands still.
            threading.Thread(target=self.pump, daemon=True).start()
            self.monitor = self.connect("qmp.sock").makefile("rw")
            self.monitor.readline()
            self.qmp("qmp_capabilities")
            eventually(lambda: PROMPT in self.text, 240, "a shell on the serial port; see boot.log")
            self.sh("stty -echo")
        except BaseException:
            self.cut()
            raise
        return self

    def __exit__(self, *_):
        self.cut()

    def cut(self):
        """Pulls the plug."""
        self.qemu.kill()
        self.qemu.wait()

    def command(self):
        data = f"driver=file,filename={self.data}"
        if self.data_log:
            self.data_log.write_bytes(b"")
            disk = ["-blockdev", f"{data},node-name=data-file"]
            disk += ["-blockdev", f"driver=file,filename={self.data_log},node-name=data-log"]
            disk += ["-blockdev", "driver=blklogwrites,file=data-file,log=data-log,node-name=data"]
        else:
            disk = ["-blockdev", f"driver=raw,node-name=data,file.{data.replace(',', ',file.')}"]
        words = (self.image / "cmdline").read_text().strip()
        disks = ["-device", "virtio-blk-pci,drive=a", *disk, "-device", "virtio-blk-pci,drive=data"]
        disks += ["-device", "virtio-blk-pci,drive=b", "-device", "virtio-blk-pci,drive=record"]
        for name in ("a", "b", "record"):
            disks += ["-blockdev", f"driver=raw,node-name={name},file.driver=file,file.filename={self.folder}/{name}.img"]
        return [
            "qemu-system-aarch64",
            *("-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024"),
            *("-accel", "tcg,thread=multi", "-display", "none", "-monitor", "none"),
            *([] if self.reboots else ["-no-reboot"]),
            *("-kernel", str(self.image / "vmlinuz"), "-initrd", str(self.folder / "initrd.gz")),
            *("-append", f"{words} rdinit=/test-init {self.append}"),
            *disks,
            *("-device", "virtio-gpu-pci,xres=1280,yres=800", "-device", "qemu-xhci,id=usb"),
            *("-device", "i6300esb", "-action", "watchdog=reset", "-device", "virtio-rng-pci"),
            # The guest reaches nothing: only the forwarded port leads in.
            "-netdev",
            f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:11112",
            *("-device", "virtio-net-pci,netdev=net,romfile="),
            *("-qmp", f"unix:{self.folder}/qmp.sock,server=on,wait=off"),
            "-chardev",
            f"socket,id=serial,path={self.folder}/serial.sock,server=on,wait=off,logfile={self.folder}/boot.log",
            *("-serial", "chardev:serial"),
        ]

    def systems(self):
        """Two slots of a board that is new: one system, and the record says nothing yet."""
        slot = 512 << 20
        for name, size in (("a", slot), ("b", slot), ("record", 1 << 20)):
            path = self.folder / f"{name}.img"
            if path.exists():
                continue
            if name == "a":
                subprocess.run(["cp", "--sparse=always", self.image / "system.img", path], check=True)
            with open(path, "ab") as disk:
                disk.truncate(size)

    def starts(self):
        """The systems that have started since the power came, oldest first: "a good", "b trial"."""
        said = (self.folder / "boot.log").read_bytes().decode(errors="replace")
        found = re.findall(r"<start ([0-9a-f-]{36}) (\w+ \w+)>", said)
        return list(dict(found).values())

    def initrd(self):
        """The image's own, with the tests' shell behind it: the kernel unpacks one after the other."""
        words = ["cpio", "--quiet", "--owner=0:0", "-o", "-H", "newc"]
        names = "test-init\ntest-shell.service\n"
        more = subprocess.run(words, input=names.encode(), stdout=subprocess.PIPE, cwd=HERE / "init", check=True)
        own = (self.image / "initrd.gz").read_bytes()
        (self.folder / "initrd.gz").write_bytes(own + gzip.compress(more.stdout))

    def connect(self, name):
        def attempt():
            with contextlib.suppress(OSError):
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(str(self.folder / name))
                return connection
            assert self.qemu.poll() is None, (self.folder / "qemu.log").read_text()
            return None

        return eventually(attempt, 20, f"QEMU's {name}", 0.1)

    # Serial shell

    def pump(self):
        with contextlib.suppress(OSError):
            while chunk := self.serial.recv(65536):
                self.text += chunk.decode(errors="replace")

    def sh(self, command, seconds=60, check=True):
        """What a command says to a root shell inside."""
        mark = f"<{time.monotonic_ns()}>"
        with self.lock:
            self.text = ""
            # In two pieces, or the echo of the first command would end it.
            line = f"{command}\necho '{mark[:5]}''{mark[5:]}' $?\n"
            self.serial.sendall(line.encode())
            ended = eventually(
                lambda: re.search(rf"{mark} (\d+)\r?\n", self.text),
                seconds,
                f"the end of: {command}: {self.text[-500:]}",
                0.05,
            )
            said = self.text[: ended.start()].replace("\r", "").replace(PROMPT, "")
        # What the kernel says to the console comes in between.
        said = "\n".join(line for line in said.split("\n") if not re.match(r"\[ *\d+\.\d+\] ", line))
        assert not check or ended.group(1) == "0", f"{command}: {said.strip()}"
        return said.strip()

    def read(self, path):
        """A file from inside, as bytes; empty where there is none."""
        text = self.sh(f"base64 -w 76 {shlex.quote(str(path))} 2>/dev/null", 120, check=False)
        return base64.b64decode(text)

    # QMP

    def qmp(self, command, **arguments):
        self.monitor.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.monitor.flush()
        while True:
            line = self.monitor.readline()
            assert line, f"QEMU is gone: {command}"
            answer = json.loads(line)
            if "event" in answer:
                self.events.append(answer["event"])
            elif "error" in answer:
                raise AssertionError(f"{command}: {answer['error']}")
            else:
                return answer["return"]

    def picture(self, path):
        """What the display shows, from QEMU and not from the program."""
        path = pathlib.Path(path).resolve()
        self.qmp("screendump", filename=str(path), format="png")
        return path

    def plug(self, image, log=None):
        """Puts a stick in. With `log`, each block that is written to it is noted there."""
        self.sticks += 1
        name = f"stick{self.sticks}"
        disk = {"driver": "file", "filename": str(pathlib.Path(image).resolve())}
        node = {"node-name": name, "driver": "raw", "file": disk}
        if log:
            pathlib.Path(log).write_bytes(b"")
            node["driver"] = "blklogwrites"
            node["log"] = {"driver": "file", "filename": str(pathlib.Path(log).resolve())}
        self.qmp("blockdev-add", **node)
        self.qmp("device_add", driver="usb-storage", id=name, drive=name, removable=True, bus="usb.0")
        return name

    def pull(self, name):
        self.qmp("device_del", id=name)
