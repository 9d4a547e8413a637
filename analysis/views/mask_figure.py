"""Pictures of a measured mask set, and of two sets side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from analysis.masks.calibration import REGISTRATION
from analysis.masks.difference import differences
from analysis.techniques.ghost.mask_sets import MaskSet

MADE_BY = "ghostbeam masks"


def draw_mask_set(path: Path | str, masks: MaskSet, design: MaskSet | None, outside: list[int]) -> None:
    """Draw a measured mask set: the mask that departs most from its design, and the displacements of all masks.

    Parameters
    ----------
    path : Path
        The PNG to write.
    masks : MaskSet
        A measured set, or a design, of which three masks are drawn.
    design : MaskSet, optional
        Its design.
    outside : list of int
        Masks out of tolerance.
    """
    if masks.registration is None or masks.uncertainty is None:
        chosen = np.linspace(0, len(masks.patterns) - 1, 3).astype(int)
        figure, grid = _figure(masks.name, 1, 3)
        for axes, index in zip(grid[0], chosen, strict=True):
            _image(figure, axes, masks.patterns[index], f"mask {index}", "gray", 0, 1)
        _save(figure, path)
        return
    columns = dict(zip(REGISTRATION, masks.registration.T, strict=True))
    worst = int(np.nanargmax(columns["departure"]))
    measured = int(np.count_nonzero(np.isfinite(columns["departure"])))
    counted = f"{measured} of {len(masks.patterns)} masks measured, {len(outside)} out of tolerance"
    title = f"{masks.name} ({masks.identity[:12]}): {counted}"
    figure, grid = _figure(title, 2, 3)
    shown = masks.patterns[worst]
    _image(figure, grid[0][0], shown, f"mask {worst}, the worst: measured transmission", "gray", 0, 1)
    if design is None:
        _words(grid[0][1], "its design is not in the store")
    else:
        level, contrast = np.polynomial.Polynomial.fit(design.patterns[worst].ravel(), shown.ravel(), 1).convert().coef
        departure = shown - (level + contrast * design.patterns[worst])
        most = float(np.abs(departure).max()) or 1.0
        _image(figure, grid[0][1], departure, "measured - designed, level and contrast fitted", "RdBu_r", -most, most)
    if np.isfinite(masks.uncertainty[worst]).any():
        most = float(np.nanmax(masks.uncertainty[worst]))
        _image(figure, grid[0][2], masks.uncertainty[worst], "standard error", "magma", 0, most)
    else:
        _words(grid[0][2], "standard errors are not known")
    _shifts(grid[1][0], columns, outside)
    for axes, name, label in (
        (grid[1][1], "departure", "departure from the design (rms transmission)"),
        (grid[1][2], "depth", "modulation depth"),
    ):
        axes.plot(columns[name], ".", markersize=3, color="0.4")
        axes.plot(outside, columns[name][outside], "o", markersize=6, fillstyle="none", color="tab:red")
        axes.set_xlabel("mask")
        axes.set_title(label, fontsize="medium")
    _save(figure, path)


def draw_difference(path: Path | str, first: MaskSet, second: MaskSet) -> None:
    """Draw the mask in which two sets differ most, and the displacements of the second set's masks relative to the first."""
    found = differences(first.patterns, second.patterns)
    worst = int(np.argmax(found["rms"]))
    figure, grid = _figure(f"{first.name} ({first.identity[:12]}) and {second.name} ({second.identity[:12]})", 2, 3)
    _image(figure, grid[0][0], first.patterns[worst], f"mask {worst} of the first", "gray", 0, 1)
    _image(figure, grid[0][1], second.patterns[worst], "of the second", "gray", 0, 1)
    difference = second.patterns[worst].astype(np.float64) - first.patterns[worst]
    most = float(np.abs(difference).max()) or 1.0
    _image(figure, grid[0][2], difference, "second - first", "RdBu_r", -most, most)
    _shifts(grid[1][0], {"shift_y_px": found["shift_y_px"], "shift_x_px": found["shift_x_px"]}, [])
    for axes, name, label in (
        (grid[1][1], "rms", "rms difference of the transmission"),
        (grid[1][2], "contrast", "contrast, second over first"),
    ):
        axes.plot(found[name], ".", markersize=3, color="0.4")
        axes.set_xlabel("mask")
        axes.set_title(label, fontsize="medium")
    _save(figure, path)


def _figure(title: str, rows: int, columns: int) -> tuple[Any, np.ndarray]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * columns, 3.6 * rows + 0.5), layout="constrained")
    figure.suptitle(title, fontsize="large")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _image(figure: Any, axes: Any, image: np.ndarray, title: str, colours: str, low: float, high: float) -> None:
    axes.set_title(title, fontsize="medium")
    drawn = axes.imshow(image, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    figure.colorbar(drawn, ax=axes, shrink=0.8)


def _shifts(axes: Any, columns: dict[str, np.ndarray], outside: list[int]) -> None:
    y, x = columns["shift_y_px"], columns["shift_x_px"]
    axes.plot(x, y, ".", markersize=3, color="0.4")
    axes.plot(x[outside], y[outside], "o", markersize=6, fillstyle="none", color="tab:red")
    axes.set_xlabel("shift along x (mask pixels)")
    axes.set_ylabel("along y")
    axes.set_title("where the masks lie against their places", fontsize="medium")
    axes.set_aspect("equal", adjustable="datalim")


def _words(axes: Any, text: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color="0.4", transform=axes.transAxes)


def _save(figure: Any, path: Path | str) -> None:
    figure.savefig(path, dpi=110, metadata={"Software": MADE_BY})
