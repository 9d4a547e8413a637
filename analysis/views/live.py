"""The state of reconstructions, for users of a session: reads only the document log, and needs neither torch nor Tiled."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.log import LogReader, log_paths
from analysis.documents.status import doubts_so_far
from analysis.views.live_run import LiveRun, reconstructions_table
from analysis.views.runs import exit_status
from analysis.views.signal import FirstRows
from analysis.worker.pace import FIRST_UPDATE

SHOWN = 6
_INSTEAD = '`ghostbeam page` in a shell shows the scan in a browser, live.plot().savefig("live.png") makes a picture'


class NoWindow(RuntimeError):
    """A window cannot be opened; the message says why, and what to do instead."""


class Live:
    """Running reconstructions, and the last finished ones.

    `live.watch()` opens a window with the newest images. Its repr is a table. `live.latest` is the one with the newest
    document, `live.image` its image; `live["tv"]` is the latest by a method, `live["3f2a"]` that of a run whose uid begins
    with this text, `live[-2]` the last but one; `live.plot()` draws the newest estimates once.

    Parameters
    ----------
    state_dir : Path
        State directory with the document log.
    """

    def __init__(self, state_dir: Path | str) -> None:
        self._state_dir = Path(state_dir)
        self._reader = LogReader(log_paths(state_dir).processed)
        self._raw = LogReader(log_paths(state_dir).raw)
        self._first_rows = FirstRows(self._raw)
        self._window: subprocess.Popen[str] | None = None
        self._runs: list[LiveRun] = []
        self._last = 0

    def runs(self) -> list[LiveRun]:
        """Running reconstructions and the last finished ones, oldest first."""
        new = self._reader.runs(after=self._last)
        for number, info in enumerate(new):
            self._last = info.first
            if "derived_from" in info.start and (info.stop is None or number >= len(new) - SHOWN):
                self._runs.append(LiveRun(info.start, position=info.first, time=info.start["time"]))
        doubts = doubts_so_far(self._state_dir) if any(run.stop is None for run in self._runs) else {}
        for run in self._runs:
            if run.stop is None:
                run._take(self._reader)
                run.doubts_so_far = doubts.get(run.uid, [])
            if run.scan_status == "running":
                run.scan_status = exit_status(self._raw, run.raw_uid)[0]
        # Older finished ones are released: their images would fill the session's memory.
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
        raise KeyError(f"no reconstruction with the method or of the run {key!r}; there are: {known}")

    def __len__(self) -> int:
        return len(self.runs())

    def _ipython_key_completions_(self) -> list[str]:
        return list(dict.fromkeys(key for run in reversed(self.runs()) for key in (run.method, run.raw_uid[:8])))

    def __repr__(self) -> str:
        runs = self.runs()
        lines = reconstructions_table(runs) if runs else ["no reconstruction yet"]
        scans = self._raw.runs()[-1:]
        lines += [f"{scan.uid[:8]}: {doubt}" for scan in scans if (doubt := self._first_rows.doubt(scan.uid))]
        return "\n".join(lines)

    def beside(self, key: int | str | None = None) -> list[LiveRun]:
        """The reconstructions of one run, oldest first; if the key is a method, only that one.

        Raises
        ------
        LookupError
            If there is none.
        """
        chosen = self.latest if key is None else self[key]
        return [chosen] if chosen.method == key else [run for run in self.runs() if run.raw_uid == chosen.raw_uid]

    def doubts(self, raw_uid: str) -> list[str]:
        """Reasons not to trust a run, or its estimates, in sentences."""
        first = self._first_rows.doubt(raw_uid)
        later = [doubt for run in self.runs() if run.raw_uid == raw_uid for doubt in run.doubts]
        return list(dict.fromkeys(later if first is None else [first, *later]))

    def plot(self, key: int | str | None = None) -> Any:
        """Draw the newest estimate of every method of a run and return the figure. For a single method all arrays are drawn.

        It is drawn once; `live.watch()` keeps drawing. Without a display: `live.plot().savefig("live.png")`.

        Parameters
        ----------
        key : int or str, optional
            As in `live[key]`; by default the latest run. With a method's name, only that method is drawn.

        Raises
        ------
        LookupError
            If there is no estimate yet.
        """
        import matplotlib.pyplot as plt

        from analysis.views.picture import draw, size_of

        runs = self.beside(key)
        if not any(run.arrays for run in runs):
            raise LookupError(f"no estimate yet: the first one is made after an eighth of the {runs[0].rows}, or {FIRST_UPDATE}")
        figure = plt.figure("ghostbeam live", figsize=size_of(runs), clear=True, layout="constrained")
        draw(figure, runs)
        if plt.isinteractive():  # a window is open and shows it
            figure.canvas.draw_idle()
        return figure

    def watch(self, key: str | None = None) -> None:
        """Open a window with each method's newest image and spread, its progress, and figures of its reliability.

        It runs in a separate process and does not slow down scans.

        Parameters
        ----------
        key : str, optional
            A method, or the beginning of a uid, to follow instead of the newest run.

        Raises
        ------
        NoWindow
            If there is no display, or it does not open.
        """
        if key is not None:
            self[key]  # raises if there is none
        if self._window is not None:
            self._window.kill()
        if display() is None:
            raise NoWindow(f"there is no display here. {_INSTEAD}")
        command = [sys.executable, "-P", "-m", "analysis.views.window", "--state-dir", str(self._state_dir)]
        command += ["--key", key] if key is not None else []
        self._window = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | {"MPLBACKEND": ""}
        )
        atexit.register(self._window.kill)
        assert self._window.stdout is not None
        if not self._window.stdout.readline():
            raise NoWindow(f"the display {display()} does not open. {_INSTEAD}")


def display() -> str | None:
    """The display on which windows would open; None if there is none."""
    return next((value for name in ("WAYLAND_DISPLAY", "DISPLAY") if (value := os.environ.get(name))), None)
