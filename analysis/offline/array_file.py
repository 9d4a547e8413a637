"""Files with named arrays: NPZ, HDF5, MATLAB; a stack of TIFF images; a folder. Large arrays are read in parts.

What the file itself does not hold is refused: objects, and in HDF5 what lies in other files.
"""

from __future__ import annotations

import contextlib
import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py
import hdf5plugin  # noqa: F401  lets h5py read compressed data sets
import numpy as np
import tifffile

from analysis.documents.own_data import DataElsewhere, own_dataset
from analysis.offline.ingest_error import IngestError, check_memory

_LARGEST_CHUNK = 2**28  # bytes, unpacked: one chunk is in memory, however few rows are asked for
_LISTED = 40


@dataclass(frozen=True)
class Entry:
    """What a file says of one of its arrays.

    Attributes
    ----------
    shape : tuple of int
        Its shape.
    dtype : dtype
        Its type.
    units : str or None
        The unit that stands beside it (HDF5 attribute `units`).
    reversed : bool
        Whether MATLAB wrote it into HDF5, so that its axes stand there in the reverse order.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    units: str | None = None
    reversed: bool = False

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}{f' in {self.units}' if self.units else ''}"


class ArrayFile(Protocol):
    """An open file."""

    path: Path
    entries: Mapping[str, Entry]

    def find(self, name: str) -> Entry | None:
        """What the file says of an array that may be called by another name too; None if there is none."""

    def array(self, name: str) -> np.ndarray:
        """A whole array, if it fits into memory."""

    def frames(self, name: str, num: int) -> Iterator[np.ndarray]:
        """The frames of an array (..., H, W) in order, as blocks (num, H, W)."""


@contextlib.contextmanager
def open_arrays(path: Path) -> Iterator[ArrayFile]:
    """Open a file; whatever a damaged one does while it is open becomes an IngestError.

    Raises
    ------
    IngestError
        If the file is missing, foreign, damaged, or takes its data from another one.
    """
    from analysis.offline.mask_folder import LOOSE, MaskFolder, holds_buckets
    from analysis.offline.matlab_file import MatlabFile, is_matlab
    from analysis.offline.tiff_stack import TiffStack, is_tiff

    if not path.is_file() and not (path.is_dir() and (is_tiff(path) or holds_buckets(path))):
        raise IngestError(f"{path} is a folder without `buckets`" if path.is_dir() else f"there is no file {path}")
    try:
        if path.is_dir():
            yield MaskFolder(path) if holds_buckets(path) else TiffStack(path)
        elif path.suffix.lower() in LOOSE:
            yield MaskFolder(path.parent, path)
        elif is_matlab(path):
            yield MatlabFile(path)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield _Npz(path, archive)
        elif h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                yield _Hdf5(path, file)
        elif path.suffix.lower() == ".mat":  # of version 4, which says nothing of itself
            yield MatlabFile(path)
        elif path.suffix.lower() in (".tif", ".tiff"):
            with tifffile.TiffFile(path) as stack:
                yield _Tiff(path, stack)
        else:
            raise IngestError(
                f"{path} is neither an NPZ nor an HDF5 file, nor MATLAB's, nor NPY, CSV or TIFF: write one as "
                "`docs/how_to_ingest.md` describes"
            )
    except IngestError:
        raise
    except DataElsewhere as error:
        raise IngestError(f"{path} is not read: {error}. Write the data themselves into it") from error
    except MemoryError as error:
        raise IngestError(f"{path} does not fit into memory ({error}): split it, or bin the pixels") from error
    except Exception as error:  # whatever a damaged file makes of three libraries
        raise IngestError(f"{path} cannot be read ({error}): it is damaged or contains objects; write it again") from error


def listing(file: ArrayFile) -> str:
    """What a file holds, the largest arrays first, for messages."""
    largest = sorted(file.entries.items(), key=lambda item: (-math.prod(item[1].shape), item[0]))
    told = [f"{name}: {entry}" for name, entry in largest[:_LISTED]]
    if len(largest) > _LISTED:
        told.append(f"and {len(largest) - _LISTED} more")
    return "; ".join(told) or "nothing"


def blocks(whole: np.ndarray, num: int) -> Iterator[np.ndarray]:
    """The frames of an array (..., H, W) in order, as blocks (num, H, W)."""
    frames = whole.reshape(-1, *whole.shape[-2:])
    for first in range(0, len(frames), num):
        yield frames[first : first + num]


class _Npz:
    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        self._found: dict[str, Entry] = {}
        for name in archive.namelist():
            with contextlib.suppress(ValueError), archive.open(name) as stream:  # it may hold other things too
                self._found[name.removesuffix(".npy")] = _header(stream)[0]
        self.entries: Mapping[str, Entry] = self._found

    def find(self, name: str) -> Entry | None:
        return self.entries.get(name)

    def array(self, name: str) -> np.ndarray:
        entry = self.entries[name]
        check_memory(math.prod(entry.shape) * entry.dtype.itemsize)
        with self._archive.open(f"{name}.npy") as stream:
            array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
        return array

    def frames(self, name: str, num: int) -> Iterator[np.ndarray]:
        with self._archive.open(f"{name}.npy") as stream:
            entry, in_columns = _header(stream)
            if entry.dtype.hasobject:
                raise ValueError(f"{name} holds objects")
            row, total = entry.shape[-2:], math.prod(entry.shape[:-2])
            if not in_columns:
                for first in range(0, total, num):
                    shape = (min(num, total - first), *row)
                    size = math.prod(shape) * entry.dtype.itemsize
                    data = stream.read(size)
                    if len(data) < size:
                        raise EOFError(f"{name} ends early")
                    yield np.frombuffer(data, entry.dtype).reshape(shape)
                return
        yield from blocks(self.array(name), num)  # its frames do not lie together


def _header(stream: Any) -> tuple[Entry, bool]:
    """What an NPY file says of itself, and whether its columns lie together."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, in_columns, dtype = read(stream)
    return Entry(shape, dtype), in_columns and len(shape) > 1


