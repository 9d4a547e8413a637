"""`ghostbeam ingest`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from analysis.archive.server_settings import CatalogError
from analysis.documents.ledger import Ledger
from analysis.documents.log import LogReader, log_paths
from analysis.documents.recipe import Recipe
from analysis.offline.ingest import ingest
from analysis.offline.ingest_error import IngestError
from analysis.offline.ingest_file import Hints
from analysis.offline.ingest_pairs import Pairing
from analysis.techniques import recipes_for, technique_of
from analysis.views.live import Live
from analysis.views.live_run import LiveRun
from analysis.views.story import draw_story
from beamline.config import GhostbeamConfig
from ghostbeam.control import ServiceError
from ghostbeam.file_hints import OF_MASKS
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
    frames: str | None,
    positions: list[str],
    unit: str | None,
    pairs: str | None,
    halves: list[str],
    hints: Hints,
    mend: list[str],
    output: Path,
    console: Console,
    as_json: bool,
) -> None:
    """Store what a file holds as a raw run, wait for its reconstructions, and draw them.

    Raises
    ------
    CatalogError
        If the file or a method makes no sense; nothing has been written then.
    ServiceError
        If a reconstruction fails.
    """
    recipes, configured = (
        [Recipe(method, config.reconstruction.options.get(method, {})) for method in named]
        for named in (methods, config.reconstruction.methods)
    )
    output.mkdir(parents=True, exist_ok=True)  # before anything is stored
    with (Console(quiet=True) if as_json else console).status("reading the file") as spinner:
        try:
            uid = ingest(
                file,
                config.state_dir,
                fraction=fraction,
                sample=sample,
                recipes=recipes,
                frames=frames,
                positions=positions,
                unit=unit,
                pairing=_pairing(None if pairs == OF_MASKS else pairs, halves),
                hints=hints,
                mend=mend,
            )
        except IngestError as error:
            raise CatalogError(str(error)) from error
        start = _start(config, uid)
        spinner.update("starting")
        with services(config, spinner.update):
            wanted = [recipe.method for recipe in recipes_for(start, configured)]
            ended = _wait(config, uid, wanted, spinner)
            spinner.update("storing")
            wait_until_archived(config.state_dir, [uid, *(run.uid for run in ended)])
    picture = output / f"{file.stem}_{uid[:8]}.png"
    draw_story(config.state_dir, uid, [run.uid for run in ended], picture)
    doubts = list(dict.fromkeys(doubt for run in ended for doubt in run.doubts))
    remarks = [*start.get(technique_of(start).entry, {}).get("remarks", []), *(one for run in ended for one in run.remarks)]
    remarks = [remark for remark in dict.fromkeys([*_left_out(ended), *remarks]) if remark not in doubts]
    if as_json:
        derived = [{"uid": run.uid, "method": run.method} for run in ended]
        told = {"uid": uid, "reconstructions": derived, "picture": str(picture), "remarks": remarks, "doubts": doubts}
        print(json.dumps(told))
        return
    console.print(f"Ingested {file.name} as run {uid}.", markup=False, soft_wrap=True)
    for remark in remarks:
        console.print(f"  note             {remark}", markup=False, soft_wrap=True)
    for doubt in doubts:
        console.print(f"  ATTENTION        {doubt}", markup=False, style="red", soft_wrap=True)
    console.print(f"  reconstructions  {', '.join(f'{run.method} {run.uid[:8]}' for run in ended)}")
    console.print(f"  picture          {picture}", markup=False, soft_wrap=True)
    console.print(f"  again            ghostbeam replay {uid[:8]} --method {ended[-1].method}")


def _left_out(ended: list[LiveRun]) -> list[str]:
    """What of the data is not used, which is the same for all reconstructions."""
    ledgers = [run.stop["ledger"] for run in ended if run.stop and run.stop.get("ledger")]
    return Ledger.from_doc(ledgers[0]).left_out(ended[0].rows) if ledgers else []


def _pairing(kind: str | None, halves: list[str]) -> Pairing | None:
    if kind is None:
        if halves:
            raise IngestError("--half needs --pairs halves: add that, or leave --half out")
        return None
    try:
        return Pairing(kind, [[int(number) for number in half.split(",")] for half in halves])
    except ValueError as error:
        if isinstance(error, IngestError):
            raise
        raise IngestError(f"--half must be four whole numbers such as 0,512,0,512, not {', '.join(halves)}") from None


def _start(config: GhostbeamConfig, uid: str) -> dict[str, Any]:
    return next(record.doc for record in LogReader(log_paths(config.state_dir).raw).documents(uid))


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
