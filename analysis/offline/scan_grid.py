"""The grid of lines and points that measured positions lie on, or one that has about as many cells as there are positions."""

from __future__ import annotations

from typing import Any

import numpy as np

_EACH_ALONE = 0.9  # of the positions of a raster, so many have a point of it to themselves


def scan_grid(y_um: np.ndarray, x_um: np.ndarray) -> dict[str, Any]:
    """The grid for maps of a scan.

    A raster gives its own lines and points. Positions anywhere else (spirals, random ones) give cells that are as square as they
    can be, about one a position.

    Parameters
    ----------
    y_um, x_um : ndarray, float, (N,)
        Positions in the order in which they were taken, finite, N at least 1.

    Returns
    -------
    dict
        `y_um` and `x_um` as [first, last, number], `snake`: whether every other line runs backwards.
    """
    y, x = _even(y_um, x_um), _even(x_um, y_um)
    lines, points = (axis if axis[2] == 1 else _steps_of(values) for axis, values in ((y, y_um), (x, x_um)))
    snake = False
    if lines[2] * points[2] <= 2 * len(y_um):
        row, column = _nearest(y_um, lines), _nearest(x_um, points)
        if len(np.unique(row * points[2] + column)) >= _EACH_ALONE * len(y_um):
            y, x, snake = lines, points, _runs_back_and_forth(row, x_um)
    return {"y_um": list(y), "x_um": list(x), "snake": snake}


def _steps_of(values: np.ndarray) -> tuple[float, float, int]:
    """First and last step of an axis, and number of steps, if it moved in equal ones."""
    ordered = np.sort(values)
    gaps = np.diff(ordered)
    # No step is smaller than the length divided by the number of positions: gaps far below that are noise of one step.
    noise = 0.1 * (ordered[-1] - ordered[0]) / len(ordered)
    if not noise > 0:
        return float(ordered[0]), float(ordered[0]), 1
    falling = np.maximum(np.sort(np.append(gaps, 0.0))[::-1], noise)
    smallest_step = falling[np.argmax(falling[:-1] / falling[1:])]  # the gaps are of two kinds, steps and noise
    groups = np.split(ordered, np.flatnonzero(gaps >= smallest_step) + 1)
    places = np.array([group.mean() for group in groups])
    number = round((places[-1] - places[0]) / float(np.median(np.diff(places)))) + 1
    return float(places[0]), float(places[-1]), number


def _nearest(values: np.ndarray, axis: tuple[float, float, int]) -> np.ndarray:
    first, last, number = axis
    if number == 1:
        return np.zeros(len(values), dtype=np.int64)
    places: np.ndarray = np.rint((values - first) / (last - first) * (number - 1)).astype(np.int64)
    return places


def _runs_back_and_forth(row: np.ndarray, x_um: np.ndarray) -> bool:
    directions = [np.sign(x_um[np.flatnonzero(row == line)[[0, -1]]] @ [-1, 1]) for line in np.unique(row)]
    return bool(np.sum(np.array(directions[1:]) * directions[:-1]) < 0)


def _even(values: np.ndarray, across: np.ndarray) -> tuple[float, float, int]:
    """An axis with as many cells as make the cells of both square, one a position: (a/s + 1)(b/s + 1) = N for their size s."""
    low, high = float(values.min()), float(values.max())
    length, width, others = high - low, float(np.ptp(across)), len(values) - 1
    if length == 0:
        return low, low, 1
    size = (length + width + np.sqrt((length + width) ** 2 + 4 * others * length * width)) / (2 * others)
    number = max(1, round(length / size) + 1)
    middle = (low + high) / 2
    return (low, high, number) if number > 1 else (middle, middle, 1)
