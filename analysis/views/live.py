"""What reconstructions are doing now, for people in a session: reads the document log only, neither torch nor Tiled."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.derived import array_keys, quality_figures
from analysis.documents.log import LogReader, log_paths
from analysis.views.scale import show_image
from analysis.views.table import table
from analysis.worker.pace import FIRST_UPDATE

SHOWN = 6
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
    """

    start: dict[str, Any]
    estimate: dict[str, Any] = field(default_factory=dict)
    stop: dict[str, Any] | None = None
    data_keys: dict[str, Any] = field(default_factory=dict)
    history: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    time: float = 0.0
    position: int = 0

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
    def remarks(self) -> list[str]:
        """What people should know of it, in sentences."""
        ledger = (self.stop or {}).get("ledger") or {}
        return [*self.start.get("remarks", ()), *ledger.get("remarks", ())]

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


class Live:
    """Running and last reconstructions.

    Its repr is a table. `live.latest` is the one with the newest document, `live.image` its image; `live["tv"]` is the latest by
    a method, `live["3f2a"]` that of a run whose uid begins so, `live[-2]` the last but one; `live.plot()` draws the newest
    estimates.

    Parameters
    ----------
    state_dir : Path
        State directory with the document log.
    """

    def __init__(self, state_dir: Path | str) -> None:
        self._reader = LogReader(log_paths(state_dir).processed)
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

    def plot(self, key: int | str | None = None) -> Any:
        """Draw the newest estimate of every method of a run and return the figure. Of one method alone all arrays are drawn.

        Parameters
        ----------
        key : int or str, optional
            As in `live[key]`; by default the latest run. A method's name draws that method alone.
        """
        import matplotlib.pyplot as plt

        chosen = self.latest if key is None else self[key]
        runs = [chosen] if chosen.method == key else [run for run in self.runs() if run.raw_uid == chosen.raw_uid]
        runs = [run for run in runs if run.image is not None]
        if not runs:
            raise LookupError(f"no estimate yet: the first one comes with number {FIRST_UPDATE} of the {chosen.rows}")
        panels = [(run, name) for run in runs for name in (list(run.arrays) if len(runs) == 1 else list(run.arrays)[:1])]
        figure = plt.figure("ghostbeam live", figsize=(4.5 * len(panels), 4.5), clear=True, layout="constrained")
        for axes, (run, name) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            drawn = show_image(axes, run.arrays[name], run.start["image"].get("pixel_size_um"))
            figure.colorbar(drawn, ax=axes, shrink=0.7)
            meaning = f"\n{run.data_keys[name].get('meaning', name)}" if len(runs) == 1 else ""
            axes.set_title(f"{run.method}, {_count(run)}{meaning}", fontsize="medium")
        figure.suptitle(f"{runs[0].start.get('sample') or 'run'} ({runs[0].raw_uid[:8]})")
        return figure


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
            run.state,
            _count(run),
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


def _count(run: LiveRun) -> str:
    return f"{run.used}/{run.expected}" if run.expected else str(run.used)


def _age(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