class _Tiff:
    """The images of a stack as `frames`, one a page."""

    def __init__(self, path: Path, stack: tifffile.TiffFile) -> None:
        self.path = path
        self._pages = stack.pages
        kinds = {(page.shape, page.dtype) for page in self._pages}
        if len(kinds) != 1:
            raise ValueError("its images differ in size or type")
        shape, dtype = kinds.pop()
        self.entries: Mapping[str, Entry] = {"frames": Entry((len(self._pages), *shape), np.dtype(dtype))}

    def find(self, name: str) -> Entry | None:
        return self.entries.get(name)

    def array(self, name: str) -> np.ndarray:
        check_memory(math.prod(self.entries[name].shape) * self.entries[name].dtype.itemsize)
        return np.concatenate(list(self.frames(name, 1)))

    def frames(self, name: str, num: int) -> Iterator[np.ndarray]:
        for first in range(0, len(self._pages), num):
            yield np.stack([page.asarray() for page in self._pages[first : first + num]])


class _Hdf5:
    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file
        self._found: dict[str, Entry] = {}
        self.entries: Mapping[str, Entry] = self._found
        file.visititems(self._take)  # visits neither soft nor external links

    def _take(self, name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            self._found[name] = _entry(item)

    def find(self, name: str) -> Entry | None:
        try:
            return _entry(own_dataset(self._file, name))
        except (KeyError, TypeError):
            return None

    def array(self, name: str) -> np.ndarray:
        data = own_dataset(self._file, name)
        check_memory(data.nbytes)
        return np.asarray(data[()])

    def frames(self, name: str, num: int) -> Iterator[np.ndarray]:
        data = own_dataset(self._file, name)
        chunk = math.prod(data.chunks or (1,)) * data.dtype.itemsize
        if chunk > _LARGEST_CHUNK:
            raise MemoryError(f"a chunk of {name} takes {chunk / 2**20:.0f} MB")
        total = math.prod(data.shape[:-2])
        for first in range(0, total, num):
            try:
                block = _rows(data, first, min(first + num, total))
            except OSError as error:
                raise ValueError(f"{name} from frame {first + 1} on: {error}") from error  # reading failed, not what follows
            yield block


def _rows(data: h5py.Dataset, first: int, last: int) -> np.ndarray:
    """Frames first to last - 1 of a data set of frames, or of lines of them."""
    if data.ndim == 3:
        rows: np.ndarray = data[first:last]
        return rows
    points = data.shape[1]
    lines = range(first // points, (last - 1) // points + 1)
    return np.concatenate([data[line, max(0, first - line * points) : min(points, last - line * points)] for line in lines])


def _entry(data: h5py.Dataset) -> Entry:
    units = data.attrs.get("units")
    if isinstance(units, np.ndarray) and units.size == 1:
        units = units.item()
    if isinstance(units, bytes):
        units = units.decode(errors="replace")
    return Entry(data.shape or (), data.dtype, units if isinstance(units, str) else None, "MATLAB_class" in data.attrs)
