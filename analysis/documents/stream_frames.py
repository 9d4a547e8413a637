"""The frames of one stream, with the numbers that the detector has written beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from analysis.documents.announced import AnnouncedRows
from analysis.documents.streams import Streams

FRAME = np.dtype([("number", "<i8"), ("time", "<f8"), ("row", "<i8")])
"""`time` of a frame is its row in the file: of two with one number the first counts."""


class StreamFrames:
    """Frames of one stream of a run. Several streams may lie in one file, one behind the other.

    HDF5 loses chunks of a data set that is open twice when it is refreshed: close one stream before pixels of another are read.

    Parameters
    ----------
    stream, image, number : str
        Name of the stream, and its data keys.
    folders : sequence of Path
        Where the detector's files may lie.
    shape : (H, W)
        Of a frame.

    Attributes
    ----------
    unreadable : int
        Frames whose number could not be read.
    """

    def __init__(self, stream: str, image: str, number: str, folders: Sequence[Path], shape: tuple[int, int]) -> None:
        self.stream = stream
        self.unreadable = 0
        self._image, self._number = image, number
        self._files = {image: AnnouncedRows(folders, shape), number: AnnouncedRows(folders, ())}
        self._told: dict[str, list[np.ndarray]] = {image: [], number: []}  # rows that were announced, and wait for the other

    def announced(self, streams: Streams) -> np.ndarray:
        """Frames that were announced since the last call, of which pixels and number are there: rows of `FRAME`."""
        for datum in streams.datums(self.stream):
            if datum.key in self._files:
                self._files[datum.key].announce(datum, streams.data_key(self.stream, datum.key))
                self._told[datum.key].append(np.arange(datum.first, datum.last))
        if not all(self._told.values()):
            return np.empty(0, dtype=FRAME)
        of_image, of_number = (np.unique(np.concatenate(rows)) for rows in self._told.values())
        both = np.intersect1d(of_image, of_number, assume_unique=True)
        rest = (np.setdiff1d(rows, both, assume_unique=True) for rows in (of_image, of_number))
        self._told = {key: [rows] if len(rows) else [] for key, rows in zip(self._told, rest, strict=True)}
        numbers, readable = self._files[self._number].read(both)
        self._files[self._number].close()  # another stream may lie in the same data set, which must be open once only
        self.unreadable += len(both) - len(readable)
        found = np.empty(len(readable), dtype=FRAME)
        found["number"], found["time"], found["row"] = numbers, readable, readable
        # A data set may be longer than frames were taken: its rest is filled with zeros.
        return found[found["number"] > 0]

    def pixels(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames (B, H, W) by sorted rows of the file, and the rows that could be read."""
        return self._files[self._image].read(rows)

    def windows(self, rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
        """All frames (B, H, W) that can be read, so many at a time."""
        for first in range(0, len(rows), size):
            frames, _ = self.pixels(rows[first : first + size])
            if len(frames):
                yield frames
        self.close()

    @property
    def problems(self) -> list[str]:
        """Why some could not be read."""
        return [file.problem for file in self._files.values() if file.problem]

    def close(self) -> None:
        """Close the file; it is opened again when it is read."""
        for file in self._files.values():
            file.close()
