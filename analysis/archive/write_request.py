"""Writes to a container of Tiled: several steps in one request to the route of `write_route`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import msgpack
import numpy as np
from dask.array.core import normalize_chunks
from tiled.client.utils import handle_error
from tiled.structures.array import ArrayStructure, BuiltinDtype
from tiled.structures.core import Spec, StructureFamily
from tiled.structures.data_source import DataSource
from tiled.structures.table import TableStructure
from tiled.utils import safe_json_dump

from analysis.archive.columns import Column, ColumnFailed

_LARGEST_CHUNK = 100_000_000  # bytes; Tiled sends no more than 300 MB at once

Node = tuple[str, ...]
"""The place of a node below the container: the run, the stream, the part."""


def write_url(container: str) -> str:
    """The address to which steps are sent, from the address of a container's metadata."""
    server, _, path = container.partition("/api/v1/metadata/")
    return f"{server}/custom/write/{path}"


class WriteRequest:
    """Steps that are collected and sent together.

    Parameters
    ----------
    container : tiled.client.container.Container
        Everything is written below it.
    """

    def __init__(self, container: Any) -> None:
        self._http = container.context.http_client
        self._url = write_url(container.item["links"]["self"])
        self._steps: list[dict[str, Any]] = []
        self._columns: list[tuple[str, Column] | None] = []

    def remove(self, node: Node) -> None:
        """Remove a node with everything below it, if it exists."""
        self._add("remove", node)

    def container(self, node: Node, metadata: Mapping[str, Any], specs: list[Spec]) -> None:
        """Make a container."""
        self._create(node, StructureFamily.container, metadata, specs=specs)

    def array(self, node: Node, array: np.ndarray, metadata: Mapping[str, Any], dims: tuple[str, ...], whose: Any) -> None:
        """Make an array node with these entries, which may be extended along the first axis."""
        structure = ArrayStructure(
            shape=array.shape,
            chunks=normalize_chunks(("auto",) * array.ndim, limit=_LARGEST_CHUNK, dtype=array.dtype, shape=array.shape),
            dims=dims,
            data_type=BuiltinDtype.from_numpy_dtype(array.dtype),
        )
        source = DataSource(structure_family=StructureFamily.array, structure=structure)
        self._create(node, StructureFamily.array, metadata, source=source, whose=whose)
        self._add("entries", node, whose=whose, data=array.tobytes())

    def further_entries(self, node: Node, array: np.ndarray, offset: int, whose: Any) -> None:
        """Extend an array node by these entries, from `offset` on."""
        self._add("further_entries", node, whose=whose, shape=array.shape, offset=offset, data=array.tobytes())

    def table(self, node: Node, schema: Any, metadata: Mapping[str, Any]) -> None:
        """Make a table without rows."""
        structure = TableStructure.from_schema(schema, npartitions=1)
        mimetype = "application/x-tiled-sql-table"
        source = DataSource(structure_family=StructureFamily.table, structure=structure, mimetype=mimetype)
        self._create(node, StructureFamily.table, metadata, source=source)

    def rows(self, node: Node, rows: bytes) -> None:
        """Append rows, as an Arrow file, to a table."""
        self._add("rows", node, data=rows)

    def register(self, node: Node, source: DataSource[Any], metadata: Mapping[str, Any], whose: Any) -> None:
        """Make a node of data that are in a file."""
        self._create(node, source.structure_family, metadata, source=source, whose=whose)

    def extend_registered(self, node: Node, source: DataSource[Any], patch: Any, whose: Any) -> None:
        """Announce the present length of a node's file; `patch` is the new part, if it is an array."""
        where = None if patch is None else {"shape": patch.shape, "offset": patch.offset}
        self._add("extend_registered", node, whose=whose, json=safe_json_dump({"data_source": source}), patch=where)

    def set_metadata(self, node: Node, metadata: Mapping[str, Any]) -> None:
        """Replace these entries of a node's metadata."""
        self._add("set_metadata", node, json=safe_json_dump(metadata))

    def close(self, node: Node) -> None:
        """Announce to the subscribers of a node that it is complete."""
        self._add("close", node)

    def send(self) -> int:
        """Carry out the steps; return how many existing nodes were removed.

        A request that failed is never repeated: part of it may have been stored.

        Raises
        ------
        ColumnFailed
            If Tiled did not accept a column.
        httpx.TransportError
            If the server is gone.
        """
        if not self._steps:
            return 0
        steps, columns = self._steps, self._columns
        self._steps, self._columns = [], []
        response = self._http.post(
            self._url,
            content=msgpack.packb(steps),
            headers={"Content-Type": "application/x-msgpack", "Accept": "application/json"},
        )
        if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            failed = response.json()["detail"]
            whose = columns[failed["step"]]
            if whose is not None:
                raise ColumnFailed(whose[0], whose[1].key, failed["problem"])
            raise RuntimeError(f"Tiled did not {failed['what']}: {failed['problem']}")
        return int(handle_error(response).json()["removed"])

    def _create(
        self,
        node: Node,
        family: StructureFamily,
        metadata: Mapping[str, Any],
        *,
        specs: list[Spec] | None = None,
        source: DataSource[Any] | None = None,
        whose: Any = None,
    ) -> None:
        body = {
            "id": node[-1],
            "structure_family": family,
            "metadata": metadata,
            "specs": specs or [],
            "data_sources": [] if source is None else [source],
        }
        self._add("create", node, whose=whose, json=safe_json_dump(body))

    def _add(self, do: str, node: Node, *, whose: tuple[str, Column] | None = None, **what: Any) -> None:
        self._steps.append({"do": do, "node": node, **what})
        self._columns.append(whose)
