"""Two answers of `analyse --json --difference --report`, from two processors: are they one answer?

    same_answer.py HERE THERE      with HERE.json, HERE.npy, the folder HERE, and the same of THERE

The words have to be equal. Every int8 number inside BCDU-Net is the same to the bit on both (tanh is
our own for that reason); behind the last int8 layer comes one convolution in float, whose sums each
processor takes in its own order. So the outputs may differ in their last digits and no further: one
integer that differs inside is thousands of times larger. The 3D CNN computes in float throughout.

The picture of the lungs as a solid is the same to the bit on every processor; below the views stand
letters, which are another library's.
"""

import array
import ast
import base64
import json
import re
import struct
import sys
import zlib

SAME = ("state", "reason", "decision", "study_uid", "series_uid", "slices", "model")

# Probabilities and percent: sums in float, in another order.
PROBABILITY = 1e-4
PERCENT = 0.02

# Values of the difference: last digits of float. A step of 255 before the last convolution shows as 1e-4 and more.
FARTHEST = 1e-5

# The solid's size, and the rows of it above all letters; as the test of its golden sum has them.
SOLID, VIEWS = (832, 400), 150


def npy(path):
    """Shape and values of a little-endian float32 file."""
    with open(path, "rb") as file:
        if file.read(6) != b"\x93NUMPY":
            sys.exit(f"{path} is not an npy file")
        major = file.read(2)[0]
        length = struct.unpack("<H" if major == 1 else "<I", file.read(2 if major == 1 else 4))[0]
        header = ast.literal_eval(file.read(length).decode("latin1"))
        if header["descr"] != "<f4" or header["fortran_order"]:
            sys.exit(f"{path} is not little-endian float32 in C order")
        values = array.array("f")
        values.frombytes(file.read())
    return header["shape"], values


def solid(folder):
    """The rows of the solid's picture that have no letters, out of the page."""
    with open(f"{folder}/report.html", encoding="utf-8") as file:
        for text in re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", file.read()):
            png = base64.b64decode(text)
            width, height, depth, colour = struct.unpack(">IIBB", png[16:26])
            if (width, height) == SOLID and (depth, colour) == (8, 2):
                return rows(png, width * 3)[: VIEWS * width * 3]
    sys.exit(f"there is no picture of the solid in {folder}")


def rows(png, stride):
    """Bytes of an 8-bit RGB picture, PNG filters undone."""
    at, packed = 8, b""
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        if kind == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += 12 + length
    data, before, out = zlib.decompress(packed), bytes(stride), bytearray()
    for start in range(0, len(data), stride + 1):
        kind, line = data[start], bytearray(data[start + 1 : start + 1 + stride])
        for i in range(stride):
            left = line[i - 3] if i >= 3 else 0
            up, corner = before[i], before[i - 3] if i >= 3 else 0
            if kind == 4:
                guess = min((left, up, corner), key=lambda v: abs(left + up - corner - v))
            else:
                guess = (0, left, up, (left + up) // 2)[kind]
            line[i] = (line[i] + guess) & 255
        out += line
        before = line
    return bytes(out)


def close(what, here, there, tolerance, wrong):
    for name in sorted(set(here) | set(there)):
        a, b = here.get(name), there.get(name)
        print(f"  {what}.{name}: {a} | {b}")
        if a is None or b is None or abs(a - b) > tolerance:
            wrong.append(f"{what}.{name} differs by more than {tolerance}: {a} and {b}")


def main():
    here, there = (json.load(open(f"{name}.json")) for name in sys.argv[1:3])
    wrong = []
    if here.get("state") != "analysed":
        wrong.append(f"the phantom was not analysed: {here.get('reason')}")
    for key in SAME:
        if here.get(key) != there.get(key):
            wrong.append(f"{key}: {here.get(key)!r} and {there.get(key)!r}")
    if [c["code"] for c in here.get("caveats", [])] != [c["code"] for c in there.get("caveats", [])]:
        wrong.append("the caveats differ")
    print(f"  decision: {here.get('decision')} | {there.get('decision')}")
    close("p", here.get("p") or {}, there.get("p") or {}, PROBABILITY, wrong)
    close("involvement", here.get("involvement") or {}, there.get("involvement") or {}, PERCENT, wrong)
    for side, answer in (("here", here), ("there", there)):
        print(f"  seconds {side}: {answer.get('seconds')}")

    (shape, a), (other, b) = (npy(f"{name}.npy") for name in sys.argv[1:3])
    if shape != other or len(a) != len(b) or not a:
        wrong.append(f"the differences have the shapes {shape} and {other}")
    else:
        farthest = max(abs(x - y) for x, y in zip(a, b))
        print(f"  difference {shape}: at most {farthest:.1e} apart")
        if not farthest <= FARTHEST:
            wrong.append(f"the differences are {farthest:.6f} apart: the int8 numbers are not the same")

    here, there = (solid(folder) for folder in sys.argv[1:3])
    apart = sum(a != b for a, b in zip(here, there))
    print(f"  solid: {apart} of {len(here)} bytes differ")
    if apart or len(here) != len(there):
        wrong.append("the pictures of the solid are not the same")

    if wrong:
        sys.exit("not the same answer:\n  " + "\n  ".join(wrong))
    print("the same answer")


if __name__ == "__main__":
    main()
