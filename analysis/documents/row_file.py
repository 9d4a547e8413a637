"""The results of a reconstruction for each single row, such as a denoised frame of each pair, in an HDF5 file beside the log.

The file is written while others read it, like a detector's file, and the documents of the derived run announce the flushed
rows. A process that takes a derived run over computes the same rows again: it writes them into a new file, which replaces the
first one when it holds as many rows.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.private import private_folder
from analysis.estimate import Quantity

SERIES = "series"
"""The stream of the derived run."""

NUMBER = "row_number"
"""The data key of the rows' numbers in the raw run."""

_GROUP = "/entry/data"
_CHUNK_BYTES = 2**20


class RowFile:
    """Writes the rows of one derived run, and the documents that announce them.

    Parameters
    ----------
    path : Path
        The file.
    emit : callable
        Receives each document as `(name, doc)`.
    uid : str
        The derived run.
    series : mapping of str to Quantity
        The quantities stored for each row.
    told : mapping of str to int
        Rows that the derived run's documents already announce, for each stream resource among them.
    described : bool
        Whether the descriptor is among these documents.
    """

    def __init__(
        self,
        path: Path,
        emit: Callable[[str, dict[str, Any]], None],
        uid: str,
        series: Mapping[str, Quantity],
        *,
        told: Mapping[str, int] | None = None,
        described: bool = False,
    ) -> None:
        self._path, self._emit, self._uid, self._series = path, emit, uid, series
        self._told, self._described = dict(told or {}), described
        self._written = 0
        private_folder(path.parent)
        self._part = path.with_suffix(".part")
        self._open()

    @property
    def told(self) -> int:
        """Number of rows that the documents announce."""
        return max(self._told.values(), default=0)

    def begin(self) -> None:
        """Start again with the first row: a new file replaces this one."""
        self._file.close()
        self._written = 0
        self._open()

    def _open(self) -> None:
        self._file = h5py.File(self._part, "w", libver="latest")
        self._data: dict[str, h5py.Dataset] = {
            NUMBER: self._file.create_dataset(f"{_GROUP}/{NUMBER}", (0,), "<i8", chunks=(64,), maxshape=(None,))
        }
        for name, quantity in self._series.items():
            rows = self._chunk(quantity)
            self._data[name] = self._file.create_dataset(
                f"{_GROUP}/{name}",
                (0, *quantity.shape),
                quantity.dtype,
                chunks=(rows, *quantity.shape),
                maxshape=(None, *quantity.shape),
                **hdf5plugin.Bitshuffle(cname="lz4"),
            )
        self._file.swmr_mode = True

    def add(self, rows: Batch) -> None:
        """Write further rows, flush them, and announce those that are new."""
        first, self._written = self._written, self._written + len(rows)
        for name, data in self._data.items():
            data.resize(self._written, axis=0)
            data[first:] = rows.number if name == NUMBER else rows.columns[name]
            data.flush()
        if self._written >= self.told:
            self._in_place()
            self._tell()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._part.unlink(missing_ok=True)

    def _in_place(self) -> None:
        if self._part.exists():
            self._part.replace(self._path)

    def _tell(self) -> None:
        if not self._described:
            self._described = True
            self._emit("descriptor", self._descriptor())
        for name in self._data:
            resource = self._of(name)
            if resource not in self._told:
                self._emit("stream_resource", self._resource(name))
                self._told[resource] = 0
        for name in self._data:
            resource = self._of(name)
            first = self._told[resource]
            if self._written > first:
                datum = {
                    "uid": f"{resource}/{first}",
                    "stream_resource": resource,
                    "descriptor": self._of(SERIES),
                    "indices": {"start": first, "stop": self._written},
                    "seq_nums": {"start": first + 1, "stop": self._written + 1},
                }
                self._emit("stream_datum", datum)
                self._told[resource] = self._written

    def _descriptor(self) -> dict[str, Any]:
        data_keys: dict[str, Any] = {NUMBER: {"dtype": "integer", "shape": [], "dtype_numpy": "<i8"}}
        for name, quantity in self._series.items():
            data_keys[name] = {"dtype": "array", "shape": list(quantity.shape), "dtype_numpy": quantity.dtype}
            data_keys[name]["meaning"] = quantity.meaning
            if quantity.units is not None:
                data_keys[name]["units"] = quantity.units
        for data_key in data_keys.values():
            data_key |= {"source": f"reconstruction:{self._uid}", "object_name": "reconstruction", "external": "STREAM:"}
        return {
            "uid": self._of(SERIES),
            "run_start": self._uid,
            "time": time.time(),
            "name": SERIES,
            "data_keys": data_keys,
            "object_keys": {"reconstruction": list(data_keys)},
            "configuration": {"reconstruction": {"data": {}, "data_keys": {}, "timestamps": {}}},
            "hints": {},
        }

    def _resource(self, name: str) -> dict[str, Any]:
        return {
            "uid": self._of(name),
            "run_start": self._uid,
            "data_key": name,
            "mimetype": "application/x-hdf5",
            "uri": f"file://localhost{self._path.resolve()}",
            "parameters": {"dataset": f"{_GROUP}/{name}", "chunk_shape": [self._data[name].chunks[0]]},
        }

    def _of(self, name: str) -> str:
        return str(uuid.uuid5(uuid.UUID(self._uid), f"{SERIES}/{name}"))

    @staticmethod
    def _chunk(quantity: Quantity) -> int:
        size = int(np.prod(quantity.shape)) * np.dtype(quantity.dtype).itemsize
        return int(np.clip(_CHUNK_BYTES // size, 1, 64))
