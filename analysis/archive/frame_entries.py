"""The entries of an array in Tiled as rows of a detector's file: an entry may consist of several rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from analysis.documents.frames import PATIENCE_S, FrameFile, FramesRefused, path_of

MIMETYPE = "application/x-hdf5"


class FrameEntries:
    """The data set behind an array that Tiled serves. A context manager.

    Parameters
    ----------
    uri : str
        The file.
    dataset : str
        The data set in it.
    allowed : sequence of Path
        Folders in which, or below which, the file may be.
    shape : tuple of int
        Shape of one entry: (H, W), or (n, H, W) if a scan point has n frames.
    dtype : dtype
        Required type of the data set.
    patience_s : float
        How long to wait for data that are not there yet.

    Raises
    ------
    FramesUnreadable
        If the file cannot be read; `FramesRefused` if reading it is not allowed, or its content is not as expected.
    """

    def __init__(
        self,
        uri: str,
        dataset: str,
        allowed: Sequence[Path],
        *,
        shape: tuple[int, ...],
        dtype: Any,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._shape = shape
        self._file = FrameFile(path_of({"uri": uri}), dataset, allowed, dtype=dtype, patience_s=patience_s)
        self._rows, odd = divmod(math.prod(shape), math.prod(self._file.shape))
        if odd or not self._rows:
            self._file.close()
            raise FramesRefused(f"{self._file}: a row of it is {self._file.shape}, the run announced {shape}")

    def read(self, first: int, last: int) -> np.ndarray:
        """Read entries first to last - 1; (last - first, ...).

        Raises
        ------
        FramesUnreadable
            If they do not appear in time, or are damaged.
        """
        return self._file.read(first * self._rows, last * self._rows).reshape(last - first, *self._shape)

    def __len__(self) -> int:
        """Number of entries that are in the file now."""
        return len(self._file) // self._rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
