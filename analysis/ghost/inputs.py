"""Checks of what comes in, so that every error names what is wrong and what to do about it."""

from __future__ import annotations

from typing import Any

import numpy as np


def checked_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return `shape` as two positive ints, or raise ValueError."""
    try:
        height, width = (int(length) for length in shape)
    except (TypeError, ValueError):
        raise ValueError(f"shape must be two lengths (height, width) in pixels, not {shape!r}") from None
    if height < 1 or width < 1:
        raise ValueError(f"shape must hold at least one pixel, not {shape!r}")
    return height, width


def checked_batch(
    masks: np.ndarray, buckets: np.ndarray, errors: np.ndarray | None, shape: tuple[int, int], first: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return a batch as masks (B, N) in the type given, float64 buckets (B,) and errors (B,) or None.

    Masks are read block by block and not copied, so that they may lie in a file.

    Parameters
    ----------
    masks : array, (B, H, W)
        Any real, integer or boolean type.
    buckets, errors : array, (B,)
    shape : (H, W)
    first : int
        Number of the batch's first realization, for error messages.

    Raises
    ------
    ValueError
        Wrong shape, lengths that differ, values that aren't real numbers, NaN or infinite values, errors that aren't
        positive.
    """
    masks = _real("masks", masks)
    buckets = _real("buckets", buckets)
    if masks.ndim != 3 or masks.shape[1:] != tuple(shape):
        raise ValueError(f"masks must have the shape (realizations, {shape[0]}, {shape[1]}), not {masks.shape}")
    if buckets.ndim != 1:
        raise ValueError(f"buckets must have one axis, (realizations,), not the shape {buckets.shape}")
    if len(masks) != len(buckets):
        raise ValueError(f"{len(masks)} masks but {len(buckets)} buckets: every realization is one mask and its bucket")
    flat = masks.reshape(len(masks), shape[0] * shape[1])
    values = np.array(buckets, dtype=np.float64)
    if masks.dtype.kind == "f":
        _finite("mask", _finite_rows(flat), first)
    _finite("bucket", np.isfinite(values), first)
    if errors is None:
        return flat, values, None
    sigmas = np.array(_real("errors", errors), dtype=np.float64)
    if sigmas.shape != values.shape:
        raise ValueError(f"errors must have the buckets' shape {values.shape}, not {sigmas.shape}")
    _finite("error", np.isfinite(sigmas) & (sigmas > 0), first, "positive and finite")
    return flat, values, sigmas


def rows_at_once(pixels: int) -> int:
    """Return how many masks of `pixels` to turn into single precision at a time: 16 MB or one."""
    return max(1, 2**22 // pixels)


def _finite_rows(masks: np.ndarray) -> np.ndarray:
    """Return which masks (B, N) are finite in single precision, bool (B,)."""
    finite = np.empty(len(masks), dtype=bool)
    for start in range(0, len(masks), rows := rows_at_once(masks.shape[1])):
        finite[start : start + rows] = np.isfinite(masks[start : start + rows].astype(np.float32)).all(axis=1)
    return finite


def _real(name: str, values: np.ndarray) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must be an array of numbers with rows of one length") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be real numbers, not {array.dtype}")
    return array


def _finite(name: str, good: Any, first: int, wanted: str = "finite") -> None:
    if not good.all():
        bad = first + np.flatnonzero(~good)
        listed = ", ".join(str(index) for index in bad[:5]) + (", ..." if len(bad) > 5 else "")
        raise ValueError(f"every {name} must be {wanted}; leave out realization {listed} ({len(bad)} in all)")
