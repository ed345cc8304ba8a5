"""K2, the anti-aliased linear resize of the box, one axis at a time as a matrix."""

import functools

import numpy as np


@functools.lru_cache(maxsize=64)
def matrix(n, m):
    """(m, n): smoothing with whole-sample reflection, then linear sampling at half-pixel centres."""
    if n == m:
        return np.eye(n)
    f = n / m
    sigma = max(0.0, (f - 1) / 2)
    smooth = np.eye(n)
    if sigma > 0:
        radius = int(4 * sigma + 0.5)
        q = np.arange(-radius, radius + 1)
        weights = np.exp(-(q**2) / (2 * sigma**2))
        weights /= weights.sum()
        smooth, period = np.zeros((n, n)), max(1, 2 * (n - 1))
        for step, weight in zip(q, weights):
            k = np.abs(np.arange(n) + step) % period if n > 1 else np.zeros(n, int)
            k = np.where(k >= n, period - k, k)
            np.add.at(smooth, (np.arange(n), k), weight)
    x = np.abs((np.arange(m) + 0.5) * f - 0.5)
    x = np.where(x > n - 1, 2 * (n - 1) - x, x)
    k = np.clip(np.floor(x).astype(int), 0, n - 1)
    t = x - k
    sample = np.zeros((m, n))
    np.add.at(sample, (np.arange(m), k), 1 - t)
    np.add.at(sample, (np.arange(m), np.minimum(k + 1, n - 1)), t)
    return sample @ smooth


def along_z(volume, m):
    """A (z, y, x) volume resized along z."""
    z = volume.shape[0]
    flat = volume.reshape(z, -1).astype(np.float32)
    return (matrix(z, m).astype(np.float32) @ flat).reshape(m, *volume.shape[1:])
