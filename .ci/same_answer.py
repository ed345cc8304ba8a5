"""Two answers of `analyse --json --difference`, from two processors: are they one answer?

    same_answer.py HERE THERE      with HERE.json, HERE.npy, THERE.json, THERE.npy

The words have to be equal. Every int8 layer of BCDU-Net gives the same integers on both. Between
them stand float layers whose kernels differ in the last digit (tract's tanh by 2e-7, measured), and
once in a hundred thousand values that turns a rounding tie: one step of 255 in front of the next
int8 layer. Measured on one slice with random weights: 1 of 131,072 values at the first such place,
a difference of at most 0.0018 at the output.
"""

import array
import ast
import json
import struct
import sys

SAME = ("state", "reason", "decision", "study_uid", "series_uid", "slices", "model")

# Probabilities and percent: far below what any threshold or printed digit could notice.
PROBABILITY = 0.005
PERCENT = 0.2

# Half a step of 255: what a turned tie leaves behind at the output, and a wrong layer exceeds.
STEP = 0.5 / 255
# One voxel in a thousand may stand nearer to a tie that turned, and none far away.
SHARE_OVER_STEP = 1e-3
FARTHEST = 0.02


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
        steps = [abs(x - y) for x, y in zip(a, b)]
        far = sum(step > STEP for step in steps)
        print(f"  difference {shape}: {far} of {len(a)} voxels over half a step, most {max(steps):.6f}")
        if far > SHARE_OVER_STEP * len(a) or not max(steps) <= FARTHEST:
            wrong.append(f"{far / len(a):.2%} of the voxels differ: the int8 numbers are not the same")

    if wrong:
        sys.exit("not the same answer:\n  " + "\n  ".join(wrong))
    print("the same answer")


if __name__ == "__main__":
    main()
