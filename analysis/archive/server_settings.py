"""What a Tiled server of ours is served with: its configuration, its key, the client's profile; and whether it answers.

The embedded server keeps its catalogue and its tables in SQLite and its arrays in files; in production the same configuration
names PostgreSQL and Redis. DuckDB is never used for tables: it loses rows while a reader is reading.

Nothing here imports Tiled, which takes seconds: commands that start, end or look at the services need no client.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from analysis.documents.frame_folders import frame_folders
from analysis.documents.private import private_file, private_folder, private_secret

API_KEY_VARIABLE = "GHOSTBEAM_TILED_API_KEY"
STATE_VARIABLE = "GHOSTBEAM_SERVED_STATE_DIR"
"""Environment variable with the state directory that Tiled's process serves: its exporters have no access to the application."""
PROFILE = "ghostbeam"
WRITE_ROUTER = "analysis.archive.write_route:router"
REFUSALS = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)


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
        "routers": [WRITE_ROUTER, "analysis.views.page.router:router"],
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


def no_answer(uri: str, why: str = "") -> CatalogError:
    """The error of a server that does not answer."""
    return CatalogError(f"no Tiled server answers at {uri}{why and f' ({why})'}. Start the services with `ghostbeam up`.")


def key_refused(uri: str) -> CatalogError:
    """The error of a server that does not take the key."""
    return CatalogError(
        f"Tiled at {uri} refuses the API key. Set {API_KEY_VARIABLE} to the server's key, or remove the variable to use the key "
        "in the state directory."
    )


def check_key(uri: str, key: str) -> None:
    """Check that a server answers and takes the key.

    Raises
    ------
    CatalogError
        If it does not.
    """
    try:
        answer = httpx.get(f"{uri.rstrip('/')}/api/v1/", headers={"Authorization": f"Apikey {key}"}, timeout=10.0)
    except httpx.HTTPError as error:
        raise no_answer(uri, str(error)) from error
    if answer.status_code in REFUSALS:
        raise key_refused(uri)


def is_healthy(uri: str, *, timeout_s: float = 2.0) -> bool:
    """Whether a Tiled server answers at this address."""
    try:
        return httpx.get(f"{uri.rstrip('/')}/healthz", timeout=timeout_s).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
