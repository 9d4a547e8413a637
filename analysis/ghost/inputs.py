"""Checks of the input, so that every error names the problem and the remedy."""

from __future__ import annotations

import difflib
import operator
import sys
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

Errors = np.ndarray | Literal["poisson"] | None
"""Standard errors of the buckets: an array of the same shape, "poisson" for buckets that are counts, or None if unknown."""

LARGEST_MASK, SMALLEST_MASK = 1e15, 1e-15
LARGEST_BUCKET, SMALLEST_BUCKET = 1e30, 1e-30
"""Range in which single precision is sufficient, also for the squares of masks."""

LARGEST_SEED = 2**63 - 1
"""Largest value that the random generators and the documents can hold."""


def checked_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return `shape` as two positive ints, or raise ValueError."""
    try:
        height, width = (operator.index(length) for length in shape)
    except (TypeError, ValueError):
        raise ValueError(f"shape must be two lengths (height, width) in pixels, not {shape!r}") from None
    if height < 1 or width < 1:
        raise ValueError(f"shape must hold at least one pixel, not {shape!r}")
    return height, width


def checked_whole(name: str, value: Any, largest: int | None = None) -> int:
    """Return `value` as an int from 0 (to `largest`), or raise ValueError."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < 0 or (largest is not None and value > largest):
        upper = "" if largest is None else f" to {largest:.3g}"
        raise ValueError(f"{name} must be a whole number from 0{upper}, not {value!r}")
    return int(value)


def is_number(value: Any) -> bool:
    """Return whether `value` is a plain number that fits into a float; a bool does not count as a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) <= sys.float_info.max


def checked_seconds(seconds: Any) -> float:
    """Return a time budget as a float above 0, which may be infinite, or raise ValueError."""
    plain = seconds.item() if isinstance(seconds, np.integer | np.floating) else seconds
    if not is_number(plain) or not plain > 0:
        raise ValueError(f"time_budget_s must be above 0 seconds, not {seconds!r}")
    return float(plain)


def close_match(name: Any, known: Iterable[str]) -> str:
    """Return a question whether a known name similar to the unknown `name` was meant, or an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=1) if isinstance(name, str) else []
    return f"; did you mean {matches[0]}?" if matches else ""


