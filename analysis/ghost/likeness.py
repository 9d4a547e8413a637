"""Whether an image resembles a picture rather than noise."""

from __future__ import annotations

import numpy as np

_BINS = (1, 2, 4)
_FEWEST = 8


def roughness(images: np.ndarray) -> np.ndarray:
    """The total variation of images over their standard deviation, averaged over scales; (S,) of images (S, H, W).

    For white noise it is about 2.3 whatever its level; pictures, whose neighbouring pixels are similar, have less. Images are
    also binned by 2 and 4, which averages out noise but not the picture.
    """
    total = np.zeros(len(images))
    number = 0
    for size in _BINS:
        coarse = binned(images.astype(np.float64), size)
        if min(coarse.shape[1:]) < _FEWEST and size > 1:
            break  # too few pixels
        spread = coarse.std(axis=(1, 2))
        steps = sum(np.abs(np.diff(coarse, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2))
        total += np.divide(steps, spread, out=np.full(len(images), np.nan), where=spread > 0)
        number += 1
    return total / number if number else np.full(len(images), np.nan)


def binned(images: np.ndarray, size: int) -> np.ndarray:
    """Images (S, H, W) with the mean of each size x size pixels; incomplete ones at the far edges are cut off."""
    height, width = (length // size for length in images.shape[1:])
    cut = images[:, : height * size, : width * size]
    return cut.reshape(len(images), height, size, width, size).mean(axis=(2, 4))
