"""Brings the runs of one document log into one container of the catalogue, and keeps them equal to the log.

An ended run is read back from Tiled and compared with the log; only then is the run settled. After any failure the run is
written again.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from analysis.archive.archive_ledger import ArchiveLedger
from analysis.archive.columns import ColumnFailed, ColumnUnfit, Layout
from analysis.archive.names import BadName
from analysis.archive.run_archive import RunArchive
from analysis.archive.server_settings import CatalogError
from analysis.documents.log import LogDamage, LogReader, Record, RunState

logger = logging.getLogger("ghostbeam.archiver")

_DOCUMENTS_AT_ONCE = 500
_OVERDUE_S = 0.7  # after its last turn; then every second turn goes to a run that has waited this long
_VERIFIED_WITHIN_S = 3.0  # after its end, however much there is to write; the last images of fast methods are there by then
_TRIES = 5  # with a server that answers; after that the run is left to `ghostbeam recover`


class ServerGone(Exception):
    """Tiled does not answer (any more)."""


class LogArchiver:
    """Brings the runs of one log into one container of the catalogue.

    Parameters
    ----------
    reader : LogReader
        The log.
    ledger : ArchiveLedger
        The runs that are already settled.
    beat : callable
        Called whenever a run has advanced, so that a long step is not mistaken for a hanging archiver.
    folders : sequence of Path
        Folders in which the runs' files of frames may be.
    """

    def __init__(self, reader: LogReader, ledger: ArchiveLedger, beat: Callable[[], None], folders: Sequence[Path] = ()) -> None:
        self.reader = reader
        self._folders = folders
        self._beat = beat
        self.documents = 0
        self.rewritten = 0
        self._ledger = ledger
        self._settled = ledger.settled()
        # Documents up to this position are read again run by run, and only for runs that are not settled.
        self.position = reader.last_position()
        # Unsettled runs; the archive is None if the run must be written (again) from its start.
        self._archives: dict[str, RunArchive | None] = {
            run.uid: None for run in reader.runs() if run.uid not in self._settled and run.first <= self.position
        }
        self._layouts: dict[str, Layout] = defaultdict(Layout)  # of unsettled runs
        self._waiting: dict[str, list[Record]] = defaultdict(list)  # read but not yet written
        self._written: dict[str, float] = {}  # when each unsettled run was last written, monotonic
        self._served_overdue = False  # in the last turn
        # At least as long as the last turn took, unless many documents wait: the positions of a fly scan are stored in larger
        # portions.
        self._rests_until: dict[str, float] = {}
        self._stored: dict[str, int] = defaultdict(int)  # number of written documents of each unsettled run
        self._whole: dict[str, float] = {}  # when each run that is still to be verified was completely written, monotonic
        self._failures: dict[str, int] = defaultdict(int)
        self._not_before: dict[str, float] = {}

    @property
    def lag(self) -> int:
        """Number of documents that are logged but not yet written."""
        return max(0, self.reader.last_position() - self.position) + self._unwritten

    @property
    def unsettled(self) -> int:
        """Number of runs that are being written or wait to be written again."""
        return len(self._archives)

    @property
    def growing(self) -> bool:
        """Whether a run is being written, or waits to be written again."""
        return len(self._archives) > len(self._whole)

    @property
    def _unwritten(self) -> int:
        return sum(map(len, self._waiting.values()))

    def forget_connection(self) -> None:
        """The connection was lost: all runs under way are written again, because it is unknown what was stored last."""
        self._archives = dict.fromkeys(self._archives)
        self._waiting.clear()
        self._whole.clear()

    def step(self, container: Any) -> bool:
        """Read the next documents, write those of one run, and return whether there is more to do at once.

        It takes the run with the fewest documents written so far or, every second time, one that has waited too long. So
        occasional documents, such as the images of a slow reconstruction, need not wait until all other runs have been
        written.

        Raises
        ------
        ServerGone
            If Tiled stopped answering; call `forget_connection`, and `step` again when it is back. Nothing is lost.
        """
        more = self._read()
        due = [uid for uid in self._archives if self._is_due(uid, hurry=more)]
        if due:
            uid = self._next_of(due)
            records = self._waiting.pop(uid, [])
            began = self._written[uid] = time.monotonic()
            self._stored[uid] += len(records)
            with self._written_again_if_it_fails(uid):
                self._advance(container, uid, records)
            ended = time.monotonic()
            self._rests_until[uid] = ended + (ended - began)
            self._beat()
        return more or len(due) > 1

    def verify(self, *, busy: bool) -> bool:
        """Read back the run that ended first among those not yet verified; return whether there was one.

        While there is other work, `busy`, only a run that ended some time ago is read back.

        Raises
        ------
        ServerGone
            As in `step`.
        """
        uid = next(iter(self._whole), None)
        if uid is None or (busy and time.monotonic() < self._whole[uid] + _VERIFIED_WITHIN_S):
            return False
        with self._written_again_if_it_fails(uid):
            archive = self._archives[uid]
            assert archive is not None, "a run that must be written again isn't whole"
            comparison = archive.compare(self.reader.documents(uid))
            if comparison.differences:
                self._blame(uid, comparison.failed)
                raise ValueError(f"stored and logged differ: {'; '.join(comparison.differences[:5])}")
            archive.mark_compared(comparison)
            self._settle(uid, lost=comparison.lost)
        self._beat()
        return True

    def bring_in_again(self) -> None:
        """Resume settled runs that somebody has removed from the ledger since then."""
        for uid in self._settled - self._ledger.settled():
            self._settled.discard(uid)
            if self.reader.state(uid) is not RunState.UNKNOWN:
                self._archives[uid] = None

    def _read(self) -> bool:
        """Read the next documents, unless many wait to be written; return whether there may be more of them."""
        if self._unwritten >= _DOCUMENTS_AT_ONCE:
            return True
        records = self.reader.read(self.position, limit=_DOCUMENTS_AT_ONCE)
        for record in records:
            if record.run in self._settled:
                continue
            if not record.run:
                logger.error("document %s of the log is damaged, nothing tells whose it is: %s", record.position, record.damage)
                continue
            # runs that must be written again are then read from the log again
            if self._archives.setdefault(record.run, None) is not None:
                self._waiting[record.run].append(record)
        if records:
            self.position = records[-1].position
            self.documents += len(records)
        return len(records) == _DOCUMENTS_AT_ONCE

    def _is_due(self, uid: str, *, hurry: bool) -> bool:
        if self._archives[uid] is None:
            return time.monotonic() >= self._not_before.get(uid, 0.0)
        return uid in self._waiting and (hurry or time.monotonic() >= self._rests_until.get(uid, 0.0))

    def _next_of(self, due: list[str]) -> str:
        """Return the next of the runs that are due."""
        long_ago = time.monotonic() - _OVERDUE_S
        overdue = [uid for uid in due if self._written.get(uid, 0.0) < long_ago]
        self._served_overdue = bool(overdue) and not self._served_overdue
        if self._served_overdue:
            return min(overdue, key=lambda uid: self._written.get(uid, 0.0))
        return min(due, key=lambda uid: (self._stored[uid], self._written.get(uid, 0.0)))

    def _advance(self, container: Any, uid: str, records: list[Record]) -> None:
        archive = self._archives[uid]
        if archive is not None:
            ended = _write(archive, records)
        else:
            archive = RunArchive(container, uid, self._layouts[uid], self._folders)
            ended = _write(archive, self.reader.documents(uid, up_to=self.position))
            self.rewritten += archive.replaced
        self._archives[uid] = archive
        if ended:
            self._whole[uid] = time.monotonic()
        else:
            self._failures.pop(uid, None)  # only consecutive failures show that it cannot be stored

    @contextmanager
    def _written_again_if_it_fails(self, uid: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._archives[uid] = None
            self._whole.pop(uid, None)
            if server_is_gone(error):
                raise ServerGone(str(error)) from error
            if isinstance(error, ColumnUnfit):
                logger.info("run %s is written again, a column of it otherwise: %s", uid, error)
                return
            if isinstance(error, ColumnFailed):
                self._blame(uid, [(error.stream, error.key, error.problem)])
            self._note_failure(uid, error)

    def _blame(self, uid: str, columns: list[tuple[str, str, str]]) -> None:
        """Note which columns failed; once one of them is stored differently, the next attempt counts as the first."""
        layout = self._layouts[uid]
        found = [(layout.column(stream, key), what) for stream, key, what in columns]
        if any([column.fail(what) for column, what in found if column is not None]):
            self._failures.pop(uid, None)

    def _note_failure(self, uid: str, error: Exception) -> None:
        self._failures[uid] += 1
        if self._failures[uid] >= _TRIES or isinstance(error, BadName | LogDamage):
            logger.error("run %s is given up: %s", uid, error)
            self._settle(uid, f"{type(error).__name__}: {error}")
        else:
            logger.warning("run %s will be written again: %s", uid, error, exc_info=error)
            self._not_before[uid] = time.monotonic() + 0.25 * 2 ** self._failures[uid]

    def _settle(self, uid: str, problem: str | None = None, *, lost: dict[str, str] | None = None) -> None:
        self._ledger.settle(uid, problem, lost=lost)
        self._settled.add(uid)
        del self._archives[uid]
        for notes in (
            self._written,
            self._rests_until,
            self._stored,
            self._whole,
            self._failures,
            self._not_before,
            self._layouts,
            self._waiting,
        ):
            notes.pop(uid, None)  # type: ignore[attr-defined]


def _write(archive: RunArchive, records: Any) -> bool:
    """Write documents in time-sliced batches; return whether the run's stop document was among them."""
    ended = False
    for number, record in enumerate(records, start=1):
        archive.write(record.name, record.doc)
        if number % _DOCUMENTS_AT_ONCE == 0:
            archive.flush()
        ended = ended or record.name == "stop"
    if not ended:  # the stop document flushes
        archive.flush()
    return ended


def server_is_gone(error: BaseException) -> bool:
    """Whether an error means that Tiled does not answer."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, httpx.TransportError | CatalogError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
