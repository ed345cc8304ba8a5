"""A lung mask by threshold and components, for training only; the box has its own in Rust."""

import numpy as np
from scipy import ndimage

# -500 HU in unit values: half way between lung and soft tissue.
AIR = 500 / 1400


def fineness(size):
    """Pixels of a grid per pixel of the 128 grid, in which lengths of this recipe are given."""
    return max(1.0, size / 128)


def mask(volume):
    """Lungs of a unit volume (z, y, x): bool, vessels filled in each slice."""
    fine = fineness(volume.shape[-1])
    air = volume < AIR
    labels, n = ndimage.label(air)
    if n == 0:
        return np.zeros(volume.shape, bool)
    size = np.bincount(labels.ravel(), minlength=n + 1)
    size[0] = 0
    for face in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        size[np.unique(face)] = 0  # the room around the patient
    largest = size.max()
    if largest < 200 * fine * fine:
        return np.zeros(volume.shape, bool)
    found = np.isin(labels, np.flatnonzero(size > 0.15 * largest))
    disk = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 1), round(2 * fine))
    for z in range(len(found)):
        if found[z].any():
            closed = ndimage.binary_closing(np.pad(found[z], 8), disk)[8:-8, 8:-8]
            found[z] = ndimage.binary_fill_holes(closed)
    return found


def depth(found):
    """Distance to the pleura in pixels, slice by slice."""
    return np.stack([ndimage.distance_transform_edt(s) if s.any() else np.zeros(s.shape) for s in found]).astype(np.float32)
