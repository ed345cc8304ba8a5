"""Pseudo-infection for the denoiser: the published Perlin noise, and a kind that looks like disease.

`field` is the public recipe's noise (ten octaves of classic 2-D gradient noise), written from its
definition and vectorised. Its table base is taken modulo 256, because the library that the recipe
used reads past its table for larger ones. `infection` cuts such a field into soft blobs with the
density of ground glass or consolidation, inside the lungs only, on top of the vessels.
"""

import numpy as np

# Ken Perlin's permutation of 0..255 (improved noise, 2002), public.
PERM = np.array([
    151, 160, 137, 91, 90, 15, 131, 13, 201, 95, 96, 53, 194, 233, 7, 225, 140, 36, 103, 30, 69, 142, 8, 99, 37, 240,
    21, 10, 23, 190, 6, 148, 247, 120, 234, 75, 0, 26, 197, 62, 94, 252, 219, 203, 117, 35, 11, 32, 57, 177, 33, 88,
    237, 149, 56, 87, 174, 20, 125, 136, 171, 168, 68, 175, 74, 165, 71, 134, 139, 48, 27, 166, 77, 146, 158, 231, 83,
    111, 229, 122, 60, 211, 133, 230, 220, 105, 92, 41, 55, 46, 245, 40, 244, 102, 143, 54, 65, 25, 63, 161, 1, 216,
    80, 73, 209, 76, 132, 187, 208, 89, 18, 169, 200, 196, 135, 130, 116, 188, 159, 86, 164, 100, 109, 198, 173, 186,
    3, 64, 52, 217, 226, 250, 124, 123, 5, 202, 38, 147, 118, 126, 255, 82, 85, 212, 207, 206, 59, 227, 47, 16, 58,
    17, 182, 189, 28, 42, 223, 183, 170, 213, 119, 248, 152, 2, 44, 154, 163, 70, 221, 153, 101, 155, 167, 43, 172, 9,
    129, 22, 39, 253, 19, 98, 108, 110, 79, 113, 224, 232, 178, 185, 112, 104, 218, 246, 97, 228, 251, 34, 242, 193,
    238, 210, 144, 12, 191, 179, 162, 241, 81, 51, 145, 235, 249, 14, 239, 107, 49, 192, 214, 31, 181, 199, 106, 157,
    184, 84, 204, 176, 115, 121, 50, 45, 127, 4, 150, 254, 138, 236, 205, 93, 222, 114, 67, 29, 24, 72, 243, 141, 128,
    195, 78, 66, 215, 61, 156, 180])

# The sixteen gradients; the first four are diagonal, the axes come more often than once.
GRADIENTS = np.array([
    (1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (1, 0), (-1, 0),
    (0, 1), (0, -1), (0, 1), (0, -1), (1, 0), (-1, 0), (0, -1), (0, 1)], np.float32)


def octave(x, y, base):
    """One octave of gradient noise at x, y (f32 arrays of one shape)."""
    x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
    fx, fy = np.floor(x), np.floor(y)
    i, j = (fx.astype(np.int64) % 256 + base) % 256, (fy.astype(np.int64) % 256 + base) % 256
    x, y = x - fx, y - fy
    u, v = (t * t * t * (t * (t * np.float32(6) - np.float32(15)) + np.float32(10)) for t in (x, y))

    def corner(di, dj):
        column = PERM[(i + di) % 256]
        g = GRADIENTS[PERM[PERM[(column + j + dj) % 256]] % 16]
        return g[..., 0] * (x - np.float32(di)) + g[..., 1] * (y - np.float32(dj))

    low = corner(0, 0) + u * (corner(1, 0) - corner(0, 0))
    high = corner(0, 1) + u * (corner(1, 1) - corner(0, 1))
    return low + v * (high - low)


def fractal(x, y, persistence, base, octaves=10):
    """Octaves of doubled frequency, divided by the signed sum of their weights."""
    base = int(base) % 256
    total, weight, norm = 0, np.float32(1), np.float32(0)
    x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
    for k in range(octaves):
        total = total + octave(x * np.float32(2**k), y * np.float32(2**k), base) * weight
        norm, weight = norm + weight, weight * np.float32(persistence)
    return (total / norm).astype(np.float32)


def grid(size, scale):
    i, j = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32), indexing="ij")
    return i / np.float32(scale), j / np.float32(scale)


def field(rng, size):
    """The published noise of one slice: scale 10..29, persistence -0.50..0.49, base 0..999."""
    scale, persistence, base = rng.integers(10, 30), 0.01 * rng.integers(-50, 50), rng.integers(0, 1000)
    # The scale belongs to the 128 grid; other sizes keep the number of blobs.
    return fractal(*grid(size, scale * size / 128), persistence, base)


def infection(rng, clean, lungs, depth):
    """A slice with simulated infection: soft blobs in `lungs`, denser than what they cover.

    `depth` is the distance to the pleura in pixels. The clean slice stays where it is denser, so
    vessels run through ground glass as they do in patients.
    """
    size = clean.shape[-1]
    if not lungs.any():
        return clean
    # Now and then as fine as centrilobular nodules.
    coarse = rng.uniform(5, 30) if rng.random() < 0.85 else rng.uniform(2.5, 5)
    x, y = grid(size, coarse * size / 128)
    noise = fractal(x, y, rng.uniform(0.25, 0.6), rng.integers(0, 256), octaves=5)
    if rng.random() < 0.4:  # many infections hug the pleura
        noise = noise - np.float32(rng.uniform(0.02, 0.12)) * depth * np.float32(128 / size)
    share = rng.uniform(0.03, 0.45) if rng.random() < 0.8 else rng.uniform(0.45, 0.95)
    level = np.quantile(noise[lungs], 1 - share)
    alpha = np.clip((noise - level) / rng.uniform(0.02, 0.25), 0, 1).astype(np.float32)
    # -700..-300 HU is ground glass, up to +50 HU consolidation.
    density = rng.uniform(0.20, 0.5) if rng.random() < 0.6 else rng.uniform(0.5, 0.76)
    if rng.random() < 0.5:
        texture = fractal(*grid(size, rng.uniform(2, 6) * size / 128), 0.5, rng.integers(0, 256), octaves=2)
        density = density * (1 + np.float32(rng.uniform(0.1, 0.6)) * texture)
    return clean + alpha * lungs * np.maximum(density - clean, 0) * np.float32(rng.uniform(0.7, 1.0))
