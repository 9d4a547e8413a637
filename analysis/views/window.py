"""A window with the newest images of a scan, in a separate process: neither it nor the session delays the other.

`live.watch()` starts it as `python -m analysis.views.window --state-dir DIR`.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any

from analysis.views.live import Live
from analysis.views.picture import draw

OPEN = "the window is open"
_EVERY_MS = 1000


class Window:
    """Draws the estimates of the newest run into a figure whenever there are new ones.

    Parameters
    ----------
    figure : Figure
        matplotlib's.
    state_dir : Path
        State directory with the document log.
    key : str, optional
        A method, or the beginning of a uid, to follow instead of the newest run.
    """

    def __init__(self, figure: Any, state_dir: Path | str, key: str | None = None) -> None:
        self._figure = figure
        self._live = Live(state_dir)
        self._key = key
        self._drawn: list[tuple[str, int, str]] | None = None
        self.refresh()

    def refresh(self) -> bool:
        """Draw new estimates, if there are any; return whether there were."""
        try:
            runs = self._live.beside(self._key)
        except LookupError as nothing:
            if self._drawn is None:
                self._drawn = []
                self._figure.text(0.5, 0.5, str(nothing.args[0]), ha="center", wrap=True)
            return False
        now = [(run.uid, len(run.history), run.verdict) for run in runs]
        if now == self._drawn:
            return False
        draw(self._figure, runs)
        self._drawn = now
        return True


def main() -> None:
    """Open the window and keep it until it is closed."""
    parser = argparse.ArgumentParser(prog="python -m analysis.views.window", description=__doc__.splitlines()[0])
    parser.add_argument("--state-dir", type=Path, required=True, help="the state directory")
    parser.add_argument("--key", help="a method or the beginning of a uid, in place of the newest run")
    arguments = parser.parse_args()
    import matplotlib

    matplotlib.use("QtAgg" if importlib.util.find_spec("PySide6") else "TkAgg")
    import matplotlib.pyplot as plt

    figure = plt.figure("ghostbeam live", figsize=(9, 5), layout="constrained")
    window = Window(figure, arguments.state_dir, arguments.key)

    def tick() -> None:
        if window.refresh():
            figure.canvas.draw_idle()

    timer = figure.canvas.new_timer(_EVERY_MS)
    timer.add_callback(tick)
    timer.start()
    plt.show(block=False)
    print(OPEN, flush=True)  # noqa: T201  for the process that started this one
    plt.show()


if __name__ == "__main__":
    main()
