"""Writes one run from the document log to Tiled, and reads it back for comparison."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from analysis.archive.columns import LEFT_OUT, ColumnFailed, ColumnUnfit, Layout
from analysis.archive.comparison import Comparison, compare, unpacked
from analysis.archive.frame_entries import MIMETYPE
from analysis.archive.json_values import storable
from analysis.archive.large_arrays import LargeArrays
from analysis.archive.names import checked_uid
from analysis.archive.run_writer import Normalizer, RunWriter
from analysis.archive.stored_frames import FileOwners
from analysis.documents.frames import FramesRefused
from analysis.documents.log import LogReader, Record

_BYTES_AT_ONCE = 32_000_000
_OF_FILES = ("resource", "datum", "datum_page", "stream_resource", "stream_datum")


class RunArchive:
    """One run that is being written to a Tiled container.

    Parameters
    ----------
    container : tiled.client.container.Container
        `raw` or `processed`.
    uid : str
        The run's uid.
    layout : Layout, optional
        Storage of its columns as found in former attempts; by default as its descriptors announce them.
    folders : sequence of Path
        Folders in which its files of frames may be. Its arrays above 1 MB go into files below the first of them.

    Raises
    ------
    BadName
        If the uid is not a UUID.
    """

    def __init__(self, container: Any, uid: str, layout: Layout | None = None, folders: Sequence[Path] = ()) -> None:
        self.container = container
        self.uid = checked_uid(uid)
        self.layout = layout if layout is not None else Layout()
        self._writer: RunWriter | None = None
        self._normalizer: Normalizer | None = None
        self._streams: dict[str, str] = {}  # uid of each descriptor -> its stream
        self._data_keys: dict[str, str] = {}  # uid of each stream resource -> its data key
        self._folders = folders
        self._owners = FileOwners(folders)
        self._bytes = 0  # in arrays that are not stored yet

    @property
    def replaced(self) -> int:
        """Number of former copies of the run that were removed when it was written."""
        return 0 if self._writer is None else self._writer.replaced

    def write(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document; it is stored at the next `flush` at the latest.

        Raises
        ------
        ColumnUnfit
            If a column must be stored differently: write the run again with the same layout.
        ColumnFailed
            If Tiled did not accept one of its columns.
        """
        if name == "start":
            arrays = LargeArrays(self._folders[0] / "arrays" / self.uid) if self._folders else None
            self._writer = RunWriter(self.container, self.layout, arrays)
            self._normalizer = Normalizer()
            self._normalizer.subscribe(self._writer)
        assert self._normalizer is not None and self._writer is not None, "the first document of a run is its start"
        if name == "descriptor":
            self.layout.open(doc)
            self._streams[doc["uid"]] = doc["name"]
            self._normalizer(name, self._descriptor(doc))
        elif name in ("event", "event_page"):
            for _, event in unpacked(name, doc):
                self._write_event(event)
        elif name in _OF_FILES:
            self._write_of_files(name, doc)
        else:
            with self._files_may_be_odd():
                self._normalizer(name, storable(doc, name, {}))

    def flush(self) -> None:
        """Store everything taken so far."""
        if self._writer is not None:
            self._writer.flush()
        self._bytes = 0

    def compare(self, records: Iterable[Record]) -> Comparison:
        """Read the run back and compare it with the log."""
        return compare(self.container[self.uid], self.layout, records, self._folders)

    def mark_compared(self, comparison: Comparison) -> None:
        """Record in the run's metadata that it was read back, and which parts are not stored as they were logged."""
        metadata = {
            "verified_against_log": not comparison.lost,
            "compared": dict(comparison.compared),
            "not_as_logged": comparison.lost,
            "converted": self.layout.converted(),
            "storage": self.layout.changed(),
        }
        self.container[self.uid].update_metadata(metadata=metadata, drop_revision=True)

    def _descriptor(self, doc: dict[str, Any]) -> dict[str, Any]:
        """A descriptor with the stored names of its stream and keys, and without the parts that are left out."""
        columns = [column for column in self.layout.columns(doc["name"]) if column.key in doc["data_keys"]]
        columns = [column for column in columns if column.storage != LEFT_OUT]
        names = {column.key: column.name for column in columns}
        stored = {key: storable(value, key, {}) for key, value in doc.items() if key not in ("data_keys", "object_keys")}
        stored["data_keys"] = {}
        for column in columns:
            data_key = storable(doc["data_keys"][column.key], column.key, {}, not_finite_as_none=True)
            data_key |= {"logged_as": column.key} if column.name != column.key else {}
            data_key |= {"stored_as": column.storage} if column.reason else {}
            stored["data_keys"][column.name] = data_key
        stored["object_keys"] = {
            device: [names[key] for key in keys if key in names] for device, keys in doc.get("object_keys", {}).items()
        }
        return {**stored, "name": self.layout.names[doc["name"]], "stream": doc["name"]}

    def _write_event(self, event: dict[str, Any]) -> None:
        assert self._normalizer is not None and self._writer is not None
        columns = self.layout.columns(self._streams[event["descriptor"]])
        columns = [column for column in columns if column.storage != LEFT_OUT]
        stored = {
            **event,
            "data": {column.name: event["data"][column.key] for column in columns if column.key in event["data"]},
            "timestamps": {column.name: event["timestamps"].get(column.key) for column in columns},
            "filled": {column.name: event["filled"][column.key] for column in columns if column.key in event.get("filled", {})},
        }
        if any(column.storage == "file" for column in columns):
            with self._files_may_be_odd():
                self._normalizer("event", stored)
        else:
            self._writer("event", stored)
        self._bytes += sum(value.nbytes for value in stored["data"].values() if isinstance(value, np.ndarray))
        if self._bytes > _BYTES_AT_ONCE:
            self.flush()

    def _write_of_files(self, name: str, doc: dict[str, Any]) -> None:
        assert self._normalizer is not None
        doc = copy.deepcopy(doc)
        if name == "stream_resource":
            self._check_file(doc)
            self._data_keys[doc["uid"]] = doc["data_key"]
            doc["data_key"] = next((one.name for one in self.layout.files() if one.key == doc["data_key"]), doc["data_key"])
        elif name == "stream_datum":
            key = self._data_keys.get(doc["stream_resource"], "")
            column = self.layout.column(self._streams[doc["descriptor"]], key)
            if column is None or column.storage != "file":
                return
        with self._files_may_be_odd():
            self._normalizer(name, doc)

    def _check_file(self, resource: dict[str, Any]) -> None:
        """Leave a column out if reading its file is not allowed, or the file belongs to another detector."""
        for column in self.layout.files():
            if column.key == resource["data_key"] and resource.get("mimetype") == MIMETYPE:
                try:
                    self._owners.check(resource, column.data_key)
                except FramesRefused as error:
                    column.step_on(str(error))
                    raise ColumnUnfit(str(error)) from error

    @contextmanager
    def _files_may_be_odd(self) -> Iterator[None]:
        """Leave out all columns in files if their documents are inconsistent: it is unknown which file belongs to which."""
        try:
            yield
        except (httpx.HTTPError, ColumnFailed, ColumnUnfit):
            raise
        except Exception as error:
            files = self.layout.files()
            if not files:
                return  # the rest of the run does not need these documents
            for column in files:
                column.step_on(f"the documents of its files cannot be understood ({type(error).__name__}: {error})"[:300])
            raise ColumnUnfit(str(error)) from error


def read_back(container: Any, reader: LogReader, uid: str, folders: Sequence[Path]) -> list[str]:
    """Compare a stored run, already compared before, with the log once more; return the damage in words.

    `folders` are those in which its files of frames may be.
    """
    try:
        node = container[uid]
        told = dict(node.metadata.get("not_as_logged") or {})
        comparison = compare(node, Layout(node.metadata.get("storage")), reader.documents(uid), folders)
    except httpx.TransportError:
        raise
    except Exception as error:
        return [f"it cannot be read ({type(error).__name__}: {error})"[:300]]
    lost = [f"{place}: {what}" for place, what in comparison.lost.items() if place not in told]
    return comparison.differences + lost
