"""Writes one run to Tiled, like bluesky-tiled-plugins, but immediately, in the storage of a `Layout`, with exact numbers.

The plugin writes when a count is reached or the run stops, never by time. It truncates large numbers, takes a column's type
from the first values, repeats appends, which can duplicate rows, gives up the whole run if one column is irregular, and needs
about ten requests to begin a run.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow
from bluesky_tiled_plugins.utils import split_table
from bluesky_tiled_plugins.writing.consolidators import Patch
from bluesky_tiled_plugins.writing.tiled_writer import MAX_TABLE_COLUMNS, RunNormalizer
from event_model import DocumentNames, DocumentRouter
from tiled.serialization.table import serialize_arrow
from tiled.structures.core import Spec
from tiled.utils import APACHE_ARROW_FILE_MIME_TYPE

from analysis.archive.columns import LEFT_OUT, MISSING, Column, ColumnUnfit, Layout, as_array, as_dtype, as_json, fits, plain
from analysis.archive.large_arrays import LARGE, LargeArrays
from analysis.archive.run_files import RunFiles, blamed
from analysis.archive.write_request import Node, WriteRequest

_TABLE_TYPES = {"float": pyarrow.float64(), "int": pyarrow.int64(), "bool": pyarrow.bool_(), "text": pyarrow.string()}
_NODES = ("array", "uint")  # nodes that are not columns of the table


class Normalizer(RunNormalizer):
    """bluesky-tiled-plugins' translation of former kinds of documents, here only for documents of files.

    It does not refuse documents that violate the schemas: such documents are archived as they are. Neither does it change
    configurations, to whose data keys the plugin would add types, which devices need not give.
    """

    def descriptor(self, doc: Any) -> None:
        """Pass a descriptor on, its configuration unchanged."""
        self._configuration = doc.get("configuration", {})
        super().descriptor({**doc, "configuration": {}})

    def emit(self, name: Any, doc: Any) -> None:
        """Pass a document on."""
        if name == DocumentNames.descriptor:
            doc = {**doc, "configuration": self._configuration}
        self.dispatcher.process(name, doc)


class RunWriter(DocumentRouter):
    """Writes the documents of one run; all documents since the last flush go into one request.

    Parameters
    ----------
    container : tiled.client.container.Container
        `raw` or `processed`.
    layout : Layout
        Storage of each column.
    large_arrays : LargeArrays, optional
        Where arrays above 1 MB go; by default into Tiled itself.

    Attributes
    ----------
    replaced : int
        Number of former copies of the run that were removed.

    Raises
    ------
    ColumnUnfit
        From any method: the layout has changed; write the run again.
    ColumnFailed
        From any method: Tiled did not accept this column.
    """

    def __init__(self, container: Any, layout: Layout, large_arrays: LargeArrays | None = None) -> None:
        super().__init__()
        self._large_arrays = large_arrays
        self.replaced = 0
        self._layout = layout
        self._request = WriteRequest(container)
        self._uid = ""
        self._names: dict[str, str] = {}  # uid of each descriptor -> stored name of its stream
        self._streams: dict[str, str] = {}  # stored name of each stream -> name
        self._descriptors: dict[str, dict[str, Any]] = {}  # by stored name of the stream, the first of each
        self._updates: dict[str, list[dict[str, Any]]] = defaultdict(list)  # updates of their configuration
        self._events: dict[str, list[dict[str, Any]]] = defaultdict(list)  # not yet stored, by stored name of the stream
        self._parts: dict[Node, None] = {}  # nodes made for data, in order
        self._types: dict[tuple[str, str], tuple[np.dtype[Any], tuple[int, ...]]] = {}  # of the entries of each array node
        self._entries: dict[tuple[str, str], int] = {}  # number of these entries
        self._files = RunFiles(self._request)

    def flush(self) -> None:
        """Store everything taken so far."""
        for name, events in self._events.items():
            if events:
                self._write_events(name, events)
                events.clear()
        self._files.announce()
        self.replaced += self._request.send()

    def start(self, doc: Any) -> None:
        """Make the run's container; remove what was stored of the run before."""
        self._uid = doc["uid"]
        self._request.remove((self._uid,))
        self._request.container((self._uid,), {"start": doc}, [Spec("BlueskyRun", version="3.0")])

    def descriptor(self, doc: Any) -> None:
        """Make the stream's container, or note its new configuration."""
        name = doc["name"]
        self._names[doc["uid"]] = name
        if name not in self._descriptors:
            self._streams[name], self._descriptors[name] = doc["stream"], doc
            metadata = {key: value for key, value in doc.items() if key not in ("name", "stream", "object_keys", "run_start")}
            specs = [Spec("BlueskyEventStream", version="3.0"), Spec("composite")]
            self._request.container((self._uid, name), metadata, specs)
        else:
            self._updates[name].append({key: doc[key] for key in ("uid", "time", "configuration") if key in doc})
            self._request.set_metadata((self._uid, name), {"_config_updates": self._updates[name]})

    def event(self, doc: Any) -> Any:
        """Take an event."""
        self._events[self._names[doc["descriptor"]]].append(doc)

    def stream_resource(self, doc: Any) -> None:
        """Take a document that names a file."""
        self._files.open(doc)

    def stream_datum(self, doc: Any) -> None:
        """Take a document that announces data in a file."""
        name = self._names[doc["descriptor"]]
        columns = self._layout.columns(self._streams[name])
        self._files.extend(doc, (self._uid, name), self._streams[name], self._descriptors[name], columns)

    def stop(self, doc: Any) -> None:
        """Store the rest, and the stop document."""
        self.flush()
        notes = doc.pop("_run_normalizer_notes", [])
        self._files.close()
        self._request.set_metadata((self._uid,), {"stop": doc, **({"notes": notes} if notes else {})})
        for node in (*self._parts, *self._files.nodes, *((self._uid, name) for name in self._streams), (self._uid,)):
            self._request.close(node)
        self._request.send()

    def _write_events(self, name: str, events: list[dict[str, Any]]) -> None:
        stream = self._streams[name]
        columns = [column for column in self._layout.columns(stream) if column.storage not in ("file", LEFT_OUT)]
        values = {column.name: [plain(event["data"].get(column.name, MISSING)) for event in events] for column in columns}
        self._check(stream, columns, values)
        for column in columns:
            if column.storage in _NODES:
                with blamed(stream, column):
                    self._write_array(name, stream, column, values[column.name])
        self._write_table(name, columns, values, events)

    def _check(self, stream: str, columns: list[Column], values: dict[str, list[Any]]) -> None:
        """Change the storage of columns whose values do not fit, all at once: each change requires writing the run again."""
        unfit = []
        for column in columns:
            for value in values[column.name]:
                if not self._fits(stream, column, value):
                    column.step_on(_described(value, column), lambda storage, value=value: fits(storage, value))  # type: ignore[misc]
                    unfit.append(f"{stream}/{column.key} {column.reason}")
                    break
        if unfit:
            raise ColumnUnfit("; ".join(unfit))

    def _fits(self, stream: str, column: Column, value: Any) -> bool:
        if value is MISSING and column.storage != "json":
            return False
        if not fits(column.storage, value):
            return False
        if column.storage != "array":
            return True
        array = as_array(value)
        assert array is not None, "an array is what fits"
        dtype, shape = self._types.setdefault((stream, column.name), (_entry_type(array, value, column), array.shape))
        return array.shape == shape and as_dtype(array, dtype) is not None

    def _write_array(self, name: str, stream: str, column: Column, values: list[Any]) -> None:
        """Make the node of an array with these entries, or append them to it."""
        if column.storage == "uint":
            array = np.array(values, dtype=np.uint64)
        else:
            dtype, _ = self._types[stream, column.name]
            array = np.array([as_array(value) for value in values], dtype=dtype)
        node = (self._uid, name, column.name)
        entries = self._entries.get((stream, column.name), 0)
        self._entries[stream, column.name] = entries + len(array)
        metadata = {**column.data_key, "dtype_numpy": array.dtype.str}
        dims, whose = _dims(array.shape), (stream, column)
        if self._large_arrays is not None and array[0].nbytes > LARGE:
            source = self._large_arrays.write(name, column.name, array, dims)
            if entries:
                patch = Patch(shape=array.shape, offset=(entries, *[0] * (array.ndim - 1)))
                self._request.extend_registered(node, source, patch, whose)
            else:
                self._request.register(node, source, metadata, whose)
        elif entries:
            self._request.further_entries(node, array, entries, whose)
        else:
            self._request.array(node, array, metadata, dims, whose)
        self._parts[node] = None

    def _write_table(self, name: str, columns: list[Column], values: dict[str, list[Any]], events: list[dict[str, Any]]) -> None:
        """Append rows to the table of a stream; make the table if it does not exist."""
        types = {"seq_num": pyarrow.int64(), "time": pyarrow.float64()}
        data: dict[str, list[Any]] = {"seq_num": [e["seq_num"] for e in events], "time": [e["time"] for e in events]}
        for column in columns:
            if column.storage not in _NODES:
                types[column.name] = _TABLE_TYPES.get(column.storage, pyarrow.string())
                data[column.name] = _table_values(column.storage, values[column.name])
            types[f"ts_{column.name}"] = pyarrow.float64()
            data[f"ts_{column.name}"] = [_timestamp(event, column.name) for event in events]
        table = pyarrow.table(data, schema=pyarrow.schema(list(types.items())))
        parts = [("", table)]
        if table.num_columns > MAX_TABLE_COLUMNS:
            parts = [(f"_{number}", part) for number, part in enumerate(split_table(table, MAX_TABLE_COLUMNS))]
        for suffix, part in parts:
            node = (self._uid, name, f"internal{suffix}")
            if node not in self._parts:
                metadata = {column.name: column.data_key for column in columns if column.name in part.column_names}
                self._request.table(node, part.schema, metadata)
                self._parts[node] = None
            self._request.rows(node, bytes(serialize_arrow(APACHE_ARROW_FILE_MIME_TYPE, part, {})))