def check_option_names(method: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise ValueError, with a list of the known options, if a method has no option of a given name."""
    valid = ["nonnegative", *known]
    unknown = sorted(set(names) - set(valid))
    if unknown:
        meant = close_match(unknown[0], valid)
        raise ValueError(f"{method} has no option {', '.join(unknown)}; its options are {', '.join(valid)}{meant}")


def checked_batch(
    masks: np.ndarray, buckets: np.ndarray, errors: Errors, shape: tuple[int, int], first: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return a batch as masks (B, N) in the type given, float64 buckets (B,) and errors (B,) or None.

    Masks are read block by block and not copied, so that they may be in a file.

    Parameters
    ----------
    masks : array, (B, H, W)
        Any real, integer or boolean type.
    buckets : array, (B,)
    errors : array, (B,), or "poisson" or None
    shape : (H, W)
    first : int
        Number of the batch's first realization, for error messages.

    Raises
    ------
    ValueError
        Wrong shape, different lengths, values that are not real numbers, NaN, infinite or far too large values, errors that
        are not positive, negative counts.
    """
    masks = real("masks", masks)
    values, sigmas = checked_buckets(buckets, errors, first)
    if masks.ndim != 3 or masks.shape[1:] != tuple(shape):
        raise ValueError(f"masks must have the shape (realizations, {shape[0]}, {shape[1]}), not {masks.shape}")
    if len(masks) != len(values):
        raise ValueError(f"{len(masks)} masks but {len(values)} buckets: every realization is one mask and its bucket")
    flat = masks.reshape(len(masks), shape[0] * shape[1])
    _within("mask", flat, LARGEST_MASK, first)
    return flat, values, sigmas


def checked_buckets(buckets: np.ndarray, errors: Errors, first: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
    """Return buckets (B,) and their errors (B,), if any, in float64; parameters and exceptions are those of `checked_batch`."""
    buckets = real("buckets", buckets)
    if buckets.ndim != 1:
        raise ValueError(f"buckets must have one axis, (realizations,), not the shape {buckets.shape}")
    with np.errstate(over="ignore"):  # values that become infinite are refused as too large
        values = np.array(buckets, dtype=np.float64)
    _within("bucket", buckets[:, np.newaxis], LARGEST_BUCKET, first)
    if errors is None:
        return values, None
    if isinstance(errors, str):
        return values, _counting_errors(errors, values, first)
    sigmas = np.array(real("errors", errors), dtype=np.float64)
    if sigmas.shape != values.shape:
        raise ValueError(f"errors must have the buckets' shape {values.shape}, not {np.shape(errors)}")
    _all_good("error", np.isfinite(sigmas) & (sigmas > 0), first, "positive and finite")
    return values, sigmas


def rows_at_once(pixels: int) -> int:
    """Return how many masks of `pixels` to convert to single precision at a time: 16 MB, but at least one."""
    return max(1, 2**22 // pixels)


def check_smallness(largest_mask: float, largest_bucket: float) -> None:
    """Raise ValueError if all masks, or all buckets, are so small that an image of them vanishes in single precision.

    Whether a value is too small is only known when all are there: next to larger ones it counts as 0.
    """
    if 0 < largest_mask < SMALLEST_MASK:
        raise ValueError(f"no mask holds a value above {SMALLEST_MASK:g}: give masks as transmissions, about 0 to 1")
    if 0 < largest_bucket < SMALLEST_BUCKET:
        raise ValueError(f"no bucket is above {SMALLEST_BUCKET:g}: give buckets in a smaller unit")


def real(name: str, values: Any) -> np.ndarray:
    """Return `values` as an array of real numbers, or raise ValueError."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} hold masked values: leave those realizations out")
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must be an array of numbers with rows of one length") from None
    except (TypeError, RuntimeError) as error:  # a torch tensor that requires a gradient, or is not in memory
        raise ValueError(f"{name} can't be read as an array: {str(error).splitlines()[0]}") from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be real numbers, not {array.dtype}; convert them first, for instance with .astype(float)")
    return array


def largest(values: np.ndarray) -> float:
    """Return the largest absolute value; 0 for an empty array."""
    # without the copy that abs() makes, and correct for the lowest integer too
    return max(abs(float(values.max())), abs(float(values.min()))) if values.size else 0.0


def _counting_errors(errors: str, counts: np.ndarray, first: int) -> np.ndarray:
    """Return the standard errors of counts: their square roots, and 1 for a count below 1."""
    if errors != "poisson":
        raise ValueError(f'errors must be an array, "poisson" for buckets that are counts, or None, not {errors!r}')
    _all_good("bucket", counts >= 0, first, "a count, 0 or more, for Poisson errors")
    return np.sqrt(np.maximum(counts, 1.0))


def _within(name: str, rows: np.ndarray, limit: float, first: int) -> None:
    if rows.dtype.kind != "f":
        return
    # both limits at once for each row: NaN is within no limits
    lowest, highest = rows.min(axis=1, initial=0), rows.max(axis=1, initial=0)
    _all_good(name, np.isfinite(lowest) & np.isfinite(highest), first, "finite")
    _all_good(name, (lowest >= -limit) & (highest <= limit), first, f"from -{limit:g} to {limit:g}, in another unit if need be")


def _all_good(name: str, good: Any, first: int, wanted: str) -> None:
    if not good.all():
        bad = first + np.flatnonzero(~good)
        listed = ", ".join(str(index) for index in bad[:5]) + (", ..." if len(bad) > 5 else "")
        raise ValueError(f"every {name} must be {wanted}; leave out realization {listed} ({len(bad)} in all)")
