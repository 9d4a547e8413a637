"""Moves an image by a fraction of a pixel geometrically: pixels are squares, not points."""

from __future__ import annotations

import numpy as np

_SHARP = 1e-6  # pixels; a narrower slope is taken as zero, because a difference would lose its digits


def shifted(image: np.ndarray, offset_px: tuple[float, float], slope_px: float = 0.0, outside: float | None = None) -> np.ndarray:
    """Return the mean over each pixel of an image that was moved and whose edges have a slope.

    Parameters
    ----------
    image : array, shape (H, W)
        Values of square pixels.
    offset_px : pair of float
        Displacement of the image along y and x, in pixels.
    slope_px : float
        Width in pixels over which a step of the image rises.
    outside : float, optional
        Value around the image. Default: its border pixels are continued.

    Returns
    -------
    array, shape (H, W), float64
    """
    along_y = _matrix(image.shape[0], offset_px[0], slope_px, outside is None)
    along_x = _matrix(image.shape[1], offset_px[1], slope_px, outside is None)
    level = 0.0 if outside is None else outside
    return along_y @ (image - level) @ along_x.T + level


def _matrix(size: int, offset: float, slope: float, extend: bool) -> np.ndarray:
    """Return the (size, size) weights with which input pixels add to output pixels along one axis."""
    offset = float(np.clip(offset, -size - 2, size + 2))  # nothing changes at larger offsets
    reach = int(np.ceil(abs(offset) + slope)) + 1 if extend else 0
    sources = np.arange(-reach, size + reach)
    weights = _overlap(np.arange(size)[:, None] - offset - sources[None, :], slope)
    if not extend:
        return weights
    folded = np.zeros((size, size))
    np.add.at(folded.T, np.clip(sources, 0, size - 1), weights.T)
    return folded


def _overlap(distance: np.ndarray, slope: float) -> np.ndarray:
    """Return the overlap of a unit pixel with sloped edges and another one at a given distance.

    It is the convolution of two unit boxes (a triangle) with a box as wide as the slope.
    """
    if slope < _SHARP:
        return np.maximum(0.0, 1 - np.abs(distance))
    return (_triangle_integral(distance + slope / 2) - _triangle_integral(distance - slope / 2)) / slope


def _triangle_integral(end: np.ndarray) -> np.ndarray:
    """Return the integral of max(0, 1 - |v|) from minus infinity to `end`."""
    end = np.clip(end, -1.0, 1.0)
    return np.where(end < 0, (1 + end) ** 2 / 2, 1 - (1 - end) ** 2 / 2)
