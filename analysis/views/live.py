"""What reconstructions are doing now, for people in a session: reads the document log only, neither torch nor Tiled."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.log import LogReader, log_paths

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
    history : list of (int, float)
        Realizations and held-out loss of every estimate.
    time : float
        When the newest document was logged (s since the epoch).
    """

    start: dict[str, Any]
    estimate: dict[str, Any] = field(default_factory=dict)
    stop: dict[str, Any] | None = None
    history: list[tuple[int, float]] = field(default_factory=list)
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
    def image(self) -> np.ndarray | None:
        """The newest image, float32 (H, W); None before the first."""
        return self.estimate.get("image")

    @property
    def spread(self) -> np.ndarray | None:
        """Standard error of the newest image, float32 (H, W); None before the first."""
        return self.estimate.get("spread")

    @property
    def realizations(self) -> int:
        """Realizations that the newest estimate is made of."""
        return int(self.estimate.get("realizations", 0))

    @property
    def expected(self) -> int | None:
        """Realizations that the run should have."""
        expected = int(self.estimate.get("expected", -1))
        return expected if expected > 0 else None

    @property
    def remarks(self) -> list[str]:
        """What people should know of it, in sentences; complete when it has ended."""
        return list(((self.stop or {}).get("ledger") or {}).get("remarks", ()))

    def __repr__(self) -> str:
        return "\n".join(_table([self]))

    def _take(self, reader: LogReader) -> None:
        for record in reader.documents(self.uid, after=self.position):
            self.position, self.time = record.position, record.logged_at
            if record.name == "event":
                self.estimate = record.doc["data"]
                self.history.append((self.realizations, float(self.estimate["heldout_loss"])))
            elif record.name == "stop":
                self.stop = record.doc


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
        """The newest image, float32 (H, W); None before the first."""
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

    def __repr__(self) -> str:
        runs = self.runs()
        return "\n".join(_table(runs)) if runs else "no reconstruction yet"

    def plot(self, key: int | str | None = None) -> Any:
        """Draw the newest estimate of every method of a run and return the figure.

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
            raise LookupError("no estimate yet: the first one comes with the 64th realization")
        figure = plt.figure("ghostbeam live", clear=True)
        for axes, run in zip(figure.subplots(1, len(runs), squeeze=False)[0], runs, strict=True):
            drawn = axes.imshow(run.image, cmap="gray")
            figure.colorbar(drawn, ax=axes, shrink=0.7)
            axes.set_title(f"{run.method}, {_count(run)}", fontsize="medium")
            axes.set_axis_off()
        figure.suptitle(f"{runs[0].start.get('sample') or 'run'} ({runs[0].raw_uid[:8]})")
        return figure


def _table(runs: list[LiveRun]) -> list[str]:
    rows = [("run", "scan", "sample", "method", "state", "realizations", "held-out loss", "FRC (px)", "age")]
    rows += [
        (
            run.raw_uid[:8],
            str(run.start.get("scan_id", "")),
            str(run.start.get("sample") or "")[:16],
            run.method + (" (replay)" if run.start.get("purpose") == "replay" else ""),
            run.state,
            _count(run),
            _figure(run.estimate.get("heldout_loss")),
            _figure(run.estimate.get("frc_resolution_px")),
            _age(time.time() - run.time),
        )
        for run in runs
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [
        f"{run.method} of {run.raw_uid[:8]} failed: {run.stop['reason']}" for run in runs if run.stop and run.stop["reason"]
    ]
    remarks = {(run.raw_uid[:8], remark): None for run in runs for remark in run.remarks}
    return lines + [f"{uid}: {remark}" for uid, remark in remarks]


def _count(run: LiveRun) -> str:
    return f"{run.realizations}/{run.expected}" if run.expected else str(run.realizations)


def _figure(value: Any) -> str:
    return "" if value is None or np.isnan(value) else f"{value:.3g}"


def _age(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
