"""Frames in their HDF5 file, read row by row, also while the detector writes them.

A run's documents give the location of the file and the number of frames that have been flushed; the pixels are only in the
file. The reader trusts that number, never the length of the data set, which may exceed the number of frames. Memory is
limited to the rows requested at once and one chunk of the file.

The files come from outside: they must be in an allowed folder, and constructs that make HDF5 read other files are refused.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import unquote, urlparse

import h5py
import hdf5plugin  # noqa: F401  lets h5py read compressed data sets
import numpy as np

from analysis.documents.own_data import DataElsewhere, own_dataset

T = TypeVar("T")

PATIENCE_S = 5.0
"""How long a file, or announced frames, may take to appear: file servers show new data late."""

_POLL_S = 0.05
_LARGEST_CHUNK = 2**28  # bytes, unpacked: one chunk is in memory, however few frames are requested
# HDF5 retries to read an index that is being rewritten, and doubles the pause each time: 25 attempts take 0.03 s. Its own
# limit of 100 would mean for ever if the end of a file is lost.
_READ_ATTEMPTS = 25


class FramesUnreadable(RuntimeError):
    """Frames that cannot be read; the message names the file, the cause and the cure."""


class FramesRefused(FramesUnreadable):
    """Frames that are not read, because reading the file is not allowed."""


class FrameFile:
    """One data set of an HDF5 file, with one row per frame. A context manager.

    Parameters
    ----------
    path : Path
        The file.
    dataset : str
        The data set in it, (N, ...): pixels (N, H, W), or a number for each frame (N,).
    allowed : sequence of Path
        Folders in which, or below which, the file may be.
    shape : tuple of int, optional
        Required shape of one row: (H, W), or () for a number.
    dtype : dtype, optional
        Its required type.
    patience_s : float
        How long to wait for data that are not there yet.

    Raises
    ------
    FramesRefused
        If reading the file is not allowed, or its content is not as expected.
    FramesUnreadable
        If it does not exist, or cannot be read.
    """

    def __init__(
        self,
        path: Path | str,
        dataset: str,
        allowed: Sequence[Path | str],
        *,
        shape: tuple[int, ...] | None = None,
        dtype: Any = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.path = Path(path)
        self.dataset = dataset
        self._allowed = allowed
        self._expected = (shape, None if dtype is None else np.dtype(dtype))
        self._patience_s = patience_s
        self._data: h5py.Dataset | None = None
        self._refreshed_for = 0  # number of announced frames when the data set was last refreshed
        data = self._patiently(self._opened)
        self.shape: tuple[int, ...] = data.shape[1:]
        self.dtype: np.dtype = data.dtype
        self.chunk: int = data.chunks[0] if data.chunks else 1
        """Number of rows that the file stores together."""

    @classmethod
    def of(
        cls,
        resource: Mapping[str, Any],
        data_key: Mapping[str, Any],
        allowed: Sequence[Path | str],
        *,
        patience_s: float = PATIENCE_S,
    ) -> Self:
        """The data set that a stream resource names; `data_key` is its entry in the descriptor."""
        return cls(
            path_of(resource),
            resource["parameters"]["dataset"],
            allowed,
            shape=row_shape(data_key),
            dtype=data_key.get("dtype_numpy"),
            patience_s=patience_s,
        )

    def read(self, first: int, last: int) -> np.ndarray:
        """Read the announced rows first to last - 1; (last - first, ...).

        Raises
        ------
        FramesUnreadable
            If they do not appear in time, or are damaged.
        """
        if not 0 <= first <= last:
            raise ValueError(f"there are no frames {first} to {last - 1}")
        return self._patiently(lambda: self._rows(first, last))

    def __len__(self) -> int:
        """Number of rows in the data set now, announced or not."""
        return self._patiently(lambda: len(self._opened()))

    def close(self) -> None:
        """Close the file; it is opened again at the next read."""
        if self._data is not None:
            self._data.file.close()
            self._data = None
            self._refreshed_for = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _patiently(self, attempt: Callable[[], T]) -> T:
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return attempt()
            except (FramesRefused, MemoryError):
                self.close()
                raise
            except Exception as error:  # whatever an incomplete file causes in HDF5
                self.close()
                if time.monotonic() >= deadline:
                    raise FramesUnreadable(f"{self}: {_in_words(error)}") from error
            time.sleep(_POLL_S)

    def _opened(self) -> h5py.Dataset:
        if self._data is None:
            path = checked_path(self.path, self._allowed)
            if not path.is_file():
                raise FramesUnreadable("there is no such file. Is the folder that the detector writes to mounted here?")
            file = _open_while_written(path)
            try:
                self._data = self._checked(file)
            except BaseException:
                file.close()
                raise
        return self._data

    def _checked(self, file: h5py.File) -> h5py.Dataset:
        try:
            data = own_dataset(file, self.dataset)
        except KeyError as error:
            raise FramesUnreadable(
                f"the file has no {error.args[0]}. Is it the detector's, and was it opened for this run?"
            ) from error
        except TypeError as error:
            raise FramesRefused(f"{self}: that is not a data set. Name the data set with the frames") from error
        except DataElsewhere as error:
            raise FramesRefused(f"{self}: {error}. Name the file that holds the frames") from error
        if data.dtype.kind not in "biuf" or data.ndim == 0:
            raise FramesRefused(f"{self}: it holds {data.dtype} {data.shape}, not a row of numbers for each frame")
        chunk = np.prod(data.chunks or (1,), dtype=float) * data.dtype.itemsize
        if chunk > _LARGEST_CHUNK:
            raise FramesRefused(f"{self}: a chunk of it takes {chunk / 2**20:.0f} MB. Write chunks of fewer frames")
        shape, dtype = self._expected
        if shape is not None and data.shape[1:] != tuple(shape):
            raise FramesRefused(f"{self}: a row of it is {data.shape[1:]}, the run announced {tuple(shape)}")
        if dtype is not None and data.dtype != dtype:
            raise FramesRefused(f"{self}: it is of type {data.dtype}, the run announced {dtype}")
        return data

    def _rows(self, first: int, last: int) -> np.ndarray:
        data = self._opened()
        if last > self._refreshed_for:
            data.refresh()  # not data.id.refresh(), after which h5py remembers the old shape
            self._refreshed_for = last
        if len(data) < last:
            raise FramesUnreadable(
                f"it holds {len(data)} frames, {last} were announced. Its writer has ended without them, or this is an older copy"
            )
        self._check_stored(data, first, last)
        rows: np.ndarray = data[first:last]
        return rows

    def _check_stored(self, data: h5py.Dataset, first: int, last: int) -> None:
        """Check that chunks exist: HDF5 returns zeros for chunks that were never written or lie beyond the end of the file."""
        size = self.path.stat().st_size
        if data.chunks is None:
            places = [(data.id.get_offset(), data.nbytes)]
        else:
            every = (slice(None),) * (data.ndim - 1)
            corners = (
                tuple(part.start // chunk * chunk for part, chunk in zip(parts, data.chunks, strict=True))
                for parts in data.iter_chunks((slice(first, last), *every))
            )
            places = [(info.byte_offset, info.size) for info in map(data.id.get_chunk_info_by_coord, corners)]
        if any(offset is None for offset, _ in places) and last > first:
            raise FramesUnreadable(f"some of frames {first} to {last - 1} were announced, but never written")
        if any(offset + length > size for offset, length in places if offset is not None):
            raise FramesUnreadable(f"its end is missing: frames {first} to {last - 1} would come after it. Copy the whole file")

    def __str__(self) -> str:
        return f"frames of {self.dataset} in {self.path} cannot be read"


def checked_path(path: Path, folders: Sequence[Path | str]) -> Path:
    """The real path of a file, if it is in or below one of these folders.

    Raises
    ------
    FramesRefused
        If it is not.
    """
    real = path.resolve()
    if not any(real.is_relative_to(Path(folder).resolve()) for folder in folders):
        outside = ", ".join(map(str, folders))
        raise FramesRefused(f"frames in {path} are not read: it lies outside {outside}. Set frames_dir to its folder")
    return real


def path_of(resource: Mapping[str, Any]) -> Path:
    """The file that a stream resource names.

    Raises
    ------
    FramesRefused
        If it is not a file on this machine.
    """
    uri = urlparse(resource["uri"])
    if uri.scheme != "file" or uri.netloc not in ("", "localhost"):
        raise FramesRefused(f"frames at {resource['uri']} cannot be read: give a file as file://localhost/...")
    return Path(unquote(uri.path))


def row_shape(data_key: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of one row of the file by the descriptor's entry: (H, W), or () for a number; a leading 1 counts the frame."""
    shape = tuple(data_key["shape"])
    return shape[1:] if len(shape) in (1, 3) and shape[0] == 1 else shape


def _open_while_written(path: Path) -> h5py.File:
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_EARLIEST, h5py.h5f.LIBVER_LATEST)
    # h5py does not expose this function of the library that it contains.
    set_attempts = ctypes.CDLL(h5py.h5p.__file__).H5Pset_metadata_read_attempts
    set_attempts.argtypes = [ctypes.c_int64, ctypes.c_uint]
    set_attempts(access.id, _READ_ATTEMPTS)
    # First open it as a reader beside a writer: after a writer was killed, a plain reader may be refused.
    return h5py.File(h5py.h5f.open(bytes(path), h5py.h5f.ACC_RDONLY | h5py.h5f.ACC_SWMR_READ, fapl=access))


def _in_words(error: Exception) -> str:
    if isinstance(error, FramesUnreadable):
        return str(error)
    return f"{error}. It is damaged, no HDF5 file, or was not opened by its writer yet: look at the file"
