"""Reconstructing again what is in the catalogue, and bringing in what isn't."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiled.client.container import Container
from tiled.queries import Eq, KeyPresent

from analysis.archive.archive_ledger import ArchiveLedger
from analysis.archive.catalog import Catalog, connect
from analysis.archive.repeats import few_repeats
from analysis.archive.run_archive import read_back
from analysis.archive.server_settings import CatalogError
from analysis.archive.stored_references import stored_reference
from analysis.documents.frame_folders import frame_folders
from analysis.documents.log import LogReader, log_paths
from analysis.documents.references import FOLDERS, Reference, ReferenceStore
from analysis.techniques import technique_of
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
    return list(catalog.processed.search(Eq("derived_from", raw_uid)))


def references_of(catalog: Catalog, start: Mapping[str, Any], state_dir: Path) -> list[Reference]:
    """What a run needs beside its documents, as far as the catalogue has it and the state directory hasn't."""
    store = ReferenceStore(state_dir)
    found = []
    for name in technique_of(start).references(start):
        folder = FOLDERS[name.kind]
        if store.stamp(name) is None and folder in catalog.root and name.identity in catalog.root[folder]:
            found.append(stored_reference(catalog.root[folder][name.identity], name.kind))
    return found


def wait_until_archived(state_dir: Path, uids: list[str], *, seconds: float = _SETTLED_S) -> list[str]:
    """Wait until runs are in Tiled and compared with the log; returns those that are not after so long."""
    ledger = ArchiveLedger(state_dir)
    deadline = time.monotonic() + seconds
    waiting = list(uids)
    while waiting and time.monotonic() < deadline:
        waiting = [uid for uid in waiting if not ledger.is_archived(uid)]
        if set(waiting) & set(ledger.problems()):
            break
        time.sleep(_POLL_S)
    ledger.close()
    return waiting


@dataclass(frozen=True)
class Found:
    """What `recover` found in the log that is not, or not as it should be, in Tiled.

    Attributes
    ----------
    missing : list of str
        The uids of runs that are not there, or were never compared with the log.
    damaged : dict of str to list of str
        The uids of runs that were compared and are damaged now, and in what.
    """

    missing: list[str] = field(default_factory=list)
    damaged: dict[str, list[str]] = field(default_factory=dict)

    @property
    def uids(self) -> list[str]:
        """All of them."""
        return [*self.missing, *self.damaged]


def recover(
    config: GhostbeamConfig, running: Running, *, check: bool = False, progress: Callable[[str], None] = lambda text: None
) -> Found:
    """Let the archiver bring in every run that is in the log and not, or not as it should be, in Tiled.

    Parameters
    ----------
    config : GhostbeamConfig
        Of the services.
    running : Running
        The services.
    check : bool
        Whether runs that were compared with the log before are read back and compared again.
    progress : callable
        Is told, in a few words, what is being read.
    """
    paths = log_paths(config.state_dir)
    found = Found()
    with closing(ArchiveLedger(config.state_dir)) as ledger, connect(running.uri, running.key) as catalog:
        given_up = ledger.problems() | ledger.acknowledged()
        for path, container in ((paths.raw, catalog.raw), (paths.processed, catalog.processed)):
            # A catalogue of runs itself would look for this key in the start document.
            compared = set(Container.search(container, KeyPresent("verified_against_log")))
            with closing(LogReader(path)) as reader:
                runs = [run for run in reader.runs() if run.stop is not None or run.uid in given_up]
                found.missing.extend(run.uid for run in runs if run.uid not in compared)
                if check:
                    there = [run.uid for run in runs if run.uid in compared]
                    found.damaged.update(_damage(container, reader, there, frame_folders(config.state_dir), progress))
        for uid in found.uids:
            ledger.forget(uid)  # the archiver looks, and brings it in
    return found


def _damage(
    container: Any, reader: LogReader, uids: list[str], folders: list[Path], progress: Callable[[str], None]
) -> dict[str, list[str]]:
    """Which of these stored runs differ from the log, and in what."""
    damaged = {}
    with few_repeats():
        for number, uid in enumerate(uids, start=1):
            progress(f"reading back run {number} of {len(uids)}")
            if differences := read_back(container, reader, uid, folders):
                damaged[uid] = differences
    return damaged


def forget(state_dir: Path, uid: str) -> str:
    """Leave a run that the archiver gave up out of Tiled for good, and return its whole uid.

    Raises
    ------
    CatalogError
        If no run, or more than one, that was given up begins so.
    """
    with closing(ArchiveLedger(state_dir)) as ledger:
        given_up = [one for one in ledger.problems() | ledger.acknowledged() if one.startswith(uid)]
        if len(given_up) != 1:
            raise CatalogError(
                f"{len(given_up)} runs that were given up begin with {uid!r}: `ghostbeam status` lists those that were given up"
            )
        ledger.acknowledge(given_up[0])
    return given_up[0]


def replay(run: Any, *, method: str | None = None, seed: int | None = None, config: GhostbeamConfig, **options: Any) -> Any:
    """Reconstruct a run of the catalogue again, in a separate process, and return the new derived run.

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
    command = [sys.executable, "-P", "-m", "ghostbeam", "replay", uid, "--json"]
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
