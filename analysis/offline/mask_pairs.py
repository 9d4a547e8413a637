"""Realizations in pairs, a mask and its complement, each pair with a gain of its own.

What both have in common, such as a lamp that drifts, cancels in their normalised difference: with y+ = g W x and
y- = g (c - W) x, (y+ - y-) / (y+ + y-) = (2 W - c) x / (c x), whatever g. It is multiplied by the mean of y+ + y-, so that the
image has the unit of the buckets.
"""

from __future__ import annotations

import numpy as np

from analysis.ghost.alignments import quick_image
from analysis.ghost.likeness import roughness
from analysis.techniques.ghost.mask_pairs import difference_error, normalised_difference

_ALIKE = 1e-3
"""Relative to the range of the masks: complements add up to the same everywhere."""

_SMOOTHER = 0.9
"""The image of the right order is far smoother than that of the wrong one, which is noise."""

IN_TURN, IN_HALVES = "one after the other", "all masks before all complements"


def complements(masks: np.ndarray) -> str | None:
    """How masks (2M, H, W) hold complements: `IN_TURN`, `IN_HALVES`, or not at all (None)."""
    if len(masks) < 4 or len(masks) % 2 or masks.min() == masks.max():
        return None
    for kind in (IN_TURN, IN_HALVES):
        first, second = places(len(masks), kind)
        if _add_up(masks[first], masks[second]):
            return kind
    return None


def places(number: int, kind: str) -> tuple[slice, slice]:
    """Where masks, and where their complements, are among so many realizations."""
    if kind == IN_HALVES:
        return slice(0, number // 2), slice(number // 2, None)
    return slice(0, None, 2), slice(1, None, 2)


def likelier_order(masks: np.ndarray, buckets: np.ndarray) -> str:
    """In which order buckets (2M,) are those of masks (M, H, W) from `signed`: `IN_HALVES` if its image is far smoother."""
    images = []
    for kind in (IN_TURN, IN_HALVES):
        made = difference(in_pairs(buckets, kind), None)[0]
        images.append(quick_image(masks, made, np.flatnonzero(np.isfinite(made))))
    in_turn, in_halves = (np.inf if image is None else float(roughness(image[None])[0]) for image in images)
    return IN_HALVES if in_halves < _SMOOTHER * in_turn else IN_TURN


def in_pairs(values: np.ndarray, kind: str) -> np.ndarray:
    """Values of realizations (2M,) as those of pairs (M, 2)."""
    return np.stack([values[place] for place in places(len(values), kind)], axis=1)


def difference(buckets: np.ndarray, errors: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Normalised differences of buckets (M, 2) and their errors; NaN where a pair lacks a bucket, or has no light."""
    buckets = buckets.astype(np.float64)
    plus, minus = buckets.T
    total = plus + minus
    lit = total > 0
    unit = float(total[lit].mean()) if lit.any() else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        made = np.where(lit, normalised_difference(plus, minus, unit), np.nan)
        if errors is None:
            return made, None
        return made, np.where(lit, difference_error(plus, minus, errors[:, 0], errors[:, 1], unit), np.nan)


def signed(masks: np.ndarray, complement: np.ndarray | None = None) -> np.ndarray:
    """Masks minus their complements, in as few bytes as before where they have two values.

    Parameters
    ----------
    masks : array, (M, H, W)
    complement : array, (M, H, W), optional
        Where the complements were not measured themselves: what is closed in one is open in the other. Masks that hold negative
        values are differences already.
    """
    plain = masks.view(np.int8) if masks.dtype == np.bool_ else masks
    low, high = plain.min(), plain.max()
    narrow = plain.dtype.itemsize == 1 and low >= 0 and high <= 127
    if complement is not None:
        other = complement.view(np.int8) if complement.dtype == np.bool_ else complement
        return np.subtract(plain, other, dtype=np.int8 if narrow else np.float32, casting="unsafe")
    if low < 0:
        return masks
    if narrow and high <= 63:
        return np.subtract(2 * plain, low + high, dtype=np.int8, casting="unsafe")
    return 2 * plain.astype(np.float32) - np.float32(low + high)


def _add_up(masks: np.ndarray, others: np.ndarray) -> bool:
    """Whether masks and others add up to one value."""
    if masks.dtype == np.bool_:
        return all(bool((masks[one] != others[one]).all()) for one in range(len(masks)))
    first = float(masks[0].flat[0]) + float(others[0].flat[0])
    room = _ALIKE * (float(masks.max()) - float(masks.min()))
    return all(bool((np.abs(masks[one].astype(np.float32) + others[one] - first) <= room).all()) for one in range(len(masks)))
