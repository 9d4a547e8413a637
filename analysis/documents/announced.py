"""The rows of one data set of a detector's file, as far as a run's documents have announced them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.frames import FrameFile, FramesUnreadable, path_of
from analysis.documents.refusal import RunRefused
from analysis.documents.streams import Datum

WINDOW = 256
"""Frames that are read at a time."""


class AnnouncedRows:
    """One data set of the detector's file, as far as its rows were announced.

    Parameters
    ----------
    folders : sequence of Path
        Folders in which the file may be.
    shape : tuple of int
        Shape of a row: (H, W), or () for a number.

    Attributes
    ----------
    rows : int
        Number of announced rows.
    problem : str or None
        Why some of them could not be read.
    """

    def __init__(self, folders: Sequence[Path], shape: tuple[int, ...]) -> None:
        self.rows = 0
        self.problem: str | None = None
        self._folders = folders
        self._shape = shape
        self._resource: Mapping[str, Any] | None = None
        self._data_key: Mapping[str, Any] = {}
        self._file: FrameFile | None = None

    def announce(self, datum: Datum, data_key: Mapping[str, Any]) -> None:
        """Take note of further rows.

        Raises
        ------
        RunRefused
            If they are in a different file from those before.
        """
        if self._resource is not None and datum.resource["uid"] != self._resource["uid"]:
            raise RunRefused(f"{datum.key} lies in more than one file, here {datum.resource['uri']}: write one file a run")
        self._resource, self._data_key = datum.resource, data_key
        self.rows = max(self.rows, datum.last)

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The values of sorted row numbers, and the row numbers that could be read."""
        parts, readable = [], []
        for first, last in _runs_of(rows):
            for block in self._blocks(first, last):
                values, numbers = block
                wanted = np.isin(numbers, rows)
                parts.append(values if wanted.all() else values[wanted])
                readable.append(numbers[wanted])
        if not parts:
            return np.empty((0, *self._shape)), np.empty(0, dtype=np.int64)
        return np.concatenate(parts) if len(parts) > 1 else parts[0], np.concatenate(readable)

    def beside(self, dataset: str) -> np.ndarray:
        """A data set (H, W) of the same file."""
        assert self._resource is not None, "nothing is read before it is announced"
        try:
            with FrameFile(path_of(self._resource), dataset, self._folders, shape=self._shape[1:]) as file:
                return file.read(0, self._shape[0])
        except FramesUnreadable as error:
            raise ValueError(str(error)) from error

    def _blocks(self, first: int, last: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows first to last - 1 at once; after a failure one by one, and without further waiting."""
        if self.problem is None:
            try:
                yield self._opened().read(first, last), np.arange(first, last)
                return
            except FramesUnreadable as error:
                self.problem = str(error)
                self.close()
                self._file = None  # the next read does not wait
        for row in range(first, last):
            try:
                yield self._opened().read(row, row + 1), np.array([row])
            except FramesUnreadable:
                continue

    def _opened(self) -> FrameFile:
        if self._file is None:
            assert self._resource is not None, "nothing is read before it is announced"
            patience = {} if self.problem is None else {"patience_s": 0.0}
            file = FrameFile.of(self._resource, self._data_key, self._folders, **patience)
            if file.shape != self._shape:
                file.close()
                raise FramesUnreadable(f"{file}: they are {file.shape}, the run's start document says {self._shape}")
            self._file = file
        return self._file

    def close(self) -> None:
        """Close the file; it is opened again at the next read."""
        if self._file is not None:
            self._file.close()


def _runs_of(rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges that cover sorted numbers and contain few rows that are not requested."""
    if not len(rows):
        return
    edges = np.flatnonzero(np.diff(rows) > WINDOW) + 1
    for part in np.split(rows, edges):
        for first in range(int(part[0]), int(part[-1]) + 1, WINDOW):
            yield first, min(first + WINDOW, int(part[-1]) + 1)
