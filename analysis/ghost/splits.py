"""The sub-reconstructions of Noise2Ghost: least-squares images from splits of permuted realizations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from .conjugate_gradients import least_squares_images
from .masks import MaskRows

_RIDGE = 1e-6
"""Relative to the masks' mean squared norm: keeps the system solvable if masks are repeated."""


@dataclass(frozen=True, eq=False)
class Splits:
    """K splits of each of P permutations of the realizations.

    Attributes
    ----------
    images : float64 array, (P K, N)
        x_pk = W_pk^+ y_pk, eq. 5.
    targets : bool array, (P K, M)
        Realizations that x_pk does not contain: those of the other splits of its permutation.
    """

    images: np.ndarray
    targets: np.ndarray


def split(
    masks: np.ndarray | MaskRows, buckets: np.ndarray, splits: int, permutations: int, generator: np.random.Generator
) -> Splits:
    """Return the sub-reconstructions of masks (M, N) and buckets (M,)."""
    count = len(buckets)
    if not 2 <= splits <= count:
        raise ValueError(f"splits must be from 2 to the number of realizations, {count}, not {splits}")
    targets = np.ones((permutations * splits, count), dtype=bool)
    for permutation in range(permutations):
        shuffled = generator.permutation(count)
        for number in range(splits):
            targets[permutation * splits + number, shuffled[number::splits]] = False
    return Splits(_least_squares(masks, buckets, ~targets), targets)


def permutations_of(number: int, *, live: bool) -> int:
    """Return how many permutations to draw: half of `number` for a live estimate, because each estimate uses different ones."""
    return -(-number // 2) if live else number


def pseudo_inverse(masks: np.ndarray | MaskRows, buckets: np.ndarray) -> np.ndarray:
    """Return the least-squares image (N,) of all realizations, W^+ y, for masks (M, N) and buckets (M,)."""
    return _least_squares(masks, buckets, np.ones((1, len(buckets)), dtype=bool))[0]


def _least_squares(masks: np.ndarray | MaskRows, buckets: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the least-squares images, float64 (S, N), from the realizations in each row of `known` (S, M)."""
    if isinstance(masks, MaskRows):
        return least_squares_images(masks, buckets, known.astype(np.float64), _RIDGE * float(masks.squares.mean()))
    rows = masks.astype(np.float64)
    kernel = _kernel(rows)
    coefficients = np.zeros(known.shape)
    for index, members in enumerate(map(np.flatnonzero, known)):
        part = kernel[np.ix_(members, members)]
        coefficients[index, members] = linalg.solve(part, buckets[members], assume_a="pos", check_finite=False)
    return coefficients @ rows


def _kernel(rows: np.ndarray) -> np.ndarray:
    kernel = rows @ rows.T
    kernel[np.diag_indices_from(kernel)] += _RIDGE * np.trace(kernel) / len(rows)
    return kernel
