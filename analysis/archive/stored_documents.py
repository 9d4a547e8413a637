"""The documents of a stored run, one after the other: however long the run is, little of it is in memory."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any
from urllib.parse import parse_qs, urlparse

import httpx

from analysis.archive.catalog import CatalogError

_SEPARATOR = b"\x1e"  # before each document (RFC 7464)
# The server collects a whole run before it sends the first document.
_TIMEOUT = httpx.Timeout(10.0, read=900.0)


def stored_documents(run: Any) -> Generator[tuple[str, dict[str, Any]], None, None]:
    """Names and documents of a run, as `run.documents()` has them; that one reads the whole answer before it gives the first.

    Parameters
    ----------
    run : BlueskyRun
        A run of a Tiled catalogue.

    Raises
    ------
    CatalogError
        If the server refuses.
    """
    link = run.item["links"]["full"]
    parameters = {**parse_qs(urlparse(link).query), "format": "application/json-seq"}
    with run.context.http_client.stream("GET", link, params=parameters, timeout=_TIMEOUT) as response:
        if response.is_error:
            response.read()
            raise CatalogError(f"Tiled does not give the documents of run {run.item['id']}: {response.text[:300]}")
        rest = b""
        for chunk in response.iter_bytes():
            *whole, rest = (rest + chunk).split(_SEPARATOR)
            for text in filter(None, whole):
                yield _parsed(text)
        if rest:
            yield _parsed(rest)


def _parsed(text: bytes) -> tuple[str, dict[str, Any]]:
    item = json.loads(text)
    return item["name"], item["doc"]
