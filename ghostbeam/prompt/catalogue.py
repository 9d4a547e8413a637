"""The catalogue as a session sees it: never behind what has been measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from analysis.archive.archive_ledger import ArchiveLedger
from analysis.archive.client_classes import with_own_classes
from analysis.archive.server_settings import CatalogError
from analysis.documents.log import LogReader
from analysis.documents.log_reader import RunInfo
from analysis.documents.status import is_running, read_status

_PATIENCE_S = 120.0
_WITHOUT_ARCHIVER_S = 5.0  # it is started again at once when it died
_SAY_SO_AFTER_S = 1.5
_POLL_S = 0.1


class NotYetArchived(LookupError):
    """A run is in the log and not in the catalogue, or not all of it; the message says why and where it is safe."""


class LoggedCatalogue:
    """A catalogue of runs that waits for the archiver where the log knows more.

    `runs[uid]`, `runs[-1]` and `runs[5]` (the scan number) are those of the log. What has just been measured is waited for, for
    two minutes at most, and never is another run returned in its place. Everything else is as with the Tiled client.

    Parameters
    ----------
    client : Tiled client
        Of the container with the runs.
    log : Path
        The file of the document log from which the archiver brings them there.
    say : callable
        Is told, in a sentence, what is waited for.
    """

    def __init__(self, client: Any, log: Path, say: Callable[[str], None] = print) -> None:
        self._client = with_own_classes(client)
        self._reader = LogReader(log)
        self._state_dir = log.parent.parent
        self._ledger = ArchiveLedger(self._state_dir)
        self._say = say
        self._runs: list[RunInfo] = []
        self._whole: set[str] = set()  # uids of ended runs that are all there

    def __getitem__(self, key: Any) -> Any:
        self._wait_for(self._meant(key))
        with _told(self._client):
            try:
                return self._client[key]
            except IndexError:
                raise LookupError(f"there are only {len(self._client)} runs") from None
            except KeyError:
                raise KeyError(f"no run {key!r}, neither in the catalogue nor in the log. runs() lists the last ones") from None

    def __iter__(self) -> Iterator[str]:
        self._wait_for(self._logged()[-1:])
        return iter(self._client)

    def __len__(self) -> int:
        self._wait_for(self._logged()[-1:])
        return len(self._client)

    def __repr__(self) -> str:
        return repr(self._client)

    def __getattr__(self, name: str) -> Any:
        if name in ("values", "keys", "items", "search"):
            self._wait_for(self._logged()[-1:])
        return getattr(self._client, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *dir(self._client)]

    def _logged(self) -> list[RunInfo]:
        """All runs of the log that can be read, oldest first."""
        after = next((run.first - 1 for run in self._runs if run.stop is None), self._runs[-1].first if self._runs else 0)
        self._runs = [run for run in self._runs if run.first <= after] + self._reader.runs(after=after)
        return self._runs

    def _meant(self, key: Any) -> list[RunInfo]:
        """The runs of the log that a key may mean."""
        runs = self._logged()
        if isinstance(key, str):
            return [run for run in runs if run.uid.startswith(key)]
        if isinstance(key, slice):
            return runs[key] if key.start is not None and key.start < 0 else []
        if isinstance(key, int):
            return [run for run in runs if run.start.get("scan_id") == key][-1:] if key > 0 else runs[key:]
        return []

    def _wait_for(self, runs: list[RunInfo]) -> None:
        began = time.monotonic()
        said = False
        for run in runs:
            while not self._is_there(run):
                waited = time.monotonic() - began
                if problem := self._problem(run.uid):
                    raise NotYetArchived(f"{_name(run)} could not be stored in the catalogue: {problem}. It is safe in the log")
                if waited > _WITHOUT_ARCHIVER_S and (problem := self._archiver_problem()):
                    raise NotYetArchived(f"{_name(run)} is safe in the log, but not in the catalogue yet: {problem}")
                if waited > _PATIENCE_S:
                    raise NotYetArchived(
                        f"{_name(run)} is safe in the log, but not in the catalogue after {waited:.0f} s of waiting: `ghostbeam "
                        "status` says what the archiver is doing. Try again, or name an older run by its uid"
                    )
                if waited > _SAY_SO_AFTER_S and not said:
                    said = True
                    self._say(f"waiting for {_name(run)} to come into the catalogue ...")
                time.sleep(_POLL_S)

    def _is_there(self, run: RunInfo) -> bool:
        """Whether the catalogue has the run; one that has ended, to its stop document."""
        if run.uid in self._whole:
            return True
        with _told(self._client):
            try:
                stored = self._client[run.uid].metadata
            except KeyError:
                return False
        if run.stop is None:
            return True
        if not stored.get("stop"):
            return False
        self._whole.add(run.uid)
        return True

    def _archiver_problem(self) -> str | None:
        """Why the archiver brings nothing into the catalogue now, if it says so."""
        said = read_status(self._state_dir, "archiver")
        if said is None or not is_running(said):
            return "the archiver does not run. `ghostbeam up` starts the services"
        return said.get("problem")

    def _problem(self, uid: str) -> str | None:
        return (self._ledger.problems() | self._ledger.acknowledged()).get(uid)


class _told:  # noqa: N801  reads as a statement
    """Says in one line that the catalogue's server does not answer."""

    def __init__(self, client: Any) -> None:
        self._uri = client.context.api_uri

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, httpx.TransportError):
            raise CatalogError(
                f"no Tiled server answers at {self._uri} ({error}). `ghostbeam status` shows the services; what was measured is "
                "safe in the log"
            ) from error


def _name(run: RunInfo) -> str:
    number = run.start.get("scan_id")
    return f"run {run.uid[:8]}" + ("" if number is None else f" (scan {number})")
