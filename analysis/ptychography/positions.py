"""Correction of positions: the position errors that follow from the frames.

The gradient of Guizar-Sicairos and Fienup, Opt. Express 16, 7264 (2008), of the wave behind the sample: a frame displaced by
s has the wave P (O + s grad O), so that s follows by least squares from the change of the wave that the frame requires. There
is one s for all places on a frame's path. A displacement common to all frames is a shift of the whole object, which the
frames do not determine: the mean is removed in each pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_MOST = 1.0  # pixels in a pass: for larger displacements the gradient of the object is useless


class Shift:
    """The shift that one frame requires.

    Parameters
    ----------
    gain : float
        The change of a wave is passed multiplied by `gain`^2.
    """

    def __init__(self, gain: float) -> None:
        self._scale = 1 / gain**2
        self._right = np.zeros(2)
        self._matrix = np.zeros((2, 2))

    def take(self, window: Any, probe: Any, change: Any) -> None:
        """Add one place of the path: object (H, W), probe (..., H, W) and the change of the wave (..., H, W)."""
        inner = (..., slice(1, -1), slice(1, -1))
        slopes = ((window[2:, 1:-1] - window[:-2, 1:-1]) / 2, (window[1:-1, 2:] - window[1:-1, :-2]) / 2)
        along = [probe[inner] * slope for slope in slopes]
        for row, one in enumerate(along):
            self._right[row] += self._scale * float((one.conj() * change[inner]).real.sum())
            for column, other in enumerate(along):
                self._matrix[row, column] += float((one.conj() * other).real.sum())

    @property
    def pixels(self) -> np.ndarray:
        """The shift (2,), pixels; 0 where the object is too smooth to determine it."""
        found: np.ndarray = np.linalg.lstsq(self._matrix, self._right, rcond=1e-6)[0]
        return found * min(1.0, _MOST / max(float(np.hypot(*found)), 1e-30))


class Corrections:
    """Corrections of all positions, by blocks of frames.

    Attributes
    ----------
    root_mean_square : float
        Root mean square of all corrections, pixels; 0 before the first pass.
    """

    def __init__(self) -> None:
        self._of: dict[int, np.ndarray] = {}
        self.root_mean_square = 0.0

    def of(self, block: int, frames: int) -> np.ndarray:
        """Corrections (frames, 2) of a block, pixels."""
        return self._of.get(block, np.zeros((frames, 2)))

    def add(self, shifts: dict[int, np.ndarray]) -> None:
        """Add the shifts from a pass over all blocks, (frames, 2) each, minus the mean over all frames."""
        mean = np.concatenate(list(shifts.values())).mean(axis=0)
        self._of = {block: self.of(block, len(shift)) + shift - mean for block, shift in shifts.items()}
        every = np.concatenate(list(self._of.values()))
        self.root_mean_square = float(np.sqrt((every**2).sum(axis=1).mean()))
