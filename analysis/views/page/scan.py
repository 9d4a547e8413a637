"""A scan as the page shows it: its progress, its rate, and the readings before it began."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from analysis.documents.log import LogReader, Record
from analysis.documents.log_reader import RunInfo
from analysis.documents.status import is_running

_WINDOW_S = 15.0  # interval over which the rate is computed
_FIRST = 50  # documents of an ended run in which its baseline is searched
_BASELINE = "baseline"
_STALE_S = 10.0  # a session that has not reported for this long is ignored


class Scan:
    """One run that was measured or ingested.

    Parameters
    ----------
    info : RunInfo
        Its entry in the log.

    Attributes
    ----------
    stop : dict or None
        Its stop document, once it has ended.
    """

    def __init__(self, info: RunInfo) -> None:
        self.uid, self.start = info.uid, info.start
        self.stop: dict[str, Any] | None = None
        self._ended_at = info.stop
        self._position = info.first
        self._names: dict[str, str] = {}  # uid of each descriptor -> its stream
        self._units: dict[str, str] = {}
        self._conditions: dict[str, Any] = {}
        self._counts: Counter[str] = Counter()
        self._course: deque[tuple[float, int]] = deque()  # times at which these numbers of rows had arrived
        self._last_row = 0.0

    def follow(self, reader: LogReader) -> None:
        """Read new documents."""
        if self.stop is not None:
            return
        if self._ended_at is not None:  # its stop document gives the number of its rows
            for record in reader.read(self._position - 1, run=self.uid, limit=_FIRST, arrays=False):
                self._take(record)
            for record in reader.read(self._ended_at - 1, run=self.uid, limit=1, arrays=False):
                self._take(record)
            if self.stop is None:
                self.stop = {"exit_status": "fail", "reason": "its stop document cannot be read"}
            self._counts = Counter(self.stop.get("num_events") or {})
            return
        for record in reader.documents(self.uid, after=self._position, arrays=False):
            self._position = record.position
            self._take(record)

    def summary(self) -> dict[str, Any]:
        """Its entry in a list of runs."""
        stop = self.stop or {}
        return {
            "uid": self.uid,
            "scan_id": self.start.get("scan_id"),
            "sample": self.start.get("sample"),
            "plan": self.start.get("plan_name"),
            "time": self.start.get("time"),
            "ended": stop.get("time"),
            "exit_status": stop.get("exit_status"),
            "reason": stop.get("reason") or "",
        }

    def told(self, now: float, session: Mapping[str, Any] | None = None, doubt: str | None = None) -> dict[str, Any]:
        """All that the page shows of it.

        Parameters
        ----------
        now : float
            The present time, s since 1970.
        session : mapping, optional
            The last report of the session that scans.
        doubt : str, optional
            A suspected problem, judged from the first rows.
        """
        rows, expected, rate = self._counts[self._stream], self._expected, self._rate(now)
        left = (expected - rows) / rate if expected and rate else None
        return {
            **self.summary(),
            "rows": rows,
            "expected": expected,
            "rate_hz": rate,
            "left_s": left if self.stop is None else None,
            "since_last_row_s": now - self._last_row if self.stop is None and self._last_row else None,
            "session": _session_state(session) if self.stop is None and session and session.get("run") == self.uid else None,
            "doubt": doubt,
            "conditions": [
                {"name": key, "value": value, "units": self._units.get(key)} for key, value in self._conditions.items()
            ],
        }

    @property
    def _expected(self) -> int | None:
        expected = self.start.get("num_points")
        return expected if isinstance(expected, int) and expected > 0 else None

    @property
    def _stream(self) -> str:
        """The stream whose rows are counted: the one that the plan names for plots."""
        try:
            return str(self.start["hints"]["dimensions"][0][1])
        except (KeyError, IndexError, TypeError):
            return "primary"

    def _rate(self, now: float) -> float | None:
        """Rows per second over the last seconds; None before there are two."""
        if self.stop is not None or len(self._course) < 2:
            return None
        (first, before), (_, rows) = self._course[0], self._course[-1]
        return (rows - before) / (now - first) if now > first else None

    def _take(self, record: Record) -> None:
        if record.damage is not None:
            return
        doc = record.doc
        if record.name == "descriptor":
            self._names[doc["uid"]] = doc["name"]
            if doc["name"] == _BASELINE:
                self._units |= {key: said.get("units") for key, said in doc["data_keys"].items() if said.get("units")}
        elif record.name == "event":
            stream = self._names.get(doc["descriptor"], "")
            self._count(stream, 1, record.logged_at)
            if stream == _BASELINE:
                self._conditions |= {key: value for key, value in doc["data"].items() if isinstance(value, float | int | str)}
        elif record.name == "event_page":
            self._count(self._names.get(doc["descriptor"], ""), len(doc["seq_num"]), record.logged_at)
        elif record.name == "stop":
            self.stop = doc

    def _count(self, stream: str, rows: int, at: float) -> None:
        self._counts[stream] += rows
        if stream == self._stream:
            self._last_row = at
            self._course.append((at, self._counts[stream]))
            while self._course[0][0] < at - _WINDOW_S:
                self._course.popleft()


def _session_state(session: Mapping[str, Any]) -> dict[str, Any] | None:
    """State ("running", "paused" or "gone", for example), what the plan waits for, and conditions; None without news."""
    if not is_running(session):
        return {"state": "gone", "waiting": [], "conditions": []}
    if time.time() - session["time"] > _STALE_S:
        return None
    return {key: session[key] for key in ("state", "waiting", "conditions")}
