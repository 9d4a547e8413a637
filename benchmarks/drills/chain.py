"""A running chain, and successive scans through it."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain as chained
from typing import Any

from analysis.documents.log import LogError, LogReader, LogWriter, RunState
from analysis.documents.recipe import Recipe, derived_uid
from analysis.techniques.ghost.mask_sets import MaskStore
from beamline.plates import make_plate
from benchmarks._documents import ghost_scan_documents, paced
from benchmarks._services import Services
from ghostbeam.reprocess import wait_until_archived

RECIPES = ["differential", "tv", {"method": "n2g", "options": {"steps": 40}}]
NUM = 200  # realizations per scan
RATE = 50.0  # events/s
SCAN_S = NUM / RATE
SERVICES = ("repeater", "simulation", "tiled", "archiver", "worker")
_SETTLED_S, _SETTLED_A_RUN_S = 150.0, 5.0
_POLL_S = 0.05

Documents = list[tuple[str, dict[str, Any]]]


class Chain:
    """Running services, and the runs scanned with them.

    Parameters
    ----------
    services : Services
        The services, all started.
    seed : int
        Seed of the data and of the moments of failure.
    quick : bool
        Whether outages are short.
    frames : str, optional
        Frames of the detector in fly scans; none for ghost scans.

    Attributes
    ----------
    runs : dict
        Uids of the scans whose documents and images are checked in the end, and the recipes that they request.
    others : list of str
        Uids of runs without reconstructions.
    accepted : dict
        By uid, the documents of scans of this process that the log accepted; each of them must be in it.
    found : Counter
        Errors found by the drills themselves, by the keys of the report.
    drills : int
        Number of drills.
    ended_by_itself : Counter
        How often each service ended without being asked to.
    """

    def __init__(self, services: Services, seed: int, *, quick: bool, frames: str | None = None) -> None:
        self.services = services
        self.quick = quick
        self.frames = frames
        self.random = random.Random(seed)
        self.runs: dict[str, list[Any]] = {}
        self.others: list[str] = []
        self.accepted: dict[str, Documents] = {}
        self.found: Counter[str] = Counter()
        self.drills = 0
        self.ended_by_itself: Counter[str] = Counter()
        self._seed = seed
        self._plate = make_plate(services.config)
        MaskStore(services.state_dir).save(self._plate)
        self.writer = LogWriter(services.logs.raw)
        self.raw = LogReader(services.logs.raw)
        self.processed = LogReader(services.logs.processed)

    def forget(self) -> None:
        """Start again: all scans so far have been checked."""
        self.runs.clear()
        self.others.clear()
        self.accepted.clear()
        self.found.clear()

    def close(self) -> None:
        """Close the log's files."""
        for file in (self.writer, self.raw, self.processed):
            file.close()

    def drill(self, one: Callable[[Chain], str]) -> None:
        """Do a drill and print what happened."""
        print(f"  {one(self)}", flush=True)
        self.drills += 1

    def new_uid(self) -> str:
        """A uid that follows from the seed."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def scan(self, *, num: int = NUM, rate: float = RATE, recipes: list[Any] = RECIPES) -> str:
        """Log a scan, by default one of 4 s that requests three reconstructions; return its uid."""
        uid = self.new_uid()
        documents = ghost_scan_documents(self._plate, num, uid=uid, seed=self._seed + len(self.runs), recipes=recipes)
        self.log(uid, paced(documents, rate), self.writer)
        self.runs[uid] = recipes
        return uid

    def log_other(self, documents: Iterator[tuple[str, dict[str, Any]]], writer: LogWriter) -> str:
        """Log a run without reconstructions; return its uid."""
        name, start = next(documents)
        self.log(start["uid"], chained([(name, start)], documents), writer)
        self.others.append(start["uid"])
        return str(start["uid"])

    def derived(self, *uids: str) -> list[str]:
        """Uids of the reconstructions of scans."""
        return [derived_uid(uid, Recipe.parse(recipe)) for uid in uids for recipe in self.runs.get(uid, [])]

    def log(self, uid: str, documents: Iterator[tuple[str, dict[str, Any]]], writer: LogWriter) -> None:
        """Log the documents of a run; as in a session, a document that the log refuses aborts it."""
        taken = self.accepted.setdefault(uid, [])
        for name, doc in documents:
            try:
                writer(name, doc)
            except LogError as error:
                stop = {"uid": str(uuid.uuid4()), "time": time.time(), "run_start": uid, "exit_status": "fail"}
                with suppress(LogError):  # it is stored when there is space again
                    writer("stop", {**stop, "reason": str(error)})
                return
            taken.append((name, doc))

    @contextmanager
    def meanwhile(self, moment: float, action: Callable[[], None]) -> Iterator[None]:
        """Call `action` this many seconds after the start of the block; the block ends when it is done."""
        began = time.monotonic()
        failed: list[BaseException] = []

        def act() -> None:
            time.sleep(max(0.0, began + moment - time.monotonic()))
            try:
                action()
            except BaseException as error:
                failed.append(error)

        actor = threading.Thread(target=act)
        actor.start()
        try:
            yield
        finally:
            actor.join()
        if failed:
            raise failed[0]

    def settle(self, *uids: str) -> str:
        """Wait until runs are reconstructed and verified; return the outcome in words."""
        began = time.monotonic()
        derived = self.derived(*uids)
        patience_s = _SETTLED_S + _SETTLED_A_RUN_S * len(uids)
        while any(self.processed.state(uid) is not RunState.ENDED for uid in derived):
            if time.monotonic() > began + patience_s:
                return f"reconstructions NOT ended after {patience_s:.0f} s"
            self.start_again()
            time.sleep(_POLL_S)
        waiting = [*uids, *derived]
        while waiting and time.monotonic() < began + patience_s:
            self.start_again()
            waiting = wait_until_archived(self.services.state_dir, waiting, seconds=2.0)
        settled = f"{len(waiting)} runs NOT verified" if waiting else "all verified"
        return f"{settled} after {time.monotonic() - began:.0f} s"

    def start_again(self) -> None:
        """Act as the supervisor: restart services that ended by themselves."""
        for name in self.services.ended():
            self.ended_by_itself[name] += 1
            print(f"  {name} ended by itself:\n{self.services.printed(name)[-2000:]}", flush=True)
            self.services.start(name)
