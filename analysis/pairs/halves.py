"""Two halves of a frame that see one scene: how the second lies on the first, and how much more light it gets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from analysis.imaging.registration import likeness, shift_between, shifted

SMALLEST = 32
"""Pixels that a side of a half must have."""

_CHANCE = 6.0  # times the likeness that chance makes
_ENOUGH = 0.6  # likeness that no chance makes, of images so small that chance makes much
_FARTHEST = 0.25  # of a side
_SIGMA = 3.0
_STILL = 0.1  # pixels


class NotRegistered(ValueError):
    """Two images that cannot be laid on each other."""


@dataclass(frozen=True)
class Halves:
    """How half b lies on half a: b(shifted) = gain * a + offset.

    Attributes
    ----------
    shift : (float, float)
        By how many pixels (y, x) b is shifted to lie on a.
    gain : float
        Light of b over that of a.
    offset : float
        Counts.
    likeness : float
        Correlation of both, without their finest details.
    """

    shift: tuple[float, float]
    gain: float
    offset: float
    likeness: float

    def onto_first(self, b: np.ndarray) -> np.ndarray:
        """Half b (H, W) in the pixels and counts of half a, float32."""
        return np.asarray((shifted(b, self.shift) - np.float32(self.offset)) / np.float32(self.gain))

    def margins(self) -> tuple[slice, slice]:
        """Rows and columns that both halves have measured."""
        return _inner(self.shift[0]), _inner(self.shift[1])


def register(a: np.ndarray, b: np.ndarray, *, same_place: bool = False) -> Halves:
    """Find how half b (H, W) lies on half a.

    Parameters
    ----------
    a, b : ndarray, (H, W)
        Counts above dark.
    same_place : bool
        Both were taken with the same pixels, one after the other: they may have nothing in common, as frames without a sample,
        and are shifted only if the scene has moved by more than a tenth of a pixel.

    Raises
    ------
    NotRegistered
        If one holds no light, or they have nothing in common.
    """
    if min(a.shape) < SMALLEST:
        raise NotRegistered(f"halves of {a.shape[0]}x{a.shape[1]} pixels are too small: they need {SMALLEST} along each side")
    for name, half in (("first", a), ("second", b)):
        if not half.std() > 0 or not half.mean() > 0:
            raise NotRegistered(f"the {name} half holds no light: is its path blocked, or its window beside the image?")
    shift = shift_between(a, b)
    if same_place and np.abs(shift).max() < _STILL:
        shift = (0.0, 0.0)
    moved = shifted(b, shift)
    inside = (_inner(shift[0]), _inner(shift[1]))
    far = any(abs(step) > _FARTHEST * side for step, side in zip(shift, a.shape, strict=True))
    alike, chance = (0.0, 1.0) if far else likeness(a[inside], moved[inside])
    unlike = alike < min(_CHANCE * chance, _ENOUGH)
    if unlike and not same_place:
        raise NotRegistered(
            f"the halves cannot be laid on each other (likeness {alike:.3f}, by chance {chance:.3f}): do both windows show "
            "the same scene, and is one out of focus?"
        )
    if unlike:  # a scene without structure
        return Halves((0.0, 0.0), float(b.mean() / a.mean()), 0.0, alike)
    smooth_a, smooth_b = (gaussian_filter(image, _SIGMA)[inside].astype(np.float64) for image in (a, moved))
    # of equal noise in both, the ratio of their deviations is that of the scene's
    gain = float(smooth_b.std() / smooth_a.std())
    return Halves(shift, gain, float(smooth_b.mean() - gain * smooth_a.mean()), alike)


def _inner(step: float) -> slice:
    edge = int(np.ceil(abs(step)))
    return slice(edge, -edge or None)
