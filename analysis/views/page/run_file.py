"""A run and its reconstructions as a file to download: from the live page, and by `run.export("run.h5")` of Tiled's client."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.archive.server_settings import STATE_VARIABLE
from analysis.documents.log import LogError
from analysis.offline.export import export_run


def run_file(state_dir: Path, uid: str, *, only: str | None = None) -> Path:
    """A file of `analysis.offline.export` in a temporary folder; the caller removes it."""
    with tempfile.NamedTemporaryFile(prefix="ghostbeam_", suffix=".h5", delete=False) as file:
        path = Path(file.name)
    try:
        export_run(state_dir, uid, path, only=only)
    except BaseException:
        path.unlink()
        raise
    return path


async def exporter(mimetype: str, adapter: Any, metadata: Mapping[str, Any], filter_for_access: Any) -> bytes:
    """The same for Tiled's server, from the metadata of a run, measured or derived."""
    start = metadata["start"]
    uid, only = (start["derived_from"], start["uid"]) if "derived_from" in start else (start["uid"], None)
    try:
        path = run_file(Path(os.environ[STATE_VARIABLE]), uid, only=only)
    except LogError as error:
        raise ValueError(f"run {uid} is not in the document log: {error}") from error
    try:
        return path.read_bytes()
    finally:
        path.unlink()
