"""A selection of the masks of a set, in any order."""

from __future__ import annotations

import numpy as np


class ChosenMasks:
    """Masks by their numbers in a set, read block by block: no copy of all of them is made.

    Parameters
    ----------
    patterns : array, (K, H, W)
        The set.
    indices : int array, (M,)
    complements : int array, (M,), optional
        Masks that are subtracted from them.
    """

    def __init__(self, patterns: np.ndarray, indices: np.ndarray, complements: np.ndarray | None = None) -> None:
        self._patterns, self._indices, self._complements = patterns, indices, complements
        self.shape = (len(indices), *patterns.shape[1:])
        self.ndim, self.dtype = patterns.ndim, patterns.dtype if complements is None else np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, part: slice) -> np.ndarray:
        chosen = self._patterns[self._indices[part]]
        if self._complements is None:
            return np.asarray(chosen)
        return np.subtract(chosen, self._patterns[self._complements[part]], dtype=np.float32)
