"""Whether a session draws plots while it scans: only where a window's event loop runs beside the scan."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from analysis.views.live import display

_QT = "PySide6"
_PROBE = f"from {_QT}.QtGui import QGuiApplication; QGuiApplication([])"


def choose_plots(shell: Any) -> str | None:
    """Let matplotlib draw with Qt where that works.

    bluesky draws from the RunEngine's thread. Qt hands that over to the main thread; Tk ends the session instead, and a notebook
    draws the whole figure again with every reading.

    Parameters
    ----------
    shell : IPython's shell, or None
        None where nobody looks: in a queueserver's worker, or in a script.

    Returns
    -------
    str or None
        Why there are no plots, and what to do about it; None if there are.
    """
    if shell is not None and is_notebook(shell):
        return "off in a notebook, where each reading would redraw the figure. live.plot() draws when you call it"
    reason = "off: nobody looks" if shell is None else _obstacle()
    if reason is None:
        os.environ["QT_API"] = _QT.lower()  # for matplotlib and IPython, whichever other Qt there is
        shell.enable_matplotlib("qt")
        return None
    import matplotlib

    matplotlib.use("agg")
    return reason


def is_notebook(shell: Any) -> bool:
    """Whether this IPython shell serves a notebook, and not a terminal."""
    return hasattr(shell, "kernel")


class NowAndThen:
    """Passes documents on to a callback that draws, events at most once a second: drawing each would slow the scan.

    Parameters
    ----------
    draw : callable
        Takes documents; a figure is drawn once, however many come together.
    every_s : float
        How often events are passed on, in s.
    """

    def __init__(self, draw: Callable[[str, dict[str, Any]], None], every_s: float = 1.0) -> None:
        self._draw = draw
        self._every_s = every_s
        self._kept: list[tuple[str, dict[str, Any]]] = []
        self._passed_on = 0.0

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document."""
        self._kept.append((name, doc))
        now = time.monotonic()
        if name in ("event", "event_page") and now - self._passed_on < self._every_s:
            return
        self._passed_on = now
        kept, self._kept = self._kept, []
        for one in kept:
            self._draw(*one)


def _obstacle() -> str | None:
    if os.environ.get("MPLBACKEND", "qtagg").lower() not in ("qtagg", "qt5agg", "qtcairo"):
        return f"off: MPLBACKEND is {os.environ['MPLBACKEND']}, and only Qt can draw beside a scan"
    if display() is None:
        return "off: there is no display here"
    if importlib.util.find_spec(_QT) is None:
        return f"off: {_QT} is not installed, and only Qt can draw beside a scan. `pip install 'ghostbeam[qt]'` brings it"
    # Qt ends the whole process where it cannot open the display, such as that of a connection that has gone.
    tried = subprocess.run([sys.executable, "-P", "-c", _PROBE], capture_output=True, check=False)
    return f"off: the display {display()} does not open" if tried.returncode else None
