"""Malformed documents in any order: the log refuses each with LogError, or returns it unchanged, and no reader fails.

Runs in which values, keys, names and the order were changed at random are logged. Accepted documents are read back and passed
to the intake, to the worker's job and to the archiver as these read them from the log; runs that never end are ended in the
same way as the archiver ends those of a session that has died.
"""

from __future__ import annotations

import itertools
import logging
import sqlite3
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from bluesky_tiled_plugins.writing.tiled_writer import RunNormalizer

from analysis.archive import log_archiver
from analysis.archive.archive_ledger import ArchiveLedger
from analysis.archive.log_archiver import LogArchiver
from analysis.archive.run_archive import unpacked
from analysis.documents.log import LogError, LogReader, LogWriter, Record, log_paths
from analysis.documents.log_file import RUN_COLUMNS, run_row, save_run
from analysis.documents.orphans import close_orphans
from analysis.documents.plain import shown
from analysis.documents.process import Process
from analysis.documents.recipe import Recipe, derived_uid, recipes_of
from analysis.documents.refusal import RunRefused
from analysis.techniques.ghost.intake import Realizations
from analysis.techniques.ghost.mask_sets import MaskStore
from analysis.worker.job import Job, run_job
from benchmarks._common import Claim, arguments_parser, report
from benchmarks._malformed import MASKS, Document, comes_back, malformed_run

CLAIMS = (
    Claim("documents", "malformed and other documents that were logged, or tried to"),
    Claim("refused", "of these refused with LogError"),
    Claim("accepted_unreadable", "taken, and not given back as they were", exactly=0),
    Claim("other_exceptions", "other errors than LogError, in log, intake or worker", exactly=0),
    Claim("services_stopped", "errors that would have ended a service", exactly=0),
)
_JOB_EVERY = 20  # runs; a job takes a hundred times as long as logging a run
_LOG_BYTES = 200_000_000  # then a new log is begun


