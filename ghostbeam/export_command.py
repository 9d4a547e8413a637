"""`ghostbeam export`."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

from rich.console import Console

from analysis.archive.server_settings import CatalogError
from analysis.documents.log import LogReader, log_paths
from analysis.offline.acquisition import RunUnknown, whole_uid
from analysis.offline.export import export_run
from analysis.views.export_image import SUFFIXES, export_image
from beamline.config import GhostbeamConfig

_RUN = (".h5", ".hdf5", ".nxs")


def run_export(
    config: GhostbeamConfig, uid: str, *, method: str | None, output: Path | None, console: Console, as_json: bool
) -> None:
    """Write a run with its reconstructions, or the image of one, for other programs.

    Raises
    ------
    CatalogError
        If there is no such run, nothing of this kind in it, or the file exists.
    """
    try:
        scan = whole_uid(config.state_dir, uid)
    except RunUnknown as error:
        raise CatalogError(str(error)) from error
    derived, sample = _found(config, uid, scan, method)
    path = output or Path(f"{_plain(sample or 'run')}_{scan[:8]}.h5")
    if path.suffix.lower() not in (*_RUN, *SUFFIXES):
        raise CatalogError(f"{path} ends in none of {', '.join((*_RUN, *SUFFIXES))}: the ending says in which form to export")
    if path.exists():
        raise CatalogError(f"{path} exists: choose another name with --output")
    if not path.parent.is_dir():
        raise CatalogError(f"there is no folder {path.parent} to export to: make it first")
    with (Console(quiet=True) if as_json else console).status("writing"):
        if path.suffix.lower() in _RUN:
            export_run(
                config.state_dir,
                scan,
                path,
                only=derived if derived is not None and (method or derived.startswith(uid)) else None,
            )
        elif derived is None:
            raise CatalogError(
                f"run {scan[:8]} has no reconstruction{f' by {method}' if method else ''}: `ghostbeam replay` makes one"
            )
        else:
            try:
                export_image(config.state_dir, derived, path)
            except LookupError as error:
                raise CatalogError(str(error)) from error
    if as_json:
        print(json.dumps({"uid": scan, "reconstruction": derived, "file": str(path)}))
        return
    console.print(f"Exported run {scan[:8]} to {path}.", markup=False, soft_wrap=True)


def _found(config: GhostbeamConfig, uid: str, scan: str, method: str | None) -> tuple[str | None, str | None]:
    """The reconstruction that is meant: the one named by its uid, or the newest, or the newest by a method; and the sample."""
    paths = log_paths(config.state_dir)
    with closing(LogReader(paths.processed)) as processed, closing(LogReader(paths.raw)) as raw:
        runs = [run for run in processed.runs() if run.start.get("derived_from") == scan]
        start = next((run.start for run in raw.runs() if run.uid == scan), {})
    named = [run.uid for run in runs if run.uid.startswith(uid) and uid != scan]
    suitable = [run.uid for run in runs if method is None or run.start.get("method") == method]
    if method is not None and not suitable:
        raise CatalogError(
            f"run {scan[:8]} has no reconstruction by {method}: `ghostbeam replay {scan[:8]} --method {method}` makes one"
        )
    chosen = named or suitable
    return (chosen[-1] if chosen else None), start.get("sample")


def _plain(name: str) -> str:
    """A name that is safe in a file's name."""
    return re.sub(r"[^\w.\[\]$%+-]+", "_", name)[:60]
