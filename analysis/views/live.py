"""What reconstructions are doing now, for people in a session: reads the document log only, neither torch nor Tiled."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.derived import array_keys, quality_figures
from analysis.documents.log import LogReader, log_paths
from analysis.views.runs import exit_status
from analysis.views.table import table
from analysis.worker.pace import FIRST_UPDATE

SHOWN = 6
_FLAT_IN_A_ROW = 3
_DISPLAYS = ("WAYLAND_DISPLAY", "DISPLAY")
_INSTEAD = '`ghostbeam page` in a shell shows the scan in a browser, live.plot().savefig("live.png") makes a picture'
_FAILED, _DONE, _RUNNING = "failed", "done", "running"


@dataclass
class LiveRun:
    """One reconstruction: its start document, its newest estimate, and how it ended.

    Attributes
    ----------
    start : dict
        Start document of the derived run.
    estimate : dict
        Data of its newest event; empty before the first.
    stop : dict or None
        Stop document.
    data_keys : dict
        What the descriptor says of every array and figure; empty before the first estimate.
    history : list of (int, dict)
        Rows and figures of quality of every estimate.
    time : float
        When the newest document was logged (s since the epoch).
    scan_status : str
        How the run that is reconstructed ended ("success", "abort", "fail"), or "running".
    """

    start: dict[str, Any]
    estimate: dict[str, Any] = field(default_factory=dict)
    stop: dict[str, Any] | None = None
    data_keys: dict[str, Any] = field(default_factory=dict)
    history: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    time: float = 0.0
    position: int = 0
    scan_status: str = "running"

    @property
    def uid(self) -> str:
        """Uid of the derived run."""
        return str(self.start["uid"])

    @property
    def raw_uid(self) -> str:
        """Uid of the run that is reconstructed."""
        return str(self.start["derived_from"])

    @property
    def method(self) -> str:
        """Method of the reconstruction."""
        return str(self.start["method"])

    @property
    def state(self) -> str:
        """What it is doing: "running", "done" or "failed"."""
        if self.stop is None:
            return _RUNNING
        return _DONE if self.stop["exit_status"] == "success" else _FAILED

    @property
    def rows(self) -> str:
        """What its rows are called, such as realizations."""
        return str(self.start.get("rows", "realizations"))

    @property
    def image(self) -> np.ndarray | None:
        """The newest image, the first array of the estimate; None before the first."""
        arrays = array_keys(self.data_keys)
        return self.estimate.get(arrays[0]) if arrays else None

    @property
    def spread(self) -> np.ndarray | None:
        """Standard error of the newest image; None before the first, and where the technique has none."""
        return self.arrays.get("spread")

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The newest estimate's arrays by name."""
        return {key: self.estimate[key] for key in array_keys(self.data_keys) if key in self.estimate}

    @property
    def figures(self) -> dict[str, float]:
        """The newest figures of quality by name."""
        return {key: float(self.estimate[key]) for key in quality_figures(self.data_keys) if key in self.estimate}

    @property
    def used(self) -> int:
        """Rows that the newest estimate is made of."""
        return int(self.estimate.get("used", 0))

    @property
    def realizations(self) -> int:
        """The same, as ghost imaging calls them."""
        return self.used

    @property
    def expected(self) -> int | None:
        """Rows that the run should have."""
        expected = int(self.estimate.get("expected", -1))
        return expected if expected > 0 else None

    @property
    def count(self) -> str:
        """How many rows the newest estimate is made of, of how many."""
        return f"{self.used}/{self.expected}" if self.expected else str(self.used)

    @property
    def verdict(self) -> str:
        """What the newest estimate is: "live" or "final", and what keeps people from taking it for good."""
        words = {_RUNNING: "live", _DONE: "final", _FAILED: "failed"}[self.state]
        if self.scan_status in ("abort", "fail"):
            words += ", scan aborted" if self.scan_status == "abort" else ", scan failed"
        return words + (", no better than flat" if self.flat else "")

    @property
    def flat(self) -> str | None:
        """Why the newest estimate is no better than a flat image; None where it is better."""
        if self.image is not None and np.nanmin(self.image) == np.nanmax(self.image):
            return "it is the same everywhere"
        return self._flat_by(self.figures)

    @property
    def doubts(self) -> list[str]:
        """Why the newest estimate is not to be trusted, in sentences.

        The first estimates of a good scan may be no better than a flat image: while it runs, three in a row must be so.
        """
        before = [figures for _, figures in self.history[-_FLAT_IN_A_ROW:]]
        lasting = len(before) == _FLAT_IN_A_ROW and all(map(self._flat_by, before))
        if self.flat is None or (self.stop is None and not lasting and self._flat_by(self.figures)):
            return []
        return [
            f"{self.method} is no better than a flat image after {self.used} {self.rows} ({self.flat}). Is there light on the "
            "sample, is the sample in the beam, and is everything in place that the scan names?"
        ]

    def _flat_by(self, figures: dict[str, float]) -> str | None:
        for key, value in figures.items():
            limit = self.data_keys[key].get("useless_from")
            if limit is not None and value >= limit:
                return f"{self.data_keys[key].get('meaning', key)} {figure_text(value)}"
        return None

    @property
    def figures_told(self) -> list[str]:
        """The newest figures of quality in words."""
        known = {key: figure_text(value) for key, value in self.figures.items()}
        return [f"{_heading(key, self.data_keys[key])} {text}" for key, text in known.items() if text]

    @property
    def remarks(self) -> list[str]:
        """What people should know of it, in sentences."""
        ledger = (self.stop or {}).get("ledger") or {}
        return [*self.start.get("remarks", ()), *ledger.get("remarks", ()), *self.doubts]

    def __repr__(self) -> str:
        return "\n".join(_table([self]))

    def _take(self, reader: LogReader) -> None:
        newest = 0
        for record in reader.documents(self.uid, after=self.position, arrays=False):
            self.position, self.time = record.position, record.logged_at
            if record.damage is not None:
                continue
            if record.name == "descriptor":
                self.data_keys = record.doc["data_keys"]
            elif record.name == "event":
                self.estimate = record.doc["data"]
                self.history.append((self.used, self.figures))
                newest = record.position
            elif record.name == "stop":
                self.stop = record.doc
        if newest:  # of all others the figures are enough
            (record,) = reader.read(newest - 1, run=self.uid, limit=1)
            self.estimate = record.doc["data"]