class Fuzz:
    """A log to which malformed runs are written.

    Parameters
    ----------
    state_dir : Path
        The folder of the log.

    Attributes
    ----------
    found : Counter
        The figures in CLAIMS.
    told : list of str
        The errors, in words.
    """

    def __init__(self, state_dir: Path) -> None:
        self.found: Counter[str] = Counter({claim.key: 0 for claim in CLAIMS})
        self.told: list[str] = []
        self._state_dir = state_dir
        MaskStore(state_dir).save(MASKS)
        self.path = log_paths(state_dir).raw
        self._writer = LogWriter(self.path)
        self._reader = LogReader(self.path)
        self._runs = 0

    def run(self, random: Random) -> None:
        """Make a malformed run, log it, and let all readers read it."""
        documents = malformed_run(random)
        after = self._reader.last_position()
        taken = [(name, doc) for name, doc in documents if self._taken(name, doc)]
        self.found["documents"] += len(documents)
        with self._must_not_raise("services_stopped", "reading"):
            records = self._reader.read(after)
            self._compare(taken, records)
        for uid in dict.fromkeys(record.run for record in records):
            self._runs += 1
            self._serve(uid)

    def end(self) -> None:
        """End open runs as if the session had died, read the whole log as services do when they start, and close it."""
        self._writer.close()
        _abandon_all(self.path)
        with self._must_not_raise("services_stopped", "closing runs that were cut short"):
            close_orphans(self.path)
        with self._must_not_raise("services_stopped", "listing runs"):
            infos = self._reader.runs()
            still_open = [info.uid for info in infos if info.stop is None]
            self._note("services_stopped", f"never closed: {still_open}", count=len(still_open))
            self._note("accepted_unreadable", "damaged", count=sum(info.damage is not None for info in infos))
        with self._must_not_raise("services_stopped", "archiving"):
            self._archive()
        self._reader.close()

    def _archive(self) -> None:
        logging.getLogger("ghostbeam.archiver").setLevel(logging.CRITICAL)  # it reports each run that it gives up
        up_to_tiled = patch.object(log_archiver, "RunArchive", _Archive)
        with up_to_tiled, patch.object(log_archiver, "_TRIES", 1), closing(ArchiveLedger(self._state_dir)) as ledger:
            archiver = LogArchiver(self._reader, ledger, lambda: None)
            while archiver.step(None) or archiver.verify(busy=False):
                pass

    def _taken(self, name: Any, doc: Any) -> bool:
        try:
            self._writer(name, doc)
            return not (name == "stop" and self._reader.state(doc["run_start"]).value == "no such run")
        except LogError:
            self.found["refused"] += 1
        except Exception as error:
            self._note("other_exceptions", f"logging {shown(name)} {shown(doc)}: {type(error).__name__}: {error}")
        return False

    def _compare(self, taken: list[Document], records: list[Record]) -> None:
        # A refused stop document is replaced by another one.
        logged = [record for record in records if "cannot be logged" not in str(record.doc.get("reason"))]
        for given, record in itertools.zip_longest(taken, logged):
            same_kind = given and record and record.damage is None and given[0] == record.name
            if not same_kind or not comes_back(given[1], record.doc):
                self._note("accepted_unreadable", f"{shown(given)} came back as {shown(record)}")

    def _serve(self, uid: str) -> None:
        records = list(self._reader.documents(uid))
        start = records[0].doc
        with self._must_not_raise("services_stopped", f"finding recipes in {shown(start)}"):
            for recipe in recipes_of(start, [Recipe("correlation")]):
                derived_uid(uid, recipe)
        with self._must_not_raise("other_exceptions", f"the intake, run {uid}"), suppress(RunRefused):
            intake = Realizations(start, len(MASKS.patterns))
            for record in records:
                intake(record.name, record.doc)
            intake.end()
            intake.take()
            intake.ledger().to_doc()
        # The worker uses only ghost-imaging runs, and follows a run until it has ended.
        if "ghost" in start and records[-1].name == "stop" and self._runs % _JOB_EVERY == 0:
            with self._must_not_raise("other_exceptions", f"the worker's job, run {uid}"):
                run_job(Job(self._state_dir, uid, Recipe("correlation")))

    def _note(self, key: str, what: str, *, count: int = 1) -> None:
        if count:
            self.found[key] += count
            self.told.append(f"{key}: {what}"[:800])

    @contextmanager
    def _must_not_raise(self, key: str, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._note(key, f"{what}: {type(error).__name__}: {error}")


class _Archive:
    """The archiver's view of a run, up to the point where documents would be sent to Tiled."""

    def __init__(self, container: Any, uid: str) -> None:
        self._normalizer = RunNormalizer()

    def discard(self) -> bool:
        return False

    def write(self, name: str, doc: dict[str, Any]) -> None:
        for one_name, one_doc in unpacked(name, doc):
            self._normalizer(one_name, one_doc)

    def flush(self) -> None:
        pass

    def compare(self, records: Iterator[Record]) -> list[str]:
        return []

    def mark_verified(self) -> None:
        pass


def _abandon_all(path: Path) -> None:
    """Make the open runs look as if the process that writes them had died."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for columns in connection.execute(f"SELECT {RUN_COLUMNS} FROM runs WHERE stop IS NULL").fetchall():
            save_run(connection, replace(run_row(columns)[0], writer=Process(1, 0, "")))


def fuzz(number: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Log this many documents; return the findings, and the errors in words."""
    random = Random(seed)
    found: Counter[str] = Counter({claim.key: 0 for claim in CLAIMS})
    told: list[str] = []
    while found["documents"] < number:
        one = Fuzz(folder / str(uuid.uuid4()))
        while found["documents"] + one.found["documents"] < number and one.path.stat().st_size < _LOG_BYTES:
            one.run(random)
        one.end()
        found.update(one.found)
        told += one.told
    return found, told


def main() -> None:
    """Log, and report."""
    parser = arguments_parser(__doc__)
    parser.add_argument("--n", type=int, default=1_000_000, help="documents (default: %(default)s; with --quick 2000)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ghostbeam-fuzz-") as folder:
        found, told = fuzz(2_000 if arguments.quick else arguments.n, arguments.seed, Path(folder))
    report(CLAIMS, found, told[:20], arguments.json)


if __name__ == "__main__":
    main()
