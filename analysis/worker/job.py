"""One reconstruction of one run by one recipe, while the run is measured or afterwards.

A job may be killed at any moment. When started again, it continues the same derived run: no estimate is repeated, and the
final one has the same bits as without the interruption, because it depends only on data, options and seed.
"""

from __future__ import annotations

import fcntl
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from analysis.documents.derived import DerivedRun, Progress, derived_start
from analysis.documents.frame_folders import row_folder
from analysis.documents.log import LogReader, LogWriter, log_paths
from analysis.documents.log_reader import LogDamage
from analysis.documents.private import private_folder
from analysis.documents.recipe import Recipe, derived_uid
from analysis.documents.references import ReferenceDiffers, ReferenceMissing, ReferenceStore
from analysis.documents.refusal import NothingUsable, RunRefused
from analysis.techniques import technique_of
from analysis.worker.drive import Drive
from analysis.worker.pace import Clock, Never

LIVE = "live"  # the purpose of derived runs that a worker makes, and that the next worker continues
_POLL_S = 0.02
_READ_AT_ONCE = 500
REPORT_EVERY_S = 0.2
_LOCK_WAIT_S = 30.0

Report = Callable[[dict[str, Any]], None]


class Outcome(StrEnum):
    """How a job ended."""

    FINISHED = "finished"
    FAILED = "failed"  # permanently; the derived run gives the reason
    NO_REFERENCE = "no reference"  # to be tried again when the mask set, or another required reference, is there


