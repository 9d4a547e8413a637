"""A route of the Tiled server: several steps of writing a run, in order and in one request.

Tiled's own routes handle one node per request, and most of the time of a request is spent on finding the node and checking
the key. The first estimate of a reconstruction would take about twelve requests, and each further one three.
"""

# No `from __future__ import annotations`: FastAPI reads the annotations of the route.

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import httpx
import msgpack
import orjson
from fastapi import APIRouter, Depends, HTTPException, Request, Security
from sqlalchemy import bindparam, select
from sqlalchemy.orm import joinedload
from tiled.catalog import orm
from tiled.catalog.adapter import STRUCTURES
from tiled.media_type_registration import default_deserialization_registry
from tiled.server.authentication import (
    check_scopes,
    get_current_access_tags,
    get_current_principal,
    get_current_scopes,
    get_session_state,
)
from tiled.server.core import NoEntry
from tiled.server.dependencies import get_entry, get_root_tree
from tiled.server.schemas import PostMetadataRequest, PutDataSourceRequest
from tiled.stream_messages import ArrayPatch
from tiled.structures.core import StructureFamily
from tiled.utils import APACHE_ARROW_FILE_MIME_TYPE

_ARRAY = "application/octet-stream"
_SCOPES = ["write:data", "write:metadata", "create:node", "delete:node", "register"]

_CHILD = (
    select(orm.Node)
    .where(orm.Node.parent == bindparam("parent"), orm.Node.key == bindparam("key"))
    .options(joinedload(orm.Node.data_sources).joinedload(orm.DataSource.structure))
)

router = APIRouter()


@router.post("/write/{path:path}")
async def write(
    request: Request,
    path: str,
    principal: Annotated[Any, Depends(get_current_principal)],
    root_tree: Annotated[Any, Depends(get_root_tree)],
    session_state: Annotated[Any, Depends(get_session_state)],
    access_tags: Annotated[Any, Depends(get_current_access_tags)],
    scopes: Annotated[Any, Depends(get_current_scopes)],
    _: Annotated[None, Security(check_scopes, scopes=_SCOPES)],
) -> dict[str, int]:
    """Carry out steps below the container `path`, in the order of the request, each like Tiled's own route for it.

    The body is a msgpack list of steps {"do": name, "node": path below the container, ...}; the methods of `_Steps` are their
    names. The answer gives the number of nodes that were removed. If a step fails, the answer has status 422 and names it;
    the steps before it remain stored.
    """
    container = await get_entry(
        path,
        _SCOPES,
        principal,
        access_tags,
        scopes,
        root_tree,
        session_state,
        request.state.metrics,
        {StructureFamily.container},
        getattr(request.app.state, "access_policy", None),
    )
    steps = _Steps(container)
    for number, step in enumerate(msgpack.unpackb(await request.body())):
        do, node = step.pop("do"), tuple(step.pop("node"))
        try:
            await steps.named[do](node, **step)
        except Exception as error:
            what = f"{do.replace('_', ' ')} at {'/'.join(node)}"
            detail = {"step": number, "what": what, "problem": f"{type(error).__name__}: {error}"[:300]}
            raise HTTPException(status_code=httpx.codes.UNPROCESSABLE_ENTITY, detail=detail) from error
    return {"removed": steps.removed}


class _Steps:
    """The steps below a container, with a cache of the nodes found so far."""

    def __init__(self, container: Any) -> None:
        self.removed = 0
        self.named: dict[str, Callable[..., Awaitable[None]]] = {
            "remove": self.remove,
            "create": self.create,
            "entries": self.entries,
            "further_entries": self.further_entries,
            "rows": self.rows,
            "extend_registered": self.extend_registered,
            "set_metadata": self.set_metadata,
            "close": self.close,
        }
        self._container = container
        self._found: dict[tuple[str, ...], Any] = {(): container}

    async def remove(self, node: tuple[str, ...]) -> None:
        """Remove the node and everything below it, if it exists."""
        try:
            there = await self._find(node)
        except NoEntry:
            return
        self._found.clear()
        self._found[()] = self._container
        await there.delete(recursive=True, external_only=False)
        self.removed += 1

    async def create(self, node: tuple[str, ...], json: bytes) -> None:
        """Make a node; `json` is the body of Tiled's own request for it."""
        body = PostMetadataRequest.model_validate_json(json)
        parent = await self._find(node[:-1])
        made = await parent.create_node(
            metadata=body.metadata,
            structure_family=body.structure_family,
            key=node[-1],
            specs=body.specs,
            data_sources=body.data_sources,
        )
        if body.structure_family == StructureFamily.container:
            self._found[node] = made

    async def entries(self, node: tuple[str, ...], data: bytes) -> None:
        """Fill an array; its data have the type and order of the node."""
        array = await self._find(node)
        decode = default_deserialization_registry.dispatch(StructureFamily.array, _ARRAY)
        await array.write(_ARRAY, decode, array, data)

    async def further_entries(self, node: tuple[str, ...], shape: list[int], offset: int, data: bytes) -> None:
        """Extend the first axis of an array at `offset`."""
        array = await self._find(node)
        decode = default_deserialization_registry.dispatch(StructureFamily.array, _ARRAY)
        await array.patch(tuple(shape), (offset,), True, _ARRAY, decode, array, data)

    async def rows(self, node: tuple[str, ...], data: bytes) -> None:
        """Append to a table; the rows are an Arrow file."""
        table = await self._find(node)
        decode = default_deserialization_registry.dispatch(StructureFamily.table, APACHE_ARROW_FILE_MIME_TYPE)
        await table.append_partition(APACHE_ARROW_FILE_MIME_TYPE, decode, table, data, 0)

    async def extend_registered(self, node: tuple[str, ...], json: bytes, patch: dict[str, Any] | None) -> None:
        """Update the description of a node's file; `json` is the body of Tiled's own request for it."""
        registered = await self._find(node)
        source = PutDataSourceRequest.model_validate_json(json).data_source
        source.id = registered.node.data_sources[0].id
        await registered.put_data_source(source, None if patch is None else ArrayPatch(**patch))

    async def set_metadata(self, node: tuple[str, ...], json: bytes) -> None:
        """Replace entries of a node's metadata; earlier versions are not kept."""
        there = await self._find(node[:-1])
        there = await _child(there, node[-1])  # an earlier step may have changed it
        await there.replace_metadata(metadata={**there.metadata(), **orjson.loads(json)}, drop_revision=True)

    async def close(self, node: tuple[str, ...]) -> None:
        """Announce to the subscribers of the node that it is complete."""
        await (await self._find(node)).close_stream()

    async def _find(self, node: tuple[str, ...]) -> Any:
        if node not in self._found:
            self._found[node] = await _child(await self._find(node[:-1]), node[-1])
        return self._found[node]


async def _child(container: Any, key: str) -> Any:
    """What `lookup_adapter` of a container returns for one key, at half the cost: that function builds its query each time."""
    async with container.context.session() as database:
        node = (await database.execute(_CHILD, {"parent": container.node.id, "key": key})).unique().scalar()
    if node is None:
        raise NoEntry([key])
    return STRUCTURES[node.structure_family](container.context, node)
