"""`ghostbeam ingest`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import Console

from analysis.archive.catalog import CatalogError
from analysis.documents.recipe import Recipe
from analysis.ghost import METHODS
from analysis.offline.ingest import ingest
from analysis.offline.ingest_file import IngestError
from analysis.views.live import Live, LiveRun
from analysis.views.story import draw_story
from beamline.config import GhostbeamConfig
from ghostbeam.control import ServiceError
from ghostbeam.reprocess import services, wait_until_archived

_RECONSTRUCTED_S = 900.0
_POLL_S = 0.25


def run_ingest(
    config: GhostbeamConfig,
    file: Path,
    *,
    fraction: float,
    sample: str | None,
    methods: list[str],
    output: Path,
    console: Console,
) -> None:
    """Store a file as a mask set and a raw run, wait for its reconstructions, and draw them.

    Raises
    ------
    CatalogError
        If the file or a method makes no sense; nothing has been written then.
    ServiceError
        If a reconstruction fails.
    """
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise CatalogError(f"unknown method {', '.join(unknown)}; the methods are {', '.join(METHODS)}")
    recipes = [Recipe(method, config.reconstruction.options.get(method, {})) for method in methods]
    output.mkdir(parents=True, exist_ok=True)  # before anything is stored
    with console.status("reading the file") as spinner:
        try:
            uid = ingest(file, config.state_dir, fraction=fraction, sample=sample, recipes=recipes)
        except IngestError as error:
            raise CatalogError(str(error)) from error
        spinner.update("starting")
        with services(config, spinner.update):
            ended = _wait(config, uid, methods or config.reconstruction.methods, spinner)
            spinner.update("storing")
            wait_until_archived(config.state_dir, [uid, *(run.uid for run in ended)])
    picture = output / f"{file.stem}_{uid[:8]}.png"
    draw_story(config.state_dir, uid, [run.uid for run in ended], picture)
    console.print(f"Ingested {file.name} as run {uid}.")
    console.print(f"  reconstructions  {', '.join(f'{run.method} {run.uid[:8]}' for run in ended)}")
    console.print(f"  picture          {picture}", soft_wrap=True)
    console.print(f"  again            ghostbeam replay {uid[:8]} --method tv")


def _wait(config: GhostbeamConfig, uid: str, methods: list[str], spinner: Any) -> list[LiveRun]:
    live = Live(config.state_dir)
    deadline = time.monotonic() + _RECONSTRUCTED_S
    while time.monotonic() < deadline:
        runs = [run for run in live.runs() if run.raw_uid == uid]
        ended = [run for run in runs if run.stop is not None]
        spinner.update("; ".join(f"{run.method} {run.state} {run.used}/{run.expected}" for run in runs) or "waiting")
        if len(ended) >= len(methods):
            for run in ended:
                if run.state == "failed":
                    raise ServiceError(f"the reconstruction {run.method} failed: {run.stop['reason'] if run.stop else ''}")
            return sorted(ended, key=lambda run: methods.index(run.method) if run.method in methods else len(methods))
        time.sleep(_POLL_S)
    raise ServiceError(f"the reconstructions did not end within {_RECONSTRUCTED_S:.0f} s; run {uid} is stored")
