"""Whether an image lies as a reference does, or turned or mirrored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "transpose": lambda images: images.swapaxes(-1, -2),
    "mirror-y": lambda images: images[..., ::-1, :],
    "mirror-x": lambda images: images[..., ::-1],
    "rotate-180": lambda images: images[..., ::-1, ::-1],
    "rotate-90": lambda images: np.rot90(images, 1, axes=(-2, -1)),
    "rotate-270": lambda images: np.rot90(images, 3, axes=(-2, -1)),
    "transpose-180": lambda images: images.swapaxes(-1, -2)[..., ::-1, ::-1],
}
"""The ways in which masks (..., H, W) can lie otherwise, by name; those that swap rows and columns suit square masks alone."""

_ALIKE, _MORE = 0.5, 0.15
"""Correlation with the reference from which on an orientation counts, and by how much it must surpass the one given."""


def turned(image: np.ndarray, reference: np.ndarray) -> str | None:
    """How an image (H, W) must be turned to lie as a reference (H, W) does; None if it does, or if none of the ways is alike."""
    if not np.ptp(image) > 0 or not np.ptp(reference) > 0:
        return None
    given = _alike(image, reference)
    others = {name: _alike(turn(image), reference) for name, turn in TURNS.items() if turn(image).shape == reference.shape}
    best = max(others, key=lambda name: others[name])
    return best if others[best] > max(_ALIKE, given + _MORE) else None


def orientation_doubt(image: np.ndarray, reference: np.ndarray) -> str | None:
    """That an image is turned or mirrored against a reference, in a sentence with what mends it; None where it isn't."""
    turn = turned(image, reference)
    if turn is None:
        return None
    return f"the image is turned or mirrored against the reference: {turn} makes them alike (--mend turn={turn})"


def _alike(image: np.ndarray, reference: np.ndarray) -> float:
    return float(np.corrcoef(image.ravel(), reference.ravel())[0, 1])
