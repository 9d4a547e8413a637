"""A route of the Tiled server: further entries of a stream's arrays, and rows of its tables, in one request.

Tiled's own routes take one node a request. Most of what a request costs is finding the node and checking the key, so that an
estimate of two images and its figures cost three times as much as it must.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import httpx
import msgpack
from fastapi import APIRouter, Depends, HTTPException, Request, Security
from tiled.media_type_registration import default_deserialization_registry
from tiled.server.authentication import (
    check_scopes,
    get_current_access_tags,
    get_current_principal,
    get_current_scopes,
    get_session_state,
)
from tiled.server.dependencies import get_entry, get_root_tree
from tiled.structures.core import StructureFamily
from tiled.utils import APACHE_ARROW_FILE_MIME_TYPE

_ARRAY = "application/octet-stream"

router = APIRouter()


@router.post("/append/{path:path}")
async def append(
    request: Request,
    path: str,
    principal: Annotated[Any, Depends(get_current_principal)],
    root_tree: Annotated[Any, Depends(get_root_tree)],
    session_state: Annotated[Any, Depends(get_session_state)],
    access_tags: Annotated[Any, Depends(get_current_access_tags)],
    scopes: Annotated[Any, Depends(get_current_scopes)],
    _: Annotated[None, Security(check_scopes, scopes=["write:data"])],
) -> None:
    """Append to nodes of the container `path`, in the order of the request.

    The body is msgpack: `arrays` {key: {offset, shape, data}}, the data in the type and order of the node, extending its first
    axis at `offset`; `tables` {key: rows as an Arrow file}. What fails is named in the answer, with status 422; what came
    before it stays stored.
    """
    container = await get_entry(
        path,
        ["write:data"],
        principal,
        access_tags,
        scopes,
        root_tree,
        session_state,
        request.state.metrics,
        {StructureFamily.container},
        getattr(request.app.state, "access_policy", None),
    )
    body = msgpack.unpackb(await request.body())
    decode = default_deserialization_registry.dispatch(StructureFamily.array, _ARRAY)
    for key, part in body["arrays"].items():
        with _named(key):
            node = await container.lookup_adapter([key])
            await node.patch(tuple(part["shape"]), (part["offset"],), True, _ARRAY, decode, node, part["data"])
    decode = default_deserialization_registry.dispatch(StructureFamily.table, APACHE_ARROW_FILE_MIME_TYPE)
    for key, rows in body["tables"].items():
        with _named(key):
            node = await container.lookup_adapter([key])
            await node.append_partition(APACHE_ARROW_FILE_MIME_TYPE, decode, node, rows, 0)


@contextmanager
def _named(key: str) -> Iterator[None]:
    """Say which node it was that could not be written."""
    try:
        yield
    except Exception as error:
        detail = {"node": key, "problem": f"{type(error).__name__}: {error}"[:300]}
        raise HTTPException(status_code=httpx.codes.UNPROCESSABLE_ENTITY, detail=detail) from error
