"""Which reconstructions have to be done, and the processes that do them.

Each reconstruction has a process of its own, forked from a server that has imported the required modules, so that it starts
within tens of milliseconds. The log shows what has been done: nothing else has to survive a restart.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from analysis.documents.log import LogError, LogReader, RunInfo, RunState, log_paths
from analysis.documents.recipe import Recipe, derived_uid
from analysis.documents.references import ReferenceName, ReferenceStore
from analysis.documents.refusal import RunRefused
from analysis.techniques import TECHNIQUES, recipes_for, technique_of
from analysis.worker.job import LIVE, REPORT_EVERY_S, Job, Outcome, give_up
from analysis.worker.job_process import exit_in_words, run_in_process, start_fork_server

logger = logging.getLogger("ghostbeam.worker")

LONGEST_S = 6 * 3600.0
CRASHES = 3  # number of crashes after which a reconstruction is given up
FAST_AT_ONCE = 16  # for runs that are still being measured
CATCHING_UP_AT_ONCE = 2  # for runs that had already ended
_REFERENCES_EVERY_S = 1.0
IDLE_S = 30.0  # without anything new for this long, a scan counts as paused
_TROUBLE_WAIT_S = 2.0
_NICE_FAST, _NICE_SLOW = 5, 10  # a scan has priority


class _Ended(Enum):
    """Reason why the scheduler ended an unfinished process."""

    SET_ASIDE = "its scan is paused, and others wait"
    TOO_LONG = "it took too long"


Stamps = tuple[tuple[float, int] | None, ...]


@dataclass
class _Task:
    """A reconstruction that is not finished."""

    job: Job
    references: tuple[ReferenceName, ...]
    slow: bool
    live: bool  # whether the run had not ended when it was found
    crashes: int = 0
    not_before: float = 0.0
    waits: bool = False  # for a reference that is missing or differs
    stamps: Stamps = ()  # the state of the references' files when they were not usable
    process: Any = None
    connection: Connection | None = None
    ending: dict[str, Any] = field(default_factory=dict)
    position: int = 0
    used: int = 0
    estimates: int = 0
    doubts: list[str] = field(default_factory=list)  # what seems wrong with the data so far
    made: int = 0  # estimates by the present process
    heard: float = 0.0  # time of the last message of the present process (monotonic, s)
    progressed: float = 0.0  # time of its last progress
    killed: _Ended | None = None
    set_aside: bool = False  # until its run has something new

    @property
    def running(self) -> bool:
        return self.process is not None

    def idle(self, now: float) -> bool:
        """Whether the process has been waiting for its scan for some time. A process that computes sends nothing meanwhile."""
        return self.heard - self.progressed > IDLE_S and now - self.heard < 5 * REPORT_EVERY_S


class Scheduler:
    """Finds the reconstructions to do and runs each in a process.

    Parameters
    ----------
    state_dir : Path
        State directory with the document log and the references.
    recipes : sequence of Recipe
        Recipes for runs that list none in their start document.
    slow_at_once : int
        Number of reconstructions by slow methods that may run at a time.
    threads : int
        Threads of the numerical libraries in each process.
    longest_s : float
        Maximum time for one estimate (s); a reconstruction that takes longer is ended as failed.
    """

    def __init__(
        self,
        state_dir: Path,
        recipes: Sequence[Recipe],
        *,
        slow_at_once: int = 1,
        threads: int = 1,
        longest_s: float = LONGEST_S,
    ) -> None:
        self._state_dir = Path(state_dir)
        self._recipes = list(recipes)
        self._slow_at_once = slow_at_once
        self._threads = threads
        self._longest_s = longest_s
        self._raw = LogReader(log_paths(state_dir).raw)
        self._processed = LogReader(log_paths(state_dir).processed)
        self._store = ReferenceStore(state_dir)
        self._head = -1
        self._last_run = 0
        self._tasks: list[_Task] = []
        self._references_checked = 0.0
        self._counters = dict.fromkeys(("runs", "finished", "failed", "refused", "crashes", "estimates"), 0)
        self._last_error: str | None = None
        self._problem: str | None = None
        self._context = start_fork_server(threads)
        # Its other end stays open as long as this process lives, however it ends.
        self._lifeline_read, self._lifeline_write = self._context.Pipe(duplex=False)
        self._known = {info.uid: info for info in self._processed.runs() if info.start.get("purpose") == LIVE}
        self._begun = {
            info.start["derived_from"]: info.start["recipes"] for info in self._known.values() if info.start["recipes"]
        }

    def step(self, timeout_s: float) -> None:
        """Look for runs, start and collect processes; wait up to `timeout_s` for a message from a process."""
        try:
            self._discover()
            self._check_references()
            self._launch()
            self._problem = None
        except LogError as error:
            self._problem = str(error)
            self._trouble(self._problem)
        self._listen(timeout_s)
        self._end_the_endless()

    def status(self) -> dict[str, Any]:
        """Figures for users and for `status`."""
        running = [task for task in self._tasks if task.running]
        fast = [self._head - task.position for task in running if not task.slow]
        return {
            "healthy": self._problem is None,
            "problem": self._problem,
            "lag_documents": max([0, *fast]),
            "counters": dict(self._counters),
            "jobs": [
                {
                    "run": task.job.raw_uid,
                    "derived": task.job.uid,
                    "method": task.job.recipe.method,
                    "pid": task.process.pid,
                    "used": task.used,
                    "estimates": task.estimates,
                    "doubts": task.doubts,
                }
                for task in running
            ],
            "queued": sum(not task.running and not task.waits for task in self._tasks),
            "waiting_for_references": sum(task.waits for task in self._tasks),
            "last_error": self._last_error,
        }

    def close(self) -> None:
        """End all processes; their work continues when a worker is started again."""
        processes = [task.process for task in self._tasks if task.running]
        for process in processes:
            process.kill()  # a job may be killed at any moment
        for process in processes:
            process.join(1.0)
        self._lifeline_write.close()

    def _discover(self) -> None:
        head = self._raw.last_position()
        if head == self._head:
            return
        for run in self._raw.runs(after=self._last_run):
            self._last_run = run.first
            if any(run.start.get(entry) is not None for entry in TECHNIQUES):
                self._counters["runs"] += 1
                try:
                    self._tasks += self._tasks_of(run)
                except RunRefused as error:
                    self._counters["failed"] += 1
                    self._trouble(f"run {run.uid} is not reconstructed: {error}")
                except Exception as error:  # whatever is wrong with one run, the others are reconstructed
                    self._counters["failed"] += 1
                    self._trouble(f"run {run.uid} is not reconstructed: {type(error).__name__}: {error}")
        self._head = head

    def _tasks_of(self, run: RunInfo) -> list[_Task]:
        """The unfinished tasks of a run, by the recipes with which it was begun."""
        technique = technique_of(run.start)
        begun = {"recipes": self._begun[run.uid]} if run.uid in self._begun else {}
        recipes = recipes_for({**run.start, **begun}, self._recipes)
        references = _references(run.start)
        tasks = []
        for recipe in recipes:
            attempt = 0
            while (known := self._known.get(derived_uid(run.uid, recipe, attempt))) and known.stop and known.start.get("refused"):
                attempt += 1
            if known and known.stop:
                continue
            job = Job(self._state_dir, run.uid, recipe, tuple(recipes), attempt, self._threads)
            method = technique.methods.get(recipe.method)
            slow = method is not None and not method.fast
            task = _Task(job, references, slow=slow, live=run.stop is None)
            task.waits = attempt > 0 and None in self._stamps(task)
            tasks.append(task)
        return tasks

    def _stamps(self, task: _Task) -> Stamps:
        """Identification of the present state of a task's references; None for a reference without a file."""
        return tuple(self._store.stamp(name) for name in task.references)

    def _check_references(self) -> None:
        now = time.monotonic()
        if now - self._references_checked < _REFERENCES_EVERY_S:
            return
        self._references_checked = now
        for task in self._tasks:
            if task.waits and self._stamps(task) != task.stamps:
                task.waits = False

    def _launch(self) -> None:
        now = time.monotonic()
        running = [task for task in self._tasks if task.running]
        ready = [task for task in self._tasks if not (task.running or task.waits or now < task.not_before)]
        live = sum(task.live and not task.slow for task in running)
        catching_up = sum(not task.live and not task.slow for task in running)
        for task in ready:
            if task.slow:
                continue
            if task.live and live < FAST_AT_ONCE:
                live += 1
                self._start(task)
            elif not task.live and catching_up < CATCHING_UP_AT_ONCE:
                catching_up += 1
                self._start(task)
        self._launch_slow([task for task in running if task.slow], [task for task in ready if task.slow], now)

    def _launch_slow(self, running: list[_Task], ready: list[_Task], now: float) -> None:
        """Limit the number of slow reconstructions, whatever the state of their runs: each takes a core and a lot of memory.

        Reconstructions of running scans come first. However, a scan may be paused for hours: its process then makes room for
        another one, and is started again when the scan continues.
        """
        if not ready:
            return
        free = self._slow_at_once - len(running)
        idle = [task for task in running if task.killed is None and task.idle(now)]
        if free <= 0 and not idle:
            return
        ready = [task for task in ready if not task.set_aside or self._brought_something(task)]
        ready.sort(key=self._is_open, reverse=True)
        for task in ready[: max(0, free)]:
            self._start(task)
        for _, task in zip(ready[max(0, free) :], idle, strict=False):
            self._kill(task, _Ended.SET_ASIDE)

    def _brought_something(self, task: _Task) -> bool:
        """Whether there is news of a run: documents that its process has not taken, or its end."""
        return bool(self._raw.read(task.position, run=task.job.raw_uid, limit=1))

    def _is_open(self, task: _Task) -> bool:
        return self._raw.state(task.job.raw_uid) is RunState.OPEN

    def _start(self, task: _Task) -> None:
        try:
            receiving, sending = self._context.Pipe(duplex=False)
        except OSError as error:
            self._cannot_start(task, error)
            return
        nice = _NICE_SLOW if task.slow else _NICE_FAST
        process = self._context.Process(
            target=run_in_process, args=(task.job, sending, self._lifeline_read, nice), name=task.job.recipe.method
        )
        try:
            process.start()
        except (OSError, EOFError) as error:
            receiving.close()
            self._cannot_start(task, error)
            return
        finally:
            sending.close()
        task.process, task.connection, task.ending, task.made = process, receiving, {}, 0
        task.killed, task.set_aside = None, False
        task.heard = task.progressed = time.monotonic()

    def _cannot_start(self, task: _Task, error: Exception) -> None:
        """The system is short of processes, files or memory, which may be temporary."""
        self._trouble(f"no process could be started for {task.job.recipe.method} of run {task.job.raw_uid}: {error}")
        task.not_before = time.monotonic() + _TROUBLE_WAIT_S

    def _kill(self, task: _Task, why: _Ended) -> None:
        task.killed = why
        task.process.kill()  # a job may be killed at any moment

    def _end_the_endless(self) -> None:
        """End the processes that have spent too long on one estimate."""
        now = time.monotonic()
        for task in self._tasks:
            if task.running and task.killed is None and now - task.heard > self._longest_s:
                self._kill(task, _Ended.TOO_LONG)

    def _listen(self, timeout_s: float) -> None:
        running = {task.connection: task for task in self._tasks if task.connection is not None}
        if not running:
            time.sleep(timeout_s)
            return
        for connection in wait(list(running), timeout_s):
            task = running[connection]  # type: ignore[index]
            try:
                message = task.connection.recv()  # type: ignore[union-attr]
            except (EOFError, OSError):
                self._ended(task)
                continue
            if "outcome" in message or "error" in message:
                task.ending = message
            else:
                task.heard = time.monotonic()
                if (message["used"], message["made"]) != (task.used, task.made):
                    task.progressed = task.heard
                self._counters["estimates"] += message["made"] - task.made
                task.made = message["made"]
                task.position = message["position"]
                task.used, task.estimates, task.doubts = message["used"], message["estimates"], message["doubts"]

    def _ended(self, task: _Task) -> None:
        assert task.connection is not None
        task.process.join(5.0)
        task.process.kill()  # it reported that it was done, and hangs
        task.process.join()
        code = task.process.exitcode
        task.process.close()
        task.connection.close()
        task.process = task.connection = None
        outcome, ending = task.ending.get("outcome"), task.ending
        if outcome == Outcome.NO_REFERENCE:
            self._counters["refused"] += task.job.attempt == 0
            self._last_error = ending["reason"]
            task.waits, task.stamps = True, self._stamps(task)
            task.job = replace(task.job, attempt=max(1, task.job.attempt))
        elif outcome is not None:
            self._counters["finished" if outcome == Outcome.FINISHED else "failed"] += 1
            if ending["reason"]:
                self._trouble(f"{task.job.recipe.method} of run {task.job.raw_uid}: {ending['reason']}")
            self._tasks.remove(task)
        elif ending.get("disk"):
            self._trouble(ending["error"])
            task.not_before = time.monotonic() + _TROUBLE_WAIT_S
        elif task.killed is _Ended.SET_ASIDE:
            task.set_aside = True
        elif task.killed is _Ended.TOO_LONG:
            self._give_up(
                task,
                f"one estimate took longer than {self._longest_s:g} s and the reconstruction was ended. Choose options that need "
                "less, or raise longest_s in [reconstruction] of beamline.toml",
            )
        else:
            self._crashed(task, ending.get("error") or f"its process ended with {exit_in_words(code)}")

    def _crashed(self, task: _Task, error: str) -> None:
        task.crashes += 1
        self._counters["crashes"] += 1
        self._trouble(f"{task.job.recipe.method} of run {task.job.raw_uid} crashed ({task.crashes} of {CRASHES}): {error}")
        if task.crashes < CRASHES:
            return
        self._give_up(task, f"the reconstruction crashed {task.crashes} times and was given up; the last time: {error}")

    def _give_up(self, task: _Task, reason: str) -> None:
        try:
            give_up(task.job, reason)
        except (LogError, OSError) as trouble:
            self._trouble(str(trouble))
            task.not_before = time.monotonic() + _TROUBLE_WAIT_S
            return
        self._trouble(f"{task.job.recipe.method} of run {task.job.raw_uid}: {reason}")
        self._counters["failed"] += 1
        self._tasks.remove(task)

    def _trouble(self, text: str) -> None:
        if text != self._last_error:
            logger.warning("%s", text)
        self._last_error = text


def _references(start: Mapping[str, Any]) -> tuple[ReferenceName, ...]:
    """The references of a run; if the start document does not name them, the job explains what is wrong with it."""
    try:
        return tuple(technique_of(start).references(start))
    except RunRefused:
        return ()
