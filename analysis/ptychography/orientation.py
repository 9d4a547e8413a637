"""The orientation of the detector's rows and columns relative to the axes of the sample stage: eight choices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

ORIENTATIONS: Mapping[str, tuple[bool, int, int]] = {
    f"{'+' if row > 0 else '-'}{'x' if swap else 'y'}{'+' if column > 0 else '-'}{'y' if swap else 'x'}": (swap, row, column)
    for swap in (False, True)
    for row in (1, -1)
    for column in (1, -1)
}
"""Axes of the stage along the detector's rows and columns, such as "+y+x" or "-x+y": whether they are swapped, and the signs."""


def turned(frames: np.ndarray, orientation: str) -> np.ndarray:
    """Return frames (..., H, W), their centre in the middle, with rows along the stage's y and columns along its x."""
    swap, row, column = ORIENTATIONS[orientation]
    frames = frames[..., ::row, ::column]
    return np.swapaxes(frames, -1, -2) if swap else frames
