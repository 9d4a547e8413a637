"""The correlation of noise in those parts of a series where nothing moves: whether a kernel still fits."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from analysis.radiographs.correlation import NEIGHBOURS

_BLOCK = 32  # pixels
_STATIC = 1.2  # times the variance of the quieter half of all blocks: what is above moves


class StaticParts:
    """Takes the radiographs of a series, one after the other.

    The difference of two, brought to the same total and divided by the root of their mean, has the same variance everywhere if it
    is noise; where the scene moves it has more.
    """

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._products: np.ndarray | None = None
        self._variances: np.ndarray | None = None

    def add(self, radiograph: np.ndarray) -> None:
        """Take the next radiograph (H, W); NaN is left out."""
        before, self._last = self._last, radiograph
        if before is None:
            return
        noise = change(before, radiograph)
        size = 2 * NEIGHBOURS + 1
        neighbours = uniform_filter(noise, size, mode="constant") * size**2 - noise
        products, variances = _by_block(noise * neighbours), _by_block(noise**2)
        if self._products is None or self._variances is None:
            self._products, self._variances = products, variances
        else:
            self._products, self._variances = self._products + products, self._variances + variances

    def summed_percent(self) -> float:
        """Correlation with the neighbours within 4 pixels, summed, in percent; NaN before the second radiograph."""
        if self._products is None or self._variances is None:
            return float("nan")
        static = static_blocks(self._variances)
        return float(100 * self._products[static].sum() / max(self._variances[static].sum(), 1e-30))


def change(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """What changes from one radiograph (H, W) to the next, everywhere as strong if it is noise; 0 where it is unknown (NaN)."""
    known = np.isfinite(first) & np.isfinite(second)
    one, other = (np.where(known, image, 0.0).astype(np.float64) for image in (first, second))
    other *= one.sum() / other.sum()
    level = uniform_filter(one + other, 2 * NEIGHBOURS + 1)
    return np.asarray(np.where(known & (level > 0), other - one, 0.0) / np.sqrt(np.where(level > 0, level, 1.0)))


def static_blocks(variances: np.ndarray) -> np.ndarray:
    """In which blocks nothing moves, bool, by the variances of their changes."""
    quiet = np.median(variances[variances <= np.median(variances)])
    return np.asarray(variances <= _STATIC * quiet)


def _by_block(image: np.ndarray) -> np.ndarray:
    """Sums over blocks; a small image is one."""
    side = min(_BLOCK, *image.shape)
    height, width = (length // side * side for length in image.shape)
    return np.asarray(image[:height, :width].reshape(height // side, side, width // side, side).sum(axis=(1, 3)))
