"""The catalogue: a Tiled server with three containers, `raw`, `processed` and `masks`."""

from __future__ import annotations

from typing import Any

import httpx
from tiled.client import from_uri
from tiled.client.utils import ClientError
from tiled.structures.core import Spec

from analysis.archive.server_settings import REFUSALS, CatalogError, is_healthy, key_refused, no_answer

_TIMEOUT = httpx.Timeout(10.0, connect=2.0)
# Version 3 tells the client that runs are stored as tables and arrays (`raw[uid]`, `raw[-1]`, partial uids).
_RUNS = Spec("CatalogOfBlueskyRuns", version="3.0")


class Catalog:
    """The three containers of a catalogue as Tiled clients: `raw`, `processed` and `masks`."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.raw = root["raw"]
        self.processed = root["processed"]
        self.masks = root["masks"]

    def close(self) -> None:
        """Close the connection."""
        self.root.context.http_client.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def connect(uri: str, key: str) -> Catalog:
    """Connect to a catalogue, making its containers on first use.

    Raises
    ------
    CatalogError
        If no server answers there, or it refuses the key.
    """
    # Tiled's own client would retry for minutes, even if a stopped server accepts connections; a busy server is slow.
    if not is_healthy(uri, timeout_s=10.0):
        raise no_answer(uri)
    try:
        root = from_uri(uri, api_key=key, timeout=_TIMEOUT)
        for name in ("raw", "processed"):
            _make_container(root, name, specs=[_RUNS], metadata={"description": f"{name} runs of ghostbeam"})
        _make_container(root, "masks", metadata={"description": "mask sets under the hash of their content"})
        return Catalog(root)
    except ClientError as error:
        if error.response.status_code in REFUSALS:
            raise key_refused(uri) from error
        raise CatalogError(f"Tiled at {uri} answered: {error}") from error
    except (httpx.HTTPError, OSError) as error:
        raise no_answer(uri, str(error)) from error


def _make_container(root: Any, name: str, **description: Any) -> None:
    """Make a container, unless it exists or another client makes it at the same time."""
    if name in root:
        return
    try:
        root.create_container(name, **description)
    except ClientError as error:
        if error.response.status_code != httpx.codes.CONFLICT:
            raise
