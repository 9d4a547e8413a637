"""Reading a run back from Tiled and comparing it with the document log, value by value."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlparse

import httpx
import numpy as np
import pandas as pd
from bluesky_tiled_plugins.writing.tiled_writer import RESERVED_DATA_KEYS
from event_model import unpack_event_page

from analysis.archive import stored_frames
from analysis.archive.columns import LEFT_OUT, MISSING, Column, Layout, as_array, plain, same_numbers
from analysis.archive.frame_entries import MIMETYPE
from analysis.archive.json_values import same, storable
from analysis.documents.log import Record

_EVENTS_AT_ONCE = 1000
_BYTES_AT_ONCE = 32_000_000


@dataclass
class Comparison:
    """Result of reading a run back.

    Attributes
    ----------
    differences : list of str
        Parts that are stored differently from what they should be.
    failed : list of (stream, key, what is wrong)
        The columns among them.
    lost : dict
        Parts that could not be stored as they were logged, and how they are stored instead, by their place.
    compared : dict
        Number of compared documents of each kind.
    """

    differences: list[str] = field(default_factory=list)
    failed: list[tuple[str, str, str]] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)
    compared: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def fail(self, stream: str, key: str, what: str) -> None:
        """Note a column that is not as it should be."""
        self.differences.append(f"stream {stream}: {key} {what}")
        self.failed.append((stream, key, what))


def compare(node: Any, layout: Layout, records: Iterable[Record], folders: Sequence[Path] = ()) -> Comparison:
    """Read a stored run back.

    Parameters
    ----------
    node : BlueskyRun
        The stored run.
    layout : Layout
        How its columns are stored.
    records : iterable of Record
        The run's documents in the log.
    folders : sequence of Path
        Folders in which its files of frames may be.

    Raises
    ------
    httpx.TransportError
        If the server is gone. Any other failure counts as a difference.
    """
    return _Reading(node, layout, folders).run(records)


class _Reading:
    def __init__(self, node: Any, layout: Layout, folders: Sequence[Path]) -> None:
        self._node = node
        self._layout = layout
        self._folders = folders
        self._result = Comparison()
        self._descriptors: dict[str, dict[str, Any]] = {}  # by uid
        self._events: dict[str, list[dict[str, Any]]] = defaultdict(list)  # of each stream, still to be compared
        self._bytes = 0
        self._streams: dict[str, _Stream] = {}
        self._resources: dict[str, dict[str, Any]] = {}  # stream resources by uid
        self._announced: dict[tuple[str, str], int] = defaultdict(int)  # number of entries in files, of each stream and key
        self._hdf5: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        """Data in HDF5 files: for each stream and key, the stream resources by uid with the announced number of entries of
        each.
        """

    def run(self, records: Iterable[Record]) -> Comparison:
        for record in records:
            for name, doc in unpacked(record.name, record.doc):
                self._take(name, doc)
        self._compare_events()
        for read in self._streams.values():
            read.check_surplus()
        for stream in self._layout.names:
            with self._noted(stream):
                self._compare_descriptors(stream)
            for column in self._layout.columns(stream):
                if column.storage == "file":
                    self._compare_file(stream, column)
        self._result.lost.update(self._layout.left_out())
        return self._result

    def _take(self, name: str, doc: dict[str, Any]) -> None:
        self._result.compared[name] += 1
        if name in ("start", "stop"):
            expected = storable(doc, name, self._result.lost)
            stored = self._node.metadata.get(name) or {}
            keys = [key for key in expected | stored if not (key in stored and same(expected.get(key), stored[key]))]
            if keys:
                self._result.differences.append(f"the {name} document differs in {', '.join(keys)}")
        elif name == "descriptor":
            self._descriptors[doc["uid"]] = doc
            self._layout.open(doc)
        elif name == "event":
            self._take_event(self._descriptors[doc["descriptor"]]["name"], doc)
        elif name == "stream_resource":
            self._resources[doc["uid"]] = doc
        elif name == "stream_datum":
            resource = self._resources[doc["stream_resource"]]
            place = (self._descriptors[doc["descriptor"]]["name"], resource["data_key"])
            self._announced[place] += doc["indices"]["stop"] - doc["indices"]["start"]
            if resource.get("mimetype") == MIMETYPE:
                self._hdf5[place][resource["uid"]] += doc["indices"]["stop"] - doc["indices"]["start"]

    def _take_event(self, stream: str, event: dict[str, Any]) -> None:
        for column in self._layout.columns(stream):
            if column.storage == "file" and column.key in event["data"]:
                self._announced[stream, column.key] += 1
        for key in event["data"]:
            if self._layout.column(stream, key) is None:
                self._result.lost[f"{stream}/{key}"] = "left out: no descriptor announces it"
        self._events[stream].append(event)
        self._bytes += sum(value.nbytes for value in event["data"].values() if isinstance(value, np.ndarray))
        if len(self._events[stream]) >= _EVENTS_AT_ONCE or self._bytes > _BYTES_AT_ONCE:
            self._compare_events()

    def _compare_events(self) -> None:
        for stream, events in self._events.items():
            with self._noted(stream):
                if stream not in self._streams:
                    self._streams[stream] = _Stream(self._node, stream, self._layout, self._result)
                self._streams[stream].compare(events)
        self._events.clear()
        self._bytes = 0

    def _compare_descriptors(self, stream: str) -> None:
        logged = [doc for doc in self._descriptors.values() if doc["name"] == stream]
        metadata = self._node[self._layout.names[stream]].metadata
        updates = metadata.get("_config_updates", [])
        uids = [metadata["uid"], *(update["uid"] for update in updates)]
        if uids != [doc["uid"] for doc in logged]:
            self._result.differences.append(f"stream {stream}: the descriptors are {uids}, logged were others")
            return
        for doc, stored in zip(logged, [metadata, *updates], strict=True):
            differing = [
                part for part in _descriptor_parts(doc, first=doc is logged[0]) if not self._same_part(doc, stored, part)
            ]
            if differing:
                self._result.differences.append(f"stream {stream}: the descriptor differs in {', '.join(differing)}")

    def _same_part(self, doc: dict[str, Any], stored: dict[str, Any], part: str) -> bool:
        if part != "data_keys":
            return same(storable(doc[part], f"{doc['name']}/{part}", self._result.lost), stored.get(part))
        for column in self._layout.columns(doc["name"]):
            if column.storage == LEFT_OUT or column.key not in doc["data_keys"]:
                continue
            path = f"{doc['name']}/data_keys/{column.key}"
            expected = storable(doc["data_keys"][column.key], path, self._result.lost, not_finite_as_none=True)
            there = (stored.get("data_keys") or {}).get(column.name, {})
            # Entries that the writer adds, such as dtype_numpy, are no difference; it translates two former spellings of
            # them.
            for former in ("dtype_str", "dtype_descr"):
                expected.pop(former, None)
            for entry in ("shape", "external"):
                if expected.get(entry) is None:  # the writer replaces it by an empty value
                    expected.pop(entry, None)
            if not all(same(value, there.get(key)) for key, value in expected.items()):
                return False
        return True

    def _compare_file(self, stream: str, column: Column) -> None:
        announced = self._announced.get((stream, column.key), 0)
        if not announced:
            return
        self._result.compared["file"] += 1
        try:
            part = self._node[self._layout.names[stream]].base[column.name]
            entry = tuple(column.data_key.get("shape") or ())
            entries = {announced, announced * int(entry[0] or 1)} if entry else {announced}
            if part.shape[0] not in entries:
                self._result.fail(stream, column.key, f"has {part.shape[0]} entries in its files, {announced} were announced")
                return
            what = self._wrong_with_files(part, self._hdf5.get((stream, column.key), {}))
        except httpx.TransportError:
            raise
        except Exception as error:
            what = f"cannot be read by Tiled from its files ({type(error).__name__}: {error})"[:300]
        if what:
            if stream in self._streams:  # an unreadable part prevents the reading of the rest
                self._result.fail(stream, column.key, what)
            else:
                self._result.lost[f"{stream}/{column.key}"] = what

    def _wrong_with_files(self, part: Any, counts: dict[str, int]) -> str | None:
        if not counts:  # of a kind that only Tiled can read
            part[0:1], part[part.shape[0] - 1 :]
            return None
        stored = {_path(asset.data_uri) for source in part.data_sources() for asset in source.assets}
        each, first = part.shape[0] // sum(counts.values()), 0
        for uid, count in counts.items():
            resource, last = self._resources[uid], first + count * each
            if (path := _path(resource["uri"])) not in stored:
                return f"does not lie in {path}"
            if what := stored_frames.difference(part, resource, self._folders, first, last):
                return what
            first = last
        return None

    @contextmanager
    def _noted(self, stream: str) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError:
            raise
        except Exception as error:
            self._result.differences.append(f"stream {stream} cannot be read ({type(error).__name__}: {error})"[:300])


class _Stream:
    """The content of Tiled for one event stream, compared in order, some rows at a time."""

    def __init__(self, node: Any, stream: str, layout: Layout, result: Comparison) -> None:
        self._stream = stream
        self._layout = layout
        self._result = result
        self._parts = node[layout.names[stream]].base
        tables = [self._parts[key].read() for key in self._parts if key == "internal" or key.startswith("internal_")]
        self._table = {name: table[name] for table in tables for name in table.columns}
        self._rows = len(tables[0]) if tables else 0
        self._next = 0

    def compare(self, events: list[dict[str, Any]]) -> None:
        first, self._next = self._next, self._next + len(events)
        if self._next > self._rows:
            self._result.differences.append(
                f"stream {self._stream}: {self._rows} rows are stored, at least {self._next} were logged"
            )
            return
        rows = slice(first, self._next)
        for name in RESERVED_DATA_KEYS:
            if not _same_column([event[name] for event in events], self._column(name, rows)):
                self._result.differences.append(f"stream {self._stream}: {name} differs in rows {first} to {self._next - 1}")
        for column in self._layout.columns(self._stream):
            if column.storage in ("file", LEFT_OUT):
                continue
            try:
                what = self._compare_column(column, events, rows)
            except httpx.TransportError:
                raise
            except Exception as error:
                what = f"cannot be read ({type(error).__name__}: {error})"[:300]
            if what:
                self._result.fail(self._stream, column.key, what)

    def _compare_column(self, column: Column, events: list[dict[str, Any]], rows: slice) -> str:
        where = f"between rows {rows.start} and {rows.stop - 1}"
        values = [plain(event["data"].get(column.key, MISSING)) for event in events]
        if column.storage in ("array", "uint"):
            if not _same_arrays(values, np.asarray(self._parts[column.name][rows])):
                return f"differs {where}"
        elif column.storage == "json":
            if not _same_json(values, self._column(column.name, rows)):
                return f"differs {where}"
        else:
            if any(value is None for value in values):
                missing = "NaN" if column.storage == "float" else "missing, and may be read as the text None"
                self._result.lost[f"{self._stream}/{column.key}"] = f"None is stored as {missing}"
            if not _same_column(values, self._column(column.name, rows)):
                return f"differs {where}"
        read_at = [event["timestamps"].get(column.key) for event in events]
        if any(not isinstance(value, int | float) for value in read_at):
            self._result.lost[f"{self._stream}/{column.key} timestamps"] = "what is no number is stored as NaN"
            read_at = [value if isinstance(value, int | float) else None for value in read_at]
        if not _same_column(read_at, self._column(f"ts_{column.name}", rows)):
            return f"has other timestamps {where}"
        return ""

    def check_surplus(self) -> None:
        if self._rows > self._next:
            self._result.differences.append(f"stream {self._stream}: {self._rows} rows are stored, {self._next} were logged")

    def _column(self, name: str, rows: slice) -> Any:
        return self._table[name].iloc[rows]


def unpacked(name: str, doc: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """A document as itself; an event page as its events."""
    if name == "event_page":
        return (("event", dict(event)) for event in unpack_event_page(cast(Any, doc)))
    return ((name, doc),)


def _descriptor_parts(doc: dict[str, Any], *, first: bool) -> list[str]:
    """The stored parts of a descriptor; for a later descriptor of the same stream, only the configuration."""
    if first:
        return [part for part in doc if part not in ("name", "object_keys", "run_start")]
    return [part for part in ("uid", "time", "configuration") if part in doc]


def _same_column(logged: list[Any], stored: pd.Series) -> bool:
    if all(type(value) is float for value in logged) and stored.dtype == np.float64:
        return np.array_equal(np.array(logged), stored.to_numpy(), equal_nan=True)
    if len(logged) != len(stored):
        return False
    return all(_same_value(a, b) for a, b in zip(logged, stored.tolist(), strict=True))


def _same_value(logged: Any, stored: Any) -> bool:
    if logged is None or logged is MISSING or (isinstance(logged, float) and np.isnan(logged)):
        return bool(pd.isna(stored))
    return bool(logged == stored)


def _same_json(logged: list[Any], stored: pd.Series) -> bool:
    return all(
        bool(pd.isna(text)) if value is MISSING else isinstance(text, str) and same(value, json.loads(text))
        for value, text in zip(logged, stored.tolist(), strict=True)
    )


def _same_arrays(logged: list[Any], stored: np.ndarray) -> bool:
    if stored.dtype == np.uint64 and all(isinstance(value, int) for value in logged):
        return stored.tolist() == logged
    arrays = [as_array(value) for value in logged]
    return len(arrays) == len(stored) and all(
        array is not None and same_numbers(array, entry) for array, entry in zip(arrays, stored, strict=True)
    )


def _path(uri: str) -> str:
    return unquote(urlparse(uri).path)
