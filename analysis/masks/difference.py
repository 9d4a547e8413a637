"""How two mask sets differ."""

from __future__ import annotations

import numpy as np

MaskDifference = np.dtype([("rms", "<f8"), ("shift_y_px", "<f8"), ("shift_x_px", "<f8"), ("contrast", "<f8")])
"""For each mask: root mean square difference of the transmissions; shift of the second set relative to the first, mask pixels;
contrast of the second over that of the first. NaN where a mask has no structure that determines the value."""


def differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compare two sets of patterns (M, H, W) mask by mask; return `MaskDifference` (M,).

    Each mask of the second set is fitted by the first one times a contrast, plus its gradients and a level. Shifts of more than
    half a pixel are underestimated.
    """
    found = np.zeros(len(first), dtype=MaskDifference)
    for index, (a, b) in enumerate(zip(first.astype(np.float64), second.astype(np.float64), strict=True)):
        found["rms"][index] = np.sqrt(np.mean((b - a) ** 2))
        along_y, along_x = np.gradient(a)
        inner = (slice(1, -1), slice(1, -1))
        columns = np.stack([-along_y[inner].ravel(), -along_x[inner].ravel(), a[inner].ravel(), np.ones(a[inner].size)], axis=1)
        spread = columns[:, :3].std(axis=0)
        told, *_ = np.linalg.lstsq(columns, b[inner].ravel(), rcond=None)
        shift_y, shift_x, contrast = np.where(spread > 1e-6, told[:3], np.nan)
        found["contrast"][index] = contrast
        found["shift_y_px"][index], found["shift_x_px"][index] = shift_y / contrast, shift_x / contrast
    return found
