"""The frames of one stream, with the numbers that the detector has written beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from analysis.documents.announced import AnnouncedRows
from analysis.documents.streams import Datum, Streams

FRAME = np.dtype([("number", "<i8"), ("time", "<f8"), ("row", "<i8")])
"""`time` of a frame is its row: of two frames with the same number, the first counts."""

_FILE_BITS = 40  # of a row's number, for the row within its file; the bits above hold the number of the file


class StreamFrames:
    """Frames of one stream of a run. Several streams may share a file, and one stream may extend over successive files.

    Rows are numbered through all files of the stream.

    HDF5 loses chunks of a data set that is open twice when it is refreshed: close one stream before reading pixels of
    another.

    Parameters
    ----------
    stream, image, number : str
        Name of the stream, and its data keys.
    folders : sequence of Path
        Folders in which the detector's files may be.
    shape : (H, W)
        Shape of a frame.

    Attributes
    ----------
    unreadable : int
        Frames whose number could not be read.
    """

    def __init__(self, stream: str, image: str, number: str, folders: Sequence[Path], shape: tuple[int, int]) -> None:
        self.stream = stream
        self.unreadable = 0
        self._image, self._number = image, number
        self._folders = folders
        self._shapes: dict[str, tuple[int, ...]] = {image: shape, number: ()}
        self._files: dict[str, dict[str, AnnouncedRows]] = {}  # the data sets of each file by key, the files by their paths
        self._told: dict[str, list[np.ndarray]] = {image: [], number: []}  # announced rows that wait for the other data key

    def announced(self, streams: Streams) -> np.ndarray:
        """Frames announced since the last call whose pixels and number are both there: rows of `FRAME`."""
        for datum in streams.datums(self.stream):
            if datum.key in self._shapes:
                file = self._file(datum)
                self._files[datum.resource["uri"]][datum.key].announce(datum, streams.data_key(self.stream, datum.key))
                self._told[datum.key].append((file << _FILE_BITS) + np.arange(datum.first, datum.last))
        if not all(self._told.values()):
            return np.empty(0, dtype=FRAME)
        of_image, of_number = (np.unique(np.concatenate(rows)) for rows in self._told.values())
        both = np.intersect1d(of_image, of_number, assume_unique=True)
        rest = (np.setdiff1d(rows, both, assume_unique=True) for rows in (of_image, of_number))
        self._told = {key: [rows] if len(rows) else [] for key, rows in zip(self._told, rest, strict=True)}
        numbers, readable = self._read(self._number, both)
        for one in self._files.values():
            one[self._number].close()  # another stream may use the same data set, which must be open only once
        self.unreadable += len(both) - len(readable)
        found = np.empty(len(readable), dtype=FRAME)
        found["number"], found["time"], found["row"] = numbers, readable, readable
        # A data set may be longer than the number of frames: its rest is filled with zeros.
        return found[found["number"] > 0]

    def pixels(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames (B, H, W) by sorted rows, and the rows that could be read."""
        return self._read(self._image, rows)

    def windows(self, rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
        """All frames (B, H, W) that can be read, at most `size` at a time."""
        for first in range(0, len(rows), size):
            frames, _ = self.pixels(rows[first : first + size])
            if len(frames):
                yield frames
        self.close()

    @property
    def problems(self) -> list[str]:
        """Reasons why some could not be read."""
        return [data.problem for file in self._files.values() for data in file.values() if data.problem]

    def close(self) -> None:
        """Close the file; it is opened again at the next read."""
        for file in self._files.values():
            for data in file.values():
                data.close()

    def _file(self, datum: Datum) -> int:
        """The number of a datum's file among those of the stream, from 0."""
        uri = datum.resource["uri"]
        if uri not in self._files:
            self._files[uri] = {key: AnnouncedRows(self._folders, shape) for key, shape in self._shapes.items()}
        return list(self._files).index(uri)

    def _read(self, key: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The values of sorted rows, and the rows that could be read."""
        parts = []
        for number, file in enumerate(self._files.values()):
            first, last = np.searchsorted(rows, (number << _FILE_BITS, number + 1 << _FILE_BITS))
            if first < last:
                values, readable = file[key].read(rows[first:last] - (number << _FILE_BITS))
                parts.append((values, readable + (number << _FILE_BITS)))
        if not parts:
            return np.empty((0, *self._shapes[key])), np.empty(0, dtype=np.int64)
        values, readable = zip(*parts, strict=True)
        return (np.concatenate(values), np.concatenate(readable)) if len(parts) > 1 else parts[0]