class NoWindow(RuntimeError):
    """A window cannot be opened; the message says why, and what to do instead."""


class Live:
    """Running and last reconstructions.

    `live.watch()` opens a window that grows with the scan. Its repr is a table. `live.latest` is the one with the newest
    document, `live.image` its image; `live["tv"]` is the latest by a method, `live["3f2a"]` that of a run whose uid begins so,
    `live[-2]` the last but one; `live.plot()` draws the newest estimates once.

    Parameters
    ----------
    state_dir : Path
        State directory with the document log.
    """

    def __init__(self, state_dir: Path | str) -> None:
        self._state_dir = Path(state_dir)
        self._reader = LogReader(log_paths(state_dir).processed)
        self._raw = LogReader(log_paths(state_dir).raw)
        self._window: subprocess.Popen[str] | None = None
        self._runs: list[LiveRun] = []
        self._last = 0

    def runs(self) -> list[LiveRun]:
        """Reconstructions that run, and the last ones, oldest first."""
        new = self._reader.runs(after=self._last)
        for number, info in enumerate(new):
            self._last = info.first
            if "derived_from" in info.start and (info.stop is None or number >= len(new) - SHOWN):
                self._runs.append(LiveRun(info.start, position=info.first, time=info.start["time"]))
        for run in self._runs:
            if run.stop is None:
                run._take(self._reader)
            if run.scan_status == "running":
                run.scan_status = exit_status(self._raw, run.raw_uid)[0]
        # Older ones that have ended are let go: their images would fill the session's memory.
        self._runs = [run for run in self._runs[:-SHOWN] if run.stop is None] + self._runs[-SHOWN:]
        return list(self._runs)

    @property
    def latest(self) -> LiveRun:
        """The reconstruction with the newest document.

        Raises
        ------
        LookupError
            If there is none.
        """
        runs = self.runs()
        if not runs:
            raise LookupError("no reconstruction yet: scan, with the worker running (`ghostbeam status` shows it)")
        return max(runs, key=lambda run: run.time)

    @property
    def image(self) -> np.ndarray | None:
        """The newest image; None before the first."""
        return self.latest.image

    def __getitem__(self, key: int | str) -> LiveRun:
        runs = self.runs()
        if isinstance(key, int):
            return runs[key]
        for run in reversed(runs):
            if run.method == key or run.uid.startswith(key) or run.raw_uid.startswith(key):
                return run
        known = ", ".join(f"{run.method} of {run.raw_uid[:8]}" for run in runs) or "none"
        raise KeyError(f"no reconstruction by method, and of no run, {key!r}; there are: {known}")

    def __len__(self) -> int:
        return len(self.runs())

    def _ipython_key_completions_(self) -> list[str]:
        return list(dict.fromkeys(key for run in reversed(self.runs()) for key in (run.method, run.raw_uid[:8])))

    def __repr__(self) -> str:
        runs = self.runs()
        return "\n".join(_table(runs)) if runs else "no reconstruction yet"

    def beside(self, key: int | str | None = None) -> list[LiveRun]:
        """The reconstructions of one run, oldest first; with a method as the key that one alone.

        Raises
        ------
        LookupError
            If there is none.
        """
        chosen = self.latest if key is None else self[key]
        return [chosen] if chosen.method == key else [run for run in self.runs() if run.raw_uid == chosen.raw_uid]

    def doubts(self, raw_uid: str) -> list[str]:
        """Why the estimates of a run are not to be trusted, in sentences."""
        return [doubt for run in self.runs() if run.raw_uid == raw_uid for doubt in run.doubts]

    def plot(self, key: int | str | None = None) -> Any:
        """Draw the newest estimate of every method of a run and return the figure. Of one method alone all arrays are drawn.

        It is drawn once; `live.watch()` goes on drawing. Without a display: `live.plot().savefig("live.png")`.

        Parameters
        ----------
        key : int or str, optional
            As in `live[key]`; by default the latest run. A method's name draws that method alone.

        Raises
        ------
        LookupError
            If there is no estimate yet.
        """
        import matplotlib.pyplot as plt

        from analysis.views.picture import draw

        runs = self.beside(key)
        if not any(run.arrays for run in runs):
            raise LookupError(f"no estimate yet: the first one comes with number {FIRST_UPDATE} of the {runs[0].rows}")
        panels = len(runs) if len(runs) > 1 else len(runs[0].arrays)
        size = (4.5 * panels, 4.8 if len(runs) == 1 else 8.5)
        figure = plt.figure("ghostbeam live", figsize=size, clear=True, layout="constrained")
        draw(figure, runs)
        if plt.isinteractive():  # a window is there, and shows it
            figure.canvas.draw_idle()
        return figure

    def watch(self, key: str | None = None) -> None:
        """Open a window that grows with the scan: each method's newest image and spread, how far it is, and how far to trust it.

        It is a process of its own, and slows no scan.

        Parameters
        ----------
        key : str, optional
            A method, or the beginning of a uid: what to follow in place of the newest run.

        Raises
        ------
        NoWindow
            If there is no display, or it does not open.
        """
        if key is not None:
            self[key]  # raises for what there isn't
        if self._window is not None:
            self._window.kill()
        if not any(os.environ.get(name) for name in _DISPLAYS):
            raise NoWindow(f"there is no display here. {_INSTEAD}")
        command = [sys.executable, "-P", "-m", "analysis.views.window", "--state-dir", str(self._state_dir)]
        command += ["--key", key] if key is not None else []
        self._window = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | {"MPLBACKEND": ""}
        )
        atexit.register(self._window.kill)
        assert self._window.stdout is not None
        if not self._window.stdout.readline():
            display = next(filter(None, map(os.environ.get, _DISPLAYS)))
            raise NoWindow(f"the display {display} does not open. {_INSTEAD}")


