"""The kernel of the masks, K = W W' + c, and its Cholesky factor, both extended as realizations arrive."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from .groups import BLOCK


class GrowingKernel:
    """Cholesky factor L of K = W W' + ridge * s (M, M), extended by a block of rows at a time.

    A block of B rows after M others costs B M (N + M) operations; existing rows are never factored again. The minimum-norm
    least-squares image is W' K^-1 y in the limit of no ridge, for M below, at or above N and for repeated masks; the ridge
    keeps K invertible. s is the mean squared norm of the first masks that are not dark.

    Parameters
    ----------
    ridge : float
        Ridge in units of the masks' mean squared norm.
    """

    def __init__(self, ridge: float) -> None:
        self._ridge = ridge
        self._constant = 0.0
        self._count = 0
        self._factor = np.zeros((0, 0))

    def __len__(self) -> int:
        return self._count

    @property
    def factor(self) -> np.ndarray:
        """Lower triangular L, float64 (M, M), L L' = K; a view."""
        return self._factor[: self._count, : self._count]

    def extend(self, rows: np.ndarray, before: np.ndarray) -> None:
        """Add masks `rows` (B, N) after `before` (M, N), the existing masks in order."""
        rows = rows.astype(np.float64)
        own = rows @ rows.T
        if self._constant == 0.0:
            # only dark masks: any constant will do, because their part of the factor stays separate from the rest
            self._constant = self._ridge * mean_of_lit(np.diag(own))
        own[np.diag_indices_from(own)] += self._constant or 1.0
        count, end = self._count, self._count + len(rows)
        if end > len(self._factor):
            larger = np.zeros((max(end, 2 * len(self._factor)),) * 2)
            larger[:count, :count] = self.factor
            self._factor = larger
        if count:
            cross = rows @ before.astype(np.float64).T
            below = linalg.solve_triangular(self.factor, cross.T, lower=True, check_finite=False).T
            own -= below @ below.T
            self._factor[count:end, :count] = below
        self._factor[count:end, count:end] = linalg.cholesky(own, lower=True, check_finite=False)
        self._count = end

    def copy(self) -> GrowingKernel:
        """Return an independent copy."""
        twin = GrowingKernel(self._ridge)
        twin._constant, twin._count, twin._factor = self._constant, self._count, self.factor.copy()
        return twin

    def inverse(self) -> np.ndarray:
        """Return K^-1, float64 (M, M)."""
        lower = linalg.lapack.dpotri(self.factor.T, lower=0)[0]
        return np.triu(lower) + np.triu(lower, 1).T


def mean_of_lit(squares: np.ndarray) -> float:
    """Return the mean squared norm of the non-dark masks in the first block that has any, from all squared norms (M,)."""
    for start in range(0, len(squares), BLOCK):
        block = squares[start : start + BLOCK]
        if block.any():
            return float(block[block > 0].mean())
    return 0.0


def without_groups(inverse: np.ndarray, solution: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave out a group of realizations from a solved kernel system, K a = y.

    Parameters
    ----------
    inverse : (M, M)
        K^-1.
    solution : (M,)
        a = K^-1 y.
    group : int array, (G,)
        Realizations to leave out.

    Returns
    -------
    without : (M,)
        The solution of the system without the group's rows and columns; 0 for the group.
    residual : (G,)
        Buckets of the group minus their predictions by the image from all other realizations.
    """
    residual = linalg.solve(inverse[np.ix_(group, group)], solution[group], assume_a="pos", check_finite=False)
    without = solution - inverse[:, group] @ residual
    without[group] = 0.0
    return without, residual