def _dims(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Names of an array's axes. The plugin gives one name for one length, which makes a square image unreadable for xarray."""
    names = ("y", "x") if len(shape) == 3 else tuple(f"axis{number}" for number in range(1, len(shape)))
    return ("time", *(f"{name}_{size}" for name, size in zip(names, shape[1:], strict=True)))


def _entry_type(array: np.ndarray, value: Any, column: Column) -> np.dtype[Any]:
    """The type of an array node: that of the first array. Lists have no type: they take the announced one, if they fit it."""
    if not isinstance(value, np.ndarray):
        announced = np.dtype(_announced_type(column))
        if announced.kind in "biuf" and as_dtype(array, announced) is not None:
            return announced
    return array.dtype


def _announced_type(column: Column) -> Any:
    try:
        return np.dtype(column.data_key.get("dtype_numpy") or np.float64)
    except TypeError:
        return np.float64


def _table_values(storage: str, values: list[Any]) -> list[Any]:
    if storage == "json":
        return [as_json(value) for value in values]
    if storage == "float":
        return [None if value is None else float(value) for value in values]
    if storage == "bool":
        return [bool(value) for value in values]
    return [int(value) for value in values] if storage == "int" else values


def _timestamp(event: dict[str, Any], name: str) -> float | None:
    value = event["timestamps"].get(name)
    return float(value) if isinstance(value, int | float) else None


def _described(value: Any, column: Column) -> str:
    """A description of an irregular value."""
    announced = "a file" if column.storage == "file" else column.data_key.get("dtype")
    if value is MISSING:
        return "is missing in an event"
    if isinstance(value, np.ndarray | list | tuple):
        array = as_array(value)
        what = "a list of unlike things" if array is None else f"an array of {array.dtype} with the shape {array.shape}"
        return f"announced as {announced}, was {what}" + (" and others" if column.storage == "array" else "")
    return f"announced as {announced}, was {value!r:.40}"
