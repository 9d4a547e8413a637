"""How the Tiled server reads HDF5 files, also while a detector writes them: in place, and only those that it may read.

Tiled's own adapter opens every file that a file links to, waits for ever on a file whose end is lost, and returns an error
without information. This adapter returns the fault of the file instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tiled.adapters.core import Adapter
from tiled.adapters.utils import ShapeMismatchError
from tiled.ndslice import NDBlock, NDSlice
from tiled.structures.array import ArrayStructure
from tiled.structures.core import StructureFamily
from tiled.structures.data_source import DataSource

from analysis.archive.frame_entries import FrameEntries
from analysis.documents.frames import FramesRefused, FramesUnreadable

_ALL = NDSlice(...)
_PATIENCE_S = 2.0  # a client is waiting for the answer
_LARGEST_ANSWER = 300_000_000  # bytes; Tiled sends no more, and would check only after reading them


class FramesAdapter(Adapter[ArrayStructure]):
    """One data set of a detector's file, with as many entries as were announced. Made by `frames_adapter`.

    If there are several files, each holds the entries of one chunk (`analysis.archive.large_arrays`), or all its entries are
    used, except for those of the last file, which may still be written.
    """

    structure_family = StructureFamily.array
    allowed: Sequence[Path] = ()

    def __init__(self, structure: ArrayStructure, uris: Sequence[str], dataset: str, **described: Any) -> None:
        super().__init__(structure, **described)
        self._uris = uris
        self._dataset = dataset

    @classmethod
    def from_catalog(cls, data_source: DataSource[ArrayStructure], node: Any, /, dataset: str, **_: Any) -> FramesAdapter:
        """Tiled's way to make an adapter for each request."""
        uris = [asset.data_uri for asset in data_source.assets]
        return cls(data_source.structure, uris, dataset, metadata=node.metadata_, specs=node.specs)

    def read(self, slice: NDSlice = _ALL) -> np.ndarray:
        """Read a part of the array.

        Raises
        ------
        ShapeMismatchError
            If it cannot be read; Tiled passes the message on to the client.
        """
        structure = self.structure()
        first, *rest = NDSlice(*slice).expand_for_shape(structure.shape)
        picked = range(structure.shape[0])[first]
        entries = range(picked, picked + 1) if isinstance(picked, int) else picked
        low, high = (min(entries), max(entries) + 1) if entries else (0, 0)
        size = (high - low) * math.prod(structure.shape[1:]) * structure.data_type.to_numpy_dtype().itemsize
        if size > _LARGEST_ANSWER:
            raise ShapeMismatchError(
                f"that is {size / 1e6:.0f} MB at once, and at most {_LARGEST_ANSWER / 1e6:.0f} MB are sent: ask for fewer"
            )
        try:
            array = self._entries(low, high)
        except FramesUnreadable as error:
            raise ShapeMismatchError(str(error)) from error
        where = picked - low if isinstance(picked, int) else [entry - low for entry in entries]
        array = array[where]
        return array[(..., *rest)] if rest else array

    def read_block(self, block: NDBlock, slice: NDSlice = _ALL) -> np.ndarray:
        """Read a part of one chunk, as `read` does."""
        array = self.read(block.slice_from_chunks(self.structure().chunks))
        return array[tuple(slice)] if slice else array

    def _entries(self, first: int, last: int) -> np.ndarray:
        """Entries first to last - 1."""
        structure = self.structure()
        counts = structure.chunks[0] if len(self._uris) == len(structure.chunks[0]) else self._counts()
        parts = []
        for uri, begin, end in zip(self._uris, np.cumsum((0, *counts[:-1])), np.cumsum(counts), strict=True):
            low, high = max(first, int(begin)), min(last, int(end))
            if low < high:
                parts.append(self._of_file(uri, low - int(begin), high - int(begin)))
        return np.concatenate(parts) if parts else self._of_file(self._uris[0], 0, 0)

    def _counts(self) -> tuple[int, ...]:
        """Number of entries in each file."""
        whole = []
        for uri in self._uris[:-1]:
            with self._opened(uri) as file:
                whole.append(len(file))
        rest = self.structure().shape[0] - sum(whole)
        if rest < 0:
            raise FramesRefused(f"the {len(whole)} first files of {len(self._uris)} hold more frames than were announced")
        return (*whole, rest)

    def _of_file(self, uri: str, first: int, last: int) -> np.ndarray:
        with self._opened(uri) as file:
            return file.read(first, last)

    def _opened(self, uri: str) -> FrameEntries:
        structure = self.structure()
        return FrameEntries(
            uri,
            self._dataset,
            self.allowed,
            shape=structure.shape[1:],
            dtype=structure.data_type.to_numpy_dtype(),
            patience_s=_PATIENCE_S,
        )


def frames_adapter(allowed: Sequence[Path]) -> type[FramesAdapter]:
    """Return the adapter for a server that may read HDF5 files in and below these folders."""
    return type("FramesAdapter", (FramesAdapter,), {"allowed": tuple(allowed)})
