"""The files of a run as nodes of Tiled, with the lengths that the stream datums announce."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from bluesky_tiled_plugins.writing.consolidators import consolidator_factory
from bluesky_tiled_plugins.writing.tiled_writer import concatenate_stream_datums

from analysis.archive.columns import Column, ColumnFailed
from analysis.archive.write_request import Node, WriteRequest


@dataclass
class _File:
    """The known properties of the data of one key; its consolidator makes Tiled's description of them."""

    node: Node
    stream: str
    column: Column | None
    consolidator: Any

    @property
    def whose(self) -> tuple[str, Column] | None:
        return None if self.column is None else (self.stream, self.column)


class RunFiles:
    """The data keys of a run whose data are in files.

    Parameters
    ----------
    request : WriteRequest
        Collects what is to be written.
    """

    def __init__(self, request: WriteRequest) -> None:
        self._request = request
        self._resources: dict[str, Any] = {}
        self._datums: dict[str, Any] = {}  # not yet announced, one for each stream resource
        self._files: dict[Node, _File] = {}
        self._of_resource: dict[str, _File] = {}

    @property
    def nodes(self) -> list[Node]:
        """The nodes that were made."""
        return list(self._files)

    def open(self, resource: Any) -> None:
        """Take a stream resource."""
        self._resources[resource["uid"]] = resource

    def extend(
        self, datum: Any, stream_node: Node, stream: str, descriptor: Mapping[str, Any], columns: Sequence[Column]
    ) -> None:
        """Take a stream datum of a stream; those of one resource are announced together."""
        uid = datum["stream_resource"]
        if uid not in self._resources:
            raise ValueError(f"a stream datum refers to the stream resource {uid}, which did not come")
        resource = self._resources[uid]
        if uid not in self._of_resource:
            node = (*stream_node, resource["data_key"])
            column = next((column for column in columns if column.name == resource["data_key"]), None)
            if node not in self._files:
                with blamed(stream, column):
                    file = _File(node, stream, column, consolidator_factory(resource, descriptor))
                self._files[node] = file
                self._request.register(node, file.consolidator.get_data_source(), {}, file.whose)
            else:
                file = self._files[node]
                with blamed(stream, column):
                    file.consolidator.update_from_stream_resource(resource)
            self._of_resource[uid] = file
        waiting = self._datums.pop(uid, None)
        if waiting is not None:
            try:
                datum = concatenate_stream_datums(waiting, datum)
            except ValueError:  # they are not contiguous
                self._announce(waiting)
        self._datums[uid] = datum

    def announce(self) -> None:
        """Announce the lengths given by the stream datums taken so far."""
        datums = list(self._datums.values())
        self._datums.clear()
        for datum in datums:
            self._announce(datum)

    def close(self) -> None:
        """Store further properties of the data at the end of the run."""
        for file in self._files.values():
            if file.consolidator.metadata:
                self._request.set_metadata(file.node, file.consolidator.metadata)

    def _announce(self, datum: Any) -> None:
        file = self._of_resource[datum["stream_resource"]]
        with blamed(file.stream, file.column):
            patch = file.consolidator.consume_stream_datum(datum)
            file.consolidator._seqnums_to_indices_map.clear()  # grows by one entry per frame, and nothing reads it
            self._request.extend_registered(file.node, file.consolidator.get_data_source(), patch, file.whose)


@contextmanager
def blamed(stream: str, column: Column | None) -> Iterator[None]:
    """Attribute errors in this block to the column, unless the server is gone."""
    try:
        yield
    except (httpx.TransportError, ColumnFailed):
        raise
    except Exception as error:
        if column is None:
            raise
        raise ColumnFailed(stream, column.key, f"{type(error).__name__}: {error}"[:300]) from error
