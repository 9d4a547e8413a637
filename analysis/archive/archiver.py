"""The archiver: the only writer to Tiled. Follows the document log and keeps Tiled equal to it.

It trusts nothing. An ended run is read back from Tiled and compared with the log; only then is the run settled. There is one
remedy for every failure (the server died, an append may or may not have been stored, this process was killed): the run is
removed from Tiled and written again from the log. So nothing is stored twice, and the order is kept.

Run it as `python -m analysis.archive.archiver --state-dir DIR --uri URI`; the key comes from the environment or the state
directory.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from analysis.archive.archive_ledger import ArchiveLedger
from analysis.archive.catalog import Catalog, connect
from analysis.archive.log_archiver import LogArchiver, ServerGone, server_is_gone
from analysis.archive.reference_archive import ReferenceArchive
from analysis.archive.repeats import few_repeats
from analysis.archive.server_settings import CatalogError, api_key
from analysis.documents.frame_folders import frame_folders
from analysis.documents.log import LogReader, log_paths
from analysis.documents.orphans import close_orphans
from analysis.documents.references import ReferenceStore
from analysis.documents.service_lock import ServiceBusy, service_lock
from analysis.documents.status import StatusFile, StopRequest

logger = logging.getLogger("ghostbeam.archiver")

_EVERY_S = 0.03  # a flush takes about 25 ms; a row can be read from Tiled about 60 ms after it was logged (median)
_CHORES_EVERY_S = 2.0
_AFTER_A_PROBLEM_S = 0.5
_SHOWN = 3  # runs listed in the status that have parts not stored as they were logged


class Archiver:
    """Both logs and the mask store, on their way into Tiled.

    Parameters
    ----------
    state_dir : Path
        The state directory.
    uri, key : str
        The Tiled server and the key to it.
    beat : callable
        Called whenever a run has advanced.
    """

    def __init__(self, state_dir: Path, uri: str, key: str, beat: Callable[[], None] = lambda: None) -> None:
        self._uri = uri
        self._key = key
        self._ledger = ArchiveLedger(state_dir)
        self._paths = log_paths(state_dir)
        folders = frame_folders(state_dir)
        self._raw = LogArchiver(LogReader(self._paths.raw), self._ledger, beat, folders)
        self._processed = LogArchiver(LogReader(self._paths.processed), self._ledger, beat, folders)
        self._references = ReferenceArchive(ReferenceStore(state_dir), server_is_gone)
        self._catalog: Catalog | None = None
        self._problem: str | None = None
        self._outages = 0
        self._next_chores = 0.0

    def step(self) -> bool:
        """Transfer new documents; return True if nothing more is to do now. Never raises: problems appear in the figures."""
        problems: list[str] = []
        try:
            with _noted(problems):
                self._do_chores()
            if self._catalog is None:
                self._catalog = connect(self._uri, self._key)
            more: list[bool] = []
            for log, container in ((self._raw, self._catalog.raw), (self._processed, self._catalog.processed)):
                with _noted(problems):
                    more.append(log.step(container))
            # New documents of running scans, and the last images of one that ended, need not wait for the reading back.
            busy = any(more) or self._processed.growing
            with _noted(problems):
                more.append(self._raw.verify(busy=busy) or self._processed.verify(busy=busy))
            with _noted(problems):
                more.append(self._references.step(self._catalog.root))
        except (ServerGone, CatalogError, httpx.TransportError) as error:
            problems.append(str(error))
            self._lose_connection()
        if problems and self._problem is None:
            logger.warning("the archiver waits: %s", problems[0])
        self._problem = problems[0] if problems else None
        if problems:
            time.sleep(_AFTER_A_PROBLEM_S)
            return True
        return not any(more)

    def close(self) -> None:
        """Close all files and connections."""
        if self._catalog is not None:
            self._catalog.close()
        self._raw.reader.close()
        self._processed.reader.close()
        self._ledger.close()

    def _do_chores(self) -> None:
        if time.monotonic() < self._next_chores:
            return
        self._next_chores = time.monotonic() + _CHORES_EVERY_S
        self._raw.bring_in_again()
        self._processed.bring_in_again()
        close_orphans(self._paths.raw)
        # A live reconstruction is continued by the next worker; other reconstructions are not continued by anyone.
        close_orphans(self._paths.processed, which=lambda start: start.get("purpose") != "live")

    def _lose_connection(self) -> None:
        if self._catalog is not None:
            self._catalog.close()
            self._outages += 1
        self._catalog = None
        self._raw.forget_connection()
        self._processed.forget_connection()

    @property
    def unsettled(self) -> int:
        """Number of runs that are not yet verified."""
        return self._raw.unsettled + self._processed.unsettled

    @property
    def lag(self) -> int:
        """Number of logged documents that are not yet archived."""
        return self._raw.lag + self._processed.lag

    def figures(self) -> dict[str, Any]:
        """The figures that `ghostbeam status` shows."""
        given_up = self._ledger.problems()
        given_up |= {f"reference {identity}": problem for identity, problem in self._references.problems.items()}
        return {
            "healthy": self._problem is None,
            "problem": self._problem,
            "lag_documents": self.lag,
            "unsettled_runs": self.unsettled,
            "documents": self._raw.documents + self._processed.documents,
            "rewritten_runs": self._raw.rewritten + self._processed.rewritten,
            "outages": self._outages,
            "given_up": given_up,
            "left_to_the_log": len(self._ledger.acknowledged()),
            "not_as_logged": self._ledger.newest_not_as_logged(_SHOWN),
        }


@contextmanager
def _noted(problems: list[str]) -> Iterator[None]:
    """Note a failure: a problem in one log, or with the archiver's own file, does not stop the work on the rest."""
    try:
        yield
    except (ServerGone, CatalogError, httpx.TransportError):
        raise
    except Exception as error:
        logger.exception("this is tried again")
        problems.append(f"{type(error).__name__}: {error}")


def main() -> None:
    """Follow the log until asked to stop."""
    parser = argparse.ArgumentParser(prog="python -m analysis.archive.archiver", description=__doc__.splitlines()[0])
    parser.add_argument("--state-dir", type=Path, required=True, help="the state directory, with the document log")
    parser.add_argument("--uri", required=True, help="the Tiled server, e.g. http://127.0.0.1:8020")
    parser.add_argument("--until-settled", action="store_true", help="end when everything logged is in Tiled and verified")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        with service_lock(arguments.state_dir, "archiver"), few_repeats():
            _serve(arguments.state_dir, arguments.uri, until_settled=arguments.until_settled)
    except ServiceBusy as error:
        parser.exit(1, f"{error}\n")


def _serve(state_dir: Path, uri: str, *, until_settled: bool) -> None:
    stop = StopRequest()
    status = StatusFile(state_dir, "archiver")
    archiver = Archiver(state_dir, uri, api_key(state_dir), lambda: status.write(archiver.figures()))
    while not stop:
        began = time.monotonic()
        may_rest = archiver.step()
        status.write(archiver.figures())
        if until_settled and may_rest and archiver.unsettled == 0 and archiver.lag == 0:
            break
        if may_rest:
            time.sleep(max(0.0, began + _EVERY_S - time.monotonic()))
    status.write(archiver.figures(), every_s=0.0)
    archiver.close()


if __name__ == "__main__":
    main()
