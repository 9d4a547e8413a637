"""Writes frames into an HDF5 file that others read while it grows, laid out as by areaDetector's NDFileHDF5."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import bitshuffle
import h5py
import hdf5plugin
import numpy as np

FRAMES = "/entry/data/data"
NUMBERS = "/entry/instrument/NDAttributes/NDArrayUniqueId"
TIMES = "/entry/instrument/NDAttributes/NDArrayTimeStamp"
EPOCH_1990_S = 631_152_000
"""1990-01-01 UTC, where EPICS time begins, in s since 1970."""
CHUNK = 64
"""Number of frames of the pixel detector in one chunk of the file, and of frame numbers of every detector."""
_FLUSH_S = 0.1
_BLOCK = 4096  # elements that bitshuffle compresses together


class FrameWriter:
    """One file of frames: bitshuffle-LZ4, single writer and multiple readers (SWMR).

    Parameters
    ----------
    path : Path
        The file to make; it must not exist.
    shape : pair of int
        Rows and columns of a frame.
    flush_s : float
        Longest time in s for which appended frames stay unreadable while more are appended; a caller with nothing to append
        calls `flush_when_due`.
    frames_per_chunk : int
        Frames in one chunk.

    Raises
    ------
    OSError
        From the constructor and from every method that writes: the file exists, its folder does not, or the disk is full.

    Notes
    -----
    `/entry/data/data` is (N, H, W) uint16. Beside it are NDArrayUniqueId, int64, and NDArrayTimeStamp, float64, s since
    1990-01-01 UTC, with one entry per frame. Chunks are compressed here and handed to HDF5 as they are, which is twice as
    fast as its own filters. A chunk that must be readable before it is full is written again when more frames have arrived;
    SWMR keeps the old one in the file for readers that may be using it.
    """

    def __init__(self, path: Path, shape: tuple[int, int], flush_s: float = _FLUSH_S, frames_per_chunk: int = CHUNK):
        self._flush_s = flush_s
        self._chunk = np.zeros((frames_per_chunk, *shape), np.uint16)
        self._rows: dict[str, list[np.ndarray]] = {NUMBERS: [], TIMES: []}
        self._appended = self._flushed = 0
        self._flush_at = float("inf")  # nothing to flush
        self._file = h5py.File(path, "x", libver="latest")
        for group, kind in _GROUPS.items():
            self._file.create_group(group).attrs["NX_class"] = kind
        frames = self._file.create_dataset(
            FRAMES,
            shape=(0, *shape),
            maxshape=(None, *shape),
            chunks=self._chunk.shape,
            dtype="<u2",
            **hdf5plugin.Bitshuffle(cname="lz4", nelems=_BLOCK),
        )
        self._file["/entry/data"].attrs["signal"] = "data"
        self._file["/entry/instrument/detector/data"] = frames  # the name that NeXus readers look for
        for name, dtype in ((NUMBERS, "<i8"), (TIMES, "<f8")):
            self._file.create_dataset(name, shape=(0,), maxshape=(None,), chunks=(CHUNK,), dtype=dtype)
        self._file.swmr_mode = True
        self._frames = self._file[FRAMES]

    @property
    def count(self) -> int:
        """Number of frames that can be read by now, that is, that were flushed."""
        return self._flushed

    def append(self, frames: np.ndarray, numbers: np.ndarray, times: np.ndarray) -> None:
        """Write frames; they become readable when they are flushed.

        Parameters
        ----------
        frames : array, shape (n, H, W), uint16
        numbers : array, shape (n,), int64
            Number of the trigger of each frame.
        times : array, shape (n,), float64
            Time of each frame, in s since 1990-01-01 UTC.
        """
        if not len(frames) == len(numbers) == len(times):
            raise ValueError(f"{len(frames)} frames came with {len(numbers)} numbers and {len(times)} times")
        if frames.shape[1:] != self._chunk.shape[1:] or frames.dtype != np.uint16:
            raise ValueError(f"frames must be (n, {self._chunk.shape[1:]}) uint16, not {frames.shape} {frames.dtype}")
        if self._appended == self._flushed and len(frames):
            self._flush_at = time.monotonic() + self._flush_s
        self._rows[NUMBERS].append(numbers)
        self._rows[TIMES].append(times)
        done, chunk = 0, len(self._chunk)
        while done < len(frames):
            begin = self._appended % chunk
            part = frames[done : done + chunk - begin]
            if len(part) == chunk:
                self._write(self._appended, part)
            else:
                self._chunk[begin : begin + len(part)] = part
                self._chunk[begin + len(part) :] = 0
                if begin + len(part) == chunk:
                    self._write(self._appended - begin, self._chunk)
            self._appended += len(part)
            done += len(part)
        self.flush_when_due()

    def flush_when_due(self) -> None:
        """Flush if a frame has waited for `flush_s`."""
        if time.monotonic() >= self._flush_at:
            self.flush()

    def flush(self) -> None:
        """Make everything that was appended readable."""
        if self._appended == self._flushed:
            return
        if behind := self._appended % len(self._chunk):
            self._write(self._appended - behind, self._chunk)
        self._frames.resize(self._appended, axis=0)
        self._frames.flush()
        for name, parts in self._rows.items():
            column = self._file[name]
            column.resize(self._appended, axis=0)
            column[self._flushed :] = np.concatenate(parts)
            column.flush()
            parts.clear()
        self._flushed = self._appended
        self._flush_at = float("inf")

    def close(self) -> None:
        """Flush and close."""
        try:
            self.flush()
        finally:
            self._file.close()

    def _write(self, first: int, chunk: np.ndarray) -> None:
        if first >= self._frames.shape[0]:
            # Space for the whole chunk; `flush` cuts it to the number of frames.
            self._frames.resize(first + len(self._chunk), axis=0)
        compressed = bitshuffle.compress_lz4(np.ascontiguousarray(chunk), _BLOCK)
        header = struct.pack(">qi", chunk.nbytes, _BLOCK * chunk.itemsize)
        self._frames.id.write_direct_chunk((first, 0, 0), header + compressed.tobytes())


_GROUPS = {
    "/entry": "NXentry",
    "/entry/data": "NXdata",
    "/entry/instrument": "NXinstrument",
    "/entry/instrument/detector": "NXdetector",
    "/entry/instrument/NDAttributes": "NXcollection",
}
