"""The progress of a scan in the last line of the terminal, with the time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from bluesky.utils import ProgressBarManager
from tqdm import tqdm

_EVERY_S = 1.0
_AFTERWARDS_S = 60.0  # finished reconstructions are waited for
_LONG_S = 3.0  # what is waited for is named after so long
_LAYOUT = "{desc}: {n}/{total} |{bar}| {elapsed} so far, {remaining} left{postfix}"


class ScanProgress:
    """Counts the points of a run against the number that its start document promises.

    It is a callback of a RunEngine, and its waiting hook: within a run that it counts the line names what is waited for when that
    takes long; elsewhere each move has bluesky's own bar. The time that is left comes from the mean time of a point so far, moves
    between points included.

    Parameters
    ----------
    table : callable
        Another callback, which prints; its lines are printed above the bar.
    doubts : callable
        Gets the uid of the run that is measured, and says why its images are not to be trusted, in sentences that
        begin with the method, or of the data. Each is told once a run, above the bar: before hours of scanning, not after them.
    """

    def __init__(self, table: Callable[[str, dict[str, Any]], None], doubts: Callable[[str], list[str]]) -> None:
        self._table = table
        self._doubts = doubts
        self._told: set[str] = set()
        self._moves = ProgressBarManager()
        self._lock = threading.RLock()
        self._bar: tqdm[Any] | None = None
        self._run = ""
        self._stream = ""
        self._counted: set[str] = set()  # uids of the descriptors whose rows count
        self._waiting: tuple[str, float] | None = None
        self._moving = False

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document."""
        with self._lock:
            if self._bar is not None:
                self._bar.clear()
            self._table(name, doc)
            if name == "start" and self._bar is None:
                self._begin(doc)
            elif name == "stop" and doc["run_start"] == self._run:
                self._end()
            elif name == "descriptor" and doc["run_start"] == self._run and doc.get("name") == self._stream:
                self._counted.add(doc["uid"])
            elif name in ("event", "event_page") and doc["descriptor"] in self._counted:
                self._count(1 if name == "event" else len(doc["seq_num"]))
            if self._bar is not None:
                self._bar.refresh()

    def waiting(self, statuses: Any) -> None:
        """Show what the RunEngine waits for, or (None) that it continues."""
        with self._lock:
            if self._bar is None or self._moving:
                self._moving = statuses is not None
                self._moves(statuses)
            else:
                self._waiting = (_names(statuses), time.monotonic()) if statuses else None

    def _begin(self, start: Mapping[str, Any]) -> None:
        total = start.get("num_points")
        if not isinstance(total, int):
            return
        dimensions = (start.get("hints") or {}).get("dimensions") or [[["time"], "primary"]]
        self._run, self._stream, self._counted, self._waiting = start["uid"], dimensions[0][1], set(), None
        self._told = set()
        title = " ".join(str(part) for part in ("scan", start.get("scan_id", ""), start.get("sample") or "") if part != "")
        self._bar = tqdm(total=total, desc=title, bar_format=_LAYOUT, leave=False, smoothing=0, dynamic_ncols=True)
        threading.Thread(target=self._keep_fresh, args=(self._bar,), name="scan progress", daemon=True).start()

    def _count(self, rows: int) -> None:
        assert self._bar is not None
        if self._bar.n == 0:  # what came before, such as dark exposures, says nothing of the points
            self._bar.initial, self._bar.start_t = rows, time.time()
        self._bar.set_postfix_str("", refresh=False)
        self._bar.update(rows)

    def _end(self) -> None:
        assert self._bar is not None
        self._bar.close()
        self._bar = None

    def _keep_fresh(self, bar: Any) -> None:
        run = self._run
        while True:
            time.sleep(_EVERY_S)
            doubts = self._doubts(run)
            with self._lock:
                if self._run != run:  # another scan has begun
                    return
                self._tell(bar, doubts)
                if id(self._bar) != id(bar):
                    break
                waiting = self._waiting
                waited = 0.0 if waiting is None else time.monotonic() - waiting[1]
                if waiting is not None and waited > _LONG_S:  # never at the prompt, while a plan is paused
                    bar.set_postfix_str(f"waiting for {waiting[0]} ({waited:.0f} s)")
        ended = time.monotonic()
        while time.monotonic() - ended < _AFTERWARDS_S and self._run == run:  # what the finished reconstructions say of the data
            time.sleep(_EVERY_S)
            doubts = self._doubts(run)
            with self._lock:
                if self._run == run:
                    self._tell(bar, doubts)

    def _tell(self, bar: Any, doubts: list[str]) -> None:
        """Print one doubt of each method once a run, and each doubt of the data, which names what mends it."""
        for doubt in doubts:
            key = doubt if "--mend" in doubt else doubt.partition(" ")[0]
            if key not in self._told:
                self._told.add(key)
                bar.write(f"ATTENTION: {doubt}")


def _names(statuses: Any) -> str:
    """The devices behind some statuses."""
    found = []
    for status in statuses:
        device = next((one for name in ("pos", "device", "obj") if (one := getattr(status, name, None)) is not None), None)
        found.append(str(getattr(device, "name", "a device")))
    return ", ".join(dict.fromkeys(found))
