"""Pictures of the display: read, and held against what this computer draws of the same status."""

import pathlib
import struct
import subprocess
import zlib

# What moves by itself, in 1280 x 800: the bar at the top, clock and second hand at the right below.
MOVING = [(0, 0, 1280, 48), (960, 690, 1280, 800)]
# Another processor may round a shade differently.
SHADE = 3


def png(path):
    """(width, height, rows of RGB bytes) of a PNG with 8 bits and no interlacing."""
    data, at, packed = pathlib.Path(path).read_bytes(), 8, b""
    while at < len(data):
        (size,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            assert depth == 8 and colour in (2, 6) and not interlaced, path
        elif kind == b"IDAT":
            packed += body
        at += 12 + size
    step = 3 if colour == 2 else 4
    raw, rows, above = zlib.decompress(packed), [], bytearray(width * step)
    for y in range(height):
        start = y * (width * step + 1)
        row = unfilter(raw[start], bytearray(raw[start + 1 : start + 1 + width * step]), above, step)
        rows.append(row if step == 3 else b"".join(row[i : i + 3] for i in range(0, len(row), 4)))
        above = row
    return width, height, rows


def unfilter(kind, row, above, step):
    if kind == 2:
        return bytearray((a + b) & 255 for a, b in zip(row, above))
    for i in range(len(row)) if kind else ():
        left = row[i - step] if i >= step else 0
        if kind == 1:
            guess = left
        elif kind == 3:
            guess = (left + above[i]) // 2
        else:
            corner = above[i - step] if i >= step else 0
            near = left + above[i] - corner
            away = (abs(near - left), abs(near - above[i]), abs(near - corner))
            guess = (left, above[i], corner)[away.index(min(away))]
        row[i] = (row[i] + guess) & 255
    return row


def ppm(path):
    """The same of a PPM, which QEMU writes too and which is read in no time."""
    data = pathlib.Path(path).read_bytes()
    words = data[:32].split(None, 4)
    width, height = int(words[1]), int(words[2])
    body = data[-width * height * 3 :]
    return width, height, [body[y * width * 3 : (y + 1) * width * 3] for y in range(height)]


def difference(one, other):
    """How many pixels differ outside of what moves, and where the first one is."""
    (width, height, rows), (width2, height2, rows2) = one, other
    assert (width, height) == (width2, height2), (width, height, width2, height2)
    count, first = 0, None
    for y, (row, row2) in enumerate(zip(rows, rows2)):
        if row == row2:
            continue
        for x in range(width):
            a, b = row[3 * x : 3 * x + 3], row2[3 * x : 3 * x + 3]
            moving = any(l <= x < r and t <= y < d for l, t, r, d in MOVING)
            if a != b and not moving and max(abs(i - j) for i, j in zip(a, b)) > SHADE:
                count, first = count + 1, first or (x, y)
    return count, first


def drawn_here(scanside, runtime, folder):
    """What this computer's program draws of the status in `runtime`, at the size of QEMU's display."""
    board, config = folder / "board.toml", folder / "screen.toml"
    # The millimetres of QEMU's EDID.
    board.write_text(
        'name = "here"\ntitle = "here"\n[panel]\ncard = "/dev/null"\nconnector = ""\n'
        "size_mm = [320.0, 200.0]\nrotation = 0\n"
    )
    config.write_text(f'board = "{board}"\nruntime = "{runtime}"\n')
    file = folder / "drawn-here.png"
    words = [scanside, "screen", "--once", "--config", config, "--panel", f"png:{file}@1280x800"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return file
