"""The sub-reconstructions of Noise2Ghost: least-squares images from splits of permuted realizations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

_RIDGE = 1e-6
"""Relative to the masks' mean squared norm: keeps repeated masks solvable."""


@dataclass(frozen=True, eq=False)
class Splits:
    """K splits of each of P permutations of the realizations.

    Attributes
    ----------
    images : float64 array, (P K, N)
        x_pk = W_pk^+ y_pk, eq. 5.
    targets : bool array, (P K, M)
        Realizations that x_pk does not know: those of the other splits of its permutation.
    """

    images: np.ndarray
    targets: np.ndarray


def split(masks: np.ndarray, buckets: np.ndarray, splits: int, permutations: int, generator: np.random.Generator) -> Splits:
    """Return the sub-reconstructions of masks (M, N) and buckets (M,)."""
    count = len(buckets)
    if not 2 <= splits <= count:
        raise ValueError(f"splits must be from 2 to the number of realizations, {count}, not {splits}")
    rows = masks.astype(np.float64)
    kernel = _kernel(rows)
    coefficients = np.zeros((permutations * splits, count))
    targets = np.ones(coefficients.shape, dtype=bool)
    for permutation in range(permutations):
        shuffled = generator.permutation(count)
        for number in range(splits):
            members, index = np.sort(shuffled[number::splits]), permutation * splits + number
            part = kernel[np.ix_(members, members)]
            coefficients[index, members] = linalg.solve(part, buckets[members], assume_a="pos", check_finite=False)
            targets[index, members] = False
    return Splits(coefficients @ rows, targets)


def pseudo_inverse(masks: np.ndarray, buckets: np.ndarray) -> np.ndarray:
    """Return the least-squares image (N,) of all realizations, W^+ y, for masks (M, N) and buckets (M,)."""
    rows = masks.astype(np.float64)
    return linalg.solve(_kernel(rows), buckets, assume_a="pos", check_finite=False) @ rows


def _kernel(rows: np.ndarray) -> np.ndarray:
    kernel = rows @ rows.T
    kernel[np.diag_indices_from(kernel)] += _RIDGE * np.trace(kernel) / len(rows)
    return kernel