def quality_headings(runs: list[LiveRun]) -> dict[str, str]:
    """Headings for the figures of quality that any of the runs has, by the figure's name."""
    # Older runs don't say which of their figures those are.
    return {key: _heading(key, run.data_keys[key]) for run in runs for key in run.figures}


def figure_text(value: float | None) -> str:
    """A figure as a table shows it; nothing where it is not known."""
    return "" if value is None or np.isnan(value) else f"{value:.3g}"


def _table(runs: list[LiveRun]) -> list[str]:
    headings = quality_headings(runs)
    words = {run.rows for run in runs}
    count = words.pop() if len(words) == 1 else "rows"
    rows = [("run", "scan", "sample", "method", "state", count, *headings.values(), "age")]
    rows += [
        (
            run.raw_uid[:8],
            str(run.start.get("scan_id", "")),
            str(run.start.get("sample") or "")[:16],
            run.method + (" (replay)" if run.start.get("purpose") == "replay" else ""),
            run.state + run.verdict.partition(",")[1] + run.verdict.partition(",")[2],
            run.count,
            *(figure_text(run.figures.get(key)) for key in headings),
            _age(time.time() - run.time),
        )
        for run in runs
    ]
    lines = table(rows)
    lines += [
        f"{run.method} of {run.raw_uid[:8]} failed: {run.stop['reason']}" for run in runs if run.stop and run.stop["reason"]
    ]
    remarks = {(run.raw_uid[:8], remark): None for run in runs for remark in run.remarks}
    return lines + [f"{uid}: {remark}" for uid, remark in remarks]


def _heading(key: str, data_key: dict[str, Any]) -> str:
    units = data_key.get("units")
    return (
        f"{data_key.get('meaning', key)} ({'px' if units == 'pixel' else units})" if units else str(data_key.get("meaning", key))
    )


def _age(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
