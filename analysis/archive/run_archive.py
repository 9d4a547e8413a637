"""Writing one run from the document log into Tiled, and reading it back to compare."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
from bluesky_tiled_plugins.utils import truncate_json_overflow
from bluesky_tiled_plugins.writing.tiled_writer import RunNormalizer, _RunWriter
from event_model import unpack_event_page

from analysis.documents.log import Record

_COMPARED_AT_ONCE = 1000  # events


class _FlushingRunWriter(_RunWriter):
    """bluesky-tiled-plugins' writer of one run, with a flush, so that a run can be seen in Tiled while it goes on.

    The plugin writes when a count is reached or the run stops, never by time.
    """

    def flush(self) -> None:
        for stream, rows in self._internal_data_cache.items():
            if rows:
                self._write_internal_data(rows, desc_node=self._desc_nodes[stream])
                rows.clear()
        while self._external_data_cache:
            _, doc = self._external_data_cache.popitem()
            self._write_external_data(doc)

    def _internal_dims(self, desc_name: str, shape: tuple[int | None, ...]) -> tuple[str, ...]:
        # The plugin calls axes by their length, so that the two of a square image have one name, which xarray cannot read.
        names = ("y", "x") if len(shape) == 3 else tuple(f"axis{number}" for number in range(1, len(shape)))
        return ("time", *(f"{name}_{size}" for name, size in zip(names, shape[1:], strict=True)))

    def _append_with_retry(self, df_client: Any, table: Any, desc_name: str) -> None:
        # The plugin repeats an append that may have been stored, which can double rows. Here an append that failed makes the
        # whole run be written anew from the log.
        df_client.append_partition(0, table)


class RunArchive:
    """One run on its way into a Tiled container.

    Parameters
    ----------
    container : tiled.client.container.Container
        `raw` or `processed`.
    uid : str
        The run's uid.
    """

    def __init__(self, container: Any, uid: str) -> None:
        self.container = container
        self.uid = uid
        self._writer: _FlushingRunWriter | None = None
        self._normalizer: RunNormalizer | None = None
        self._number_keys: dict[str, set[str]] = {}

    def discard(self) -> bool:
        """Remove whatever is stored of the run, so that it can be written anew; says whether there was anything."""
        if self.uid not in self.container:
            return False
        self.container.delete_contents([self.uid], recursive=True, external_only=False)
        return True

    def write(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document; it is stored at the next `flush` at the latest."""
        if name == "start":
            # Every array becomes a node of its own: a SQLite table has no column type for lists (the server answers 500).
            self._writer = _FlushingRunWriter(self.container.include_data_sources(), max_array_size=0)
            self._normalizer = RunNormalizer()
            self._normalizer.subscribe(self._writer)
        assert self._normalizer is not None, "the first document of a run is its start"
        if name == "descriptor":
            self._number_keys[doc["uid"]] = {key for key, data_key in doc["data_keys"].items() if data_key["dtype"] == "number"}
        for one_name, one_doc in unpacked(name, doc):
            self._normalizer(one_name, self._typed(one_name, one_doc))

    def flush(self) -> None:
        """Store everything taken so far."""
        if self._writer is not None:
            self._writer.flush()

    def compare(self, records: Iterable[Record]) -> list[str]:
        """Read the run back and say in words what differs from the log; an empty list if nothing does."""
        node = self.container[self.uid]
        differences: list[str] = []
        streams: dict[str, str] = {}
        descriptors: dict[str, list[str]] = defaultdict(list)
        expected: dict[str, list[dict[str, Any]]] = defaultdict(list)
        readers: dict[str, _StreamReader] = {}

        def check(stream: str) -> None:
            if stream not in readers:
                readers[stream] = _StreamReader(node, stream)
            differences.extend(readers[stream].compare(expected.pop(stream)))

        for record in records:
            for name, doc in unpacked(record.name, record.doc):
                if name in ("start", "stop"):
                    differences += _compare_metadata(name, doc, node.metadata.get(name))
                elif name == "descriptor":
                    streams[doc["uid"]] = doc["name"]
                    descriptors[doc["name"]].append(doc["uid"])
                elif name == "event":
                    stream = streams[doc["descriptor"]]
                    expected[stream].append(doc)
                    if len(expected[stream]) >= _COMPARED_AT_ONCE:
                        check(stream)
        for stream in list(expected):
            check(stream)
        differences += [line for reader in readers.values() for line in reader.surplus()]
        for stream, uids in descriptors.items():
            differences += _compare_descriptors(node, stream, uids)
        return differences

    def mark_verified(self) -> None:
        """Record in the run's metadata that it was read back and equals the log."""
        self.container[self.uid].update_metadata(metadata={"verified_against_log": True}, drop_revision=True)

    def _typed(self, name: str, doc: dict[str, Any]) -> dict[str, Any]:
        doc = copy.deepcopy(doc)  # the writer changes what it gets
        if name == "event":
            # A table's column has one type: a whole number in a column of numbers must not make it an integer's.
            for key in self._number_keys.get(doc["descriptor"], ()):
                if isinstance(doc["data"].get(key), int):
                    doc["data"][key] = float(doc["data"][key])
        return doc


