"""Reconstructing again what is in the catalogue, and bringing in what isn't."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from analysis.archive.archive_ledger import ArchiveLedger
from analysis.archive.catalog import Catalog, CatalogError, connect
from analysis.documents.log import LogReader, log_paths
from analysis.documents.mask_store import MaskSet, MaskStore
from analysis.documents.orphans import close_orphans
from analysis.documents.status import is_running, read_status
from beamline.config import CONFIG_VARIABLE, GhostbeamConfig
from ghostbeam.control import Running, down, ensure_up

_SETTLED_S = 120.0
_POLL_S = 0.2


@contextmanager
def services(config: GhostbeamConfig, progress: Callable[[str], None] = lambda text: None) -> Iterator[Running]:
    """Services for as long as the block lasts: those that run already, or else started now and ended afterwards."""
    running = ensure_up(config, progress=progress)
    try:
        yield running
    finally:
        if running.started:
            down(config.state_dir)


def find_run(catalog: Catalog, uid: str) -> tuple[Any, bool]:
    """The run whose uid begins so, and whether it is a reconstruction.

    Raises
    ------
    CatalogError
        If there is none, or more than one.
    """
    for container, processed in ((catalog.raw, False), (catalog.processed, True)):
        try:
            return container[uid], processed
        except KeyError:
            continue
        except ValueError as error:  # too short, or several
            raise CatalogError(str(error)) from error
    raise CatalogError(f"no run in the catalogue begins with {uid!r}: `ghostbeam status` shows what waits to be archived")


def reconstructions_of(catalog: Catalog, raw_uid: str) -> list[str]:
    """Uids of the stored reconstructions of a run, oldest first."""
    from tiled.queries import Eq

    return list(catalog.processed.search(Eq("derived_from", raw_uid)))


def mask_set_of(catalog: Catalog, store: MaskStore, identity: str) -> MaskSet | None:
    """A run's mask set from the catalogue, if it isn't in the local store; None if it is there, or nowhere."""
    if identity in store.identities() or identity not in catalog.masks:
        return None
    node = catalog.masks[identity]
    patterns, positions = node["patterns"].read(), node["positions_mm"].read()
    return MaskSet(node.metadata["name"], patterns, positions, float(node.metadata["pixel_size_um"]))


def wait_until_archived(state_dir: Path, uids: list[str], *, seconds: float = _SETTLED_S) -> list[str]:
    """Wait until runs are in Tiled and compared with the log; returns those that are not after so long."""
    ledger = ArchiveLedger(state_dir)
    deadline = time.monotonic() + seconds
    waiting = list(uids)
    while waiting and time.monotonic() < deadline:
        waiting = [uid for uid in waiting if not ledger.is_verified(uid)]
        if set(waiting) & set(ledger.problems()):
            break
        time.sleep(_POLL_S)
    ledger.close()
    return waiting


def recover(config: GhostbeamConfig, running: Running) -> list[str]:
    """Let the archiver bring in every run that is in the log and not, or not as it should be, in Tiled.

    Returns
    -------
    list of str
        The uids of the runs that were missing.
    """
    paths = log_paths(config.state_dir)
    close_orphans(paths.raw)
    ledger = ArchiveLedger(config.state_dir)
    missing = []
    with connect(running.uri, running.key) as catalog:
        for path, container in ((paths.raw, catalog.raw), (paths.processed, catalog.processed)):
            stored = set(container)
            for run in LogReader(path).runs():
                verified = run.uid in stored and container[run.uid].metadata.get("verified_against_log")
                if run.stop is not None and not verified:
                    missing.append(run.uid)
                    ledger.forget(run.uid)
    ledger.close()
    if missing:
        _restart_archiver(config.state_dir)
    return missing


def _restart_archiver(state_dir: Path) -> None:
    status = read_status(state_dir, "archiver")
    if status is not None and is_running(status):
        psutil.Process(status["pid"]).terminate()  # the supervisor starts the next one, which reads the ledger anew


def replay(run: Any, *, method: str | None = None, seed: int | None = None, config: GhostbeamConfig, **options: Any) -> Any:
    """Reconstruct a run of the catalogue again, in a process of its own, and return the new derived run.

    Parameters
    ----------
    run : run of the catalogue, or str
        `cat[uid]`, or the (beginning of the) uid itself.
    method : str, optional
        By default the first recipe of the run's start document.
    seed : int, optional
        Of the reconstruction's random choices.
    config : GhostbeamConfig
        Of this session.
    **options
        The method's options.

    Raises
    ------
    CatalogError
        If the replay failed; what it printed says why.
    """
    uid = run if isinstance(run, str) else run.metadata["start"]["uid"]
    command = [sys.executable, "-m", "ghostbeam", "replay", uid, "--json"]
    command += ["--method", method] if method else []
    command += ["--seed", str(seed)] if seed is not None else []
    command += ["--options", json.dumps(options)] if options else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=_environment(config))
    if done.returncode:
        raise CatalogError(f"the replay of {uid} failed; see above")
    running = ensure_up(config)
    return connect(running.uri, running.key).processed[json.loads(done.stdout)["uid"]]


def _environment(config: GhostbeamConfig) -> dict[str, str]:
    # The child finds the same catalogue, wherever this session's configuration came from.
    environment = {**os.environ, "GHOSTBEAM_STATE_DIR": str(config.state_dir)}
    if (file := os.environ.get(CONFIG_VARIABLE)) is not None:
        environment[CONFIG_VARIABLE] = str(Path(file).absolute())
    return environment
