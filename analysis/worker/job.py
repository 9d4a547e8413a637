"""One reconstruction of one run by one recipe, while the run goes on or afterwards.

A job may be killed at any moment. Started again it continues the same derived run: no estimate is repeated, and the final one has
the same bits as if nothing had happened, because it depends on data, options and seed alone.
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
from analysis.documents.ledger import Ledger
from analysis.documents.log import LogReader, LogWriter, log_paths
from analysis.documents.mask_store import MaskSet, MaskSetDiffers, MaskSetMissing, MaskStore
from analysis.documents.private import private_folder
from analysis.documents.realizations import Realizations
from analysis.documents.recipe import Recipe, derived_uid
from analysis.documents.run_spec import RunRefused, RunSpec
from analysis.ghost import METHODS
from analysis.worker.reconstruction import Reconstruction

LIVE = "live"  # the purpose of derived runs that a worker makes, and that the next one continues
FIRST_UPDATE = 64  # realizations of the first estimate
MIN_INTERVAL_S = 0.3  # between the beginnings of two estimates
MAX_SHARE = 0.6  # of the time spent on estimates rather than waiting for data
MAX_SHARE_SLOW = 0.95  # the same of slow methods, which have a core of their own and yield it to everything else
NEW_FRACTION = 0.01  # of all realizations that must be new: a scan of n of them stores some 100 ln(n) estimates at most
_POLL_S = 0.02
_READ_AT_ONCE = 500
REPORT_EVERY_S = 0.2
_LOCK_WAIT_S = 30.0

Report = Callable[[dict[str, Any]], None]


class Outcome(StrEnum):
    """How a job ended."""

    FINISHED = "finished"
    FAILED = "failed"  # for good; the derived run says why
    NO_MASKS = "no masks"  # to be tried again when the mask set is there


@dataclass(frozen=True)
class Job:
    """What a job is to do.

    Parameters
    ----------
    state_dir : Path
        State directory with the document log and the mask sets.
    raw_uid : str
        The run to reconstruct.
    recipe : Recipe
        How.
    recipes : tuple of Recipe
        All recipes of this run, written into each derived run so that a worker started with others keeps to them.
    attempt : int
        How many derived runs of this recipe were refused before, for want of the mask set.
    threads : int
        Threads that the numerical libraries were started with.
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


class UpdatePolicy:
    """When the next live estimate is due: as often as its cost allows, and only for new data.

    It looks at the clock, so two runs of the same data take their estimates at different points; the points are stored.

    Parameters
    ----------
    expected : int or None
        Realizations that the run should have.
    max_share : float
        Of the time that may be spent on estimates.
    """

    def __init__(self, expected: int | None, max_share: float = MAX_SHARE) -> None:
        self._first = min(FIRST_UPDATE, expected or FIRST_UPDATE)
        self._max_share = max_share
        self._last_count = 0
        self._not_before = 0.0

    def due(self, count: int, now: float) -> bool:
        """Whether to make an estimate of `count` realizations at the monotonic time `now` (s)."""
        if self._last_count == 0:
            return count >= self._first
        return count - self._last_count >= max(1, NEW_FRACTION * count) and now >= self._not_before

    def outdated(self, count: int) -> bool:
        """Whether there is an estimate that doesn't know all of `count` realizations."""
        return 0 < self._last_count < count

    def made(self, count: int, began: float, elapsed_s: float) -> None:
        """An estimate of `count` realizations was begun at `began` and took `elapsed_s`."""
        self._last_count = count
        self._not_before = began + max(MIN_INTERVAL_S, elapsed_s / self._max_share)


