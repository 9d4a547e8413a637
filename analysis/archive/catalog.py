"""The catalogue: a Tiled server with three containers, `raw`, `processed` and `masks`.

The embedded server keeps its catalogue and its tables in SQLite and its arrays in files; in production the same configuration
names PostgreSQL and Redis. DuckDB is never used for tables: it loses rows while a reader is reading.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from tiled.client import from_uri
from tiled.client.utils import ClientError
from tiled.structures.core import Spec

from analysis.archive.write_request import ROUTER
from analysis.documents.frames import frame_folders
from analysis.documents.private import private_file, private_folder, private_secret

API_KEY_VARIABLE = "GHOSTBEAM_TILED_API_KEY"
STATE_VARIABLE = "GHOSTBEAM_SERVED_STATE_DIR"
"""Environment variable with the state directory that Tiled's process serves: its exporters have no access to the application."""
PROFILE = "ghostbeam"
_TIMEOUT = httpx.Timeout(10.0, connect=2.0)
# Version 3 tells the client that runs are stored as tables and arrays (`raw[uid]`, `raw[-1]`, partial uids).
_RUNS = Spec("CatalogOfBlueskyRuns", version="3.0")


class CatalogError(RuntimeError):
    """The catalogue cannot be reached or used; the message says why and what to do."""


@dataclass(frozen=True)
class ServerStorage:
    """Where a Tiled server stores its data; everything defaults to SQLite and files below the state directory.

    Parameters
    ----------
    catalog : str, optional
        SQLAlchemy URI of the catalogue database (PostgreSQL in production).
    tables : str, optional
        SQLAlchemy URI of the database that holds the tables.
    streaming_cache : str
        "memory" or a Redis URI.
    """

    catalog: str | None = None
    tables: str | None = None
    streaming_cache: str = "memory"


def api_key(state_dir: Path | str) -> str:
    """The key to the catalogue: from the environment variable GHOSTBEAM_TILED_API_KEY, else from the state directory.

    A key is made on first use, in a file that only its owner can read.

    Raises
    ------
    CatalogError
        If the variable holds something that Tiled would not accept.
    """
    if key := os.environ.get(API_KEY_VARIABLE):
        if not key.isalnum():
            raise CatalogError(f"{API_KEY_VARIABLE} must consist of letters and digits alone: Tiled takes no other keys")
        return key
    return private_secret(api_key_file(state_dir))


def api_key_file(state_dir: Path | str) -> Path:
    """The file of the key, if the key does not come from the environment."""
    return Path(state_dir).absolute() / "tiled" / "api_key"


def server_configuration_path(state_dir: Path | str) -> Path:
    """The file of the server's configuration."""
    return Path(state_dir).absolute() / "tiled" / "config.yml"


def write_server_configuration(state_dir: Path | str, storage: ServerStorage | None = None) -> None:
    """Write the Tiled server's configuration below the state directory. The API key is not in it."""
    storage = storage or ServerStorage()
    path = server_configuration_path(state_dir)
    folder = path.parent
    private_folder(folder / "files")
    configuration = {
        "authentication": {"allow_anonymous_access": False},
        "trees": [
            {
                "path": "/",
                "tree": "catalog",
                "args": {
                    "uri": storage.catalog or f"sqlite:///{folder / 'catalog.db'}",
                    "writable_storage": [f"file://{folder / 'files'}", storage.tables or f"sqlite:///{folder / 'tables.db'}"],
                    "readable_storage": [folder.absolute().as_uri() for folder in frame_folders(state_dir)],
                    "init_if_not_exists": True,
                },
            }
        ],
        "routers": [ROUTER, "analysis.views.page.router:router"],
        "streaming_cache": {"uri": storage.streaming_cache},
        # Without them `run.documents()` and `run.export("run.h5")` return status 406.
        "media_types": {
            "BlueskyRun": {
                "application/json-seq": "bluesky_tiled_plugins.exporters:json_seq_exporter",
                "application/x-hdf5": "analysis.views.page.run_file:exporter",
            }
        },
    }
    if storage.tables is None:
        # The file keeps this mode. In the other mode a reader makes appends fail with "database is locked".
        with contextlib.closing(sqlite3.connect(private_file(folder / "tables.db"))) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
    # The addresses of production databases may contain passwords.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        yaml.safe_dump(configuration, file, sort_keys=False)


def profile_folder(state_dir: Path | str) -> Path:
    """The folder of the Tiled profile, for the variable TILED_PROFILES."""
    return Path(state_dir).absolute() / "tiled" / "profiles"


def write_client_profile(state_dir: Path | str, uri: str) -> None:
    """Write a Tiled profile.

    With it, and the key in TILED_API_KEY, `databroker.catalog["ghostbeam"]["raw"]` and
    `tiled.client.from_profile("ghostbeam")` work in any process.
    """
    folder = profile_folder(state_dir)
    private_folder(folder)
    (folder / "ghostbeam.yml").write_text(yaml.safe_dump({PROFILE: {"uri": uri}}))


def is_healthy(uri: str, *, timeout_s: float = 2.0) -> bool:
    """Whether a Tiled server answers at this address."""
    try:
        return httpx.get(f"{uri.rstrip('/')}/healthz", timeout=timeout_s).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


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
        raise CatalogError(f"no Tiled server answers at {uri}. Start the services with `ghostbeam up`.")
    try:
        root = from_uri(uri, api_key=key, timeout=_TIMEOUT)
        for name in ("raw", "processed"):
            _make_container(root, name, specs=[_RUNS], metadata={"description": f"{name} runs of ghostbeam"})
        _make_container(root, "masks", metadata={"description": "mask sets under the hash of their content"})
        return Catalog(root)
    except ClientError as error:
        if error.response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise CatalogError(
                f"Tiled at {uri} refuses the API key. Set {API_KEY_VARIABLE} to the server's key, or remove the variable to use "
                "the key in the state directory."
            ) from error
        raise CatalogError(f"Tiled at {uri} answered: {error}") from error
    except (httpx.HTTPError, OSError) as error:
        raise CatalogError(f"no Tiled server answers at {uri} ({error}). Start the services with `ghostbeam up`.") from error


def _make_container(root: Any, name: str, **description: Any) -> None:
    """Make a container, unless it exists or another client makes it at the same time."""
    if name in root:
        return
    try:
        root.create_container(name, **description)
    except ClientError as error:
        if error.response.status_code != httpx.codes.CONFLICT:
            raise
