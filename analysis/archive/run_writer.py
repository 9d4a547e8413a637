"""Writing one run into Tiled: bluesky-tiled-plugins' writer, with a flush, columns as a `Layout` says, and unchanged numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgpack
import numpy as np
import pyarrow
from bluesky_tiled_plugins.utils import split_table
from bluesky_tiled_plugins.writing.tiled_writer import MAX_TABLE_COLUMNS, RunNormalizer, _RunWriter
from event_model import DocumentNames
from tiled.client.utils import handle_error
from tiled.serialization.table import serialize_arrow
from tiled.structures.core import Spec
from tiled.utils import APACHE_ARROW_FILE_MIME_TYPE

from analysis.archive.append_url import append_url
from analysis.archive.columns import (
    LEFT_OUT,
    MISSING,
    Column,
    ColumnFailed,
    ColumnUnfit,
    Layout,
    as_array,
    as_dtype,
    as_json,
    fits,
    plain,
)

_TABLE_TYPES = {"float": pyarrow.float64(), "int": pyarrow.int64(), "bool": pyarrow.bool_(), "text": pyarrow.string()}
_NODES = ("array", "uint")  # what isn't a column of the table


class Normalizer(RunNormalizer):
    """bluesky-tiled-plugins' translation of former kinds of documents, here only for those of files.

    It doesn't refuse what breaks the documents' schemas: odd documents are archived as they are. Configurations too: the plugin
    would add types to their data keys, which devices need not give.
    """

    def descriptor(self, doc: Any) -> None:
        """Pass a descriptor on, its configuration as it is."""
        self._configuration = doc.get("configuration", {})
        super().descriptor({**doc, "configuration": {}})

    def emit(self, name: Any, doc: Any) -> None:
        """Pass a document on."""
        if name == DocumentNames.descriptor:
            doc = {**doc, "configuration": self._configuration}
        self.dispatcher.process(name, doc)


class RunWriter(_RunWriter):
    """Writes the documents of one run.

    The plugin writes when a count is reached or the run stops, never by time; it cuts large numbers, takes a column's type from
    the first values, repeats appends, which can double rows, and gives up the whole run where one column is odd.

    Parameters
    ----------
    container : tiled.client.container.Container
        `raw` or `processed`.
    layout : Layout
        How each column is stored.

    Raises
    ------
    ColumnUnfit
        From any method: the layout has changed, write the run anew.
    ColumnFailed
        From any method: Tiled did not take this column.
    """

    def __init__(self, container: Any, layout: Layout) -> None:
        super().__init__(container.include_data_sources())
        self._layout = layout
        self._streams: dict[str, str] = {}  # stored name of each stream -> name
        self._types: dict[tuple[str, str], tuple[np.dtype[Any], tuple[int, ...]]] = {}  # of the entries of each array node
        self._entries: dict[tuple[str, str], int] = {}  # how many of them there are

    def flush(self) -> None:
        """Store everything taken so far."""
        for stream, events in self._internal_data_cache.items():
            if events:
                self._write_internal_data(events, desc_node=self._desc_nodes[stream])
                events.clear()
        while self._external_data_cache:
            _, doc = self._external_data_cache.popitem()
            self._write_external_data(doc)

    def start(self, doc: Any) -> None:
        """Make the run's container."""
        self.root_node = self.client.create_container(
            key=doc["uid"], metadata={"start": doc}, specs=[Spec("BlueskyRun", version="3.0")]
        )

    def descriptor(self, doc: Any) -> None:
        """Make the stream's container, or note its new configuration."""
        name = doc["name"]
        self._streams[name] = doc["stream"]
        if name not in self._desc_nodes:
            assert self.root_node is not None, "a run begins with its start document"
            metadata = {key: value for key, value in doc.items() if key not in ("name", "stream", "object_keys", "run_start")}
            specs = [Spec("BlueskyEventStream", version="3.0"), Spec("composite")]
            self._desc_nodes[name] = self.root_node.create_container(key=name, metadata=metadata, specs=specs).base
        else:
            node = self._desc_nodes[name]
            update = {key: doc[key] for key in ("uid", "time", "configuration") if key in doc}
            updates = [*node.metadata.get("_config_updates", []), update]
            node.update_metadata(metadata={"_config_updates": updates}, drop_revision=True)
        self._desc_nodes[doc["uid"]] = self._desc_nodes[name]

    def event(self, doc: Any) -> None:
        """Take an event."""
        self._internal_data_cache[self._desc_nodes[doc["descriptor"]].item["id"]].append(doc)

    def stop(self, doc: Any) -> None:
        """Store what is left, and the stop document."""
        self.flush()
        super().stop(doc)

    def _write_internal_data(self, events: list[dict[str, Any]], desc_node: Any) -> None:
        name = desc_node.item["id"]
        stream = self._streams[name]
        columns = [column for column in self._layout.columns(stream) if column.storage not in ("file", LEFT_OUT)]
        values = {column.name: [plain(event["data"].get(column.name, MISSING)) for event in events] for column in columns}
        self._check(stream, columns, values)
        further: dict[str, dict[str, Any]] = {"arrays": {}, "tables": {}}  # of nodes that are there, in one request
        for column in columns:
            if column.storage in _NODES:
                with _blamed(stream, column):
                    further["arrays"] |= self._write_array(desc_node, stream, column, values[column.name])
        further["tables"] = self._write_table(desc_node, name, columns, values, events)
        self._append(desc_node, stream, columns, further)

    def _append(self, desc_node: Any, stream: str, columns: list[Column], further: dict[str, dict[str, Any]]) -> None:
        # A request that failed is never repeated: part of it may have been stored.
        response = desc_node.context.http_client.post(
            append_url(desc_node.item["links"]["self"]),
            content=msgpack.packb(further),
            headers={"Content-Type": "application/x-msgpack"},
        )
        if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            failed = response.json()["detail"]
            for column in columns:
                if column.name == failed["node"]:
                    raise ColumnFailed(stream, column.key, failed["problem"])
        handle_error(response)

    def _check(self, stream: str, columns: list[Column], values: dict[str, list[Any]]) -> None:
        """Let columns whose values don't fit take their next step, all at once: each costs writing the run anew."""
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

    def _write_array(self, desc_node: Any, stream: str, column: Column, values: list[Any]) -> dict[str, Any]:
        """Make the node of an array with these entries; if it is there, return what is to be appended to it."""
        if column.storage == "uint":
            array = np.array(values, dtype=np.uint64)
        else:
            dtype, _ = self._types[stream, column.name]
            array = np.array([as_array(value) for value in values], dtype=dtype)
        entries = self._entries.get((stream, column.name), 0)
        self._entries[stream, column.name] = entries + len(array)
        if entries:
            return {column.name: {"offset": entries, "shape": array.shape, "data": array.tobytes()}}
        dims = self._internal_dims(stream, array.shape)
        metadata = {**column.data_key, "dtype_numpy": array.dtype.str}
        node = desc_node.write_array(array, key=column.name, metadata=metadata, dims=dims)
        self._internal_arrays[f"{desc_node.item['id']}/{column.name}"] = node
        return {}

    def _write_table(
        self, desc_node: Any, name: str, columns: list[Column], values: dict[str, list[Any]], events: list[dict[str, Any]]
    ) -> dict[str, bytes]:
        """Make the table if it isn't there; returns the rows to be appended to each of its parts."""
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
        rows = {}
        for suffix, part in parts:
            key = f"internal{suffix}"
            if f"{name}{suffix}" not in self._internal_tables:
                metadata = {column.name: column.data_key for column in columns if column.name in part.column_names}
                node = desc_node.create_appendable_table(schema=part.schema, key=key, metadata=metadata)
                self._internal_tables[f"{name}{suffix}"] = node
            rows[key] = bytes(serialize_arrow(APACHE_ARROW_FILE_MIME_TYPE, part, {}))
        return rows

    def _internal_dims(self, desc_name: str, shape: tuple[int | None, ...]) -> tuple[str, ...]:
        # The plugin gives one length one name, so that the two axes of a square image have the same, which xarray cannot read.
        names = ("y", "x") if len(shape) == 3 else tuple(f"axis{number}" for number in range(1, len(shape)))
        return ("time", *(f"{name}_{size}" for name, size in zip(names, shape[1:], strict=True)))

    def _update_consolidator(self, doc: Any) -> Any:
        with self._blamed_file(doc):
            return super()._update_consolidator(doc)

    def _write_external_data(self, doc: Any) -> None:
        with self._blamed_file(doc):
            super()._write_external_data(doc)

    @contextmanager
    def _blamed_file(self, stream_datum: Any) -> Iterator[None]:
        resource = self._stream_resource_cache.get(stream_datum["stream_resource"])
        stream = self._streams[self._desc_nodes[stream_datum["descriptor"]].item["id"]]
        name = "" if resource is None else resource["data_key"]
        column = next((column for column in self._layout.columns(stream) if column.name == name), None)
        if column is None:
            yield
            return
        with _blamed(stream, column):
            yield


@contextmanager
def _blamed(stream: str, column: Column) -> Iterator[None]:
    """What goes wrong in here is the column's fault, unless the server is gone."""
    try:
        yield
    except (httpx.TransportError, ColumnFailed):
        raise
    except Exception as error:
        raise ColumnFailed(stream, column.key, f"{type(error).__name__}: {error}"[:300]) from error


def _entry_type(array: np.ndarray, value: Any, column: Column) -> np.dtype[Any]:
    """The type of an array node: that of the first array. Lists have none: they are of the announced type, if they fit it."""
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
    """What was odd about a value, in words."""
    announced = "a file" if column.storage == "file" else column.data_key.get("dtype")
    if value is MISSING:
        return "is missing in an event"
    if isinstance(value, np.ndarray | list | tuple):
        array = as_array(value)
        what = "a list of unlike things" if array is None else f"an array of {array.dtype} with the shape {array.shape}"
        return f"announced as {announced}, was {what}" + (" and others" if column.storage == "array" else "")
    return f"announced as {announced}, was {value!r:.40}"
