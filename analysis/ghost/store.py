"""Realizations kept in memory, in a growing store."""

from __future__ import annotations

import numpy as np

from .masks import MaskRows, Masks

MOST_REALIZATIONS = 2048
MOST_ENTRIES = 2**25
"""Up to this size of M and of M N, methods solve M x M systems directly; beyond it, they iterate with products by the masks."""


class Store:
    """Masks and buckets in order of arrival.

    Parameters
    ----------
    pixels : int
        Pixels N of a mask.
    expected : int, optional
        Number of realizations for which to reserve memory.

    Attributes
    ----------
    matrix : Masks
        W (M, N), kept compactly.
    """

    def __init__(self, pixels: int, expected: int | None = None) -> None:
        self.matrix = Masks(pixels)
        self._buckets = np.empty(max(int(expected or 0), 64))
        self._errors = np.empty(len(self._buckets))
        self._with_errors: bool | None = None
        self._dense: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.matrix)

    def append(self, masks: np.ndarray, buckets: np.ndarray, errors: np.ndarray | None) -> None:
        """Keep a batch; errors must come with every batch or with none."""
        if self._with_errors is None:
            self._with_errors = errors is not None
        if self._with_errors is not (errors is not None):
            raise ValueError("errors must be given for every realization or for none")
        start, end = len(self), len(self) + len(buckets)
        if end > len(self._buckets):
            room = max(end, 2 * len(self._buckets))
            self._buckets, self._errors = (np.resize(values, room) for values in (self._buckets, self._errors))
        self.matrix.append(masks)
        self._dense = None
        self._buckets[start:end] = buckets
        self._errors[start:end] = 1.0 if errors is None else errors

    @property
    def is_large(self) -> bool:
        """Whether M x M systems, and dense masks, are too large."""
        return len(self) > MOST_REALIZATIONS or len(self) * self.matrix.pixels > MOST_ENTRIES

    @property
    def masks(self) -> np.ndarray:
        """Masks, float32 (M, N), kept until more arrive: for problems that are not large."""
        if self._dense is None:
            self._dense = self.matrix.dense()
        return self._dense

    def rows(self, chosen: np.ndarray) -> np.ndarray | MaskRows:
        """Return the masks selected by bool (M,), an array (M', N) unless the problem is large."""
        return MaskRows(self.matrix, np.flatnonzero(chosen)) if self.is_large else self.masks[chosen]

    @property
    def buckets(self) -> np.ndarray:
        """Buckets, float64 (M,); a view."""
        return self._buckets[: len(self)]

    @property
    def errors(self) -> np.ndarray:
        """Standard errors of the buckets, float64 (M,), 1 where none were given; a view."""
        return self._errors[: len(self)]
