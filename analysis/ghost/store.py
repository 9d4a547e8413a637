"""Realizations kept in memory, growing."""

from __future__ import annotations

import numpy as np


class Store:
    """Masks and buckets in the order they came.

    Parameters
    ----------
    pixels : int
        Pixels N of a mask.
    expected : int, optional
        Realizations to make room for at once.
    """

    def __init__(self, pixels: int, expected: int | None = None) -> None:
        self._masks = np.empty((max(int(expected or 0), 64), pixels), dtype=np.float32)
        self._buckets = np.empty(len(self._masks))
        self._errors = np.empty(len(self._masks))
        self._with_errors: bool | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, masks: np.ndarray, buckets: np.ndarray, errors: np.ndarray | None) -> None:
        """Keep a batch; errors must come with every batch or with none."""
        if self._with_errors is None:
            self._with_errors = errors is not None
        if self._with_errors is not (errors is not None):
            raise ValueError("errors must be given for every realization or for none")
        end = self._count + len(buckets)
        if end > len(self._masks):
            room = max(end, 2 * len(self._masks))
            self._masks = _grown(self._masks, room, self._count)
            self._buckets = _grown(self._buckets, room, self._count)
            self._errors = _grown(self._errors, room, self._count)
        self._masks[self._count : end] = masks
        self._buckets[self._count : end] = buckets
        self._errors[self._count : end] = 1.0 if errors is None else errors
        self._count = end

    @property
    def masks(self) -> np.ndarray:
        """Masks, float32 (M, N); a view."""
        return self._masks[: self._count]

    @property
    def buckets(self) -> np.ndarray:
        """Buckets, float64 (M,); a view."""
        return self._buckets[: self._count]

    @property
    def errors(self) -> np.ndarray:
        """Standard errors of the buckets, float64 (M,), 1 where none were given; a view."""
        return self._errors[: self._count]


def _grown(array: np.ndarray, room: int, used: int) -> np.ndarray:
    larger = np.empty((room, *array.shape[1:]), dtype=array.dtype)
    larger[:used] = array[:used]
    return larger
