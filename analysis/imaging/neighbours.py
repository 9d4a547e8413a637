"""Whether the noise of neighbouring pixels is correlated: then no denoiser may guess a pixel from those around it."""

from __future__ import annotations

import numpy as np

CORRELATED = 0.05
"""Correlation of the noise of neighbours from which on a pixel's noise can be guessed from those around it."""

_BLOCK = 32  # pixels


def refusal_of_blind_spots(along_y: float, along_x: float, error: float, cure: str) -> str | None:
    """Why no denoiser may guess a pixel from those around it, in a sentence; None if one may.

    Parameters
    ----------
    along_y, along_x : float
        Correlation of the noise of pixels one above the other, and side by side.
    error : float
        Standard error of both.
    cure : str
        What to do instead.
    """
    strongest = max(abs(along_y), abs(along_x))
    if strongest > CORRELATED and strongest > 5 * error:
        return (
            f"the noise of neighbouring pixels is correlated ({along_y:.2f} along y, {along_x:.2f} along x), "
            f"so that a blind-spot denoiser would learn the noise: {cure}"
        )
    return None


def neighbour_correlations(noise: np.ndarray) -> tuple[float, float]:
    """Correlation of noise (H, W) with itself one pixel further along y, and along x.

    The median over blocks: few have edges that are displaced.
    """
    return (
        float(np.median(block_correlations(noise[1:], noise[:-1]))),
        float(np.median(block_correlations(noise[:, 1:], noise[:, :-1]))),
    )


def block_correlations(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlation of two images (H, W) in each block of 32x32 pixels."""
    x, y = blocks(one), blocks(other)
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    spread = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.asarray((x * y).sum(axis=1) / np.maximum(spread, 1e-30))


def blocks(image: np.ndarray) -> np.ndarray:
    """(number, pixels) of an image's blocks; of a small one, the image."""
    side = min(_BLOCK, *image.shape)
    height, width = (length // side * side for length in image.shape)
    parts = image[:height, :width].reshape(height // side, side, width // side, side)
    return np.asarray(parts.transpose(0, 2, 1, 3).reshape(-1, side * side))
