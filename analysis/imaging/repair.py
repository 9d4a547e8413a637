"""Pixels that have measured nothing: found, and filled from those around them."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter


def dead_lines(image: np.ndarray) -> np.ndarray:
    """Where rows and columns of an image (H, W) hold one value throughout, bool (H, W)."""
    with np.errstate(invalid="ignore"):
        rows, columns = (np.ptp(image, axis=axis) == 0 for axis in (1, 0))
    return np.asarray(rows[:, None] | columns[None, :])


def filled(image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return an image (H, W) with the mean of the pixels around where some are missing, bool (H, W); float32."""
    whole = np.where(missing, 0.0, image).astype(np.float32)
    sigma = 1.0
    while missing.any():
        known = gaussian_filter((~missing).astype(np.float32), sigma)
        mean = gaussian_filter(whole, sigma) / np.maximum(known, 1e-6)
        near = missing & (known > 1e-2)
        whole[near] = mean[near]
        missing = missing & ~near
        sigma *= 2
    return whole
