"""Whether an image lies as a reference does, or turned or mirrored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analysis.ghost.likeness import binned

TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "transpose": lambda images: images.swapaxes(-1, -2),
    "mirror-y": lambda images: images[..., ::-1, :],
    "mirror-x": lambda images: images[..., ::-1],
    "rotate-180": lambda images: images[..., ::-1, ::-1],
    "rotate-90": lambda images: np.rot90(images, 1, axes=(-2, -1)),
    "rotate-270": lambda images: np.rot90(images, 3, axes=(-2, -1)),
    "transpose-180": lambda images: images.swapaxes(-1, -2)[..., ::-1, ::-1],
}
"""The ways in which masks (..., H, W) can lie otherwise, by name."""

_MOST_PIXELS = 1024
"""Pictures of more pixels are binned: noise then hides less."""

_ALIKE, _LESS, _CERTAIN = 0.3, 0.8, 3.0
"""Least correlation with the reference, largest part of it that the given orientation may have, and standard errors."""


def turned(image: np.ndarray, reference: np.ndarray) -> str | None:
    """How an image must be turned to lie as a reference does; None if it does, or if none of the ways is alike.

    Parameters
    ----------
    image : array, (H, W)
    reference : array, (H, W), or (W, H) if it lies across
    """
    size = 1
    while image.size > _MOST_PIXELS * size**2:
        size *= 2
    image, reference = (binned(picture[None], size)[0] for picture in (image, reference))
    if not np.ptp(image) > 0 or not np.ptp(reference) > 0:
        return None
    given = _alike(image, reference) if image.shape == reference.shape else 0.0
    others = {name: _alike(turn(image), reference) for name, turn in TURNS.items() if turn(image).shape == reference.shape}
    best = max(others, key=lambda name: others[name])
    # By Fisher's transformation the errors of correlations are the same, whatever these are.
    difference = np.arctanh(min(others[best], 1 - 1e-9)) - np.arctanh(np.clip(given, -1 + 1e-9, 1 - 1e-9))
    certain = difference * np.sqrt(image.size) > _CERTAIN
    return best if certain and others[best] > _ALIKE and given < _LESS * others[best] else None


def orientation_doubt(image: np.ndarray, reference: np.ndarray) -> str | None:
    """That an image is turned or mirrored against a reference, in a sentence with what mends it; None where it isn't."""
    turn = turned(image, reference)
    if turn is None:
        return None
    return f"the image is turned or mirrored against the reference: {turn} makes them alike (--mend turn={turn})"


def _alike(image: np.ndarray, reference: np.ndarray) -> float:
    return float(np.corrcoef(image.ravel(), reference.ravel())[0, 1])
