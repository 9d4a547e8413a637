"""Reconstruction of data that are all there: the streaming methods fed at once."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from .estimate import Progress, Result
from .inputs import rows_at_once
from .registry import make_reconstructor


def reconstruct(
    masks: np.ndarray,
    buckets: np.ndarray,
    method: str = "n2g",
    *,
    errors: np.ndarray | None = None,
    nonnegative: bool = True,
    seed: int = 0,
    device: str = "cpu",
    time_budget_s: float | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Result:
    """Return the image that masks and buckets tell of.

    Parameters
    ----------
    masks : array, (M, H, W)
        Transmission of each mask; integer and boolean masks are taken as they are. Anything with a shape and slices will do,
        as a memory-mapped array or a dataset of h5py's: it is read block by block and never held as a whole.
    buckets : array, (M,) or (C, M)
        The single-pixel signal of each realization, y = sum_n w_n x_n + noise; or of C channels.
    method : str
        A key of `METHODS`.
    errors : array, like `buckets`, optional
        Standard errors of the buckets; realizations then count by their precision, where the method can.
    nonnegative : bool
        Whether the object is known to be nowhere negative. Linear methods make no use of it.
    seed : int
    device : str
    time_budget_s : float, optional
        Wall time that the reconstruction should not exceed; iterative methods then do fewer steps, and say so
        in the result's options. The fast methods take no notice.
    progress : callable, optional
        Called now and then with the fraction done, 0 to 1.
    **options
        The method's own options, see ``METHODS[method].defaults``.

    Returns
    -------
    Result
        Image and spread in float32, (H, W) or (C, H, W).

    Raises
    ------
    ValueError
        Unknown method or option, and data that make no sense; the message names what and where.
    """
    # what lies in a file stays there
    masks = masks if hasattr(masks, "shape") and hasattr(masks, "dtype") else np.asarray(masks)
    buckets = np.asarray(buckets)
    if masks.ndim != 3:
        raise ValueError(f"masks must have the shape (realizations, height, width), not {masks.shape}")
    if buckets.ndim not in (1, 2):
        raise ValueError(f"buckets must have the shape (realizations,) or (channels, realizations), not {buckets.shape}")
    if buckets.ndim == 2:
        if len(buckets) == 0:
            raise ValueError("buckets of no channel: give (realizations,) or (channels, realizations)")
        if time_budget_s is not None:
            time_budget_s /= len(buckets)
    if time_budget_s is not None and not time_budget_s > 0:
        raise ValueError(f"time_budget_s must be above 0 seconds, not {time_budget_s!r}")

    if len(masks) != buckets.shape[-1]:
        raise ValueError(f"{len(masks)} masks but {buckets.shape[-1]} buckets: every realization is one mask and its bucket")
    if errors is not None and np.shape(errors) != buckets.shape:
        raise ValueError(f"errors must have the buckets' shape {buckets.shape}, not {np.shape(errors)}")

    started = time.monotonic()
    rows = rows_at_once(max(1, masks.shape[1] * masks.shape[2]))
    channels = np.atleast_2d(buckets)
    sigmas = [None] * len(channels) if errors is None else list(np.atleast_2d(errors))
    estimates, used = [], []
    for index, (values, sigma) in enumerate(zip(channels, sigmas, strict=True)):
        reconstructor = make_reconstructor(
            method, shape=masks.shape[1:], expected=len(masks), nonnegative=nonnegative, seed=seed, device=device, **options
        )
        for start in range(0, len(masks), rows):
            part = slice(start, start + rows)
            reconstructor.update(masks[part], values[part], None if sigma is None else sigma[part])
        if time_budget_s is not None:
            reconstructor.limit_time(time_budget_s)
        estimates.append(reconstructor.finish(_part(progress, index, len(channels))))
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


def _part(progress: Progress | None, index: int, number: int) -> Progress | None:
    if progress is None:
        return None
    return lambda fraction: progress((index + fraction) / number)