def run_job(job: Job, report: Report = lambda message: None) -> tuple[Outcome, str]:
    """Reconstruct, following the log until the run has ended; returns how it went, and why it failed or what is to be said of it.

    Parameters
    ----------
    job : Job
        What to do.
    report : callable
        Gets a dict now and then: "position" in the raw log up to which everything was taken in, "realizations" used, "estimates"
        in the derived run, and "made", those of them that this job made.

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
    """End a job's derived run as failed, whatever state it is in.

    Raises
    ------
    LogError
        If the log cannot be read or written.
    """
    with _resumed(job) as (progress, writer):
        if writer is None:
            return
        with closing(LogReader(log_paths(job.state_dir).raw)) as raw:
            start = job.start_doc(_raw_start(job, raw))
        DerivedRun(writer, start, (0, 0), progress=progress).close(failure=reason)


@contextmanager
def _resumed(job: Job) -> Iterator[tuple[Progress, LogWriter | None]]:
    """Keep others from the job; yields how far its derived run has come, and a writer to go on with it unless it has ended."""
    processed = log_paths(job.state_dir).processed
    with _alone(job):
        progress = Progress.of((record.name, record.doc) for record in LogReader(processed).documents(job.uid))
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
    try:
        spec = RunSpec.of(raw_start)
        masks = MaskStore(job.state_dir).load(spec.mask_set)
        reconstruction = Reconstruction(masks, spec, job.recipe)
    except (MaskSetMissing, MaskSetDiffers) as error:
        # After one refusal further ones would only repeat it.
        if job.attempt == 0:
            DerivedRun(writer, job.start_doc(raw_start, refused="mask_set"), (0, 0), progress=progress).close(failure=str(error))
        return Outcome.NO_MASKS, str(error)
    except RunRefused as error:
        DerivedRun(writer, job.start_doc(raw_start), (0, 0), progress=progress).close(failure=str(error))
        return Outcome.FAILED, str(error)

    start = job.start_doc(raw_start, options=reconstruction.options)
    derived = DerivedRun(writer, start, spec.shape, expected=spec.expected, progress=progress)
    live = _Follower(job, raw, masks=masks, reconstruction=reconstruction, derived=derived, report=report)
    try:
        ledger = live.follow(raw_start)
    except RunRefused as error:
        derived.close(failure=str(error))
        return Outcome.FAILED, str(error)
    if not ledger.used:
        reason = nothing_usable(ledger)
        derived.close(ledger, failure=reason)
        return Outcome.FAILED, reason
    timed = live.reconstruction.finish()
    derived.estimate(timed.estimate, timed.standing, final=True, elapsed_s=timed.elapsed_s)
    derived.close(ledger, options=live.reconstruction.options_used)
    live.tell(raw.last_position(), now=True)
    return Outcome.FINISHED, "; ".join(ledger.remarks)


def nothing_usable(ledger: Ledger) -> str:
    """Why a run gives no image at all."""
    reasons = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in ledger.rejected.most_common())
    return f"no usable realization: {ledger.received} received{f' ({reasons})' if reasons else ''}, {ledger.missing} missing"


class _Follower:
    """Follows one run in the raw log and makes live estimates."""

    def __init__(
        self, job: Job, raw: LogReader, *, masks: MaskSet, reconstruction: Reconstruction, derived: DerivedRun, report: Report
    ) -> None:
        self.reconstruction = reconstruction
        self._job = job
        self._raw = raw
        self._masks = masks
        self._derived = derived
        self._report = report
        self._found = derived.progress.events
        self._reported = 0.0
        self._position = 0

    def follow(self, raw_start: dict[str, Any]) -> Ledger:
        """Take in everything until the run has ended, with estimates on the way."""
        realizations = self._realizations(raw_start)
        fast = METHODS[self._job.recipe.method].fast
        policy = UpdatePolicy(realizations.spec.expected, MAX_SHARE if fast else MAX_SHARE_SLOW)
        while True:
            head = self._raw.last_position()
            records = self._raw.read(self._position, run=self._job.raw_uid, limit=_READ_AT_ONCE)
            self._take(realizations, records)
            drained = len(records) < _READ_AT_ONCE
            self.tell(head if drained else self._position)
            if drained and realizations.stopped and not records:
                break
            now = time.monotonic()
            wanted = not (realizations.stopped or self._derived.progress.finished)
            if wanted and policy.due(self.reconstruction.standing.realizations, now):
                policy.made(self.reconstruction.standing.realizations, now, self._estimate())
            elif not records:
                time.sleep(_POLL_S)
        realizations.end()
        self._take(realizations, [])
        if realizations.revised:
            return self._from_documents_alone(raw_start)
        # A slow method takes a while over the final estimate. Until then whoever watches has a live one of everything.
        if not fast and not self._derived.progress.finished and policy.outdated(self.reconstruction.standing.realizations):
            self._estimate()
        return realizations.ledger()

    def _estimate(self) -> float:
        """Make a live estimate of what was taken in, and return what it took (s)."""
        timed = self.reconstruction.result()
        self._derived.estimate(timed.estimate, timed.standing, final=False, elapsed_s=timed.elapsed_s)
        self.tell(self._position)
        return timed.elapsed_s

    def _from_documents_alone(self, raw_start: dict[str, Any]) -> Ledger:
        """A document came too late for the live estimates: the final one is made from all of them anew."""
        self.reconstruction = Reconstruction(self._masks, RunSpec.of(raw_start), self._job.recipe)
        realizations = self._realizations(raw_start, wait_for_end=True)
        for record in self._raw.documents(self._job.raw_uid):
            realizations(record.name, record.doc)
        realizations.end()
        self._take(realizations, [])
        ledger = realizations.ledger()
        ledger.revised = True
        return ledger

    def _realizations(self, raw_start: dict[str, Any], *, wait_for_end: bool = False) -> Realizations:
        signed = bool(self._masks.patterns.min() < 0)
        return Realizations(raw_start, len(self._masks.patterns), signed=signed, wait_for_end=wait_for_end)

    def _take(self, realizations: Realizations, records: list[Any]) -> None:
        for record in records:
            realizations(record.name, record.doc)
            self._position = record.position
        batch = realizations.take()
        if batch is not None:
            self.reconstruction.feed(batch)

    def tell(self, position: int, *, now: bool = False) -> None:
        """Report how far it is, every now and then."""
        if now or time.monotonic() - self._reported >= REPORT_EVERY_S:
            self._reported = time.monotonic()
            estimates = self._derived.progress.events
            figures = {"realizations": self.reconstruction.standing.realizations, "estimates": estimates}
            self._report({"position": position, "made": estimates - self._found, **figures})


@contextmanager
def _alone(job: Job) -> Iterator[None]:
    """Hold the lock on a derived run: a job of a worker that was just killed may live for some milliseconds more.

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
