"""The documents of a stored run, made from its tables and arrays with little memory, however long the run is.

Tiled can make them itself (`run.documents()`), but it converts every array to lists and sends nothing before it has them all.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import httpx
import numpy as np
from tiled.client.utils import ClientError

from analysis.archive.server_settings import CatalogError

_ROWS_AT_ONCE = 1000
_BYTES_AT_ONCE = 16_000_000  # of arrays, in one page
# How the archiver marks a data key that is stored differently from its announcement.
_LOGGED_AS, _STORED_AS = "logged_as", "stored_as"


def stored_documents(run: Any) -> Generator[tuple[str, dict[str, Any]], None, None]:
    """Names and documents of a run.

    Start, descriptors and stop are the logged ones. Events are returned as pages: in order within each stream, and pages of
    several streams in the order of their first times. Values are the logged ones: numbers exact (but tables do not
    distinguish -0.0), arrays as arrays. Frames and other data in files are returned as a stream resource that names the file,
    and one stream datum. Uids of events, stream resources and stream datums are new. A column that the archiver has left out
    is missing.

    The table of each stream, without arrays, is in memory as a whole; arrays are read block by block, and frames not at all.

    Parameters
    ----------
    run : BlueskyRun
        A run of a Tiled catalogue, ended or not.

    Raises
    ------
    CatalogError
        If the server refuses, or is gone.
    """
    metadata = run.item["attributes"]["metadata"]
    uid = metadata["start"]["uid"]
    try:
        yield "start", metadata["start"]
        streams = [_Stream(name, run[name], uid) for name in run]
        for stream in streams:
            yield from (("descriptor", descriptor) for descriptor in stream.descriptors)
            yield from stream.files()
        pages = [(float(stream.times[first]), stream, first, last) for stream in streams for first, last in stream.pages()]
        for _, stream, first, last in sorted(pages, key=lambda page: page[0]):
            yield "event_page", stream.page(first, last)
        if "stop" in metadata:
            yield "stop", metadata["stop"]
    except (ClientError, httpx.TransportError) as error:
        raise CatalogError(f"Tiled does not give the documents of run {uid}: {error}") from error


class _Stream:
    """One event stream as it is stored.

    Parameters
    ----------
    name : str
        Its name.
    node : BlueskyEventStream
        Its node in Tiled.
    run : str
        The run's uid.
    """

    def __init__(self, name: str, node: Any, run: str) -> None:
        metadata = node.item["attributes"]["metadata"]
        self._data_keys: dict[str, dict[str, Any]] = metadata["data_keys"]
        self.descriptors = _descriptors(metadata, name, run)
        parts = node.base
        keys = [key for key in parts if key in self._data_keys or _is_table(key)]
        self._arrays = {key: parts[key] for key in keys if not _is_table(key)}
        self._files = {key: self._arrays.pop(key) for key in list(self._arrays) if "external" in self._data_keys[key]}
        tables = [parts[key].read() for key in keys if _is_table(key)]
        self._columns = {key: table[key].to_numpy() for table in tables for key in table.columns}
        lengths = [len(part) for part in (*self._columns.values(), *self._arrays.values())]
        self._rows = min(lengths, default=0)  # parts of a running scan may have different lengths
        self.times: np.ndarray = self._columns.get("time", np.empty(0))

    def pages(self) -> Iterator[tuple[int, int]]:
        """First row and end (exclusive) of each page: short enough that its arrays are small, and with a single descriptor."""
        row_bytes = sum(array.dtype.itemsize * int(np.prod(array.shape[1:])) for array in self._arrays.values())
        rows = min(_ROWS_AT_ONCE, max(1, _BYTES_AT_ONCE // max(1, row_bytes)))
        # if a page ends within a chunk of an array, the server reads that chunk twice
        chunk = max((array.chunks[0][0] for array in self._arrays.values()), default=1)
        rows -= rows % chunk if rows >= chunk else 0
        cuts = sorted({*range(0, self._rows, rows), *self._begins(), self._rows})
        return itertools.pairwise(cuts)

    def page(self, first: int, last: int) -> dict[str, Any]:
        """Rows first to last - 1 as an event page."""
        (descriptor,) = [
            descriptor
            for descriptor, begin, end in zip(self.descriptors, self._begins(), [*self._begins()[1:], self._rows], strict=True)
            if begin <= first < end
        ]
        seq_nums = self._columns["seq_num"][first:last].tolist()
        data, timestamps = {}, {}
        for name, data_key in self._data_keys.items():
            if name not in self._columns and name not in self._arrays:
                continue
            key = data_key.get(_LOGGED_AS, name)
            data[key] = self._values(name, data_key, first, last)
            timestamps[key] = self._columns[f"ts_{name}"][first:last].tolist()
        return {
            "uid": [f"event-{descriptor['uid']}-{seq_num}" for seq_num in seq_nums],
            "descriptor": descriptor["uid"],
            "seq_num": seq_nums,
            "time": self.times[first:last].tolist(),
            "data": data,
            "timestamps": timestamps,
            "filled": {},
        }

    def files(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Stream resource and stream datum of each data key whose data are in a file."""
        descriptor = self.descriptors[0]
        for name, part in self._files.items():
            key = self._data_keys[name].get(_LOGGED_AS, name)
            (source,) = part.data_sources()
            structure, entry = part.structure(), self._data_keys[name]["shape"]
            joined = len(structure.shape) == len(entry) > 0  # entries are joined along the first axis
            count = structure.shape[0] // entry[0] if joined else structure.shape[0]
            resource = f"stream-resource-{descriptor['uid']}-{key}"
            chunk = {"chunk_shape": [structure.chunks[0][0]]} if count else {}
            yield (
                "stream_resource",
                {
                    "uid": resource,
                    "run_start": descriptor["run_start"],
                    "data_key": key,
                    "mimetype": source.mimetype,
                    "uri": source.assets[0].data_uri,
                    "parameters": {**source.parameters, **chunk, **({"join_method": "concat"} if joined else {})},
                },
            )
            if count:
                yield (
                    "stream_datum",
                    {
                        "uid": f"stream-datum-{descriptor['uid']}-{key}",
                        "stream_resource": resource,
                        "descriptor": descriptor["uid"],
                        "indices": {"start": 0, "stop": count},
                        "seq_nums": {"start": 1, "stop": count + 1},
                    },
                )

    def _begins(self) -> list[int]:
        """The first row of each descriptor; events are stored without their descriptors, so their times decide."""
        times = [descriptor["time"] for descriptor in self.descriptors[1:]]
        return [0, *np.maximum.accumulate(np.searchsorted(self.times[: self._rows], times)).tolist()]

    def _values(self, name: str, data_key: Mapping[str, Any], first: int, last: int) -> list[Any]:
        if name in self._columns:
            values: list[Any] = self._columns[name][first:last].tolist()
            return [_from_json(value) for value in values] if data_key.get(_STORED_AS) == "json" else values
        block = self._arrays[name][first:last]
        return list(block) if block.ndim > 1 else block.tolist()


def _descriptors(metadata: Mapping[str, Any], stream: str, run: str) -> list[dict[str, Any]]:
    """The descriptors of a stream: the first, and one for each change of the configuration."""
    data_keys: dict[str, Any] = {}
    object_keys: dict[str, list[str]] = {}
    for name, entry in metadata["data_keys"].items():
        key = entry.get(_LOGGED_AS, name)
        data_keys[key] = {word: value for word, value in entry.items() if word not in (_LOGGED_AS, _STORED_AS)}
        if device := entry.get("object_name"):
            object_keys.setdefault(device, []).append(key)
    first = {
        **{word: value for word, value in metadata.items() if word != "_config_updates"},
        "name": stream,
        "run_start": run,
        "data_keys": data_keys,
        "object_keys": object_keys,
    }
    descriptors = [first]
    for update in metadata.get("_config_updates", []):
        descriptors.append({**copy.deepcopy(descriptors[-1]), **update})
    return descriptors


def _is_table(part: str) -> bool:
    return part == "internal" or part.startswith("internal_")


def _from_json(text: str | None) -> Any:
    return None if text is None else json.loads(text)
