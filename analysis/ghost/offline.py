"""Reconstruction of complete data: the streaming methods receive all realizations at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from .estimate import Progress, Result
from .inputs import Errors, checked_buckets, checked_seconds, real, rows_at_once
from .reconstructor import Reconstructor, TimeBudgetTooShort
from .registry import check_recipe, make_reconstructor


def reconstruct(
    masks: Any,
    buckets: np.ndarray,
    method: str = "n2g",
    *,
    errors: Errors = None,
    nonnegative: bool = True,
    seed: int = 0,
    device: str = "cpu",
    time_budget_s: float | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Result:
    """Reconstruct an image from masks and buckets.

    Parameters
    ----------
    masks : array, (M, H, W)
        Transmission of each mask; integer and boolean masks are used without conversion. Any object with a shape and slices
        will do, such as a memory-mapped array or a dataset of h5py: it is read block by block and never held in memory as a
        whole.
    buckets : array, (M,) or (C, M)
        The single-pixel signal of each realization, y = sum_n w_n x_n + noise; or of C channels.
    method : str
        A key of `METHODS`.
    errors : array, like `buckets`, or "poisson", optional
        Standard errors of the buckets; realizations are then weighted by their precision, if the method supports it.
        "poisson" is for buckets that are counts: their errors are the square roots of the counts, and 1 for counts below 1.
    nonnegative : bool
        Whether the object is known to be nowhere negative. Linear methods do not use it.
    seed : int
    device : str
    time_budget_s : float, optional
        Wall time that the reconstruction should not exceed; iterative methods then do fewer steps, as noted in the result's
        options. The fast methods ignore it. Infinity means no limit.
    progress : callable, optional
        Called from time to time with the completed fraction, 0 to 1.
    **options
        The method's own options, see ``METHODS[method].defaults``.

    Returns
    -------
    Result
        Image and spread in float32, (H, W) or (C, H, W).

    Raises
    ------
    ValueError
        Unknown method or option, or invalid data; the message names the problem and its place.
    MemoryError
        The masks do not fit into memory; the message names their size and the remedy.
    """
    if np.ma.isMaskedArray(masks) or not (hasattr(masks, "shape") and hasattr(masks, "dtype")):  # data in a file stay there
        masks = real("masks", masks)
    buckets = real("buckets", buckets)
    if masks.ndim != 3:
        raise ValueError(f"masks must have the shape (realizations, height, width), not {masks.shape}")
    if buckets.ndim not in (1, 2):
        raise ValueError(f"buckets must have the shape (realizations,) or (channels, realizations), not {buckets.shape}")
    if len(buckets) == 0 and buckets.ndim == 2:
        raise ValueError("buckets hold no channel: give (realizations,) or (channels, realizations)")
    if buckets.shape[-1] != len(masks):
        turned = "; turn them, .T" if buckets.ndim == 2 and len(buckets) == len(masks) else ""
        raise ValueError(
            f"{len(masks)} masks but {buckets.shape[-1]} buckets: every realization is one mask and its bucket{turned}"
        )
    if len(masks) == 0:
        raise ValueError("there are no realizations: give at least one mask and its bucket")
    if not (errors is None or isinstance(errors, str)):
        errors = real("errors", errors)
        if errors.shape != buckets.shape:
            raise ValueError(f"errors must have the buckets' shape {buckets.shape}, not {errors.shape}")
    check_recipe(method, options)
    if progress is not None and not callable(progress):
        raise ValueError(f"progress must be a function that takes the fraction done, not {progress!r}")
    seconds = np.inf if time_budget_s is None else checked_seconds(time_budget_s)

    started = time.monotonic()
    channels = np.atleast_2d(buckets)
    errors_of = list(np.atleast_2d(errors)) if isinstance(errors, np.ndarray) else [errors] * len(channels)
    if buckets.ndim == 2:
        _check_each(channels, errors_of)  # before time is spent on the first channel
    estimates, used = [], []
    for index, values in enumerate(channels):
        reconstructor = make_reconstructor(
            method, shape=masks.shape[1:], expected=len(masks), nonnegative=nonnegative, seed=seed, device=device, **options
        )
        if seconds < np.inf:
            reconstructor.limit_time(seconds / len(channels))
        _feed(reconstructor, masks, values, errors_of[index])
        try:
            estimates.append(reconstructor.finish(_part(progress, index, len(channels))))
        except TimeBudgetTooShort as error:
            raise TimeBudgetTooShort(error.reason, error.needed_s * len(channels)) from None
        used.append(reconstructor.options)
    single = buckets.ndim == 1
    return Result(
        image=estimates[0].image if single else np.stack([estimate.image for estimate in estimates]),
        spread=estimates[0].spread if single else np.stack([estimate.spread for estimate in estimates]),
        heldout_loss=estimates[0].heldout_loss if single else [estimate.heldout_loss for estimate in estimates],
        figures=estimates[0].figures if single else [estimate.figures for estimate in estimates],
        method=method,
        options=used[0] if single else used,
        seed=seed,
        update_points=[len(masks)],
        elapsed_s=time.monotonic() - started,
    )


def _check_each(channels: np.ndarray, errors: Sequence[Errors]) -> None:
    for number, (buckets, sigmas) in enumerate(zip(channels, errors, strict=True)):
        try:
            checked_buckets(buckets, sigmas)
        except ValueError as error:
            raise ValueError(f"channel {number}: {error}") from None


def _feed(reconstructor: Reconstructor, masks: np.ndarray, buckets: np.ndarray, errors: Errors) -> None:
    """Pass all realizations to `reconstructor`, a limited number at a time, so that a file of masks is never in memory whole."""
    step = rows_at_once(max(1, masks.shape[1] * masks.shape[2]))
    for first in range(0, len(masks), step):
        part = slice(first, first + step)
        reconstructor.update(masks[part], buckets[part], errors[part] if isinstance(errors, np.ndarray) else errors)


def _part(progress: Progress | None, index: int, number: int) -> Progress | None:
    if progress is None:
        return None
    return lambda fraction: progress((index + fraction) / number)