def unpacked(name: str, doc: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """A document as itself, an event page as its events."""
    if name == "event_page":
        return (("event", dict(event)) for event in unpack_event_page(cast(Any, doc)))
    return ((name, doc),)


class _StreamReader:
    """What Tiled holds of one event stream, compared in order, some rows at a time."""

    def __init__(self, node: Any, stream: str) -> None:
        self.stream = stream
        self._parts = node[stream].base if stream in node else {}
        tables = [self._parts[key].read() for key in self._parts if key == "internal" or key.startswith("internal_")]
        self._columns: dict[str, np.ndarray] = {name: table[name].to_numpy() for table in tables for name in table.columns}
        self._rows = len(tables[0]) if tables else 0
        self._next = 0

    def compare(self, events: list[dict[str, Any]]) -> list[str]:
        first, self._next = self._next, self._next + len(events)
        if self._next > self._rows:
            return [f"stream {self.stream}: {self._rows} rows are stored, at least {self._next} were logged"]
        rows = slice(first, self._next)
        expected: dict[str, list[Any]] = {key: [event[key] for event in events] for key in ("seq_num", "time")}
        for key in events[0]["data"]:
            expected[key] = [event["data"][key] for event in events]
            expected[f"ts_{key}"] = [event["timestamps"][key] for event in events]
        return [
            f"stream {self.stream}: {key} differs between rows {first} and {self._next - 1}"
            for key, values in expected.items()
            if not _equal(values, self._stored(key, rows))
        ]

    def surplus(self) -> list[str]:
        if self._rows > self._next:
            return [f"stream {self.stream}: {self._rows} rows are stored, {self._next} were logged"]
        return []

    def _stored(self, key: str, rows: slice) -> Any:
        if key in self._columns:
            return self._columns[key][rows]
        return self._parts[key][rows] if key in self._parts else None


def _equal(logged: list[Any], stored: Any) -> bool:
    if stored is None or len(stored) != len(logged):
        return False
    if not isinstance(logged[0], np.ndarray | list | tuple) and isinstance(logged[0], str):
        return list(stored) == logged
    a, b = np.asarray(logged), np.asarray(stored)
    if a.shape != b.shape:
        return False
    if a.dtype.kind in "biufc" and b.dtype.kind in "biufc":
        return np.array_equal(a, b, equal_nan=True)
    return a.tolist() == b.tolist()


def _compare_metadata(name: str, logged: dict[str, Any], stored: Any) -> list[str]:
    if stored is None:
        return [f"the {name} document is not stored"]
    expected = truncate_json_overflow(_plain(logged))
    for steers_tiled in ("tiled_access_tags", "tiled_specs"):
        expected.pop(steers_tiled, None)
    differing = [key for key, value in expected.items() if not _same(value, stored.get(key))]
    return [f"the {name} document differs in {', '.join(differing)}"] if differing else []


def _compare_descriptors(node: Any, stream: str, uids: list[str]) -> list[str]:
    if stream not in node:
        return [f"stream {stream} is not stored"]
    metadata = node[stream].metadata
    stored = [metadata["uid"], *(update["uid"] for update in metadata.get("_config_updates", []))]
    return [] if stored == uids else [f"stream {stream}: the descriptors are {stored}, logged were {uids}"]


def _plain(value: Any) -> Any:
    """A document as it looks after a journey through JSON: lists for tuples and arrays."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def _same(logged: Any, stored: Any) -> bool:
    if isinstance(logged, float) and not np.isfinite(logged):
        return stored is None or (isinstance(stored, float) and not np.isfinite(stored))
    if isinstance(logged, dict):
        same_keys = hasattr(stored, "keys") and logged.keys() == stored.keys()
        return same_keys and all(_same(value, stored[key]) for key, value in logged.items())
    if isinstance(logged, list):
        return len(logged) == len(stored) and all(_same(a, b) for a, b in zip(logged, stored, strict=True))
    return bool(logged == stored)
