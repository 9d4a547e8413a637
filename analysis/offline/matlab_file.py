"""MATLAB's own files, up to version 7. Those of version 7.3 are HDF5."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from analysis.offline.array_file import Entry, blocks
from analysis.offline.ingest_error import check_memory

_TYPES = {
    **{name: np.dtype(name) for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")},
    "double": np.dtype(np.float64),
    "single": np.dtype(np.float32),
    "logical": np.dtype(bool),
    "char": np.dtype("U1"),
}
_BEGINS = b"MATLAB 5.0 MAT-file"
_STRUCTURE = "struct"


def is_matlab(path: Path) -> bool:
    """Whether a file is one of MATLAB's versions 5 to 7."""
    with path.open("rb") as file:
        return file.read(len(_BEGINS)) == _BEGINS


class MatlabFile:
    """Variables as named arrays, with MATLAB's order of the axes.

    Those in a structure are named by their path, such as data/masks; cells are passed over.
    """

    def __init__(self, path: Path) -> None:
        from scipy.io import whosmat

        self.path = path
        found = whosmat(path)
        self._in_structures: dict[str, np.ndarray] = {}
        for name, _, kind in found:
            if kind == _STRUCTURE:
                check_memory(path.stat().st_size)
                self._take(name, self._load(name, simplify_cells=True))
        self.entries: Mapping[str, Entry] = {
            **{name: Entry(tuple(shape), _TYPES[kind]) for name, shape, kind in found if kind in _TYPES},
            **{name: Entry(array.shape, array.dtype) for name, array in self._in_structures.items()},
        }

    def find(self, name: str) -> Entry | None:
        """What is said of an array; None if there is none."""
        return self.entries.get(name)

    def array(self, name: str) -> np.ndarray:
        """A whole array, if it fits into memory."""
        if name in self._in_structures:
            return self._in_structures[name]
        entry = self.entries[name]
        check_memory(math.prod(entry.shape) * entry.dtype.itemsize)
        array: np.ndarray = self._load(name, chars_as_strings=True)
        return array.astype(bool) if entry.dtype.kind == "b" else array

    def frames(self, name: str, num: int) -> Iterator[np.ndarray]:
        """The frames of an array (..., H, W) in order, as blocks (num, H, W)."""
        return blocks(self.array(name), num)

    def _load(self, name: str, **options: bool) -> Any:
        from scipy.io import loadmat

        return loadmat(self.path, variable_names=[name], **options)[name]

    def _take(self, name: str, value: Any) -> None:
        """Note the arrays within a structure, by their paths."""
        if isinstance(value, dict):
            for key, inner in value.items():
                self._take(f"{name}/{key}", inner)
        elif (array := np.asarray(value)).dtype.kind in "biufU":
            self._in_structures[name] = array
