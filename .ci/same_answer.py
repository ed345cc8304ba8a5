"""Two answers of `analyse --json --difference`, from two processors: are they one answer?

    same_answer.py HERE THERE      with HERE.json, HERE.npy, THERE.json, THERE.npy

The words have to be equal. Every int8 number inside BCDU-Net is the same to the bit on both (tanh is
our own for that reason); behind the last int8 layer comes one convolution in float, whose sums each
processor takes in its own order. So the outputs may differ in their last digits and no further: one
integer that differs inside is thousands of times larger. The 3D CNN computes in float throughout.
"""

import array
import ast
import json
import struct
import sys

SAME = ("state", "reason", "decision", "study_uid", "series_uid", "slices", "model")

# Probabilities and percent: sums in float, in another order.
PROBABILITY = 1e-4
PERCENT = 0.02

# Values of the difference: last digits of float. A step of 255 before the last convolution shows as 1e-4 and more.
FARTHEST = 1e-5


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

    if wrong:
        sys.exit("not the same answer:\n  " + "\n  ".join(wrong))
    print("the same answer")


if __name__ == "__main__":
    main()
