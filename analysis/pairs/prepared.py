"""A pair made ready: what is missing is filled, and the second image lies on the first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation

from analysis.imaging.repair import dead_lines, filled

from .halves import Halves, register


@dataclass(frozen=True, eq=False)
class Pair:
    """Two images of one scene, in the pixels and counts of the first.

    Attributes
    ----------
    a, b : ndarray, float32, (H, W)
        Without gaps: what wasn't measured is filled from around.
    measured : ndarray, bool, (H, W)
        Where both have measured.
    """

    a: np.ndarray
    b: np.ndarray
    measured: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """The mean of both, float32."""
        return (self.a + self.b) / np.float32(2)


def prepared(a: np.ndarray, b: np.ndarray, halves: Halves) -> Pair:
    """Make the images (H, W) of a pair ready; NaN where they have measured nothing."""
    a, missing_a = _filled(a)
    b, missing_b = _filled(b)
    measured = np.zeros(a.shape, dtype=bool)
    measured[halves.margins()] = True
    if missing_b.any() and halves.shift != (0.0, 0.0):  # a shift by a part of a pixel spreads them
        missing_b = binary_dilation(np.roll(missing_b, np.rint(halves.shift).astype(int), axis=(0, 1)), iterations=2)
    return Pair(a, halves.onto_first(b), measured & ~missing_a & ~missing_b)


def registered(a: np.ndarray, b: np.ndarray, *, same_place: bool = False) -> Halves:
    """Find how image b (H, W) lies on image a; NaN where they have measured nothing.

    Raises
    ------
    NotRegistered
        If they cannot be laid on each other.
    """
    return register(_filled(a)[0], _filled(b)[0], same_place=same_place)


def _filled(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    missing = ~np.isfinite(image) | dead_lines(image)
    if missing.all():
        return np.zeros(image.shape, dtype=np.float32), missing
    return filled(image, missing) if missing.any() else image.astype(np.float32), missing
