"""The newest estimates of one run, side by side, with their progress and reliability."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.views.scale import show_image

if TYPE_CHECKING:
    from analysis.views.live_run import LiveRun

_COLOURS = {"live": "darkorange", "final": "darkgreen"}
_WRONG = "crimson"
_IN_A_ROW = 3  # panels of one method; more are drawn in rows of similar length
_LETTERS = 45  # per line below a panel


def draw(figure: Any, runs: list[LiveRun]) -> None:
    """Draw the estimates into a matplotlib figure, replacing its content.

    Each method has a column: the main array, and the second one (the spread, if there is one) below. For a single method all
    arrays are drawn. Several channels, such as chemical elements, have a column each. Failed checks are listed below.

    Parameters
    ----------
    figure : Figure
    runs : list of LiveRun
        Reconstructions of one run, at least one; those without an estimate are only named.
    """
    figure.clear()
    start = runs[0].start
    title = " ".join(str(part) for part in ("scan", start.get("scan_id"), start.get("sample")) if part)
    figure.suptitle(f"{title} ({runs[0].raw_uid[:8]})").set_parse_math(False)
    grid = _grid(runs)
    for axes, (run, name, channel) in zip(figure.subplots(*grid.shape, squeeze=False).flat, grid.flat, strict=True):
        if name is None:
            axes.set_axis_off()
            axes.text(0.5, 0.5, "" if run.arrays else f"{run.method}: no estimate yet", ha="center", transform=axes.transAxes)
        else:
            _panel(figure, axes, run, name, channel)
    failed = [f"{run.method}: {sentence}" for run in runs for sentence in run.failed_checks]
    doubted = dict.fromkeys(doubt for run in runs for doubt in run.data_doubts)
    if failed or doubted:
        text = "\n".join([*failed, *(textwrap.fill(doubt, 110) for doubt in doubted)])
        figure.supxlabel(text, color=_WRONG, fontsize="small").set_parse_math(False)


def size_of(runs: list[LiveRun]) -> tuple[float, float]:
    """Width and height (inches) that suit the picture."""
    rows, columns = _grid(runs).shape
    return 4.5 * columns, 4.8 if rows == 1 else 4.25 * rows


def _grid(runs: list[LiveRun]) -> np.ndarray:
    """The arrangement of the arrays: (rows, columns) of (run, name or None, number of the channel or None)."""
    columns: list[list[tuple[LiveRun, str | None, int | None]]]
    if len(runs) == 1 and not runs[0].channels:
        names: list[str | None] = [*runs[0].arrays] or [None]
        width = len(names) if len(names) <= _IN_A_ROW else math.ceil(math.sqrt(len(names)))
        names += [None] * (-len(names) % width)
        columns = [[(runs[0], name, None) for name in names[first::width]] for first in range(width)]
    else:
        rows = min(2, max(len(run.arrays) for run in runs) or 1)
        columns = [
            [(run, name, channel) for name in [*list(run.arrays)[:rows], *[None] * rows][:rows]]
            for run in runs
            for channel in (range(len(run.channels)) if run.channels else [None])
        ]
    grid = np.empty((len(columns[0]), len(columns)), dtype=object)
    for number, column in enumerate(columns):
        for row, cell in enumerate(column):
            grid[row, number] = cell
    return grid


def _panel(figure: Any, axes: Any, run: LiveRun, name: str, channel: int | None) -> None:
    data_key = run.data_keys[name]
    colour = "magma" if name == "spread" else "gray"
    pixel_um = run.start["image"].get("pixel_size_um") if "image" in run.start else None
    array = run.arrays[name] if channel is None else run.arrays[name][channel]
    drawn = show_image(axes, array, pixel_um, cmap=colour)
    units = data_key.get("units")
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8)
    if units and units != "1":
        bar.ax.set_title(units, fontsize="small", loc="left")
    if name != next(iter(run.arrays)):
        axes.set_title(textwrap.fill(str(data_key.get("meaning", name)), _LETTERS), fontsize="medium")
        return
    if channel:  # remarks on all channels are above the first one
        axes.set_title(run.channel_told(channel), fontsize="medium", color=_colour(run))
        return
    first = "" if channel is None else f"\n{run.channel_told(channel)}"
    axes.set_title(f"{run.method}: {run.verdict}\n{run.count} {run.rows}{first}", fontsize="medium", color=_colour(run))
    if told := ", ".join(run.figures_told):
        axes.annotate(
            textwrap.fill(told, _LETTERS),
            (0.5, -0.16),
            xycoords="axes fraction",
            ha="center",
            va="top",
            fontsize="small",
            annotation_clip=False,
        )


def _colour(run: LiveRun) -> str:
    return _WRONG if run.failed_checks else _COLOURS.get(run.verdict, _WRONG)