@dataclass(frozen=True)
class Job:
    """The task of a job.

    Parameters
    ----------
    state_dir : Path
        State directory with the document log and the references.
    raw_uid : str
        The run to reconstruct.
    recipe : Recipe
        How to reconstruct it.
    recipes : tuple of Recipe
        All recipes of this run, written into each derived run so that a worker started with other recipes keeps to these.
    attempt : int
        Number of earlier derived runs of this recipe that were refused because a reference was missing.
    threads : int
        Number of threads with which the numerical libraries were started.
    """

    state_dir: Path
    raw_uid: str
    recipe: Recipe
    recipes: tuple[Recipe, ...] = ()
    attempt: int = 0
    threads: int = 1

    @property
    def uid(self) -> str:
        """Uid of the derived run."""
        return derived_uid(self.raw_uid, self.recipe, self.attempt)

    def start_doc(self, raw_start: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Start document of the derived run."""
        return derived_start(
            raw_start,
            self.recipe,
            uid=self.uid,
            purpose=LIVE,
            threads=self.threads,
            recipes=self.recipes,
            attempt=self.attempt,
            **more,
        )


def run_job(job: Job, report: Report = lambda message: None) -> tuple[Outcome, str]:
    """Reconstruct, following the log until the run has ended; return the outcome, and the reason of a failure or a remark.

    Parameters
    ----------
    job : Job
        The task.
    report : callable
        Called from time to time with a dict: "position" in the raw log up to which everything was taken, rows "used", number
        of "estimates" in the derived run, "made", the number of those made by this job, and "doubts" about the data so far.

    Raises
    ------
    LogError
        If the log cannot be read or written.
    """
    with _resumed(job) as (progress, writer):
        if writer is None:
            return Outcome.FINISHED, ""
        with closing(LogReader(log_paths(job.state_dir).raw)) as raw:
            return _reconstruct(job, raw, writer, progress, report)


def give_up(job: Job, reason: str) -> None:
    """End a job's derived run as failed, whatever its state.

    Raises
    ------
    LogError
        If the log cannot be read or written.
    """
    with _resumed(job) as (progress, writer):
        if writer is None:
            return
        with closing(LogReader(log_paths(job.state_dir).raw)) as raw:
            start = job.start_doc(_raw_start(job, raw), rows="rows")
        DerivedRun(writer, start, {}, progress=progress).close(failure=reason)


@contextmanager
def _resumed(job: Job) -> Iterator[tuple[Progress, LogWriter | None]]:
    """Lock the job against others; yield the progress of its derived run, and a writer to continue it unless it has ended."""
    processed = log_paths(job.state_dir).processed
    with _alone(job):
        with closing(LogReader(processed)) as reader:
            logged = reader.documents(job.uid, arrays=False)
            progress = Progress.of((record.name, record.doc) for record in logged if record.damage is None)
        if progress.ended:
            yield progress, None
            return
        with closing(LogWriter(processed)) as writer:
            if progress.started:
                writer.adopt(job.uid)
            yield progress, writer


def _raw_start(job: Job, raw: LogReader) -> dict[str, Any]:
    return raw.read(0, run=job.raw_uid, limit=1)[0].doc


def _reconstruct(job: Job, raw: LogReader, writer: LogWriter, progress: Progress, report: Report) -> tuple[Outcome, str]:
    raw_start = _raw_start(job, raw)
    told = _Told(job, raw, progress, report)
    rows = "rows"
    try:
        technique = technique_of(raw_start)
        rows = technique.rows
        run = technique.open(raw_start, ReferenceStore(job.state_dir))
        method = technique.methods.get(job.recipe.method)
        slow = method is not None and not method.fast
        pace = Never() if progress.finished else Clock(run.expected, slow=slow)
        drive = told.drive = Drive(run, job.recipe, told.documents, pace)
    except (ReferenceMissing, ReferenceDiffers) as error:
        # After one refusal, further ones would only repeat it.
        if job.attempt == 0:
            kinds = ", ".join(name.kind for name in technique.references(raw_start))
            refused = job.start_doc(raw_start, rows=rows, refused=kinds)
            DerivedRun(writer, refused, {}, progress=progress).close(failure=str(error))
        return Outcome.NO_REFERENCE, str(error)
    except RunRefused as error:
        DerivedRun(writer, job.start_doc(raw_start, rows=rows), {}, progress=progress).close(failure=str(error))
        return Outcome.FAILED, str(error)

    start = job.start_doc(raw_start, rows=run.rows, metadata=run.metadata(job.recipe), remarks=run.remarks, options=drive.options)
    derived = DerivedRun(writer, start, run.quantities(job.recipe), expected=run.expected, progress=progress)
    if drive.series:
        drive.rows = derived.store_rows(drive.series, row_folder(job.state_dir))
    try:
        for timed in drive.estimates():
            derived.estimate(timed.estimate, timed.standing, final=timed.final, elapsed_s=timed.elapsed_s)
    except RunRefused as error:
        ledger = error.ledger if isinstance(error, NothingUsable) else None
        derived.close(ledger, failure=str(error))
        return Outcome.FAILED, str(error)
    except LogDamage as error:
        derived.close(failure=str(error))
        return Outcome.FAILED, str(error)
    derived.close(drive.ledger, options=drive.options_used)
    told.tell(raw.last_position(), now=True)
    return Outcome.FINISHED, "; ".join(drive.ledger.remarks)


class _Told:
    """Reads one run from the raw log until it has ended, and reports the progress."""

    def __init__(self, job: Job, raw: LogReader, progress: Progress, report: Report) -> None:
        self.drive: Drive | None = None  # the driver that takes the documents
        self._job = job
        self._raw = raw
        self._progress = progress
        self._report = report
        self._found = progress.events
        self._reported = 0.0

    def documents(self) -> Iterator[tuple[str, dict[str, Any]] | None]:
        """The documents of the run; None when there is nothing new at the moment."""
        position, stopped = 0, False
        while True:
            head = self._raw.last_position()
            records = self._raw.read(position, run=self._job.raw_uid, limit=_READ_AT_ONCE)
            for record in records:
                yield record.name, record.doc
                position = record.position
                stopped |= record.name == "stop"
            drained = len(records) < _READ_AT_ONCE
            self.tell(head if drained else position)
            if stopped and not records:
                return
            if not records:
                time.sleep(_POLL_S)
            yield None

    def tell(self, position: int, *, now: bool = False) -> None:
        """Report the progress from time to time."""
        if now or time.monotonic() - self._reported >= REPORT_EVERY_S:
            self._reported = time.monotonic()
            estimates, used = self._progress.events, self.drive.standing.used if self.drive is not None else 0
            doubts = self.drive.ledger.doubts if self.drive is not None else []
            self._report(
                {
                    "position": position,
                    "made": estimates - self._found,
                    "used": used,
                    "estimates": estimates,
                    "doubts": doubts,
                }
            )


@contextmanager
def _alone(job: Job) -> Iterator[None]:
    """Hold the lock on a derived run: a job of a worker that was just killed may live for a few more milliseconds.

    One file serves all, with one byte for each derived run.
    """
    path = Path(job.state_dir) / "services" / "jobs.lock"
    private_folder(path.parent)
    byte = uuid.UUID(job.uid).int % 2**31
    with open(path, "ab") as file:
        deadline = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"another process has been writing derived run {job.uid} for {_LOCK_WAIT_S:.0f} s"
                    ) from error
                time.sleep(0.01)
        yield
