"""Arrays above 1 MB, such as the object of a ptychographic scan, in HDF5 files that Tiled serves in place."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
from tiled.structures.array import ArrayStructure, BuiltinDtype
from tiled.structures.core import StructureFamily
from tiled.structures.data_source import Asset, DataSource, Management

from analysis.archive.frame_entries import MIMETYPE

LARGE = 1_000_000
"""Size in bytes from which an entry is stored in a file. Tiled's websocket drops a subscriber if it sends more at once."""

_DATASET = "entries"


class LargeArrays:
    """The files of one run: for each array a folder, with a file for all entries that were stored together.

    A file gets its final name when it is complete, and is never changed. So no reader waits for the writer, and a killed
    writer leaves no incomplete file under that name.

    Parameters
    ----------
    folder : Path
        Folder of the run. Its former content is removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._counts: dict[tuple[str, str], list[int]] = {}  # number of entries in each file of an array
        shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, stream: str, column: str, array: np.ndarray, dims: tuple[str, ...]) -> DataSource[ArrayStructure]:
        """Write the next entries of an array into a file.

        Parameters
        ----------
        stream, column : str
            The array's names in Tiled.
        array : ndarray
            The entries, (n, ...).
        dims : tuple of str
            Names of the axes.

        Returns
        -------
        DataSource
            Tiled's description of all entries so far, but with only the new file: Tiled knows the others.
        """
        counts = self._counts.setdefault((stream, column), [])
        path = self._folder / stream / column / f"{len(counts):06d}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with h5py.File(part, "w", libver="latest") as file:
            file[_DATASET] = array
        part.replace(path)
        counts.append(len(array))
        structure = ArrayStructure(
            data_type=BuiltinDtype.from_numpy_dtype(array.dtype),
            shape=(sum(counts), *array.shape[1:]),
            chunks=(tuple(counts), *((size,) for size in array.shape[1:])),
            dims=dims,
        )
        return DataSource(
            structure_family=StructureFamily.array,
            structure=structure,
            mimetype=MIMETYPE,
            parameters={"dataset": _DATASET},
            assets=[Asset(data_uri=path.as_uri(), is_directory=False, parameter="data_uris", num=len(counts) - 1)],
            management=Management.external,
        )
